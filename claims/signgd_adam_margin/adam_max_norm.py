r"""Adam without epsilon maximises the max-norm margin.

For $W_{t+1} = W_t - \eta_t D_t$, $D_t = M_t / \sqrt{V_t}$ (no bias correction, no epsilon, $\beta_1^2 < \beta_2$), with
$B = \max_i \|h_i\|_1$ and $\bar t$ the first step with $L_t \le \log 2 / n$, every later step with $L_t \le \log 2 / n$ has

$$0 \le \gamma - \frac{m(W_t)}{\|W_t\|_\infty} \le \gamma - \frac{X_t}{\|W_t\|_\infty}, \quad
X_t = \sum_{s=\bar t}^{t-1} \Big( \eta_s \frac{\langle \nabla L_s, D_s\rangle}{G_s}
      - 2 B^2 \|D_s\|_\infty^2\, \eta_s^2\, e^{2 B \eta_s \|D_s\|_\infty} \Big) \frac{G_s}{L_s} ,$$

both gaps vanish at least like the ratio of $\sum \eta^{3/2}$ to $\sum \eta$, that is like $t^{-a/2}$ for
$\eta_t \sim t^{-a}$, in the end $m(W_t)/\|W_t\|_\infty$ is larger than at any maximiser of the Frobenius or the spectral
margin, and
$\|W_t\|_\infty \le (1-\beta_1) \sqrt{\beta_2 / ((1-\beta_2)(\beta_2-\beta_1^2))}\, \sum_{s<t} \eta_s$.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, exact, less, plot, rounded, stack, train

from . import _ceilings, world
from ._trajectory import length_bound, lengths, recorded, told_and_sums

claim = Claim("signgd-adam-margin/adam-max-norm", full={"per_class": 50, "steps": 100_000})
OTHERS = ("frobenius", "spectral")
SPAN = 16  # the gaps are compared at T and at T / 16


@claim.instance
def data(rng, classes=10, dimension=25, per_class=5, noise=0.1):
    return world.gaussian_classes(rng, classes, dimension, per_class, noise)


@claim.instance
def rates(eta0=0.02, exponent=0.5, steps=20_000):
    return eta0 * (np.arange(steps) + 1.0) ** -exponent


@claim.reference
def programs(data, limit_gap=1e-6):
    """Margin programs of three norms, and how much max-norm margin the limits of the other two leave room for."""
    gaps = {"max": (), "frobenius": (limit_gap,), "spectral": (limit_gap,)}
    return _ceilings.solved(data.features, data.labels, gaps, into="max")


@claim.reference
def gamma(programs):
    return programs.own["max"].gamma


@claim.reference
def limits(programs, limit_gap):
    """The largest max-norm margin of whatever comes as near to another norm's maximum as `limit_gap`."""
    near = {q: (1 - limit_gap) * programs.own[q].gamma for q in OTHERS}
    return stack([programs.pair[q, "max"].at(near[q]) for q in OTHERS])


@claim.reference
def speed_limit(b1, b2):
    """The largest |M_t / sqrt(V_t)| over all gradient histories."""
    first, second = (exact(Fraction(str(beta))) for beta in (b1, b2))
    return (1 - first) * certify.sqrt(second / ((1 - second) * (second - first * first)))


@claim.reference
def shrinking(exponent):
    """16^{-a/2}: the factor by which the rate t^{-a/2} shrinks a gap between T / 16 and T."""
    return certify.evaluate(lambda a: SPAN ** (-a / 2), Fraction(str(exponent)))


def adam(hyper, unit):
    import optax

    return optax.scale_by_adam(hyper["b1"], hyper["b2"], eps=hyper["eps"] * unit)


def speed(state):
    from jax import numpy as jnp

    return {"speed": jnp.abs(state.direction).max()}


@claim.run
def path(data, rates, b1=0.9, b2=0.95, eps=0.0):
    """optax's Adam with rates that undo its bias correction; `rates` of the record are what optax was given."""
    corrected = train.adam_rates(rates, b1, b2)
    hyper = {"b1": b1, "b2": b2, "eps": eps}
    found = train.descend(data.features, data.labels, corrected, adam, hyper, measure=speed)
    return Record(**vars(found), rates=corrected)


@claim.measurement
def losses(data, path, classes):
    farthest = world.reach(data.features, "max").upper * lengths(path.rates * path.speed[:-1])
    return recorded(path, data.features, classes, farthest)


@claim.measurement
def attained(data, path):
    return world.normalised_margin(data.features, data.labels, path.iterates[1:], "max")


@claim.measurement
def size(path):
    return certify.norm(path.iterates, "max")


@claim.measurement
def floor(data, path, losses, size, classes, dimension):
    """X_t / ||W_t|| at the steps that the bound speaks of: Record(step, told, value)."""
    terms = 20 * classes * dimension
    slope = rounded(path.slope_ratio, terms, path.slope_ratio)[:-1]
    speed, ratio, steps = path.speed[:-1], losses.ratio[:-1], path.steps[1:]
    reach = world.reach(data.features, "max") * (path.rates * speed)
    drift = 2 * reach * reach * (2 * reach).exp()
    told, (gain,) = told_and_sums(
        losses.log_loss, len(data.labels), steps, (path.rates * slope - drift) * ratio
    )
    return Record(step=steps[told], told=told, value=gain / size[1:][told])


