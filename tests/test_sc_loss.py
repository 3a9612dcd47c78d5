"""What the claims on the supervised contrastive loss stand on, against 50 digits, other solvers, other derivatives."""

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mpmath import mpf

from claims.sc_loss_ufm import _certificates, _descent, _planar, _program, _step, world
from claims.sc_loss_ufm.minority_angle_limit import limits_of
from verify import Interval, certify

many = settings(max_examples=15, deadline=None)
few = settings(max_examples=12, deadline=None)
temperatures = st.floats(0.05, 5)
class_sizes = st.lists(st.integers(2, 6), min_size=2, max_size=4)


def precise_loss(H, labels, tau, unit=False, self_pairs=False):
    """The loss with 50 digits, term by term as it is defined."""
    with mpmath.workdps(50):
        columns = [[mpf(float(x)) for x in h] for h in np.asarray(H).T]
        lengths = [mpmath.sqrt(sum(x * x for x in h)) if unit else 1 for h in columns]
        s = [
            [
                sum(map(mpmath.fmul, h, g)) / a / b / mpf(float(tau))
                for g, b in zip(columns, lengths, strict=True)
            ]
            for h, a in zip(columns, lengths, strict=True)
        ]
        n, total = len(labels), mpf(0)
        for i in range(n):
            others = [l for l in range(n) if self_pairs or l != i]
            positives = [j for j in others if labels[j] == labels[i]]
            rest = mpmath.log(sum(mpmath.exp(s[i][l]) for l in others))
            total += sum(rest - s[i][j] for j in positives) / len(positives)
        return total


def holds(interval, value):
    return mpf(float(interval.lower)) <= value <= mpf(float(interval.upper))


@st.composite
def features(draw, sizes=class_sizes):
    """Features (d, n) with labels and a temperature."""
    labels = world.labels_of(draw(sizes))
    d = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return (
        draw(st.sampled_from([1.0, 0.1, 3.0])) * rng.normal(size=(d, len(labels))),
        labels,
        draw(temperatures),
    )


# --- the loss -------------------------------------------------------------------------------------------


@few
@given(features())
def test_the_loss_is_that_of_the_definition(drawn):
    H, labels, tau = drawn
    truth = precise_loss(H, labels, tau)
    assert abs(world.sc_loss(H, labels, tau) - truth) <= 1e-12 * (1 + abs(truth))
    shuffled = np.random.default_rng(0).permutation(len(labels))
    assert np.isclose(world.sc_loss(H[:, shuffled], labels[shuffled], tau), float(truth), rtol=1e-12)


@few
@given(features(), st.booleans(), st.booleans())
def test_losses_are_enclosed(drawn, unit, self_pairs):
    H, labels, tau = drawn
    masks = [mask[0] for mask in world.pairs(labels[None], self_pairs)]
    found = _certificates.losses(_certificates.gram(H, unit), *masks, tau)
    assert holds(found, precise_loss(H, labels, tau, unit, self_pairs))
    assert found.width <= 1e-9 * max(1, abs(found.upper))


def test_the_loss_at_the_lowest_temperatures_is_finite():
    H = np.eye(3)[:, [0, 0, 1, 1, 2, 2]]
    assert world.sc_loss(H, [0, 0, 1, 1, 2, 2], 1e-4) == 0
    assert np.isclose(world.sc_loss(H, [0, 1, 1, 2, 2, 0], 1e-4), 6e4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((np.ones(4), [0, 0, 1, 1], 1.0), "features"),
        ((np.ones((2, 0)), np.zeros(0, int), 1.0), "features"),
        ((np.full((2, 4), np.nan), [0, 0, 1, 1], 1.0), "finite"),
        ((np.ones((2, 4), complex), [0, 0, 1, 1], 1.0), "features"),
        ((np.ones((2, 4)), [0, 0, 1], 1.0), "labels"),
        ((np.ones((2, 4)), [0.0, 0.0, 1.0, 1.0], 1.0), "labels"),
        ((np.ones((2, 4)), [0, 0, 0, 1], 1.0), r"two samples.*\[1\]"),
        ((np.ones((2, 4)), [0, 0, 1, 1], 0.0), "temperature"),
        ((np.ones((2, 4)), [0, 0, 1, 1], np.inf), "temperature"),
        ((np.ones((2, 4)), [0, 0, 1, 1], True), "temperature"),
        ((np.ones((2, 4)), [0, 0, 1, 1], "warm"), "temperature"),
    ],
)
def test_the_loss_refuses(arguments, said):
    with pytest.raises(ValueError, match=said):
        world.sc_loss(*arguments)


