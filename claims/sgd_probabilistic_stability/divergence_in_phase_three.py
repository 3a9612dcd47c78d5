r"""Inside the phase in which both directions at the saddle contract, full SGD may still escape to infinity.

The exponents of the rank-zero saddle are local. For $f(x) = u w x$ with labels 1 or a with probability 1/2 each and
the balanced start $u_0 = w_0$ at the minimum, $p = u + w$ obeys $p' = p\,(1 + \lambda (y - p^2/4))$, and once
$p^2 \ge R^2 = 4 (3 + \lambda)/\lambda$ every later step at least doubles |p|, whatever the labels. Hence

$$P(\text{escape}) \ge P(p_t^2 \ge R^2 \text{ for some } t \le L) = 2^{-L}\, \#\{\text{label sequences that get there}\} > 0$$

at rates where $\Lambda_\pm < 0$; where $2 (1 + \lambda)^3 \le 27 (1 + \lambda a)$ it is 0.

---
The count follows all 2^L label sequences with $s = p^2/4$ in interval arithmetic.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, concatenate, equal, exact, less, plot, rounded, stack, statistics

from . import world

A, RATES = Fraction(-4, 5), ("0.75", "1.1", "1.2", "1.3", "1.4")

claim = Claim("sgd-probabilistic-stability/divergence-in-phase-three", full={"runs": 100_000, "length": 18})


@claim.instance
def rates(chosen=RATES):
    return world.fractions(chosen)


@claim.instance
def labels(rng, length=12, after=30, runs=20_000):
    """(L + 30, n) labels."""
    return world.sampled(rng, world.law([1, A]), (length + after, runs))


@claim.reference
def exponents(rates):
    """Lambda_+ and Lambda_- at the saddle, (2, rates)."""
    return stack([world.exponent(world.law([-sign, -sign * A]), rates) for sign in (1, -1)])


@claim.reference
def escapes(rates, length, second=A):
    """P(p^2 reaches R^2 within t steps), t = 1, ..., L; (rates, L)."""
    return exact(np.array([_counted(rate, second, length) for rate in rates], dtype=object))


def _counted(rate, second, length):
    """Fractions of the label sequences that have escaped after 1, ..., L steps, from s = (1 + a)/2."""
    s, gone, found, radius = exact(np.array([(1 + A) / 2], dtype=object)), 0, [], (3 + rate) / rate
    for t in range(1, length + 1):
        after = [s * (1 + rate * (y - s)) ** 2 * 1.0 for y in (Fraction(1), second)]
        s = concatenate(after)
        beyond = s - radius
        inside = beyond.upper < 0
        if not np.all(inside | (beyond.lower >= 0)):
            raise ValueError(f"a sequence ends too near the radius to be told at rate {rate}")
        gone, s = 2 * gone + int((~inside).sum()), s[inside]
        found.append(Fraction(gone, 2**t))
    return found


@claim.reference
def radii(rates):
    """R^2 / 4."""
    return exact([(3 + rate) / rate for rate in rates])


@claim.run
def path(labels, rates, length, shrink=1.0):
    """Record(beyond (rates, L, runs): has |u + w| reached R after 1, ..., L steps; size: the last |u| + |w|)."""
    rates, u = np.array(rates, dtype=float), np.sqrt(float(1 + A) / 2)
    last_u, last_w, at = world.descend_two_layers(labels, rates, (u, u), np.arange(1, length + 1))
    radius = shrink * np.sqrt(4 * (3 + rates) / rates)
    with np.errstate(invalid="ignore", over="ignore"):
        now = ~(np.abs(at["u"] + at["w"]) < radius[:, None])
        size = np.nan_to_num(np.abs(last_u) + np.abs(last_w), nan=np.inf)
    return Record(beyond=np.maximum.accumulate(now, axis=0).swapaxes(0, 1), size=size)


@claim.measurement
def escaped(path, runs):
    """Fraction of runs that are beyond the radius within L steps; (rates,)."""
    return statistics.proportion(path.beyond[:, -1].sum(axis=1), runs)


@claim.measurement
def share(path):
    """The same after each step, for the figure; (rates, L)."""
    return path.beyond.mean(axis=2)


@claim.measurement
def smallest(path, labels):
    """The smallest size at the end among the runs beyond, at rates where there are any."""
    least = np.where(path.beyond[:, -1], np.minimum(path.size, 1e300), np.inf).min(axis=1)
    least = least[np.isfinite(least)]
    return rounded(least, 8 * len(labels), least)


def factors(rates, radii):
    """|p'| / |p| of one step with either label from p^2 = R^2, 1.01 R^2 and 3 R^2; (rates, 2, 3)."""
    beyond = (Fraction(1), Fraction(101, 100), Fraction(3))
    each = [
        [[abs(1 + rate * (y - more * s)) for more in beyond] for y in (1, A)]
        for rate, s in zip(rates, radii.lower, strict=True)
    ]
    return exact(np.array(each, dtype=object))


