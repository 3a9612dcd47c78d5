r"""No recurrence has fewer states than the rank of the past-to-future block, and one has exactly as many.

A recurrence $s_{t+1} = A_t s_t + B_t u_t$, $y_t = C_t s_t + D_t u_t$ with r_t states at step t that computes $y = T u$ has

$$r_t \ge \mathrm{rank}\, H_t, \qquad H_t = T[t{:},\, {:}t] ,$$

at every t, and there is one with equality at all t together: if the rows of $R_t$ are a basis of the row space of
$H_t$, take $s_t = R_t u_{<t}$; then $R_{t+1}[{:},\, {:}t] = A_t R_t$, $B_t = R_{t+1}[{:},\, t]$, $T[t,\, {:}t] = C_t R_t$
and $D_t = T[t, t]$.

---
The past reaches the future through the state only, hence the bound; rows of $H_{t+1}$ without their last entry are rows
of $H_t$, hence the construction. All is exact: integer and rational operators, ranks by elimination. The bound is
tried on recurrences with random state sizes and entries, and on the minimal ones.
"""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from verify import Claim, at_most, equal, exact, plot

from . import _operators, world

claim = Claim("effective-state-size/minimal-state-equals-rank", full={"length": 32, "draws": 40})
NAMES = tuple(_operators.WIDTH)


@claim.instance
def operators(rng, length=20):
    return [_operators.standard(rng, length, name) for name in NAMES]


@claim.instance
def recurrences(rng, draws=12, tokens=10):
    """Random ones with 0 to 4 states at each step, entries small enough for ranks to drop now and then."""
    return [random_recurrence(rng, tokens, rng.integers(0, 5, size=tokens - 1)) for _ in range(draws)]


def random_recurrence(rng, length, sizes):
    sizes = [0, *sizes, 0]

    def integers(rows, columns):
        return rng.integers(-2, 3, size=(rows, columns)).astype(object)

    return [
        world.Step(integers(after, now), integers(after, 1), integers(1, now), int(rng.integers(1, 9)))
        for now, after in pairwise(sizes)
    ]


# --- ranks ------------------------------------------------------------------------------------------------


@claim.reference
def ranks(operators, present=0):
    """Of the blocks of all operators, one after the other."""
    return exact([world.exact_rank(T[t:, : t + present]) for T in operators for t in range(1, len(T))])


@claim.reference
def ranks_of_recurrences(recurrences, present):
    """Of the blocks of what random recurrences compute."""
    made = [world.operator_of(steps) for steps in recurrences]
    return exact([world.exact_rank(T[t:, : t + present]) for T in made for t in range(1, len(T))])


# --- recurrences ------------------------------------------------------------------------------------------


@claim.run
def minimal(operators):
    return [world.minimal_recurrence(T) for T in operators]


@claim.run
def sizes(minimal):
    return exact([r for steps in minimal for r in world.state_sizes(steps)])


@claim.run
def sizes_of_recurrences(recurrences):
    return exact([r for steps in recurrences for r in world.state_sizes(steps)])


@claim.run
def computed(minimal):
    """The matrices of the minimal recurrences, from impulses."""
    return exact(np.stack([world.operator_of(steps) for steps in minimal]))


# --- whether they agree -----------------------------------------------------------------------------------


@claim.check("no-recurrence-is-smaller")
def bound(sizes_of_recurrences, ranks_of_recurrences):
    return at_most(ranks_of_recurrences, sizes_of_recurrences)


@claim.check("rank-is-attained")
def attained(sizes, ranks):
    return equal(sizes, ranks)


@claim.check("same-operator")
def same(computed, operators):
    return equal(computed, exact(np.stack(operators)))


# --- worlds in which they must not ------------------------------------------------------------------------


def one_state_dropped(minimal):
    """Each minimal recurrence without its last state at the middle step."""
    changed = []
    for steps in minimal:
        t, steps = len(steps) // 2, list(steps)
        before, now = steps[t - 1], steps[t]
        steps[t - 1] = replace(before, A=before.A[:-1], B=before.B[:-1])
        steps[t] = replace(now, A=now.A[:, :-1], C=now.C[:, :-1])
        changed.append(steps)
    return changed


def one_state_idle(minimal):
    """Each minimal recurrence with one more state at the middle step, which nothing reads."""
    changed = []
    for steps in minimal:
        t, steps = len(steps) // 2, list(steps)
        before, now = steps[t - 1], steps[t]
        steps[t - 1] = replace(before, A=grown(before.A, 0), B=grown(before.B, 0))
        steps[t] = replace(now, A=grown(now.A, 1), C=grown(now.C, 1))
        changed.append(steps)
    return changed


def grown(matrix, axis):
    shape = list(matrix.shape)
    shape[axis] = 1
    return np.concatenate([matrix, np.full(shape, Fraction(0), dtype=object)], axis=axis)


def without_present(minimal):
    """D left out."""
    return [[replace(step, D=0) for step in steps] for steps in minimal]


claim.control("block with the present input", present=1, must_fail="no-recurrence-is-smaller")
claim.control("block with the present input, equality", present=1, must_fail="rank-is-attained")
claim.control("one state dropped at one step", minimal=one_state_dropped, must_fail="same-operator")
claim.control("one idle state at one step", minimal=one_state_idle, must_fail="rank-is-attained")
claim.control("present input left out", minimal=without_present, must_fail="same-operator")


@claim.figure
def draw(figure, evidence):
    panels = plot.panel_grid(figure, NAMES, columns=3, sharey=True, sharex=True)
    found, rank = (np.split(evidence.of(name).middle, len(NAMES)) for name in ("sizes", "ranks"))
    other = np.split(evidence.of("ranks", control="block with the present input").middle, len(NAMES))
    for panel, r, bound, rival in zip(panels, found, rank, other, strict=True):
        t = np.arange(1, len(r) + 1)
        plot.curve_with_bound(
            panel, t, r, bound, label="states of the minimal recurrence", drawstyle="steps-mid"
        )
        panel.plot(t, rival, **plot.CONTROL, label="control: block with the present input")
    for panel in panels[3:]:
        panel.set_xlabel("step $t$")
    panels[0].set_ylabel("states")
    panels[3].set_ylabel("states")
    plot.legend(panels, bound="rank")
