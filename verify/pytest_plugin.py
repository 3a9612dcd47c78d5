"""The pytest plugin: a `paper_map.yaml` is collected, an item for each check, control, figure and verdict.

Nothing but pytest and the standard library is imported before a map is met.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from verify.claim import Claim
    from verify.evidence import Evidence
    from verify.execute import Result
    from verify.suite import Suite
    from verify.workers import Pool

MAP = "paper_map.yaml"
_BY_CLAIM = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options that say which evaluations are looked at."""
    group = parser.getgroup("verify", "verify: the claims of a paper_map.yaml")
    group.addoption(
        "--verify-size", choices=("quick", "full"), default="quick", help="Size of the instances."
    )
    group.addoption(
        "--verify-seed", type=_seed, default=0, metavar="N", help="Seed of the instances and runs."
    )
    group.addoption("--verify-no-cache", action="store_true", help="Evaluate again what is current, too.")


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give a whole number from 0 to {2**32 - 1}")
    return int(text)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    """Notes whether the user chose how xdist distributes; a wrapper, so that xdist has not chosen yet."""
    option = config.option
    chosen = getattr(option, "dist", "no") != "no" or getattr(option, "distload", False)
    config.stash[_BY_CLAIM] = option.dist == "loadgroup" if chosen else _meets_a_map(config)
    return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With xdist the items of a claim go to one worker: they share its evaluation.

    As `--dist loadgroup` does, which is also what tests beside the map get; but without marks, which xdist
    cannot read off the items of every version of pytest.
    """
    if not config.stash.get(_BY_CLAIM, False):
        return None
    from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]

    class ByClaim(LoadGroupScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            path, *names = nodeid.split("::")
            is_item = names and Path(path).name == MAP
            return f"{path}::{names[0]}" if is_item else super()._split_scope(nodeid)

    return ByClaim(config, log)


def _meets_a_map(config: pytest.Config) -> bool:
    """Whether a map is an argument or lies in a folder that is one, or at the root."""
    paths = [config.invocation_params.dir / str(arg).split("::")[0] for arg in config.args]
    return any(path.name == MAP or (path / MAP).is_file() for path in [*paths, config.rootpath])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> MapFile | None:
    """Claims are collected wherever there is a map."""
    return MapFile.from_parent(parent, path=file_path) if file_path.name == MAP else None


class MapFile(pytest.File):
    """A map: one collector for each claim."""

    evaluations: Evaluations

    def collect(self) -> Iterator[ClaimNode]:
        """The claims in the order of the map; a broken map is a collection error with its message only."""
        from verify import paper_map
        from verify.errors import SetupError
        from verify.suite import Suite

        try:
            suite = Suite(paper_map.read(self.path))
        except SetupError as error:
            raise self.CollectError(str(error)) from None
        self.evaluations = Evaluations(suite, self)
        self.config.add_cleanup(self.evaluations.close)
        for claim_id in suite.map.ids():
            yield ClaimNode.from_parent(self, name=claim_id, evaluations=self.evaluations)


class ClaimNode(pytest.Collector):
    """A claim: items for its checks, controls, figure and verdict."""

    def __init__(self, *, evaluations: Evaluations, **rest: Any) -> None:
        super().__init__(**rest)
        self.evaluations = evaluations
        self.row = evaluations.suite.map.row(self.name)
        self.broken = ""

    def collect(self) -> Iterator[ClaimItem]:
        """Names come by importing the claim; one that can't be imported has a verdict, which fails."""
        claim = self._claim()
        if claim is not None:
            for name in claim.checks:
                yield self._xfailing(CheckItem.from_parent(self, name=f"check[{name}]", subject=name))
            for name in claim.controls:
                yield self._xfailing(ControlItem.from_parent(self, name=f"control[{name}]", subject=name))
            if claim.draw is not None:
                yield FigureItem.from_parent(self, name="figure", subject="figure")
        yield VerdictItem.from_parent(self, name="verdict", subject="verdict")

    def _claim(self) -> Claim | None:
        from verify.errors import SetupError

        try:
            claim = self.evaluations.suite.claim(self.name)
            claim.validate()
        except SetupError as error:
            self.broken = str(error).removeprefix(f"{self.name}: ")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit and pytest.skip at import are no Exceptions
            self.broken = _explained(error, self.path.parent)
        return None if self.broken else claim

    def _xfailing(self, item: ClaimItem) -> ClaimItem:
        """An item that is not judged: the verdict is, against the expected one."""
        if self.row.expected != ("verified",):
            reason = f"expected {' or '.join(self.row.expected)}: {self.row.because}"
            item.add_marker(pytest.mark.xfail(reason=reason, strict=False))
        return item


