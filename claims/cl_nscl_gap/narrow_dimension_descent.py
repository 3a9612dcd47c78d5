r"""In dimension C - 1 gradient descent often stops above the smallest NSCL, in dimension C less often.

In dimension C - 1 the minimisers of NSCL are simplices of the same value $L^*$ as in any larger one. From random starts
of C = 4 classes at temperature 1/2 descent in C - 1 dimensions stops at larger values as well, and returns to them when it is
disturbed, as it would at local minima. A descent is more often stuck in C - 1 dimensions than in C.

---
Two samples a class, one view, 150 starts in either dimension. Stuck means: above the minimum by more than the rounding.
Disturbed are the fifth of the ends in C - 1 dimensions whose loss is largest.
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
def highest(narrow, starts):
    """The fifth of the ends of `narrow` whose loss is largest."""
    chosen = np.argsort(-narrow.loss.middle)[: starts // 5]
    return Record(embeddings=narrow.embeddings[chosen], loss=narrow.loss[chosen])


@claim.run
def disturbed(rng, highest, classes, steps):
    """From these ends, each coordinate moved by about a hundredth."""
    return descend(rng, classes, classes - 1, steps, highest.embeddings)


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
def returns(disturbed, highest):
    """To the value where the descent had stopped."""
    before, after = highest.loss, disturbed.loss
    return equal(after, before, within=before.gap() + after.gap())


@claim.check("above-after-disturbance")
def above(disturbed, minimum):
    """So none of these values is the smallest."""
    return less(minimum, disturbed.loss)


def narrower(rng, classes, starts, steps):
    """Descents in C - 2 dimensions."""
    return descend(rng, classes, classes - 2, steps, [None] * starts)


def from_elsewhere(rng, classes, highest, steps):
    """Fresh descents in place of disturbed ones."""
    return descend(rng, classes, classes - 1, steps, [None] * len(highest.loss))


claim.control("minimum 5% larger", minimum=lambda minimum: minimum * 0.95, must_fail="never-below")
claim.control("C - 2 dimensions in place of C", wide=narrower, must_fail="more-often-stuck")
claim.control("fresh starts in place of disturbed ends", disturbed=from_elsewhere, must_fail="returns")
claim.control(
    "minimum 30% larger", minimum=lambda minimum: minimum * 0.7, must_fail="above-after-disturbance"
)


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
