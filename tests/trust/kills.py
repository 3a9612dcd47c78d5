"""Kills a running suite at random moments: what was finished is never lost, what comes out is the same."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests import toys

CLAIMS, JOBS = 12, 2
WHOM = ("a worker", "the parent", "all of them")
# half a second each, and a line in PROJECT/log for every evaluation that is begun
TOY = toys.LOGGED.replace("    return n\n", "    import time\n\n    time.sleep(0.5)\n    return n\n")


def suite(root: Path) -> subprocess.Popen:
    """A run, with its workers in one process group."""
    command = [sys.executable, "-m", "verify", "run", "--jobs", str(JOBS)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=root, start_new_session=True, **quiet)


def evidence(root: Path) -> dict[str, dict]:
    """{file: evidence without what differs from run to run}."""
    found = {}
    for path in sorted(root.glob("results/*/*/*.json")):
        data = json.loads(path.read_text())["data"]
        found[path.relative_to(root).as_posix()] = {
            name: value for name, value in data.items() if name not in ("seconds", "started")
        }
    return found


def begun(root: Path) -> Counter:
    """How often each claim was begun."""
    log = root / "log"
    return Counter(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else Counter()


def workers_of(parent: int) -> list[int]:
    """The processes of a run but the parent: those in its group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != parent:
            try:
                if os.getpgid(int(entry.name)) == parent:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def kill(process: subprocess.Popen, whom: str, rng: random.Random) -> None:
    """SIGKILL to a worker, the parent, or all of them."""
    workers = workers_of(process.pid)
    victims = {"a worker": [rng.choice(workers)] if workers else [], "the parent": [process.pid]}
    for victim in victims.get(whom, [process.pid, *workers]):
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue


def main(count: int = 20, seed: int = 0) -> dict:
    """Kills `count` times, in as many runs as it takes; then runs to the end and compares."""
    rng = random.Random(seed)
    kills, repeated, rounds = 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        calm = toys.write_project(Path(folder, "calm"), {f"claim-{i}": TOY for i in range(CLAIMS)})
        assert suite(calm).wait() == 0
        expected = evidence(calm)
        while kills < count:
            rounds += 1
            root = toys.write_project(Path(folder, str(rounds)), {f"claim-{i}": TOY for i in range(CLAIMS)})
            here = 0
            while kills < count and len(evidence(root)) < CLAIMS - JOBS:
                process, before = suite(root), evidence(root)
                time.sleep(rng.uniform(0.3, 3.0))
                if process.poll() is None:
                    kill(process, rng.choice(WHOM), rng)
                    kills, here = kills + 1, here + 1
                    time.sleep(rng.uniform(0, 0.3))
                if process.poll() is None and rng.random() < 0.5:  # a run that lost a worker may go on alone
                    process.wait(timeout=120)
                os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
                process.wait()
                after = evidence(root)
                assert all(after[name] == data for name, data in before.items()), "finished evidence was lost"
            assert suite(root).wait() == 0
            assert evidence(root) == expected, "the evidence differs from that of an undisturbed run"
            again = sum(begun(root).values()) - CLAIMS
            repeated += again
            # a kill costs what was under way; one that hits a worker has its task tried again, alone
            assert again <= 2 * JOBS * (here + 1), f"{again} evaluations were repeated after {here} kills"
            print(
                f"round {rounds}: {here} kills, {again} evaluations repeated, evidence as expected",
                flush=True,
            )
    return {"kills": kills, "rounds": rounds, "evaluations_repeated": repeated, "lost": 0}
