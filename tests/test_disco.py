"""Definitions and references of disco-difficulty-bias: bad input, extremal instances, other ways to compute."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claims.disco_difficulty_bias import world
from verify import certify
from verify.errors import CertificateError

few = settings(max_examples=40, deadline=None)
HALF = [Fraction(1, 2)] * 2
AB = [("a", world.END), (world.END,)]

probabilities = st.integers(1, 99).map(lambda x: Fraction(x, 100))


@st.composite
def distributions(draw: st.DrawFn, least: int = 2, most: int = 5) -> np.ndarray:
    """Floats whose sum is exactly 1, none very small."""
    weights = draw(st.lists(st.floats(0.05, 1), min_size=least, max_size=most))
    return certify.convex_weights(weights)


# --- questions ----------------------------------------------------------------------------------------------


def test_a_question_has_the_ratios_of_its_tokens() -> None:
    answers = [("a", "a", world.END), ("a", world.END), (world.END,)]
    old, new = (
        [Fraction(1, 4), Fraction(1, 4), Fraction(1, 2)],
        [Fraction(3, 8), Fraction(1, 8), Fraction(1, 2)],
    )
    q = world.question(answers, old, new, [1, 0, 0])
    assert q.p == Fraction(1, 4)
    assert q.ratios == [[1, Fraction(3, 2), 1], [1, Fraction(1, 2)], [1]]
    for ratios, before, after in zip(q.ratios, old, new, strict=True):
        assert math.prod(ratios) == after / before


@pytest.mark.parametrize(
    ("answers", "old", "new", "rewards", "what"),
    [
        (AB, HALF, HALF, [1], "one entry an answer"),
        ([("a",), ("a", world.END)], HALF, HALF, [1, 0], "beginning of another"),
        (AB, [Fraction(1, 2), Fraction(1, 3)], HALF, [1, 0], "old is no positive distribution"),
        (AB, HALF, [Fraction(0), Fraction(1)], [1, 0], "new is no positive distribution"),
        (AB, [0.5, 0.6], [0.5, 0.5], [1, 0], "no positive distribution"),
        (AB, HALF, HALF, [1, 1], "answers of both kinds"),
        (AB, HALF, HALF, [2, 0], "rewards are 0 and 1"),
    ],
)
def test_what_is_no_question_is_refused(answers, old, new, rewards, what) -> None:
    with pytest.raises(ValueError, match=what):
        world.question(answers, old, new, rewards)


@given(st.fractions(0, 3), st.fractions(-2, 2), st.fractions(0, 1), st.fractions(0, 1))
@few
def test_clipping_is_concave_and_below_the_plain_score(ratio, advantage, low, high) -> None:
    value = world.clipped(ratio, advantage, low, high)
    assert value <= ratio * advantage
    if 1 - low <= ratio <= 1 + high:
        assert value == ratio * advantage
    other = ratio / 2
    middle = world.clipped((ratio + other) / 2, advantage, low, high)
    assert 2 * middle >= value + world.clipped(other, advantage, low, high)


@given(st.integers(1, 9), st.integers(1, 9))
@few
def test_advantages_have_mean_zero_and_grpo_variance_one(a, b) -> None:
    p = Fraction(a * a, a * a + b * b)
    for method in world.METHODS:
        right, wrong = (world.advantages(method, r, p, world.root) for r in (1, 0))
        assert p * right + (1 - p) * wrong == 0
        if method == "grpo":
            assert p * right**2 + (1 - p) * wrong**2 == 1
        if method == "disco":
            assert (right, wrong) == (1 / p, -1 / (1 - p))


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="method is one of grpo, dr-grpo, disco"):
        world.advantages("dapo", 1, 0.5)


def test_roots_of_fractions() -> None:
    assert world.root(Fraction(9, 16)) == Fraction(3, 4)
    for square in (Fraction(1, 2), -1):
        with pytest.raises(ValueError, match="not the square"):
            world.root(square)


def test_groups_are_all_groups() -> None:
    policy = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)]
    chances = {tuple(counts.tolist()): chance for counts, chance in world.groups(policy, 3)}
    direct = dict.fromkeys(chances, Fraction(0))
    for group in itertools.product(range(3), repeat=3):
        direct[tuple(group.count(o) for o in range(3))] += math.prod(policy[o] for o in group)
    assert chances == direct
    with pytest.raises(ValueError, match="has rollouts"):
        list(world.groups(policy, 0))


# --- the soft maximum ---------------------------------------------------------------------------------------


@given(distributions(), st.integers(0, 2**32 - 1), st.sampled_from([Fraction(1, 5), 1, 10]))
@settings(max_examples=10, deadline=None)
def test_the_worst_case_is_the_soft_maximum(chances, seed, tau) -> None:
    scores = 2 * np.random.default_rng(seed).normal(size=len(chances))
    found = world.worst_case(scores, chances, tau)
    t = mpmath.mpf(tau.numerator) / tau.denominator
    with mpmath.workdps(40):
        total = sum(
            mpmath.mpf(P) * mpmath.exp(mpmath.mpf(s) / t) for s, P in zip(scores, chances, strict=True)
        )
        assert found.value.lower <= t * mpmath.log(total) <= found.value.upper
    assert found.value.width < 1e-7
    other = certify.convex_weights(np.ones(len(chances)))
    assert world.regularised(scores, chances, tau, other).lower <= found.value.upper


@pytest.mark.parametrize(
    ("scores", "chances", "tau"),
    [
        ([0.0, 1.0], [0.5, 0.6], 1),
        ([0.0, 1.0], [1.0, 0.0], 1),
        ([0.0, 1.0], [0.5, 0.5], 0),
        ([0.0, 1.0, 2.0], [0.5, 0.5], 1),
        ([0.0, np.nan], [0.5, 0.5], 1),
    ],
)
def test_what_is_no_soft_maximum_is_refused(scores, chances, tau) -> None:
    with pytest.raises(ValueError, match=r"needed|positive"):
        world.worst_case(scores, chances, tau)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.data())
@few
def test_third_moments_are_at_most_their_bound(values, data) -> None:
    size = len(values)
    weights = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=size, max_size=size)))
    weights /= weights.sum()
    x = np.array(values)
    third = abs(weights @ (x - weights @ x) ** 3)
    assert third <= (x.max() - x.min()) ** 3 / (6 * 3**0.5) + 1e-15


def test_the_bound_on_third_moments_is_attained() -> None:
    p = (3 - 3**0.5) / 6
    assert p * (1 - p) * (1 - 2 * p) == pytest.approx(1 / (6 * 3**0.5))


# --- a policy near the old one ------------------------------------------------------------------------------


@given(probabilities, st.sampled_from([Fraction(1, 1000), Fraction(1, 10)]), st.sampled_from([10, 1000]))
@few
def test_closed_forms_solve_their_equations(p, delta, beta) -> None:
    best, hinged = world.constrained(p, delta), world.penalised(p, delta, beta)
    assert best.divergence.lower <= delta <= best.divergence.upper
    over = 2 * beta * (hinged.divergence - delta)
    assert over.lower <= hinged.multiplier.upper
    assert hinged.multiplier.lower <= over.upper
    assert hinged.divergence.lower > delta  # the hinge always gives way
    assert hinged.value.lower > best.value.upper
    assert hinged.multiplier.upper < best.multiplier.lower  # the value is strictly concave in delta


@given(distributions(least=3), st.integers(1, 2), st.sampled_from([Fraction(1, 100), Fraction(1, 5)]))
@settings(max_examples=10, deadline=None)
def test_the_conic_program_has_the_closed_form(old, correct, delta) -> None:
    p, _ = world.rates(old, correct)
    program, closed = world.best_value(old, correct, delta), world.constrained(p, delta).value
    assert program.lower <= closed.upper
    assert closed.lower <= program.upper
    assert program.width < 1e-6


@given(distributions(least=3), distributions(least=5, most=5), st.sampled_from([1, 100]))
@few
def test_the_gap_of_a_policy_bounds_what_it_misses(old, policy, beta) -> None:
    policy = certify.convex_weights(policy[: len(old)])
    delta = Fraction(1, 50)
    p, _ = world.rates(old, 1)
    hinged, own = world.penalised(p, delta, beta), world.measured(policy, old, 1, delta, beta)
    missed = objective(hinged, delta, beta) - objective(own, delta, beta)
    assert missed.lower <= own.gap.upper
    assert abs(own.divergence - hinged.divergence).lower <= own.near.upper


def objective(x, delta, beta):
    over = x.divergence - delta
    return x.value - beta * over * over if over.lower > 0 else x.value


def test_proportions_are_the_conditional_policies() -> None:
    shares = world.proportions(certify.convex_weights([1.0, 3.0, 2.0, 2.0]), 2)
    assert shares.lower.tolist() == [Fraction(1, 4), Fraction(3, 4), Fraction(1, 2), Fraction(1, 2)]


def test_ascent_with_a_fixed_weight_has_a_first_order_condition() -> None:
    old = certify.convex_weights([1.0, 2.0, 3.0])
    weight = 3.0
    policy = world.penalised_ascent(old, 1, 0.01, 1.0, fixed=weight)
    _, w = world.rates(old, 1)
    slopes = w.astype(float) + weight * old / policy
    assert slopes == pytest.approx(slopes.mean(), abs=1e-5)


def test_bad_tables_are_refused() -> None:
    for old, correct in (([0.5, 0.6], 1), ([0.5, 0.5], 2), ([0.5, 0.5], 0), ([1.0, 0.0], 1)):
        with pytest.raises(ValueError, match="positive distribution"):
            world.rates(old, correct)
    with pytest.raises(ValueError, match="between 0 and 1"):
        world.constrained(Fraction(1), Fraction(1, 10))
    with pytest.raises(ValueError, match="finite"):
        world.points([np.inf])
    for delta, beta in ((Fraction(-1, 10), 1), (Fraction(1, 10), 0)):
        with pytest.raises(ValueError, match="not negative"):
            world.penalised(Fraction(1, 3), delta, beta)
    old = certify.convex_weights([0.5, 0.5])
    with pytest.raises(CertificateError, match="no feasible policy"):
        world.feasible(np.array([1.0, 0.0]), old, Fraction(-1))
