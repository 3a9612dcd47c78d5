"""Values: a number that takes part in a check is an interval with a grade and a reason for its width.

The ends are scalars or arrays of one shape: `float` / float64, or exact `int`/`Fraction` (object arrays).
Arithmetic rounds outward and keeps the weaker grade. Claims make values with the constructors `exact`,
`rounded`, `stated` and those of `verify.certify` and `verify.statistics`, never with `Interval(...)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from verify.errors import CertificateError, NotAValueError

GRADES = ("statistical", "numerical", "rigorous", "exact")  # weakest first
UNIT_ROUNDOFF = 2.0**-53
STATED = "stated: "

End = Any  # int | Fraction | float | np.ndarray of float64, or of object holding int and Fraction


@dataclass(frozen=True, eq=False)
class Interval:
    """The closed interval [lower, upper], or an array of them.

    lower, upper: scalars or arrays of one shape (...), both exact or both floating point, maybe infinite.
    grade: one of GRADES. because: where the width comes from.
    Raises NotAValueError for NaN and for what is no number, CertificateError when an upper end lies below
    its lower end.
    """

    lower: End
    upper: End
    grade: str
    because: str

    # numpy must leave `array * interval` to us
    __array_ufunc__ = None

    def __post_init__(self) -> None:
        if self.grade not in GRADES:
            raise NotAValueError(f"grade {self.grade!r} is none of {', '.join(GRADES)}")
        lower, upper = _end(self.lower), _end(self.upper)
        if _is_exact(lower) != _is_exact(upper):
            lower, upper = _float_down(lower), _float_up(upper)
        if np.shape(lower) != np.shape(upper):
            raise NotAValueError(f"ends of shapes {np.shape(lower)} and {np.shape(upper)}")
        crossed = np.asarray(lower > upper)
        if crossed.any():
            at = np.unravel_index(int(crossed.argmax()), crossed.shape)
            low, up = np.asarray(lower)[at], np.asarray(upper)[at]
            raise CertificateError(f"lower end {low} lies above upper end {up} ({self.because})")
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)

    # --- what it is -------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the ends; () for a scalar."""
        return np.shape(self.lower)

    @property
    def is_exact(self) -> bool:
        """Whether the ends are integers and fractions, compared without rounding."""
        return _is_exact(self.lower)

    @property
    def width(self) -> End:
        """`upper - lower`, an upper bound in floating point."""
        return self.upper - self.lower if self.is_exact else _up(self.upper - self.lower)

    @property
    def middle(self) -> End:
        """A point of the interval near its centre (float), for drawing."""
        lower, upper = _float_down(self.lower), _float_up(self.upper)
        return lower + (upper - lower) / 2

    def __getitem__(self, index: Any) -> Interval:
        return Interval(self.lower[index], self.upper[index], self.grade, self.because)

    def __len__(self) -> int:
        return len(self.lower)

    def __repr__(self) -> str:
        ends = f"{self.lower}, {self.upper}" if not self.shape else f"array of shape {self.shape}"
        return f"Interval([{ends}], {self.grade}, {self.because!r})"

    # --- arithmetic, rounded outward ----------------------------------------------------------------------

    def __neg__(self) -> Interval:
        return Interval(-self.upper, -self.lower, self.grade, self.because)

    @np.errstate(over="ignore")
    def __add__(self, other: Any) -> Interval:
        a, b = _pair(self, other)
        lower, upper = a.lower + b.lower, a.upper + b.upper
        return _outward(a, b, lower, upper, lower >= 0, upper <= 0)

    def __sub__(self, other: Any) -> Interval:
        return self + -_interval(other)

    def __rsub__(self, other: Any) -> Interval:
        return _interval(other) + -self

    def __mul__(self, other: Any) -> Interval:
        a, b = _pair(self, other)
        products = [_times(x, y) for x in (a.lower, a.upper) for y in (b.lower, b.upper)]
        low_a, up_a, low_b, up_b = a.lower >= 0, a.upper <= 0, b.lower >= 0, b.upper <= 0
        zero = (low_a & up_a) | (low_b & up_b)
        not_negative = zero | (low_a & low_b) | (up_a & up_b)
        not_positive = zero | (low_a & up_b) | (up_a & low_b)
        return _outward(a, b, _least(products), _greatest(products), not_negative, not_positive)

    def __truediv__(self, other: Any) -> Interval:
        return _quotient(self, _interval(other))

    def __rtruediv__(self, other: Any) -> Interval:
        return _quotient(_interval(other), self)

    __radd__ = __add__
    __rmul__ = __mul__

    def __pow__(self, power: int) -> Interval:
        if not isinstance(power, int) or power < 1:
            raise NotAValueError(f"powers are positive integers, not {power!r}")
        result = self if power % 2 else abs(self)
        base = result
        for _ in range(power - 1):
            result = result * base
        return result

    def __abs__(self) -> Interval:
        inside = (self.lower <= 0) & (self.upper >= 0)
        low = _least([abs(self.lower), abs(self.upper)])
        zero = 0 if self.is_exact else 0.0
        low = np.where(inside, zero, low) if self.shape else (zero if inside else low)
        return Interval(low, _greatest([abs(self.lower), abs(self.upper)]), self.grade, self.because)

    def reciprocal(self) -> Interval:
        """1 / x; unbounded where the interval touches 0."""
        if self.is_exact and np.all((np.asarray(self.lower) > 0) | (np.asarray(self.upper) < 0)):
            one = Fraction(1)
            return Interval(one / self.upper, one / self.lower, self.grade, self.because)
        lower, upper = np.asarray(_float_down(self.lower)), np.asarray(_float_up(self.upper))
        touches = (lower <= 0) & (upper >= 0)
        with np.errstate(divide="ignore", over="ignore"):
            low = np.where(touches, -np.inf, _clip_down(1 / upper, lower > 0))
            up = np.where(touches, np.inf, _clip_up(1 / lower, upper < 0))
        return Interval(_scalar(low), _scalar(up), _rounded_grade(self.grade), _reason(self.because))

    def sqrt(self) -> Interval:
        """Square root (correctly rounded in IEEE arithmetic, then one unit outward); needs lower >= 0."""
        if np.any(np.asarray(self.lower) < 0):
            raise NotAValueError(f"square root of an interval that reaches below 0 ({self.because})")
        low = np.maximum(_down(np.sqrt(_float_down(self.lower))), 0.0)
        return Interval(
            low, _up(np.sqrt(_float_up(self.upper))), _rounded_grade(self.grade), _reason(self.because)
        )

    def exp(self) -> Interval:
        """Exponential by the platform's libm, 4 units outward (numpy's stated accuracy): grade numerical."""
        result = self._libm(np.exp)
        return Interval(np.maximum(result.lower, 0.0), result.upper, result.grade, result.because)

    def log(self) -> Interval:
        """Logarithm by the platform's libm, 4 units outward: grade numerical; needs lower > 0."""
        if np.any(np.asarray(self.lower) <= 0):
            raise NotAValueError(f"logarithm of an interval that reaches 0 or below ({self.because})")
        return self._libm(np.log)

    @np.errstate(over="ignore")
    def _libm(self, function: Callable[..., Any]) -> Interval:
        """An increasing function of libm."""
        low, up = function(_float_down(self.lower)), function(_float_up(self.upper))
        for _ in range(4):
            low, up = _down(low), _up(up)
        because = _reason(self.because, "libm, 4 units outward")
        return Interval(low, up, _weaker("numerical", self.grade), because)

    @np.errstate(over="ignore", invalid="ignore")
    def sum(self, axis: Any = None) -> Interval:
        """Sum of all entries, or along axes as numpy has them."""
        ends = np.asarray(self.lower), np.asarray(self.upper)
        totals = [np.sum(end, axis=axis) for end in ends]
        if self.is_exact:
            return Interval(_scalar(totals[0]), _scalar(totals[1]), self.grade, self.because)
        count = ends[0].size // max(np.size(totals[0]), 1)
        slack = [_up(2 * count * UNIT_ROUNDOFF * np.sum(np.abs(end), axis=axis)) for end in ends]
        low = _clip_down(_or(totals[0] - slack[0], -np.inf), np.all(ends[0] >= 0, axis=axis))
        up = _clip_up(_or(totals[1] + slack[1], np.inf), np.all(ends[1] <= 0, axis=axis))
        return Interval(_scalar(low), _scalar(up), _rounded_grade(self.grade), _reason(self.because))

    @np.errstate(over="ignore", invalid="ignore")
    def cumsum(self) -> Interval:
        """Running sums of a 1-d array, entry j being the sum of entries 0..j."""
        if len(self.shape) != 1:
            raise NotAValueError(f"running sums of an array of shape {self.shape}: they need one axis")
        if self.is_exact:
            return Interval(np.cumsum(self.lower), np.cumsum(self.upper), self.grade, self.because)
        count = np.arange(1, len(self) + 1)
        slack = [_up(2 * count * UNIT_ROUNDOFF * np.cumsum(np.abs(end))) for end in (self.lower, self.upper)]
        not_negative = np.logical_and.accumulate(self.lower >= 0)
        not_positive = np.logical_and.accumulate(self.upper <= 0)
        low = _clip_down(_or(np.cumsum(self.lower) - slack[0], -np.inf), not_negative)
        up = _clip_up(_or(np.cumsum(self.upper) + slack[1], np.inf), not_positive)
        return Interval(low, up, _rounded_grade(self.grade), _reason(self.because))

    def smallest(self, axis: Any = None) -> Interval:
        """The minimum over all entries, or along axes as numpy has them."""
        low, up = np.min(self.lower, axis=axis), np.min(self.upper, axis=axis)
        return Interval(_scalar(low), _scalar(up), self.grade, self.because)

    def largest(self, axis: Any = None) -> Interval:
        """The maximum over all entries, or along axes as numpy has them."""
        return -(-self).smallest(axis)

    def gap(self, *, each: bool = False) -> Interval:
        """The largest width as a value: what a resolution is when a certificate leaves a gap.

        each: the width of every entry instead. To lie inside an enclosure is to be equal to it within its gap:
        `equal(measured, enclosure, within=enclosure.gap(each=True))`.
        """
        width, reasons = self.width if each else np.max(self.width), self.because.replace("; ", ", ")
        return Interval(width, width, self.grade, f"certified gap ({reasons})")


