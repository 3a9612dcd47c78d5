r"""A layer as wide as there are contexts interpolates any distributions by one linear solve, and no narrower one does.

For almost all attention parameters, weights and biases, a head V (and bias c) with $p_c = \pi_c$ for n contexts and any
full-support $\pi$ is a solution of

$$V \Phi + c\, 1^T = Z, \qquad Z_{\gamma c} = \log \pi_c(\gamma) - \log \pi_c(\omega), \qquad \Phi \in \mathbb{R}^{m \times n},$$

which exists for every Z iff $m \ge n$, or $m \ge n - 1$ with the bias. So $n = (k - \omega d - d^2 - (\omega - 1)) / (\omega + d)$
contexts are interpolated with k parameters at $m = n$, a constant share of $k / (\omega - 1)$ for $d = O(\omega)$. Below that
width every head misses, by at least

$$\min_V \sum_c \mathrm{KL}(\pi_c \,\|\, p_c) = \max_q \sum_c H(q_c) - H(\pi_c) \quad \text{over } q \text{ with } \sum_c (q_c - \pi_c)\, \Phi_c^T = 0 .$$

---
Any feasible q bounds the divergence of every head from below; the best head, found by Newton's method, gives one. A
head that solves the system by elimination reproduces the log-odds to the rounding of elimination (Higham, Accuracy
and Stability, Theorem 9.4), which bounds its divergence by an eighth of the squared spread of the error.
"""

from fractions import Fraction

import numpy as np

from verify import (
    Claim,
    Record,
    at_most,
    certify,
    concatenate,
    equal,
    exact,
    less,
    plot,
    rounding,
    stack,
    stated,
)

from . import _exact, _levenberg, world

claim = Claim(
    "transformer-memory-capacity/constructive-lower-bound",
    cases={"bias": (0, 1)},
    full={"longest": 4},
)

INWARD = 1 - Fraction(
    1, 2**20
)  # of the way from pi to the best head's q, which rounding may have made negative


@claim.instance
def contexts(tokens=3, longest=3):
    return world.words(tokens, longest)


@claim.instance
def targets(rng, contexts, tokens):
    """Log-odds (omega - 1, n) of distributions drawn uniformly from the simplex."""
    pi = rng.dirichlet(np.ones(tokens), size=len(contexts))
    return np.log(pi[:, :-1] / pi[:, -1:]).T


@claim.instance
def features(rng, contexts, tokens, longest, bias, d=4, activation=_levenberg.gelu, draws=5):
    """The best conditioned of some random layers, (bias + 2n, n): a bias is a unit that is always 1."""
    layers = [layer(rng, contexts, tokens, longest, d, activation) for _ in range(draws)]
    best = min(layers, key=lambda units: np.linalg.cond(units[: len(contexts) - 1]))
    return np.vstack([np.ones((bias, len(contexts))), best])


def layer(rng, contexts, tokens, longest, d, activation):
    """2n units at the outputs of attention (2n, n), each switched at an output of its own."""
    n = len(contexts)
    E, P, A = rng.normal(size=(tokens, d)), rng.normal(size=(longest, d)), rng.normal(size=(d, d)) / d
    h = _levenberg.attention(E, A, P, *_levenberg.padded(contexts))
    W = 4 * rng.normal(size=(2 * n, d)) / h.std()
    return activation(W @ h.T - np.sum(W * h[np.arange(2 * n) % n], axis=1)[:, None])


@claim.instance
def wide(contexts, bias):
    """Rows of features (bias and units) of the layers that are wide enough."""
    return [len(contexts), 2 * len(contexts) + bias]


