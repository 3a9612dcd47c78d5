"""Exact tests on counts, trends and copied texts: against scipy, brute force and hypothesis."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations, product
from math import comb

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from claims.aops_contamination import _tables, world
from claims.aops_contamination.difficulty_proof_detector import rejections
from claims.aops_contamination.ngram_decontamination import run_probability

many = settings(max_examples=100, deadline=None)
few = settings(max_examples=30, deadline=None)
accuracies = st.fractions(0, 1, max_denominator=9)


@st.composite
def two_samples(draw, most=30):
    n1, n2 = draw(st.integers(1, most)), draw(st.integers(1, most))
    return draw(st.integers(0, n1)), n1, draw(st.integers(0, n2)), n2


@many
@given(two_samples())
@example((0, 5, 5, 5))
@example((30, 30, 0, 30))
def test_fisher_is_the_hypergeometric_tail(sample):
    from scipy.stats import hypergeom

    x1, n1, x2, n2 = sample
    assert float(world.fisher(*sample)) == pytest.approx(hypergeom.sf(x1 - 1, n1 + n2, n1, x1 + x2), rel=1e-9)
    if x1 < n1:
        assert world.fisher(x1 + 1, n1, x2, n2) <= world.fisher(*sample)


@few
@given(
    st.integers(1, 12), st.integers(1, 12), st.fractions(Fraction(1, 20), Fraction(1, 3), max_denominator=20)
)
def test_limits_are_where_the_p_value_passes_the_level(n1, n2, level):
    limits = world.fisher_limits(n1, n2, level)
    for x1, x2 in product(range(n1 + 1), range(n2 + 1)):
        assert (x1 >= limits[x1 + x2]) == (world.fisher(x1, n1, x2, n2) <= level)
    assert max(world.conditional_sizes(limits, n1, n2)) <= level


@few
@given(
    st.integers(1, 7),
    st.integers(1, 7),
    st.fractions(0, 1, max_denominator=9),
    st.fractions(0, 1, max_denominator=9),
)
def test_rejection_probability_is_the_double_sum(n1, n2, a1, a2):
    def law(n, x, p):
        return comb(n, x) * p**x * (1 - p) ** (n - x)

    limits = world.fisher_limits(n1, n2, Fraction(1, 4))
    region = world.rejected_counts(limits, n1, n2)
    pairs = product(range(n1 + 1), range(n2 + 1))
    direct = sum(law(n1, x, a1) * law(n2, y, a2) for x, y in pairs if x >= limits[x + y])
    assert world.rejection_probability(region, n1, n2, a1, a2) == direct


def test_the_mid_p_test_exceeds_its_level():
    limits = world.fisher_limits(20, 20, mid=Fraction(1, 2))
    assert max(world.conditional_sizes(limits, 20, 20)) > Fraction(1, 20)


@few
@given(st.lists(two_samples(), min_size=1, max_size=5))
@example([(5, 5, 1, 5), (4, 5, 0, 5), (4, 5, 1, 5)])
def test_rejections_are_the_p_values_at_most_the_level(samples):
    p = [world.fisher(*sample) for sample in samples]
    assume(Fraction(1, 20) not in p)  # a tie is a matter of rounding
    x1, n1, x2, n2 = np.array(samples).T
    assert rejections((x1, n1), (x2, n2)) == sum(own < Fraction(1, 20) for own in p)


@many
@given(st.lists(st.fractions(0, 1, max_denominator=50), min_size=1, max_size=8))
def test_holm_lies_between_the_p_values_and_bonferroni(p):
    adjusted = world.holm(p)
    assert all(a <= b <= min(1, len(p) * a) for a, b in zip(p, adjusted, strict=True))
    assert min(adjusted) == min(1, len(p) * min(p))
    ranked = sorted(zip(p, adjusted, strict=True))
    assert [b for _, b in ranked] == sorted(adjusted)


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_trend_p_values_by_all_orders(n):
    values = list(range(n))
    for order in list(permutations(values))[:: max(1, n)]:
        falling = [sum(o[i] > o[j] for j in range(n) for i in range(j)) for o in permutations(values)]
        own = sum(order[i] > order[j] for j in range(n) for i in range(j))
        assert world.falling_trend(order) == Fraction(sum(k >= own for k in falling), len(falling))


def test_ties_and_small_differences_count_against_a_trend():
    assert world.falling_trend([2, 2]) == 1
    assert world.falling_trend([5, 3, 1], blur=2) == Fraction(5, 6)
    assert world.falling_trend([5, 3, 1]) == Fraction(1, 6)


words = st.lists(st.sampled_from(["a", "B", "c", "dd", "x=1"]), max_size=12)


@many
@given(words, words, st.integers(1, 4))
def test_the_filter_finds_exactly_the_shared_windows(text, other, n):
    windows = {tuple(w.lower() for w in other[i : i + n]) for i in range(len(other) - n + 1)}
    shared = any(tuple(w.lower() for w in text[i : i + n]) in windows for i in range(len(text) - n + 1))
    assert world.is_caught("  ".join(text), ["nothing", "\n".join(other)], n) == shared


@few
@given(st.integers(0, 9), st.integers(1, 5), st.fractions(0, 1, max_denominator=9))
def test_runs_by_enumeration(L, n, r):
    total = Fraction(0)
    for kept in product((0, 1), repeat=L):
        if any(all(kept[i : i + n]) for i in range(L - n + 1)):
            total += (1 - r) ** sum(kept) * r ** (L - sum(kept))
    assert run_probability(L, n, r) == total


def test_the_tables_are_complete():
    table = _tables.results()
    assert len(set(table.models)) == 17
    assert min(table.drop) == Fraction(402, 100)
    months = _tables.months()
    assert len(months.models) == 7
    assert {len(values) for values in months.accuracies} == {12}


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no counts of right answers"):
        world.fisher(6, 5, 1, 5)
    with pytest.raises(ValueError, match="make no test"):
        world.fisher_limits(0, 5)
    with pytest.raises(ValueError, match="make no test"):
        world.fisher_limits(5, 5, Fraction(1))
    with pytest.raises(ValueError, match="at least one word"):
        world.is_caught("a b", ["a b"], 0)
    with pytest.raises(ValueError, match="not the smallest ones"):
        world.rejected_counts((0, 2, 0), 1, 1)
