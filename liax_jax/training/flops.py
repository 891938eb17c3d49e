"""How much a program computes, counted on its trace: the same on every backend and any mesh."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np


def program_flops(
    jaxpr: Any, with_padding: bool = False, branch: Callable[[Iterable[float]], float] = min
) -> float:
    """Multiplications and additions of all convolutions and matrix products in a traced program.

    2 · outputs · taps · input channels each, less the taps outside of the picture; every turn of
    a loop. Of a conditional the cheapest branch, unless told otherwise: work that is done now and
    then (lazy R1) is left out. What a program computes a second
    time to save memory counts again.

    The compiler's own cost analysis isn't used: it is missing on GPUs, counts the body of a loop
    once, and is per device.

    Args:
      jaxpr: as of `jax.make_jaxpr(function)(*arguments).jaxpr` or `jitted.trace(...).jaxpr.jaxpr`.
      with_padding: count the taps outside of the picture, and between the pixels of a dilated one.
      branch: which branch of a conditional counts, from the branches' figures: `min` or `max`.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        if name == "conv_general_dilated":
            total += _convolution(equation, with_padding)
        elif name == "dot_general":
            (contracted, _), _ = params["dimension_numbers"]
            left, out = equation.invars[0].aval, equation.outvars[0].aval
            taps = 1
            for axis in contracted:
                taps *= left.shape[axis]
            total += 2.0 * out.size * taps
        elif name == "cond":
            total += branch(
                [program_flops(choice.jaxpr, with_padding, branch) for choice in params["branches"]]
            )
        else:
            turns = params.get("length", 1)
            if name == "shard_map":  # the program of one device
                turns = params["mesh"].size
            total += turns * sum(
                program_flops(inner, with_padding, branch) for inner in _programs(params)
            )
    return total


def _convolution(equation: Any, with_padding: bool) -> float:
    x, kernel = (variable.aval for variable in equation.invars)
    out, params = equation.outvars[0].aval, equation.params
    numbers = params["dimension_numbers"]
    if with_padding:
        return 2.0 * out.size * kernel.size / kernel.shape[numbers.rhs_spec[0]]
    flops = 2.0 * out.shape[numbers.out_spec[0]] * out.shape[numbers.out_spec[1]]
    flops *= kernel.shape[numbers.rhs_spec[1]]
    for axis, (low, _) in enumerate(params["padding"]):
        outputs = np.arange(out.shape[numbers.out_spec[2 + axis]])
        taps = np.arange(kernel.shape[numbers.rhs_spec[2 + axis]])
        dilation = params["lhs_dilation"][axis]
        place = outputs[:, None] * params["window_strides"][axis] - low
        place = place + taps * params["rhs_dilation"][axis]
        last = (x.shape[numbers.lhs_spec[2 + axis]] - 1) * dilation
        flops *= np.count_nonzero((place >= 0) & (place <= last) & (place % dilation == 0))
    return flops


def _programs(params: dict[str, Any]) -> list[Any]:
    """The programs inside an equation: of a call, a loop or a rematerialised part."""
    found = []
    for value in params.values():
        for inner in value if isinstance(value, (list, tuple)) else (value,):
            program = getattr(inner, "jaxpr", inner)
            if hasattr(program, "eqns"):
                found.append(program)
    return found
