r"""Both gradient steps of Algorithm 1 on the population loss have an exact closed form.

With $q_l$ the probability of length l, $T_l = 2l + 3$, $\tau = \sum q_l / T_l$, $\rho = \sum 2 l q_l / T_l$,
$c_t = \sum_{T_l \ge t} q_l / T_l$, $\gamma = N_{trg} / (N N')$, $N' = N - N_{trg}$, n and w the indicators of
non-triggers and triggers, and $g = n / N' - 1 / N$, the first step is, for every $\eta_V$,

$$\frac{W_V(1)}{\eta_V} = \Big[\, g\, c^T \;\Big|\; \frac{2 \tau}{N_{trg}}\, g w^T + C \;\Big|\; \frac{\tau}{N_{trg}}\, g w^T + C \,\Big], \qquad
C = \frac{\tau}{N'} \Big( \mathrm{diag}(n) - \frac{1}{N} 1 n^T \Big) + \frac{\rho}{N'}\, g n^T .$$

The second tends to an explicit matrix of fractions, $W_{KQ}(1) / (\eta_V \eta_{KQ}) \to W_0$ as $\eta_V \to 0$:
with $\bar x$ the mean of a sequence's $x_t$, $\mathrm{range}(v) = \max_i v_i - \min_i v_i$ and
$V = W_V(1) / \eta_V$, in every entry

$$\Big| \frac{W_{KQ}(1)}{\eta_V \eta_{KQ}} - W_0 \Big| \le \varphi R \tanh \frac{\eta_V r}{4}, \qquad
r = \max \mathrm{range}(V \bar x), \quad R = \max_t \mathrm{range}(V (x_t - \bar x)), \quad
\varphi = \max_{i, j} \mathbb{E}\, \bar x_i\, (x_T)_j ,$$

the first two maxima over all sequences.

Let $d_l$ be the mean, over sequences of length l, of what attention to position l + 2 gains above attention to
all positions. The shortcut then relates to the induction head as

$$\frac{W_0[p_{l+2},\, p_{T_l}]}{W_0[\mathrm{prev}\ w,\, \mathrm{tok}\ w]} = N_{trg}\, \frac{d_l\, q_l / T_l}{\sum_k d_k\, q_k / T_k} .$$

---
The enumeration takes every sequence once, in integers, and knows the model only. The second step at
$\eta_V > 0$, where p is not 1/N, is that of Algorithm 1 fed with every sequence. The bound: a softmax of logits of range
r has at most $\tanh(r / 4)$ in total variation from 1/N, attained by logits of two values, so no centred gain moves by
more than $R \tanh(\eta_V r / 4)$.
"""

from fractions import Fraction
from math import lcm

import numpy as np

from verify import Claim, Record, at_most, certify, equal, exact, plot, rounded

from . import _population, world

claim = Claim(
    "induction-head-transition/population-gradient-closed-form",
    cases=(
        {"vocabulary": 4, "triggers": 1, "support": (1, 2)},
        {"vocabulary": 5, "triggers": 2, "support": (1, 2)},
        {"vocabulary": 6, "triggers": 2, "support": (1, 2)},
        {"vocabulary": 5, "triggers": 1, "support": (2,)},
        {"vocabulary": 4, "triggers": 1, "support": (1, 2, 3)},
        {"vocabulary": 5, "triggers": 2, "support": (1, 3)},
    ),
    full={
        "cases": (
            {"vocabulary": 6, "triggers": 2, "support": (1, 2, 3)},
            {"vocabulary": 7, "triggers": 3, "support": (1, 3)},
            {"vocabulary": 4, "triggers": 1, "support": (2, 4)},
        )
    },
)
PAPER = {"one length, 3": {3: Fraction(1)}, "lengths 3 to 8": {k: Fraction(1, 6) for k in range(3, 9)}}


@claim.instance
def lengths(rng, support):
    """Random probabilities of the lengths, as fractions."""
    weights = rng.integers(1, 10, len(support))
    return {k: Fraction(int(w), int(weights.sum())) for k, w in zip(support, weights, strict=True)}


@claim.instance
def sequences(vocabulary, triggers, support):
    """Every sequence of each length, all of the same probability."""
    return {length: world.every_sequence(length, vocabulary, triggers) for length in support}


@claim.reference
def first(lengths, vocabulary, triggers):
    return exact(_population.values(lengths, vocabulary, triggers, world.positions(lengths)))


