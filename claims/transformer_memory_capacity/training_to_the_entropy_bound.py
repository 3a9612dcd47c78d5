r"""Trained by Adam, a decoder with $k$ above $n(\omega - 1)$ comes near the entropy of its documents, never below it.

For documents of a Markov source and n contexts, let H be the entropy of the next tokens given full prefixes and
$H_{\text{set}} > H$ that given only the length and the multiset of the prefix. Full-batch Adam takes the summed
cross-entropy of a decoder with $k \approx 2\, n(\omega - 1)$ parameters below $H_{\text{set}}$, on the way to H, whereas one
with $k \approx 0.3\, n(\omega - 1)$ stays above $H_{\text{set}}$. At every step of every run the loss is at least H; that of
the same decoder with uniform attention at least $H_{\text{set}}$, and with attention forced onto the last position at
least the entropy given the last token and the length.

---
The bounds hold for any training; how near to H these runs come is observed. The paper trains on TinyStories with wider
decoders, learning rate 1e-4 and 1e5 epochs; here the source is a Markov chain, the rate 1e-2 with a cosine schedule.
"""

import numpy as np

from verify import Claim, at_most, less, plot, rounded

from . import _descent, world

claim = Claim(
    "transformer-memory-capacity/training-to-the-entropy-bound",
    full={"count": 60, "wide": 128, "steps": 10_000, "starts": 5},
)
ATTENTIVE, LAST, UNIFORM = range(3)


@claim.instance
def documents(rng, count=40, tokens=6, length=6):
    return world.markov_documents(rng, count, tokens, length)


@claim.instance
def decoders(narrow=4, wide=64, starts=2):
    """(width, attention) of every decoder: a narrow one, wide ones, and wide ones with attention altered."""
    return [(narrow, ATTENTIVE), *[(wide, ATTENTIVE)] * starts, (wide, LAST), (wide, UNIFORM)]


@claim.reference
def entropy(documents):
    return world.entropy(world.context_counts(documents))


@claim.reference
def entropy_of_multisets(documents):
    return world.entropy(world.context_counts(documents, key=lambda c: tuple(sorted(c))))


@claim.reference
def entropy_of_last_tokens(documents):
    return world.entropy(world.context_counts(documents, key=lambda c: (c[-1], len(c))))


@claim.run
def trained(rng, documents, tokens, decoders, d=8, steps=2_000):
    counts = world.context_counts(documents)
    table = world.count_table(counts, tokens)
    return _descent.run(rng, list(counts), table, *zip(*decoders, strict=True), d, steps)


@claim.measurement
def losses(trained, documents):
    """The losses (steps + 1, R); rounding of the log-softmax is relative to logits of moderate size."""
    predicted = sum(len(document) - 1 for document in documents)
    return rounded(trained.loss, predicted + 64, trained.loss + predicted)


def of(losses, decoders, wanted):
    """The losses of the decoders that a condition on (width, attention) picks, (steps + 1, r)."""
    return losses[:, [i for i, decoder in enumerate(decoders) if wanted(*decoder)]]


@claim.check("never-below-the-entropy")
def never_below(losses, entropy):
    return at_most(entropy, losses, within=losses.gap(), step=np.arange(len(losses))[:, None])


@claim.check("uniform-attention")
def uniform(losses, decoders, entropy_of_multisets, uniform=UNIFORM):
    own = of(losses, decoders, lambda _, attention: attention == uniform)
    return at_most(entropy_of_multisets, own, within=losses.gap(), step=np.arange(len(losses))[:, None])


@claim.check("attention-on-the-last")
def on_the_last(losses, decoders, entropy_of_last_tokens, last=LAST):
    own = of(losses, decoders, lambda _, attention: attention == last)
    return at_most(entropy_of_last_tokens, own, within=losses.gap(), step=np.arange(len(losses))[:, None])


@claim.check("enough-parameters")
def enough(losses, decoders, narrow, wide, entropy_of_multisets, many="wide"):
    """The best of the wide decoders, at the end."""
    units = {"narrow": narrow, "wide": wide}[many]
    own = of(losses, decoders, lambda *decoder: decoder == (units, ATTENTIVE))
    return less(own[-1].smallest(), entropy_of_multisets)


@claim.check("too-few-parameters")
def too_few(losses, decoders, narrow, wide, entropy_of_multisets, few="narrow"):
    units = {"narrow": narrow, "wide": wide}[few]
    own = of(losses, decoders, lambda *decoder: decoder == (units, ATTENTIVE))
    return less(entropy_of_multisets, own[-1])


claim.control(
    "entropy of multisets", entropy=lambda entropy_of_multisets: entropy_of_multisets,
    must_fail="never-below-the-entropy",
)  # fmt: skip
claim.control("uniform, with scores after all", uniform=ATTENTIVE, must_fail="uniform-attention")
claim.control("on the last, with scores after all", last=ATTENTIVE, must_fail="attention-on-the-last")
claim.control("on all positions alike", last=UNIFORM, must_fail="attention-on-the-last")
claim.control("a third of the parameters", many="narrow", must_fail="enough-parameters")
claim.control("twice the count of parameters", few="wide", must_fail="too-few-parameters")


@claim.figure
def draw(figure, evidence):
    (panel,) = plot.panel_grid(figure, [""])
    losses, H = evidence.of("trained").loss, evidence.of("entropy").middle
    names = [f"{width} units" for width, _ in evidence.of("decoders")]
    steps = evidence.of("trained").step + 1
    for i, (name, (_, attention)) in enumerate(zip(names, evidence.of("decoders"), strict=True)):
        label = {LAST: "control: the last only", UNIFORM: "control: uniform attention"}.get(attention, name)
        look = {LAST: {**plot.CONTROL, "linestyle": (0, (4, 1, 1, 1))}, UNIFORM: plot.CONTROL}.get(attention)
        shown = {line.get_label() for line in panel.get_lines()}
        look = look or {"color": plot.COLORS[0 if i else 1], "linestyle": "-"}
        panel.plot(steps, losses[:, i] / H - 1, label=None if label in shown else label, **look)
    for name in ("entropy_of_multisets", "entropy_of_last_tokens"):
        panel.axhline(evidence.of(name).middle / H - 1, color=plot.INK, **plot.BOUND)
    panel.set(xscale="log", yscale="log", xlabel="step", ylabel="loss over entropy, minus 1", ylim=(2e-3, 10))
    plot.legend(panel, bound="entropies of coarser contexts")
