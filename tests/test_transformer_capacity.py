"""Transformer memory capacity: entropies against brute force, exact attention and ranks against floats."""

import itertools
import math
from collections import Counter
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from flint import fmpz
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, ndtr, rel_entr, softmax

from claims.transformer_memory_capacity import (
    _descent,
    _exact,
    _levenberg,
    _network,
    attention_is_injective,
    constructive_lower_bound,
    entropy_lower_bound,
    feature_rank,
    one_hot_targets,
    training_to_the_entropy_bound,
    world,
)
from verify import Record, certify, exact, rounding, train
from verify.errors import CertificateError

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


def test_training_a_table_ends_at_the_entropy():
    documents = [[0, g] for g in (0, 0, 0, 1, 2)] + [[1, g] for g in (0, 1, 1, 2)]
    losses = entropy_lower_bound.training(documents, 3).middle
    assert losses[0] == pytest.approx(9 * math.log(3))  # all alike to a table of zeros
    # gradients N_c p - N_cg end below 1e-9, hence log(pi / p) below 1e-9 / N_cg, for 6 pairs (c, g)
    assert abs(losses[-1] - by_hand(documents)) < 7e-9


def test_mixtures_by_hand():
    found = entropy_lower_bound.mixture(np.array([[2, 2, 0], [0, 3, 0], [1, 1, 2]]), 0.1)
    assert np.allclose(found, [[0.45, 0.45, 0.1], [0.05, 0.9, 0.05], [0.25, 0.25, 0.5]], rtol=1e-15)


