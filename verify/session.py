"""One `verify run`: which evaluations, what people see meanwhile, what is said afterwards, the exit code."""

from __future__ import annotations

import json
import secrets
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verify import cluster, execute, explain, outcome, paper_map, terminal
from verify.errors import SetupError
from verify.execute import Task
from verify.store import Store
from verify.suite import Suite
from verify.terminal import INTERRUPTED
from verify.workers import cores

MOST_SEEDS = 20  # that one line shows
LONG_SECONDS = 60.0  # from which on a run is announced with an estimate
# what nobody reads any more of an evaluation that came out as expected: a sweep has many thousands of them
BULKY = ("assumptions", "checks", "controls", "ablations", "parameters", "versions")


@dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    select: tuple[str, ...] = ()
    size: str = "quick"
    seed: int | None = None
    fresh: int = 0
    jobs: int | None = None
    use_cache: bool = True
    as_json: bool = False
    map_path: Path | None = None
    executor: str | None = None
    limit: float | None = None

    @property
    def options(self) -> list[str]:
        """What a command that goes on or reproduces needs besides claim, seed and size."""
        return ["--map", str(self.map_path)] if self.map_path else []

    def command(self, seed: int) -> str:
        """The command that takes up this request for one seed."""
        words = ["verify", "run", *self.select]
        words += ["--size", self.size] if self.size != "quick" else []
        words += ["--seed", str(seed)] if self.seed is not None or self.fresh else []
        words += ["--jobs", str(self.jobs)] if self.jobs is not None else []
        words += ["--limit", f"{self.limit:g}"] if self.limit is not None else []
        words += ["--executor", self.executor] if self.executor is not None else []
        return shlex.join([*words, *self.options])


