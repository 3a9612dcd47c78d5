r"""Near the rank-zero saddle of a two-layer model the signs of two exponents divide learning into four phases.

For $f(x) = u w x$ and squared loss near u = w = 0, with $\chi$ the batch mean of x y, the directions $p = u + w$ and
$q = u - w$ are multiplied by $1 + \lambda \chi$ and $1 - \lambda \chi$ at each step:

$$\Lambda_\pm = \mathrm{E} \log |1 \pm \lambda \chi| .$$

For $\mathrm{E} \chi > 0$: phase I, $\Lambda_- < 0 < \Lambda_+$, u w gets the right sign; phase II,
$\Lambda_+ < 0 < \Lambda_-$, the wrong one; phase III, both negative, the saddle attracts; phase IV, both positive.
With x = 1, labels 1 or a with probability 1/2 each and $-1 < a < 0$, phase III begins at $\lambda = (1 + a)/|a|$ for
single samples, and later for larger batches.

---
Even a batch of 16 has $\Lambda_+ = -\infty$ where some value of chi is hit exactly, in windows too thin to be met.
"""

from fractions import Fraction

import numpy as np

from verify import (
    Claim,
    Record,
    certify,
    concatenate,
    equal,
    exact,
    less,
    plot,
    stack,
    statistics,
)

from . import world

A = Fraction(-4, 5)
CELLS = (
    ("0.1", 1), ("0.4", 1), ("0.8", 1), ("1.6", 1), ("2", 1), ("0.3", 2), ("0.8", 2), ("0.6", 4), ("0.8", 16),
)  # fmt: skip
SEARCHED = {1: ("0.2", "0.31"), 2: ("0.4", "0.6"), 4: ("0.7", "1")}  # where phase III begins, by batch size
MAP_RATES, MAP_SLOPES = ([Fraction(k, 100) for k in ks] for ks in (range(6, 206, 7), range(-97, -3, 5)))
CURVE_RATES, CURVE_BATCHES = [Fraction(k, 100) for k in range(1, 152, 5)], (1, 2, 4, 16)

claim = Claim("sgd-probabilistic-stability/phase-diagram", full={"steps": 10_000, "runs": 1_000})


def signal(batch, a=A):
    """The law of chi for batches of a size."""
    return world.batch_mean(world.law([1, a]), batch)


def mirrored(law):
    """The law of -chi: as a curvature it gives the factors of p, as chi gives those of q."""
    return world.law([-x for x in law.values], law.weights)


@claim.instance
def signals(rng, steps=3_000, runs=200):
    """chi of (T, n) minibatches, by batch size."""
    return {
        batch: world.sampled(rng, signal(batch), (steps, runs)) for batch in sorted({b for _, b in CELLS})
    }


@claim.instance
def slopes(rng, count=50):
    """Values of a: near 0, near -1, random ones."""
    drawn = [Fraction(-int(k), 1000) for k in rng.integers(1, 1000, size=count)]
    return [A, Fraction(-1, 1000), Fraction(-999, 1000), *drawn]


@claim.reference
def exponents(formula=world.exponent, larger=0):
    """(Lambda_+, Lambda_-) of the cells, (cells, 2); for the figure on a map, each (a, rates), and along curves."""
    return Record(
        tested=stack([pair(formula, Fraction(rate), batch + larger) for rate, batch in CELLS]),
        curves=stack([formula(mirrored(signal(batch)), CURVE_RATES) for batch in CURVE_BATCHES]),
        **on_map(formula),
    )


def pair(formula, rate, batch):
    """A formula for p and for q, (2,)."""
    law = signal(batch)
    return concatenate([formula(mirrored(law), [rate]), formula(law, [rate])])


def on_map(formula):
    laws = [signal(1, a) for a in MAP_SLOPES]
    return {
        "map_plus": stack([formula(mirrored(law), MAP_RATES) for law in laws]),
        "map_minus": stack([formula(law, MAP_RATES) for law in laws]),
    }


@claim.reference
def chances(exponents, steps):
    r"""P(|p_T| < |p_0|) and P(|q_T| < |q_0|), (cells, 2), from the signs of the exponents and Hoeffding's inequality.

    log|p_T| is a sum of T terms in an interval of width R with mean Lambda: its sign is not that of Lambda with
    probability at most $e^{-2 T \Lambda^2 / R^2}$.
    """
    spread = stack([pair(_range, Fraction(rate), batch) for rate, batch in CELLS])
    error = certify.exp(-2 * steps * (exponents.tested / spread) ** 2)
    decays = np.where(exponents.tested.upper < 0, 1.0, 0.0)
    low, high = decays * (1 - error), decays + (1 - decays) * error
    return certify.bracket(low, high, "sign of the exponent, up to Hoeffding's bound on the other sign")


