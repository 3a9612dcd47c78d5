r"""SGD reaches a point without gradient noise, in probability, exactly where its Lyapunov exponent is negative.

On $h(x)\,\theta^2/2$ with independent samples, $\theta_{t+1} = (1 - \lambda h_t)\,\theta_t$ and

$$\theta_t \to 0 \text{ in probability} \iff \Lambda(\lambda) = \mathrm{E} \log |1 - \lambda h| < 0 .$$

At every T, $\log|\theta_T|$ is a sum of independent terms with mean $\Lambda$: this is checked as its growth rate and as
the probability of $|\theta_T| < 10^{-3} |\theta_0|$. For curvatures a and -b with probability 1/2 each, $0 < a < b$, the
rates with $\Lambda < 0$ begin at

$$\lambda_c = \frac{b - a}{a b}, \qquad (1 - \lambda_c a)(1 + \lambda_c b) = 1 .$$

---
The two two-point laws have the same mean and the same second moment: no formula in these two moments tells them
apart. At the saddle E h < 0, and by the moment criteria no rate is stable.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, certify, concatenate, equal, exact, less, plot, stack, statistics

from . import _uniform, world

LAWS = {
    "symmetric": world.law(["1.6", "-2"]),
    "skewed": world.law(["3.4", "-1.1"], ["0.2", "0.8"]),
    "uniform": (Fraction("-3.3"), Fraction("2.9")),
}
RATES = {
    "symmetric": ("0.05", "0.1", "0.125", "0.2", "0.8", "1"),
    "skewed": ("0.05", "0.1", "0.15", "0.2", "0.4", "0.5"),
    "uniform": ("0.05", "0.1", "0.15", "0.2", "0.3"),
}
LEVEL = Fraction(1, 1000)

claim = Claim(
    "sgd-probabilistic-stability/scalar-criterion",
    cases={"law": tuple(LAWS)},
    full={"steps": 4_000, "runs": 10_000},
)


@claim.instance
def rates(law):
    return world.fractions(RATES[law])


@claim.instance
def grid(law, points=55):
    """Rates for the curves of the figure."""
    return np.arange(1, points + 1) / (170 if law == "uniform" else 50)


@claim.instance
def curvatures(rng, law, steps=1_000, runs=4_000):
    """(T, n) curvatures, the same for every rate."""
    if law == "uniform":
        return rng.uniform(*map(float, LAWS[law]), size=(steps, runs))
    return world.sampled(rng, LAWS[law], (steps, runs))


@claim.instance
def saddles(rng, count=40):
    """Pairs 0 < a < b: the one that is run, two extreme ones, random ones."""
    named = [("1.6", "2"), ("1", "1.001"), ("0.001", "9")]
    drawn = np.cumsum(rng.integers(1, 1000, size=(count, 2)), axis=1).tolist()
    return [world.fractions(pair) for pair in named] + [
        (Fraction(a, 100), Fraction(b, 100)) for a, b in drawn
    ]


def _tidy(grid):
    """The decimals that the floats stand for: short fractions have short powers."""
    return [Fraction(rate).limit_denominator(1000) for rate in grid]


def lyapunov(law, rates):
    """E log|1 - rate h| for rates (r,)."""
    return _uniform.exponent(*LAWS[law], rates) if law == "uniform" else world.exponent(LAWS[law], rates)


def enumerated(law, rate, steps):
    """P(|theta_T| < level): complete enumeration for two points, Berry-Esseen for the uniform law."""
    if law == "uniform":
        return _uniform.collapse_probability(*LAWS[law], rate, steps, LEVEL)
    return world.collapse_probability(LAWS[law], rate, steps, LEVEL)


@claim.reference
def exponents(law, rates, grid, formula=lyapunov):
    return Record(tested=formula(law, rates), curve=formula(law, _tidy(grid)))


@claim.reference
def collapse(law, rates, grid, steps, probability=enumerated):
    tested, curve = (stack([probability(law, rate, steps) for rate in each]) for each in (rates, _tidy(grid)))
    return Record(tested=tested, curve=curve)


@claim.reference
def thresholds(saddles):
    return exact([(b - a) / (a * b) for a, b in saddles])


@claim.run
def log_sizes(curvatures, rates):
    """log|theta_T|, (rates, runs), by SGD steps from theta_0 = 1."""
    return world.descend(curvatures, rates)


@claim.measurement
def growth(log_sizes, law, rates, steps):
    """Mean growth of log|theta| a step; every step's lies between those of the extreme curvatures."""
    each = [
        statistics.hoeffding_mean(sizes / steps, *_range(law, rate), each=steps)
        for sizes, rate in zip(log_sizes, rates, strict=True)
    ]
    return stack(each)


def _range(law, rate):
    """Smallest and largest log|1 - rate h|."""
    points = _uniform.ends(*LAWS[law], rate) if law == "uniform" else world.factors(LAWS[law], [rate])[0]
    logs = certify.log(np.array(points, dtype=object))
    return logs.lower.min(), logs.upper.max()


