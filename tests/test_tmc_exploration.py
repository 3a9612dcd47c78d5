"""The paper on exploration in layered chains: its world, its dynamics, and what the claims rest on."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claims.tmc_exploration import _dynamics, world
from claims.tmc_exploration.rejection_is_pass_at_k_ascent import derivative
from verify import train

some = settings(max_examples=30, deadline=None)


@st.composite
def chains(draw):
    sizes = draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    return world.random_chain(rng, sizes)


@st.composite
def laws(draw, n=4):
    weights = draw(st.lists(st.integers(0, 9), min_size=n, max_size=n).filter(any))
    return np.array([Fraction(w, sum(weights)) for w in weights])


# --- world ------------------------------------------------------------------------------------------------


@some
@given(chains())
def test_path_law_is_a_law_in_the_order_of_paths(chain):
    law, steps = world.path_law(chain, 0), world.paths(chain, 0)
    assert law.sum() == 1
    for p, path in zip(law, steps, strict=True):
        assert p == np.prod([k[x, y] for k, x, y in zip(chain, path[:-1], path[1:], strict=True)])


def test_the_authors_table():
    acc, law = world.correctness(world.authors_chain(), 0, 0)
    easy, rare = Fraction(50, 121), Fraction(100, 1331)
    assert law[acc > 0].tolist() == [easy, rare, easy / 100, rare]
    assert acc.sum() == 1


@some
@given(chains(), st.integers(0, 10**6))
def test_doob_transform_tilts_the_path_law(chain, seed):
    factor = np.array(
        [Fraction(int(k)) for k in np.random.default_rng(seed).integers(1, 9, size=chain[-1].shape[1])]
    )
    tilted, h = world.doob_transform(chain, factor)
    law = world.path_law(chain, 0) * factor[world.paths(chain, 0)[:, -1]]
    assert (world.path_law(tilted, 0) == law / law.sum()).all()
    assert h[0] == law.sum()
    assert all((kernel.sum(axis=1) == 1).all() for kernel in tilted)


@some
@given(laws(), st.lists(st.integers(0, 2), min_size=4, max_size=4), st.integers(1, 4))
def test_best_of_n_is_what_enumeration_says(law, reward, n):
    chance = [Fraction(0)] * 4
    for drawn in product(range(4), repeat=n):
        chance[max(drawn, key=lambda o: reward[o])] += np.prod(law[list(drawn)])
    found = world.best_of_n_law(law, np.array(reward), n)
    assert [found[o] if law[o] else 0 for o in range(4)] == chance


@some
@given(laws(), laws(), st.integers(1, 5))
def test_pass_at_k_is_concave_and_grows_with_k(p, q, k):
    members, weights = world.instances(np.array([Fraction(1, 2), Fraction(1, 3), Fraction(0), Fraction(1)]))
    assert len(members) == 4
    assert weights.sum() == 1
    middle, *ends = (world.pass_at_k(law, members, weights, k) for law in ((p + q) / 2, p, q))
    assert middle >= sum(ends) / 2
    assert world.pass_at_k(p, members, weights, k + 1) >= ends[0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: world.paths(world.authors_chain(), 2), "start 2"),
        (lambda: world.path_law([np.array([[0.5, 0.6]])], 0), "no probabilities"),
        (lambda: world.path_law([np.ones((1, 1)), np.ones((2, 1))], 0), "another number of states"),
        (lambda: world.path_law([], 0), "non-empty"),
        (lambda: world.correctness(world.authors_chain(), 0, 5), "target 5"),
        (lambda: world.instances([0.5, 1.5]), "probabilities"),
        (lambda: world.pass_at_k(np.ones(2) / 2, np.eye(3), np.ones(3) / 3, 1), "members"),
        (lambda: world.pass_at_k(np.ones(3) / 3, np.eye(3), np.ones(3) / 3, 0), "K >= 1"),
        (lambda: world.doob_transform(world.authors_chain(), [1.0, 0.0]), "positive"),
        (lambda: world.best_of_n_law([0.5, 0.5], [1], 2), "one length"),
        (lambda: world.best_of_n_law([0.5, 0.5], [1, 0], 0), "n >= 1"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# --- dynamics ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", _dynamics.METHODS)
def test_the_expected_update_is_the_mean_of_sampled_ones(method):
    """One step of many runs from the paper's chain, in units of the rate."""
    train.use_jax()
    start = np.broadcast_to(_dynamics.logits(world.authors_chain()), (2_000, 3, 2, 2))
    moved = _dynamics.sampled(np.random.default_rng(0), start, method, rate=1.0, steps=1, pool=None) - start
    mean = _dynamics.expected(method, rate=1.0, steps=1) - start[0]
    assert np.abs(moved.mean(axis=0) - mean).max() < 6 * moved.std() / np.sqrt(len(moved)) + 1e-3


def test_pretraining_learns_the_chain():
    train.use_jax()
    theta = _dynamics.pretrained(np.random.default_rng(0), 40)
    exact = _dynamics.proportions(_dynamics.logits(world.authors_chain()), "TASK1")
    assert np.abs(_dynamics.proportions(theta, "TASK1").mean(axis=0) - exact).max() < 0.05


def test_log_law_and_proportions_are_those_of_the_world():
    train.use_jax()
    theta = np.random.default_rng(0).normal(size=(3, 2, 2))
    law = np.exp(np.asarray(_dynamics.log_law(theta, 1)))
    assert np.allclose(law, world.path_law(_dynamics.kernels(theta), 1))
    easy, other, invalid = _dynamics.proportions(theta, "TASK2")
    assert np.isclose(easy, law[1])
    assert np.isclose(easy + other, law[1::2].sum())
    assert np.isclose(easy + other + invalid, 1)


@some
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=5))
def test_derivative_of_a_polynomial(coefficients):
    values = [sum(c * t**i for i, c in enumerate(coefficients)) for t in range(len(coefficients) + 1)]
    assert derivative(values) == (coefficients[1] if len(coefficients) > 1 else 0)


@some
@given(st.lists(st.floats(-2, 2), min_size=4, max_size=4), st.integers(1, 3))
def test_the_flow_keeps_the_two_invariants(theta, correct):
    """d(exp(-theta)) is the same for all correct paths, and logits move by 0 in sum."""
    pi = np.exp(theta) / np.exp(theta).sum()
    reward = np.arange(4) < correct
    speed = pi * (reward - pi[reward].sum())
    assert abs(speed.sum()) < 1e-14
    falls = (np.exp(-np.array(theta)) * speed)[reward]
    assert np.ptp(falls) < 1e-13
