r"""Policy gradient keeps the likeliest correct path and squeezes out the others, at a power law.

A softmax policy $\pi \propto e^\theta$ over paths is trained by exact policy gradient,
$\theta_o \leftarrow \theta_o + \eta\, \pi_o (r_o - R)$, on reward 1 for the correct paths and 0 for m equally likely
wrong ones. Let a be the likeliest correct path, b another one, and the steps such that $\theta_a$ grows by
$\varepsilon$ each. Then $\sum_o \theta_o$ never changes, and in the limit of small steps neither does
$D_b = e^{-\theta_b} - e^{-\theta_a}$: after k steps

$$|D_b(k) - D_b(0)| \le \frac{\varepsilon^2}{2}\, \frac{e^{-\theta_a(0)} - e^{-\theta_a(k)}}{1 - e^{-\varepsilon}} .$$

So $\theta_b$ stays below $-\log D_b$ while $\theta_a \to \infty$: path b dies out although it is correct. The
two invariants fix every probability, and the time $t = \sum \eta$, as functions of $\theta_a$; as t grows,

$$\pi_b \sim t^{-m/(m+1)}, \qquad 1 - R \sim t^{-1} .$$

---
The reference touches no gradient: it knows the start, epsilon and the invariants, and encloses what the run must
show, the drift of D included. With $x = e^{-\theta_a}$, $Z = \sum e^\theta$ and W the part of wrong paths in Z, a step
is $\eta = \varepsilon x Z^2 / W$. The natural gradient, a control, keeps all odds of correct paths instead.
"""

from fractions import Fraction

import numpy as np

from verify import (
    Claim,
    Record,
    at_most,
    concatenate,
    equal,
    exact,
    hull,
    plot,
    rounded,
    rounding,
    stack,
    statistics,
    train,
)  # fmt: skip

claim = Claim(
    "tmc-exploration/squeezing-law",
    cases={"wrong": (1, 3)},
    full={"cases": {"wrong": (1, 2, 3, 6)}, "horizon": 1e9},
)
DECADES = 2  # at the end of the run, over which exponents are read
EVERY = 5  # steps, what is compared


@claim.instance
def start(rng, wrong, correct=3):
    """Probabilities of the correct paths, the likeliest first, then of the wrong ones, which are alike."""
    likeliest, missed = rng.uniform(4, 6), rng.uniform(1, 3)
    others = rng.uniform(2, 3, size=correct - 1) * 0.4 ** np.arange(correct - 1)
    weights = np.array([likeliest, *others, *[missed / wrong] * wrong])
    return weights / weights.sum()


@claim.instance
def steps(wrong, horizon=1e6, epsilon=0.01):
    """So many that t comes near the horizon: it grows like exp((1 + 1/m) theta_a)."""
    return int(np.log(horizon) / (1 + 1 / wrong) / epsilon)


# --- what the invariants say ------------------------------------------------------------------------------


def levels_of_likeliest(start, steps, epsilon):
    """x = exp(-theta_a) after 0, 1, .. steps."""
    return (-epsilon * exact(np.arange(steps + 1))).exp() / start[0]


@claim.reference
def drift(start, steps, epsilon):
    """How far D_b may have moved after 0, 1, .. steps."""
    level = levels_of_likeliest(start, steps, epsilon)
    return epsilon**2 / 2 * (level[0] - level) / (1 - (-epsilon * exact(1)).exp())


