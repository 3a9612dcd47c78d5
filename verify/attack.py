"""Worst-case search over a claim's instance space, guided by the tightness measured/bound of its checks.

Hypothesis draws instances and climbs; from the tightest of them a local search moves the floats of the instance.
What fails is made small: by Hypothesis' shrinking, then by rounding its floats to as few digits as still fail.
"""

from __future__ import annotations

import inspect
import json
import math
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from verify import statistics
from verify.claim import ASSUMPTION, Claim, Space, check_key, check_name
from verify.errors import SetupError
from verify.evaluation import compared, scaled
from verify.evidence import describe_comparison
from verify.instances import Data
from verify.relation import FAILS, HOLDS
from verify.world import World

DRAWS = 10_000  # at most; as a rule time is up before
STARTS = 4  # local searches, from the tightest instances that were drawn
SHARE_DRAWN = 0.5  # of the time; the rest is for local search
SHRINKING_SECONDS = 15.0
DIGITS = 6
NELDER_MEAD = 16  # dimensions, up to which a simplex search polishes what gradients by differences found

Report = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """One instance and the check that it strains most. score: measured/bound; data: of which it is built."""

    data: Data
    check: str
    score: float
    record: dict[str, Any] = field(repr=False)

    @property
    def fails(self) -> bool:
        """Whether it is a counterexample."""
        return bool(self.record["outcome"] == FAILS)

    @property
    def rank(self) -> tuple[bool, float]:
        """What is worse is larger."""
        return self.fails, self.score


class _Enough(BaseException):
    """Time is up. No Exception: Hypothesis would take that for a counterexample."""


def attack(
    claim: Claim,
    *,
    seconds: float = 30.0,
    seed: int = 0,
    of: str | None = None,
    falsify: Mapping[str, float] | None = None,
    report: Report = lambda text: None,
) -> list[dict[str, Any]]:
    """Searches each space of a claim (or the one that is named) for the instance that strains a check most.

    seconds: in all; seed: of the search; falsify: {reference: factor}, to see whether a claim whose reference
    is multiplied by that is caught. Returns a record for each space (see `Search.outcome`), plain data.
    Raises SetupError where there is no space, or where the checks are statistical.
    """
    claim = falsified(claim, falsify or {})
    spaces = chosen(claim, of)
    return [Search(claim, space, seed, seconds / len(spaces), report).outcome() for space in spaces]


def chosen(claim: Claim, of: str | None) -> list[Space]:
    """The spaces to search."""
    if not claim.spaces:
        raise SetupError(
            f"{claim.id}: declares no space of instances to search; add one below its instance: "
            f'@claim.space("{(claim.named("instance") or ["data"])[0]}", build=...)'
        )
    if of is not None and of not in claim.spaces:
        raise SetupError(f"{claim.id}: no space {of!r}; there is {', '.join(claim.spaces)}")
    return [space for name, space in claim.spaces.items() if of in (None, name)]


def falsified(claim: Claim, factors: Mapping[str, float]) -> Claim:
    """The claim with some references multiplied by a factor."""
    for name, factor in factors.items():
        if name not in claim.references:
            known = ", ".join(claim.references) or "none"
            raise SetupError(f"{claim.id}: no reference {name!r} to falsify; there is {known}")
        claim = claim.replace(**{name: _scaling(name, factor)})
    return claim


def _scaling(name: str, factor: float) -> Callable[..., Any]:
    """A function that asks for `name` and multiplies it."""

    def altered(**values: Any) -> Any:
        return scaled(values[name], factor)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    # what `inspect` reads; typeshed has no such attribute of a function
    vars(altered)["__signature__"] = inspect.Signature([inspect.Parameter(name, kind)])
    return altered


