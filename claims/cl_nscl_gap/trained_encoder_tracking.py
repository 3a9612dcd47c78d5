r"""A network trained without labels keeps its gap below the bound, and ends nearer to the supervised optimum with more classes.

Let f be trained on the contrastive loss and g on NSCL, from the same start on the same data, and $C$ balanced classes. At every
step $0 \le L_{CL}(f) - L_{NSCL}(f) \le \log(1 + e^2/(C-1))$, both at temperature 1 whatever f was trained with. With
$\Delta = L_{NSCL}(f) - L_{NSCL}(g)$ and $s = L_{CL}(f) - L_{CL}(g)$, for any pair

$$\Delta \le \log\Big(1 + \frac{e^2}{C-1}\Big) + \max(s, 0) .$$

Observed at the end of training, in batches of one size: s < 0; $\Delta$ and the gap of f fall as C grows and classes shrink; and $L_{NSCL}(f)$ is smaller under the true labels, which f
never saw, than under permuted ones.

---
Encoders 24-64-32 with ReLU, Adam, full batch of 24 samples with two views, Gaussian classes, 21 seeds: as many as the median needs
for an interval. The two inequalities hold for every embedding and test the losses, the rest is what training adds. The sign of s is
no law: with 20 classes of 6 samples, trained at temperature 1/2 for 250 steps, 21 seeds no longer resolve it.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, less, plot, stack, statistics

from . import _encoder, world

claim = Claim(
    "cl-nscl-gap/trained-encoder-tracking",
    cases={"temperature": (1.0, 0.5)},
    full={"classes": (3, 5, 12), "samples": 60, "seeds": 41, "steps": 250},
)
CLASSES = (3, 6, 12)


@claim.instance
def data(rng, classes=CLASSES, samples=24, seeds=21):
    """For every number of classes: Record(inputs (seeds, N, 2, 24), weights at the start, labels (N,))."""
    made = []
    for C in classes:
        inputs = _encoder.gaussian_views(rng, seeds, C, samples // C)
        made.append(
            Record(inputs=inputs, weights=_encoder.start(rng, seeds), labels=world.balanced(C, samples // C))
        )
    return made


@claim.reference
def bound(classes, exponent=2):
    return world.certified_bound(np.array([Fraction(1, C - 1) for C in classes], dtype=object), 1.0, exponent)


# --- what happens ---------------------------------------------------------------------------------------------


def train_all(data, loss, temperature, steps):
    return [_encoder.trained(one.inputs, one.weights, one.labels, loss, temperature, steps) for one in data]


@claim.run
def unlabelled(data, temperature, steps=120):
    """f, for every number of classes."""
    return train_all(data, "cl", temperature, steps)


@claim.run
def labelled(data, temperature, steps):
    """g."""
    return train_all(data, "nscl", temperature, steps)


@claim.run
def path(unlabelled, at=-1):
    """Losses of f: means over seeds Record(cl, nscl (steps, classes)), and at one step last_cl, last_nscl (classes, seeds)."""
    cl, nscl = curves(unlabelled)
    return Record(cl=cl.mean(axis=2), nscl=nscl.mean(axis=2), last_cl=cl[at], last_nscl=nscl[at])


@claim.run
def goal(labelled):
    """The same of g, at the end."""
    cl, nscl = curves(labelled)
    return Record(cl=cl[-1], nscl=nscl[-1], mean=nscl.mean(axis=2))


def curves(runs):
    """CL and NSCL at temperature 1, each (steps, classes, seeds)."""
    return (np.stack([getattr(run, name) for run in runs], axis=1) for name in ("cl", "nscl"))


@claim.run
def gaps(unlabelled):
    """The smallest and the largest CL - NSCL of f among the seeds, with the rounding: Record((steps, classes))."""
    cl, nscl = curves(unlabelled)
    gap = world.rounded_loss(cl - nscl, unlabelled[0].embeddings[0], 1.0)
    return Record(smallest=gap.smallest(axis=2), largest=gap.largest(axis=2))


@claim.run
def under_permuted(rng, data, unlabelled):
    """NSCL of f at the end under permuted labels, (classes, seeds)."""
    return np.array([
        [world.losses(z, rng.permutation(one.labels))[1] for z in run.embeddings]
        for one, run in zip(data, unlabelled, strict=True)
    ])  # fmt: skip


@claim.measurement
def delta(path, goal):
    return path.last_nscl - goal.nscl


# --- checks ---------------------------------------------------------------------------------------------------


@claim.check("gap-at-every-step")
def every_step(gaps, bound, classes):
    return at_most(gaps.largest, bound, classes=list(classes))


@claim.check("not-negative")
def not_negative(gaps, classes):
    return at_most(0, gaps.smallest, within=gaps.smallest.gap(), classes=list(classes))


@claim.check("excess-bounded")
def excess(path, goal, delta, bound, unlabelled, classes):
    """For every seed."""
    sides = delta - np.maximum(path.last_cl - goal.cl, 0)
    measured = world.rounded_loss(sides, unlabelled[0].embeddings[0], 0.5)
    bounds = stack([stack([b]) for b in bound])
    return at_most(measured, bounds, classes=[[C] for C in classes])


@claim.check("contrastive-loss-smaller")
def smaller(path, goal, classes):
    difference = statistics.paired_median_difference(path.last_cl.T, goal.cl.T)
    return less(difference, 0, classes=list(classes))


@claim.check("falls-with-classes")
def falls(delta, path, classes, power=0):
    """Delta, then the gap, from each number of classes to the next; power: of C - 1 that they are multiplied with."""
    weight = (np.array(classes) - 1.0)[:, None] ** power
    steps = [
        statistics.paired_median_difference((weight * x)[1:].T, (weight * x)[:-1].T)
        for x in (delta, path.last_cl - path.last_nscl)
    ]
    return less(stack(steps), 0, what=[["delta"], ["gap"]], to=list(classes[1:]))


@claim.check("labels-matter")
def labels_matter(path, under_permuted, classes):
    difference = statistics.paired_median_difference(path.last_nscl.T, under_permuted.T)
    return less(difference, 0, classes=list(classes))


# --- rivals ---------------------------------------------------------------------------------------------------


def at_a_tenth(unlabelled, data):
    """Losses of the embeddings at the end, at temperature 1/10."""
    pairs = [
        [world.losses(z, one.labels, 0.1) for z in run.embeddings]
        for one, run in zip(data, unlabelled, strict=True)
    ]
    gap = world.rounded_loss(-np.diff(np.array(pairs))[..., 0], unlabelled[0].embeddings[0], 0.1)
    return Record(largest=stack([gap.largest(axis=1)]))


def exchanged(gaps):
    return Record(smallest=-gaps.largest)


claim.control("losses exchanged", gaps=exchanged, must_fail="not-negative")
claim.control("losses at temperature 1/10", gaps=at_a_tenth, must_fail="gap-at-every-step")
claim.control("1 in place of e^2", exponent=0, must_fail="excess-bounded")
claim.control("trained for 20 steps", at=20, must_fail="contrastive-loss-smaller")
claim.control("multiplied by (C - 1)^2", power=2, must_fail="falls-with-classes")
claim.control(
    "permuted and true labels exchanged", must_fail="labels-matter",
    under_permuted=lambda path, under_permuted: 2 * path.last_nscl - under_permuted,
)  # fmt: skip


@claim.figure
def draw(figure, evidence):
    case = evidence.cases[0]
    path, goal, bound = (evidence.of(name, **case) for name in ("path", "goal", "bound"))
    left, right = plot.panel_grid(figure, ["12 classes", "at three steps"])
    steps = np.arange(len(path.cl)) + 1
    left.plot(steps, path.cl[:, -1], label="CL")
    left.plot(steps, path.nscl[:, -1], label="NSCL")
    left.plot(steps, path.nscl[:, -1] + bound.middle[-1], color=plot.COLORS[1], **plot.BOUND)
    left.plot(steps, goal.mean[:, -1], color=plot.COLORS[2], label="NSCL, trained on it")
    left.set(xscale="log", xlabel="step", ylabel="mean loss")
    gap = path.cl - path.nscl
    for at, color in zip((0, 10, len(steps) - 1), plot.COLORS, strict=False):
        right.plot(CLASSES, gap[at], color=color, marker="o", label=f"gap, step {at}")
    right.plot(CLASSES, bound.middle, color=plot.INK, **plot.BOUND)
    excess = (path.last_nscl - goal.nscl).mean(axis=1)
    right.plot(CLASSES, excess, color=plot.COLORS[3], marker="o", label="excess at the end")
    tenth = evidence.of("gaps", "losses at temperature 1/10", **case).largest.middle[0]
    right.plot(CLASSES, tenth, label=r"control: $\tau$ = 1/10", **plot.CONTROL)
    right.set(xscale="log", yscale="log", xlabel="classes C", ylim=(5e-3, 10))
    plot.legend(left, bound="NSCL + bound")
    plot.legend(right)
