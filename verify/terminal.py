"""What people watch: live progress and the tables. Where nobody watches, plain lines and no rich."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from verify import explain
from verify.execute import Result, Task, Watcher

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

GREEN, RED, YELLOW, GREY = "green", "red", "yellow", "bright_black"
INTERRUPTED = 130  # exit code, as shells have it
WIDE = 110  # columns, from which on the table has room for a claim's kind
MOST_ROWS = 12  # of evaluations under way; more workers than that are counted


class Out:
    """Where text goes: a terminal with colours, or a file that gets the bare words."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.console: Console | None = None
        if stream.isatty() and os.environ.get("TERM") != "dumb":
            from rich.console import Console

            self.console = Console(file=stream, highlight=False, markup=False, emoji=False)

    def line(self, text: str = "", style: str = "") -> None:
        """One line or paragraph as it stands; nothing in it is wrapped or read as markup."""
        if self.console is not None:
            self.console.print(text, style=style or None, soft_wrap=True)
        else:
            print(text, file=self.stream, flush=True)

    def paragraph(self, text: str, style: str) -> None:
        """A paragraph whose first line stands out."""
        head, _, rest = text.partition("\n")
        self.line(head, style)
        if rest:
            self.line(rest)


class Pace:
    """How long is left, guessed from the seconds of earlier evidence and of what is done by now.

    earlier: the seconds that evaluations took last time; asked once, when the first begins.
    """

    def __init__(self, earlier: Callable[[Sequence[Task]], Mapping[Task, float]], jobs: int) -> None:
        self.earlier, self.jobs = earlier, max(jobs, 1)
        self.known: dict[Task, float] | None = None

    def begin(self, tasks: Sequence[Task]) -> None:
        """These are left; nothing else needs to be known."""
        if self.known is None:
            self.known = dict(self.earlier(tasks))

    def learn(self, task: Task, seconds: float) -> None:
        """Another evaluation is done."""
        if self.known is not None:
            self.known[task] = seconds

    def left(self, waiting: Iterable[Task], running: Mapping[Task, float]) -> float | None:
        """Seconds until all is done; None as long as nothing is known.

        running: the seconds that each evaluation under way has taken so far.
        """
        if not self.known:
            return None
        typical = statistics.median(self.known.values())
        guesses = [self.known.get(task, typical) for task in waiting]
        guesses += [max(self.known.get(task, typical) - elapsed, 0.0) for task, elapsed in running.items()]
        return max(sum(guesses) / self.jobs, max(guesses, default=0.0))


class Lines(Watcher):
    """Progress where nobody watches: one line for each claim as it is done."""

    def __init__(self, out: Out, tasks: Sequence[Task], pace: Pace) -> None:
        self.out, self.pace = out, pace
        self.total, self.waiting = len(tasks), dict.fromkeys(tasks)
        self.width = max((len(task.claim_id) for task in tasks), default=0)
        self.several_seeds = len({task.seed for task in tasks}) > 1
        self.bad = 0

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def add(self, entry: explain.Entry) -> None:
        """An evaluation is done; called after `finished`."""
        self.bad += not entry["ok"]
        self.show(entry)

    def show(self, entry: explain.Entry) -> None:
        """One line."""
        seed = f"  seed {entry['seed']}" if self.several_seeds else ""
        took = "cached" if entry["cached"] else explain.seconds(entry["seconds"])
        facts = (
            f"{entry['kind']:<11}  {entry['grade'] or '–':<11}  {explain.weakest_power(entry['power']):<8}"
        )
        said = f"{took:<8}  {explain.verdict(entry)}"
        self.out.line(f"{explain.symbol(entry)} {entry['id']:<{self.width}}{seed}  {facts}  {said}")

    def finished(self, result: Result) -> None:
        """Takes the evaluation off the list of what is left."""
        self.waiting.pop(result.task, None)
        if not result.cached:
            self.pace.learn(result.task, result.evidence.data["seconds"])

    def notice(self, text: str) -> None:
        """Something that the user should know: a damaged file, a worker that died."""
        self.out.line(text)


