r"""From tokens to time: with sampled drafts and acceptances, DSI's latency has a binomial law of rate 1 - TV.

Let target and drafter have next-token laws P and q in every context, with one total variation distance TV. Drafts are
sampled, accepted with probability $\min(1, P/q)$ and corrected otherwise; DSI runs with lookahead 1, enough servers and
a drafter's pass of c < 1 target passes. Then its time T for N tokens satisfies

$$\frac{N - T}{1 - c} \sim \mathrm{Bin}(N - 1,\ p), \qquad p = 1 - \mathrm{TV}(P, q) .$$
"""

from fractions import Fraction
from math import comb

import numpy as np

from verify import Claim, Record, equal, exact, less, plot, statistics

from . import world

claim = Claim("distributed-speculative-inference/sampled-latency", full={"texts": 20_000})


@claim.instance
def models(rng, letters=6):
    """Record(P, q (letters, letters)): laws of the next letter, row by row; rows are permutations of one pair."""
    P = rng.integers(1, 20, size=letters)
    q = P + rng.integers(0, 20, size=letters)
    orders = [rng.permutation(letters) for _ in range(letters)]
    rows = [np.array([law[order] for order in orders], dtype=object) for law in (P, q)]
    return Record(P=rows[0] * Fraction(1, int(P.sum())), q=rows[1] * Fraction(1, int(q.sum())))


@claim.reference
def rate(models):
    """1 - TV of every context: they agree."""
    return exact(1 - abs(models.P - models.q).sum(axis=1)[0] / 2)


@claim.reference
def law(rate, N=12, undrafted=1):
    """P(A <= a) of Bin(N - 1, p) for a = 0 ... N - 1; `undrafted` tokens are the target's in any case."""
    p, drafts = rate.lower, N - undrafted
    weights = [comb(drafts, a) * p**a * (1 - p) ** (drafts - a) for a in range(N)]
    return exact(np.cumsum(np.array(weights, dtype=object)))


@claim.run
def times(models, rng, N, texts=3_000, c=Fraction(1, 3)):
    """Times of `texts` sampled texts: letter by letter, then event by event."""
    P, q = models.P.astype(float), models.q.astype(float)
    accepted, letter = np.ones((texts, N), dtype=int), np.zeros(texts, dtype=int)
    for i in range(N):
        draft = drawn(rng, q[letter])
        kept = rng.random(texts) < np.minimum(1, P[letter, draft] / q[letter, draft])
        corrected = drawn(rng, np.maximum(P[letter] - q[letter], 0))
        accepted[:, i], letter = kept, np.where(kept, draft, corrected)
    return [world.dsi(row, c, servers=world.servers_needed(c, 1)).time for row in accepted.tolist()]


def drawn(rng, weights):
    """One index a row, with probabilities proportional to the weights (rows, letters)."""
    sums = np.cumsum(weights, axis=1)
    return (rng.random((len(sums), 1)) * sums[:, -1:] >= sums).sum(axis=1)


@claim.measurement
def counts(times, N, c):
    """(N - T) / (1 - c) of every text: the accepted drafts as the time shows them."""
    return np.array([int((N - T) / (1 - c)) for T in times])


@claim.measurement
def seen_rate(counts, N):
    return statistics.proportion(int(counts.sum()), len(counts) * (N - 1))


@claim.measurement
def seen_law(counts, N):
    """The distribution function of the accepted drafts, everywhere."""
    return statistics.distribution_band(counts, points=np.arange(N))


@claim.assumption
def drafter_faster(c):
    return less(exact(c), exact(1))


@claim.check("acceptance-rate")
def acceptance_rate(seen_rate, rate):
    return equal(seen_rate, rate, within=seen_rate.gap(each=True))


@claim.check("law-of-the-time")
def law_of_the_time(seen_law, law, N):
    return equal(seen_law, law, within=seen_law.gap(each=True), accepted=np.arange(N))


def agreement(models):
    """The chance that two independent draws agree."""
    return exact((models.P * models.q).sum(axis=1)[0])


claim.control("p 10% smaller", rate=lambda rate: Fraction(9, 10) * rate, must_fail="acceptance-rate")
claim.control("chance of equal draws", rate=agreement, must_fail="acceptance-rate")
claim.control("p 10% smaller, law", rate=lambda rate: Fraction(9, 10) * rate, must_fail="law-of-the-time")
claim.control("last token drafted as well", undrafted=0, must_fail="law-of-the-time")


@claim.figure
def draw(figure, evidence):
    (panel,) = plot.panel_grid(figure, ["accepted drafts of 11, read off the time"])
    curve = evidence.curve("law-of-the-time")
    control = evidence.curve("law-of-the-time", control="p 10% smaller, law")
    x, low, up = np.asarray(curve.accepted), curve.measured.lower, curve.measured.upper
    panel.fill_between(x, low, up, alpha=0.2, linewidth=0, label="confidence band")
    counts = np.sort(evidence.of("counts"))
    panel.plot(x, np.searchsorted(counts, x, side="right") / len(counts), label="sampled texts")
    panel.plot(x, curve.bound.middle, color=plot.INK, **plot.BOUND)
    panel.plot(control.accepted, control.bound.middle, label="control: $p$ 10% smaller", **plot.CONTROL)
    inside = np.flatnonzero((curve.bound.middle > 1e-4) & (curve.bound.middle < 1 - 1e-4))
    panel.set(xlabel="accepted drafts", ylabel="distribution function", xlim=(inside[0] - 4, inside[-1] + 1))
    plot.legend(panel, bound="binomial law")