class Session:
    """The evaluations of one request, from the first notice to the exit code."""

    def __init__(self, suite: Suite, request: Request) -> None:
        self.suite, self.request = suite, request
        ids = paper_map.select(suite.map.ids(), request.select)
        if not ids:
            raise SetupError(f"{suite.map.path}: no claims yet; add one under a paper's `claims`")
        self.seeds = fresh_seeds(request.fresh) or [request.seed or 0]
        self.tasks = [Task(claim_id, seed, request.size) for seed in self.seeds for claim_id in ids]
        self.executor = cluster.connect(request.executor) if request.executor else None
        available = cores() if self.executor is None else self.executor.workers
        self.jobs = min(available if request.jobs is None else request.jobs, len(self.tasks))
        self.notes = terminal.Out(sys.stderr)
        self.out = self.notes if request.as_json else terminal.Out(sys.stdout)
        self.entries: dict[Task, outcome.Entry] = {}

    def run(self) -> int:
        """Evaluates, tells, and returns the exit code."""
        began = time.perf_counter()
        self.announce()
        try:
            self.evaluate()
        except KeyboardInterrupt:
            self.interrupted()
            return INTERRUPTED
        entries = [self.entries[task] for task in self.tasks]
        self.tell(entries, time.perf_counter() - began)
        self.refuse_too_many_intervals(entries)
        return outcome.exit_code(entries)

    def announce(self) -> None:
        """What the user should know before a long time passes."""
        if self.request.fresh:
            seeds = " ".join(map(str, self.seeds[:MOST_SEEDS]))
            more = f" and {len(self.seeds) - MOST_SEEDS} more" if len(self.seeds) > MOST_SEEDS else ""
            again = self.request.command(self.seeds[0])
            self.out.line(f"fresh seeds: {seeds}{more}   (again: {again})")
        known = self.earlier_seconds(self.tasks)
        left = terminal.Pace(lambda tasks: known, self.jobs)
        left.begin(self.tasks)
        seconds = left.left(self.tasks, {}) or 0.0
        if self.request.size == "full" or (self.request.fresh and seconds > LONG_SECONDS):
            count = explain.count(len(self.tasks), "evaluation")
            guess = f"about {explain.seconds(seconds)}, from what they took last time"
            what = f"{count} with larger parameters" if self.request.size == "full" else count
            self.notes.line(f"{what}: {guess if known else 'how long it takes is not known yet'}")

    def earlier_seconds(self, tasks: Sequence[Task]) -> dict[Task, float]:
        """How long each evaluation took last time, or the claim's at seed 0, where evidence says so."""
        store = Store(self.suite.root, lambda damaged: None)  # whoever evaluates reports that
        at_zero: dict[tuple[str, str], float | None] = {}
        found: dict[Task, float] = {}
        for task in tasks:
            own = store.latest(task)
            of_claim = task.claim_id, task.size
            if own is None and of_claim not in at_zero:
                first = store.latest(Task(task.claim_id, 0, task.size))
                at_zero[of_claim] = None if first is None else first.data["seconds"]
            seconds = at_zero[of_claim] if own is None else own.data["seconds"]
            if seconds is not None:
                found[task] = seconds
        return found

    def evaluate(self) -> None:
        """Fills `entries` as results arrive."""
        cache, pace = self.request.use_cache, terminal.Pace(self.earlier_seconds, self.jobs)
        with terminal.progress(self.out, self.tasks, pace) as progress:
            for result in execute.run(
                self.suite, self.tasks, jobs=self.jobs, use_cache=cache, watch=progress,
                executor=self.executor, elsewhere=self.executor is not None, limit=self.request.limit,
            ):  # fmt: skip
                entry = outcome.entry(self.suite.map, result)
                progress.add(entry)
                needs_all = self.request.as_json or not entry["ok"]
                self.entries[result.task] = entry if needs_all else {**entry, **dict.fromkeys(BULKY)}

    def tell(self, entries: Sequence[outcome.Entry], seconds: float) -> None:
        """The table, a paragraph for each claim that is not as expected, the summary; or JSON."""
        terminal.verdicts(self.out, entries)
        for entry in entries:
            if not entry["ok"]:
                because = self.suite.map.row(entry["id"]).because
                self.out.line()
                self.out.paragraph(explain.unexpected(entry, because, self.request.options), "bold red")
        self.out.line()
        if len(self.seeds) > 1:
            self.out.line("\n".join(over_seeds(entries)))
        good = all(entry["ok"] for entry in entries)
        self.out.line(summary_line(entries, seconds), terminal.GREEN if good else terminal.RED)
        if self.request.as_json:
            print(json.dumps(outcome.document(entries), allow_nan=False, indent=1), flush=True)

    def refuse_too_many_intervals(self, entries: Sequence[outcome.Entry]) -> None:
        """SetupError where a seed uses more statistical intervals than keep the whole run trustworthy."""
        for seed in self.seeds:
            own = outcome.summary([entry for entry in entries if entry["seed"] == seed])
            used, budget = (own["statistical_intervals"][name] for name in ("used", "budget"))
            if used > budget:
                raise SetupError(
                    f"seed {seed} uses {used:,} statistical intervals, more than the {budget:,} that keep "
                    f"a run trustworthy; test fewer entries, or make one statement of several"
                )

    def interrupted(self) -> None:
        """How far it came, and how to go on."""
        left = dict.fromkeys(task.seed for task in self.tasks if task not in self.entries)
        done = f"{len(self.entries)} of {explain.count(len(self.tasks), 'evaluation')}"
        self.notes.line(f"\ninterrupted: {done} done and kept; go on with:")
        for seed in left:
            self.notes.line(f"  {self.request.command(seed)}")


def fresh_seeds(count: int) -> list[int]:
    """Different random seeds, short enough to type."""
    return secrets.SystemRandom().sample(range(1, 10**6), count)


def summary_line(entries: Sequence[outcome.Entry], seconds: float) -> str:
    """As expected, statistical intervals, stated numbers, seconds."""
    facts = outcome.summary(entries)
    what = "claim" if facts["claims"] == facts["evaluations"] else "evaluation"
    used, budget = facts["statistical_intervals"]["used"], facts["statistical_intervals"]["budget"]
    parts = [
        f"{facts['as_expected']} of {explain.count(facts['evaluations'], what)} as expected",
        f"{used:,} of {budget:,} statistical intervals used",
        f"{explain.count(facts['stated'], 'check')} resting on stated numbers",
        explain.seconds(seconds),
    ]
    return " · ".join(parts)


def over_seeds(entries: Sequence[outcome.Entry]) -> list[str]:
    """For every claim how often each verdict came; the seeds of what was not as expected."""
    lines = []
    for claim_id in dict.fromkeys(entry["id"] for entry in entries):
        own = [entry for entry in entries if entry["id"] == claim_id]
        counts = Counter(entry["verdict"] for entry in own)
        bad = [str(entry["seed"]) for entry in own if not entry["ok"]]
        said = ", ".join(f"{verdict} {number}x" for verdict, number in counts.most_common())
        lines.append(f"{claim_id}: {said}" + (f"; not as expected: seed {', '.join(bad)}" if bad else ""))
    return lines
