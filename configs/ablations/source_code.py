"""Does motion hide in z_s2r? Its part along the motion vectors has a price too.

Delta on configs/default.py: loss.source_code = 0.1.
"""

from configs import default


def get_config():
    config = default.get_config()
    config.loss.source_code = 0.1
    return config
