r"""With more dimensions than classes every local minimum is global: critical points that are not lead down, and training never stops short.

For d > k every local minimum of L over unit features has the least loss, under a condition on the temperature that is
conjectured to be superfluous and is not imposed here. At a critical point whose features leave a dimension unused, the
second derivative out of it along v is $2 v^T Z v$, with Z the multipliers of the n x n program there:

$$\text{local minimum} \ \Rightarrow\ Z \succeq 0 \ \Rightarrow\ \text{global minimum} .$$
---
Features on a line are critical whatever the labels are: all $2^{n-1}$ of them are tried for small n, with the points in the
plane that split a class. Training starts from random features and next to such points, at temperatures where the plane has
local minima that are not global. That no start fails is evidence for the theorem, not a proof.
"""

import itertools

import numpy as np

from verify import Claim, Record, certify, concatenate, equal, less, plot, stack

from . import _certificates, _descent, _planar, world

claim = Claim("sc-loss-ufm/benign-landscape", full={"drawn": 40, "runs": 20})
NAMED = (((2, 2, 2), 0.2), ((3, 3, 2), 0.15), ((8, 2, 2), 0.2), ((2, 2, 2, 2), 0.25), ((6, 6, 2, 2), 1.0))


@claim.instance
def worlds(rng, drawn=9):
    """(sizes, tau), at most WIDTH samples each."""
    found = list(NAMED)
    while len(found) < len(NAMED) + drawn:
        sizes = tuple(int(size) for size in rng.integers(2, 7, size=rng.integers(2, 6)))
        if sum(sizes) <= world.WIDTH:
            found.append((sizes, float(rng.choice([1.0, 0.5, 0.25, 0.2]))))
    return found


@claim.instance
def start(rng, worlds, runs=6, extra=1, noise=1e-3):
    """Features (worlds * runs, ...) in k + extra dimensions: random ones, and two near a line or a split class."""
    each = []
    for sizes, _ in worlds:
        H = world.gaussian_start(rng, runs, max(len(sizes) + extra, 1), sum(sizes))
        room = len(sizes) + extra
        H[0] *= noise
        H[0, 0, : sum(sizes)] += rng.choice([-1, 1], size=sum(sizes))
        H[1, :room] *= noise
        turns = turned(sizes)
        H[1, :2, : len(turns)] += [_planar.COSINE[turns], _planar.COSINE[(turns - 1) % 4]]
        each.append(H)
    return np.concatenate(each)


