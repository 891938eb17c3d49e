"""How much does λ₂ matter? Ten times as much.

Delta on configs/default.py: loss.sparsity = 1.0.
"""

from configs import default


def get_config():
    config = default.get_config()
    config.loss.sparsity = 1.0
    return config
