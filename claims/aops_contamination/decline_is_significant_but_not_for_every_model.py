r"""The decline is significant as a whole and for eleven of seventeen models, not for every one.

For each model let p be the one-sided p-value of Fisher's exact test for a decline from $x_{23}$ right answers of $n_{23}$
problems to $x_{24}$ of $n_{24}$, the counts taken from the printed percentages. Holm's procedure at 5 per cent, valid though
all models answer the same problems, does not reject for Qwen2.5-Math with 7B and 72B parameters, Qwen2-Math 72B,
NuminaMath-CoT 72B, InternLM2-Math-Plus 20B and Gemma2 27B, and rejects for the other eleven, for every choice at the
corners of

$$5150 \le n_{23} \le 5249, \qquad 3750 \le n_{24} \le 3899,$$

and of the rounding of the percentages and counts. So the hypothesis that no model declines is rejected.

---
That all 17 accuracies fall is no p-value of $2^{-17}$, the models share the problems. Problems are taken as independent
given the year; the printed accuracies are not counts over one number of problems, so the test is approximate.
"""

import math
from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, exact, less, plot, stated

from . import _tables, world

claim = Claim(
    "aops-contamination/decline-is-significant-but-not-for-every-model",
    full={"sizes": tuple((a, b) for a in (5150, 5183, 5216, 5249) for b in (3750, 3800, 3863, 3899))},
)
SIZES = ((5216, 3863), (5150, 3750), (5150, 3899), (5249, 3750), (5249, 3899))
HALF = Fraction(1, 200)
STEADY = (
    "7B-Qwen2.5-Math", "72B-Qwen2-Math", "72B-Qwen2.5-Math", "72B-NuminaMath-CoT", "20B-InternLM2-Math-Plus",
    "27B-Gemma2",
)  # fmt: skip


@claim.instance
def table():
    return _tables.results()


@claim.reference
def level():
    return stated(Fraction(1, 20), "the usual family-wise level")


@claim.run
def p_values(table, sizes=SIZES):
    """Record(least, most): for every pair of sizes the p-values of the models, at the ends of what rounding allows."""
    found = Record(least=[], most=[])
    for n1, n2 in sizes:
        for ends, side in ((found.least, 1), (found.most, -1)):
            first = [count(a + side * HALF, n1, side) for a in table.before]
            second = [count(b - side * HALF, n2, -side) for b in table.after]
            ends.append([world.fisher(x, n1, y, n2) for x, y in zip(first, second, strict=True)])
    return found


def count(percent, n, side):
    """The nearest count above (side 1) or below (-1) a percentage of n."""
    exactly = percent * n / 100
    return math.ceil(exactly) if side > 0 else math.floor(exactly)


@claim.run
def adjusted(p_values, adjust=world.holm):
    """Record(least, most (sizes, models)): the same, adjusted for the number of models."""
    rows = {name: exact(np.array([adjust(row) for row in side])) for name, side in vars(p_values).items()}
    return Record(**rows)


def of_models(p, table, steady, sizes):
    """The columns of p of the models that are `STEADY` or not, and their coordinates."""
    columns = [i for i, model in enumerate(table.models) if (model in STEADY) == steady]
    at = {"model": [table.models[i] for i in columns], "sizes": [[f"{a}, {b}"] for a, b in sizes]}
    return p[:, columns], at


@claim.check("eleven-models-decline")
def eleven(adjusted, level, table, sizes):
    p, at = of_models(adjusted.most, table, False, sizes)
    return at_most(p, level, **at)


@claim.check("six-models-are-left")
def six(adjusted, level, table, sizes):
    p, at = of_models(adjusted.least, table, True, sizes)
    return less(level, p, **at)


claim.control(
    "years exchanged", table=lambda table: Record(**{**vars(table), "before": table.after, "after": table.before}),
    must_fail="eleven-models-decline",
)  # fmt: skip


def three_quarters(table):
    """The same accuracies of 2023, three quarters of every drop."""
    after = [a - Fraction(3, 4) * (a - b) for a, b in zip(table.before, table.after, strict=True)]
    return Record(**{**vars(table), "after": after})


claim.control(
    "three quarters of every drop", table=three_quarters, sizes=SIZES[:1], must_fail="eleven-models-decline"
)
claim.control("every model tested alone", adjust=list, must_fail="six-models-are-left")


@claim.figure
def draw(figure, evidence):
    figure.set_size_inches(plot.WIDTH, 3.9)
    left, right = figure.subplots(1, 2, sharey=True)
    table = evidence.of("table")
    before, after = (np.array([float(Fraction(x)) for x in column]) for column in (table.before, table.after))
    order = np.argsort(before - after)
    rows, n1, n2 = np.arange(len(order)), *SIZES[0]
    error = 1.96 * np.sqrt(before * (100 - before) / n1 + after * (100 - after) / n2)
    steady = np.array([model in STEADY for model in table.models])[order]
    for own, color, name in (
        (~steady, plot.COLORS[0], "declines"),
        (steady, plot.COLORS[1], "not by itself"),
    ):
        drop = (before - after)[order][own]
        left.errorbar(drop, rows[own], xerr=error[order][own], fmt="o", color=color, linewidth=1, label=name)
        ends = [
            np.asarray(getattr(evidence.of("adjusted"), side).middle)[:, order][:, own]
            for side in ("least", "most")
        ]
        right.hlines(rows[own], ends[0].min(axis=0), ends[1].max(axis=0), color=color, linewidth=2.5)
    left.axvline(0, color=plot.INK, linewidth=0.8, linestyle="-")
    right.axvline(0.05, color=plot.INK, **plot.BOUND)
    left.set_yticks(rows, [table.models[i] for i in order])
    left.set(xlabel="drop, points, 95%")
    right.set(xlabel="Holm $p$, all corners", xscale="log")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper right", ncols=2)