class Search:
    """The search of one space."""

    def __init__(self, claim: Claim, space: Space, seed: int, seconds: float, report: Report) -> None:
        self.claim, self.space, self.seed, self.seconds, self.report = claim, space, seed, seconds, report
        self.began = time.monotonic()
        self.until = self.began + seconds
        self.memo: dict[Any, Any] = {}
        self.worlds = [World(claim, 0, case, self.memo) for case in claim.each_case()]
        self.tried, self.unfit, self.raised = 0, 0, dict[str, int]()
        self.worst: dict[str, Found] = {}
        self.starts: list[Found] = []
        self.failed_at = math.inf
        asked = [check_key(name) for name in claim.checks]
        self.checks = [key for key in asked if self.depends(key)]
        self.assumptions = [name for name in claim.named(ASSUMPTION) if self.depends(name)]
        if not self.checks:
            raise SetupError(
                f"{claim.id}: no check depends on {space.of}, the instance that the space replaces"
            )

    def depends(self, key: str) -> bool:
        """Whether a check or assumption depends on the instance of the space."""
        world = self.worlds[0]
        return bool(world.key(key) != given(world, self.space.of, object()).key(key))

    def outcome(self) -> dict[str, Any]:
        """Searches, and says what was found, as plain data.

        {space, instances, unfit, raised, seconds, own: {check: tightness}, found: [{check, fails, tightness,
        data, record}]}, the worst first; own is the tightness on the instances that the claim has already.
        """
        own = self.own_tightness()
        try:
            self.draw()
            self.refine()
        except _Enough:
            pass
        worst = sorted(map(self.simplified, self.worst.values()), key=lambda found: found.rank, reverse=True)
        found = [
            {
                "check": one.check, "fails": one.fails, "tightness": one.score, "data": one.data,
                "record": one.record,
            }
            for one in worst
        ]  # fmt: skip
        return {
            "space": self.space.of, "instances": self.tried, "unfit": self.unfit, "raised": self.raised,
            "seconds": time.monotonic() - self.began, "own": own, "found": found,
        }  # fmt: skip

    def own_tightness(self) -> dict[str, float | None]:
        """How tight each check is on the claim's own instances and on what was kept; refuses statistics."""
        self.report("the claim's own instances")
        own: dict[str, float | None] = {}
        for world in self.worlds:
            for name in self.assumptions:
                compared(world, name)  # what does not depend on the instance is computed here, and once
        kept = [
            self.claim.at(self.space.of, **data) for data in self.claim.worst.get(self.space.of, {}).values()
        ]
        worlds = [World(claim, 0, case, self.memo) for claim in kept for case in claim.each_case()]
        with statistics.counting() as counter:
            for key in self.checks:
                records = [self.describe(world, key) for world in (*self.worlds, *worlds)]
                ratios = [record["tightness"] for record in records if record["tightness"] is not None]
                own[check_name(key)] = max(ratios, default=None)
        if counter.count:
            raise SetupError(
                f"{self.claim.id}: its checks on {self.space.of} are statistical ({counter.count} intervals): "
                "the worst of many noisy instances is bad luck and no counterexample; use `verify run --fresh`"
            )
        return own

    # --- one instance ------------------------------------------------------------------------------------------

    def trial(self, data: Data) -> Found | None:
        """The check that an instance strains most; None where it is no instance of the claim. Remembers it."""
        self.keep_time()
        found = self.strained_most(data)
        self.tried += found is not None
        return found

    def strained_most(self, data: Data) -> Found | None:
        """`trial`, whatever the time."""
        try:
            value = self.space.build(**data)
            found = [one for world in self.worlds for one in self.strained(world, value, data)]
        except SetupError:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}"[:200]
            self.raised[what] = self.raised.get(what, 0) + 1
            return None
        self.unfit += not found
        return max(found, default=None, key=lambda one: one.rank)

    def strained(self, world: World, value: Any, data: Data) -> Iterator[Found]:
        """Every check in one case of the claim, on an instance whose assumptions hold."""
        world = given(world, self.space.of, value)
        if any(compared(world, name).outcome != HOLDS for name in self.assumptions):
            return
        for key in self.checks:
            record = self.describe(world, key)
            found = Found(data, check_name(key), record["tightness"] or 0.0, record)
            self.remember(found)
            yield found

    def describe(self, world: World, key: str) -> dict[str, Any]:
        """The record of one check in a world."""
        return describe_comparison(check_name(key), compared(world, key), world.case)

    def remember(self, found: Found) -> None:
        """The worst of each check; of counterexamples the smallest."""
        known = self.worst.get(found.check)
        if found.fails:
            self.failed_at = min(self.failed_at, time.monotonic())
            if known is None or not known.fails or _size(found.data) < _size(known.data):
                self.worst[found.check] = found
        elif known is None or found.rank > known.rank:
            self.worst[found.check] = found
            self.report(f"{self.tried} instances, tightest {found.score:.4g} ({found.check})")

    def keep_time(self) -> None:
        """Ends the search when its time is up, and soon after the first counterexample."""
        now = time.monotonic()
        if now > self.until or now > self.failed_at + SHRINKING_SECONDS:
            raise _Enough

    # --- the two searches ----------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Hypothesis draws, climbs in tightness, and shrinks what fails."""
        import hypothesis
        from hypothesis import HealthCheck, Phase, strategies

        half = self.began + SHARE_DRAWN * self.seconds

        @hypothesis.seed(self.seed)
        @hypothesis.settings(
            max_examples=DRAWS, database=None, deadline=None, suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.target, Phase.shrink), report_multiple_bugs=False, print_blob=False,
        )  # fmt: skip
        @hypothesis.given(strategies.composite(self.space.sample)())
        def examine(drawn: Any) -> None:
            if time.monotonic() > half and self.failed_at == math.inf:
                raise _Enough
            found = self.trial(plain_data(drawn))
            hypothesis.assume(found is not None)
            assert found is not None
            hypothesis.target(found.score)
            self.starts = sorted([*self.starts, found], key=lambda one: one.rank)[-STARTS:]
            assert not found.fails, found.check

        try:
            examine()
        except AssertionError:
            pass
        except _Enough:
            self.keep_time()

    def refine(self) -> None:
        """Moves the floats of the tightest instances."""
        if self.failed_at < math.inf:
            return
        for start in reversed(self.starts):
            leaves = floats(start.data)
            if leaves:
                self.climb(start, np.array(leaves))

    def climb(self, start: Found, x: np.ndarray) -> None:
        """Local ascent of the tightness from one instance."""
        from scipy.optimize import minimize

        def loss(x: np.ndarray) -> float:
            found = self.trial(with_floats(start.data, x.tolist()))
            if found is not None and found.fails:
                raise _Enough
            return 0.0 if found is None else -found.score

        x = minimize(loss, x, method="L-BFGS-B", options={"maxiter": 200}).x
        if len(x) <= NELDER_MEAD:
            minimize(loss, x, method="Nelder-Mead", options={"maxfev": 200 * len(x), "xatol": 1e-10})

    def simplified(self, found: Found) -> Found:
        """A counterexample with its floats rounded to as few digits as still fail the same check."""
        if not found.fails:
            return found
        for digits in range(DIGITS):
            data = with_floats(found.data, [round(x, digits) for x in floats(found.data)])
            other = self.strained_most(data)
            if other is not None and other.fails and other.check == found.check:
                return other
        return found


