"""Verdicts: the first row of the table that applies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verify.interval import GRADES, STATED
from verify.relation import FAILS, HOLDS, UNDECIDED

ERROR, INVALID, REFUTED, VACUOUS, VERIFIED = "error", "invalid", "refuted", "vacuous", "verified"
VERDICTS = (VERIFIED, REFUTED, UNDECIDED, VACUOUS, INVALID, ERROR)


def judge(data: Mapping[str, Any]) -> tuple[str, str]:
    """(verdict, reason) from the recorded error, assumptions, checks and controls."""
    if data["error"] is not None:
        kind = INVALID if data["error_kind"] == INVALID else ERROR
        return kind, str(data["error"]).strip().splitlines()[-1]
    assumptions, checks, controls = data["assumptions"], data["checks"], data["controls"]
    named = {control["must_fail"] for control in controls}
    rows = (
        (INVALID, "assumption {} fails", _with(assumptions, FAILS)),
        (UNDECIDED, "assumption {} is undecided", _with(assumptions, UNDECIDED)),
        (REFUTED, "check {} fails", _with(checks, FAILS)),
        (UNDECIDED, "check {} is undecided", _with(checks, UNDECIDED)),
        (VACUOUS, "control {} passes the check that it must fail", _with(controls, HOLDS)),
        (VACUOUS, "no control must fail check {}", [c["name"] for c in checks if c["name"] not in named]),
        (UNDECIDED, "control {} is undecided", _with(controls, UNDECIDED)),
    )
    for verdict, reason, names in rows:
        if names:
            return verdict, reason.format(", ".join(names))
    return VERIFIED, "every check holds and every control is rejected"


def weakest_grade(checks: list[dict[str, Any]]) -> str | None:
    """The weakest grade among both sides of the checks."""
    grades = [check[side]["grade"] for check in checks for side in ("measured", "bound")]
    return min(grades, key=GRADES.index) if grades else None


def misuse_of_stated(kind: str, checks: list[dict[str, Any]]) -> str | None:
    """In a theorem or lemma a number that somebody chose may be a resolution, not a side of a check."""
    if kind not in ("theorem", "lemma"):
        return None
    for check in checks:
        for side in ("measured", "bound"):
            if STATED in check[side]["because"]:
                return (
                    f"check {check['name']}: its {side} side rests on a stated number "
                    f"({check[side]['because']}), which a {kind} may use as a resolution only"
                )
    return None


def stated_numbers(checks: list[dict[str, Any]]) -> int:
    """How many checks rest on a number that somebody chose."""
    return sum(
        any(STATED in check[side]["because"] for side in ("measured", "bound", "within")) for check in checks
    )


def _with(records: list[dict[str, Any]], outcome: str) -> list[str]:
    return [record["name"] for record in records if record["outcome"] == outcome]