# --- constructors ---------------------------------------------------------------------------------------


def exact(value: Any) -> Interval:
    """An integer or fraction of the statement itself (scalar, or array of them): a point, grade `exact`."""
    end = _end(value)
    if not _is_exact(end):
        raise NotAValueError(f"exact() takes integers and fractions, not {type(value).__name__} {value!r}")
    return Interval(end, end, "exact", "exact")


def rounded(value: Any, terms: int, magnitude: Any) -> Interval:
    """A float64 result of at most `terms` roundings, each relative to `magnitude`.

    value: (...) float; terms: how many elementary operations an error passes through (N);
    magnitude: scalar or (...), the sum of the magnitudes that were added up.
    The width is the standard bound N u / (1 - N u) * magnitude with u = 2^-53 (Higham, Accuracy and
    Stability of Numerical Algorithms, section 3.1). Grade numerical: it says nothing of what went before.
    """
    value, error = np.asarray(_end(value), dtype=float), rounding(terms, magnitude)
    low, up = _scalar(_down(value - error.upper)), _scalar(_up(value + error.upper))
    return Interval(low, up, "numerical", error.because)


def rounding(terms: int, magnitude: Any) -> Interval:
    """The bound N u / (1 - N u) * magnitude of `rounded` as a value, for resolutions."""
    if not 0 < terms * UNIT_ROUNDOFF < 0.5:
        raise NotAValueError(f"terms must be positive and below 2^52, not {terms}")
    size = np.abs(np.asarray(_end(magnitude), dtype=float))
    error = _scalar(_up(_up(terms * UNIT_ROUNDOFF / (1 - terms * UNIT_ROUNDOFF) * size)))
    return Interval(error, error, "numerical", f"rounding of {terms} operations in float64")