@claim.instance
def narrow(contexts):
    """Rows of the layers that are not."""
    n = len(contexts)
    return [n // 2, n - 5, n - 1]


@claim.reference
def parameter_share(tokens, d):
    """How many parameters a context costs."""
    return exact(tokens + d)


@claim.run
def eliminated(features, targets, wide):
    """For each width the head by elimination on n independent rows, and the bound on what rounding leaves."""
    return [by_elimination(features[:rows], targets) for rows in wide]


def by_elimination(Phi, targets):
    from scipy.linalg import lu_factor, lu_solve, qr

    n = Phi.shape[1]
    rows = np.sort(qr(Phi.T, mode="r", pivoting=True)[1][:n])
    factors = lu_factor(Phi[rows].T)
    V = lu_solve(factors, targets.T).T
    lower, upper = np.abs(np.tril(factors[0], -1)) + np.eye(n), np.abs(np.triu(factors[0]))
    sums = (lower @ upper)[np.argsort(permutation(factors[1]))] @ np.abs(V).T
    left = rounding(3 * n, sums.T)
    return Record(rows=rows, V=V, left=left)


def permutation(pivots):
    """Row order that LAPACK's interchanges lead to."""
    order = np.arange(len(pivots))
    for i, j in enumerate(pivots):
        order[[i, j]] = order[[j, i]]
    return order


@claim.run
def best_heads(features, targets, narrow):
    """For each narrow width the head of least divergence, a convex problem, by Newton's method."""
    return [least_divergence(features[:rows], targets) for rows in narrow]


def least_divergence(Phi, targets):
    from scipy.linalg import solve_triangular
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    Q, R = np.linalg.qr(Phi.T)  # orthonormal features, so that the condition of Phi does not slow Newton down
    shape = len(targets), len(Phi)
    pi = softmax(np.vstack([targets, np.zeros(targets.shape[1])]), axis=0)

    def logits(flat):
        return np.vstack([flat.reshape(shape) @ Q.T, np.zeros(len(Q))])

    def value(flat):
        return -np.sum(pi * log_softmax(logits(flat), axis=0))

    def slope(flat):
        return ((softmax(logits(flat), axis=0) - pi)[:-1] @ Q).ravel()

    def curvature(flat):
        p = softmax(logits(flat), axis=0)[:-1]
        weight = np.einsum("gc,gh->gch", p, np.eye(len(p))) - np.einsum("gc,hc->gch", p, p)
        return np.einsum("gch,ca,cb->gahb", weight, Q, Q, optimize=True).reshape(len(flat), len(flat))

    start = (targets @ Q).ravel()
    found = minimize(value, start, jac=slope, hess=curvature, method="trust-exact", options={"gtol": 1e-10})
    return solve_triangular(R, found.x.reshape(shape).T).T


@claim.measurement
def errors(eliminated, features, targets):
    """|V Phi - Z| of the heads by elimination, (omega - 1, n) for each width."""
    return stack([abs(certify.product(head.V, features[head.rows]) - targets) for head in eliminated])


@claim.measurement
def null_vectors(features, narrow):
    """For each narrow width the vectors w with Phi w = 0 that are a unit vector on the columns `free`."""
    return [null_space(features[:rows]) for rows in narrow]


def null_space(Phi):
    from scipy.linalg import qr

    order = qr(Phi, mode="r", pivoting=True)[1]
    basic, free = np.sort(order[: len(Phi)]), np.sort(order[len(Phi) :])
    square = [list(row) for row in _exact.in_balls(Phi[:, basic])]
    start, columns = -np.linalg.solve(Phi[:, basic], Phi[:, free]).T, _exact.in_balls(Phi[:, free]).T
    matrix = np.array(square, dtype=object)
    found = [
        certify.zero(lambda x, column=column: (matrix @ np.array(x, dtype=object) + column, square), near)
        for near, column in zip(start, columns, strict=True)
    ]
    return Record(basic=basic, free=free, basic_part=stack(found))


@claim.measurement
def distances(null_vectors, targets):
    """|Z w| / |w| for the first w of each width: at most the distance of Z from the rows of Phi."""
    found = []
    for null in null_vectors:
        w = null.basic_part[0]
        image = [(w * row[null.basic]).sum() + row[null.free[0]] for row in targets]
        square = sum((entry**2 for entry in image[1:]), image[0] ** 2)
        found.append((square / ((w**2).sum() + 1)).sqrt())
    return stack(found)


@claim.measurement
def divergences(best_heads, null_vectors, features, targets, narrow):
    """Divergence of the best head found, and what the entropies of a feasible q say of every head."""
    pi = distributions(targets)
    reached, bounds = [], []
    for V, null, rows in zip(best_heads, null_vectors, narrow, strict=True):
        p = distributions(certify.product(V, features[:rows]))
        reached.append(
            sum(((a * (certify.log(a) - certify.log(b))).sum() for a, b in zip(pi, p, strict=True)), exact(0))
        )
        shift = [a.middle[null.free] - b.middle[null.free] for a, b in zip(p[:-1], pi[:-1], strict=True)]
        shift = [np.array([INWARD * Fraction(x) for x in row.tolist()], dtype=object) for row in shift]
        shift.append(-sum(shift))  # exactly: q sums to 1
        bounds.append(sum((entropy_gain(a, s, null) for a, s in zip(pi, shift, strict=True)), exact(0)))
    return Record(reached=stack(reached), bound=stack(bounds))


def distributions(log_odds):
    """Enclosures of the probabilities, one (n,) for each token."""
    powers = certify.exp(log_odds)
    each = [powers[i] for i in range(powers.shape[0])]
    total = sum(each, exact(1))
    return [*(power / total for power in each), 1 / total]


def entropy_gain(pi, shift, null):
    """sum_c -q log q + pi log pi of one token, for q = pi + sum_j shift_j w_j."""
    moved = sum((part * s for part, s in zip(null.basic_part, shift.tolist(), strict=True)), pi[null.basic])
    q = concatenate([moved, pi[null.free] + exact(shift)])
    return (pi * certify.log(pi)).sum() - (q * certify.log(q)).sum()


@claim.check("interpolates")
def interpolates(errors, eliminated):
    return at_most(errors, stack([head.left for head in eliminated]))


@claim.check("parameters")
def parameters(eliminated, contexts, parameter_share, bias, d):
    """Head and units at m = n - bias: (omega - 1) n + (n - bias)(d + 1)."""
    head = eliminated[0]
    counted = head.V.size + (len(head.rows) - bias) * (d + 1)
    return equal(exact(counted), len(contexts) * parameter_share - bias * (d + 1))


@claim.check("narrower-misses")
def misses(distances, targets, narrow, contexts):
    return less(stack([rounding(len(contexts), np.abs(targets).sum())] * len(narrow)), distances, rows=narrow)


@claim.check("least-divergence")
def least(divergences, narrow):
    found = stated(1e-6, "how closely Newton's method is asked to find the best head")
    return equal(divergences.reached, divergences.bound, within=found, rows=narrow)


def by_least_squares(features, targets, contexts, short=1, cubic=False):
    """Heads of too narrow, or of polynomial layers, with the rounding that elimination would leave."""
    Phi = features if cubic else features[: len(contexts) - short]
    V = np.linalg.lstsq(Phi.T, targets.T, rcond=None)[0].T
    left = rounding(3 * Phi.shape[1], np.abs(V) @ np.abs(Phi))
    return [Record(rows=np.arange(len(Phi)), V=V, left=left)]


def cube(z):
    return (z / 100) ** 3


claim.control("one unit fewer", eliminated=by_least_squares, must_fail="interpolates")
claim.control(
    "cubes, twice as wide", eliminated=by_least_squares, activation=cube, cubic=True, must_fail="interpolates"
)
claim.control(
    "omega outputs in place of omega - 1", must_fail="parameters",
    parameter_share=lambda parameter_share: parameter_share + 1,
)  # fmt: skip


def of_a_narrow_layer(rng, features, narrow, tokens):
    """Log-odds that half as many units produce."""
    return 0.02 * rng.normal(size=(tokens - 1, narrow[0])) @ features[: narrow[0]]


claim.control("targets of a narrower decoder", targets=of_a_narrow_layer, must_fail="narrower-misses")


def larger(divergences):
    return Record(reached=divergences.reached, bound=1.1 * divergences.bound)


claim.control("bound 10% larger", divergences=larger, must_fail="least-divergence")


@claim.figure
def draw(figure, evidence):
    panels = plot.panel_grid(figure, ["no bias", "with a bias"], sharey=True)
    for panel, case in zip(panels, evidence.cases, strict=True):
        n = evidence.data["parameters"]["longest"]
        n = sum(evidence.data["parameters"]["tokens"] ** t for t in range(1, n + 1))
        curve, errors = evidence.curve("least-divergence", **case), evidence.of("errors", **case)
        panel.plot(curve.rows, curve.measured.middle / n, "_", markersize=9, label="every head, at least")
        panel.plot(curve.rows, curve.measured.middle / n, "o", label="best head found")
        spread = [np.ptp(np.vstack([e, -e]), axis=0) for e in errors.upper]
        most = [np.mean(s**2) / 8 for s in spread]
        panel.plot([n, 2 * n], most, "s", label="head by elimination, at most")
        panel.axvline(n, **plot.BOUND, color=plot.INK)
        panel.set(yscale="log", xlabel="rows of features", ylim=(1e-30, 10))
    panels[0].set_ylabel("divergence per context")
    plot.legend(panels, bound="rows = contexts")
