"""Full-batch Adam on the cross-entropy of documents, for several decoders at once in one compiled loop."""

from functools import cache

import numpy as np

from verify import Record, train

from ._levenberg import padded


def run(rng, contexts, counts, widths, modes, d, steps, rate=0.01):
    """Decoders trained from random starts by optax's Adam with a cosine schedule; positions stay as drawn.

    counts (n, omega): N_cg, or shares of 1. widths (R,); modes (R,): 0 attention, 1 attention forced onto the last
    position, 2 uniform attention. Returns Record(step (steps + 1,), loss (steps + 1, R): -sum N_cg log p(g | c), nats).
    """
    jax = train.use_jax()
    import optax

    tokens, lengths = padded(contexts)
    m = max(widths)
    theta = _starts(rng, len(widths), counts.shape[1], d, m)
    active = (np.arange(m) < np.array(widths)[:, None]).astype(float)
    forced = np.array(modes)[:, None] == np.arange(3)
    P = rng.normal(size=(tokens.shape[1], d))
    carry = theta, jax.vmap(_adam().init)(theta)
    rates = np.asarray(optax.cosine_decay_schedule(rate, steps + 1)(np.arange(steps + 1)))
    fixed = active, forced.astype(float), P, tokens, lengths, counts.astype(float)
    _, out = train.loop(_step(), carry, rates, *fixed)
    return Record(step=np.arange(len(rates)), loss=out["loss"])


def _starts(rng, R, omega, d, m):
    """Normal parameters of R decoders, a small head without bias."""
    scales = {
        "E": ((omega, d), 1), "A": ((d, d), 1 / d), "W": ((m, d), 1), "b": ((m,), 1), "V": ((omega, m), 0.1), "c": ((omega,), 0),
    }  # fmt: skip
    return {name: scale * rng.normal(size=(R, *shape)) for name, (shape, scale) in scales.items()}


@cache
def _adam():
    import optax

    return optax.scale_by_adam()


def loss(theta, active, forced, P, tokens, lengths, counts):
    """-sum N_cg log p(g | c) of one decoder; active (m,): its units; forced (3,): 1 for its mode of attention."""
    import jax
    from jax import numpy as jnp

    x = theta["E"][tokens] + P
    seen = jnp.arange(tokens.shape[1]) < lengths[:, None]
    last = jnp.arange(tokens.shape[1]) == lengths[:, None] - 1
    key = jnp.sum(x * last[:, :, None], axis=1) @ theta["A"].T
    scores = jnp.where(seen, jnp.einsum("ntd,nd->nt", x, key), -jnp.inf)
    a = forced[0] * jax.nn.softmax(scores) + forced[1] * last + forced[2] * seen / lengths[:, None]
    h = jnp.einsum("nt,ntd->nd", a, x)
    psi = jax.nn.gelu(h @ theta["W"].T + theta["b"], approximate=False) * active
    return -jnp.sum(counts * jax.nn.log_softmax(psi @ theta["V"].T + theta["c"]))


@cache
def _step():
    jax = train.use_jax()

    def one(theta, state, rate, *data):
        value, gradient = jax.value_and_grad(loss)(theta, *data)
        direction, state = _adam().update(gradient, state)
        moved = jax.tree.map(lambda w, step: w - rate * step, theta, direction)
        return moved, state, value

    def step(carry, rate, active, forced, *shared):
        over = jax.vmap(one, in_axes=(0, 0, None, 0, 0, None, None, None, None))
        theta, state, value = over(*carry, rate, active, forced, *shared)
        return (theta, state), {"loss": value}

    return step
