"""Relations between values: three-valued, with a resolution that is fixed before looking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from verify.errors import NotAValueError, SetupError
from verify.interval import Interval, as_value, exact

HOLDS, UNDECIDED, FAILS = "holds", "undecided", "fails"


@dataclass(frozen=True, eq=False)
class Comparison:
    """measured `relation` bound, up to the resolution `within`; over arrays it is a *for all*.

    measured, bound, within: intervals of shapes that broadcast to one shape (...).
    at: coordinates of the entries, each a sequence that broadcasts to that shape (steps, norms, ...).
    """

    relation: str
    measured: Interval
    bound: Interval
    within: Interval = field(default_factory=lambda: exact(0))
    at: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the entries that are compared."""
        return np.broadcast_shapes(self.measured.shape, self.bound.shape, self.within.shape)

    def resolved(self, within: Interval) -> Comparison:
        """The same comparison with another resolution (its largest entry if the shapes differ)."""
        if within.shape not in ((), self.shape):
            within = within.largest()
        return replace(self, within=within)

    def slacks(self) -> tuple[np.ndarray, np.ndarray]:
        """(worst, best): how far the pair of points that is worst, or best, for the relation exceeds it.

        The entry holds where worst <= within, fails where best > within. Both of shape (...).
        """
        a, b = self.measured, self.bound
        worst, best = _difference(a.upper, b.lower, np.inf), _difference(a.lower, b.upper, -np.inf)
        if self.relation == "=":
            worst = np.maximum(worst, _difference(b.upper, a.lower, np.inf))
            best = np.maximum(best, _difference(b.lower, a.upper, -np.inf))
        kind = object if self.measured.is_exact and self.bound.is_exact else float
        return np.asarray(worst, dtype=kind), np.asarray(best, dtype=kind)

    def outcomes(self) -> np.ndarray:
        """Outcome of every entry, an array of strings of shape (...)."""
        worst, best = self.slacks()
        if self.relation == "<":
            holds, fails = worst < 0, best >= 0
        else:
            # a rounded difference below r proves the true one at most r; one equal to r does not
            sharp = self.within.is_exact and worst.dtype == object
            closed = sharp | (np.asarray(self.within.lower) == 0)
            holds = (worst < self.within.lower) | (closed & (worst <= self.within.lower))
            fails = best > self.within.upper
        result = np.where(holds, HOLDS, np.where(fails, FAILS, UNDECIDED))
        return np.broadcast_to(result, self.shape)

    @property
    def outcome(self) -> str:
        """`fails` if some entry fails, else `undecided` if some is, else `holds`."""
        found = set(np.unique(self.outcomes()))
        return next(outcome for outcome in (FAILS, UNDECIDED, HOLDS) if outcome in found)

    def decisive(self) -> tuple[int, ...]:
        """Index of the entry that decides: the clearest failure, the widest doubt, or the least slack."""
        outcomes = self.outcomes()
        worst, best = (np.broadcast_to(slack, self.shape) for slack in self.slacks())
        score = best if self.outcome == FAILS else worst
        score = np.where(outcomes == self.outcome, score - self.within.upper, -np.inf)
        return tuple(int(i) for i in np.unravel_index(int(np.argmax(score)), self.shape))

    def entry(self, index: tuple[int, ...]) -> tuple[Interval, Interval, Interval, dict[str, Any]]:
        """(measured, bound, within, coordinates) of one entry."""
        values = [_entry(value, self.shape, index) for value in (self.measured, self.bound, self.within)]
        at = {name: _coordinate(where, self.shape, index) for name, where in self.at.items()}
        if self.shape and not at:
            at = {"index": index[0] if len(index) == 1 else list(index)}
        return values[0], values[1], values[2], at


def at_most(measured: Any, bound: Any, within: Any = 0, **at: Any) -> Comparison:
    """measured <= bound, up to the resolution `within`; keyword arguments are coordinates of the entries."""
    return _comparison("<=", measured, bound, within, at)


def equal(measured: Any, bound: Any, within: Any = 0, **at: Any) -> Comparison:
    """measured = bound up to the resolution `within`, for every pair of points: an equivalence test."""
    return _comparison("=", measured, bound, within, at)


def less(measured: Any, bound: Any, **at: Any) -> Comparison:
    """measured < bound, strictly and without resolution."""
    return _comparison("<", measured, bound, 0, at)


def _comparison(relation: str, measured: Any, bound: Any, within: Any, at: dict[str, Any]) -> Comparison:
    result = Comparison(relation, as_value(measured), as_value(bound), as_value(within), at)
    try:
        shape = result.shape
        for where in at.values():
            np.broadcast_shapes(np.shape(where), shape)
    except ValueError as error:
        shapes = [value.shape for value in (result.measured, result.bound, result.within)]
        raise SetupError(f"the two sides and the resolution have shapes {shapes}: {error}") from error
    if 0 in shape:
        raise NotAValueError("a check over no entries says nothing")
    if np.any(np.asarray(result.within.lower) < 0):
        raise NotAValueError(f"a resolution is not negative ({result.within.because})")
    return result


def _difference(x: Any, y: Any, unknown: float) -> Any:
    """x - y, rounded once and exactly for exact ends; `unknown` where both are the same infinity."""
    if _exactly(x) and _exactly(y):
        difference = np.subtract(np.asarray(x, dtype=object), np.asarray(y, dtype=object))
        return np.asarray(difference, dtype=object)
    if _exactly(x) or _exactly(y):
        x, y = np.asarray(x, dtype=object), np.asarray(y, dtype=object)
        difference = np.vectorize(_mixed_difference, otypes=[float])(x, y)
    else:
        with np.errstate(invalid="ignore"):
            difference = np.subtract(x, y)
    return np.where(np.isnan(difference), unknown, difference)


def _exactly(x: Any) -> bool:
    return x.dtype == object if isinstance(x, np.ndarray) else isinstance(x, int | Fraction)


def _mixed_difference(x: Any, y: Any) -> float:
    if np.isinf(float(x)) or np.isinf(float(y)):
        return float(x) - float(y)
    return float(Fraction(x) - Fraction(y))


def _entry(value: Interval, shape: tuple[int, ...], index: tuple[int, ...]) -> Interval:
    if not shape:
        return value
    low = np.broadcast_to(np.asarray(value.lower), shape)[index]
    up = np.broadcast_to(np.asarray(value.upper), shape)[index]
    return Interval(low, up, value.grade, value.because)


def _coordinate(where: Any, shape: tuple[int, ...], index: tuple[int, ...]) -> Any:
    value = np.broadcast_to(np.asarray(where), shape)[index] if np.ndim(where) else where
    return value.item() if isinstance(value, np.generic) else value
