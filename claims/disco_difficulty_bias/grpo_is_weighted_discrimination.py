r"""GRPO is a discriminative objective, weighted by the deviation of a question's rewards.

With rewards 0 and 1, advantages $A = (r - p) / \sqrt{p (1 - p)}$ and $f(x, A) = \min(x A, \mathrm{clip}(x, 1 - \epsilon, 1 + \epsilon')\, A)$,

$$\mathbb{E}_q \mathbb{E}_{o \sim \pi} \frac{1}{|o|} \sum_t f(\rho_t, A)
  = \mathbb{E}_q \sqrt{p (1 - p)}\; \mathbb{E}_{o \sim \pi^+,\, o' \sim \pi^-} \big[ s^+(o) - s^-(o') \big],$$

$$s^+(o) = \frac{1}{|o|} \sum_t \min(\rho_t, 1 + \epsilon'), \qquad s^-(o) = \frac{1}{|o|} \sum_t \max(\rho_t, 1 - \epsilon),$$

where $\rho_t$ is a token's ratio of the new to the old policy. Without the division by the deviation (Dr. GRPO) the
weight is $p (1 - p)$.

---
Exact, question by question: answers are the leaves of a tree of tokens, both policies are fractions, and
p = a^2 / (a^2 + b^2), whose deviation a b / (a^2 + b^2) is a fraction as well. The upper clip is GRPO's or DAPO's.
"""

import itertools
from fractions import Fraction

import numpy as np

from verify import Claim, equal, plot

from . import world

claim = Claim(
    "disco-difficulty-bias/grpo-is-weighted-discrimination",
    cases={"high": (Fraction(1, 5), Fraction(7, 25))},
    full={"draws": 1_000, "most": 12},
)
LOW = Fraction(1, 5)
CONTENTS = [content for length in range(3) for content in itertools.product("abc", repeat=length)]


@claim.instance
def questions(rng, draws=60, most=7):
    """Ratios on both sides of every clip first, then unchanged, then random policies on random trees."""
    half = [Fraction(1, 2)] * 2
    pair = [("a", world.END), (world.END,)]
    moved = [Fraction(x, 100) for x in (20, 40, 41, 59, 60, 61, 62, 64, 65, 80)]  # ratios 2/5 to 8/5
    named = [world.question(pair, half, [x, 1 - x], rewards) for x in moved for rewards in ([1, 0], [0, 1])]
    return [
        *named,
        world.question(pair, half, half, [1, 0]),
        *(random_question(rng, most) for _ in range(draws)),
    ]


def random_question(rng, most):
    k = int(rng.integers(2, most + 1))
    answers = [(*CONTENTS[i], world.END) for i in rng.choice(len(CONTENTS), size=k, replace=False)]
    correct = int(rng.integers(1, k))
    a, b = (int(x) for x in rng.integers(1, 10, size=2))
    p = Fraction(a * a, a * a + b * b)
    old = [p * x for x in distribution(rng, correct)] + [(1 - p) * x for x in distribution(rng, k - correct)]
    return world.question(answers, old, distribution(rng, k), [1] * correct + [0] * (k - correct))


def distribution(rng, k):
    weights = [int(x) for x in rng.integers(1, 10, size=k)]
    return [Fraction(x, sum(weights)) for x in weights]


@claim.reference
def discrimination(questions, high, scores=(min, max)):
    """E s+ of a correct answer less E s- of a wrong one, for every question."""
    return world.column(difference(q, *scores, LOW, high) for q in questions)


def difference(q, upper, lower, low, high):
    """Correct answers with probabilities pi / p, wrong ones with pi / (1 - p)."""
    total = Fraction(0)
    for ratios, weight, r in zip(q.ratios, q.old, q.rewards, strict=True):
        kept = [upper(x, 1 + high) if r else lower(x, 1 - low) for x in ratios]
        total += (weight / q.p if r else -weight / (1 - q.p)) * sum(kept) / len(kept)
    return total


