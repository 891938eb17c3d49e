"""How much does λ₂ matter? A tenth of it.

Delta on configs/default.py: loss.sparsity = 0.01.
"""

from configs import default


def get_config():
    config = default.get_config()
    config.loss.sparsity = 0.01
    return config
