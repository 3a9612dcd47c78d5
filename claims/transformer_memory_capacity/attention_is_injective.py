r"""Self-attention tells all contexts apart, for almost all parameters; without positions or scores it merges many.

Let $h(c) = \sum_i a_i x_i$ with $x_i = E_{z_i} + P_i$ and $a = \mathrm{softmax}(x_i^T A x_t)$ be the output of
attention at the last position of $c = (z_1, \dots, z_t)$, $t \le T$, over $\omega$ tokens. For almost all $(E, P, A)$,
in any dimension $d \ge 1$, the number of distinct outputs is

$$\sum_{t \le T} \omega^t \quad \text{(all of them)}, \qquad
\omega \sum_{s \le T} \sum_{g \mid s} \mu(g) \binom{s/g + \omega - 2}{\omega - 1} \quad \text{if } P = 0, \qquad
\sum_{t \le T} \binom{\omega + t - 1}{t} \quad \text{if } A = 0 :$$

without positions two contexts agree iff they end alike and hold the tokens in equal proportions, with uniform
attention iff they have one length and one multiset of tokens.

---
Coincidences are zeros of analytic functions, hence most outputs are distinct at almost every point, and the number
at any one point is at most that. The points here have rational outputs, which are compared exactly. A few points are
tried, as an integer one may lie on the exceptional set.
"""

import math

import numpy as np

from verify import Claim, Record, equal, exact, plot

from . import _exact, world

claim = Claim(
    "transformer-memory-capacity/attention-is-injective",
    cases=(
        {"tokens": 4, "longest": 4, "d": 4},
        {"tokens": 3, "longest": 5, "d": 2},
        {"tokens": 5, "longest": 4, "d": 8},
        {"tokens": 4, "longest": 4, "d": 1},
    ),
    full={"cases": ({"tokens": 4, "longest": 6, "d": 4}, {"tokens": 3, "longest": 7, "d": 2})},
)
POINTS = 24  # the search for a point ends as soon as all outputs are distinct


@claim.instance
def contexts(tokens, longest):
    return world.words(tokens, longest)


@claim.reference
def words(tokens, longest):
    return exact(sum(tokens**t for t in range(1, longest + 1)))


@claim.reference
def endings_and_proportions(tokens, longest):
    """Primitive count vectors of size s <= T that hold the last token, for each last token."""
    return exact(tokens * sum(primitive(s, tokens, held=1) for s in range(1, longest + 1)))


def primitive(s, tokens, held):
    """Vectors in N^tokens of sum s without a common divisor, the first entry at least `held`: Moebius inversion."""
    divisors = [g for g in range(1, s + 1) if s % g == 0]
    return sum(world.mobius(g) * math.comb(s // g - held + tokens - 1, tokens - 1) for g in divisors)


@claim.reference
def multisets(tokens, longest):
    return exact(sum(math.comb(tokens + t - 1, t) for t in range(1, longest + 1)))


def most_distinct(contexts, points):
    """The largest number of distinct outputs at some point, and how far apart they are there."""
    best = []
    for point in points:
        found = _exact.attention_outputs(contexts, point)
        best = max(best, found, key=lambda outputs: len(set(outputs)))
        if len(set(best)) == len(contexts):
            break
    return Record(count=exact(len(set(best))), nearest=nearest(_exact.floats(best)))


def nearest(h):
    """Distance of every output to the nearest other one, sorted, in units of their spread: (n,)."""
    from scipy.spatial import KDTree

    distances, _ = KDTree(h).query(h, k=2)
    return np.sort(distances[:, 1]) / h.std()


@claim.run
def attention(rng, contexts, tokens, longest, d):
    points = (_exact.integer_point(rng, tokens, longest, d) for _ in range(POINTS))
    return most_distinct(contexts, points)


# where outputs merge, the search can't know that it has found the most: chance coincidences are rarer for larger d
@claim.run
def without_positions(rng, contexts, tokens, longest, d):
    points = (_exact.integer_point(rng, tokens, longest, d) for _ in range(6 if d <= 2 else 2))
    return most_distinct(contexts, (Record(E=p.E, P=0 * p.P, A=p.A) for p in points))


@claim.run
def uniform_attention(rng, contexts, tokens, longest, d, size=10**6):
    points = (_exact.integer_point(rng, tokens, longest, d, size) for _ in range(2))
    return most_distinct(contexts, (Record(E=p.E, P=p.P, A=0 * p.A) for p in points))


@claim.assumption
def distinct_positions(rng, tokens, longest, d):
    """Positional embeddings tell positions apart, here in every dimension."""
    P = _exact.integer_point(rng, tokens, longest, d).P
    return equal(exact(np.array([len(set(column)) for column in P.T.tolist()])), exact(longest))


@claim.check("injective")
def injective(attention, words):
    return equal(attention.count, words)


@claim.check("without-positions")
def merged_without_positions(without_positions, endings_and_proportions):
    return equal(without_positions.count, endings_and_proportions)


@claim.check("uniform-attention")
def merged_by_uniform_attention(uniform_attention, multisets):
    return equal(uniform_attention.count, multisets)


claim.control(
    "positions removed", attention=lambda without_positions: without_positions, must_fail="injective"
)
claim.control(
    "attention uniform", attention=lambda uniform_attention: uniform_attention, must_fail="injective"
)


def endings_and_counts(tokens, longest):
    """As if contexts of different lengths never agreed: proportions taken for counts."""
    return exact(tokens * sum(math.comb(s + tokens - 2, tokens - 1) for s in range(1, longest + 1)))


claim.control(
    "token counts in place of proportions", endings_and_proportions=endings_and_counts,
    must_fail="without-positions",
)  # fmt: skip


def proportions(tokens, longest):
    """As if contexts of different lengths could agree: primitive count vectors, whichever tokens they hold."""
    return exact(sum(primitive(s, tokens, held=0) for s in range(1, longest + 1)))


claim.control("multisets up to their length", multisets=proportions, must_fail="uniform-attention")


@claim.figure
def draw(figure, evidence):
    titles = [f"$\\omega$ = {c['tokens']}, $T$ = {c['longest']}, $d$ = {c['d']}" for c in evidence.cases]
    worlds = {
        "attention": "attention with positions",
        "without_positions": "control: no positions",
        "uniform_attention": "control: uniform attention",
    }
    looks = {"without_positions": (0, (1, 1.1)), "uniform_attention": (0, (4, 1, 1, 1))}
    equal_at = 1e-10  # where distances of exactly 0 are drawn
    panels = plot.panel_grid(figure, titles, columns=2, sharey=True)
    for panel, case in zip(panels, evidence.cases, strict=True):
        for name, label in worlds.items():
            distances = evidence.of(name, **case).nearest
            look = {} if name == "attention" else {**plot.CONTROL, "linestyle": looks[name]}
            share = np.linspace(0, 100, len(distances))
            panel.plot(share, np.maximum(distances, equal_at), label=label, **look)
        panel.set(yscale="log", ylim=(equal_at / 9, 20))
        panel.text(3, 2 * equal_at, "equal", fontsize=7.5)
    for panel in panels[-2:]:
        panel.set_xlabel("% of contexts, sorted")
    for panel in panels[::2]:
        panel.set_ylabel("distance to the nearest")
    plot.legend(panels)
