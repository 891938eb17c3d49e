"""Is it sparsity or smallness? Each coefficient in units of how far it moves within clips.

Delta on configs/default.py: loss.sparsity_penalty = "standardized".
"""

from configs import default


def get_config():
    config = default.get_config()
    config.loss.sparsity_penalty = "standardized"
    return config
