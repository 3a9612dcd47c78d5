r"""Definitions that the claims of this paper share: the loss, free features, and the programs over Gram matrices.

Columns h_i of `features` (d, n) are samples with `labels` (n,); class c has n_c of them, k classes in all.

$$L(H) = \sum_i \frac{1}{n_{y_i} - 1} \sum_{j \ne i,\ y_j = y_i} \log \sum_{l \ne i} e^{(h_i \cdot h_l - h_i \cdot h_j)/\tau} ,
\qquad F(M) = \sum_c n_c \log\Big( n_c - 1 + \sum_{c' \ne c} n_{c'} e^{(M_{cc'} - 1)/\tau} \Big) .$$

L is a convex function of the Gram matrix of the features; F is its value where every class is one unit vector, M (k, k)
being the Gram matrix of these.
"""

import itertools
from numbers import Real

import numpy as np

from verify import Interval, rounding

from . import _certificates, _program

WIDTH, DEPTH = 16, 6  # samples and dimensions that runs are padded to, so that all share one compiled loop


def sc_loss(features, labels, temperature) -> float:
    """The supervised contrastive loss of a full batch, self pairs left out.

    features: (d, n), of any length; labels: (n,) integers, every class with two samples or more.
    """
    H, y, tau = np.asarray(features), np.asarray(labels), positive(temperature)
    if H.ndim != 2 or 0 in H.shape or H.dtype.kind not in "iuf" or not np.isfinite(H).all():
        raise ValueError(f"features are a (d, n) array of finite numbers, not {H.dtype} of shape {H.shape}")
    if y.shape != H.shape[1:] or y.dtype.kind not in "iu":
        raise ValueError(f"labels are ({H.shape[1]},) integers, not {y.dtype} of shape {y.shape}")
    H, (positives, others) = (
        H.astype(float),
        (mask[0] for mask in pairs(np.unique(y, return_inverse=True)[1][None])),
    )
    if not positives.any(axis=1).all():
        alone = sorted({int(label) for label in y[~positives.any(axis=1)]})
        raise ValueError(f"every class needs two samples, and there is one only of {alone}")
    s = H.T @ H / tau
    top = np.max(s, axis=1, where=others, initial=-np.inf)
    total = np.sum(np.exp(s - top[:, None], where=others, out=np.zeros_like(s)), axis=1)
    return float(np.sum(np.log(total) + top - np.sum(s * positives, axis=1) / positives.sum(axis=1)))


def reduced_optimum(class_sizes, temperature) -> tuple[Interval, np.ndarray]:
    """The least loss of unit features in k - 1 or more dimensions, certified, and the Gram matrix (k, k) of its classes.

    class_sizes: (k,) integers >= 2, k >= 2. The interval holds min F over Gram matrices of unit vectors: above by a
    feasible point, below by Lagrangian duality, both in balls. The matrix is the point that was found.
    """
    sizes = np.asarray(class_sizes)
    if sizes.ndim != 1 or len(sizes) < 2 or sizes.dtype.kind not in "iu" or sizes.min() < 2:
        raise ValueError(f"class sizes are two or more integers of at least 2, not {class_sizes!r:.80}")
    found = reduced(sizes, positive(temperature))
    return found.optimum, found.gram


def positive(temperature):
    """The temperature as a float. ValueError unless it is a positive number."""
    if isinstance(temperature, bool) or not isinstance(temperature, Real) or not 0 < temperature < np.inf:
        raise ValueError(f"the temperature is a positive number, not {temperature!r:.60}")
    return float(temperature)


def reduced(sizes, temperature, dimension=None, self_pairs=False):
    """The certified solution of the k x k program (see `_certificates.reduced`).

    dimension: of the class vectors that the primal point is made of, k if not given.
    self_pairs: whether a sample is its own positive and negative: n_c in place of n_c - 1.
    """
    sizes = np.asarray(sizes)
    own = sizes if self_pairs else sizes - 1
    vectors = _program.solve(sizes, own, temperature, dimension or len(sizes))
    return _certificates.reduced(vectors, sizes, own, temperature)


def at_simplex(sizes, temperature):
    """The same certificate at the simplex equiangular tight frame."""
    values, vectors = np.linalg.eigh(simplex(len(sizes)))
    frame = (vectors * np.sqrt(np.maximum(values, 0))).T[1:]
    return _certificates.reduced(frame, np.asarray(sizes), np.asarray(sizes) - 1, temperature)


def labels_of(sizes):
    """Labels (n,) of classes of the given sizes."""
    return np.repeat(np.arange(len(sizes)), sizes)


def couples(number):
    """All i < j below a number, as two arrays."""
    return np.array(list(itertools.combinations(range(number), 2))).T


def pairs(labels, self_pairs=False):
    """Which pairs are positive, and which are in the softmax: masks (runs, n, n) for labels (runs, n), -1 for nobody."""
    both = (labels[:, :, None] >= 0) & (labels[:, None, :] >= 0)
    allowed = both if self_pairs else both & ~np.eye(labels.shape[1], dtype=bool)
    return allowed & (labels[:, :, None] == labels[:, None, :]), allowed


def gaussian_start(rng, runs, dimension, samples, depth=DEPTH, width=WIDTH):
    """Unit features (runs, depth, width) in uniformly random directions of the first dimensions, 0 beyond `samples`."""
    H = np.zeros((runs, depth, width))
    H[:, :dimension, :samples] = rng.normal(size=(runs, dimension, samples))
    return H / np.maximum(np.linalg.norm(H, axis=1, keepdims=True), np.finfo(float).tiny)


def padded(labels, width=WIDTH):
    """Labels (width,), with -1 for samples that do not exist."""
    return np.concatenate([labels, np.full(width - len(labels), -1)])


def resolution(samples, temperature):
    """How closely float64 tells the loss: the rounding of logarithms, exponents and their sum."""
    magnitude = samples * (
        2 / temperature + np.log(samples)
    )  # |logarithm| + |mean similarity|, over the samples
    return rounding(2 * samples + DEPTH + 8, magnitude)


def simplex(classes):
    """The Gram matrix of a simplex equiangular tight frame."""
    return (classes * np.eye(classes) - 1) / (classes - 1)