class Live(Lines):
    """Progress on a terminal: what each worker is doing, how long it has been at it, how long is left."""

    def __init__(self, out: Out, tasks: Sequence[Task], pace: Pace) -> None:
        super().__init__(out, tasks, pace)
        self.began = time.monotonic()
        self.running: dict[Task, tuple[float, str]] = {}

    def __enter__(self) -> Live:
        from rich.live import Live as Screen

        self.screen = Screen(
            get_renderable=self.table, console=self.out.console, refresh_per_second=4, transient=True
        )
        self.screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.screen.stop()

    def show(self, entry: explain.Entry) -> None:
        """Only what is not as expected is worth a line before the table."""
        if not entry["ok"]:
            self.out.line(f"{explain.symbol(entry)} {explain.headline(entry)}", RED)

    def started(self, task: Task) -> None:
        """A worker takes up an evaluation."""
        self.pace.begin(list(self.waiting))
        self.waiting.pop(task, None)
        self.running[task] = time.monotonic(), "starting"

    def phase(self, task: Task, text: str) -> None:
        """A worker says what it is doing."""
        since = self.running.get(task, (time.monotonic(), ""))[0]
        self.running[task] = since, text

    def finished(self, result: Result) -> None:
        """Takes the evaluation off the table."""
        self.running.pop(result.task, None)
        super().finished(result)

    def table(self) -> Table:
        """What is under way, and a line on the whole."""
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        running = dict(self.running)  # another thread draws
        table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
        for task, (since, phase) in list(running.items())[:MOST_ROWS]:
            name = task.claim_id + (f" seed {task.seed}" if self.several_seeds else "")
            elapsed = explain.seconds(now - since)
            table.add_row(
                Text(elapsed, GREY), Text(name, overflow="ellipsis", no_wrap=True), Text(phase, GREY)
            )
        more = len(running) - MOST_ROWS
        if more > 0:
            table.add_row("", Text(f"and {more} more", GREY), "")
        table.add_row("", Text(self._whole(now, running), "bold"), "")
        return table

    def _whole(self, now: float, running: Mapping[Task, tuple[float, str]]) -> str:
        done = self.total - len(self.waiting) - len(running)
        parts = [f"{done} of {self.total} done", explain.seconds(now - self.began)]
        waiting = list(self.waiting)
        left = self.pace.left(waiting, {task: now - since for task, (since, _) in running.items()})
        parts += [f"about {explain.seconds(left)} left"] if left and (waiting or running) else []
        parts += [f"{self.bad} not as expected"] if self.bad else []
        return " · ".join(parts)


def progress(out: Out, tasks: Sequence[Task], pace: Pace) -> Lines:
    """Live where someone watches, else lines."""
    return Lines(out, tasks, pace) if out.console is None else Live(out, tasks, pace)


def verdicts(out: Out, entries: Sequence[explain.Entry]) -> None:
    """The table of verdicts; where nobody watches each line was printed when it was known."""
    if out.console is None:
        return
    from rich.table import Table
    from rich.text import Text

    several = len({entry["seed"] for entry in entries}) > 1
    is_wide = out.console.width >= WIDE
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("claim", overflow="fold", min_width=24)
    optional = [*(["seed"] if several else []), *(["kind"] if is_wide else [])]
    for name in [*optional, "verdict", "grade", "power", "seconds"]:
        numeric = name in ("seconds", "seed")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=name != "verdict")
    for entry in entries:
        took = Text("cached", GREY) if entry["cached"] else Text(f"{entry['seconds']:.1f}")
        verdict = Text(f"{explain.symbol(entry)} {explain.verdict(entry)}", colour(entry))
        power = explain.weakest_power(entry["power"])
        facts = [str(entry[name]) for name in optional]
        table.add_row(entry["id"], *facts, verdict, entry["grade"] or "–", power, took)
    out.console.print(table)


def colour(entry: explain.Entry) -> str:
    """Green for what is expected, yellow for too little evidence, red for the rest."""
    if entry["ok"]:
        return GREEN
    return YELLOW if entry["verdict"] in ("undecided", "vacuous") else RED


def listing(out: Out, papers: Sequence[Mapping[str, Any]]) -> None:
    """Papers with their claims, and what in them is not checkable."""
    width = max((len(claim["id"]) for paper in papers for claim in paper["claims"]), default=0)
    for paper in papers:
        out.paragraph("\n".join(paper_lines(paper)), "bold")
        for claim in paper["claims"]:
            out.line(claim_line(claim, width), RED if claim["ok"] is False else "")
            if claim["differs"]:
                out.line("\n".join(explain.hanging("the paper: ", claim["differs"], "      ")), GREY)
        if not paper["claims"]:
            out.line("    no claims yet", GREY)
        for item in paper["not_checkable"]:
            out.line(
                "\n".join(explain.hanging("not checkable: ", f"{item['what']}: {item['because']}", "    ")),
                GREY,
            )
        out.line()


def paper_lines(paper: Mapping[str, Any]) -> list[str]:
    """Slug and title of a paper."""
    by = paper["authors"][0] + (" et al." if len(paper["authors"]) > 2 else "")
    by = " and ".join(paper["authors"]) if len(paper["authors"]) == 2 else by
    return explain.hanging(
        "", f"{paper['slug']}: {paper['title']} ({by}, {paper['year']}{explain.arxiv(paper['arxiv'])})"
    )


def claim_line(claim: Mapping[str, Any], width: int) -> str:
    """One claim of the list."""
    said = explain.verdict(claim) if claim["verdict"] else claim["state"]
    facts = f"{claim['kind']:<11}  {claim['priority']:<8}  {claim['known']:<13}  {claim['grade'] or '–':<11}"
    return f"  {explain.symbol(claim)} {claim['id']:<{width}}  {facts}  {said}"


def page(out: Out, sections: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Sections under bold headings."""
    for heading, lines in sections:
        if lines:
            out.paragraph("\n".join([heading, *lines, ""]), "bold")
