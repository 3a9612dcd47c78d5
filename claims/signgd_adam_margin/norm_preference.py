r"""Each algorithm maximises the margin of its own norm and provably not those of the other norms.

Let $r_p(W) = m(W) / (\gamma_p \|W\|_p)$, which no classifier raises above 1, and for $p \ne q$ let

$$C_{q \to p}(\varepsilon) = \max \{ r_p(V) : r_q(V) \ge 1 - \varepsilon \} .$$

Steepest descent in the norm q (SignGD, normalised GD, spectral descent) has $r_q(W_T) \ge 1 - \varepsilon_T$ with the
$\varepsilon_T = 1 - X_T / (\gamma_q \|W_T\|_q)$ of its explicit margin bound, hence

$$r_p(W_T) \le C_{q \to p}(\varepsilon_T) \quad (p \ne q) ,$$

and its limit directions have $r_q = 1$ and $r_p \le C_{q \to p}(0)$, less than 1 on these data. So there is a T with

$$r_q(W_T) > C_{p \to q}(0) \quad \text{and} \quad r_q(W_T) > r_p(W_T) \quad (p \ne q) :$$

the run has left behind all that the limits of the other algorithms could be.
"""

import numpy as np

from verify import Claim, Record, at_most, certify, less, plot, stack, train

from . import _ceilings, world
from ._trajectory import lengths, recorded, second_order, told_and_sums

ALGORITHMS = {"max": "SignGD", "frobenius": "normalised GD", "spectral": "spectral descent"}
NORMS = tuple(ALGORITHMS)
GAP = {"max": 0.06, "frobenius": 0.09, "spectral": 0.06}  # near eps_T: the ceilings are tight there

claim = Claim("signgd-adam-margin/norm-preference", cases={"norm": NORMS}, full={"per_class": 50})


def others(norm):
    """Positions of the two other norms in NORMS."""
    return [i for i, other in enumerate(NORMS) if other != norm]


@claim.instance
def data(rng, classes=10, dimension=25, per_class=5, noise=0.1):
    return world.gaussian_classes(rng, classes, dimension, per_class, noise)


@claim.instance
def rates(exponent=0.25):
    eta0 = {"max": 0.004, "frobenius": 0.016, "spectral": 0.016}
    steps = {"max": 40_000, "frobenius": 200_000, "spectral": 40_000}
    return {q: eta0[q] * (np.arange(steps[q]) + 1.0) ** -exponent for q in NORMS}


@claim.reference
def programs(data, gap=GAP, limit_gap=1e-6):
    """Record(ceilings, classifiers): the certified programs, and the max-margin classifier of each norm."""
    ceilings = _ceilings.solved(data.features, data.labels, {q: (limit_gap, gap[q]) for q in NORMS})
    return Record(ceilings=ceilings, classifiers={p: ceilings.own[p].W for p in NORMS})


@claim.reference
def gamma(programs):
    return stack([programs.ceilings.own[p].gamma for p in NORMS])


@claim.reference
def limits(programs, gamma, norm, limit_gap):
    """The ceilings of r_q over whatever comes as near as `limit_gap` to another norm's maximum: limits, and more."""
    levels, own = (1 - limit_gap) * gamma, NORMS.index(norm)
    return stack([programs.ceilings.pair[NORMS[i], norm].at(levels[i]) / gamma[own] for i in others(norm)])


@claim.run
def runs(data, rates):
    """All three algorithms, by their norms."""
    return {q: train.descend(data.features, data.labels, rates[q], train.steepest(q), keep=40) for q in NORMS}


def last_margins(data, path):
    """m(W_T) / ||W_T||_p for the three norms p."""
    return stack([world.normalised_margin(data.features, data.labels, path.iterates[-1], p) for p in NORMS])


@claim.measurement
def margins(data, runs, norm):
    return last_margins(data, runs[norm])


@claim.measurement
def guarantee(data, rates, runs, norm, classes):
    """The two sums of the explicit bound: X_T / ||W_T|| = gamma * signal - drift."""
    path, radius = runs[norm], world.reach(data.features, norm)
    losses = recorded(path, data.features, classes, radius.upper * lengths(rates[norm]))
    ratio = losses.ratio[:-1]
    _, (signal, drift) = told_and_sums(
        losses.log_loss, len(data.labels), path.steps[-1:],
        rates[norm] * ratio, second_order(radius, rates[norm]) * ratio,
    )  # fmt: skip
    length = certify.norm(path.iterates[-1], norm)
    return Record(signal=signal[0] / length, drift=drift[0] / length)


