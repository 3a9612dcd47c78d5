"""Training of free features on the supervised contrastive loss: projected gradient descent with momentum."""

from functools import cache

import numpy as np

from verify import Record, train

from . import world

RATE, MOMENTUM = 0.1, 0.9
LEAST_SHARE = 3e-3  # some hundred times larger steps where the loss is flat


def descend(start, labels, temperature, steps, *, self_pairs=False, sphere=True, radius=np.inf, nonnegative=False,
            keep=10):  # fmt: skip
    """Features on the way of H <- project(H - rate * Nesterov's average of gradients), from `start` (runs, d, n).

    labels: (n,) or (runs, n), -1 for samples that do not exist; temperature: scalar or (runs,). The rate is RATE times
    the squared temperature, and the gradient is divided by the excess of the loss over its infimum, a sample, if that
    is below 1: at low temperatures the loss is all but flat. sphere: columns of unit length, else of length `radius`
    at most; nonnegative: entries >= 0.
    Returns Record(steps (s,), features (s, runs, d, n)), `keep` steps on a logarithmic grid with both ends.
    """
    runs, _, n = start.shape
    labels = np.broadcast_to(labels, (runs, n))
    positive, allowed = world.pairs(labels, self_pairs)
    count = np.maximum(positive.sum(axis=2, keepdims=True), 1)
    problem = {
        "positive": positive / count, "allowed": allowed, "real": (labels >= 0).astype(float),
        "floor": np.log(count).sum(axis=(1, 2)), "temperature": np.broadcast_to(np.asarray(temperature, float), runs),
        "sphere": sphere, "radius": float(radius), "nonnegative": nonnegative,
    }  # fmt: skip
    kept = train.log_grid(steps, keep)
    carry, rates = (np.array(start, float), np.zeros(start.shape)), np.append(np.full(steps, RATE), 0.0)
    _, out = train.loop(_step(), carry, rates, problem, keep={"features": kept})
    return Record(steps=kept, features=out["features"])


@cache
def _step():
    import optax

    jax = train.use_jax()
    jnp = jax.numpy

    def project(H, problem):
        H = jnp.where(problem["nonnegative"], jnp.maximum(H, 0), H)
        length = jnp.sqrt((H * H).sum(axis=1, keepdims=True))
        length = jnp.where(length > 0, length, 1)
        return H * jnp.where(problem["sphere"], 1 / length, jnp.minimum(1, problem["radius"] / length))

    def slope_and_share(H, problem):
        """Gradient (runs, d, n), and the excess of the loss over its infimum, a sample (runs, 1, 1)."""
        heat, real, positive = (problem[name] for name in ("temperature", "real", "positive"))
        s = jnp.einsum("rdi,rdj->rij", H, H) / heat[:, None, None]
        top = jnp.where(problem["allowed"], s, -jnp.inf).max(axis=2)
        top = jnp.where(real > 0, top, 0)
        weights = jnp.where(problem["allowed"], jnp.exp(s - top[:, :, None]), 0)
        total = jnp.where(real > 0, weights.sum(axis=2), 1)
        loss = (jnp.log(total) + top).sum(axis=1) - (positive * s).sum(axis=(1, 2))
        pull = weights / total[:, :, None] - positive
        slope = jnp.einsum("rdi,rij->rdj", H, pull + pull.transpose(0, 2, 1)) / heat[:, None, None]
        return slope, ((loss - problem["floor"]) / real.sum(axis=1))[:, None, None]

    def step(carry, rate, problem):
        H, average = carry
        slope, share = slope_and_share(H, problem)
        tangent = slope - H * (H * slope).sum(axis=1, keepdims=True)
        slope = jnp.where(problem["sphere"], tangent, slope) / jnp.clip(share, LEAST_SHARE, 1)
        memory = optax.trace(MOMENTUM, nesterov=True)
        direction, state = memory.update(slope, optax.TraceState(average))
        size = rate * problem["temperature"][:, None, None] ** 2
        return (project(H - size * direction, problem), state.trace), {"features": H}

    return step
