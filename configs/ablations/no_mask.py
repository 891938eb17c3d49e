"""Does the renderer need to be told what the warp can't show? No masks.

Delta on configs/default.py: model.use_mask = False.
"""

from configs import default


def get_config():
    config = default.get_config()
    config.model.use_mask = False
    return config
