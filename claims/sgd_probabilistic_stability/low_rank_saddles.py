r"""Noise lowers the rank mode by mode, but neurons that share one scalar input survive or die together.

For $f(x) = \sum_i u_i w_i x$ with D neurons, every $p_i = u_i + w_i$ is multiplied by the same factor
$1 + \lambda (y - f)$, and every $u_i - w_i$ by $1 - \lambda (y - f)$: ratios of neurons never change, so that the rank
is D or 0, and from balanced starts $\|p\|$ moves as the p of a single neuron.

For $f(x) = U W x$ with batches of all inputs $e_1, \dots, e_d$ and labels $y_k e_k$, $y_k = 1$ or $a_k$ with probability 1/2 each,
aligned starts keep $U W$ diagonal; mode k moves as a single neuron with labels 1 and $a_k$, and the rank of $U W$ tends to

$$\#\{k : \tfrac12 \log|(1 + \lambda)(1 + \lambda a_k)| > 0\} .$$

At T steps both hold up to the bounds of the single neuron.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, at_most, certify, equal, exact, plot, rounded, stack, statistics

from . import _comparison, world

A = Fraction(-4, 5)  # of the scalar input
MODES = (Fraction(-4, 5), Fraction(-3, 5), Fraction(0))  # a_k
RATES = (Fraction(1, 10), Fraction(2, 5), Fraction(3, 4))  # of the matrix model
SHARED = (Fraction(1, 10), Fraction(9, 20))  # of the scalar input: phase I and phase III
EXPECTED = (3, 2, 1)
LEVEL = Fraction(1, 10**6)

claim = Claim("sgd-probabilistic-stability/low-rank-saddles", full={"runs": 1_000, "steps": 10_000})


@claim.instance
def neurons(rng, count=3):
    """u_i = w_i at a minimum of the scalar model: sum u_i^2 = (1 + a)/2."""
    u = rng.uniform(0.5, 1.5, size=count)
    return u * np.sqrt(float(1 + A) / 2) / np.linalg.norm(u)


@claim.instance
def labels(rng, steps=3_000, runs=400):
    """Labels of the scalar model, (T, n)."""
    return world.sampled(rng, world.law([1, A]), (steps, runs))


@claim.instance
def labels_of_modes(rng, steps, runs):
    """Whether each label is the noisy one, (T, d, n)."""
    return rng.integers(2, size=(steps, len(MODES), runs))


@claim.instance
def start():
    """U_0 = W_0 at the minimum, aligned with the inputs; (d, d)."""
    return np.diag([np.sqrt(float(1 + a) / 2) for a in MODES])


@claim.reference
def exponents(modes=MODES):
    """Lambda_+ of each mode, (rates, modes)."""
    each = [world.exponent(world.law([-1, -a]), RATES) for a in modes]
    return stack([stack([one[i] for one in each]) for i in range(len(RATES))])


@claim.reference
def bounds(exponents, steps):
    """Lower bounds on the probability that the rank is the number of positive exponents, (rates,)."""
    found = []
    for rate, signs in zip(RATES, exponents.lower > 0, strict=True):
        misses = [_miss(rate, a, up, steps) for a, up in zip(MODES, signs, strict=True)]
        found.append(1 - sum(misses[1:], start=misses[0]))
    return stack(found)


def _miss(rate, a, survives, steps):
    """Bound on the probability that a mode is on the wrong side of the level after T steps; p_0^2 = 2 (1 + a)."""
    start, error = Fraction(np.sqrt(2 * float(1 + a))), Fraction(1, 2**40)
    if survives:
        return _comparison.collapse_in_phase_one(rate, a, steps, LEVEL, start * (1 - error))
    return 1 - _comparison.collapse_below_linear(rate, a, steps, LEVEL, start * (1 + error))


@claim.reference
def survival(steps):
    """P(|p_T| >= level) of a single neuron at the rates of the scalar model, in [1 - miss, 1] and [0, miss]."""
    low, high = (_miss(rate, A, up, steps) for rate, up in zip(SHARED, (True, False), strict=True))
    return certify.bracket(
        stack([1 - low, 0 * high]), stack([0 * low + 1, high]), "bounds of the single neuron in its phase"
    )


@claim.run
def shared(labels, neurons):
    """u (rates, neurons, runs) of the scalar model after the last step."""
    u = np.tile(neurons[:, None], (len(SHARED), 1, labels.shape[1]))
    w, rates = u.copy(), np.array(SHARED, dtype=float)[:, None, None]
    for label in labels:
        residual = rates * (label - (u * w).sum(axis=1, keepdims=True))
        u, w = u + residual * w, w + residual * u
    return u


@claim.run
def ranks(labels_of_modes, start, lowest=MODES):
    """The number of singular values of U W above the level, (rates, runs)."""
    runs = labels_of_modes.shape[2]
    rates = np.repeat(np.array(RATES, dtype=float), runs)
    U = np.tile(start[..., None], (1, 1, len(rates)))  # (d, d, rates * runs)
    W = U.copy()
    targets, modes = np.array([[1.0, float(a)] for a in lowest]), np.arange(len(lowest))
    for noisy in labels_of_modes:
        residual = -np.einsum("ijn,jkn->ikn", U, W)
        residual[modes, modes] += np.tile(targets[modes[:, None], noisy], (1, len(RATES)))
        kick = rates * residual
        U, W = U + np.einsum("ikn,jkn->ijn", kick, W), W + np.einsum("jin,jkn->ikn", U, kick)
    values = np.linalg.svd(np.einsum("ijn,jkn->nik", U, W), compute_uv=False)
    return (values >= float(LEVEL) ** 2 / 4).sum(axis=1).reshape(len(RATES), runs)


@claim.measurement
def ratios(shared, neurons, labels):
    """log(u_i / u_1) less its value at the start, with rounding; (rates, neurons, runs)."""
    logs = np.log(np.abs(shared))
    change = logs - logs[:, :1] - np.log(neurons / neurons[0])[:, None]
    return rounded(change, 16 * len(labels), 1.0)


@claim.measurement
def alive(shared, runs):
    """Fraction of runs of the scalar model above the level, at both rates."""
    sizes = 2 * np.linalg.norm(shared, axis=1)
    return statistics.proportion((sizes >= float(LEVEL)).sum(axis=1), runs)


@claim.measurement
def at_rank(ranks, runs):
    """Fraction of runs at the rank that the statement gives, (rates,)."""
    return statistics.proportion((ranks == np.array(EXPECTED)[:, None]).sum(axis=1), runs)


@claim.measurement
def resolution(runs):
    """What so many runs tell of an event that fails to happen in 10% of them; the bounds are nearer to 1."""
    return world.resolution(Fraction(9, 10), runs)


@claim.check("neurons-of-one-input-share-one-fate")
def one_fate(ratios):
    return equal(ratios, 0, within=ratios.gap())


@claim.check("all-alive-in-phase-one-none-in-phase-three")
def all_or_none(alive, survival, resolution):
    return equal(alive, survival, within=resolution + survival.gap(), rate=np.array(SHARED, dtype=float))


@claim.check("positive-exponents")
def positive_exponents(exponents):
    """How many exponents are positive, by certified signs: this gives the ranks to expect."""
    return equal(
        exact((exponents.lower > 0).sum(axis=1)), exact(np.array(EXPECTED)), rate=np.array(RATES, dtype=float)
    )


@claim.check("rank-of-runs")
def rank(at_rank, bounds, resolution):
    return at_most(bounds, at_rank, within=resolution, rate=np.array(RATES, dtype=float), rank=EXPECTED)


def of_own_samples(labels, neurons):
    """Every neuron a model of its own, with the labels of other steps."""
    each = [shared(np.roll(labels, 7 * i, axis=0), neurons[i : i + 1]) for i in range(len(neurons))]
    return np.concatenate(each, axis=1)


def averaged(labels):
    """Gradient descent: every label at its mean."""
    return np.full(labels.shape, float(1 + A) / 2)


claim.control(
    "samples of its own for each neuron",
    shared=of_own_samples,
    must_fail="neurons-of-one-input-share-one-fate",
)
claim.control("gradient descent", labels=averaged, must_fail="all-alive-in-phase-one-none-in-phase-three")
claim.control(
    "noise of the second mode 17% smaller",
    lowest=(MODES[0], Fraction(-1, 2), MODES[2]), must_fail="rank-of-runs",
)  # fmt: skip


claim.control(
    "exponents of that noise", modes=(MODES[0], Fraction(-1, 2), MODES[2]), must_fail="positive-exponents"
)


def unaligned():
    """A start that mixes the modes, of the size of the minimum."""
    return np.random.default_rng(0).normal(size=(len(MODES), len(MODES))) / 2


claim.ablation("start that is not aligned", start=unaligned, check="rank-of-runs")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["neurons of one input at $T$", "rank of $U W$ at $T$"])
    ranks, alive = evidence.of("ranks"), evidence.of("alive")
    plot.bars_with_intervals(left, ["0.1 (I)", "0.45 (III)"], list(alive))
    left.set(xlabel="runs with all three alive", ylabel=r"rate $\lambda$")
    possible = range(len(MODES) + 1)
    shares = np.stack([(ranks == rank).mean(axis=1) for rank in possible], axis=1)
    plot.heatmap(right, shares, [f"{float(rate):g}" for rate in RATES], possible)
    right.set(xlabel="rank", ylabel=r"rate $\lambda$")
