"""The bounds and runs of signgd-adam-margin's claims, each written out once more as a plain loop over steps."""

from __future__ import annotations

import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logsumexp

from claims.signgd_adam_margin import (
    adam_max_norm,
    certified_max_margin_references,
    momentum_and_muon,
    norm_preference,
    nsd_explicit_margin_bound,
    other_losses,
    proxy_lemmas,
    rate_and_p_scan,
)
from verify import Record, exact
from verify.interval import Interval

ROUNDING = 1e-12  # relative: a thousand times that of some dozen operations, and far below any fault
NORMS = ("max", "frobenius", "spectral")
N, K, D = 5, 3, 2
B, GAMMA = 0.8, 1.5
DATA = Record(
    features=np.array([[1.0, -0.5], [-1.0, 0.25], [0.5, 1.5], [-0.75, 0.0], [2.0, -1.5]]),
    labels=np.array([0, 1, 2, 1, 0]),
)


def point(x):
    return Interval(np.asarray(x, float), np.asarray(x, float), "numerical", "a number")


def agrees(interval, value, rounding=ROUNDING):
    """Both ends, relative to the largest entry."""
    assert interval.shape == np.shape(value)
    for end in (interval.lower, interval.upper):
        np.testing.assert_allclose(np.asarray(end, float), value, rtol=0, atol=rounding * np.abs(value).max())


# --- a path that no descent made, so that nothing is near to anything -------------------------------------

T, STEPS = 9, np.array([0, 1, 3, 4, 6, 9])
SMALL = math.log(math.log(2) / N)
LOGS = SMALL + np.array([2.0, 0.5, 0.01, -0.4, -0.9, 0.3, -0.2, -1.0, -3.0, -2.5])
RATIO = np.linspace(0.55, 0.95, T + 1)
RATES = 0.3 * np.arange(1, T + 1) ** -0.5
SIZE = np.linspace(0.2, 3.0, len(STEPS))
MARGIN = np.linspace(0.1, 1.2, len(STEPS) - 1)
SPOKEN = [t for t in STEPS if LOGS[t] <= SMALL and t > 3]  # 3 is the first step with a small loss
LOSSES = Record(log_loss=point(LOGS), ratio=point(RATIO))
PATH = Record(steps=STEPS, iterates=np.zeros((len(STEPS), K, D)))


def curved(eta, length=1.0):
    """The second-order term of a step of length `eta * length`."""
    y = B * eta * length
    return 2 * y**2 * math.exp(2 * y)


def gaps(gain, size):
    """{t: 1 - X_t / (gamma ||W_t||)} for the gain g_s of every step."""
    return {t: 1 - sum(gain(s) for s in range(3, t)) / (GAMMA * size(t)) for t in SPOKEN}


def size_at(t):
    return SIZE[list(STEPS).index(t)]


def is_the_gap_against(comparison, bounds):
    assert comparison.relation == "<="
    assert list(comparison.at["step"]) == SPOKEN
    agrees(comparison.bound, [bounds[t] for t in SPOKEN])
    agrees(comparison.measured, [1 - MARGIN[list(STEPS).index(t) - 1] / GAMMA for t in SPOKEN])


def descent(s):
    return (GAMMA * RATES[s] - curved(RATES[s])) * RATIO[s]


COMMON = {
    "attained": point(MARGIN), "size": point(SIZE), "losses": LOSSES, "gamma": point(GAMMA), "radius": point(B),
    "rates": RATES, "path": PATH, "data": DATA,
}  # fmt: skip


@pytest.mark.parametrize("module", [nsd_explicit_margin_bound, rate_and_p_scan])
def test_explicit_bound_of_descent(module):
    is_the_gap_against(module.margin_gap(**COMMON), gaps(descent, size_at))


def test_explicit_bound_of_other_losses():
    seen = Record(**vars(LOSSES), steps=STEPS[1:], margin=point(MARGIN), size=point(SIZE[1:]))
    for check in (other_losses.exponential_gap, other_losses.pair_gap):
        is_the_gap_against(check(seen, point(GAMMA), point(B), RATES, DATA), gaps(descent, size_at))


def test_explicit_bound_with_momentum():
    error = np.linspace(0.3, 0.1, T + 1)

    def gain(s):
        return (RATES[s] * (GAMMA - 2 * error[s]) - curved(RATES[s])) * RATIO[s]

    found = momentum_and_muon.margin_gap(ratios=Record(error=point(error)), **COMMON)
    is_the_gap_against(found, gaps(gain, size_at))


