"""What the claims on the supervised contrastive loss stand on, against 50 digits, other solvers, other derivatives."""

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mpmath import mpf

from claims.sc_loss_ufm import _certificates, _descent, _planar, _program, _step, _worlds, world
from claims.sc_loss_ufm.minority_angle_limit import limits_of
from claims.sc_loss_ufm.tight_relaxation_and_collapse import class_size, embedding_dimension
from verify import CertificateError, Interval, certify, rounding

many = settings(max_examples=8, deadline=None)
few = settings(max_examples=8, deadline=None)
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
    assume(unit or np.sum(H**2, axis=0).max() < 600 * tau)  # exponentials that float64 holds
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


@pytest.mark.parametrize(("samples", "tau"), [(6, 0.2), (12, 1.5)])
def test_a_resolution_is_of_the_largest_terms(samples, tau):
    """Equal features, each its own negative as well, have the largest exponents, logarithms and mean similarities."""
    similarity = 1 / tau
    magnitude = samples * (abs(np.log(samples * np.exp(similarity))) + abs(similarity))
    assert np.isclose(
        world.resolution(samples, tau).upper,
        rounding(2 * samples + world.DEPTH + 8, magnitude).upper,
        rtol=1e-12,
        atol=0,
    )


def test_masks_leave_self_pairs_out_unless_asked():
    positives, allowed = _worlds.masks(np.array([0, 0, 1]))
    assert positives.tolist() == [[False, True, False], [True, False, False], [False] * 3]
    assert allowed.tolist() == (~np.eye(3, dtype=bool)).tolist()
    positives, allowed = _worlds.masks(np.array([0, 0, 1]), self_pairs=True)
    assert positives.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    assert allowed.all()


def test_the_theorem_asks_for_two_samples_and_all_but_one_dimension():
    assert [embedding_dimension((5, 3, 2), extra).outcome for extra in (-2, -1)] == ["fails", "holds"]
    assert [class_size(sizes).outcome for sizes in ((3, 1), (3, 2))] == ["fails", "holds"]


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
    for scale in (0.0, 1e-3, 10.0):
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


# --- the certificates, ingredient by ingredient, against the definitions --------------------------------------

UNEVEN = (4, 3, 2), 0.6


def anywhere(sizes, seed=0, alike=0.5):
    """Class vectors (k, k) far from the optimum."""
    return np.random.default_rng(seed).normal(size=(len(sizes),) * 2) + alike


def plain_gram(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=0)
    return unit.T @ unit


def plain_program(M, sizes, own, tau):
    """F at any symmetric matrix, with 40 digits."""
    k = len(sizes)
    return sum(
        n
        * mpmath.log(
            own[c] + sum(sizes[b] * mpmath.exp((M[c][b] - 1) / mpf(tau)) for b in range(k) if b != c)
        )
        for c, n in enumerate(map(int, sizes))
    )


def plain_loss(G, labels, tau):
    """f at any symmetric matrix, with 40 digits."""
    total, n = mpf(0), len(labels)
    for i in range(n):
        same = [j for j in range(n) if j != i and labels[j] == labels[i]]
        total += mpmath.log(sum(mpmath.exp(G[i][l] / mpf(tau)) for l in range(n) if l != i))
        total -= sum(G[i][j] for j in same) / len(same) / mpf(tau)
    return total


def slopes_of(function, M):
    """The symmetric gradient (k, k) and second derivatives in single entries, both by differences with 40 digits."""
    k, h = len(M), mpf(10) ** -13
    D, curved = np.zeros((k, k)), np.zeros((k, k))
    for a in range(k):
        for b in range(a):
            values = []
            for step in (-h, mpf(0), h):
                moved = [[mpf(float(x)) for x in row] for row in M]
                moved[a][b] += step
                moved[b][a] += step
                values.append(function(moved))
            D[a, b] = D[b, a] = (values[2] - values[0]) / (4 * h)
            curved[a, b] = curved[b, a] = (values[2] - 2 * values[1] + values[0]) / h**2
    return D, curved


