"""Evidence: everything one evaluation (claim, seed, size) produced, as plain JSON data and plain arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from verify.errors import SetupError
from verify.interval import Interval
from verify.record import Record
from verify.relation import Comparison

KEPT_BYTES = 1_000_000
ARRAY_BYTES = 100_000  # of one array, thinned: a trajectory of matrices is not for a figure
CURVE_POINTS = 400
PRINTED_BITS = 8192  # of an exact number in JSON


@dataclass
class Evidence:
    """What one evaluation produced.

    data: strict-JSON data (see `entry`); arrays: what the figure is drawn from, by the names used in data.
    """

    data: dict[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The claim's id."""
        return str(self.data["id"])

    @property
    def verdict(self) -> str:
        """What the evidence says."""
        return str(self.data["verdict"])

    @property
    def grade(self) -> str | None:
        """The weakest grade that its checks use."""
        return self.data["grade"]  # type: ignore[no-any-return]

    @property
    def cases(self) -> list[dict[str, Any]]:
        """The claim's cases, each {name: value}."""
        return [world["case"] for world in self.data["worlds"] if world["control"] is None]

    @property
    def controls(self) -> list[str]:
        """Names of the controls that left something for the figure."""
        names = (world["control"] for world in self.data["worlds"])
        return list(dict.fromkeys(name for name in names if name is not None))

    def check(self, name: str) -> dict[str, Any]:
        """The record of one check."""
        return next(check for check in self.data["checks"] if check["name"] == name)

    def curve(self, check: str, control: str | None = None, **case: Any) -> Record:
        """The two sides of a check in one case, or in a control that must fail it.

        Returns Record(measured, bound, within, and the coordinates of the entries), thinned as in `of`.
        """
        found: Record = self.of(f"check[{check}]", control, **case)
        return found

    def has(self, name: str, control: str | None = None, **case: Any) -> bool:
        """Whether a quantity was kept (see `of`)."""
        return self._tree(name, control, case) is not None

    def of(self, name: str, control: str | None = None, **case: Any) -> Any:
        """A kept quantity of one case, or of a control: intervals, arrays, records of them.

        Arrays that were longer than 400 entries are thinned on a logarithmic grid, all alike; what is still
        larger than 100 kB is left out of its record.
        """
        tree = self._tree(name, control, case)
        if tree is None:
            kept = sorted({name for world in self.data["worlds"] for name in world["values"]})
            where = f" in control {control!r}" if control else ""
            raise SetupError(
                f"{self.id}: evidence keeps no {name!r}{where} for {case}; it keeps {', '.join(kept)}"
                + (
                    f"; left out for size: {', '.join(self.data['left_out'])}"
                    if self.data["left_out"]
                    else ""
                )
            )
        return unpack(tree, self.arrays)

    def _tree(self, name: str, control: str | None, case: Mapping[str, Any]) -> Any:
        for world in self.data["worlds"]:
            same = all(world["case"].get(key) == plain(value) for key, value in case.items())
            if world["control"] == control and same and name in world["values"]:
                return self.data["trees"].get(world["values"][name])
        return None


class Keeper:
    """Packs quantities into JSON trees and thinned arrays, up to ARRAY_BYTES each and KEPT_BYTES in all."""

    def __init__(self) -> None:
        self.trees: dict[str, Any] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.left_out: list[str] = []
        self.bytes = 0
        self._names: dict[str, str] = {}

    def keep(self, name: str, key: str, value: Any) -> str | None:
        """Keeps the value unless that is done already; its name in `trees`, or None if there is no room.

        key: equal for equal values within one process; the names do not depend on it.
        """
        if key in self._names:
            return self._names[key]
        arrays: dict[str, np.ndarray] = {}
        tree = pack(value, f"a{len(self.arrays)}", arrays)
        size = sum(array.nbytes for array in arrays.values())
        if tree is None or self.bytes + size > KEPT_BYTES:
            if name not in self.left_out:
                self.left_out.append(name)
            return None
        self.bytes += size
        self._names[key] = f"v{len(self.trees)}"
        self.trees[self._names[key]] = tree
        self.arrays |= arrays
        return self._names[key]


