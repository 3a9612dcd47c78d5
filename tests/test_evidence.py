"""What is kept of an evaluation comes back as it was, as far as it is kept; numbers in JSON are what they were."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify import at_most, equal, exact
from verify import evidence as module
from verify.evidence import ARRAY_BYTES, CURVE_POINTS, KEPT_BYTES, Keeper, describe, plain, thinned, unpack
from verify.interval import Interval


def interval(lower, upper, grade="numerical"):
    return Interval(lower, upper, grade, "made for a test")


def kept(value):
    """The value after it was packed, written as JSON, and unpacked."""
    keeper = Keeper()
    name = keeper.keep("value", "key", value)
    return unpack(json.loads(json.dumps(keeper.trees[name], allow_nan=False)), keeper.arrays)


floats = st.floats(-1e6, 1e6)
vectors = st.lists(floats, min_size=1, max_size=4).map(np.array)
leaves = st.none() | st.booleans() | st.integers(-1000, 1000) | floats | st.text(max_size=3) | vectors
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and np.array_equal(a, b)
    if isinstance(a, dict):
        return vars(b).keys() == a.keys() and all(same(a[key], vars(b)[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b and type(a) is type(b)


@given(trees)
def test_plain_values_and_arrays_come_back(value):
    assert same(value, kept(value))


@given(vectors)
def test_intervals_come_back(low):
    found = kept({"x": interval(low, low + 1), "y": [interval(-math.inf, 2.0), interval(1.0, math.inf)]})
    assert np.array_equal(found.x.lower, low)
    assert np.array_equal(found.x.upper, low + 1)
    assert (found.y[0].lower, found.y[0].upper) == (-math.inf, 2)
    assert (found.y[1].lower, found.y[1].upper) == (1, math.inf)
    assert (found.x.grade, found.x.because) == ("numerical", "made for a test")


def test_exact_numbers_are_kept_as_floats():
    found = kept(exact(np.array([1, Fraction(1, 4), 10**400, -(10**400)], dtype=object)))
    assert found.lower.tolist() == [1, 0.25, math.inf, -math.inf]
    assert kept(exact(Fraction(1, 4))).upper == 0.25


def test_long_arrays_are_thinned_alike_with_both_ends():
    long = np.arange(50_000.0)
    short, other = thinned(long), thinned(2 * long)
    assert len(short) <= CURVE_POINTS < 4 * len(short)
    assert short[0] == 0
    assert short[-1] == long[-1]
    assert np.array_equal(other, 2 * short)
    ratios = np.diff(np.log(short[short > 200] + 1))
    assert ratios.max() < 1.5 * ratios.min()
    assert thinned(long[:CURVE_POINTS]) is not None
    assert np.array_equal(thinned(long[:CURVE_POINTS]), long[:CURVE_POINTS])


def test_what_is_too_large_is_left_out_and_named():
    keeper = Keeper()
    assert keeper.keep("matrices", "m", np.zeros((10, ARRAY_BYTES // 8 // 10 + 1))) is None
    assert keeper.keep("matrices", "m again", np.zeros((10, ARRAY_BYTES // 8 // 10 + 1))) is None
    for i in range(KEPT_BYTES // ARRAY_BYTES):
        assert keeper.keep("fits", f"f{i}", np.zeros((10, ARRAY_BYTES // 8 // 10)))
    assert keeper.bytes == KEPT_BYTES
    assert keeper.keep("more", "x", np.zeros(1)) is None
    assert keeper.keep("a number", "n", 1.0) is not None
    assert keeper.keep("code", "c", print) is None
    assert keeper.left_out == ["matrices", "more", "code"]


def test_a_key_is_kept_once_and_names_differ():
    keeper = Keeper()
    first, again = keeper.keep("x", "k", np.ones(2)), keeper.keep("y", "k", np.zeros(2))
    other = keeper.keep("x", "l", [np.zeros(1), np.ones(1)])
    third = keeper.keep("x", "m", np.full(3, 7.0))
    assert first == again
    assert len({first, other, third}) == 3
    assert len(keeper.arrays) == 4
    assert unpack(keeper.trees[first], keeper.arrays).tolist() == [1, 1]
    assert unpack(keeper.trees[third], keeper.arrays).tolist() == [7, 7, 7]


def test_what_fits_no_json_is_in_words():
    assert plain(2**53 - 1) == 2**53 - 1
    assert plain(2**53) == str(2**53)
    assert plain(1 - 2**53) == 1 - 2**53
    assert plain(-(2**53)) == str(-(2**53))
    assert plain(Fraction(1, 3)) == "1/3"
    longest = 2 ** (module.PRINTED_BITS - 2)
    assert plain(longest) == str(longest)
    assert plain(2 * longest) == f"a number of {module.PRINTED_BITS + 1} bits"
    assert plain([math.nan, math.inf, np.float64(2), np.int64(3), (True,)]) == [None, None, 2.0, 3, [True]]
    assert plain({1: np.arange(2)}) == {"1": [0, 1]}
    assert plain(np.zeros) == "zeros"
    assert plain({1, 2}) == "{1, 2}"


def test_records_of_intervals_say_what_is_exact():
    assert describe(exact(Fraction(1, 3)))["exact"] == "1/3"
    assert describe(exact(Fraction(1, 3)))["lower"] == pytest.approx(1 / 3)
    assert "exact" not in describe(interval(0.0, 0.5))
    assert describe(interval(0.0, math.inf))["upper"] is None


@given(st.lists(st.tuples(floats, st.floats(-10, 0) | st.floats(1e-3, 10)), min_size=1, max_size=4))
def test_tightness_is_the_largest_share_of_a_positive_bound(pairs):
    measured, bound = (np.array(side) for side in zip(*pairs, strict=True))
    found = module.tightness(at_most(interval(measured, measured), interval(bound, bound)))
    assert found == max((m / b for m, b in pairs if b > 0), default=None)
    assert module.tightness(equal(interval(measured, measured), interval(bound, bound))) is None


def test_a_share_of_next_to_nothing_is_unknown():
    assert module.tightness(at_most(interval(1.0, 1.0), interval(5e-324, 5e-324))) is None
