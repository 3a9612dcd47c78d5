"""What a certificate is given: exact numbers or enclosures, as two ends with a grade and a reason."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from verify.errors import NotAValueError
from verify.interval import GRADES, End, Interval, _float_down, _float_up, _is_exact


class Operand(NamedTuple):
    """An array known up to its two ends (the same object when it is a point)."""

    lower: End
    upper: End
    grade: str
    because: str

    @property
    def is_point(self) -> bool:
        """Whether the ends are the same object: an array of numbers rather than of intervals."""
        return self.lower is self.upper

    @property
    def is_exact(self) -> bool:
        """Whether the ends are integers and fractions."""
        return _is_exact(self.lower)

    def in_floats(self) -> Operand:
        """The same with floating-point ends, rounded outward."""
        if not self.is_exact:
            return self
        lower, upper = _float_down(self.lower), _float_up(self.upper)
        same = np.array_equal(lower, upper)
        return self._replace(lower=lower, upper=lower if same else upper)


def operand(value: Any) -> Operand:
    """A finite number, array or interval. Float arrays are neither copied nor widened."""
    if isinstance(value, np.ndarray) and value.dtype == float:
        lower = upper = value
        grade = because = "exact"
    else:
        interval = value if isinstance(value, Interval) else _point(value)
        lower, upper, grade, because = interval.lower, interval.upper, interval.grade, interval.because
        if np.array_equal(lower, upper):
            upper = lower
    if not _is_exact(lower) and not (np.isfinite(lower).all() and np.isfinite(upper).all()):
        raise NotAValueError(f"a certificate needs finite numbers ({because})")
    return Operand(lower, upper, grade, because)


def matrix(value: Any) -> Operand:
    """A finite, non-empty matrix (k, d) or stack of matrices (..., k, d)."""
    result = operand(value)
    shape = np.shape(result.lower)
    if len(shape) < 2 or 0 in shape:
        raise NotAValueError(f"a matrix or a stack of matrices is needed, not an array of shape {shape}")
    return result


def _point(value: Any) -> Interval:
    """Numbers taken as the exact numbers that they are; the interval checks that they are numbers."""
    return Interval(value, value, "exact", "exact")


def enclosed(lower: End, upper: End, because: str, *given: Operand) -> Interval:
    """An enclosure made from the given operands: at most rigorous, and with their reasons after its own."""
    grade = min(("rigorous", *(operand.grade for operand in given)), key=GRADES.index)
    parts = (part for operand in given for part in operand.because.split("; ") if part != "exact")
    return Interval(lower, upper, grade, "; ".join(dict.fromkeys((because, *parts))))
