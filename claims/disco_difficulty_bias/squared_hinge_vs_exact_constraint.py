r"""The squared hinge on the divergence overshoots the exact constraint by at most its multiplier over 2 beta.

Let $J(\pi) = \mathbb{E}_{\pi^+} [\pi / \pi_{\mathrm{old}}] - \mathbb{E}_{\pi^-} [\pi / \pi_{\mathrm{old}}]$ on a table of answers and
$K(\pi) = \mathrm{KL}(\pi_{\mathrm{old}} \,\|\, \pi)$. The maximiser of J under $K \le \delta$ keeps the proportions among correct and among
wrong answers, and with $p^* > p$ the mass of the correct ones

$$p \log \frac{p}{p^*} + (1 - p) \log \frac{1 - p}{1 - p^*} = \delta, \qquad
J^* = \frac{p^* - p}{p (1 - p)}, \qquad \lambda(\delta) = \frac{p^* (1 - p^*)}{p (1 - p) (p^* - p)},$$

$\lambda$ being the slope of $J^*$ in $\delta$. The maximiser of $J - \beta\, [K - \delta]_+^2$ has $2 \beta\, (K_\beta - \delta) = \lambda(K_\beta)$, whence

$$\frac{\lambda(\delta + \lambda(\delta) / 2 \beta)}{2 \beta} \le K_\beta - \delta \le \frac{\lambda(\delta)}{2 \beta}, \qquad
0 \le J_\beta - J^* \le \lambda(\delta)\, (K_\beta - \delta).$$

---
A penalty of beta / 2, as in the authors' code, has beta / 2 in place of beta. The run is BFGS in softmax logits. Its
objective is concave in the policy, so its gradient bounds its distance g from the best value; and since the best J for a
given K is concave in K, its divergence is within sqrt(g / beta) of that of the maximiser. With the old proportions its J
would cost less divergence, by g / (beta (K - delta)) at most; Pinsker's inequality turns that into a distance.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, equal, exact, plot, stack

from . import world

claim = Claim(
    "disco-difficulty-bias/squared-hinge-vs-exact-constraint",
    cases={"delta": (Fraction(1, 100),)},
    full={
        "cases": {"delta": (Fraction(1, 1000), Fraction(1, 100), Fraction(1, 10))},
        "betas": tuple(10**i for i in range(2, 7)),
    },
)
AROUND = (Fraction(9, 10), Fraction(1), Fraction(11, 10))  # divergences of the conic programs, over delta
HUNDREDTH = {"delta": (Fraction(1, 100),)}


@claim.instance
def old(rng, answers=8):
    return certify.convex_weights(rng.dirichlet(np.full(answers, 2.0)))


@claim.reference
def best(old, delta, correct=2):
    """The constrained policy in closed form."""
    return world.constrained(world.rates(old, correct)[0], delta)


@claim.reference
def slope(best):
    """lambda(delta)."""
    return best.multiplier


@claim.reference
def programs(old, delta, correct):
    """J* by conic programs, at divergences around delta."""
    return stack([world.best_value(old, correct, factor * delta) for factor in AROUND])


@claim.reference
def hinged(old, delta, correct, betas=(100, 1_000, 10_000, 100_000), part=1):
    """K_beta of every beta from its scalar equation; part: of beta that counts."""
    p, _ = world.rates(old, correct)
    return stack([world.penalised(p, delta, part * beta).divergence for beta in betas])


@claim.reference
def least(old, delta, correct, betas, slope):
    """lambda(delta + lambda(delta) / 2 beta) / 2 beta."""
    p, _ = world.rates(old, correct)
    return stack([world.constrained(p, delta + slope / (2 * beta)).multiplier / (2 * beta) for beta in betas])


@claim.reference
def shares(old, correct):
    """The old proportions among correct and among wrong answers, (answers,)."""
    return world.proportions(old, correct)


@claim.run
def policies(old, delta, correct, betas, fixed=None):
    """What BFGS finds for every beta, (betas, answers)."""
    return np.array([world.penalised_ascent(old, correct, float(delta), beta, fixed) for beta in betas])


@claim.measurement
def found(policies, old, delta, correct, betas):
    """Divergence, J and gap of the runs, (betas,); near: how far their divergence may be from the maximiser's."""
    each = [world.measured(x, old, correct, delta, beta) for x, beta in zip(policies, betas, strict=True)]
    return Record(**{name: stack([getattr(one, name) for one in each]) for name in vars(each[0])})


@claim.measurement
def kept(policies, correct):
    """The proportions of the runs, (betas, answers)."""
    return stack([world.proportions(x, correct) for x in policies])


def weights(betas):
    return exact(np.array(betas, dtype=object))


