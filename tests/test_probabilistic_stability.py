"""World and helpers of sgd-probabilistic-stability, against mpmath, brute force and closed forms."""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import prod

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq

from claims.sgd_probabilistic_stability import (
    _comparison,
    _uniform,
    divergence_in_phase_three,
    isotropic_noise_repels,
    world,
)
from verify import Record

few = settings(max_examples=30, deadline=None)
SADDLE = world.law(["1.6", "-2"])

curvatures = st.fractions(min_value=-5, max_value=5, max_denominator=50)
rates = st.fractions(min_value=Fraction(1, 50), max_value=3, max_denominator=50)
levels = st.fractions(min_value=Fraction(1, 1000), max_value=20, max_denominator=1000)


@st.composite
def laws(draw, most=4):
    values = draw(st.lists(curvatures, min_size=1, max_size=most, unique=True))
    parts = draw(st.lists(st.integers(1, 9), min_size=len(values), max_size=len(values)))
    return world.law(values, [Fraction(part, sum(parts)) for part in parts])


@st.composite
def two_points(draw):
    values = draw(st.lists(curvatures, min_size=2, max_size=2, unique=True))
    weight = Fraction(draw(st.integers(1, 9)), 10)
    return world.law(values, [weight, 1 - weight])


def contains(interval, value):
    return mpmath.mpf(interval.lower) <= value <= mpmath.mpf(interval.upper)


# --- laws -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "weights", "message"),
    [
        ([], None, "are empty"),
        (["a"], None, "sequence of finite numbers"),
        ([1.0, float("nan")], None, "sequence of finite numbers"),
        ([1, 2], ["0.5"], "as many weights"),
        ([1, 2], ["0.5", "0.6"], "sum 1"),
        ([1, 2], [0, 1], "positive"),
    ],
)
def test_a_law_needs_values_and_weights(values, weights, message):
    with pytest.raises(ValueError, match=message):
        world.law(values, weights)


@few
@given(two_points(), st.integers(1, 6))
def test_batches_keep_the_mean_and_divide_the_variance(law, size):
    batch = world.batch_mean(law, size)
    assert sum(batch.weights) == 1
    assert world.mean(batch) == world.mean(law)
    variance = world.mean(law, 2) - world.mean(law) ** 2
    assert world.mean(batch, 2) - world.mean(batch) ** 2 == variance / size


def test_batches_need_two_points():
    with pytest.raises(ValueError, match="two points are needed"):
        world.batch_mean(world.law([1]), 2)


def test_sampling_follows_the_weights():
    law = world.law([1, -3], ["0.9", "0.1"])
    drawn = world.sampled(np.random.default_rng(0), law, (100, 200))
    assert set(np.unique(drawn)) == {-3.0, 1.0}
    assert (drawn == 1).mean() == pytest.approx(0.9, abs=0.015)


# --- exponents and moments ------------------------------------------------------------------------------


@few
@given(laws(), rates)
def test_exponents_and_moments_enclose_those_of_mpmath(law, rate):
    exponent, moment = world.exponent(law, [rate])[0], world.moment(law, [rate], Fraction(1, 3))[0]
    size = world.factors(law, [rate])[0]
    with mpmath.workdps(60):
        if 0 in size:
            assert exponent.upper == -np.inf
        else:
            logs = [mpmath.log(mpmath.mpf(f.numerator) / f.denominator) for f in size]
            total = sum(w.numerator * x / w.denominator for w, x in zip(law.weights, logs, strict=True))
            assert contains(exponent, total)
        third = sum(
            w.numerator * mpmath.cbrt(mpmath.mpf(f.numerator) / f.denominator) / w.denominator
            for w, f in zip(law.weights, size, strict=True)
        )
        assert contains(moment, third)


@few
@given(laws(), rates)
def test_the_mean_square_is_exact(law, rate):
    value = world.moment(law, [rate], 2)
    assert value.is_exact
    assert value.lower[0] == 1 - 2 * rate * world.mean(law) + rate**2 * world.mean(law, 2)


@pytest.mark.parametrize("order", [0, -1, Fraction(-1, 2)])
def test_moments_have_positive_order(order):
    with pytest.raises(ValueError, match="positive order"):
        world.moment(SADDLE, ["0.1"], order)


@few
@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 99))
@example(1, 50, 1)
def test_the_critical_order_lies_below_one_at_a_saddle(a, more, s):
    a, b = Fraction(a, 10), Fraction(a + more, 10)
    law, rate = world.law([a, -b]), 1 / a - Fraction(s, 100) / b
    root = world.critical_power(law, rate)
    assert 0 < root.lower <= root.upper < 1
    with mpmath.workdps(60):
        f, g = (mpmath.mpf(x.numerator) / x.denominator for x in world.factors(law, [rate])[0])
        low, high = (mpmath.mpf(x.numerator) / x.denominator for x in (root.lower, root.upper))
        assert f**low + g**low < 2 < f**high + g**high


