"""Evaluations on a dask cluster: its workers see the same folder, and must have the same code and packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import SetupError

if TYPE_CHECKING:
    from verify.evidence import Evidence

ANSWER_SECONDS = 5
WORKERS_SECONDS = 30
Parts = Mapping[str, Mapping[str, str]]


class Cluster(Executor):
    """The workers of one scheduler. Dask itself tries a task again whose worker dies."""

    def __init__(self, client: Any, workers: int) -> None:
        self.client, self.workers = client, workers
        self._executor = client.get_executor()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hands a call to some worker."""
        future: Future[Any] = self._executor.submit(fn, *args, **kwargs)
        return future


def connect(address: str) -> Cluster:
    """The cluster of the scheduler at tcp://HOST:PORT. SetupError if none answers there or it has no workers."""
    try:
        from distributed import Client
    except ImportError as error:
        raise SetupError("--executor needs dask; install verify-claims[cluster], there and here") from error
    try:
        untyped: Any = Client  # dask's annotations do not cover it
        client = untyped(address, timeout=ANSWER_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise SetupError(
            f"--executor {address}: no scheduler answers there ({error}); start one with `dask scheduler`"
        ) from error
    try:
        client.wait_for_workers(1, timeout=WORKERS_SECONDS)
    except TimeoutError as error:
        start = f"dask worker {address} --nworkers N --nthreads 1"
        raise SetupError(
            f"--executor {address}: the scheduler has no workers; start some: {start}"
        ) from error
    return Cluster(client, sum(client.nthreads().values()))


def work_elsewhere(map_path: str, parts: Parts, root: str, claim_id: str, *task: Any) -> Evidence:
    """In a worker that somebody else started: `work`, unless it would not compute the same there.

    parts: `Keys.parts` of the claim where the run was started.
    """
    from verify.workers import SETUP, Task, failed, work

    problem = difference(map_path, parts, claim_id)
    if problem:
        return failed(Task(claim_id, *task[:3]), problem, SETUP)
    return work(root, claim_id, *task)


def difference(map_path: str, parts: Parts, claim_id: str) -> str:
    """What this process has that differs from the parts of a claim's key, in words; empty if nothing does."""
    from verify import paper_map
    from verify.key import Keys

    try:
        here = Keys(paper_map.read(Path(map_path))).parts(claim_id)
    except SetupError as error:
        return f"a worker cannot read the project, which has to lie in the same folder there: {error}"
    names = [
        f"{name}: {_short(here[kind].get(name))} there, {_short(parts[kind].get(name))} here"
        for kind in parts
        for name in sorted({*parts[kind], *here[kind]})
        if here[kind].get(name) != parts[kind].get(name)
    ]
    mend = "install the same versions and use the same checkout on every worker"
    return f"a worker differs from this process ({'; '.join(names[:4])}); {mend}" if names else ""


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "missing"
