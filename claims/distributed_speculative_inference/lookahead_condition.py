r"""With blocks longer than a target pass DSI can lose: to plain decoding even in expectation, to SI on single texts.

With lookahead k DSI verifies k drafts at a time. Let c be the drafter's pass in target passes, $k c > 1$, and let there
be enough servers. On patterns of acceptances, $1^{n}$ being n accepted drafts and 0 a rejected one,

$$T_{\mathrm{DSI}} - T_{\mathrm{SI}(k)} = r\,(k c - 1) \ \text{ on } (1^{2k+1}\, 0)^r\, 1^{k+1}, \qquad
T_{\mathrm{DSI}} - N = r\,(k c - 1) \ \text{ on } (1\, 0)^r\, 0^k .$$

If drafts are accepted independently with probability p, a token of a long text takes DSI

$$r_k = (1-p) \Big( 1 + \frac{k\, c\, p}{1 - p^k} \Big)$$

target passes. For $c \le 1$ this is at most the $(k c + 1)(1-p)/(1-p^{k+1})$ of SI(k) for every k and p, and it is more
than the one pass of plain decoding exactly if $c > (1 - p^k) / (k\,(1-p))$.

---
The time per token is enclosed from the simulated epochs of up to 100 tokens; what longer ones add is bounded.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, equal, exact, less, plot

from . import world

claim = Claim("distributed-speculative-inference/lookahead-condition", full={"draws": 30, "longest": 200})
P = tuple(Fraction(i, 10) for i in range(1, 10))
NAMED = ((2, Fraction(4, 5)), (3, Fraction(2, 5)), (4, Fraction(1, 2)), (10, Fraction(1, 2)))


@claim.instance
def settings(rng, draws=3, slowest=1):
    """Pairs (k, c): blocks longer than a target pass, then shorter ones; c = `slowest` among the latter."""
    drawn = [(int(rng.integers(2, 9)), Fraction(int(rng.integers(1, 12)), 12)) for _ in range(draws)]
    return [*NAMED, *drawn, (1, Fraction(slowest)), (5, Fraction(1, 10))]


@claim.instance
def long_blocks(settings):
    return [(k, c) for k, c in settings if k > 1 and k * c > 1]


@claim.reference
def excess(long_blocks, epochs=3, passes=1):
    """r (k c - 1) for every pair."""
    return exact([epochs * (k * c - passes) for k, c in long_blocks])


@claim.reference
def rate(settings):
    """Time per token (pairs, p)."""
    return exact([[world.dsi_rate(p, c, k) for p in P] for k, c in settings])


@claim.reference
def waiting_rate(settings):
    """Time per token of SI(k), (pairs, p)."""
    return exact([[world.si_rate(p, c, k) for p in P] for k, c in settings])


@claim.reference
def side(settings, factor=1):
    """(pairs, p): 1 where c exceeds the threshold, -1 where it lies below, 0 where they are equal."""
    differences = [[k * c * (1 - p) - factor * (1 - p**k) for p in P] for k, c in settings]
    return np.array([[(d > 0) - (d < 0) for d in row] for row in differences])


@claim.run
def bad_patterns(long_blocks, epochs):
    """Record(waiting, plain): what DSI takes longer than SI(k) and than plain decoding on the two patterns."""
    waiting, plain = [], []
    for k, c in long_blocks:
        b = ((1,) * (2 * k + 1) + (0,)) * epochs + (1,) * (k + 1)
        waiting.append(world.dsi(b, c, lookahead=k).time - world.si(b, c, lookahead=k))
        b = (1, 0) * epochs + (0,) * k
        plain.append(world.dsi(b, c, lookahead=k).time - len(b))
    return Record(waiting=exact(waiting), plain=exact(plain))


@claim.run
def epoch_times(settings, longest=100):
    """Time of an epoch that ends at offset m = 1 ... longest, (pairs, longest): k more tokens cost one pass each."""
    ends = [(1,) * m + (0,) for m in range(longest)]
    return np.array([[world.dsi(b + (0,) * k, c, lookahead=k).time - k for b in ends] for k, c in settings])


@claim.measurement
def measured_rate(epoch_times, settings, longest):
    """Expected time of an epoch over its expected 1 / (1 - p) tokens, an enclosure (pairs, p).

    An epoch of m > longest tokens takes at least one pass, at most the m - 1 + k drafts of its blocks and a pass.
    """
    weights = np.array([[p**m * (1 - p) for p in P] for m in range(longest)])
    short = epoch_times @ weights
    least = np.array([[p**longest for p in P] for _ in settings])
    drafts = np.array([[c * (longest + p / (1 - p) + k) for p in P] for k, c in settings])
    lower, upper = ((short + rest) * (1 - np.array(P)) for rest in (least, least * (drafts + 1)))
    return certify.bracket(exact(lower), exact(upper), f"epochs of more than {longest} tokens bounded")


def at(settings):
    return {"p": [float(p) for p in P], "k": [[k] for k, _ in settings], "c": [[str(c)] for _, c in settings]}


@claim.check("excess-over-waiting")
def over_waiting(bad_patterns, excess, long_blocks):
    return equal(
        bad_patterns.waiting, excess, k=[k for k, _ in long_blocks], kc=[float(k * c) for k, c in long_blocks]
    )


@claim.check("excess-over-plain")
def over_plain(bad_patterns, excess, long_blocks):
    return equal(
        bad_patterns.plain, excess, k=[k for k, _ in long_blocks], kc=[float(k * c) for k, c in long_blocks]
    )


@claim.check("time-per-token")
def per_token(measured_rate, rate, settings):
    return equal(measured_rate, rate, within=measured_rate.gap(each=True), **at(settings))


@claim.check("expected-at-most-waiting")
def at_most_waiting(measured_rate, waiting_rate, settings):
    return at_most(measured_rate, waiting_rate, **at(settings))


@claim.check("expected-above-plain")
def above_plain(measured_rate, side):
    return less(exact(1), measured_rate[side > 0])


@claim.check("expected-below-plain")
def below_plain(measured_rate, side):
    return less(measured_rate[side < 0], exact(1))


claim.control("blocks of 11/10 passes are harmless", passes=Fraction(11, 10), must_fail="excess-over-waiting")
claim.control("blocks of 11/10 passes, plain", passes=Fraction(11, 10), must_fail="excess-over-plain")


def shorter_blocks(settings):
    """As if a block were one draft shorter, or not there."""
    return exact([[world.dsi_rate(p, c, k - 1) if k > 1 else 1 for p in P] for k, c in settings])


claim.control("blocks one draft shorter", rate=shorter_blocks, must_fail="time-per-token")
claim.control(
    "drafter 20% slower than the target", slowest=Fraction(6, 5), must_fail="expected-at-most-waiting"
)
claim.control("threshold 15% lower", factor=Fraction(17, 20), must_fail="expected-above-plain")
claim.control("threshold 15% higher", factor=Fraction(23, 20), must_fail="expected-below-plain")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["lookahead 10, $c$ = 1/2", "a bad epoch"])
    row = NAMED.index((10, Fraction(1, 2)))
    curve, waiting = evidence.curve("time-per-token"), evidence.curve("expected-at-most-waiting")
    left.plot(curve.p, curve.measured.middle[row], "o", color=plot.COLORS[0], label="DSI(10), simulated")
    left.plot(curve.p, curve.bound.middle[row], color=plot.COLORS[0], linestyle="-", label="DSI(10), formula")
    left.plot(curve.p, waiting.bound.middle[row], label="SI(10)", color=plot.COLORS[1])
    left.axhline(1, color=plot.INK, label="plain decoding", **plot.BOUND)
    left.set(xlabel="acceptance rate $p$", ylabel="target passes per token", ylim=(0, 6))
    passes, epochs = np.linspace(0.7, 5, 50), evidence.data["parameters"]["epochs"]
    for check, name, marker in (("waiting", "SI($k$)", "o"), ("plain", "plain", "x")):
        found = evidence.curve(f"excess-over-{check}")
        right.plot(found.kc, found.measured.middle / epochs, marker, label=f"DSI($k$) minus {name}")
    right.plot(passes, passes - 1, color=plot.INK, label="$kc - 1$", **plot.BOUND)
    right.set(xlabel="time of a block $kc$", ylabel="target passes lost")
    right.axhline(0, color=plot.CONTROL["color"], linewidth=0.8, linestyle="-")
    plot.legend(left)
    plot.legend(right)