@claim.reference
def deviation(questions):
    return world.column(world.root(q.p * (1 - q.p)) for q in questions)


@claim.run
def grpo(questions, high):
    """The objective of every question, by its definition."""
    return world.column(objective("grpo", q, high) for q in questions)


@claim.run
def dr_grpo(questions, high):
    return world.column(objective("dr-grpo", q, high) for q in questions)


def objective(method, q, high):
    total = Fraction(0)
    for ratios, weight, r in zip(q.ratios, q.old, q.rewards, strict=True):
        advantage = world.advantages(method, r, q.p, world.root)
        total += weight * sum(world.clipped(x, advantage, LOW, high) for x in ratios) / len(ratios)
    return total


@claim.check("grpo")
def weighted_by_deviation(grpo, discrimination, deviation, questions):
    return equal(grpo, deviation * discrimination, p=[float(q.p) for q in questions])


@claim.check("dr-grpo")
def weighted_by_variance(dr_grpo, discrimination, deviation, questions):
    return equal(dr_grpo, deviation * deviation * discrimination, p=[float(q.p) for q in questions])


def clip_10_percent_wider(questions, high):
    return world.column(
        difference(q, min, max, Fraction(11, 10) * LOW, Fraction(11, 10) * high) for q in questions
    )


def one_clip_for_both(questions, high):
    """The lower clip for correct answers as well."""
    return world.column(difference(q, min, max, LOW, -LOW) for q in questions)


for name in ("grpo", "dr-grpo"):
    claim.control(f"minimum and maximum exchanged, {name}", scores=(max, min), must_fail=name)
    claim.control(f"clips 10% wider, {name}", discrimination=clip_10_percent_wider, must_fail=name)
    claim.control(f"correct answers clipped at the lower end, {name}", discrimination=one_clip_for_both, must_fail=name)  # fmt: skip
claim.control(
    "weight p (1 - p) for GRPO", deviation=lambda deviation: deviation * deviation, must_fail="grpo"
)
claim.control(
    "weight of GRPO for Dr. GRPO",
    dr_grpo=lambda questions, high: grpo(questions, high),
    must_fail="dr-grpo",
)


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["weight of a question", "score of a token"])
    grid = np.linspace(0, 1, 201)
    left.plot(grid, np.sqrt(grid * (1 - grid)), label=r"GRPO, $\sqrt{p(1-p)}$", linestyle="-")
    left.plot(grid, grid * (1 - grid), label=r"Dr. GRPO, $p(1-p)$", linestyle="-")
    left.plot(grid, np.ones_like(grid), label="DisCO, 1", linestyle="-")
    for color, check in ((0, "grpo"), (1, "dr-grpo")):
        left.plot(*implied_weights(evidence, check), ".", color=plot.COLORS[color], markersize=3.5)
    rival = implied_weights(evidence, "grpo", "clips 10% wider, grpo")
    left.plot(
        *rival, "x", color=plot.CONTROL["color"], markersize=3.5, zorder=1.8, label="control: clips 10% wider"
    )
    left.set(xlabel="probability $p$ of a correct answer", ylim=(0, 1.05))
    ratio = np.linspace(0.4, 1.6, 241)
    right.plot(
        ratio, np.minimum(ratio, 1.2), label="$s^+$ of a correct answer", linestyle="-", color=plot.COLORS[3]
    )
    right.plot(
        ratio, np.maximum(ratio, 0.8), label="$s^-$ of a wrong answer", linestyle="-", color=plot.COLORS[4]
    )
    right.set(xlabel=r"ratio $\rho_t$", aspect="equal")
    plot.legend([left, right])


def implied_weights(evidence, check, control=None):
    """(p, objective / discrimination) of the questions on which the policies differ."""
    case = {"high": Fraction(1, 5)}
    curve, base = (
        evidence.curve(check, control, **case),
        evidence.of("discrimination", control, **case).middle,
    )
    told = np.abs(base) > 0.02
    return np.array(curve.p)[told], curve.measured.middle[told] / base[told]
