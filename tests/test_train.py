"""Training: losses against mpmath, directions against dual norms, runs against plain and exact recursions."""

from __future__ import annotations

import os
import subprocess
import sys

import mpmath
import numpy as np
import optax
import pytest

from verify import train
from verify.errors import SetupError
from verify.train import descent, loops

LOSSES = ("cross_entropy", "exponential", "pair_logistic", "polynomial")


def gaussian_classes(seed, classes=4, dimension=6, per_class=5, noise=0.1):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    return rng.normal(size=(classes, dimension))[labels] + noise * rng.normal(
        size=(len(labels), dimension)
    ), labels


def decreasing(first, steps):
    return first / np.sqrt(np.arange(1, steps + 1))


# --- losses ---------------------------------------------------------------------------------------------


def exact_loss(loss, margins):
    """(loss, weights) of one row's margins."""
    if loss == "cross_entropy":
        total = 1 + sum(mpmath.exp(-x) for x in margins)
        return mpmath.log(total), [mpmath.exp(-x) / total for x in margins]
    if loss == "exponential":
        return sum(mpmath.exp(-x) for x in margins), [mpmath.exp(-x) for x in margins]
    if loss == "pair_logistic":
        return sum(mpmath.log(1 + mpmath.exp(-x)) for x in margins), [
            1 / (1 + mpmath.exp(x)) for x in margins
        ]
    values = [(1 + x) ** -2 if x > 0 else 1 - 2 * x for x in margins]
    return sum(values), [2 * (1 + x) ** -3 if x > 0 else mpmath.mpf(2) for x in margins]


def exact(loss, W, features, labels):
    """(L, G, weights (n, k), gradient (k, d)) as object arrays of mpf."""
    (n, d), k = features.shape, len(W)
    weights, gradient, total = np.zeros((n, k), object), np.zeros((k, d), object), mpmath.mpf(0)
    for i, (row, y) in enumerate(zip(features, labels, strict=True)):
        logits = [mpmath.fdot(map(mpmath.mpf, W[c]), map(mpmath.mpf, row)) for c in range(k)]
        others = [c for c in range(k) if c != y]
        value, found = exact_loss(loss, [logits[y] - logits[c] for c in others])
        total += value
        weights[i, others] = found
        gradient[others] += np.outer(found, row)
        gradient[y] -= sum(found) * row
    return total / n, weights.sum() / n, weights, gradient / n


def whole_numbers(scale, k):
    """Data and a classifier whose margins are exactly scale, 2 scale or 3 scale (k = 2: scale, in one dimension)."""
    labels = np.array([0, 1, 1]) if k == 2 else np.arange(2 * k) % k
    if k == 2:
        return np.array([[0.5], [-0.5]]) * scale, 1.0 - 2.0 * labels[:, None], labels
    noise = np.random.default_rng(0).integers(0, 2, (2 * k, k))
    return scale * np.eye(k), 2.0 * np.eye(k)[labels] + noise, labels


@pytest.mark.parametrize("scale", [1, 40, 700, 1000, 3000, -1, -40, -700])
@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_right_at_any_margin(loss, k, scale):
    W, features, labels = whole_numbers(scale, k)
    got = train.evaluate(getattr(train, loss), W, features, labels)
    with mpmath.workdps(4000 if scale > 700 else 1000):
        L, G, weights, gradient = exact(loss, W, features, labels)
        unit = mpmath.exp(mpmath.mpf(float(got.shift)))
        log_loss = float(mpmath.log(L))
        L, G, weights, gradient = (
            np.asarray(value * unit).astype(float) for value in (L, G, weights, gradient)
        )
    near = {"rtol": 1e-13, "atol": 1e-300}
    np.testing.assert_allclose(got.loss, L, **near)
    np.testing.assert_allclose(got.proxy, G, **near)
    np.testing.assert_allclose(got.weights, weights, **near)
    np.testing.assert_allclose(got.gradient, gradient, rtol=1e-13, atol=1e-13 * abs(gradient).max())
    np.testing.assert_allclose(got.log_loss, log_loss, rtol=1e-13, atol=1e-13)
    assert got.margin == (scale if scale > 0 or k == 2 else 3 * scale)


