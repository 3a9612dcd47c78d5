r"""Ceilings: how large the margin in one norm can be where the margin in another norm is nearly the largest.

With $\rho_p(W) = m(W) / \|W\|_p$ the ceiling at a level is $\max \{\rho_p(W) : \rho_q(W) \ge \ell\}$. Any such W bounds it
from below. For weights $\lambda \ge 0$ of sum 1 let $M = \sum \lambda_{ic} (e_{y_i} - e_c) h_i^T$. However M is split,

$$m(W) \le \langle M, W \rangle = \langle Z, W \rangle + \langle M - Z, W \rangle
       \le \|Z\|_{p*} \|W\|_p + \|M - Z\|_{q*} \|W\|_q ,$$

so that $1 / \rho_p(W) \ge (1 - \|M - Z\|_{q*} / \ell) / \|Z\|_{p*}$: an upper bound of the ceiling at every level, which is
attained at the level whose program $\lambda$ and Z solve.
"""

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from verify import Interval, certify, exact, stack

from . import _program, world

INSIDE = 1e-8  # programs are solved at a level that is higher by this, so that their solutions are feasible


@dataclass(frozen=True)
class Ceiling:
    """The ceiling as a function of the level; no solver is trusted.

    attained: pairs (rho_q(W), rho_p(W)) of some classifiers; splits: pairs (||M - Z||_{q*}, ||Z||_{p*}), Z = M first.
    """

    attained: tuple[tuple[Interval, Interval], ...]
    splits: tuple[tuple[Interval, Interval], ...]

    def at(self, level: Interval) -> Interval:
        """max rho_p(W) over all W with rho_q(W) >= level."""
        feasible = [pair for pair in self.attained if pair[0].lower >= level.upper]
        beyond = [pair for pair in self.attained if pair not in feasible]
        lower = exact(0)
        if feasible:
            lower = stack([rho_p for _, rho_p in feasible]).largest()
        if feasible and beyond:
            near, far = min(feasible, key=_rho_q), max(beyond, key=_rho_q)
            lower = stack([lower, _mixed(near, far, level)]).largest()
        splits = self.splits if level.lower > 0 else self.splits[:1]
        upper = 1 / stack([(1 - rest / level) / size for rest, size in splits]).largest()
        return certify.bracket(lower, upper, "ceiling: feasible classifiers and splittings of a dual point")


@dataclass(frozen=True)
class Ceilings:
    """The margin programs `own[norm]` (see world.max_margin_solution) and a Ceiling for every `pair[q, p]`."""

    own: dict
    pair: dict


def solved(features, labels, gaps, into=None) -> Ceilings:
    """Solves and certifies the margin programs of some norms, and the ceilings of every pair of them.

    gaps: {norm: relative gaps}; the ceilings of W with rho_q(W) >= (1 - gap) gamma_q are solved at these gaps, where
    they are tight. into: only the ceilings of this norm's margin.
    """
    own = {norm: world.max_margin_solution(features, labels, norm) for norm in gaps}
    pair = {
        (q, p): _ceiling(features, labels, q, p, gaps[q], own)
        for q, p in permutations(gaps, 2)
        if into in (None, p)
    }
    return Ceilings(own, pair)


def _ceiling(features, labels, q, p, gaps, own) -> Ceiling:
    classifiers, splits = [own[p].W, own[q].W], [(exact(0), own[p].dual)]
    for gap in gaps:
        level = (1 - gap) * (1 + INSIDE) * own[q].gamma.upper
        W, weights, Z = _program.constrained_max_margin(features, labels, p, q, level, classifiers)
        classifiers.append(W)
        splits.append(_split(features, labels, weights, Z, q, p))
    rho_q, rho_p = (world.normalised_margin(features, labels, np.stack(classifiers), norm) for norm in (q, p))
    return Ceiling(tuple((rho_q[i], rho_p[i]) for i in range(len(classifiers))), tuple(splits))


def _split(features, labels, weights, Z, q, p) -> tuple[Interval, Interval]:
    """(||M - Z||_{q*}, ||Z||_{p*}) for multipliers `weights` (n, k) and Z (k, d), in one scale.

    Convex weights are added up without rounding, so that every e_y - e_c is weighted exactly.
    """
    rows = np.arange(len(labels))
    weights[rows, labels] = 0.0
    signed = -certify.convex_weights(weights)
    signed[rows, labels] = -signed.sum(axis=1)
    M, Z = certify.product(signed.T, features), Z / weights.sum()
    return certify.norm(M - Z, certify.dual(q)), certify.norm(Z, certify.dual(p))


def _rho_q(pair) -> float:
    return pair[0].lower


def _mixed(feasible, beyond, level: Interval) -> Interval:
    """What a mixture of two classifiers attains at a level between theirs, given their pairs (rho_q, rho_p).

    At margin 1 norms are 1 / rho, and those of the mixture at most the mixture of theirs.
    """
    (near_q, near_p), (far_q, far_p) = ((1 / rho_q, 1 / rho_p) for rho_q, rho_p in (feasible, beyond))
    share = ((1 / level - near_q) / (far_q - near_q)).lower
    share = min(max(share, 0.0), 1.0)
    return 1 / (near_p + share * (far_p - near_p))