@claim.measurement
def collapsed(log_sizes):
    return statistics.proportion((log_sizes < np.log(float(LEVEL))).sum(axis=1), log_sizes.shape[1])


@claim.check("growth-rate")
def growth_rate(growth, exponents, rates):
    return equal(growth, exponents.tested, within=growth.gap(), rate=np.array(rates, dtype=float))


@claim.check("collapse-probability")
def collapse_probability(collapsed, collapse, rates):
    resolution = collapsed.gap() + collapse.tested.gap()
    return equal(collapsed, collapse.tested, within=resolution, rate=np.array(rates, dtype=float))


def products(saddles, thresholds):
    """|1 - rate a| (1 + rate b), whose logarithm is 2 Lambda, just below each threshold, at it and just above; (3, saddles)."""
    near = [1 - Fraction(1, 10**5), 1, 1 + Fraction(1, 10**5)]
    pairs = list(zip(saddles, thresholds.lower, strict=True))
    return exact([[abs(1 - c * rate * a) * (1 + c * rate * b) for (a, b), rate in pairs] for c in near])


@claim.check("threshold")
def threshold(saddles, thresholds):
    return equal(products(saddles, thresholds)[1], exact(1))


@claim.check("negative-from-the-threshold-on")
def negative_from(saddles, thresholds):
    """The exponent is positive just below and negative just above."""
    below, _, above = products(saddles, thresholds)
    return less(concatenate([1 - below, above - 1]), 0)


OTHER = {"symmetric": "skewed", "skewed": "symmetric"}  # the same mean and second moment
TWO_POINTS = {"law": tuple(OTHER)}


def of_mean_size(law, rates):
    """log E|1 - rate h|, negative where the mean of |theta| is stable."""
    return certify.log(world.moment(LAWS[law], rates, 1))


def of_mean_square(law, rates):
    """(1/2) log E(1 - rate h)^2, negative where the mean square is stable."""
    return certify.log(world.moment(LAWS[law], rates, 2)) * Fraction(1, 2)


def small_step(law, rates):
    """-rate E h - rate^2 E h^2 / 2, the expansion for small steps."""
    first, second = world.mean(LAWS[law]), world.mean(LAWS[law], 2)
    return exact([-rate * first - rate**2 * second / 2 for rate in rates])


RIVALS = {
    "stability of the mean": of_mean_size,
    "stability of the mean square": of_mean_square,
    "small-step expansion": small_step,
    "exponent of another law with these two moments": lambda law, rates: lyapunov(OTHER[law], rates),
}
for name, rival in RIVALS.items():
    claim.control(name, formula=rival, must_fail="growth-rate", cases=TWO_POINTS)
claim.control(
    "exponent 10% too large",
    formula=lambda law, rates: lyapunov(law, rates) * Fraction(11, 10), must_fail="growth-rate",
)  # fmt: skip
claim.control(
    "collapse of another law with these two moments",
    probability=lambda law, rate, steps: enumerated(OTHER[law], rate, steps),
    must_fail="collapse-probability", cases=TWO_POINTS,
)  # fmt: skip
claim.control(
    "no collapse where a moment grows",
    probability=lambda law, rate, steps: exact(0), must_fail="collapse-probability",
)  # fmt: skip
claim.control(
    "threshold of the small-step expansion",
    thresholds=lambda saddles: exact([2 * (b - a) / (a * a + b * b) for a, b in saddles]),
    must_fail="threshold",
)  # fmt: skip
claim.control(
    "threshold 1% too small",
    thresholds=lambda thresholds: thresholds * Fraction(99, 100),
    must_fail="negative-from-the-threshold-on",
)
claim.control(
    "threshold 10% too large",
    thresholds=lambda thresholds: thresholds * Fraction(11, 10), must_fail="threshold",
)  # fmt: skip


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, [r"growth rate of $\log|\theta_t|$", "collapsed runs at $T$"])
    for case, color, mark in zip(evidence.cases, plot.COLORS, "osD", strict=False):
        grid, rates = evidence.of("grid", **case), evidence.curve("growth-rate", **case).rate
        for panel, theory, run in ((left, "exponents", "growth"), (right, "collapse", "collapsed")):
            measured = evidence.of(run, **case)
            error = [measured.middle - measured.lower, measured.upper - measured.middle]
            panel.plot(grid, evidence.of(theory, **case).curve.middle, color=color, **plot.BOUND)
            panel.errorbar(
                rates,
                measured.middle,
                error,
                fmt=mark,
                color=color,
                markersize=3.5,
                label=case["law"],
            )
    rival = evidence.of("exponents", control="stability of the mean", law="symmetric").curve
    left.plot(
        evidence.of("grid", law="symmetric"),
        rival.middle,
        label="control: stability of the mean",
        **plot.CONTROL,
    )
    left.axhline(0, color=plot.INK, linewidth=0.7)
    left.set(xlabel=r"rate $\lambda$", ylim=(-0.8, 0.5))
    right.set(xlabel=r"rate $\lambda$", ylabel="fraction")
    plot.legend([left, right], bound="theory")