def pack(value: Any, prefix: str, arrays: dict[str, np.ndarray]) -> Any:
    """A JSON tree for a value, its arrays added to `arrays`; None for what can't be kept."""
    if isinstance(value, Interval):
        ends = [pack(_float_end(end), prefix, arrays) for end in (value.lower, value.upper)]
        if None in ends:
            return None
        return {"interval": ends, "grade": value.grade, "because": value.because}
    if isinstance(value, np.ndarray) and value.dtype == object and _is_exact(value):
        value = _float_end(value)  # as the ends of intervals are kept
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and value.ndim:
        short = thinned(value)
        if short.nbytes > ARRAY_BYTES:
            return None
        name = f"{prefix}_{len(arrays)}"
        arrays[name] = short
        return {"array": name}
    if isinstance(value, Record) or (isinstance(value, Mapping) and all(isinstance(k, str) for k in value)):
        items = vars(value) if isinstance(value, Record) else value
        fields = {key: pack(item, prefix, arrays) for key, item in items.items()}
        return {"record": {key: tree for key, tree in fields.items() if tree is not None}}
    if isinstance(value, list | tuple):
        return {"list": [pack(item, prefix, arrays) for item in value]}
    if value is None or isinstance(value, str | bool | int | float | np.generic | np.ndarray | Fraction):
        return {"plain": plain(value)}
    return None


def unpack(tree: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The inverse of `pack`, up to thinning and the rounding of exact numbers."""
    if tree is None:
        return None
    if "interval" in tree:
        lower, upper = (_end(unpack(end, arrays)) for end in tree["interval"])
        return Interval(
            -math.inf if lower is None else lower,
            math.inf if upper is None else upper,
            tree["grade"],
            tree["because"],
        )
    if "array" in tree:
        return arrays[tree["array"]]
    if "record" in tree:
        return Record(**{key: unpack(item, arrays) for key, item in tree["record"].items()})
    if "list" in tree:
        return [unpack(item, arrays) for item in tree["list"]]
    return tree["plain"]


def thinned(array: np.ndarray) -> np.ndarray:
    """At most CURVE_POINTS entries along the first axis, on a logarithmic grid with both ends."""
    count = len(array)
    if count <= CURVE_POINTS:
        return np.ascontiguousarray(array)
    grid = np.unique(np.round(np.geomspace(1, count, CURVE_POINTS)).astype(int)) - 1
    return np.ascontiguousarray(array[grid])


def plain(value: Any) -> Any:
    """The nearest thing in strict JSON: unbounded numbers are null, what is no data is its repr."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | np.integer):
        return int(value) if abs(int(value)) < 2**53 else _in_words(int(value))
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Fraction):
        return _in_words(value)
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return getattr(value, "__qualname__", None) or repr(value)


def _in_words(number: int | Fraction) -> str:
    """Its digits, or how long it is where they might be more than Python prints."""
    bits = number.numerator.bit_length() + number.denominator.bit_length()
    return str(number) if bits <= PRINTED_BITS else f"a number of {bits} bits"


def describe(value: Interval) -> dict[str, Any]:
    """A scalar interval in JSON; exact ends that are no float also as text."""
    ends = {"lower": plain(_float_end(value.lower)), "upper": plain(_float_end(value.upper))}
    record = {**ends, "grade": value.grade, "because": value.because}
    if value.is_exact and value.lower == value.upper:
        record["exact"] = _in_words(value.lower)
    return record


def describe_comparison(name: str, comparison: Comparison, case: Mapping[str, Any]) -> dict[str, Any]:
    """The record of one check in one case, with its decisive entry."""
    index = comparison.decisive()
    measured, bound, within, at = comparison.entry(index)
    return {
        "name": name,
        "relation": comparison.relation,
        "measured": describe(measured),
        "bound": describe(bound),
        "within": {"value": plain(_float_end(within.upper)), "because": within.because},
        "outcome": comparison.outcome,
        "points": int(np.prod(comparison.shape, dtype=int)),
        "at": plain({**case, **at}),
        "tightness": tightness(comparison),
    }


def tightness(comparison: Comparison) -> float | None:
    """The largest measured / bound over the entries of an inequality whose bound is positive."""
    if comparison.relation == "=":
        return None
    measured = np.broadcast_to(np.asarray(comparison.measured.middle, dtype=float), comparison.shape)
    bound = np.broadcast_to(np.asarray(comparison.bound.middle, dtype=float), comparison.shape)
    usable = np.isfinite(measured) & np.isfinite(bound) & (bound > 0)
    if not usable.any():
        return None
    with np.errstate(over="ignore"):
        return plain(float(np.max(measured[usable] / bound[usable])))  # type: ignore[no-any-return]


def _is_exact(array: np.ndarray) -> bool:
    return all(isinstance(x, int | Fraction) for x in array.flat)


def _float_end(end: Any) -> Any:
    if isinstance(end, np.ndarray):
        if end.dtype != object:
            return end.astype(float)
        return np.array([_float_end(x) for x in end.flat], dtype=float).reshape(end.shape)
    try:
        return float(end)
    except OverflowError:
        return math.inf if end > 0 else -math.inf


def _end(end: Any) -> Any:
    return np.asarray(end, dtype=float) if isinstance(end, list) else end
