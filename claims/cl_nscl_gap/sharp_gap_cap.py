r"""Conjecture: among all embeddings of balanced classes the collapsed simplex has the largest gap.

For C balanced classes of n samples, any number of views, any dimension and temperature $\tau$,

$$L_{CL} - L_{NSCL} \le \log\Big( 1 + \frac{n-1}{n\,(C-1)}\, e^{\frac{C}{(C-1)\tau}} \Big) ,$$

the gap at the minimiser of NSCL, which attains it. For C = 2 this is proved (the bound with n - 1 in place of n); for many classes and samples and
$\tau = 1$ its leading term is 1/e of that of the paper's bound.

---
Nobody has proved it; L-BFGS drives the gap uphill, of all embeddings and of collapsed classes. For centres x_c the gap is
the mean over classes of $\log(1 + \frac{n-1}{n} e^{1/\tau} / \sum_{c' \ne c} e^{\langle x_c, x_{c'} \rangle / \tau})$.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, at_most, certify, equal, exact, plot, stack

from . import _embeddings, world

claim = Claim("cl-nscl-gap/sharp-gap-cap", full={"starts": 40})
CLIMBED = (  # classes, per class, views, dimension, temperature
    (2, 4, 1, 3, 1.0), (3, 3, 2, 4, 0.5), (4, 2, 1, 3, 1.0), (4, 4, 1, 6, 2.0), (5, 3, 1, 4, 0.1), (5, 3, 2, 2, 1.0),
    (6, 2, 1, 6, 0.2), (8, 2, 1, 7, 1.0),
)  # fmt: skip
COLLAPSED = (
    (3, 2, 0.05),
    (3, 3, 10.0),
    (4, 2, 1.0),
    (4, 4, 0.3),
    (6, 3, 0.2),
    (8, 8, 0.1),
    (12, 11, 1.0),
    (12, 5, 3.0),
)


@claim.instance
def simplices():
    """A list of records."""
    return [
        _embeddings.instance(
            "simplex", world.collapsed(world.simplex(C), (n,) * C, views), (n,) * C, temperature
        )
        for C, n, views, _, temperature in CLIMBED
    ]


@claim.instance
def worlds(rng, simplices, starts=4):
    """Simplices, then where ascents of all embeddings and of class centres end; a list of records."""
    found = [*simplices]
    for C, n, views, dimension, temperature in CLIMBED:
        ends = _embeddings.ascended(rng, (n,) * C, views, dimension, temperature, starts)
        found += [_embeddings.instance("all free", z, (n,) * C, temperature) for z in ends]
    for C, dimension, temperature in COLLAPSED:
        for centres in climbed_centres(rng, C, dimension, temperature, starts):
            embeddings = world.collapsed(centres, (2,) * C, 1)
            found.append(_embeddings.instance("collapsed", embeddings, (2,) * C, temperature))
    return found


@claim.space(
    "worlds", build=lambda classes, per_class, **data: [_embeddings.built([per_class] * classes, 1, **data)]
)
def one_world(draw):
    from hypothesis import strategies as st

    C, n, dimension = draw(st.integers(2, 5)), draw(st.integers(2, 3)), draw(st.integers(1, 4))
    count = C * n * dimension
    numbers = draw(st.lists(st.floats(-2, 2), min_size=count, max_size=count))
    return {
        "classes": C,
        "per_class": n,
        "tenths": draw(st.sampled_from([1, 2, 5, 10, 20])),
        "numbers": numbers,
    }


def climbed_centres(rng, classes, dimension, temperature, starts):
    """Centres (C, d) of largest gap from Gaussian starts, two samples a class."""
    from scipy.optimize import minimize

    a = np.exp(1 / temperature) / 2

    def loss(x):
        z = x.reshape(classes, dimension)
        length = np.linalg.norm(z, axis=1, keepdims=True)
        unit = z / length
        weight = np.exp(unit @ unit.T / temperature) * (1 - np.eye(classes))
        T = weight.sum(axis=1, keepdims=True)
        push = weight * a / (T * (T + a)) / (classes * temperature)
        slope = (push + push.T) @ unit
        slope -= (slope * unit).sum(axis=1, keepdims=True) * unit
        return -np.log1p(a / T).mean(), (slope / length).ravel()

    begun = [rng.normal(size=classes * dimension) for _ in range(starts)]
    return [minimize(loss, x, jac=True, method="L-BFGS-B").x.reshape(classes, dimension) for x in begun]


@claim.reference
def cap(worlds, factor=1):
    """factor: of the exponent."""
    return stack([cap_of(len(one.sizes), one.sizes[0], one.temperature, factor) for one in worlds])


@claim.reference
def cap_of_simplices(simplices, factor):
    return cap(simplices, factor)


def cap_of(classes, per_class, temperature, factor):
    share = Fraction(per_class - 1, per_class * (classes - 1))
    power = exact(factor * Fraction(classes, classes - 1)) / world.in_fractions(temperature)
    return certify.log(1 + share * certify.exp(power))


@claim.run
def gap(worlds):
    return stack([gap_of(one) for one in worlds])


@claim.run
def gap_of_simplices(simplices):
    return gap(simplices)


def gap_of(one):
    sums = world.log_sums(one.embeddings, one.labels, one.temperature)
    mean = (world.contrastive(sums) - world.supervised(sums)).mean()
    return world.rounded_loss(mean, one.embeddings, one.temperature)


@claim.check("gap-at-most-cap")
def at_most_cap(gap, cap, worlds):
    names, classes = [one.name for one in worlds], [len(one.sizes) for one in worlds]
    return at_most(gap, cap, within=gap.gap() + cap.gap(), world=names, classes=classes)


@claim.check("attained")
def attained(gap_of_simplices, cap_of_simplices, simplices):
    within = gap_of_simplices.gap() + cap_of_simplices.gap()
    classes = [len(one.sizes) for one in simplices]
    return equal(gap_of_simplices, cap_of_simplices, within=within, classes=classes)


claim.control("exponent 1% smaller", factor=Fraction(99, 100), must_fail="gap-at-most-cap")
claim.control("exponent 1% larger", factor=Fraction(101, 100), must_fail="attained")
claim.control(
    "one sample a class fewer", must_fail="gap-at-most-cap",
    cap=lambda worlds: stack([cap_of(len(one.sizes), max(one.sizes[0] - 1, 2), one.temperature, 1) for one in worlds]),
)  # fmt: skip


@claim.figure
def draw(figure, evidence):
    (panel,) = plot.panel_grid(figure, ["ascents of the gap"])
    curve = evidence.curve("gap-at-most-cap")
    share = curve.measured.middle / curve.bound.middle
    for name, marker in (("collapsed", "x"), ("all free", "."), ("simplex", "D")):
        chosen = [world == name for world in curve.world]
        panel.plot(np.array(curve.classes)[chosen], share[chosen], marker, markersize=4, label=name)
    rival = evidence.curve("gap-at-most-cap", "exponent 1% smaller")
    beyond = rival.measured.middle / rival.bound.middle
    panel.plot(
        curve.classes,
        beyond,
        "+",
        color=plot.CONTROL["color"],
        markersize=4,
        label="control: exponent 1% smaller",
    )
    panel.axhline(1, color=plot.INK, **plot.BOUND)
    panel.set(xlabel="classes C", ylabel="gap over the cap", ylim=(0, 1.1))
    plot.legend(panel, bound="conjectured cap", loc="lower left")
