r"""With fewer than $n(\omega - 1)$ parameters no training reaches generic distributions; with twice as many it does.

Next-token distributions of n contexts over $\omega$ tokens are drawn from a law with a density. A decoder with
$k < n(\omega - 1)$ parameters has almost surely no parameters with these distributions. Levenberg-Marquardt brings none
that is 3 parameters short to residual 0; of those with twice $n(\omega - 1)$ it brings some start there, for every
target, and a decoder that has the target's distributions exactly lies within rounding of it.

---
That no narrow decoder gets there is the theorem's; that some start of the wide ones does is what these runs show. The
exact interpolant is then proved in balls (Krawczyk's test on as many parameters as there are targets): its derivative
has full rank, so that the target is an interior point of what these decoders can represent. At full size the wide ones have a third more than $n(\omega - 1)$.
"""

from functools import partial

import numpy as np

from verify import Claim, Record, at_most, less, plot

from . import _exact, _levenberg, _network, world

claim = Claim(
    "transformer-memory-capacity/trained-capacity-transition", full={"starts": 30, "wide": 14, "steps": 500}
)


@claim.instance
def contexts(rng, tokens=3, longest=5, short=3, n=48):
    return world.mixed_words(rng, tokens, longest, short, n)


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
claim.control("targets 0.1% away", moved=1e-3, must_fail="exact-interpolant")


@claim.figure
def draw(figure, evidence):
    (panel,) = plot.panel_grid(figure, [""])
    p = evidence.data["parameters"]
    _network.draw_training(
        panel, evidence.of("residuals").courses, p["n"] * (p["tokens"] - 1), p["tokens"], p["d"]
    )
    plot.legend(panel)