def stated(value: float | int | Fraction, why: str) -> Interval:
    """A number that somebody chose; shown as such, and in a theorem or lemma used for resolutions at most."""
    if not why.strip():
        raise NotAValueError("stated() needs a reason: stated(0.05, 'the accuracy printed in Table 2')")
    end = _end(value)
    return Interval(end, end, "exact" if _is_exact(end) else "numerical", STATED + why.replace(";", ","))


def hull(first: Interval, second: Interval, because: str) -> Interval:
    """The smallest interval that holds both (say, all two-point slopes between two ends)."""
    a, b = _pair(first, second)
    grade = _weaker(first.grade, second.grade)
    return Interval(_least([a.lower, b.lower]), _greatest([a.upper, b.upper]), grade, because)


def stack(values: list[Interval]) -> Interval:
    """Scalars or arrays of one shape, stacked along a new first axis."""
    return _together(values, np.stack)


def concatenate(values: list[Interval]) -> Interval:
    """Arrays joined along their first axis."""
    return _together(values, np.concatenate)


def _together(values: list[Interval], join: Callable[..., Any]) -> Interval:
    exactly = all(value.is_exact for value in values)
    low = [np.asarray(v.lower if exactly else _float_down(v.lower)) for v in values]
    up = [np.asarray(v.upper if exactly else _float_up(v.upper)) for v in values]
    kind = object if exactly else float
    grade = min((v.grade for v in values), key=GRADES.index)
    lower, upper = (join([end.astype(kind) for end in side]) for side in (low, up))
    return Interval(lower, upper, grade, _join(*values))