def test_blocks_of_rows_add_up():
    # misclassified rows in one block only: the blocks' shifts differ by 900
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 5, 1600)
    features = np.concatenate([3.0 * np.eye(5)[labels], 0.1 * rng.normal(size=(1600, 95))], axis=1)
    features[:10, :5] *= -0.01
    start = 300 * np.eye(5, 100)
    rows = train.losses.place(features, labels.astype(np.int32), 5)
    assert rows.block_labels.size > 1000
    run = train.descend(features, labels, [0.1], train.steepest("max"), start=start)
    for t, W in enumerate(run.iterates):
        whole = train.evaluate(train.cross_entropy, W, features, labels)
        assert run.margin[t] == pytest.approx(whole.margin, rel=1e-14)
        assert run.log_loss[t] == pytest.approx(whole.log_loss, rel=1e-13)
        assert run.proxy_ratio[t] == pytest.approx(whole.proxy / whole.loss, rel=1e-13)


# --- directions -----------------------------------------------------------------------------------------


def norm(A, kind):
    s = np.linalg.svd(A, compute_uv=False)
    named = {
        "max": abs(A).max(),
        "sum": abs(A).sum(),
        "spectral": s[0],
        "nuclear": s.sum(),
        "frobenius": np.hypot.reduce(s),
    }
    return named[kind] if isinstance(kind, str) else (abs(A) ** kind).sum() ** (1 / kind)


DUAL = {
    "max": "sum",
    "sum": "max",
    "spectral": "nuclear",
    "nuclear": "spectral",
    "frobenius": "frobenius",
    3.0: 1.5,
    1.25: 5.0,
}


def gradients():
    """10 x 25 matrices with columns of sum 0: well and badly conditioned, of low rank, tiny; and a tall one."""
    rng = np.random.default_rng(2)
    for decades in (0, 3, 6, 14):
        u, v = (np.linalg.qr(rng.normal(size=(size, 9)))[0] for size in (10, 25))
        u = np.linalg.qr(u - u.mean(0))[0]
        yield u * np.logspace(0, -decades, 9) @ v.T
    yield np.outer([1.0, -1, 0, 0], rng.normal(size=3))
    yield 1e-200 * rng.normal(size=(10, 25))
    yield rng.normal(size=(25, 10))


@pytest.mark.parametrize("kind", DUAL)
def test_steepest_directions_attain_the_dual_norm(kind):
    for g in gradients():
        if kind == "frobenius" and abs(g).max() < 1e-150:
            continue  # its square underflows; in the moving scale gradients are of size 1
        D = np.asarray(train.steepest(kind).update(loops.use_jax().numpy.asarray(g), optax.EmptyState())[0])
        assert norm(D, kind) == pytest.approx(1, rel=1e-13)
        assert (g * D).sum() == pytest.approx(norm(g, DUAL[kind]), rel=1e-13 if kind != "spectral" else 1e-9)
        if kind == "spectral":
            s = np.linalg.svd(g, compute_uv=False)
            assert (g * D).sum() == pytest.approx(s[s > 1e-10 * s[0]].sum(), rel=1e-13)


def test_steepest_is_one_object_per_norm():
    assert train.steepest(3) is train.steepest(3.0)
    for unknown in ("operator", 1, np.inf, 0.5):
        with pytest.raises(SetupError):
            train.steepest(unknown)


# --- runs -----------------------------------------------------------------------------------------------


def signum(hyper, unit):
    return optax.chain(optax.ema(hyper["b1"], debias=False), train.steepest("max"))


def muon(hyper, unit):
    return optax.chain(optax.ema(hyper["b1"], debias=False), train.steepest("spectral"))


def adam(hyper, unit):
    return optax.scale_by_adam(hyper["b1"], hyper["b2"], eps=hyper["eps"] * unit)


def optax_muon(hyper, unit):
    return optax.contrib.muon(-1.0, beta=hyper["b1"], eps=1e-8 * unit)


def plain_gradient(W, features, labels):
    """Cross-entropy, no scale: 1 - p_y as the sum of the others. (gradient (k, d), L, G, margin)."""
    n, own = len(labels), np.eye(len(W))[labels]
    logits = features @ W.T
    excess = logits - (logits * own).sum(1, keepdims=True)
    powers = np.where(own, 0, np.exp(excess))
    others = powers / (1 + powers.sum(1, keepdims=True))
    gradient = (others - own * others.sum(1, keepdims=True)).T @ features / n
    margin = -np.where(own, -np.inf, excess).max()
    return gradient, np.log1p(powers.sum(1)).mean(), others.sum() / n, margin


