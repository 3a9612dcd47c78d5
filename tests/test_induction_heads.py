"""World and closed forms of induction-head-transition, against brute force, autodiff and exact arithmetic."""

from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from claims.induction_head_transition import _criterion, _population, population_gradient_closed_form, world

few = settings(max_examples=20, deadline=None)
many = settings(max_examples=100, deadline=None)


@st.composite
def distributions(draw, lengths):
    """{length: fraction} on some of the lengths."""
    support = draw(st.lists(st.sampled_from(lengths), min_size=1, max_size=len(lengths), unique=True))
    weights = [draw(st.integers(1, 9)) for _ in support]
    return {k: Fraction(w, sum(weights)) for k, w in zip(sorted(support), weights, strict=True)}


def uniform(first, last):
    return {k: Fraction(1, last - first + 1) for k in range(first, last + 1)}


# --- the model and Algorithm 1 ----------------------------------------------------------------------------


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return world.sequences(rng, np.array([1, 3, 2, 4]), np.array([3, 1, 2, 4]), vocabulary=7, triggers=2)


def test_sequences_are_made_as_stated(batch):
    rng = np.random.default_rng(1)
    first, second = rng.integers(1, 5, (2, 50))
    made = world.sequences(rng, first, second, vocabulary=9, triggers=3)
    for z, l1, l2, T, o in zip(made.tokens, first, second, made.length, made.output, strict=True):
        assert l1 + l2 + 3 == T
        assert z[l1] == z[T - 1] < 3
        assert z[l1 + 1] == o
        assert (np.delete(z[:T], [l1, T - 1]) >= 3).all()


def test_every_sequence_comes_once():
    every = world.every_sequence(1, vocabulary=5, triggers=2)
    assert len(every.tokens) == len(np.unique(every.tokens, axis=0)) == 2 * 3**3
    assert (every.tokens[:, 1] == every.tokens[:, 4]).all()
    assert (every.tokens[:, 2] == every.output).all()


def embeddings(tokens, T, L, N):
    """x_t, straight from the definition, (T, D)."""
    X = np.zeros((T, L + 2 * N))
    for t in range(T):
        X[t, t] = X[t, L + tokens[t]] = 1
        if t:
            X[t, L + N + tokens[t - 1]] = 1
    return X


def test_sparse_embeddings_are_the_dense_ones(batch):
    X = world.Embedded(batch, 12, 7)
    rng = np.random.default_rng(2)
    weights, vectors = np.where(X.inside, rng.normal(size=X.inside.shape), 0), rng.normal(size=X.shape)
    combined, products = X.combined(weights), X.products(vectors)
    for m, (tokens, T) in enumerate(zip(batch.tokens, batch.length, strict=True)):
        dense = embeddings(tokens, T, 12, 7)
        np.testing.assert_allclose(combined[m], weights[m, :T] @ dense, atol=1e-12)
        np.testing.assert_allclose(products[m, :T], dense @ vectors[m], atol=1e-12)


def test_the_steps_are_gradients_of_the_loss(batch):
    dense = [embeddings(z, T, 12, 7) for z, T in zip(batch.tokens, batch.length, strict=True)]

    def loss(W_V, W_KQ):
        total = 0.0
        for X, o in zip(dense, batch.output, strict=True):
            attention = world.softmax(X @ W_KQ @ X[-1])
            total -= np.log(world.softmax(W_V @ (attention @ X))[o])
        return total / len(dense)

    X, rng = world.Embedded(batch, 12, 7), np.random.default_rng(3)
    W_V, V_zero, zero = rng.normal(size=(7, 26)), np.zeros((7, 26)), np.zeros((26, 26))
    h = 1e-5  # central differences: an error of some h^2
    for _ in range(20):
        E, F = rng.normal(size=(7, 26)), rng.normal(size=(26, 26))
        slope = (loss(h * E, zero) - loss(-h * E, zero)) / (2 * h)
        assert np.sum(E * world.value_step(X)) == pytest.approx(-slope, abs=1e-7)
        slope = (loss(W_V, h * F) - loss(W_V, -h * F)) / (2 * h)
        assert np.sum(F * world.attention_step(X, W_V)) == pytest.approx(-slope, abs=1e-7)
    assert not world.attention_step(X, V_zero).any()


