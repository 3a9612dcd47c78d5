r"""DSI is never slower than plain decoding nor than speculative inference, on every pattern of acceptances.

Let T be the time of DSI with lookahead L and enough servers, $T_k$ that of draft-then-wait speculative inference with k
drafts a round, both on the same pattern b of N tokens, a target pass being the unit and $c \le 1$ a drafter's pass.

- (i) With L = 1, for every b and every $k \ge 1$: $T(b) \le T_k(b)$ and $T(b) \le N$.
- (ii) With L = k, for every b: $T(b) \le T_k(b)$ and $T(b) \le N$, if a block is drafted within one target pass,
  $k c \le 1$.

None of these can be sharpened: for every k both kinds of DSI take as long as SI on $(1^k\, 0)^r\, 1$, k accepted drafts
before each rejected one, and as long as plain decoding if every draft is rejected. It follows that DSI is never slower in
expectation or in stochastic order, whatever the drafter.

---
In (ii) an epoch that ends at offset m costs DSI $\lceil (m-1)/k \rceil$ blocks and SI $\lceil m/(k+1) \rceil$ rounds.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, at_most, concatenate, equal, exact, plot

from . import world

claim = Claim(
    "distributed-speculative-inference/dsi-dominates",
    cases={"c": (Fraction(1, 6), Fraction(1, 3), Fraction(4, 5), Fraction(1))},
    full={"N": 10, "draws": 300},
)
LOOKAHEADS = (1, 2, 3, 4, 6, 10)
TIED = [((1,) * k + (0,)) * 5 + (1,) for k in LOOKAHEADS]  # where DSI takes as long as SI(k)
REJECTED = (0,) * 60
THIRD = Fraction(1, 3)


@claim.instance
def patterns(rng, N=6, draws=20):
    """Long accepted runs that end badly for blocks or for rounds, all patterns of N tokens, random ones of 60."""
    named = [(1,) * 60, REJECTED, (1, 0) * 30, ((1,) * 21 + (0,)) * 3]
    named += TIED + [((1,) * (2 * k + 1) + (0,)) * 5 for k in LOOKAHEADS]
    rates = rng.uniform(0.3, 1, size=draws)
    return named + world.patterns(N) + [tuple((rng.random(60) < p).astype(int).tolist()) for p in rates]


@claim.instance
def blocks(c, longest=1):
    """The lookaheads k of (ii), those with k c <= `longest`."""
    return [k for k in LOOKAHEADS if k * c <= longest]


@claim.reference
def plain(patterns):
    """One target pass a token."""
    return exact([[len(b)] for b in patterns])


@claim.reference
def waiting(patterns, c):
    """Time of draft-then-wait, (patterns, lookaheads)."""
    return exact([[world.si(b, c, lookahead=k) for k in LOOKAHEADS] for b in patterns])


@claim.run
def single(patterns, c, withheld=0):
    """DSI with lookahead 1, event by event; `withheld` servers fewer than are needed."""
    servers = max(world.servers_needed(c, 1) - withheld, 1)
    return exact([[world.dsi(b, c, servers=servers).time] for b in patterns])


@claim.run
def blockwise(patterns, c, blocks):
    """DSI whose lookahead is k, (patterns, blocks)."""
    return exact([[world.dsi(b, c, lookahead=k).time for k in blocks] for b in patterns])


def at(patterns, lookaheads):
    return {"k": list(lookaheads), "pattern": [["".join(map(str, b))] for b in patterns]}


@claim.assumption
def drafter_not_slower(c):
    return at_most(exact(c), exact(1))


@claim.check("single-at-most-waiting")
def single_waiting(single, waiting, patterns):
    return at_most(single, waiting, **at(patterns, LOOKAHEADS))


@claim.check("single-at-most-plain")
def single_plain(single, plain, patterns):
    return at_most(single, plain, **at(patterns, [1]))


@claim.check("blockwise-at-most-waiting")
def blockwise_waiting(blockwise, waiting, blocks, patterns):
    return at_most(blockwise, waiting[:, [LOOKAHEADS.index(k) for k in blocks]], **at(patterns, blocks))


@claim.check("blockwise-at-most-plain")
def blockwise_plain(blockwise, plain, blocks, patterns):
    return at_most(blockwise, plain, **at(patterns, blocks))


@claim.check("equal-to-waiting")
def equal_to_waiting(single, blockwise, waiting, blocks, patterns):
    """With lookahead 1, then with lookahead k, on the pattern (1^k 0)^5 1 of every k."""
    rows, few = [patterns.index(b) for b in TIED], len(blocks)  # blocks are the first few of LOOKAHEADS
    own = waiting[rows, range(len(rows))]
    measured = concatenate([single[rows, 0], blockwise[rows[:few], range(few)]])
    return equal(measured, concatenate([own, own[:few]]), k=[*LOOKAHEADS, *blocks])


@claim.check("equal-to-plain")
def equal_to_plain(single, blockwise, plain, blocks, patterns):
    """With lookahead 1, then with lookahead k, if every draft is rejected."""
    row = patterns.index(REJECTED)
    return equal(concatenate([single[row], blockwise[row]]), plain[row], L=[1, *blocks])


for name in ("single-at-most-waiting", "single-at-most-plain"):
    claim.control(
        f"drafter 20% slower than the target, {name}", c=Fraction(6, 5), must_fail=name,
        cases={"c": (Fraction(1),)},
    )  # fmt: skip
claim.control(
    "one server", withheld=99, must_fail="single-at-most-waiting", cases={"c": (Fraction(1, 6), THIRD)}
)
claim.control(
    "one server fewer", withheld=1, must_fail="equal-to-waiting", cases={"c": (Fraction(1, 6), THIRD)}
)
claim.control(
    "drafter 20% slower than the target, equal-to-plain", c=Fraction(6, 5), longest=Fraction(6, 5),
    must_fail="equal-to-plain", cases={"c": (Fraction(1),)},
)  # fmt: skip
for name in ("blockwise-at-most-waiting", "blockwise-at-most-plain"):
    claim.control(
        f"blocks of up to 4/3 target passes, {name}",
        longest=Fraction(4, 3),
        must_fail=name,
        cases={"c": (THIRD,)},
    )


@claim.figure
def draw(figure, evidence):
    titles = ["lookahead 1, SI($k$)", "lookahead $k$, SI($k$)"]
    panels = plot.panel_grid(figure, titles, sharex=True, sharey=True)
    for panel, kind in zip(panels, ("single", "blockwise"), strict=True):
        check = f"{kind}-at-most-waiting"
        control = next(name for name in evidence.controls if name.endswith(check))
        for c, look in ((Fraction(1, 6), {}), (THIRD, {}), (Fraction(1), {})):
            panel.plot(*points(evidence.curve(check, c=c)), ".", markersize=3, label=f"$c$ = {c}", **look)
        case = {"c": THIRD if kind == "blockwise" else Fraction(1)}
        dots = points(evidence.curve(check, control=control, **case), above=True)
        panel.plot(*dots, "x", markersize=3.5, color=plot.CONTROL["color"], label="control, slower")
        panel.plot([0, 1.4], [0, 1.4], color=plot.INK, **plot.BOUND)
        panel.set(xlabel="time of SI per token", xlim=(0, 2.5), ylim=(0, 1.4))
    panels[0].set_ylabel("time of DSI per token")
    plot.legend(panels, bound="equal")


def points(curve, above=False):
    """Times per token of (SI, DSI): every third pattern, or the patterns on which DSI is slower."""
    tokens = np.array([[len(row[0])] for row in curve.pattern], dtype=float)
    waiting, parallel = np.broadcast_arrays(curve.bound.middle / tokens, curve.measured.middle / tokens)
    chosen = parallel > waiting if above else np.arange(len(tokens))[:, None] % 3 + 0 * waiting == 0
    return waiting[chosen], parallel[chosen]
