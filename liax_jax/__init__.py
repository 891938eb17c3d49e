"""LIA-X, the Interpretable Latent Portrait Animator, in JAX and Flax.

`liax_jax.load(path)` gives an `Animator`; `liax_jax.models` has the networks themselves.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liax_jax.animation.animator import Animator, load
    from liax_jax.animation.portrait import Portrait

__all__ = ["Animator", "Portrait", "load"]

# Imported on first use, so that `import liax_jax` stays quick.
_WHERE = {
    "Animator": "liax_jax.animation.animator",
    "Portrait": "liax_jax.animation.portrait",
    "load": "liax_jax.animation.animator",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
