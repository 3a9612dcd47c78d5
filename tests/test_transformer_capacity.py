"""Transformer memory capacity: entropies against brute force, exact attention and ranks against floats."""

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claims.transformer_memory_capacity import (
    _exact,
    _levenberg,
    _network,
    attention_is_injective,
    constructive_lower_bound,
    world,
)
from verify import Record, certify, exact

few = settings(max_examples=30, deadline=None)
corpora = st.lists(st.lists(st.integers(0, 2), max_size=5), min_size=1, max_size=12)


# --- documents ----------------------------------------------------------------------------------------------


def by_hand(documents):
    """H straight from the definition, position by position: -sum log(N_cg / N_c)."""
    pairs = [(tuple(d[:t]), d[t]) for d in documents for t in range(1, len(d))]
    N, total = Counter(pairs), Counter(context for context, _ in pairs)
    return -sum(math.log(N[pair] / total[pair[0]]) for pair in pairs)


@few
@given(corpora)
def test_conditional_entropy_is_the_mean_surprise_summed(documents):
    H = world.conditional_entropy(documents)
    assert pytest.approx(by_hand(documents), abs=1e-12) == H
    assert 0 <= H <= sum(max(len(d) - 1, 0) for d in documents) * math.log(3) + 1e-12


@few
@given(corpora.filter(lambda documents: any(len(d) > 1 for d in documents)))
def test_the_enclosure_of_the_entropy_holds_the_float(documents):
    enclosed = world.entropy(world.context_counts(documents))
    assert enclosed.lower - 1e-12 <= world.conditional_entropy(documents) <= enclosed.upper + 1e-12
    coarse = world.entropy(world.context_counts(documents, key=lambda c: c[-1]))
    assert coarse.upper >= enclosed.lower


def test_conditional_entropy_by_example():
    assert world.conditional_entropy([[0, 0], [0, 1]]) == pytest.approx(2 * math.log(2))
    assert world.conditional_entropy([[0, 1, 1], [0, 1, 0], [1, 0]]) == pytest.approx(2 * math.log(2))
    assert world.conditional_entropy([[3, 1, 4, 1, 5]]) == 0.0
    assert world.conditional_entropy([[7], []]) == 0.0  # nothing is predicted
    assert world.conditional_entropy(np.array([[0, 0], [0, 1]])) == pytest.approx(2 * math.log(2))
    assert isinstance(world.conditional_entropy([[0, 1]]), float)


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "no documents"),
        ("abc", "a list of token lists, not str"),
        (3, "a list of token lists, not int"),
        ([1, 2], "document 0 must be a list of tokens"),
        ([[0, 1], "ab"], "document 1 must be a list of tokens"),
        ([[0, 1.0]], "document 0 holds 1.0; tokens are integers"),
        ([[0], [True]], "document 1 holds True"),
        ([[0, None]], "document 0 holds None"),
        ([[[0], [1]]], "document 0 holds"),
    ],
)
def test_bad_documents_are_refused(documents, message):
    with pytest.raises(ValueError, match=message):
        world.conditional_entropy(documents)


def test_counts_and_predictions_number_contexts_alike():
    documents = world.markov_documents(np.random.default_rng(0), 30, 3, 5, shortest=2)
    assert {len(d) for d in documents} <= {2, 3, 4, 5}
    table = world.count_table(world.context_counts(documents), 3)
    found = np.zeros_like(table)
    np.add.at(found, world.predictions(documents), 1)
    assert np.array_equal(found, table)


def test_words_parameters_and_moebius():
    assert len(world.words(3, 4)) == len(set(world.words(3, 4))) == 3 + 9 + 27 + 81
    assert world.parameters(3, 4, 9) == 12 + 16 + 9 * 5 + 2 * 10
    assert [world.mobius(n) for n in range(1, 13)] == [1, -1, -1, 0, -1, 1, -1, 0, 0, 1, -1, 0]


def test_mixed_words_hold_all_short_ones_and_some_of_every_length():
    found = world.mixed_words(np.random.default_rng(6), 3, 5, 2, 20)
    assert len(found) == len(set(found)) == 20
    assert set(world.words(3, 2)) <= set(found)
    assert {len(c) for c in found} == {1, 2, 3, 4, 5}


# --- exact arithmetic ---------------------------------------------------------------------------------------


