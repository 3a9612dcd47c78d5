r"""The minimisers of NSCL are collapsed simplices: views coincide, classes coincide, class centres are equiangular.

For C balanced classes of n samples with K views, free embeddings in dimension $d \ge C - 1$ and temperature $\tau$,

$$\min L_{NSCL} = L^* = \log(K (N - n)) - \frac{C}{(C-1)\,\tau} .$$

For every embedding by unit vectors with class means $\mu_c$ and mean m the excess is a sum of terms of one sign,

$$L_{NSCL} - L^* = \frac1\tau \Big(1 - \overline{sim}_{positives}\Big) + \overline{J}
  + \frac{1}{(C-1)\,\tau} \Big( \frac1C \sum_c (1 - \|\mu_c\|^2) + C \|m\|^2 \Big) ,$$

where $J_u = \log \overline{e^x} - \overline{x}$ over the scaled similarities x of an anchor to other classes, and

$$\mathrm{Var}_u(x) \le \frac{R^2}{R - 1 + e^{-R}}\, J_u , \qquad R = 2 / \tau .$$

So the excess is 0 exactly where (i) views coincide, (ii) classes coincide and (iii) centres have inner products -1/(C-1);
and an excess of $\epsilon$ bounds how far each of the three is violated.

---
The constant of the last inequality is sharp: it is approached where one similarity is -1 and all others are 1. Gradient descent
starts from random unit vectors. The convex program over Gram matrices knows nothing of collapse; its dual is explicit.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, concatenate, equal, exact, plot, stack, stated

from . import _collapse, _free, _program, world

claim = Claim(
    "cl-nscl-gap/nscl-minimiser-etf",
    cases=(
        {"classes": 5, "per_class": 6, "dimension": 8, "temperature": 1.0},
        {"classes": 10, "per_class": 3, "dimension": 12, "temperature": 0.5},
        {"classes": 3, "per_class": 10, "dimension": 4, "temperature": 1.0},
    ),
    full={
        "cases": (
            {"classes": 20, "per_class": 6, "dimension": 24, "temperature": 1.0},
            {"classes": 30, "per_class": 4, "dimension": 40, "temperature": 0.5},
        )
    },
)


@claim.instance
def labels(classes, per_class):
    return world.balanced(classes, per_class)


@claim.instance
def tried(rng, labels, classes, per_class, views=2):
    """Embeddings (N, K, d): the simplex in C - 1 dimensions, one point, near simplices, random ones."""
    etf = world.collapsed(world.tight_simplex(classes), (per_class,) * classes, views)
    shape = (len(labels), views, classes + 1)
    wide = np.pad(etf, ((0, 0), (0, 0), (0, 2)))
    near = [wide + size * rng.normal(size=shape) for size in (1e-4, 1e-2, 0.1, 0.5)]
    return [etf, np.ones(shape), *near, *rng.normal(size=(6, *shape))]


@claim.instance
def lopsided(count=60):
    """Two classes on a line, of which all embeddings but one coincide."""
    embeddings = np.ones((2 * count, 1, 2))
    embeddings[-1] = -1
    return Record(embeddings=embeddings, labels=world.balanced(2, count))


# --- what theory says -----------------------------------------------------------------------------------------


@claim.reference
def minimum(classes, per_class, views, temperature):
    return world.smallest_nscl(classes, per_class, views, temperature)


@claim.reference
def spread_constant(temperature):
    return certify.evaluate(lambda R: R**2 / (R - 1 + (-R).exp()), Fraction(2) / Fraction(float(temperature)))


@claim.reference
def program(temperature, sizes=(2, 2, 2)):
    """The convex program of a small instance with two views: Record(value, gram, terms at the solver's point)."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    found = _program.smallest(labels, 2, temperature)
    terms = _collapse.measured([found.embeddings], labels, temperature)
    return Record(value=found.value, gram=found.gram, terms=terms)


@claim.reference
def small_minimum(sizes, temperature):
    return world.smallest_nscl(len(sizes), max(sizes), 2, temperature)


# --- what happens ---------------------------------------------------------------------------------------------


@claim.run
def path(rng, labels, views, dimension, temperature, loss="nscl", steps=1000, keep=24):
    """Gradient descent on the sphere, at some 40 of its steps."""
    room = max(12, dimension)  # so that the cases share one compilation
    return _free.descend(rng, labels, views, dimension, temperature, loss, steps, keep, room)


@claim.measurement
def along(path, labels, temperature):
    record = _collapse.measured([*path.embeddings, path.last], labels, temperature)
    return Record(**{name: x for name, x in vars(record).items() if name not in _collapse.ANCHORWISE})


@claim.measurement
def elsewhere(tried, labels, temperature):
    return _collapse.measured(tried, labels, temperature)


@claim.measurement
def at_lopsided(lopsided, temperature):
    return _collapse.measured([lopsided.embeddings], lopsided.labels, temperature)


# --- checks ---------------------------------------------------------------------------------------------------


@claim.check("attained")
def attained(along, elsewhere, minimum):
    """By descent, and by the simplex in C - 1 dimensions."""
    reached = stack([along.loss[-1], elsewhere.loss[0]])
    return equal(reached, minimum, within=reached.gap() + minimum.gap(), by=["descent", "placed"])


@claim.check("never-below")
def never_below(along, elsewhere, minimum):
    losses = concatenate([along.loss, elsewhere.loss])
    return at_most(minimum, losses, within=losses.gap() + minimum.gap())


@claim.check("excess")
def excess(along, elsewhere, minimum, classes, temperature, lighter=0):
    """The identity; lighter: by how much the weight of the mean is below C."""
    collapsing = [
        (one.within + (classes - lighter) * one.centre) / (classes - 1) + one.views
        for one in (along, elsewhere)
    ]
    jensen = concatenate([along.mean_jensen, elsewhere.mean_jensen])
    right = jensen + concatenate(collapsing) / temperature
    left = concatenate([along.loss, elsewhere.loss]) - minimum
    return equal(left, right, within=left.gap() + right.gap())


@claim.check("spread")
def spread(elsewhere, at_lopsided, spread_constant):
    """Anchor by anchor."""
    left = concatenate([at_lopsided.spread, elsewhere.spread])
    right = spread_constant * concatenate([at_lopsided.jensen, elsewhere.jensen])
    return at_most(left, right + right.gap(), within=left.gap())


@claim.check("collapse")
def collapse(along, minimum, classes, temperature, spread_constant, path):
    """The bound ends at the rounding of both sides."""
    bound = _collapse.allowed(along.loss - minimum, classes, temperature, spread_constant)
    rounding = _collapse.distances(along).gap() + 2 * bound.gap()
    return at_most(_collapse.distances(along), bound + rounding, step=[*path.steps.tolist(), "last"])


@claim.check("program")
def program_value(program, small_minimum):
    """Smallest over Gram matrices."""
    accuracy = stated(1e-6, "the accuracy that is asked of the solver")
    return equal(program.value, small_minimum, within=accuracy)


@claim.check("program-collapses")
def program_collapses(program, sizes, temperature, spread_constant):
    """The solver's Gram matrix, by what its certificate allows."""
    epsilon = stack([program.value.gap()])
    bound = _collapse.allowed(epsilon, len(sizes), temperature, spread_constant)
    found = _collapse.distances(program.terms)
    kept = [0, 1, 3]  # for classes of other sizes the mean is not 0, with or without collapse
    return at_most(found[kept], bound[kept], within=found.gap())


@claim.check("explicit-dual")
def explicit_dual(multiplier=1, several=(2, 3, 4)):
    """tau P (D - diag nu), exactly, is a sum of projections with weights of at least 0; n = K = 2."""
    sides = [_collapse.dual_of(C, multiplier * Fraction(C, C - 1)) for C in several]
    left, right = (exact(np.concatenate([pair[i].ravel() for pair in sides])) for i in (0, 1))
    return equal(left, right)


# --- near rivals ----------------------------------------------------------------------------------------------


def narrow(rng, labels, views, classes, dimension, temperature):
    """Descent in C - 2 dimensions."""
    return _free.descend(rng, labels, views, classes - 2, temperature, "nscl", 1000, 24, max(12, dimension))


def above_its_end(along, path, labels, temperature, minimum):
    """The loss replaced by the minimum plus what the contrastive loss has above where the path ends."""
    losses = []
    for z in (*path.embeddings, path.last):
        mean = world.contrastive(world.log_sums(z, labels, temperature)).mean()
        losses.append(world.rounded_loss(mean, z, temperature))
    return Record(**{**vars(along), "loss": minimum + stack(losses) - losses[-1]})


claim.control("descent in C - 2 dimensions", path=narrow, must_fail="attained")
claim.control("contrastive loss in place of NSCL", loss="cl", must_fail="attained")
claim.control(
    "minimum 5% larger", minimum=lambda minimum: minimum * Fraction(21, 20), must_fail="never-below"
)
claim.control("mean weighted by C - 1/2", lighter=Fraction(1, 2), must_fail="excess")
claim.control(
    "constant of the spread 5% smaller", must_fail="spread",
    spread_constant=lambda spread_constant: spread_constant * Fraction(19, 20),
)  # fmt: skip
claim.control("contrastive descent", loss="cl", along=above_its_end, must_fail="collapse")
claim.control(
    "minimum of the contrastive loss", must_fail="program",
    small_minimum=lambda sizes, temperature: world.smallest_contrastive(sum(sizes), 2, temperature),
)  # fmt: skip
claim.control("classes of 2, 2 and 3", sizes=(2, 2, 3), must_fail="program-collapses")
claim.control("classes of 1, 1 and 6", sizes=(1, 1, 6), must_fail="program-collapses")
claim.control("multiplier 10% smaller", multiplier=Fraction(9, 10), must_fail="explicit-dual")


@claim.figure
def draw(figure, evidence):
    titles = ["descent, 5 classes", "classes of 2", "classes of 2, 2 and 3", "classes of 1, 1 and 6"]
    first, *tables = plot.panel_grid(figure, titles)
    case = evidence.cases[0]
    curve, control = (
        evidence.curve("collapse", **case),
        evidence.curve("collapse", "contrastive descent", **case),
    )
    steps = np.array([*map(int, curve.step[:-1])]) + 1
    for row, name in ((1, "within classes"), (2, "mean"), (3, "across classes")):
        sides = (side.middle[row, :-1] for side in (curve.measured, curve.bound))
        plot.curve_with_bound(first, steps, *sides, label=name)
    grey = {"label": "control: CL, within classes", **plot.CONTROL}
    plot.curve_with_bound(first, steps, control.measured.middle[1, :-1], **grey)
    first.set(xscale="log", yscale="log", xlabel="step", ylabel="from collapse", ylim=(1e-13, 3))
    for panel, name in zip(tables, (None, *titles[2:]), strict=True):
        plot.heatmap(panel, evidence.of("program", name, **case).gram, [], [], fmt="")
        panel.set_xlabel("best Gram matrix")
    plot.legend([first, *tables], bound="allowed by the excess")