def test_documents_without_common_contexts_add_their_entropies():
    """Documents 2j and 2j + 1 share their context, with one token each: log 2 for each document, in every part."""
    corpus = [[i // 2, i % 2] for i in range(max(entropy_lower_bound.SIZES))]
    growth, counts = entropy_lower_bound.growth(corpus), np.array(entropy_lower_bound.SIZES)
    assert np.allclose(growth.pooled.middle, counts * math.log(2), rtol=1e-12)
    assert np.allclose(growth.halves.middle, counts * math.log(2), rtol=1e-12)
    assert np.array_equal(growth.contexts, counts // 2)


def test_coarser_entropies_by_example():
    """(0, 1) and (1, 0) agree as multisets, (0, 1) and (1, 1) in their last token; each context predicts once."""
    documents = [[0, 1, 0], [1, 0, 1], [1, 1, 1]]
    first = math.log(2) * 2  # after (1,) follow 0 and 1
    assert training_to_the_entropy_bound.entropy(documents).middle == pytest.approx(first)
    multisets = training_to_the_entropy_bound.entropy_of_multisets(documents)
    assert multisets.middle == pytest.approx(first + 2 * math.log(2))
    last = training_to_the_entropy_bound.entropy_of_last_tokens(documents)
    assert last.middle == pytest.approx(first + 2 * math.log(2))
    longer = [*documents, [2, 0, 0]]  # (2, 0) agrees with (1, 0) in its last token only
    assert training_to_the_entropy_bound.entropy_of_multisets(longer).middle == multisets.middle
    last = training_to_the_entropy_bound.entropy_of_last_tokens(longer)
    assert last.middle == pytest.approx(first + 4 * math.log(2))


def test_words_parameters_and_moebius():
    assert len(world.words(3, 4)) == len(set(world.words(3, 4))) == 3 + 9 + 27 + 81
    assert world.parameters(3, 4, 9) == 12 + 16 + 9 * 5 + 2 * 10
    assert [world.mobius(n) for n in range(1, 13)] == [1, -1, -1, 0, -1, 1, -1, 0, 0, 1, -1, 0]


def test_mixed_words_hold_all_short_ones_and_some_of_every_length():
    found = world.mixed_words(np.random.default_rng(6), 3, 5, 2, 20)
    assert len(found) == len(set(found)) == 20
    assert set(world.words(3, 2)) <= set(found)
    assert {len(c) for c in found} == {1, 2, 3, 4, 5}


def test_distances_to_the_nearest():
    assert np.allclose(
        attention_is_injective.nearest(np.array([[0.0], [1.0], [4.0]])) * math.sqrt(26 / 9), [1, 1, 3]
    )


# --- exact arithmetic ---------------------------------------------------------------------------------------


@few
@given(st.integers(0, 2**32 - 1))
def test_rational_attention_is_softmax_attention(seed):
    rng = np.random.default_rng(seed)
    point, contexts = _exact.integer_point(rng, 3, 3, 2), world.words(3, 3)
    A = math.log(_exact.BASE) * point.A.T  # scores are x A x_t there, x . (A x_t) here
    wanted = _levenberg.attention(point.E, A.T, point.P, *_levenberg.padded(contexts))
    assert np.allclose(_exact.floats(_exact.attention_outputs(contexts, point)), wanted, rtol=1e-9, atol=1e-9)


@few
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.sampled_from([None, 40]))
def test_integer_points_tell_tokens_and_positions_apart(seed, d, size):
    point = _exact.integer_point(np.random.default_rng(seed), 4, 5, d, size)
    assert (point.E.shape, point.P.shape) == ((4, d), (5, d))
    for column in np.abs(np.vstack([point.E, point.P])).T:
        assert len(set(column)) == 9
        assert 0 < column.min() <= column.max() <= (size or 20)
    assert np.array_equal(np.abs(point.A), np.eye(d))


def test_outputs_are_in_lowest_terms():
    outputs = _exact.attention_outputs(
        world.words(2, 3), _exact.integer_point(np.random.default_rng(0), 2, 3, 2)
    )
    assert {math.gcd(*row) for row in outputs} == {1}
    for row, residue in zip(outputs, _exact.residues(outputs), strict=True):
        assert all(
            (r * row[-1] - number) % _exact.PRIME == 0 for r, number in zip(residue, row[:-1], strict=True)
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
    assert fmpz(_exact.PRIME).is_prime()
    assert _exact.PRIME % 4 == 3
    assert _exact.PRIME > 10**9  # a minor vanishes by chance with probability degree / PRIME
    z = np.array([[0, 1, 2, -3]], dtype=object)
    value, slope = _exact.rational_activation(z)
    assert [v * w % _exact.PRIME for v, w in zip(value[0], (1, 2, 5, 10), strict=True)] == [1, 1, 1, 1]
    assert [s * w**2 % _exact.PRIME for s, w in zip(slope[0], (1, 2, 5, 10), strict=True)] == [
        -2 * x % _exact.PRIME for x in z[0]
    ]


def test_modular_attention_is_rational_attention():
    x, A = np.array([[1, 2], [0, -3], [2, 1]], dtype=object), np.array([[1, -1], [2, 1]], dtype=object)
    powers = [Fraction(7) ** int(score) for score in x @ A @ x[-1]]
    assert min(powers) < 1 < max(powers)
    wanted = [(power / sum(powers)).as_integer_ratio() for power in powers]
    found = _exact.modular_weights(7, A)(x)
    assert [(a * down - up) % _exact.PRIME for a, (up, down) in zip(found, wanted, strict=True)] == [0, 0, 0]


def test_balls_hold_the_normal_law_and_ratios_of_counts():
    x = np.array([-3.0, -0.5, 0.0, 1.25])
    assert np.allclose([float(_exact.normal(ball)) for ball in _exact.in_balls(x)], ndtr(x), rtol=1e-14)
    counts = np.array([[1, 2, 3], [5, 4, 2]])
    wanted = np.log(counts[:, :2] / counts[:, 2:])
    assert np.allclose(_exact.log_ratios(counts).astype(float), wanted, rtol=1e-14)


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


def test_units_are_affine_and_have_biases():
    x, y = np.random.default_rng(1).integers(_exact.PRIME, size=(2, 4, 3)).astype(object)
    at_x, at_y, at_sum, at_0 = (
        feature_rank.units(np.random.default_rng(2), inputs, 6) for inputs in (x, y, x + y, 0 * x)
    )
    assert not np.any((at_x + at_y - at_sum - at_0) % _exact.PRIME)
    assert np.all(at_0 == at_0[:, :1])
    assert len(set(at_0[:, 0])) == 6


def test_gelu_rank_counts_distinct_outputs():
    rng, contexts = np.random.default_rng(1), world.words(3, 2)
    outputs = _exact.attention_outputs(contexts, _exact.integer_point(rng, 3, 2, 2))
    h = _exact.floats(outputs)
    weights = rng.normal(size=(12, 2)) / h.std()
    biases = -np.sum(weights * h, axis=1)
    assert _exact.gelu_rank(outputs, weights, biases) == 12
    assert _exact.gelu_rank([*outputs[:5], *outputs[:5]], weights, biases) == 5


def test_gelu_rank_is_not_proved_where_there_is_none():
    one, half = np.array([[1.0]]), [(1, 2)]  # a unit at h = 1/2
    assert _exact.gelu_rank(half, one, np.array([0.5])) == 1
    with pytest.raises(CertificateError, match="with 8192 bits"):
        _exact.gelu_rank(half, one, np.array([-0.5]))
    with pytest.raises(CertificateError):  # gelu(z) - gelu(-z) = z: two such pairs are dependent
        _exact.gelu_rank(
            [(-2, 1), (-1, 1), (1, 1), (2, 1)], np.array([[1.0], [-1.0], [2.0], [-2.0]]), np.zeros(4)
        )


# --- interpolation ------------------------------------------------------------------------------------------


def test_elimination_stays_within_its_bound():
    rng = np.random.default_rng(2)
    Phi, Z = rng.normal(size=(9, 6)), rng.normal(size=(2, 6))
    head = constructive_lower_bound.by_elimination(Phi, Z)
    error = abs(certify.product(head.V, Phi[head.rows]) - Z)
    assert np.all(error.upper <= head.left.upper)
    assert head.left.upper.max() < 1e-12


def test_the_bound_of_elimination_is_that_of_its_factors():
    from scipy.linalg import lu

    rng = np.random.default_rng(8)
    Phi, Z = rng.normal(size=(5, 5)), rng.normal(size=(2, 5))
    head = constructive_lower_bound.by_elimination(Phi, Z)
    assert np.array_equal(head.rows, np.arange(5))
    order, lower, upper = lu(Phi.T)
    sums = order @ np.abs(lower) @ np.abs(upper) @ np.abs(head.V).T
    assert np.allclose(
        head.left.upper, rounding(15, sums.T).upper, rtol=1e-12, atol=0
    )  # other code, other roundings


def test_errors_of_a_head():
    Phi, V, Z = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, -1.0]]), np.array([[0.5, -3.0]])
    found = constructive_lower_bound.errors([Record(rows=np.array([1, 0]), V=V)], Phi, Z)
    assert np.allclose(found.middle, [[[1.5, 5.0]]])  # 3 - 1 - 0.5, 4 - 2 + 3


