"""The lemmas of signgd-adam-margin attacked by hypothesis: 350 digits or exact arithmetic, not the claim's code."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import assume, example, given, settings, target
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mpmath import mpf

from claims.signgd_adam_margin import _lemmas
from claims.signgd_adam_margin.world import max_margin
from verify import Record, certify, train
from verify.interval import Interval

many = settings(max_examples=40, deadline=None)
few = settings(max_examples=15, deadline=None)
ROUNDING = mpf(10) ** -300  # of the 350 digits, relative
KINDS = ("max", "sum", "frobenius", "spectral", "nuclear", 1.5, 3.0)


def precise():
    return mpmath.workdps(350)


# --- the definitions once more, in mpmath -----------------------------------------------------------------


def logits(W, features):
    exactly = np.vectorize(mpf, otypes=[object])
    return exactly(features) @ exactly(W).T


def from_logits(z, labels):
    """Record(margin, loss, proxy, residual (n, k)) of logits (n, k): softmax - one-hot, without cancellation."""
    n, k = z.shape
    margins = [[z[i, y] - z[i, c] for c in range(k) if c != y] for i, y in enumerate(labels)]
    tails = [sum(mpmath.exp(-x) for x in row) for row in margins]
    residual = np.empty((n, k), dtype=object)
    for i, y in enumerate(labels):
        residual[i] = [mpmath.exp(z[i, c] - z[i, y]) / (1 + tails[i]) for c in range(k)]
        residual[i, y] = -tails[i] / (1 + tails[i])
    loss = sum(mpmath.log1p(tail) for tail in tails) / n
    proxy = sum(tail / (1 + tail) for tail in tails) / n
    return Record(margin=min(map(min, margins)), loss=loss, proxy=proxy, residual=residual)


def from_weights(W, features, labels):
    truth = from_logits(logits(W, features), labels)
    truth.gradient = truth.residual.T @ np.vectorize(mpf, otypes=[object])(features) / len(labels)
    return truth


def length(features):
    return max(sum(abs(mpf(x)) for x in row) for row in features)


def entrywise(A, p):
    """Entry-wise norms; p = inf is the largest entry."""
    entries = [abs(a) for a in np.ravel(A)]
    return max(entries) if p == mpmath.inf else sum(a**p for a in entries) ** (1 / mpf(p))


def holds(value, bound):
    return value <= bound + ROUNDING * abs(bound)


def inside(value, interval):
    """Whether enclosures hold mpmath's values, entry by entry."""
    ends = zip(np.ravel(value), np.ravel(interval.lower), np.ravel(interval.upper), strict=True)
    return all(mpf(low) <= x <= mpf(up) for x, low, up in ends)


# --- what is drawn ----------------------------------------------------------------------------------------

numbers = st.one_of(st.integers(-3, 3).map(float), st.floats(-4, 4), st.sampled_from([1e-6, 30.0, -30.0]))


@st.composite
def worlds(draw, most=4):
    """Features, labels and a classifier W, with a second matrix of W's shape (a direction, or a classifier)."""
    n, d, k = draw(st.integers(1, most)), draw(st.integers(1, most)), draw(st.integers(2, max(most, 2)))
    features = draw(arrays(float, (n, d), elements=numbers))
    labels = draw(arrays(int, n, elements=st.integers(0, k - 1)))
    W, other = (draw(arrays(float, (k, d), elements=numbers)) for _ in range(2))
    return Record(features=features, labels=labels, W=draw(st.sampled_from([1.0, 7.0])) * W, other=other)


@st.composite
def logit_tables(draw):
    """Logits (n, k) and labels, with margins from -50 to 300."""
    n, k = draw(st.integers(1, 4)), draw(st.integers(2, 4))
    gaps = st.one_of(st.floats(-50, 50), st.sampled_from([0.0, 1e-9, -2.0, 300.0]))
    table = draw(arrays(float, (n, k), elements=gaps))
    labels = draw(arrays(int, n, elements=st.integers(0, k - 1)))
    table[np.arange(n), labels] = 0
    return -table, labels


@st.composite
def simplex(draw):
    """Exact probabilities s and integers v, of one length."""
    k = draw(st.integers(2, 5))
    weight = st.one_of(st.integers(0, 10**6), st.sampled_from([0, 1, 10**6]))
    weights = draw(st.lists(weight, min_size=k, max_size=k).filter(any))
    entry = st.one_of(st.integers(-9, 9), st.sampled_from([-1, 1]))
    v = draw(st.lists(entry, min_size=k, max_size=k))
    return [Fraction(w, sum(weights)) for w in weights], v


