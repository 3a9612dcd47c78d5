"""Throughput against the number of workers, what an evaluation costs beside its own work, and a run that grows.

Everything is measured on this machine; more workers than cores show the overhead, not a gain.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests import toys
from verify import execute
from verify.suite import load
from verify.workers import Task

ROOT = Path(__file__).parent.parent.parent
ROWS = (10_000, 100_000, 1_000_000)
TASKS = 40
BUSY = toys.VERIFIED.replace(
    "    return exact(sum(",
    "    import time\n\n    until = time.process_time() + 0.02\n    while time.process_time() < until:\n        pass\n"
    "    return exact(sum(",
)
GROWN = """
import json, resource, sys, time
import verify
from verify.suite import load
claim = load(sys.argv[1]).claims["signgd-adam-margin/certified-max-margin-references"].sized("full")
case = claim.each_case()[0]
claim.cases = [case]
began = time.perf_counter()
data = verify.evaluate(claim, per_class=int(sys.argv[2]) // 10).data
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
meet = next(check for check in data["checks"] if check["name"] == "curves-meet")
print(json.dumps({"seconds": time.perf_counter() - began, "peak_gib": peak, "verdict": data["verdict"],
                  "upper_over_lower": meet["measured"]["upper"]}))
"""


def line(name: str, count: int, wall: float, seconds: list[float]) -> dict:
    """Evaluations a second, and the worker time that each costs beside its own."""
    overhead = 1e3 * (wall * max(count, 1) - sum(seconds)) / len(seconds)
    found = {name: count, "per_second": len(seconds) / wall, "overhead_ms": overhead}
    print("  ".join(f"{name} {value:.3g}" for name, value in found.items()), flush=True)
    return found


def throughput(root: Path) -> list[dict]:
    """Evaluations a second with 1, 2 and 4 local workers, and in this process."""
    suite = load(root)
    claim_id = suite.map.ids()[0]
    table = []
    for jobs in (0, 1, 2, 4):
        tasks = [Task(claim_id, seed) for seed in range(TASKS)]
        began = time.perf_counter()
        seconds = [r.evidence.data["seconds"] for r in execute.run(suite, tasks, jobs=jobs, use_cache=False)]
        wall = time.perf_counter() - began
        line = {
            "workers": jobs,
            "per_second": TASKS / wall,
            "overhead_ms": 1e3 * (wall * max(jobs, 1) - sum(seconds)) / TASKS,
        }
        print("  ".join(f"{name} {value:.3g}" for name, value in line.items()), flush=True)
        table.append(line)
    return table


def on_dask(root: Path) -> list[dict]:
    """The same on a dask scheduler of its own with one and two workers, each a program."""
    from verify import cluster

    programs = {
        name: [sys.executable, "-m", f"distributed.cli.dask_{name}"] for name in ("scheduler", "worker")
    }
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True, "env": environment}
    scheduler = subprocess.Popen(
        [*programs["scheduler"], "--host", "127.0.0.1", "--port", "0", "--no-dashboard"], **options
    )
    address = next(
        found[1] for line in scheduler.stderr if (found := re.search(r"Scheduler at:\s+(\S+)", line))
    )
    suite, started, table = load(root), [scheduler], []
    claim_id = suite.map.ids()[0]
    for count in (1, 2):
        started.append(
            subprocess.Popen(
                [*programs["worker"], address, "--nthreads", "1", "--no-nanny", "--no-dashboard"], **options
            )
        )
        there = cluster.connect(address)
        there.client.wait_for_workers(count, timeout=60)
        tasks = [Task(claim_id, seed) for seed in range(TASKS)]
        began = time.perf_counter()
        results = execute.run(suite, tasks, jobs=count, use_cache=False, executor=there, elsewhere=True)
        seconds = [result.evidence.data["seconds"] for result in results]
        wall = time.perf_counter() - began
        line = {
            "dask_workers": count,
            "per_second": TASKS / wall,
            "overhead_ms": 1e3 * (wall * count - sum(seconds)) / TASKS,
        }
        print("  ".join(f"{name} {value:.3g}" for name, value in line.items()), flush=True)
        table.append(line)
        there.client.close()
    for program in started[::-1]:
        program.kill()
        program.wait()
    return table


def sweep(root: Path, seeds: int = 1000) -> dict:
    """Many seeds at once: peak memory of the parent and how busy its workers are."""
    command = [sys.executable, "-m", "verify", "run", "--fresh", str(seeds), "--jobs", "2"]
    began = time.perf_counter()
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    wall = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    found = {"seeds": seeds, "seconds": wall, "peak_mib": peak, "exit_code": run.returncode}
    print("  ".join(f"{name} {value:.4g}" for name, value in found.items()), flush=True)
    return found


def grown(rows: int) -> dict:
    """The run that certifies itself, in a process of its own, on data of some size."""
    import json

    threads = {
        "JAX_NUM_CPU_DEVICES": str(os.cpu_count() or 1),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", GROWN, str(ROOT), str(rows)]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **threads}, check=True)
    found = {"rows": rows, **json.loads(run.stdout.splitlines()[-1])}
    print(found, flush=True)
    return found


def main(most_rows: int = ROWS[-1]) -> dict:
    """Prints and returns all of it; most_rows: the largest run to make."""
    with tempfile.TemporaryDirectory() as folder:
        root = toys.write_project(Path(folder) / "project", {"busy": BUSY})
        return {
            "local": throughput(root), "dask": on_dask(root), "sweep": sweep(root),
            "grown": [grown(rows) for rows in ROWS if rows <= most_rows],
        }  # fmt: skip
