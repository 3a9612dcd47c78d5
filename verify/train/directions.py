"""Directions of steepest descent as optax transformations."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from verify.errors import SetupError
from verify.train.loops import Array, use_jax

RANK_TOLERANCE = 1e-10  # singular values below this fraction of the largest are rounding


def steepest(kind: str | float) -> Any:
    """Steepest descent in a norm: turns g into D = argmax <g, D> over ||D|| <= 1. The same object every time.

    kind: "max" (sign of g), "frobenius", "spectral" (polar factor of g from the singular values above
    RANK_TOLERANCE), "sum" (one entry), "nuclear" (one singular pair), or p > 1, the entrywise p-norm.
    As with optax's `scale_by_...`, D points along the gradient, and the loop subtracts it. At g = 0,
    which has no such direction, D means nothing.
    """
    return _steepest(kind if isinstance(kind, str) else float(kind))  # 3 and 3.0 are one norm


@cache
def _steepest(kind: str | float) -> Any:
    import optax

    jax = use_jax()
    named = {
        "max": jax.numpy.sign, "frobenius": _frobenius, "spectral": _polar, "sum": _entry, "nuclear": _pair,
    }  # fmt: skip
    if isinstance(kind, str) and kind not in named:
        raise SetupError(f"no norm is called {kind!r}: there are {', '.join(named)}, and numbers p > 1")
    if not isinstance(kind, str) and not 1 < kind < np.inf:
        raise SetupError(f'p must lie between 1 ("sum") and infinity ("max"), not {kind}')
    direction = named[kind] if isinstance(kind, str) else partial(_entrywise, p=kind)
    return optax.stateless(lambda updates, _: jax.tree.map(direction, updates))


def _frobenius(g: Array) -> Array:
    return g / use_jax().numpy.sqrt((g * g).sum())


def _polar(g: Array) -> Array:
    # LAPACK takes 28 us for 10 x 25; eigh of the Gram matrix with two Newton steps 22, but squares the condition
    u, s, vt = use_jax().numpy.linalg.svd(g, full_matrices=False)
    return (u * (s > RANK_TOLERANCE * s[0])) @ vt


def _pair(g: Array) -> Array:
    u, _, vt = use_jax().numpy.linalg.svd(g, full_matrices=False)
    return u[:, :1] * vt[:1]


def _entry(g: Array) -> Array:
    jnp = use_jax().numpy
    flat = g.ravel()
    chosen = jnp.arange(flat.size) == abs(flat).argmax()
    return jnp.where(chosen, jnp.sign(flat), 0).reshape(g.shape)


def _entrywise(g: Array, p: float) -> Array:
    """sign(g) |g|^(q-1) / ||g||_q^(q-1) with 1/p + 1/q = 1."""
    q = p / (p - 1)
    size = abs(g) / abs(g).max()
    norm = (size**q).sum() ** (1 / q)
    return use_jax().numpy.sign(g) * (size / norm) ** (q - 1)


def adam_rates(rates: ArrayLike, b1: float, b2: float) -> NDArray[np.float64]:
    """Rates (T,) with which optax's Adam, which corrects the bias, steps by eta_t M_t / sqrt(V_t)."""
    eta = np.asarray(rates, dtype=np.float64)
    after = np.arange(1, len(eta) + 1)
    corrected: NDArray[np.float64] = eta * (1 - b1**after) / np.sqrt(1 - b2**after)
    return corrected
