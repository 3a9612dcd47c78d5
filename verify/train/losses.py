"""Losses of the margins in a moving scale, and their sums over rows.

A loss takes margins (k, n), +inf where c is the label (there exp(-x) is 0), and the least of them. It returns
the shift (), the losses (n,) and the weights r (k, n), r_ic = -d loss_i / d x_ic, both times exp(shift).
The shift is the least margin while weights fall off exponentially, so that the largest is about 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from verify.record import Record
from verify.train.loops import Array, use_jax

Loss = Callable[[Array, Array], tuple[Array, Array, Array]]

BLOCK_ENTRIES = 2**15  # of features and logits in one block of rows: it stays in the cache between products


def cross_entropy(margins: Array, least: Array) -> tuple[Array, Array, Array]:
    """log(1 + sum_c exp(-x_ic)); the weights are the softmax probabilities of the wrong classes."""
    jnp = use_jax().numpy
    shift = jnp.maximum(least, 0)
    worst = jnp.maximum(-margins.min(0), 0)  # positive where a point is misclassified; the shift is 0 then
    powers = jnp.exp(shift - worst - margins)
    tail = powers.sum(0)
    small = tail * jnp.exp(-shift)
    total = jnp.exp(-worst) + small  # 1 / p_y, times exp(-worst)
    losses = jnp.where(worst > 0, worst + jnp.log(total), tail * _log1p_ratio(small))
    return shift, losses, powers / total


def exponential(margins: Array, least: Array) -> tuple[Array, Array, Array]:
    """sum_c exp(-x_ic)."""
    weights = use_jax().numpy.exp(least - margins)
    return least, weights.sum(0), weights


def pair_logistic(margins: Array, least: Array) -> tuple[Array, Array, Array]:
    """sum_c log(1 + exp(-x_ic))."""
    jnp = use_jax().numpy
    shift = jnp.maximum(least, 0)
    powers = jnp.exp(shift - abs(margins))
    small = powers * jnp.exp(-shift)  # exp(-|x|)
    losses = jnp.maximum(-margins, 0) + powers * _log1p_ratio(small)
    return shift, losses.sum(0), jnp.where(margins > 0, powers, 1) / (1 + small)


def polynomial(margins: Array, least: Array) -> tuple[Array, Array, Array]:
    """sum_c phi(x_ic), phi(x) = (1 + x)^-2 for x > 0 and 1 - 2x below: no exponential tail, no shift."""
    jnp = use_jax().numpy
    inverse = 1 / (1 + jnp.maximum(margins, 0))
    losses = inverse**2 + 2 * jnp.maximum(-margins, 0)
    return jnp.zeros_like(least), losses.sum(0), 2 * inverse**3


def _log1p_ratio(x: Array) -> Array:
    """log(1 + x) / x for x >= 0, and 1 where x has underflowed."""
    jnp = use_jax().numpy
    return jnp.where(x > 0, jnp.log1p(x) / jnp.where(x > 0, x, 1), 1)


def evaluate(loss: Loss, W: ArrayLike, features: ArrayLike, labels: ArrayLike) -> Record:
    """The loss of W (k, d) on features (n, d) with labels (n,), in numpy.

    Returns margin m(W), log_loss log L, shift and, times exp(shift), loss L, proxy G = mean_i sum_c r_ic,
    gradient -(1/n) sum_ic r_ic (e_y - e_c) h_i^T (k, d), and the weights r (n, k), 0 at the label.
    """
    columns = np.ascontiguousarray(np.asarray(features, float).T)
    sums, weights = _evaluation(loss)(np.asarray(W, float), columns, np.asarray(labels, np.int32))
    shift, least, *means = (np.asarray(value) for value in sums)
    loss_, proxy, gradient = (value / columns.shape[1] for value in means)
    return Record(
        margin=least, log_loss=np.log(loss_) - shift, shift=shift,
        loss=loss_, proxy=proxy, gradient=gradient, weights=np.asarray(weights).T,
    )  # fmt: skip


class Sums(NamedTuple):
    """Sums over rows; loss, proxy and gradient times exp(shift)."""

    shift: Array
    margin: Array  # the least, m(W)
    loss: Array
    proxy: Array
    gradient: Array  # (k, d)


class Rows(NamedTuple):
    """The data as a loop wants them: most rows in b blocks of r, the rest (never none) by itself."""

    columns: Array  # (d, m)
    labels: Array  # (m,)
    block_columns: Array  # (b, d, r)
    block_labels: Array  # (b, r)


@cache
def _evaluation(loss: Loss) -> Any:
    def both(W: Array, columns: Array, labels: Array) -> tuple[Sums, Array]:
        margins, _ = _margins(W, columns, labels)
        return _sums(loss, W, columns, labels), loss(margins, margins.min())[2]

    return use_jax().jit(both)


def _margins(W: Array, columns: Array, labels: Array) -> tuple[Array, Array]:
    """Margins (k, n), +inf at the label, and where that is (k, n)."""
    jnp = use_jax().numpy
    logits = W @ columns
    own = labels == jnp.arange(W.shape[0], dtype=labels.dtype)[:, None]
    return jnp.where(own, jnp.inf, jnp.where(own, logits, 0).sum(0) - logits), own


def _sums(loss: Loss, W: Array, columns: Array, labels: Array) -> Sums:
    margins, own = _margins(W, columns, labels)
    least = margins.min(0).min()
    shift, losses, weights = loss(margins, least)
    pull = weights.sum(0)
    gradient = use_jax().numpy.where(own, -pull, weights) @ columns.T
    return Sums(shift, least, losses.sum(), pull.sum(), gradient)


def sums(loss: Loss, W: Array, rows: Rows) -> Sums:
    """The sums over all rows: each block's in its own scale at first, then in that of the least shift."""
    jax = use_jax()
    rest = _sums(loss, W, rows.columns, rows.labels)
    if not len(rows.block_labels):
        return rest

    def scan(W: Array, columns: Array, labels: Array) -> Any:
        return jax.lax.scan(lambda _, block: (None, _sums(loss, W, *block)), None, (columns, labels))[1]

    if len(jax.devices()) > 1:
        whole, spread = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec("rows")
        specs = {"in_specs": (whole, spread, spread), "out_specs": spread, "check_vma": False}
        scan = jax.shard_map(scan, mesh=_mesh(), **specs)
    blocks = scan(W, rows.block_columns, rows.block_labels)
    parts = jax.tree.map(lambda a, b: jax.numpy.append(a, b[None], 0), blocks, rest)
    shift = parts.shift.min()
    factors = jax.numpy.exp(shift - parts.shift)
    return Sums(shift, parts.margin.min(), *(jax.numpy.tensordot(factors, part, 1) for part in parts[2:]))


def place(features: NDArray[np.float64], labels: NDArray[np.int32], classes: int) -> Rows:
    """Puts features (n, d) and labels (n,) on the device, or the blocks on all devices in equal shares."""
    jax = use_jax()
    n, d = features.shape
    size = max(128, BLOCK_ENTRIES // (d + classes))
    devices = len(jax.devices())
    count = (n - 1) // (size * devices) * devices if n > 4 * size else 0
    split = count * size
    blocks = np.ascontiguousarray(features[:split].reshape(count, size, d).transpose(0, 2, 1))
    rest = np.ascontiguousarray(features[split:].T)
    spread, whole = None, None
    if count and devices > 1:
        shares, copies = jax.sharding.PartitionSpec("rows"), jax.sharding.PartitionSpec()
        spread, whole = (jax.sharding.NamedSharding(_mesh(), spec) for spec in (shares, copies))
    return Rows(
        *jax.device_put((rest, labels[split:]), whole),
        *jax.device_put((blocks, labels[:split].reshape(count, size)), spread),
    )


@cache
def _mesh() -> Any:
    return use_jax().sharding.Mesh(np.array(use_jax().devices()), ("rows",))
