"""Training in a few worlds, each a tuple (sizes, temperature), and what it arrives at."""

import numpy as np

from verify import Record, stack

from . import _certificates, _descent, world


def starts(rng, worlds, runs):
    """Unit features (worlds, runs, d, n) in k + 1 dimensions."""
    return np.stack([world.gaussian_start(rng, runs, len(sizes) + 1, sum(sizes)) for sizes, _ in worlds])


def trained(start, worlds, steps, keep, **options):
    """Features on the way, one (steps, runs, d, n) a world."""
    runs = start.shape[1]
    labels = np.repeat([world.padded(world.labels_of(sizes)) for sizes, _ in worlds], runs, axis=0)
    tau = np.repeat([tau for _, tau in worlds], runs)
    H = _descent.descend(
        start.reshape(-1, *start.shape[2:]), labels, tau, steps, keep=keep, **options
    ).features
    each = np.split(H, len(worlds), axis=1)
    return [h[..., : sum(sizes)] for h, (sizes, _) in zip(each, worlds, strict=True)]


def masks(labels, self_pairs=False):
    return [mask[0] for mask in world.pairs(labels[None], self_pairs)]


def seen(H, sizes, tau, unit=True, self_pairs=False):
    """Gram matrices and losses of features (..., d, n), in balls."""
    G = _certificates.gram(H.reshape(-1, *H.shape[-2:]), unit)
    return Record(gram=G, loss=_certificates.losses(G, *masks(world.labels_of(sizes), self_pairs), tau))


def resolutions(worlds):
    return stack([world.resolution(sum(sizes), tau) for sizes, tau in worlds])
