r"""Enclosures of losses and of optima, rounding included.

f and F are convex in the Gram matrix. With D the symmetric gradient at a Gram matrix G of unit vectors, any nu and
Z = D + diag(nu), every other Gram matrix G' of n unit vectors has

$$f(G') \ge f(G) + \langle D, G' - G \rangle \ge f(G) - \langle D, G \rangle - \sum_i \nu_i + n \min(0, \lambda_{\min}(Z)) .$$
"""

import numpy as np

from verify import Interval, Record, certify, exact, hull, stack

# --- losses ---------------------------------------------------------------------------------------------


def gram(X, unit=True) -> Interval:
    """Inner products of the columns, brought to unit length if so asked; X (..., d, n) -> (..., n, n)."""
    n, flat = X.shape[-1], X.reshape(-1, *X.shape[-2:])
    G = stack([certify.product(x.T, x) for x in flat])
    if unit:
        length = certify.sqrt(G[:, np.arange(n), np.arange(n)])
        G = G / (length[:, :, None] * length[:, None, :])
    return shaped(G, (*X.shape[:-2], n, n))


def procrustes(X, Y, aligned=True) -> Interval:
    r"""min over orthogonal Q of ||Q H - K||_F^2, H and K being X and Y (m, d, n) with columns of unit length -> (m,).

    It is 2n - 2 ||K H^T||_* by von Neumann's inequality; aligned=False: at Q = I, where the trace replaces the norm.
    """
    n = X.shape[-1]
    length = [certify.sqrt(gram(Z, unit=False)[:, np.arange(n), np.arange(n)]) for Z in (X, Y)]
    crosses = []
    for x, y, a, b in zip(X, Y, *length, strict=True):
        H, K = x / a, y / b
        H = Interval(H.lower.T, H.upper.T, H.grade, H.because)
        cross = certify.product(K, H)
        crosses.append(certify.norm(cross, "nuclear") if aligned else (cross * np.eye(len(x))).sum())
    return 2 * n - 2 * stack(crosses)


def losses(G, positives, allowed, temperature) -> Interval:
    """L of Gram matrices (..., n, n) -> (...). positives, allowed: masks (n, n), as `world.pairs` has them."""
    logs = certify.log((similarities(G, temperature) * numbers(allowed)).sum(axis=-1))
    pull = ((1 - G) * numbers(positives)).sum(axis=-1) / exact(positives.sum(axis=-1)) / temperature
    return (logs + pull).sum(axis=-1)


def similarities(G, temperature) -> Interval:
    """exp((G - 1)/tau), each pair once; (..., n, n)."""
    first, second = np.triu_indices(G.shape[-1])
    place = np.zeros(G.shape[-2:], int)
    place[first, second] = place[second, first] = np.arange(len(first))
    return certify.exp((G[..., first, second] - 1) / temperature)[..., place]


def numbers(mask):
    """Truth values as 0 and 1."""
    return np.asarray(mask, float)


def shaped(values, shape) -> Interval:
    """The same entries in another shape."""
    return Interval(values.lower.reshape(shape), values.upper.reshape(shape), values.grade, values.because)


# --- optima ---------------------------------------------------------------------------------------------


def reduced(vectors, sizes, own, temperature):
    r"""The k x k program at the Gram matrix M of vectors (d, k): enclosures, all rigorous.

    own: n_c - 1, or n_c where a sample is its own negative as well.
    Returns Record(optimum, primal = F(M), dual, tangent = F(M) - <D, M> - sum nu, Z; gram M, in floats and `enclosed`;
    weights p_cc' (k, k), curvature w (k, k), constants of `gram_bound`; sizes, own, temperature). Every Gram matrix M' of unit vectors has

        F(M') >= tangent + <Z, M'> + 1/2 e^{-2 delta/tau} sum_{c < c'} w_cc' (M'_cc' - M_cc')^2 ,  delta = max |M' - M| :

    a log-sum-exp of weights p, of which p_0 belongs to a constant, has at least the second derivatives p_0 diag(p), and
    a change of its exponents by delta/tau at most leaves e^{-2 delta/tau} of a weight at least.
    """
    off, pairs = 1 - np.eye(len(sizes)), np.outer(sizes, sizes)
    M = gram(vectors)
    similar = similarities(M, temperature) * off
    total = exact(own) + (similar * sizes).sum(axis=-1)
    each, constant = 1 / total, exact(own) / total / total
    D = similar * (each[:, None] + each) * pairs / (2 * temperature)
    primal = (certify.log(total) * sizes).sum()
    weights = similar * sizes / total[:, None]
    curvature = similar * (constant[:, None] + constant) * pairs / temperature**2
    return Record(
        **_bounds(primal, D, M), enclosed=M, weights=weights, curvature=curvature,
        constants=_constants(weights, curvature, np.asarray(sizes), temperature),
        sizes=np.asarray(sizes), own=np.asarray(own), temperature=temperature,
    )  # fmt: skip


def _constants(weights, curvature, sizes, tau):
    """Record(flat = 2 / min w, three = 3 / tau, two = 2 / tau, loose = 4 tau max (n_c - 1) / (n_c p_c))."""
    loose = exact(sizes - 1) / (weights.sum(axis=-1) * sizes)
    least = curvature[np.triu_indices(len(sizes), 1)].smallest()
    return Record(flat=2 / least, three=exact(3) / tau, two=exact(2) / tau, loose=4 * tau * loose.largest())


