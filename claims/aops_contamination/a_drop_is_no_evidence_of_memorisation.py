r"""A drop after the cutoff is no evidence of memorisation: harder problems give the same numbers.

For accuracies $a_1 > a_2$ before and after the cutoff there are two worlds. In one the problems are equally hard and the
solver has memorised $\rho = (a_1 - a_2) / (1 - a_2)$ of the earlier ones; in the other it has memorised nothing and the later
problems are harder. The numbers of right answers have the same law in both,

$$\sum_{k} \binom{n}{k} \rho^k (1-\rho)^{n-k}\, \Pr\big(\mathrm{Bin}(n-k, a_2) = x - k\big)
  = \Pr\big(\mathrm{Bin}(n, a_1) = x\big) ,$$

so that no test of them tells the worlds apart. Fisher's test for a drop at level $\alpha$ raises alarms on a clean solver:
where harder problems lower its accuracy from 0.3 to 0.22 their probability exceeds $\alpha$ = 5 per cent with 30 problems
before the cutoff and 20 after it, and grows to 75 and 50, to 150 and 100, and to 300 and 200 problems.
"""

from fractions import Fraction
from math import comb

import numpy as np

from verify import Claim, equal, exact, less, plot, statistics

from . import world

claim = Claim("aops-contamination/a-drop-is-no-evidence-of-memorisation", full={"solvers": 200_000, "N": 40})
PAIRS = tuple((Fraction(a, 20), Fraction(b, 20)) for a, b in ((20, 1), (10, 9), (6, 5), (7, 2), (3, 0)))
SIZES = ((30, 20), (75, 50), (150, 100), (300, 200))


@claim.reference
def drifting(N=12):
    """Law of the right answers to N earlier problems of accuracy a1, (pairs, N + 1)."""
    return exact([[binomial(N, x, a1) for x in range(N + 1)] for a1, _ in PAIRS])


def binomial(n, x, p):
    return comb(n, x) * p**x * (1 - p) ** (n - x) if 0 <= x <= n else Fraction(0)


@claim.reference
def level():
    """alpha, 5 per cent."""
    return exact(Fraction(1, 20))


@claim.reference
def false_alarms(earlier=Fraction(3, 10), later=Fraction(22, 100)):
    """Probability of an alarm on a clean solver, for every pair of sizes."""
    regions = [world.rejected_counts(world.fisher_limits(*ns), *ns) for ns in SIZES]
    rows = zip(regions, SIZES, strict=True)
    return exact([world.rejection_probability(region, *ns, earlier, later) for region, ns in rows])


@claim.run
def memorising(N, share=1):
    """The same law by enumeration of the memorised problems; `share`: of the rho that the statement asks for."""
    rows = []
    for a1, a2 in PAIRS:
        rho = share * (a1 - a2) / (1 - a2)
        known = [binomial(N, k, rho) for k in range(N + 1)]
        rows.append([sum(known[k] * binomial(N - k, x - k, a2) for k in range(x + 1)) for x in range(N + 1)])
    return exact(rows)


@claim.run
def alarms(rng, earlier, later, solvers=20_000):
    """How many clean solvers raise an alarm."""
    found = []
    for n1, n2 in SIZES:
        limits = np.array(world.fisher_limits(n1, n2))
        before, after = rng.binomial(n1, float(earlier), solvers), rng.binomial(n2, float(later), solvers)
        found.append(int((before >= limits[before + after]).sum()))
    return np.array(found)


@claim.measurement
def rate(alarms, solvers):
    return statistics.proportion(alarms, solvers)


def at_sizes(sizes):
    return {"problems": [f"{n1} and {n2}" for n1, n2 in sizes]}


@claim.check("same-law")
def same_law(memorising, drifting):
    accuracies = [[f"{float(a1):g} to {float(a2):g}"] for a1, a2 in PAIRS]
    return equal(memorising, drifting, accuracies=accuracies, right=np.arange(memorising.shape[1]))


@claim.check("alarms-above-level")
def above_level(rate, level):
    return less(level, rate, **at_sizes(SIZES))


@claim.check("alarms-as-computed")
def as_computed(rate, false_alarms):
    return equal(rate, false_alarms, within=rate.gap(each=True), **at_sizes(SIZES))


@claim.check("alarms-grow")
def grow(false_alarms):
    return less(false_alarms[:-1], false_alarms[1:], **at_sizes(SIZES[1:]))


claim.control("a tenth less memorised", share=Fraction(9, 10), must_fail="same-law")
claim.control("equally hard problems", later=Fraction(3, 10), must_fail="alarms-above-level")
claim.control("newer problems easier", later=Fraction(36, 100), must_fail="alarms-grow")


def of_smaller_drift(earlier):
    """The probabilities for a drift of 0.3 to 0.24."""
    return false_alarms(earlier, Fraction(24, 100))


claim.control("drift a quarter smaller", false_alarms=of_smaller_drift, must_fail="alarms-as-computed")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["12 problems, 0.35 to 0.1", "clean: 0.3 to 0.22"])
    law, other = evidence.curve("same-law"), evidence.curve("same-law", control="a tenth less memorised")
    row = PAIRS.index((Fraction(7, 20), Fraction(1, 10)))
    left.bar(law.right, law.bound.middle[row], color=plot.COLORS[0], alpha=0.35, label="harder later, clean")
    left.plot(law.right, law.measured.middle[row], "o", color=plot.COLORS[1], label="equally hard, memorised")
    left.plot(law.right, other.measured.middle[row], label="control: a tenth less", **plot.CONTROL)
    left.set(xlabel="right answers", ylabel="probability")
    rates, problems = evidence.curve("alarms-as-computed"), [sum(ns) for ns in SIZES]
    widths = (rates.measured.upper - rates.measured.lower) / 2
    right.errorbar(problems, rates.measured.middle, yerr=widths, fmt="o", label="20,000 solvers")
    right.plot(problems, rates.bound.middle, color=plot.COLORS[0], label="exact", **plot.BOUND)
    easier = evidence.curve("alarms-above-level", control="equally hard problems")
    right.plot(problems, easier.bound.middle, "x", color=plot.CONTROL["color"], label="control: no drift")
    right.axhline(0.05, color=plot.INK, label="level", linewidth=0.8, linestyle="-")
    right.set(xlabel="problems", ylabel="false alarms", xscale="log", ylim=(0, 1), xticks=problems)
    plot.legend(left)
    plot.legend(right)