@pytest.mark.parametrize(("values", "rate"), [(["1.6", "-2"], "0.1"), (["1", "0.5"], "0.5")])
def test_there_may_be_no_critical_order(values, rate):
    with pytest.raises(ValueError, match="no positive power"):
        world.critical_power(world.law(values), rate)


# --- exact laws of runs ---------------------------------------------------------------------------------


@few
@given(two_points(), rates, st.integers(1, 8), levels)
@example(SADDLE, Fraction(1, 8), 8, Fraction(1))
@example(world.law([1, -1]), Fraction(1), 5, Fraction(1, 100))
def test_collapse_agrees_with_all_sequences(law, rate, steps, level):
    size = world.factors(law, [rate])[0]
    expected = Fraction(0)
    for sequence in itertools.product(range(2), repeat=steps):
        if prod(size[j] for j in sequence) < level:
            expected += prod(law.weights[j] for j in sequence)
    value = world.collapse_probability(law, rate, steps, level)
    assert Fraction(value.lower) <= expected <= Fraction(value.upper)
    assert value.width <= 1e-15


@pytest.mark.parametrize(("steps", "level"), [(0, "0.1"), (5, 0), (5, "-1")])
def test_collapse_needs_steps_and_a_level(steps, level):
    with pytest.raises(ValueError, match="must be positive"):
        world.collapse_probability(SADDLE, "0.1", steps, level)


def test_collapse_needs_two_points():
    with pytest.raises(ValueError, match="two points"):
        world.collapse_probability(world.law([1, 2, 3]), "0.1", 5, "0.1")


@few
@given(st.integers(1, 200), st.integers(0, 201), st.integers(1, 9))
def test_binomial_tails(n, least, tenths):
    value = world.binomial_tail(Fraction(tenths, 10), n, least)
    assert value.middle == pytest.approx(stats.binom(n, tenths / 10).sf(least - 1), rel=1e-9, abs=1e-300)


def test_runs_are_products_of_factors():
    drawn = world.sampled(np.random.default_rng(0), SADDLE, (120, 7))
    logs = np.log(np.abs(1 - np.array([0.1, 0.9])[:, None, None] * drawn)).sum(axis=1)
    assert world.descend(drawn, [0.1, 0.9]) == pytest.approx(logs, rel=1e-12)


def test_walks_are_products_of_matrices():
    rng = np.random.default_rng(0)
    hessians = rng.normal(size=(4, 3, 3))
    index, start = rng.integers(4, size=(50, 6)), np.tile([1.0, 0.0, 0.0], (6, 1))
    found = world.walk(hessians, Record(index=index, start=start), 0.3)
    for run in range(6):
        delta = start[run]
        for j in index[:, run]:
            delta = delta - 0.3 * hessians[j] @ delta
        assert found[run] == pytest.approx(np.log(np.linalg.norm(delta)), rel=1e-10)


def test_resolution_covers_certainty():
    """A probability near 1 stays within the resolution of any count that it makes likely."""
    width = world.resolution(Fraction(99, 100), 300).upper
    least = int(stats.binom(300, 0.99).ppf(5e-7))
    lower = stats.beta(least, 301 - least).ppf(5e-7)
    assert 1 - lower >= width >= 0.99 - lower > 0


# --- the uniform law ------------------------------------------------------------------------------------


def test_uniform_exponent_is_the_integral():
    low, high, rate = Fraction("-3.3"), Fraction("2.9"), Fraction("0.3")
    value = _uniform.exponent(low, high, [rate])[0]
    with mpmath.workdps(40):
        a, b = (mpmath.mpf(x.numerator) / x.denominator for x in _uniform.ends(low, high, rate))
        assert contains(value, mpmath.quad(mpmath.log, [a, b]) / (b - a))


def test_uniform_collapse_holds_the_frequency_of_many_runs():
    low, high, rate = Fraction("-3.3"), Fraction("2.9"), Fraction("0.15")
    bracket = _uniform.collapse_probability(low, high, rate, 300, Fraction(1, 10))
    drawn = np.random.default_rng(0).uniform(-3.3, 2.9, size=(300, 20_000))
    share = (world.descend(drawn, [0.15]) < np.log(0.1)).mean()
    assert bracket.lower - 0.02 < share < bracket.upper + 0.02
    assert bracket.width < 0.25


def test_uniform_law_must_not_reach_zero():
    with pytest.raises(ValueError, match="reaches 0"):
        _uniform.exponent(Fraction(-1), Fraction(3), [Fraction(1, 2)])


# --- the full dynamics ----------------------------------------------------------------------------------


@few
@given(
    st.fractions(min_value=Fraction(1, 20), max_value=Fraction(3, 4), max_denominator=40),
    st.fractions(min_value=Fraction(-9, 10), max_value=Fraction(-1, 10), max_denominator=20),
    st.lists(st.booleans(), min_size=1, max_size=12),
    st.floats(0, 1),
)
def test_dominated_runs_stay_below_the_linear_one(rate, a, noisy, where):
    if not _comparison.is_dominated(rate, a):
        return
    p = where * np.sqrt(16 * (1 + float(rate)) ** 3 / (27 * float(rate)))
    for flag in noisy:
        y = float(a) if flag else 1.0
        step = p * (1 + float(rate) * (y - p * p / 4))
        assert abs(step) <= abs(p) * (1 + float(rate) * y) * (1 + 1e-12)
        p = step


