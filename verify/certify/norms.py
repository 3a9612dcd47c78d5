"""Matrix norms, enclosed from both sides, and their duals for <A, B> = tr(A^T B).

Everything is computed on matrices scaled by a power of two to entries of at most 1, so that neither overflow
nor underflow matters, and for a whole stack at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from verify.certify import _balls
from verify.certify._operands import Operand, enclosed, matrix
from verify.certify._rounding import (
    SMALLEST,
    above,
    below,
    depth,
    frobenius_above,
    frobenius_below,
    gamma,
    product_error,
    tree_sum,
)
from verify.certify.matrices import middle_and_radius
from verify.errors import CertificateError, NotAValueError
from verify.interval import Interval, _down, _scalar, _up

Kind = str | float | Fraction  # "max", "frobenius", "spectral", "sum", "nuclear", or p >= 1: entrywise p-norm
DUALS = {
    "max": "sum",
    "sum": "max",
    "frobenius": "frobenius",
    "spectral": "nuclear",
    "nuclear": "spectral",
}
NAMED = {Fraction(1): "sum", Fraction(2): "frobenius"}

Ends = tuple[Any, Any]  # lower and upper ends, float arrays of one shape


def dual(kind: Kind) -> Kind:
    """The kind of the dual norm; for p it is p/(p-1), a float where that is exact, else a Fraction."""
    name = _normalised(kind)
    if isinstance(name, str):
        return DUALS[name]
    conjugate = name / (name - 1)
    return float(conjugate) if Fraction(float(conjugate)) == conjugate else conjugate


def norm(A: Any, kind: Kind) -> Interval:
    """Enclosure of a matrix norm.

    A: (k, d) or a stack (..., k, d), float array or interval -> scalar or (...).
    Entrywise norms are sums with their rounding. Spectral and nuclear norms come from the float factors of
    A = U S V^T + R, of which nothing is trusted: above by |A| <= |U||V| max s + |R|_F and
    |A|_* <= sum s_i |u_i||v_i| + sqrt(min(k, d)) |R|_F, below by weak duality, |A| >= |A^T u|/|u| and
    |A|_* >= <A, U V^T>/(|U||V|), with |U|^2 <= 1 + |U^T U - I|_F.
    """
    name = _normalised(kind)
    a = matrix(A)
    if a.is_exact and name in ("max", "sum"):
        return _exact_norm(a, str(name))
    floats = a.in_floats()
    scaled, exponent = _scaled(floats)
    low, up = _ends_of(name)(scaled)
    zero = np.max(np.maximum(np.abs(floats.lower), np.abs(floats.upper)), axis=(-2, -1)) == 0
    low = _unscaled(np.maximum(low, 0.0), exponent, -np.inf)
    up = _unscaled(np.where(zero, 0.0, up), exponent, np.inf)
    return enclosed(_scalar(np.maximum(low, 0.0)), _scalar(up), f"enclosure of the {_title(name)}", a)


def singular_values(A: Any) -> Interval:
    """Enclosures of all singular values of a matrix, in decreasing order.

    A: (k, d) or a stack (..., k, d), float array or interval -> (..., min(k, d)).
    With float factors A = U S V^T + R those of U S V^T are s_i times at most |U||V| and at least the smallest
    singular values of U and V (Ostrowski), where |U^T U - I|_F bounds both; R shifts each by at most |R|_F (Weyl).
    """
    a = matrix(A)
    scaled, exponent = _scaled(a.in_floats())
    B, radius = _wide(scaled)
    U, s, Vt = _factors(B)
    shift, s = _up(_residual(B, U, s, Vt) + radius)[..., None], -np.sort(-s, axis=-1)
    up = _up(above(s * _spread(U, Vt)[..., None], 1) + shift)
    low = np.maximum(_down(_down(s * _narrow(U, Vt)[..., None]) - shift), 0.0)
    zero = np.maximum(np.abs(scaled.lower), np.abs(scaled.upper)).max(axis=(-2, -1))[..., None] == 0
    up = np.where(zero, 0.0, _unscaled(up, exponent[..., None], np.inf))
    low = _unscaled(low, exponent[..., None], -np.inf)
    return enclosed(np.maximum(low, 0.0), up, "enclosure of the singular values", a)


def _normalised(kind: Kind) -> str | Fraction:
    """The name of a norm that has one, else the exponent p."""
    if isinstance(kind, str):
        if kind not in DUALS:
            raise NotAValueError(f"no norm {kind!r}: one of {', '.join(DUALS)}, or a number p >= 1")
        return kind
    p = kind if isinstance(kind, Fraction) else float(kind)
    if not p >= 1:
        raise NotAValueError(f"an entrywise p-norm needs p >= 1, not {kind!r}")
    if p == math.inf:
        return "max"
    return NAMED.get(Fraction(p), Fraction(p))


def _title(name: str | Fraction) -> str:
    return f"{name} norm" if isinstance(name, str) else f"entrywise {float(name):g}-norm"


def _ends_of(name: str | Fraction) -> Callable[[Operand], Ends]:
    named = {"max": _max, "sum": _sum, "frobenius": _frobenius, "spectral": _spectral, "nuclear": _nuclear}
    return named[name] if isinstance(name, str) else lambda scaled: _power(scaled, name)


# --- scaling ----------------------------------------------------------------------------------------------


def _scaled(a: Operand) -> tuple[Operand, np.ndarray]:
    """Entries of at most 1 in magnitude, and the exponent of the power of two taken out of each matrix."""
    largest = np.max(np.maximum(np.abs(a.lower), np.abs(a.upper)), axis=(-2, -1), keepdims=True)
    exponent = np.frexp(largest)[1]
    lower, lost = _shifted(a.lower, -exponent)
    if a.is_point and not lost.any():
        return a._replace(lower=lower, upper=lower), exponent[..., 0, 0]
    upper, lost_above = _shifted(a.upper, -exponent)
    lower = np.where(lost, lower - SMALLEST, lower)
    upper = np.where(lost_above, upper + SMALLEST, upper)
    return a._replace(lower=lower, upper=upper), exponent[..., 0, 0]


def _shifted(x: Any, exponent: np.ndarray) -> tuple[Any, Any]:
    """x 2^exponent, and where it lost digits (it became subnormal)."""
    shifted = np.ldexp(x, exponent)
    return shifted, np.ldexp(shifted, -exponent) != x


def _unscaled(x: Any, exponent: np.ndarray, towards: float) -> Any:
    with np.errstate(over="ignore"):
        result, lost = _shifted(x, exponent)
    return np.where(lost, np.nextafter(result, towards), result)


# --- entrywise norms --------------------------------------------------------------------------------------


def _magnitudes(a: Operand) -> Ends:
    """Smallest and largest magnitude of every entry: entrywise norms increase with them."""
    if a.is_point:
        magnitude = np.abs(a.lower)
        return magnitude, magnitude
    inside = (a.lower <= 0) & (a.upper >= 0)
    low = np.where(inside, 0 * a.lower, np.minimum(np.abs(a.lower), np.abs(a.upper)))
    return low, np.maximum(np.abs(a.lower), np.abs(a.upper))


def _exact_norm(a: Operand, name: str) -> Interval:
    """Norms of integers and fractions that need no root."""
    reduced = np.max if name == "max" else np.sum
    low, up = (_scalar(reduced(x, axis=(-2, -1))) for x in _magnitudes(a))
    return Interval(low, up, a.grade, a.because)


def _max(a: Operand) -> Ends:
    low, up = _magnitudes(a)
    return np.max(low, axis=(-2, -1)), np.max(up, axis=(-2, -1))


def _sum(a: Operand) -> Ends:
    low, up = (x.reshape(*x.shape[:-2], -1) for x in _magnitudes(a))
    terms = low.shape[-1]
    return below(tree_sum(low), depth(terms), terms), above(tree_sum(up), depth(terms), terms)


def _frobenius(a: Operand) -> Ends:
    low, up = _magnitudes(a)
    return frobenius_below(low), frobenius_above(up)


def _power(a: Operand, p: Fraction) -> Ends:
    """Entrywise p-norm, a matrix at a time in balls."""
    from flint import ctx

    low, up = _magnitudes(a)
    with ctx.workprec(_balls.BITS):
        lower = _power_ends(low, p)
        upper = lower if up is low else _power_ends(up, p)
    shape = a.lower.shape[:-2]
    return lower[0].reshape(shape), upper[1].reshape(shape)


def _power_ends(magnitudes: np.ndarray, p: Fraction) -> Ends:
    from flint import arb

    exponent = int(p) if p.denominator == 1 else _balls.ball(p)
    root = 1 / _balls.ball(p)
    totals = [
        sum((arb(x) ** exponent for x in entries if x), arb(0))
        for entries in magnitudes.reshape(-1, magnitudes.shape[-2] * magnitudes.shape[-1]).tolist()
    ]
    return _balls.floats_around([total**root for total in totals])


# --- spectral and nuclear norms ---------------------------------------------------------------------------


def _spectral(a: Operand) -> Ends:
    A, radius = _wide(a)
    U, s, Vt = _factors(A)
    spread = _spread(U, Vt)
    up = _up(above(np.max(s, axis=-1) * spread, 1) + _residual(A, U, s, Vt))
    low = _along(A, U[..., :, :1])
    return _down(low - radius), _up(up + radius)


def _nuclear(a: Operand) -> Ends:
    A, radius = _wide(a)
    U, s, Vt = _factors(A)
    rank = s.shape[-1]
    lengths = above(_column_norms(U) * _column_norms(np.swapaxes(Vt, -1, -2)), 1)
    value = above(tree_sum(s * lengths), depth(rank) + 1, rank)
    root = _up(np.sqrt(rank))
    up = _up(value + above(root * _residual(A, U, s, Vt), 1))
    low = _down(_inner_below(A, U, Vt) / _spread(U, Vt))
    return _down(low - above(root * radius, 1)), _up(up + above(root * radius, 1))


def _wide(a: Operand) -> tuple[np.ndarray, Any]:
    """Float matrices (..., k, d) with k <= d, and how far the exact ones may be in Frobenius norm."""
    middle, radius = middle_and_radius(a.lower, a.upper)
    if middle.shape[-2] > middle.shape[-1]:
        middle = np.swapaxes(middle, -1, -2)
    return middle, 0.0 if a.is_point else frobenius_above(radius)


def _factors(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Float factors U (..., k, r), s >= 0 (..., r) and V^T (..., r, d), of which nothing else is trusted."""
    try:
        U, s, Vt = np.linalg.svd(A, full_matrices=False)
    except np.linalg.LinAlgError as error:
        raise CertificateError(f"no approximate singular values: {error}") from error
    return U, np.abs(s), Vt


