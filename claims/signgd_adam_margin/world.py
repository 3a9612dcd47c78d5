r"""Definitions that the claims of this paper share: data, margins, norms, and the margin program.

Rows h_i of `features` (n, d), `labels` (n,) in 0..k-1, classifier W (k, d), logits W h_i,
margin $m(W) = \min_{i, c \ne y_i} (e_{y_i} - e_c)^T W h_i$, and $\gamma = \max_{\|W\| \le 1} m(W)$.
Norms: "max" (largest entry), "frobenius", "spectral", "sum" (sum of entries), "nuclear", or a float p >= 1.
"""

import numpy as np

from verify import Interval, Record, certify, concatenate, stack

from . import _program

AT_ONCE = 10_000_000  # logits in memory at a time
PROMISED = 1e-6  # relative width of a certified margin
NORMS = ("max", "frobenius", "spectral", "sum", "nuclear")


def gaussian_classes(rng, classes, dimension, per_class, noise):
    """Gaussian class centres N(0, I) and within-class noise N(0, noise^2 I): the paper's synthetic data.

    Returns Record(features (classes * per_class, dimension), labels).
    """
    centres = rng.normal(size=(classes, dimension))
    labels = np.repeat(np.arange(classes), per_class)
    features = centres[labels] + noise * rng.normal(size=(len(labels), dimension))
    return Record(features=features, labels=labels)


def dual_norm(A, norm):
    """The dual norm of A (k, d) as a jax number, for what a run records: "max", "frobenius" or "spectral"."""
    from jax import numpy as jnp

    if norm == "spectral":
        return jnp.linalg.svd(A, compute_uv=False).sum()
    return jnp.abs(A).sum() if norm == "max" else jnp.sqrt((A * A).sum())


# --- certified values -----------------------------------------------------------------------------------


