"""World and closed forms of induction-head-transition, against brute force, autodiff and exact arithmetic."""

from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from claims.induction_head_transition import (
    _criterion,
    _population,
    context_length_trade_off,
    error_modes,
    figure_3_reproduction,
    finite_sample_rate,
    optimal_pretraining_distribution,
    population_gradient_closed_form,
    transition_at_max_sum_ratio,
    world,
)
from verify import exact, statistics

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


def test_positions_have_room_for_the_answer():
    assert world.positions((2, 7, 3)) == 2 * 7 + 3 + 1


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


def test_the_model_is_the_one_stated(batch):
    rng = np.random.default_rng(5)
    W_V, W_KQ = rng.normal(size=(7, 26)), rng.normal(size=(26, 26))
    expected = []
    for z, T in zip(batch.tokens, batch.length, strict=True):
        X = embeddings(z, T, 12, 7)
        weights = np.exp(X @ W_KQ @ X[-1])
        expected.append(W_V @ X.T @ (weights / weights.sum()))
    np.testing.assert_allclose(world.logits(W_V, W_KQ, batch), expected, rtol=1e-10)  # some 100 roundings
    assert (world.answers(W_V, W_KQ, batch) == np.argmax(expected, axis=1)).all()


@pytest.mark.parametrize("given", [{}, {"separate": False}])
def test_algorithm_1_takes_one_step_and_then_the_other(given):
    lengths, rates, size = {1: 0.25, 3: 0.75}, (2.0, 3.0), world.positions((1, 3))
    W_V, W_KQ = world.trained(np.random.default_rng(6), lengths, 8, 2, 50, rates, **given)
    rng = np.random.default_rng(6)
    X = [world.Embedded(world.training_sequences(rng, lengths, 50, 8, 2), size, 8) for _ in range(2)]
    np.testing.assert_allclose(W_V, 2 * world.value_step(X[0]), rtol=1e-12)
    expected = 3 * world.attention_step(X[0 if given else 1], W_V)
    np.testing.assert_allclose(W_KQ, expected, rtol=1e-12, atol=1e-15)


def test_training_lengths_have_their_probabilities():
    drawn = world.training_sequences(np.random.default_rng(7), {1: 0.25, 3: 0.75, 4: 0.0}, 4000, 8, 2)
    assert set(drawn.length) == {5, 9}
    assert np.mean(drawn.length == 9) == pytest.approx(0.75, abs=0.05)  # seven standard deviations


def test_figure_3_is_trained_on_one_batch_at_its_rates():
    found = world.figure_3_model(np.random.default_rng(8), 2, 2, 4, 8, 60)
    uniform = dict.fromkeys((2, 3, 4), 1 / 3)
    expected = world.trained(np.random.default_rng(8), uniform, 8, 2, 60, (1e3, 1e4), separate=False)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_unequal_tests_are_drawn_as_stated():
    drawn = world.unequal_test(np.random.default_rng(9), 2, 5, 2000, 8, 2)
    middle = (drawn.length - 3) / 2
    first = np.argmax(drawn.tokens < 2, axis=1)
    seen = set(zip(middle, first, strict=True))
    assert seen == {(l, l1) for l in (3, 4, 5) for l1 in range(1, 2 * l) if l1 != l}


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


def test_what_bounds_the_finite_rate_is_taken_over_all_sequences():
    N, n, lengths = 4, 1, {1: Fraction(1, 3), 2: Fraction(2, 3)}
    L, V = world.positions(lengths), _population.values(lengths, N, n, world.positions(lengths)).astype(float)
    means, centred, together = [], [], 0
    for k, q in lengths.items():
        every = world.every_sequence(k, N, n)
        for z in every.tokens:
            X = embeddings(z, 2 * k + 3, L, N)
            mean = X.mean(axis=0)
            means.append(np.ptp(V @ mean))
            centred.append(max(np.ptp(V @ (x - mean)) for x in X))
            together = together + float(q) * np.outer(mean, X[-1]) / len(every.tokens)
    sequences = {k: world.every_sequence(k, N, n) for k in lengths}
    module = population_gradient_closed_form
    found = module.spread(module.first(lengths, N, n), lengths, sequences, N)
    for one, other in ((found.mean, means), (found.centred, centred), (found.together, together)):
        assert float(one.upper) == pytest.approx(np.max(other), rel=1e-12)  # some hundred roundings


