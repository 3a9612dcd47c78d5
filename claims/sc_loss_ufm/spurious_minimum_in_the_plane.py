r"""Where the theorem ends: in the plane, three classes have a strict local minimum that is not global, exactly when it is cold.

Let classes A and B have q samples each and C two, and d = 2 = k - 1. Put A at 0, B at 180 degrees, and split C between 90 and
-90 degrees. This is a critical point. Up to rotation it is a strict local minimum if and only if $\tau < \tau_q$, the zero of

$$\kappa(\tau) = \frac{2 q\, w (1 - w)}{\tau^2} + \frac{4 q}{S_C \tau^2} - \frac{8}{\tau} \Big( 1 - \frac{e^{-1/\tau}}{S_C} \Big) ,
\qquad w = \frac{2}{S_A} ,$$

$S_A = (q-1) e^{1/\tau} + q e^{-1/\tau} + 2$, $S_C = e^{-1/\tau} + 2q$: the second derivative along which both halves of C move
towards A, or towards B. It is not global: for $q \le 6$ it costs at least $2/\tau$ more. A third dimension opens a way down.
---
Derivatives are taken at exact cosines and sines. Training starts next to the point, once below and once above $\tau_q$.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, at_most, certify, concatenate, equal, exact, less, plot, stack

from . import _certificates, _descent, _planar, world

claim = Claim("sc-loss-ufm/spurious-minimum-in-the-plane", full={"qs": (2, 3, 4, 5, 6), "draws": 20})


@claim.instance
def grid(temperatures=(0.1, 0.15, 0.2, 0.24, 0.26, 0.28, 0.3, 0.5, 1.0)):
    return np.array(temperatures)


@claim.instance
def start(rng, qs=(2, 3, 5), draws=4, dimension=2, noise=1e-3):
    """The split point with some noise, (qs * draws, ...), at the first temperature and then at the second."""
    H = np.zeros((2, len(qs), draws, world.DEPTH, world.WIDTH))
    for i, q in enumerate(qs):
        _, turns = _planar.split_point(q)
        plane = np.stack([_planar.COSINE[turns], _planar.COSINE[(turns - 1) % 4]])
        H[:, i, :, :2, : len(turns)] = plane
        H[:, i, :, :dimension, : len(turns)] += noise * rng.normal(size=(2, draws, dimension, len(turns)))
    return H.reshape(-1, world.DEPTH, world.WIDTH)


@claim.reference
def critical(qs):
    """tau_q."""
    return stack([certify.root(kappa, 0.2, 0.4, q) for q in qs])


@claim.reference
def curvature(qs, grid, squared=1):
    """kappa, (qs, temperatures). squared=0: w in place of w (1 - w), for a control."""
    return stack([stack([certify.evaluate(kappa, tau, q, squared) for tau in grid.tolist()]) for q in qs])


def kappa(tau, q, squared=1):
    cold = (-1 / tau).exp()
    S_A, S_C = (q - 1) / cold + q * cold + 2, cold + 2 * q
    w = 2 / S_A
    return 2 * q * w * (1 - squared * w) / tau**2 + 4 * q / S_C / tau**2 - 8 / tau * (1 - cold / S_C)


@claim.reference
def optimum(qs, grid):
    """The least loss (qs, temperatures), in the plane as in any dimension."""
    return stack([stack([world.reduced((q, q, 2), float(tau), 2).optimum for tau in grid]) for q in qs])


@claim.reference
def cost(grid, factor=2):
    """What the split point costs more at least."""
    return exact(factor) / grid


@claim.run
def ends(start, qs, draws, temperatures_of_runs=(0.2, 0.3), steps=3000):
    """Features after training, (2, qs, draws, d, n)."""
    labels = np.repeat([world.padded(_planar.split_point(q)[0]) for q in qs], draws, axis=0)
    temperatures = np.repeat(temperatures_of_runs, len(labels))
    H = _descent.descend(start, np.tile(labels, (2, 1)), temperatures, steps, keep=2).features[-1]
    return H.reshape(2, len(qs), draws, world.DEPTH, world.WIDTH)


@claim.measurement
def expansions(qs, grid, more=0, pairs=1):
    """The loss to second order at the split point, one a q and temperature."""
    return [[_planar.at_split(q, tau, more, pairs) for tau in grid.tolist()] for q in qs]


@claim.measurement
def inside(expansions):
    """Least second derivatives in the plane but for rotation, (qs, temperatures)."""
    return stack([stack([_planar.least_but_rotation(at.inside) for at in row]) for row in expansions])


@claim.measurement
def halves(expansions):
    """Second derivatives along which the two samples of C move towards A, (qs, temperatures)."""
    found = [stack([at.inside for at in row])[:, -2:, -2:] for row in expansions]
    return stack([each[:, 0, 0] + each[:, 1, 1] - 2 * each[:, 0, 1] for each in found])


@claim.measurement
def outside(expansions):
    """Least second derivatives out of the plane, (qs, temperatures)."""
    return stack([stack([certify.smallest_eigenvalue(at.outside) for at in row]) for row in expansions])


@claim.measurement
def crossing(qs, halvings=13):
    """Where the least second derivative in the plane changes its sign, by bisection."""
    return stack([_planar.crossing(q, halvings) for q in qs])


@claim.measurement
def arrived(ends, qs, draws, temperatures_of_runs):
    """Losses after training, (2, qs, draws)."""
    found = []
    for H, tau in zip(ends, temperatures_of_runs, strict=True):
        masks = [[mask[0] for mask in world.pairs(_planar.split_point(q)[0][None])] for q in qs]
        grams = [_certificates.gram(h[:, :, : 2 * q + 2]) for h, q in zip(H, qs, strict=True)]
        found += [stack([_certificates.losses(G, *m, tau) for G, m in zip(grams, masks, strict=True)])]
    return stack(found)


@claim.check("critical-point")
def stationary(expansions):
    slope = concatenate([at.slope for row in expansions for at in row])
    return equal(slope, 0, within=slope.gap(each=True))


@claim.check("second-derivative")
def second(halves, curvature, grid, qs):
    within = halves.gap(each=True) + curvature.gap(each=True)
    return equal(halves, curvature, within=within, temperature=grid, q=np.reshape(qs, (-1, 1)))


@claim.check("strict-minimum-exactly-when-cold")
def strict(inside, critical, grid, qs):
    """The least second derivative has the sign of tau_q - tau."""
    return less(0, inside * (critical[:, None] - grid), temperature=grid, q=np.reshape(qs, (-1, 1)))


@claim.check("critical-temperature")
def temperature(crossing, critical, qs):
    return equal(critical, crossing, within=crossing.gap(each=True) + critical.gap(), q=qs)


@claim.check("not-global")
def higher(expansions, optimum, cost, critical, grid):
    """Wherever it is a minimum."""
    cold = grid < critical.smallest().lower
    loss = stack([stack([at.loss for at in row]) for row in expansions])
    return at_most(cost[cold], (loss - optimum)[:, cold], temperature=grid[cold])


@claim.check("training-stays-when-cold")
def stays(arrived, qs, temperatures_of_runs):
    tau = temperatures_of_runs[0]
    there = stack([_planar.at_split(q, tau).loss for q in qs])
    within = stack([world.resolution(2 * q + 2, tau) for q in qs]) + arrived.gap() + there.gap()
    return equal(arrived[0], there[:, None], within=within[:, None], q=np.reshape(qs, (-1, 1)))


@claim.check("training-leaves-when-warm")
def leaves(arrived, qs, optimum, grid, temperatures_of_runs):
    tau = temperatures_of_runs[1]
    best = optimum[:, int(np.flatnonzero(grid == tau)[0])]
    within = stack([world.resolution(2 * q + 2, tau) for q in qs]) + arrived.gap() + best.gap()
    return equal(arrived[1], best[:, None], within=within[:, None], q=np.reshape(qs, (-1, 1)))


@claim.check("a-third-dimension-leads-down")
def down(outside, grid, qs):
    return less(outside, 0, temperature=grid, q=np.reshape(qs, (-1, 1)))


claim.control("one sample more in A", more=1, must_fail="critical-point")
claim.control("w in place of w (1 - w)", squared=0, must_fail="second-derivative")
claim.control("a class of four split in pairs", pairs=2, must_fail="strict-minimum-exactly-when-cold")
claim.control("critical temperature 10% higher", critical=lambda critical: 1.1 * critical,
              must_fail="strict-minimum-exactly-when-cold")  # fmt: skip
claim.control(
    "critical temperature 1% lower",
    critical=lambda critical: 0.99 * critical,
    must_fail="critical-temperature",
)
claim.control("cost of 2.4/tau", factor=Fraction(12, 5), must_fail="not-global")
claim.control("three dimensions", dimension=3, must_fail="training-stays-when-cold")
claim.control(
    "both runs above the critical temperature",
    temperatures_of_runs=(0.29, 0.3),
    must_fail="training-stays-when-cold",
)
claim.control("both runs below it", temperatures_of_runs=(0.2, 0.24), must_fail="training-leaves-when-warm")
claim.control(
    "second derivatives in the plane only", outside=inside, must_fail="a-third-dimension-leads-down"
)


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["least second derivative", "the point, $q$ = 2"])
    tau, qs = evidence.of("grid"), evidence.data["parameters"]["qs"]
    found, critical = evidence.of("inside").middle, evidence.of("critical").middle
    rival = evidence.of("inside", control="a class of four split in pairs").middle
    for i, q in enumerate(qs):
        left.plot(tau, found[i], label=f"in the plane, $q$ = {q}", color=plot.COLORS[i])
        left.axvline(critical[i], color=plot.COLORS[i], **plot.BOUND)
        label = "control: four samples in C" if i == 0 else None
        left.plot(tau, rival[i], label=label, **plot.CONTROL)
    left.set(xlabel=r"temperature $\tau$", xlim=(0.09, 0.31))
    left.set_yscale("symlog", linthresh=1e-3, linscale=0.5)
    left.set_yticks([-10, -0.1, 0, 0.1], ["$-10$", "$-0.1$", "$0$", "$0.1$"])
    angle = np.linspace(0, 2 * np.pi, 200)
    right.plot(np.cos(angle), np.sin(angle), color="#C9CCD1", linestyle="-", linewidth=0.8)
    for color, text, x, y in (
        (0, "A, 2 samples", 1, 0),
        (1, "B, 2 samples", -1, 0),
        (2, "C", 0, 1),
        (2, "C", 0, -1),
    ):
        right.plot(
            x, y, marker="o", markersize=9 if len(text) > 1 else 6, color=plot.COLORS[color], linestyle="none"
        )
        right.text(x, y - 0.3 if x else 1.25 * y, text, ha="center", va="center", fontsize=7.5)
    for sign in (1, -1):
        right.annotate(
            "", (0.62, 0.78 * sign), (0.12, 0.99 * sign), arrowprops={"arrowstyle": "->", "color": plot.INK}
        )
    right.text(0, 0.35, r"down if $\tau > \tau_q$", ha="center", va="center", fontsize=7.5)
    right.set(xlim=(-1.6, 1.6), ylim=(-1.5, 1.5), aspect="equal")
    right.set_axis_off()
    plot.legend(left, bound=r"$\tau_q$")
