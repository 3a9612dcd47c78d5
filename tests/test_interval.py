"""Interval arithmetic encloses the exact arithmetic of fractions, whatever the kinds of its ends."""

import operator
import warnings
from fractions import Fraction
from itertools import product
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verify.errors import CertificateError, NotAValueError
from verify.interval import (
    GRADES,
    UNIT_ROUNDOFF,
    Interval,
    as_value,
    exact,
    hull,
    rounded,
    stack,
    stated,
)
from verify.relation import equal

MAX, TINY = float(np.finfo(float).max), 5e-324
EXAMPLES = settings(max_examples=60, deadline=None)


@pytest.fixture(autouse=True)
def no_warnings():
    """Overflow and underflow are arithmetic's everyday life here, not something to warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


# --- strategies -----------------------------------------------------------------------------------------

edges = st.sampled_from([0.0, -0.0, 1.0, -1.0, TINY, -TINY, 2.0**-1022, MAX, -MAX, 0.1, 1 / 3, 1e-200, 1e200])
floats = edges | st.floats(allow_nan=False, allow_infinity=False)
big = st.integers(-(2**70), 2**70) | st.sampled_from([2**63, 2**63 - 1, -(2**63), 2**53 + 1, 2**64 - 1])
exacts = st.integers(-5, 5) | big | st.fractions(max_denominator=50)


def ordered(numbers):
    return st.tuples(numbers, numbers).map(sorted)


@st.composite
def intervals(draw, kinds=(floats, exacts), infinite=False):
    low, up = draw(st.sampled_from(kinds).flatmap(ordered))
    if infinite and isinstance(low, float):
        low, up = draw(st.sampled_from([(low, up), (-inf, up), (low, inf), (-inf, inf)]))
    grade = draw(st.sampled_from(GRADES[:3])) if isinstance(low, float) else "exact"
    return Interval(low, up, grade, "drawn")


@st.composite
def arrays(draw, kinds=(floats, exacts), size=None):
    """A 1-d interval of some kind, 1 to 6 entries unless the size is given."""
    size = draw(st.integers(1, 6)) if size is None else size
    pairs = draw(
        st.sampled_from(kinds).flatmap(lambda kind: st.lists(ordered(kind), min_size=size, max_size=size))
    )
    kind = float if isinstance(pairs[0][0], float) else object
    low, up = (np.array(end, dtype=kind) for end in zip(*pairs, strict=True))
    return Interval(low, up, "rigorous" if kind is float else "exact", "drawn")


def points(value):
    """Finite fractions of a scalar interval: its ends and some in between."""
    low, up = (
        Fraction(max(min(end, MAX), -MAX)) if abs(end) == inf else Fraction(end) for end in ends(value)
    )
    return {low, up, (low + up) / 2, low + (up - low) / 7}


def ends(value):
    return value.lower, value.upper


def encloses(value, number):
    return value.lower <= number <= value.upper


def next_float(x, towards):
    with np.errstate(over="ignore"):
        return float(np.nextafter(x, towards))


def entries(value):
    return [value[index] for index in np.ndindex(value.shape)]


# --- enclosure ------------------------------------------------------------------------------------------

OPERATIONS = [operator.add, operator.sub, operator.mul, operator.truediv]


@pytest.mark.parametrize("operation", OPERATIONS)
@EXAMPLES
@given(a=intervals(infinite=True), b=intervals(infinite=True))
def test_arithmetic_encloses(operation, a, b):
    result = operation(a, b)
    for x, y in product(points(a), points(b)):
        if operation is not operator.truediv or y != 0:
            assert encloses(result, operation(x, y))


@pytest.mark.parametrize("operation", OPERATIONS)
@EXAMPLES
@given(a=intervals(), b=floats | exacts)
def test_bare_numbers_on_either_side_are_the_numbers_that_they_are(operation, a, b):
    for x in points(a):
        if operation is not operator.truediv or b != 0:
            assert encloses(operation(a, b), operation(x, Fraction(b)))
        if operation is not operator.truediv or x != 0:
            assert encloses(operation(b, a), operation(Fraction(b), x))


@pytest.mark.parametrize("operation", OPERATIONS)
@EXAMPLES
@given(a=intervals(kinds=(exacts,)), b=intervals(kinds=(exacts,)))
def test_exact_stays_exact(operation, a, b):
    result = operation(a, b)
    if operation is operator.truediv and encloses(b, 0):
        assert ends(result) == (-inf, inf)
        return
    corners = [operation(Fraction(x), Fraction(y)) for x, y in product(ends(a), ends(b))]
    assert ends(result) == (min(corners), max(corners))
    assert result.is_exact
    assert (result.grade, result.because) == ("exact", "drawn")


@EXAMPLES
@given(a=intervals(kinds=(floats,)), b=intervals(kinds=(floats,)))
def test_a_result_is_at_most_one_unit_wider_than_it_must_be(a, b):
    result = a * b
    corners = [Fraction(x) * Fraction(y) for x, y in product(ends(a), ends(b))]
    assert next_float(next_float(result.lower, inf), inf) >= min(corners)
    assert next_float(next_float(result.upper, -inf), -inf) <= max(corners)


@EXAMPLES
@given(a=intervals(infinite=True), power=st.integers(1, 5))
def test_powers_and_absolute_values(a, power):
    for x in points(a):
        assert encloses(a**power, x**power)
        assert encloses(abs(a), abs(x))
        assert encloses(-a, -x)
    assert abs(a).lower >= 0
    assert (a**2).lower >= 0


@EXAMPLES
@given(a=intervals(infinite=True))
def test_square_root_by_squaring(a):
    root = abs(a).sqrt()
    assert root.lower >= 0
    for x in points(abs(a)):
        assert Fraction(root.lower) ** 2 <= x
        assert root.upper == inf or x <= Fraction(root.upper) ** 2


@pytest.mark.parametrize("operation", OPERATIONS[:3])
@EXAMPLES
@given(a=arrays(size=3), b=arrays(size=3), column=arrays(size=2), scalar=intervals())
def test_arrays_work_entry_by_entry_and_broadcast(operation, a, b, column, scalar):
    table = Interval(column.lower[:, None], column.upper[:, None], column.grade, column.because)
    assert operation(a, scalar).shape == operation(scalar, a).shape == (3,)
    assert operation(table, a).shape == (2, 3)
    pairs = [(operation(a, b)[j], a[j], b[j]) for j in range(3)]
    pairs += [(operation(scalar, a)[j], scalar, a[j]) for j in range(3)]
    pairs += [(operation(table, a)[i, j], column[i], a[j]) for i in range(2) for j in range(3)]
    for result, x, y in pairs:
        assert all(
            encloses(result, operation(Fraction(p), Fraction(q))) for p, q in product(ends(x), ends(y))
        )


@EXAMPLES
@given(a=arrays(), b=intervals())
def test_arrays_of_quotients_and_absolute_values(a, b):
    for x, y, z in zip(entries(a), entries(abs(a)), entries(b / a), strict=True):
        assert all(encloses(y, abs(Fraction(p))) for p in ends(x))
        assert all(encloses(z, Fraction(b.lower) / Fraction(p)) for p in ends(x) if p != 0)
        assert not encloses(x, 0) or ends(z) == (-inf, inf)


@EXAMPLES
@given(a=arrays())
def test_sums_and_running_sums(a):
    running = a.cumsum()
    for j, partial in enumerate(entries(running)):
        low, up = (sum(map(Fraction, end[: j + 1])) for end in ends(a))
        assert partial.lower <= low
        assert up <= partial.upper
    assert a.sum().lower <= low
    assert up <= a.sum().upper
    assert a.sum().is_exact == running.is_exact == a.is_exact
    if a.is_exact:
        assert ends(a.sum()) == (low, up)


@EXAMPLES
@given(a=arrays(), axis=st.sampled_from([0, 1, -1]))
def test_sums_along_an_axis(a, axis):
    table = stack([a, -a, a])
    lines = [table[i] for i in range(3)] if axis else [table[:, j] for j in range(len(a))]
    totals = table.sum(axis=axis)
    assert totals.shape == (len(lines),)
    for total, line in zip(entries(totals), lines, strict=True):
        low, up = (sum(map(Fraction, np.ravel(end).tolist())) for end in ends(line))
        assert total.lower <= low <= up <= total.upper
        assert ends(total) == (low, up) or not a.is_exact


@pytest.mark.parametrize("size", [10, 1_000, 100_000])
def test_sums_of_many_terms_that_cancel(size):
    generator = np.random.default_rng(size)
    half = generator.normal(size=size // 2) * 10.0 ** generator.uniform(0, 12, size=size // 2)
    terms = generator.permutation(np.concatenate([half, -half])) + generator.uniform(0, 1, size=size)
    value = Interval(terms, terms, "rigorous", "terms")
    truth = sum(map(Fraction, terms))
    assert encloses(value.sum(), truth)
    assert encloses(value.cumsum()[-1], truth)
    assert value.sum().width <= 5 * size * UNIT_ROUNDOFF * np.abs(terms).sum()


@EXAMPLES
@given(a=arrays())
def test_smallest_and_largest(a):
    assert ends(a.smallest()) == (min(a.lower), min(a.upper))
    assert ends(a.largest()) == (max(a.lower), max(a.upper))


@EXAMPLES
@given(a=intervals(), b=intervals())
def test_hull_and_stack_hold_both(a, b):
    both, pile = hull(a, b, "both"), stack([a, b])
    for x, entry in ((a, pile[0]), (b, pile[1])):
        assert all(encloses(both, p) and encloses(entry, p) for p in points(x))
    assert both.because == "both"
    assert pile.shape == (2,)
    assert pile.is_exact == both.is_exact == (a.is_exact and b.is_exact)


@EXAMPLES
@given(number=exacts | st.integers(-(10**400), 10**400) | st.fractions())
def test_exact_numbers_become_the_nearest_floats_outward(number):
    low, up = ends(Interval(number, inf, "exact", "exact"))[0], Interval(-inf, number, "exact", "e").upper
    assert low <= number <= up
    assert low == up or next_float(low, inf) == up


@EXAMPLES
@given(x=st.floats(-700, 700))
def test_exponential_and_logarithm(x):
    """Against a series summed in fractions, to 1e-18 relative."""
    point = Interval(x, x, "rigorous", "x")
    shift = max(0, int(abs(x)).bit_length())
    reduced, term, total = Fraction(x) / 2**shift, Fraction(1), Fraction(0)
    for k in range(1, 30):
        total += term
        term = Fraction(term * reduced / k).limit_denominator(10**60)
    truth = 1 / _power(_reciprocal(total), shift) if x else Fraction(1)
    result = point.exp()
    slack = truth / 10**18
    assert result.lower <= truth + slack
    assert truth - slack <= result.upper
    assert result.grade == "numerical"
    assert encloses(result.log(), Fraction(x))


def _reciprocal(x):
    return 1 / x


def _power(x, doublings):
    """x^(2^doublings) to 60 digits or so."""
    for _ in range(doublings):
        x = x * x
        digits = 10**70 * max(1, x.denominator // max(1, x.numerator))
        x = Fraction(round(x * digits), digits)
    return x


# --- infinities, signs and overflow ---------------------------------------------------------------------

LINE = Interval(-inf, inf, "rigorous", "line")


def test_infinite_ends():
    assert ends(abs(LINE)) == (0.0, inf)
    assert ends(LINE * 0) == (0.0, 0.0)
    assert ends(LINE + 1) == (-inf, inf)
    assert ends(abs(Interval([-inf, 1.0], [inf, 2.0], "rigorous", "x"))[0]) == (0.0, inf)
    assert ends(Interval([1.0, 2.0], [inf, 3.0], "rigorous", "x").sum())[1] == inf
    with pytest.raises(NotAValueError, match="NaN"):
        Interval(inf, inf, "rigorous", "x") - Interval(inf, inf, "rigorous", "x")


def test_reciprocals_of_what_touches_zero_are_unbounded():
    for low, up in ((0.0, 1.0), (-1.0, 0.0), (-1.0, 1.0), (0, 1), (Fraction(-1, 2), 0)):
        assert ends(1 / Interval(low, up, "rigorous", "x")) == (-inf, inf)
    assert ends(Interval(1.0, inf, "rigorous", "x").reciprocal())[0] == 0
    array = Interval([-1.0, 1.0], [1.0, 2.0], "rigorous", "x").reciprocal()
    assert ends(array[0]) == (-inf, inf)
    assert ends(array[1])[0] <= 0.5


def test_overflow_is_an_end_at_infinity():
    huge = Interval(MAX, MAX, "rigorous", "huge")
    for value in (huge + huge, huge * huge, Interval([MAX, MAX], [MAX, MAX], "rigorous", "x").sum()):
        assert value.lower <= MAX
        assert value.upper == inf
    assert ends(Interval([1e4], [1e4], "rigorous", "x").exp()[0]) == (pytest.approx(MAX), inf)
    assert (1 / Interval(TINY, TINY, "rigorous", "x")).upper == inf


def test_a_known_sign_survives_rounding():
    x = Interval([-1.0, 0.0, 1e-300], [1.0, 0.0, 1e-300], "rigorous", "x")
    assert (x**2).lower.min() == 0
    assert (x**2).sum().sqrt().lower == 0
    assert (x * -((x**2).sum() ** 2)).lower.min() < 0
    assert ends(x[1] * x[0]) == (0.0, 0.0)
    assert (-(x**2)).upper.max() == 0
    assert Interval(-1e4, 1.0, "rigorous", "x").exp().lower == 0


# --- grades and reasons ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [*product(GRADES, GRADES)])
def test_combining_keeps_the_weaker_grade(first, second):
    a, b = Interval(1.0, 2.0, first, "a"), Interval(1.0, 2.0, second, "b")
    weaker = min(first, second, key=GRADES.index)
    rounded_grade = "rigorous" if weaker == "exact" else weaker
    for result in (a + b, a - b, a * b, a / b):
        assert result.grade == rounded_grade
        assert result.because == "a; b"
    assert hull(a, b, "h").grade == stack([a, b]).grade == weaker


def test_grades_are_ordered_from_the_weakest():
    assert GRADES == ("statistical", "numerical", "rigorous", "exact")
    root = exact(2).sqrt()
    assert (root.grade, root.because) == ("rigorous", "outward rounding")
    assert (exact(2).exp().grade, exact(2).exp().because) == ("numerical", "libm, 4 units outward")


def test_reasons_merge_without_repeats():
    a, b = Interval(1.0, 2.0, "numerical", "a"), Interval(1.0, 2.0, "statistical", "b")
    assert (a + b + a * b + exact(1)).because == "a; b"
    assert (exact(1) + exact(2)).because == "exact"
    assert (a + 0.5).because == "a"
    assert stack([a, b, a]).because == "a; b"
    assert exact(1).because == "exact"


# --- what is no value -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [nan, np.nan, np.array([1.0, nan]), np.float32("nan")])
def test_nan_is_no_value(bad):
    for make in (
        lambda: Interval(bad, bad, "exact", "x"),
        lambda: exact(1) + bad,
        lambda: rounded(bad, 1, 1.0),
    ):
        with pytest.raises(NotAValueError, match="NaN is not a value"):
            make()


NO_NUMBERS = [
    True, np.bool_(False), [True, 2], [True, Fraction(1)], np.array([True]), "1.5", ["a"], None, [None],
    1j, [1j], object(), {}, [[1], [1, 2]], exact(1), [exact(1)], np.longdouble(1) / 3, [2**53 + 1, 0.5],
    [Fraction(1, 2), 0.5],
]  # fmt: skip
BARE = [1, 0.0, 0.5, Fraction(1), True, False, np.float64(0), np.int64(0), "0", None, np.zeros(2), [0]]


@pytest.mark.parametrize("bad", NO_NUMBERS)
def test_what_is_no_number_is_refused(bad):
    for make in (exact, lambda x: Interval(x, x, "exact", "x"), lambda x: rounded(x, 1, 1.0)):
        with pytest.raises(NotAValueError):
            make(bad)
    if not isinstance(bad, Interval):
        with pytest.raises(NotAValueError):
            exact(1) + bad


def test_fractions_of_numpy_integers_do_not_overflow():
    third = Fraction(np.int64(1), np.int64(3))
    for value in (exact(third), exact([third])[0]):
        assert type(value.lower.numerator) is type(value.lower.denominator) is int
        assert (value * Fraction(1, 2**80)).lower == Fraction(1, 3 * 2**80)


def test_exact_takes_integers_and_fractions_only():
    for bad in (0.5, 1.0, np.array([1.0]), [0.5]):
        with pytest.raises(NotAValueError, match="takes integers and fractions"):
            exact(bad)
    assert exact(np.int8(100)).lower + 100 == 200
    assert exact([2**63 + 1, -1]).lower[0] == 2**63 + 1
    mixed = exact(np.array([np.int64(2**62), Fraction(1, 2)], dtype=object))
    assert (mixed * 4).lower[0] == 2**64


def test_crossed_ends_name_the_entry_and_the_reason():
    with pytest.raises(CertificateError, match=r"lower end 2\.0 lies above upper end 1\.0 \(the gap\)"):
        Interval(2.0, 1.0, "rigorous", "the gap")
    with pytest.raises(CertificateError, match=r"lower end 3\.0 lies above upper end 2\.5"):
        Interval([1.0, 3.0], [1.0, 2.5], "rigorous", "x")
    with pytest.raises(CertificateError):
        Interval(Fraction(1, 2), Fraction(1, 3), "exact", "x")
    with pytest.raises(CertificateError):
        Interval(inf, -inf, "exact", "x")


def test_ends_agree_in_shape_and_grades_are_known():
    with pytest.raises(NotAValueError, match="shapes"):
        Interval([1.0], [1.0, 2.0], "exact", "x")
    with pytest.raises(NotAValueError, match="grade 'sure' is none of"):
        Interval(1.0, 1.0, "sure", "x")


def test_operations_that_have_no_value():
    below = Interval(-1.0, 1.0, "rigorous", "x")
    for make in (
        below.sqrt,
        below.log,
        exact(0).log,
        lambda: below**0,
        lambda: below**0.5,
        lambda: below**-1,
    ):
        with pytest.raises(NotAValueError):
            make()
    with pytest.raises(NotAValueError, match="one axis"):
        exact([[1, 2]]).cumsum()


# --- constructors ---------------------------------------------------------------------------------------


@EXAMPLES
@given(value=st.floats(-1e250, 1e250), terms=st.integers(1, 10**6), magnitude=st.floats(0, 1e250))
def test_rounded_is_the_standard_bound(value, terms, magnitude):
    """N u / (1 - N u) * magnitude, not less and hardly more."""
    result, gamma = rounded(value, terms, magnitude), Fraction(terms, 2**53 - terms)
    bound = gamma * Fraction(magnitude)
    for distance in (Fraction(value) - Fraction(result.lower), Fraction(result.upper) - Fraction(value)):
        assert distance >= bound
        unit = np.spacing(max(abs(result.lower), abs(result.upper)))
        assert distance <= bound * (1 + Fraction(1, 2**50)) + 4 * Fraction(unit)
    assert result.grade == "numerical"
    assert result.because == f"rounding of {terms} operations in float64"


def test_rounded_arrays_and_refusals():
    result = rounded(np.ones((2, 3)), 10, np.array([1.0, 2.0, 0.0]))
    assert result.shape == (2, 3)
    assert result.width[0, 1] == pytest.approx(2 * result.width[0, 0], rel=0.2)
    for terms in (0, -1, 2**52, 2**60):
        with pytest.raises(NotAValueError, match="terms"):
            rounded(1.0, terms, 1.0)


def test_stated_keeps_its_reason():
    assert stated(0.05, "Table 2; row 3").because == "stated: Table 2, row 3"
    assert (stated(0.05, "x").grade, stated(Fraction(1, 20), "x").grade) == ("numerical", "exact")
    for why in ("", "  "):
        with pytest.raises(NotAValueError, match="needs a reason"):
            stated(0.05, why)


@pytest.mark.parametrize("bare", BARE)
def test_a_check_refuses_bare_numbers(bare):
    with pytest.raises(NotAValueError, match="not the bare"):
        as_value(bare)


def test_a_check_takes_intervals_and_zero():
    value = exact(3)
    assert as_value(value) is value
    assert ends(as_value(0)) == (0, 0)


# --- numpy ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("array", [np.array([1.0, -2.5]), np.array([3, 4]), np.float64(0.5), np.int64(7)])
def test_numpy_on_either_side(operation, array):
    for value in (exact(3), Interval(0.1, 0.2, "rigorous", "x")):
        left, right = operation(array, value), operation(value, array)
        assert isinstance(left, Interval)
        assert left.shape == right.shape == np.shape(array)
        for index, x in np.ndenumerate(array):
            here, y = index if left.shape else (), Fraction(value.lower)
            assert encloses(left[here] if here else left, operation(Fraction(x.item()), y))
            assert encloses(right[here] if here else right, operation(y, Fraction(x.item())))
    assert (np.array([3, 4]) * exact(3)).is_exact


def test_ends_are_read_only_copies():
    source = np.array([1.0, 2.0])
    value = Interval(source, source, "rigorous", "x")
    source[0] = 5.0
    assert value.lower[0] == 1.0
    for end in (*ends(value), *ends(exact([1, 2])), (value + value).lower, abs(value).upper):
        with pytest.raises(ValueError, match="read-only"):
            end[0] = 7
    with pytest.raises(AttributeError):
        value.lower = 3.0


def test_shape_length_indexing_and_width():
    value = Interval([[1.0, 2.0]], [[1.5, 4.0]], "rigorous", "x")
    assert (value.shape, len(value), value[0].shape, value[0, 1].shape) == ((1, 2), 1, (2,), ())
    assert value[0, 1].width >= 2
    assert exact(Fraction(1, 3)).width == 0
    assert value[0, 1].middle == 3.0
    assert "shape (1, 2)" in repr(value)
    assert "1/3" in repr(exact(Fraction(1, 3)))
    assert isinstance(value[0, 0].lower, float)


def test_axes_of_smallest_and_largest():
    value = Interval([[1.0, 5.0], [0.0, 2.0]], [[2.0, 6.0], [3.0, 2.5]], "rigorous", "x")
    assert value.smallest(axis=0).lower.tolist() == [0.0, 2.0]
    assert value.largest(axis=1).upper.tolist() == [6.0, 3.0]
    assert value.gap().lower >= 3.0


def test_a_number_inside_an_enclosure_is_equal_to_it_within_its_gap():
    enclosure = Interval(
        np.array([1, 10], dtype=object), np.array([2, 14], dtype=object), "rigorous", "bracket"
    )
    within = enclosure.gap(each=True)
    assert list(within.lower) == [1, 4]
    assert equal(exact([1, 14]), enclosure, within=within).outcome == "holds"
    assert equal(exact([2, 10]), enclosure, within=within).outcome == "holds"
    assert equal(exact([Fraction(21, 10), 12]), enclosure, within=within).outcome == "undecided"
    assert equal(exact([4, 12]), enclosure, within=within).outcome == "fails"
