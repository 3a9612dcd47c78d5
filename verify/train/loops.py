"""jax on first use, and compiled loops of any length."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any  # a jax array, or the tracer that stands for one while a loop is compiled

CHUNK = 1000  # steps in one call of a compiled loop


@cache
def use_jax() -> Any:
    """The module jax, in float64 and with its persistent compilation cache on (a user's own one is kept)."""
    import jax

    config: Any = jax.config
    config.update("jax_enable_x64", True)
    if not config.jax_compilation_cache_dir:
        config.update("jax_compilation_cache_dir", str(_cache_folder()))
        config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return jax


def _cache_folder() -> Path:
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        base = Path(chosen)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return base / "verify" / "jax"


def key(rng: np.random.Generator) -> Array:
    """A jax PRNG key drawn from a numpy generator."""
    return use_jax().random.key(int(rng.integers(2**63)))


def loop(
    step: Callable[..., tuple[Any, dict[str, Array]]],
    carry: Any,
    inputs: Any,
    *fixed: Any,
    keep: Mapping[str, NDArray[np.int64]] | None = None,
    chunk: int = CHUNK,
) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Runs `carry, outputs = step(carry, input, *fixed)` over inputs (T, ...), compiled.

    step: a module-level (or cached) function, whose identity finds the compiled loop again. outputs: a dict.
    carry, inputs, fixed: pytrees of arrays. They are traced: other values and another T compile nothing.
    keep: for outputs that are not wanted at every step, the increasing step numbers at which they are.
    chunk: steps in one call; outputs of so many steps are held on the device.
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
            wanted = _wanted((keep or {}).get(name), start, count)
            collected.setdefault(name, []).append(np.array(np.asarray(values)[wanted]))
    return carry, {name: np.concatenate(parts) for name, parts in collected.items()}


@cache
def _compiled(step: Callable[..., Any], chunk: int) -> Any:
    """The loop over `chunk` inputs, of which it runs the first `count`: traced, so fewer steps cost less."""
    jax = use_jax()
    step = jax.jit(step)  # traced once, though used twice below

    def run(carry: Any, inputs: Any, count: Array, fixed: Any) -> Any:
        def at(i: Any) -> Any:
            return jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, i, keepdims=False), inputs)

        def body(i: Array, state: Any) -> Any:
            carry, outputs = step(state[0], at(i), *fixed)
            put = jax.lax.dynamic_update_index_in_dim
            return carry, jax.tree.map(lambda buffer, value: put(buffer, value, i, 0), state[1], outputs)

        shapes = jax.eval_shape(step, carry, at(0), *fixed)[1]
        buffers = jax.tree.map(lambda s: jax.numpy.zeros((chunk, *s.shape), s.dtype), shapes)
        return jax.lax.fori_loop(0, count, body, (carry, buffers))

    return jax.jit(run)


def _strong(leaf: Any) -> Any:
    """Python numbers as arrays of a definite type, so that the second chunk looks like the first."""
    jax = use_jax()
    if isinstance(leaf, jax.Array) and not getattr(leaf, "weak_type", False):
        return leaf
    return jax.numpy.asarray(leaf, leaf.dtype if isinstance(leaf, jax.Array) else np.asarray(leaf).dtype)


def _padded(part: NDArray[Any], length: int) -> NDArray[Any]:
    missing = length - len(part)
    return np.pad(part, [(0, missing)] + [(0, 0)] * (part.ndim - 1)) if missing else part


def _wanted(steps: NDArray[np.int64] | None, start: int, count: int) -> Any:
    """What of a chunk is kept: its steps that are among `steps`, or all of them."""
    if steps is None:
        return slice(count)
    inside = np.asarray(steps) - start
    return inside[(inside >= 0) & (inside < count)]


def log_grid(last: int, count: int) -> NDArray[np.int64]:
    """About `count` whole numbers from 0 to `last`, both included, logarithmically spaced."""
    spaced = np.rint(np.geomspace(1, max(last, 1), max(count - 1, 2)))
    return np.unique(np.concatenate([[0, last], spaced[spaced <= last]])).astype(np.int64)