@st.composite
def memories(draw):
    """b1, b2 with b1^2 < b2 < 1, and a history of gradients, as fractions."""
    b1, b2 = draw(st.fractions(0, Fraction(99, 100))), draw(st.fractions(0, Fraction(999, 1000)))
    assume(b1**2 < b2)
    g = draw(st.lists(st.fractions(-9, 9, max_denominator=50), min_size=1, max_size=12))
    return b1, b2, [Fraction(1), *g]


def moments(b1, b2, gradients):
    """(M_t, V_t) at every step, exactly."""
    M = V = Fraction(0)
    for g in gradients:
        M, V = b1 * M + (1 - b1) * g, b2 * V + (1 - b2) * g**2
        yield M, V


def equality(b1, b2, steps):
    """The gradients for which Cauchy and Schwarz's inequality becomes one."""
    return [(b1 / b2) ** age for age in range(steps - 1, -1, -1)]


# --- the lemmas -------------------------------------------------------------------------------------------


@many
@given(worlds())
def test_a_gradient_at_most_two_b_proxy(world):
    with precise():
        truth = from_weights(world.W, world.features, world.labels)
        assert holds(entrywise(truth.gradient, 1), 2 * length(world.features) * truth.proxy)


@few
@given(worlds(), st.booleans())
def test_a_gradient_at_least_any_margin_times_proxy(world, fitted):
    """gamma is the largest m(U) / |U|, so the lemma is this for all U: no solver is needed."""
    with precise():
        k, labels, features = len(world.W), world.labels, world.features
        U = (np.eye(k)[labels] - 1 / k).T @ features if fitted else world.other
        truth, margin = from_weights(world.W, features, labels), from_weights(U, features, labels).margin
        for p, q in ((1, mpmath.inf), (mpmath.inf, 1), (2, 2), (3, mpf(3) / 2), (mpf(3) / 2, 3)):
            exact_U = np.vectorize(mpf, otypes=[object])(U)
            assert holds(margin * truth.proxy, entrywise(exact_U, p) * entrywise(truth.gradient, q))
        near = truth.gradient.astype(float)
        ends = np.nextafter(near, -np.inf), np.nextafter(near, np.inf)
        gradient = Interval(*ends, "rigorous", "mpmath")
        for kind in ("spectral", "nuclear"):
            most = mpf(certify.norm(U, kind).upper) * mpf(certify.norm(gradient, certify.dual(kind)).upper)
            assert margin * truth.proxy <= most


@many
@given(st.data(), st.sampled_from(KINDS))
def test_b_norms_lie_between_largest_entry_and_sum(data, kind):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    A = data.draw(arrays(int, shape, elements=st.integers(-9, 9)))
    size = certify.norm(A.astype(float), kind)
    assert size.upper >= np.abs(A).max()
    assert size.lower <= np.abs(A).sum()


@many
@given(simplex())
def test_c_softmax_curvature(drawn):
    s, v = drawn
    form = (
        sum(a * x * x for a, x in zip(s, v, strict=True)) - sum(a * x for a, x in zip(s, v, strict=True)) ** 2
    )
    size = max(x * x for x in v)
    assert all(form <= 4 * (1 - a) * size for a in s)
    if size and max(s) < 1:
        target(float(form / ((1 - max(s)) * size)))


@many
@given(simplex())
def test_d_impurity(drawn):
    s, _ = drawn
    assert all(sum(a * (1 - a) for a in s) <= 2 * (1 - c) for c in s)


@many
@given(logit_tables())
def test_e_and_f_proxy_against_loss(drawn):
    z, labels = drawn
    with precise():
        n, truth = len(labels), from_logits(np.vectorize(mpf, otypes=[object])(z), labels)
        L, G = truth.loss, truth.proxy
        assert holds(G, L)
        assert holds(1 - n * L / 2, G / L)
        if mpmath.log(2) / n >= L or n * G <= 0.5:
            assert holds(L, 2 * mpmath.log(2) * G)  # sharper than the 2 of the paper


@many
@given(worlds(), st.floats(0, 1), st.sampled_from([0.01, 0.3, 1.0]))
def test_g_proxy_growth(world, psi, eta):
    with precise():
        D, moved = (
            world.other,
            logits(world.W, world.features) - mpf(psi) * mpf(eta) * logits(world.other, world.features),
        )
        before, after = (from_logits(z, world.labels).proxy for z in (logits(world.W, world.features), moved))
        exponent = 2 * length(world.features) * mpf(psi) * mpf(eta) * mpf(np.abs(D).max())
        assert holds(after, mpmath.exp(exponent) * before)


@many
@given(memories())
@example((Fraction(9, 10), Fraction(95, 100), equality(Fraction(9, 10), Fraction(95, 100), 40)))
def test_h_adam_step(memory):
    b1, b2, gradients = memory
    for M, V in moments(b1, b2, gradients):
        assert M**2 * (1 - b2) * (b2 - b1**2) <= (1 - b1) ** 2 * b2 * V


