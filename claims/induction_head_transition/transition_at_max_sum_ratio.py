r"""The model generalises out of distribution just where the max-sum ratio is below a constant over N_trg.

Let $R(D) = \max_l (q_l / l) / \sum_l (q_l / l)$, $l_0$ the shortest length, $T_0 = 2 l_0 + 3$. After both steps on the
population loss, for a large vocabulary and saturated attention,

$$R(D) < \epsilon_1 = \frac{2 l_0}{T_0} \cdot \frac{1 - 4 / T_0}{N_{trg} + 1 + 2 / T_0} \ \Longrightarrow\
\text{every test sequence is answered}, \qquad
R(D) > \epsilon_2 = \frac{T_0}{2 l_0} \cdot \frac{1}{N_{trg}} \ \Longrightarrow\ \text{some are not},$$

(the latter for $l_0 \ge 2$), and training sequences are answered in both cases. Both bounds follow from a sharp
criterion, the least over test pairs $(l_1, l_2)$ and positions $t \ne l_1 + 2$ of a difference of scores: with
$Q_l = q_l / T_l$ and $S_1 = \sum Q_k (1 - 2/T_k)$,

$$\mathrm{crit}(D) = \min \frac{1}{S_1} \Big[ S_1 + Q_l \Big(1 - \frac2{T_l}\Big) + \mathrm{pos}(l_1 + 2) - \mathrm{pos}(t) \Big], \qquad
\mathrm{pos}(t) = Q_{t-2} + Q_{t-3} + N_{trg} Q_l 1_{t \in \{l+2, l+3\}} - \sum_{T_k \ge t} \frac{2 Q_k}{T_k} ,$$

$l = (l_1 + l_2) / 2$ (positions that hold a trigger score $4 (Q_l / T + \sum Q_k / T_k)$ less). The least margin over
all test sequences, in units of $\sigma S_1 / N_{trg}$ with $\sigma = \sum Q_k / (N - N_{trg})$, is crit(D) up to an explicit
remainder of order 1/N.

---
The paper states that such bounds exist and are of order 1 / N_trg. For a long $l_0$ neither can be improved by much:
$q_l \propto T_l$ on $N_{trg} + 1$ neighbouring lengths fails at $1 / (N_{trg} + 1)$, and lengths that are no neighbours
succeed just below $1 / N_{trg}$. The margin over *all* sequences is exact: scores
add up over positions and tokens, so the worst token at every position can be found separately. Algorithm 1 itself,
on samples and at the learning rate of the theorem, is run once on each side.
"""

from fractions import Fraction
from math import lcm

import numpy as np

from verify import Claim, Record, at_most, equal, exact, less, plot, rounded, statistics

from . import _criterion, _population, world

claim = Claim("induction-head-transition/transition-at-max-sum-ratio", full={"drawn": 60, "longest": 20})


def uniform(first, last):
    return {k: Fraction(1, last - first + 1) for k in range(first, last + 1)}


def weighted(weights):
    """q_l proportional to the weights {l: integer}."""
    return {k: Fraction(w, sum(weights.values())) for k, w in weights.items()}


def proportional(first, last):
    """q_l proportional to l: the smallest ratio on its support."""
    return weighted({k: k for k in range(first, last + 1)})


@claim.instance
def named():
    """(N_trg, distribution) near the bounds and near the transition."""
    return [
        # just below the first bound, and just above the second
        *((n, uniform(*ends)) for n, ends in ((2, (4, 20)), (2, (6, 13)), (3, (6, 20)), (4, (6, 25)))),
        *((n, uniform(*ends)) for n, ends in ((3, (2, 3)), (4, (4, 5)), (8, (4, 14)), (8, (6, 15)))),
        # a little above the first bound, and fails: q_l proportional to T_l; a little below the second, and succeeds
        (2, weighted({k: 2 * k + 3 for k in (14, 15, 16)})),
        (2, weighted({14: 12, 16: 12, 18: 5})),
        # close to the transition
        *((n, uniform(*ends)) for n, ends in ((2, (3, 7)), (2, (3, 8)), (2, (2, 7)), (4, (1, 16)), (4, (4, 9)))),
        *((n, proportional(*ends)) for n, ends in ((2, (2, 5)), (4, (6, 11)), (4, (2, 8)), (8, (2, 13)), (8, (4, 14)))),
    ]  # fmt: skip