def test_the_distance_from_the_rows_against_least_squares():
    """A single null vector: |Z w| / |w| is all of the distance."""
    rng = np.random.default_rng(9)
    Phi, Z = rng.normal(size=(5, 6)), rng.normal(size=(3, 6))
    found = constructive_lower_bound.distances([constructive_lower_bound.null_space(Phi)], Z)
    left = Z.T - Phi.T @ np.linalg.lstsq(Phi.T, Z.T, rcond=None)[0]
    assert found.middle == pytest.approx(np.linalg.norm(left), rel=1e-9)


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


def gaps(V, Phi, Z):
    """Reached and bound of `divergences` for one head."""
    null = constructive_lower_bound.null_space(Phi)
    found = constructive_lower_bound.divergences([V], [null], np.vstack([Phi, Phi]), Z, [len(Phi)])
    return found.reached, found.bound


def test_divergences_by_hand():
    """Any head's divergence is what scipy finds, and the bound from the best one meets it."""
    rng = np.random.default_rng(11)
    Phi, Z, V = rng.normal(size=(2, 5)), rng.normal(size=(2, 5)), rng.normal(size=(2, 2))
    pi, p = (softmax(np.vstack([table, np.zeros(5)]), axis=0) for table in (Z, V @ Phi))
    reached, _ = gaps(V, Phi, Z)
    assert reached.middle == pytest.approx(rel_entr(pi, p).sum(), rel=1e-9)
    reached, best = gaps(constructive_lower_bound.least_divergence(Phi, Z), Phi, Z)
    assert reached.upper >= best.lower
    assert best.middle == pytest.approx(reached.middle, abs=1e-6)


# --- trained decoders ---------------------------------------------------------------------------------------


def random_decoder(rng, tokens, T, d, m):
    shapes = {"E": (tokens, d), "A": (d, d), "W": (m, d), "b": (m,), "V": (tokens - 1, m), "c": (tokens - 1,)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}, rng.normal(size=(T, d))


