"""Convex programs of this paper, solved by constraint generation. Nothing here is trusted: `world` certifies."""

import contextlib
import warnings

import numpy as np

CLARABEL = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11, "direct_solve_method": "qdldl"}
SHORT_STEPS = {"max_step_fraction": 0.95, "max_iter": 500}
HIGHS = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
LINEAR, SCHATTEN = ("max", "sum"), ("frobenius", "spectral", "nuclear")
WELL_SEPARATED = 0.01  # relative margin above which the solvers' accuracy needs no help
ADDED_PER_ROUND, KEPT_FROM_FROBENIUS, ROUNDS = 200, 300, 60
SUPPORT = 1.02  # pairs within this factor of the smallest margin start a constrained program
NEAR = 0.02  # relative margin above the smallest
SMALLEST_SIZE = 1e-6  # below, the solvers' own scaling gives up


def max_margin(features, labels, norm, effort=0):
    r"""max g subject to (e_{y_i} - e_c)^T W h_i >= g for all pairs and ||W|| <= 1.

    Starts from the worst pair of every two classes for the class means. Cone programs are dear: they start from
    the pairs that are nearly active for the Frobenius norm, the cheapest; so do data that are hardly separable.
    effort: 0, 1 or 2, to spend more on accuracy where the solver stalls short of it.
    Returns W (k, d) and the multipliers of the pairs, (n, k) >= 0.
    """
    k = int(labels.max()) + 1
    means = np.stack([features[labels == c].mean(axis=0) for c in range(k)])
    margins = pair_margins(features @ means.T, labels)
    pairs, scale = _worst_pairs(margins, labels), np.abs(features).max()
    easy = margins.min() > WELL_SEPARATED * scale * np.linalg.norm(means)
    if easy and norm in (*LINEAR, "frobenius"):
        return _generate(features, labels, norm, pairs)[:2]
    W, weights, _ = _generate(features, labels, "frobenius", pairs)
    margins = pair_margins(features @ W.T, labels).ravel()
    size = max(margins.min() / scale, SMALLEST_SIZE)
    lowest = np.argsort(margins)[:KEPT_FROM_FROBENIUS]
    near = lowest[margins[lowest] <= margins[lowest[0]] + 0.3 * abs(margins[lowest[0]])]
    W, weights, _ = _generate(features, labels, norm, np.union1d(near, pairs), size, effort=effort)
    return W, weights


def constrained_max_margin(features, labels, norm, other, level, known):
    """`max_margin` over the W that also keep a margin of at least level * ||W|| in another norm.

    known: classifiers (j, k, d) whose support is a good start, the one of largest margin in `norm` first.
    Returns W (k, d), the multipliers of the pairs, (n, k) >= 0, and that of the ball ||W|| <= 1, (k, d): a
    positive multiple of a subgradient of `norm` at W.
    """
    margins = [pair_margins(features @ W.T, labels).ravel() for W in known]
    pairs = np.unique(np.concatenate([np.flatnonzero(x <= SUPPORT * x.min()) for x in margins]))
    size = max(margins[0].min() / np.abs(features).max(), SMALLEST_SIZE)
    W, weights, of_ball = _generate(features, labels, norm, pairs, size, (other, level))
    return W, weights, np.sign(np.sum(of_ball * W)) * of_ball


def pair_margins(logits, labels):
    """x_ic = z_{i, y_i} - z_ic for logits (n, k), with +inf at c = y_i; shape (n, k)."""
    rows = np.arange(len(labels))
    margins = logits[rows, labels][:, None] - logits
    margins[rows, labels] = np.inf
    return margins


def _worst_pairs(margins, labels):
    """For every ordered pair of classes its row of smallest margin, as flat indices into (n, k)."""
    k = margins.shape[1]
    pairs = []
    for own in range(k):
        rows = np.flatnonzero(labels == own)
        worst = rows[np.argmin(margins[rows], axis=0)]
        pairs += [worst[c] * k + c for c in range(k) if c != own]
    return np.array(pairs)