@claim.reference
def second(lengths, vocabulary, triggers):
    return exact(_population.attention(lengths, vocabulary, triggers, world.positions(lengths)))


@claim.reference
def preference(lengths, vocabulary, triggers):
    """The right side of the last formula, for every length."""
    return exact(_population.shortcut_over_induction(lengths, vocabulary, triggers))


@claim.measurement
def figure_2():
    """W_0 for the two distributions of the paper's figure, 16 tokens, 2 triggers."""
    return {name: exact(_population.attention(q, 16, 2, world.positions(q))) for name, q in PAPER.items()}


@claim.run
def enumerated(lengths, sequences, vocabulary, centring=1):
    """Record(first, second): both steps, divided by their rates, with p = 1/N; integers, then one division."""
    X = {
        length: world.one_hot(batch, world.positions(lengths), vocabulary)
        for length, batch in sequences.items()
    }
    error = {
        k: vocabulary * np.eye(vocabulary, dtype=int)[batch.output] - 1 for k, batch in sequences.items()
    }
    values = sum(
        q * over(error[k].T @ X[k].sum(axis=1), len(X[k]) * (2 * k + 3) * vocabulary)
        for k, q in lengths.items()
    )
    scale = lcm(*(entry.denominator for entry in values.flat))
    whole, steps = (values * scale).astype(int), []
    for k, q in lengths.items():
        T = 2 * k + 3
        gains = np.einsum("mtd,md->mt", X[k], error[k] @ whole)
        centred = T * gains - centring * gains.sum(axis=1, keepdims=True)
        total = np.einsum("mtd,mt->md", X[k], centred).T @ X[k][:, -1]
        steps.append(q * over(total, len(X[k]) * T**2 * vocabulary * scale))
    return Record(first=values, second=sum(steps))


def over(numbers, denominator):
    """Integers (...) divided exactly."""
    return numbers.astype(object) * Fraction(1, denominator)


@claim.run
def trained(lengths, sequences, vocabulary, rates=(1.0, 0.1, 0.01, 0.001, 0.0001)):
    """Record(first, second (rates, D, D)), divided by the rates: Algorithm 1 fed with every sequence, in floats."""
    X = {k: world.Embedded(batch, world.positions(lengths), vocabulary) for k, batch in sequences.items()}
    first = sum(float(q) * world.value_step(X[k]) for k, q in lengths.items())
    second = [
        sum(float(q) * world.attention_step(X[k], rate * first) for k, q in lengths.items()) / rate
        for rate in rates
    ]
    return Record(first=first, second=np.stack(second))


@claim.measurement
def steps(trained, sequences, vocabulary):
    """`trained` with its rounding, of sums over all tokens of all sequences.

    In the second step these are of centred gains, differences of two |x_t^T W_V^T (e_o - p)| <= 6 max |W_V|, where
    W_V has the rate as a factor.
    """
    terms = vocabulary * sum(batch.tokens.size for batch in sequences.values())
    second = rounded(trained.second, terms, 12 * np.abs(trained.first).max())
    return Record(first=rounded(trained.first, terms, 1), second=second)


@claim.reference
def spread(first, lengths, sequences, vocabulary):
    """Record(mean r, centred R, together phi): what the bound is made of, in integers."""
    scale = lcm(*(entry.denominator for entry in first.lower.flat))
    V, means, centred, together = (first.lower * scale).astype(int), [], [], 0
    for k, q in lengths.items():
        X, T = world.one_hot(sequences[k], world.positions(lengths), vocabulary), 2 * k + 3
        total, logits = X.sum(axis=1), X @ V.T
        sums = logits.sum(axis=1, keepdims=True)
        means.append(Fraction(int(np.ptp(sums, axis=2).max()), T * scale))
        centred.append(Fraction(int(np.ptp(T * logits - sums, axis=2).max()), T * scale))
        together = together + q * over(total.T @ X[:, -1], len(X) * T)
    return Record(mean=exact(max(means)), centred=exact(max(centred)), together=exact(together.max()))


def moved(R, r):
    """By how much the mean of numbers of range R changes at most when softmax of logits of range r weights them."""
    root = certify.exp(r / 2)
    return R * (root - 1) / (root + 1)


@claim.check("first-step")
def first_step(enumerated, first):
    return equal(exact(enumerated.first), first)


