"""Free embeddings: gradient descent of unit vectors on either loss, compiled once for all losses and class sizes."""

import numpy as np

from verify import Record, train

from . import world


def descend(rng, labels, views, dimension, temperature, loss, steps, keep, room=None, near=None):
    """Gradient descent on the sphere from a Gaussian start, steps of P tau / 4, on "nscl" or "cl".

    room: coordinates in memory, of which all but the first `dimension` stay 0, so that other dimensions compile nothing.
    near: embeddings (N, K, room) from which it starts instead, moved by a hundredth of the Gaussian vectors.
    Returns Record(steps (t,), embeddings (t, N, K, room) at these steps, last (N, K, room)), t about `keep`.
    """
    see = world.relations(labels, views)
    anchors, room = len(labels) * views, room or dimension
    start = np.zeros((anchors, room))
    start[:, :dimension] = rng.normal(size=(anchors, dimension))
    if near is not None:
        start = np.reshape(near, (anchors, room)) + 0.01 * start
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    negatives = see.other if loss == "nscl" else ~see.positive
    told = train.log_grid(steps - 1, keep)
    last, out = train.loop(
        step, start, np.zeros(steps), negatives, see.positive / views, float(temperature), keep={"U": told}
    )
    shape = (len(labels), views, room)
    return Record(
        steps=told, embeddings=out["U"].reshape(len(told), *shape), last=np.asarray(last).reshape(shape)
    )


def step(U, _, negatives, positives, temperature):
    """One step; the gradient moves similarities by softmax over negatives minus mean over positives."""
    from jax import numpy as jnp
    from jax.nn import softmax

    sim = jnp.where(negatives, U @ U.T / temperature, -jnp.inf)
    push = softmax(sim, axis=1) - positives
    slope = (push + push.T) @ U / 4  # times P tau / 4 over P tau
    slope = slope - (slope * U).sum(axis=1, keepdims=True) * U
    moved = U - slope
    return moved / jnp.linalg.norm(moved, axis=1, keepdims=True), {"U": U}