def test_explicit_bound_of_adam():
    data, speed, slope = DATA, np.linspace(1.4, 0.7, T + 1), np.linspace(0.5, 1.3, T + 1)
    length = np.abs(data.features).sum(axis=1).max()
    path = Record(**vars(PATH), slope_ratio=slope, speed=speed, rates=RATES)

    def gain(s):
        y = length * RATES[s] * speed[s]
        return (RATES[s] * slope[s] - 2 * y**2 * math.exp(2 * y)) * RATIO[s]

    floor = adam_max_norm.floor(data, path, LOSSES, point(SIZE), K, D)
    assert floor.step.tolist() == SPOKEN
    is_the_gap_against(adam_max_norm.margin_gap(point(MARGIN), floor, point(GAMMA)), gaps(gain, size_at))


def test_decrease_of_every_step():
    """L_{t+1} / L_t <= 1 - (gamma eta - c eta^2) G / L."""
    found = nsd_explicit_margin_bound.decrease(LOSSES, point(GAMMA), point(B), RATES)
    agrees(found.measured, np.exp(LOGS[1:] - LOGS[:-1]))
    agrees(found.bound, [1 - descent(s) for s in range(T)])


def test_norms_grow_by_the_rates_at_most():
    speed_limit = point(1.25)
    lengths = np.array([RATES[:t].sum() for t in STEPS])
    agrees(nsd_explicit_margin_bound.growth(point(SIZE), RATES, PATH, K, D).bound, lengths)
    agrees(adam_max_norm.slow(point(SIZE), speed_limit, RATES, PATH, K, D).bound, 1.25 * lengths)


@pytest.mark.parametrize(
    "module", [adam_max_norm, momentum_and_muon, nsd_explicit_margin_bound, rate_and_p_scan]
)
def test_margin_and_size_at_the_recorded_steps(module):
    path = Record(
        steps=np.arange(3), iterates=np.array([[[0.0] * D] * K, DATA.features[:K], DATA.features[1:4]])
    )
    for norm in NORMS if module is not adam_max_norm else ("max",):
        rest = () if module is adam_max_norm else (norm,)
        sizes = [size_of(W, norm) for W in path.iterates]
        agrees(module.size(path, *rest), sizes)
        margins = [smallest_margin(W) for W in path.iterates[1:]]
        agrees(module.attained(DATA, path, *rest), np.array(margins) / sizes[1:])


def size_of(W, norm):
    return np.abs(W).max() if norm == "max" else np.linalg.norm(W, {"frobenius": "fro", "spectral": 2}[norm])


def test_gradients_dominate_at_every_step():
    gradient = np.linspace(1.6, 3, T + 1)
    found = momentum_and_muon.dominates(Record(gradient=point(gradient)), point(GAMMA), RATES)
    agrees(found.bound, gradient)
    agrees(found.measured, GAMMA)
    assert list(found.at["step"]) == list(range(T + 1))


def test_no_margin_is_above_the_largest():
    """Up to the width of the largest margin."""
    gamma = Interval(GAMMA, GAMMA + 0.25, "rigorous", "wide")
    seen = Record(margin=point(MARGIN), steps=STEPS[1:])
    for found in (
        *(
            m.below(point(MARGIN), gamma, PATH)
            for m in (adam_max_norm, momentum_and_muon, nsd_explicit_margin_bound)
        ),
        other_losses.below(seen, gamma),
    ):
        assert found.relation == "<="
        agrees(found.measured, MARGIN)
        assert (found.bound.lower, found.bound.upper) == (gamma.lower, gamma.upper)
        assert found.within.upper == pytest.approx(0.25)
        assert list(found.at["step"]) == list(STEPS[1:])


