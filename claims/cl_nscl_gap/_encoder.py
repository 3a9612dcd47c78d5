"""Small encoders trained on either loss, many seeds at once: compiled once for each number of classes."""

from functools import cache
from itertools import pairwise

import numpy as np

from verify import Record, train

from . import world

WIDTHS = (24, 64, 32)  # input, hidden layer with ReLU, embedding


def gaussian_views(rng, seeds, classes, per_class, noise=0.5, view_noise=0.4, scale=1.5):
    """Inputs (seeds, N, 2, 24): a Gaussian centre for every class, noise for every sample, and more for every view."""
    d, samples = WIDTHS[0], classes * per_class
    centres = scale * rng.normal(size=(seeds, classes, d))
    sample = np.repeat(centres, per_class, axis=1) + noise * rng.normal(size=(seeds, samples, d))
    return sample[:, :, None, :] + view_noise * rng.normal(size=(seeds, samples, 2, d))


def start(rng, seeds):
    """Weights and biases of every seed, with He's variances."""
    shapes = pairwise(WIDTHS)
    layers = [rng.normal(size=(seeds, *shape)) * np.sqrt(2 / shape[0]) for shape in shapes]
    return {"first": layers[0], "bias": np.zeros((seeds, 1, WIDTHS[1])), "second": layers[1]}


def trained(inputs, weights, labels, loss, temperature, steps, rate=3e-3):
    """Adam on the full batch. Losses are recorded at temperature 1 before every step and at the end.

    Returns Record(cl, nscl (steps + 1, seeds), embeddings (seeds, N, 2, 32) at the end).
    """
    train.use_jax()  # in float64, before the optimiser makes its state
    seeds, samples, views, d = inputs.shape
    see = world.relations(labels, views)
    negatives = see.other if loss == "nscl" else ~see.positive
    flat = inputs.reshape(seeds, samples * views, d)
    fixed = flat, negatives, ~see.positive, see.other, see.positive / views, float(temperature), float(rate)
    carry = weights, optimizer().init(weights)
    (last, _), out = train.loop(step, carry, np.zeros(steps), *fixed, chunk=50)
    end = losses_at_one(last, *fixed[:1], *fixed[2:5])
    curves = [
        np.concatenate([out[name], np.asarray(x)[None]])
        for name, x in zip(("cl", "nscl"), end[:2], strict=True)
    ]
    embeddings = np.asarray(end[2]).reshape(seeds, samples, views, WIDTHS[-1])
    return Record(cl=curves[0], nscl=curves[1], embeddings=embeddings)


@cache
def optimizer():
    import optax

    return optax.scale_by_adam()


def step(carry, _, inputs, negatives, all_negatives, other, positives, temperature, rate):
    """One step of Adam for every seed; the seeds do not see each other."""
    import jax

    weights, state = carry

    def loss(weights):
        sim = similarities(weights, inputs)[0]
        return mean_loss(sim / temperature, negatives, positives).sum(), sim

    slope, sim = jax.grad(loss, has_aux=True)(weights)
    update, state = optimizer().update(slope, state)
    moved = jax.tree.map(lambda w, u: w - rate * u, weights, update)
    told = {"cl": mean_loss(sim, all_negatives, positives), "nscl": mean_loss(sim, other, positives)}
    return (moved, state), told


def losses_at_one(weights, inputs, all_negatives, other, positives):
    """(CL, NSCL, embeddings) at temperature 1, of every seed."""
    sim, unit = similarities(weights, inputs)
    return mean_loss(sim, all_negatives, positives), mean_loss(sim, other, positives), unit


def similarities(weights, inputs):
    """Cosines (seeds, P, P) and unit embeddings (seeds, P, 32)."""
    from jax import numpy as jnp

    hidden = jnp.maximum(inputs @ weights["first"] + weights["bias"], 0)
    z = hidden @ weights["second"]
    unit = z / jnp.linalg.norm(z, axis=-1, keepdims=True)
    return unit @ unit.mT, unit


def mean_loss(sim, negatives, positives):
    """Either loss of every seed, its negatives told by the mask: similarities are at most 1 / temperature, no overflow."""
    from jax import numpy as jnp

    log_sums = jnp.log((jnp.exp(sim) * negatives).sum(axis=-1))
    return (log_sums - (sim * positives).sum(axis=-1)).mean(axis=-1)