def certified(found, value, D, M):
    """Whether a certificate is that of its docstring, for a value and a gradient from elsewhere."""
    nu = -(D * M).sum(axis=1)
    n_dual = len(M) * min(0, np.linalg.eigvalsh(D + np.diag(nu))[0])
    near = {"rtol": 1e-10, "atol": 1e-10}  # differences, and float64
    assert np.allclose(found.gram, M, **near)
    assert np.allclose(found.Z.middle, D + np.diag(nu), **near)
    assert np.isclose(found.primal.middle, value, **near)
    assert np.isclose(found.tangent.middle, value - (D * M).sum() - nu.sum(), **near)
    assert np.isclose(found.dual.middle, value + n_dual, **near)
    assert (found.optimum.lower, found.optimum.upper) == (found.dual.lower, found.primal.upper)
    assert max(np.max(x.width) for x in (found.Z, found.primal, found.tangent)) < 1e-9


@pytest.mark.parametrize("self_pairs", [False, True])
@pytest.mark.parametrize(("sizes", "tau"), [UNEVEN, ((5, 2), 1.3)])
def test_the_small_program_is_expanded_where_it_is(sizes, tau, self_pairs):
    sizes = np.array(sizes)
    own = [int(n) if self_pairs else int(n) - 1 for n in sizes]
    vectors = anywhere(sizes)
    found, M = _certificates.reduced(vectors, sizes, np.array(own), tau), plain_gram(vectors)
    with mpmath.workdps(40):
        D, curved = slopes_of(lambda at: plain_program(at, sizes, own, tau), M)
        certified(found, float(plain_program(M, sizes, own, tau)), D, M)
    for c, b in np.ndindex(M.shape):
        each = [n * np.exp((M[c, l] - 1) / tau) * (l != c) for l, n in enumerate(sizes)]
        other = [n * np.exp((M[b, l] - 1) / tau) * (l != b) for l, n in enumerate(sizes)]
        p, q = each[b] / (own[c] + sum(each)), other[c] / (own[b] + sum(other))
        left, right = own[c] / (own[c] + sum(each)), own[b] / (own[b] + sum(other))
        assert np.isclose(found.weights[c, b].middle, p, rtol=1e-12)
        assert np.isclose(found.curvature[c, b].middle, (sizes[c] * left * p + sizes[b] * right * q) / tau**2)
    if len(sizes) == 2:  # two terms in a logarithm: the bound is the second derivative
        assert np.allclose(found.curvature.middle, curved, rtol=1e-9)
    assert np.all(found.curvature.middle <= curved * (1 + 1e-9))


def test_the_large_program_is_expanded_where_it_is():
    labels, tau = np.array([0, 0, 0, 1, 1, 2, 2]), 0.6
    vectors = np.random.default_rng(0).normal(size=(3, 7))
    M = plain_gram(vectors)
    found = _certificates.full(vectors, *(mask[0] for mask in world.pairs(labels[None])), tau)
    with mpmath.workdps(40):
        D, _ = slopes_of(lambda at: plain_loss(at, labels, tau), M)
        certified(found, float(plain_loss(M, labels, tau)), D, M)


def test_what_a_gap_says_of_the_gram_matrix():
    """The bound as it is derived, where it says something and where it says nothing."""
    sizes, tau = np.array([4, 3, 2]), 0.6
    solution = world.reduced(sizes, tau)
    weights, curvature = solution.weights.middle, solution.curvature.middle
    excess = np.array([0.0, 1e-9, 1e-6, 1e-4, 1.0])
    found = _certificates.gram_bound(Interval(excess - 1, excess, "exact", "given"), solution)
    for e, bound in zip(excess, found.middle, strict=True):
        b = np.sqrt(2 * e / min(curvature[0, 1], curvature[0, 2], curvature[1, 2]))
        if 3 * b > tau:
            assert bound == 2
            continue
        x = b * np.exp(3 * b / tau)
        lack = [
            tau * e / (n * p * np.exp(-2 * x / tau)) for n, p in zip(sizes, weights.sum(axis=1), strict=True)
        ]
        r = max(np.sqrt((n - 1) * at_most) for n, at_most in zip(sizes, lack, strict=True))
        assert np.isclose(bound, x + 2 * r, rtol=1e-9)
    assert found.middle[-1] == 2 > found.middle[-2]
    # where 3 b reaches tau
    edge = (tau / 3) ** 2 * solution.curvature.middle[np.triu_indices(3, 1)].min() / 2
    near = edge * np.array([0.98, 1.02])
    inside, beyond = _certificates.gram_bound(Interval(near, near, "exact", "given"), solution).middle
    assert inside != 2 == beyond
    assert (
        _certificates.gram_bound(Interval(-np.ones(1), -np.ones(1), "exact", "given"), solution).middle == 0
    )


