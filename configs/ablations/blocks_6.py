"""What do the residual blocks bring? N = 6 per level.

Delta on configs/default.py: model.num_blocks = 6.
"""

from configs import default


def get_config():
    config = default.get_config()
    config.model.num_blocks = 6
    return config
