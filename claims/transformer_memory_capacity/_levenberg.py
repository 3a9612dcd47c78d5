r"""Levenberg-Marquardt on the log-odds of many decoders at once, in one compiled loop.

All decoders have the shape of the widest: units of narrower ones are switched off, so their derivatives and steps are
0, as are those of contexts that a decoder is not asked for. With the residual r (n (omega - 1),) and J its Jacobian,
columns scaled to length 1 by S, a step is -S J^T (J J^T + damping)^-1 r; it is taken if |r| falls, damping then
shrinks, and else grows.
"""

from functools import cache

import numpy as np

from verify import Record, train

SHRINK, GROW, FIRST, LEAST, MOST = 0.3, 4.0, 1.0, 1e-14, 1e6


def solve(rng, contexts, targets, P, widths, asked, steps):
    """Decoders trained from random starts.

    contexts: n words; targets (R, n, omega - 1): log-odds against the last token; P (T, d): positions; widths (R,);
    asked (R, n): 1 for the contexts that count. Returns Record(parameters: {name: (R, ...)}, norm (steps + 1, R):
    Euclidean length of the residual).
    """
    tokens, lengths = padded(contexts)
    active = (np.arange(max(widths)) < np.array(widths)[:, None]).astype(float)
    theta, residual = _starts(rng, tokens, lengths, targets, P, active, asked)
    norm = np.sqrt(np.sum(residual**2, axis=(1, 2)))
    carry = theta, residual, np.full(len(targets), FIRST)
    fixed = active, asked, targets, P, tokens, lengths
    carry, out = train.loop(_step(), carry, np.zeros(steps), *fixed, chunk=50)
    parameters = {name: np.asarray(value) for name, value in carry[0].items()}
    return Record(parameters=parameters, norm=np.vstack([norm, out["norm"]]))


def padded(contexts):
    """Contexts as tokens (n, T), filled up with 0, and lengths (n,)."""
    lengths = np.array([len(context) for context in contexts])
    tokens = np.zeros((len(contexts), lengths.max()), dtype=int)
    for row, context in zip(tokens, contexts, strict=True):
        row[: len(context)] = context
    return tokens, lengths


def _starts(rng, tokens, lengths, targets, P, active, asked):
    """Random attention and units that vanish at outputs of it, the head fitted by least squares; residuals."""
    (R, n, outputs), d, m = targets.shape, P.shape[1], active.shape[1]
    found, residuals = [], []
    for r in range(R):
        E, A = rng.normal(size=(outputs + 1, d)), rng.normal(size=(d, d)) / d
        h = attention(E, A, P, tokens, lengths)
        W = rng.normal(size=(m, d)) / h.std()
        b = -np.sum(W * h[rng.integers(n, size=m)], axis=1)
        psi = np.column_stack([gelu(h @ W.T + b) * active[r], np.ones(n)])
        head = np.linalg.lstsq(asked[r][:, None] * psi, asked[r][:, None] * targets[r], rcond=1e-8)[0]
        residuals.append(asked[r][:, None] * (psi @ head - targets[r]))
        found.append({"E": E, "A": A, "W": W, "b": b, "V": head[:-1].T.copy(), "c": head[-1]})
    return {name: np.array([each[name] for each in found]) for name in found[0]}, np.array(residuals)


def attention(E, A, P, tokens, lengths):
    """Outputs of attention h (n, d) for padded contexts."""
    from scipy.special import softmax

    x = E[tokens] + P[: tokens.shape[1]]
    key = x[np.arange(len(x)), lengths - 1] @ A.T
    score = np.where(np.arange(tokens.shape[1]) < lengths[:, None], np.einsum("ntd,nd->nt", x, key), -np.inf)
    return np.einsum("nt,ntd->nd", softmax(score, axis=1), x)


def gelu(z):
    """The exact GELU, z times the normal distribution function."""
    from scipy.special import ndtr

    return z * ndtr(z)


def _log_odds(theta, active, P, tokens, length):
    """f (omega - 1,) of one context: tokens (T,), of which the first `length` count; active (m,)."""
    import jax
    from jax import numpy as jnp

    x = theta["E"][tokens] + P[: len(tokens)]
    score = jnp.where(jnp.arange(len(tokens)) < length, x @ (theta["A"] @ x[length - 1]), -jnp.inf)
    z = theta["W"] @ (jax.nn.softmax(score) @ x) + theta["b"]
    return theta["V"] @ (jax.nn.gelu(z, approximate=False) * active) + theta["c"]


@cache
def _step():
    jax = train.use_jax()
    from jax.flatten_util import ravel_pytree

    jnp, each_context = jax.numpy, {"in_axes": (None, None, None, 0, 0)}

    def one(state, active, asked, target, P, tokens, lengths):
        theta, residual, damping = state
        flat, shaped = ravel_pytree(theta)
        blocks = jax.vmap(jax.jacrev(_log_odds), **each_context)(theta, active, P, tokens, lengths)
        J = jnp.concatenate([block.reshape(*residual.shape, -1) for block in jax.tree.leaves(blocks)], axis=2)
        J = (asked[:, None, None] * J).reshape(residual.size, -1)
        scale = jnp.maximum(jnp.sqrt(jnp.sum(J**2, axis=0)), 1e-3)
        J = J / scale
        factor = jax.scipy.linalg.cho_factor(J @ J.T + damping * jnp.eye(residual.size))
        new = shaped(flat - J.T @ jax.scipy.linalg.cho_solve(factor, residual.ravel()) / scale)
        changed = jax.vmap(_log_odds, **each_context)(new, active, P, tokens, lengths) - target
        changed = asked[:, None] * changed
        better = jnp.sum(changed**2) < jnp.sum(residual**2)

        def pick(a, b):
            return jnp.where(better, a, b)

        damping = jnp.clip(damping * jnp.where(better, SHRINK, GROW), LEAST, MOST)
        return jax.tree.map(pick, new, theta), pick(changed, residual), damping

    def step(carry, _, active, asked, targets, *shared):
        over = jax.vmap(one, in_axes=(0, 0, 0, 0, None, None, None))
        carry = over(carry, active, asked, targets, *shared)
        return carry, {"norm": jnp.sqrt(jnp.sum(carry[1] ** 2, axis=(1, 2)))}

    return step
