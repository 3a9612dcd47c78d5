r"""Definitions that the claims of this paper share: embeddings, the contrastive losses, their gap, the bound on it.

N samples of K views each are embedded as z_i^l in R^d; samples have labels, class c has n_c samples. Similarities are
cosines, divided by the temperature. An *anchor* u = (i, l) is one view of one sample; there are P = N K of them, and in
arrays (P,) the views of a sample are neighbours. Seen from an anchor the other embeddings are its *positives* (all K views of
its own sample, itself included), those of *same* class (other samples) and those of *other* classes.

The decoupled contrastive loss has same and other in its denominator, NSCL has the other classes only:

$$L_{CL} = \frac{1}{K^2 N} \sum_{i, l, l'} -\log \frac{e^{sim(z_i^l, z_i^{l'})}}{S_{same}(u) + S_{other}(u)} , \qquad
L_{NSCL} = \frac{1}{K^2 N} \sum_{i, l, l'} -\log \frac{e^{sim(z_i^l, z_i^{l'})}}{S_{other}(u)} .$$
"""

from fractions import Fraction

import numpy as np

from verify import Interval, Record, certify, exact, rounded

# --- the losses -----------------------------------------------------------------------------------------------


def losses(embeddings, labels, temperature=1.0) -> tuple[float, float]:
    """(decoupled contrastive loss, NSCL) of embeddings (N, K, d) with labels (N,), similarities being cosines.

    Neither needs unit length. Raises ValueError for wrong shapes, NaN, a vector of length 0, one class only (NSCL would
    have no negatives), or a temperature that is not a positive number.
    """
    embeddings, labels, temperature = validated(embeddings, labels, temperature)
    sums = log_sums(embeddings, labels, temperature)
    return float(contrastive(sums).mean()), float(supervised(sums).mean())


def log_sums(embeddings, labels, temperature) -> Record:
    """What an anchor sees, (P,) each: mean similarity of its positives, logs of the sums over same and over other.

    Returns Record(positive, same, other); a class of one sample has same = -inf.
    """
    sim = cosines(embeddings) / temperature
    views = np.shape(embeddings)[1]
    see = relations(labels, views)
    return Record(
        positive=(sim * see.positive).sum(axis=1) / views,
        same=log_sum_exp(np.where(see.same, sim, -np.inf)),
        other=log_sum_exp(np.where(see.other, sim, -np.inf)),
    )


def contrastive(sums):
    """The decoupled contrastive loss of every anchor, (P,)."""
    return np.logaddexp(sums.same, sums.other) - sums.positive


def supervised(sums):
    """The NSCL of every anchor, (P,)."""
    return sums.other - sums.positive


def positive_pairs(embeddings):
    """Similarities (P, K) of an anchor to all views of its sample."""
    samples, views, _ = np.shape(embeddings)
    blocks = cosines(embeddings).reshape(samples, views, samples, views)
    return np.einsum("ikil->ikl", blocks).reshape(-1, views)


def cosines(embeddings):
    """Cosine similarities (P, P) of embeddings (N, K, d)."""
    unit = directions(embeddings)
    return unit @ unit.T


def directions(embeddings):
    """Unit vectors (P, d)."""
    z = np.asarray(embeddings, dtype=float)
    z = z.reshape(-1, z.shape[-1])
    z = z / np.abs(z).max(axis=1, keepdims=True)  # squares of what is left neither overflow nor vanish
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def relations(labels, views) -> Record:
    """Who is what to an anchor: Record(positive, same, other), three masks (P, P)."""
    sample = np.repeat(np.arange(len(labels)), views)
    label = np.repeat(labels, views)
    positive = sample[:, None] == sample
    alike = label[:, None] == label
    return Record(positive=positive, same=alike & ~positive, other=~alike)


def log_sum_exp(x):
    """log sum exp over the last axis; -inf where there is nothing to sum."""
    most = x.max(axis=-1, keepdims=True)
    most = np.where(np.isfinite(most), most, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x - most).sum(axis=-1)) + most[..., 0]


def rounded_loss(value, embeddings, temperature) -> Interval:
    """A loss of these embeddings, of an anchor or the mean over them, or a difference of two, with its rounding.

    A cosine carries at most 2 d + 6 roundings of numbers whose magnitudes sum to 1 or less; the log of a sum, itself at
    most 1/temperature + log P, P + 20 more; the mean over anchors again P.
    """
    samples, views, dimension = np.shape(embeddings)
    anchors = samples * views
    return rounded(value, 4 * dimension + 3 * anchors + 60, 4 / temperature + 2 * np.log(anchors) + 4)


# --- the bound --------------------------------------------------------------------------------------------------


