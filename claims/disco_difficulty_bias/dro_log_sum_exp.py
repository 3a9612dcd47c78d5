r"""DisCO's soft maximum over wrong answers is the worst case over policies near the old one.

With $P = \pi^-$, for every $\tau > 0$

$$J_2 = -\mathbb{E}_{o \sim \pi^+} \tau \log \mathbb{E}_{o' \sim P}\, e^{(s(o') - s(o)) / \tau}
      = \mathbb{E}_{\pi^+} s - \max_{Q \ll P} \big\{ \mathbb{E}_Q s - \tau\, \mathrm{KL}(Q \,\|\, P) \big\},$$

and the gradient of $-J_2$ in the scores of wrong answers is the maximiser $Q \propto P e^{s / \tau}$; so is that of the surrogate
$\tau \sum P e^{s/\tau} / \mathrm{sg}\big[ \sum P e^{s/\tau} \big]$ with the gradient stopped at sg. $J_2$ does not decrease in $\tau$, and

$$\Big| J_1 - J_2 - \frac{\mathrm{Var}_P\, s}{2 \tau} \Big| \le \frac{R^3}{36 \sqrt{3}\, \tau^2}, \qquad
0 \le J_2 - \big( \mathbb{E}_{\pi^+} s - \max s \big) \le \tau \log \frac{1}{P(s = \max s)},$$

where $J_1 = \mathbb{E}_{\pi^+} s - \mathbb{E}_P s$ and R is the range of the wrong answers' scores.

---
The first bound is Taylor's of the cumulant function in 1 / tau: the third central moment of a variable with range R is at
most R^3 / (6 sqrt 3). The maximiser is compared by Pinsker's inequality: a distribution whose value is within g of the
optimum is within sqrt(2 g / tau) of the maximiser, entries summed.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, equal, exact, plot, rounded, rounding, stack

from . import _soft_maximum, world

claim = Claim("disco-difficulty-bias/dro-log-sum-exp", full={"sizes": (5, 12, 12, 30, 30, 30)})
TAUS = (Fraction(1, 10), Fraction(1), Fraction(10))  # of the conic programs
GRID = tuple(Fraction(2) ** k / 10 for k in range(15))  # 1/10 to 1638
SPREAD = 8  # no two scores are farther apart


@claim.instance
def questions(rng, sizes=(5, 12)):
    """Scores of equally likely correct answers, scores and probabilities P of wrong ones; two named questions first."""
    third = (3 - 3**0.5) / 6  # the rate at which a third moment is largest
    wrong = [([1.0, 0.0], [third, 1 - third]), ([4.0, 0.0, -1.0], [0.01, 0.5, 0.49])]
    for n in sizes:
        scores = np.clip(2 * rng.normal(size=n), -SPREAD / 2, SPREAD / 2)
        wrong.append((scores, rng.dirichlet(np.ones(n)) + 0.01))
    return [
        Record(scores=np.array(scores), chances=certify.convex_weights(P), correct=rng.uniform(-2, 2, size=3))
        for scores, P in wrong
    ]


@claim.reference
def worst(questions, factor=Fraction(1)):
    """max_Q of every question and tau: Record(value, (questions, taus), weights)."""
    found = [[world.worst_case(q.scores, q.chances, factor * tau) for tau in TAUS] for q in questions]
    value = stack([stack([each.value for each in row]) for row in found])
    return Record(value=value, weights=[[each.weights for each in row] for row in found])


@claim.reference
def moments(questions):
    """Mean score of correct answers; variance, range and maximum of the wrong ones', and its probability; (k, 1)."""
    rows = []
    for q in questions:
        s, P, correct = (world.points(x).lower for x in (q.scores, q.chances, q.correct))
        variance, top = P @ (s - P @ s) ** 2, s.max()
        rows.append([sum(correct) / 3, variance, top - s.min(), top, P[s == top].sum()])
    columns = exact(np.array(rows, dtype=object))
    names = ("correct", "variance", "range", "largest", "chance")
    return Record(**{name: columns[:, i : i + 1] for i, name in enumerate(names)})


@claim.run
def objectives(questions, average=True):
    """As code computes them: J1 (questions, 1), J2 at GRID and at TAUS, and there two gradients in wrong scores."""
    n = max(len(q.scores) for q in questions)
    padded = [[np.pad(x, (0, n - len(x))) for x in (q.scores, q.chances)] + [q.correct] for q in questions]
    scores, chances, correct = (np.array(x) for x in zip(*padded, strict=True))
    weights = chances if average else (chances > 0).astype(float)
    J2, _ = _soft_maximum.of_all()(scores, weights, correct, np.array(GRID, dtype=float))
    at_taus, gradients = _soft_maximum.of_all()(scores, weights, correct, np.array(TAUS, dtype=float))
    J1 = correct.mean(axis=1) - (scores * chances).sum(axis=1)
    return Record(J1=J1[:, None], J2=np.array(J2), at_taus=np.array(at_taus), gradients=np.array(gradients))


@claim.measurement
def values(objectives, questions):
    """J1 and J2 with their rounding, relative in the sums and hence of size tau in their logarithms."""
    terms = 8 * max(len(q.scores) for q in questions) + 64
    return Record(
        J1=rounded(objectives.J1, terms, 2 * SPREAD),
        J2=rounded(objectives.J2, terms, 2 * SPREAD + np.array(GRID, dtype=float)),
        at_taus=rounded(objectives.at_taus, terms, 2 * SPREAD + np.array(TAUS, dtype=float)),
    )


def entries(questions, taus):
    return {"question": [[i] for i in range(len(questions))], "tau": [float(tau) for tau in taus]}


