"""What does the sparsity of the dictionary do? No penalty on α: dense, as LIA's (eq. 5).

Delta on configs/default.py: loss.sparsity = 0.0.
"""

from configs import default


def get_config():
    config = default.get_config()
    config.loss.sparsity = 0.0
    return config