def test_a_priori_bound():
    """(log(n (k - 1)) + sum of c eta^2) / (gamma sum of eta), where it is below 1."""
    rates = 4 * RATES  # so that it falls below 1 along the way
    seen = Record(steps=STEPS[1:], margin=point(MARGIN))
    found = other_losses.a_priori(seen, point(GAMMA), point(0.02 * B), rates, DATA, K)

    def bound(t):
        y = 0.02 * B * rates[:t]
        return (math.log(N * (K - 1)) + (2 * y**2 * np.exp(2 * y)).sum()) / (GAMMA * rates[:t].sum())

    useful = [t for t in STEPS[1:] if bound(t) < 1]
    assert 0 < len(useful) < len(STEPS) - 1
    assert list(found.at["step"]) == useful
    agrees(found.bound, [bound(t) for t in useful])
    agrees(found.measured, [1 - MARGIN[list(STEPS).index(t) - 1] / GAMMA for t in useful])


@pytest.mark.parametrize(("decades", "first"), [(1, 100), (2, 10), (3, 1)])
def test_slopes_over_the_last_decades(decades, first):
    """All slopes between two points in the window that are at least half of it apart."""
    steps = np.array([0, 1, 3, 9, 10, 30, 90, 100, 300, 900, 1000])
    gap = np.array([0.9, 0.6, 0.7, 0.5, 0.3, 0.35, 0.2, 0.15, 0.12, 0.11, 0.05])
    found = rate_and_p_scan.falls(
        point(GAMMA * (1 - gap[1:])), point(GAMMA), np.ones(1000), Record(steps=steps), decades
    )
    x, y = np.log(steps[1:]), np.log(gap[1:])
    half = (math.log(1000) - math.log(first)) / 2
    seen = [
        (y[j] - y[i]) / (x[j] - x[i])
        for i in range(10)
        for j in range(10)
        if steps[i + 1] >= first and x[j] - x[i] >= half - 1e-9
    ]
    assert found.relation == "<="
    assert found.measured.lower == pytest.approx(min(seen), rel=1e-9)
    assert found.measured.upper == pytest.approx(max(seen), rel=1e-9)
    assert -0.43 < found.bound.lower <= found.bound.upper < 0


@pytest.mark.parametrize(
    "module",
    [
        adam_max_norm, certified_max_margin_references, momentum_and_muon, norm_preference,
        nsd_explicit_margin_bound, other_losses, proxy_lemmas, rate_and_p_scan,
    ],
)  # fmt: skip
def test_separable_is_a_margin_above_zero(module):
    for gamma, outcome in ((0.01, "holds"), (-0.01, "fails")):
        value = (
            Record(gamma=point(gamma)) if module is certified_max_margin_references else point([gamma] * 3)
        )
        assert module.separable(value).outcome == outcome


def test_guarantee_at_the_last_step():
    iterate = np.array([[1.0, -2.0], [0.5, 0.0], [0.0, 3.0]])
    size = {"max": 3.0, "frobenius": np.linalg.norm(iterate), "spectral": np.linalg.norm(iterate, 2)}
    for norm, order in zip(NORMS, (1, 2, 2), strict=True):
        length = np.linalg.norm(DATA.features, order, axis=1).max()
        path = Record(steps=STEPS, iterates=iterate[None], log_loss=LOGS, proxy_ratio=RATIO)
        found = norm_preference.guarantee(DATA, {norm: RATES}, {norm: path}, norm, K)
        y = length * RATES
        agrees(found.signal, (RATES * RATIO[:-1])[3:].sum() / size[norm], 1e-11)
        agrees(found.drift, (2 * y**2 * np.exp(2 * y) * RATIO[:-1])[3:].sum() / size[norm], 1e-11)


def test_margins_against_the_guarantee_and_against_ceilings():
    """Ceilings are asked for at the guaranteed level, between the run's norm and each of the other two."""
    gamma, margins = point([2.0, 3.0, 4.0]), point([1.0, 2.5, 3.0])
    guarantee = Record(signal=point(0.9), drift=point(0.1))
    ask = {
        (q, p): SimpleNamespace(at=lambda level, q=q, p=p: level + 10 * NORMS.index(q) + NORMS.index(p))
        for q in NORMS
        for p in NORMS
        if p != q
    }
    programs = Record(ceilings=SimpleNamespace(pair=ask))
    for own, norm in enumerate(NORMS):
        best = gamma.lower[own]
        found = norm_preference.guaranteed(margins, gamma, guarantee, norm)
        agrees(found.measured, 1 - margins.lower[own] / best)
        agrees(found.bound, 1 - (0.9 * best - 0.1) / best)
        found = norm_preference.below_ceilings(margins, gamma, guarantee, programs, norm)
        agrees(found.measured, margins.lower)
        told = [best if i == own else 0.9 * best - 0.1 + 10 * own + i for i in range(3)]
        agrees(found.bound, told)
        rest = [i for i in range(3) if i != own]
        limits = norm_preference.limits(programs, gamma, norm, 0.25)
        agrees(limits, [(0.75 * gamma.lower[i] + 10 * i + own) / best for i in rest])
        found = norm_preference.beyond(margins, gamma, limits, norm)
        agrees(found.measured, limits.lower)
        agrees(found.bound, margins.lower[own] / best)
        assert found.relation == "<"
        found = norm_preference.largest(margins, gamma, norm)
        agrees(found.measured, (margins.lower / gamma.lower)[rest])
        agrees(found.bound, margins.lower[own] / best)
        assert found.relation == "<"


