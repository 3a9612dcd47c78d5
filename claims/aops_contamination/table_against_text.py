r"""The smallest printed drop is not the one of the text, and the accuracies are not counts over one number of problems.

The text gives drops from 2.4 to 23.6 per cent, and some 5,200 problems of 2023 and 3,800 of 2024. In the printed table of
17 models

- the smallest drop is more than 2.4 per cent, while the largest is 23.6 to the decimal;
- for no n from 5,150 to 5,249 are all accuracies of 2023 of the form $100\, k / n$ to two decimals, and for no n from 3,750
  to 3,899 those of 2024: for every n some accuracy lies more than half a printed unit from all of them.

---
So the table and the text belong to different revisions, and the accuracies are averages of several runs or have denominators
of their own: tests that take them for counts over one set are approximate.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, equal, exact, less, plot, stack

from . import _tables

claim = Claim("aops-contamination/table-against-text", cases={"year": (2023, 2024)})
HALF = Fraction(1, 200)  # half a unit of the last printed decimal
PROBLEMS = {2023: range(5_150, 5_250), 2024: range(3_750, 3_900)}
TEXT = (Fraction(24, 10), Fraction(236, 10))


@claim.instance
def accuracies(year):
    """The printed ones of a year, in per cent."""
    table = _tables.results()
    return table.before if year == 2023 else table.after


@claim.reference
def text():
    """The smallest and the largest drop of the text, in per cent."""
    return exact(list(TEXT))


@claim.run
def drops():
    return exact(_tables.results().drop)


@claim.run
def misses(accuracies, year):
    """For every number of problems the largest distance of an accuracy from the multiples of 100 / n."""
    return exact([max(distance(a, n) for a in accuracies) for n in PROBLEMS[year]])


def distance(a, n):
    """From the accuracy a, in per cent, to the nearest 100 k / n."""
    k = a * n / 100
    return abs(k - round(k)) * 100 / n


@claim.check("smallest-drop")
def smallest(drops, text):
    return less(text[0] + exact(Fraction(1, 20)), drops.smallest() - exact(HALF))


@claim.check("largest-drop")
def largest(drops, text):
    return equal(drops.largest(), text[1], within=exact(Fraction(1, 20) + HALF))


@claim.check("no-common-number-of-problems")
def no_common(misses, year):
    return less(exact(HALF), misses, problems=list(PROBLEMS[year]))


claim.control(
    "text's largest drop 1% larger", text=lambda text: text * Fraction(101, 100), must_fail="largest-drop"
)
claim.control(
    "text's smallest drop 4", text=lambda text: stack([exact(4), text[1]]), must_fail="smallest-drop"
)


def of_counts(accuracies, year):
    """The nearest accuracies that are counts over the stated number of problems, to two decimals."""
    n = {2023: 5_216, 2024: 3_863}[year]
    return [Fraction(round(10_000 * Fraction(round(a * n / 100), n)), 100) for a in accuracies]


claim.control("counts over one number", accuracies=of_counts, must_fail="no-common-number-of-problems")


@claim.figure
def draw(figure, evidence):
    panels = plot.panel_grid(figure, ["2023", "2024"], sharey=True)
    for panel, case in zip(panels, evidence.cases, strict=True):
        curve = evidence.curve("no-common-number-of-problems", **case)
        other = evidence.curve("no-common-number-of-problems", control="counts over one number", **case)
        n = np.asarray(curve.problems)
        panel.plot(n, other.bound.middle, label="control: counts", **plot.CONTROL)
        panel.plot(n, curve.bound.middle, label="printed table", linestyle="-", linewidth=1.1)
        panel.axhline(float(HALF), color=plot.INK, **plot.BOUND)
        panel.set(xlabel="number of problems", ylim=(0, 0.0145))
    panels[0].set_ylabel("farthest accuracy from a count, %")
    plot.legend(panels, bound="rounding")