def _range(law, rates):
    """Width of the interval of log|1 - rate h|."""
    logs = certify.log(world.factors(law, rates))
    return logs.largest(axis=1) - logs.smallest(axis=1)


@claim.reference
def onsets():
    """Rates at which phase III begins for batches of 1, 2 and 4: Lambda_+ changes its sign between the ends."""
    return stack([_onset(batch, *world.fractions(ends)) for batch, ends in SEARCHED.items()])


def _onset(batch, low, high):
    """The root of Lambda_+ between two rates, enclosed by bisection with certified signs."""
    law = mirrored(signal(batch))
    for _ in range(20):
        middle = (low + high) / 2
        value = world.exponent(law, [middle])
        if value.lower[0] > 0:
            low = middle
        elif value.upper[0] < 0:
            high = middle
        else:
            break
    return certify.bracket(exact(low), exact(high), "sign of the exponent on both sides")


@claim.reference
def single_onsets(slopes):
    return exact([(1 + a) / -a for a in slopes])


@claim.reference
def large_batches(batches=(8, 16), points=60):
    """Lambda_+ of large batches on a grid of rates up to 3/2, (batches, points)."""
    rates = [Fraction(3 * (2 * k + 1), 4 * points) for k in range(points)]
    return stack([world.exponent(mirrored(signal(batch)), rates) for batch in batches])


@claim.run
def log_sizes(signals):
    """log|p_T| and log|q_T| of each cell, (cells, 2, runs): p <- p + rate chi p, q <- q - rate chi q."""
    found = {}
    for batch, chi in signals.items():
        rates = [float(rate) for rate, size in CELLS if size == batch]
        pairs = np.stack([world.descend(-chi, rates), world.descend(chi, rates)], axis=1)
        found |= {(rate, batch): pair for rate, pair in zip(rates, pairs, strict=True)}
    return np.stack([found[float(rate), batch] for rate, batch in CELLS])


@claim.measurement
def growth(log_sizes, steps):
    found = []
    for (rate, batch), sizes in zip(CELLS, log_sizes, strict=True):
        ends = [(logs.lower.min(), logs.upper.max()) for logs in _logs(Fraction(rate), batch)]
        pair = [
            statistics.hoeffding_mean(size / steps, *end, each=steps)
            for size, end in zip(sizes, ends, strict=True)
        ]
        found.append(stack(pair))
    return stack(found)


def _logs(rate, batch):
    """log|1 + rate chi| and log|1 - rate chi| at the points of the law."""
    law = signal(batch)
    return [certify.log(world.factors(one, [rate])[0]) for one in (mirrored(law), law)]


@claim.measurement
def decayed(log_sizes, runs):
    return statistics.proportion((log_sizes < 0).sum(axis=2), runs)


AT = {
    "rate": np.array([[float(rate)] for rate, _ in CELLS]),
    "batch": np.array([[batch] for _, batch in CELLS]),
    "direction": np.array([["p", "q"]]),
}


@claim.check("growth-rates")
def growth_rates(growth, exponents):
    return equal(growth, exponents.tested, within=growth.gap(), **AT)


@claim.check("phases-of-runs")
def phases_of_runs(decayed, chances):
    return equal(decayed, chances, within=decayed.gap() + chances.gap(), **AT)


def products(slopes, single_onsets):
    """|(1 + rate)(1 + rate a)|, whose logarithm is 2 Lambda_+, just below each onset, at it and just above; (3, slopes)."""
    near = [1 - Fraction(1, 10**5), 1, 1 + Fraction(1, 10**5)]
    pairs = list(zip(slopes, single_onsets.lower, strict=True))
    return exact([[abs((1 + c * rate) * (1 + c * rate * a)) for a, rate in pairs] for c in near])


@claim.check("onset-of-phase-three")
def onset_of_phase_three(slopes, single_onsets):
    return equal(products(slopes, single_onsets)[1], exact(1), a=np.array(slopes, dtype=float))