def test_limits_of_the_other_norms_in_the_max_norm():
    ask = {(q, "max"): SimpleNamespace(at=lambda level, i=i: level + i) for i, q in enumerate(NORMS)}
    own = {q: Record(gamma=point(2.0 + i)) for i, q in enumerate(NORMS)}
    found = adam_max_norm.limits(SimpleNamespace(pair=ask, own=own), 0.25)
    agrees(found, [0.75 * 3 + 1, 0.75 * 4 + 2])


def test_adam_s_constants():
    agrees(adam_max_norm.speed_limit(0.9, 0.95), 0.1 * math.sqrt(0.95 / (0.05 * (0.95 - 0.81))))
    agrees(adam_max_norm.shrinking(0.5), 0.5)
    agrees(adam_max_norm.shrinking(0.25), 16**-0.125)
    steps = np.array([0, 5, 9, 10, 11, 80, 160])
    assert adam_max_norm.late(steps) == (3, 6)


def test_gaps_between_a_sixteenth_and_the_end():
    path = Record(steps=np.array([0, 1, 2, 10, 20, 160, 320]))
    attained = point([0.1, 0.2, 0.5, 0.6, 1.0, 1.2])
    found = adam_max_norm.shrinks(attained, point(GAMMA), point(0.5), path)
    agrees(found.measured, 1 - 1.2 / GAMMA)
    agrees(found.bound, 0.5 * (1 - 0.6 / GAMMA))
    floor = Record(step=path.steps[1:], value=attained)
    found = adam_max_norm.certified_shrinks(floor, point(GAMMA), point(0.5))
    agrees(found.measured, 1 - 1.2 / GAMMA)
    agrees(found.bound, 0.5 * (1 - 0.6 / GAMMA))
    found = adam_max_norm.beyond(attained, point([0.3, 0.4]), path)
    agrees(found.measured, [0.3, 0.4])
    agrees(found.bound, 1.2)


# --- the lemmas -------------------------------------------------------------------------------------------

