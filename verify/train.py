r"""Training runs: compiled float64 loops around optax, with losses that stay right when they are 1e-200.

A linear classifier W (k, d) sees rows h_i (d,) with labels y_i; its margins are x_ic = (e_{y_i} - e_c)^T W h_i for
c != y_i. On separable data they grow without bound, exp(-x) underflows, and softmax minus one-hot cancels to zero long
before. So everything lives in a *moving scale*: losses, gradients and weights are multiplied by exp(shift), where the
shift follows the smallest margin. Directions of steepest descent do not notice; the optimiser's buffers are carried
from one scale to the next; log L is exact to rounding at any size.

    def adam(hyper, unit):              # module level: the compiled loop is found again by the function's identity
        import optax
        return optax.scale_by_adam(hyper["b1"], hyper["b2"], eps=hyper["eps"] * unit)

    run = descend(features, labels, rates, steepest("max"))                                     # SignGD
    run = descend(features, labels, rates, adam, {"b1": 0.9, "b2": 0.95, "eps": 1e-8})          # Adam

Importing this module loads no jax. `use_jax` does, in float64 and with the compilation cache in the user's cache folder.
With JAX_NUM_CPU_DEVICES=2 in the environment large data are spread over two cores; small data always use one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from verify.errors import SetupError
from verify.record import Record

Array = Any  # a jax array, or the tracer that stands for one while a loop is compiled
Loss = Callable[[Array, Array], tuple[Array, Array, Array]]

RANK_TOLERANCE = 1e-10  # singular values below this fraction of the largest are rounding: see `steepest`
LARGEST_UNIT = 700.0  # exp of it is finite, so that `eps * unit` is 0 for eps = 0 and never NaN
CHUNK = 1000  # steps in one call of a compiled loop
CHUNK_BYTES = 2**24  # of iterates in one chunk
BLOCK_ENTRIES = 2**15  # of logits and features in one row block: they stay in the cache between the two products

# How the fields of optax's states scale with the gradient. Whole numbers (counters) do not scale.
# (adamax calls its largest gradient nu as well: it does not fit in here.)
DEGREES = {"mu": 1, "ema": 1, "trace": 1, "nu": 2, "nu_max": 2, "ns_coeffs": 0, "hyperparams": 0}


# --- jax, on first use ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def use_jax() -> Any:
    """The module jax, in float64 and with its persistent compilation cache on (a cache that the user chose is kept)."""
    import jax

    jax.config.update("jax_enable_x64", True)
    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(_cache_folder()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return jax


def _cache_folder() -> Path:
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin" and "XDG_CACHE_HOME" not in os.environ:
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "verify" / "jax"


def key(rng: np.random.Generator) -> Array:
    """A jax PRNG key drawn from a numpy generator."""
    return use_jax().random.key(int(rng.integers(2**63)))


# --- losses of the margins, times exp(shift) --------------------------------------------------------------
# A loss takes margins (k, n), +inf where c is the label, and the least of them. It returns the shift (), the losses
# (n,) and the weights (k, n), -d loss_i / d x_ic, both times exp(shift). No weight exceeds 1 by more than a constant.


def cross_entropy(margins: Array, least: Array) -> tuple[Array, Array, Array]:
    """log(1 + sum_c exp(-x_ic)); the weights are the softmax probabilities of the wrong classes."""
    jnp = use_jax().numpy
    shift = jnp.maximum(least, 0)
    worst = jnp.maximum(-margins.min(0), 0)  # > 0 only where a point is misclassified, and then the shift is 0
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
    """sum_c phi(x_ic) with phi(x) = (1 + x)^-2 for x > 0 and 1 - 2x below: a tail that is not exponential."""
    jnp = use_jax().numpy
    inverse = 1 / (1 + jnp.maximum(margins, 0))
    losses = inverse**2 + 2 * jnp.maximum(-margins, 0)
    return jnp.zeros_like(least), losses.sum(0), 2 * inverse**3


def _log1p_ratio(x: Array) -> Array:
    """log(1 + x) / x for x >= 0, also where x has underflowed."""
    jnp = use_jax().numpy
    return jnp.where(x > 0, jnp.log1p(x) / jnp.where(x > 0, x, 1), 1)


# --- the loss of a classifier -----------------------------------------------------------------------------


class Rows(NamedTuple):
    """The data as the loop wants them: columns (d, m) and labels (m,); the other rows in blocks (b, d, r), (b, r)."""

    columns: Array
    labels: Array
    blocks: Array
    block_labels: Array


class Sums(NamedTuple):
    """Sums over rows, times exp(shift): shift, loss, proxy, gradient (k, d); and the least margin."""

    shift: Array
    loss: Array
    proxy: Array
    gradient: Array
    margin: Array


def evaluate(loss: Loss, W: ArrayLike, features: ArrayLike, labels: ArrayLike) -> Record:
    """The loss of W (k, d) on features (n, d) with labels (n,).

    Returns margin m(W), log_loss log L, shift, and, times exp(shift): loss L, proxy G = mean_i sum_c r_ic, weights
    r (n, k) (0 at the label) and gradient -(1/n) sum_ic r_ic (e_y - e_c) h_i^T (k, d).
    """
    columns = np.ascontiguousarray(np.asarray(features, float).T)
    sums, weights = _evaluation(loss)(np.asarray(W, float), columns, np.asarray(labels, np.int32))
    record = Record(**{name: np.asarray(value) for name, value in sums._asdict().items()}, weights=np.asarray(weights).T)
    for name in ("loss", "proxy", "gradient"):
        setattr(record, name, getattr(record, name) / columns.shape[1])
    record.log_loss = np.log(record.loss) - record.shift
    return record


@lru_cache(maxsize=None)
def _evaluation(loss: Loss) -> Callable[..., tuple[Sums, Array]]:
    def both(W: Array, columns: Array, labels: Array) -> tuple[Sums, Array]:
        margins, _ = _margins(W, columns, labels)
        return _sums(loss, W, columns, labels), loss(margins, margins.min())[2]

    jitted: Callable[..., tuple[Sums, Array]] = use_jax().jit(both)
    return jitted


def _margins(W: Array, columns: Array, labels: Array) -> tuple[Array, Array]:
    """Margins (k, n), +inf at the label so that its exp(-x) is 0, and where the label is (k, n)."""
    jnp = use_jax().numpy
    logits = W @ columns
    own = labels == jnp.arange(W.shape[0], dtype=labels.dtype)[:, None]
    return jnp.where(own, jnp.inf, jnp.where(own, logits, 0).sum(0) - logits), own


def _sums(loss: Loss, W: Array, columns: Array, labels: Array) -> Sums:
    jnp = use_jax().numpy
    margins, own = _margins(W, columns, labels)
    least = margins.min()
    shift, losses, weights = loss(margins, least)
    pull = weights.sum(0)
    gradient = jnp.where(own, -pull, weights) @ columns.T
    return Sums(shift, losses.sum(), pull.sum(), gradient, least)


def _all_sums(loss: Loss, W: Array, rows: Rows) -> Sums:
    """As `_sums`, block by block: each in its own scale, brought to that of the least shift at the end."""
    jax = use_jax()
    rest = _sums(loss, W, rows.columns, rows.labels)
    if not rows.blocks.shape[0]:
        return rest

    def scan(W: Array, blocks: Array, labels: Array) -> Sums:
        sums: Sums = jax.lax.scan(lambda _, block: (None, _sums(loss, W, *block)), None, (blocks, labels))[1]
        return sums

    if len(jax.devices()) > 1:
        spread = jax.P("rows")
        specs = {"in_specs": (jax.P(), spread, spread), "out_specs": spread, "check_vma": False}
        scan = jax.shard_map(scan, mesh=_mesh(), **specs)
    parts = jax.tree.map(
        lambda a, b: jax.numpy.append(a, b[None], 0), scan(W, rows.blocks, rows.block_labels), rest
    )
    shift = parts.shift.min()
    factors = jax.numpy.exp(shift - parts.shift)
    loss_, proxy, gradient = (jax.numpy.tensordot(factors, part, 1) for part in parts[1:4])
    return Sums(shift, loss_, proxy, gradient, parts.margin.min())


@lru_cache(maxsize=1)
def _mesh() -> Any:
    return use_jax().make_mesh((len(use_jax().devices()),), ("rows",))


def _rows(features: NDArray[np.float64], labels: NDArray[np.int32], classes: int) -> Rows:
    """Puts the data on the device, once; what does not fill a block for every device is the rest (never empty)."""
    jax = use_jax()
    n, d = features.shape
    size = max(128, BLOCK_ENTRIES // (d + classes))
    devices = len(jax.devices())
    count = (n - 1) // (size * devices) * devices if n > 4 * size else 0
    split = count * size
    blocks = features[:split].reshape(count, size, d).transpose(0, 2, 1)
    place = jax.NamedSharding(_mesh(), jax.P("rows")) if count and devices > 1 else None
    spread = jax.device_put((np.ascontiguousarray(blocks), labels[:split].reshape(count, size)), place)
    whole = jax.NamedSharding(_mesh(), jax.P()) if place else None
    rest = jax.device_put((np.ascontiguousarray(features[split:].T), labels[split:]), whole)
    return Rows(*rest, *spread)


# --- directions as optax transformations ------------------------------------------------------------------


@lru_cache(maxsize=None)
def steepest(kind: str | float) -> Any:
    """Steepest descent in a norm: replaces updates g by D = argmax <g, D> over ||D|| <= 1; the same object every time.

    kind: "max" (sign of g), "frobenius", "spectral" (polar factor of g from the singular values above
    RANK_TOLERANCE), "sum" (one coordinate), "nuclear" (one singular pair), or p > 1 for the entrywise p-norm.
    As in optax's `scale_by_...`, D points along the gradient; the loop subtracts it.
    """
    import optax

    jax = use_jax()
    named = {"max": jax.numpy.sign, "frobenius": _frobenius, "spectral": _polar, "sum": _coordinate, "nuclear": _pair}
    if isinstance(kind, str) and kind not in named:
        raise SetupError(f"no norm {kind!r}: there are {', '.join(named)} and numbers p > 1")
    if not isinstance(kind, str) and not 1 < kind < np.inf:
        raise SetupError(f'p = {kind} is not between 1 and infinity (these two are called "sum" and "max")')
    direction = named[kind] if isinstance(kind, str) else lambda g: _entrywise(g, float(kind))
    return optax.stateless(lambda updates, _: jax.tree.map(direction, updates))


def _frobenius(g: Array) -> Array:
    return g / use_jax().numpy.sqrt((g * g).sum())


def _polar(g: Array) -> Array:
    # LAPACK's SVD of 10 x 25 takes 25 us: Gram matrix, eigh and Newton steps save nothing and lose digits
    u, s, vt = use_jax().numpy.linalg.svd(g, full_matrices=False)
    return (u * (s > RANK_TOLERANCE * s[0])) @ vt


def _pair(g: Array) -> Array:
    u, _, vt = use_jax().numpy.linalg.svd(g, full_matrices=False)
    return u[:, :1] * vt[:1]


def _coordinate(g: Array) -> Array:
    jnp = use_jax().numpy
    flat = g.ravel()
    chosen = jnp.arange(flat.size) == abs(flat).argmax()
    return jnp.where(chosen, jnp.sign(flat), 0).reshape(g.shape)


def _entrywise(g: Array, p: float) -> Array:
    dual = p / (p - 1)
    size = abs(g) / abs(g).max()
    norm = (size**dual).sum() ** (1 / dual)
    return use_jax().numpy.sign(g) * (size / norm) ** (dual - 1)


def adam_rates(rates: ArrayLike, b1: float, b2: float) -> NDArray[np.float64]:
    """Rates (T,) that make optax's Adam, which corrects the bias, take steps eta_t M_t / sqrt(V_t) without correction."""
    rates = np.asarray(rates, float)
    after = np.arange(1, len(rates) + 1)
    return rates * (1 - b1**after) / np.sqrt(1 - b2**after)


