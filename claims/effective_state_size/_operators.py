r"""The paper's classes of operators, with integer or rational parameters: exact matrices (L, L), one channel.

Softmax weights are powers of 2 with integer exponents q.k (a temperature of 1 / log 2), so that they are exact too;
rows are left without their normaliser, which no rank depends on. Integers are large, so that parameters are generic.
"""

from fractions import Fraction

import numpy as np

LARGE = 10**9
WIDTH = {  # states, key dimensions, taps or positions
    "time-invariant": 4, "time-varying": 5, "linear attention": 4, "softmax attention": 4, "convolution": 6,
    "window attention": 6,
}  # fmt: skip


def standard(rng, L, architecture):
    """T (L, L) of an architecture in WIDTH, with random parameters."""
    width = WIDTH[architecture]
    if architecture == "softmax attention":
        return softmax_attention(rng, L, width)
    if architecture == "window attention":
        return softmax_attention(rng, L, 4, window=width)
    makers = {
        "time-invariant": lti,
        "time-varying": ltv,
        "linear attention": linear_attention,
        "convolution": fir,
    }
    return makers[architecture](rng, L, width)


def lti(rng, L, n):
    """Time-invariant state space: h_j = sum_k c_k lambda_k^j b_k with n different rational lambda."""
    modes = [Fraction(int(k), 40) for k in rng.choice(np.r_[-36:0, 1:37], size=n, replace=False)]
    weights = [int(w) for w in nonzero(rng, n, 9)]
    return diagonal(L, modes, weights, [1] * n)


def diagonal(L, modes, b, c):
    """Time-invariant with the given modes, input and output weights; u_t reaches y_t at once (h_0)."""
    h = [sum(w * v * mode**j for mode, w, v in zip(modes, b, c, strict=True)) for j in range(L)]
    return causal(L, lambda t, s: h[t - s])


def ltv(rng, L, n):
    """Time-varying (input-dependent) gates: y_t = c_t a_{t-1} .. a_{s+1} b_s, diagonal integer gates."""
    gates, b, c = (nonzero(rng, (L, n), LARGE).astype(object) for _ in range(3))
    T = np.zeros((L, L), dtype=object)
    for s in range(L):
        state = b[s]
        T[s, s] = 1
        for t in range(s + 1, L):
            T[t, s] = (c[t] * state).sum()
            state = gates[t] * state
    return T


def linear_attention(rng, L, n):
    """q_t . k_s v_s with keys of dimension n."""
    q, k = (nonzero(rng, (L, n), LARGE).astype(object) for _ in range(2))
    v = nonzero(rng, L, LARGE).astype(object)
    return np.tril(q @ k.T) * v


def fir(rng, L, w):
    """Convolution with a filter of w taps."""
    h = nonzero(rng, w, LARGE)
    return causal(L, lambda t, s: int(h[t - s]) if t - s < w else 0)


def softmax_attention(rng, L, n, window=None, powers=True):
    """2^(q_t . k_s) v_s with q, k of dimension n, over the last `window` positions (all of them).

    powers=False: q_t . k_s in place of its power, the identity for a feature map.
    """
    q, k = (different_rows(rng, L, n, 9) for _ in range(2))
    v, scores = nonzero(rng, L, 9), q @ k.T

    def weight(t, s):
        score = int(scores[t, s])
        return (
            (Fraction(2) ** score if powers else score) * int(v[s]) if window is None or t - s < window else 0
        )

    return causal(L, weight)


def causal(L, entry):
    return np.array([[entry(t, s) if s <= t else 0 for s in range(L)] for t in range(L)], dtype=object)


def different_rows(rng, count, n, largest):
    """(count, n) integers up to `largest`, no two rows alike."""
    while True:
        rows = rng.integers(-largest, largest + 1, size=(count, n))
        if len(np.unique(rows, axis=0)) == count:
            return rows


def nonzero(rng, size, largest):
    """Integers up to `largest`, of either sign."""
    return rng.integers(1, largest + 1, size=size) * rng.choice([-1, 1], size=size)
