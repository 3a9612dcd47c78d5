r"""The error of nearest-centre classification from m shots is bounded by variances, foremost that along the line between means.

Let $\mu_c, \Sigma_c$ be mean and covariance of class c, $\delta = \mu_j - \mu_i$, $d = \|\delta\|$, $v_i = \mathrm{tr}\,\Sigma_i$, and average over ordered
pairs: directional variance $\tilde V_{ij} = \delta^T \Sigma_i \delta / d^4$, variance $V_{ij} = (v_i + v_j) / (2 d^2)$, $V^s_{ij} = \sqrt{v_i} / d$.
For $C' \ge 2$ classes, $m \ge 10$, $A = 2 + 2^{3/2}/m$ and every $a \ge 5$, the average error over draws of the centres is at most

$$(C'-1) \Big[ 8 \tilde V + \frac{8}{\sqrt m} (V^s + V) + \frac4m V \Big] \quad\text{and}\quad
  (C'-1) \Big[ \Big(\frac12 - \frac Aa\Big)^{-2} \tilde V + \frac a4 \Big( \frac{2}{\sqrt m} (V^s + V) + \frac Vm \Big) \Big] .$$

Sharper: a pair contributes at most $S / (S + t^2)$, where $t = d^2 + (v_j - v_i)/m > 0$, $S = 4\,\delta^T \Sigma_i \delta + R^2$,
$R = 2 \sqrt{\mathrm{tr}\,\Sigma_i (\Sigma_i + \Sigma_j) / m} + \sqrt{q_i} + \sqrt{q_j} + 2 \sqrt{\delta^T \Sigma_j \delta / m}$ and q is the variance of
the squared error of a centre. With exact centres it becomes $4 \tilde V_{ij} / (1 + 4 \tilde V_{ij})$, which is attained.

---
A sample u + mu_i goes to j when $X = 2 \langle u, \delta \rangle + rest \ge d^2$, the two parts being uncorrelated; then Cantelli's
inequality. The classes have two points each, so every error is a fraction, enumerated. The factors 8 and 4 are far from
attained; the last bound is.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, equal, exact, plot, stack

from . import _few_shot

claim = Claim(
    "cl-nscl-gap/few-shot-bound",
    cases={"shots": (10, 20)},
    full={"cases": {"shots": (10, 30, 60)}, "draws": 200},
)
FREE = (5, 8, 16, 40, 150)  # values of a


@claim.instance
def classes(rng, draws=40):
    """A list of records (see `_few_shot.instance`), the extremal ones first."""
    return [*_few_shot.named(), *_few_shot.drawn(rng, draws)]


@claim.space("classes", build=lambda points, twentieths: [_few_shot.built(points, twentieths)])
def two_classes(draw):
    from hypothesis import strategies as st

    dimension, numbers = draw(st.integers(1, 3)), st.integers(-50, 50)
    point = st.lists(numbers, min_size=dimension, max_size=dimension)
    pairs = st.lists(st.lists(point, min_size=2, max_size=2), min_size=2, max_size=2)
    return {"points": draw(pairs), "twentieths": draw(st.lists(st.integers(1, 19), min_size=2, max_size=2))}


@claim.instance
def lines(rng, draws):
    """Laws of <u, delta> / d for exact centres: (value, probability) of a class's first point, the other follows.

    The extremal ones put the first point on the middle between the means; random ones are rarely beyond it.
    """
    laws = [(Fraction(10), Fraction(k, 20)) for k in (1, 2, 5, 10, 15)]
    return laws + [
        (Fraction(int(x)), Fraction(int(k), 20))
        for x, k in zip(rng.integers(1, 25, draws), rng.integers(1, 20, draws), strict=True)
    ]


# --- what theory says -----------------------------------------------------------------------------------------


@claim.measurement
def averages(classes):
    """Record(directional, dispersion, root, pairs: C' - 1), each (instances,)."""
    found = _few_shot.averages(classes)
    return Record(**vars(found), rivals=np.array([len(one.chances) - 1 for one in classes], dtype=object))


@claim.reference
def proposition(averages, shots, finite=1):
    """finite: weight of the terms that fade with m."""
    fading = 8 * (averages.root + averages.dispersion) / certify.sqrt(shots) + 4 * averages.dispersion / shots
    return averages.rivals * (8 * averages.directional + finite * fading)


@claim.reference
def corollary(averages, shots, finite):
    """For every a: (a, instances)."""
    A = 2 + certify.sqrt(8) / shots
    B = (2 * (averages.root + averages.dispersion) / certify.sqrt(shots) + averages.dispersion / shots) / 4
    steady = [averages.directional / (Fraction(1, 2) - A / a) ** 2 for a in FREE]
    return stack([averages.rivals * (s + finite * a * B) for s, a in zip(steady, FREE, strict=True)])


@claim.reference
def one_sided(classes, shots, factor=4, rest=1):
    return stack([_few_shot.one_sided(one, shots, factor, rest) for one in classes])


@claim.reference
def limit(lines, factor, power=4):
    """factor Vt / (1 + factor Vt), means 20 apart."""
    variances = [p / (1 - p) * x**2 * 20**2 / Fraction(20**power) for x, p in lines]
    return exact([factor * V / (1 + factor * V) for V in variances])


# --- what happens ---------------------------------------------------------------------------------------------


@claim.run
def errors(classes, shots):
    return exact([_few_shot.error(one, shots) for one in classes])


@claim.run
def errors_of_exact_centres(lines):
    """Probability of being at least as near to the other mean, 20 away: the second point lies on the other side."""
    return exact([p * (x >= 10) for x, p in lines])


# --- checks ---------------------------------------------------------------------------------------------------


def names(classes):
    return [one.name for one in classes]


@claim.check("proposition")
def at_most_proposition(errors, proposition, classes):
    return at_most(errors, proposition, classes=names(classes))


@claim.check("corollary")
def at_most_corollary(errors, corollary, classes):
    return at_most(errors, corollary, classes=names(classes), a=[[a] for a in FREE])


@claim.check("one-sided")
def at_most_one_sided(errors, one_sided, classes):
    return at_most(errors, one_sided, classes=names(classes))


@claim.check("limit")
def at_most_limit(errors_of_exact_centres, limit):
    return at_most(errors_of_exact_centres, limit)


@claim.check("limit-attained")
def limit_attained(errors_of_exact_centres, limit):
    """By the laws that reach the middle."""
    return equal(errors_of_exact_centres[:5], limit[:5])


# --- near rivals ----------------------------------------------------------------------------------------------

claim.control("8 Vt alone", finite=0, must_fail="proposition")
claim.control("terms in m left out", finite=0, must_fail="corollary")
claim.control("factor 3.2 in S", factor=Fraction(16, 5), must_fail="one-sided")
claim.control("centres taken as exact", rest=0, must_fail="one-sided")
claim.control("factor 3.6", factor=Fraction(18, 5), must_fail="limit")
claim.control("factor 2", factor=2, must_fail="limit")
claim.control("factor 4.4", factor=Fraction(22, 5), must_fail="limit-attained")
claim.control("projection on delta / |delta|^2", power=6, must_fail="limit")


@claim.figure
def draw(figure, evidence):
    panels = plot.panel_grid(figure, ["10 shots", "20 shots"], sharey=True, sharex=True)
    for panel, case in zip(panels, evidence.cases, strict=True):
        error = evidence.curve("one-sided", **case).measured.middle
        order = np.argsort(error)
        shown = order[error[order] > 1e-6]
        x = np.arange(len(shown))
        for check, name in (("proposition", "Proposition 1"), ("one-sided", "one-sided bound")):
            curve = evidence.curve(check, **case)
            panel.plot(x, curve.bound.middle[shown], ".", markersize=4, label=name)
        panel.plot(x, error[shown], "D", markersize=2.5, label="error, exact", color=plot.COLORS[2])
        rival = evidence.curve("proposition", "8 Vt alone", **case)
        panel.plot(
            x, rival.bound.middle[shown], "x", markersize=3.5, label="control: 8 Vt alone", color="#8B8F96"
        )
        panel.axhline(1, color=plot.INK, **plot.BOUND)
        panel.set(yscale="log", xlabel="instances, sorted", ylim=(1e-6, 1e5))
    panels[0].set_ylabel("average error")
    plot.legend(panels, bound="1: above, a bound says nothing")
