r"""Sampled groups follow the finite-group weights, and GRPO's lies below the weight of the population.

The gradient of a group's loss $\frac1G \sum_i f(\rho_i, A_i)$ (GRPO, Dr. GRPO), or of its mean score of correct less that of
wrong answers (DisCO), at the policy that sampled the group, summed over the logits of the correct answers, has expectation

$$w_G = \mathbb{E} \sqrt{\tfrac{N}{G} \big( 1 - \tfrac{N}{G} \big)} \le \min \big( \sqrt{p (1 - p)},\ p \sqrt{G - 1} \big), \qquad
w_G = p (1 - p) \big( 1 - \tfrac1G \big), \qquad w_G = 1 - p^G - (1 - p)^G$$

for GRPO, Dr. GRPO and DisCO, where N is binomial with G trials and probability p.
"""

from fractions import Fraction
from functools import cache
from math import comb

import numpy as np

from verify import Claim, at_most, certify, equal, exact, plot, stack, statistics, train

from . import world

claim = Claim(
    "disco-difficulty-bias/sampled-group-gradients",
    cases=tuple({"p": Fraction(*p), "G": 8} for p in ((1, 100), (1, 10), (1, 2), (9, 10))),
    full={
        "cases": {"p": (Fraction(1, 100), Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)), "G": (2, 8, 32)},
        "M": 200_000,
    },
)
CLIP = 0.2
HALF = {"p": (Fraction(1, 2),), "G": (8,)}
HARD = {"p": (Fraction(1, 100),), "G": (8,)}


@claim.instance
def policy(rng, p, correct=2, wrong=3):
    """Probabilities of the answers (k,), the correct ones first."""
    parts = zip((p, 1 - p), (correct, wrong), strict=True)
    return np.concatenate([float(part) * rng.dirichlet(np.full(count, 3.0)) for part, count in parts])


@claim.reference
def weights(p, G):
    """w_G of every method, (3,)."""
    chances = exact(np.array([comb(G, n) * p**n * (1 - p) ** (G - n) for n in range(1, G)], dtype=object))
    variances = exact(np.array([Fraction(n * (G - n), G * G) for n in range(1, G)], dtype=object))
    grpo = (chances * certify.sqrt(variances)).sum()
    return stack([grpo, exact(p * (1 - p) * (1 - Fraction(1, G))), exact(1 - p**G - (1 - p) ** G)])


@claim.reference
def population(p):
    return certify.sqrt(p * (1 - p))


@claim.run
def gradients(rng, policy, correct, G, M=40_000):
    """Of M sampled groups, for every method: (M, 3)."""
    rolled = np.searchsorted(np.cumsum(policy)[:-1], rng.random((M, G)), side="right")
    return np.array(of_groups(correct)(np.log(policy), rolled))


@cache
def of_groups(correct):
    jax = train.use_jax()
    jnp = jax.numpy

    def losses(logits, group):
        """The three objectives of one group (G,) of answers; `logits` moves, the sampling policy does not."""
        scores = jax.nn.log_softmax(logits)[group]
        ratios = jnp.exp(scores - jax.lax.stop_gradient(scores))
        rewards = (group < correct).astype(float)
        rate = rewards.mean()
        told = (rate > 0) & (rate < 1)
        rate = jnp.where(told, rate, 0.5)  # any number: the group counts as zero
        A = [world.advantages(method, rewards, rate, jnp.sqrt) for method in ("grpo", "dr-grpo")]
        clipped = [world.clipped(ratios, a, CLIP, CLIP, jnp).mean() for a in A]
        right, wrong = rewards.sum(), (1 - rewards).sum()
        disco = (rewards * scores).sum() / (right + ~told) - ((1 - rewards) * scores).sum() / (wrong + ~told)
        return jnp.where(told, jnp.stack([*clipped, disco]), 0.0)

    def of_one(logits, group):
        return jax.jacrev(losses)(logits, group)[:, :correct].sum(axis=1)

    return jax.jit(jax.vmap(of_one, in_axes=(None, 0)))


@claim.measurement
def means(gradients):
    """Every entry lies in [0, 1], up to the rounding that the wider bounds allow for."""
    return statistics.bernstein_mean(gradients, -0.1, 1.1)


@claim.check("expected-gradient")
def expected(means, weights):
    widths = stack([mean.gap() for mean in means])
    return equal(means, weights, within=widths, method=list(world.METHODS))


@claim.check("below-the-population")
def below(weights, population):
    return at_most(weights[0], population)


@claim.check("below-p-root-G")
def below_linear(weights, p, G):
    return at_most(weights[0], exact(p) * certify.sqrt(G - 1))


def as_in_the_population(weights, population, p):
    return stack([population, exact(p * (1 - p)), exact(1)])


def deviation_with_one_less(weights, G):
    """The deviation of a group with G - 1 in its denominator, as many libraries have it: 6% more for G = 8."""
    return stack([weights[0] * certify.sqrt(Fraction(G - 1, G)), weights[1], weights[2]])


def larger(weights):
    return Fraction(11, 10) * weights


claim.control("weights of the population", weights=as_in_the_population, must_fail="expected-gradient")
claim.control(
    "deviation with G - 1", weights=deviation_with_one_less, must_fail="expected-gradient", cases=HALF
)
claim.control("weights 10% larger", weights=larger, must_fail="expected-gradient", cases=HALF)
claim.control("10% larger, fair question", weights=larger, must_fail="below-the-population", cases=HALF)
claim.control("10% larger, hard question", weights=larger, must_fail="below-p-root-G", cases=HARD)


@claim.figure
def draw(figure, evidence):
    names = ["GRPO", "Dr. GRPO", "DisCO"]
    panels = plot.panel_grid(figure, [f"$p$ = {case['p']}" for case in evidence.cases], sharex=True)
    for panel, case in zip(panels, evidence.cases, strict=True):
        curve = evidence.curve("expected-gradient", **case)
        rival = evidence.curve("expected-gradient", control="weights of the population", **case)
        labels, values, bounds, grey = [], [], [], []
        for i, name in enumerate(names):
            grey.append(f"{name}, $G$ = ∞")
            labels += [f"{name}, $G$ = {case['G']}", grey[-1]]
            values += [curve.measured[i], rival.bound[i]]
            bounds += [curve.bound[i], None]
        plot.bars_with_intervals(panel, labels, values, bounds, controls=grey)
    for panel in panels[-2:]:
        panel.set_xlabel("weight (dashed: exact)")
    for panel in panels[1::2]:
        panel.set_yticklabels([])