def test_labels_may_be_any_integers():
    H = np.random.default_rng(0).normal(size=(3, 4))
    assert world.sc_loss(H, [7, -1, 7, -1], 1.0) == world.sc_loss(H, [0, 1, 0, 1], 1.0)


# --- the program ----------------------------------------------------------------------------------------


@many
@given(class_sizes, temperatures, st.integers(0, 2**32))
def test_no_unit_features_are_below_the_certified_optimum(sizes, tau, seed):
    optimum, M = world.reduced_optimum(sizes, tau)
    assert optimum.grade == "rigorous"
    assert optimum.width <= 1e-9 * max(1, optimum.upper)
    assert M.shape == (len(sizes), len(sizes))
    assert np.allclose(np.diag(M), 1)
    assert np.linalg.eigvalsh(M)[0] > -1e-12
    labels, rng = world.labels_of(sizes), np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(M)
    best = ((vectors * np.sqrt(np.maximum(values, 0))).T)[:, labels]
    for scale in (0.0, 1e-3, 0.3, 10.0):
        H = best + scale * rng.normal(size=best.shape)
        loss = world.sc_loss(H / np.linalg.norm(H, axis=0), labels, tau)
        assert loss >= optimum.lower - world.resolution(len(labels), tau).upper
        if scale == 0:
            assert loss <= optimum.upper + world.resolution(len(labels), tau).upper


