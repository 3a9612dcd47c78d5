r"""Balanced classes form a simplex, and the least loss is a closed form.

With k classes of q samples each, $d \ge k - 1$ and unit features,

$$L(H) \ \ge\ k q \log\Big( q - 1 + (k - 1)\, q\, e^{-\frac{k}{(k-1)\tau}} \Big)$$

with equality if and only if the features of a class are equal and $h_i \cdot h_j = -1/(k-1)$ across classes: F is convex and
invariant under permutations of the classes, so its minimiser is $(1 - b) I + b J$, and b is as small as it can be.
---
Some problems are named, the others drawn. The bound is tried on random features, on the simplex, and near it.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, equal, exact, plot, stack

from . import _certificates, _descent, world

claim = Claim("sc-loss-ufm/balanced-closed-form", full={"drawn": 20, "runs": 10})
NAMED = ((3, 4, 0.5), (4, 4, 1.0), (2, 3, 0.25), (5, 2, 0.3), (5, 3, 2.0))


@claim.instance
def problems(rng, drawn=3):
    """(k, q, tau), at most WIDTH samples each."""
    sizes = rng.choice([(2, 5), (3, 2), (3, 5), (4, 3), (4, 2), (5, 3)], size=drawn)
    return [*NAMED, *((int(k), int(q), float(rng.uniform(0.25, 2))) for k, q in sizes)]


@claim.instance
def start(rng, problems, runs=4, extra=1):
    """Random unit features (problems * runs, ...) in k + extra dimensions."""
    each = [world.gaussian_start(rng, runs, max(k + extra, 1), k * q) for k, q, _ in problems]
    return np.concatenate(each)


@claim.instance
def probes(rng, problems, scales=(0.0, 1e-3, 0.03, 0.3, 100.0)):
    """For each problem the simplex, disturbed more and more until it is all noise: lists of (scales, k, n)."""
    found = []
    for k, q, _ in problems:
        H = np.sqrt(k / (k - 1)) * np.repeat(np.eye(k) - 1 / k, q, axis=1)
        found.append(np.stack([H + scale * rng.normal(size=H.shape) for scale in scales]))
    return found


@claim.reference
def closed_form(problems):
    return stack([certify.evaluate(least_loss, k, q, tau) for k, q, tau in problems])


def least_loss(k, q, tau):
    return k * q * (q - 1 + (k - 1) * q * (-k / ((k - 1) * tau)).exp()).log()


@claim.reference
def inner_product(problems):
    return exact([Fraction(-1, k - 1) for k, _, _ in problems])


@claim.reference
def programs(problems):
    """The k x k programs, solved and certified."""
    return [world.reduced((q,) * k, tau) for k, q, tau in problems]


@claim.run
def features(start, problems, runs, steps=600):
    labels = [world.padded(world.labels_of((q,) * k)) for k, q, _ in problems]
    temperatures = [tau for *_, tau in problems]
    return _descent.descend(
        start, np.repeat(labels, runs, axis=0), np.repeat(temperatures, runs), steps, keep=2
    ).features[-1]


@claim.measurement
def trained(features, problems, runs):
    """For each problem the Gram matrices and losses that training arrived at, in balls."""
    return [seen(H, *problem) for H, problem in zip(np.split(features, len(problems)), problems, strict=True)]


@claim.measurement
def probed(probes, problems):
    return [seen(H, *problem) for H, problem in zip(probes, problems, strict=True)]


def seen(H, k, q, tau):
    labels = world.labels_of((q,) * k)
    G = _certificates.gram(H[:, :, : k * q])
    return Record(gram=G, loss=_certificates.losses(G, *(m[0] for m in world.pairs(labels[None])), tau))


@claim.check("program")
def program(programs, closed_form):
    optima = stack([found.optimum for found in programs])
    return equal(closed_form, optima, within=optima.gap(each=True) + closed_form.gap())


@claim.check("training-reaches-it")
def reaches(trained, closed_form, problems):
    losses = stack([found.loss for found in trained])
    within = stack([world.resolution(k * q, tau) for k, q, tau in problems])
    return equal(losses, closed_form[:, None], within=within[:, None] + losses.gap(), problem=names(problems))


@claim.check("nothing-below-it")
def below(probed, closed_form, problems):
    losses = stack([found.loss for found in probed])
    return at_most(
        closed_form[:, None], losses, within=losses.gap() + closed_form.gap(), problem=names(problems)
    )


@claim.check("simplex")
def simplex(trained, programs, inner_product, problems):
    """Inner products across classes, within what their losses allow."""
    products, within = [], []
    for found, solved, (k, q, _) in zip(trained, programs, problems, strict=True):
        labels = world.labels_of((q,) * k)
        across = found.gram[:, labels[:, None] != labels]
        products.append(stack([across.smallest(axis=1), across.largest(axis=1)]))
        within.append(_certificates.gram_bound(found.loss - solved.dual, solved))
    return equal(stack(products), inner_product[:, None, None], within=stack(within)[:, None, :])


def names(problems):
    return [[f"k={k}, q={q}, tau={tau:.3g}"] for k, q, tau in problems]


claim.control(
    "exponent of an orthogonal frame", must_fail="program",
    closed_form=lambda problems: rival(problems, lambda k, q, tau: k * q * (q - 1 + (k - 1) * q * (-1 / tau).exp()).log()),
)  # fmt: skip
claim.control(
    "closed form 1% larger", closed_form=lambda closed_form: 1.01 * closed_form, must_fail="nothing-below-it"
)
claim.control("self pairs in the closed form", must_fail="training-reaches-it", closed_form=lambda problems: rival(
    problems, lambda k, q, tau: k * q * (q + (k - 1) * q * (-k / ((k - 1) * tau)).exp()).log()))  # fmt: skip
claim.control("two dimensions fewer than classes", extra=-2, must_fail="training-reaches-it")
claim.control(
    "simplex of one class more", must_fail="simplex",
    inner_product=lambda problems: exact([Fraction(-1, k) for k, _, _ in problems]),
)  # fmt: skip


def rival(problems, formula):
    return stack([certify.evaluate(formula, k, q, tau) for k, q, tau in problems])


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["disturbed simplices", "across classes, trained"])
    curve, problems = evidence.curve("nothing-below-it"), evidence.of("problems")
    scales = np.array([1e-3, 0.03, 0.3, 100.0])
    for i, (k, q, tau) in enumerate(problems[: len(NAMED)]):
        excess = curve.measured.middle[i, 0] * -1 + curve.bound.middle[i, 1:]
        left.plot(scales, excess, marker="o", label=f"{k} classes of {q}, $\\tau$ = {tau:g}")
    left.set(xscale="log", yscale="log", xlabel="size of the noise added", ylabel="loss $-$ closed form")
    products = evidence.curve("simplex").measured.middle
    for i, (k, _, _) in enumerate(problems):
        for product in products[i].ravel():
            right.plot(
                k,
                product,
                marker="o",
                linestyle="none",
                color=plot.COLORS[0],
                label="run" if i == 0 else None,
            )
    k = np.array([2, 3, 4, 5])
    right.plot(k, -1 / (k - 1), color=plot.INK, **plot.BOUND)
    right.plot(k, -1 / k, label="control: $-1/k$", **plot.CONTROL)
    right.set(xlabel="classes $k$", ylabel="inner product", xticks=k)
    plot.legend(left)
    plot.legend(right, bound="$-1/(k-1)$")