def examine(
    claim: Claim, of: str, data: Data, falsify: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """The records of the checks on one instance of a space. SetupError where it is no instance of the claim."""
    claim = falsified(claim, falsify or {})
    search = Search(claim, chosen(claim, of)[0], 0, math.inf, lambda text: None)
    if search.trial(data) is None:
        why = next(iter(search.raised), "an assumption does not hold")
        raise SetupError(f"{claim.id}: the data are no instance of {of}: {why}")
    worst = sorted(search.worst.values(), key=lambda found: found.rank, reverse=True)
    return [found.record for found in worst]


def given(world: World, of: str, value: Any) -> World:
    """The world with one instance fixed; what depends on it is computed in a memo of its own."""
    altered = copy(world)
    altered.given, altered.memo, altered._keys = {of: value}, ChainMap({}, world.memo), {}
    return altered


def plain_data(drawn: Any) -> dict[str, Any]:
    """What was drawn as JSON would give it back: lists in place of arrays."""
    if not isinstance(drawn, Mapping):
        raise SetupError(f"a space draws a dict of plain data, not {type(drawn).__name__}")

    def lists(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            return value.tolist()
        raise SetupError(f"a space draws plain data; {type(value).__name__} is none")

    plain: dict[str, Any] = json.loads(json.dumps(dict(drawn), default=lists, allow_nan=False))
    return plain


def floats(data: Any) -> list[float]:
    """The floats in plain data, in order."""
    if isinstance(data, float):
        return [data]
    items: Sequence[Any] = (
        list(data.values()) if isinstance(data, dict) else data if isinstance(data, list) else []
    )
    return [x for item in items for x in floats(item)]


def with_floats(data: Any, values: Sequence[float]) -> Any:
    """The data with its floats replaced, in the same order."""
    left = iter(values)

    def put(item: Any) -> Any:
        if isinstance(item, float):
            return float(next(left))
        if isinstance(item, dict):
            return {key: put(value) for key, value in item.items()}
        return [put(value) for value in item] if isinstance(item, list) else item

    return put(data)


def _size(data: Data) -> tuple[int, str]:
    text = json.dumps(data)
    return len(text), text


# --- in a worker ---------------------------------------------------------------------------------------------


def work(root: str, claim_id: str, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`attack` on a claim of the project at `root`, or `examine` if the options hold an instance."""
    from verify.suite import import_claim
    from verify.workers import Task, reporter

    claim = import_claim(Path(root), claim_id)
    if "data" in options:
        return examine(claim, **options)
    return attack(claim, report=reporter(Task(claim_id)), **options)
