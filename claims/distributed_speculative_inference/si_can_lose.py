r"""Speculative inference is slower than plain decoding unless its drafter is more often right than slow.

A drafter's pass takes c target passes, a draft is accepted with probability p, independently. Draft-then-wait with k
drafts a round, SI(k), takes

$$\frac{k c + 1}{1 + p + \dots + p^k}$$

target passes per token of a long text, fewer than one exactly if $k c < p + \dots + p^k$. Hence some k helps exactly if
$p > c$, and then k = 1 does, by the factor $(1+p)/(1+c)$; with $p < c$ every k makes SI slower, and with p = c only k = 1
does not. The expected time of a text of n tokens is

$$E_n = k' c + 1 + \sum_{j < k'} p^j (1-p)\, E_{n-j-1} + p^{k'} E_{n-k'-1}, \qquad k' = \min(k, n-1),\ E_0 = 0 .$$

---
Rounds and texts are run on every pattern of acceptances and weighted with their probabilities, for k up to 6.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, equal, exact, plot

from . import world

claim = Claim("distributed-speculative-inference/si-can-lose", full={"parts": 40, "N": 11})
LOOKAHEADS = (1, 2, 3, 4, 5, 6)
SOME = slice(None, None, 5)  # of the latencies, in which the time per token is linear


@claim.instance
def grid(parts=20):
    """Acceptance rates p, and latencies c of the drafter."""
    return [Fraction(i, parts) for i in range(1, parts)], [Fraction(i, parts) for i in range(1, parts + 1)]


@claim.instance
def drawn(rng, texts=4):
    """Pairs (p, c) for short texts."""
    return [(Fraction(9, 10), Fraction(1, 10))] + [
        (Fraction(int(a), 20), Fraction(int(b), 20)) for a, b in rng.integers(2, 20, size=(texts, 2))
    ]


# --- what theory says ---------------------------------------------------------------------------------------


@claim.reference
def slowest_useful(grid):
    """(p + ... + p^k) / k: below this c, SI(k) is faster than plain decoding; shape (k, p, 1)."""
    return exact([[[sum(p**i for i in range(1, k + 1)) / k] for p in grid[0]] for k in LOOKAHEADS])


@claim.reference
def slowest_useful_at_best(grid):
    """p: below this c some lookahead helps; shape (p, 1)."""
    return exact([[p] for p in grid[0]])


@claim.reference
def rate(grid, missed=0):
    """(k c + 1) / (1 + p + ... + p^k), shape (k, p, SOME of c); `missed`: by how much controls lower p."""
    rates, latencies = grid
    return exact(
        [
            [[world.si_rate((1 - missed) * p, c, k) for c in latencies[SOME]] for p in rates]
            for k in LOOKAHEADS
        ]
    )


@claim.reference
def recursion(drawn, N=9, bonus=1):
    """E_n for n = 1 ... N, shape (texts, k, N); `bonus` tokens come with a round whose drafts are all right."""

    def expected(p, c, k):
        E = [Fraction(0)]
        for n in range(1, N + 1):
            drafts = min(k, n - 1)
            wrong = sum(p**j * (1 - p) * E[n - j - 1] for j in range(drafts))
            E.append(drafts * c + 1 + wrong + p**drafts * E[n - drafts - (bonus if drafts else 1)])
        return E[1:]

    return exact([[expected(p, c, k) for k in LOOKAHEADS] for p, c in drawn])


# --- what happens -------------------------------------------------------------------------------------------


@claim.run
def passes(grid):
    """Time per token: mean time of a round of SI(k) over its mean number of tokens, shape (k, p, c)."""
    rates, latencies = grid
    means = [[mean_round(p, k) for p in rates] for k in LOOKAHEADS]
    return exact([[[(drafts * c + 1) / gain for c in latencies] for drafts, gain in row] for row in means])


def mean_round(p, k):
    """(drafts, tokens gained) of the first round on a text of k + 2 tokens, the mean over all patterns."""
    first = [world.rounds((*b, 1), k)[0] for b in world.patterns(k + 1)]
    return np.array(world.pattern_law(k + 1, p), dtype=object) @ np.array(first, dtype=object)


@claim.run
def short_texts(drawn, N, spread=0):
    """Mean time of SI(k) over all patterns of n = 1 ... N tokens, shape (texts, k, N)."""
    means = np.empty((len(drawn), len(LOOKAHEADS), N), dtype=object)
    for n in range(1, N + 1):
        found = [[world.rounds(b, k) for b in world.patterns(n)] for k in LOOKAHEADS]
        drafts = np.array([[sum(d for d, _ in rounds) for rounds in row] for row in found], dtype=object)
        passes = np.array([[len(rounds) for rounds in row] for row in found], dtype=object)
        for i, (p, c) in enumerate(drawn):
            means[i, :, n - 1] = (c * drafts + passes) @ np.array(
                world.pattern_law(n, p, spread), dtype=object
            )
    return exact(means)


def signs(differences):
    """1, 0 or -1 for every entry of an exact value."""
    return exact(np.sign(differences.lower).astype(int))


def everywhere(grid):
    rates, latencies = grid
    return {
        "k": [[[k]] for k in LOOKAHEADS],
        "p": [[float(p)] for p in rates],
        "c": [float(c) for c in latencies],
    }


@claim.check("boundary-of-each-lookahead")
def each_boundary(passes, slowest_useful, grid):
    """The sign of the time lost against plain decoding is that of c minus its boundary."""
    return equal(signs(passes - 1), signs(latencies(grid) - slowest_useful), **everywhere(grid))


@claim.check("boundary-of-the-best")
def the_best(passes, slowest_useful_at_best, grid):
    at = {"p": [[float(p)] for p in grid[0]], "c": [float(c) for c in grid[1]]}
    return equal(signs(passes.smallest(axis=0) - 1), signs(latencies(grid) - slowest_useful_at_best), **at)


def latencies(grid):
    return exact(grid[1])


@claim.check("time-per-token")
def per_token(passes, rate, grid):
    at = everywhere(grid)
    return equal(passes[:, :, SOME], rate, **{**at, "c": at["c"][SOME]})


@claim.check("short-texts")
def short(short_texts, recursion, N):
    return equal(short_texts, recursion, n=np.arange(1, N + 1), k=[[k] for k in LOOKAHEADS])


claim.control(
    "boundary 10% farther", slowest_useful=lambda slowest_useful: Fraction(11, 10) * slowest_useful,
    must_fail="boundary-of-each-lookahead",
)  # fmt: skip


def first_draft_for_all(grid):
    """As if every draft of a round were accepted as often as the first."""
    return exact([[[p] for p in grid[0]] for _ in LOOKAHEADS])


claim.control("k c < k p", slowest_useful=first_draft_for_all, must_fail="boundary-of-each-lookahead")
claim.control(
    "p > 1.1 c", must_fail="boundary-of-the-best",
    slowest_useful_at_best=lambda slowest_useful_at_best: Fraction(10, 11) * slowest_useful_at_best,
)  # fmt: skip
claim.control("p 10% smaller", missed=Fraction(1, 10), must_fail="time-per-token")
claim.control("acceptance rate varies from text to text", spread=Fraction(1, 2), must_fail="short-texts")
claim.control("no bonus token", bonus=0, must_fail="short-texts")


def long_text_rate(drawn, N):
    """The time per token of a long text, times n."""
    return exact(
        [[[n * world.si_rate(p, c, k) for n in range(1, N + 1)] for k in LOOKAHEADS] for p, c in drawn]
    )


claim.control("long-text rate times n", recursion=long_text_rate, must_fail="short-texts")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["best $k$; red: slower than plain", "$c$ = 0.4"])
    passes, at = evidence.of("passes").middle, evidence.curve("boundary-of-the-best")
    p, c = np.ravel(at.p), np.asarray(at.c)
    left.pcolormesh(c, p, passes.min(axis=0) - 1, cmap="RdBu_r", vmin=-1, vmax=1, rasterized=False)
    left.plot([0, 1], [0, 1], color=plot.INK, **plot.BOUND)
    left.set(xlabel="drafter's latency $c$", ylabel="acceptance rate $p$", xlim=(0, 1), ylim=(0, 1))
    left.text(0.62, 0.55, "$p = c$", color=plot.INK)
    column = int(np.argmin(abs(c - 0.4)))
    for k in (1, 2, 6):
        right.plot(p, passes[LOOKAHEADS.index(k), :, column], label=f"SI({k})")
    right.axhline(1, color=plot.INK, label="plain decoding", **plot.BOUND)
    right.axvline(0.4, label="$p = c$", **plot.CONTROL)
    right.set(xlabel="acceptance rate $p$", ylabel="target passes per token", ylim=(0, 3.5))
    plot.legend(right)
