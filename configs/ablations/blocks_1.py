"""What do the residual blocks bring? N = 1 per level.

Delta on configs/default.py: model.num_blocks = 1.
"""

from configs import default


def get_config():
    config = default.get_config()
    config.model.num_blocks = 1
    return config