def _residual(A: np.ndarray, U: np.ndarray, s: np.ndarray, Vt: np.ndarray) -> Any:
    """Upper bound on |A - U S V^T|_F. (...)."""
    left = U * s[..., None, :]
    residual = above(np.abs(A - left @ Vt), 1)
    return frobenius_above(_up(residual + product_error(left, Vt, more=1)))


def _spread(U: np.ndarray, Vt: np.ndarray) -> Any:
    """Upper bound on |U| |V| in spectral norm. (...)."""
    excess = _excess(U), _excess(np.swapaxes(Vt, -1, -2))
    return _up(_up(np.sqrt(_up(1 + excess[0]))) * _up(np.sqrt(_up(1 + excess[1]))))


def _narrow(U: np.ndarray, Vt: np.ndarray) -> Any:
    """Lower bound on the product of the smallest singular values of U and V. (...)."""
    excess = _excess(U), _excess(np.swapaxes(Vt, -1, -2))
    return _down(_down(np.sqrt(_down(1 - excess[0]))) * _down(np.sqrt(_down(1 - excess[1]))))


def _excess(X: np.ndarray) -> Any:
    """Upper bound on |X^T X - I|_F. (...)."""
    Xt = np.swapaxes(X, -1, -2)
    difference = above(np.abs(Xt @ X - np.eye(X.shape[-1])), 1)
    excess = frobenius_above(_up(difference + product_error(Xt, X)))
    if not np.all(excess < 0.5):
        raise CertificateError("the float singular vectors are not orthonormal")
    return excess


