"""Malformed inputs: each gives a clear message or a recomputation; no traceback, no believed lie, nothing outside.

Maps, evidence (JSON and npz), figures, kept instances, ids with path tricks: truncated, bits flipped, wrong types, huge
numbers, hostile YAML, forged verdicts with and without a right checksum.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pickle
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests import toys
from verify import cli, store

CLAIMS = {"good": toys.VERIFIED, "wrong": toys.REFUTED, "curve": toys.DECAY}
VERDICTS = {"toy-paper/good": "verified", "toy-paper/wrong": "refuted", "toy-paper/curve": "verified"}
HOSTILE_YAML = (
    "papers: !!python/object/apply:os.system ['touch OUTSIDE']", "papers: &a [*a]", "papers: null", "",
    "a: &a [x,x,x]\nb: [*a,*a,*a]", "papers: {x: " + "{y: " * 200, "papers:\n\t- tab", "--- a\n--- b\n",
    "papers: 1e999", "? [a]\n: b", "papers: !!binary x", "\x00", "papers: {'../../up': {}}", "papers: {'': {}}",
    "- list", '"text"', "papers: " + "9" * 5000,
)  # fmt: skip
TRICKS = (
    "../../etc/passwd", "toy-paper/../../x", "/etc/passwd", "toy-paper/good\n", "toy-paper//good", "-x", "~",
    "toy-paper/good/..", "$(touch OUTSIDE)", "toy-paper/good;touch OUTSIDE", "\x00", "a" * 5000, "[", "**",
    "toy-paper/" + "../" * 20,
)  # fmt: skip
KINDS = {".yaml": "map", ".svg": "figure"}
RUN = ("run", "--json", "--jobs", "0")
Case = tuple[str, str, Path, bytes, tuple[str, ...]]


class Bomb:
    """What a pickle would run."""

    def __reduce__(self):
        return os.system, ("touch OUTSIDE",)


def flipped(raw: bytes, rng: random.Random) -> bytes:
    """One to eight bits changed."""
    damaged = bytearray(raw)
    for _ in range(rng.randint(1, 8)):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def truncated(raw: bytes, rng: random.Random) -> bytes:
    """The beginning only."""
    return raw[: rng.randrange(len(raw))]


def spliced(raw: bytes, rng: random.Random) -> bytes:
    """A piece of it somewhere else."""
    start = rng.randrange(len(raw))
    piece, at = raw[start : start + rng.randint(1, 200)], rng.randrange(len(raw))
    return raw[:at] + piece + raw[at:]


def retyped(raw: bytes, rng: random.Random) -> bytes:
    """A field of the evidence of another type or size, under a checksum that fits."""
    content = json.loads(raw)
    content.pop("checksum")
    target = rng.choice([content, content["data"]])
    odd = [None, 10**400, -1, [], {}, "x" * 10_000, 1e308, True, [[]], {"verdict": "verified"}]
    target[rng.choice(sorted(target))] = rng.choice(odd)
    return signed(content)


def forged(raw: bytes, rng: random.Random) -> bytes:
    """Another verdict; with a right checksum half of the time, when it is only as true as its key."""
    content = json.loads(raw)
    content["data"]["verdict"] = "verified" if content["data"]["verdict"] == "refuted" else "refuted"
    if rng.random() < 0.5:
        return json.dumps(content).encode()
    content.pop("checksum")
    content["data"]["key"] = "0" * 64
    return signed(content)


def signed(content: dict) -> bytes:
    """With the checksum that the store would write."""
    return json.dumps(content | {"checksum": store._checksum(content)}).encode()


WAYS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bit flips": flipped, "truncation": truncated, "splice": spliced,
    "empty": lambda raw, rng: b"", "random bytes": lambda raw, rng: rng.randbytes(300),
    "a pickle": lambda raw, rng: pickle.dumps(Bomb()), "nesting": lambda raw, rng: b"[" * 100_000,
}  # fmt: skip


def call(root: Path, *words: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    here, argv = Path.cwd(), sys.argv
    os.chdir(root)
    sys.argv = ["verify", *words]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli._code()
    finally:
        os.chdir(here)
        sys.argv = argv
    return code, out.getvalue(), err.getvalue()


def judge(root: Path, words: tuple[str, ...], what: str) -> str:
    """Runs a command on a damaged project; how it coped. Raises AssertionError where it did not."""
    code, out, err = call(root, *words)
    assert code in (0, 1, 2), f"{what}: exit code {code}"
    assert "Traceback" not in out + err, f"{what}: a traceback\n{err}"
    assert "an error of verify itself" not in err, f"{what}: {err}"
    if code == 2:
        assert err.strip(), f"{what}: exit code 2 without a word"
        return "message"
    if words[:2] == ("run", "--json"):
        for entry in json.loads(out, parse_constant=lambda name: 1 / 0)["claims"]:
            assert entry["verdict"] == VERDICTS[entry["id"]], (
                f"{what}: {entry['id']} believed {entry['verdict']}"
            )
        return "recomputed"
    return "unharmed"


def cases(calm: Path, count: int, rng: random.Random) -> list[Case]:
    """(kind, what, a file of the project and what it is to hold, the command that meets it)."""
    path = Path("paper_map.yaml")
    own = (calm / path).read_bytes()
    found = [("map", f"hostile YAML {i}", path, text.encode(), RUN) for i, text in enumerate(HOSTILE_YAML)]
    for trick in TRICKS:
        for command in ("run", "show", "figures", "new", "attack"):
            found.append(("id", f"{command} {trick[:30]!r}", path, own, (command, trick)))
    every = (path.relative_to(calm) for path in sorted(calm.rglob("*")))
    files = [path for path in every if path.suffix in (".json", ".npz", ".svg")]
    while len(found) < count:
        path = rng.choice([Path("paper_map.yaml"), *files])
        is_evidence = path.suffix == ".json" and path.name.startswith("seed")
        ways = WAYS | ({"wrong types": retyped, "forged": forged} if is_evidence else {})
        way = rng.choice(sorted(ways))
        raw = ways[way]((calm / path).read_bytes(), rng)
        words = rng.choice([("figures",), ("report",), ("list",)]) if path.suffix == ".svg" else RUN
        found.append((KINDS.get(path.suffix, "evidence"), f"{way} of {path}", path, raw, words))
    return found


def snapshot(folder: Path) -> dict[str, str]:
    """{file: digest} of everything beside the project."""
    files = [
        path
        for path in folder.rglob("*")
        if path.is_file() and "project" not in path.relative_to(folder).parts
    ]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main(count: int = 300, seed: int = 0) -> dict:
    """Prints and returns how each kind of damage was met."""
    rng, table = random.Random(seed), Counter()
    with tempfile.TemporaryDirectory() as folder:
        outside = Path(folder)
        calm = toys.write_project(outside / "calm" / "project", CLAIMS)
        assert call(calm, "run", "--jobs", "0")[0] == 1
        assert call(calm, "figures")[0] in (0, 1)
        before = snapshot(outside)
        for kind, what, path, raw, words in cases(calm, count, rng):
            root = outside / "project"
            shutil.copytree(calm, root)
            (root / path).write_bytes(raw)
            table[kind, judge(root, words, what)] += 1
            assert snapshot(outside) == before, f"{what}: something was written outside the project"
            assert not list(root.rglob("OUTSIDE")), f"{what}: a command was run"
            shutil.rmtree(root)
    met = {f"{kind}: {met}": number for (kind, met), number in sorted(table.items())}
    for name, number in met.items():
        print(f"{number:5}  {name}")
    return {"inputs": sum(met.values()), "met": met}
