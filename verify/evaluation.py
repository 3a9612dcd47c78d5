"""One claim, one seed: from the claim's graph to evidence."""

from __future__ import annotations

import time
import traceback
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from verify import statistics
from verify.claim import ASSUMPTION, INSTANCE, MEASUREMENT, REFERENCE, RUN, Alteration, Claim, check_key
from verify.errors import CertificateError, NotAValueError, SetupError
from verify.evidence import Evidence, Keeper, describe_comparison, plain
from verify.interval import Interval
from verify.record import Record
from verify.relation import FAILS, HOLDS, UNDECIDED, Comparison
from verify.verdict import ERROR, INVALID, judge, stated_numbers, weakest_grade
from verify.world import World

SIZES = ("quick", "full")
SMALLEST_CHANGE, LARGEST_CHANGE, HALVINGS = 1e-9, 10.0, 12


def evaluate(
    claim: Claim,
    seed: int = 0,
    size: str = "quick",
    *,
    alpha: float = statistics.ALPHA,
    report: Callable[[str], None] = lambda phase: None,
    with_power: bool = True,
    **parameters: Any,
) -> Evidence:
    """Evaluates a claim with its controls and ablations, here and now.

    seed: of the instance and of the run; size: "quick" or "full" (the claim's `full` parameters);
    alpha: error probability of a statistical interval, for calibration only; report: is told each phase;
    with_power: whether to look for the smallest change that is noticed, on which the verdict does not depend;
    parameters: values that replace defaults of the claim.
    Raises SetupError when the claim is not well formed; what its code raises becomes verdict `error`.
    """
    if size not in SIZES:
        raise SetupError(f"size is {' or '.join(SIZES)}, not {size!r}")
    claim.validate()
    sized = claim.sized(size).replace(**parameters)
    data: dict[str, Any] = {
        "id": claim.id, "seed": seed, "size": size, "parameters": _parameters(sized),
        "assumptions": [], "checks": [], "controls": [], "ablations": [], "power": {},
        "error": None, "error_kind": None,
    }  # fmt: skip
    keeper, started = Keeper(), time.perf_counter()
    with statistics.error_probability(alpha), statistics.counting() as counter:
        try:
            _Evaluation(sized, seed, data, keeper, report).everything(with_power)
        except Exception as error:
            data["error"], data["error_kind"] = _explain(error), _kind(error)
    data["seconds"] = time.perf_counter() - started
    data["statistical_intervals"] = counter.count
    data["stated"] = stated_numbers(data["checks"])
    data["grade"] = weakest_grade(data["checks"])
    data["verdict"], data["reason"] = judge(data)
    data.setdefault("worlds", [])
    data["trees"], data["left_out"] = keeper.trees, keeper.left_out
    return Evidence(data, keeper.arrays)