# --- the rounding that the claim derives ------------------------------------------------------------------


@many
@given(worlds(), st.floats(0, 1), st.sampled_from([0.01, 1.0]))
def test_evaluation_is_off_by_its_rounding_at_most(world, psi, eta):
    problem = Record(
        features=world.features, labels=world.labels, W=world.W[None], D=world.other[None],
        eta=np.array([eta]), psi=np.array([psi]),
    )  # fmt: skip
    parts = np.abs(world.features) @ (np.abs(world.W) + np.abs(world.other)).T
    assume(parts.max() <= _lemmas.FAR)
    here, there = _lemmas.evaluated(problem.features, problem.labels, problem.W), _lemmas.moved(problem)
    with precise():
        truth = from_weights(world.W, world.features, world.labels)
        for name in ("loss", "proxy", "gradient"):
            assert inside(vars(truth)[name], vars(here)[name]), name
        assert inside((truth.loss - truth.proxy) / truth.loss**2, here.bend)
        exact_step = mpf(psi) * mpf(eta) * logits(world.other, world.features)
        assert inside(
            from_logits(logits(world.W, world.features) - exact_step, world.labels).proxy, there.proxy
        )


def test_rounding_is_derived_for_the_claim_s_own_instances():
    for problem in _lemmas.problems(np.random.default_rng(0), 6, 8):
        found = _lemmas.evaluated(problem.features, problem.labels, problem.W)
        with precise():
            for i, W in enumerate(problem.W):
                truth = from_weights(W, problem.features, problem.labels)
                bend = (truth.loss - truth.proxy) / truth.loss**2
                assert inside([truth.loss, truth.proxy, bend], Interval(
                    np.array([found.loss.lower[i], found.proxy.lower[i], found.bend.lower[i]]),
                    np.array([found.loss.upper[i], found.proxy.upper[i], found.bend.upper[i]]), "numerical", "",
                ))  # fmt: skip
                assert inside(truth.gradient, found.gradient[i])


def test_the_loss_is_the_one_that_runs_descend():
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(5, 3)), np.array([0, 1, 2, 1, 0])
    for size in (0.1, 3.0, 40.0):
        W = size * rng.normal(size=(3, 3))
        mine, other = (
            _lemmas.evaluated(features, labels, W[None]),
            train.evaluate(train.cross_entropy, W, features, labels),
        )
        scale = np.exp(-other.shift)
        assert np.isclose(
            mine.loss.middle[0], other.loss * scale, rtol=mine.loss.width[0] / mine.loss.lower[0], atol=0
        )
        assert np.isclose(mine.proxy.middle[0], other.proxy * scale, rtol=1e-12, atol=0)
        assert np.allclose(mine.gradient.middle[0], other.gradient * scale, rtol=1e-9, atol=1e-13 * scale)


@few
@given(memories())
def test_adam_is_off_by_its_rounding_at_most(memory):
    b1, b2, gradients = float(memory[0]), float(memory[1]), [float(g) for g in memory[2]]
    assume(b1**2 < b2)
    found = _lemmas.adam_steps(np.array([gradients]), b1, b2)
    with precise():
        exactly = moments(Fraction(b1), Fraction(b2), [Fraction(g) for g in gradients])
        steps = [
            abs(mpf(M.numerator) / M.denominator) / mpmath.sqrt(mpf(V.numerator) / V.denominator)
            for M, V in exactly
        ]
        assert inside([max(steps)], found)


# --- sharpened constants are false ------------------------------------------------------------------------


def proxy_ratios(drawn):
    z, labels = drawn
    with mpmath.workdps(50):
        truth = from_logits(np.vectorize(mpf, otypes=[object])(z), labels)
        return len(labels), truth.loss, truth.proxy


def breaks_gradient_above(world):
    with mpmath.workdps(50):
        truth = from_weights(world.W, world.features, world.labels)
        return entrywise(truth.gradient, 1) > 1.9 * length(world.features) * truth.proxy


def breaks_gradient_below(world):
    with mpmath.workdps(50):
        margin = from_weights(world.other, world.features, world.labels).margin
        truth = from_weights(world.W, world.features, world.labels)
        return 1.05 * margin * truth.proxy > float(np.abs(world.other).max()) * entrywise(truth.gradient, 1)


def breaks_curvature(drawn, constant=Fraction(39, 10)):
    s, v = drawn
    mean = sum(a * x for a, x in zip(s, v, strict=True))
    form = sum(a * (x - mean) ** 2 for a, x in zip(s, v, strict=True))
    return form > constant * (1 - max(s)) * max(x * x for x in v)


