"""How many motion vectors does it take? M = 100.

Delta on configs/default.py: model.num_vectors = 100.
"""

from configs import default


def get_config():
    config = default.get_config()
    config.model.num_vectors = 100
    return config