PROBLEMS = [
    Record(
        features=np.array([[1.0, -2.0], [0.5, 0.25]]), labels=np.array([0, 1]),
        W=np.array([[[0.5, 0.0], [0.0, 1.0]], [[1.0, -1.0], [0.5, 0.5]], [[3.0, -2.0], [-1.0, 2.0]]]),
        D=np.array([[[1.0, -3.0], [2.0, 0.5]], [[0.1, 0.2], [0.3, -0.4]], [[0.0, 0.0], [0.0, 5.0]]]),
        eta=np.array([0.1, 0.5, 1.5]), psi=np.array([0.5, 0.75, 1.0]),
    ),
    Record(
        features=np.array([[0.5, 0.5], [2.0, -0.5], [-1.0, 0.0]]), labels=np.array([0, 1, 1]),
        W=np.array([[[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [[-2.0, 8.0], [2.0, -9.0]]]),
        D=np.array([[[1.0, 1.0], [-2.0, 1.0]], [[0.0, 1.0], [1.0, -0.5]], [[2.0, 0.0], [0.0, 0.0]]]),
        eta=np.array([0.25, 1.0, 0.75]), psi=np.array([1.0, 0.0, 0.25]),
    ),
]  # fmt: skip


def of_problem(p, W):
    """(L, G, gradient) of the cross-entropy."""
    logits = p.features @ W.T
    s = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    one_hot = np.eye(len(W))[p.labels]
    n = len(p.labels)
    return (
        -np.log((s * one_hot).sum(axis=1)).mean(),
        ((1 - s) * one_hot).sum() / n,
        (s - one_hot).T @ p.features / n,
    )


def test_loss_gradient_and_proxy_of_the_lemmas():
    lemmas = proxy_lemmas
    truth = [[of_problem(p, W) for W in p.W] for p in PROBLEMS]
    L, G = (np.array([[values[i] for values in row] for row in truth]) for i in (0, 1))
    at = lemmas.at(PROBLEMS)
    losses = lemmas.losses(at)
    for found, value in ((losses.loss, L), (losses.proxy, G), (losses.bend, (L - G) / L**2)):
        agrees(found, value, 1e-9)
    slope = lemmas.slope(at)
    orders = {"max": 1, "frobenius": 2, "sum": np.inf, 3.0: 1.5}
    for k, norm in enumerate(lemmas.NORMS):
        own = [
            [
                (
                    np.linalg.norm(g.ravel(), orders[norm])
                    if norm in orders
                    else np.linalg.norm(g, SCHATTEN[norm])
                )
                / proxy
                for _, proxy, g in row
            ]
            for row in truth
        ]
        agrees(slope[:, k], own, 1e-9)
    after = [
        [of_problem(p, W - psi * eta * D)[1] for W, D, eta, psi in zip(p.W, p.D, p.eta, p.psi, strict=True)]
        for p in PROBLEMS
    ]
    agrees(lemmas.growth(PROBLEMS, at), after / G, 1e-8)


SCHATTEN = {"spectral": "nuc", "nuclear": 2}  # the dual norms, for numpy


def test_bounds_of_the_lemmas():
    lemmas = proxy_lemmas
    radius = lemmas.radius(PROBLEMS)
    agrees(radius, [3.0, 2.5])
    growth = [
        [math.exp(2 * B * psi * eta * np.abs(D).max()) for D, eta, psi in zip(p.D, p.eta, p.psi, strict=True)]
        for p, B in zip(PROBLEMS, (3.0, 2.5), strict=True)
    ]
    bound = lemmas.growth_bound(PROBLEMS, radius)
    agrees(bound.log(), np.log(growth))
    samples = np.array([[2], [3]])
    assert lemmas.shortfall_bound(samples).lower.tolist() == [[1], [Fraction(3, 2)]]
    assert lemmas.ratio_bound().lower == 1
    agrees(lemmas.small_loss_bound(), 2 * math.log(2))
    A = np.array([[[1, -7], [3, 0]], [[2, 2], [-2, 2]]])
    assert lemmas.largest_entry(A).lower.tolist() == [7, 2]
    assert lemmas.entry_sum(A).lower.tolist() == [11, 8]
    sizes = [[np.linalg.norm(M.ravel(), o) for M in A] for o in (np.inf, 2, 1, 3, 1.5)]
    agrees(lemmas.norms(A)[[0, 1, 3, 5, 6]], sizes)
    agrees(lemmas.norms(A)[[2, 4]], [[np.linalg.norm(M, o) for M in A] for o in (2, "nuc")])


def test_bounds_over_the_simplex():
    s = [[Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)], [Fraction(0), Fraction(1, 4), Fraction(3, 4)]]
    v = [[3, -1, 2], [-5, 1, 1]]
    drawn = Record(s=np.array(s, dtype=object), v=np.array(v, dtype=object))
    for i, (row, values) in enumerate(zip(s, v, strict=True)):
        mean = sum(a * x for a, x in zip(row, values, strict=True))
        square = sum(a * x * x for a, x in zip(row, values, strict=True))
        assert proxy_lemmas.variance(drawn).lower[i].tolist() == [square - mean**2]
        assert proxy_lemmas.impurity(drawn).lower[i].tolist() == [sum(a * (1 - a) for a in row)]
        most = max(abs(x) for x in values) ** 2
        assert proxy_lemmas.variance_bound(drawn).lower[i].tolist() == [4 * (1 - a) * most for a in row]
        assert proxy_lemmas.impurity_bound(drawn).lower[i].tolist() == [2 * (1 - a) for a in row]


def test_checks_of_the_lemmas():
    lemmas, gamma, radius = proxy_lemmas, point([[1.0, 2.0], [3.0, 4.0]]), point([2.0, 5.0])
    slope = point(np.arange(1, 9).reshape(2, 2, 2))
    found = lemmas.gradient_above(slope, radius)
    agrees(found.measured, slope.lower)
    agrees(found.bound, [[[4.0]], [[10.0]]])
    found = lemmas.gradient_below(slope, gamma)
    agrees(found.measured, gamma.lower[:, :, None])
    agrees(found.bound, slope.lower)
    loss, proxy = (
        np.array([[0.3, 0.36, 0.1], [0.2, 0.24, 0.9]]),
        np.array([[0.28, 0.255, 0.09], [0.19, 0.1, 0.16]]),
    )
    losses = Record(loss=point(loss), proxy=point(proxy), bend=point(2 * loss))
    found = lemmas.proxy_below(losses, exact(1))
    agrees(found.measured, proxy / loss)
    found = lemmas.proxy_above(losses, exact([[1], [2]]))
    agrees(found.measured, 2 * loss)
    n = np.array([[2], [3]])
    told = (n * loss <= math.log(2)) | (n * proxy <= 0.5)
    found = lemmas.loss_below(losses, n, exact(2))
    agrees(found.measured, (loss / proxy)[told])
    assert found.measured.shape == (5,)
    steps = point([[1.0, 0.5], [3.0, 2.0]])
    agrees(lemmas.step_attained(steps, point([1.5, 2.5])).measured, [1.0, 3.0])
    agrees(lemmas.step_below(steps, point([1.5, 2.5])).bound, [[1.5], [2.5]])


def test_adam_bound_of_the_lemmas():
    decays = ((0.9, 0.95), (0.5, 0.5), (0, 0.9))
    bound = [(1 - b1) * math.sqrt(b2 / ((1 - b2) * (b2 - b1**2))) for b1, b2 in decays]
    agrees(proxy_lemmas.adam_bound(decays), bound)
    share = [math.sqrt(1 - (b1**2 / b2) ** 5) for b1, b2 in decays]
    found = proxy_lemmas.adam_bound_attained(decays, proxy_lemmas.adam_bound(decays), 5)
    agrees(found, np.multiply(bound, share))


# --- the runs ---------------------------------------------------------------------------------------------


def softmax_gradient(W, loss="cross_entropy"):
    """(L, G, gradient) from the definition, at logits of moderate size."""
    logits = DATA.features @ W.T
    rows = np.arange(N)
    x = logits[rows, DATA.labels][:, None] - logits
    wrong = np.arange(K) != DATA.labels[:, None]
    if loss == "cross_entropy":
        values = logsumexp(logits, axis=1) - logits[rows, DATA.labels]
        weights = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    elif loss == "exponential":
        weights = np.exp(-x)
        values = (weights * wrong).sum(axis=1)
    else:
        weights = 1 / (1 + np.exp(x))
        values = (np.log1p(np.exp(-x)) * wrong).sum(axis=1)
    weights = weights * wrong
    signed = weights.copy()
    signed[rows, DATA.labels] = -weights.sum(axis=1)
    return values.mean(), weights.sum() / N, signed.T @ DATA.features / N


def smallest_margin(W):
    logits = DATA.features @ W.T
    return min(logits[i, y] - logits[i, c] for i, y in enumerate(DATA.labels) for c in range(K) if c != y)


def steepest(g, norm):
    if norm == "max":
        return np.sign(g)
    if norm == "frobenius":
        return g / np.linalg.norm(g)
    u, _, vt = np.linalg.svd(g, full_matrices=False)
    return u @ vt


def dual_norm(g, norm):
    return {"max": np.abs(g).sum(), "frobenius": np.linalg.norm(g)}.get(norm, np.linalg.norm(g, "nuc"))


def is_path(path, iterates):
    np.testing.assert_allclose(path.iterates, np.array(iterates)[path.steps], rtol=1e-9, atol=1e-12)


def test_adam_is_the_paper_s():
    """No bias correction and no epsilon."""
    b1, b2, W = 0.8, 0.7, np.zeros((K, D))
    M, V, iterates, speeds = 0.0, 0.0, [W], []
    for eta in RATES:
        g = softmax_gradient(W)[2]
        M, V = b1 * M + (1 - b1) * g, b2 * V + (1 - b2) * g**2
        speeds.append(eta * np.abs(M / np.sqrt(V)).max())
        W = W - eta * M / np.sqrt(V)
        iterates.append(W)
    path = adam_max_norm.path(DATA, RATES, b1, b2)
    is_path(path, iterates)
    np.testing.assert_allclose(path.rates * path.speed[:-1], speeds, rtol=1e-9)
    found = adam_max_norm.losses(DATA, path, K)
    agrees(found.log_loss, [math.log(softmax_gradient(V)[0]) for V in iterates], 1e-9)
    agrees(found.ratio, [softmax_gradient(V)[1] / softmax_gradient(V)[0] for V in iterates], 1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_momentum_runs_and_their_errors(norm):
    b1, W, M = 0.7, np.zeros((K, D)), np.zeros((K, D))
    iterates, gradients, errors, slopes = [], [], [], []
    for eta in [*RATES, 0.0]:
        iterates.append(W)
        _, proxy, g = softmax_gradient(W)
        M = b1 * M + (1 - b1) * g
        step = steepest(M, norm)
        gradients.append(dual_norm(g, norm) / proxy)
        errors.append(dual_norm(M - g, norm) / proxy)
        slopes.append((g * step).sum() / proxy)
        W = W - eta * step
    path = momentum_and_muon.path(DATA, RATES, norm, b1)
    is_path(path, iterates)
    reversal = momentum_and_muon.reversal(norm, b1, steps_back=8)
    found = momentum_and_muon.ratios(path, reversal, K, D)
    agrees(found.gradient, gradients, 1e-9)
    agrees(found.error, errors, 1e-9)
    agrees(found.slope, slopes, 1e-9)
    m, turned, lost = 0.0, [], []
    for g in [-1.0] * 8 + [1.0] * 8:
        m = b1 * m + (1 - b1) * g
        turned.append(g * np.sign(m))
        lost.append(abs(m - g))
    agrees(found.turned_slope, turned, 1e-9)
    agrees(found.turned_error, lost, 1e-9)
    found = momentum_and_muon.costs(found)
    promised = [g - 2 * error for g, error in zip(gradients, errors, strict=True)]
    agrees(found.measured, [*promised, *(1 - 2 * error for error in lost)], 1e-9)
    agrees(found.bound, [*slopes, *turned], 1e-9)


def test_runs_of_the_other_losses():
    for path, loss in ((other_losses.path, "exponential"), (other_losses.pair_path, "pair_logistic")):
        W, iterates = np.zeros((K, D)), []
        for eta in [*RATES, 0.0]:
            iterates.append(W)
            W = W - eta * np.sign(softmax_gradient(W, loss)[2])
        found = path(DATA, RATES, "max")
        is_path(found, iterates)
        seen = other_losses.told(DATA, RATES, "max", found, K)
        values = [softmax_gradient(W, loss)[:2] for W in iterates]
        agrees(seen.log_loss, [math.log(L) for L, _ in values], 1e-9)
        agrees(seen.ratio, [G / L for L, G in values], 1e-9)
        sizes = [np.abs(W).max() for W in iterates[1:]]
        np.testing.assert_array_equal(seen.steps, found.steps[1:])
        agrees(seen.size, np.array(sizes)[seen.steps - 1], 1e-9)
        margins = [smallest_margin(W) for W in iterates[1:]]
        agrees(seen.margin, (np.array(margins) / sizes)[seen.steps - 1], 1e-8)


def test_what_a_run_says_of_the_margin():
    """Its normalised margin from below; the dual norm of its gradient over the proxy from above."""
    path = certified_max_margin_references.path(DATA, "max", 0.3, 9)
    W, iterates = np.zeros((K, D)), [np.zeros((K, D))]
    for t in range(9):
        W = W - 0.3 * (t + 1) ** -0.5 * np.sign(softmax_gradient(W)[2])
        iterates.append(W)
    is_path(path, iterates)
    curves = certified_max_margin_references.curves(DATA, path, "max")
    np.testing.assert_array_equal(curves.step, path.steps[1:])
    kept = np.array(iterates)[curves.step]
    agrees(curves.upper, [np.abs(softmax_gradient(W)[2]).sum() / softmax_gradient(W)[1] for W in kept], 1e-9)
    agrees(curves.lower, [smallest_margin(W) / np.abs(W).max() for W in kept], 1e-9)
    found = certified_max_margin_references.meet(curves)
    agrees(found.measured, (curves.upper.middle.min() / curves.lower.middle.max()), 1e-9)
