r"""Normalised steepest descent (SignGD, normalised GD, spectral descent) sandwiches its margin at every step.

With $B \ge \|D h_i\|_\infty$ for all $\|D\| \le 1$ and $c(\eta) = 2 B^2 e^{2 B \eta}$, each step decreases the loss,

$$L_{t+1} \le L_t - (\gamma \eta_t - c(\eta_t)\,\eta_t^2)\, G_t ,$$

and once $L_t \le \log 2 / n$, counting from the first such step $\bar t$,

$$0 \le \gamma - \frac{m(W_t)}{\|W_t\|} \le \gamma - \frac{X_t}{\|W_t\|}, \qquad
X_t = \sum_{s=\bar t}^{t-1} (\gamma\eta_s - c(\eta_s)\,\eta_s^2) \frac{G_s}{L_s}, \qquad \|W_t\| \le \sum_{s<t}\eta_s .$$

Two opposite samples, whose margins are all equal, attain both: the first in the max norm as the steps shrink, the second
in every norm as $\|W_t\|$ grows.
"""

import numpy as np

from verify import Claim, Record, at_most, certify, less, plot, train

from . import world
from ._trajectory import length_bound, lengths, recorded, second_order, told_and_sums

claim = Claim(
    "signgd-adam-margin/nsd-explicit-margin-bound",
    cases=(
        {"norm": "max", "eta0": 0.01},
        {"norm": "frobenius", "eta0": 0.05},
        {"norm": "spectral", "eta0": 0.02},
    ),
    full={"per_class": 50, "steps": 100_000},
)


@claim.instance
def data(rng, classes=10, dimension=25, per_class=5, noise=0.1):
    return world.gaussian_classes(rng, classes, dimension, per_class, noise)


@claim.instance
def rates(eta0, exponent=0.5, steps=20_000):
    return eta0 * (np.arange(steps) + 1.0) ** -exponent


@claim.instance
def opposite(norm, eta0, gain=0.3):
    """Samples h and -h of two classes, scaled so that the first step adds `gain` to their margin."""
    h = np.array([1.0, -0.5])
    gamma = 2 * np.abs(h).sum() if norm == "max" else np.sqrt(2 * h @ h)
    h = h * gain / (eta0 * gamma)
    return Record(features=np.stack([h, -h]), labels=np.arange(2))


@claim.reference
def gamma(data, norm):
    return world.max_margin(data.features, data.labels, norm)


@claim.reference
def gamma_of_opposite(opposite, norm):
    return world.max_margin(opposite.features, opposite.labels, norm)


@claim.reference
def radius(data, norm):
    return world.reach(data.features, norm)


@claim.reference
def radius_of_opposite(opposite, norm):
    return world.reach(opposite.features, norm)


@claim.run
def path(data, rates, norm):
    return train.descend(data.features, data.labels, rates, train.steepest(norm))


@claim.run
def straight(opposite, rates, norm):
    return path(opposite, rates, norm)


@claim.measurement
def losses(data, path, rates, norm, classes):
    farthest = world.reach(data.features, norm).upper * lengths(rates)
    return recorded(path, data.features, classes, farthest)


@claim.measurement
def attained(data, path, norm):
    """m(W_t) / ||W_t|| at the recorded steps, W_0 = 0 left out."""
    return world.normalised_margin(data.features, data.labels, path.iterates[1:], norm)


@claim.measurement
def size(path, norm):
    return certify.norm(path.iterates, norm)


@claim.measurement
def straight_losses(opposite, straight, rates, norm):
    return losses(opposite, straight, rates, norm, 2)


@claim.assumption
def separable(gamma):
    return less(0, gamma)


@claim.check("per-step-decrease")
def decrease(losses, gamma, radius, rates, curvature=1):
    logs = losses.log_loss
    bound = 1 - (gamma * rates - second_order(radius, rates, curvature)) * losses.ratio[:-1]
    return at_most((logs[1:] - logs[:-1]).exp(), bound, step=np.arange(len(rates)))