# --- inside -------------------------------------------------------------------------------------------------


def as_value(value: Any) -> Interval:
    """What may stand on one side of a check: an interval, or the number 0."""
    if isinstance(value, Interval):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return exact(0)
    raise NotAValueError(
        f"a check compares values, not the bare {type(value).__name__} {value!r:.60}: use exact(...) for an "
        "integer or fraction of the statement, rounded(...) for a computed number, stated(..., why) for a "
        "choice"
    )


def _interval(value: Any) -> Interval:
    """An operand of arithmetic: numbers and arrays are taken as the exact numbers that they are."""
    if isinstance(value, Interval):
        return value
    end = _end(value)
    return Interval(end, end, "exact", "exact")


def _pair(first: Any, second: Any) -> tuple[Interval, Interval]:
    """Both as intervals of one kind of number."""
    a, b = _interval(first), _interval(second)
    if a.is_exact == b.is_exact:
        return a, b
    return _as_float(a), _as_float(b)


def _as_float(value: Interval) -> Interval:
    if not value.is_exact:
        return value
    return Interval(_float_down(value.lower), _float_up(value.upper), value.grade, value.because)


def _quotient(a: Interval, b: Interval) -> Interval:
    """a / b; unbounded where b touches 0, even for 0 / 0."""
    result, touches = a * b.reciprocal(), (b.lower <= 0) & (b.upper >= 0)
    if not np.any(touches):
        return result
    low, up = _float_down(result.lower), _float_up(result.upper)
    low, up = _scalar(np.where(touches, -np.inf, low)), _scalar(np.where(touches, np.inf, up))
    return Interval(low, up, result.grade, result.because)


def _outward(
    a: Interval, b: Interval, lower: End, upper: End, not_negative: Any, not_positive: Any
) -> Interval:
    """The result of an operation on a and b; its sign, where it is known, survives the rounding."""
    grade = _weaker(a.grade, b.grade)
    if a.is_exact:
        return Interval(lower, upper, grade, _join(a, b))
    low, up = _clip_down(lower, not_negative), _clip_up(upper, not_positive)
    return Interval(_scalar(low), _scalar(up), _rounded_grade(grade), _reason(_join(a, b)))


def _rounded_grade(grade: str) -> str:
    """Outward rounding makes an enclosure of what was a point."""
    return _weaker(grade, "rigorous")


def _reason(because: str, rounding: str = "outward rounding") -> str:
    """Why a result of floating point is wide: its operands' reasons, or the rounding of exact numbers."""
    return rounding if because == "exact" else because


def _weaker(first: str, second: str) -> str:
    return min(first, second, key=GRADES.index)


def _join(*values: Interval) -> str:
    """The different reasons, each once, without saying that exact numbers are exact."""
    parts = dict.fromkeys(part for value in values for part in value.because.split("; "))
    parts.pop("exact", None)
    return "; ".join(parts) or "exact"


def _end(value: Any) -> End:
    """A normalised end: int, Fraction, float, or a read-only array of float64 or of exact objects."""
    if isinstance(value, bool | np.bool_):
        raise NotAValueError(f"{value!r} is a truth value, not a number")
    if isinstance(value, int | Fraction):
        return _unbounded(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating) and not isinstance(value, np.longdouble):
        if np.isnan(value):
            raise NotAValueError("NaN is not a value")
        return float(value)
    return _array_end(value)


def _array_end(value: Any) -> End:
    try:
        array = np.asarray(value) if hasattr(value, "dtype") else _listed(value)
    except ValueError as error:
        raise NotAValueError(f"{type(value).__name__} is no array of numbers: {error}") from error
    if array.dtype == object or array.dtype.kind in "iu":
        flat = [_exact_entry(x) for x in array.astype(object).flat]
        array = np.array(flat, dtype=object).reshape(array.shape)
    elif array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        array = array.astype(float)
        if np.isnan(array).any():
            raise NotAValueError(f"NaN is not a value ({int(np.isnan(array).sum())} of {array.size} entries)")
    else:
        raise NotAValueError(f"{type(value).__name__} {value!r:.60} is not a number")
    if array.ndim == 0:
        return array.item()
    array.flags.writeable = False
    return array