@claim.instance
def sides():
    """(N_trg, distribution) below the first bound and above the second, for training on samples."""
    return {"below": (2, uniform(6, 13)), "above": (4, uniform(4, 5))}


@claim.instance
def families(rng, named, drawn=6, longest=12):
    """(N_trg, distribution): the named ones and some with random supports and probabilities."""
    result = list(named)
    for _ in range(drawn):
        first, last = np.sort(rng.choice(np.arange(2, longest + 1), 2, replace=False))
        weights = {int(k): int(rng.integers(1, 10)) for k in range(first, last + 1)}
        result.append((int(rng.choice([2, 3, 4, 8])), weighted(weights)))
    return result


@claim.instance
def ratio(families):
    return exact([world.exact_ratio(q) for _, q in families])


@claim.instance
def pairs(families):
    return [world.unequal_pairs(max(q)) for _, q in families]


@claim.reference
def crit(families, pairs, centring=1, shortcut=1):
    """The sharp criterion; both parameters are 1 in the statement."""
    values = [
        _criterion.sharp_criterion(q, shortcut * n, each, centring)
        for (n, q), each in zip(families, pairs, strict=True)
    ]
    return exact(values)


@claim.reference
def remainder(families, vocabulary):
    return exact([_criterion.remainder(q, vocabulary, n) for n, q in families])


@claim.reference
def first_bound(families, factor=1):
    return exact([factor * _criterion.below(q, n) for n, q in families])


@claim.reference
def second_bound(families, share=1):
    return exact([share * _criterion.above(q, n) for n, q in families])


@claim.run
def models(families, vocabulary=2**24):
    """(W_KQ times a whole number, in integers) with one trigger and three other tokens to stand for all."""
    result = []
    for n, q in families:
        W = _population.attention(q, vocabulary, n, world.positions(q), shown=(1, 3))
        scale = lcm(*{entry.denominator for entry in W.flat})
        result.append((np.array([[int(entry * scale) for entry in row] for row in W], dtype=object), scale))
    return result


@claim.measurement
def margins(models, families, pairs, vocabulary):
    """Record(test, training, triggers): the least margin over all sequences, in units of sigma S_1 / N_trg."""
    test, training = [], []
    for (W, scale), (n, q), each in zip(models, families, pairs, strict=True):
        unit = scale * _population.constants(q, vocabulary, n).sigma * _criterion.weights(q)[2] / n
        test.append(min(world.worst_margin(W, 4, 1, each)) / unit)
        training.append(min(world.worst_margin(W, 4, 1, [(k, k) for k in q])) / unit)
    return Record(test=exact(test), training=exact(training), triggers=np.array([n for n, _ in families]))


def rates(triggers, vocabulary, first=0.01):
    """(eta_V, eta_KQ): their product is that of the theorem."""
    return first, (triggers * vocabulary) ** 3 * np.log(vocabulary) / first


@claim.run
def sampled(rng, sides, samples=65_536, tokens=64):
    """(W_V, W_KQ) of Algorithm 1, each step on samples of its own, at the learning rates of the theorem."""
    result = {}
    for side, (n, q) in sides.items():
        result[side] = world.trained(rng, q, tokens, n, samples, rates(n, tokens))
    return result


@claim.measurement
def sampled_margins(sampled, sides, tokens):
    """The least margin over all test sequences of the matrices that were trained on samples."""
    result = {}
    for side, (n, q) in sides.items():
        W = sampled[side][1]
        least = min(world.worst_margin(W, tokens, n, world.unequal_pairs(max(q))))
        result[side] = rounded(least, 6, 6 * np.abs(W).max())
    return result


@claim.measurement
def answered(sampled, sides, tokens, rng, tests=4096):
    """{side: how many of so many random test sequences the whole model, softmax and values, answers}."""
    result = {}
    for side, (n, q) in sides.items():
        first, second = rng.choice(world.unequal_pairs(max(q)), tests).T
        batch = world.sequences(rng, first, second, tokens, n)
        result[side] = int(np.count_nonzero(world.answers(*sampled[side], batch) == batch.output)), tests
    return result


@claim.assumption
def few_triggers(families, vocabulary):
    return less(exact([n**3 for n, _ in families]), exact(vocabulary))


