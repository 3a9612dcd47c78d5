r"""At a saddle every moment of order one or more grows at every rate, even where SGD converges in probability.

If $\mathrm{E} h < 0$, then for every rate $\lambda > 0$ and order $p \ge 1$, by Jensen's inequality,

$$\mathrm{E}|1 - \lambda h|^p \ge |1 - \lambda \mathrm{E} h|^p > 1, \qquad
\mathrm{E}|\theta_T|^p = \big(\mathrm{E}|1 - \lambda h|^p\big)^T |\theta_0|^p .$$

Where nevertheless $\Lambda = \mathrm{E}\log|1 - \lambda h| < 0$ and some factor exceeds 1, one order
$p^* \in (0, 1)$ has $\mathrm{E}|1 - \lambda h|^{p^*} = 1$: moments of lower order decay, moments of higher order grow,
and the typical run shrinks.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, at_most, certify, equal, exact, less, plot, stack, statistics

from . import world

SADDLE = world.law(["1.6", "-2"])
RATES = ("0.2", "0.3", "0.5")
ORDERS = (("0.32", "0.44", "1"), ("0.5", "0.68", "1"), ("0.66", "0.88", "1"))  # some 15% below and above p*
TYPICAL = 20_000  # runs of which the median is taken

claim = Claim("sgd-probabilistic-stability/moment-stability-fails-at-saddles", full={"runs": 4_000_000})


@claim.instance
def saddle():
    return SADDLE


@claim.instance
def rates(chosen=RATES):
    return world.fractions(chosen)


@claim.instance
def orders():
    """Orders of the moments, (rates, 3)."""
    return np.array([world.fractions(each) for each in ORDERS], dtype=object)


@claim.instance
def curvatures(rng, saddle, steps=12, runs=250_000):
    return world.sampled(rng, saddle, (steps, runs))


@claim.instance
def saddles(rng, count=15):
    """(law, rate) with curvatures a and -b, 0 < a < b, at rates between (b - a)/(ab) and 1/a, where the exponent is
    negative: one nearly flat, those that are run, random ones."""
    found = [(world.law(["1.999", "-2"]), Fraction(1, 2)), *((SADDLE, Fraction(rate)) for rate in RATES)]
    for a, more, s in rng.integers(1, 100, size=(count, 3)).tolist():
        a, b = Fraction(a, 10), Fraction(a + more, 10)
        found.append((world.law([a, -b]), 1 / a - Fraction(s, 100) / b))
    return found


@claim.reference
def moments(saddle, rates, orders, steps):
    """E|theta_T|^p, (rates, 3)."""
    each = [
        stack([world.moment(saddle, [rate], p)[0] for p in of_rate])
        for rate, of_rate in zip(rates, orders, strict=True)
    ]
    return certify.exp(steps * certify.log(stack(each)))


@claim.reference
def critical(saddle, rates):
    """p* of the rates that are run."""
    return stack([world.critical_power(saddle, rate) for rate in rates])


@claim.reference
def critical_of_batch(saddles):
    return stack([world.critical_power(law, rate) for law, rate in saddles])


@claim.reference
def jensen(saddles, powers=(1, 2, 3)):
    """|1 - rate E h|^p, (powers, saddles)."""
    inside = np.array([abs(1 - rate * world.mean(law)) for law, rate in saddles], dtype=object)
    return stack([world.power(inside, p) for p in powers])


@claim.run
def log_sizes(curvatures, rates):
    """log|theta_T|, (rates, runs), by SGD steps from theta_0 = 1."""
    return world.descend(curvatures, rates)


@claim.measurement
def one_step(saddles, powers):
    """E|1 - rate h|^p, (powers, saddles), by enumeration."""
    return stack([stack([world.moment(law, [rate], p)[0] for law, rate in saddles]) for p in powers])


@claim.measurement
def measured(log_sizes, saddle, rates, orders, steps):
    """Means of |theta_T|^p over the runs, (rates, 3); the largest value is known beforehand."""
    found = []
    for sizes, rate, of_rate in zip(log_sizes, rates, orders, strict=True):
        most = float(max(world.factors(saddle, [rate])[0])) ** steps
        values = [np.exp(float(p) * sizes) / most ** float(p) for p in of_rate]
        means = [statistics.bernstein_mean(np.minimum(v, 1.0), 0, 1) for v in values]
        found.append(stack([mean * most ** float(p) for mean, p in zip(means, of_rate, strict=True)]))
    return stack(found)


@claim.measurement
def typical(log_sizes):
    """The median of log|theta_T|."""
    return statistics.median(log_sizes[:, :TYPICAL].T)


@claim.check("every-moment-grows")
def every_moment_grows(jensen, one_step):
    return at_most(jensen, one_step)


@claim.check("critical-order-below-one")
def critical_order_below_one(critical_of_batch):
    return less(critical_of_batch, exact(1))


@claim.check("moments-of-runs")
def moments_of_runs(measured, moments, rates, orders):
    resolution = stack([stack([value.gap() for value in row]) for row in measured])
    rate = np.array(rates, dtype=float)[:, None]
    return equal(measured, moments, within=resolution, rate=rate, order=orders.astype(float))


@claim.check("low-moments-decay-high-moments-grow")
def critical_order_of_runs(measured, critical, rates, orders):
    """Of runs: the mean of |theta_T|^p is below 1 for p < p* and above 1 for p > p*."""
    sign = np.where(orders < critical.lower[:, None], 1, -1)
    rate = np.array(rates, dtype=float)[:, None]
    return less(sign * (measured - 1), 0, rate=rate, order=orders.astype(float))


@claim.check("typical-run-shrinks")
def typical_run_shrinks(typical, rates):
    return less(typical, 0, rate=np.array(rates, dtype=float))


claim.control("an order below one", powers=(Fraction(9, 10), Fraction(1, 2)), must_fail="every-moment-grows")
claim.control(
    "mean curvature 3% above zero",
    saddles=lambda: [(world.law(["2", "-1.9"]), Fraction(3, 10))], must_fail="critical-order-below-one",
)  # fmt: skip


def of_typical_run(saddle, rates, orders, steps):
    """exp(p T Lambda): the moments if every run were typical."""
    return certify.exp(steps * orders * world.exponent(saddle, rates)[:, None])


claim.control("moments of the typical run", moments=of_typical_run, must_fail="moments-of-runs")
claim.control(
    "orders 10% larger",
    moments=lambda saddle, rates, orders, steps: moments(saddle, rates, orders * Fraction(11, 10), steps),
    must_fail="moments-of-runs",
)  # fmt: skip
claim.control(
    "critical order 20% too large",
    critical=lambda critical: critical * Fraction(6, 5), must_fail="low-moments-decay-high-moments-grow",
)  # fmt: skip
claim.control(
    "critical order 20% too small",
    critical=lambda critical: critical * Fraction(4, 5), must_fail="low-moments-decay-high-moments-grow",
)  # fmt: skip
claim.control("a rate 20% below the threshold", chosen=("0.1", "0.1", "0.1"), must_fail="typical-run-shrinks")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(
        figure, [r"moments of $|\theta_T|$ at $T = 12$", "$p^*$ between measured orders"]
    )
    measured, moments = evidence.of("measured"), evidence.of("moments")
    orders = np.array(ORDERS, dtype=float)
    for i, (rate, color) in enumerate(zip(RATES, plot.COLORS, strict=False)):
        error = [measured.middle[i] - measured.lower[i], measured.upper[i] - measured.middle[i]]
        left.errorbar(
            orders[i], measured.middle[i], error, fmt="o", color=color, label=rf"$\lambda = {rate}$"
        )
        left.plot(orders[i], moments.middle[i], color=color, **plot.BOUND)
        right.plot(float(rate), evidence.of("critical").middle[i], "o", color=color)
        right.plot([float(rate)] * 2, orders[i, :2], color=color, linestyle="-", marker="_", markersize=9)
    left.axhline(1, color=plot.INK, linewidth=0.7)
    left.set(xlabel="order $p$", yscale="log", ylabel=r"$\mathrm{E}|\theta_T|^p$")
    right.axhline(1, color=plot.INK, linewidth=0.7)
    right.set(xlabel=r"rate $\lambda$", ylim=(0, 1.1), xlim=(0.1, 0.6))
    plot.legend([left, right], bound="exact moments")