class _Evaluation:
    """The steps of one evaluation; whatever is found before an error stays in `data`."""

    def __init__(
        self, claim: Claim, seed: int, data: dict[str, Any], keeper: Keeper, report: Callable[[str], None]
    ) -> None:
        self.claim, self.seed, self.data, self.keeper, self.report = claim, seed, data, keeper, report
        self.memo: dict[Any, Any] = {}
        self.worlds = [World(claim, seed, case, self.memo) for case in claim.each_case()]
        self.worst = [world for kept in worst_claims(claim) for world in self.at(*kept)]
        self.own: dict[tuple[str, str], Comparison] = {}
        self.seen: list[tuple[World, str | None, list[str]]] = [(w, None, claim.checks) for w in self.worlds]
        data["worlds"] = []

    def everything(self, with_power: bool) -> None:
        """Assumptions, checks, controls, ablations, power; what was found until an error is kept."""
        try:
            self.judged()
        finally:
            self.keep()
        if with_power:
            self.report("power")
            self.data["power"] = self.power()

    def judged(self) -> None:
        """What the verdict rests on, and the ablations."""
        for name in self.claim.named(ASSUMPTION):
            self.report(f"assumption {name}")
            found = [(case, compared(world, name)) for world, case in self.asked(name)]
            self.data["assumptions"].append(_for_all(name, found))
        for name in self.claim.checks:
            self.report(f"check {name}")
            self.data["checks"].append(self.check(name))
        for control in self.claim.controls.values():
            self.report(f"control {control.name}")
            self.data["controls"].append(self.altered(control))
        for ablation in self.claim.ablations.values():
            self.report(f"ablation {ablation.name}")
            self.data["ablations"].append(self.altered(ablation))

    def check(self, name: str) -> dict[str, Any]:
        """One check over all cases."""
        found = []
        for world, case in self.asked(check_key(name)):
            comparison = compared(world, check_key(name))
            self.own[name, repr(case)] = comparison
            found.append((case, comparison))
        return _for_all(name, found)

    def at(self, name: str, claim: Claim) -> list[tuple[World, dict[str, Any]]]:
        """The claim on an instance that an attack found, in every case, which then also names the instance."""
        cases = self.claim.each_case()
        return [(World(claim, self.seed, case, self.memo), {**case, "instance": name}) for case in cases]

    def asked(self, key: str) -> Iterator[tuple[World, dict[str, Any]]]:
        """The worlds in which a check or assumption is made; an attack's instances if it depends on them."""
        yield from ((world, world.case) for world in self.worlds)
        own = {world.key(key) for world in self.worlds}
        yield from ((world, case) for world, case in self.worst if world.key(key) not in own)

    def altered(self, alteration: Alteration) -> dict[str, Any]:
        """A control or ablation: its check, with the resolution of the claim's own world, in each case."""
        claim = self.claim.replace(**alteration.changes)
        found = []
        for case in self.claim.cases_of(alteration):
            world = World(claim, self.seed, case, self.memo)
            self.seen.append((world, alteration.name, [alteration.check]))
            own = self.own[alteration.check, repr(case)]
            found.append((case, compared(world, check_key(alteration.check)).resolved(own.within)))
        # rejected means rejected in every case: the case that passes most easily decides
        order = (HOLDS, UNDECIDED, FAILS)
        case, comparison = min(found, key=lambda pair: order.index(pair[1].outcome))
        record = describe_comparison(alteration.name, comparison, case)
        record |= {"must_fail": alteration.check, "rejected": record["outcome"] == FAILS}
        record["changes"] = plain(dict(alteration.changes))
        record["outcomes"] = [{"case": plain(c), "outcome": k.outcome} for c, k in found]
        return record

    def keep(self) -> None:
        """Keeps what the figure may need, until there is no room: what was compared, then what was computed."""
        kept: list[dict[str, str]] = [{} for _ in self.seen]
        for (world, _, checks), values in zip(self.seen, kept, strict=True):
            self.put(world, [check_key(name) for name in checks], values)
        for role in (REFERENCE, MEASUREMENT, RUN, INSTANCE):
            for (world, _, _), values in zip(self.seen, kept, strict=True):
                self.put(world, world.claim.named(role), values)
        for (world, control, _), values in zip(self.seen, kept, strict=True):
            self.data["worlds"].append({"control": control, "case": plain(world.case), "values": values})

    def put(self, world: World, names: list[str], values: dict[str, str]) -> None:
        """Adds {name: its name in `trees`} for the names that were computed and fit."""
        for name in names:
            if world.is_computed(name):
                value = world.value(name)
                if isinstance(value, Comparison):
                    value = Record(
                        measured=value.measured, bound=value.bound, within=value.within, **value.at
                    )
                kept = self.keeper.keep(name, world.key(name), value)
                values |= {name: kept} if kept else {}

    def power(self) -> dict[str, dict[str, float | None]]:
        """For each reference the smallest relative change, up and down, that fails some check."""
        return {
            name: {"up": self.smallest_change(name, +1), "down": self.smallest_change(name, -1)}
            for name in self.claim.named(REFERENCE)
            if any(world.is_computed(name) and has_values(world.value(name)) for world in self.worlds)
        }

    def smallest_change(self, name: str, sign: int) -> float | None:
        """By bisection on a logarithmic scale, to about 1%; None if even the largest goes unnoticed."""
        high = LARGEST_CHANGE if sign > 0 else 1.0
        if not self.notices(name, 1 + sign * high):
            return None
        low = SMALLEST_CHANGE
        if weakest_grade(self.data["checks"]) == "exact" and self.notices(name, 1 + sign * low):
            return low
        for _ in range(HALVINGS):
            middle = (low * high) ** 0.5
            low, high = (low, middle) if self.notices(name, 1 + sign * middle) else (middle, high)
        return float(f"{high:.3g}")

    def notices(self, name: str, factor: float) -> bool:
        """Whether some check fails once the reference is multiplied by the factor, all else as it was."""
        for world in self.worlds:
            if not world.is_computed(name):
                continue
            given = {n: world.value(n) for n in self.claim.named(REFERENCE) if world.is_computed(n)}
            before = World(self.claim, self.seed, world.case, self.memo, given)
            changed = given | {name: scaled(given[name], factor)}
            after = World(self.claim, self.seed, world.case, ChainMap({}, self.memo), changed)
            if any(self.rejects(before, after, check) for check in self.claim.checks):
                return True
        return False

    def rejects(self, before: World, after: World, check: str) -> bool:
        """Whether a check that depends on what was changed now fails; no value at all is noticed as well."""
        key = check_key(check)
        if before.key(key) == after.key(key):
            return False
        try:
            return compared(after, key).resolved(self.own[check, repr(after.case)].within).outcome == FAILS
        except (CertificateError, NotAValueError):
            return True


