r"""The exponential loss obeys an a priori margin rate with every constant; the pair-logistic loss the same sandwich.

For $L = \frac1n \sum_{i, c \ne y_i} e^{-x_{ic}}$ with $x_{ic} = (e_{y_i} - e_c)^T W h_i$, steepest descent from $W_0 = 0$ has, at every
step at which the right side is below 1,

$$0 \le 1 - \frac{m(W_t)}{\gamma \|W_t\|} \le
\frac{\log(n (k - 1)) + \sum_{s<t} c(\eta_s)\,\eta_s^2}{\gamma \sum_{s<t} \eta_s}, \qquad c(\eta) = 2 B^2 e^{2 B \eta},$$

in which nothing of the trajectory enters: $O(\log t / \sqrt t)$ for $\eta_t \sim t^{-1/2}$. For it and for
$L = \frac1n \sum_{i, c \ne y_i} \log(1 + e^{-x_{ic}})$, each with its own $G$, the explicit bound of the cross-entropy holds too:
once $L_t \le \log 2 / n$,

$$m(W_t) \ge X_t = \sum_{s=\bar t}^{t-1} (\gamma\eta_s - c(\eta_s)\,\eta_s^2) \frac{G_s}{L_s} .$$
"""

import numpy as np

from verify import Claim, Record, at_most, certify, exact, less, plot, train

from . import world
from ._trajectory import length_bound, lengths, recorded, second_order, told_and_sums

claim = Claim(
    "signgd-adam-margin/other-losses",
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


@claim.reference
def gamma(data, norm):
    return world.max_margin(data.features, data.labels, norm)


@claim.reference
def radius(data, norm):
    return world.reach(data.features, norm)


@claim.run
def path(data, rates, norm, loss=train.exponential):
    return train.descend(data.features, data.labels, rates, train.steepest(norm), loss=loss, keep=100)


@claim.run
def pair_path(data, rates, norm):
    return path(data, rates, norm, train.pair_logistic)


def told(data, rates, norm, path, classes):
    """What is read off a run: relative to nothing, values at the recorded steps and along the way."""
    farthest = world.reach(data.features, norm).upper * lengths(rates)
    return Record(
        **vars(recorded(path, data.features, classes, farthest)),
        steps=path.steps[1:],
        margin=world.normalised_margin(data.features, data.labels, path.iterates[1:], norm),
        size=certify.norm(path.iterates[1:], norm),
    )


@claim.measurement
def seen(data, rates, norm, path, classes):
    return told(data, rates, norm, path, classes)


@claim.measurement
def pair_seen(data, rates, norm, pair_path, classes):
    return told(data, rates, norm, pair_path, classes)


@claim.assumption
def separable(gamma):
    return less(0, gamma)


@claim.check("a-priori")
def a_priori(seen, gamma, radius, rates, data, classes):
    start = certify.log(exact(len(data.labels) * (classes - 1)))
    drift = second_order(radius, rates).cumsum()[seen.steps - 1]
    length, _ = length_bound(rates, seen.steps, 1)
    bound = (start + drift) / (gamma * length)
    useful = bound.upper < 1
    return at_most(1 - seen.margin[useful] / gamma, bound[useful], step=seen.steps[useful])


def sandwich(seen, gamma, radius, rates, n):
    """The relative gap against its explicit bound, at the steps that the bound speaks of."""
    ratio = seen.ratio[:-1]
    which, (signal, drift) = told_and_sums(
        seen.log_loss, n, seen.steps, rates * ratio, second_order(radius, rates) * ratio
    )
    size = seen.size[which]
    bound = 1 - signal / size + drift / size / gamma
    return at_most(1 - seen.margin[which] / gamma, bound, step=seen.steps[which])


@claim.check("exponential-margin-gap")
def exponential_gap(seen, gamma, radius, rates, data):
    return sandwich(seen, gamma, radius, rates, len(data.labels))


@claim.check("pair-logistic-margin-gap")
def pair_gap(pair_seen, gamma, radius, rates, data):
    return sandwich(pair_seen, gamma, radius, rates, len(data.labels))


@claim.check("margin-below-gamma")
def below(seen, gamma):
    return at_most(seen.margin, gamma, within=gamma.gap(), step=seen.steps)


def in_rival_norm(data, path, norm, gamma, seen):
    """The same run's margin relative to another norm's maximum, in units of gamma."""
    rival = {"max": "frobenius", "frobenius": "max", "spectral": "max"}[norm]
    share = world.share_of_maximum(data, path.iterates[1:], rival)
    return Record(**{**vars(seen), "margin": gamma * share})


def pair_in_rival_norm(data, pair_path, norm, gamma, pair_seen):
    return in_rival_norm(data, pair_path, norm, gamma, pair_seen)


claim.control("margin measured in another norm", seen=in_rival_norm, must_fail="a-priori")
claim.control("another norm, explicit bound", seen=in_rival_norm, must_fail="exponential-margin-gap")
claim.control(
    "another norm, pair-logistic", pair_seen=pair_in_rival_norm, must_fail="pair-logistic-margin-gap"
)
claim.control("gamma 20% too small", gamma=lambda gamma: 0.8 * gamma, must_fail="margin-below-gamma")
claim.control(
    "polynomial tail", loss=train.polynomial, steps=100_000, must_fail="a-priori", cases={"norm": ("max",)}
)


@claim.figure
def draw(figure, evidence):
    names = {"max": "SignGD", "frobenius": "normalised GD", "spectral": "spectral descent"}
    panels = plot.panel_grid(figure, list(names.values()), columns=3, sharey=True)
    for panel, case in zip(panels, evidence.cases, strict=True):
        own, pair = evidence.curve("a-priori", **case), evidence.curve("pair-logistic-margin-gap", **case)
        plot.curve_with_bound(panel, own.step, own.measured, own.bound, label="exponential")
        plot.curve_with_bound(panel, pair.step, pair.measured, label="pair-logistic")
        if evidence.has("check[a-priori]", control="polynomial tail", **case):
            tail = evidence.curve("a-priori", control="polynomial tail", **case)
            plot.curve_with_bound(
                panel, tail.step, tail.measured, label="control: polynomial", **plot.CONTROL
            )
        panel.set(xscale="log", yscale="log", xlabel="step $t$")
    panels[0].set_ylabel(r"relative gap $1 - m(W_t) / (\gamma \|W_t\|)$")
    plot.legend(panels[0], bound="a priori bound")
