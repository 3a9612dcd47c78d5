r"""Draft and verify reproduces the target's joint law exactly, whatever the drafter and the number of drafts.

In every context let P be the target's next-token law and q the drafter's. A draft $x \sim q$ is accepted with
probability $\min(1, P(x)/q(x))$; after a rejection the token is drawn from $(P - q)_+ / \sum (P - q)_+$ and the round
ends; after k acceptances one more token is drawn from P. Then the first N tokens have the law

$$\Pr(x_1, \dots, x_N) = \prod_{i=1}^{N} P(x_i \mid x_1 \dots x_{i-1}) ,$$

for every k: draft-then-wait with k drafts, and DSI, which never pauses (k = N - 1). A draft is accepted with probability

$$\sum_x \min(P, q) = 1 - \mathrm{TV}(P, q) \ \ge\ \sum_x P q ,$$

the last being the chance that two independent draws agree, as when only equal tokens are accepted.

---
All drafts, acceptances and corrections are enumerated in fractions, for random tables and for laws with zeros.
"""

import itertools
from fractions import Fraction

import numpy as np

from verify import Claim, at_most, equal, exact, plot

from . import world

claim = Claim(
    "distributed-speculative-inference/lossless",
    cases={"drafts": (1, 2, 3)},
    full={"letters": 4, "largest": 60},
)


@claim.instance
def models(rng, letters=3, N=4, largest=9):
    """{context: (P, q)} for all contexts shorter than N: random fractions, and first the extremal pairs."""
    contexts = [c for n in range(N) for c in itertools.product(range(letters), repeat=n)]
    even, sure = [Fraction(1, letters)] * letters, [Fraction(int(x == 0)) for x in range(letters)]
    named = [(sure, even), (even, sure), (even, even)]  # of contexts (0,), (1,), (2,)
    tables = {context: tuple(random_law(rng, letters, largest) for _ in "Pq") for context in contexts}
    return tables | {(x,): pair for x, pair in enumerate(named)}


def random_law(rng, letters, largest):
    weights = rng.integers(0, largest + 1, size=letters)
    weights[rng.integers(letters)] += 1
    return [Fraction(int(w), int(weights.sum())) for w in weights]


@claim.reference
def target_law(models, letters, N):
    """The product of the target's conditionals, for every text."""
    return exact([product(models, text) for text in itertools.product(range(letters), repeat=N)])


def product(models, text):
    probability = Fraction(1)
    for i, x in enumerate(text):
        probability *= models[text[:i]][0][x]
    return probability


@claim.reference
def overlap(models):
    """1 - TV(P, q), context by context."""
    return exact([1 - sum(abs(a - b) for a, b in zip(P, q, strict=True)) / 2 for P, q in models.values()])


@claim.reference
def agreement(models):
    """sum P q, context by context."""
    return exact([sum(a * b for a, b in zip(P, q, strict=True)) for P, q in models.values()])


@claim.run
def emitted_law(models, letters, N, drafts, accept=world.acceptance, correct=world.correction):
    law = world.emitted_law(models, N, drafts, accept, correct)
    return exact([law.get(text, Fraction(0)) for text in itertools.product(range(letters), repeat=N)])


@claim.run
def accepted(models, accept):
    """How often a draft is accepted, context by context."""
    return exact([sum(q[x] * accept(P, q, x) for x in range(len(q)) if q[x]) for P, q in models.values()])


@claim.check("joint-law")
def joint_law(emitted_law, target_law, letters, N):
    texts = itertools.product(range(letters), repeat=N)
    return equal(emitted_law, target_law, text=["".join(map(str, text)) for text in texts])


@claim.check("acceptance")
def acceptance(accepted, overlap):
    return equal(accepted, overlap)


@claim.check("more-than-agreement")
def more(agreement, accepted):
    return at_most(agreement, accepted)


def harder(P, q, x):
    """Accepts 10% less often."""
    return Fraction(9, 10) * world.acceptance(P, q, x)


def always(P, q, x):
    return Fraction(1)


claim.control("accepted 10% less often", accept=harder, must_fail="joint-law")
claim.control("always accepted", accept=always, must_fail="joint-law")
claim.control("corrections from P", correct=lambda P, q: P, must_fail="joint-law")
claim.control("accepted 10% less often, rate", accept=harder, must_fail="acceptance")


claim.control(
    "agreement 10% larger", agreement=lambda agreement: Fraction(11, 10) * agreement,
    must_fail="more-than-agreement",
)  # fmt: skip


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["81 texts of 4 tokens, $k$ = 3", "a draft's chances"])
    curve = evidence.curve("joint-law", drafts=3)
    for name, marker in (("always accepted", "x"), ("corrections from P", "+")):
        altered = evidence.curve("joint-law", control=name, drafts=3)
        left.plot(
            altered.bound.middle, altered.measured.middle, marker, color=plot.CONTROL["color"],
            label=f"control: {name}", markersize=4,
        )  # fmt: skip
    left.plot(curve.bound.middle, curve.measured.middle, ".", color=plot.COLORS[0], label="emitted")
    left.plot([1e-4, 1], [1e-4, 1], color=plot.INK, **plot.BOUND)
    left.set(
        xlabel="target's probability", ylabel="emitted with probability", xscale="log", yscale="log",
        xlim=(1e-4, 1), ylim=(1e-4, 1),
    )  # fmt: skip
    rates, agreement = evidence.curve("acceptance", drafts=3), evidence.curve("more-than-agreement", drafts=3)
    order = np.argsort(rates.bound.middle)
    right.plot(rates.measured.middle[order], ".", label="accepted")
    right.plot(rates.bound.middle[order], label="1 - TV", color=plot.COLORS[0], **plot.BOUND)
    right.plot(agreement.measured.middle[order], ".", label="equal draws", color=plot.COLORS[1])
    right.set(xlabel="contexts, sorted", ylim=(0, 1.05))
    plot.legend(left)
    plot.legend(right)