@claim.assumption
def separable(gamma):
    return less(0, gamma)


@claim.assumption
def beta_order(b1, b2):
    return at_most(exact(Fraction(str(b1))), exact(Fraction(str(b2))))


@claim.check("margin-gap")
def margin_gap(attained, floor, gamma):
    return at_most(1 - attained[floor.told] / gamma, 1 - floor.value / gamma, step=floor.step)


@claim.check("margin-below-gamma")
def below(attained, gamma, path):
    return at_most(attained, gamma, within=gamma.gap(), step=path.steps[1:])


def late(steps):
    """Index of the first recorded step from T / 16 on, and of the last."""
    return int(np.argmax(steps >= steps[-1] / SPAN)), len(steps) - 1


@claim.check("gap-shrinks")
def shrinks(attained, gamma, shrinking, path):
    early, last = late(path.steps[1:])
    return at_most(1 - attained[last] / gamma, shrinking * (1 - attained[early] / gamma))


@claim.check("certified-gap-shrinks")
def certified_shrinks(floor, gamma, shrinking):
    early, last = late(floor.step)
    return at_most(1 - floor.value[last] / gamma, shrinking * (1 - floor.value[early] / gamma))


@claim.check("beyond-limits-of-others")
def beyond(attained, limits, path):
    """The run has left behind all that normalised GD or spectral descent could converge to."""
    return less(limits, attained[len(path.steps) - 2], limit=OTHERS)


@claim.check("speed-limit")
def slow(size, speed_limit, rates, path, classes, dimension):
    length, gathered = length_bound(rates, path.steps, classes * dimension)
    return at_most(size, speed_limit * length, within=gathered, step=path.steps)


def measured_in_frobenius(data, path, gamma):
    """The same run's margin relative to the Frobenius maximum, in units of gamma."""
    own = world.normalised_margin(data.features, data.labels, path.iterates[1:], "frobenius")
    return own / world.max_margin(data.features, data.labels, "frobenius") * gamma


def crossed(data, rates, fast_b1=0.95, fast_b2=0.9):
    """Adam with b1^2 > b2: the second moment forgets faster than the square of the first; until it overflows."""
    found = path(data, rates, fast_b1, fast_b2)
    finite = np.logical_and.accumulate(np.isfinite(found.iterates).all(axis=(1, 2)))
    return Record(**{**vars(found), "iterates": found.iterates[finite], "steps": found.steps[finite]})


def of_normalised_gd(data, rates):
    other = train.descend(data.features, data.labels, rates, train.steepest("frobenius"))
    return world.normalised_margin(data.features, data.labels, other.iterates[1:], "max")


claim.control("run of normalised GD", attained=of_normalised_gd, must_fail="beyond-limits-of-others")
claim.control("margin measured in the Frobenius norm", attained=measured_in_frobenius, must_fail="margin-gap")
claim.control("gamma 20% too small", gamma=lambda gamma: 0.8 * gamma, must_fail="margin-below-gamma")
for eps in (1e-8, 1e-4):
    claim.control(f"epsilon = {eps:g}", eps=eps, must_fail="gap-shrinks")
    claim.control(f"certified with epsilon = {eps:g}", eps=eps, must_fail="certified-gap-shrinks")
claim.control("b1^2 > b2", path=crossed, must_fail="speed-limit")
claim.control("b1^2 far above b2", path=crossed, fast_b1=0.99, must_fail="gap-shrinks")


@claim.figure
def draw(figure, evidence):
    (panel,) = plot.panel_grid(figure, ["Adam, $\\epsilon = 0$"])
    own = evidence.curve("margin-gap")
    plot.curve_with_bound(panel, own.step, own.measured, own.bound, label="max-norm margin")
    rival = evidence.curve("margin-gap", control="margin measured in the Frobenius norm")
    plot.curve_with_bound(
        panel, rival.step, rival.measured, label="control: Frobenius margin", **plot.CONTROL
    )
    gamma = evidence.of("gamma")
    for eps in (1e-8, 1e-4):
        attained = evidence.of("attained", control=f"epsilon = {eps:g}")
        steps = evidence.of("path", control=f"epsilon = {eps:g}").steps[1:]
        told = steps >= own.step[0]
        label = f"control: $\\epsilon$ = {eps:g}"
        plot.curve_with_bound(panel, steps[told], (1 - attained / gamma)[told], label=label, **plot.CONTROL)
    panel.set(
        xscale="log", yscale="log", xlabel="step $t$", ylabel=r"relative gap $1 - m(W_t) / (\gamma \|W_t\|)$"
    )
    plot.legend(panel, bound="explicit bound", above=True)