def test_weights_of_two_values_move_a_mean_the_most():
    """Logits (2 log 2, 0, 0): weights (4, 1, 1) / 6, which move the mean of (1, 0, 0) from 1/3 to 2/3."""
    found = population_gradient_closed_form.moved(exact(1), exact(Fraction(2 * np.log(2))))
    assert found.middle == pytest.approx(1 / 3, rel=1e-14)


@many
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=2, max_size=6))
def test_no_weights_move_a_mean_further(pairs):
    values, logits = np.array(pairs).T
    change = abs(world.softmax(logits.copy()) @ values - values.mean())
    R, r = (exact(Fraction(float(np.ptp(x)))) for x in (values, logits))
    assert change <= population_gradient_closed_form.moved(R, r).upper + 1e-13  # the rounding of `change`


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
@given(distributions([2, 3, 4, 5, 6, 7, 8]), st.integers(1, 40))
@example(uniform(4, 20), 2)
@example(uniform(4, 5), 4)
def test_both_bounds_imply_the_sign_of_the_criterion(lengths, triggers):
    ratio = world.exact_ratio(lengths)
    below = ratio < _criterion.below(lengths, triggers)
    above = ratio > _criterion.above(lengths, triggers)
    assume(below or above)
    crit = _criterion.sharp_criterion(lengths, triggers, world.unequal_pairs(max(lengths)))
    assert crit > 0 if below else crit < 0


def even(lengths):
    """Probabilities proportional to T_l: all Q_l are alike."""
    return {k: Fraction(2 * k + 3, sum(2 * j + 3 for j in lengths)) for k in lengths}


@pytest.mark.parametrize("n", [1, 2, 5])
def test_neither_bound_can_be_improved_by_much(n):
    l = 1000
    neighbours, apart = even(range(l, l + n + 1)), even(range(l, l + 2 * n + 2, 2))
    # the first fails, though its ratio is hardly above the first bound
    assert _criterion.sharp_criterion(neighbours, n, [(1, 2 * l + 1)]) < 0
    assert 1 < world.exact_ratio(neighbours) / _criterion.below(neighbours, n) < 1.005
    # n lengths that are no neighbours are hardly above the second; what is rare beside them makes them succeed
    apart = {k: (q if k < l + 2 * n else q / 50) for k, q in apart.items()}
    apart = {k: q / sum(apart.values()) for k, q in apart.items()}
    pairs = [(a, 2 * k - a) for k in apart for a in (1, 2, l - 1, k + 1, l + 2 * n + 1)]
    assert _criterion.sharp_criterion(apart, n, [(a, b) for a, b in pairs if a != b]) > 0
    assert 0.97 < world.exact_ratio(apart) / _criterion.above(apart, n) < 1


@few
@given(distributions(list(range(1, 30))))
def test_ratios_in_lengths_and_in_positions(lengths):
    """The step from R to the ratio of the Q_l: T_l / l is between 2 and its value at the shortest length."""
    Q = _criterion.weights(lengths)[0].values()
    first = min(lengths)
    factor = world.exact_ratio(lengths) / (max(Q) / sum(Q))
    assert Fraction(2 * first, 2 * first + 3) <= factor <= Fraction(2 * first + 3, 2 * first)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_both_bounds_at_shortest_length_two(n):
    assert _criterion.below(even((2, 3)), n) == Fraction(12, 7 * (7 * n + 9))
    assert _criterion.above(even((2, 3)), n) == Fraction(7, 4 * n)


