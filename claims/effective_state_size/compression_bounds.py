r"""What r states can do: certified bounds on the error of any recurrence, and a truncation within them.

Let $\sigma_j$ be the singular values of $H_t = T[t{:},\, {:}t]$ and $\tau_t(r)^2 = \sum_{j > r} \sigma_j(H_t)^2$. Every operator
$\hat T$ of a recurrence with r states has

$$\|T - \hat T\|_F \ge \max_t \tau_t(r), \qquad \|T - \hat T\|_2 \ge \max_t \sigma_{r+1}(H_t) ,$$

and one, made by projecting the state at each step on its r most important directions, has

$$\|T - \hat T\|_F^2 \le \sum_t \tau_t(r)^2 ,$$

zero once r reaches the effective state-size. If only one step gives up only one direction, the error is exactly the
smallest singular value that H_t then lacks.

---
Lower bounds are Eckart and Young's theorem on each block; in the upper one successive projection errors are orthogonal.
The bounds meet on an operator that hands two numbers over at one step. Students are trained by L-BFGS from the
truncation and from random matrices; their errors, like all singular values, are enclosed without trusting any routine.
"""

import numpy as np

from verify import Claim, Record, at_most, certify, equal, plot, rounded, stack

from . import _students, world

NORMS = ("frobenius", "spectral")
OPERATORS = ("softmax attention", "linear attention", "one hand-over")
claim = Claim(
    "effective-state-size/compression-bounds",
    cases={"operator": OPERATORS},
    full={"length": 32, "sizes": (1, 2, 3, 4, 6, 8), "iterations": 400},
)


# --- operators --------------------------------------------------------------------------------------------


@claim.instance
def T(rng, operator, length=16):
    if operator == "softmax attention":
        q, k = rng.normal(size=(2, length, 4))
        weights = np.tril(np.exp(q @ k.T / 2))
        return weights / weights.sum(axis=1, keepdims=True)
    if operator == "linear attention":
        q, k = rng.normal(size=(2, length, 3))
        return np.tril(q @ k.T)
    made, half = np.eye(length), length // 2
    made[half : half + 2, half - 2 : half] = rng.normal(size=(2, 2))
    return made


