"""Is it sparsity or smallness? A penalty on all coefficients but a frame's three largest.

Delta on configs/default.py: loss.sparsity_penalty = "topk".
"""

from configs import default


def get_config():
    config = default.get_config()
    config.loss.sparsity_penalty = "topk"
    return config
