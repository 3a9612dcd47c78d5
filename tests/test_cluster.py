"""`verify run --executor`: a real scheduler, workers that were started as programs of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import toys
from tests.test_cli import command, strict
from tests.toys import write_project
from verify import cluster, paper_map
from verify.errors import SetupError
from verify.key import Keys

ROOT = Path(__file__).parent.parent
SLOW = toys.VERIFIED.replace(
    "    return exact(sum(", "    import time\n\n    time.sleep(0.1)\n    return exact(sum("
)
FREE_PORT = ["--port", "0", "--no-dashboard"]


def program(*words: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def scheduler():
    process = program("dask_scheduler", "--host", "127.0.0.1", *FREE_PORT)
    address = None
    for line in process.stderr:
        if found := re.search(r"Scheduler at:\s+(tcp://\S+)", line):
            address = found[1]
            break
    assert address is not None
    yield address
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def worker(address: str, name: str, **environment: str) -> subprocess.Popen:
    words = ["--nthreads", "1", "--no-dashboard", "--no-nanny", "--name", name, "--local-directory", "/tmp"]
    return program("dask_worker", address, *words, **environment)


@pytest.fixture
def workers(scheduler):
    """Two workers; whatever the test did to them, none is left."""
    processes = [worker(scheduler, f"worker-{i}-{time.time_ns()}") for i in range(2)]
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


def run(root: Path, address: str, *words: str):
    done = command(root, "run", "--executor", address, "--json", *words)
    return done, strict(done.out) if done.out else None


def comparable(document: dict) -> list[dict]:
    """Everything but when it was and how long it took."""
    return [
        {name: value for name, value in entry.items() if name not in ("seconds", "started", "cached")}
        for entry in document["claims"]
    ]


def test_results_equal_those_of_a_local_run(project, scheduler, workers):
    root = project({"one": toys.VERIFIED, "two": toys.REFUTED, "three": toys.DECAY, "four": toys.RAISING})
    done, there = run(root, scheduler, "--no-cache")
    here = strict(command(root, "run", "--no-cache", "--json", "--jobs", "1").out)
    assert done.code == 1
    assert comparable(there) == comparable(here)
    assert all(entry["cached"] for entry in run(root, scheduler)[1]["claims"] if entry["verdict"] != "error")


def test_a_killed_worker_costs_nothing_but_time(project, scheduler, workers):
    root = project(dict.fromkeys(("one", "two", "three"), SLOW))
    process = subprocess.Popen(
        [sys.executable, "-m", "verify", "run", "--executor", scheduler, "--json", "--no-cache"],
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(root.glob("results/**/*.json")):
        time.sleep(0.05)
    workers[0].kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert [entry["verdict"] for entry in json.loads(out)["claims"]] == ["verified"] * 3


def test_a_worker_with_other_packages_is_refused(project, scheduler, tmp_path):
    """numpy's metadata say another version there: what the key reads."""
    metadata = tmp_path / "other" / "numpy-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    odd = worker(scheduler, "odd", PYTHONPATH=f"{metadata.parent}{os.pathsep}{ROOT}")
    try:
        done, document = run(project({"one": toys.VERIFIED}), scheduler)
    finally:
        odd.kill()
        odd.wait()
        odd.stderr.close()
    assert done.code == 2
    assert "numpy: 1.0 there" in document["claims"][0]["error"]


def test_other_code_is_named(tmp_path):
    root = write_project(tmp_path, {"one": toys.VERIFIED})
    path, claim_id = root / "paper_map.yaml", "toy-paper/one"
    parts = Keys(paper_map.read(path)).parts(claim_id)
    assert cluster.difference(str(path), parts, claim_id) == ""
    module = root / "claims" / "toy_paper" / "one.py"
    module.write_text(module.read_text().replace("exponent=2", "exponent=1 + 1"))
    assert "claims.toy_paper.one" in cluster.difference(str(path), parts, claim_id)
    assert "same folder" in cluster.difference(str(root / "nowhere.yaml"), parts, claim_id)


def test_nobody_answers(project):
    done = command(project({"one": toys.VERIFIED}), "run", "--executor", "tcp://127.0.0.1:9")
    assert done.code == 2
    assert "no scheduler answers" in done.err
    with pytest.raises(SetupError, match="no scheduler answers"):
        cluster.connect("nonsense://x")