def margin(features, labels, W) -> Interval:
    """m(W) of classifiers (..., k, d), enclosed, of shape (...); features (n, d), labels (n,)."""
    W = np.asarray(W, dtype=float)
    flat = W.reshape(-1, *W.shape[-2:])
    at_once = max(1, AT_ONCE // (len(features) * W.shape[-2]))
    parts = [_margins(features, labels, flat[i : i + at_once]) for i in range(0, len(flat), at_once)]
    each = concatenate(parts)
    return Interval(
        *(end.reshape(W.shape[:-2]) for end in (each.lower, each.upper)), each.grade, each.because
    )


def _margins(features, labels, W):
    """`margin` of a few classifiers (s, k, d) together."""
    s, k, d = W.shape
    product = certify.product(features, W.reshape(-1, d).T)
    ends = (end.reshape(len(features), s, k) for end in (product.lower, product.upper))
    logits = Interval(*ends, product.grade, product.because)
    smallest = []
    for c in np.unique(labels):
        own, others = logits[labels == c], np.arange(k) != c
        smallest.append((own[:, :, [c]] - own[:, :, others]).smallest(axis=(0, 2)))
    return stack(smallest).smallest(axis=0)


def normalised_margin(features, labels, W, norm) -> Interval:
    """m(W) / ||W||, which no classifier raises above gamma: the primal side of a certificate."""
    return margin(features, labels, W) / certify.norm(W, norm)


def share_of_maximum(data, W, norm) -> Interval:
    """The normalised margin of W (m, k, d) over the largest in that norm, (m,): what a run is to bring to 1."""
    return normalised_margin(data.features, data.labels, W, norm) / max_margin(
        data.features, data.labels, norm
    )


def dual_value(features, labels, weights, norm) -> Interval:
    r"""$\|\sum_{ic} \lambda_{ic} (e_{y_i} - e_c) h_i^T\|_*$ for weights >= 0 scaled to sum 1: at least gamma.

    weights: (n, k); entries (i, y_i) are ignored. Any feasible weights bound gamma from above (weak duality).
    """
    rows = np.arange(len(labels))
    weights = np.maximum(weights, 0.0)
    weights[rows, labels] = 0.0
    each = certify.product(weights, np.ones((weights.shape[1], 1)))
    total = certify.product(np.ones((1, len(labels))), each)[0, 0]
    lower, upper = -weights, -weights
    lower[rows, labels], upper[rows, labels] = each.lower[:, 0], each.upper[:, 0]
    signed = Interval(lower.T, upper.T, each.grade, each.because)
    return certify.norm(certify.product(signed, features), certify.dual(norm)) / total


def softmax_weights(features, labels, W):
    """Softmax probabilities of the wrong classes, scaled so that the largest is 1; (n, k), W (k, d).

    They need no certificate of their own: any weights >= 0 are feasible in the dual margin program.
    """
    logits = features @ W.T
    rows = np.arange(len(labels))
    excess = logits - logits[rows, labels][:, None]
    excess[rows, labels] = -np.inf
    shift = excess.max(axis=1)
    logs = excess - np.logaddexp(0.0, shift + np.log(np.exp(excess - shift[:, None]).sum(axis=1)))[:, None]
    return np.exp(logs - logs.max())


def reach(features, norm) -> Interval:
    r"""$B_* = \max_i \|h_i\|$ in the norm for which $\|D h_i\|_\infty \le B_*$ whenever $\|D\| \le 1$.

    Rows of D lie in the unit ball of the norm's row version, so h_i is measured in its dual: the sum of entries
    for "max", Euclidean for the Schatten norms, q with 1/p + 1/q = 1 for entrywise p.
    """
    return certify.norm(np.asarray(features)[:, None, :], certify.dual(norm)).largest()


# --- the margin program ---------------------------------------------------------------------------------


def max_margin(features, labels, norm) -> Interval:
    """The maximum margin over the unit ball of a norm, as a rigorous interval of relative width <= 1e-6.

    features: (n, d) float; labels: (n,) integers, at least two different ones;
    norm: "max", "frobenius", "spectral", "sum", "nuclear", or a float p >= 1 (entrywise).
    Raises ValueError for data that no classifier separates, NaN, one class, wrong shapes or an unknown norm.
    """
    return max_margin_solution(features, labels, norm).gamma


def max_margin_solution(features, labels, norm) -> Record:
    """`max_margin` with its certificate.

    Returns Record(gamma, primal, dual (Intervals), W (k, d), weights (n, k)): primal is m(W)/||W||, dual the
    dual norm of the weighted sum; both are evaluated on all pairs, without the solver.
    """
    features, labels, norm = validated(features, labels, norm)
    best = _searched(features, labels, norm)
    if not best.primal.lower > 0:
        raise ValueError(
            f"the data are not separable, or by less than can be resolved: {len(features)} rows of "
            f"{best.W.shape[0]} classes, best margin found at unit {norm} norm {best.primal.lower:.3g}"
        )
    why = f"{norm}-norm margin: primal and dual point of the margin program"
    best.gamma = certify.bracket(best.primal, best.dual, why)
    return best


def _searched(features, labels, norm):
    """The best certified points that were found, with as much effort as the promised width asks for."""
    best = _certified(features, labels, norm, effort=0)
    for effort in (1, 2):
        if not 0 < best.primal.lower < best.dual.upper / (1 + PROMISED / 2):
            break
        other = _certified(features, labels, norm, effort)
        if other.primal.lower > best.primal.lower:
            best.W, best.primal = other.W, other.primal
        if other.dual.upper < best.dual.upper:
            best.weights, best.dual = other.weights, other.dual
    return best


def _certified(features, labels, norm, effort):
    W, weights = _program.max_margin(features, labels, norm, effort)
    primal = normalised_margin(features, labels, W, norm)
    return Record(W=W, weights=weights, primal=primal, dual=dual_value(features, labels, weights, norm))


def validated(features, labels, norm):
    """(features float (n, d), labels 0..k-1 (n,), norm), or a ValueError that says what is wrong."""
    try:
        features = np.asarray(features, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"features must be an (n, d) array of numbers: {error}") from error
    labels = np.asarray(labels)
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"features must be a non-empty (n, d) array, not of shape {features.shape}")
    if labels.shape != (len(features),):
        raise ValueError(f"labels must have shape ({len(features)},) to match features, not {labels.shape}")
    if not np.isfinite(features).all():
        row = int(np.argwhere(~np.isfinite(features))[0][0])
        raise ValueError(f"features hold NaN or infinity, first in row {row}")
    if not features.any():
        raise ValueError("the data are not separable: all features are 0")
    if labels.dtype.kind not in "iu":
        if labels.dtype.kind != "f" or not np.array_equal(labels, np.round(labels)):
            raise ValueError(f"labels must be integers, not {labels.dtype}")
        labels = labels.astype(int)
    classes, labels = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"labels name one class only ({classes[0]}): a margin needs two")
    return features, labels, _validated_norm(norm)


def _validated_norm(norm):
    if isinstance(norm, str) and norm in NORMS:
        return norm
    if isinstance(norm, int | float) and not isinstance(norm, bool) and norm >= 1:
        return {1.0: "sum", 2.0: "frobenius", np.inf: "max"}.get(float(norm), float(norm))
    raise ValueError(f"norm must be one of {', '.join(NORMS)} or a number p >= 1, not {norm!r}")
