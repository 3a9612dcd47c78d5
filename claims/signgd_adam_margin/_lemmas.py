r"""What the lemmas on loss, gradient and proxy are tried on: losses evaluated stably, and the instances.

Every family of instances begins with those that turn an inequality into an equality, or nearly so; random
draws follow. The terms of a logit add up to FAR at most, so that the smallest loss is about 1e-130.
"""

import math
from fractions import Fraction

import numpy as np

from verify import Record, rounded, train

FAR = 300.0
SERIES = 20  # degree of exp's series, for arguments up to 1/2

# --- evaluation -----------------------------------------------------------------------------------------


def evaluated(features, labels, W, parts=None):
    r"""Loss, proxy, how far they are apart, and the gradient, each with its rounding.

    features (n, d), labels (n,), W (m, k, d) -> Record(loss L (m,), proxy G (m,), bend (L - G) / L^2 (m,),
    gradient (m, k, d)). parts: (m, k, d), magnitudes of what W was added up from by at most three roundings.

    With margins x_ic: l_i = log(1 + sum_c exp(-x_ic)), 1 - s_{i, y_i} = 1 - exp(-l_i), and L - G is the mean
    of f(l_i) l_i^2 with f(l) = (l - 1 + exp(-l)) / l^2. A margin is off by at most 2 (d + 4) u `size`, the
    largest sum of magnitudes in a logit. exp makes a relative error of that; sums of positive numbers,
    log(1 + .), 1 - exp(-.) and f do not enlarge a relative error, and libm's functions add 8 u each. The
    error of a margin enters at most five times (in f(l_i) (l_i / L)^2) and the rest is at most 60 u and three
    times n + k, so 8 (n + k + d + 30) roundings relative to 1 + 2 size cover everything.
    """
    n, (_, k, d) = len(labels), W.shape
    size = np.einsum("nd,mkd->mnk", np.abs(features), np.abs(W) if parts is None else parts).max(axis=(1, 2))
    rounding = 8 * (n + k + d + 30)
    rows, logits = np.arange(n), np.einsum("nd,mkd->mnk", features, W)
    margins = logits[:, rows, labels][:, :, None] - logits
    margins[:, rows, labels] = np.inf
    wrong = np.exp(-margins)
    each = np.log1p(wrong.sum(axis=2))
    missing = -np.expm1(-each)
    loss, proxy = each.mean(axis=1), missing.mean(axis=1)
    bend = (_bend(each) * (each / loss[:, None]) ** 2).mean(axis=1)
    residual = wrong * np.exp(-each)[:, :, None]
    residual[:, rows, labels] = -missing
    gradient = np.einsum("mnk,nd->mkd", residual, features) / n
    added = np.einsum("mnk,nd->mkd", np.abs(residual), np.abs(features)) / n
    return Record(
        loss=rounded(loss, rounding, (1 + 2 * size) * loss),
        proxy=rounded(proxy, rounding, (1 + 2 * size) * proxy),
        bend=rounded(bend, rounding, (1 + 2 * size) * bend),
        gradient=rounded(gradient, rounding, (1 + 2 * size)[:, None, None] * added),
    )


def moved(problem):
    """`evaluated` after the problem's steps, at W - psi eta D."""
    step = (problem.psi * problem.eta)[:, None, None] * problem.D
    parts = np.abs(problem.W) + np.abs(step)
    return evaluated(problem.features, problem.labels, problem.W - step, parts)


def _bend(each):
    """(l - 1 + exp(-l)) / l^2 for l > 0: the alternating series below 1/2, where the difference cancels."""
    small, large, series = np.minimum(each, 0.5), np.maximum(each, 0.5), np.zeros_like(each)
    for power in range(SERIES, 1, -1):
        series = 1 / math.factorial(power) - small * series
    return np.where(each < 0.5, series, (large + np.expm1(-large)) / large**2)


