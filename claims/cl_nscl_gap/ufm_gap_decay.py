r"""At the exact minimisers the gap and the excess of NSCL are closed forms, and they fall like 1/C.

For C balanced classes of n samples (N = n C) with K views, free embeddings in dimension $d \ge N - 1$, the
minimiser of the contrastive loss is a simplex of the N samples, $L_{CL}^* = \log(K(N-1)) - \frac{N}{(N-1)\tau}$, and

$$gap(f_{CL}) = \log(1 + x), \quad x = \frac{n-1}{n\,(C-1)}, \qquad
  gap(f_{NSCL}) = \log\Big(1 + x\, e^{\frac{C}{(C-1)\tau}}\Big), \qquad
  L_{NSCL}(f_{CL}) - L^* = \frac1\tau \Big(\frac{1}{C-1} - \frac{1}{N-1}\Big) .$$

The first does not depend on the temperature; its slope in log(C - 1) is $-x / ((1+x) \log(1+x))$, which falls to -1.
For any two minimisers $L^* \le L_{NSCL}(f_{CL}) \le L_{CL}(f_{CL}) \le L_{CL}(f_{NSCL}) \le L^* + \log(1 + e^{2/\tau}/(C-1))$.

---
Gradient descent of free embeddings reaches both minima; a slope between two numbers of classes lies between the local slopes
at them. How a loss that is $\epsilon$ above its minimum pins down the gap: let R = 2/tau, $c = R^2 / (R - 1 + e^{-R})$ and
$k = (e^R - 1 - R) / R^2$. Both softmaxes of an anchor ignore a common shift of its similarities, whose mean
variance is at most $c\,\epsilon$; so gap(f_CL) is off by at most $\epsilon + 2 k c\,\epsilon + \sqrt{2 c\,\epsilon}$, and
gap(f_NSCL), whose anchors deviate by the length of the mean, by at most $2 (C + 1)\,\epsilon + \sqrt{2 \epsilon / \tau}$.
"""

from fractions import Fraction
from itertools import pairwise

import numpy as np

from verify import Claim, Record, at_most, certify, concatenate, equal, exact, plot, rounded, stack, stated

from . import _free, _program, world

claim = Claim(
    "cl-nscl-gap/ufm-gap-decay",
    cases={"temperature": (1.0, 0.5)},
    full={"classes": (2, 3, 4, 6, 8, 12, 16, 24), "per_class": 4, "steps": 4000},
)
CLASSES = (2, 3, 6, 12)

# --- what theory says -----------------------------------------------------------------------------------------


@claim.reference
def minima(classes, per_class, temperature, views=2):
    """Smallest CL, then smallest NSCL: (2, classes)."""
    contrastive = [world.smallest_contrastive(C * per_class, views, temperature) for C in classes]
    return stack(
        [stack(contrastive), stack([world.smallest_nscl(C, per_class, views, temperature) for C in classes])]
    )


@claim.reference
def gap_at_cl(classes, per_class, left_out=1):
    return certify.log(1 + exact([share(C, per_class, left_out) for C in classes]))


@claim.reference
def gap_at_nscl(classes, per_class, temperature, factor=1):
    power = exact([factor * Fraction(C, C - 1) for C in classes]) / world.in_fractions(temperature)
    return certify.log(1 + exact([share(C, per_class) for C in classes]) * certify.exp(power))


@claim.reference
def excess(classes, per_class, temperature, samples_less=1):
    difference = [Fraction(1, C - 1) - Fraction(1, C * per_class - samples_less) for C in classes]
    return exact(difference) / world.in_fractions(temperature)


@claim.reference
def slopes(classes, per_class):
    """Of log gap(f_CL) in log(C - 1), at every C."""

    def local(x):
        return -x / ((1 + x) * (1 + x).log())

    return stack([certify.evaluate(local, share(C, per_class)) for C in classes])


def share(classes, per_class, left_out=1):
    return Fraction(per_class - left_out, per_class * (classes - 1))


@claim.reference
def program(temperature):
    """The smallest contrastive loss of six samples over all Gram matrices."""
    return _program.smallest(world.balanced(2, 3), 1, temperature, "cl").value


@claim.reference
def six_samples(temperature):
    return world.smallest_contrastive(6, 1, temperature)


# --- what happens ---------------------------------------------------------------------------------------------


@claim.run
def ends(rng, temperature, views, classes=CLASSES, per_class=3, steps=2000, narrow=False):
    """Where descents on CL and on NSCL end, for every C: both losses with their rounding, Record((2, classes))."""
    rows = []
    for loss in ("cl", "nscl"):
        for C in classes:
            labels = world.balanced(C, per_class)
            room = max(len(labels), 4)
            dimension = C - 1 if narrow and loss == "cl" else room
            args = labels, views, dimension, temperature
            rows.append((_free.descend(rng, *args, loss, steps, keep=2, room=room).last, labels))
    losses = [both_losses(z, labels, temperature) for z, labels in rows]
    shape = 2, len(classes)
    return Record(**{name: table([one[name] for one in losses], shape) for name in losses[0]})


def both_losses(z, labels, temperature):
    sums = world.log_sums(z, labels, temperature)
    cl, nscl = world.contrastive(sums).mean(), world.supervised(sums).mean()
    values = {"cl": cl, "nscl": nscl, "gap": cl - nscl}
    return {name: world.rounded_loss(value, z, temperature) for name, value in values.items()}


