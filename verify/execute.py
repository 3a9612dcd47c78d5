"""Many evaluations on any executor. The parent alone writes the store, as results arrive."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verify.cluster import work_elsewhere
from verify.errors import SetupError
from verify.key import Keys, versions
from verify.workers import Here, Pool, Task, failed, work

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from verify.evidence import Evidence
    from verify.store import Store
    from verify.suite import Suite

__all__ = ["Result", "Task", "Watcher", "run"]

QUICK_SECONDS = 600.0  # after which an evaluation at size quick is given up, unless the user says otherwise
POLL_SECONDS = 0.1  # how often to look whether another process is done with an evaluation
CHANGED = "changed while it was evaluated"  # a key that no evaluation has


@dataclass(frozen=True)
class Result:
    """Evidence of a task; cached: it was there already."""

    task: Task
    evidence: Evidence
    key: str
    cached: bool


class Watcher:
    """Is told what happens. `phase` may come from another thread, always between `started` and `finished`."""

    def started(self, task: Task) -> None:
        """A worker takes up an evaluation."""

    def phase(self, task: Task, text: str) -> None:
        """A worker says what it is doing."""

    def finished(self, result: Result) -> None:
        """An evaluation is done, or was current."""

    def notice(self, text: str) -> None:
        """Something that the user should know: a damaged file, a worker that died."""


def run(
    suite: Suite,
    tasks: Iterable[Task],
    *,
    jobs: int,
    use_cache: bool = True,
    executor: Executor | None = None,
    elsewhere: bool = False,
    limit: float | None = None,
    watch: Watcher | None = None,
) -> Iterator[Result]:
    """Yields a result for each task as it arrives, those that are current first.

    jobs: evaluations at a time; 0 evaluates in this process. use_cache: whether stored evidence counts,
    an error never does. executor: any; by default a pool of `jobs` spawned processes, which is replaced
    when a worker dies. elsewhere: the executor's processes were started by somebody else; each evaluation
    is refused where they have other code or packages than this process. limit: seconds after which an
    evaluation is given up (default: 600 at size quick). Each result is on disk before it is yielded.
    KeyboardInterrupt, which SIGTERM counts as, and closing the iterator end the workers at once. Raises
    SetupError if results cannot be stored.
    """
    if jobs < 0:
        raise SetupError(f"jobs is a number of workers, or 0 for none, not {jobs}")
    this = _Run(suite, jobs, use_cache, executor, elsewhere, limit, watch or Watcher())
    return this.results(list(dict.fromkeys(tasks)))


@dataclass(frozen=True)
class _UnderWay:
    task: Task
    lock: BaseFileLock
    pool: Executor
    alone: bool


class _Run:
    def __init__(
        self,
        suite: Suite,
        jobs: int,
        use_cache: bool,
        executor: Executor | None,
        elsewhere: bool,
        limit: float | None,
        watch: Watcher,
    ) -> None:
        from verify.store import Store

        self.root, self.jobs, self.use_cache, self.watch = suite.root.absolute(), jobs, use_cache, watch
        self.keys, self.store = Keys(suite.map), Store(suite.root, watch.notice)
        self.given, self.pool, self.elsewhere, self.limit = executor, executor, elsewhere, limit
        self.map_path = suite.map.path.absolute()
        self.waiting: list[Task] = []
        self.suspects: list[Task] = []  # they were under way when a worker died
        self.locked_out: set[Task] = set()
        self.under_way: dict[Future[Any], _UnderWay] = {}
        self.key: dict[Task, str] = {}
        self.ready: list[Result] = []
        self.telling = threading.Lock()
        self.told: dict[str, Task] = {}

    def results(self, tasks: list[Task]) -> Iterator[Result]:
        """See `run`."""
        parts = {claim_id: self.keys.parts(claim_id) for claim_id in {task.claim_id for task in tasks}}
        for task in tasks:
            known = parts[task.claim_id]
            self.key[task] = self.keys.evidence(task.claim_id, task.seed, task.size, task.parameters, known)
            if not self.is_current(task):
                self.waiting.append(task)
            yield from self.taken()
        self.keys.memory.remember()
        self.waiting.sort(key=lambda task: -_seconds(self.store, task))
        with _sigterm_interrupts():
            try:
                while self.waiting or self.suspects or self.under_way:
                    self.fill()
                    self.collect()
                    self.fill()  # what comes next is under way before anyone looks at what was found
                    yield from self.taken()
            finally:
                self.stop()

    def is_current(self, task: Task) -> bool:
        """Whether the store has the result; if so, it is ready."""
        evidence = self.store.read(task, self.key[task]) if self.use_cache else None
        if evidence is None or evidence.verdict == "error":
            return False
        self.ready.append(Result(task, evidence, self.key[task], cached=True))
        return True

    def taken(self) -> Iterator[Result]:
        """What is ready."""
        while self.ready:
            result = self.ready.pop(0)
            self.watch.finished(result)
            yield result

    # --- tasks go to the executor --------------------------------------------------------------------------

    def fill(self) -> None:
        """Starts evaluations until there are enough; suspects one at a time, so that the culprit is known."""
        while True:
            alone = bool(self.suspects) or any(item.alone for item in self.under_way.values())
            if len(self.under_way) >= (1 if alone else max(self.jobs, 1)):
                return
            found = self.next_free(self.suspects or self.waiting)
            if found is None:
                return
            self.submit(*found, alone)

    def next_free(self, queue: list[Task]) -> tuple[Task, BaseFileLock] | None:
        """The first task that no other process is at, with its lock, and that none has done meanwhile."""
        for task in list(queue):
            lock = self.store.try_lock(task)
            if lock is None:
                if task not in self.locked_out:
                    self.locked_out.add(task)
                    self.watch.notice(f"{task.claim_id}: another process is evaluating it; waiting for that")
                continue
            queue.remove(task)
            self.locked_out.discard(task)
            if not self.is_current(task):
                return task, lock
            lock.release()
        return None

    def work_on(self, task: Task) -> tuple[Any, ...]:
        """What the executor calls, with its arguments; a cluster's workers first compare what they have."""
        arguments = (
            str(self.root),
            task.claim_id,
            task.seed,
            task.size,
            task.parameters,
            self.limit_of(task),
        )
        if self.elsewhere:
            return work_elsewhere, str(self.map_path), self.keys.parts(task.claim_id), *arguments
        return work, *arguments

    def limit_of(self, task: Task) -> float | None:
        """After how many seconds it is given up: a quick one that hangs must not keep the others waiting."""
        return self.limit if self.limit or task.size != "quick" else QUICK_SECONDS

    def submit(self, task: Task, lock: BaseFileLock, alone: bool) -> None:
        """Hands an evaluation to the executor."""
        name = f"{task.claim_id}/{task.name}"
        with self.telling:
            self.told[name] = task
        self.watch.started(task)
        if alone:
            self.discard(self.pool)  # a worker that somebody else left dying would be taken for its victim
        pool = self.executor()
        try:
            options = {"report": lambda text: self.phase(name, text)} if isinstance(pool, Here) else {}
            future = pool.submit(*self.work_on(task), **options)
        except BrokenExecutor as error:  # a worker died that had nothing to do
            future = Future()
            future.set_exception(error)
        except BaseException:
            lock.release()
            raise
        self.under_way[future] = _UnderWay(task, lock, pool, alone)

    def executor(self) -> Executor:
        """The executor that was given, or a pool as soon as it is needed."""
        if self.pool is None:
            self.pool = Pool(self.jobs, self.phase) if self.jobs else Here()
        return self.pool

    def discard(self, pool: Executor | None) -> bool:
        """Ends a pool of ours, unless that is done already; the next evaluation gets another one."""
        if not isinstance(pool, Pool) or pool is not self.pool or pool is self.given:
            return False
        pool.kill()
        self.pool = None
        return True

    def phase(self, name: str, text: str) -> None:
        """A worker's word on an evaluation under way."""
        with self.telling:
            if name in self.told:
                self.watch.phase(self.told[name], text)

    # --- evidence comes back -------------------------------------------------------------------------------

    def collect(self) -> None:
        """Waits until something is done, and stores it."""
        if not self.under_way:
            if not self.ready and (self.waiting or self.suspects):
                time.sleep(POLL_SECONDS)
            return
        timeout = POLL_SECONDS if self.locked_out else None
        done = wait(self.under_way, timeout, FIRST_COMPLETED).done
        for future in done:
            item = self.under_way.pop(future)
            with self.telling:
                self.told.pop(f"{item.task.claim_id}/{item.task.name}", None)
            try:
                evidence = self.evidence(future, item)
                if evidence is not None:
                    self.keep(item.task, evidence)
            finally:
                item.lock.release()

    def evidence(self, future: Future[Any], item: _UnderWay) -> Evidence | None:
        """What came back; None if the task has to be tried again."""
        try:
            return future.result()  # type: ignore[no-any-return]
        except BrokenExecutor as error:
            return self.after_death(item, error)
        except (Exception, CancelledError) as error:
            return failed(item.task, f"the evaluation gave nothing back: {type(error).__name__}: {error}")

    def after_death(self, item: _UnderWay, error: BrokenExecutor) -> Evidence | None:
        """Who was alone with a worker that died has killed it; the others are suspects."""
        pool = item.pool
        if not isinstance(pool, Pool):
            return failed(item.task, f"the executor broke down: {error}")
        cause = pool.cause_of_death() if item.alone else ""
        if self.discard(pool) and not item.alone:
            self.watch.notice("a worker process died; what was under way is tried once more, one at a time")
        if item.alone:
            return failed(item.task, f"its worker process died twice ({cause})")
        self.suspects.append(item.task)
        return None

    def keep(self, task: Task, evidence: Evidence) -> None:
        """Stores evidence under its key, unless what it was made from is no longer what the key is of."""
        key = self.key[task]
        if self.keys.evidence(task.claim_id, task.seed, task.size, task.parameters) != key:
            key = CHANGED
            self.watch.notice(
                f"{task.claim_id}: its code or data changed while it was evaluated; run it again"
            )
        evidence.data |= {"key": key, "versions": versions()}
        self.store.write(task, evidence)
        self.ready.append(Result(task, evidence, key, cached=False))

    def stop(self) -> None:
        """Ends what is under way. An executor that was given stays the caller's."""
        for future in self.under_way:
            future.cancel()
        self.discard(self.pool)
        for item in self.under_way.values():
            item.lock.release()


def _seconds(store: Store, task: Task) -> float:
    """How long it took last time. What was never run, or never came to an end, may be the longest."""
    evidence = store.latest(task)
    known = evidence is not None and evidence.verdict != "error"
    return float(evidence.data["seconds"]) if evidence is not None and known else float("inf")


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """While it lasts, SIGTERM is KeyboardInterrupt, unless somebody handles it otherwise."""
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if ours:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
