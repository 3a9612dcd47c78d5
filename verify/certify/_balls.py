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
    from flint import arb_mat

    if not matrix.is_point:
        pairs = zip(matrix.lower.tolist(), matrix.upper.tolist(), strict=True)
        return arb_mat([[hull(a, b) for a, b in zip(low, up, strict=True)] for low, up in pairs])
    if not matrix.is_exact:
        return arb_mat(matrix.lower.tolist())  # floats convert exactly
    return arb_mat([[ball(x) for x in row] for row in matrix.lower.tolist()])


def ends(x: Any) -> tuple[float, float]:
    """The tightest floats around a ball; unbounded when the ball says nothing."""
    if not x.is_finite():
        return -math.inf, math.inf
    return float_below(x.lower()), float_above(x.upper())


def float_below(x: Any) -> float:
    """The largest float not above an exact arb."""
    near = float(x)
    while not near <= x:
        near = math.nextafter(near, -math.inf)
    return near


def float_above(x: Any) -> float:
    """The smallest float not below an exact arb."""
    return -float_below(-x)


def arrays(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of an arb_mat, each (k, d)."""
    pairs = np.array([ends(entry) for entry in x.entries()], dtype=float)
    shape = (x.nrows(), x.ncols())
    return pairs[:, 0].reshape(shape), pairs[:, 1].reshape(shape)