@few
@given(st.integers(0, 2**32 - 1))
def test_float_log_odds_are_right_to_their_rounding(seed):
    rng, contexts = np.random.default_rng(seed), [(0,), (1, 2, 0), (2, 2, 1, 0)]
    theta, P = random_decoder(rng, 3, 4, 2, 5)
    boxed = Record(P=_exact.in_balls(P), **{name: _exact.in_balls(value) for name, value in theta.items()})
    f, terms, magnitude = _network.log_odds(theta, P, contexts)
    for row, context in zip(f, contexts, strict=True):
        right, _ = _exact.derivatives(context, boxed, _exact.ball_weights(boxed.A), _exact.ball_gelu)
        assert np.all(np.abs(row - right.astype(float)) <= rounding(terms, magnitude).upper)


def test_the_magnitude_of_log_odds_is_attained():
    """Where every unit is far on its linear side, and the head adds: 1.13 is the slope of GELU."""
    theta = {
        "E": np.array([[1.0], [2.0]]), "A": np.zeros((1, 1)), "W": np.array([[50.0], [20.0]]),
        "b": np.array([7.0, 1.0]), "V": np.array([[3.0, 2.0], [1.0, 1.0]]), "c": np.array([5.0, 0.0]),
    }  # fmt: skip
    P = np.array([[1.0], [0.5]])
    f, _, magnitude = _network.log_odds(theta, P, [(0,), (1,)])
    assert magnitude == pytest.approx(1.13 * (f.max() - 5) + 5, rel=1e-14)


def test_the_magnitude_grows_by_the_spread_of_the_scores():
    rng = np.random.default_rng(12)
    u, p, A = rng.uniform(1, 2, size=2), rng.uniform(1, 2, size=2), rng.uniform(size=(2, 2))
    E, P = np.array([u, -u]), np.array([p, -p])
    scores = [
        (E[g] + P[0]) @ A @ (E[h] + P[1]) - (E[h] + P[1]) @ A @ (E[h] + P[1]) for g in (0, 1) for h in (0, 1)
    ]
    theta = {"E": E, "W": np.ones((1, 2)), "b": np.zeros(1), "V": np.ones((1, 1)), "c": np.zeros(1)}
    still, moving = (_network.log_odds(theta | {"A": B}, P, [(0, 1)])[2] for B in (0 * A, A))
    assert moving / still == pytest.approx(1 + np.abs(scores).max(), rel=1e-12)


def test_residuals_count_what_is_asked_for():
    """Decoders of one silent unit: c is off by at most 0.25, 0.5 and 1, and by 2 where nothing is asked for."""
    c = np.array([[0.25, 0.125], [-0.5, -0.25], [1.0, 0.0]])
    theta = {
        "E": np.ones((3, 3, 1)), "A": np.zeros((3, 1, 1)), "W": np.ones((3, 1, 1)), "b": np.zeros((3, 1)),
        "V": np.zeros((3, 2, 1)), "c": c,
    }  # fmt: skip
    arms = Record(
        name=np.array(["narrow", "wide", "few"]), target=np.zeros(3, dtype=int), width=np.ones(3, dtype=int),
        asked=np.tile([1.0, 1.0, 0.0], (3, 1)),
    )  # fmt: skip
    targets = np.zeros((1, 3, 2))
    targets[0, 2] = 2
    trained = Record(parameters=theta, norm=np.ones((2, 3)))
    found = _network.residuals(trained, [(0,), (1,), (2, 2)], targets, np.ones((2, 1)), arms)
    assert np.allclose(found.error.middle, [0.25, 0.5, 1.0], rtol=1e-12)
    assert np.all(found.floor.upper < 1e-12)


def test_the_best_run_of_each_target():
    arms = Record(name=np.array(list("nwwwnw")), target=np.array([0, 0, 0, 1, 1, 1]))
    trained = Record(norm=np.array([[0, 0, 9, 9, 0, 0], [0.0, 3.0, 2.0, 4.0, 1.0, 5.0]]))
    assert _network.best_runs(trained, arms, "w").tolist() == [2, 3]
    assert _network.best_runs(trained, arms, "n").tolist() == [0, 4]


