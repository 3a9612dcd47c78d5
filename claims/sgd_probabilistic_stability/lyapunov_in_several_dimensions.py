r"""In several dimensions the top Lyapunov exponent decides, and it may be negative at a strict saddle.

For $\Delta_{t+1} = (I - \lambda H_t)\,\Delta_t$ with independent Hessians, $\Delta_t \to 0$ in probability from every start
exactly where $\Lambda = \lim \frac1t \mathrm{E} \log \|A_t \cdots A_1\| < 0$, $A = I - \lambda H$. For every block length k

$$\Lambda \le \tfrac1k\, \mathrm{E} \log \|A_k \cdots A_1\|, \qquad
P(\|\Delta_T\| \ge \varepsilon \|\Delta_0\|) \le \min_{s > 0}\; \varepsilon^{-s}\,
\big(\mathrm{E} \|A_k \cdots A_1\|^s\big)^{T/k} .$$

Six Hessians that are nearly aligned, with large curvatures of both signs, make both negligible at a point where the mean
Hessian has a negative eigenvalue, so that the mean of $\Delta_t$ and all its moments of order one or more grow. For
multiples of I the first bound is attained, for every k.

---
The expectations are over all 6^k products. That runs grow at a larger rate is measured, not certified.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, less, plot, rounded, rounding, stack, statistics

from . import world

SHAPE = np.array([[1, 0.3, 0], [0.3, -1, 0.2], [0, 0.2, 0.8]])
SIZES = np.array([2.2, -2, 1.8, -2.1, 1.9, -2.2])
MEAN = np.diag([-0.15, 0.2, -0.05])
LEVEL = 1e-3
POWERS = tuple(Fraction(k, 20) for k in range(1, 9))
COUNTED = {"nearly aligned": 60, "multiples of I": 4}  # longest blocks after which survivors are counted

claim = Claim(
    "sgd-probabilistic-stability/lyapunov-in-several-dimensions",
    cases={"noise": tuple(COUNTED)},
    full={"longest": 6, "runs": 4_000},
)


@claim.instance
def hessians(rng, noise, spread=0.1):
    """Six symmetric (3, 3) matrices: multiples of one shape with a little noise, or of I; the mean of a saddle."""
    if noise == "multiples of I":
        return (SIZES - SIZES.mean() - 0.2)[:, None, None] * np.eye(3)
    other = rng.normal(size=(6, 3, 3))
    each = SIZES[:, None, None] * SHAPE + spread * (other + other.swapaxes(1, 2)) / 2
    return each - each.mean(axis=0) + MEAN


@claim.instance
def drawn(rng, steps=600, runs=1_000):
    start = rng.normal(size=(runs, 3))
    return Record(
        index=rng.integers(6, size=(steps, runs)), start=start / np.linalg.norm(start, axis=1)[:, None]
    )


@claim.instance
def walked(hessians):
    """The Hessians that the runs meet."""
    return hessians


@claim.reference
def blocks(hessians, rate=0.45, longest=5):
    """log|A_k...A_1| of all 6^k products, k = 1, ..., longest, from above; each (6^k,)."""
    steps = np.eye(3) - rate * hessians
    largest = np.linalg.norm(steps, axis=(1, 2)).max()
    products, found = steps, []
    for k in range(1, longest + 1):
        error = rounding(4 * k, 3**k * largest**k)  # k factors, inner dimension 3
        found.append((certify.norm(products, "spectral") + error).log())
        products = np.einsum("aij,njk->anik", steps, products).reshape(-1, 3, 3)
    return found


@claim.reference
def bounds(blocks):
    """(1/k) E log|A_k...A_1|, (longest,)."""
    return stack([each.sum() / (k * len(each)) for k, each in enumerate(blocks, start=1)])


@claim.reference
def spread_of_blocks(blocks, steps):
    """Standard deviation of a sum of T/k block norms, a step: a median is no further from its mean, (longest,)."""
    found = []
    for k, each in enumerate(blocks, start=1):
        mean = each.sum() / len(each)
        variance = ((each - mean) ** 2).sum() / len(each)
        found.append((variance / (k * steps)).sqrt())
    return stack(found)


@claim.reference
def most_survivors(blocks, noise):
    """The Chernoff bound on P(|Delta_T| >= level) from the longest blocks, at the best of a few powers."""
    logs, count = blocks[-1], COUNTED[noise]
    each = [(s * logs).exp().sum() / len(logs) for s in POWERS]
    exponents = [
        count * value.log() - s * Fraction(np.log(LEVEL)) for s, value in zip(POWERS, each, strict=True)
    ]
    return min(exponents, key=lambda value: value.upper).exp()


@claim.run
def inside(walked, drawn, rate):
    return world.walk(walked, drawn, rate)


@claim.run
def early(walked, drawn, rate, noise, longest):
    index = drawn.index[: COUNTED[noise] * longest]
    return world.walk(walked, Record(index=index, start=drawn.start), rate)


@claim.run
def outside(walked, drawn, large_rate=0.8):
    return world.walk(walked, drawn, large_rate)


@claim.measurement
def growth(inside, outside, steps):
    """The median growth rate of log|Delta|, at both rates."""
    return statistics.median(np.stack([inside, outside], axis=1) / steps)


@claim.measurement
def survivors(early, runs):
    return statistics.proportion(int((early >= np.log(LEVEL)).sum()), runs)


@claim.measurement
def resolution(runs):
    """The least that so many runs leave open: the width where none survives."""
    return statistics.proportion(0, runs).gap()


@claim.assumption
def strict_saddle(hessians):
    """The mean Hessian has a negative eigenvalue: the mean of Delta grows."""
    mean = hessians.mean(axis=0)
    return less(certify.smallest_eigenvalue((mean + mean.T) / 2), 0)


@claim.check("growth-below-block-bounds")
def growth_below(growth, bounds, spread_of_blocks, longest):
    return at_most(growth[0], bounds, within=spread_of_blocks, block=np.arange(1, longest + 1))


@claim.check("exponent-certified-negative")
def certified(bounds):
    return less(bounds.smallest(), 0)


@claim.check("survivors")
def few_survivors(survivors, most_survivors, resolution):
    return at_most(survivors, most_survivors, within=resolution)


@claim.check("growth-at-a-larger-rate")
def growth_at_larger(growth):
    return less(0, growth[1])


def of_fastest_start(hessians, rate, longest):
    """(1/k) E log|A_k...A_1 e| for the coordinate direction e that shrinks fastest, not for all starts."""
    steps = np.eye(3) - rate * hessians
    products, found = steps, []
    for k in range(1, longest + 1):
        logs = certify.norm(products.swapaxes(1, 2)[:, :, None, :], "frobenius").log()
        found.append(stack([logs[:, i].sum() / (k * len(products)) for i in range(3)]).smallest())
        products = np.einsum("aij,njk->anik", steps, products).reshape(-1, 3, 3)
    return stack(found)


def calmer(hessians, less=0.3):
    """The same mean Hessian, deviations from it at 30% of their size."""
    return hessians.mean(axis=0) + less * (hessians - hessians.mean(axis=0))


ALIGNED = {"noise": ("nearly aligned",)}
claim.control(
    "the start that shrinks fastest",
    # exactly aligned: how far apart the starts are is then no matter of the seed
    spread=0, bounds=of_fastest_start, must_fail="growth-below-block-bounds", cases=ALIGNED,
)  # fmt: skip
claim.control(
    "volume in place of length",
    bounds=lambda hessians, rate, longest: stack([_volume(hessians, rate)] * longest),
    must_fail="growth-below-block-bounds", cases=ALIGNED,
)  # fmt: skip
claim.control(
    "bounds at a rate 5% larger",
    blocks=lambda hessians, rate, longest: blocks(hessians, 1.05 * rate, longest),
    must_fail="growth-below-block-bounds", cases={"noise": ("multiples of I",)},
)  # fmt: skip
claim.control("calmer noise, its bounds", hessians=calmer, must_fail="exponent-certified-negative")
claim.control("gradient descent", walked=lambda hessians: calmer(hessians, 0), must_fail="survivors")
claim.control("calmer noise", walked=calmer, must_fail="survivors")
claim.control("the smaller rate", large_rate=0.45, must_fail="growth-at-a-larger-rate")


def _volume(hessians, rate):
    """(1/3) E log|det A|, the mean of the three exponents."""
    steps = np.eye(3) - rate * hessians
    logs = np.log(np.abs(np.linalg.det(steps)))
    return rounded(logs.mean() / 3, 100, np.abs(logs).max())


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, [r"growth rate of $\log\|\Delta_t\|$", "runs at $T$"])
    for case, color in zip(evidence.cases, plot.COLORS, strict=False):
        bounds, growth = evidence.of("bounds", **case), evidence.of("growth", **case)
        k = np.arange(1, len(bounds) + 1)
        left.plot(k, bounds.middle, color=color, marker="o", **plot.BOUND)
        left.fill_between(k, growth.lower[0], growth.upper[0], color=color, linewidth=0)
        left.plot(k, np.full(len(k), growth.middle[0]), color=color, label=case["noise"])
    aligned = evidence.cases[0]
    rival = evidence.of("bounds", control="the start that shrinks fastest", **aligned)
    left.plot(k, rival.middle, label="control: one start", **plot.CONTROL)
    left.axhline(0, color=plot.INK, linewidth=0.7)
    left.set(xlabel="block length $k$", ylim=(-0.7, 0.8))
    bins = np.linspace(-260, 60, 50)
    right.hist(evidence.of("inside", **aligned), bins=bins, color=plot.COLORS[0])
    calm = evidence.of("early", control="calmer noise", **aligned)
    right.hist(calm, bins=bins, histtype="step", label="control: calmer noise", **plot.CONTROL)
    right.set(xlabel=r"$\log\|\Delta_T\|$")
    plot.legend([left, right], bound="block bounds")