def table(values, shape):
    rows, columns = shape
    return stack([stack(values[i * columns : (i + 1) * columns]) for i in range(rows)])


@claim.measurement
def reached(ends):
    """CL where its descent ends, NSCL where its own does: (2, classes)."""
    return stack([ends.cl[0], ends.nscl[1]])


def pinned(reached, minima, temperature, classes):
    """How far both gaps may be from those at the minimisers, given how far the losses may be: Record((classes,))."""
    R, above = 2 / temperature, np.maximum((reached - minima).upper, 0.0)
    c, k = R**2 / (R - 1 + np.exp(-R)), (np.exp(R) - 1 - R) / R**2
    at_cl = above[0] + 2 * k * c * above[0] + np.sqrt(2 * c * above[0])
    at_nscl = 2 * (np.array(classes) + 1) * above[1] + np.sqrt(2 * above[1] / temperature)
    return Record(cl=rounded(at_cl, 40, at_cl), nscl=rounded(at_nscl, 40, at_nscl))


# --- checks ---------------------------------------------------------------------------------------------------


@claim.check("minima-attained")
def attained(reached, minima, classes):
    return equal(reached, minima, within=reached.gap() + minima.gap(), classes=list(classes))


@claim.check("gap-at-cl")
def contrastive_gap(ends, reached, minima, gap_at_cl, temperature, classes):
    within = pinned(reached, minima, temperature, classes).cl + ends.gap.gap()
    return equal(ends.gap[0], gap_at_cl, within=within, classes=list(classes))


@claim.check("gap-at-nscl")
def supervised_gap(ends, reached, minima, gap_at_nscl, temperature, classes):
    within = pinned(reached, minima, temperature, classes).nscl + ends.gap.gap()
    return equal(ends.gap[1], gap_at_nscl, within=within, classes=list(classes))


@claim.check("excess-at-cl")
def supervised_excess(ends, reached, minima, excess, temperature, classes):
    within = pinned(reached, minima, temperature, classes).cl + 2 * (ends.nscl.gap() + minima.gap())
    return equal(ends.nscl[0] - minima[1], excess, within=within, classes=list(classes))


@claim.check("slope")
def slope(ends, slopes, classes):
    """Measured slopes at most the local one on their left, and at least that on their right."""
    gap, between = ends.gap[0], list(pairwise(classes))
    lengths = certify.log(exact([Fraction(b - 1, a - 1) for a, b in between]))
    measured = ((gap[1:] / gap[:-1]).log()) / lengths
    names = [f"{a} to {b}" for a, b in between]
    return at_most(
        concatenate([measured, slopes[1:]]), concatenate([slopes[:-1], measured]), classes=names * 2
    )


@claim.check("sandwich")
def sandwich(ends, minima, temperature, classes):
    """The chain, pair by pair: (4, classes)."""
    bound = world.certified_bound(np.array([Fraction(1, C - 1) for C in classes], dtype=object), temperature)
    chain = [minima[1], ends.nscl[0], ends.cl[0], ends.cl[1], minima[1] + bound]
    return at_most(stack(chain[:-1]), stack(chain[1:]), classes=list(classes))


@claim.check("program")
def program_value(program, six_samples):
    return equal(program, six_samples, within=stated(1e-6, "the accuracy that is asked of the solver"))


# --- near rivals ----------------------------------------------------------------------------------------------

claim.control("descent on CL in C - 1 dimensions", narrow=True, must_fail="minima-attained")
claim.control("n in place of n - 1", left_out=0, must_fail="gap-at-cl")
claim.control("exponent 1% larger", factor=Fraction(101, 100), must_fail="gap-at-nscl")
claim.control("N in place of N - 1", samples_less=0, must_fail="excess-at-cl")
claim.control("exponent 10% larger", slopes=lambda slopes: slopes * Fraction(11, 10), must_fail="slope")
claim.control("exponent 1/2", slopes=lambda slopes: slopes * Fraction(1, 2), must_fail="slope")
claim.control("descent on CL in C - 1 dimensions, sandwich", narrow=True, must_fail="sandwich")
claim.control(
    "smallest loss 1% larger",
    six_samples=lambda six_samples: six_samples * Fraction(101, 100),
    must_fail="program",
)


@claim.figure
def draw(figure, evidence):
    panels = plot.panel_grid(figure, [r"$\tau$ = 1", r"$\tau$ = 1/2"], sharey=True)
    for panel, case in zip(panels, evidence.cases, strict=True):
        for check, name in (
            ("gap-at-nscl", "gap at minimiser of NSCL"),
            ("gap-at-cl", "gap at minimiser of CL"),
        ):
            curve = evidence.curve(check, **case)
            x = np.array(curve.classes) - 1
            plot.curve_with_bound(panel, x, curve.measured, curve.bound, label=name, marker="o")
        curve = evidence.curve("excess-at-cl", **case)
        plot.curve_with_bound(panel, x, curve.measured, curve.bound, label="excess of NSCL there", marker="o")
        paper = np.log1p(np.exp(2 / case["temperature"]) / x)
        panel.plot(x, paper, color=plot.INK, linestyle="-", linewidth=0.8, label="bound of Theorem 1")
        rival = evidence.curve("gap-at-cl", "n in place of n - 1", **case)
        panel.plot(x, rival.bound.middle, label="control: n for n - 1", **plot.CONTROL)
        panel.set(xscale="log", yscale="log", xlabel="classes less one, $C - 1$", xlim=(0.9, 12))
    plot.legend(panels, bound="closed form")
