r"""Sampled gradients suffice: far fewer sequences than the sufficient number already teach the induction head.

With $M_{KQ} \gtrsim N^3 N_{trg}^2 (\sum \sqrt{q_l})^2$ and
$M_V \gtrsim N^5 N_{trg}^2 (\sum \sqrt{q_l} / \sum q_l / l)^2$ sequences for the two steps, up to powers of logarithms, the
trained model is on the side of the transition that the population gradients are on. Here
$M_{KQ} = M_V = N^3 N_{trg}^2$ are enough for every test sequence to be answered where $N_{trg} R(D)$ is small, no
test is passed in full where it is large, and the distance to the population's $W_0$ falls like $M^{-1/2}$:

$$\Big\| \frac{W_{KQ}(1)}{\eta_V \eta_{KQ}} - W_0 \Big\|_F \propto M^{-1/2} .$$

---
The two batches are independent and the second step is linear in each, so the mean square of the distance is
exactly a / M + b / M^2: two-point slopes approach -1/2 from below.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, equal, exact, less, plot, rounded, stack, stated, statistics

from . import _population, world

claim = Claim("induction-head-transition/finite-sample-rate", full={"vocabulary": 24})


@claim.instance
def lengths(first=4, last=9):
    return {k: Fraction(1, last - first + 1) for k in range(first, last + 1)}


@claim.instance
def rare():
    """One length only: the max-sum ratio is 1."""
    return {4: Fraction(1)}


@claim.instance
def limit(lengths, vocabulary, triggers):
    """W_0, of the population."""
    return _population.attention(lengths, vocabulary, triggers, world.positions(lengths), number=float)


@claim.reference
def exponent():
    return exact(Fraction(-1, 2))


def enough(vocabulary, triggers, power=3):
    """The samples of each step."""
    return vocabulary**power * triggers**2


@claim.run
def learned(rng, lengths, vocabulary=16, triggers=2, power=3, runs=41):
    """[[(samples, W_V, W_KQ), four of them] for each run of Algorithm 1].

    The most samples are N^power N_trg^2 for each step, the others 4, 16 and 64 times fewer.
    """
    grid = enough(vocabulary, triggers, power) // np.array([64, 16, 4, 1])
    return [
        [(M, *world.trained(rng, lengths, vocabulary, triggers, M, (0.01, 100.0))) for M in grid]
        for _ in range(runs)
    ]


@claim.run
def never(rng, rare, vocabulary, triggers, power):
    """W_KQ of three runs where the max-sum ratio is 1."""
    M = enough(vocabulary, triggers, power)
    return [world.trained(rng, rare, vocabulary, triggers, M, (0.01, 100.0))[1] for _ in range(3)]


def margins(steps, lengths, vocabulary, triggers):
    """The least margin of the output over all test sequences, for each W_KQ."""
    pairs = world.unequal_pairs(max(lengths))
    return stack(
        [
            rounded(min(world.worst_margin(W, vocabulary, triggers, pairs)), 6, 6 * np.abs(W).max())
            for W in steps
        ]
    )


@claim.measurement
def curves(rng, learned, limit, lengths, vocabulary, triggers, tests=256):
    """Record(samples (4,), distance (runs, 4), relative to the size of W_0, right (runs, 4), tests).

    The answers are those of saturated attention.
    """
    first, second = rng.choice(world.unequal_pairs(max(lengths)), tests).T
    batch, size = world.sequences(rng, first, second, vocabulary, triggers), np.linalg.norm(limit)
    distance = [[np.linalg.norm(W_KQ - limit) / size for _, _, W_KQ in run] for run in learned]
    right = [
        [np.count_nonzero(world.answers(W_V, 1e12 * W_KQ, batch) == batch.output) for _, W_V, W_KQ in run]
        for run in learned
    ]
    samples = np.array([M for M, _, _ in learned[0]])
    return Record(samples=samples, distance=np.array(distance), right=np.array(right), tests=np.array(tests))


@claim.measurement
def slope(curves):
    """The median over runs of the slope of the log distance from M / 16 to M samples."""
    growth = np.log(curves.samples[3] / curves.samples[1])
    return statistics.median(np.log(curves.distance[:, 3] / curves.distance[:, 1]) / growth)


@claim.measurement
def enough_margins(learned, lengths, vocabulary, triggers):
    return margins([run[-1][2] for run in learned], lengths, vocabulary, triggers)


@claim.measurement
def never_margins(never, rare, vocabulary, triggers):
    return margins(never, rare, vocabulary, triggers)


@claim.check("enough-samples")
def suffices(enough_margins):
    return less(0, enough_margins)


@claim.check("enough-samples-answer-all")
def answers_all(curves, tests):
    return equal(exact(curves.right[:, -1]), exact(tests))


@claim.check("no-samples-help")
def fails(never_margins):
    return less(never_margins, 0)


@claim.check("rate")
def rate(slope, exponent):
    return equal(
        slope,
        exponent,
        within=stated(Fraction(1, 10), "how far 1/M^2 and the spread of runs may move a slope"),
    )


claim.control("N^2 in place of N^3 samples", power=2, must_fail="enough-samples")
claim.control("N^2 in place of N^3 samples, answers", power=2, must_fail="enough-samples-answer-all")
claim.control("six lengths in place of one", rare=lambda lengths: lengths, must_fail="no-samples-help")
claim.control("M^(-2/3)", exponent=lambda: exact(Fraction(-2, 3)), must_fail="rate")
claim.control("M^(-1/3)", exponent=lambda: exact(Fraction(-1, 3)), must_fail="rate")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["accuracy", "relative distance to $W_0$"])
    curves = evidence.of("curves")
    M = curves.samples
    for panel, values in ((left, curves.right / curves.tests), (right, curves.distance)):
        panel.plot(
            np.tile(M, (len(values), 1)).T,
            values.T,
            color=plot.COLORS[0],
            linewidth=0.5,
            alpha=0.5,
            linestyle="-",
        )
        panel.plot(M, np.median(values, axis=0), "o-", color=plot.COLORS[0], label="median of the runs")
        panel.set(xscale="log", xlabel="samples $M$ for each step")
    middle = np.median(curves.distance[:, -1])
    right.plot(M, middle * (M / M[-1]) ** -0.5, color=plot.COLORS[1], label="$M^{-1/2}$", **plot.BOUND)
    right.set_yscale("log")
    plot.legend([left, right])
