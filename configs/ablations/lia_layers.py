"""What do LIA-X's layers bring? Those of LIA, under the same objective, λ₂ included.

Delta on configs/default.py: model.family = "lia", model.width = 1.0.
"""

from configs import default


def get_config():
    config = default.get_config()
    config.model.family = "lia"
    config.model.width = 1.0
    return config