@claim.check("constrained-value")
def constrained_value(programs, best):
    return equal(programs[1], best.value, within=programs[1].gap() + best.value.gap())


@claim.check("slope-of-the-value")
def slope_of_the_value(programs, best, slope, delta):
    """The value is concave in delta and lies below its tangent, on both sides."""
    steps = exact(np.array([(factor - 1) * delta for factor in AROUND], dtype=object))
    within = stack([value.gap() for value in programs]) + best.value.gap()
    return at_most(
        programs, best.value + slope * steps, within=within, delta=[float(f * delta) for f in AROUND]
    )


@claim.check("divergence-of-the-penalised")
def divergence_of_the_penalised(found, hinged, betas):
    within = found.near + hinged.gap() + found.divergence.gap()
    return equal(found.divergence, hinged, within=within, beta=list(betas))


@claim.check("overshoot")
def overshoot(found, least, slope, delta, betas):
    over = found.divergence - delta
    most = slope / (2 * weights(betas))
    return at_most(
        stack([least, over]), stack([over, most]), within=found.near + over.gap(), beta=list(betas)
    )


@claim.check("proportions")
def proportions(kept, shares, found, old, delta, correct, betas):
    p, _ = world.rates(old, correct)
    saved = found.gap / (weights(betas) * (found.divergence - delta))
    near = (saved / (2 * min(p, 1 - p))).sqrt()
    return equal(kept, shares, within=near[:, None], beta=[[beta] for beta in betas])


@claim.check("gain")
def gain(found, best, slope, delta, betas):
    """J of the run less J*, between what its objective implies and what the multiplier allows."""
    over = found.divergence - delta
    more, implied = found.value - best.value, weights(betas) * over * over - found.gap
    return at_most(stack([implied, more]), stack([more, slope * over]), within=more.gap(), beta=list(betas))


def other_delta(old, delta, correct):
    return best(old, Fraction(11, 10) * delta, correct)


def divergence_reversed(old, delta, correct):
    return world.with_divergence_reversed(world.rates(old, correct)[0], delta)


claim.control("delta 10% larger", best=other_delta, must_fail="constrained-value")
claim.control("divergence reversed", best=divergence_reversed, must_fail="constrained-value")
claim.control(
    "multiplier 10% larger", slope=lambda slope: Fraction(11, 10) * slope, must_fail="slope-of-the-value"
)
claim.control(
    "multiplier 10% smaller", slope=lambda slope: Fraction(9, 10) * slope, must_fail="slope-of-the-value"
)
claim.control("beta 10% larger", part=Fraction(11, 10), must_fail="divergence-of-the-penalised")
claim.control(
    "beta / 2, as in the authors' code", part=Fraction(1, 2), must_fail="divergence-of-the-penalised"
)
claim.control(
    "bound 10% smaller", slope=lambda slope: Fraction(9, 10) * slope, must_fail="overshoot", cases=HUNDREDTH
)
claim.control(
    "proportions 1% larger", shares=lambda shares: Fraction(101, 100) * shares, must_fail="proportions"
)
claim.control("lower bound 10% larger", least=lambda least: Fraction(11, 10) * least, must_fail="overshoot")
claim.control("fixed weight 1 on the divergence", fixed=1.0, must_fail="overshoot")
claim.control(
    "multiplier 10% smaller, gain",
    slope=lambda slope: Fraction(9, 10) * slope,
    must_fail="gain",
    cases=HUNDREDTH,
)


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["divergence", "objective"])
    run, best, delta = evidence.of("found"), evidence.of("best"), float(Fraction(evidence.cases[0]["delta"]))
    over, fixed = (
        evidence.curve("overshoot"),
        evidence.of("found", control="fixed weight 1 on the divergence"),
    )
    betas = np.array(over.beta, dtype=float)
    left.plot(betas, run.divergence.middle - delta, "o-", label="BFGS less exact optimum")
    for side in (over.measured.middle[0], over.bound.middle[1]):
        left.plot(betas, side, color=plot.COLORS[0], **plot.BOUND)
    left.plot(betas, fixed.divergence.middle - delta, label="control: fixed weight", **plot.CONTROL)
    left.set(xscale="log", yscale="log", xlabel=r"$\beta$", ylabel=r"$K_\beta - \delta$")
    gain = evidence.curve("gain")
    right.plot(betas, gain.measured.middle[1], "o-", color=plot.COLORS[0])
    for side in (gain.measured.middle[0], gain.bound.middle[1]):
        right.plot(betas, side, color=plot.COLORS[0], **plot.BOUND)
    right.plot(betas, (fixed.value - best.value).middle, **plot.CONTROL)
    right.set(xscale="log", yscale="log", xlabel=r"$\beta$", ylabel=r"$J_\beta - J^*$")
    plot.legend([left, right], bound="lower and upper bound")