def adam_steps(history, first, second):
    """|M_t| / sqrt(V_t) of optax's Adam before its correction of the bias, largest over t, with its rounding.

    history: (h, T) gradients of one weight, the first one not 0; first, second: b1, b2 -> (h,).
    A gradient s steps old has passed through 2 s + 3 roundings in M and 2 s + 4 in V, whose root halves them;
    the errors of M are relative to the same recursion over |g|.
    """
    columns = np.stack([history.T, np.abs(history.T)], axis=1)
    _, moments = train.loop(_adam_step, _moments(columns[0]), columns, first, second)
    M, V = moments["mu"], moments["nu"]
    root = np.sqrt(V[:, 0])
    return rounded(np.abs(M[:, 0]) / root, 4 * len(columns) + 20, M[:, 1] / root).largest(axis=0)


def _moments(gradient):
    import optax

    return optax.scale_by_adam().init(train.use_jax().numpy.zeros_like(gradient))


def _adam_step(state, gradient, first, second):
    import optax

    _, state = optax.scale_by_adam(first, second, eps=0.0).update(gradient, state)
    return state, {"mu": state.mu, "nu": state.nu}


# --- instances ------------------------------------------------------------------------------------------


def problems(rng, count, draws):
    """Data sets with m = `draws` classifiers and a step from each: two extremal ones, then random ones.

    Returns [Record(features (n, d), labels (n,), W (m, k, d), D (m, k, d), eta (m,), psi (m,))].
    """
    return [_opposite(draws), _one_hard(draws), *(_random_problem(rng, draws) for _ in range(count - 2))]


def _opposite(draws):
    """Two classes, two opposite samples, all margins x: the gradient has rank one, D moves all margins alike.

    Attains both halves of (a), with x -> inf (g).
    """
    h, pattern = np.array([1.0, -0.5]), np.array([[1.0], [-1.0]])
    W = _margins(-20, draws)[:, None, None] * (pattern * h) / (2 * h @ h)
    D = np.broadcast_to(pattern * np.sign(h), W.shape)
    return Record(features=np.stack([h, -h]), labels=np.array([0, 1]), W=W, D=D, **_steps(draws))


def _one_hard(draws):
    """Three classes, features e_1, e_2, e_3: the first sample has one margin x, and all others are FAR.

    Attains (e) with x -> inf, the 2 log 2 of (f) with x = 0, and breaks (f) with n left out at x = -2.
    """
    W = np.broadcast_to(-FAR * (1 - np.eye(3)), (draws, 3, 3)).copy()
    W[:, 1, 0] = -_margins(-2, draws)
    D = np.broadcast_to(2 * np.eye(3) - 1, W.shape)
    return Record(features=np.eye(3), labels=np.arange(3), W=W, D=D, **_steps(draws))


def _margins(least, draws):
    """From least up to almost 0, and from almost 0 to FAR."""
    below = draws // 4
    return np.concatenate([np.linspace(least, -0.01, below), np.geomspace(1e-6, FAR, draws - below)])


def _steps(draws):
    return {"eta": np.geomspace(0.01, 2, draws), "psi": np.linspace(0.5, 1, draws)}


def _random_problem(rng, draws):
    """Independent samples of random length; classifiers with chosen logits or at random, with steps."""
    k = int(rng.integers(2, 5))
    n = int(rng.integers(k, 6))
    d = int(rng.integers(n, 7))
    labels = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    features = rng.normal(size=(n, d)) * np.exp(0.5 * rng.normal(size=(n, 1)))
    logits = np.eye(k)[labels] * 10 ** rng.uniform(-2, 2.3, size=(draws, n, 1))
    fitted = np.swapaxes(np.linalg.pinv(features) @ (logits + rng.normal(size=logits.shape)), 1, 2)
    wild = rng.normal(size=(draws, k, d)) * 10 ** rng.uniform(-3, 2, size=(draws, 1, 1))
    W = np.where(rng.random((draws, 1, 1)) < 0.7, fitted, wild)
    size = np.einsum("nd,mkd->mnk", np.abs(features), np.abs(W)).max(axis=(1, 2))
    W = W * np.minimum(1, FAR / size)[:, None, None]
    hit = rng.integers(n)  # the sample whose margins half of the directions lower as fast as they can
    lowering = np.where(np.arange(k) == labels[hit], 1.0, -1.0)[:, None] * np.sign(features[hit])
    D = np.where(rng.random((draws, 1, 1)) < 0.5, lowering, rng.normal(size=(draws, k, d)))
    unit = np.abs(features).sum(axis=1).max() * np.abs(D).max(axis=(1, 2))
    eta = 10 ** rng.uniform(-2, 0.3, size=draws) / unit
    return Record(features=features, labels=labels, W=W, D=D, eta=eta, psi=rng.random(draws))