def test_exact_interpolants_move_as_far_as_errors_are_amplified():
    """Log-odds moved by eps in every pattern of signs: the farthest parameter moves by eps times the amplification."""
    theta, P = random_decoder(np.random.default_rng(13), 2, 2, 1, 2)
    contexts, eps = [(0,), (1,), (0, 1)], 1e-7
    f = _network.log_odds(theta, P, contexts)[0]
    found = [
        _network.exact_interpolant(
            theta, P, contexts, lambda signs=signs: _exact.in_balls(f + eps * np.array(signs)[:, None])
        )
        for signs in itertools.product((-1, 1), repeat=3)
    ]
    farthest = max(each.distance.upper.max() for each in found)
    assert farthest == pytest.approx(eps * found[0].amplification, rel=1e-3)  # eps times a second derivative
    assert len({each.amplification for each in found}) == 1


def test_a_decoder_is_an_exact_interpolant_of_its_own_log_odds():
    theta, P = random_decoder(np.random.default_rng(14), 3, 3, 2, 4)
    contexts = [(0,), (2, 1), (1, 0, 1)]
    f, terms, magnitude = _network.log_odds(theta, P, contexts)
    found = _network.exact_interpolant(theta, P, contexts, lambda: _exact.in_balls(f))
    assert np.all(found.distance.upper <= found.amplification * rounding(2 * terms, magnitude).upper)


def test_levenberg_reports_the_residuals_of_its_decoders():
    """A narrow and a wide decoder, the latter asked for two of three contexts."""
    rng, contexts = np.random.default_rng(15), [(0,), (1,), (0, 1)]
    targets, asked = rng.normal(size=(2, 3, 1)), np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    P = rng.normal(size=(2, 1))
    trained = _levenberg.solve(rng, contexts, targets, P, np.array([1, 3]), asked, 50)
    for run, width in enumerate((1, 3)):
        theta = _network.chosen(trained.parameters, run, width)
        assert [theta[name].shape for name in "WbV"] == [(width, 1), (width,), (1, width)]
        left = asked[run][:, None] * (_network.log_odds(theta, P, contexts)[0] - targets[run])
        assert trained.norm[-1, run] == pytest.approx(np.linalg.norm(left), rel=1e-9, abs=1e-12)
    assert np.all(np.diff(trained.norm, axis=0) <= 0)  # a step is taken if the residual falls


@cache
def compiled_loss():
    return train.use_jax().jit(_descent.loss)


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_the_loss_of_documents_by_hand(mode):
    rng, contexts = np.random.default_rng(16), [(0,), (2, 1), (1, 1, 0)]
    theta, P = random_decoder(rng, 3, 3, 2, 4)
    theta |= {"V": rng.normal(size=(3, 4)), "c": rng.normal(size=3)}
    counts, active = rng.integers(5, size=(3, 3)), np.array([1.0, 1.0, 0.0, 1.0])
    wanted = 0.0
    for context, N in zip(contexts, counts, strict=True):
        x = theta["E"][list(context)] + P[: len(context)]
        powers = np.exp(x @ theta["A"] @ x[-1])
        h = (powers / powers.sum() @ x, x[-1], x.mean(axis=0))[mode]
        psi = active * _levenberg.gelu(theta["W"] @ h + theta["b"])
        wanted -= N @ log_softmax(theta["V"] @ psi + theta["c"])
    found = compiled_loss()(theta, active, np.eye(3)[mode], P, *_levenberg.padded(contexts), counts)
    assert float(found) == pytest.approx(wanted, rel=1e-12)


def test_the_least_loss_of_all_starts():
    trained = Record(step=np.arange(2), loss=np.array([[3.0, 2.0, 4.0], [1.0, 2.0, 3.0]]))
    found = one_hot_targets.losses(trained, [(0,), (1,)])
    assert found.least.tolist() == [2, 1]
    assert np.allclose(found.final.middle, [1, 2, 3], rtol=1e-15)


def test_padded_contexts():
    tokens, lengths = _levenberg.padded([(2,), (1, 0, 2)])
    assert tokens.tolist() == [[2, 0, 0], [1, 0, 2]]
    assert lengths.tolist() == [1, 3]
    same = [tuple(c) for c in itertools.product((0, 1), repeat=2)]
    assert _levenberg.padded(same)[0].shape == (4, 2)