def test_optimal_gram_matrices_and_multipliers_are_enclosed():
    """Those of the search with 50 digits; the multipliers also of another temperature."""
    k_a, k_b, n_a, n_b, tau = 2, 2, 6, 2, 0.5
    sizes = np.array((n_a,) * k_a + (n_b,) * k_b)
    alpha, beta, delta, _ = _step.minimisers(k_a, k_b, n_b, tau, (1, 2, n_a / n_b))[-1]
    M = np.array(
        [[1, alpha, beta, beta], [alpha, 1, beta, beta], [beta, beta, 1, delta], [beta, beta, delta, 1]]
    )
    solution = world.reduced(sizes, tau)
    for heat in (None, 0.8):
        known = _certificates.at_optimum(solution, heat)
        with mpmath.workdps(40):
            D, _ = slopes_of(lambda at, t=heat or tau: plain_program(at, sizes, sizes - 1, t), M)
        Z = D - np.diag((D * M).sum(axis=1))
        for found, truth in ((known.gram, M), (known.Z, Z)):
            assert np.all(found.lower - 1e-14 <= truth)
            assert np.all(truth <= found.upper + 1e-14)
            assert found.width.max() < 1e-3
    far = _certificates.gram_bound(solution.optimum.gap(), solution)
    assert (known.far.lower, known.far.upper) == (far.lower, far.upper)
    off = ~np.eye(4, dtype=bool)
    assert np.allclose(known.gram.width[off], 2 * far.upper, rtol=1e-6)
    assert known.gram.width[~off].max() < 1e-12


@settings(max_examples=6, deadline=None)
@given(features(), st.booleans())
def test_blocks_are_those_of_plain_loops(drawn, others):
    H, labels, _ = drawn
    shuffled = np.random.default_rng(0).permutation(labels)
    G = _certificates.gram(np.stack([H, H[:, ::-1]]), unit=False)
    found = _certificates.blocks(G, shuffled, others)
    means, all_pairs = (
        _certificates.block_means(G, shuffled).middle,
        _certificates.blocks(G, shuffled)["mean"],
    )
    for run, a, b in np.ndindex(found["mean"].shape):
        every = [
            (i, j)
            for i, j in np.ndindex(G.shape[1:])
            if (shuffled[i], shuffled[j]) == (a, b) and not (others and i == j)
        ]
        values = [G.middle[run, i, j] for i, j in every]
        assert np.isclose(found["least"][run, a, b].middle, min(values), atol=1e-14)
        assert np.isclose(found["largest"][run, a, b].middle, max(values), atol=1e-14)
        assert np.isclose(found["mean"][run, a, b].middle, np.mean(values), atol=1e-13)
        different = [G.middle[run, i, j] for i, j in every if i != j]
        assert np.isclose(means[run, a, b], np.mean(different), atol=1e-13)
        block = G.middle[run][shuffled == a][:, shuffled == b]
        assert np.isclose(all_pairs[run, a, b].middle, block.mean(), atol=1e-13)


def test_growth_is_the_sum_of_its_terms():
    sizes, tau = np.array([4, 3, 2]), 0.6
    solution, labels = world.reduced(sizes, tau), world.labels_of(sizes)
    H = np.random.default_rng(1).normal(size=(2, 3, 9)) + np.eye(3)[:, labels]
    G = _certificates.gram(H)
    for run, found in enumerate(_certificates.growth(G, labels, solution).middle):
        plain = plain_gram(H[run])
        means = np.array([[plain[labels == a][:, labels == b].mean() for b in range(3)] for a in range(3)])
        a = (sizes * np.diag(means) - 1) / (sizes - 1)  # without self pairs
        total = 0.0
        for c in range(3):
            rest = sum(sizes[b] * np.exp((means[c, b] - 1) / tau) for b in range(3) if b != c)
            total += sizes[c] * rest / (rest + sizes[c] - 1) * (1 - a[c]) / tau
        np.fill_diagonal(means, 1)
        total += np.sum(solution.Z.middle * means)
        away = means - solution.gram
        pairs = [(0, 1), (0, 2), (1, 2)]
        shrunk = np.exp(-2 * max(abs(away[pair]) for pair in pairs) / tau)
        total += shrunk * sum(solution.curvature.middle[pair] * away[pair] ** 2 for pair in pairs) / 2
        assert np.isclose(found, total, rtol=1e-10)


