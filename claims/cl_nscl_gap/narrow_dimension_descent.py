r"""In dimension C - 1 gradient descent often stops above the smallest NSCL, in dimension C seldom.

In dimension C - 1 the minimisers of NSCL are simplices of the same value $L^*$ as in any larger one. From random starts
of C = 4 classes at temperature 1/2 descent in C - 1 dimensions stops at other values as well, and returns to them when it is
disturbed: NSCL has local minima there. A descent is more often stuck in C - 1 dimensions than in C.

---
Two samples a class, one view, 150 starts in either dimension. Stuck means: above the minimum by more than the rounding.
The statement on minimisers speaks of global ones only.
"""

import numpy as np

from verify import Claim, Record, at_most, equal, less, plot, stack, statistics

from . import _free, world

claim = Claim("cl-nscl-gap/narrow-dimension-descent", full={"starts": 600})
TEMPERATURE, PER_CLASS = 0.5, 2


@claim.reference
def minimum(classes=4):
    return world.smallest_nscl(classes, PER_CLASS, 1, TEMPERATURE)


def descend(rng, classes, dimension, steps, begun):
    """Where descents end, from each of `begun` (None: a random start): Record(embeddings (starts, N, 1, C), loss)."""
    labels = world.balanced(classes, PER_CLASS)
    args = labels, 1, dimension, TEMPERATURE, "nscl", steps, 2, classes
    ends = np.array([_free.descend(rng, *args, near=z).last for z in begun])
    values = np.array([world.losses(z, labels, TEMPERATURE)[1] for z in ends])
    return Record(embeddings=ends, loss=world.rounded_loss(values, ends[0], TEMPERATURE))


@claim.run
def narrow(rng, classes, starts=150, steps=1000):
    return descend(rng, classes, classes - 1, steps, [None] * starts)


@claim.run
def wide(rng, classes, starts, steps):
    return descend(rng, classes, classes, steps, [None] * starts)


@claim.run
def disturbed(rng, narrow, classes, steps, count=20):
    """From the first few ends of `narrow`, each coordinate moved by about a hundredth."""
    return descend(rng, classes, classes - 1, steps, narrow.embeddings[:count])


def stuck(run, minimum):
    """The share of starts that end above the minimum."""
    above = (run.loss - minimum).lower > 0
    return statistics.proportion(int(above.sum()), len(above))


@claim.check("never-below")
def never_below(narrow, wide, minimum, classes):
    losses = stack([narrow.loss, wide.loss])
    return at_most(minimum, losses, within=losses.gap() + minimum.gap(), dimension=[[classes - 1], [classes]])


@claim.check("more-often-stuck")
def more_often(narrow, wide, minimum):
    return less(stuck(wide, minimum), stuck(narrow, minimum))


@claim.check("returns")
def returns(disturbed, narrow):
    """To the value where the descent had stopped, at the minimum or not."""
    before, after = narrow.loss[: len(disturbed.loss)], disturbed.loss
    return equal(after, before, within=before.gap() + after.gap())


def narrower(rng, classes, starts, steps):
    """Descents in C - 2 dimensions."""
    return descend(rng, classes, classes - 2, steps, [None] * starts)


def from_elsewhere(rng, classes, count, steps):
    """Fresh descents in place of disturbed ones."""
    return descend(rng, classes, classes - 1, steps, [None] * count)


claim.control("minimum 5% larger", minimum=lambda minimum: minimum * 0.95, must_fail="never-below")
claim.control("C - 2 dimensions in place of C", wide=narrower, must_fail="more-often-stuck")
claim.control("fresh starts in place of disturbed ends", disturbed=from_elsewhere, must_fail="returns")


@claim.figure
def draw(figure, evidence):
    (panel,) = plot.panel_grid(figure, ["150 starts, 4 classes, $\\tau$ = 1/2"])
    losses, control = (
        evidence.curve("never-below"),
        evidence.curve("more-often-stuck", "C - 2 dimensions in place of C"),
    )
    floor = losses.measured.middle
    for row, name in ((0, "C - 1 dimensions"), (1, "C dimensions")):
        panel.plot(np.sort(losses.bound.middle[row]), label=name, drawstyle="steps-mid")
    panel.axhline(floor, color=plot.INK, **plot.BOUND)
    panel.set(xlabel="starts, sorted", ylabel="NSCL at the end")
    share = float(control.measured.lower)
    panel.plot([], [], label=f"control: C - 2, at least {share:.0%} stuck", **plot.CONTROL)
    plot.legend(panel, bound="minimum", loc="upper left")
