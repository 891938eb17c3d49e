"""Floating-point operations of a traced program: its convolutions and matrix products.

Counted on the program as JAX traces it, so the same on every backend. A compiler's own count isn't:
XLA counts the body of a loop once, and its GPU backend gives no count at all.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np


def count_flops(function: Callable, *arguments: Any) -> float:
    """Multiplications and additions of `function`; of a conditional, its most costly branch."""
    import jax

    return count_jaxpr_flops(jax.make_jaxpr(function)(*arguments).jaxpr)


def count_jaxpr_flops(jaxpr: Any, branch: Callable[[Iterable[float]], float] = max) -> float:
    """The same of a traced program.

    Every turn of a scan counts. The taps of a convolution that fall on padding, or between the
    samples of a dilated input, don't.

    Args:
      jaxpr: `jax.make_jaxpr(…)(…).jaxpr`.
      branch: which branch of a conditional counts, from the branches' figures: `max` or `min`.

    Raises:
      ValueError: operations inside of a while loop, whose number of turns isn't known.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "conv_general_dilated":
            total += _convolution(equation)
        elif name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left, out = equation.invars[0].aval, equation.outvars[0].aval
            total += 2.0 * out.size * math.prod(left.shape[axis] for axis in contracted)
        inner = [count_jaxpr_flops(program, branch) for program in _programs(equation)]
        if name == "cond":
            total += branch(inner)
        elif name == "while" and sum(inner):
            raise ValueError("operations in a while loop: how often it turns isn't known")
        else:
            total += equation.params.get("length", 1) * sum(inner)
    return total


def _programs(equation: Any) -> Iterator[Any]:
    """The programs inside of an operation: bodies of loops, branches, functions called."""
    for value in equation.params.values():
        for inner in value if isinstance(value, (list, tuple)) else (value,):
            program = getattr(inner, "jaxpr", inner)
            if hasattr(program, "eqns"):
                yield program


def _convolution(equation: Any) -> float:
    picture, kernel = (operand.aval.shape for operand in equation.invars[:2])
    out, numbers = equation.outvars[0].aval.shape, equation.params["dimension_numbers"]
    taps = 1
    for axis, padding in enumerate(equation.params["padding"]):
        taps *= _taps(
            picture[numbers.lhs_spec[2 + axis]],
            kernel[numbers.rhs_spec[2 + axis]],
            out[numbers.out_spec[2 + axis]],
            equation.params["window_strides"][axis],
            padding[0],
            equation.params["lhs_dilation"][axis],
            equation.params["rhs_dilation"][axis],
        )
    inputs = kernel[numbers.rhs_spec[1]]
    return 2.0 * out[numbers.out_spec[0]] * out[numbers.out_spec[1]] * inputs * taps


def _taps(
    size: int, kernel: int, out: int, stride: int, before: int, dilation: int, kernel_dilation: int
) -> int:
    """Pairs of output position and tap that read a sample, along one axis."""
    position = np.arange(out)[:, None] * stride - before + np.arange(kernel) * kernel_dilation
    inside = (position >= 0) & (position <= (size - 1) * dilation)
    return int(np.count_nonzero(inside & (position % dilation == 0)))