@pytest.mark.parametrize(("lengths", "N", "n"), [((2,), 150, 1), ((2, 3, 5), 250, 3), ((60, 61), 400, 4)])
def test_remainder_where_all_weights_are_alike(lengths, N, n):
    """One weight is 1 / K of their sum, and the mean of 2 l is that over the lengths."""
    K, others = len(lengths), N - n
    b = Fraction(2 * sum(lengths) * n, K * N * others) - Fraction(1, N)
    delta = 2 * Fraction(n, N) + 4 * max(abs(b) + Fraction(1, others), Fraction(2, N))
    repeated = (2 + delta) * (others + 2 * max(lengths)) / others
    one = delta * (n + 3 + 4 * K) + (3 * n + K * (6 + 2 * n * (1 + repeated))) / others
    share = K - sum(Fraction(2, 2 * k + 3) for k in lengths)
    assert _criterion.remainder(even(lengths), N, n) == 2 * one / share


def test_rates_and_triggers_are_those_of_the_theorem():
    first, second = transition_at_max_sum_ratio.rates(3, 20)
    assert first < 1
    assert first * second == pytest.approx(27 * 8000 * np.log(20))
    for vocabulary, outcome in ((64, "fails"), (65, "holds")):
        found = transition_at_max_sum_ratio.few_triggers([(4, uniform(2, 3))], vocabulary)
        assert found.outcome == outcome


def test_a_small_vocabulary_has_no_remainder():
    with pytest.raises(ValueError, match="larger vocabulary"):
        _criterion.remainder(uniform(4, 9), 64, 4)


@many
@given(st.integers(1, 30), st.integers(1, 20))
def test_windows_of_lengths(first, count):
    ratio = context_length_trade_off.shares(first, count)
    assert ratio == world.exact_ratio(uniform(first, first + count - 1))
    assert context_length_trade_off.fewest(first, 1 / ratio) == count
    assert context_length_trade_off.fewest(first, 1 / ratio + Fraction(1, 10**9)) == count + 1


# --- the optimal distribution -------------------------------------------------------------------------------


class Programs:
    """The program, the dual and the solution of the statement, and how far a solver's answers may be from them."""

    def __init__(self, n, U):
        module = optimal_pretraining_distribution
        self.n, self.lengths = n, [Fraction(k) for k in range(1, U + 1)]
        self.program = module.program(self.lengths, n)
        self.dual, self.optimum = module.dual(self.lengths, n), module.optimum(self.lengths, n)
        self.r = self.optimum.q.lower / np.array(self.lengths)

    def nearness(self, r, caps=None, multiplier=0):
        solved = world.Record(r=r, caps=[0] * len(r) if caps is None else caps, multiplier=multiplier)
        return optimal_pretraining_distribution.nearness(self.program, self.dual, solved, self.n)


def test_an_exact_solution_is_as_near_as_can_be():
    P = Programs(3, 7)
    found = P.nearness(P.r, P.dual.caps.lower, P.dual.total.lower)
    assert found.q.upper == found.multiplier.upper == 0
    # of a multiple of it the last probability is off by all that is allowed
    assert P.nearness(P.r * Fraction(11, 10)).q.upper == max(P.optimum.q.lower) / 10


def test_nearness_by_hand():
    """n = 1, U = 2, r = (1, 1/7): mu = s = 3, the slack of the cap and r_2 are 1/7, the sum is 9/7; k / a: 1/3, 2/3."""
    found = Programs(1, 2).nearness([Fraction(1), Fraction(1, 7)]).q.upper
    assert found == Fraction(2, 7) + Fraction(6, 7) * Fraction(2, 3)


@few
@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_no_answer_is_farther_than_allowed(n, more, data):
    P = Programs(n, n + more)
    numbers = st.lists(st.fractions(-1, 1, max_denominator=20), min_size=n + more, max_size=n + more)
    r, caps = P.r + np.array(data.draw(numbers)), np.abs(data.draw(numbers))
    found = P.nearness(r, caps, 0)
    assert max(abs(r * np.array(P.lengths) - P.optimum.q.lower)) <= found.q.upper
    assert P.dual.total.upper <= found.multiplier.upper


def test_a_multiplier_may_be_off_by_all_that_is_allowed():
    P = Programs(
        2, 4
    )  # what is left of the cost, k^3 - 2 t, and what the caps beyond n give, are both positive
    caps = [Fraction(0), Fraction(0), Fraction(1, 9), Fraction(1, 9)]
    assert P.nearness(P.r, caps, 0).multiplier.upper == P.dual.total.upper


