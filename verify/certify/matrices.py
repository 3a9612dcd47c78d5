"""Products and smallest eigenvalues of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from verify.certify import _balls, _rounding
from verify.certify._operands import Operand, enclosed, matrix
from verify.errors import CertificateError, NotAValueError
from verify.interval import Interval, _down, _up, exact

BALL_OPERATIONS = 2_000_000  # a product of more multiplications is bounded a priori
BALL_ENTRIES = 300_000
BLOCK_ENTRIES = 1_000_000  # of a block of rows and of its product


def product(A: Any, B: Any) -> Interval:
    """Enclosure of the matrix product A B, entry by entry.

    A: (n, m), B: (m, k), float arrays or intervals -> (n, k). Small products are made of 128-bit balls, so
    that the ends of a point product are within an ulp of the truth; large ones have the a-priori bound
    gamma_m |A| |B|, block by block. A product of integers and fractions is exact.
    """
    a, b = matrix(A), matrix(B)
    (rows, inner), (other, columns) = _two_axes(a), _two_axes(b)
    if inner != other:
        raise NotAValueError(f"no product of shapes {(rows, inner)} and {(other, columns)}")
    if all(x.is_point and x.is_exact and x.grade == "exact" for x in (a, b)):
        return exact(a.lower @ b.lower)
    entries = rows * inner + inner * columns + rows * columns
    if rows * inner * columns <= BALL_OPERATIONS and entries <= BALL_ENTRIES:
        return enclosed(*_ball_product(a, b), "matrix product in balls", a, b)
    ends = _a_priori_product(a.in_floats(), b.in_floats())
    return enclosed(*ends, f"rounding of products of inner dimension {inner}", a, b)


def _two_axes(a: Operand) -> tuple[int, int]:
    shape = np.shape(a.lower)
    if len(shape) != 2:
        raise NotAValueError(f"a matrix is needed, not an array of shape {shape}")
    return shape[0], shape[1]


def _ball_product(a: Operand, b: Operand) -> tuple[np.ndarray, np.ndarray]:
    from flint import ctx

    with ctx.workprec(_balls.BITS):
        return _balls.arrays(_balls.balls(a) * _balls.balls(b))


def _a_priori_product(a: Operand, b: Operand) -> tuple[np.ndarray, np.ndarray]:
    """Both ends, computed for a block of rows at a time."""
    (rows, inner), columns = _two_axes(a), b.lower.shape[1]
    right, right_radius = middle_and_radius(b.lower, b.upper)
    lower, upper = np.empty((rows, columns)), np.empty((rows, columns))
    step = max(1, BLOCK_ENTRIES // (inner + columns))
    for start in range(0, rows, step):
        block = slice(start, start + step)
        low = a.lower[block]
        left, left_radius = middle_and_radius(low, low if a.is_point else a.upper[block])
        with np.errstate(over="ignore", invalid="ignore"):
            middle = left @ right
            error = _rounding.product_error(left, right)
            if not (a.is_point and b.is_point):
                error = _up(error + _radius_of_product(left, left_radius, right, right_radius))
            finite = np.isfinite(middle) & np.isfinite(error)  # else an overflow, of which nothing is known
            lower[block] = np.where(finite, _down(middle - error), -np.inf)
            upper[block] = np.where(finite, _up(middle + error), np.inf)
    return lower, upper


def middle_and_radius(lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A float array and how far the exact one may be from it, entry by entry."""
    if lower is upper:
        return lower, np.zeros(())
    middle = lower + (upper - lower) / 2
    return middle, np.maximum(_up(upper - middle), _up(middle - lower))


def _radius_of_product(
    left: np.ndarray, left_radius: np.ndarray, right: np.ndarray, right_radius: np.ndarray
) -> Any:
    """|left| r + s (|right| + r): midpoint-radius arithmetic, rounded upward."""
    inner = left.shape[1]
    left_radius = np.broadcast_to(left_radius, left.shape)
    right_radius = np.broadcast_to(right_radius, right.shape)
    radius = np.abs(left) @ right_radius + left_radius @ (np.abs(right) + right_radius)
    return _rounding.above(radius, inner + 3, 2 * inner)


def smallest_eigenvalue(S: Any) -> Interval:
    """Enclosure of the smallest eigenvalue of a symmetric matrix (n, n), float or interval.

    With X the float eigenvectors, G = X^T S X and N = X^T X in balls: z^T S z / z^T z = y^T G y / y^T N y for
    z = X y. The lower end bounds G and N by Gershgorin's discs (X is not quite orthogonal); the upper end
    is the Rayleigh quotient of the first column. S is positive semidefinite when the lower end is at least 0.
    """
    from flint import ctx

    s = matrix(S)
    rows, columns = _two_axes(s)
    if rows != columns or not (_is_symmetric(s.lower) and _is_symmetric(s.upper)):
        raise NotAValueError("the smallest eigenvalue of a symmetric matrix is needed, this one is not")
    floats = s.in_floats()
    vectors = _eigenvectors(middle_and_radius(floats.lower, floats.upper)[0])
    with ctx.workprec(_balls.BITS):
        x = _balls.balls(matrix(vectors))
        G, N = (x.transpose() * _balls.balls(s) * x).table(), (x.transpose() * x).table()
        lower = _generalised_gershgorin(G, N)
        upper = _balls.ends(G[0][0] / N[0][0])[1]
    return enclosed(lower, upper, "congruence with float eigenvectors and Gershgorin discs in balls", s)


def _is_symmetric(a: np.ndarray) -> bool:
    return bool(np.array_equal(a, a.T))


def _eigenvectors(middle: np.ndarray) -> np.ndarray:
    """Float eigenvectors (n, n), of which nothing is trusted, in ascending order of eigenvalues."""
    try:
        vectors = np.linalg.eigh(middle)[1]
    except np.linalg.LinAlgError as error:
        raise CertificateError(f"no approximate eigenvectors: {error}") from error
    return np.asarray(vectors, dtype=float)


def _generalised_gershgorin(G: list[list[Any]], N: list[list[Any]]) -> float:
    """Lower bound on y^T G y / y^T N y over all y, where N is near the identity."""
    discs = float(_disc_ends(G)[0].min())
    low, up = (float(end) for end in (_disc_ends(N)[0].min(), _disc_ends(N)[1].max()))
    if low <= 0:
        return -math.inf  # the columns may be dependent, and then they do not span every z
    quotient = _balls.ball(discs) / _balls.ball(float(up) if discs >= 0 else float(low))
    return _balls.ends(quotient)[0]


def _disc_ends(rows: list[list[Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends (n,) of the Gershgorin discs of a symmetric matrix of balls."""
    radii = [sum(abs(entry) for j, entry in enumerate(row) if j != i) for i, row in enumerate(rows)]
    lower = _balls.floats_around([row[i] - radii[i] for i, row in enumerate(rows)])[0]
    upper = _balls.floats_around([row[i] + radii[i] for i, row in enumerate(rows)])[1]
    return lower, upper
