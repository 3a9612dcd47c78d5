"""Results as the JSON that scripts and CI read, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from verify.verdict import ERROR, VERDICTS, misuse_of_stated
from verify.workers import SETUP

if TYPE_CHECKING:
    from verify.execute import Result
    from verify.paper_map import PaperMap

SCHEMA = 1
INTERNAL = ("worlds", "trees", "left_out")  # what the figure is drawn from

Entry = dict[str, Any]


def entry(paper_map: PaperMap, result: Result) -> Entry:
    """One (claim, seed, size): its evidence and what the map says about it, in strict JSON.

    expected: a verdict, or a list of them for a conjecture. ok: whether the verdict is an expected one.
    figure: null as long as it is not drawn; it shows seed 0, quick.
    """
    task, row = result.task, paper_map.row(result.task.claim_id)
    data = {name: value for name, value in result.evidence.data.items() if name not in INTERNAL}
    misuse = misuse_of_stated(row.kind, data["checks"])
    if misuse is not None and data["error"] is None:
        data |= {"verdict": ERROR, "reason": misuse, "error": misuse, "error_kind": ERROR}
    figure = f"figures/{task.claim_id}.svg"
    shown = (task.seed, task.size, task.parameters) == (0, "quick", ()) and (
        paper_map.root / figure
    ).is_file()
    return data | {
        "kind": row.kind,
        "title": row.title,
        "expected": row.expected[0] if len(row.expected) == 1 else list(row.expected),
        "ok": data["verdict"] in row.expected,
        "cached": result.cached,
        "key": result.key,
        "figure": figure if shown else None,
    }


def summary(entries: Sequence[Entry]) -> dict[str, Any]:
    """The whole in a few numbers.

    statistical_intervals: the most that one seed and size used; each is wrong with probability 1e-6, so that
    within the budget an unexpected verdict comes by chance with probability 1e-3 at most.
    """
    from verify.statistics import BUDGET

    used: Counter[tuple[int, str]] = Counter()
    for item in entries:
        used[item["seed"], item["size"]] += item["statistical_intervals"]
    verdicts = Counter(item["verdict"] for item in entries)
    most = max(used.values(), default=0)
    return {
        "claims": len({item["id"] for item in entries}),
        "evaluations": len(entries),
        "as_expected": sum(item["ok"] for item in entries),
        "verdicts": {verdict: verdicts[verdict] for verdict in VERDICTS if verdicts[verdict]},
        "cached": sum(item["cached"] for item in entries),
        "stated": sum(item["stated"] for item in entries),
        "statistical_intervals": {"used": most, "budget": BUDGET, "within": most <= BUDGET},
        "seconds": sum(item["seconds"] for item in entries),
    }


def document(entries: Sequence[Entry]) -> dict[str, Any]:
    """What `verify run --json` prints."""
    return {"schema": SCHEMA, "claims": list(entries), "summary": summary(entries)}


def exit_code(entries: Sequence[Entry]) -> int:
    """0: every verdict is an expected one; 1: some is not; 2: some claim is set up wrongly."""
    if any(item["error_kind"] == SETUP for item in entries):
        return 2
    return 0 if all(item["ok"] for item in entries) else 1
