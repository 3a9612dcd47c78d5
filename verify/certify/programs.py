"""Linear programs: exact rational points near a solver's, and the duality between them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from verify.certify._operands import operand
from verify.errors import CertificateError, NotAValueError
from verify.interval import Interval, _float_down, _float_up

DENOMINATORS = (1_000, 1_000_000)  # tried when the solver's numbers are rounded to fractions
LONGEST = 4096  # bits of a numerator or denominator that is kept: Python prints no more than 4300 digits
BECAUSE = "feasible primal and dual points in exact arithmetic"
TOLERANCES = (1e-9, 1e-7, 1e-5)  # tried when the active constraints are guessed


class _Program(NamedTuple):
    """min c.x subject to A x >= b, x >= 0, in fmpq; with float copies for guesses."""

    cost: Any  # (n, 1) fmpq_mat
    matrix: Any  # (m, n) fmpq_mat
    bound: Any  # (m, 1) fmpq_mat
    floats: tuple[np.ndarray, np.ndarray]  # A (m, n) and b (m,)


def linear_program(cost: Any, A: Any, b: Any, x: Any, y: Any) -> Interval:
    """Enclosure of min cost.x subject to A x >= b, x >= 0.

    cost: (n,), A: (m, n), b: (m,), of integers, fractions, or floats taken as exact rationals; x: (n,) and
    y: (m,) the solver's approximate point and multipliers (y >= 0), of which nothing is trusted. Both are
    repaired into points feasible in exact arithmetic: rounded to small denominators, solved for from the
    constraints that look active, or as they are. By weak duality (max b.y subject to A^T y <= cost, y >= 0)
    the optimum is between the two values: grade `exact` where they coincide, else `rigorous` (as where they
    are fractions of more than a thousand digits, which are rounded outward to floats).
    """
    c, matrix, bound = (_exact_array(value) for value in (cost, A, b))
    n, m = np.size(c), np.size(bound)
    if 0 in (m, n) or np.shape(matrix) != (m, n) or np.shape(x) != (n,) or np.shape(y) != (m,):
        shapes = ", ".join(str(np.shape(value)) for value in (cost, A, b, x, y))
        raise NotAValueError(f"cost (n,), A (m, n), b (m,), x (n,), y (m,) are needed, not {shapes}")
    upper = _best_value(_program(c, matrix, bound), x, "primal")
    lower = -_best_value(_program(-bound, -matrix.T, -c), y, "dual")
    if max(_bits(lower), _bits(upper)) > LONGEST:
        return Interval(_float_down(lower), _float_up(upper), "rigorous", BECAUSE)
    return Interval(lower, upper, "exact" if lower == upper else "rigorous", BECAUSE)


def _bits(number: Fraction) -> int:
    return max(number.numerator.bit_length(), number.denominator.bit_length())


def _exact_array(value: Any) -> np.ndarray:
    """Integers and fractions (...), as an object array."""
    given = operand(value)
    if not given.is_point or given.grade != "exact":
        raise NotAValueError("a linear program needs exact coefficients")
    array = np.asarray(given.lower)
    if given.is_exact:
        return array
    flat = np.array([Fraction(number) for number in array.ravel().tolist()], dtype=object)
    return flat.reshape(array.shape)


def _program(cost: np.ndarray, matrix: np.ndarray, bound: np.ndarray) -> _Program:
    from flint import fmpq_mat

    rows = [[_rational(entry) for entry in row] for row in matrix.tolist()]
    floats = matrix.astype(float), bound.astype(float)
    return _Program(_column(cost.tolist()), fmpq_mat(rows), _column(bound.tolist()), floats)


def _rational(number: int | Fraction) -> Any:
    from flint import fmpq

    return fmpq(number.numerator, number.denominator)


def _column(numbers: list[Any]) -> Any:
    from flint import fmpq_mat

    return fmpq_mat(len(numbers), 1, [_rational(number) for number in numbers])


def _best_value(program: _Program, near: Any, side: str) -> Fraction:
    """The least value of the feasible points found near an approximate one."""
    guess = np.maximum(np.asarray(near, dtype=float), 0.0)
    if not np.isfinite(guess).all():
        raise NotAValueError(f"the {side} point is not finite")
    values = [value for point in _candidates(program, guess) if (value := _value(program, point)) is not None]
    if not values:
        slack = float(np.min(program.floats[0] @ guess - program.floats[1], initial=0.0))
        raise CertificateError(
            f"the {side} point could not be made feasible: it misses a constraint by about {-slack:.3g}"
        )
    return min(values)


def _value(program: _Program, point: Any) -> Fraction | None:
    """Exact cost of a point (n, 1), None where it is not feasible."""
    reached = program.matrix * point
    feasible = all(entry >= 0 for entry in point.entries()) and all(
        left >= right for left, right in zip(reached.entries(), program.bound.entries(), strict=True)
    )
    if not feasible:
        return None
    value = (program.cost.transpose() * point).entries()[0]
    return Fraction(int(value.p), int(value.q))


def _candidates(program: _Program, guess: np.ndarray) -> Iterator[Any]:
    """Exact points (n, 1) near a float one, feasible or not."""
    fractions = [Fraction(number) for number in guess.tolist()]
    for largest in DENOMINATORS:
        yield _column([number.limit_denominator(largest) for number in fractions])
    for rows, columns in dict.fromkeys(_active(program, guess, tolerance) for tolerance in TOLERANCES):
        yield _vertex(program, guess, rows, columns)
    yield _column(fractions)


def _active(
    program: _Program, guess: np.ndarray, tolerance: float
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Constraints that the guess meets with equality up to the tolerance, and its positive entries.

    The nearest constraints and the largest entries come first.
    """
    A, b = program.floats
    scale = np.abs(A) @ guess + np.abs(b)
    miss = np.abs(A @ guess - b) / np.where(scale > 0, scale, 1.0)
    rows = tuple(int(i) for i in np.argsort(miss, kind="stable") if miss[i] <= tolerance)
    order = np.argsort(-guess, kind="stable")
    return rows, tuple(int(j) for j in order if guess[j] > tolerance * guess.max())


