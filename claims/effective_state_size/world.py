r"""Definitions that the claims of this paper share: operators, their blocks, realisations by recurrences.

A causal operator on sequences of length L is a lower triangular matrix T (L, L), y = T u. Its past-to-future block at
step t = 1 .. L-1 is $H_t = T[t:, :t]$: what inputs before t do to outputs from t on; its rank is the effective
state-size (ESS). A *recurrence* with state sizes r_0 = 0, r_1, .., r_{L-1}, r_L = 0,

$$s_{t+1} = A_t s_t + B_t u_t, \qquad y_t = C_t s_t + D_t u_t, \qquad t = 0, .., L - 1,$$

is a list of L steps (A (r_{t+1}, r_t), B (r_{t+1}, 1), C (1, r_t), D a number). Matrices hold fractions and integers
(exact) or floats.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Step:
    """One step of a recurrence."""

    A: np.ndarray  # (r_{t+1}, r_t)
    B: np.ndarray  # (r_{t+1}, 1)
    C: np.ndarray  # (1, r_t)
    D: object  # a number


def block(T, t):
    """$H_t$ = T[t:, :t], (L - t, t)."""
    T = validated_operator(T)
    if not 1 <= t < len(T):
        raise ValueError(f"a step with a past and a future lies in 1..{len(T) - 1}, not at {t}")
    return T[t:, :t]


def effective_state_sizes(T):
    """Exact ranks of $H_1, .., H_{L-1}$, a list of ints; T (L, L) of integers and fractions."""
    T = validated_operator(T)
    return [exact_rank(T[t:, :t]) for t in range(1, len(T))]


def exact_rank(matrix):
    """Rank of a matrix of integers and fractions, without rounding."""
    return 0 if 0 in np.shape(matrix) else rational(matrix).rank()


def rational(matrix):
    """A matrix of integers and fractions as fmpq_mat."""
    from flint import fmpq, fmpq_mat

    rows = np.asarray(matrix, dtype=object)
    if not all(isinstance(x, int | Fraction) for x in rows.flat):
        raise ValueError("an exact rank needs integers and fractions; for floats there are singular values")
    return fmpq_mat(*rows.shape, [fmpq(x.numerator, x.denominator) for x in rows.flat])


def minimal_recurrence(T):
    """A recurrence of the least state sizes, from T (L, L) of integers and fractions.

    The state at t is R_t u_{<t}, with R_t the nonzero rows of the reduced echelon form of H_t. A row of its row
    space has for coordinates its entries at the pivots, so A, B and C are read off without solving anything.
    """
    T = validated_operator(T)
    L = len(T)
    bases, pivots = zip(*(row_basis(T[t:, :t]) for t in range(L + 1)), strict=True)
    steps = []
    for t in range(L):
        after = bases[t + 1]
        steps.append(Step(after[:, pivots[t]], after[:, [t]], T[[t]][:, pivots[t]], T[t, t]))
    return steps


def row_basis(matrix):
    """(basis (r, k) in reduced echelon form, its pivots) of the row space of a matrix (m, k)."""
    if 0 in matrix.shape:
        return np.zeros((0, matrix.shape[1]), dtype=object), []
    form, rank = rational(matrix).rref()
    rows = [[Fraction(int(x.p), int(x.q)) for x in row] for row in form.table()[:rank]]
    return np.array(rows, dtype=object).reshape(rank, matrix.shape[1]), [
        next(j for j, x in enumerate(r) if x) for r in rows
    ]


def state_sizes(steps):
    """r_1, .., r_{L-1} of a recurrence."""
    return [step.A.shape[1] for step in steps[1:]]


def operator_of(steps):
    """The matrix (L, L) of a recurrence, by feeding it one impulse after the other."""
    L = len(steps)
    kind = np.result_type(*(step.A.dtype for step in steps))
    T, state = np.zeros((L, L), dtype=kind), np.zeros((0, L), dtype=kind)
    for t, step in enumerate(steps):
        if step.A.shape[1] != len(state) or step.C.shape != (1, len(state)):
            raise ValueError(f"step {t} takes {step.A.shape[1]} states, step {t - 1} leaves {len(state)}")
        T[t] = (step.C @ state)[0] if len(state) else T[t]
        T[t, t] = step.D
        following = step.A @ state if len(state) else np.zeros((len(step.A), L), dtype=kind)
        following[:, t] = step.B[:, 0]
        state = following
    return T


def truncated_recurrence(T, sizes):
    """Floats: at every step the state is projected on its most important directions, `sizes` many at t = 1 .. L-1.

    A state s_t = R_t u_{<t} with orthonormal rows R_t is joined by the next input; of the coordinates in
    diag(R_t, 1) the top right singular vectors of H_{t+1} are kept. T (L, L) floats.
    """
    T = validated_operator(T).astype(float)
    L, basis, steps = len(T), np.zeros((0, 0)), []
    if len(sizes) != L - 1:
        raise ValueError(f"sizes names {len(sizes)} states, for the {L - 1} steps between {L} tokens")
    for t in range(L):
        joined = np.zeros((len(basis) + 1, t + 1))
        joined[:-1, :-1], joined[-1, -1] = basis, 1
        keep = min(sizes[t], *joined.shape) if t < L - 1 else 0
        kept = (
            np.linalg.svd(T[t + 1 :, : t + 1] @ joined.T, full_matrices=True)[2][:keep]
            if keep
            else joined[:0, :0]
        )
        kept = kept.reshape(keep, len(joined))
        steps.append(Step(kept[:, :-1], kept[:, -1:], T[[t], :t] @ basis.T, T[t, t]))
        basis = kept @ joined
    return steps


def validated_operator(T):
    """T as an array, or a ValueError that says what is wrong with it."""
    T = np.asarray(T)
    if T.ndim != 2 or T.shape[0] != T.shape[1] or len(T) < 2:
        raise ValueError(f"an operator is a square matrix of at least two steps, not of shape {T.shape}")
    if np.any(np.triu(T, 1) != 0):
        t, s = np.argwhere(np.triu(T, 1) != 0)[0]
        raise ValueError(f"the operator is not causal: output {t} depends on the later input {s}")
    return T
