r"""Deterministic next tokens need fewer parameters than $n(\omega - 1)$: the upper bound is about almost all targets.

Let a single token, drawn at random, follow each of n contexts. If the cross-entropy of a decoder, summed over the
contexts, is below $\log 2$, each right token has a probability above 1/2, hence the largest logit; scaling the head by
$s \to \infty$ then takes the cross-entropy to 0, the entropy of these targets. Training finds such decoders with
$0.89\, n(\omega - 1)$ parameters, from which almost all distributions are out of reach.

---
The bound is as large as it can be: one context with two equally frequent next tokens has entropy $\log 2$ by itself.
That some start gets below it is what these runs show; the infimum 0 follows from any that does.
"""

import numpy as np

from verify import Claim, Record, certify, exact, less, plot, rounded

from . import _descent, world

claim = Claim("transformer-memory-capacity/one-hot-targets", full={"starts": 64, "steps": 4_000})


@claim.instance
def contexts(rng, tokens=8, longest=3, n=32):
    every = world.words(tokens, longest)
    return [every[i] for i in rng.permutation(len(every))[:n]]


@claim.instance
def targets(rng, contexts, tokens):
    """The probability of every token after every context (n, omega): 1 for one token, 0 for the others."""
    return np.eye(tokens)[rng.integers(tokens, size=len(contexts))]


@claim.reference
def needed(contexts, tokens):
    """How many parameters almost all distributions need."""
    return exact(len(contexts) * (tokens - 1))


@claim.reference
def one_half():
    """-log(1/2): a sum of losses below it has no token with a probability of 1/2 or less."""
    return certify.log(exact(2))


@claim.run
def trained(rng, contexts, targets, d=4, m=12, starts=32, steps=1_000):
    return _descent.run(rng, contexts, targets, [m] * starts, [0] * starts, d, steps, rate=0.03)


@claim.measurement
def losses(trained, contexts):
    """Final ones (R,), where rounding of the log-softmax is relative to moderate logits; the least at every step."""
    final, n = trained.loss[-1], len(contexts)
    return Record(final=rounded(final, n + 64, final + n), step=trained.step, least=trained.loss.min(axis=1))


@claim.measurement
def parameters(tokens, d, m):
    """Of the head, omega - 1 rows count: a shift of all logits leaves the distribution as it is."""
    return exact(world.parameters(tokens, d, m))


@claim.check("fewer-parameters")
def fewer(parameters, needed):
    return less(parameters, needed)


@claim.check("every-token-above-one-half")
def above_one_half(losses, one_half):
    """From the best start."""
    return less(losses.final.smallest(), one_half)


def one_ambiguous(rng, contexts, tokens):
    """The first context is followed by two tokens alike."""
    found = targets(rng, contexts, tokens)
    found[0] = (found[0] + np.roll(found[0], 1)) / 2
    return found


def generic(rng, contexts, tokens):
    return rng.dirichlet(np.ones(tokens), size=len(contexts))


claim.control(
    "one context with two next tokens", targets=one_ambiguous, must_fail="every-token-above-one-half"
)
claim.control("generic distributions", targets=generic, must_fail="every-token-above-one-half")
claim.control(
    "count of four contexts fewer", needed=lambda contexts, tokens: exact((len(contexts) - 4) * (tokens - 1)),
    must_fail="fewer-parameters",
)  # fmt: skip


@claim.figure
def draw(figure, evidence):
    (panel,) = plot.panel_grid(figure, [""])
    worlds = {"generic distributions": (0, (1, 1.1)), "one context with two next tokens": (0, (4, 1, 1, 1))}
    for name, look in worlds.items():
        other = evidence.of("losses", control=name)
        look = {**plot.CONTROL, "linestyle": look}
        panel.plot(other.step + 1, other.least, label=f"control: {name}", **look)
    own = evidence.of("losses")
    panel.plot(own.step + 1, own.least, label="one-hot targets")
    panel.axhline(evidence.of("one_half").middle, **plot.BOUND, color=plot.INK)
    panel.set(
        xscale="log", yscale="log", xlabel="step", ylabel="loss, least of all starts", ylim=(1e-3, None)
    )
    plot.legend(panel, bound=r"$\log 2$")