@claim.assumption
def separable(gamma):
    return less(0, gamma, norm=NORMS)


@claim.check("own-margin-guaranteed")
def guaranteed(margins, gamma, guarantee, norm):
    own = NORMS.index(norm)
    return at_most(1 - margins[own] / gamma[own], 1 - guarantee.signal + guarantee.drift / gamma[own])


@claim.check("margins-below-ceilings")
def below_ceilings(margins, gamma, guarantee, programs, norm):
    """gamma_p r_p <= gamma_p C_{q->p}(eps_T) for the two other norms, and gamma_q r_q <= gamma_q."""
    own, pair = NORMS.index(norm), programs.ceilings.pair
    level = gamma[own] * guarantee.signal - guarantee.drift
    bounds = [gamma[own] if p == norm else pair[norm, p].at(level) for p in NORMS]
    return at_most(margins, stack(bounds), margin=NORMS)


@claim.check("beyond-limits-of-others")
def beyond(margins, gamma, limits, norm):
    own = NORMS.index(norm)
    return less(limits, margins[own] / gamma[own], limit=[NORMS[i] for i in others(norm)])


@claim.check("own-margin-largest")
def largest(margins, gamma, norm):
    ratios = margins / gamma
    return less(ratios[others(norm)], ratios[NORMS.index(norm)], margin=[NORMS[i] for i in others(norm)])


claim.control("gamma 20% too large", gamma=lambda gamma: 1.2 * gamma, must_fail="own-margin-guaranteed")
claim.control("gamma 20% too small", gamma=lambda gamma: 0.8 * gamma, must_fail="margins-below-ceilings")


def of_run(data, runs, run="max"):
    """The margins of another algorithm's run."""
    return last_margins(data, runs[run])


def mislabelled(run, labels, check):
    """Control: the run of one algorithm under the label of another must fail the check."""
    claim.control(
        f"{ALGORITHMS[run]} labelled {' or '.join(ALGORITHMS[q] for q in labels)}, against {check}",
        margins=of_run, run=run, must_fail=check, cases={"norm": labels},
    )  # fmt: skip


mislabelled("max", ("frobenius", "spectral"), "own-margin-largest")
mislabelled("frobenius", ("max", "spectral"), "own-margin-largest")
mislabelled("spectral", ("max", "frobenius"), "own-margin-largest")
mislabelled("max", ("frobenius", "spectral"), "own-margin-guaranteed")
mislabelled("frobenius", ("max",), "own-margin-guaranteed")
mislabelled("max", ("frobenius", "spectral"), "margins-below-ceilings")
mislabelled("frobenius", ("max",), "margins-below-ceilings")
mislabelled("max", ("frobenius", "spectral"), "beyond-limits-of-others")
mislabelled("spectral", ("max",), "beyond-limits-of-others")


@claim.figure
def draw(figure, evidence):
    runs, V = evidence.of("runs"), evidence.of("programs").classifiers
    short = {"max": "max", "frobenius": "Frob.", "spectral": "spectral"}
    titles = [rf"cosine of $W_t$ and $V_\mathrm{{{name}}}$" for name in ("max", "Frob", "spec")]
    table, *panels = plot.panel_grid(figure, ["relative margin at $T$", *titles])
    ratios = [(evidence.of("margins", norm=q) / evidence.of("gamma", norm=q)).middle for q in NORMS]
    plot.heatmap(table, ratios, list(ALGORITHMS.values()), list(short.values()), fmt=".3f")
    for panel, p in zip(panels, NORMS, strict=True):
        best = getattr(V, p)
        for q, name in ALGORITHMS.items():
            path = getattr(runs, q)
            W = path.iterates[1:]
            cosine = np.sum(W * best, axis=(1, 2)) / np.linalg.norm(W, axis=(1, 2)) / np.linalg.norm(best)
            panel.plot(path.steps[1:], cosine, label=name)
        panel.set(xscale="log", xlabel="step $t$", ylim=(0.7, 1.01))
    plot.legend(panels)
