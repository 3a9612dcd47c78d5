r"""What the lemmas on loss, gradient and proxy are tried on: losses evaluated stably, and the instances.

Every family of instances begins with those that turn an inequality into an equality, or nearly so; random draws
follow. The terms of a logit add up to FAR at most: the smallest loss is about 1e-130, and nothing underflows.
"""

import math
from fractions import Fraction

import numpy as np

from verify import Record, rounded, train

FAR = 300.0
SERIES = 20  # terms of exp, the first left out being below 2^-20 / 21!

# --- evaluation -----------------------------------------------------------------------------------------


def evaluated(features, labels, W, parts=None):
    r"""Loss, proxy, how far they are apart, and the gradient, each with its rounding.

    features (n, d), labels (n,), W (m, k, d) -> Record(loss L (m,), proxy G (m,), bend (L - G) / L^2 (m,),
    gradient (m, k, d)). parts: (m, k, d), magnitudes of what W was added up from by at most three roundings.

    With margins x_ic: l_i = log(1 + sum_c exp(-x_ic)), 1 - s_{i, y_i} = 1 - exp(-l_i), and L - G is the mean of
    f(l_i) l_i^2 with f(l) = (l - 1 + exp(-l)) / l^2. A margin is off by at most 2 (d + 4) u `size`, `size` being
    the largest sum of magnitudes in a logit. exp makes a relative error of that; sums of positive numbers,
    log(1 + .), 1 - exp(-.) and f do not enlarge a relative error, and libm's functions add 8 u each. The error
    of a margin enters at most five times (in f(l_i) (l_i / L)^2) and the rest is at most 60 u and a few times
    n + k, so 8 (n + k + d + 30) roundings relative to 1 + 2 size cover everything.
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
    """Data sets with `draws` classifiers each, and a step from each of them: two extremal ones, then random ones.

    Returns [Record(features (n, d), labels (n,), W (m, k, d), D (m, k, d), rate (m,), fraction (m,))].
    """
    return [_opposite(draws), _one_hard(draws), *(_random_problem(rng, draws) for _ in range(count - 2))]


def _opposite(draws):
    """Two classes, two opposite samples, all margins x: the gradient is rank one, D moves both margins alike."""
    h = np.array([1.0, -0.5])
    margins = np.concatenate([np.linspace(-20, 0, draws // 4), np.geomspace(1e-6, FAR, draws - draws // 4)])
    pattern = np.array([[1.0], [-1.0]])
    D = np.broadcast_to(pattern * np.sign(h), (draws, 2, 2))
    W = margins[:, None, None] * (pattern * h) / (2 * h @ h)
    rate, fraction = np.geomspace(2, 0.01, draws)[::-1], np.linspace(0.5, 1, draws)
    return Record(features=np.stack([h, -h]), labels=np.array([0, 1]), W=W, D=D, rate=rate, fraction=fraction)


def _one_hard(draws):
    """Three classes, features e_1, e_2, e_3: the first sample has one margin x, and all others are FAR."""
    margins = np.concatenate([np.linspace(-2, -0.01, draws // 2), np.geomspace(1e-6, FAR, draws - draws // 2)])
    logits = np.broadcast_to(-FAR * (1 - np.eye(3)), (draws, 3, 3)).copy()
    logits[:, 1, 0] = -margins
    D = np.broadcast_to(2 * np.eye(3) - 1, (draws, 3, 3))
    rate, fraction = np.geomspace(0.01, 2, draws), np.linspace(0.5, 1, draws)
    return Record(features=np.eye(3), labels=np.arange(3), W=logits, D=D, rate=rate, fraction=fraction)


def _random_problem(rng, draws):
    """Independent samples of random length; classifiers at random and with chosen logits, steps the same."""
    k = int(rng.integers(2, 5))
    n = int(rng.integers(k, 6))
    d = int(rng.integers(n, 7))
    labels = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    features = rng.normal(size=(n, d)) * np.exp(0.5 * rng.normal(size=(n, 1)))
    own = np.eye(k)[labels] * 10 ** rng.uniform(-2, 2.3, size=(draws, n, 1)) + rng.normal(size=(draws, n, k))
    fitted = np.swapaxes(np.linalg.pinv(features) @ own, 1, 2)
    wild = rng.normal(size=(draws, k, d)) * 10 ** rng.uniform(-3, 2, size=(draws, 1, 1))
    W = np.where(rng.random((draws, 1, 1)) < 0.7, fitted, wild)
    size = np.einsum("nd,mkd->mnk", np.abs(features), np.abs(W)).max(axis=(1, 2))
    W = W * np.minimum(1, FAR / size)[:, None, None]
    worst = labels == labels[rng.integers(n)]
    along = np.where(np.eye(k)[labels[worst][0]][:, None] > 0, 1.0, -1.0) * np.sign(features[worst][0])
    D = np.where(rng.random((draws, 1, 1)) < 0.5, along, rng.normal(size=(draws, k, d)))
    rate = 10 ** rng.uniform(-2, 0.3, size=draws) / np.abs(features).sum(axis=1).max() / np.abs(D).max(axis=(1, 2))
    return Record(features=features, labels=labels, W=W, D=D, rate=rate, fraction=rng.random(draws))


def simplex_points(rng, draws):
    """Probabilities s and vectors v as fractions, (m, 4) each: two classes near a vertex first, then random."""
    near = [Fraction(1, 2**j) for j in range(1, 31)]
    s = [[1 - e, e, Fraction(0), Fraction(0)] for e in near] + [[1 - 3 * e, e, e, e] for e in near[2:]]
    v = [[1, -1, 0, 0]] * len(near) + [[1, -1, -1, -1]] * (len(near) - 2)
    for _ in range(draws - len(s)):
        weights = [int(w) + 1 for w in 10 ** rng.uniform(0, 6, size=4)]
        s.append([Fraction(w, sum(weights)) for w in weights])
        v.append([int(x) for x in (rng.choice([-1, 1], 4) if rng.random() < 0.5 else rng.integers(-9, 10, 4))])
    return np.array(s, dtype=object), np.array(v, dtype=object)


def integer_matrices(rng, draws):
    """(m, 3, 5) of integers up to 9: one entry only, all ones, then sparse at random."""
    single, ones = np.zeros((2, 3, 5), dtype=int), np.ones((1, 3, 5), dtype=int)
    single[0, 0, 0], single[1, 2, 4] = 1, -7
    kept = rng.random((draws - 3, 3, 5)) < rng.uniform(0.1, 1, size=(draws - 3, 1, 1))
    full = np.where(kept, rng.integers(-9, 10, size=kept.shape), 0)
    return np.concatenate([single, ones, full])


def gradient_histories(rng, first, second, steps, draws):
    """(h, T) gradients of one weight: the equality of Cauchy and Schwarz for (b1, b2) first, then random.

    The equality needs g_{t-s} in proportion to (b1 / b2)^s.
    """
    age = np.arange(steps)[::-1]
    extremal = np.array([(first / second) ** age, (-1.0) ** age * (first / second) ** age, np.ones(steps)])
    growth = np.exp(rng.uniform(-0.5, 0.5, size=(draws, 1)) * age)
    noise = rng.normal(size=(draws, steps)) + rng.choice([0.0, 3.0], size=(draws, 1))
    kept = rng.random((draws, steps)) < rng.choice([0.1, 1.0], size=(draws, 1))
    kept[:, 0] = True
    extremal[:, 0] += extremal[:, 0] == 0
    return np.concatenate([extremal, growth * noise * kept])
