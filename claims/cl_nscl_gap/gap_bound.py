r"""The two losses differ by at most a constant of the class sizes, for every embedding and every labelling.

With N samples of which the largest class holds $n_{max} < N$, temperature $\tau$ and $E = e^{2/\tau}$,

$$0 \le L_{CL} - L_{NSCL} \le \frac1N \sum_i \log\Big(1 + \frac{(n_{y_i} - 1) E}{N - n_{y_i}}\Big)
    \le \log\Big(1 + \frac{(n_{max} - 1) E}{N - n_{max}}\Big) \le \log\Big(1 + \frac{n_{max} E}{N - n_{max}}\Big) ,$$

the last being the paper's, $\log(1 + E/(C-1))$ for C balanced classes. The difference is the mean over anchors u of

$$gap_u = \log\Big(1 + \frac{S_{same}(u)}{S_{other}(u)}\Big) ,$$

and $1 - e^{-gap_u}$ is the total variation distance between the two softmaxes that weight the negatives in the gradients of
the losses. With the positive pair added to both denominators (NT-Xent) the difference is smaller; with the positive
added twice to that of CL and once to that of NSCL it is still at most the paper's bound.

---
Tight: two classes at opposite points attain the mean over i, and of equal size the bound with $n_{max} - 1$. Tried: extremal embeddings, random ones,
ones that were driven uphill, and relabellings of one embedding.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, concatenate, equal, exact, plot, rounded, stack

from . import _embeddings, world

claim = Claim("cl-nscl-gap/gap-bound", full={"draws": 2000, "relabellings": 500, "starts": 12})


@claim.instance
def worlds(rng, draws=150, relabellings=50, starts=3):
    """A list of records (see `_embeddings.instance`), the worst cases first."""
    named = [*_embeddings.extremal(), *_embeddings.by_classes(rng), *_embeddings.adversarial(rng, starts)]
    return [*named, *_embeddings.drawn(rng, draws), *_embeddings.relabelled(rng, relabellings)]


@claim.instance
def opposites():
    """Two classes at opposite points: those of equal size, then one of 1 and 8."""
    return [one for one in _embeddings.extremal() if one.name.startswith("opposite")]


@claim.space("worlds", build=lambda **data: [_embeddings.built(**data)])
def one_world(draw):
    from hypothesis import strategies as st

    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    views, dimension = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    count = sum(sizes) * views * dimension
    numbers = draw(st.lists(st.floats(-2, 2), min_size=count, max_size=count))
    tenths = draw(st.sampled_from([1, 5, 10, 20]))
    return {"sizes": sizes, "views": views, "tenths": tenths, "numbers": numbers}


# --- what theory says -----------------------------------------------------------------------------------------


def log_bound(shares, worlds, exponent):
    """log(1 + share e^(exponent/tau)), of a share for every instance."""
    temperatures = np.array([one.temperature for one in worlds])
    return world.certified_bound(np.array(shares, dtype=object), temperatures, exponent)


@claim.reference
def bound(worlds, exponent=2, less=0, size=max):
    sizes = [(size(one.sizes), sum(one.sizes)) for one in worlds]
    return log_bound([Fraction(n - less, total - n) for n, total in sizes], worlds, exponent)


@claim.reference
def sharper(worlds, exponent):
    """Class by class, and with n_max - 1: (2, worlds)."""
    mean = exact(0)
    for c in range(max(len(one.sizes) for one in worlds)):
        sizes = [(one.sizes[c] if c < len(one.sizes) else 0, sum(one.sizes)) for one in worlds]
        shares = [Fraction(max(n - 1, 0), total - n) for n, total in sizes]
        weights = exact(np.array([Fraction(n, total) for n, total in sizes], dtype=object))
        mean = log_bound(shares, worlds, exponent) * weights + mean
    return stack([mean, bound(worlds, exponent, less=1)])


@claim.reference
def sharper_at_opposites(opposites, exponent):
    return sharper(opposites, exponent)


@claim.reference
def mass(worlds):
    """S_same / S_other of every anchor of every instance, by plain sums: (anchors,)."""
    return concatenate([mass_of(one) for one in worlds])


def mass_of(one):
    weight = np.exp(world.cosines(one.embeddings) / one.temperature)
    samples, views, dimension = one.embeddings.shape
    see = world.relations(one.labels, views)
    ratio = (weight * see.same).sum(axis=1) / (weight * see.other).sum(axis=1)
    return rounded(ratio, 4 * dimension + 3 * samples * views + 60, ratio * (4 / one.temperature + 4))


# --- what happens ---------------------------------------------------------------------------------------------


@claim.run
def losses(worlds):
    """Record(gap, coupled, doubled (worlds,), anchor, distance (anchors,))."""
    each = [losses_of(one) for one in worlds]
    join = {"gap": stack, "coupled": stack, "doubled": stack, "anchor": concatenate, "distance": concatenate}
    return Record(**{name: joined([part[name] for part in each]) for name, joined in join.items()})


@claim.run
def gap_at_opposites(opposites):
    return losses(opposites).gap


def losses_of(one):
    """Gap of one instance: as it is, coupled (NT-Xent), with the positive twice in CL, and anchor by anchor."""
    sums = world.log_sums(one.embeddings, one.labels, one.temperature)
    negatives, low = np.logaddexp(sums.same, sums.other)[:, None], sums.other[:, None]
    pair = world.positive_pairs(one.embeddings) / one.temperature
    supervised = np.logaddexp(pair, low)
    values = {
        "gap": world.contrastive(sums).mean() - world.supervised(sums).mean(),
        "coupled": (np.logaddexp(pair, negatives) - supervised).mean(),
        "doubled": (np.logaddexp(pair + np.log(2), negatives) - supervised).mean(),
        "anchor": world.contrastive(sums) - world.supervised(sums),
        "distance": distance_of(one),
    }
    return {name: world.rounded_loss(x, one.embeddings, one.temperature) for name, x in values.items()}


def distance_of(one):
    """Total variation between the softmax over all negatives and that over other classes, (P,)."""
    sim = world.cosines(one.embeddings) / one.temperature
    see = world.relations(one.labels, one.embeddings.shape[1])

    def softmax(mask):
        x = np.where(mask, sim, -np.inf)
        return np.exp(x - world.log_sum_exp(x)[:, None])

    return np.abs(softmax(~see.positive) - softmax(see.other)).sum(axis=1) / 2


# --- checks ---------------------------------------------------------------------------------------------------


def at(worlds):
    return {"world": [one.name for one in worlds], "classes": [len(one.sizes) for one in worlds]}


@claim.check("gap-at-most-bound")
def gap_at_most(losses, bound, worlds):
    return at_most(losses.gap, bound, **at(worlds))


@claim.check("sharper-bounds")
def sharper_bounds(losses, sharper, worlds):
    return at_most(losses.gap, sharper, within=losses.gap.gap() + sharper.gap(), **at(worlds))


@claim.check("attained-at-opposites")
def attained(gap_at_opposites, sharper_at_opposites, opposites):
    """The mean over samples by all of them, the bound with n_max - 1 by classes of equal size."""
    even = [k for k, one in enumerate(opposites) if len({*one.sizes}) == 1]
    bounds = concatenate([sharper_at_opposites[0], sharper_at_opposites[1][even]])
    gap = concatenate([gap_at_opposites, gap_at_opposites[even]])
    return equal(gap, bounds, within=gap.gap() + bounds.gap())


@claim.check("not-negative")
def not_negative(losses, worlds):
    return at_most(0, losses.gap, within=losses.gap.gap(), **at(worlds))


@claim.check("anchor-by-anchor")
def anchor_by_anchor(losses, mass):
    logs = (1 + mass).log()
    return equal(losses.anchor, logs, within=losses.anchor.gap() + logs.gap())


@claim.check("softmax-distance")
def softmax_distance(losses, mass):
    """1 - exp(-gap_u) is S_same / (S_same + S_other)."""
    share = 1 - 1 / (1 + mass)
    return equal(losses.distance, share, within=losses.distance.gap() + share.gap())


@claim.check("positive-in-both-denominators")
def coupled_smaller(losses, worlds):
    return at_most(losses.coupled, losses.gap, within=losses.gap.gap(), **at(worlds))


@claim.check("positive-twice-in-one")
def doubled_bounded(losses, bound, worlds):
    return at_most(losses.doubled, bound, **at(worlds))


# --- near rivals ----------------------------------------------------------------------------------------------

NEARLY = Fraction(19, 10)
claim.control("exponent 1.9 / tau", exponent=NEARLY, must_fail="gap-at-most-bound")
claim.control("e in place of e^2", exponent=1, must_fail="gap-at-most-bound")
claim.control("smallest class in place of the largest", size=min, must_fail="gap-at-most-bound")
claim.control("sharper, exponent 1.9 / tau", exponent=NEARLY, must_fail="sharper-bounds")
claim.control("attained, exponent 1.9 / tau", exponent=NEARLY, must_fail="attained-at-opposites")
claim.control("n_max - 1 with the positive twice", less=1, must_fail="positive-twice-in-one")
claim.control("mass 1% larger", mass=lambda mass: mass * Fraction(101, 100), must_fail="anchor-by-anchor")
claim.control("mass 1% smaller", mass=lambda mass: mass * Fraction(99, 100), must_fail="softmax-distance")


def cooler(worlds):
    """Losses at a temperature 10% below that of the bound."""
    return losses([Record(**{**vars(one), "temperature": 0.9 * one.temperature}) for one in worlds])


def exchanged(losses):
    """NSCL minus CL."""
    return Record(**{**vars(losses), "gap": -losses.gap})


def positive_in_one(losses):
    """The gap with the positive twice in the denominator of CL, in place of once in both."""
    return Record(**{**vars(losses), "coupled": losses.doubled})


claim.control("losses at a temperature 10% lower", losses=cooler, must_fail="sharper-bounds")
claim.control("losses exchanged", losses=exchanged, must_fail="not-negative")
claim.control(
    "positive twice in one denominator", losses=positive_in_one, must_fail="positive-in-both-denominators"
)


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["every instance tried", r"classes of 3, $\tau = 1$"])
    curve = evidence.curve("gap-at-most-bound")
    shown = {"random": ".", "relabelled": ".", "driven uphill": "x"}
    for kind, marker in (*shown.items(), ("extremal", "D")):
        chosen = [name == kind or (kind == "extremal" and name not in shown) for name in curve.world]
        left.plot(
            curve.bound.middle[chosen], curve.measured.middle[chosen], marker, markersize=3.5, label=kind
        )
    rival = evidence.curve("gap-at-most-bound", control="exponent 1.9 / tau")
    above, grey = rival.measured.lower > rival.bound.upper, {"color": plot.CONTROL["color"], "markersize": 4}
    left.plot(
        rival.bound.middle[above], rival.measured.middle[above], "+", label="control: 1.9 for 2", **grey
    )
    left.plot([3e-3, 30], [3e-3, 30], color=plot.INK, **plot.BOUND)
    left.set(xscale="log", yscale="log", xlim=(0.1, 30), ylim=(3e-3, 30), xlabel="bound", ylabel="gap")
    for kind in ("simplex", "Gaussian centres"):
        chosen = [name == f"{kind}, 3 a class" for name in curve.world]
        classes = np.array(curve.classes)[chosen]
        right.plot(classes, curve.measured.middle[chosen], label=kind)
    right.plot(classes, curve.bound.middle[chosen], color=plot.INK, **plot.BOUND)
    right.set(xscale="log", yscale="log", xlabel="classes C", ylim=(1e-2, 3))
    plot.legend(left, bound="bound of Theorem 1")
    plot.legend(right)