@claim.instance
def ranks(operator, length):
    """ESS at t = 1 .. L-1."""
    t = np.arange(1, length)
    if operator == "one hand-over":
        return list(np.maximum(2 - abs(t - length // 2), 0))
    return list(np.minimum(np.minimum(t, length - t), length if operator == "softmax attention" else 3))


# --- bounds -----------------------------------------------------------------------------------------------


@claim.reference
def bounds(T, sizes=(1, 2, 3, 4), shift=0):
    """For every r the lower bounds in both norms and the upper one."""
    values = [certify.singular_values(T[t:, :t]) for t in range(1, len(T))]
    tails = [stack([tail(value, r + shift) for value in values]) for r in sizes]
    following = [
        stack([value[r + shift] if r + shift < len(value) else 0 * value[0] for value in values])
        for r in sizes
    ]
    return Record(
        frobenius=stack([each.largest().sqrt() for each in tails]),
        spectral=stack([each.largest() for each in following]),
        upper=stack([each.sum().sqrt() for each in tails]),
    )


def tail(values, r):
    """tau(r)^2."""
    return (values[r:] ** 2).sum() if r < len(values) else 0 * values[0]


@claim.reference
def weakest(T, ranks):
    """The smallest singular value that is not 0 of the block in the middle."""
    middle = len(T) // 2
    return certify.singular_values(T[middle:, :middle])[ranks[middle - 1] - 1]


# --- recurrences with r states ----------------------------------------------------------------------------


@claim.run
def truncated(T, sizes):
    return [world.truncated_recurrence(T, [r] * (len(T) - 1)) for r in sizes]


@claim.run
def students(rng, T, truncated, sizes, iterations=100):
    """Trained from the truncation, and from random matrices, for every r."""
    found, most = [], max(sizes)
    for r, steps in zip(sizes, truncated, strict=True):
        starts = (steps, _students.random_start(rng, T, r, most))
        found.append([_students.trained(T, r, start, iterations, most) for start in starts])
    return found


@claim.run
def at_rank(T, ranks, fewer=0):
    """The truncation to the ESS itself."""
    return world.truncated_recurrence(T, [max(r - fewer, 0) for r in ranks])


@claim.run
def one_dropped(T, ranks):
    """The truncation to the ESS, but for one state less in the middle."""
    middle = len(T) // 2
    return world.truncated_recurrence(T, [r - (t == middle) for t, r in enumerate(ranks, 1)])


def error(T, steps, norm):
    """|T - T'| of what a recurrence computes, its rounding (L matrix products in a row) included."""
    size = max(world.state_sizes(steps), default=0)
    sizes = [world.Step(abs(s.A), abs(s.B), abs(s.C), abs(s.D)) for s in steps]
    made = rounded(world.operator_of(steps), (size + 2) * len(T), world.operator_of(sizes))
    return certify.norm(T - made, norm)


@claim.measurement
def errors(T, truncated, students):
    """In both norms: of the truncation, the student trained from it, and the other one; each (sizes, 3)."""
    rows = [(first, *pair) for first, pair in zip(truncated, students, strict=True)]
    return Record(
        **{norm: stack([stack([error(T, s, norm) for s in row]) for row in rows]) for norm in NORMS}
    )


@claim.measurement
def error_at_rank(T, at_rank):
    return error(T, at_rank, "spectral")


@claim.measurement
def error_of_one(T, one_dropped):
    return stack([error(T, one_dropped, norm) for norm in NORMS])


# --- whether they agree -----------------------------------------------------------------------------------


@claim.check("at-least-frobenius")
def above_frobenius(errors, bounds, sizes):
    within = errors.frobenius.gap() + bounds.frobenius.gap()
    return at_most(bounds.frobenius[:, None], errors.frobenius, within=within, r=[[r] for r in sizes])


@claim.check("at-least-spectral")
def above_spectral(errors, bounds, sizes):
    within = errors.spectral.gap() + bounds.spectral.gap()
    return at_most(bounds.spectral[:, None], errors.spectral, within=within, r=[[r] for r in sizes])


@claim.check("truncation-at-most")
def below(errors, bounds, sizes):
    within = errors.frobenius.gap() + bounds.upper.gap()
    return at_most(errors.frobenius[:, 0], bounds.upper, within=within, r=sizes)


@claim.check("training-only-helps")
def helps(errors, sizes):
    return at_most(errors.frobenius[:, 1], errors.frobenius[:, 0], within=2 * errors.frobenius.gap(), r=sizes)


@claim.check("exact-at-rank")
def zero(error_at_rank):
    return equal(error_at_rank, 0, within=2 * error_at_rank.gap())


@claim.check("one-state-dropped")
def one(error_of_one, weakest):
    return equal(error_of_one, weakest, within=2 * error_of_one.gap() + weakest.gap(), norm=NORMS)


# --- rivals -----------------------------------------------------------------------------------------------


def blind(T, ranks):
    """In the middle one state less, and not the weakest: a random direction of the past is given up."""
    middle = len(T) // 2
    changed = T.copy()
    changed[middle:, :middle] = T[middle:, :middle] @ (np.eye(middle) - 1 / middle)
    return world.truncated_recurrence(changed, ranks)


def untrained(rng, T, sizes):
    """Students with random matrices."""
    return [[_students.random_start(rng, T, r, max(sizes))] * 2 for r in sizes]


claim.control("a direction fewer", shift=-1, must_fail="at-least-frobenius")
claim.control("a direction fewer, spectral", shift=-1, must_fail="at-least-spectral")
claim.control("lower bound 5% larger", must_fail="at-least-frobenius", cases={"operator": ("one hand-over",)},
    bounds=lambda bounds: Record(frobenius=1.05 * bounds.frobenius))  # fmt: skip
claim.control("5% larger, spectral", must_fail="at-least-spectral", cases={"operator": ("one hand-over",)},
    bounds=lambda bounds: Record(spectral=1.05 * bounds.spectral))  # fmt: skip
claim.control("upper bound 5% smaller", must_fail="truncation-at-most", cases={"operator": ("one hand-over",)},
    bounds=lambda bounds: Record(upper=0.95 * bounds.upper))  # fmt: skip
claim.control("the worst step alone", must_fail="truncation-at-most", cases={"operator": OPERATORS[:2]},
    bounds=lambda bounds: Record(upper=bounds.frobenius))  # fmt: skip
claim.control("students not trained", students=untrained, must_fail="training-only-helps")
claim.control("one state fewer at every step", fewer=1, must_fail="exact-at-rank")
claim.control("another direction dropped", one_dropped=blind, must_fail="one-state-dropped")
claim.control("weakest 5% larger", weakest=lambda weakest: 1.05 * weakest, must_fail="one-state-dropped")


@claim.figure
def draw(figure, evidence):
    panels = plot.panel_grid(figure, OPERATORS, columns=3)
    for panel, name in zip(panels, OPERATORS, strict=True):
        errors, bounds = (
            evidence.of("errors", operator=name).frobenius.middle,
            evidence.of("bounds", operator=name),
        )
        r = np.arange(1, len(errors) + 1)
        low, up = bounds.frobenius.middle, bounds.upper.middle
        panel.fill_between(r, low, up, color="#DCE6F2", label="between the bounds")
        for bound in (low, up):
            panel.plot(r, bound, color=plot.INK, **plot.BOUND)
        for column, mark, label in (
            (0, "o", "truncation"),
            (1, "v", "trained from it"),
            (2, "x", "trained from random"),
        ):
            panel.plot(r, errors[:, column], mark, label=label)
        panel.set(xlabel="states $r$", xticks=r, ylim=(0, None))
    panels[0].set_ylabel(r"error $\|T - \hat T\|_F$")
    plot.legend(panels, bound="bound")
