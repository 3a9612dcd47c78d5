r"""A step size that fits one data point is stable in probability, however far it lies above the mean-square threshold.

Interpolating regression on $x \theta$ with targets that $\theta = 0$ fits has curvatures $h_i = x_i^2$. If the sample i is
drawn with probability $p_i > 0$ and $\lambda = 1/h_i$, then $\Lambda = -\infty$: the first draw of it makes the error 0, and

$$P(\theta_T \ne 0) = (1 - p_i)^T .$$

The same rates are unstable in the mean square wherever $\lambda > 2\,\mathrm{E}h / \mathrm{E}h^2$. Beside the hit, at
$\lambda = (1 + \delta)/h_i$, the exponent is finite and changes its sign at some $|\delta| > 0$: a window, exponentially
thin where the other curvatures are large.

---
The inputs are powers of 2, so that every step at these rates is exact in floating point.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, certify, equal, exact, less, plot, stack, statistics

from . import world

INPUTS = ("1/4", "1/2", "1", "2", "4")
BESIDE = {  # offsets delta by rate 1/h_i: two inside of the window, two outside
    "1": ("1/100", "19/1000", "48/1000", "1/10"),
    "4": ("15/100000", "3/10000", "75/100000", "15/10000"),
}
OFFSETS = [(Fraction(rate), Fraction(delta)) for rate, deltas in BESIDE.items() for delta in deltas]

claim = Claim("sgd-probabilistic-stability/lucky-step-sizes", full={"runs": 400_000, "walks": 20_000})


@claim.instance
def curvature():
    """The law of h = x^2, every sample equally likely."""
    return world.law([x * x for x in world.fractions(INPUTS)])


@claim.instance
def rates(curvature, off=0):
    """1/h_i for every sample."""
    return [(1 + Fraction(off)) / h for h in curvature.values]


@claim.instance
def unstable_rates(curvature, samples=4):
    """1/h_i of the samples with the smallest h."""
    return [1 / h for h in curvature.values[:samples]]


@claim.instance
def drawn(rng, curvature, steps=8, runs=100_000):
    return world.sampled(rng, curvature, (steps, runs))


@claim.instance
def drawn_beside(rng, curvature, long=1_000, walks=2_000):
    return world.sampled(rng, curvature, (long, walks))


@claim.reference
def alive(curvature, steps):
    """(1 - p_i)^T."""
    return exact([(1 - p) ** steps for p in curvature.weights])


@claim.reference
def beside(curvature):
    """Exponents at (1 + delta)/h_i."""
    return world.exponent(curvature, rates_beside())


@claim.reference
def edges(curvature):
    """|delta| > 0 at which the exponent changes its sign, for each of the offsets."""
    found = {rate: _edge(curvature, Fraction(rate)) for rate in BESIDE}
    return stack([found[rate] for rate, deltas in BESIDE.items() for _ in deltas])


@claim.reference
def mean_square(curvature, unstable_rates):
    """E(1 - rate h)^2."""
    return world.moment(curvature, unstable_rates, 2)


def rates_beside():
    return [rate * (1 + delta) for rate, delta in OFFSETS]


def _edge(law, rate):
    """The smallest delta > 0 with exponent 0, by bisection on a logarithmic scale with certified signs."""
    low, high = Fraction(1, 2**40), Fraction(1, 4)
    for _ in range(18):
        middle = Fraction(float(low * high) ** 0.5)
        value = world.exponent(law, [rate * (1 + middle)])
        low, high = (middle, high) if value.upper[0] < 0 else (low, middle)
    inside, outside = world.exponent(law, [rate * (1 + low), rate * (1 + high)])
    if not inside.upper < 0 < outside.lower:
        raise ValueError(f"no change of sign beside the rate {rate}")
    return certify.bracket(exact(low), exact(high), "sign of the exponent on both sides")


@claim.run
def log_sizes(drawn, rates):
    return world.descend(drawn, rates)


@claim.run
def log_sizes_beside(drawn_beside):
    return world.descend(drawn_beside, rates_beside())


@claim.measurement
def survived(log_sizes, runs):
    """Fraction of runs with an error that is not exactly 0."""
    return statistics.proportion(np.isfinite(log_sizes).sum(axis=1), runs)


@claim.measurement
def growth(log_sizes_beside, curvature, long):
    found = []
    for sizes, rate in zip(log_sizes_beside, rates_beside(), strict=True):
        logs = certify.log(world.factors(curvature, [rate])[0])
        found.append(statistics.hoeffding_mean(sizes / long, logs.lower.min(), logs.upper.max(), each=long))
    return stack(found)


@claim.check("first-hit-ends-the-run")
def first_hit(survived, alive, rates):
    return equal(survived, alive, within=survived.gap(), rate=np.array(rates, dtype=float))


@claim.check("mean-square-unstable")
def mean_square_unstable(mean_square, unstable_rates):
    return less(exact(1), mean_square, rate=np.array(unstable_rates, dtype=float))


@claim.check("growth-beside-the-hit")
def growth_beside(growth, beside):
    return equal(growth, beside, within=growth.gap(), rate=np.array(rates_beside(), dtype=float))


@claim.check("window")
def window(growth, edges):
    """Runs shrink inside the window and grow outside of it."""
    deltas = np.array([delta for _, delta in OFFSETS], dtype=object)
    sign = np.where(deltas < edges.lower, 1, -1)
    return less(sign * growth, 0, delta=deltas.astype(float))


claim.control("rates 1% above", off=Fraction(1, 100), must_fail="first-hit-ends-the-run")
claim.control(
    "one more sample",
    alive=lambda steps: exact([Fraction(5, 6) ** steps] * 5),
    must_fail="first-hit-ends-the-run",
)
claim.control("the largest curvature as well", samples=5, must_fail="mean-square-unstable")
claim.control("exponent 30% too large", beside=lambda beside: 1.3 * beside, must_fail="growth-beside-the-hit")
claim.control("windows 70% wider", edges=lambda edges: 1.7 * edges, must_fail="window")
claim.control("windows 40% narrower", edges=lambda edges: 0.6 * edges, must_fail="window")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["runs with a nonzero error", r"growth at $(1 + \delta)/h_i$"])
    survived, alive = evidence.of("survived"), evidence.of("alive")
    off = evidence.of("survived", control="rates 1% above")
    names = [f"$1/h = {1 / Fraction(x) ** 2}$" for x in INPUTS]
    plot.bars_with_intervals(
        left, [*names, "1% above"], [*survived, off[0]], [*alive, alive[0]], controls=["1% above"]
    )
    left.set(xlabel="fraction after 8 steps")
    growth, beside, edges = (evidence.of(name) for name in ("growth", "beside", "edges"))
    deltas = np.array([float(delta) for _, delta in OFFSETS])
    for i, (rate, color) in enumerate(zip(BESIDE, plot.COLORS, strict=False)):
        four = slice(4 * i, 4 * i + 4)
        error = [growth.middle[four] - growth.lower[four], growth.upper[four] - growth.middle[four]]
        right.errorbar(
            deltas[four], growth.middle[four], error, fmt="o", color=color, label=f"$1/h_i = {rate}$"
        )
        right.plot(deltas[four], beside.middle[four], color=color, **plot.BOUND)
        right.axvline(edges.middle[4 * i], color=color, linewidth=0.7, linestyle="-")
    right.axhline(0, color=plot.INK, linewidth=0.7)
    right.set(xscale="log", xlabel=r"offset $\delta$")
    plot.legend([right, left], bound="exact; vertical: edge")
