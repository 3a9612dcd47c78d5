r"""Clipping takes an answer's gradient away exactly once its ratio has left the interval; the plain ratio never does.

For $f(x, A) = \min(x A, \mathrm{clip}(x, 1 - \epsilon, 1 + \epsilon')\, A)$

$$\frac{\partial f}{\partial x} = 0 \ \text{ if } A > 0, x > 1 + \epsilon' \text{ or } A < 0, x < 1 - \epsilon, \qquad \text{and } A \text{ elsewhere}.$$

Hence GRPO's objective on a table of answers, $J = \mathbb{E}_{o \sim \pi} f(\rho_o, A_o)$, never exceeds $\sqrt{p (1 - p)}\, (\epsilon + \epsilon')$,
and where it attains that with no ratio at a corner, no answer has a gradient left. Gradient ascent from the old policy gets there
and stays, on every table tried. Under the plain score $\rho\, A$ every answer keeps a gradient at every step.

---
The slopes are exact: f is piecewise linear, so a difference quotient of fractions between two corners is its derivative.
The ascents are of softmax logits, two answers being correct and two wrong, and their gradients are taken
answer by answer. Entropies along both are drawn; nothing is claimed of them.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, equal, exact, less, plot, rounded, train

from . import world

claim = Claim(
    "disco-difficulty-bias/clipping-stops-gradients",
    cases={"high": (Fraction(1, 5), Fraction(7, 25))},
    full={"policies": 40, "draws": 2_000},
)
LOW = Fraction(1, 5)
CORRECT, ANSWERS = 2, 4


@claim.instance
def tokens(rng, high, draws=200):
    """(ratio, advantage) close to every corner and on both sides first, then random, as fractions."""
    near = [
        corner + side * gap
        for corner in (1 - LOW, Fraction(1), 1 + high)
        for side in (-1, 1)
        for gap in (Fraction(1, 1000), Fraction(1, 70))
    ]
    drawn = [Fraction(int(x), 1009) for x in rng.integers(1, 2018, size=draws)]  # 1009 is prime: no corner
    signs = [Fraction(int(a), 7) for a in rng.integers(1, 20, size=draws) * rng.choice([-1, 1], size=draws)]
    return [(x, a) for x in near for a in (Fraction(2), Fraction(-1, 2))] + list(
        zip(drawn, signs, strict=True)
    )


@claim.instance
def olds(rng, policies=6):
    """Old policies (policies, answers): with a rare correct answer and of a hard question first."""
    p, split = rng.uniform(0.1, 0.7, size=(policies, 1)), rng.uniform(0.1, 0.9, size=(policies, 2, 1))
    p[:2, 0], split[:2, 0, 0] = (0.5, 0.05), (0.02, 0.5)
    right, wrong = ([share, 1 - share] for share in (split[:, 0], split[:, 1]))
    return np.concatenate([p * right[0], p * right[1], (1 - p) * wrong[0], (1 - p) * wrong[1]], axis=1)


@claim.reference
def slopes(tokens, high, wider=1):
    """Derivative of f at every token; wider: a factor that controls put on both clips."""
    low, high = wider * LOW, wider * high
    return world.column(0 if (a > 0 and x > 1 + high) or (a < 0 and x < 1 - low) else a for x, a in tokens)


@claim.reference
def highest(olds, high):
    """sqrt(p (1 - p)) (eps + eps'), (policies,)."""
    p = olds[:, :CORRECT].sum(axis=1)
    return rounded(np.sqrt(p * (1 - p)) * float(LOW + high), 16, 1)


@claim.run
def quotients(tokens, high, lower=LOW):
    """Difference quotients of f across half of the way to the next corner."""

    def quotient(x, a):
        h = min(abs(x - (1 - LOW)), abs(x - (1 + high))) / 2
        up, down = (world.clipped(y, a, lower, high) for y in (x + h, x - h))
        return (up - down) / (2 * h)

    return world.column(quotient(x, a) for x, a in tokens)


@claim.run
def clipped_path(olds, high, lower=LOW):
    return ascent(olds, float(lower), float(high))


@claim.run
def plain_path(olds, upto=10.0**6):
    """With clips that are out of reach."""
    return ascent(olds, upto, upto)


def ascent(olds, low, high, steps=2_000, rate=0.3):
    """Record(step, J at every step, and at `step` the answers' largest gradient entries, ratios, entropy)."""
    p = olds[:, :CORRECT].sum(axis=1, keepdims=True)
    factors = world.advantages("grpo", (np.arange(ANSWERS) < CORRECT).astype(float), p)
    recorded = train.log_grid(steps - 1, 80)
    keep = dict.fromkeys(("norms", "ratios", "entropy"), recorded)
    outputs = train.loop(ascend, np.log(olds), np.full(steps, rate), olds, factors, low, high, keep=keep)[1]
    return Record(step=recorded, **outputs)


def ascend(logits, rate, olds, factors, low, high):
    jax = train.use_jax()
    jnp = jax.numpy

    def terms(logits, old, factor):
        """What every answer contributes to the objective, (answers,)."""
        ratios = jax.nn.softmax(logits) / old
        return old * world.clipped(ratios, factor, low, high, jnp)

    jacobian = jax.vmap(jax.jacrev(terms))(logits, olds, factors)
    policy = jax.nn.softmax(logits)
    recorded = {
        "J": jax.vmap(terms)(logits, olds, factors).sum(axis=1),
        "norms": jnp.abs(jacobian).max(axis=2),
        "ratios": policy / olds,
        "entropy": -(policy * jnp.log(policy)).sum(axis=1),
    }
    return logits + rate * jacobian.sum(axis=1), recorded


@claim.check("slope")
def slope(quotients, slopes, tokens):
    return equal(
        quotients, slopes, ratio=[float(x) for x, _ in tokens], advantage=[float(a) for _, a in tokens]
    )


@claim.check("clipped-objective-is-bounded")
def bounded(clipped_path, highest):
    J = objective(clipped_path)
    return at_most(J, highest, within=J.gap() + highest.gap())


def objective(path):
    return rounded(path.J, 64, 4)


@claim.check("bound-is-reached")
def reached(clipped_path, highest):
    end = objective(clipped_path)[-1]
    return equal(end, highest, within=end.gap() + highest.gap())


@claim.check("clipped-ascent-stops")
def stops(clipped_path):
    """Largest entry of every answer's gradient at the last step: zeros, as the floats that they are."""
    return at_most(world.points(clipped_path.norms[-1]), exact(0))


@claim.check("plain-ascent-goes-on")
def goes_on(plain_path):
    return less(exact(0), world.points(plain_path.norms), step=plain_path.step[:, None, None])


claim.control("clips 10% wider", wider=Fraction(11, 10), must_fail="slope")
claim.control("plain score", quotients=lambda tokens: world.column(a for _, a in tokens), must_fail="slope")
claim.control(
    "bound 10% lower",
    highest=lambda highest: Fraction(9, 10) * highest,
    must_fail="clipped-objective-is-bounded",
)
claim.control(
    "bound 10% higher", highest=lambda highest: Fraction(11, 10) * highest, must_fail="bound-is-reached"
)
claim.control("clipped above only", lower=Fraction(10**6), must_fail="clipped-ascent-stops")
claim.control("clipped in the plain ascent", upto=0.2, must_fail="plain-ascent-goes-on")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["rare correct answer", "the same question"])
    case = {"high": Fraction(1, 5)}
    grey = evidence.of("clipped_path", control="clipped above only", **case)
    looks = [
        (evidence.of("plain_path", **case), {"label": "plain score", "color": plot.COLORS[1]}),
        (evidence.of("clipped_path", **case), {"label": "clipped score", "color": plot.COLORS[0]}),
        (grey, {"label": "control: clipped above only", **plot.CONTROL}),
    ]
    for path, look in looks:
        left.plot(path.step, path.ratios[:, 0, 0], **{"linestyle": "-", **look})
        right.plot(path.step, path.entropy[:, 0], **{"linestyle": "-", **look})
    left.axhline(1.2, color=plot.INK, **plot.BOUND)
    for panel in (left, right):
        panel.set(xscale="symlog", xlabel="step", xlim=(0, None))
    left.set_ylabel(r"ratio $\rho$ to the old policy")
    right.set_ylabel("entropy")
    plot.legend([left, right], bound=r"upper clip $1 + \epsilon'$")