def test_domination_is_sharp():
    """At the largest rate a run reaches the point from which the noisy label overshoots as far as it may."""
    a = -0.8
    rate = brentq(lambda x: 2 * (1 + x) ** 3 - 27 * (1 + a * x), 0.1, 1)
    p = np.sqrt(4 * (1 + rate) / (3 * rate))
    p = p * (1 + rate * (1 - p * p / 4))
    assert abs(1 + rate * (a - p * p / 4)) == pytest.approx(1 + rate * a, rel=1e-9)
    assert _comparison.is_dominated(Fraction(rate - 1e-9), Fraction(a))
    assert not _comparison.is_dominated(Fraction(rate + 1e-9), Fraction(a))


@pytest.mark.parametrize("rate", ["0.05", "0.15", "0.2"])
def test_a_run_from_the_least_start_of_an_excursion_meets_the_bound(rate):
    """The smallest factor is met at the largest p, by the noisy label; below the radius all factors are as stated."""
    rate, a = Fraction(rate), Fraction(-4, 5)
    largest = 4 * (1 + rate) ** 3 / (27 * rate)
    least = 1 + rate * a - 4 * (1 + rate) ** 3 / 27
    grid = [largest * k / 50 for k in range(51)]
    assert min(abs(1 + rate * (y - s)) for s in grid for y in (1, a)) == least == 1 + rate * (a - largest)
    k, radius = _comparison._power(rate, a, Fraction(1, 64)), Fraction(1, 4)
    mean = np.mean([float(1 + rate * (y - radius**2 / 4)) ** -float(k) for y in (1, a)])
    assert 1 - 1e-3 < mean < 1
    bound = _comparison.excursion(rate, a, radius, Fraction(1, 2))
    assert bound.middle == pytest.approx(0.5 ** float(k), rel=1e-12)


def test_an_excursion_begins_below_the_start():
    """From smaller starts fewer radii serve."""
    args = Fraction(1, 10), Fraction(-4, 5), 1000, Fraction(1, 10**12)
    bounds = [_comparison.collapse_in_phase_one(*args, Fraction(1, n)).upper for n in (1, 3, 30, 300)]
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[-1]
    with pytest.raises(ValueError, match="no excursion bound"):
        _comparison.collapse_in_phase_one(*args, Fraction(1, 2**12))


def test_bounds_refuse_the_other_phase():
    level = Fraction(1, 10**6)
    with pytest.raises(ValueError, match="no excursion bound"):
        _comparison.collapse_in_phase_one(Fraction(1, 2), Fraction(-4, 5), 100, level, 1)
    with pytest.raises(ValueError, match="may rise above"):
        _comparison.collapse_below_linear(Fraction(1), Fraction(-4, 5), 100, level, 1)


def test_two_layers_follow_the_gradient():
    labels = np.random.default_rng(0).normal(size=(20, 3))
    u, w, kept = world.descend_two_layers(labels, [0.1], (0.3, 0.5), keep=[0, 20])
    a, b = np.full(3, 0.3), np.full(3, 0.5)
    for y in labels:
        a, b = a - 0.1 * (a * b - y) * b, b - 0.1 * (a * b - y) * a
    assert u[0] == pytest.approx(a, rel=1e-12)
    assert w[0] == pytest.approx(b, rel=1e-12)
    assert kept["u"].shape == (1, 1, 3)


def test_escapes_agree_with_exact_sequences():
    rate, a, length = Fraction(7, 5), Fraction(-4, 5), 4
    radius, count = (3 + rate) / rate, 0
    for sequence in itertools.product((Fraction(1), a), repeat=length):
        s = (1 + a) / 2
        for y in sequence:
            s = s * (1 + rate * (y - s)) ** 2
            if s >= radius:
                count += 1
                break
    assert divergence_in_phase_three._counted(rate, a, length)[-1] == Fraction(count, 2**length)


# --- isotropic noise ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [2, 3])
def test_isotropic_exponents_have_closed_forms(dimension):
    rate, m = Fraction(2, 5), isotropic_noise_repels.DESCENT
    value = isotropic_noise_repels.exponent(dimension, rate)
    with mpmath.workdps(40):
        scale, total = 1 + mpmath.mpf(2) / 5 / 200, mpmath.mpf(0)
        for g in (2, -2):
            kick = mpmath.mpf(2) / 5 * g / scale
            beta = 2 * kick - kick**2
            if dimension == 2:
                total += 2 * mpmath.log(1 - kick / 2) / 4
            else:
                root = mpmath.sqrt(mpmath.mpc(beta))
                total += mpmath.re(mpmath.log(1 - beta) - 2 + mpmath.log((1 + root) / (1 - root)) / root) / 4
        assert m == Fraction(1, 200)
        assert contains(value, mpmath.log(scale) + total)