@claim.check("below-first-bound")
def below(margins, ratio, first_bound):
    return less(0, margins.test[ratio.upper < first_bound.lower])


@claim.check("above-second-bound")
def above(margins, ratio, second_bound):
    return less(margins.test[ratio.lower > second_bound.upper], 0)


@claim.check("sharp-criterion")
def sharp(margins, crit, remainder):
    clear = np.abs(crit.middle) > remainder.middle
    return less(0, (margins.test * exact([1 if x > 0 else -1 for x in crit.lower]))[clear])


@claim.check("leading-order")
def leading(margins, crit, remainder):
    return at_most(abs(margins.test - crit), remainder)


@claim.check("training-sequences")
def training(margins):
    return less(0, margins.training)


@claim.check("sampled-below")
def sampled_below(sampled_margins):
    return less(0, sampled_margins["below"])


@claim.check("sampled-above")
def sampled_above(sampled_margins):
    return less(sampled_margins["above"], 0)


@claim.check("accuracy-below")
def accurate(answered):
    share = statistics.proportion(*answered["below"])
    return equal(share, exact(1), within=share.gap())


@claim.check("accuracy-above")
def inaccurate(answered):
    """One wrong answer shows that there is one: no probability is meant."""
    right, tests = answered["above"]
    return less(exact(Fraction(right, tests)), exact(1))


# --- rivals and removed blocks ------------------------------------------------------------------------------

claim.control("first bound a third higher", factor=Fraction(4, 3), must_fail="below-first-bound")
claim.control("second bound a fifth lower", share=Fraction(4, 5), must_fail="above-second-bound")
claim.control("shortcut 10% stronger", shortcut=Fraction(11, 10), must_fail="sharp-criterion")
claim.control("criterion without its last sum", centring=0, must_fail="sharp-criterion")
claim.control("last sum 5% smaller", centring=Fraction(19, 20), must_fail="leading-order")


def without_previous(models):
    """Attention does not see previous tokens: their rows are removed."""
    return [(without(W, slice(-4, None)), scale) for W, scale in models]


def without(W, rows):
    changed = W.copy()
    changed[rows] = 0
    return changed


claim.control("previous-token rows removed", models=without_previous, must_fail="training-sequences")


def sampled_without_previous(sampled, tokens):
    return {side: (W_V, without(W_KQ, slice(-tokens, None))) for side, (W_V, W_KQ) in sampled.items()}


def sampled_without_positions(sampled, tokens):
    return {side: (W_V, without(W_KQ, slice(0, -2 * tokens))) for side, (W_V, W_KQ) in sampled.items()}


for check in ("sampled-below", "accuracy-below"):
    claim.control(f"previous-token rows removed: {check}", sampled=sampled_without_previous, must_fail=check)
for check in ("sampled-above", "accuracy-above"):
    claim.control(f"position rows removed: {check}", sampled=sampled_without_positions, must_fail=check)


@claim.figure
def draw(figure, evidence):
    """Near the transition; families far above it lie below the panels."""
    left, right = plot.panel_grid(figure, ["by max-sum ratio", "by the sharp criterion"], sharey=True)
    margins, crit = evidence.of("margins"), evidence.of("crit").middle
    margin, ratio = margins.test.middle, evidence.of("ratio").middle
    rival = evidence.of("crit", control="criterion without its last sum").middle
    right.plot(rival, margin, "x", color=plot.CONTROL["color"], label="control: no last sum", zorder=1.8)
    for panel, x in ((left, margins.triggers * ratio), (right, crit)):
        for color, n in zip(plot.COLORS, np.unique(margins.triggers), strict=False):
            here = margins.triggers == n
            panel.plot(x[here], margin[here], "o", color=color, markersize=3.5, label=rf"$N_{{trg}} = {n}$")
        panel.axhline(0, color=plot.INK, linewidth=0.7)
    right.plot([-1, 1], [-1, 1], color=plot.INK, **plot.BOUND)
    left.set(xlabel=r"$N_{trg}\, R(D)$", ylabel="least margin of all test sequences", xlim=(0, 1.8))
    right.set(xlabel="crit(D)", xlim=(-1, 0.8), ylim=(-1, 0.8))
    plot.legend([left, right], bound="equal")
