"""How many motion vectors does it take? M = 40, as the released model has.

Delta on configs/default.py: model.num_vectors = 40.
"""

from configs import default


def get_config():
    config = default.get_config()
    config.model.num_vectors = 40
    return config