def simplex_points(rng, draws):
    """Probabilities s and vectors v as fractions, (m, 4) each: near a vertex first, then random.

    (c) and (d) are approached by s = (1 - e, e) and v = (1, -1).
    """
    near = [Fraction(1, 2**j) for j in range(1, 31)]
    s = [[1 - e, e, Fraction(0), Fraction(0)] for e in near] + [[1 - 3 * e, e, e, e] for e in near[2:]]
    v = [[1, -1, 0, 0]] * len(near) + [[1, -1, -1, -1]] * (len(near) - 2)
    for _ in range(draws - len(s)):
        weights = [int(w) + 1 for w in 10 ** rng.uniform(0, 6, size=4)]
        s.append([Fraction(w, sum(weights)) for w in weights])
        sizes = rng.integers(1, 10, size=4) if rng.random() < 0.5 else np.ones(4, dtype=int)
        v.append((sizes * rng.choice([-1, 1], size=4)).tolist())
    return np.array(s, dtype=object), np.array(v, dtype=object)


def simplex_point(weights, v):
    """One point from four real weights, as fractions: probabilities in proportion to 2^weight, up to 2^-40."""
    units = [1 + int(2 ** min(max(w - max(weights) + 40, 0), 40)) for w in weights]
    s = [Fraction(unit, sum(units)) for unit in units]
    return {"s": np.array([s], dtype=object), "v": np.array([v], dtype=object)}


def integer_matrices(rng, draws):
    """(m, 3, 5) of integers up to 9, none of them 0: one entry only, all ones, then sparse at random."""
    first = np.zeros((3, 3, 5), dtype=int)
    first[0, 0, 0], first[1, 2, 4], first[2] = 1, -7, 1
    kept = rng.random((draws - 3, 3, 5)) < rng.uniform(0.1, 1, size=(draws - 3, 1, 1))
    kept[:, 1, 2] = True
    sizes = rng.integers(1, 10, size=kept.shape) * rng.choice([-1, 1], size=kept.shape)
    return np.concatenate([first, np.where(kept, sizes, 0)])


def gradient_histories(rng, first, second, steps, draws):
    """(h, T) gradients of one weight: the equality of Cauchy and Schwarz for (b1, b2) first, then random.

    The bound on M_t^2 / V_t is attained for T -> inf by g_{t-s} in proportion to (b1 / b2)^s.
    """
    age = np.arange(steps)[::-1]
    equality = (first / second) ** age
    extremal = np.stack([equality, (-1.0) ** age * equality, np.ones(steps)])
    extremal[:, 0] = np.where(extremal[:, 0] == 0, 1, extremal[:, 0])  # b1 = 0: any first gradient but 0
    growth = np.exp(rng.uniform(-0.5, 0.5, size=(draws, 1)) * age)
    noise = rng.normal(size=(draws, steps)) + rng.choice([0.0, 3.0], size=(draws, 1))
    kept = rng.random((draws, steps)) < rng.choice([0.1, 1.0], size=(draws, 1))
    kept[:, 0] = True
    return np.concatenate([extremal, growth * noise * kept])