def widths(intervals):
    """Width of every entry of (questions, taus)."""
    return stack([stack([entry.gap() for entry in row]) for row in intervals])


@claim.check("worst-case-objective")
def worst_case_objective(values, worst, moments, questions):
    theory = moments.correct - worst.value
    return equal(
        values.at_taus, theory, within=widths(values.at_taus) + widths(theory), **entries(questions, TAUS)
    )


@claim.check("worst-case-policy")
def worst_case_policy(objectives, worst, questions):
    """Distance of each gradient from the conic program's Q, (questions, taus, 2)."""
    taus = exact(np.array(TAUS, dtype=object))
    distances = np.array([
        [np.abs(gradient[:, : len(Q)] - Q).sum(axis=1) for gradient, Q in zip(*rows, strict=True)]
        for rows in zip(objectives.gradients, worst.weights, strict=True)
    ])  # fmt: skip
    near = (2 * widths(worst.value) / taus).sqrt()
    exponents = rounding(64 + 8 * objectives.gradients.shape[-1], 2 + 2 * SPREAD / float(min(TAUS)))
    return at_most(rounded(distances, 64, 2), near[:, :, None], within=exponents)


@claim.check("increases-with-tau")
def increases(values, questions):
    """J2 along the grid, then J1, which it tends to: (grid, questions)."""
    rows = [values.J2[:, i] for i in range(len(GRID))] + [values.J1[:, 0]]
    within = 2 * rounding(8 * max(len(q.scores) for q in questions) + 64, 2 * SPREAD + float(GRID[-1]))
    return at_most(stack(rows[:-1]), stack(rows[1:]), within=within, tau=[[float(tau)] for tau in GRID])


@claim.check("large-tau")
def large_tau(values, moments, questions):
    taus = exact(np.array(GRID, dtype=object))
    difference = values.J1 - values.J2 - moments.variance / (2 * taus)
    third = moments.range**3 / (36 * certify.sqrt(3) * taus**2)
    within = widths(difference)
    return at_most(abs(difference), third, within=within, **entries(questions, GRID))


@claim.check("small-tau")
def small_tau(values, moments, questions):
    """0 below and tau log(1 / P(max)) above, in this order along the first axis."""
    hardest = moments.correct - moments.largest
    above = -certify.log(moments.chance.lower) * exact(np.array(GRID, dtype=object))
    excess = values.J2 - hardest
    lower, upper = stack([0 * excess, excess]), stack([excess, above])
    return at_most(lower, upper, within=stack([widths(excess)] * 2), **entries(questions, GRID))


def divergence_reversed(questions):
    """max_Q E_Q s - tau KL(P || Q), the penalty the other way round."""
    found = [
        [_soft_maximum.with_divergence_reversed(q.scores, q.chances, tau) for tau in TAUS] for q in questions
    ]
    value = stack([stack([value for value, _ in row]) for row in found])
    return Record(value=value, weights=[[weights for _, weights in row] for row in found])


def tau_10_percent_larger(questions):
    return worst(questions, factor=Fraction(11, 10))


def times(name, factor):
    """The moments with one of them multiplied."""
    return lambda moments: Record(**{**vars(moments), name: factor * getattr(moments, name)})


for name in ("worst-case-objective", "worst-case-policy"):
    claim.control(f"divergence reversed, {name}", worst=divergence_reversed, must_fail=name)
    claim.control(f"tau 10% larger, {name}", worst=tau_10_percent_larger, must_fail=name)
claim.control("sum in place of mean over wrong answers", average=False, must_fail="increases-with-tau")
claim.control("variance 10% larger", moments=times("variance", Fraction(11, 10)), must_fail="large-tau")
claim.control("range 3% smaller", moments=times("range", Fraction(97, 100)), must_fail="large-tau")
claim.control("hardest answer 10% likelier", moments=times("chance", Fraction(11, 10)), must_fail="small-tau")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["twelve wrong answers", "beyond second order"])
    taus, objectives, moments = np.array(GRID, dtype=float), evidence.of("objectives"), evidence.of("moments")
    summed = evidence.of("objectives", control="sum in place of mean over wrong answers")
    left.plot(taus, objectives.J2[-1], linestyle="-", label="$J_2$ in code")
    programs = (moments.correct - evidence.of("worst").value).middle[-1]
    left.plot(np.array(TAUS, dtype=float), programs, "o", color=plot.COLORS[1], label="conic programs")
    limits = objectives.J1[-1, 0], (moments.correct - moments.largest).middle[-1, 0]
    for limit, name in zip(limits, ("$J_1$, mean", "hardest answer"), strict=True):
        left.axhline(limit, color=plot.INK, **plot.BOUND)
        left.annotate(name, (taus[-1], limit), xytext=(0, 3), textcoords="offset points", ha="right")
    left.plot(taus, summed.J2[-1], label="control: sum", **plot.CONTROL)
    room = 0.2 * (limits[0] - limits[1])
    left.set(
        xscale="log", xlabel=r"$\tau$", ylabel="objective", ylim=(limits[1] - room, limits[0] + 1.5 * room)
    )
    own, rival = evidence.curve("large-tau"), evidence.curve("large-tau", control="variance 10% larger")
    looks = ((0, "two answers", plot.COLORS[2]), (-1, "random answers", plot.COLORS[3]))
    for i, label, color in looks:
        plot.curve_with_bound(right, taus, own.measured[i], own.bound[i], label=label, color=color)
    plot.curve_with_bound(right, taus, rival.measured[0], label="control: 1.1 Var", **plot.CONTROL)
    right.set(xscale="log", yscale="log", xlabel=r"$\tau$")
    right.set_ylabel(r"$|J_1 - J_2 - \mathrm{Var}/2\tau|$")
    plot.legend([left, right], bound="bound")
