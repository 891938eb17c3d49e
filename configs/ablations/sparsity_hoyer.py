"""Is it sparsity or smallness? Hoyer's ratio, which doesn't see how large α is.

Delta on configs/default.py: loss.sparsity_penalty = "hoyer".
"""

from configs import default


def get_config():
    config = default.get_config()
    config.loss.sparsity_penalty = "hoyer"
    return config