@claim.check("negative-from-the-onset-on")
def negative_from(slopes, single_onsets):
    """Lambda_+ is positive just below and negative just above."""
    below, _, above = products(slopes, single_onsets)
    return less(concatenate([1 - below, above - 1]), 0)


@claim.check("larger-batches-collapse-later")
def larger_batches_collapse_later(onsets):
    return less(onsets[:-1], onsets[1:], batch=list(SEARCHED)[:-1])


@claim.check("large-batches-do-not-collapse")
def large_batches_do_not_collapse(large_batches):
    return less(0, large_batches)


def drift(law, rates):
    """log|1 - rate E chi|: the mean gradient alone."""
    return certify.log(np.array([abs(1 - rate * world.mean(law)) for rate in rates], dtype=object))


def of_mean_square(law, rates):
    """(1/2) log E(1 - rate chi)^2: stability of the mean square."""
    return certify.log(world.moment(law, rates, 2)) * Fraction(1, 2)


claim.control(
    "p and q exchanged",
    formula=lambda law, rates: world.exponent(mirrored(law), rates),
    must_fail="growth-rates",
)
claim.control("mean gradient alone", formula=drift, must_fail="growth-rates")
claim.control("batches larger by one", larger=1, must_fail="growth-rates")
claim.control("phases of the mean gradient", formula=drift, must_fail="phases-of-runs")
claim.control("phases of the mean square", formula=of_mean_square, must_fail="phases-of-runs")
claim.control(
    "onset 10% later",
    single_onsets=lambda single_onsets: single_onsets * Fraction(11, 10), must_fail="onset-of-phase-three",
)  # fmt: skip
claim.control(
    "onset 1% earlier",
    single_onsets=lambda single_onsets: single_onsets * Fraction(99, 100),
    must_fail="negative-from-the-onset-on",
)
claim.control(
    "onset of the small-step expansion",
    single_onsets=lambda slopes: exact([2 * (1 + a) / (1 + a * a) for a in slopes]),
    must_fail="onset-of-phase-three",
)  # fmt: skip
claim.control(
    "batches in the opposite order",
    onsets=lambda onsets: onsets[::-1],
    must_fail="larger-batches-collapse-later",
)
claim.control("batches of 6", batches=(6,), must_fail="large-batches-do-not-collapse")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["phases, single samples", r"exponent $\Lambda_+$, $a = -0.8$"])
    exponents, growth = evidence.of("exponents"), evidence.of("growth")
    up, down = exponents.map_plus.middle > 0, exponents.map_minus.middle > 0
    phase = np.select([up & ~down, ~up & down, ~up & ~down], [0, 1, 2], 3)
    from matplotlib.colors import ListedColormap

    colors = ListedColormap(["#CFE0F3", "#F6D9C6", "#C9E7DE", "#E9E9EC"])
    left.pcolormesh(
        *(np.array(ends, dtype=float) for ends in (MAP_RATES, MAP_SLOPES)),
        phase,
        cmap=colors,
        vmin=-0.5,
        vmax=3.5,
    )
    for name, rate, a in (("I", 0.35, -0.3), ("II", 1.62, -0.72), ("III", 0.95, -0.85), ("IV", 1.85, -0.25)):
        left.text(rate, a, name, ha="center", va="center")
    single = [float(rate) for rate, batch in CELLS if batch == 1]
    left.plot(single, [-0.8] * len(single), "o", color=plot.INK, markersize=3, label="runs")
    left.set(xlabel=r"rate $\lambda$", ylabel="second label $a$")
    for i, (batch, color) in enumerate(zip(CURVE_BATCHES, plot.COLORS, strict=False)):
        right.plot(np.array(CURVE_RATES, dtype=float), exponents.curves.middle[i], color=color, **plot.BOUND)
        mine = [k for k, (_, size) in enumerate(CELLS) if size == batch]
        middle = growth.middle[mine, 0]
        error = [middle - growth.lower[mine, 0], growth.upper[mine, 0] - middle]
        right.errorbar(
            [float(CELLS[k][0]) for k in mine], middle, error, fmt="o", color=color, label=f"B = {batch}"
        )
    right.axhline(0, color=plot.INK, linewidth=0.7)
    right.set(xlabel=r"rate $\lambda$", xlim=(0, 1.5), ylim=(-0.25, 0.15))
    plot.legend([right, left], bound="exact", markerscale=0.8)
