r"""With G rollouts a question DisCO's weight is $1 - p^G - (1 - p)^G$: a hard question counts about G p, not 1.

Let N be the number of correct answers among G rollouts of the policy. A group's gradient
$g = \frac1G \sum_i A_i \nabla s(o_i)$ has the group's own rate N / G in place of p in the factors A, and groups whose answers are all
correct or all wrong count as zero. For every $0 < n < G$

$$\mathbb{E}\big[ \mathbb{1}\{N = n\}\, g \big] = P(N = n)\, c_n \big( \mathbb{E}_{\pi^+} \nabla s - \mathbb{E}_{\pi^-} \nabla s \big), \qquad
c_n = \tfrac{n}{G} \big( 1 - \tfrac{n}{G} \big) \text{ (Dr. GRPO)},\ 1 \text{ (DisCO)},$$

so that their weights are

$$w_G = p (1 - p) \big( 1 - \tfrac1G \big) \text{ (Dr. GRPO)}, \qquad w_G = 1 - p^G - (1 - p)^G \text{ (DisCO)},$$

$$G p - \tbinom{G}{2} p^2 - p^G \;\le\; 1 - p^G - (1 - p)^G \;<\; \min(1,\ G p,\ G (1 - p)) .$$

---
Exact, by going through all groups (as counts of the answers, with their multinomial probabilities), for the score
log pi of a softmax policy; on the policy itself all scores of the paper have the same gradient.
"""

import math
from fractions import Fraction

import numpy as np

from verify import Claim, at_most, equal, exact, less, plot

from . import world

claim = Claim(
    "disco-difficulty-bias/finite-group-weights",
    cases={"p": (Fraction(1, 100), Fraction(1, 10), Fraction(1, 2), Fraction(9, 10))},
    full={"G": 16},
)
METHODS = ("dr-grpo", "disco")
SIZES = np.array([2, 8, 64], dtype=object)
RATES = np.array([[Fraction(i, 1000)] for i in (1, 2, 5, *range(10, 1000, 20), 995, 998, 999)], dtype=object)


@claim.instance
def policy(rng, p, correct=2, wrong=2):
    """Probabilities of the answers, the correct ones first."""
    weights = [[int(w) for w in rng.integers(1, 10, size=count)] for count in (correct, wrong)]
    parts = zip((p, 1 - p), weights, strict=True)
    return np.array([part * Fraction(w, sum(each)) for part, each in parts for w in each], dtype=object)


def both_kinds(p, G):
    """The probability that a group has correct and wrong answers."""
    return 1 - p**G - (1 - p) ** G


@claim.reference
def difference(policy, p, correct):
    """E+ of grad s less E- of grad s: the conditional policies, the second with its sign."""
    return exact(np.concatenate([policy[:correct] / p, -policy[correct:] / (1 - p)]))


@claim.reference
def shares(p, G=8):
    """P(N = n) c_n for 0 < n < G, (methods, G - 1)."""
    chances = [math.comb(G, n) * p**n * (1 - p) ** (G - n) for n in range(1, G)]
    variances = [Fraction(n * (G - n), G * G) for n in range(1, G)]
    return exact(np.array([np.multiply(chances, variances), chances], dtype=object))


@claim.reference
def totals(p, G):
    """The closed forms of w_G, (methods,)."""
    return exact(np.array([p * (1 - p) * (1 - Fraction(1, G)), both_kinds(p, G)], dtype=object))


@claim.reference
def weights():
    """DisCO's weight of every rate p and group size, (rates, sizes)."""
    return exact(both_kinds(RATES, SIZES))


