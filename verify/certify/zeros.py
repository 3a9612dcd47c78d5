"""Zeros of systems of equations: that there is one near a point, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from verify.certify import _balls
from verify.certify._operands import enclosed, operand
from verify.errors import CertificateError, NotAValueError
from verify.interval import Interval

NEWTON_STEPS = 8  # at most
SMALL_STEP = 2.0**-80  # relative: well below the rounding of floats
SMALLEST_RADIUS = 2.0 ** (20 - _balls.BITS)  # relative: room for the rounding of the balls themselves

System = Callable[[list[Any]], tuple[Any, Any]]


def zero(function: System, near: Any) -> Interval:
    """Enclosure of a zero (n,) of a square system near a point; that it exists is part of the certificate.

    function: takes a list of n of flint's arb, returns n values and their n x n derivatives, both of arb (lists
    or object arrays). near: (n,) floats, of which nothing is trusted. Krawczyk's test (Rump, Acta Numerica 19
    (2010), section 13): with C an approximate inverse of the derivatives, the box x + [-r, r] holds exactly one
    zero if -C f(x) + (I - C f'(box)) [-r, r] lies in the interior of [-r, r]. Raises CertificateError where it
    does not: no zero near, or derivatives that are singular to working accuracy.
    """
    from flint import arb, arb_mat, ctx

    given = operand(np.asarray(near, dtype=float))
    if np.ndim(given.lower) != 1 or not np.size(given.lower):
        raise NotAValueError(f"zero() starts from a vector, not from an array of shape {np.shape(near)}")
    with ctx.workprec(_balls.BITS):
        x = [arb(number) for number in given.lower.tolist()]
        for _ in range(NEWTON_STEPS):
            values, derivatives = _evaluated(function, x)
            inverse = arb_mat(_inverse(derivatives).tolist())
            steps = (inverse * arb_mat([[value] for value in values])).entries()
            if all(abs(step) < SMALL_STEP * (1 + abs(a)) for a, step in zip(x, steps, strict=True)):
                break
            x = [(a - step).mid() for a, step in zip(x, steps, strict=True)]
        else:
            raise CertificateError("no zero is certain near the point: Newton's method does not settle")
        radii = [
            2 * abs(step).upper() + SMALLEST_RADIUS * (1 + abs(a)) for a, step in zip(x, steps, strict=True)
        ]
        box = [a + arb(0, r) for a, r in zip(x, radii, strict=True)]
        defect = arb_mat(np.eye(len(x), dtype=int).tolist()) - inverse * arb_mat(_evaluated(function, box)[1])
        spread = (defect * arb_mat([[arb(0, r)] for r in radii])).entries()
        moved = [b - step for b, step in zip(spread, steps, strict=True)]
        outside = sum(not abs(m) < r for m, r in zip(moved, radii, strict=True))
        if outside:
            raise CertificateError(
                f"no zero is certain near the point: {outside} of {len(x)} entries leave the box"
            )
        ends = _balls.floats_around([a + m for a, m in zip(x, moved, strict=True)])
    return enclosed(*ends, "Krawczyk's test in balls", given)


def _evaluated(function: System, x: list[Any]) -> tuple[list[Any], list[list[Any]]]:
    """Values and derivatives as lists, of the shapes that they must have."""
    values, derivatives = function(x)
    values, rows = list(values), [list(row) for row in derivatives]
    if len(values) != len(x) or [len(row) for row in rows] != [len(x)] * len(x):
        raise NotAValueError(f"a square system is needed: {len(values)} values of {len(x)} unknowns")
    return values, rows


def _inverse(derivatives: list[list[Any]]) -> np.ndarray:
    matrix = np.array([[float(entry) for entry in row] for row in derivatives])
    try:
        inverse = np.linalg.inv(matrix)
    except np.linalg.LinAlgError as error:
        raise CertificateError("no zero is certain near the point: its derivatives are singular") from error
    if not np.isfinite(inverse).all():
        raise CertificateError("no zero is certain near the point: its derivatives are not finite")
    return inverse
