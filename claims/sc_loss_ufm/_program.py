"""The programs over Gram matrices in floating point: points near the optimum, for a certificate to judge."""

import warnings

import numpy as np

ESCAPES = 8  # saddles that the search may meet
TINY = np.finfo(float).tiny


def solve(sizes, own, temperature, dimension, start=None):
    """Unit vectors (d, k) whose Gram matrix minimises F.

    Minimises log of the excess of F over sum n_c log own_c, which is of one scale at every temperature, by BFGS and,
    to rounding, by Levenberg-Marquardt on its gradient. A saddle is left along the direction of negative curvature
    that the multipliers show, in the dimension that the vectors use least.
    """
    from scipy.optimize import least_squares, minimize

    n, own, shape = np.asarray(sizes, float), np.asarray(own, float), (dimension, len(sizes))

    def excess(x):
        U, length = unit(x.reshape(shape))
        value, slope, *_ = _slope(U, n, own, temperature)
        value = max(value, TINY)  # at the lowest temperatures nothing is left of it
        return np.log(value), (slope / length / value).ravel()

    def stationary(x):
        U, _ = unit(x.reshape(shape))
        return (_slope(U, n, own, temperature)[1] / scale).ravel()

    def curvature(x):
        return _curvature(*unit(x.reshape(shape)), n, own, temperature) / scale

    U = unit(np.random.default_rng(0).normal(size=shape) if start is None else start)[0]
    best = (np.inf, U)
    for _ in range(ESCAPES):  # accuracies here say when a search ends; how good its end is, certificates say
        x = minimize(excess, U.ravel(), jac=True, method="BFGS", options={"gtol": 1e-8}).x
        scale = np.exp(excess(x)[0])
        x = least_squares(
            stationary, x, jac=curvature, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=100
        ).x
        U = unit(x.reshape(shape))[0]
        values, vectors = np.linalg.eigh(_slack(U, n, own, temperature))
        best = min(best, (-values[0], U), key=lambda pair: pair[0])
        if values[0] > -1e-12 * values[-1]:
            break
        unused = np.linalg.svd(U)[0][:, -1]
        U = unit(U + 0.3 * np.outer(unused, vectors[:, 0]))[0]
    return best[1]


def unit(X):
    """The columns of X (d, k) at unit length, and their lengths."""
    length = np.linalg.norm(X, axis=0)
    return X / length, length


def _softmax(U, n, own, temperature):
    """n_c' exp((M_cc' - 1)/tau), 0 on the diagonal, and the sums of its rows."""
    weights = n * np.exp((U.T @ U - 1) / temperature)
    np.fill_diagonal(weights, 0)
    return weights, weights.sum(axis=1)


def _slope(U, n, own, temperature):
    """Excess of F, its gradient on the product of spheres (d, k), and what these were made of."""
    weights, rest = _softmax(U, n, own, temperature)
    total = own + rest
    pull = (n / total)[:, None] * weights / temperature
    slope = U @ (pull + pull.T)
    excess = n @ np.log1p(rest / own)
    return excess, slope - U * (U * slope).sum(axis=0), pull + pull.T, weights, total


def _curvature(U, length, n, own, temperature):
    """Derivatives (dk, dk) of the gradient with respect to X, U being its columns at unit length."""
    d, k = U.shape
    _, _, pull, weights, total = _slope(U, n, own, temperature)
    V = np.eye(d * k).reshape(-1, d, k) / length
    V -= U * (U * V).sum(axis=1, keepdims=True)
    inner = np.einsum("da,vdb->vab", U, V)
    change = weights * (inner + inner.transpose(0, 2, 1)) / temperature
    rows = change.sum(axis=2, keepdims=True)
    change = (n / total)[:, None] * (change - rows * weights / total[:, None]) / temperature
    moved = V @ pull + U @ (change + change.transpose(0, 2, 1)) - V * (U * (U @ pull)).sum(axis=0)
    return (moved - U * (U * moved).sum(axis=1, keepdims=True)).reshape(d * k, d * k).T


def _slack(U, n, own, temperature):
    """The multiplier matrix Z = D + diag(nu) with zero row sums against the Gram matrix."""
    pull = _slope(U, n, own, temperature)[2] / 2
    return pull - np.diag((pull * (U.T @ U)).sum(axis=1))


def solve_full(labels, temperature):
    """Vectors (n, n) near the solution of min f(G), G psd with unit diagonal, by Clarabel's exponential cones."""
    import cvxpy as cp

    n = len(labels)
    same = (labels[:, None] == labels) & ~np.eye(n, dtype=bool)
    G = cp.Variable((n, n), PSD=True)
    others = cp.vstack([G[i, np.delete(np.arange(n), i)] for i in range(n)])
    positives = cp.sum(cp.multiply(same / same.sum(axis=1, keepdims=True), G))
    loss = cp.sum(cp.log_sum_exp(others / temperature, axis=1)) - positives / temperature
    problem = cp.Problem(cp.Minimize(loss), [cp.diag(G) == 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an inaccurate point is as good as its certificate
        problem.solve(solver=cp.CLARABEL, **dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-12))
    values, vectors = np.linalg.eigh(G.value)
    return unit((vectors * np.sqrt(np.maximum(values, 0))).T)[0]
