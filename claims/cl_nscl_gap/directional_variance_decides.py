r"""With more shots the variance along the line between means decides, whatever the variance across it.

Two Gaussian classes in dimension 200 at distance d = 1, covariance $\tilde V$ along the line between their means and
$V - \tilde V$ spread evenly across it. As $m \to \infty$ the error of nearest-centre classification tends to
$\Phi(-1 / (2 \sqrt{\tilde V}))$, whatever V. At m = 10 shots the class with $\tilde V = 0.05$, V = 20 has the larger error than the one with
$\tilde V = 0.2$, V = 1; at m = 10000 the smaller one. At every m, error and bounds are ordered as

$$error \ \le\ \frac{S}{S + d^4} \ \le\ 8 \tilde V + \frac{8}{\sqrt m} (V^s + V) + \frac4m V , \qquad
  S = 4\,\delta^T \Sigma \delta + R^2 , \quad R = 2 \sqrt{\frac{2\,\mathrm{tr}\,\Sigma^2}{m}} + \frac{2 \sqrt{2\,\mathrm{tr}\,\Sigma^2}}{m} + 2 \sqrt{\frac{\delta^T \Sigma \delta}{m}} .$$

---
By symmetry only the components along the line and along the sample matter, besides two chi-square variables: the law is exact.
The limit is tried at $m = 10^{10}$. A sample is misplaced when $2 \langle u, \delta \rangle + rest \ge 1$, the first part Gaussian, the rest
of mean 0 and variance at most $R^2$; so with $c = 1 / (2 \sqrt{\tilde V})$ and any s > 0 the error lies between the two of
$\Phi(-(1 \mp s)\,c) \pm R^2 / (R^2 + s^2)$.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, at_most, certify, equal, less, plot, stack, statistics

claim = Claim("cl-nscl-gap/directional-variance-decides", full={"draws": 2_000_000})
SETTINGS = (
    (0.05, 1.0),
    (0.05, 20.0),
    (0.2, 1.0),
    (0.2, 20.0),
    (0.005, 20.0),
)  # directional variance, variance
SHOTS = (10, 100, 1_000, 10_000)


@claim.reference
def one_sided(settings=SETTINGS, shots=SHOTS, dimension=200, rest=1):
    """S / (S + t^2): (settings, shots)."""
    rows = [[one_sided_of(along, total, m, dimension, rest) for m in shots] for along, total in settings]
    return stack([stack(row) for row in rows])


def one_sided_of(along, total, shots, dimension, rest):
    """Of two classes of equal covariance: t = 1, and E |u|^4 - v^2 = 2 tr Sigma^2 for a Gaussian."""

    def bound(a, v, m):
        S = 4 * a + rest * noise(a, v, m, dimension) ** 2
        return S / (S + 1)

    return certify.evaluate(bound, along, total, shots)


def noise(a, v, m, dimension):
    """R."""
    square = a**2 + (v - a) ** 2 / (dimension - 1)
    return 2 * (2 * square / m).sqrt() + 2 * (2 * square).sqrt() / m + 2 * (a / m).sqrt()


@claim.reference
def limit(settings, dimension, endless, wider=1):
    """Phi(-1 / (2 sqrt(wider Vt))), with how far the error at `endless` shots may be from it: (settings,)."""

    def end(sign):
        def of(a, v, m, w):
            R = noise(a, v, m, dimension)
            s = 2 * (R**2).root(3)  # whatever s, the bound holds; this one makes it small
            return tail(1 - sign * s, w * a) + sign * R**2 / (R**2 + s**2)

        return stack([certify.evaluate(of, *setting, endless, wider) for setting in settings])

    return certify.bracket(end(-1), end(1), "the limit and what the noise of the centres may change")


def tail(x, a):
    """Phi(-x / (2 sqrt a))."""
    return (x / (8 * a).sqrt()).erfc() / 2


@claim.reference
def proposition(settings, shots, finite=1):
    def bound(a, v, m):
        return 8 * a + finite * (8 * (v.sqrt() + v) / m.sqrt() + 4 * v / m)

    return stack([stack([certify.evaluate(bound, *setting, m) for m in shots]) for setting in settings])


@claim.run
def wrong(rng, settings, shots, dimension, draws=40_000):
    """Errors among `draws` samples of one class, each with fresh centres: (settings, shots)."""
    return np.array(
        [[count(rng, along, total, m, dimension, draws) for m in shots] for along, total in settings]
    )


@claim.run
def wrong_in_the_end(rng, settings, dimension, end_draws=200_000, endless=10**10):
    """The same at one number of shots that is all but infinite: (settings,)."""
    return np.array([count(rng, along, total, endless, dimension, end_draws) for along, total in settings])


def count(rng, along, total, m, dimension, draws):
    across = (total - along) / (dimension - 1)
    sample, own, other = (rng.normal(size=draws) * np.sqrt(along) for _ in range(3))
    length = np.sqrt(across * rng.chisquare(dimension - 1, draws))  # of the sample, across the line

    def squared_distance(along_line):
        beside = rng.normal(size=draws) * np.sqrt(across / m)
        return along_line**2 + (length - beside) ** 2 + across / m * rng.chisquare(dimension - 2, draws)

    nearer = squared_distance(sample - own / np.sqrt(m)) < squared_distance(sample - 1 - other / np.sqrt(m))
    return int(draws - nearer.sum())


@claim.measurement
def error(wrong, draws):
    return statistics.proportion(wrong, draws)


@claim.measurement
def error_in_the_end(wrong_in_the_end, end_draws):
    return statistics.proportion(wrong_in_the_end, end_draws)


def at(settings, shots):
    names = [[f"Vt = {along:g}, V = {total:g}"] for along, total in settings]
    return {"setting": names, "shots": list(shots)}


@claim.check("one-sided")
def at_most_one_sided(error, one_sided, settings, shots):
    return at_most(error, one_sided, **at(settings, shots))


@claim.check("proposition")
def at_most_proposition(error, proposition, settings, shots):
    return at_most(error, proposition, **at(settings, shots))


@claim.check("bounds-ordered")
def ordered(one_sided, proposition, settings, shots):
    return at_most(one_sided, proposition, **at(settings, shots))


@claim.check("few-shots")
def few(error):
    """Twenty times the variance outweighs a fourth of the directional one."""
    return less(error[2, 0], error[1, 0])


@claim.check("many-shots")
def many(error):
    return less(error[1, -1], error[2, -1])


@claim.check("limit")
def tends_to_limit(error_in_the_end, limit, settings):
    names = at(settings, ())["setting"]
    within = error_in_the_end.gap(each=True) + limit.gap(each=True)
    return equal(error_in_the_end, limit, within=within, setting=[name for (name,) in names])


# --- near rivals ----------------------------------------------------------------------------------------------


def with_second(setting):
    return (SETTINGS[0], setting, *SETTINGS[2:])


claim.control("8 Vt alone", finite=0, must_fail="proposition")
claim.control("8 Vt alone, below the other bound", finite=0, must_fail="bounds-ordered")
claim.control("centres taken as exact", rest=0, must_fail="one-sided")
claim.control("limit of a Vt 20% larger", wider=Fraction(6, 5), must_fail="limit")
claim.control("V = 2 in place of 20", settings=with_second((0.05, 2.0)), must_fail="few-shots")
claim.control("Vt = 0.25 in place of 0.05", settings=with_second((0.25, 20.0)), must_fail="many-shots")


@claim.figure
def draw(figure, evidence):
    from scipy.stats import norm

    titles = [r"$\tilde V$ = 0.05", r"$\tilde V$ = 0.2"]
    panels = plot.panel_grid(figure, titles, sharey=True)
    error, bounds = evidence.of("error"), (evidence.of("proposition"), evidence.of("one_sided"))
    for k, (panel, along) in enumerate(zip(panels, (0.05, 0.2), strict=True)):
        for row, total, color in ((2 * k, 1, plot.COLORS[0]), (2 * k + 1, 20, plot.COLORS[1])):
            plot.curve_with_bound(panel, SHOTS, error[row], color=color, linestyle="-", label=f"V = {total}")
            panel.plot(SHOTS, bounds[0].middle[row], color=color, **plot.BOUND)
            panel.plot(SHOTS, bounds[1].middle[row], color=color, linestyle="-", linewidth=0.7)
        panel.plot(SHOTS, np.full(4, norm.cdf(-0.5 / along**0.5)), label="limit", color=plot.COLORS[2])
        panel.axhline(8 * along, label="control: 8 Vt alone", **plot.CONTROL)
        panel.set(xscale="log", yscale="log", xlabel="shots m", ylim=(5e-3, 200))
    panels[0].set_ylabel("error")
    panels[0].plot([], [], color=plot.INK, linestyle="-", linewidth=0.7, label="one-sided bound")
    plot.legend(panels, bound="Proposition 1")
