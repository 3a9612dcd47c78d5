r"""The count $k = n(\omega - 1)$ governs distributions that are read off finitely many documents as well.

Let $\hat\pi_c = N_{c\cdot} / N_c$ be the next-token distributions of n contexts in finitely many documents of a source
under which every token can follow every context. Such targets are rational, so that the image of a smooth model,
although of measure 0 for $k < n(\omega - 1)$, might hold them all. Trained on 2000 documents, decoders behave as for
generic targets: none with $0.97\, n(\omega - 1)$ parameters is brought to residual 0, and with twice as many as $n(\omega - 1)$ a
decoder that has $\hat\pi_c$ exactly, for all n contexts, lies within rounding of a trained one, so that the
cross-entropy of these contexts equals their entropy.

---
For analytic decoders with softmax and GELU, functions of a Pfaffian chain, the closure of such an image has measure 0,
too (they are definable in an o-minimal structure); so for almost every source, with enough documents, their empirical
distributions are out of reach. How many documents are enough is not known: this is an observation. At full size
the wide decoders have a third more than $n(\omega - 1)$.
"""

from functools import partial

import numpy as np

from verify import Claim, Record, at_most, exact, less, plot

from . import _exact, _levenberg, _network

claim = Claim(
    "transformer-memory-capacity/empirical-distributions", full={"starts": 30, "wide": 14, "steps": 500}
)


@claim.instance
def corpora(rng, tokens=3, longest=5, documents=2_000, draws=2):
    """For each source, a distribution of its own after every prefix, the counts {context: N_c. (omega,)}."""
    return [prefix_counts(rng, tokens, longest, documents) for _ in range(draws)]


def prefix_counts(rng, tokens, longest, documents):
    counts = {}
    waiting = {(): documents}
    for _ in range(longest + 1):
        following = {}
        for context, count in waiting.items():
            pi = (rng.dirichlet(np.ones(tokens)) + 1 / tokens) / 2
            counts[context] = rng.multinomial(count, pi)
            following |= {(*context, g): int(N) for g, N in enumerate(counts[context])}
        waiting = following
    return counts


@claim.instance
def contexts(corpora, longest, n=48, long=8):
    """Those after which every token is seen most often in every corpus, of them some of the greatest length."""
    least = {c: min(corpus[c].min() if c in corpus else 0 for corpus in corpora) for c in corpora[0] if c}
    ranked = sorted(least, key=least.get, reverse=True)
    shorter = [c for c in ranked if len(c) < longest]
    return [*shorter[: n - long], *[c for c in ranked if len(c) == longest][:long]]


@claim.instance
def targets(corpora, contexts):
    """Log-odds of the counts, rounded to floats (draws, n, omega - 1)."""
    N = np.array([[corpus[c] for c in contexts] for corpus in corpora])
    return np.log(N[..., :-1] / N[..., -1:])


@claim.instance
def positions(rng, longest, d=4):
    return rng.normal(size=(longest, d))


@claim.instance
def arms(rng, contexts, targets, starts=12, narrow=9, wide=24, fewer=24):
    """Which decoders are trained, from how many starts for each target."""
    return _network.arms(rng, len(contexts), len(targets), starts, narrow, wide, fewer)


@claim.run
def trained(rng, contexts, targets, positions, arms, steps=220):
    wanted = targets[arms.target]
    return _levenberg.solve(rng, contexts, wanted, positions, arms.width, arms.asked, steps)


@claim.measurement
def residuals(trained, contexts, targets, positions, arms):
    return _network.residuals(trained, contexts, targets, positions, arms)


@claim.measurement
def shortfall(residuals, arms, short_of="narrow"):
    """Errors and rounding of every decoder with too few parameters."""
    return Record(error=residuals.error[arms.name == short_of], floor=residuals.floor[arms.name == short_of])


@claim.measurement
def best(trained, arms, rich_in="wide"):
    """The run that ends nearest to each target."""
    return _network.best_runs(trained, arms, rich_in)


@claim.measurement
def interpolants(trained, best, corpora, contexts, positions, arms, more=0):
    """Decoders near the best ones with log(N_cg / N_cw) exactly; more: tokens added to one count, in a control."""
    counts = [np.array([corpus[c] for c in contexts]) for corpus in corpora]
    for table in counts:
        table[0, 0] += more
    wanted = [partial(_exact.log_ratios, table) for table in counts]
    return _network.interpolants(trained, best, positions, contexts, wanted, arms)


@claim.assumption
def full_support(corpora, contexts):
    """Every token follows each of the contexts somewhere."""
    return less(0, exact(np.array([[corpus[c].min() for c in contexts] for corpus in corpora])))


@claim.check("too-few-parameters")
def too_few(shortfall):
    return less(shortfall.floor, shortfall.error)


@claim.check("enough-parameters")
def enough(residuals, best):
    return at_most(residuals.error[best], residuals.floor[best], target=np.arange(len(best)))


@claim.check("exact-interpolant")
def exactly(interpolants, residuals, best):
    """As near as rounding of the log-odds can have moved the parameters."""
    reach = interpolants.amplification * residuals.floor[best]
    return at_most(interpolants.distance, reach[:, None], target=np.arange(len(best))[:, None])


claim.control("half as many contexts", short_of="few", must_fail="too-few-parameters")
claim.control("3 parameters too few", rich_in="narrow", must_fail="enough-parameters")
claim.control("one token more in the corpus", more=1, must_fail="exact-interpolant")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["log-odds of the counts", "training from many starts"])
    p = evidence.data["parameters"]
    _network.draw_training(
        right, evidence.of("residuals").courses, p["n"] * (p["tokens"] - 1), p["tokens"], p["d"]
    )
    left.hist(evidence.of("targets").ravel(), bins=30, color=plot.COLORS[0], alpha=0.75)
    left.set(xlabel=r"$\log\,(N_{c\gamma} / N_{c\omega})$", ylabel="contexts and tokens")
    plot.legend([right, left])