@pytest.mark.parametrize("split", [False, True])
def test_growth_is_attained_to_the_leading_order(split):
    """By two classes that are not quite opposite (where F has second derivatives w), and by a class that opens."""
    labels, tau, angle = np.array([0, 0, 0, 1, 1]), 0.7, 0.03
    solution = world.reduced((3, 2), tau)
    H = np.array([np.ones(5), [0, 0, 0, angle, -angle] if split else [angle, angle, angle, 0, 0]])
    H *= np.where(labels, -1, 1)
    G = _certificates.gram(H[None])
    excess = _certificates.losses(G, *(mask[0] for mask in world.pairs(labels[None])), tau) - solution.tangent
    cost = _certificates.growth(G, labels, solution)
    if not split:  # what is linear in the Gram matrix is the same on both sides
        linear = (solution.Z * plain_gram(H[:, [0, -1]])).sum()
        excess, cost = excess - linear, cost - linear
    ratio = (cost / excess)[0]
    assert ratio.lower > 1 - 0.01
    assert ratio.lower <= 1


@pytest.mark.parametrize("seed", range(2))
def test_procrustes_is_the_distance_that_is_left(seed):
    from scipy.linalg import orthogonal_procrustes

    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(2, 3, 2, 6))
    free, fixed = _certificates.procrustes(X, Y), _certificates.procrustes(X, Y, aligned=False)
    for i, (x, y) in enumerate(zip(X, Y, strict=True)):
        H, K = x / np.linalg.norm(x, axis=0), y / np.linalg.norm(y, axis=0)
        Q, _ = orthogonal_procrustes(H.T, K.T)
        assert np.isclose(free[i].middle, np.sum((Q.T @ H - K) ** 2), atol=1e-12)
        assert np.isclose(fixed[i].middle, np.sum((H - K) ** 2), atol=1e-12)


# --- training -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"nonnegative": True}, {"sphere": False, "radius": 0.7}, {"self_pairs": True}], ids=str
)
def test_a_step_follows_the_gradient_and_padding_is_nobody(options):
    """One step from random features, with labels of two problems of different sizes in one call."""
    rng = np.random.default_rng(0)
    problems = [((3, 2), 0.8), ((4, 3, 2), 1.5)]
    H = np.stack([world.gaussian_start(rng, 1, 3, sum(sizes))[0] for sizes, _ in problems])
    labels = np.stack([world.padded(world.labels_of(sizes)) for sizes, _ in problems])
    path = _descent.descend(H, labels, [tau for _, tau in problems], 1, keep=2, **options)
    own = options.get("self_pairs", False)

    def loss(x, y, tau):
        s = x.T @ x / tau
        rest = np.log(np.exp(s).sum(axis=1) - np.exp(np.diag(s)) * (not own))
        pairs = (y[:, None] == y) & (own | ~np.eye(len(y), dtype=bool))
        return np.sum(rest - np.mean(s, axis=1, where=pairs))

    for h, after, (sizes, tau) in zip(H, path.features[-1], problems, strict=True):
        y, x = world.labels_of(sizes), h[:, : sum(sizes)]
        slope = np.zeros_like(x)
        for at in np.ndindex(*x.shape):
            up, down = x.copy(), x.copy()
            up[at] += 1e-6
            down[at] -= 1e-6
            slope[at] = (loss(up, y, tau) - loss(down, y, tau)) / 2e-6
        if options.get("sphere", True):
            slope -= x * (x * slope).sum(axis=0)
        size = _descent.RATE * tau**2 * (1 + _descent.MOMENTUM)
        share = (loss(x, y, tau) - sum(n * np.log(n - (not own)) for n in sizes)) / sum(sizes)
        step = x - size * slope / min(max(share, _descent.LEAST_SHARE), 1)
        step = np.maximum(step, 0) if "nonnegative" in options else step
        length = np.maximum(np.linalg.norm(step, axis=0), 1e-300)
        expected = step * np.minimum(1, 0.7 / length) if "radius" in options else step / length
        assert np.allclose(after[:, : sum(sizes)], expected, atol=1e-8)
        assert not np.any(after[:, sum(sizes) :])