def breaks_impurity(drawn):
    return sum(a * (1 - a) for a in drawn[0]) > Fraction(19, 10) * (1 - max(drawn[0]))


def breaks_proxy_above(drawn):
    _, L, G = proxy_ratios(drawn)
    return mpf(95) / 100 * L < G


def breaks_proxy_below(drawn):
    n, L, G = proxy_ratios(drawn)
    return 1 - mpf(45) / 100 * n * L > G / L


def breaks_small_loss(drawn):
    n, L, G = proxy_ratios(drawn)
    return n * L <= mpmath.log(2) and mpf(135) / 100 * G < L


def breaks_small_loss_without_n(drawn):
    _, L, G = proxy_ratios(drawn)
    return mpmath.log(2) >= L > 2 * G


def breaks_growth(world):
    D, rows = world.other, world.features
    before, after = (from_logits(logits(W, rows), world.labels).proxy for W in (world.W, world.W - D))
    return after > mpmath.exp(mpf(18) / 10 * length(rows) * float(np.abs(D).max())) * before and np.any(D)


def breaks_adam(memory, share=Fraction(9, 10)):
    """With a constant that is 10% smaller: its square is 0.81 of the square."""
    b1, b2, gradients = memory
    right = share**2 * (1 - b1) ** 2 * b2
    return any(M**2 * (1 - b2) * (b2 - b1**2) > right * V for M, V in moments(b1, b2, gradients))


def one_sample(label, W, direction=((0.0,), (0.0,)), feature=1.0):
    return Record(
        features=np.array([[feature]]), labels=np.array([label]), W=np.array(W), other=np.array(direction)
    )


@pytest.mark.parametrize(
    ("broken", "witness"),
    [
        (breaks_gradient_above, one_sample(0, [[0.0], [0.0]])),
        (breaks_gradient_below, one_sample(1, [[0.0], [0.0]], [[1.0], [-1.0]], feature=-1.0)),
        (breaks_curvature, ([Fraction(1, 41), Fraction(40, 41)], [1, -1])),
        (breaks_impurity, ([Fraction(1, 21), Fraction(20, 21)], [0, 0])),
        (breaks_proxy_above, (np.array([[0.0, -3.0]]), [0])),
        (breaks_proxy_below, (np.array([[0.0, -1.0]]), [0])),
        (breaks_small_loss, (np.array([[0.0, 0.0]]), [0])),
        (breaks_small_loss_without_n, (np.array([[0.0, 2.0], *3 * [[0.0, -2.0]]]), 4 * [0])),
        (breaks_growth, one_sample(0, [[0.0], [-7.0]], [[1.0], [-1.0]])),
        (breaks_adam, (Fraction(0), Fraction(1, 1000), [Fraction(1)])),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_sharpened_constant_is_false(broken, witness):
    assert broken(witness)


def test_no_smaller_multiple_of_the_sum_nor_larger_of_the_entry():
    A = np.zeros((2, 3))
    A[1, 0] = 5
    for kind in KINDS:
        size = certify.norm(A, kind)
        assert 0.9 * np.abs(A).sum() < size.lower
        assert size.upper < 1.1 * np.abs(A).max()


def test_the_gradient_reaches_the_certified_margin():
    """Two opposite samples: equality in (a) for every norm, with the margin from the program."""
    problem = _lemmas.problems(np.random.default_rng(0), 2, 12)[0]
    here = _lemmas.evaluated(problem.features, problem.labels, problem.W)
    for kind in (*KINDS[:5], 3.0):
        slope = certify.norm(here.gradient, certify.dual(kind)) / here.proxy
        gamma = max_margin(problem.features, problem.labels, kind)
        assert np.allclose(slope.middle, gamma.middle, rtol=1e-8)


@pytest.mark.parametrize(
    ("b1", "b2"), [("9/10", "19/20"), ("9/10", "999/1000"), ("1/2", "1/2"), ("0", "9/10")]
)
def test_adam_s_bound_is_attained(b1, b2):
    b1, b2 = Fraction(b1), Fraction(b2)
    M, V = list(moments(b1, b2, equality(b1, b2, 120)))[-1]
    square = M**2 / V / ((1 - b1) ** 2 * b2 / ((1 - b2) * (b2 - b1**2)))
    assert 1 - Fraction(1, 10**7) < square <= 1


def test_adam_is_unbounded_beyond():
    """b1^2 > b2: twice as many steps, a step that is longer by a fixed factor, again and again."""
    b1, b2 = Fraction(97, 100), Fraction(9, 10)
    last = [list(moments(b1, b2, equality(b1, b2, steps)))[-1] for steps in (50, 100, 200)]
    squares = [M**2 / V for M, V in last]
    assert squares[1] > 4 * squares[0]
    assert squares[2] > 4 * squares[1]