def turned(sizes):
    """Classes at 0 and 180 degrees in turn, the last one split between 90 and -90."""
    turns = np.repeat(np.arange(len(sizes)) % 2 * 2, sizes)
    last = sizes[-1]
    turns[-last:] = np.repeat([1, 3], (last - last // 2, last // 2))
    return turns


@claim.instance
def points():
    """(sizes, tau, quarter turns (n,)): features on a line but for the optimum of two classes, and split classes."""
    found = [((q, q, 2), tau, turned((q, q, 2))) for q, tau in ((2, 0.1), (2, 0.25), (3, 0.15), (5, 0.2))]
    for sizes, tau in (((2, 2, 2), 0.2), ((3, 2), 0.5)):
        labels = world.labels_of(sizes)
        for rest in itertools.product((0, 2), repeat=len(labels) - 1):
            turns = np.array((0, *rest))
            if len(sizes) > 2 or np.any(turns != 2 * labels):
                found.append((sizes, tau, turns))
    return found


@claim.reference
def optimum(worlds):
    return stack([world.reduced(sizes, tau).optimum for sizes, tau in worlds])


@claim.run
def features(start, worlds, runs, steps=1600):
    labels = np.repeat([world.padded(world.labels_of(sizes)) for sizes, _ in worlds], runs, axis=0)
    temperatures = np.repeat([tau for _, tau in worlds], runs)
    return _descent.descend(start, labels, temperatures, steps, keep=2).features[-1]


@claim.measurement
def losses(features, worlds, runs):
    """In balls, (worlds, runs)."""
    found = []
    for H, (sizes, tau) in zip(np.split(features, len(worlds)), worlds, strict=True):
        masks = [mask[0] for mask in world.pairs(world.labels_of(sizes)[None])]
        found.append(_certificates.losses(_certificates.gram(H[:, :, : sum(sizes)]), *masks, tau))
    return stack(found)


@claim.measurement
def expansions(points):
    """The loss to second order at every point."""
    found = []
    for sizes, tau, turns in points:
        masks = [mask[0] for mask in world.pairs(world.labels_of(sizes)[None])]
        found.append(_planar.expansion(turns, *masks, tau))
    return found


@claim.measurement
def critical(expansions, space=True):
    """Losses and least second derivatives, out of the line or plane (points,), and every slope."""
    least = [
        certify.smallest_eigenvalue(at.outside) if space else _planar.least_but_rotation(at.inside)
        for at in expansions
    ]
    loss, slope = stack([at.loss for at in expansions]), concatenate([at.slope for at in expansions])
    return Record(loss=loss, curvature=stack(least), slope=slope)


@claim.check("every-start-arrives")
def arrives(losses, optimum, worlds):
    within = stack([world.resolution(sum(sizes), tau) for sizes, tau in worlds])
    within = within + optimum.gap(each=True) + losses.gap()
    return equal(
        losses, optimum[:, None], within=within[:, None], world=[[f"{s}, tau={t}"] for s, t in worlds]
    )


@claim.check("critical-points")
def stationary(critical):
    return equal(critical.slope, 0, within=critical.slope.gap(each=True))


@claim.check("critical-points-lead-down")
def down(critical):
    return less(critical.curvature, 0)


def in_the_plane(start, runs):
    """The start next to the split class of (3, 3, 2), which the temperature of 0.15 keeps there."""
    H = start.copy()
    H[runs + 1, 2:] = 0
    return H


def uneven():
    """A split point where the other classes differ."""
    return [((4, 3, 2), 0.15, turned((4, 3, 2)))]


claim.control("two dimensions fewer than classes", extra=-2, must_fail="every-start-arrives")
claim.control("one start in the plane", start=in_the_plane, must_fail="every-start-arrives")
claim.control(
    "optimum of a temperature 5% higher", must_fail="every-start-arrives",
    optimum=lambda worlds: optimum([(sizes, 1.05 * tau) for sizes, tau in worlds]),
)  # fmt: skip
claim.control("split point of uneven classes", points=uneven, must_fail="critical-points")
claim.control("second derivatives in the plane only", space=False, must_fail="critical-points-lead-down")


@claim.figure
def draw(figure, evidence):
    curve = evidence.curve("every-start-arrives")
    excess = curve.measured.middle - curve.bound.middle
    left, right = plot.panel_grid(
        figure, [f"{excess.size} starts", f"{len(evidence.of('points'))} critical points"]
    )

    def strip(y, values, **style):
        left.plot(np.maximum(np.abs(values), 1e-15), np.full(len(values), y), linestyle="none", **style)

    for i, row in enumerate(excess):
        strip(i, row, marker="o", color=plot.COLORS[0], label="$d = k + 1$" if i == 0 else None)
    for control, marker, name in (
        ("two dimensions fewer than classes", "x", "$d = k - 2$"),
        ("one start in the plane", "+", "in the plane"),
    ):
        found = evidence.curve("every-start-arrives", control=control)
        for i, row in enumerate(found.measured.middle - found.bound.middle):
            label = f"control: {name}" if i == 0 else None
            strip(
                i,
                row[1:2] if marker == "+" else row,
                marker=marker,
                color=plot.CONTROL["color"],
                label=label,
                zorder=1,
            )
    left.axvline(curve.within.middle.max(), color=plot.INK, **plot.BOUND)
    left.set(xscale="log", xlabel="loss $-$ optimum", ylabel="world", yticks=range(0, len(excess), 2))
    critical = evidence.of("critical")
    right.plot(critical.loss.middle, critical.curvature.middle, linestyle="none", marker="o", markersize=3)
    right.axhline(0, color=plot.INK, **plot.BOUND)
    right.set(xlabel="loss", ylabel="least second derivative")
    plot.legend(left, bound="resolution")
