r"""SGD leaves the minimum of the full problem and falls into the saddle, where gradient descent would not go.

On $f(x) = u w x$ with squared loss at x = 1 and labels y = 1 or a with probability 1/2 each, $-1 < a < 0$, start at
the minimum $u_0 = w_0$, $u_0^2 = (1 + a)/2$. With $p = u + w$ and $\Lambda_+ = \mathrm{E}\log|1 + \lambda y|$:

where $2(1 + \lambda)^3 \le 27 (1 + \lambda a)$, no run of the full dynamics ever rises above the linear one, and so

$$p_t \le p_0 \prod_{s < t} (1 + \lambda y_s), \qquad \Lambda_+ < 0 \implies p_t \to 0 \text{ almost surely;}$$

where $\Lambda_+ > 0$, collapse is improbable: with k > 0 such that $\mathrm{E}\,(1 + \lambda (y - \rho^2/4))^{-k} \le 1$, a run
below the radius $\rho$ ever falls to $\delta p_0$ before it leaves with probability at most $\delta^k$, and so

$$P(p_T < \varepsilon) \le T \left(\frac{\varepsilon}{c \rho}\right)^k, \quad
c = 1 + \lambda a - \tfrac{4}{27} (1 + \lambda)^3, \quad \rho < p_0 .$$

Near the saddle the bound of the linear run is attained, and that of one excursion up to the last step below the level.

---
For u = w the other direction q = u - w stays 0 exactly; starts without that balance are tried as ablations.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, plot, rounded, stack, statistics, train

from . import _comparison, world

LEVEL = Fraction(1, 10**12)
RATES = ("0.05", "0.1", "0.15", "0.2", "0.25", "0.3", "0.35", "0.45", "0.6", "0.75")
PHASE_ONE, PHASE_THREE = slice(3), slice(6, 10)  # of RATES; those between need longer runs
NEAR = 1e-20  # u_0 = w_0 near the saddle
DEPTH, SHRUNK = Fraction(17, 20), Fraction(1, 8)  # levels there, relative to p_0

claim = Claim("sgd-probabilistic-stability/full-nonlinear-collapse", full={"runs": 2_000, "steps": 20_000})


@claim.instance
def rates(chosen=RATES):
    return world.fractions(chosen)


@claim.instance
def start(a="-0.8"):
    """u_0 = w_0 at the minimum u w = (1 + a)/2."""
    u = np.sqrt((1 + float(a)) / 2)
    return u, u


@claim.instance
def labels(rng, a, steps=6_000, runs=300, batch=1, other=None):
    """(T, n) labels, each the mean of a batch; a batch of 0 stands for all data."""
    law = world.law(["1", other or a])
    if not batch:
        return np.full((steps, runs), float(world.mean(law)))
    return world.sampled(rng, world.batch_mean(law, batch), (steps, runs))


@claim.instance
def few_labels(rng, a, few=200, many=20_000, other=None):
    """Labels of short runs near the saddle."""
    return world.sampled(rng, world.law(["1", other or a]), (few, many))


@claim.reference
def least_collapse(rates, a, steps, few):
    """Lower bounds in phase III, on P(p_T < level) from the minimum, p_0^2 = 2 (1 + a) < 0.6325^2, and near the saddle."""

    def bounds(*of):
        return stack(
            [_comparison.collapse_below_linear(rate, Fraction(a), *of) for rate in rates[PHASE_THREE]]
        )

    return Record(minimum=bounds(steps, LEVEL, Fraction("0.6325")), near=bounds(few, SHRUNK, 1))


@claim.reference
def most_collapse(rates, a, steps):
    """Upper bounds in phase I, on P(p_T < level) from the minimum, and on one excursion near the saddle."""
    a, start, radius = Fraction(a), Fraction("0.6324"), Fraction(1, 2**11)
    minimum = [_comparison.collapse_in_phase_one(rate, a, steps, LEVEL, start) for rate in rates[PHASE_ONE]]
    near = [_comparison.excursion(rate, a, radius, DEPTH) for rate in rates[PHASE_ONE]]
    return Record(minimum=stack(minimum), near=stack(near))


@claim.run
def path(labels, rates, start, steps):
    """Record(step, log_size (steps kept, rates, runs) of |u| + |w|, product (steps kept, rates) of one run, size)."""
    kept = train.log_grid(steps - 1, 40)
    u, w, at = world.descend_two_layers(labels, rates, start, kept)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log_size = np.log(np.abs(at["u"]) + np.abs(at["w"]))
        size = np.nan_to_num(np.abs(u) + np.abs(w), nan=np.inf)
        product = at["u"][..., 0] * at["w"][..., 0]
    return Record(step=kept, log_size=log_size, product=product, size=size)


@claim.run
def near(few_labels, rates):
    """Record(lowest, last) of (|u| + |w|) / p_0 from u_0 = w_0 near the saddle, (rates, runs)."""
    step = np.array(rates, dtype=float)[:, None]
    u = w = np.full((len(rates), few_labels.shape[1]), NEAR)
    lowest = np.full(u.shape, np.inf)
    for label in few_labels:
        u, w = world.two_layer_step(u, w, step, label)
        size = (np.abs(u) + np.abs(w)) / (2 * NEAR)
        lowest = np.minimum(lowest, size)
    return Record(lowest=lowest, last=size)


@claim.measurement
def in_phase_three(path, runs):
    return statistics.proportion((path.size[PHASE_THREE] < float(LEVEL)).sum(axis=1), runs)


@claim.measurement
def in_phase_one(path, runs):
    return statistics.proportion((path.size[PHASE_ONE] < float(LEVEL)).sum(axis=1), runs)


@claim.measurement
def shrunk(near, many):
    """Fraction of the short runs in phase III that end below the level."""
    return statistics.proportion((near.last[PHASE_THREE] < float(SHRUNK)).sum(axis=1), many)


@claim.measurement
def dipped(near, many):
    """Fraction of the short runs in phase I that were ever below the level."""
    return statistics.proportion((near.lowest[PHASE_ONE] <= float(DEPTH)).sum(axis=1), many)


@claim.measurement
def resolution(runs):
    """What so many runs tell of an event that fails to happen in 1% of them; the bounds are nearer to 1 and 0."""
    return world.resolution(Fraction(99, 100), runs)


@claim.measurement
def fine_resolution(many):
    """What so many runs tell of any event."""
    return world.resolution(Fraction(1, 2), many)


@claim.measurement
def lead(path, labels, rates, steps):
    """How far log p leads the linear run at most, within [-1, 1], with the rounding of both; (steps kept, rates).

    Only while p is a normal number: below, a step no longer rounds relatively.
    """
    before, largest = [], 0.0  # a rate at a time: at full size one takes some 300 MB
    for rate in np.array(rates, dtype=float)[PHASE_THREE]:
        linear = np.cumsum(np.log1p(rate * labels), axis=0)
        before.append(linear[path.step - 1] * (path.step > 0)[:, None])
        largest = max(largest, np.abs(linear).max())
    logs = path.log_size[:, PHASE_THREE]
    normal = ~(np.fmin.accumulate(logs) < np.log(np.finfo(float).tiny) + 50)
    with np.errstate(invalid="ignore"):
        ahead = np.where(normal, logs - logs[0] - np.stack(before, axis=1), -1.0)
    most = np.clip(np.nan_to_num(ahead, nan=1.0), -1.0, 1.0).max(axis=2)
    return rounded(most, 8 * steps, largest)


@claim.check("collapse-in-phase-three")
def collapse_in_phase_three(least_collapse, in_phase_three, resolution, rates):
    return at_most(
        least_collapse.minimum,
        in_phase_three,
        within=resolution,
        rate=np.array(rates, dtype=float)[PHASE_THREE],
    )


@claim.check("no-collapse-in-phase-one")
def no_collapse_in_phase_one(in_phase_one, most_collapse, resolution, rates):
    rate = np.array(rates, dtype=float)[PHASE_ONE]
    return at_most(in_phase_one, most_collapse.minimum, within=resolution, rate=rate)


@claim.check("linear-bound-near-the-saddle")
def linear_bound(least_collapse, shrunk, fine_resolution, rates):
    rate = np.array(rates, dtype=float)[PHASE_THREE]
    return at_most(least_collapse.near, shrunk, within=fine_resolution, rate=rate)


@claim.check("excursions-near-the-saddle")
def excursions(dipped, most_collapse, rates):
    rate = np.array(rates, dtype=float)[PHASE_ONE]
    return at_most(dipped, most_collapse.near, rate=rate)


@claim.check("never-above-the-linear-run")
def never_above(lead, path, rates):
    at = {"step": path.step[:, None], "rate": np.array(rates, dtype=float)[PHASE_THREE]}
    return at_most(lead, 0, within=lead.gap(), **at)


claim.control("gradient descent on all data", batch=0, must_fail="collapse-in-phase-three")
claim.control("batches of two", batch=2, must_fail="collapse-in-phase-three")
claim.control("noisier labels", other="-0.95", must_fail="no-collapse-in-phase-one")
claim.control("noise 5% smaller", other="-0.76", must_fail="linear-bound-near-the-saddle")
claim.control("noise 6% larger", other="-0.85", must_fail="excursions-near-the-saddle")
claim.control(
    "rates at which runs escape",
    chosen=(*RATES[:6], "1.1", "1.15", "1.2", "1.22"), must_fail="never-above-the-linear-run",
)  # fmt: skip
claim.ablation(
    "start near the saddle, out of balance", start=lambda: (0.1, 0.12), check="collapse-in-phase-three"
)
claim.ablation("start at a minimum out of balance", start=lambda: (0.5, 0.2), check="collapse-in-phase-three")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["$u w$ of one run", "collapsed runs"])
    path, rates = evidence.of("path"), np.array(RATES, dtype=float)
    for index, color in ((1, plot.COLORS[0]), (7, plot.COLORS[1])):
        left.plot(path.step, path.product[:, index], color=color, label=rf"$\lambda = {RATES[index]}$")
    still = evidence.of("path", control="gradient descent on all data")
    left.plot(still.step, still.product[:, 7], label="control: gradient descent", **plot.CONTROL)
    left.set(xlabel="step $t$", xscale="symlog", xlim=(0, path.step[-1]))
    right.plot(
        rates,
        (path.size < float(LEVEL)).mean(axis=1),
        "o",
        color=plot.INK,
        label="fraction of runs",
        markersize=3.5,
    )
    for name, phase in (("most_collapse", PHASE_ONE), ("least_collapse", PHASE_THREE)):
        right.plot(rates[phase], evidence.of(name).minimum.middle, color=plot.COLORS[2], **plot.BOUND)
    right.axvline(0.25, color=plot.INK, linewidth=0.7)
    batches = evidence.of("path", control="batches of two")
    right.plot(
        rates, (batches.size < float(LEVEL)).mean(axis=1), label="control: batches of two", **plot.CONTROL
    )
    right.set(xlabel=r"rate $\lambda$; vertical: $\Lambda_+ = 0$")
    plot.legend([left, right], bound="bounds")
