"""To and from ball arithmetic (flint), where every operation encloses the exact result."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from verify.certify._operands import Operand

BITS = 128  # working precision of matrix products and sums


def ball(number: float | Fraction) -> Any:
    """An int or float exactly, a fraction rounded to the working precision."""
    from flint import arb, fmpq

    if isinstance(number, Fraction):
        return arb(fmpq(number.numerator, number.denominator))
    return arb(number)


def hull(lower: float | Fraction, upper: float | Fraction) -> Any:
    """The ball around an interval."""
    return ball(lower) if lower is upper or lower == upper else ball(lower).union(ball(upper))


def balls(matrix: Operand) -> Any:
    """A matrix (k, d) as arb_mat."""
    from flint import arb, arb_mat

    if not matrix.is_exact and matrix.is_point:
        return arb_mat(matrix.lower.tolist())  # floats convert exactly
    if not matrix.is_point:
        union = hull if matrix.is_exact else lambda a, b: arb(a) if a == b else arb(a).union(arb(b))
        pairs = zip(matrix.lower.tolist(), matrix.upper.tolist(), strict=True)
        return arb_mat([[union(a, b) for a, b in zip(low, up, strict=True)] for low, up in pairs])
    return arb_mat([[ball(x) for x in row] for row in matrix.lower.tolist()])


def ends(x: Any) -> tuple[float, float]:
    """The tightest floats around a ball; unbounded when the ball says nothing."""
    low, up = floats_around([x])
    return float(low[0]), float(up[0])


def arrays(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of an arb_mat, each (k, d)."""
    shape = (x.nrows(), x.ncols())
    low, up = floats_around(x.entries())
    return low.reshape(shape), up.reshape(shape)


def floats_around(balls: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends (n,) of balls, one by one as in `ends`."""
    low = floats_beyond([x.lower() for x in balls], -math.inf)
    up = floats_beyond([x.upper() for x in balls], math.inf)
    return low, up


def floats_beyond(numbers: list[Any], towards: float) -> np.ndarray:
    """For every exact arb the nearest float that is not inside of it; `towards` for what is no number. (n,).

    flint converts to a float next to the number, on either side of it.
    """
    near = [float(x) for x in numbers]
    if towards < 0:
        beyond = [a <= x for a, x in zip(near, numbers, strict=True)]
    else:
        beyond = [a >= x for a, x in zip(near, numbers, strict=True)]
    result = np.where(beyond, near, np.nextafter(near, towards)) + 0.0  # -0.0 becomes 0.0
    return np.where(np.isnan(result), towards, result)
