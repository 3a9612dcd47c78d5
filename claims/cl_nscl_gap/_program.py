r"""The smallest loss over Gram matrices: a convex program, with a certificate that is evaluated without the solver.

Either loss is a convex function f of the Gram matrix G of unit vectors. For any unit vectors with Gram matrix $\hat G$,
D the gradient of f there, $\nu$ the row sums of $D \hat G$'s diagonal and $S = D - diag(\nu)$, every G feasible has
$f(G) \ge f(\hat G) + \langle S, G \rangle - \langle S, \hat G \rangle \ge f(\hat G) + P \lambda_{min}(S)$ by convexity and tr G = P.
"""

import numpy as np

from verify import Record, certify, rounded

from . import world


def smallest(labels, views, temperature, loss="nscl"):
    """The smallest loss in any dimension, "nscl" or "cl", of labels (N,).

    Returns Record(value: Interval, embeddings (N, K, P) that nearly attain it, gram (P, P)).
    """
    see = world.relations(labels, views)
    negatives = see.other if loss == "nscl" else ~see.positive
    unit = unit_factor(solved(negatives, see.positive, temperature))
    gram, anchors = unit @ unit.T, len(unit)
    sim = np.where(negatives, gram / temperature, -np.inf)
    logs = world.log_sum_exp(sim)
    found = (logs - (gram * see.positive).sum(axis=1) / (views * temperature)).mean()
    push = (np.exp(sim - logs[:, None]) - see.positive / views) / (temperature * anchors)
    D = (push + push.T) / 2
    slope = D - np.diag((D * gram).sum(axis=1))
    # <S, G - G^> is at most P |min eig S| plus the rounding of D, whose entries sum to 2 / temperature at most
    above = rounded(found, 8 * anchors + 60, 16 / temperature + 2 * np.log(anchors) + 4)
    below = above + anchors * certify.smallest_eigenvalue(slope)
    value = certify.bracket(below, above, "unit vectors, and the tangent of the loss at them")
    return Record(value=value, embeddings=unit.reshape(len(labels), views, anchors), gram=gram)


def solved(negatives, positive, temperature):
    """The solver's Gram matrix (P, P), of which nothing is trusted."""
    import warnings

    import cvxpy as cp

    anchors = len(negatives)
    G = cp.Variable((anchors, anchors), PSD=True)
    terms = [
        cp.log_sum_exp(G[u, np.flatnonzero(negatives[u])] / temperature)
        - cp.sum(G[u, np.flatnonzero(positive[u])]) / (temperature * positive[u].sum())
        for u in range(anchors)
    ]
    tight = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it fell short of the tolerance, which the certificate tells
        cp.Problem(cp.Minimize(sum(terms) / anchors), [cp.diag(G) == 1]).solve(solver=cp.CLARABEL, **tight)
    return G.value


def unit_factor(gram):
    """Unit vectors (P, P) whose Gram matrix is near the given one."""
    values, vectors = np.linalg.eigh(gram)
    factor = vectors * np.sqrt(np.maximum(values, 0.0))
    return factor / np.linalg.norm(factor, axis=1, keepdims=True)