class Evaluations:
    """What the collected items need: evaluated up front when the first one runs, taken as it arrives."""

    def __init__(self, suite: Suite, node: MapFile) -> None:
        self.suite, self.node, self.config = suite, node, node.config
        self.entries: dict[str, dict[str, Any]] = {}
        self.evidence: dict[str, Evidence] = {}
        self.results: Iterator[Result] = iter(())
        self.started = False
        self.is_worker = hasattr(self.config, "workerinput")  # of xdist, which has taken the cores already
        self.pool: Pool | None = None

    def entry(self, claim_id: str) -> dict[str, Any]:
        """The claim's entry, as soon as it is there."""
        if claim_id not in self.entries and not self.started:
            self._start(self._selected(claim_id))
        if claim_id not in self.entries and not self._arrives(claim_id):
            self._start([claim_id])  # an earlier run ended early: this claim's own error is raised here
            self._arrives(claim_id)
        return self.entries[claim_id]

    @property
    def options(self) -> list[str]:
        """What the command that reproduces a failure needs to find this map."""
        from verify import paper_map
        from verify.errors import SetupError

        try:
            return (
                []
                if paper_map.find() == self.suite.map.path.resolve()
                else ["--map", str(self.suite.map.path)]
            )
        except SetupError:
            return ["--map", str(self.suite.map.path)]

    def close(self) -> None:
        """Ends what is under way; finished evidence is stored."""
        close = getattr(self.results, "close", None)
        if close is not None:
            close()
        if self.pool is not None:
            self.pool.kill()

    def _selected(self, claim_id: str) -> list[str]:
        """Claims of this map with an item left to run; a worker of xdist learns its own one by one."""
        if self.is_worker:
            return [claim_id]
        nodes = (item.parent for item in self.node.session.items if isinstance(item, ClaimItem))
        own = (node for node in nodes if isinstance(node, ClaimNode) and node.evaluations is self)
        return list(dict.fromkeys([claim_id, *(node.name for node in own if not node.broken)]))

    def _start(self, ids: list[str]) -> None:
        from verify import execute, workers

        option, self.started = self.config.option, not self.is_worker
        tasks = [workers.Task(claim_id, option.verify_seed, option.verify_size) for claim_id in ids]
        if self.is_worker and self.pool is None:  # one for all claims, which come one by one
            self.pool = workers.Pool(1, lambda name, phase: None)
        jobs = 1 if self.is_worker else min(_cores(), len(tasks))
        cache = not option.verify_no_cache
        self.results = execute.run(self.suite, tasks, jobs=jobs, use_cache=cache, executor=self.pool)

    def _arrives(self, claim_id: str) -> bool:
        """Takes results up to the claim's own."""
        from verify import outcome

        for result in self.results:
            found = result.task.claim_id
            self.entries[found] = outcome.entry(self.suite.map, result)
            self.evidence[found] = result.evidence
            if self.pool is not None and self.entries[found]["error"]:
                self.pool.kill()  # its worker may be the one that died
                self.pool = None
            if found == claim_id:
                return True
        return False


class ClaimItem(pytest.Item):
    """An item of a claim. subject: the name of its check or control."""

    def __init__(self, *, subject: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.subject = subject

    @property
    def claim(self) -> ClaimNode:
        """The claim that the item belongs to."""
        assert isinstance(self.parent, ClaimNode)
        return self.parent

    def entry(self) -> dict[str, Any]:
        """The claim's evidence as a JSON entry; waits for it."""
        return self.claim.evaluations.entry(self.claim.name)

    def record(self, kind: str) -> dict[str, Any]:
        """The record of the item's check or control; a failure if the evaluation did not come that far."""
        entry = self.entry()
        found = next((record for record in entry[kind] if record["name"] == self.subject), None)
        if found is None:
            raise FailedError(
                f"{self.name} was not reached: {entry['error'] or entry['reason']}\n{self.again(entry)}"
            )
        return found  # type: ignore[no-any-return]

    def again(self, entry: dict[str, Any]) -> str:
        """The command that reproduces it."""
        from verify import explain

        return f"  reproduce: {explain.command(entry, self.claim.evaluations.options)}"

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it stands in reports."""
        return self.path, None, f"{self.claim.name}::{self.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """What failed, without a traceback: nobody looks for the reason in the engine."""
        from verify.errors import VerifyError

        error = excinfo.value
        if isinstance(error, FailedError | VerifyError):
            return str(error)
        return f"{self.claim.name}: {_explained(error, self.path.parent)}"


class CheckItem(ClaimItem):
    """Passes if the check holds."""

    def runtest(self) -> None:
        """The record of the check."""
        from verify import explain

        record = self.record("checks")
        if record["outcome"] != "holds":
            raise FailedError("\n".join([*explain.check(record), self.again(self.entry())]).strip())


class ControlItem(ClaimItem):
    """Passes if the control is rejected."""

    def runtest(self) -> None:
        """The record of the control."""
        from verify import explain

        record = self.record("controls")
        if not record["rejected"]:
            raise FailedError("\n".join([*explain.control(record), self.again(self.entry())]).strip())


class FigureItem(ClaimItem):
    """Passes if the figure function draws something from the evidence."""

    def runtest(self) -> None:
        """Draws, and lays out the text: a broken formula shows only then."""
        from verify import plot

        entry = self.entry()
        if entry["error"]:
            raise FailedError(f"there is nothing to draw: {entry['error']}\n{self.again(entry)}")
        evaluations = self.claim.evaluations
        figure = plot.draw(evaluations.suite, evaluations.evidence[self.claim.name])
        figure.draw_without_rendering()
        if not any(axes.has_data() for axes in figure.axes):
            raise FailedError(
                f"{self.claim.name}: the figure is empty; its function draws nothing on any axes"
            )


class VerdictItem(ClaimItem):
    """Passes if the verdict is the expected one: the item that gates."""

    def runtest(self) -> None:
        """Compares with the map."""
        from verify import explain

        if self.claim.broken:
            raise FailedError(f"{self.claim.name}: {self.claim.broken}")
        entry = self.entry()
        if not entry["ok"]:
            raise FailedError(
                explain.unexpected(entry, self.claim.row.because, self.claim.evaluations.options)
            )


class FailedError(Exception):
    """An item fails; the text is all there is to say."""


def _cores() -> int:
    """Processes to evaluate in."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _explained(error: BaseException, root: Path) -> str:
    """File, line and message of an error in a claim's code."""
    import traceback

    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(root)
    ]
    where = [f"{Path(f.filename).relative_to(root)}:{f.lineno} in {f.name}: {f.line}" for f in frames[-2:]]
    return "\n  ".join([f"{type(error).__name__}: {error}", *where])
