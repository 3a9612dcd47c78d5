r"""The loss to second order at features that stand at right angles in a plane, where cosines and sines are exact."""

from fractions import Fraction

import numpy as np

from verify import CertificateError, Interval, Record, certify, exact

from . import world
from ._certificates import losses, numbers

COSINE = np.array([1, 0, -1, 0])


def expansion(turns, positives, allowed, temperature):
    r"""The loss at angles turns (n,) times 90 degrees, with its first and second derivatives, in balls.

    Returns Record(loss, slope (n,) in the angles, inside (n, n): second derivatives in the angles, outside (n, n): along
    directions at right angles to the plane). With p the softmax weights, y those of positive pairs and C = p - y,

        slope_i = -sum_l (C_il + C_li) sin_il / tau ,  outside = 2 Z of the Gram matrix ,
        v' inside v = sum_il (p_il sin_il^2 / tau^2 - C_il cos_il / tau) (v_i - v_l)^2
                      - sum_i (sum_l p_il sin_il (v_i - v_l))^2 / tau^2 .
    """
    between = (turns[:, None] - turns) % 4
    cosine, sine = COSINE[between], COSINE[(between - 1) % 4]
    similar = certify.exp(exact(cosine) / temperature) * numbers(allowed)
    p = similar / similar.sum(axis=1)[:, None]
    pull = p - numbers(positives) / exact(positives.sum(axis=1))[:, None]
    both = (pull + transposed(pull)) / temperature
    weights = p * sine**2 / temperature**2 - pull * cosine / temperature
    lever = laplacian(p * sine) / temperature
    inside = laplacian(weights + transposed(weights)) - certify.product(transposed(lever), lever)
    return Record(
        loss=losses(exact(cosine), positives, allowed, temperature),
        slope=-(both * sine).sum(axis=1),
        inside=(inside + transposed(inside)) / 2,
        outside=both - np.eye(len(turns)) * (both * cosine).sum(axis=1),
    )


def laplacian(weights) -> Interval:
    """The matrix that takes v to sum_l w_il (v_i - v_l)."""
    return np.eye(len(weights)) * weights.sum(axis=1)[:, None] - weights


def least_but_rotation(inside) -> Interval:
    """The smallest eigenvalue of second derivatives in the angles on changes that are not a common rotation."""
    n = len(inside)
    lift = float(np.abs(inside.upper).sum(axis=1).max())  # no smaller than the largest eigenvalue
    return certify.smallest_eigenvalue(inside + np.full((n, n), lift / n))


def transposed(matrix) -> Interval:
    """Rows and columns exchanged."""
    return Interval(matrix.lower.T, matrix.upper.T, matrix.grade, matrix.because)


# --- the split point ---------------------------------------------------------------------------------------


def split_point(q, more=0, pairs=1):
    """Labels and quarter turns (n,) of the split point; `more` samples in A, C split into two times `pairs`."""
    turns = np.repeat([0, 2, 1, 3], (q + more, q, pairs, pairs))
    return world.labels_of((q + more, q, 2 * pairs)), turns


def at_split(q, tau, more=0, pairs=1):
    """The expansion at the split point."""
    labels, turns = split_point(q, more, pairs)
    return expansion(turns, *(mask[0] for mask in world.pairs(labels[None])), tau)


def crossing(q, halvings, low=0.2, high=0.35):
    """A temperature where the least second derivative in the plane changes its sign, by bisection."""
    if sign(q, low) <= 0 or sign(q, high) >= 0:
        raise CertificateError(f"no change of sign between {low} and {high}")
    for _ in range(halvings):
        middle = (low + high) / 2
        found = sign(q, middle)
        low, high = middle if found > 0 else low, middle if found < 0 else high
    ends = exact(Fraction(low)), exact(Fraction(high))
    return certify.bracket(*ends, "second derivatives of both signs at the ends")


def sign(q, tau):
    """The sign of the least second derivative in the plane at the split point, 0 where it is not certain."""
    least = least_but_rotation(at_split(q, tau).inside)
    return 1 if least.lower > 0 else -1 if least.upper < 0 else 0