# --- samples ------------------------------------------------------------------------------------------------


def test_samples_that_suffice():
    assert finite_sample_rate.enough(5, 3) == 1125
    assert finite_sample_rate.enough(5, 3, 2) == 225


def test_a_power_law_has_its_slope():
    M = np.array([3, 12, 48, 192])
    distance = np.outer(np.linspace(1, 2, 41), M**-0.7)
    assert finite_sample_rate.slope(world.Record(samples=M, distance=distance)).middle == pytest.approx(-0.7)


def test_curves_of_matrices_near_the_limit():
    """They answer all tests where R is small enough, and none of them without W_V."""
    lengths, N, n = uniform(4, 9), 16, 2
    W_V = _population.values(lengths, N, n, world.positions(lengths)).astype(float)
    limit = finite_sample_rate.limit(lengths, N, n)
    learned = [[(7, W_V, 1.25 * limit), (9, -W_V, limit)]]
    found = finite_sample_rate.curves(np.random.default_rng(0), learned, limit, lengths, N, n, tests=30)
    np.testing.assert_allclose(found.distance, [[0.25, 0]], rtol=1e-12)
    assert (found.samples == [7, 9]).all()
    assert (found.right == [[30, 0]]).all()


# --- Figure 3 -----------------------------------------------------------------------------------------------


def test_cells_of_the_printed_table():
    paper = figure_3_reproduction.PAPER
    assert len(paper) == 78
    assert paper[3, 4] == Fraction(1, 4)
    assert paper[3, 15] == Fraction(996, 1000)
    assert paper[5, 8] == Fraction(229, 1000)
    assert paper[14, 15] == Fraction(67, 1000)


def test_a_number_is_inside_up_to_the_ends():
    prediction = statistics.prediction(np.array([1.0, 2.0, 4.0, 5.0]))
    reach = (prediction.upper - prediction.lower) / 2
    for share, outcome in ((-1.001, "fails"), (-0.999, "holds"), (0.999, "holds"), (1.001, "fails")):
        value = exact(Fraction(prediction.middle + share * reach))
        assert figure_3_reproduction.inside(value, prediction).outcome == outcome


def test_distances_leave_one_draw_out():
    draws = np.array([[0.1, 0.4], [0.2, 0.8], [0.9, 0.3]])
    own = [
        np.sqrt(np.mean((row - np.delete(draws, i, axis=0).mean(axis=0)) ** 2)) for i, row in enumerate(draws)
    ]
    found, expected = figure_3_reproduction.predicted_distance(draws), statistics.prediction(np.array(own))
    assert (found.lower, found.upper) == pytest.approx((expected.lower, expected.upper), rel=1e-12)
    mean = figure_3_reproduction.predicted_mean(draws)
    assert mean.middle == pytest.approx(draws.mean(), rel=1e-12)


def test_answers_are_counted_over_all_cells():
    fewer, more = figure_3_reproduction.answered(np.array([0.5, 0.25]), np.array([0.125, 0.0]), 8)
    for found, count in ((fewer, 6), (more, 1)):
        expected = statistics.proportion(count, 16)
        assert (found.lower, found.upper) == (expected.lower, expected.upper)


# --- wrong answers ------------------------------------------------------------------------------------------


def test_copies_are_told_by_their_positions():
    tokens, answers = np.arange(9)[None] + np.array([[2], [2], [2]]), np.array([5, 6, 9])
    batch = world.Record(tokens=tokens, length=np.array([9, 9, 9]), output=np.array([9, 9, 9]))
    run = error_modes.Tested(batch, answers, shortest=2)
    assert (error_modes.middle(run) == 3).all()
    for offset, expected in (
        (1, [True, False, False]),
        (2, [False, True, False]),
        (6, [False, False, False]),
    ):
        assert (error_modes.copied(run, error_modes.middle(run), offset) == expected).all()
    assert (error_modes.copied(run, run.shortest, 2, 3) == [True, True, False]).all()


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
    assert world.ood_accuracy(2, 3, 4) == world.ood_accuracy(2, 3, 4, vocabulary=64, samples=8192, seed=0)


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
