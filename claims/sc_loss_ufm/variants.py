r"""Self pairs kept, or features in a ball: the optimum is given by the same program, or is the same.

(a) If a sample is its own positive and negative as well, the optimum is that of the k x k program with $n_c$ in place of
$n_c - 1$, and classes may have one sample. (b) Lengths $\|h_i\| \le 1$ leave the optimum as it is, and

$$L(H) \ \ge\ \min_{\|h_i\| = 1} L + \sum_i \nu_i (1 - \|h_i\|^2) , \qquad \nu_i \ge 0 ,$$

with the multipliers of $G_{ii} = 1$: at the optimum $Z = D + \mathrm{diag}(\nu)$ is psd, and D, the derivative of a loss
without self pairs, has no diagonal.
"""

import numpy as np

from verify import Claim, Record, at_most, concatenate, equal, plot, stack

from . import _certificates, _program, _worlds, world

claim = Claim("sc-loss-ufm/variants", full={"runs": 30})
KEPT = (((6, 3, 1), 0.5), ((4, 4, 4), 0.5), ((5, 2, 1, 1), 1.0))
BALL = (((6, 6, 2, 2), 1.0), ((4, 4, 4), 0.5), ((7, 3, 2), 0.5))


@claim.instance
def start(rng, runs=5):
    return _worlds.starts(rng, KEPT, runs)


@claim.instance
def inside(rng, runs, depth=0.4):
    """Features of a length below 1."""
    return depth * _worlds.starts(rng, BALL, runs)


@claim.instance
def shortened(shares=(0.1, 1e-3)):
    """The optimum on the sphere with one sample of the first class a little shorter, one (shares, k, n) a world."""
    found = []
    for sizes, tau in BALL:
        H = collapsed(sizes, tau)
        found.append(np.stack([np.hstack([(1 - share) * H[:, :1], H[:, 1:]]) for share in shares]))
    return found


def collapsed(sizes, tau):
    """Features (k, n) at the optimum of the k x k program."""
    return _program.solve(sizes, np.array(sizes) - 1, tau, len(sizes))[:, world.labels_of(sizes)]


@claim.reference
def with_self_pairs(self_pairs=True):
    """The program's optimum for every world whose classes allow it."""
    return stack([world.reduced(s, tau, self_pairs=self_pairs or min(s) == 1).optimum for s, tau in KEPT])


@claim.reference
def on_the_sphere():
    """The n x n certificate at the collapsed optimum of the k x k program, with its multipliers."""
    found = []
    for sizes, tau in BALL:
        labels = world.labels_of(sizes)
        solved = _certificates.full(collapsed(sizes, tau), *_worlds.masks(labels), tau)
        i = np.arange(len(labels))
        found.append(Record(optimum=solved.optimum, dual=solved.dual, nu=solved.Z[i, i]))
    return found


@claim.run
def keeping(start, steps=800):
    return _worlds.trained(start, KEPT, steps, 2, self_pairs=True)


@claim.run
def in_ball(inside, steps, radius=1):
    return _worlds.trained(inside, BALL, steps, 6, sphere=False, radius=radius)


@claim.measurement
def kept(keeping):
    return stack(
        [_worlds.seen(H[-1], *at, self_pairs=True).loss for H, at in zip(keeping, KEPT, strict=True)]
    )


@claim.measurement
def balls(in_ball, shortened):
    """Of the shortened optimum and on the way; the last runs are those after the last step."""
    each = zip(shortened, in_ball, BALL, strict=True)
    return [[_worlds.seen(S, *at, unit=False), _worlds.seen(H, *at, unit=False)] for S, H, at in each]


@claim.check("self-pairs")
def own(kept, with_self_pairs):
    within = _worlds.resolutions(KEPT) + with_self_pairs.gap(each=True) + kept.gap()
    return equal(kept, with_self_pairs[:, None], within=within[:, None])


@claim.check("ball")
def ball(balls, on_the_sphere, runs):
    """Losses after the last step."""
    last, optimum = stack([way.loss[-runs:] for _, way in balls]), stack([s.optimum for s in on_the_sphere])
    within = _worlds.resolutions(BALL) + optimum.gap(each=True) + last.gap()
    return equal(last, optimum[:, None], within=within[:, None])


@claim.check("short-features-cost")
def lengths(balls, on_the_sphere, price=1):
    costs, excess = [], []
    for each, solved in zip(balls, on_the_sphere, strict=True):
        i = np.arange(len(solved.nu))
        for found in each:
            costs.append(price * (solved.nu * (1 - found.gram[:, i, i])).sum(axis=1))
            excess.append(found.loss - solved.dual)
    costs, excess = concatenate(costs), concatenate(excess)
    return at_most(costs, excess, within=excess.gap() + costs.gap())


claim.control("self pairs left out of the program", self_pairs=False, must_fail="self-pairs")
claim.control("a ball of radius 1.02", radius=1.02, must_fail="ball")
claim.control("lengths 10% dearer", price=1.1, must_fail="short-features-cost")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["self pairs (s), ball (b)", "shorter than 1"])
    rows = [f"{kind} {sizes}" for kind, worlds in (("s", KEPT), ("b", BALL)) for sizes, _ in worlds]
    looks = {"self-pairs": "self pairs left out of the program", "ball": "a ball of radius 1.02"}
    for i, (check, control) in enumerate(looks.items()):
        for name in (None, control):
            curve = evidence.curve(check, control=name)
            away = np.abs(curve.measured.middle - curve.bound.middle)
            label = ("control: altered" if name else "runs") if i == 0 else None
            style = (
                {"marker": "x", "color": plot.CONTROL["color"]}
                if name
                else {"marker": "o", "color": plot.COLORS[0]}
            )
            for j, values in enumerate(away):
                left.plot(np.maximum(values, 1e-15), np.full(len(values), 3 * i + j), linestyle="none",
                          label=label if j == 0 else None, **style)  # fmt: skip
        left.plot([curve.within.middle.max()] * 2, [3 * i - 0.4, 3 * i + 2.4], color=plot.INK, **plot.BOUND)
    left.set(xscale="log", xlabel="|loss $-$ optimum|")
    left.set_yticks(range(6), rows, fontsize=6.5)
    for control in (None, "lengths 10% dearer"):
        curve = evidence.curve("short-features-cost", control=control)
        style = {"marker": "x", "color": plot.CONTROL["color"], "zorder": 1} if control else {"marker": "o"}
        label = "control: 10% dearer" if control else "features"
        right.plot(
            curve.bound.middle, curve.measured.middle, linestyle="none", markersize=3, label=label, **style
        )
    right.plot([1e-5, 100], [1e-5, 100], color=plot.INK, **plot.BOUND)
    right.set(
        xscale="log",
        yscale="log",
        xlim=(1e-4, 50),
        ylim=(1e-4, 50),
        xlabel="loss $-$ optimum",
        ylabel="cost of lengths",
    )
    plot.legend(left, bound="resolution")
    plot.legend(right, bound="equal")
