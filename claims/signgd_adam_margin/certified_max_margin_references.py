r"""The maximum margin of a norm equals a smallest dual norm, and a run of descent encloses it from both sides.

$$\gamma = \max_{\|W\| \le 1} \min_{i, c \ne y_i} (e_{y_i} - e_c)^T W h_i
         = \min_{\lambda \ge 0,\ \sum \lambda = 1} \Big\| \sum_{i, c \ne y_i} \lambda_{ic}\,(e_{y_i} - e_c) h_i^T \Big\|_* .$$

Any W bounds $\gamma$ from below and any $\lambda$ from above. The softmax weights of a classifier are such a $\lambda$, so
every step of steepest descent in the norm certifies $m(W_t)/\|W_t\| \le \gamma \le \|\nabla L(W_t)\|_* / G(W_t)$.
"""

import numpy as np

from verify import Claim, Record, at_most, certify, equal, exact, less, plot, stack, stated, train

from . import world

claim = Claim(
    "signgd-adam-margin/certified-max-margin-references",
    cases=(
        {"norm": "max", "eta0": 0.1, "steps": 5_000},
        {"norm": "frobenius", "eta0": 0.5, "steps": 5_000},
        {"norm": "spectral", "eta0": 0.2, "steps": 5_000},
        {"norm": "sum", "eta0": 2.0, "steps": 20_000},
        {"norm": "nuclear", "eta0": 1.0, "steps": 10_000},
        {"norm": 3.0, "eta0": 0.2, "steps": 5_000},
    ),
    full={"cases": ({"norm": "max", "eta0": 0.1, "steps": 1_800},), "per_class": 100_000, "keep": 8},
)


@claim.instance
def data(rng, classes=10, dimension=25, per_class=5, noise=0.1):
    return world.gaussian_classes(rng, classes, dimension, per_class, noise)


@claim.reference
def solution(data, norm):
    """Record(gamma, primal, dual, W, weights): both sides of the margin program, solved and then certified."""
    return world.max_margin_solution(data.features, data.labels, norm)


@claim.run
def path(data, norm, eta0, steps, keep=60):
    rates = eta0 * (np.arange(steps) + 1.0) ** -0.5
    return train.descend(data.features, data.labels, rates, train.steepest(norm), keep=keep)


@claim.measurement
def curves(data, path, norm):
    """Lower and upper bound on gamma from every recorded step, W_0 = 0 left out."""
    upper = [
        world.dual_value(
            data.features, data.labels, world.softmax_weights(data.features, data.labels, W), norm
        )
        for W in path.iterates[1:]
    ]
    lower = world.normalised_margin(data.features, data.labels, path.iterates[1:], norm)
    return Record(step=path.steps[1:], lower=lower, upper=stack(upper))


@claim.assumption
def separable(solution):
    return less(0, solution.gamma)


@claim.check("strong-duality")
def duality(solution):
    accuracy = stated(1e-6, "the relative accuracy that a reference has to reach")
    return equal(solution.dual / solution.primal, exact(1), within=accuracy)


@claim.check("run-below")
def below(curves, solution):
    return at_most(curves.lower, solution.gamma, step=curves.step)


@claim.check("run-above")
def above(curves, solution):
    return at_most(solution.gamma, curves.upper, step=curves.step)


@claim.check("curves-meet")
def meet(curves):
    ratio = curves.upper.smallest() / curves.lower.largest()
    return equal(
        ratio,
        exact(1),
        within=stated(0.05, "how closely a run of this length is asked to enclose the margin"),
    )


def shuffled(data, norm, solution, rng):
    """The dual point with its multipliers dealt to other pairs."""
    weights = rng.permuted(solution.weights, axis=0)
    return Record(**{**vars(solution), "dual": world.dual_value(data.features, data.labels, weights, norm)})


def primal_norm(data, norm, solution):
    """The dual point measured in the primal norm instead of the dual one."""
    dual = world.dual_value(data.features, data.labels, solution.weights, certify.dual(norm))
    return Record(**{**vars(solution), "dual": dual})


def scaled(solution, factor):
    """A reference that is off by a factor."""
    return Record(**{**vars(solution), "gamma": factor * solution.gamma})


claim.control("multipliers shuffled", solution=shuffled, must_fail="strong-duality")
claim.control(
    "primal norm in place of the dual norm", solution=primal_norm, must_fail="strong-duality",
    cases={"norm": ("max", "sum", 3.0)},  # in the others the optimal sum may have rank one, where the two agree
)  # fmt: skip
claim.control("gamma 10% too small", solution=lambda solution: scaled(solution, 0.9), must_fail="run-below")
claim.control("gamma 10% too large", solution=lambda solution: scaled(solution, 1.1), must_fail="run-above")


def in_rival_norm(data, path, norm):
    """The same run, its margin and its gradient measured in a neighbouring norm."""
    rival = {
        "max": 3.0, "frobenius": "spectral", "spectral": "frobenius", "sum": "max", "nuclear": "max", 3.0: "max",
    }  # fmt: skip
    return curves(data, path, rival[norm])


claim.control("measured in another norm", curves=in_rival_norm, must_fail="curves-meet")


@claim.figure
def draw(figure, evidence):
    names = {"max": "max norm", "frobenius": "Frobenius", "spectral": "spectral", "sum": "sum of entries",
             "nuclear": "nuclear", 3.0: "entrywise 3-norm"}  # fmt: skip
    panels = plot.panel_grid(figure, [names.get(case["norm"], case["norm"]) for case in evidence.cases], columns=3,
                             sharex=True, sharey=True)  # fmt: skip
    for panel, case in zip(panels, evidence.cases, strict=True):
        gamma, curves = evidence.of("solution", **case).gamma, evidence.of("curves", **case)
        plot.curve_with_bound(panel, curves.step, curves.upper / gamma, label="dual norm of the gradient")
        plot.curve_with_bound(panel, curves.step, curves.lower / gamma, label="normalised margin")
        panel.set(xscale="log", ylim=(0.4, 1.6))
    for panel in panels[-3:]:
        panel.set_xlabel("step $t$")
    panels[0].set_ylabel(r"bound on $\gamma$, over $\gamma$")
    plot.legend(panels[0])
