"""A full disk, a read-only folder, two suites at once in one folder: clear messages, nothing lost or done twice.

The folder `results` is put on a file system of its own, in a mount namespace that ends with the command
(`unshare --mount`, Linux).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests import toys
from tests.trust import kills

CLAIMS = 8
ROOM = "48k"  # a page for each file and folder: enough for some claims' evidence, not for all
RUN = f"{sys.executable} -m verify run --jobs 1"


def possible() -> bool:
    """Whether file systems may be mounted here."""
    try:
        return (
            subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True).returncode
            == 0
        )
    except FileNotFoundError:
        return False


def project(folder: Path) -> Path:
    """Claims that log when they are begun, and an empty folder to mount on."""
    root = toys.write_project(folder, {f"claim-{i}": toys.LOGGED for i in range(CLAIMS)})
    (root / "results").mkdir()
    return root


def mounted(root: Path, options: str, *commands: str) -> subprocess.CompletedProcess:
    """Runs shell commands in the project, with `results` on a file system of its own."""
    namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    script = "\n".join(["set -e", f"mount -t tmpfs -o {options} none results", "set +e", *commands])
    return subprocess.run([*namespace, script], cwd=root, capture_output=True, text=True, timeout=300)


def clear(done: subprocess.CompletedProcess, code: int, *words: str) -> None:
    """Asserts the exit code, and a message without a traceback."""
    said = done.stdout + done.stderr
    assert done.returncode == code, f"exit code {done.returncode}: {said}"
    assert all(word in said for word in words), said
    assert "Traceback" not in said, said


def full_disk(root: Path, calm: Path) -> int:
    """How many evaluations are kept when the disk is full, and found again once there is room."""
    assert kills.suite(calm).wait() == 0
    stop = f"{RUN}; code=$?; cp -r results kept; "
    room = f"mount -o remount,size=10m none results; {RUN} >again 2>&1 && cp -r results all; exit $code"
    clear(mounted(root, f"size={ROOM}", stop + room), 2, "No space left", "free some space and run again")
    kept = list(root.glob("kept/*/*/*.json"))
    assert 0 < len(kept) < CLAIMS, f"{len(kept)} of {CLAIMS} kept"
    begun = kills.begun(root)
    for path in kept:
        assert begun[f"toy-paper/{path.parent.name}"] == 1, f"{path.parent.name} was lost"
    (root / "all").rename(root / "results")
    assert kills.evidence(root) == kills.evidence(calm), (
        "the evidence differs from that of an undisturbed run"
    )
    return len(kept)


def read_only(root: Path) -> None:
    """A run says that it cannot write; what was there is still read."""
    clear(mounted(root, "ro", RUN), 2, "Read-only file system", "make the folder `results` writable")
    with_evidence = f"{RUN} >/dev/null 2>&1; mount -o remount,ro none results; {RUN}"
    clear(mounted(root, "size=10m", with_evidence), 0, f"{CLAIMS} of {CLAIMS} claims as expected")


def two_at_once(root: Path) -> None:
    """Each evaluation is done by one of the two, both say the same."""
    suites = [kills.suite(root), kills.suite(root)]
    assert [suite.wait() for suite in suites] == [0, 0]
    begun = kills.begun(root)
    assert len(begun) == CLAIMS
    assert set(begun.values()) == {1}, f"some were done twice: {begun}"


def main() -> dict:
    """Runs the three."""
    if not possible():
        raise SystemExit(
            "this part mounts file systems of its own, which `unshare --mount` is not allowed to do here"
        )
    with tempfile.TemporaryDirectory() as folder:
        kept = full_disk(project(Path(folder, "full")), project(Path(folder, "calm")))
        print(f"full disk: exit code 2, {kept} of {CLAIMS} evaluations kept, the rest once there is room")
        read_only(project(Path(folder, "read-only")))
        print("read-only results: exit code 2 and the mend; evidence that is there is still shown")
        two_at_once(project(Path(folder, "two")))
        print(f"two suites at once: {CLAIMS} evaluations begun, none twice")
    return {"kept_on_a_full_disk": kept, "claims": CLAIMS}
