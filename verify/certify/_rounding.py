"""A-priori bounds on the rounding of float64 sums and products, themselves rounded safely.

Bounds are those of Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), section 3.1: a value
made by at most n roundings carries a factor 1 + theta with |theta| <= gamma_n = n u / (1 - n u), whatever the
order of summation and whether or not multiplications and additions are fused (a product of matrices being
sums of products, as in every BLAS, and not Strassen's). Underflow adds at most SMALLEST for each operation,
flushed to zero or not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.interval import UNIT_ROUNDOFF, _down, _up

SMALLEST = float(np.finfo(float).tiny)  # 2^-1022, the smallest normal number

Array = Any  # np.ndarray of float64, or a float


def gamma(roundings: int) -> float:
    """Upper bound on gamma_n = n u / (1 - n u)."""
    return float(_up(_up(roundings * UNIT_ROUNDOFF) / (1 - roundings * UNIT_ROUNDOFF)))


def above(x: Array, roundings: int, terms: int = 1) -> Array:
    """Upper bound on a sum of `terms` non-negative products that was computed as x.

    roundings: how many a term passed through. 1/(1-u)^n <= 1 + 2 n u while n u < 1/4, and the 4 more pay for
    the two roundings made here.
    """
    return x * (1 + 2 * (roundings + 4) * UNIT_ROUNDOFF) + 4 * terms * SMALLEST


def below(x: Array, roundings: int, terms: int = 1) -> Array:
    """Lower bound, as `above`; at least 0."""
    return np.maximum(x * (1 - 2 * (roundings + 4) * UNIT_ROUNDOFF) - 4 * terms * SMALLEST, 0.0)


def depth(terms: int) -> int:
    """How many roundings a term of `tree_sum` passes through: ceil(log2 terms)."""
    return (terms - 1).bit_length()


def tree_sum(x: Array) -> Array:
    """Sum over the last axis by halving, (..., n) -> (...): few roundings a term, hence a tight bound."""
    left, x = x.shape[-1], x.copy()
    while left > 1:
        half = left // 2
        x[..., :half] += x[..., left - half : left]
        left -= half
    return x[..., 0]


def product_error(x: Array, y: Array, more: int = 0) -> Array:
    """Entrywise bound on |fl(x @ y) - x y|: gamma_m |x| |y| for inner dimension m, in any order of summation.

    more: roundings that the entries of x already carry relative to the factor that is meant.
    """
    inner = x.shape[-1]
    return above(gamma(inner + more) * (np.abs(x) @ np.abs(y)), inner + 2 + more, inner)


def frobenius_above(x: Array) -> Array:
    """Upper bound on the Frobenius norms of (..., k, d), entries at most about 1. -> (...)."""
    total, terms = _squares(x)
    return _up(np.sqrt(above(total, depth(terms) + 1, terms)))


def frobenius_below(x: Array) -> Array:
    """Lower bound, as `frobenius_above`; at least 0."""
    total, terms = _squares(x)
    return np.maximum(_down(np.sqrt(below(total, depth(terms) + 1, terms))), 0.0)


def _squares(x: Array) -> tuple[Array, int]:
    flat = x.reshape(*x.shape[:-2], -1)
    return tree_sum(flat * flat), flat.shape[-1]