def plain_adam(features, labels, rates, b1, b2, eps):
    """The theorem's M / sqrt(V) without bias correction (eps = 0), and optax's Adam with eps; W_T."""
    W = np.zeros((labels.max() + 1, features.shape[1]))
    M, V = np.zeros_like(W), np.zeros_like(W)
    for t, eta in enumerate(rates, start=1):
        g = plain_gradient(W, features, labels)[0]
        M, V = b1 * M + (1 - b1) * g, b2 * V + (1 - b2) * g * g
        corrected = (M / (1 - b1**t)) / (np.sqrt(V / (1 - b2**t)) + eps) if eps else M / np.sqrt(V)
        W = W - eta * corrected
    return W


def test_signgd_is_a_plain_loop():
    features, labels = gaussian_classes(3)
    rates = decreasing(0.02, 200)
    run = train.descend(features, labels, rates, train.steepest("max"))
    W = np.zeros((4, 6))
    for t, eta in enumerate(np.append(rates, 0.0)):
        gradient, L, G, margin = plain_gradient(W, features, labels)
        assert run.margin[t] == pytest.approx(margin, rel=1e-12, abs=1e-12)
        assert run.log_loss[t] == pytest.approx(np.log(L), rel=1e-12, abs=1e-12)
        assert run.proxy_ratio[t] == pytest.approx(G / L, rel=1e-12)
        assert run.slope_ratio[t] == pytest.approx(abs(gradient).sum() / G, rel=1e-12)
        if t in run.steps:
            np.testing.assert_allclose(run.iterates[list(run.steps).index(t)], W, atol=1e-12)
        W = W - eta * np.sign(gradient)
    assert run.steps[0] == 0
    assert run.steps[-1] == 200
    assert all(values.dtype == np.float64 for name, values in vars(run).items() if name != "steps")


def test_adam_without_epsilon_is_the_theorems():
    features, labels = gaussian_classes(4)
    rates, b1, b2 = decreasing(0.02, 300), 0.9, 0.95
    hyper = {"b1": b1, "b2": b2, "eps": 0.0}
    run = train.descend(features, labels, train.adam_rates(rates, b1, b2), adam, hyper)
    np.testing.assert_allclose(run.iterates[-1], plain_adam(features, labels, rates, b1, b2, 0), rtol=1e-9)


def test_adam_with_epsilon_keeps_it_in_the_moving_scale():
    features, labels = gaussian_classes(5)
    rates, eps = decreasing(0.2, 300), 0.01
    run = train.descend(features, labels, rates, adam, {"b1": 0.9, "b2": 0.95, "eps": eps})
    W = plain_adam(features, labels, rates, 0.9, 0.95, eps)
    np.testing.assert_allclose(run.iterates[-1], W, rtol=1e-9)
    assert run.margin[-1] > 3, "the scale must have moved for this to be a test"


def test_exact_muon_is_the_polar_factor_of_the_momentum():
    features, labels = gaussian_classes(6)
    rates, b1 = decreasing(0.05, 100), 0.9
    run = train.descend(features, labels, rates, muon, {"b1": b1})
    W, M = np.zeros((4, 6)), np.zeros((4, 6))
    for eta in rates:
        M = b1 * M + (1 - b1) * plain_gradient(W, features, labels)[0]
        u, s, vt = np.linalg.svd(M, full_matrices=False)
        W = W - eta * (u * (s > 1e-10 * s[0])) @ vt
    np.testing.assert_allclose(run.iterates[-1], W, rtol=1e-9, atol=1e-12)


def exact_directions(features, labels, iterates, b1, b2):
    """Signum's (b2 None) or Adam's directions at `iterates` (T, k, d), exponential loss, in 40 digits: (T, k, d)."""
    sign, root, exactly = (np.frompyfunc(f, 1, 1) for f in (mpmath.sign, mpmath.sqrt, mpmath.mpf))
    M, V = 0, 0
    for W in iterates:
        g = exact("exponential", exactly(W), exactly(features), labels)[3]
        M, V = b1 * M + (1 - b1) * g, (b2 or 0) * V + (1 - (b2 or 0)) * g * g
        yield (M / root(V) if b2 else sign(M)).astype(float)


