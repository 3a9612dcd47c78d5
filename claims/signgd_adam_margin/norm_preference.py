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

claim = Claim(
    "signgd-adam-margin/norm-preference",
    cases={"norm": NORMS},
    full={
        "per_class": 50,
        "eta0": {"max": 0.1, "frobenius": 0.1, "spectral": 0.05},
        "exponent": 0.5,
        "steps": dict.fromkeys(NORMS, 100_000),
        "gap": {"max": 0.22, "frobenius": 0.14, "spectral": 0.08},
    },
)


def others(norm):
    """Positions of the two other norms in NORMS."""
    return [i for i, other in enumerate(NORMS) if other != norm]


@claim.instance
def data(rng, classes=10, dimension=25, per_class=5, noise=0.1):
    return world.gaussian_classes(rng, classes, dimension, per_class, noise)


@claim.instance
def rates(
    eta0={"max": 0.004, "frobenius": 0.012, "spectral": 0.016},
    steps={"max": 20_000, "frobenius": 100_000, "spectral": 20_000},
    exponent=0.25,
):
    return {q: eta0[q] * (np.arange(steps[q]) + 1.0) ** -exponent for q in NORMS}


@claim.reference
def ceilings(data, gap={"max": 0.09, "frobenius": 0.1, "spectral": 0.09}, limit_gap=1e-6):
    """Certified at every gap, and tight at these two: near the bound of the run, and at the limits."""
    return _ceilings.solved(data.features, data.labels, {q: (limit_gap, gap[q]) for q in NORMS})


@claim.reference
def gamma(ceilings):
    return stack([ceilings.own[p].gamma for p in NORMS])


@claim.reference
def limits(ceilings, gamma, norm, limit_gap):
    """r_q of whatever comes as near to another algorithm's maximum as `limit_gap`: all its limits, and more."""
    levels, own = (1 - limit_gap) * gamma, NORMS.index(norm)
    return stack([ceilings.pair[NORMS[i], norm].at(levels[i]) / gamma[own] for i in others(norm)])


@claim.run
def runs(data, rates):
    """All three algorithms, by norm."""
    return {q: train.descend(data.features, data.labels, rates[q], train.steepest(q), keep=60) for q in NORMS}


def last_margins(data, path):
    """m(W_T) / ||W_T||_p for the three norms p."""
    return stack([world.normalised_margin(data.features, data.labels, path.iterates[-1], p) for p in NORMS])


@claim.measurement
def margins(data, runs, norm):
    return last_margins(data, runs[norm])


@claim.measurement
def guarantee(data, rates, runs, norm, classes):
    """Two sums along the run: X_T / ||W_T|| = gamma * signal - drift."""
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


@claim.check("own-margin-as-guaranteed")
def own_margin(margins, gamma, guarantee, norm):
    own = NORMS.index(norm)
    return at_most(1 - margins[own] / gamma[own], 1 - guarantee.signal + guarantee.drift / gamma[own])


@claim.check("other-margins-below-ceilings")
def below_ceilings(margins, gamma, guarantee, ceilings, norm):
    level = gamma[NORMS.index(norm)] * guarantee.signal - guarantee.drift
    bound = stack([ceilings.pair[norm, NORMS[i]].at(level) / gamma[i] for i in others(norm)])
    measured = margins[others(norm)] / gamma[others(norm)]
    return at_most(measured, bound, margin=[NORMS[i] for i in others(norm)])


@claim.check("beyond-the-limits-of-the-others")
def beyond(margins, gamma, limits, norm):
    own = NORMS.index(norm)
    return less(limits, margins[own] / gamma[own], limit=[NORMS[i] for i in others(norm)])


@claim.check("own-margin-largest")
def largest(margins, gamma, norm):
    ratios = margins / gamma
    return less(ratios[others(norm)], ratios[NORMS.index(norm)], margin=[NORMS[i] for i in others(norm)])


def of_another(data, runs, other="max"):
    """The margins of another algorithm's run."""
    return last_margins(data, runs[other])


for other in NORMS:
    claim.control(
        f"run of {ALGORITHMS[other]} under the other labels", margins=of_another, other=other,
        must_fail="own-margin-largest", cases={"norm": [NORMS[i] for i in others(other)]},
    )  # fmt: skip
