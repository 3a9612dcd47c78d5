r"""A hard question takes time $2/\sqrt{p_0}$ under GRPO, $1/p_0$ under Dr. GRPO and $\log(1/p_0)$ under DisCO.

A softmax policy over K answers, one correct with probability $p_0 < 1/2$ and the others alike, follows the gradient of
a method with steps of size h. With $\kappa = K / (K - 1)$, the first step n at which the correct answer has probability q
or more, $p_0 < q \le 1/2$, satisfies

$$T(q) \le h n \le T(q) + h \Big( 1 + c \log \frac{q (1 - p_0)}{(1 - q) p_0} \Big), \qquad \kappa\, T(q) = F(q) - F(p_0),$$

where T is the time of the gradient flow and

- GRPO: $F(p) = (4p - 2) / \sqrt{p (1 - p)}$, $c = 1/4$;
- Dr. GRPO: $F(p) = (2p - 1) / (p (1 - p)) + 2 \log (p / (1 - p))$, $c = 1/2$;
- DisCO: $F(p) = \log (p / (1 - p))$, $c = 0$.

Hence p = 1/2 is reached at $\kappa\, T \le 2 / \sqrt{p_0}$, $\ 1/p_0 + 2 \log(1/p_0)$ and $\log (1/p_0)$.

---
The log-odds L move with speed $\kappa w(p)$, w being the method's weight. Speeds grow with p < 1/2, so steps lag behind the
flow; since log w has slope at most 2c in L, a step of length d in L takes the flow at least
h (1 - exp(-2 c d)) / (2 c d) > h - c h d.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, exact, plot, rounding, stack, train

from . import world

claim = Claim(
    "disco-difficulty-bias/time-to-solve",
    cases=(
        {"p0": Fraction(1, 8), "steps": 800},
        {"p0": Fraction(1, 55), "steps": 3_000},
        {"p0": Fraction(1, 400), "steps": 20_000},
    ),
    full={"cases": (
        {"p0": Fraction(1, 8), "steps": 800},
        {"p0": Fraction(1, 55), "steps": 3_000},
        {"p0": Fraction(1, 400), "steps": 20_000},
        {"p0": Fraction(1, 3000), "steps": 150_000},
    )},
)  # fmt: skip


HARDER = {"p0": (Fraction(1, 55), Fraction(1, 400))}


@claim.instance
def levels(p0):
    """Probabilities q, the odds doubled from p0 on until they are even, as fractions."""
    odds = [p0 / (1 - p0)]
    while odds[-1] < 1:
        odds.append(min(2 * odds[-1], Fraction(1)))
    return [o / (1 + o) for o in odds[1:]]


@claim.reference
def times(levels, p0, K=10):
    """T(q) of every method and level, (3, levels)."""
    clocks = (
        lambda p: (4 * p - 2) / (p * (1 - p)).sqrt(),
        lambda p: (2 * p - 1) / (p * (1 - p)) + 2 * (p / (1 - p)).log(),
        lambda p: (p / (1 - p)).log(),
    )
    readings = [stack([certify.evaluate(F, q) - certify.evaluate(F, p0) for q in levels]) for F in clocks]
    return Fraction(K - 1, K) * stack(readings)


@claim.reference
def lag(levels, p0):
    """1 + c log-odds gained, in steps, (3, levels)."""
    gained = certify.log(np.array([[q * (1 - p0) / ((1 - q) * p0) for q in levels]], dtype=object))
    return 1 + exact(np.array([[Fraction(1, 4)], [Fraction(1, 2)], [0]], dtype=object)) * gained


@claim.reference
def costs(p0, K, exponent=Fraction(1, 2)):
    """2 / sqrt(p0), 1 / p0 + 2 log(1 / p0), log(1 / p0) over kappa, (3,)."""
    bounds = (lambda p, a: 2 / p**a, lambda p, a: 1 / p - 2 * p.log(), lambda p, a: -p.log())
    return Fraction(K - 1, K) * stack([certify.evaluate(bound, p0, exponent) for bound in bounds])


@claim.run
def path(p0, steps, h, K):
    """Probability of the correct answer before every step, (steps, 3), and the time."""
    logits = np.zeros((len(world.METHODS), K))
    logits[:, 0] = np.log(float(p0 / (1 - p0)) * (K - 1))
    outputs = train.loop(ascend, logits, np.full(steps, float(h)))[1]
    return Record(time=np.arange(steps) * float(h), correct=outputs["correct"])


def ascend(logits, h):
    """One step of policy gradient for every method, (3, K) logits, over all answers of their own policy."""
    jax = train.use_jax()
    policy = jax.nn.softmax(logits)
    rewards = (np.arange(logits.shape[1]) == 0).astype(float)
    factors = [
        world.advantages(method, rewards, policy[i, 0], jax.numpy.sqrt)
        for i, method in enumerate(world.METHODS)
    ]
    scores = policy * jax.numpy.stack(factors)
    gradient = scores - policy * scores.sum(axis=1, keepdims=True)
    return logits + h * gradient, {"correct": policy[:, 0]}


@claim.measurement
def reached(path, levels, h=Fraction(1, 50)):
    """h n for the first step n at which q is reached, (3, levels); the end of the run if it is not."""
    above = path.correct[:, :, None] >= np.array([float(q) for q in levels])
    first = np.where(above.any(axis=0), above.argmax(axis=0), len(above))
    return exact(h * first.astype(object))


def accumulated(p0, steps, K):
    """What rounding does to a time: some 32 operations a step on the logits, at speed p0 (1 - p0) or more."""
    return rounding(32 * steps, np.log(float((K - 1) / p0)) / float(p0 * (1 - p0)))


def at(levels):
    return {"method": [[name] for name in world.METHODS], "q": [float(q) for q in levels]}


@claim.check("not-before-the-flow")
def not_before(times, reached, levels, p0, steps, K):
    return at_most(times, reached, within=accumulated(p0, steps, K), **at(levels))


@claim.check("hardly-after-the-flow")
def hardly_after(times, lag, reached, levels, h, p0, steps, K):
    return at_most(reached, times + h * lag, within=accumulated(p0, steps, K), **at(levels))


@claim.check("time-to-even-odds")
def even_odds(reached, costs, lag, h, p0, steps, K):
    bound = costs + h * lag[:, -1]
    return at_most(reached[:, -1], bound, within=accumulated(p0, steps, K), method=list(world.METHODS))


def exchanged(times):
    """The times of Dr. GRPO for GRPO, of GRPO for Dr. GRPO."""
    return stack([times[1], times[0], times[2]])


def lower(method):
    """The costs, one of them 10% lower."""
    factors = exact(np.array([Fraction(9, 10) if x == method else 1 for x in world.METHODS], dtype=object))
    return lambda costs: factors * costs


claim.control("GRPO and Dr. GRPO exchanged", times=exchanged, must_fail="not-before-the-flow")
claim.control(
    "factor K / (K - 1) forgotten", times=lambda times, K: Fraction(K, K - 1) * times,
    must_fail="not-before-the-flow",
)  # fmt: skip
claim.control("times 10% shorter", times=lambda times: 0.9 * times, must_fail="hardly-after-the-flow")
claim.control(
    "no lag but the last step's", lag=lambda lag: 1 + 0 * lag, must_fail="hardly-after-the-flow", cases=HARDER
)
for name in world.METHODS:
    claim.control(f"cost of {name} 10% lower", costs=lower(name), must_fail="time-to-even-odds", cases=HARDER)
claim.control(
    "GRPO's cost with exponent 9/20", exponent=Fraction(9, 20), must_fail="time-to-even-odds", cases=HARDER
)


@claim.figure
def draw(figure, evidence):
    panels = plot.panel_grid(figure, ["GRPO", "Dr. GRPO", "DisCO"], columns=3, sharex=True, sharey=True)
    for color, case in zip(plot.COLORS, evidence.cases, strict=False):
        path, exactly = evidence.of("path", **case), evidence.curve("not-before-the-flow", **case)
        rival = evidence.curve("not-before-the-flow", control="GRPO and Dr. GRPO exchanged", **case)
        for i, panel in enumerate(panels):
            panel.plot(
                path.time[1:], path.correct[1:, i], color=color, linestyle="-", label=f"$p_0$ = {case['p0']}"
            )
            panel.plot(
                exactly.measured.middle[i], exactly.q, "o", color=color, markersize=3.5, label="closed form"
            )
            if i < 2:
                grey = {**plot.CONTROL, "linestyle": "none", "marker": "x", "markersize": 3.5}
                panel.plot(rival.measured.middle[i], exactly.q, label="control: exchanged", **grey)
    for panel in panels:
        panel.set(xscale="log", xlabel="time", xlim=(0.1, 1_000), ylim=(0, 0.75))
    panels[0].set_ylabel("probability of the correct answer")
    plot.legend(panels)
