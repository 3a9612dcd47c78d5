r"""The printed drops are the relative drops of the printed accuracies, up to the rounding of both.

With $a_{23}$ and $a_{24}$ a model's accuracies on problems of 2023 and of 2024,

$$\mathrm{drop} = 100\, (1 - a_{24} / a_{23}) ,$$

as far as three numbers printed with two decimals can say: for each of the 17 models the drops that the rounded accuracies
allow, and those that the rounded drop allows, have one in common.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, equal, exact, plot

from . import _tables

claim = Claim("aops-contamination/drop-table-arithmetic")
HALF = Fraction(1, 200)  # half a unit of the last printed decimal


def relative(a, b):
    return 100 * (1 - b / a)


@claim.instance
def table():
    return _tables.results()


@claim.reference
def drop(table, formula=relative):
    """Record(middle, reach): the drops that accuracies within half a decimal allow, as middle and half width."""
    ends = [
        [formula(a + s * HALF, b - s * HALF) for s in (-1, 1)]
        for a, b in zip(table.before, table.after, strict=True)
    ]
    lower, upper = np.array(ends, dtype=object).T
    return Record(middle=exact((lower + upper) / 2), reach=exact((upper - lower) / 2))


@claim.run
def printed(table):
    return exact(table.drop)


@claim.check("drops")
def drops(printed, drop, table):
    return equal(printed, drop.middle, within=drop.reach + exact(HALF), model=table.models)


claim.control("relative to 2024", formula=lambda a, b: 100 * (a / b - 1), must_fail="drops")
claim.control("relative to the mean of both", formula=lambda a, b: 200 * (a - b) / (a + b), must_fail="drops")
claim.control("absolute drop", formula=lambda a, b: a - b, must_fail="drops")


@claim.figure
def draw(figure, evidence):
    figure.set_size_inches(plot.WIDTH, 3.6)
    axes = figure.subplots()
    curve = evidence.curve("drops")
    rows = np.arange(len(curve.model))
    for name, marker in (("relative to 2024", "x"), ("relative to the mean of both", "+")):
        other = evidence.curve("drops", control=name)
        axes.plot(
            other.bound.middle - curve.measured.middle, rows, marker, color=plot.CONTROL["color"],
            label=f"control: {name}",
        )  # fmt: skip
    axes.plot(
        curve.bound.middle - curve.measured.middle, rows, "o", color=plot.COLORS[0], label="relative to 2023"
    )
    axes.set_yticks(rows, curve.model)
    axes.invert_yaxis()
    axes.set(xlabel="computed minus printed drop, points", xscale="symlog")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right")