def test_unused_dimensions_stay_unused_and_constraints_hold():
    rng = np.random.default_rng(1)
    labels = world.padded(world.labels_of((3, 3)))
    H = world.gaussian_start(rng, 2, 2, 6)
    assert not np.any(_descent.descend(H, labels, 0.5, 50, keep=2).features[:, :, 2:])
    cone = _descent.descend(np.abs(H), labels, 0.5, 50, nonnegative=True, keep=2).features[-1]
    assert cone.min() >= 0
    assert np.allclose(np.linalg.norm(cone, axis=1)[:, :6], 1)
    cold = _descent.descend(H, labels, 1e-3, 50, keep=2).features[-1]  # exponents of 1000
    assert np.allclose(np.linalg.norm(cold, axis=1)[:, :6], 1)
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


@pytest.mark.parametrize("off", [0.0, -3.0, 5.0])
def test_a_common_rotation_is_lifted_above_all_others(off):
    """Two angles: the only other change has twice the sum of a row, as much as there can be."""
    inside = 1.5 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    least = _planar.least_but_rotation(Interval(inside, inside, "exact", "given"))
    assert np.isclose(least.middle, 3, rtol=1e-12)
    inside = np.diag([off, off]) + off * (np.ones((2, 2)) - np.eye(2)) * -1
    truth = 2 * off
    least = _planar.least_but_rotation(Interval(inside, inside, "exact", "given"))
    assert np.isclose(least.middle, truth, atol=1e-12)


def test_the_split_point():
    labels, turns = _planar.split_point(3, more=1, pairs=2)
    assert labels.tolist() == [0] * 4 + [1] * 3 + [2] * 4
    assert turns.tolist() == [0] * 4 + [2] * 3 + [1, 1, 3, 3]
    labels, turns = _planar.split_point(2)
    assert (labels.tolist(), turns.tolist()) == ([0, 0, 1, 1, 2, 2], [0, 0, 2, 2, 1, 3])


@pytest.mark.parametrize("q", [2, 3])
def test_the_crossing_is_where_second_derivatives_vanish(q):
    """Of the whole matrix in floating point, from differences of the plain loss, on both sides of the enclosure."""
    labels, turns = _planar.split_point(q)
    crossing = _planar.crossing(q, 6)
    assert np.isclose(float(crossing.width), 0.15 / 2**6, rtol=1e-9)

    def bent(tau):
        def loss(change):
            theta = np.pi / 2 * turns + change * np.array([0] * 2 * q + [1, -1])
            return world.sc_loss(np.array([np.cos(theta), np.sin(theta)]), labels, tau)

        return loss(0.01) + loss(-0.01) - 2 * loss(0)

    assert bent(float(crossing.lower)) > 0 > bent(float(crossing.upper))
    assert (_planar.sign(q, 0.2), _planar.sign(q, 0.35)) == (1, -1)
    with pytest.raises(CertificateError):
        _planar.crossing(q, 6, 0.3, 0.35)
    with pytest.raises(CertificateError):
        _planar.crossing(q, 6, 0.2, 0.22)


def test_a_crossing_holds_what_is_not_certain(monkeypatch):
    from scipy.optimize import brentq

    zero = brentq(
        lambda tau: _planar.least_but_rotation(_planar.at_split(2, tau).inside).middle, 0.2, 0.35, xtol=1e-16
    )
    assert [_planar.sign(2, zero + more) for more in (-1e-6, 0, 1e-6)] == [1, 0, -1]
    monkeypatch.setattr(_planar, "sign", lambda q, tau: int(tau < 0.24) - int(tau > 0.26))
    found = _planar.crossing(2, 6)
    assert found.lower < 0.24 < 0.26 < found.upper
    assert np.isclose(float(found.width), 0.15 / 4)
    for ends in ((0.2, 0.25), (0.25, 0.35)):
        with pytest.raises(CertificateError):
            _planar.crossing(2, 6, *ends)


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
