r"""As the imbalance grows, majorities form a simplex of their own, at right angles to minorities, which need not collapse.

With $k_a$ classes of $n_a = R n_b$ samples and $k_b$ of $n_b$, the optimal inner products have limits as $R \to \infty$,

$$1 + (k_a - 1) \alpha \sim \frac{k_b \Gamma^2 v}{4 c^2 k_a R^2} , \qquad \beta \sim - \frac{\Gamma v}{2 k_a c R} , \qquad
\delta \to \delta_\infty = \min\Big( 1,\ \tau \log \frac{\Gamma^2}{4 c} \Big) , \qquad v = 1 + (k_b - 1) \delta_\infty ,$$

$$q = e^{-\frac{k_a}{(k_a - 1)\tau}} , \qquad c = \frac{k_a q}{1 + (k_a - 1) q} , \qquad
\Gamma = 1 + \frac{k_a e^{-1/\tau}}{1 + (k_a - 1) q} .$$

The limits are approached like 1/R. Minorities end up as one where the logarithm reaches $1/\tau$, whatever the number of them.
---
The optimum at every R is found with 50 digits and, at the smaller ones, compared with the certified k x k program. Limits
are extrapolated from the last three ratios; the resolution is by how much the last ratio moved the extrapolation.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, certify, equal, exact, plot, rounded, stack

from . import _certificates, _step, world

claim = Claim("sc-loss-ufm/minority-angle-limit", full={"drawn": 10})
RATIOS = (1, 2, 5, 10, 30, 100, 1_000, 10_000, 100_000, 1_000_000)
CERTIFIED, CLASSES = (5, 100), 6  # ratios and most classes where the program is certified


@claim.instance
def settings(rng, drawn=3):
    """(k_a, k_b, n_b, tau); in the fourth and fifth, minorities collapse."""
    named = [(3, 3, 5, 1.0), (5, 5, 10, 0.5), (10, 10, 5, 1.0), (2, 2, 2, 1.0), (2, 3, 4, 0.8)]
    counts = rng.integers((3, 2, 2), (7, 5, 8), size=(drawn, 3))
    return named + [(*map(int, row), float(rng.uniform(0.6, 1.5))) for row in counts]


@claim.reference
def limits(settings, four=4, pull=1, more=0):
    """Limits of R^2 (1 + (k_a - 1) alpha), R beta and delta, (settings, 3)."""
    return stack([limits_of(k_a + more, k_b, tau, four, pull) for k_a, k_b, _, tau in settings])


def limits_of(k_a, k_b, tau, four, pull):
    def angle(tau):
        _, c, gamma = constants(k_a, tau, pull)
        return tau * (gamma**2 / (four * c)).log()

    def of_small(tau, v):
        _, c, gamma = constants(k_a, tau, pull)
        return gamma**2 * v * k_b / (4 * c**2 * k_a)

    def across(tau, v):
        _, c, gamma = constants(k_a, tau, pull)
        return -gamma * v / (2 * k_a * c)

    delta = stack([certify.evaluate(angle, tau), exact(1)]).smallest()
    v = 1 + (k_b - 1) * delta
    return stack([certify.evaluate(of_small, tau, v), certify.evaluate(across, tau, v), delta])


def constants(k_a, tau, pull):
    q = (-k_a / ((k_a - 1) * tau)).exp()
    rest = 1 + (k_a - 1) * q
    return q, k_a * q / rest, 1 + pull * k_a * (-1 / tau).exp() / rest


@claim.reference
def rate():
    return exact(-1)


@claim.reference
def programs(settings):
    """Certified optima where classes are few: (settings, ratios, 3) inner products, known up to `within`."""
    products, within = [], []
    for k_a, k_b, n_b, tau in few(settings):
        found = [world.reduced((ratio * n_b,) * k_a + (n_b,) * k_b, tau) for ratio in CERTIFIED]
        products.append(
            stack([stack([M.enclosed[0, 1], M.enclosed[0, k_a], M.enclosed[k_a, -1]]) for M in found])
        )
        within.append(stack([_certificates.gram_bound(M.optimum.gap(), M) for M in found]))
    return Record(products=stack(products), within=stack(within))


def few(settings):
    return [setting for setting in settings if sum(setting[:2]) <= CLASSES]


@claim.run
def optima(settings):
    """(alpha, beta, delta, u) at every ratio, (settings, ratios, 4)."""
    return np.stack([_step.minimisers(*setting, RATIOS) for setting in settings])


@claim.measurement
def approach(optima):
    """R^2 u, R beta and delta with their rounding, (settings, ratios, 3)."""
    R = np.array(RATIOS, float)[:, None]
    scaled = np.concatenate([optima[:, :, 3:] * R**2, optima[:, :, 1:2] * R, optima[:, :, 2:3]], axis=2)
    return rounded(scaled, 3, np.abs(scaled))


def extrapolated(values):
    """What the 1/R term leaves of values at the last ratios R, the axis before the last."""
    R = exact(np.array(RATIOS[-values.shape[1] :])[:, None])
    scaled = R * values
    return (scaled[:, 1:] - scaled[:, :-1]) / (R[1:] - R[:-1])


@claim.check("limits")
def reached(approach, limits):
    far = extrapolated(approach[:, -3:])
    moved = abs(far[:, 1] - far[:, 0])
    return equal(far[:, 1], limits, within=moved + far.gap() + limits.gap(), of=["alpha", "beta", "delta"])


@claim.check("rate")
def slope(approach, limits, rate):
    """Between the last two ratios, of delta where minorities do not collapse."""
    setting, of = np.nonzero((limits.upper < 1) | (np.arange(3) < 2))
    logs = certify.log(abs(limits[setting, of][:, None] - approach[setting, -3:, of]))
    R = certify.log(exact(np.array(RATIOS[-3:])))
    slopes = (logs[:, 1:] - logs[:, :-1]) / (R[1:] - R[:-1])
    return equal(slopes[:, 1], rate, within=abs(slopes[:, 1] - slopes[:, 0]) + slopes.gap())


@claim.check("certified-programs")
def certified(optima, programs, settings):
    chosen = [i for i, setting in enumerate(settings) if setting in few(settings)]
    values = optima[chosen][:, [RATIOS.index(ratio) for ratio in CERTIFIED], :3]
    found = rounded(values, 1, np.abs(values))
    return equal(
        found,
        programs.products,
        within=programs.within[:, :, None] + found.gap(),
        R=[[[r] for r in CERTIFIED]],
    )


claim.control("Gamma^2 / (4.2 c)", four=4.2, must_fail="limits")
claim.control("softmax pull of minorities left out", pull=0, must_fail="limits")
claim.control("constants of one majority class more", more=1, must_fail="limits")
claim.control("rate R^(-9/10)", rate=lambda: exact(Fraction(-9, 10)), must_fail="rate")
claim.control(
    "programs at a temperature 1% higher", must_fail="certified-programs",
    programs=lambda settings: programs([(*counts, 1.01 * tau) for *counts, tau in settings]),
)  # fmt: skip


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["3 + 3 classes, $n_b$ = 5, $\\tau$ = 1", "minorities, $\\delta$"])
    optima, limits = evidence.of("optima"), evidence.of("limits").middle
    for i, name in enumerate((r"majorities, $\alpha$", r"across, $\beta$", r"minorities, $\delta$")):
        left.plot(RATIOS, optima[0, :, i], label=name)
        end = (-1 / 2, 0, limits[0, 2])[i]
        left.axhline(end, color=plot.COLORS[i], **plot.BOUND)
    rival = evidence.of("limits", control="constants of one majority class more").middle
    for i, (k_a, k_b, n_b, tau) in enumerate(evidence.of("settings")[:5]):
        right.plot(RATIOS, optima[i, :, 2], label=f"{k_a} + {k_b}, {n_b}, {tau:g}")
        right.axhline(limits[i, 2], color=plot.COLORS[i], **plot.BOUND)
        right.axhline(rival[i, 2], label="control: $k_a + 1$" if i == 0 else None, **plot.CONTROL)
    for panel in (left, right):
        panel.set(xscale="log", xlabel="imbalance $R$")
    left.set_ylabel("inner product")
    plot.legend(left, bound="limit")
    plot.legend(right, title="$k_a + k_b$, $n_b$, $\\tau$")