def _listed(value: Any) -> Any:
    """A nested list as an array, without numpy's taking True for 1 or [2^63 + 1, -1] for floats."""
    array, entries = np.asarray(value), np.asarray(value, dtype=object)
    if array.size and all(isinstance(x, int | Fraction) for x in entries.flat):
        return entries
    if array.dtype.kind == "f" and any(isinstance(x, int) and x != float(x) for x in entries.flat):
        raise NotAValueError(f"a list of floats holds an integer that is no float: {value!r:.60}")
    return array


def _exact_entry(x: Any) -> int | Fraction:
    if isinstance(x, bool | np.bool_):
        raise NotAValueError(f"{x!r} is a truth value, not a number")
    if isinstance(x, int | Fraction):
        return _unbounded(x)
    if isinstance(x, np.integer):
        return int(x)
    kind = type(x).__name__
    raise NotAValueError(f"an exact array holds integers and fractions only, not {kind} {x!r:.60}")


def _unbounded(number: int | Fraction) -> int | Fraction:
    """A Fraction keeps numpy integers that it was made from, and these overflow: Python's take their place."""
    if isinstance(number, Fraction) and not type(number.numerator) is type(number.denominator) is int:
        return Fraction(int(number.numerator), int(number.denominator))
    return number


def _is_exact(end: End) -> bool:
    return end.dtype == object if isinstance(end, np.ndarray) else isinstance(end, int | Fraction)


def _to_float(number: int | Fraction, upward: bool) -> float:
    try:
        near = float(number)
    except OverflowError:
        near = float("inf") if number > 0 else float("-inf")
    if np.isinf(near):
        inward = upward != (near > 0)
        return float(np.copysign(np.finfo(float).max, near)) if inward else near
    if upward and Fraction(near) < number:
        return float(np.nextafter(near, np.inf))
    if not upward and Fraction(near) > number:
        return float(np.nextafter(near, -np.inf))
    return near


def _float_down(end: End) -> Any:
    return _float_end(end, upward=False)


def _float_up(end: End) -> Any:
    return _float_end(end, upward=True)


def _float_end(end: End, upward: bool) -> Any:
    if not _is_exact(end):
        return end
    if isinstance(end, np.ndarray):
        return np.array([_to_float(x, upward) for x in end.flat], dtype=float).reshape(end.shape)
    return _to_float(end, upward)


@np.errstate(over="ignore")
def _down(x: Any) -> Any:
    return np.nextafter(x, -np.inf)


@np.errstate(over="ignore")
def _up(x: Any) -> Any:
    return np.nextafter(x, np.inf)


def _clip_down(x: Any, not_negative: Any) -> Any:
    """One unit down, but not below 0 where the true number is known not to be negative."""
    low = _down(x)
    return np.where(not_negative, np.maximum(low, 0.0), low)


def _clip_up(x: Any, not_positive: Any) -> Any:
    up = _up(x)
    return np.where(not_positive, np.minimum(up, 0.0), up)


def _or(x: Any, unknown: float) -> Any:
    """What is safe where overflow left inf - inf."""
    return np.where(np.isnan(x), unknown, x)


def _times(x: End, y: End) -> End:
    """Product with 0 * inf = 0, as interval arithmetic has it."""
    if _is_exact(x) and _is_exact(y):
        return x * y
    with np.errstate(invalid="ignore", over="ignore"):
        product = np.multiply(x, y)
    return np.where((np.equal(x, 0)) | (np.equal(y, 0)), 0.0, product)


def _least(ends: list[End]) -> End:
    return _scalar(reduce(np.minimum, [_not_int64(end) for end in ends]))


def _greatest(ends: list[End]) -> End:
    return _scalar(reduce(np.maximum, [_not_int64(end) for end in ends]))


def _not_int64(end: End) -> Any:
    """Exact ends as objects: numpy would compare 2^63 and -1 as floats."""
    return np.asarray(end, dtype=object) if _is_exact(end) else end


def _scalar(x: Any) -> Any:
    """A 0-d array as the scalar it holds."""
    return x.item() if isinstance(x, np.ndarray | np.generic) and x.ndim == 0 else x