@claim.reference
def predicted(start, steps, epsilon, correct, wrong, miscounted=0):
    """Time, the probabilities of the rare correct paths (b, k), that of all wrong ones together, and x."""
    wrong, level = wrong + miscounted, levels_of_likeliest(start, steps, epsilon)
    levels = exact(1) / start
    most = drift(start, steps, epsilon)
    moved = hull(-most, most, "drift of the invariant")
    rare = [levels[b] - levels[0] + moved + level for b in range(1, correct)]
    logs = level.log() - levels.log().sum()  # of the product over correct paths, in units of the whole one
    for value in rare:
        logs = logs + value.log()
    missed = wrong * (logs / wrong).exp()
    total = sum((1 / value for value in rare), 1 / level + missed)
    pace = epsilon * level * total**2 / missed
    time = concatenate([0 * pace[:1], pace[:-1].cumsum()])
    rare = stack([(1 / (value * total))[::EVERY] for value in rare])
    return Record(time=time[::EVERY], rare=rare, missed=(missed / total)[::EVERY], level=level[::EVERY])


@claim.reference
def exponents(wrong, correct, miscounted):
    """Of the rare correct paths, and of 1 - R."""
    return exact([Fraction(-wrong - miscounted, wrong + miscounted + 1)] * (correct - 1) + [-1])


def last_decades(predicted, wrong, exponents):
    """How far two-point slopes over the last decades may be from the exponents; where these decades begin.

    In log t = -(1 + 1/m) log x + log tau and log pi_b = log x + rest only tau and the rest are no power of x.
    """
    power = exact(Fraction(wrong + 1, wrong))
    first = int(np.argmax(predicted.time.lower >= predicted.time.upper[-1] / 10**DECADES))
    x, time = predicted.level[first:].log(), predicted.time[first:].log()
    rest = stack([*(p[first:].log() - x for p in predicted.rare), predicted.missed[first:].log() - power * x])
    tau = time + power * x
    error = extent(rest) + abs(exponents) * extent(tau)
    return 2 * error / (time[-1] - time[0]), first


def extent(values):
    """How far values spread, along the last axis."""
    return hull(values.smallest(axis=-1), values.largest(axis=-1), values.because).gap(each=True)


# --- what happens -----------------------------------------------------------------------------------------


@claim.run
def path(start, steps, correct, epsilon, push=1.0):
    """Exact policy gradient ascent from theta = log pi."""
    right = np.arange(len(start)) < correct
    _, out = train.loop(ascend, np.log(start), np.full(steps + 1, epsilon), right, push)
    return recorded(out["theta"], out["pi"], out["missed"], out["rate"])


def recorded(theta, pi, missed, rate):
    """What is compared of a run, (k, paths) or (k,): time is the sum of the rates before."""
    time = np.concatenate([[0.0], np.cumsum(rate)[:-1]])
    return Record(**{
        name: value[::EVERY] for name, value in
        {"theta": theta, "pi": pi, "missed": missed, "time": time}.items()
    })  # fmt: skip


def ascend(theta, epsilon, right, push):
    """One step that lifts the first logit by epsilon; 1 - R is summed, so that it does not cancel."""
    from jax import nn
    from jax import numpy as jnp

    pi = nn.softmax(theta)
    reward, missed = (pi * right).sum(), (pi * ~right).sum()
    gradient = jnp.where(right, pi * missed, -push * pi * reward)
    rate = epsilon / gradient[0]
    out = {"theta": theta, "pi": pi, "missed": missed, "rate": rate}
    return theta + rate * gradient, out


@claim.measurement
def gaps(path, correct, power=1):
    """D_b at every step, (b, steps + 1); a logit carries one rounding a step."""
    levels = np.exp(-power * path.theta[:, :correct].T)
    terms = 2 * EVERY * levels.shape[1] + 50
    return rounded(levels[1:] - levels[0], terms, levels[1:] * (1 + np.abs(path.theta).max()))


# --- whether they agree -----------------------------------------------------------------------------------


@claim.check("logits-keep-their-sum")
def sums(path, steps):
    total, magnitude = path.theta.sum(axis=1), np.abs(path.theta).sum(axis=1).max()
    measured = rounded(total - total[0], 3 * steps + 50, magnitude)
    return equal(measured, 0, within=2 * rounding(3 * steps + 50, magnitude))


@claim.check("invariant")
def invariant(gaps, drift):
    return at_most(abs(gaps - gaps[:, :1]), drift[::EVERY], within=2 * gaps.gap())


