r"""What a decoder of k parameters represents has dimension $\min(n(\omega-1), k)$: generic targets need $k \ge n(\omega-1)$.

The log-odds of n contexts over $\omega$ tokens are a smooth map $\mathbb{R}^k \to \mathbb{R}^{n(\omega-1)}$ of the decoder's
parameters. Its derivative has, at almost every point, the rank

$$\min\{\, n(\omega - 1),\ k \,\}$$

for $d < T$, T the longest context, provided that contexts end at enough positions: else some change of all embeddings is
undone by the other layers. For $k < n(\omega-1)$ the image has measure 0, so almost no distributions of the n contexts
are represented: $n \le k / (\omega - 1)$. From the very width at which k reaches $n(\omega-1)$ the image has interior.

---
Rank modulo a prime, for $\psi(x) = 1/(1+x^2)$ and contexts of up to 5 tokens: a rank that large at one point is reached
at almost every one, and no rank exceeds the minimum. That the image has measure 0 for small k is Sard's theorem.
"""

import numpy as np

from verify import Claim, equal, exact, plot

from . import _exact, world

claim = Claim("transformer-memory-capacity/dimension-of-the-image", full={"n": 60})
WIDTHS = (4, 6, 8, 9, 10, 11, 12, 14, 20)


@claim.instance
def contexts(rng, tokens=3, longest=5, short=3, n=48):
    return world.mixed_words(rng, tokens, longest, short, n)


@claim.reference
def dimension(tokens, contexts, d=4, per_context=None):
    """The rank for every width."""
    k = np.array([world.parameters(tokens, d, m) for m in WIDTHS])
    return exact(np.minimum(len(contexts) * (per_context or tokens - 1), k))


@claim.run
def ranks(rng, contexts, tokens, d, activation=_exact.rational_activation):
    return exact(np.array([_exact.generic_rank(rng, contexts, tokens, d, m, activation) for m in WIDTHS]))


@claim.check("rank")
def rank(ranks, dimension):
    return equal(ranks, dimension, width=WIDTHS)


def linear(z):
    """psi(z) = z and its derivative, modulo the prime."""
    return z % _exact.PRIME, np.ones(len(z), dtype=object)


def ending_elsewhere(rng, tokens, longest, short, n):
    """No context of 4 tokens: a shift of all embeddings can be absorbed by b and A, one parameter is lost."""
    every = world.words(tokens, longest)
    few, others = (
        [c for c in every if keep(len(c))] for keep in (lambda t: t <= short, lambda t: t == longest)
    )
    return [*few, *(others[i] for i in rng.permutation(len(others))[: n - len(few)])]


claim.control("no context ends at position 4", contexts=ending_elsewhere, must_fail="rank")
claim.control("linear activation", activation=linear, must_fail="rank")
claim.control("omega numbers per context", per_context=3, must_fail="rank")


@claim.figure
def draw(figure, evidence):
    (panel,) = plot.panel_grid(figure, [""])
    parameters, own = evidence.data["parameters"], evidence.curve("rank")
    needed = parameters["n"] * (parameters["tokens"] - 1)
    k = np.array([world.parameters(parameters["tokens"], parameters["d"], m) for m in WIDTHS]) / needed
    grey = evidence.curve("rank", control="linear activation").measured.middle
    panel.plot(k, own.measured.middle / needed, "o", label="modulo a prime")
    panel.plot(k, own.bound.middle / needed, color=plot.COLORS[0], **plot.BOUND)
    panel.plot(k, grey / needed, label="control: linear activation", **plot.CONTROL)
    panel.set(xlabel="$k / n(\\omega - 1)$", ylabel="rank $/\\, n(\\omega - 1)$", ylim=(0, 1.1))
    plot.legend(panel, bound="min(all, $k$)")
