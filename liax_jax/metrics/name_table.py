"""A strict look at a published state dictionary before anything is made of it."""

from collections.abc import Mapping, Sequence

import numpy as np

# A file of another network misses hundreds of names; so many say enough.
_MOST_NAMED = 8
# Counters of torch's batch normalisation; older versions wrote none.
_COUNTER = "num_batches_tracked"


def check_tensors(
    tensors: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, ...]], network: str
) -> None:
    """Raises one ValueError that names what is missing, unexpected or of another shape.

    Args:
      tensors: name → array, as published. Batch normalisation's counters are passed over.
      expected: name → shape of every tensor of the network.
      network: what the weights should be of, for the message.
    """
    missing = [name for name in expected if name not in tensors]
    unexpected = [
        name for name in tensors if name not in expected and name.split(".")[-1] != _COUNTER
    ]
    misshapen = [
        f"{name} has {tuple(tensors[name].shape)}, expected {shape}"
        for name, shape in expected.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    problems = [
        f"{kind}: {_named(names)}"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshapen),
        )
        if names
    ]
    if problems:
        raise ValueError(f"these are not the weights of {network}. " + ". ".join(problems))


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