@claim.check("second-step")
def second_step(enumerated, second):
    return equal(exact(enumerated.second), second)


@claim.check("shortcut-over-induction")
def ratio(enumerated, preference, lengths, vocabulary):
    return equal(exact(shortcuts(enumerated.second, lengths, vocabulary)), preference, length=list(lengths))


def shortcuts(W, lengths, vocabulary):
    """The entries of the last formula's left side, for every length."""
    L = world.positions(lengths)
    return [W[k + 1, 2 * k + 2] / W[L + vocabulary, L] for k in lengths]


@claim.check("shortcut-over-induction-in-figure-2")
def paper_ratio(figure_2, factor=1):
    measured = [x for name, q in PAPER.items() for x in shortcuts(figure_2[name].lower, q, 16)]
    bound = [x for q in PAPER.values() for x in _population.shortcut_over_induction(q, 16, 2)]
    return equal(exact(measured), factor * exact(bound))


@claim.check("first-step-of-algorithm-1")
def first_step_of_algorithm(steps, first):
    return equal(steps.first, first, within=steps.first.gap())


@claim.check("finite-rate")
def finite_rate(steps, second, spread, rates, order=1, share=1):
    """order: of the deviation in eta_V; share: of the bound."""
    eta = exact([Fraction(str(rate)) for rate in rates])
    bound = share * spread.together * moved(spread.centred, spread.mean * eta) * eta**order / eta
    off = abs(steps.second - second).largest(axis=(1, 2))
    return at_most(off, bound, within=steps.second.gap(), rate=np.array(rates))


# --- near rivals ------------------------------------------------------------------------------------------

SEVERAL = {"support": ((1, 2), (1, 3), (1, 2, 3), (2, 4))}
claim.control(
    "N in place of N'", must_fail="first-step",
    first=lambda lengths, vocabulary, triggers: exact(
        _population.values(lengths, vocabulary, triggers, world.positions(lengths), others=vocabulary)
    ),
)  # fmt: skip
claim.control(
    "N in place of N', in Algorithm 1", must_fail="first-step-of-algorithm-1",
    first=lambda lengths, vocabulary, triggers: exact(
        _population.values(lengths, vocabulary, triggers, world.positions(lengths), others=vocabulary)
    ),
)  # fmt: skip
claim.control("mean gain not subtracted", must_fail="second-step", centring=0)
claim.control(
    "output at l + 1", must_fail="second-step",
    second=lambda lengths, vocabulary, triggers: exact(
        _population.attention(lengths, vocabulary, triggers, world.positions(lengths), o=1)
    ),
)  # fmt: skip
claim.control(
    "N_trg left out", must_fail="shortcut-over-induction", cases={"triggers": (2, 3)},
    preference=lambda preference, triggers: preference * Fraction(1, triggers),
)  # fmt: skip
claim.control(
    "q in place of q / T", must_fail="shortcut-over-induction", cases=SEVERAL,
    preference=lambda preference, lengths: preference * exact([2 * k + 3 for k in lengths])
)  # fmt: skip
claim.control("10% off", must_fail="shortcut-over-induction-in-figure-2", factor=Fraction(11, 10))
claim.control("deviation of second order in the rate", must_fail="finite-rate", order=2)
claim.control("a twelfth of the bound", must_fail="finite-rate", share=Fraction(1, 12))


@claim.figure
def draw(figure, evidence):
    """The paper's Figure 2, from the closed form."""
    matrices = evidence.of("figure_2", **evidence.cases[0])
    panels = plot.panel_grid(figure, list(PAPER))
    for panel, (name, q) in zip(panels, PAPER.items(), strict=True):
        W = np.asarray(getattr(matrices, name).middle)
        L = world.positions(q)
        plot.heatmap(panel, W, [], [], fmt="")
        panel.collections[0].set(linewidth=0, rasterized=True)
        for edge in (L, L + 16):
            panel.axhline(edge, color=plot.INK, linewidth=0.6)
            panel.axvline(edge, color=plot.INK, linewidth=0.6)
        blocks = (L / 2, L + 8, L + 24), ("position", "token", "previous")
        panel.set_xticks(*blocks)
        panel.set_yticks(*blocks, rotation=90, va="center")
        panel.set_xlabel("of $x_T$")
    panels[0].set_ylabel("of $x_t$")