@claim.check("margin-gap")
def margin_gap(attained, size, losses, gamma, radius, rates, path, data, curvature=1):
    ratio, steps = losses.ratio[:-1], path.steps[1:]
    told, (signal, drift) = told_and_sums(
        losses.log_loss,
        len(data.labels),
        steps,
        rates * ratio,
        second_order(radius, rates, curvature) * ratio,
    )
    length = size[1:][told]
    return at_most(1 - attained[told] / gamma, 1 - signal / length + drift / length / gamma, step=steps[told])


@claim.check("decrease-attained")
def decrease_attained(straight_losses, gamma_of_opposite, radius_of_opposite, rates, curvature):
    return decrease(straight_losses, gamma_of_opposite, radius_of_opposite, rates, curvature)


@claim.check("margin-gap-attained")
def margin_gap_attained(
    opposite, straight, straight_losses, gamma_of_opposite, radius_of_opposite, rates, norm
):
    return margin_gap(
        attained(opposite, straight, norm), size(straight, norm), straight_losses,
        gamma_of_opposite, radius_of_opposite, rates, straight, opposite,
    )  # fmt: skip


@claim.check("margin-below-gamma")
def below(attained, gamma, path):
    return at_most(attained, gamma, within=gamma.gap(), step=path.steps[1:])


@claim.check("norm-growth")
def growth(size, rates, path, classes, dimension):
    length, gathered = length_bound(rates, path.steps, classes * dimension)
    return at_most(size, length, within=gathered, step=path.steps)


claim.control("gamma 20% too large", gamma=lambda gamma: 1.2 * gamma, must_fail="per-step-decrease")
claim.control(
    "second-order term dropped, steps 20 times larger",
    rates=lambda rates: 20 * rates, curvature=0, steps=2_000, must_fail="per-step-decrease",
)  # fmt: skip
claim.control(
    "second-order term 5% smaller", curvature=0.95, must_fail="decrease-attained", cases={"norm": ("max",)}
)
claim.control(
    "gamma 5% too large, all margins equal", gamma_of_opposite=lambda gamma_of_opposite: 1.05 * gamma_of_opposite,
    must_fail="margin-gap-attained",
)  # fmt: skip
claim.control("gamma 20% too small", gamma=lambda gamma: 0.8 * gamma, must_fail="margin-below-gamma")


def in_rival_norm(data, path, norm, gamma):
    """The same run's margin relative to another norm's maximum, in units of gamma."""
    rival = {"max": "frobenius", "frobenius": "max", "spectral": "max"}[norm]
    return gamma * world.share_of_maximum(data, path.iterates[1:], rival)


claim.control("margin measured in another norm", attained=in_rival_norm, must_fail="margin-gap")


def in_larger_norm(path, norm):
    larger = {"max": "frobenius", "frobenius": "nuclear", "spectral": "frobenius"}[norm]
    return certify.norm(path.iterates, larger)


claim.control("length measured in the next larger norm", size=in_larger_norm, must_fail="norm-growth")


@claim.figure
def draw(figure, evidence):
    names = {"max": "SignGD", "frobenius": "normalised GD", "spectral": "spectral descent"}
    panels = plot.panel_grid(figure, list(names.values()), columns=3, sharey=True)
    for panel, case in zip(panels, evidence.cases, strict=True):
        own = evidence.curve("margin-gap", **case)
        rival = evidence.curve("margin-gap", control="margin measured in another norm", **case)
        plot.curve_with_bound(panel, own.step, own.measured, own.bound, label="run")
        plot.curve_with_bound(
            panel, rival.step, rival.measured, label="control: another norm", **plot.CONTROL
        )
        panel.set(xscale="log", yscale="log", xlabel="step $t$")
    panels[0].set_ylabel(r"relative gap $1 - m(W_t) / (\gamma \|W_t\|)$")
    plot.legend(panels[0], bound="explicit bound")