def _vertex(program: _Program, guess: np.ndarray, rows: tuple[int, ...], columns: tuple[int, ...]) -> Any:
    """The point that meets the given constraints with equality and is 0 outside of the given entries.

    Of these constraints the first independent ones are solved. Unknowns that they leave free (the guess lies
    inside a face) keep their rounded values.
    """
    point = [Fraction(0)] * len(guess)
    for j in columns:
        point[j] = Fraction(float(guess[j])).limit_denominator(DENOMINATORS[-1])
    if rows and columns:
        _solve(program, rows, columns, point)
    return _column(point)


def _solve(program: _Program, rows: tuple[int, ...], columns: tuple[int, ...], point: list[Fraction]) -> None:
    """Replaces entries of the point by the solution of the independent ones among the equations `rows`."""
    from flint import fmpq_mat

    A, b = program.matrix, program.bound
    independent = _pivots(fmpq_mat(len(columns), len(rows), [A[i, j] for j in columns for i in rows]))
    chosen = [rows[i] for i in independent]
    width = len(columns) + 1
    entries = [entry for i in chosen for entry in (*(A[i, j] for j in columns), b[i, 0])]
    if not chosen:
        return
    reduced, rank = fmpq_mat(len(chosen), width, entries).rref()
    basic = _pivots(reduced)
    free = [k for k in range(len(columns)) if k not in basic]
    for row in range(rank):
        value = reduced[row, width - 1]
        for k in free:
            value -= reduced[row, k] * _rational(point[columns[k]])
        point[columns[basic[row]]] = Fraction(int(value.p), int(value.q))


def _pivots(matrix: Any) -> list[int]:
    """Columns of the leading entries of the reduced form: the first independent columns."""
    reduced, rank = matrix.rref()
    return [next(k for k in range(matrix.ncols()) if reduced[row, k] != 0) for row in range(rank)]