def worst_claims(claim: Claim) -> list[tuple[str, Claim]]:
    """(name, altered claim) for the instances that attacks have found and somebody kept."""
    return [
        (name, claim.at(of, **data))
        for of, instances in claim.worst.items()
        for name, data in instances.items()
    ]


def compared(world: World, name: str) -> Comparison:
    """The comparison that a check or assumption makes in a world."""
    value = world.value(name)
    if not isinstance(value, Comparison):
        raise NotAValueError(
            f"{name} returned {type(value).__name__}, not a comparison: end it with at_most, equal or less"
        )
    return value


def has_values(value: Any) -> bool:
    """Whether there is an interval in it to scale."""
    if isinstance(value, Interval):
        return True
    if isinstance(value, Record):
        value = vars(value)
    if isinstance(value, Mapping):
        value = list(value.values())
    return isinstance(value, list | tuple) and any(has_values(item) for item in value)


def scaled(value: Any, factor: float) -> Any:
    """Every interval in the value multiplied by the factor."""
    if isinstance(value, Interval):
        return value * (Fraction(factor) if value.is_exact else factor)
    if isinstance(value, Record):
        return Record(**{key: scaled(item, factor) for key, item in vars(value).items()})
    if isinstance(value, Mapping):
        return {key: scaled(item, factor) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(scaled(item, factor) for item in value)
    return value


def _for_all(name: str, found: Sequence[tuple[Mapping[str, Any], Comparison]]) -> dict[str, Any]:
    """One record for all cases: the worst outcome, its case decisive."""
    order = (FAILS, UNDECIDED, HOLDS)
    records = [describe_comparison(name, comparison, case) for case, comparison in found]
    ratios = [record["tightness"] for record in records]
    worst = min(
        records,
        key=lambda record: (order.index(record["outcome"]), -(record["tightness"] or 0.0)),
    )
    points = sum(record["points"] for record in records)
    grades = weakest_grade(records)
    best = max(ratios, default=None) if all(ratio is not None for ratio in ratios) else None
    each = [{"case": plain(case), **_brief(record)} for (case, _), record in zip(found, records, strict=True)]
    return {**worst, "points": points, "grade": grades, "tightness": best, "cases": each}


def _parameters(claim: Claim) -> dict[str, Any]:
    """The parameters that are the same in every case."""
    varied = claim.each_case()[0]
    return {name: plain(value) for name, value in claim.parameters().items() if name not in varied}


def _brief(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("outcome", "measured", "bound", "within", "at", "tightness")}


def _kind(error: Exception) -> str:
    return INVALID if isinstance(error, CertificateError) else ERROR


def _explain(error: Exception) -> str:
    """Where in the claim's code it happened, and what."""
    frames = traceback.extract_tb(error.__traceback__)
    engine = Path(__file__).parent
    own = [frame for frame in frames if engine not in Path(frame.filename).parents]
    lines = [f"{Path(f.filename).name}:{f.lineno} in {f.name}: {f.line}" for f in own[-3:]]
    return "\n".join([*lines, f"{type(error).__name__}: {error}"])