def full(vectors, positives, allowed, temperature):
    """The n x n program at the Gram matrix of vectors (d, n): Record(optimum, primal, dual, tangent, Z, gram)."""
    G = gram(vectors)
    similar = similarities(G, temperature) * numbers(allowed)
    softmax, target = 1 / similar.sum(axis=-1), 1 / exact(positives.sum(axis=-1))
    D = similar * (softmax[:, None] + softmax) - (target[:, None] + target) * numbers(positives)
    return Record(**_bounds(losses(G, positives, allowed, temperature), D / (2 * temperature), G))


def _bounds(primal, D, G):
    """Both bounds on a program from the gradient D at the Gram matrix G, of value `primal`."""
    near = np.asarray(G.middle)
    np.fill_diagonal(near, 1)
    nu = -np.sum(np.asarray(D.middle) * near, axis=1)
    Z = D + np.diag(nu)
    tangent = primal - (D * G).sum() + certify.product(np.ones((1, len(nu))), -nu[:, None])[0, 0]
    dual = tangent + len(nu) * stack([certify.smallest_eigenvalue(Z), exact(0)]).smallest()
    optimum = certify.bracket(dual, primal, "feasible Gram matrix and Lagrangian dual, in balls")
    return {"optimum": optimum, "primal": primal, "dual": dual, "tangent": tangent, "Z": Z, "gram": near}


# --- near the optimum -------------------------------------------------------------------------------------


def block_means(G, labels) -> Interval:
    """Mean inner products within a class (of different samples) and between classes; G (m, n, n) -> (m, k, k)."""
    return blocks(G, labels, others=True)["mean"]


def blocks(G, labels, others=False):
    """Least, mean and largest inner products of the samples of two classes, {name: (m, k, k)}; G (m, n, n).

    others: within a class those of different samples only.
    """
    k = int(labels.max()) + 1
    entries = np.ones(2 * labels.shape, bool) & ~(others & np.eye(len(labels), dtype=bool))
    found = {"least": [], "mean": [], "largest": []}
    for a, b in np.ndindex(k, k):
        block = G[(slice(None), *np.nonzero((labels[:, None] == a) & (labels == b) & entries))]
        found["least"].append(block.smallest(axis=1))
        found["mean"].append(block.sum(axis=1) / exact(len(block[0])))
        found["largest"].append(block.largest(axis=1))
    place = np.arange(k * k).reshape(k, k)
    return {
        name: stack([stack(values)[:, i][place] for i in range(len(G))]) for name, values in found.items()
    }


def growth(G, labels, solution) -> Interval:
    r"""What a lack of collapse and the distance from the optimal Gram matrix cost at least; G (m, n, n) -> (m,).

    f(G) is at least its value at G averaged within classes. That is F at M' = `block_means`, were it not for
    a_c = M'_cc < 1, hence at least F(M') + sum_c n_c p_c(M') (1 - a_c) / tau, p_c the weight of other classes.
    """
    sizes, tau, k = solution.sizes, solution.temperature, len(solution.sizes)
    off, means = 1 - np.eye(k), block_means(G, labels)
    others = (similarities(means, tau) * (off * sizes)).sum(axis=-1)
    spread = (others / (others + exact(sizes - 1)) * (1 - means[:, np.arange(k), np.arange(k)]) * sizes).sum(
        axis=-1
    )
    away = (means - solution.enclosed) * off
    shrunk = certify.exp(-2 * abs(away).largest(axis=(1, 2)) / tau)
    bent = (away**2 * solution.curvature).sum(axis=(1, 2)) / 4  # every pair of classes is in it twice
    slack = ((means * off + np.eye(k)) * solution.Z).sum(axis=(1, 2))
    return spread / tau + slack + bent * shrunk


def gram_bound(excess, solution) -> Interval:
    r"""How far an entry of G may be from the solution's, where L exceeds the dual bound by `excess` (m,) at most.

    With b = sqrt(2 excess / min w): a difference x of class Gram matrices has x <= b e^{x/tau}, everywhere on the segment
    between them, hence x <= 3b <= tau, which then also bounds the exponent, if that much is small enough. A sample is
    within r_c of its class mean, r_c^2 = (n_c - 1)(1 - a_c) and 1 - a_c <= tau excess / (n_c p_c), p_c being e^{-2x/tau} of
    the solution's at least. Where 3b > tau, nothing is known but that the entries lie between -1 and 1.
    """
    excess, constants = np.maximum(excess.upper, 0), solution.constants
    far = 3.01 * np.sqrt(excess * constants.flat.upper) > solution.temperature  # rounding is far below 1%
    excess = np.where(far, 0, excess)
    b = certify.sqrt(excess * constants.flat)
    x = b * certify.exp(b * constants.three)
    bound = x + certify.sqrt(certify.exp(x * constants.two) * (excess * constants.loose))
    return bound + 2 * numbers(far) if far.any() else bound  # 0 + 2 where nothing is known


def at_optimum(solution, temperature=None):
    """The solution, with enclosures of the optimal Gram matrix itself, known within `far`, and of its multipliers Z (k, k).

    temperature: of the multipliers, if not that of the solution.
    """
    tau, off = temperature or solution.temperature, 1 - np.eye(len(solution.sizes))
    far = gram_bound(solution.optimum.gap(), solution)
    M = solution.enclosed + off * hull(-far, far, "certified gap of the program")
    similar = similarities(M, tau) * off
    each = 1 / (exact(solution.own) + (similar * solution.sizes).sum(axis=-1))
    D = similar * (each[:, None] + each) * np.outer(solution.sizes, solution.sizes) / (2 * tau)
    known = {
        **vars(solution),
        "gram": M,
        "far": far,
        "Z": D - (D * M).sum(axis=-1)[:, None] * np.eye(len(off)),
    }
    return Record(**known)