@claim.check("time")
def times(path, steps, predicted):
    measured, enclosure = rounded(path.time[1:], 10 * steps, path.time[1:]), predicted.time[1:]
    return equal(measured, enclosure, within=enclosure.gap(each=True) + 2 * measured.gap(each=True))


@claim.check("rare-paths")
def dying(path, steps, predicted, correct):
    pi = path.pi[:, 1:correct].T
    measured, enclosure = rounded(pi, 20 * steps, pi), predicted.rare
    return equal(measured, enclosure, within=enclosure.gap(each=True) + 2 * measured.gap(each=True))


@claim.check("exponents")
def rates(path, correct, wrong, predicted, exponents):
    error, first = last_decades(predicted, wrong, exponents)
    logs = np.log(path.time[1:])
    curves = [*path.pi[1:, 1:correct].T, path.missed[1:]]
    slopes = [statistics.slopes(logs, np.log(curve), (logs[first - 1], logs[-1])) for curve in curves]
    return equal(stack(slopes), exponents, within=error)


# --- worlds in which they must not ------------------------------------------------------------------------


def natural(start, steps, correct, epsilon):
    """Natural gradient: every correct path's logit grows by epsilon a step, wrong ones pay for it."""
    right = np.arange(len(start)) < correct
    gain = np.where(right, 1.0, -right.sum() / (~right).sum())
    theta = np.log(start) + np.arange(steps + 1)[:, None] * epsilon * gain
    pi = np.exp(theta - theta.max(axis=1, keepdims=True))
    pi /= pi.sum(axis=1, keepdims=True)
    missed = pi[:, correct:].sum(axis=1)
    return recorded(theta, pi, missed, epsilon / (pi[:, 0] * missed))


def tied(start, steps, correct, epsilon, push):
    """The run from correct paths that are equally likely: a tie is kept, and none of them dies out."""
    even = np.append(np.full(correct, start[:correct].mean()), start[correct:])
    return path(even, steps, correct, epsilon, push)


claim.control("natural gradient", path=natural, must_fail="rare-paths")
claim.control("correct paths equally likely", path=tied, must_fail="exponents")
claim.control("one wrong path more", miscounted=1, must_fail="rare-paths")
claim.control("invariant with exp(-1.1 theta)", power=1.1, must_fail="invariant")
claim.control("wrong paths pushed 10% less", push=0.9, must_fail="logits-keep-their-sum")
claim.control("one wrong path more, time", miscounted=1, must_fail="time")
claim.control("one wrong path more, exponents", miscounted=1, must_fail="exponents")


@claim.figure
def draw(figure, evidence):
    titles = [f"{case['wrong']} wrong path{'s' * (case['wrong'] > 1)}" for case in evidence.cases]
    panels = plot.panel_grid(figure, titles, sharey=True)
    for panel, case in zip(panels, evidence.cases, strict=True):
        run, other = (evidence.of("path", control=name, **case) for name in (None, "natural gradient"))
        predicted = evidence.of("predicted", **case)
        panel.plot(run.time, run.pi[:, 0], label="likeliest correct path")
        panel.plot(run.time, run.pi[:, 1], label="rarer correct path")
        panel.plot(run.time, run.pi[:, 2], label="rarest correct path")
        panel.plot(run.time, run.missed, label="all wrong paths")
        for rare in predicted.rare:
            panel.plot(predicted.time.middle, rare.middle, color=plot.INK, **plot.BOUND)
        for rare in other.pi[:, 1:3].T:
            panel.plot(other.time, rare, **plot.CONTROL, label="control: natural gradient")
        panel.set(xscale="log", yscale="log", xlabel="time $t$", ylim=(1e-6, 2), xlim=(1e-1, run.time[-1]))
    panels[0].set_ylabel(r"probability $\pi_o$")
    plot.legend(panels, bound="from the invariants")
