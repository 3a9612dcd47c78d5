"""Worker processes: each evaluates claims on one thread, and never speaks on the parent's stdout."""

from __future__ import annotations

import faulthandler
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import SetupError

if TYPE_CHECKING:
    from verify.evidence import Evidence

# numpy and jax read these when they are imported
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMEXPR_NUM_THREADS": "1",
    "JAX_ENABLE_X64": "1",
}  # fmt: skip
XLA_FLAGS = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
MESSAGE_BYTES = 480  # one write of less than 512 bytes to a pipe is never torn or mixed with another's
SETUP = "setup"
GRACE_SECONDS = 60.0  # between being asked to stop and being stopped

Report = Callable[[str], None]
_parent: Connection | None = None  # in a worker: where phases go


@dataclass(frozen=True)
class Task:
    """One evaluation. parameters: (name, value) pairs that replace defaults of the claim, plain values."""

    claim_id: str
    seed: int = 0
    size: str = "quick"
    parameters: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """What tells it from the claim's other evaluations, fit for a file name."""
        changed = json.dumps(dict(self.parameters), sort_keys=True, default=repr).encode()
        return f"seed{self.seed}-{self.size}" + (
            f"-{hashlib.sha256(changed).hexdigest()[:12]}" if self.parameters else ""
        )


# --- what is done in a worker -------------------------------------------------------------------------------


def work(
    root: str,
    claim_id: str,
    seed: int,
    size: str,
    parameters: tuple[tuple[str, Any], ...],
    limit: float | None = None,
    report: Report | None = None,
    with_power: bool = True,
) -> Evidence:
    """Evaluates one claim of the project at `root`. Whatever its code does, evidence comes back.

    report, with_power: of `evaluate`;
    limit: seconds after which it is given up; where signals do not reach (not in a main thread), there is none.
    """
    from verify.evaluation import evaluate
    from verify.suite import import_claim

    task = Task(claim_id, seed, size, parameters)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        with _limited(limit):
            claim = import_claim(Path(root), claim_id)
            told = report or reporter(task)
            evidence = evaluate(claim, seed, size, report=told, with_power=with_power, **dict(parameters))
        json.dumps(evidence.data, allow_nan=False)
    except KeyboardInterrupt:
        raise
    except _TooLongError:
        more = "verify run --limit SECONDS gives it more time, a smaller instance needs less"
        evidence = failed(task, f"it was given up after {limit:g} s; {more}")
    except BaseException as error:  # SystemExit is an answer of the claim's code, too
        kind = SETUP if isinstance(error, SetupError) else "error"
        evidence = failed(task, _explain(error, Path(root)), kind)
    evidence.data["started"] = started
    return evidence


class _TooLongError(BaseException):
    """No Exception, which the claim's code might catch."""


