r"""The test for a drop after the cutoff: its size is at most its level at every accuracy, its power is known exactly.

A solver answers $n_1$ problems from before its cutoff and $n_2$ from after it. It has memorised a fraction $\rho$ of the
former and is right with probability a on all others, so that the numbers of right answers are

$$x_1 \sim \mathrm{Bin}(n_1,\ a + \rho (1 - a)), \qquad x_2 \sim \mathrm{Bin}(n_2,\ a) .$$

If $\rho = 0$, Fisher's one-sided test at level $\alpha$ rejects with probability at most $\alpha$ given any total
$x_1 + x_2$, hence with at most $\alpha$ whatever a is. It cannot do better: three right answers to three problems before
the cutoff and to three after it are all before it with probability $1/20$, and at $\alpha = 1/20$ it rejects then. For
every $\rho$ it rejects with the probability of its rejection region under the two binomial laws.

---
The mid-p test and the unpooled Wald test, common in its place, exceed the level on small sets: they are controls.
"""

from fractions import Fraction
from math import inf

import numpy as np

from verify import Claim, at_most, equal, exact, plot, statistics

from . import world

claim = Claim("aops-contamination/post-cutoff-drop-detector", full={"solvers": 200_000})
SAMPLES = ((20, 20), (30, 20), (60, 40), (20, 60), (3, 3))
ACCURACIES = tuple(Fraction(i, 20) for i in range(1, 20))
MEMORISED = tuple(Fraction(i, 20) for i in range(5))
BEFORE, AFTER = 300, 200  # problems of the simulated solvers


@claim.reference
def level():
    """alpha, 5 per cent."""
    return exact(Fraction(1, 20))


@claim.reference
def power(clean=Fraction(3, 10), memorised=MEMORISED):
    """Probability of rejection for every rho, exactly."""
    region = world.rejected_counts(world.fisher_limits(BEFORE, AFTER), BEFORE, AFTER)
    rates = [clean + rho * (1 - clean) for rho in memorised]
    return exact([world.rejection_probability(region, BEFORE, AFTER, a, clean) for a in rates])


@claim.run
def limits(rule=world.fisher_limits):
    """The test on every pair of small samples, as limits on x1 for every total."""
    return [rule(n1, n2) for n1, n2 in SAMPLES]


@claim.run
def sizes_given_total(limits):
    """Probability of rejection under equal accuracies given every total, all samples in a row."""
    return exact(
        [
            size
            for test, ns in zip(limits, SAMPLES, strict=True)
            for size in world.conditional_sizes(test, *ns)
        ]
    )


@claim.run
def sizes(limits):
    """Probability of rejection at equal accuracies a, (samples, a)."""
    regions = [world.rejected_counts(test, *ns) for test, ns in zip(limits, SAMPLES, strict=True)]
    rows = [
        [world.rejection_probability(region, *ns, a, a) for a in ACCURACIES]
        for region, ns in zip(regions, SAMPLES, strict=True)
    ]
    return exact(rows)


@claim.run
def alarms(rng, clean, solvers=20_000):
    """How many solvers are rejected, for every rho: memorised problems are drawn, then right answers to the others."""
    limits = np.array(world.fisher_limits(BEFORE, AFTER))
    found = []
    for rho in MEMORISED:
        known = rng.binomial(BEFORE, float(rho), size=solvers)
        before = known + rng.binomial(BEFORE - known, float(clean))
        after = rng.binomial(AFTER, float(clean), size=solvers)
        found.append(int((before >= limits[before + after]).sum()))
    return np.array(found)


@claim.measurement
def rate(alarms, solvers):
    return statistics.proportion(alarms, solvers)


NAMES = [f"{n1}, {n2}: {m}" for n1, n2 in SAMPLES for m in range(n1 + n2 + 1)]  # of `sizes_given_total`


@claim.check("size-given-total")
def size_given_total(sizes_given_total, level):
    return at_most(sizes_given_total, level, samples_and_total=NAMES)


@claim.check("size-attained")
def size_attained(sizes_given_total, level):
    """By three right answers in all to three problems before and three after."""
    return equal(sizes_given_total[NAMES.index("3, 3: 3")], level)


@claim.check("size")
def size(sizes, level):
    samples = [[f"{n1}, {n2}"] for n1, n2 in SAMPLES]
    return at_most(sizes, level, samples=samples, accuracy=[float(a) for a in ACCURACIES])


@claim.check("rejection-rate")
def rejection_rate(rate, power):
    return equal(rate, power, within=rate.gap(each=True), memorised=[float(rho) for rho in MEMORISED])


def mid_p_limits(n1, n2):
    return world.fisher_limits(n1, n2, mid=Fraction(1, 2))


def wald_limits(n1, n2, quantile=1.6448536):
    """Rejects when the difference exceeds the normal quantile of its unpooled standard error."""

    def excess(x1, x2):
        a, b = x1 / n1, x2 / n2
        error = (a * (1 - a) / n1 + b * (1 - b) / n2) ** 0.5
        return (a - b) / error if error else inf * (a - b) if a != b else 0

    totals = [range(max(0, m - n2), min(n1, m) + 1) for m in range(n1 + n2 + 1)]
    return [next((x for x in xs if excess(x, m - x) > quantile), n1 + 1) for m, xs in enumerate(totals)]


claim.control("mid-p test", rule=mid_p_limits, must_fail="size-given-total")
claim.control("unpooled Wald test", rule=wald_limits, must_fail="size")
claim.control("Fisher's test at 6 per cent", must_fail="size-given-total",
              rule=lambda n1, n2: world.fisher_limits(n1, n2, Fraction(3, 50)))  # fmt: skip
claim.control("Fisher's test at 4 per cent", must_fail="size-attained",
              rule=lambda n1, n2: world.fisher_limits(n1, n2, Fraction(1, 25)))  # fmt: skip
claim.control(
    "a fifth less memorised",
    memorised=tuple(Fraction(4, 5) * rho for rho in MEMORISED),
    must_fail="rejection-rate",
)


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["size of the test", f"{BEFORE} and {AFTER} problems"])
    own, wald = evidence.curve("size"), evidence.curve("size", control="unpooled Wald test")
    for row, (n1, n2) in enumerate(SAMPLES[:3]):
        left.plot(own.accuracy, own.measured.middle[row], label=f"{n1} and {n2}")
    left.plot(own.accuracy, wald.measured.middle[1], label="control: Wald, 30 and 20", **plot.CONTROL)
    left.axhline(0.05, color=plot.INK, label="level", **plot.BOUND)
    left.set(xlabel="accuracy $a$", ylabel="rejected", ylim=(0, 0.1))
    rates = evidence.curve("rejection-rate")
    less_known = evidence.curve("rejection-rate", control="a fifth less memorised")
    rho = np.asarray(rates.memorised)
    right.errorbar(rho, rates.measured.middle, yerr=(rates.measured.upper - rates.measured.lower) / 2, fmt="o",
                   color=plot.COLORS[0], label="20,000 solvers")  # fmt: skip
    right.plot(rho, rates.bound.middle, label="exact power", color=plot.COLORS[0], **plot.BOUND)
    right.plot(rho, less_known.bound.middle, label="control: a fifth less", **plot.CONTROL)
    right.set(xlabel=r"memorised share $\rho$", ylabel="rejected", ylim=(0, 1.02))
    plot.legend(left)
    plot.legend(right)
