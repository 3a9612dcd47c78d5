r"""Noise attracts SGD to a saddle only where it is aligned: isotropic noise repels in five dimensions and more.

Let $H = g\, n n^T - m I$ with $g = \pm 2$ with probability 1/2 each and n uniform on the unit sphere of $\mathbb{R}^d$. Its
law is invariant under rotations, so the steps of $\log\|\Delta_t\|$ are independent, and with $g' = \lambda g/(1 + \lambda m)$
and c the first coordinate of n

$$\Lambda = \log(1 + \lambda m) + \tfrac12\, \mathrm{E} \log\big(1 - (2 g' - g'^2)\, c^2\big) .$$

For the same noise, m = 1/200 and all rates $0.1 \le \lambda < 1/2$ on a grid: $\Lambda < 0$ for d = 2 and 3, $\Lambda > 0$ for
d = 5 (at full size also d = 1 and 8).

---
To second order $\Lambda = -\lambda \mathrm{E} e^T H e + \frac{\lambda^2}{2} (\mathrm{E}|He|^2 - 2 \mathrm{E}(e^T H e)^2)$:
noise attracts where more than half of $|He|^2$ lies along e, here for d < 4.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, certify, equal, less, plot, stack, statistics

from . import world

SIZE, DESCENT = Fraction(2), Fraction(1, 200)  # |g| and m
RATES = (Fraction(1, 5), Fraction(2, 5))
GRID = tuple(Fraction(k, 40) for k in range(4, 20))
HIGHEST_ATTRACTED = 3

claim = Claim(
    "sgd-probabilistic-stability/isotropic-noise-repels",
    cases={"dimension": (2, 3, 5)},
    full={"runs": 10_000, "cases": {"dimension": (1, 2, 3, 5, 8)}},
)


@claim.instance
def drawn(rng, dimension, steps=700, runs=1_000):
    """Signs of g (T, n) and the seed of the directions: these are drawn step by step."""
    return Record(sign=rng.choice([-1.0, 1.0], size=(steps, runs)), seed=int(rng.integers(2**32)))


@claim.reference
def exponents(dimension):
    tested, curve = (stack([exponent(dimension, rate) for rate in rates]) for rates in (RATES, GRID))
    return Record(tested=tested, curve=curve)


def exponent(dimension, rate):
    r"""$\Lambda$ at one rate, by quadrature in balls: c = cos(phi) has density proportional to $\sin^{d-2}\phi$."""
    if dimension == 1:
        return world.exponent(world.law([SIZE - DESCENT, -SIZE - DESCENT]), [rate])[0]
    scale = 1 + rate * DESCENT
    each = [certify.evaluate(_mean_log(dimension), rate * g / scale) for g in (SIZE, -SIZE)]
    return certify.log(scale) + (each[0] + each[1]) / 4


def _mean_log(dimension):
    """E log(1 - (2 g - g^2) c^2), an integral over an angle, for flint's balls; |g| < 1."""
    from flint import acb, arb

    def value(g):
        beta = acb(2 * g - g * g)
        weight = acb.integral(lambda phi, _: phi.sin() ** (dimension - 2), 0, arb.pi())
        total = acb.integral(
            lambda phi, analytic: (1 - beta * phi.cos() ** 2).log(analytic=analytic) * phi.sin() ** (dimension - 2),
            0, arb.pi(),
        )  # fmt: skip
        return (total / weight).real

    return value


@claim.run
def log_sizes(drawn, dimension, aligned=False):
    """log|Delta_T|, (rates, runs). aligned: every step's noise lies along the current Delta, as if H = (g - m) I."""
    rng = np.random.default_rng(drawn.seed)
    rates, runs = np.array(RATES, dtype=float)[:, None], drawn.sign.shape[1]
    grow, kick = 1 + rates * float(DESCENT), rates * float(SIZE)
    delta, log_size = np.zeros((dimension, len(RATES), runs)), np.zeros((len(RATES), runs))
    delta[0] = 1.0
    for t, sign in enumerate(drawn.sign, start=1):
        n = rng.normal(size=(dimension, 1, runs))
        n /= np.sqrt((n * n).sum(axis=0))
        along = delta if aligned else n * (delta * n).sum(axis=0)
        delta = grow * delta - (kick * sign) * along
        if t % 20 == 0 or t == len(drawn.sign):
            length = np.sqrt((delta * delta).sum(axis=0))
            delta, log_size = delta / length, log_size + np.log(length)
    return log_size


@claim.measurement
def growth(log_sizes, steps):
    """Mean growth a step; the singular values of I - rate H are 1 + rate m and |1 + rate m - rate g|."""
    found = []
    for sizes, rate in zip(log_sizes, RATES, strict=True):
        ends = np.log([float(1 + rate * (DESCENT + sign * SIZE)) for sign in (-1, 1)])
        found.append(statistics.hoeffding_mean(sizes / steps, *ends, each=steps))
    return stack(found)


@claim.check("growth-rate")
def growth_rate(growth, exponents):
    return equal(growth, exponents.tested, within=growth.gap(), rate=np.array(RATES, dtype=float))


@claim.check("attracts-in-low-dimension-only")
def attracts(exponents, dimension):
    side = 1 if dimension <= HIGHEST_ATTRACTED else -1
    return less(side * exponents.curve, 0, rate=np.array(GRID, dtype=float))


@claim.check("runs-shrink-in-low-dimension-only")
def runs_shrink(growth, dimension):
    side = 1 if dimension <= HIGHEST_ATTRACTED else -1
    return less(side * growth[1], 0)


def of_dimension(dimension, shift=0):
    return exponents(dimension + shift)


def as_scalar():
    return exponents(1)


HIGH = {"dimension": (5,)}
claim.control(
    "one dimension more",
    exponents=of_dimension,
    shift=1,
    must_fail="growth-rate",
    cases={"dimension": (2,)},
)
claim.control("exponent of the scalar law", exponents=as_scalar, must_fail="growth-rate", cases=HIGH)
claim.control(
    "exponent of aligned noise", exponents=as_scalar, must_fail="attracts-in-low-dimension-only", cases=HIGH
)
claim.control(
    "two dimensions fewer",
    exponents=of_dimension,
    shift=-2,
    must_fail="attracts-in-low-dimension-only",
    cases=HIGH,
)
claim.control("aligned noise", aligned=True, must_fail="runs-shrink-in-low-dimension-only", cases=HIGH)


@claim.figure
def draw(figure, evidence):
    (panel,) = plot.panel_grid(figure, [r"exponent of isotropic noise, $g = \pm 2$"])
    grid = np.array(GRID, dtype=float)
    for case, color in zip(evidence.cases, plot.COLORS, strict=False):
        growth = evidence.of("growth", **case)
        error = [growth.middle - growth.lower, growth.upper - growth.middle]
        panel.plot(grid, evidence.of("exponents", **case).curve.middle, color=color, **plot.BOUND)
        panel.errorbar(
            np.array(RATES, dtype=float),
            growth.middle,
            error,
            fmt="o",
            color=color,
            label=f"d = {case['dimension']}",
        )
    panel.axhline(0, color=plot.INK, linewidth=0.7)
    panel.set(xlabel=r"rate $\lambda$", ylabel=r"$\Lambda$", ylim=(-0.13, 0.05))
    plot.legend(panel, bound="theory", loc="lower left", ncols=2)