@claim.run
def gradients(policy, p, correct, G, rate="of the group"):
    """Expected gradients by number of correct answers, (methods, G - 1, answers)."""
    rewards = np.array([int(o < correct) for o in range(len(policy))], dtype=object)
    found = np.full((len(METHODS), G - 1, len(policy)), Fraction(0))
    for counts, chance in world.groups(policy, G):
        n = int(counts @ rewards)
        if 0 < n < G:
            used = Fraction(n, G) if rate == "of the group" else p
            for method, sums in zip(METHODS, found, strict=True):
                # the gradient of sum_o a_o log pi(o) in the logits is a - (sum_o a_o) pi
                a = counts * world.advantages(method, rewards, used)
                sums[n - 1] += chance / G * (a - a.sum() * policy)
    return exact(found)


@claim.check("every-number-correct")
def every_number(gradients, shares, difference, G):
    return equal(
        gradients,
        shares[:, :, None] * difference,
        method=[[[m]] for m in METHODS],
        n=np.arange(1, G)[:, None],
    )


@claim.check("weight-of-a-question")
def weight_of_a_question(gradients, totals, difference):
    summed = exact(gradients.lower.sum(axis=1))
    return equal(summed, totals[:, None] * difference, method=[[m] for m in METHODS])


@claim.check("hard-and-easy-questions-count-less")
def counts_less(weights):
    return less(
        weights,
        exact(np.minimum(1, SIZES * np.minimum(RATES, 1 - RATES))),
        p=RATES.astype(float),
        G=SIZES.astype(int),
    )


@claim.check("about-G-p")
def about(weights, pairs=Fraction(1, 2)):
    bound = SIZES * RATES - pairs * SIZES * (SIZES - 1) * RATES**2 - RATES**SIZES
    return at_most(exact(bound), weights, p=RATES.astype(float), G=SIZES.astype(int))


claim.control(
    "p 10% larger in the law of N",
    shares=lambda p, G: shares(Fraction(11, 10) * p, G),
    must_fail="every-number-correct",
)
claim.control(
    "the population's p in place of N / G", rate="of the population", must_fail="every-number-correct"
)
claim.control("one rollout fewer", totals=lambda p, G: totals(p, G - 1), must_fail="weight-of-a-question")


def among_groups_of_both_kinds(totals, p, G):
    """Groups of one kind left out of the average, instead of counted as zero."""
    return totals / exact(both_kinds(p, G))


claim.control(
    "groups of one kind left out", totals=among_groups_of_both_kinds, must_fail="weight-of-a-question"
)
for name in ("hard-and-easy-questions-count-less", "about-G-p"):
    factor = Fraction(11, 10) if name != "about-G-p" else Fraction(9, 10)
    claim.control(f"weight times {factor}", weights=lambda weights, by=factor: by * weights, must_fail=name)
claim.control(
    "every question counts 1, as in the population",
    weights=lambda: exact(np.full((len(RATES), len(SIZES)), 1, dtype=object)),
    must_fail="hard-and-easy-questions-count-less",
)
claim.control("second-order term 20% smaller", pairs=Fraction(2, 5), must_fail="about-G-p")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["DisCO", "8 rollouts, hard questions"])
    curve = evidence.curve("hard-and-easy-questions-count-less")
    rates = curve.p[:, 0]
    for i, size in enumerate(curve.G.tolist()):
        left.plot(rates, curve.measured.middle[:, i], label=f"{size} rollouts", linestyle="-")
    left.axhline(1, label="control: 1", **plot.CONTROL)
    left.set(xlabel="probability $p$ of a correct answer", ylabel="weight $w_G$", ylim=(0, 1.05))
    own, color = curve.measured.middle[:, 1], left.lines[1].get_color()
    plot.curve_with_bound(right, rates, own, np.minimum(1, 8 * rates), color=color, linestyle="-")
    right.axhline(1, **plot.CONTROL)
    for case in evidence.cases:
        found = evidence.curve("weight-of-a-question", **case)
        share = found.measured.middle[1, 0] / evidence.of("difference", **case).middle[0]
        right.plot(float(Fraction(case["p"])), share, "o", color=color, label="all groups enumerated")
    right.set(xscale="log", yscale="log", xlabel="$p$", ylim=(0.005, 1.5))
    plot.legend([left, right], bound=r"$\min(1, Gp)$")