def _column_norms(X: np.ndarray) -> Any:
    """Upper bounds on the Euclidean norms of the columns. (..., k, r) -> (..., r)."""
    return frobenius_above(np.swapaxes(X, -1, -2)[..., None, :])


def _along(A: np.ndarray, u: np.ndarray) -> Any:
    """Lower bound on |A^T u| / |u| for columns u (..., k, 1). (...)."""
    At = np.swapaxes(A, -1, -2)
    length = frobenius_below(At @ u) - frobenius_above(product_error(At, u))
    return _down(np.maximum(_down(length), 0.0) / frobenius_above(u))


def _inner_below(A: np.ndarray, U: np.ndarray, Vt: np.ndarray) -> Any:
    """Lower bound on <A, U V^T> = sum_ij U_ij (A V)_ij, at least 0. (...)."""
    V = np.swapaxes(Vt, -1, -2)
    AV = A @ V
    flat = (*U.shape[:-2], -1)
    terms, magnitudes = (U * AV).reshape(flat), np.abs(U * AV).reshape(flat)
    count = terms.shape[-1]
    error = gamma(depth(count) + 1) * tree_sum(magnitudes)
    carried = tree_sum((np.abs(U) * product_error(A, V)).reshape(flat))
    slack = above(error + carried, depth(count) + 3, 2 * count)
    return np.maximum(_down(tree_sum(terms) - slack), 0.0)