@contextmanager
def _limited(seconds: float | None) -> Iterator[None]:
    """Raises _TooLongError in here after some seconds; code that never comes back to Python ends the worker."""
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if seconds is None or not usable:
        yield
        return

    def give_up(number: int, frame: object) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    if _parent is not None:
        faulthandler.dump_traceback_later(seconds + GRACE_SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def failed(task: Task, message: str, kind: str = "error") -> Evidence:
    """Evidence of an evaluation that did not get as far as checks."""
    from verify.evidence import Evidence, plain
    from verify.verdict import judge

    data: dict[str, Any] = {
        "id": task.claim_id, "seed": task.seed, "size": task.size, "parameters": plain(dict(task.parameters)),
        "assumptions": [], "checks": [], "controls": [], "ablations": [], "power": {},
        "error": message, "error_kind": kind, "seconds": 0.0, "statistical_intervals": 0, "stated": 0,
        "grade": None, "worlds": [], "trees": {}, "left_out": [],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    data["verdict"], data["reason"] = judge(data)
    return Evidence(data)


def _explain(error: BaseException, root: Path) -> str:
    """file:line of the project's own code, if it came that far, and the message."""
    text = str(error) if isinstance(error, SetupError) else f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_relative(error.filename, root)}:{error.lineno}: {type(error).__name__}: {error.msg}"
    engine = Path(__file__).parent
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [at for at in frames if at[0].is_relative_to(root) and not at[0].is_relative_to(engine)]
    return f"{_relative(own[-1][0], root)}:{own[-1][1]}: {text}" if own else text


def _relative(path: str | Path, root: Path) -> str:
    path = Path(path)
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def reporter(task: Task) -> Report:
    """Sends phases to the parent, if this process was started for that; they may get lost."""
    channel = _parent

    def report(text: str) -> None:
        if channel is not None:
            with suppress(OSError):
                channel.send_bytes(
                    f"{task.claim_id}/{task.name}\n{text}".encode(errors="replace")[:MESSAGE_BYTES]
                )

    return report


def _start(channel: Connection) -> None:
    """The first thing that a worker does."""
    global _parent
    _parent = channel
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    with suppress(OSError):
        os.dup2(2, 1)  # what claims and their solvers print must not mix with JSON on stdout
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed can't end its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


# --- what is done in the parent -----------------------------------------------------------------------------


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool(ProcessPoolExecutor):
    """Spawned workers, one evaluation each. report: is told (claim id/task name, phase), from a thread."""

    def __init__(self, jobs: int, report: Callable[[str, str], None]) -> None:
        self.context = _Context(max(1, cores() // max(jobs, 1)))
        receiver, self._sender = self.context.Pipe(duplex=False)
        super().__init__(jobs, self.context, initializer=_start, initargs=(self._sender,))
        threading.Thread(target=_listen, args=(receiver, report), daemon=True).start()

    def kill(self) -> None:
        """Ends all workers at once, whatever they are doing."""
        self.shutdown(wait=False, cancel_futures=True)
        for process in self.context.started:
            with suppress(OSError, ValueError, AttributeError):  # it may not even have started
                process.kill()
        with suppress(OSError):
            self._sender.send_bytes(b"")

    def cause_of_death(self) -> str:
        """How the worker died, when there was one."""
        until, code = time.monotonic() + 1, None
        while code is None and time.monotonic() < until:  # the executor's own thread may be asking as well
            time.sleep(0.01)
            code = next((process.exitcode for process in self.context.started if process.exitcode), None)
        if code is None or code > 0:
            return f"exit code {code}" if code else "the reason is not known"
        name = signal.Signals(-code).name
        return f"{name}, as when memory runs out" if name == "SIGKILL" else name


class Here(Executor):
    """Evaluates in the calling thread: for debuggers."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Done on return."""
        future: Future[Any] = Future()
        with redirect_stdout(sys.stderr):
            future.set_result(fn(*args, **kwargs))
        return future


class _Process(SpawnProcess):
    def start(self) -> None:
        """Starts the worker with its own environment, without running the parent's main module there."""
        with _environment(self.devices), _without_main():
            super().start()

    devices = 1


class _Context(SpawnContext):
    def __init__(self, devices: int) -> None:
        self.devices = devices
        self.started: list[_Process] = []

    def Process(self, *args: Any, **kwargs: Any) -> _Process:  # type: ignore[override]
        """A worker, remembered."""
        process = _Process(*args, **kwargs)
        process.devices = self.devices
        self.started.append(process)
        return process


@contextmanager
def _environment(devices: int) -> Iterator[None]:
    """The workers' environment. A child inherits it, before it imports anything; then it is as it was.

    devices: cores that one worker may spread large data over, when there are fewer evaluations than cores.
    """
    before = dict(os.environ)
    flags = f"{before.get('XLA_FLAGS', '')} {XLA_FLAGS}".strip()
    ours = {**ENVIRONMENT, "XLA_FLAGS": flags, "JAX_NUM_CPU_DEVICES": str(devices)}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


@contextmanager
def _without_main() -> Iterator[None]:
    """A spawned child imports the parent's main module again, which costs it the command line's start-up and
    runs a script that has no `if __name__ == "__main__"`; nothing that crosses to a worker lives there.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _listen(receiver: Connection, report: Callable[[str, str], None]) -> None:
    """Passes phases on until the empty message that ends it."""
    with suppress(OSError, EOFError), receiver:
        while message := receiver.recv_bytes():
            name, _, text = message.decode(errors="replace").partition("\n")
            report(name, text)
