"""Numbers: brackets between two bounds, convex weights, elementary functions, symbolic identities."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from verify.certify import _balls
from verify.certify._operands import enclosed, operand
from verify.errors import CertificateError, NotAValueError
from verify.interval import Interval, _is_exact, _scalar, _weaker, as_value

GRID = 2**52  # weights are multiples of 1/GRID
TIGHT = 1e-15  # relative width at which `evaluate` stops raising the precision
PRECISION_FACTOR = 16  # how far it raises it


def bracket(lower: Interval, upper: Interval, because: str) -> Interval:
    """A number, or array, known to be at least `lower` and at most `upper`, say by weak duality.

    lower, upper: intervals of one shape (...) -> (...), from lower.lower to upper.upper, of the weaker grade.
    """
    low, up = as_value(lower), as_value(upper)
    crossed = np.asarray(low.lower > up.upper)
    if crossed.any():
        at = np.unravel_index(int(crossed.argmax()), crossed.shape)
        ends = np.broadcast_to(low.lower, crossed.shape)[at], np.broadcast_to(up.upper, crossed.shape)[at]
        raise CertificateError(
            f"{because}: the lower bound {ends[0]} ({low.because}) lies above the upper bound {ends[1]} "
            f"({up.because})"
        )
    grade = _weaker(low.grade, up.grade)
    if not np.array_equal(low.lower, up.upper):
        grade = _weaker(grade, "rigorous")  # two exact bounds that differ make an enclosure
    return Interval(low.lower, up.upper, grade, because)


def convex_weights(weights: Any) -> np.ndarray:
    """Weights near the given ones that are nonnegative and whose sum is exactly 1, of the same shape (...).

    Negative weights (a solver's rounding) become 0. The result is a float array of multiples of 2^-52: every
    sum of some of the weights is a float as well, so numpy adds and subtracts them without any rounding and
    what is built that way is an exact combination of points.
    """
    given = np.asarray(weights, dtype=float)
    if not np.isfinite(given).all():
        raise NotAValueError("weights must be finite numbers")
    clipped = np.maximum(given, 0.0)
    largest = clipped.max(initial=0.0)
    if largest == 0:
        raise CertificateError("no weight is positive")
    relative = clipped / largest
    units = np.floor(relative / relative.sum() * GRID).astype(np.int64)
    units.flat[int(np.argmax(units))] += GRID - int(units.sum())
    if units.min() < 0:
        raise CertificateError(f"{given.size} weights are too many to be rounded to multiples of 2^-52")
    return np.asarray(units / GRID)


def evaluate(
    function: Callable[..., Any], *arguments: int | Fraction | float | Interval, digits: int = 50
) -> Interval:
    """Enclosure of an elementary function: `evaluate(lambda b: (1 - b).log() / b.sqrt(), Fraction(9, 10))`.

    function: takes flint's arb, one an argument, and returns one, by operators and arb's methods alone (what
    goes through math or a float is no enclosure). The precision starts at `digits` decimal digits and is
    raised until the relative width is below 1e-15 or, the interval being wide, sixteenfold.
    """
    from flint import ctx

    given = [operand(argument) for argument in arguments]
    if any(np.shape(argument.lower) for argument in given):
        raise NotAValueError("evaluate() takes scalars")
    first = math.ceil(digits * math.log2(10))
    bits = first
    while True:
        with ctx.workprec(bits):
            low, up = _balls.ends(_as_ball(function(*(_balls.hull(a.lower, a.upper) for a in given))))
        if up - low <= TIGHT * max(abs(low), abs(up)) < math.inf or bits >= PRECISION_FACTOR * first:
            break
        bits *= 2
    if (low, up) == (-math.inf, math.inf):
        raise CertificateError(f"no enclosure of the function at {arguments} with {bits} bits")
    return enclosed(low, up, "ball arithmetic", *given)


def root(
    function: Callable[..., Any],
    low: int | Fraction | float,
    high: int | Fraction | float,
    *arguments: int | Fraction | float | Interval,
) -> Interval:
    """Enclosure of a zero of a continuous function between low and high, at which its signs differ.

    `root(lambda x, a: x.exp() - a, 0, 1, 2)` holds log 2. function: takes flint's arb, the point first, then
    the arguments, as for `evaluate`. By bisection on floats with the signs taken in balls: nothing is trusted
    but the continuity, and of several zeros the enclosure holds one. With intervals for arguments it holds a
    zero for each of their values. CertificateError where the signs at the ends are not known to differ.
    """
    from flint import ctx

    given = [operand(argument) for argument in arguments]
    if any(np.shape(argument.lower) for argument in given):
        raise NotAValueError("root() takes scalars")
    with ctx.workprec(_balls.BITS):
        balls = [_balls.hull(argument.lower, argument.upper) for argument in given]

        def sign(x: float | Fraction) -> int:
            value = _as_ball(function(_balls.ball(x), *balls))
            return 1 if value > 0 else -1 if value < 0 else 0

        first, last = sign(low), sign(high)
        if not low < high or first * last != -1:
            raise CertificateError(f"no sign change between {low} and {high}: signs {first} and {last}")
        lower = _farthest(lambda x: sign(x) == first, low, high)
        upper = _farthest(lambda x: sign(x) == last, high, low)
    return enclosed(lower, upper, "bisection with signs in balls", *given)


def _farthest(
    accepted: Callable[[float], bool], inside: int | Fraction | float, outside: int | Fraction | float
) -> Any:
    """A point that is accepted next to one that is not, from `inside` (which is) towards `outside`."""
    near, far = inside, outside
    for _ in range(1100):  # more halvings than floats have between any two
        middle = float(near) / 2 + float(far) / 2
        if not min(near, far) < middle < max(near, far):
            break
        near, far = (middle, far) if accepted(middle) else (near, middle)
    return near


def exp(x: Any) -> Interval:
    """Exponential of an interval or of exact numbers (...), ends in balls."""
    return _increasing(x, "exp")


def log(x: Any) -> Interval:
    """Natural logarithm of positive (...), ends in balls."""
    if np.any(np.asarray(operand(x).lower) <= 0):
        raise NotAValueError("logarithm of what reaches 0 or below")
    return _increasing(x, "log")


def sqrt(x: Any) -> Interval:
    """Square root of nonnegative (...), ends in balls: a point where the root is a float."""
    if np.any(np.asarray(operand(x).lower) < 0):
        raise NotAValueError("square root of what reaches below 0")
    return _increasing(x, "sqrt")


def identity(left: Any, right: Any) -> Interval:
    """The exact 0 that `left - right` is, when sympy simplifies it to 0.

    left, right: sympy expressions or strings, with integers and fractions; not floats, of which an identity
    says nothing.
    """
    import sympy

    difference = sympy.sympify(left) - sympy.sympify(right)
    if difference.atoms(sympy.Float):
        raise NotAValueError(f"a symbolic identity has no floats: {difference!s:.200}")
    remainder = sympy.simplify(difference)
    if remainder != 0:
        raise CertificateError(f"not an identity: left - right simplifies to {remainder!s:.200}")
    return Interval(0, 0, "exact", "symbolic identity")


# --- inside ---------------------------------------------------------------------------------------------


def _increasing(x: Any, method: str) -> Interval:
    """An increasing function, end by end."""
    from flint import ctx

    given = operand(x)
    with ctx.workprec(_balls.BITS):
        lower, upper = _mapped(given.lower, method)
        if not given.is_point:
            upper = _mapped(given.upper, method)[1]
    return enclosed(lower, upper, f"{method} in balls", given)


def _mapped(numbers: Any, method: str) -> tuple[Any, Any]:
    """Both ends of the function at exact numbers (...)."""
    from flint import arb

    to_ball = _balls.ball if _is_exact(numbers) else arb
    images = [getattr(to_ball(x), method)() for x in np.ravel(numbers).tolist()]
    low, up = _balls.floats_around(images)
    shape = np.shape(numbers)
    return _scalar(low.reshape(shape)), _scalar(up.reshape(shape))


def _as_ball(result: Any) -> Any:
    from flint import arb, fmpq, fmpz

    if isinstance(result, bool) or not isinstance(result, arb | fmpq | fmpz | int):
        raise NotAValueError(f"the function left ball arithmetic: it returned {type(result).__name__}")
    return arb(result)
