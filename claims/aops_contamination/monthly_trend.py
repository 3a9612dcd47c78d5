r"""Accuracies fall over the months of 2024 for several models beyond what reading the figure can err, for one not.

For the accuracies of a model in twelve months let K be the number of pairs of months of which the later one is lower. If
every order of the months were equally likely, K would have the law of the inversions of a random order,

$$\sum_k \#\{\text{orders of } n \text{ with } k \text{ inversions}\}\, q^k = \prod_{i=1}^{n} (1 + q + \dots + q^{i-1}) ,$$

and the Mann-Kendall test's p-value is $\Pr(K \ge k)$. It is at most 5 per cent for four models even when every pair of
months that differs by no more than two points counts against the trend, and above 5 per cent for
DeepSeek-Math-7B-instruct. Three of the four, the R1-Distill models, were released after the last of these problems:
harder problems explain a fall that such models share with older ones better than exposure does.

---
Seven series of fifteen, read off a published image to about one point. The models share the problems: their p-values do
not multiply.
"""

from fractions import Fraction
from itertools import combinations, permutations
from math import comb, factorial

import numpy as np

from verify import Claim, Record, at_most, equal, exact, less, plot, stated

from . import _tables, world

claim = Claim("aops-contamination/monthly-trend")
FALLING = ("R1-Distill-Qwen-32B", "R1-Distill-Qwen-7B", "R1-Distill-Qwen-1.5B", "Qwen2.5-Math-1.5B")
FLAT = "DeepSeek-Math-7B-instruct"


@claim.instance
def series():
    """Record(models, accuracies): twelve of each in per cent."""
    return _tables.months()


@claim.reference
def level():
    return stated(Fraction(1, 20), "the usual level of a test")


@claim.reference
def null_law(months=7):
    """Numbers of orders with 0, 1, 2, ... inversions, by the product formula."""
    return exact(world.inversions(months))


@claim.run
def counted(months):
    """The same by going through all orders."""
    pairs = list(combinations(range(months), 2))
    found = [sum(order[i] > order[j] for i, j in pairs) for order in permutations(range(months))]
    return exact(np.bincount(found, minlength=len(pairs) + 1))


@claim.run
def p_values(series):
    """p of every model as read, in the order of the table."""
    return exact([world.falling_trend(values) for values in series.accuracies])


@claim.run
def worst_p_values(series, error=1):
    """p of every model when each accuracy is off by up to `error` points, against the trend."""
    return exact([world.falling_trend(values, 2 * error) for values in series.accuracies])


def of_models(p, series, names):
    return p[[series.models.index(name) for name in names]]


@claim.check("null-law")
def law(counted, null_law):
    return equal(counted, null_law, inversions=np.arange(len(null_law)))


@claim.check("four-models-fall")
def fall(worst_p_values, level, series):
    return at_most(of_models(worst_p_values, series, FALLING), level, model=FALLING)


@claim.check("one-does-not")
def flat(p_values, level, series):
    return less(level, of_models(p_values, series, [FLAT]), model=[FLAT])


def altered(series, change):
    return Record(models=series.models, accuracies=[change(values) for values in series.accuracies])


def independent_pairs(months):
    """As if the pairs of months were independent coins."""
    pairs = comb(months, 2)
    return exact([Fraction(comb(pairs, k) * factorial(months), 2**pairs) for k in range(pairs + 1)])


claim.control("pairs taken as independent", null_law=independent_pairs, must_fail="null-law")
claim.control("accuracies off by 1.2 points", error=Fraction(6, 5), must_fail="four-models-fall")
claim.control(
    "months in reverse", series=lambda series: altered(series, lambda values: values[::-1]),
    must_fail="four-models-fall",
)  # fmt: skip


def half_a_point_a_month(series):
    """Half a point less with every month."""
    return altered(series, lambda values: [x - Fraction(i, 2) for i, x in enumerate(values)])


claim.control("half a point a month", series=half_a_point_a_month, must_fail="one-does-not")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["accuracy in 2024, %", "$p$ as read; bar: worst case"])
    series = evidence.of("series")
    read, worst = evidence.of("p_values").middle, evidence.of("worst_p_values").middle
    for row, (name, values) in enumerate(zip(series.models, series.accuracies, strict=True)):
        known = name in FALLING
        color = plot.COLORS[FALLING.index(name)] if known else plot.COLORS[4] if name == FLAT else "#B0B4BA"
        left.plot(
            range(1, 13), [float(Fraction(x)) for x in values], color=color, linestyle="-", linewidth=1.2
        )
        right.plot([read[row], worst[row]], [row, row], color=color, linestyle="-")
        right.plot(read[row], row, "o", color=color)
        right.text(2.5e-6, row - 0.22, name, fontsize=7, va="bottom")
    right.axvline(0.05, color=plot.INK, **plot.BOUND)
    right.set(xscale="log", xlim=(2e-6, 1.3), yticks=[], ylim=(len(series.models) - 0.5, -1))
    left.set(xlabel="month", ylim=(0, 65), xticks=[1, 4, 7, 10])
