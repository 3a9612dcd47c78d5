"""What there is on papers and claims, from the map and the store: for `verify list` and `verify show`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from verify import explain, notation, outcome
from verify.errors import SetupError
from verify.execute import Result
from verify.key import Keys
from verify.statement import statement
from verify.store import Store
from verify.suite import Suite
from verify.workers import Task

CURRENT, STALE, NOT_RUN = "current", "stale", "not run"
KNOWN = {
    "exact": "read in the paper",
    "summary": "known from a summary",
    "abstract": "known from the abstract",
    "reconstructed": "reconstructed",
}


@dataclass(frozen=True)
class Known:
    """The evidence that there is for a claim (seed 0, quick), and whether it is current."""

    state: str
    entry: dict[str, Any] | None = None
    data: dict[str, Any] | None = None


class Catalogue:
    """The claims of a suite with what is known of each. No claim is imported for it."""

    def __init__(self, suite: Suite) -> None:
        self.suite, self.map = suite, suite.map
        self.keys, self.store = Keys(suite.map), Store(suite.root)

    def known(self, claim_id: str) -> Known:
        """Current evidence, else the latest."""
        task = Task(claim_id)
        key = self.keys.evidence(claim_id, task.seed, task.size, task.parameters)
        evidence, state = self.store.read(task, key), CURRENT
        if evidence is None:
            evidence, state = self.store.latest(task), STALE
        if evidence is None:
            return Known(NOT_RUN)
        return Known(state, outcome.entry(self.map, Result(task, evidence, key, cached=True)), evidence.data)

    def papers(self, only_findings: bool = False) -> list[dict[str, Any]]:
        """The JSON of `verify list`: papers with their claims and what is not checkable."""
        found = (self.paper(slug, only_findings) for slug in self.map.papers)
        return [paper for paper in found if paper["claims"] or not only_findings]

    def paper(self, slug: str, only_findings: bool = False) -> dict[str, Any]:
        """One paper of the list."""
        paper = self.map.papers[slug]
        rows = (name for name, row in paper.claims.items() if row.kind == "finding" or not only_findings)
        return {
            "slug": slug,
            **paper.model_dump(
                mode="json", include={"title", "authors", "year", "arxiv", "venue", "summary"}
            ),
            "claims": [self.claim(f"{slug}/{name}") for name in rows],
            "not_checkable": [item.model_dump() for item in paper.not_checkable],
        }

    def claim(self, claim_id: str) -> dict[str, Any]:
        """One claim of the list; `verdict`, `grade` and `ok` are null unless its evidence is current."""
        row, known = self.map.row(claim_id), self.known(claim_id)
        entry = known.entry if known.state == CURRENT else None
        return {
            "id": claim_id,
            **row.model_dump(exclude={"expected"}),
            "expected": row.expected[0] if len(row.expected) == 1 else list(row.expected),
            "state": known.state,
            "verdict": entry["verdict"] if entry else None,
            "grade": entry["grade"] if entry else None,
            "ok": entry["ok"] if entry else None,
        }

    def page(self, claim_id: str) -> list[tuple[str, list[str]]]:
        """(heading, lines) of all there is on a claim; an unknown id is a SetupError with near names."""
        self._require(claim_id)
        known = self.known(claim_id)
        sections = [
            (claim_id, self._head(claim_id, known)),
            ("Statement", self._statement(claim_id)),
            ("Assumptions", list(self._assumptions(claim_id, known))),
        ]
        if known.entry is None:
            sections.append(("Checks and controls", self._names(claim_id)))
        else:
            sections += list(_evidence_sections(known.entry))
        return [*sections, ("Evidence", list(self._evidence(claim_id, known)))]

    def _require(self, claim_id: str) -> None:
        ids = self.map.ids()
        if claim_id not in ids:
            names = {name.rpartition("/")[2]: name for name in ids} | {
                name: name for name in [*ids, *self.map.papers]
            }
            near = dict.fromkeys(
                names[n] for n in difflib.get_close_matches(claim_id[:200], names, cutoff=0.5)
            )
            mend = f"the nearest: {', '.join(near)}" if near else "'verify list' shows all"
            raise SetupError(f"no claim or paper {claim_id[:60]!r}; {mend}")

    def _head(self, claim_id: str, known: Known) -> list[str]:
        """Title, verdict, source."""
        row, paper = self.map.row(claim_id), self.map.papers[claim_id.partition("/")[0]]
        lines = explain.hanging("", row.title, "  ")
        if known.entry is not None:
            old = "" if known.state == CURRENT else " (stale: code, data or versions changed since)"
            said = f"{explain.symbol(known.entry)} {explain.verdict(known.entry)}"
            lines += explain.hanging("", f"{said}: {known.entry['reason']}{old}", "  ")
        else:
            lines.append(f"  not run yet: verify run {claim_id}")
        by = ", ".join(paper.authors)
        lines += explain.hanging("", f"{row.kind} ({row.priority}): {row.source}, {KNOWN[row.known]}", "  ")
        lines += explain.hanging("", f"{by}: {paper.title}, {paper.year}{explain.arxiv(paper.arxiv)}", "  ")
        lines += explain.hanging("differs from the paper: ", row.differs, "  ") if row.differs else []
        if row.because:
            lines += explain.hanging(f"expected {' or '.join(row.expected)} because ", row.because, "  ")
        return lines

    def _statement(self, claim_id: str) -> list[str]:
        text = statement(self.map.module_path(claim_id))
        if not text:
            return [f"  none; write it as the docstring of {self.map.module_path(claim_id)}"]
        return ["  " + line if line else "" for line in explain.plain_statement(text).splitlines()]

    def _assumptions(self, claim_id: str, known: Known) -> Iterator[str]:
        """The paper's assumptions, each with what the evidence says of the instance."""
        records = {
            r["name"].replace("_", "-"): r for r in (known.entry["assumptions"] if known.entry else [])
        }
        texts = self.map.papers[claim_id.partition("/")[0]].assumptions
        for name in [*texts, *(name for name in records if name not in texts)]:
            record = records.get(name)
            said = record["outcome"] if record else "not checked on the instance"
            yield from explain.hanging(
                f"{name}: ", f"{texts.get(name, 'an assumption of this claim')} [{said}]", "  "
            )
            if record:
                yield from explain.comparison(record)

    def _names(self, claim_id: str) -> list[str]:
        """Names of checks and controls of a claim without evidence; this one is imported."""
        try:
            claim = self.suite.claim(claim_id)
        except Exception as error:
            return [f"  the claim cannot be imported: {type(error).__name__}: {error}"]
        controls = [f"  control {name!r} must fail check {c.check}" for name, c in claim.controls.items()]
        return [*(f"  check {name}" for name in claim.checks), *controls]

    def _evidence(self, claim_id: str, known: Known) -> Iterator[str]:
        """Where the evidence and the figure lie, and what made them."""
        figure = self.suite.root / "figures" / f"{claim_id}.svg"
        if known.data is not None and known.entry is not None:
            data = known.data
            yield f"  {known.state}: {self.store.path(Task(claim_id))}"
            took = explain.seconds(data["seconds"])
            yield f"  seed {data['seed']}, size {data['size']}, {took}, {data.get('started', '')}"
            yield from explain.hanging("key ", str(data.get("key")), "  ")
            yield from explain.hanging(
                "", ", ".join(f"{k} {v}" for k, v in data.get("versions", {}).items()), "  "
            )
            given = ", ".join(f"{name} = {value}" for name, value in data["parameters"].items())
            yield from explain.hanging("parameters: ", given, "  ") if given else []
        yield f"  figure: {figure}" + (
            "" if figure.is_file() else f" (not drawn yet: verify figures {claim_id})"
        )
        if known.state != CURRENT:
            yield f"  {known.state}; evaluate with: verify run {claim_id}"