def test_parts_of_a_batch_train_the_same_model():
    one, two = (
        world.trained(np.random.default_rng(4), uniform(1, 3), 8, 2, 100, (1.0, 1.0), at_once=size)
        for size in (100, 33)
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


# --- closed forms -------------------------------------------------------------------------------------------


@few
@given(distributions([1, 2]), st.integers(1, 2), st.integers(2, 3))
@example({3: Fraction(1)}, 1, 2)
def test_closed_forms_are_the_enumeration(lengths, triggers, others):
    N, L = triggers + others, world.positions(lengths)
    sequences = {k: world.every_sequence(k, N, triggers) for k in lengths}
    exact = population_gradient_closed_form.enumerated(lengths, sequences, N)
    assert (exact.first == _population.values(lengths, N, triggers, L)).all()
    assert (exact.second == _population.attention(lengths, N, triggers, L)).all()


def test_few_tokens_show_every_entry():
    lengths, L = uniform(2, 4), 12
    W = _population.attention(lengths, 9, 3, L)
    chosen = [*range(L), *(L + z for z in (0, 3, 4, 5)), *(L + 9 + z for z in (0, 3, 4, 5))]
    assert (W[np.ix_(chosen, chosen)] == _population.attention(lengths, 9, 3, L, shown=(1, 3))).all()


def least_margin(W, N, n, first, second):
    """`world.worst_margin` by all sequences."""
    L, T, least = len(W) - 2 * N, first + second + 3, np.inf
    for w, o, *rest in product(range(n), *[range(n, N)] * (first + second + 1)):
        z = [*rest[:first], w, o, *rest[first:], w]
        X = embeddings(z, T, L, N)
        scores = X @ W @ X[-1]
        least = min(least, *(scores[first + 1] - scores[t] for t in range(T) if z[t] != o))
    return least


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(4, 1), (5, 2)]))
def test_worst_margin_is_that_of_all_sequences(seed, sizes):
    N, n = sizes
    W = np.random.default_rng(seed).normal(size=(8 + 2 * N, 8 + 2 * N))
    pairs = [(1, 1), (1, 2), (2, 1), (3, 1), (1, 3)]
    expected = [least_margin(W, N, n, *pair) for pair in pairs]
    np.testing.assert_allclose(world.worst_margin(W, N, n, pairs), expected, atol=1e-12)


# --- the transition -----------------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(distributions([2, 3, 4, 5, 6]), st.integers(1, 9))
def test_the_criterion_is_the_margin_to_leading_order(lengths, triggers):
    N, pairs = 2**24, world.unequal_pairs(max(lengths))
    W = _population.attention(lengths, N, triggers, world.positions(lengths), shown=(1, 3))
    unit = _population.constants(lengths, N, triggers).sigma * _criterion.weights(lengths)[2] / triggers
    margin = min(world.worst_margin(W, 4, 1, pairs)) / unit
    crit = _criterion.sharp_criterion(lengths, triggers, pairs)
    assert abs(margin - crit) <= _criterion.remainder(lengths, N, triggers)


@settings(max_examples=40, deadline=None)
@given(distributions([2, 3, 4, 5, 6, 7, 8]), st.integers(2, 40))
@example(uniform(4, 20), 2)
@example(uniform(4, 5), 4)
def test_both_bounds_imply_the_sign_of_the_criterion(lengths, triggers):
    ratio = world.exact_ratio(lengths)
    below = ratio < _criterion.below(lengths, triggers)
    above = ratio > _criterion.above(lengths, triggers)
    assume(below or above)
    crit = _criterion.sharp_criterion(lengths, triggers, world.unequal_pairs(max(lengths)))
    assert crit > 0 if below else crit < 0


def test_a_small_vocabulary_has_no_remainder():
    with pytest.raises(ValueError, match="larger vocabulary"):
        _criterion.remainder(uniform(4, 9), 64, 4)


# --- library functions --------------------------------------------------------------------------------------


@many
@given(distributions(list(range(1, 30))))
def test_max_sum_ratio_lies_between_its_extremes(lengths):
    ratio = world.max_sum_ratio({k: float(q) for k, q in lengths.items()})
    assert ratio == pytest.approx(float(world.exact_ratio(lengths)), rel=1e-12)
    assert 1 / len(lengths) - 1e-12 <= ratio <= 1
    # Proposition 8: whatever is below 1/n has a mean squared length of at least n (n + 1) / 2
    n = floor(1 / world.exact_ratio(lengths))
    assert sum(q * k**2 for k, q in lengths.items()) >= Fraction(n * (n + 1), 2)


def test_max_sum_ratio_of_known_distributions():
    assert world.max_sum_ratio({7: 1.0}) == 1
    assert world.max_sum_ratio({k: k / 55 for k in range(1, 11)}) == pytest.approx(1 / 10)
    assert world.max_sum_ratio({1: Fraction(1, 2), 2: Fraction(1, 2), 9: 0}) == 2 / 3


@pytest.mark.parametrize(
    ("distribution", "message"),
    [
        ({}, "mapping"),
        ([0.5, 0.5], "mapping"),
        ({0: 1.0}, "positive integers"),
        ({1.5: 1.0}, "positive integers"),
        ({True: 1.0}, "positive integers"),
        ({3: float("nan")}, "probability of length 3"),
        ({3: -0.5, 4: 1.5}, "probability of length 3"),
        ({3: "1"}, "probability of length 3"),
        ({3: 0.5, 4: 0.4}, "sum to 0.9"),
    ],
)
def test_max_sum_ratio_refuses(distribution, message):
    with pytest.raises(ValueError, match=message):
        world.max_sum_ratio(distribution)


def test_ood_accuracy_on_both_sides_of_the_transition():
    assert world.ood_accuracy(4, 14, 15, samples=4096) < 0.2
    assert world.ood_accuracy(4, 4, 14) > 0.9
    assert world.ood_accuracy(2, 3, 4, samples=500, seed=3) == world.ood_accuracy(
        2, 3, 4, samples=500, seed=3
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"triggers": 0}, "triggers must be positive"),
        ({"shortest": 5, "longest": 5}, "must be below"),
        ({"shortest": 0}, "shortest must be positive"),
        ({"longest": 4.0}, "longest must be an integer"),
        ({"vocabulary": 5}, "fewer than two"),
        ({"samples": 0}, "samples must be positive"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"seed": True}, "seed must be an integer"),
    ],
)
def test_ood_accuracy_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        world.ood_accuracy(**({"triggers": 4, "shortest": 3, "longest": 6} | arguments))
