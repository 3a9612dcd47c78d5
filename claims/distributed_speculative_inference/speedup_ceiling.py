r"""DSI is at most $e/(e-1) \approx 1.582$ times faster than the better of plain decoding and well-tuned SI.

For acceptance rate p < 1 and drafter's latency $c \le 1$ (target passes), a token of a long text takes

$$r_{\mathrm{DSI}} = (1-p) + c\,p, \qquad r_k = \frac{(k c + 1)(1-p)}{1 - p^{k+1}}$$

target passes, in DSI with lookahead 1 and enough servers and in SI with k drafts a round; k = 0 is plain decoding. Then

$$1 \le \frac{\min_{k \ge 0} r_k}{r_{\mathrm{DSI}}} \le \frac{e}{e - 1} ,$$

and no smaller constant will do: along 1 - p = q = 1/n, at eight n from 3 to 1000, with $c = 25 q / 18$, close to
$q / (e - 2)$, the ratio is at least $e/(e - 1 + q)$. A speed-up of 1.92 over SI is more than any acceptance rate and
latency give in this model.

---
Proof of the upper bound. The numerator of $r_k$ is linear in k + 1, its denominator concave, so the best k is at least
as good as the mixture of the two integers around 1/q whose mean is 1/q. That has numerator q + c p and, with
m = floor(1/q), denominator $1 - m q (1-q)^m$, which is at least 1 - 1/e: the subtracted term is largest at
q = 1/(m + 1), where it is $(1 - 1/(m+1))^{m+1}$.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, at_most, certify, exact, less, plot, stack

from . import world

claim = Claim("distributed-speculative-inference/speedup-ceiling", full={"parts": 50, "draws": 300})
NEAR = (3, 5, 10, 20, 50, 100, 300, 1000)  # q = 1/n
REPORTED = Fraction(192, 100)  # the largest speed-up over SI in the abstract


@claim.instance
def grid(parts=18):
    """Acceptance rates, and latencies of the drafter."""
    return [Fraction(i, parts) for i in range(1, parts)], [Fraction(i, parts) for i in range(1, parts + 1)]


@claim.instance
def extremal():
    """Pairs (p, c) along which the ceiling is approached."""
    return [(1 - Fraction(1, n), Fraction(25, 18 * n)) for n in NEAR]


@claim.instance
def drawn(rng, draws=60):
    """Pairs (p, c), 1 - p and c spread over two decades."""
    units = np.ceil(300 * 10 ** rng.uniform(-2, 0, size=(draws, 2))).astype(int).tolist()
    return [(1 - Fraction(q, 301), Fraction(c, 300)) for q, c in units]


@claim.reference
def ceiling():
    return certify.evaluate(lambda one: one.exp() / (one.exp() - 1), 1)


@claim.reference
def approach(extremal, ceiling):
    """e / (e - 1 + q), pair by pair: C / (1 + q (C - 1)) for C = e / (e - 1)."""
    return stack([ceiling / (1 + (1 - p) * (ceiling - 1)) for p, _ in extremal])


@claim.instance
def pairs(grid, extremal, drawn):
    """All pairs (p, c): those near the ceiling, the grid, the drawn ones."""
    return extremal + [(p, c) for p in grid[0] for c in grid[1]] + drawn


@claim.run
def speedups(pairs, menu=None):
    """min_k r_k / r_DSI, exactly; `menu`: the lookaheads that SI may choose from, all if None."""
    return exact([speedup(p, c, menu) for p, c in pairs])


def speedup(p, c, menu=None):
    """min_k r_k / r_DSI, exactly."""
    return min(world.si_rate(p, c, k) for k in menu or best_lookaheads(p, c)) / world.dsi_rate(p, c)


def best_lookaheads(p, c):
    """Three neighbouring k, the middle one a minimum of r_k (k = 0 counts as one): r_k falls, then rises."""
    k = np.arange(int(12 / (1 - p)) + 2)
    middle = max(int(np.argmin((k * float(c) + 1) / (1 - float(p) ** (k + 1)))), 1)
    while True:
        near = [world.si_rate(p, c, middle + step) for step in (-1, 0, 1)]
        if min(near) < near[1] and middle + (1 if near[2] < near[0] else -1) >= 1:
            middle += 1 if near[2] < near[0] else -1
        else:
            return [middle - 1, middle, middle + 1]


@claim.assumption
def drafter_not_slower(pairs):
    return at_most(exact([c for _, c in pairs]), exact(1))


def at(pairs):
    return {"p": [float(p) for p, _ in pairs], "c": [float(c) for _, c in pairs]}


@claim.check("at-least-one")
def at_least_one(speedups, pairs):
    return at_most(exact(1), speedups, **at(pairs))


@claim.check("at-most-ceiling")
def at_most_ceiling(speedups, ceiling, pairs):
    return at_most(speedups, ceiling, **at(pairs))


@claim.check("ceiling-approached")
def approached(approach, speedups):
    return at_most(approach, speedups[: len(NEAR)], n=NEAR)


@claim.check("reported-is-beyond")
def beyond(ceiling, reported=REPORTED):
    return less(ceiling, exact(reported))


claim.control(
    "drafter 20% slower than the target", must_fail="at-least-one",
    pairs=lambda pairs: [*pairs, (Fraction(9, 10), Fraction(6, 5))],
)  # fmt: skip
claim.control("ceiling 5% lower", ceiling=lambda ceiling: 0.95 * ceiling, must_fail="at-most-ceiling")
claim.control("SI with 1, 5 or 10 drafts only", menu=(1, 5, 10), must_fail="at-most-ceiling")
claim.control("approach 5% higher", approach=lambda approach: 1.05 * approach, must_fail="ceiling-approached")
claim.control("half the reported gain", reported=1 + (REPORTED - 1) / 2, must_fail="reported-is-beyond")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["best of SI, plain / DSI", "towards the ceiling"])
    curve, near = evidence.curve("at-most-ceiling"), len(NEAR)
    rates, latencies = evidence.of("grid")
    p, c = ([float(Fraction(x)) for x in each] for each in (rates, latencies))
    values = curve.measured.middle[near : near + len(p) * len(c)].reshape(len(p), len(c))
    cells = left.pcolormesh(c, p, values, cmap="Blues", vmin=1, vmax=1.6)
    figure.colorbar(cells, ax=left, ticks=[1, 1.2, 1.4, 1.6])
    left.set(xlabel="drafter's latency $c$", ylabel="acceptance rate $p$")
    loss = 1 / np.array(NEAR)
    right.plot(loss, curve.measured.middle[:near], "o", label="tuned SI / DSI")
    right.plot(loss, evidence.of("approach").middle, label="$e/(e-1+q)$", color=plot.COLORS[0])
    few = evidence.curve("at-most-ceiling", control="SI with 1, 5 or 10 drafts only")
    right.plot(loss, few.measured.middle[:near], label="control: few $k$", **plot.CONTROL)
    right.axhline(np.e / (np.e - 1), color=plot.INK, label="ceiling $e/(e-1)$", **plot.BOUND)
    right.axhline(1.92, color=plot.COLORS[1], label="largest reported", linestyle="-", linewidth=1)
    right.set(xlabel="$q = 1 - p$", ylabel="speed-up", xscale="log", ylim=(1.2, 2.1))
    plot.legend(right)