def _evidence_sections(entry: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """What the evidence says: error, checks, controls, ablations, power."""
    if entry["error"]:
        yield "Error", [f"  {line}" for line in entry["error"].splitlines()]
    yield "Checks", [line for record in entry["checks"] for line in _check(record)]
    yield "Controls", [line for record in entry["controls"] for line in _control(record)]
    if entry["ablations"]:
        yield "Ablations, never judged", [line for record in entry["ablations"] for line in _ablation(record)]
    if entry["power"]:
        yield "Power", [line for name, change in entry["power"].items() for line in _power(name, change)]


def _check(record: dict[str, Any]) -> list[str]:
    facts = [explain.count(record["points"], "comparison")]
    if record.get("tightness") is not None:
        facts.append(f"at most {notation.percent(record['tightness'])} of the bound is reached")
    return [*explain.check(record), *explain.hanging("over      ", ", ".join(facts), "    ")]


def _control(record: dict[str, Any]) -> list[str]:
    said = "rejected" if record["rejected"] else "NOT rejected"
    head = f"{record['name']!r} must fail {record['must_fail']}: {said}"
    return [*explain.hanging("", head, "  "), *_changes(record), *explain.comparison(record)]


def _ablation(record: dict[str, Any]) -> list[str]:
    head = f"{record['name']!r}: check {record['must_fail']} {record['outcome']}"
    return [*explain.hanging("", head, "  "), *_changes(record), *explain.comparison(record)]


def _changes(record: dict[str, Any]) -> list[str]:
    """What an altered world differs in; a function without a name of its own is just another one."""
    changes = record.get("changes") or {}
    words = [f"another {k}" if str(v).endswith("<lambda>") else f"{k} = {v}" for k, v in changes.items()]
    return explain.hanging("changed   ", ", ".join(words), "    ") if words else []


def _power(name: str, change: dict[str, float | None]) -> list[str]:
    """How wrong a reference would be noticed."""
    ways = (("up", "larger"), ("down", "smaller"))
    seen = [f"{notation.percent(change[way])} {word}" for way, word in ways if change[way] is not None]
    if not seen:
        return explain.hanging(f"{name}: ", "no change is noticed", "  ")
    return explain.hanging(f"{name}: ", f"noticed once it is {' or '.join(seen)}", "  ")