@pytest.mark.parametrize("seed", range(4))
def test_the_certificate_holds_the_value_of_an_independent_solver(seed):
    """Nelder and Mead's search over angles in the plane, for three classes."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    n, tau = rng.integers(2, 9, size=3), float(rng.uniform(0.3, 2))

    def F(angles):
        theta = np.array([0.0, *angles])
        weights = n * np.exp((np.cos(theta[:, None] - theta) - 1) / tau)
        return n @ np.log(weights.sum(axis=1) - 1)  # the diagonal is n_c, of which one is left out

    found = minimize(F, [2.1, 4.2], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
    optimum, _ = world.reduced_optimum(n, tau)
    assert optimum.lower <= found.fun <= optimum.upper + 1e-9


@pytest.mark.parametrize("k", [2, 3, 5])
def test_balanced_classes_make_a_simplex(k):
    optimum, M = world.reduced_optimum([4] * k, 0.7)
    assert np.allclose(M, world.simplex(k), atol=1e-9)
    with mpmath.workdps(40):
        tau = mpf(0.7)
        assert holds(optimum, 4 * k * mpmath.log(3 + 4 * (k - 1) * mpmath.exp(-mpf(k) / ((k - 1) * tau))))


def test_the_certificate_holds_far_from_the_optimum():
    """Where the multipliers are not psd, and the bound pays for it."""
    optimum, _ = world.reduced_optimum((7, 3, 2), 0.5)
    found = world.at_simplex((7, 3, 2), 0.5)
    assert certify.smallest_eigenvalue(found.Z).upper < 0
    assert found.dual.upper < optimum.lower
    assert found.primal.lower > optimum.upper
    assert found.tangent.lower > optimum.upper


def test_minorities_that_collapse_and_saddles_on_the_way():
    optimum, M = world.reduced_optimum([1000, 1000, *[2] * 5], 1.0)
    assert optimum.width <= 1e-12 * optimum.upper
    assert np.allclose(M[2:, 2:], 1)


@pytest.mark.parametrize("tau", [1e-3, 0.02, 50.0])
def test_extreme_temperatures_still_give_a_certificate(tau):
    optimum, _ = world.reduced_optimum([3, 2, 2], tau)
    assert optimum.width <= 1e-12 * max(optimum.upper, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([3], 1.0), "class sizes"),
        (([3, 1], 1.0), "class sizes"),
        (([3.0, 2.0], 1.0), "class sizes"),
        (([[3, 2]], 1.0), "class sizes"),
        ((3, 1.0), "class sizes"),
        (([3, 2], -1.0), "temperature"),
        (([3, 2], None), "temperature"),
    ],
)
def test_the_program_refuses(arguments, said):
    with pytest.raises(ValueError, match=said):
        world.reduced_optimum(*arguments)


@few
@given(class_sizes, st.floats(0.3, 2), st.integers(0, 2**32), st.sampled_from([1e-3, 0.1, 1.0]))
def test_distance_from_the_optimum_costs(sizes, tau, seed, scale):
    """The growth that the claim checks along training, on features anywhere."""
    solution, labels = world.reduced(sizes, tau), world.labels_of(sizes)
    rng = np.random.default_rng(seed)
    vectors = _program.solve(sizes, np.array(sizes) - 1, tau, len(sizes))
    H = vectors[:, labels] + scale * rng.normal(size=(len(sizes), len(labels)))
    G = _certificates.gram(H[None])
    loss = _certificates.losses(G, *(mask[0] for mask in world.pairs(labels[None])), tau)
    cost, excess = _certificates.growth(G, labels, solution)[0], (loss - solution.tangent)[0]
    assert cost.lower <= excess.upper
    bound = _certificates.gram_bound(loss - solution.dual, solution)
    away = abs(G - solution.enclosed[labels[:, None], labels]).largest()
    assert away.lower <= bound.upper[0]


@few
@given(class_sizes, st.floats(0.3, 2))
def test_multipliers_are_enclosed_at_the_optimum(sizes, tau):
    known = _certificates.at_optimum(world.reduced(sizes, tau))
    product = certify.product(known.Z, known.gram)
    assert np.all(product.lower <= 0)
    assert np.all(product.upper >= 0)
    if len(sizes) == 2:
        assert known.gram.lower[0, 1] <= -1 <= known.gram.upper[0, 1]


# --- training -------------------------------------------------------------------------------------------


def test_a_step_follows_the_gradient_and_padding_is_nobody():
    """One step from random features, with labels of two problems of different sizes in one call."""
    rng = np.random.default_rng(0)
    problems = [((3, 2), 0.8), ((4, 3, 2), 1.5)]
    H = np.stack([world.gaussian_start(rng, 1, 3, sum(sizes))[0] for sizes, _ in problems])
    labels = np.stack([world.padded(world.labels_of(sizes)) for sizes, _ in problems])
    path = _descent.descend(H, labels, [tau for _, tau in problems], 1, keep=2)
    for h, after, (sizes, tau) in zip(H, path.features[-1], problems, strict=True):
        y, x = world.labels_of(sizes), h[:, : sum(sizes)]
        slope = np.zeros_like(x)
        for at in np.ndindex(*x.shape):
            up, down = x.copy(), x.copy()
            up[at] += 1e-6
            down[at] -= 1e-6
            slope[at] = (world.sc_loss(up, y, tau) - world.sc_loss(down, y, tau)) / 2e-6
        slope -= x * (x * slope).sum(axis=0)
        size = _descent.RATE * tau**2 * (1 + _descent.MOMENTUM)
        share = (world.sc_loss(x, y, tau) - sum(n * np.log(n - 1) for n in sizes)) / sum(sizes)
        step = x - size * slope / min(max(share, _descent.LEAST_SHARE), 1)
        assert np.allclose(after[:, : sum(sizes)], step / np.linalg.norm(step, axis=0), atol=1e-8)
        assert not np.any(after[:, sum(sizes) :])


def test_unused_dimensions_stay_unused_and_constraints_hold():
    rng = np.random.default_rng(1)
    labels = world.padded(world.labels_of((3, 3)))
    H = world.gaussian_start(rng, 2, 2, 6)
    assert not np.any(_descent.descend(H, labels, 0.5, 50, keep=2).features[:, :, 2:])
    cone = _descent.descend(np.abs(H), labels, 0.5, 50, nonnegative=True, keep=2).features[-1]
    assert cone.min() >= 0
    assert np.allclose(np.linalg.norm(cone, axis=1)[:, :6], 1)
    ball = _descent.descend(0.1 * H, labels, 0.5, 50, sphere=False, radius=0.7, keep=2).features[-1]
    assert np.linalg.norm(ball, axis=1).max() <= 0.7 + 1e-12


# --- right angles ---------------------------------------------------------------------------------------


@few
@given(st.lists(st.integers(0, 3), min_size=5, max_size=7), st.floats(0.2, 2), st.integers(0, 2**32))
def test_derivatives_at_right_angles(turns, tau, seed):
    """Against second differences along a random direction, in the plane and out of it."""
    turns, labels = np.array(turns), np.arange(len(turns)) % 2
    masks = [mask[0] for mask in world.pairs(labels[None])]
    found = _planar.expansion(turns, *masks, tau)
    rng, h = np.random.default_rng(seed), mpf(10) ** -12
    v = rng.normal(size=len(turns))

    def loss(inside, outside):
        with mpmath.workdps(50):
            theta = [mpmath.pi / 2 * int(t) + inside * mpf(float(x)) for t, x in zip(turns, v, strict=True)]
            tilt = [outside * mpf(float(x)) for x in v]
            G = [
                [mpmath.cos(a - b) * mpmath.cos(p) * mpmath.cos(q) + mpmath.sin(p) * mpmath.sin(q)
                 for b, q in zip(theta, tilt, strict=True)]
                for a, p in zip(theta, tilt, strict=True)
            ]  # fmt: skip
            total = mpf(0)
            for i in range(len(v)):
                rest = sum(mpmath.exp(G[i][j] / mpf(tau)) for j in range(len(v)) if j != i)
                same = [j for j in range(len(v)) if j != i and labels[j] == labels[i]]
                total += mpmath.log(rest) - sum(G[i][j] for j in same) / len(same) / mpf(tau)
            return total

    with mpmath.workdps(50):
        here = loss(0, 0)
        assert holds(found.loss, here)
        assert np.isclose(float((loss(h, 0) - loss(-h, 0)) / (2 * h)), v @ found.slope.middle, atol=1e-8)
        for name, along in (("inside", (h, 0)), ("outside", (0, h))):
            second = (loss(*along) + loss(*(-x for x in along)) - 2 * here) / h**2
            assert np.isclose(float(second), v @ getattr(found, name).middle @ v, rtol=1e-7, atol=1e-7)


def test_a_common_rotation_is_left_out():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 4))
    inside = values + values.T
    inside -= np.diag(inside.sum(axis=1))
    basis = np.linalg.svd(np.eye(4) - 1 / 4)[0][:, :3]
    exactly = Interval(inside, inside, "exact", "exact")
    least = _planar.least_but_rotation(exactly)
    truth = np.linalg.eigvalsh(basis.T @ inside @ basis)[0]
    assert least.lower - 1e-12 <= truth <= least.upper + 1e-12


# --- step imbalance -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k_a", "k_b", "n_b", "tau"), [(2, 2, 2, 1.0), (3, 2, 4, 0.5), (2, 3, 3, 0.8)])
def test_two_unknowns_give_the_optimum_of_the_program(k_a, k_b, n_b, tau):
    for ratio, (alpha, beta, delta, u) in zip(
        (1, 3, 10), _step.minimisers(k_a, k_b, n_b, tau, (1, 3, 10)), strict=True
    ):
        _, M = world.reduced_optimum((ratio * n_b,) * k_a + (n_b,) * k_b, tau)
        assert np.allclose([M[0, 1], M[0, k_a], M[k_a, k_a + 1]], [alpha, beta, delta], atol=1e-8)
        assert np.isclose(u, 1 + (k_a - 1) * alpha)


def test_minorities_collapse_where_the_closed_form_says():
    """Just below and just above the temperature at which the logarithm reaches 1/tau."""
    from scipy.optimize import brentq

    def excess(tau):
        q = np.exp(-3 / (2 * tau))
        c, pull = 3 * q / (1 + 2 * q), 1 + 3 * np.exp(-1 / tau) / (1 + 2 * q)
        return tau * np.log(pull**2 / (4 * c)) - 1

    critical = brentq(excess, 0.2, 1.0)
    for tau, collapsed in ((0.95 * critical, True), (1.05 * critical, False)):
        delta = _step.minimisers(3, 3, 5, tau, (1, 2, 5, 10, 30, 100, 1000, 10_000, 100_000))[-1, 2]
        assert (delta == 1) == collapsed
        assert np.isclose(delta, limits_of(3, 3, tau, 4, 1)[2].middle, atol=5e-3)


@few
@given(features())
def test_procrustes_undoes_an_orthogonal_map(drawn):
    H, *_ = drawn
    assume(np.linalg.norm(H, axis=0).min() > 1e-3)
    Q = np.linalg.qr(np.random.default_rng(0).normal(size=(len(H), len(H))))[0]
    residual = _certificates.procrustes(H[None], (Q @ H)[None])[0]
    assert residual.lower <= 1e-12
    assert residual.upper <= 1e-9
