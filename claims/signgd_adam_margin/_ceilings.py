r"""Ceilings: how large the margin in one norm can be where the margin in another norm is nearly the largest.

With $\rho_p(W) = m(W) / \|W\|_p$ the ceiling at a level is $\max \{\rho_p(W) : \rho_q(W) \ge \ell\}$. Any such W bounds it
from below. For weights $\lambda \ge 0$ of sum 1 let $M = \sum \lambda_{ic} (e_{y_i} - e_c) h_i^T$. However M is split,

$$m(W) \le \langle M, W \rangle = \langle Z, W \rangle + \langle M - Z, W \rangle
       \le \|Z\|_{p*} \|W\|_p + \|M - Z\|_{q*} \|W\|_q ,$$

so that $1 / \rho_p(W) \ge (1 - \|M - Z\|_{q*} / \ell) / \|Z\|_{p*}$: an upper bound of the ceiling at every level, which is
attained at the level whose program $\lambda$ and Z solve.
"""

from dataclasses import dataclass

import numpy as np

from verify import Interval, certify, exact, stack

from . import _program, world

INSIDE = 1e-8  # programs are solved at a level that is higher by this, so that their solutions are feasible


@dataclass(frozen=True)
class Ceiling:
    """The ceiling as a function of the level.

    attained: pairs (rho_q(W), rho_p(W)) of classifiers; splits: pairs (||M - Z||_{q*}, ||Z||_{p*}). No solver is trusted.
    """

    attained: tuple[tuple[Interval, Interval], ...]
    splits: tuple[tuple[Interval, Interval], ...]

    def at(self, level: Interval) -> Interval:
        """max rho_p(W) over rho_q(W) >= level, for a level > 0."""
        feasible = [rho_p for rho_q, rho_p in self.attained if rho_q.lower >= level.upper]
        lower = stack(feasible).largest() if feasible else 0 * level
        inverse = stack([(1 - rest / level) / size for rest, size in self.splits]).largest()
        return certify.bracket(
            lower, 1 / inverse, "ceiling: feasible classifiers and splittings of dual points"
        )


@dataclass(frozen=True)
class Ceilings:
    """Certified margins `gamma[norm]`, best `classifiers[norm]` (k, d), and a Ceiling for every `pair[q, p]`."""

    gamma: dict
    classifiers: dict
    pair: dict


def solved(features, labels, norms, gaps) -> Ceilings:
    """Solves and certifies the margin programs of the norms, and the ceilings of every pair of them.

    Ceilings are solved at rho_q >= (1 - gap) gamma_q for each of the gaps, where they are tight.
    """
    own = {norm: world.max_margin_solution(features, labels, norm) for norm in norms}
    pair = {}
    for q in norms:
        for p in norms:
            if p != q:
                levels = [(1 - gap) * (1 + INSIDE) * own[q].gamma.upper for gap in gaps]
                pair[q, p] = _ceiling(features, labels, q, p, levels, own)
    gamma, classifiers = ({norm: getattr(own[norm], name) for norm in norms} for name in ("gamma", "W"))
    return Ceilings(gamma, classifiers, pair)


def _ceiling(features, labels, q, p, levels, own) -> Ceiling:
    classifiers = [own[p].W, own[q].W]
    splits = [(exact(0), own[p].dual)]  # Z = M: no classifier has a p-margin above this
    for level in levels:
        W, weights, Z = _program.constrained_max_margin(features, labels, p, q, level, classifiers)
        classifiers.append(W)
        splits.append(_split(features, labels, weights, Z, q, p))
    rho_q, rho_p = (world.normalised_margin(features, labels, np.stack(classifiers), norm) for norm in (q, p))
    return Ceiling(tuple((rho_q[i], rho_p[i]) for i in range(len(classifiers))), tuple(splits))


def _split(features, labels, weights, Z, q, p) -> tuple[Interval, Interval]:
    """(||M - Z||_{q*}, ||Z||_{p*}) for multipliers `weights` (n, k) and Z (k, d), in one scale.

    Convex weights are added up without rounding, so that e_y - e_c is weighted exactly.
    """
    rows = np.arange(len(labels))
    weights[rows, labels] = 0.0
    signed = -certify.convex_weights(weights)
    signed[rows, labels] = -signed.sum(axis=1)
    M, Z = certify.product(signed.T, features), Z / weights.sum()
    return certify.norm(M - Z, certify.dual(q)), certify.norm(Z, certify.dual(p))