@few
@given(st.integers(0, 2**32 - 1))
def test_rational_attention_is_softmax_attention(seed):
    rng = np.random.default_rng(seed)
    point, contexts = _exact.integer_point(rng, 3, 3, 2), world.words(3, 3)
    A = math.log(_exact.BASE) * point.A.T  # scores are x A x_t there, x . (A x_t) here
    softmax = _levenberg.attention(point.E, A.T, point.P, *_levenberg.padded(contexts))
    assert np.allclose(
        _exact.floats(_exact.attention_outputs(contexts, point)), softmax, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize(("tokens", "longest"), [(2, 4), (3, 3), (4, 4)])
def test_collision_counts_against_enumeration(tokens, longest):
    words = world.words(tokens, longest)
    proportions = {(c[-1], tuple(Fraction(c.count(a), len(c)) for a in range(tokens))) for c in words}
    claimed = attention_is_injective.endings_and_proportions(tokens, longest)
    assert claimed.lower == len(proportions)
    assert attention_is_injective.multisets(tokens, longest).lower == len({tuple(sorted(c)) for c in words})
    assert attention_is_injective.words(tokens, longest).lower == len(words)


def test_modular_rank_is_a_rank():
    rng = np.random.default_rng(0)
    A = (rng.integers(-5, 6, size=(9, 4)) @ rng.integers(-5, 6, size=(4, 7))).astype(object)
    assert _exact.modular_rank(A) == _exact.integer_rank(A) == np.linalg.matrix_rank(A.astype(float)) == 4
    assert _exact.modular_rank(_exact.PRIME * A) == 0  # a rank modulo a prime may be smaller


def test_no_square_is_minus_one():
    assert _exact.PRIME % 4 == 3
    value, slope = _exact.rational_activation(np.array([0, 1, 2], dtype=object))
    assert [v * w % _exact.PRIME for v, w in zip(value.tolist(), (1, 2, 5), strict=True)] == [1, 1, 1]
    assert slope[0] == 0


def test_derivatives_against_differences():
    rng = np.random.default_rng(3)
    tokens, T, d, m, context = 3, 4, 2, 5, (1, 0, 1, 2)
    shapes = {"E": (tokens, d), "A": (d, d), "W": (m, d), "b": (m,), "V": (tokens - 1, m), "c": (tokens - 1,)}
    theta, P = {name: rng.normal(size=shape) for name, shape in shapes.items()}, rng.normal(size=(T, d))
    boxed = Record(P=_exact.in_balls(P), **{name: _exact.in_balls(value) for name, value in theta.items()})
    f, rows = _exact.derivatives(context, boxed, _exact.ball_weights(boxed.A), _exact.ball_gelu)
    assert np.allclose(f.astype(float), _network.log_odds(theta, P, [context])[0], atol=1e-12)
    column = 0
    for name in _exact.NAMES:
        for index in np.ndindex(shapes[name]):
            up, down = ({**theta, name: theta[name].copy()} for _ in range(2))
            up[name][index] += 1e-5
            down[name][index] -= 1e-5
            change = _network.log_odds(up, P, [context])[0] - _network.log_odds(down, P, [context])[0]
            assert np.allclose(change / 2e-5, rows[:, column].astype(float), atol=1e-7), (name, index)
            column += 1
    assert column == rows.shape[1] == world.parameters(tokens, d, m)


def test_generic_rank_is_all_that_parameters_and_contexts_allow():
    contexts, rng = world.words(3, 3), np.random.default_rng(0)
    for m in (4, 12, 13, 20):
        assert _exact.generic_rank(rng, contexts, 3, 2, m) == min(2 * 39, world.parameters(3, 2, m))
    # linear maps that fix the differences of 3 positions: 3 dimensions of them if d = 3
    assert _exact.generic_rank(rng, contexts, 3, 3, 4) == world.parameters(3, 3, 4) - 3


def test_gelu_rank_counts_distinct_outputs():
    rng, contexts = np.random.default_rng(1), world.words(3, 2)
    outputs = _exact.attention_outputs(contexts, _exact.integer_point(rng, 3, 2, 2))
    weights = rng.normal(size=(12, 2)) / np.std(_exact.floats(outputs))
    assert _exact.gelu_rank(outputs, weights, np.arange(12)) == 12
    assert _exact.gelu_rank([*outputs[:5], *outputs[:5]], weights, np.arange(12)) == 5


# --- interpolation ------------------------------------------------------------------------------------------


def test_elimination_stays_within_its_bound():
    rng = np.random.default_rng(2)
    Phi, Z = rng.normal(size=(9, 6)), rng.normal(size=(2, 6))
    head = constructive_lower_bound.by_elimination(Phi, Z)
    error = abs(certify.product(head.V, Phi[head.rows]) - Z)
    assert np.all(error.upper <= head.left.upper)
    assert head.left.upper.max() < 1e-12


def test_null_vectors_are_annihilated():
    Phi = np.random.default_rng(4).normal(size=(4, 6))
    null = constructive_lower_bound.null_space(Phi)
    assert sorted([*null.basic, *null.free]) == list(range(6))
    for j, column in enumerate(null.free):
        image = Phi[:, null.basic] @ null.basic_part[j].middle + Phi[:, column]
        assert np.abs(image).max() < 1e-12


def test_the_least_divergence_is_attained_by_realisable_targets():
    rng = np.random.default_rng(5)
    Phi, V = rng.normal(size=(3, 8)), rng.normal(size=(2, 3))
    assert np.allclose(constructive_lower_bound.least_divergence(Phi, V @ Phi), V, atol=1e-6)
    pi = constructive_lower_bound.distributions(exact(np.zeros((2, 4), dtype=int).astype(object)))
    assert all(np.all((p.lower <= 1 / 3) & (p.upper >= 1 / 3)) for p in pi)


def test_padded_contexts():
    tokens, lengths = _levenberg.padded([(2,), (1, 0, 2)])
    assert tokens.tolist() == [[2, 0, 0], [1, 0, 2]]
    assert lengths.tolist() == [1, 3]
    same = [tuple(c) for c in itertools.product((0, 1), repeat=2)]
    assert _levenberg.padded(same)[0].shape == (4, 2)