@pytest.mark.parametrize(
    ("optimizer", "hyper"), [(signum, {"b1": 0.9}), (adam, {"b1": 0.1, "b2": 0.1, "eps": 0.0})]
)
def test_runs_go_on_where_float64_underflows(optimizer, hyper):
    # the recursion itself is chaotic, so each direction is compared at the run's own iterates
    labels = np.array([0, 0, 1])
    features = np.array([[2.0, 1.0], [1.5, -0.5], [-2.0, 0.3]])
    rates, b1, b2 = np.full(800, 0.5), hyper["b1"], hyper.get("b2")
    etas = train.adam_rates(rates, b1, b2) if b2 else rates
    run = train.descend(features, labels, etas, optimizer, hyper, loss=train.exponential, keep=10**5)
    assert len(run.iterates) == 801
    assert run.log_loss[-1] < -745, "the gradient must underflow for this to be a test"
    with mpmath.workdps(40):
        directions = np.array(list(exact_directions(features, labels, run.iterates[:-1], b1, b2)))
        log_loss = float(mpmath.log(exact("exponential", run.iterates[-1], features, labels)[0]))
    assert run.log_loss[-1] == pytest.approx(log_loss, rel=1e-14)
    np.testing.assert_allclose(-np.diff(run.iterates, axis=0), 0.5 * directions, rtol=1e-9, atol=1e-11)


def test_optax_muon_descends():
    features, labels = gaussian_classes(8)
    run = train.descend(features, labels, decreasing(0.1, 300), optax_muon, {"b1": 0.9})
    assert np.isfinite(run.log_loss).all()
    assert run.margin[-1] > 3
    assert (run.slope_ratio > 0).all()


def momentum_error(state):
    """||M_t - grad_t||_sum / G_t and ||D_t||_max, with the rate."""
    jnp = loops.use_jax().numpy
    return {
        "lag": abs(state.optimizer[0].ema - state.gradient).sum() / state.proxy,
        "length": abs(state.direction).max(),
        "rate": state.rate,
        "entropy": jnp.log(state.loss) - state.shift,
    }


def test_measure_sees_the_momentum():
    features, labels = gaussian_classes(9)
    rates = decreasing(0.05, 50)
    run = train.descend(features, labels, rates, signum, {"b1": 0.5}, measure=momentum_error, keep=1000)
    M = np.zeros((4, 6))
    for t, W in enumerate(run.iterates):
        gradient, _, G, _ = plain_gradient(W, features, labels)
        M = 0.5 * M + 0.5 * gradient
        assert run.lag[t] == pytest.approx(abs(M - gradient).sum() / G, rel=1e-10)
    assert (run.length == 1).all()
    np.testing.assert_array_equal(run.rate, np.append(rates, 0))
    np.testing.assert_allclose(run.entropy, run.log_loss, rtol=1e-14, atol=1e-14)


def takes_a_name(state):
    return {"margin": state.loss}


def test_what_cannot_be_recorded_or_rescaled_is_refused():
    features, labels = gaussian_classes(10)
    with pytest.raises(SetupError, match="margin"):
        train.descend(features, labels, [0.1], train.steepest("max"), measure=takes_a_name)
    with pytest.raises(SetupError, match="sum_of_squares"):
        train.descend(features, labels, [0.1], optax.scale_by_rss())


def test_nan_comes_back():
    features, labels = gaussian_classes(11)
    run = train.descend(features, labels, [0.1, np.nan, 0.1], train.steepest("frobenius"))
    assert np.isfinite(run.margin[:2]).all()
    assert np.isnan(run.margin[2:]).all()


# --- loops ----------------------------------------------------------------------------------------------

TRACED = []


def counting(carry, number, factor):
    TRACED.append(1)
    return carry + factor * number, {"sum": carry, "square": number**2 + 0 * carry}


def test_loops_of_any_length_compile_once():
    numbers = np.random.default_rng(12).normal(size=2500)
    results = {length: train.loop(counting, 0.0, numbers[:length], 2.0) for length in (10, 1003, 2000, 2500)}
    assert len(TRACED) == 1
    assert loops._compiled(counting, loops.CHUNK)._cache_size() == 1
    for length, (carry, outputs) in results.items():
        np.testing.assert_allclose(outputs["sum"], 2 * np.cumsum(np.append(0, numbers))[:length], atol=1e-12)
        np.testing.assert_array_equal(outputs["square"], results[2500][1]["square"][:length])
        assert carry == pytest.approx(2 * numbers[:length].sum(), abs=1e-12)


def shifted(carry, rows):
    return carry + rows["table"].sum(0), {"table": rows["table"] + carry}


def test_inputs_and_outputs_may_be_tables():
    tables = np.random.default_rng(3).normal(size=(7, 3, 2))
    last, outputs = train.loop(shifted, np.zeros(2), {"table": tables}, chunk=5)
    before = np.concatenate([np.zeros((1, 2)), np.cumsum(tables.sum(1), 0)])
    np.testing.assert_allclose(outputs["table"], tables + before[:-1, None], atol=1e-14)
    np.testing.assert_allclose(last, before[-1], atol=1e-14)


