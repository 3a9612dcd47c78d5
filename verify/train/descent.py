"""Full-batch training of a linear classifier with any optax optimiser, recorded at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from verify.errors import SetupError
from verify.record import Record
from verify.train.loops import CHUNK, Array, log_grid, loop, use_jax
from verify.train.losses import Loss, Rows, cross_entropy, place, sums

CHUNK_BYTES = 2**24  # of iterates in one chunk of steps
LARGEST_SHIFT = 700.0  # `unit` stays finite, so that eps * unit is 0 for eps = 0 and never NaN

# How the fields of optax's states scale with the gradient; whole numbers (counters) do not.
# Adamax calls its largest gradient nu, as Adam does its mean square: it does not fit in here.
DEGREES = {"mu": 1, "ema": 1, "trace": 1, "nu": 2, "nu_max": 2, "ns_coeffs": 0, "hyperparams": 0}


class State(NamedTuple):
    """What `measure` sees at step t; loss, proxy, gradient and optimizer times exp(shift)."""

    W: Array  # (k, d)
    margin: Array  # m(W)
    shift: Array
    loss: Array  # L(W)
    proxy: Array  # G(W)
    gradient: Array  # (k, d)
    direction: Array  # (k, d): W_{t+1} = W_t - rate * direction
    optimizer: Any  # optax's state after this step, as `optimizer[0].ema` for the first one of a chain
    rate: Array
    hyper: dict[str, Array]


Measure = Callable[[State], Mapping[str, Array]]


def descend(
    features: ArrayLike,
    labels: ArrayLike,
    rates: ArrayLike,
    optimizer: Any,
    hyper: Mapping[str, ArrayLike] | None = None,
    *,
    loss: Loss = cross_entropy,
    start: ArrayLike | None = None,
    classes: int | None = None,
    measure: Measure | None = None,
    keep: int = 200,
) -> Record:
    """Trains W (k, d) from `start` (zeros) on all rows: W_{t+1} = W_t - rates[t] * direction_t.

    features (n, d), labels (n,) in 0..k-1, rates (T,). k: `classes`, or as `start`, or the largest label + 1.
    optimizer: `optimizer(hyper, unit)`, returning an optax transformation without a rate, or such a
    transformation. Its gradients come times unit = exp(shift): multiply Adam's eps by `unit`.
    hyper: numbers by name. measure: `measure(state)` returns scalars by name, to be recorded as well.
    optimizer, loss and measure must be module-level or cached objects, as `steepest(...)` is: their identity
    finds the compiled loop again. All else is traced: other numbers, or more steps, compile nothing.

    Returns numpy float64: margin m(W_t), log_loss log L(W_t), proxy_ratio G/L, slope_ratio
    <gradient, direction>/G and what `measure` names, each (T + 1,); iterates (s, k, d) at `steps` (s,),
    about `keep` of them, logarithmically spaced, 0 and T included. At T a direction is computed, not taken.
    """
    labels = np.asarray(labels, np.int32)
    if start is None:
        start = np.zeros((classes or int(labels.max()) + 1, np.shape(features)[1]))
    W = np.array(start, float)
    rows = place(np.asarray(features, float), labels, len(W))
    numbers = {name: np.asarray(value, float) for name, value in (hyper or {}).items()}
    rates = np.append(np.asarray(rates, float), 0.0)
    steps = log_grid(len(rates) - 1, keep)
    carry = use_jax().device_put(_beginning(optimizer)(W, numbers), rows.columns.sharding)
    _, out = loop(
        _step(optimizer, loss, measure), carry, rates, rows, numbers,
        keep={"iterates": steps}, chunk=max(1, min(CHUNK, CHUNK_BYTES // W.nbytes)),
    )  # fmt: skip
    margin, shift, loss_, proxy, slope = out.pop("basics").T.copy()
    with np.errstate(divide="ignore", invalid="ignore"):  # NaN is for the engine to judge
        log_loss, proxy_ratio, slope_ratio = np.log(loss_) - shift, proxy / loss_, slope / proxy
    return Record(
        steps=steps, margin=margin, log_loss=log_loss, proxy_ratio=proxy_ratio, slope_ratio=slope_ratio,
        **{name: np.asarray(values, float) for name, values in out.items()},
    )  # fmt: skip


RECORDED = {"steps", "iterates", "basics", "margin", "log_loss", "proxy_ratio", "slope_ratio"}


@cache
def _step(optimizer: Any, loss: Loss, measure: Measure | None) -> Any:
    jnp = use_jax().numpy

    def step(carry: Any, rate: Array, rows: Rows, hyper: dict[str, Array]) -> Any:
        W, inner, shift_before = carry
        shift, margin, *totals = sums(loss, W, rows)
        loss_, proxy, gradient = (total / (rows.labels.size + rows.block_labels.size) for total in totals)
        transformation = _transformation(optimizer, hyper, jnp.exp(jnp.minimum(shift, LARGEST_SHIFT)))
        inner = _rescaled(inner, jnp.exp(shift - shift_before))
        direction, inner = transformation.update(gradient, inner, W)
        state = State(W, margin, shift, loss_, proxy, gradient, direction, inner, rate, hyper)
        measured = dict(measure(state)) if measure else {}
        if taken := RECORDED & measured.keys():
            raise SetupError(f"measure cannot use the name {sorted(taken)[0]!r}: it is recorded already")
        basics = jnp.stack([margin, shift, loss_, proxy, (gradient * direction).sum()])
        return (W - rate * direction, inner, shift), {"basics": basics, "iterates": W} | measured

    return step


@cache
def _beginning(optimizer: Any) -> Any:
    def beginning(W: Array, hyper: dict[str, Array]) -> Any:
        # buffers of zeros are in any scale: exp(shift - inf) = 0 leaves them zero, whatever the first shift
        return W, _transformation(optimizer, hyper, 1.0).init(W), use_jax().numpy.inf

    return use_jax().jit(beginning)


def _transformation(optimizer: Any, hyper: dict[str, Array], unit: Any) -> Any:
    return optimizer if isinstance(optimizer, tuple) else optimizer(hyper, unit)


def _rescaled(state: Any, factor: Array, degree: int | None = None, name: str = "") -> Any:
    """optax's state (nested named tuples, tuples, dicts) once the gradient's unit has grown by `factor`."""
    if hasattr(state, "_fields"):
        fields = zip(state._fields, state, strict=True)
        return type(state)(*(_rescaled(part, factor, DEGREES.get(f, degree), f) for f, part in fields))
    if isinstance(state, tuple | list):
        return type(state)(_rescaled(part, factor, degree, name) for part in state)
    if isinstance(state, dict):
        return {label: _rescaled(part, factor, degree, name) for label, part in state.items()}
    if state is None or not np.issubdtype(state.dtype, np.floating):
        return state
    if degree is None:
        raise SetupError(f"how does the field {name!r} of the optimiser's state scale with the gradient?")
    return state * factor**degree if degree else state
