"""What the claims of signgd-adam-margin share, against brute force and closed forms in plain numpy and fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from claims.signgd_adam_margin import _ceilings, _trajectory, world
from verify import exact
from verify.interval import Interval

ROUNDING = 1e-12  # relative: a thousand times that of some dozen operations, and far below any fault
NORMS = ("max", "frobenius", "spectral", "sum", "nuclear", 3.0)
FEATURES = np.array([[3, -1, 2], [-2, 4, 0], [1, 5, -3], [0, -7, 1], [2, 2, -5]])
LABELS = np.array([0, 1, 2, 1, 0])


def agrees(interval: Interval, value, rounding=ROUNDING):
    """Whether a value is enclosed, as tightly as rounding allows."""
    value = np.asarray(value, float)
    assert interval.shape == value.shape
    scale = np.abs(value) + (value == 0)
    near = np.maximum(np.abs(interval.upper - value), np.abs(interval.lower - value)) <= rounding * scale
    rounded = np.spacing(np.abs(value))  # of the value itself
    return bool(np.all(near & (interval.lower <= value + rounded) & (value - rounded <= interval.upper)))


# --- brute force from the definitions ---------------------------------------------------------------------


def pairs(labels, k):
    return [(i, c) for i, y in enumerate(labels) for c in range(k) if c != y]


def smallest_margin(features, labels, W):
    return min((W[labels[i]] - W[c]) @ features[i] for i, c in pairs(labels, len(W)))


def size(A, norm):
    """Norms by numpy, entry-wise ones as vector norms."""
    A = np.asarray(A, float)
    kinds = {"frobenius": "fro", "spectral": 2, "nuclear": "nuc"}
    if norm in kinds:
        return np.linalg.norm(A, kinds[norm])
    return np.linalg.norm(A.ravel(), {"max": np.inf, "sum": 1}.get(norm, norm))


def dual(norm):
    named = {
        "max": "sum",
        "sum": "max",
        "frobenius": "frobenius",
        "spectral": "nuclear",
        "nuclear": "spectral",
    }
    return named[norm] if norm in named else norm / (norm - 1)


def opposite(norm, h):
    """The largest margin of rows h and -h of two classes: W = (w, -w) for the w that is best for h."""
    if norm in ("max", "sum"):
        return 2 * np.abs(h).sum() if norm == "max" else np.abs(h).max()
    p = norm if isinstance(norm, float) else 2.0
    return 2 ** (1 - 1 / p) * np.linalg.norm(h, p / (p - 1))


# --- margins and both sides of their certificate ----------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 40, 10_000_000])
def test_margin_is_the_smallest_over_all_pairs(monkeypatch, at_once):
    monkeypatch.setattr(world, "AT_ONCE", at_once)
    W = np.random.default_rng(0).integers(-5, 6, size=(2, 4, 3, 3))
    brute = [[smallest_margin(FEATURES, LABELS, V) for V in row] for row in W]
    assert agrees(world.margin(FEATURES, LABELS, W), brute)
    assert agrees(world.margin(FEATURES, LABELS, W[1, 2]), brute[1][2])


@pytest.mark.parametrize("norm", NORMS)
def test_both_sides_of_the_certificate(norm):
    W = np.random.default_rng(1).integers(-5, 6, size=(4, 3, 3))
    primal = [smallest_margin(FEATURES, LABELS, V) / size(V, norm) for V in W]
    assert agrees(world.normalised_margin(FEATURES, LABELS, W, norm), primal)
    weights = np.array([[9, 1, 2], [3, -4, 0], [1, 1, 6], [2, 5, 7], [-8, 0, 4]]) / 4
    M, total = np.zeros((3, 3)), 0.0
    for i, c in pairs(LABELS, 3):
        weight = max(weights[i, c], 0)
        M[LABELS[i]] += weight * FEATURES[i]
        M[c] -= weight * FEATURES[i]
        total += weight
    assert agrees(world.dual_value(FEATURES, LABELS, weights, norm), size(M, dual(norm)) / total)


@pytest.mark.parametrize("norm", NORMS)
def test_the_largest_margin_of_opposite_samples(norm):
    h = np.array([2.0, -1.0, 0.5])
    data = world.Record(features=np.stack([h, -h]), labels=np.array([0, 1]))
    gamma = opposite(norm, h)
    found = world.max_margin_solution(data.features, data.labels, norm)
    assert found.gamma.lower <= gamma * (1 + ROUNDING)
    assert found.gamma.upper >= gamma * (1 - ROUNDING)
    assert found.gamma.width <= world.PROMISED * gamma
    best = smallest_margin(data.features, data.labels, found.W) / size(found.W, norm)
    assert agrees(found.primal, best)
    assert best == pytest.approx(gamma, rel=world.PROMISED)
    W = np.array([[[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]], [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    shares = [smallest_margin(data.features, data.labels, V) / size(V, norm) / gamma for V in W]
    assert agrees(world.share_of_maximum(data, W, norm), shares, 2 * world.PROMISED)


def test_margins_scale_with_the_features():
    small = world.max_margin(1e-3 * np.stack([H, -H]), np.array([0, 1]), "max")
    assert small.middle == pytest.approx(1e-3 * opposite("max", H), rel=world.PROMISED)


def test_softmax_weights_are_the_wrong_classes_probabilities():
    W = np.array([[0.5, 0.1, -0.2], [-0.3, 0.0, 0.4], [0.2, -0.6, 0.1]])
    powers = np.exp(FEATURES @ W.T)
    wrong = powers / powers.sum(axis=1, keepdims=True)
    wrong[np.arange(5), LABELS] = 0
    np.testing.assert_allclose(
        world.softmax_weights(FEATURES, LABELS, W), wrong / wrong.max(), rtol=ROUNDING, atol=0
    )


def test_softmax_weights_neither_overflow_nor_vanish():
    h = np.eye(2)
    far = world.softmax_weights(h, np.array([0, 1]), np.diag([2000.0, 2001.0]) - np.array([[0, 0], [1, 0]]))
    np.testing.assert_allclose(far, [[0, 1], [math.exp(0), 0]], rtol=1e-9)  # margins 2001 and 2001
    near = world.softmax_weights(h, np.array([0, 1]), np.diag([-2000.0, -1000.0]))
    np.testing.assert_allclose(near, [[0, 1], [1, 0]], rtol=1e-9)


@pytest.mark.parametrize(
    ("norm", "order"),
    [("max", 1), ("frobenius", 2), ("spectral", 2), ("nuclear", 2), ("sum", np.inf), (3.0, 1.5)],
)
def test_reach_is_attained_by_some_direction(norm, order):
    lengths = np.linalg.norm(FEATURES, order, axis=1)
    assert agrees(world.reach(FEATURES, norm), lengths.max())
    h = FEATURES[lengths.argmax()].astype(float)
    with np.errstate(divide="ignore"):
        row = {1: np.sign(h), 2: h, 1.5: np.sign(h) * np.abs(h) ** 0.5}.get(
            order, h * (np.abs(h) == np.abs(h).max())
        )
    D = np.zeros((2, 3))
    D[1] = row
    assert np.abs(D @ h).max() / size(D, norm) == pytest.approx(lengths.max())


@pytest.mark.parametrize("norm", ["max", "frobenius", "spectral"])
def test_dual_norm_in_jax(norm):
    assert float(world.dual_norm(FEATURES.astype(float), norm)) == pytest.approx(size(FEATURES, dual(norm)))


@pytest.mark.parametrize(
    ("features", "labels", "norm", "message"),
    [
        ([["a"]], [0], "max", "array of numbers"),
        ([1.0, 2.0], [0, 1], "max", "non-empty"),
        (np.zeros((2, 0)), [0, 1], "max", "non-empty"),
        ([[1.0], [2.0]], [0], "max", "shape"),
        ([[1.0], [np.nan]], [0, 1], "max", "row 1"),
        ([[0.0], [0.0]], [0, 1], "max", "all features are 0"),
        ([[1.0], [-1.0]], [0.5, 1], "max", "integers"),
        ([[1.0], [-1.0]], ["a", "b"], "max", "integers"),
        ([[1.0], [-1.0]], [1, 1], "max", "one class only"),
        ([[1.0], [-1.0]], [0, 1], "min", "norm must be"),
        ([[1.0], [-1.0]], [0, 1], 0.5, "norm must be"),
        ([[1.0], [-1.0]], [0, 1], True, "norm must be"),
        ([[1.0], [1.0]], [0, 1], "max", "not separable"),
        ([[1.0], [-1.0], [2.0]], [0, 1, 1], "frobenius", "not separable"),
    ],
)
def test_what_has_no_margin_is_told_so(features, labels, norm, message):
    with pytest.raises(ValueError, match=message):
        world.max_margin(features, labels, norm)


def test_what_is_as_good_is_accepted():
    named = [world.validated([[1], [-1]], np.array([5.0, 3.0]), norm) for norm in (1, 2.0, np.inf, 3, "sum")]
    assert [norm for *_, norm in named] == ["sum", "frobenius", "max", 3.0, "sum"]
    features, labels, _ = named[0]
    assert features.dtype == float
    assert labels.tolist() == [1, 0]


# --- the explicit bound along a trajectory ----------------------------------------------------------------


def test_the_bound_speaks_from_the_first_small_loss_on():
    """A loss that rises again: those steps are left out, and the sums go on from the first small one."""
    n = 3
    small, large = math.log(math.log(2) / n) - 0.01, math.log(math.log(2) / n) + 0.01
    logs = np.array([large, large, small, small, large, small, small])
    steps, a, b = np.array([1, 2, 3, 4, 6]), np.arange(1, 7), 10 * np.arange(1, 7)
    told, sums = _trajectory.told_and_sums(exact_floats(logs), n, steps, exact(a), exact(b))
    assert told.tolist() == [False, False, True, False, True]
    for found, summands in zip(sums, (a, b), strict=True):
        assert agrees(found, [summands[2:3].sum(), summands[2:6].sum()])
    told, (nothing,) = _trajectory.told_and_sums(exact_floats(np.full(7, large)), n, steps, exact(a))
    assert not told.any()
    assert nothing.shape == (0,)


def exact_floats(x):
    return Interval(x, x, "rigorous", "as they are")


def test_an_uncertain_loss_is_not_yet_small():
    edge = math.log(math.log(2) / 2)
    logs = Interval(np.array([edge - 1, edge - 1]), np.array([edge + 1, edge - 0.5]), "rigorous", "wide")
    told, _ = _trajectory.told_and_sums(logs, 2, np.array([1]), exact([1]))
    assert not told.any()  # the first small step is the last


def test_second_order_term():
    rates = np.array([0.5, 0.1, 0.02])
    closed = 2 * 1.5**2 * np.exp(2 * 1.5 * rates) * rates**2
    assert agrees(_trajectory.second_order(exact(Fraction(3, 2)), rates), closed)
    assert agrees(_trajectory.second_order(exact(Fraction(3, 2)), rates, 0), 0 * closed)


def test_second_order_term_is_the_largest_curvature():
    """Two opposite samples far out, the loss e^{-x}: its decrease reaches the bound as the steps shrink."""
    h, eta = np.array([1.0, -0.5]), 1e-3
    radius, gamma = exact(Fraction(3, 2)), opposite("max", h)
    lost = math.exp(-gamma * eta) - (1 - gamma * eta)
    bound = _trajectory.second_order(radius, np.array([eta]))
    assert lost < bound.lower[0] < (1 + 5 * gamma * eta) * lost


def test_lengths_of_a_path():
    rates = np.array([0.5, 0.25, 0.125, 4.0])
    np.testing.assert_array_equal(_trajectory.lengths(rates), [0, 0.5, 0.75, 0.875, 4.875])
    length, gathered = _trajectory.length_bound(rates, np.array([0, 2, 4]), 6)
    assert agrees(length, [0, 0.75, 4.875])
    u = 2.0**-53
    assert 4 * 6 * u * 4.875 <= gathered.upper <= 1.01 * 4 * 6 * u * 4.875


def test_recorded_values_are_those_of_the_run():
    path = world.Record(log_loss=np.array([0.3, -40.0]), proxy_ratio=np.array([0.6, 0.999]))
    found = _trajectory.recorded(path, FEATURES, 3, np.array([0.0, 20.0]))
    assert agrees(found.log_loss, path.log_loss, 1e-10)
    assert agrees(found.ratio, path.proxy_ratio, 1e-10)


# --- ceilings ---------------------------------------------------------------------------------------------

H = np.array([2.0, 1.0])  # opposite samples: every classifier is (w, -w), w an angle


def rho(angle, norm):
    w = np.array([math.cos(angle), math.sin(angle)])
    return 2 * (w @ H) / size([w, -w], norm)


def true_ceiling(q, p, level):
    """The best angle for p, or the last one on the way there from the best for q that keeps the level."""
    from scipy import optimize

    best = {"max": math.pi / 4, "frobenius": math.atan2(1, 2), "sum": 0.0}
    if rho(best[p], q) >= level:
        return rho(best[p], p)
    return rho(optimize.brentq(lambda angle: rho(angle, q) - level, best[q], best[p], xtol=1e-14), p)


@pytest.fixture(scope="module")
def ceilings():
    gaps = {"max": (1e-6, 0.05, 0.2), "frobenius": (0.02,), "sum": (0.1,)}
    return gaps, _ceilings.solved(np.stack([H, -H]), np.array([0, 1]), gaps)


@pytest.mark.parametrize(
    ("q", "p"), [("max", "frobenius"), ("frobenius", "max"), ("max", "sum"), ("sum", "frobenius")]
)
def test_ceilings_hold_everywhere_and_are_tight_where_solved(ceilings, q, p):
    gaps, found = ceilings
    for gap in (*gaps[q], 0.01, 0.03, 0.1, 0.3, 0.9):
        level = (1 - gap) * found.own[q].gamma
        ceiling, truth = found.pair[q, p].at(level), true_ceiling(q, p, level.middle)
        assert ceiling.lower <= truth * (1 + 1e-6)
        assert truth * (1 - 1e-6) <= ceiling.upper
        if gap in gaps[q]:
            assert ceiling.width <= 1e-5 * truth


def test_a_ceiling_of_given_points():
    """From below the best feasible classifier or mixture, from above the best splitting."""
    attained = [(0.9, 0.5), (0.8, 0.55), (0.6, 0.9), (0.3, 1.0), (0.95, 0.1)]
    splits = [(0.0, 1.0), (0.2, 0.75), (0.45, 0.45)]
    values = [tuple((number(a), number(b)) for a, b in given) for given in (attained, splits)]
    ceiling = _ceilings.Ceiling(*values)

    def mixed(level, near, far):  # of the nearest classifiers above and below, at margin 1
        share = (1 / level - 1 / near[0]) / (1 / far[0] - 1 / near[0])
        return 1 / (1 / near[1] + share * (1 / far[1] - 1 / near[1]))

    for level, lower in (
        (0.93, mixed(0.93, attained[4], attained[0])),
        (0.7, mixed(0.7, attained[1], attained[2])),
        (0.2, 1.0),
    ):
        found = ceiling.at(number(level))
        upper = min(size / (1 - rest / level) for rest, size in splits if rest < level)
        assert found.upper == pytest.approx(upper, rel=ROUNDING)
        assert found.lower == pytest.approx(lower, rel=ROUNDING)
    assert ceiling.at(number(0.99)).lower == 0
    assert ceiling.at(number(-0.1)).upper == pytest.approx(1)


def number(x):
    return Interval(float(x), float(x), "rigorous", "as it is")


def test_a_mixture_attains_what_is_said_of_it():
    """Two classifiers at margin 1: what is promised holds for their actual mixture."""
    near, far = np.array([[0.3, 0.15], [-0.3, -0.15]]), np.array([[0.2, 0.1], [-0.3, -0.2]])
    features, labels = np.stack([H, -H]), np.array([0, 1])
    near, far = (W / smallest_margin(features, labels, W) for W in (near, far))
    rates = [tuple(number(1 / size(W, norm)) for norm in ("frobenius", "max")) for W in (near, far)]
    if rates[0][0].lower < rates[1][0].lower:
        near, far, rates = far, near, rates[::-1]
    level = number((rates[0][0].lower + rates[1][0].lower) / 2)
    found = _ceilings._mixed(*rates, level)
    best = max(
        1 / size((1 - share) * near + share * far, "max")
        for share in np.linspace(0, 1, 10_001)
        if 1 / size((1 - share) * near + share * far, "frobenius") >= level.lower
    )
    assert found.lower <= best * (1 + 1e-3)  # of the grid


def test_a_splitting_is_of_one_dual_point():
    """M of the weights, and Z in its scale."""
    weights = np.array([[7, 1, 2], [3, 5, 0], [1, 1, 9], [2, 4, 6], [8, 0, 4]]) / 8
    Z = np.random.default_rng(3).normal(size=(3, 3))
    M, total = np.zeros((3, 3)), 0.0
    for i, c in pairs(LABELS, 3):
        M += weights[i, c] * np.outer(np.eye(3)[LABELS[i]] - np.eye(3)[c], FEATURES[i])
        total += weights[i, c]
    rest, part = _ceilings._split(FEATURES, LABELS, weights, Z, "max", "spectral")
    assert agrees(rest, size((M - Z) / total, "sum"), 1e-9)
    assert agrees(part, size(Z / total, "nuclear"), 1e-9)
