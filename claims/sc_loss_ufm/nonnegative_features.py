r"""Features without negative entries: an orthogonal frame is best, however imbalanced the classes.

With unit features $h_i \ge 0$ in $d \ge k$ dimensions,

$$L(H) \ \ge\ \sum_c n_c \log\big( n_c - 1 + (n - n_c) e^{-1/\tau} \big) + \langle \nabla f(G_0), H^T H - G_0 \rangle ,$$

where $G_0$ is 1 within classes and 0 across. The last term is at least 0, and 0 only where $H^T H = G_0$: f is convex, its
gradient at $G_0$ pulls classes together and apart, and $0 \le h_i \cdot h_j \le 1$. Orthogonal frames attain the bound.
---
Training from random starts and frames with some noise are measured against it. Not every such run reaches the frame.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, concatenate, equal, exact, plot, stack

from . import _worlds, world

claim = Claim("sc-loss-ufm/nonnegative-features", full={"runs": 30})
CONE = (((6, 3, 2), 0.5), ((4, 4, 4), 1.0), ((9, 2, 2, 2), 0.7))


@claim.instance
def nonnegative(rng, runs=5):
    return np.abs(_worlds.starts(rng, CONE, runs))


@claim.instance
def near_frames(rng, scales=(0.0, 1e-4, 0.01, 0.1)):
    """Orthogonal frames with non-negative noise, one (scales, k, n) a world."""
    found = []
    for sizes, _ in CONE:
        frame = np.eye(len(sizes))[:, world.labels_of(sizes)]
        found.append(np.stack([frame + scale * rng.random(frame.shape) for scale in scales]))
    return found


@claim.reference
def frames(exponent=(1, 1)):
    """The loss of orthogonal frames and the gradient there, up to sign: of a sample with others of its class, and beyond."""
    found = []
    for sizes, tau in CONE:
        n_c, n = exact(np.array(sizes)), sum(sizes)
        total = n_c - 1 + (n - n_c) * certify.exp(-exact(Fraction(*exponent)) / tau)
        pull, push = 1 / (n_c - 1) - 1 / total, certify.exp(exact(-1) / tau) / total
        found.append(Record(loss=(n_c * certify.log(total)).sum(), pull=pull / tau, push=push / tau))
    return found


@claim.run
def in_cone(nonnegative, steps=800, cone=True):
    return _worlds.trained(nonnegative, CONE, steps, 10, nonnegative=cone)


@claim.measurement
def cones(in_cone, near_frames):
    return [
        [_worlds.seen(H, *at), _worlds.seen(N, *at)]
        for H, N, at in zip(in_cone, near_frames, CONE, strict=True)
    ]


@claim.check("frame-is-best")
def frame_is_best(cones, frames):
    """In every step, and near the frame."""
    losses = [found.loss for each in cones for found in each]
    least = [
        stack([frame.loss] * len(found.loss))
        for each, frame in zip(cones, frames, strict=True)
        for found in each
    ]
    losses, least = concatenate(losses), concatenate(least)
    return at_most(least, losses, within=losses.gap() + least.gap())


@claim.check("distance-from-the-frame-costs")
def frame_bound(cones, frames, price=1):
    costs, excess = [], []
    for each, frame, (sizes, _) in zip(cones, frames, CONE, strict=True):
        labels = world.labels_of(sizes)
        positives, allowed = (mask.astype(float) for mask in _worlds.masks(labels))
        pull, push = (
            frame.pull[labels][:, None] * positives,
            frame.push[labels][:, None] * (allowed - positives),
        )
        for found in each:
            costs.append(price * (pull * (1 - found.gram) + push * found.gram).sum(axis=(1, 2)))
            excess.append(found.loss - frame.loss)
    costs, excess = concatenate(costs), concatenate(excess)
    return at_most(costs, excess, within=costs.gap() + excess.gap())


@claim.check("frame-attains-it")
def attained(cones, frames):
    loss = stack([near.loss[0] for _, near in cones])
    return equal(
        loss,
        stack([frame.loss for frame in frames]),
        within=loss.gap() + stack([f.loss for f in frames]).gap(),
    )


claim.control("exponent 1.1/tau", exponent=(11, 10), must_fail="frame-attains-it")
claim.control("negative entries allowed", cone=False, must_fail="frame-is-best")
claim.control("distance 10% dearer", price=1.1, must_fail="distance-from-the-frame-costs")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["near and far from it", "losses, in order"])
    for control in (None, "distance 10% dearer"):
        curve = evidence.curve("distance-from-the-frame-costs", control=control)
        cost, excess = np.maximum(curve.measured.middle, 1e-16), np.maximum(curve.bound.middle, 1e-16)
        if control is None:
            left.plot(excess, cost, marker="o", markersize=3, linestyle="none", label="runs, noise")
            left.plot([1e-5, 50], [1e-5, 50], color=plot.INK, **plot.BOUND)
        else:
            left.plot(excess, cost, marker="x", markersize=3, linestyle="none", zorder=1,
                      color=plot.CONTROL["color"], label="control: 10% dearer")  # fmt: skip
    left.set(xscale="log", yscale="log", xlabel="loss $-$ bound", ylabel="first-order term", xlim=(1e-5, 50),
             ylim=(1e-5, 50))  # fmt: skip
    for control in (None, "negative entries allowed"):
        curve = evidence.curve("frame-is-best", control=control)
        excess = np.sort(curve.bound.middle - curve.measured.middle)
        look = {"marker": "x", "color": plot.CONTROL["color"]} if control else {"marker": "o"}
        label = "control: any sign" if control else "none negative"
        right.plot(np.arange(len(excess)), excess, markersize=3, linestyle="none", label=label, **look)
    right.axhline(0, color=plot.INK, **plot.BOUND)
    right.set(xlabel="point", ylabel="loss $-$ frame")
    plot.legend(left, bound="equal")
    plot.legend(right)