def _generate(features, labels, norm, pairs, size=1.0, floor=None, effort=0):
    """Solves on some pairs (flat indices into (n, k)) and adds the most violated until none is.

    size: a guess of the optimal margin relative to the features; dividing by it keeps the solver's relative
    accuracy on data that are separable by a hair. floor: (other norm, least margin in it), or None.
    """
    k = int(labels.max()) + 1
    for _ in range(ROUNDS):
        W, multipliers, of_ball, g = _solve(features, labels, k, norm, pairs, size, floor, effort)
        margins = pair_margins(features @ W.T, labels).ravel()
        violated = np.setdiff1d(np.flatnonzero(margins < g - 1e-9 * abs(g)), pairs)
        if len(violated) == 0:
            break
        # the next ones to be violated come along: a round costs more than a few pairs
        near = np.setdiff1d(np.flatnonzero(margins < g + NEAR * abs(g)), pairs)
        pairs = np.concatenate([pairs, near[np.argsort(margins[near])[:ADDED_PER_ROUND]]])
    weights = np.zeros(len(labels) * k)
    weights[pairs] = np.maximum(multipliers, 0)
    return W, weights.reshape(len(labels), k), of_ball


def _solve(features, labels, k, norm, pairs, size, floor, effort):
    """The program on some pairs, with the columns of the features brought to one size: W = V * ratio.

    A floor measures W itself and puts the ball around a copy of it, whose multiplier is the one returned.
    """
    import cvxpy as cp

    scale = np.abs(features).max(axis=0)
    scale[scale == 0] = scale.max() or 1.0
    ratio = scale.max() / scale
    rows, classes = np.divmod(pairs, k)
    used, position = np.unique(rows, return_inverse=True)
    # effort 2 leaves the row common to all classes out altogether: accurate, but dense
    basis = _differences(k) if effort == 2 and norm in SCHATTEN else np.eye(k)
    reduced, g = cp.Variable((basis.shape[1], features.shape[1])), cp.Variable()
    V = basis @ reduced if effort == 2 else reduced
    logits = (features[used] / scale / size) @ V.T
    margin = logits[position, labels[rows]] - logits[position, classes] >= g
    unit = scale.max() * size
    W = copy = cp.multiply(V, np.broadcast_to(ratio, V.shape))
    constraints = [margin]
    if floor:
        copy, (other, level) = cp.Variable(V.shape), floor
        constraints += [copy == W, _norm(cp, W, other) * (level / unit) <= g]
    constraints.append(_norm(cp, copy, norm) <= 1)
    if effort == 1 and norm in SCHATTEN:
        # a row common to all classes changes no margin and only lengthens W: without it the solver has no choice
        constraints.append(cp.sum(V, axis=0) == 0)
    _run_solver(cp, cp.Problem(cp.Maximize(g), constraints), {norm, *(floor or ())[:1]}, effort)
    if V.value is None and size != 1.0:
        return _solve(features, labels, k, norm, pairs, 1.0, floor, effort)
    if V.value is None:
        raise ValueError(f"the solver found no point of the {norm}-norm margin program at all")
    of_ball = constraints[1].dual_value * unit if floor else None
    return V.value * ratio, margin.dual_value, of_ball, float(g.value) * unit


def _differences(k):
    """An orthonormal basis (k, k - 1) of what sums to 0."""
    return np.linalg.svd(np.eye(k) - 1 / k)[0][:, : k - 1]


def _norm(cp, V, norm):
    if isinstance(norm, float):
        return cp.pnorm(cp.vec(V, order="C"), norm)
    return {
        "max": lambda: cp.max(cp.abs(V)),
        "sum": lambda: cp.sum(cp.abs(V)),
        "frobenius": lambda: cp.norm(V, "fro"),
        "spectral": lambda: cp.sigma_max(V),
        "nuclear": lambda: cp.normNuc(V),
    }[norm]()


def _run_solver(cp, problem, norms, effort):
    """HiGHS (through scipy) for linear programs, Clarabel for cone programs; an inaccurate point is as good as its certificate."""
    linear = {"solver": cp.SCIPY, "scipy_options": {"method": "highs", **HIGHS}}
    conic = {"solver": cp.CLARABEL, **CLARABEL, **(SHORT_STEPS if effort else {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for options in (linear if norms <= set(LINEAR) else conic, {"solver": cp.CLARABEL}):
            with contextlib.suppress(cp.error.SolverError):
                problem.solve(**options)
                if problem.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
                    return
