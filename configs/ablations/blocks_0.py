"""What do the residual blocks bring? None.

Delta on configs/default.py: model.num_blocks = 0.
"""

from configs import default


def get_config():
    config = default.get_config()
    config.model.num_blocks = 0
    return config