def test_the_cache_lies_where_the_user_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(loops.sys, "platform", "linux")
    assert loops._cache_folder() == tmp_path / ".cache" / "verify" / "jax"
    monkeypatch.setattr(loops.sys, "platform", "darwin")
    assert loops._cache_folder() == tmp_path / "Library" / "Caches" / "verify" / "jax"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert loops._cache_folder() == tmp_path / "x" / "verify" / "jax"


def test_outputs_are_kept_at_chosen_steps():
    numbers = np.arange(2500.0)
    kept = np.array([0, 3, 999, 1000, 2499])
    outputs = train.loop(counting, 0.0, numbers, 2.0, keep={"square": kept})[1]
    np.testing.assert_array_equal(outputs["square"], kept**2.0)
    assert len(outputs["sum"]) == 2500


def half_signum(hyper, unit):
    return optax.chain(signum(hyper, unit), optax.scale(0.5))


def test_runs_of_any_length_and_any_numbers_compile_once():
    features, labels = gaussian_classes(13)
    rates = decreasing(0.02, 1003)
    short, long = (train.descend(features, labels, rates[:T], half_signum, {"b1": 0.9}) for T in (10, 1003))
    again = train.descend(
        features + 1, labels, 2 * rates[:700], half_signum, {"b1": 0.5}, start=np.ones((4, 6))
    )
    step = descent._step(half_signum, train.cross_entropy, None)
    assert loops._compiled(step, loops.CHUNK)._cache_size() == 1
    np.testing.assert_array_equal(short.margin, long.margin[:11])
    assert len(again.margin) == 701
    assert len(long.iterates) == len(long.steps) < 202


def test_log_grid():
    for last, count in ((0, 200), (1, 200), (7, 3), (100_000, 200)):
        steps = train.log_grid(last, count)
        assert steps[0] == 0
        assert steps[-1] == last
        assert (np.diff(steps) > 0).all()
        assert len(steps) <= count + 1
    assert train.log_grid(1000, 4).tolist() == [0, 1, 32, 1000]
    assert train.log_grid(0, 4).tolist() == [0]
    assert train.log_grid(9, 1).tolist() == [0, 1, 9]


def random_walk(carry, _):
    random = loops.use_jax().random
    key, position = carry
    key, now = random.split(key)
    return (key, position + random.normal(now)), {"position": position}


def test_keys_come_from_the_generator():
    walks = [
        train.loop(random_walk, (train.key(np.random.default_rng(seed)), 0.0), np.arange(1200), chunk=500)
        for seed in (0, 0, 1)
    ]
    first, same, other = (outputs["position"] for _, outputs in walks)
    np.testing.assert_array_equal(first, same)
    assert (first[1:] != other[1:]).all()
    assert loops._compiled(random_walk, 500)._cache_size() == 1


# --- the environment ------------------------------------------------------------------------------------


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_loads_no_jax():
    assert python("import sys, verify.train; print('jax' in sys.modules, 'optax' in sys.modules)") == [
        "False",
        "False",
    ]


TWO_CORES = """
import numpy as np
from verify import train
from verify.train import descent, loops
rng = np.random.default_rng(14)
labels = rng.integers(0, 5, 1600)
features = rng.normal(size=(5, 100))[labels] + rng.normal(size=(1600, 100))
run = train.descend(features, labels, np.full(1010, .01), train.steepest("max"))
whole = train.evaluate(train.cross_entropy, run.iterates[-1], features, labels)
step = descent._step(train.steepest("max"), train.cross_entropy, None)
print(loops._compiled(step, loops.CHUNK)._cache_size(), len(loops.use_jax().devices()))
print(abs(run.margin[-1] - whole.margin) < 1e-11, abs(run.log_loss[-1] - whole.log_loss) < 1e-11)
print(loops.use_jax().config.jax_compilation_cache_dir)
"""


def test_large_data_are_spread_over_devices(tmp_path):
    found = python(TWO_CORES, JAX_NUM_CPU_DEVICES="2", JAX_PLATFORMS="cpu", XDG_CACHE_HOME=str(tmp_path))
    assert found == ["1", "2", "True", "True", str(tmp_path / "verify" / "jax")]
    assert list((tmp_path / "verify" / "jax").iterdir()), "the persistent cache is empty"