def gap_bound(class_sizes, temperature=1.0) -> float:
    r"""$\log(1 + n_{max} e^{2/\tau} / (N - n_{max}))$, at least $L_{CL} - L_{NSCL}$ of any embedding of such classes (Theorem 1).

    class_sizes: (C,) positive integers, at least two; balanced: $\log(1 + e^{2/\tau} / (C - 1))$.
    """
    sizes = _validated_sizes(class_sizes)
    temperature = _validated_temperature(temperature)
    most = max(sizes)
    return float(np.logaddexp(0.0, 2 / temperature + np.log(most / (sum(sizes) - most))))


def certified_bound(share, temperature, exponent=2) -> Interval:
    r"""$\log(1 + share \cdot e^{2/\tau})$, enclosed; share: exact numbers (...), temperature: floats as they are (...)."""
    return certify.log(1 + exact(share) * certify.exp(exact(exponent) / in_fractions(temperature)))


def in_fractions(numbers) -> Interval:
    """Floats (...) as the exact numbers that they are."""
    fractions = np.vectorize(lambda x: Fraction(float(x)), otypes=[object])
    return exact(np.asarray(fractions(numbers))[()])


def smallest_nscl(classes, per_class, views, temperature) -> Interval:
    r"""$L^* = \log(K (N - n)) - \frac{C}{(C-1)\tau}$, the smallest NSCL of C balanced classes in dimension C - 1 or more."""
    others = views * per_class * (classes - 1)
    return certify.log(exact(others)) - exact(Fraction(classes, classes - 1)) / in_fractions(temperature)


def smallest_contrastive(samples, views, temperature) -> Interval:
    r"""$L_{CL}^* = \log(K (N - 1)) - \frac{N}{(N-1)\tau}$, the smallest contrastive loss in dimension N - 1 or more."""
    return certify.log(exact(views * (samples - 1))) - exact(Fraction(samples, samples - 1)) / in_fractions(
        temperature
    )


# --- embeddings ---------------------------------------------------------------------------------------------------


def simplex(count):
    """`count` unit vectors (count, count) with all inner products -1/(count - 1)."""
    centred = np.eye(count) - 1 / count
    return centred / np.sqrt(1 - 1 / count)


def tight_simplex(count):
    """The same in count - 1 dimensions, (count, count - 1)."""
    axes = np.linalg.svd(simplex(count))[2]
    return simplex(count) @ axes[:-1].T


def balanced(classes, per_class):
    """Labels (N,)."""
    return np.repeat(np.arange(classes), per_class)


def collapsed(centres, sizes, views):
    """Embeddings (N, K, d) whose class c sits at centres[c]."""
    return np.repeat(np.repeat(centres, sizes, axis=0)[:, None, :], views, axis=1)


# --- bad input ------------------------------------------------------------------------------------------------------


def validated(embeddings, labels, temperature):
    """(embeddings float (N, K, d), labels 0..C-1 (N,), temperature), or a ValueError that says what is wrong."""
    try:
        embeddings = np.asarray(embeddings, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"embeddings must be an (N, K, d) array of numbers: {error}") from error
    labels = np.asarray(labels)
    if embeddings.ndim != 3 or 0 in embeddings.shape:
        raise ValueError(
            f"embeddings must be a non-empty (N, K, d) array, N samples of K views, not of shape {embeddings.shape}"
        )
    if labels.shape != (len(embeddings),):
        raise ValueError(
            f"labels must have shape ({len(embeddings)},), one a sample (not one a view), not {labels.shape}"
        )
    if not np.isfinite(embeddings).all():
        sample, view, _ = np.argwhere(~np.isfinite(embeddings))[0]
        raise ValueError(f"embeddings hold NaN or infinity, first in view {view} of sample {sample}")
    empty = ~embeddings.any(axis=2)
    if empty.any():
        sample, view = np.argwhere(empty)[0]
        raise ValueError(f"view {view} of sample {sample} is 0, which has no direction")
    if labels.dtype.kind not in "iu" and not (
        labels.dtype.kind == "f" and np.array_equal(labels, np.round(labels))
    ):
        raise ValueError(f"labels must be integers, not {labels.dtype}")
    classes, labels = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"labels name one class only ({classes[0]}): NSCL has no negatives then")
    return embeddings, labels, _validated_temperature(temperature)


def _validated_temperature(temperature):
    number = isinstance(temperature, int | float | np.number) and not isinstance(temperature, bool)
    if not number or not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be a positive number, not {temperature!r}")
    return float(temperature)


def _validated_sizes(class_sizes):
    sizes = np.asarray(class_sizes)
    if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or len(sizes) < 2 or np.any(sizes < 1):
        raise ValueError(f"class_sizes must be two or more positive integers, not {class_sizes!r:.80}")
    return [int(n) for n in sizes]