@claim.assumption
def dominated(rates):
    """At the smallest rate no run rises above the linear one."""
    return at_most(exact(2 * (1 + rates[0]) ** 3), exact(27 * (1 + rates[0] * A)))


@claim.check("both-exponents-negative")
def both_negative(exponents, rates):
    return less(exponents, 0, rate=np.array(rates, dtype=float))


@claim.check("escape-has-positive-probability")
def positive(escapes, rates):
    return less(0, escapes[1:, -1], rate=np.array(rates, dtype=float)[1:])


@claim.check("escape-probability")
def escape_probability(escaped, escapes, rates, share):
    return equal(escaped, escapes[:, -1], within=escaped.gap(), rate=np.array(rates, dtype=float))


@claim.check("no-escape-at-the-smallest-rate")
def no_escape(escapes, rates):
    return equal(escapes[0, -1], 0, rate=float(rates[0]))


@claim.check("steps-double-beyond-the-radius")
def doubling(rates, radii):
    """Attained at the radius by the label 1."""
    return at_most(exact(2), factors(rates, radii), rate=np.array(rates, dtype=float)[:, None, None])


@claim.check("runs-double-beyond-the-radius")
def doubling_of_runs(smallest, after):
    return at_most(exact(2**after), smallest)


claim.control("a rate in phase II", chosen=(*RATES[:4], "1.5"), must_fail="both-exponents-negative")
claim.control(
    "rates up to 3/4",
    chosen=("0.6", "0.65", "0.7", "0.72", "0.75"),
    must_fail="escape-has-positive-probability",
)
claim.control("second label 15% nearer to 0", second=Fraction(-68, 100), must_fail="escape-probability")
claim.control("a rate 50% larger", chosen=("1.1", *RATES[1:]), must_fail="no-escape-at-the-smallest-rate")
claim.control(
    "a radius 1% smaller",
    radii=lambda radii: radii * Fraction(99, 100), must_fail="steps-double-beyond-the-radius",
)  # fmt: skip
claim.control("half the radius", shrink=0.5, must_fail="runs-double-beyond-the-radius")


@claim.figure
def draw(figure, evidence):
    (panel,) = plot.panel_grid(figure, ["runs from the minimum that escape, inside phase III"])
    escapes, share, escaped = (evidence.of(name) for name in ("escapes", "share", "escaped"))
    steps = np.arange(1, share.shape[1] + 1)
    for i, (rate, color) in enumerate(zip(RATES, plot.COLORS, strict=False)):
        panel.plot(steps, np.asarray(escapes.middle[i], dtype=float), color=color, **plot.BOUND)
        panel.plot(steps, share[i], "o", color=color, label=rf"$\lambda = {rate}$", markersize=3.5)
        error = [[share[i, -1] - escaped.lower[i]], [escaped.upper[i] - share[i, -1]]]
        panel.errorbar(steps[-1:], share[i, -1:], error, color=color)
    panel.set(xlabel="step $t$", ylabel="fraction escaped")
    plot.legend(panel, bound="enumeration", loc="upper left")
