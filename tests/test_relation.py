"""Relations against their definition: all pairs of points, some pair, or neither."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify import at_most, equal, exact, less
from verify.errors import NotAValueError, SetupError
from verify.interval import Interval
from verify.relation import FAILS, HOLDS, UNDECIDED


def box(low, up, grade="numerical"):
    return Interval(low, up, grade, "made for a test")


INF = float("inf")
WRITTEN = {"<=": at_most, "=": equal}
# eighths: their differences are floats, so that rounding decides nothing here
eighths = st.integers(-8, 8).map(lambda n: n / 8)
ends = st.tuples(eighths | st.just(-INF), eighths | st.just(INF)).filter(lambda pair: pair[0] <= pair[1])
finite = st.tuples(eighths, eighths).map(sorted)
entries = st.lists(st.tuples(ends, ends), min_size=1, max_size=4)
resolutions = st.tuples(st.integers(0, 6), st.integers(0, 2)).map(lambda pair: (pair[0] / 8, sum(pair) / 8))


def furthest(a, b):
    """sup and inf of a - b over two boxes of points."""
    return a[1] - b[0], a[0] - b[1]


def defined(relation, a, b, within, closed):
    """(outcome, by how much the worst or the best pair exceeds the relation) from the definition."""
    most, least = furthest(a, b)
    worst = max(most, -least) if relation == "=" else most
    best = max(least, -most) if relation == "=" else least
    if worst < within[0] or (closed and worst == within[0]):
        return HOLDS, worst
    return (FAILS, best) if best > within[1] else (UNDECIDED, worst)


def interval(pairs, convert=float):
    low, up = (np.array([convert(pair[end]) for pair in pairs], dtype=object) for end in (0, 1))
    return box(low, up, "exact") if convert is Fraction else box(low.astype(float), up.astype(float))


@given(st.sampled_from(list(WRITTEN)), entries, resolutions)
def test_outcomes_and_the_decisive_entry_follow_from_the_definition(relation, pairs, within):
    a, b = zip(*pairs, strict=True)
    found = WRITTEN[relation](interval(a), interval(b), within=interval([within])[0])
    each = [defined(relation, x, y, within, closed=within[0] == 0) for x, y in pairs]
    outcomes = [outcome for outcome, _ in each]
    assert found.outcomes().tolist() == outcomes
    order = (FAILS, UNDECIDED, HOLDS)
    assert found.outcome == min(outcomes, key=order.index)
    (index,) = found.decisive()
    assert outcomes[index] == found.outcome
    assert each[index][1] == max(score for outcome, score in each if outcome == found.outcome)


@given(
    st.sampled_from(list(WRITTEN)), st.lists(st.tuples(finite, finite), min_size=1, max_size=4), resolutions
)
def test_exact_ends_may_meet_an_exact_resolution(relation, pairs, within):
    a, b = zip(*pairs, strict=True)
    width = exact(Fraction(within[0]))
    found = WRITTEN[relation](interval(a, Fraction), interval(b, Fraction), within=width)
    each = [defined(relation, x, y, (within[0], within[0]), closed=True)[0] for x, y in pairs]
    assert found.outcomes().tolist() == each


@given(entries)
def test_less_is_strict(pairs):
    a, b = zip(*pairs, strict=True)
    found = less(interval(a), interval(b)).outcomes().tolist()
    for outcome, x, y in zip(found, a, b, strict=True):
        most, least = furthest(x, y)
        assert outcome == (HOLDS if most < 0 else FAILS if least >= 0 else UNDECIDED)


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 2))
def test_rounding_proves_nothing_false(a, b, r):
    within = box(r, r)
    for relation, distance in (
        ("<=", Fraction(a) - Fraction(b)),
        ("=", abs(Fraction(a) - Fraction(b))),
    ):
        outcome = WRITTEN[relation](box(a, a), box(b, b), within=within).outcome
        assert outcome != HOLDS or distance <= Fraction(r)
        assert outcome != FAILS or distance > Fraction(r)


@given(st.integers(1, 10**30), st.floats(-1e30, 1e30))
def test_an_exact_number_is_compared_with_a_float_without_rounding_it_first(n, x):
    outcome = at_most(exact(n), box(x, x)).outcome
    assert outcome == (HOLDS if Fraction(n) <= Fraction(x) else FAILS)


def test_points_at_infinity_are_of_unknown_difference():
    far = box(INF, INF)
    assert at_most(far, far).outcome == UNDECIDED
    assert at_most(exact(3), far).outcome == HOLDS
    assert at_most(far, exact(3)).outcome == FAILS
    assert equal(far, exact(3)).outcome == FAILS
    assert at_most(box(-INF, -INF), exact(3)).outcome == HOLDS


def test_another_resolution_is_its_largest_entry_where_shapes_differ():
    two = at_most(interval([(1.0, 1.0)] * 2), exact(0), within=interval([(0.5, 0.5), (2.0, 2.0)]))
    assert two.outcomes().tolist() == [FAILS, HOLDS]
    three = at_most(interval([(1.0, 1.0)] * 3), exact(0))
    assert three.resolved(two.within).outcomes().tolist() == [HOLDS] * 3
    assert two.resolved(exact(0)).outcomes().tolist() == [FAILS] * 2


def test_an_entry_is_both_sides_and_where_it_is():
    grid = box(np.zeros((2, 3)), np.ones((2, 3)))
    found = at_most(grid, interval([(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)]), at=[[10], [20]], name="x")
    measured, bound, within, at = found.entry((1, 2))
    assert (measured.lower, measured.upper) == (0, 1)
    assert (bound.lower, bound.upper) == (5, 6)
    assert within.upper == 0
    assert at == {"at": 20, "name": "x"}
    assert at_most(grid, exact(1)).entry((1, 2))[3] == {"index": [1, 2]}
    assert at_most(grid[0], exact(1)).entry((1,))[3] == {"index": 1}


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(SetupError, match="have shapes"):
        at_most(interval([(0, 1)] * 2), interval([(0, 1)] * 3))
    with pytest.raises(SetupError, match="have shapes"):
        at_most(interval([(0, 1)] * 2), exact(0), step=[1, 2, 3])
    with pytest.raises(NotAValueError, match="no entries"):
        at_most(box(np.zeros(0), np.ones(0)), exact(0))
    with pytest.raises(NotAValueError, match="not negative"):
        at_most(exact(0), exact(0), within=exact(-1))
