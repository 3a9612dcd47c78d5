r"""No decoder with $k < n(\omega - 1)$ parameters fits generic distributions; trained decoders with more fit them exactly.

The log-odds of n contexts are a smooth map $\mathbb{R}^k \to \mathbb{R}^{n(\omega-1)}$. For $k < n(\omega-1)$ its image
has measure 0, so almost no targets are reached. Its derivative has, at almost every point, the rank

$$\min\{\, n(\omega - 1),\ k \,\},$$

for $d < T$, T the longest context, provided that contexts end at enough positions: else some change of all embeddings is
undone by the other layers. So the image has interior, and positive measure, from the very width at which k reaches
$n(\omega-1)$. Training finds it: by Levenberg-Marquardt, no decoder 3 parameters short of $n(\omega-1)$ is brought to
residual 0, and with twice $n(\omega-1)$ some start is, for every target. A decoder that has the target's distributions
exactly lies within rounding of it.

---
Rank modulo a prime, for $\psi(x) = 1/(1+x^2)$; the trained decoders have GELU units. That an exact interpolant exists is
proved in balls (Krawczyk's test on as many parameters as there are targets). "Some start" is what these runs show.
"""

from functools import partial

import numpy as np

from verify import Claim, Record, at_most, equal, exact, less, plot

from . import _exact, _levenberg, _network, world

claim = Claim(
    "transformer-memory-capacity/trained-capacity-transition", full={"starts": 30, "wide": 14, "steps": 500}
)
WIDTHS = (4, 6, 8, 9, 10, 11, 12, 14, 20)


@claim.instance
def contexts(rng, tokens=3, longest=5, short=3, n=48):
    """All contexts of up to `short` tokens, one of each greater length, and others by chance."""
    every = world.words(tokens, longest)
    named = [(tokens - 1,) * t for t in range(short + 1, longest + 1)]
    others = [c for c in every if len(c) > short and c not in named]
    few = [c for c in every if len(c) <= short]
    return [*few, *named, *(others[i] for i in rng.permutation(len(others))[: n - len(few) - len(named)])]


@claim.instance
def targets(rng, contexts, tokens, draws=2):
    """Log-odds against the last token (draws, n, omega - 1), of a law with a density."""
    return rng.normal(size=(draws, len(contexts), tokens - 1))


@claim.instance
def positions(rng, longest, d=4):
    return rng.normal(size=(longest, d))


@claim.instance
def arms(rng, contexts, targets, starts=12, narrow=9, wide=24, fewer=24):
    """Which decoders are trained, from how many starts for each target."""
    return _network.arms(rng, len(contexts), len(targets), starts, narrow, wide, fewer)


@claim.reference
def dimension(tokens, contexts, d, per_context=None):
    """The rank for every width."""
    k = np.array([world.parameters(tokens, d, m) for m in WIDTHS])
    return exact(np.minimum(len(contexts) * (per_context or tokens - 1), k))


@claim.run
def ranks(rng, contexts, tokens, d, activation=_exact.rational_activation):
    return exact(np.array([_exact.generic_rank(rng, contexts, tokens, d, m, activation) for m in WIDTHS]))


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
def interpolants(trained, best, contexts, targets, positions, arms, moved=0.0):
    """Exact interpolants near the best decoders; moved: by how much a control moves their targets."""
    wanted = [partial(_exact.in_balls, (1 + moved) * target) for target in targets]
    return _network.interpolants(trained, best, positions, contexts, wanted, arms)


@claim.check("rank")
def rank(ranks, dimension):
    return equal(ranks, dimension, width=WIDTHS)


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


def linear(z):
    """psi(z) = z and its derivative, modulo the prime."""
    return z % _exact.PRIME, np.ones(len(z), dtype=object)


def ending_elsewhere(rng, tokens, longest, short, n):
    """No context of 4 tokens: a shift of all embeddings can be absorbed by b and A, one parameter is lost."""
    every = world.words(tokens, longest)
    few, others = (
        [c for c in every if keep(len(c))] for keep in (lambda t: t <= short, lambda t: t == longest)
    )
    return [*few, *(others[i] for i in rng.permutation(len(others))[: n - len(few)])]


claim.control("no context ends at position 4", contexts=ending_elsewhere, must_fail="rank")
claim.control("linear activation", activation=linear, must_fail="rank")
claim.control("omega numbers per context", per_context=3, must_fail="rank")
claim.control("half as many contexts", short_of="few", must_fail="too-few-parameters")
claim.control("3 parameters too few", rich_in="narrow", must_fail="enough-parameters")
claim.control("targets 0.1% away", moved=1e-3, must_fail="exact-interpolant")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["rank of the derivative", "training from many starts"])
    parameters, own = evidence.data["parameters"], evidence.curve("rank")
    needed = parameters["n"] * (parameters["tokens"] - 1)
    k = np.array([world.parameters(parameters["tokens"], parameters["d"], m) for m in WIDTHS]) / needed
    grey = evidence.curve("rank", control="linear activation").measured.middle
    left.plot(k, own.measured.middle / needed, "o", label="modulo a prime")
    left.plot(k, own.bound.middle / needed, color=plot.COLORS[0], **plot.BOUND)
    left.plot(k, grey / needed, label="control: linear activation", **plot.CONTROL)
    left.set(xlabel="$k / n(\\omega - 1)$", ylabel="rank $/\\, n(\\omega - 1)$", ylim=(0, 1.1))
    _network.draw_training(right, evidence, needed, parameters["tokens"], parameters["d"])
    plot.legend([left, right], bound="min(all, $k$)")