# --- loops ------------------------------------------------------------------------------------------------


def loop(
    step: Callable[..., tuple[Any, dict[str, Array]]],
    carry: Any,
    inputs: Any,
    *fixed: Any,
    keep: Mapping[str, NDArray[np.int64]] | None = None,
    chunk: int = CHUNK,
) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Runs `carry, outputs = step(carry, input, *fixed)` over inputs (T, ...), compiled.

    step: must be a module-level (or cached) function: its identity finds the compiled loop again. outputs is a dict.
    carry, inputs, fixed: pytrees of arrays; all are traced, so that other values and another T compile nothing.
    keep: for outputs that are not wanted at every step, the step numbers, increasing.
    Returns the last carry and the outputs, numpy arrays (T, ...) or (len(keep[name]), ...).
    """
    tree, run = use_jax().tree, _compiled(step, chunk)
    carry, fixed = tree.map(_strong, carry), tree.map(_strong, fixed)
    inputs = tree.map(np.asarray, inputs)
    total = len(tree.leaves(inputs)[0])
    collected: dict[str, list[NDArray[Any]]] = {}
    for start in range(0, total, chunk):
        count = min(chunk, total - start)
        part = tree.map(lambda a, at=start: _padded(a[at : at + chunk], chunk), inputs)
        carry, outputs = run(carry, part, np.int32(count), fixed)
        for name, values in outputs.items():
            wanted: Any = slice(count)
            if keep and name in keep:
                steps = np.asarray(keep[name]) - start
                wanted = steps[(steps >= 0) & (steps < count)]
            collected.setdefault(name, []).append(np.array(np.asarray(values)[wanted]))
    return carry, {name: np.concatenate(parts) for name, parts in collected.items()}


@lru_cache(maxsize=None)
def _compiled(step: Callable[..., Any], chunk: int) -> Any:
    """`chunk` inputs at most, of which the first `count` are used: a traced number, so a short chunk costs no more."""
    jax = use_jax()
    traced_once = jax.jit(step)

    def run(carry: Any, inputs: Any, count: Array, fixed: Any) -> Any:
        def at(i: Any) -> Any:
            return jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, i, keepdims=False), inputs)

        def put(buffer: Array, value: Array, i: Array) -> Array:
            return jax.lax.dynamic_update_index_in_dim(buffer, value, i, 0)

        def body(i: Array, state: Any) -> Any:
            carry, outputs = traced_once(state[0], at(i), *fixed)
            return carry, jax.tree.map(lambda buffer, value: put(buffer, value, i), state[1], outputs)

        shapes = jax.eval_shape(traced_once, carry, at(0), *fixed)[1]
        buffers = jax.tree.map(lambda s: jax.numpy.zeros((chunk, *s.shape), s.dtype), shapes)
        return jax.lax.fori_loop(0, count, body, (carry, buffers))

    return jax.jit(run)


def _strong(leaf: Any) -> Any:
    """Python numbers as arrays of a definite type, so that the second chunk looks like the first."""
    jax = use_jax()
    return leaf if isinstance(leaf, jax.Array) else jax.numpy.asarray(np.asarray(leaf))


def _padded(part: NDArray[Any], length: int) -> NDArray[Any]:
    missing = length - len(part)
    return np.pad(part, [(0, missing)] + [(0, 0)] * (part.ndim - 1)) if missing else part


# --- training runs ----------------------------------------------------------------------------------------


class State(NamedTuple):
    """What `measure` sees at step t; all but W, margin, direction and rate in the scale exp(shift)."""

    W: Array  # (k, d)
    margin: Array
    shift: Array
    loss: Array  # L(W)
    proxy: Array  # G(W)
    gradient: Array  # (k, d)
    direction: Array  # (k, d), W_{t+1} = W - rate * direction
    optimizer: Any  # optax's state after this step's update, e.g. optimizer[0].ema for the first of a chain
    rate: Array
    hyper: dict[str, Array]


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
    measure: Callable[[State], Mapping[str, Array]] | None = None,
    keep: int = 200,
) -> Record:
    """Full-batch training of W (k, d) from `start` (zeros): W_{t+1} = W_t - rates[t] * direction_t.

    features (n, d), labels (n,) in 0..k-1, rates (T,). k is `classes`, or that of `start`, or the largest label + 1.
    optimizer: `optimizer(hyper, unit) -> optax.GradientTransformation`, or such a transformation. It gets gradients
    times unit = exp(shift): multiply Adam's eps by `unit`. hyper: numbers by name.
    optimizer, loss and measure must be module-level or cached objects, `steepest(...)` for instance: the compiled loop is
    found by their identity. Everything else is traced: other numbers, or more steps, compile nothing.

    Returns, numpy float64: margin m(W_t), log_loss log L(W_t), proxy_ratio G/L, slope_ratio <grad, direction>/G, and the
    scalars that `measure(state)` names, each (T + 1,); iterates (s, k, d) at `steps` (s,), about `keep` of them,
    logarithmically spaced, with 0 and T.
    """
    labels = np.asarray(labels, np.int32)
    if start is None:
        start = np.zeros((classes or int(labels.max()) + 1, np.shape(features)[1]))
    W = np.array(start, float)
    rows = _rows(np.asarray(features, float), labels, len(W))
    numbers = {name: np.asarray(value, float) for name, value in (hyper or {}).items()}
    rates = np.append(np.asarray(rates, float), 0.0)  # the last step only looks
    steps = log_grid(len(rates) - 1, keep)
    chunk = max(1, min(CHUNK, CHUNK_BYTES // W.nbytes))
    carry = _first_carry(optimizer)(W, numbers, rows)
    _, out = loop(
        _training_step(optimizer, loss, measure), carry, rates, rows, numbers, keep={"iterates": steps}, chunk=chunk
    )
    margin, shift, loss_, proxy, slope = out.pop("basics").T.copy()
    with np.errstate(divide="ignore", invalid="ignore"):  # what is not finite is for the engine to judge
        log_loss, proxy_ratio, slope_ratio = np.log(loss_) - shift, proxy / loss_, slope / proxy
    basics = {"margin": margin, "log_loss": log_loss, "proxy_ratio": proxy_ratio, "slope_ratio": slope_ratio}
    if both := basics.keys() & out.keys():
        raise SetupError(f"measure must not return {', '.join(sorted(both))}: descend records it")
    return Record(steps=steps, **basics, **out)


def log_grid(last: int, count: int) -> NDArray[np.int64]:
    """About `count` whole numbers from 0 to `last`, both included, logarithmically spaced."""
    spaced = np.rint(np.geomspace(1, max(last, 1), max(count - 1, 2)))
    return np.unique(np.concatenate([[0, last], spaced[spaced <= last]])).astype(np.int64)


@lru_cache(maxsize=None)
def _first_carry(optimizer: Any) -> Any:
    def carry(W: Array, hyper: dict[str, Array], rows: Rows) -> Any:
        # a state of zeros came from an infinitely small scale: the first factor exp(shift - inf) is 0, never NaN
        del rows  # decides only where the carry lives
        return W, _transformation(optimizer, hyper, 1.0).init(W), use_jax().numpy.inf

    return use_jax().jit(carry)


def _transformation(optimizer: Any, hyper: dict[str, Array], unit: Any) -> Any:
    return optimizer if isinstance(optimizer, tuple) else optimizer(hyper, unit)


@lru_cache(maxsize=None)
def _training_step(optimizer: Any, loss: Loss, measure: Callable[[State], Mapping[str, Array]] | None) -> Any:
    jnp = use_jax().numpy

    def step(carry: Any, rate: Array, rows: Rows, hyper: dict[str, Array]) -> Any:
        W, inner, shift_before = carry
        n = rows.labels.size + rows.block_labels.size
        shift, loss_, proxy, gradient, margin = _all_sums(loss, W, rows)
        loss_, proxy, gradient = loss_ / n, proxy / n, gradient / n
        transformation = _transformation(optimizer, hyper, jnp.exp(jnp.minimum(shift, LARGEST_UNIT)))
        inner = _rescaled(inner, jnp.exp(shift - shift_before))
        direction, inner = transformation.update(gradient, inner, W)
        slope = (gradient * direction).sum()
        state = State(W, margin, shift, loss_, proxy, gradient, direction, inner, rate, hyper)
        outputs = {"basics": jnp.stack([margin, shift, loss_, proxy, slope]), "iterates": W}
        measured = dict(measure(state)) if measure else {}
        return (W - rate * direction, inner, shift), measured | outputs

    return step


def _rescaled(state: Any, factor: Array, degree: int | None = None, name: str = "") -> Any:
    """optax's state (nested named tuples, tuples and dicts) after the gradient's unit has grown by `factor`."""
    if hasattr(state, "_fields"):
        parts = zip(state._fields, state, strict=True)
        return type(state)(*(_rescaled(part, factor, DEGREES.get(field, degree), field) for field, part in parts))
    if isinstance(state, (tuple, list)):
        return type(state)(_rescaled(part, factor, degree, name) for part in state)
    if isinstance(state, dict):
        return {key: _rescaled(part, factor, degree, name) for key, part in state.items()}
    if state is None or not np.issubdtype(state.dtype, np.floating):
        return state
    if degree is None:
        raise SetupError(f"how does the field {name!r} of the optimiser's state scale with the gradient?")
    return state * factor**degree if degree else state
