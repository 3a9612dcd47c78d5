"""Evidence on disk comes back as it was, or not at all."""

import errno
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import toys
from verify import store as store_module
from verify.errors import SetupError
from verify.evidence import Evidence
from verify.store import Store
from verify.workers import Task, failed, work

TASK = Task("toy-paper/one")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """Evidence with arrays, as an evaluation leaves it."""
    root = toys.write_project(tmp_path_factory.mktemp("store") / "project", {"one": toys.DECAY})
    evidence = work(str(root), TASK.claim_id, 0, "quick", ())
    assert evidence.verdict == "verified"
    assert evidence.arrays
    evidence.data["key"] = "k1"
    return evidence


@pytest.fixture
def stored(evaluated, tmp_path):
    """A store with that evidence, and what it notices."""
    notices = []
    store = Store(tmp_path, notices.append)
    store.write(TASK, evaluated)
    return store, notices


def same(a, b):
    return (
        a.data == b.data
        and a.arrays.keys() == b.arrays.keys()
        and all(
            a.arrays[n].dtype == b.arrays[n].dtype and np.array_equal(a.arrays[n], b.arrays[n])
            for n in a.arrays
        )
    )


def files(store):
    return sorted(path.name for path in store.path(TASK).parent.iterdir())


def npz(store):
    [path] = store.path(TASK).parent.glob("*.npz")
    return path


def test_evidence_comes_back(stored, evaluated):
    store, notices = stored
    assert store.path(TASK) == store.folder / "toy-paper" / "one" / "seed0-quick.json"
    assert same(store.read(TASK, "k1"), evaluated)
    assert store.read(TASK, "k2") is None
    assert same(store.latest(TASK), evaluated)
    assert store.latest(Task("toy-paper/other")) is None
    assert notices == []


def test_evaluations_of_one_claim_lie_side_by_side():
    tasks = [TASK, replace(TASK, seed=1), replace(TASK, size="full"), replace(TASK, parameters=(("n", 1),))]
    tasks += [replace(TASK, parameters=(("n", value),)) for value in (1.0, True, "1", None)]
    assert len({Store("anywhere").path(task) for task in tasks}) == len(tasks)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    plain,
    st.dictionaries(
        st.from_regex(r"a\d+_\d+", fullmatch=True),
        st.lists(st.floats(), max_size=5)
        | st.lists(st.integers(-(2**62), 2**62), min_size=1)
        | st.lists(st.booleans(), min_size=1),
        max_size=3,
    ),
)
def test_any_plain_data_and_arrays_come_back(tmp_path_factory, value, arrays):
    store = Store(tmp_path_factory.mktemp("any"), pytest.fail)
    evidence = failed(TASK, "made for a test")
    evidence.data |= {"key": "k", "parameters": {"value": value}}
    evidence.arrays = {name: np.array(array) for name, array in arrays.items()}
    store.write(TASK, evidence)
    found = store.read(TASK, "k")
    assert json.dumps(found.data, sort_keys=True) == json.dumps(evidence.data, sort_keys=True)
    for name, array in evidence.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].tobytes() == array.tobytes()


def test_equal_evidence_has_equal_bytes(stored, evaluated, tmp_path):
    store, _ = stored
    other = Store(tmp_path / "other")
    backwards = Evidence(dict(reversed(evaluated.data.items())), dict(reversed(evaluated.arrays.items())))
    other.write(TASK, backwards)
    assert files(store) == files(other)
    assert store.path(TASK).read_bytes() == other.path(TASK).read_bytes()
    assert npz(store).read_bytes() == npz(other).read_bytes()


def test_new_evidence_replaces_all_of_the_old(stored, evaluated):
    store, notices = stored
    folder = store.path(TASK).parent
    (folder / ".seed0-quick.json.123.tmp").write_text("a killed run left this")
    store.write(replace(TASK, seed=1), Evidence(evaluated.data | {"seed": 1}, evaluated.arrays))
    changed = {name: array + 1 for name, array in evaluated.arrays.items()}
    store.write(TASK, Evidence(evaluated.data, changed))
    assert same(store.read(TASK, "k1"), Evidence(evaluated.data, changed))
    assert same(
        store.read(replace(TASK, seed=1), "k1"), Evidence(evaluated.data | {"seed": 1}, evaluated.arrays)
    )
    assert len(files(store)) == 4
    store.write(TASK, Evidence(evaluated.data, {}))
    assert store.read(TASK, "k1").arrays == {}
    assert len(files(store)) == 3
    assert notices == []


# --- damage -------------------------------------------------------------------------------------------------


def without_arrays(content):
    content["arrays"] = None


def checksummed(change):
    """A change by somebody who knows how checksums are made."""

    def changed(text):
        content = json.loads(text)
        del content["checksum"]
        change(content)
        return json.dumps(content | {"checksum": store_module._checksum(content)})

    return changed


DAMAGE = {
    "emptied": lambda text: "",
    "truncated": lambda text: text[: len(text) // 2],
    "a verdict edited": lambda text: text.replace('"verdict": "verified"', '"verdict": "refuted"'),
    "a number edited": lambda text: re.sub(r'"seconds": \d', '"seconds": 9', text),
    "NaN": lambda text: re.sub(r'"seconds": [^,\n]*', '"seconds": NaN', text),
    "Infinity": lambda text: re.sub(r'"seconds": [^,\n]*', '"seconds": -Infinity', text),
    "arrays disowned": lambda text: re.sub(r'"arrays": "\w*"', '"arrays": null', text),
    "a list": lambda text: "[1, 2]",
    "null": lambda text: "null",
    "no UTF-8": lambda text: b"\xff\xfe{}",
    "too deep": lambda text: "[" * 100_000,
    "a long number": lambda text: '{"format": ' + "1" * 5000 + "}",
    "a lone checksum": lambda text: '{"format": 1, "checksum": ""}',
    "another format": checksummed(lambda content: content.update(format=2)),
    "data of the wrong type": checksummed(lambda content: content.update(data=[])),
    "a field of the wrong type": checksummed(lambda content: content["data"].update(worlds="")),
    "no key": checksummed(lambda content: content["data"].pop("key")),
    "evidence of another claim": checksummed(lambda content: content["data"].update(id="toy-paper/other")),
    "evidence of another seed": checksummed(lambda content: content["data"].update(seed=1)),
    "arrays of the wrong type": checksummed(lambda content: content.update(arrays=7)),
    "arrays somewhere else": checksummed(lambda content: content.update(arrays="../../../../etc/passwd")),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_evidence_is_reported_once_and_not_believed(stored, damage):
    store, notices = stored
    path = store.path(TASK)
    changed = damage(path.read_text())
    assert changed != path.read_text()
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    assert store.read(TASK, "k1") is None
    assert store.latest(TASK) is None
    [notice] = notices
    assert notice.startswith(f"{path} ")
    assert len(notice.splitlines()) == 1


ARRAY_DAMAGE = {
    "lost": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "of another": lambda path: np.savez(path, a0_0=np.zeros(3)),
    "pickled": lambda path: np.savez(path, a0_0=np.array([print], dtype=object)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", ARRAY_DAMAGE.values(), ids=ARRAY_DAMAGE)
def test_damaged_arrays_are_reported_and_not_believed(stored, evaluated, damage):
    store, notices = stored
    damage(npz(store))
    assert store.read(TASK, "k1") is None
    [notice] = notices
    assert "arrays" in notice or "read" in notice
    if not any(path.is_dir() for path in store.path(TASK).parent.iterdir()):
        store.write(TASK, evaluated)
        assert same(store.read(TASK, "k1"), evaluated)


@given(st.integers(0, 10**6), st.integers(0, 7), st.booleans())
def test_a_flipped_bit_never_changes_evidence(tmp_path_factory, evaluated, at, bit, in_arrays):
    notices = []
    store = Store(tmp_path_factory.mktemp("flipped"), notices.append)
    store.write(TASK, evaluated)
    path = npz(store) if in_arrays else store.path(TASK)
    raw = bytearray(path.read_bytes())
    raw[at % len(raw)] ^= 1 << bit
    path.write_bytes(raw)
    found = store.latest(TASK)
    # one blank for another is the same JSON
    assert len(notices) == 1 if found is None else same(found, evaluated)
    assert found is None or not in_arrays


def test_damage_is_a_warning_where_nobody_listens(stored):
    store, _ = stored
    store.path(TASK).write_text("{")
    with pytest.warns(UserWarning, match=r"seed0-quick\.json is truncated"):
        assert Store(store.folder.parent).latest(TASK) is None


def test_a_pickle_is_never_loaded(stored, evaluated):
    """Neither written nor read, even under a digest of its own."""
    store, notices = stored
    pickled = np.array([print], dtype=object)
    with pytest.raises(ValueError, match="Python objects"):
        store.write(TASK, Evidence(evaluated.data, {"a0_0": pickled}))
    stream = io.BytesIO()
    np.savez(stream, a0_0=pickled)
    digest = hashlib.sha256(stream.getvalue()).hexdigest()
    store.path(TASK).with_suffix(f".{digest[:12]}.npz").write_bytes(stream.getvalue())
    change = checksummed(lambda content: content.update(arrays=digest))
    store.path(TASK).write_text(change(store.path(TASK).read_text()))
    with pytest.raises(SetupError, match="plain arrays"):
        len(store.read(TASK, "k1").arrays)
    assert notices == []


def test_a_reader_sees_old_or_new_while_a_writer_replaces(tmp_path, evaluated):
    """The writer replaces evidence as fast as it can; every look finds a whole one."""
    writer = """
import sys
from tests.test_store import *
from verify.store import Store
store, first = Store(sys.argv[1]), failed(TASK, "made for a test")
first.data["key"] = "k1"
print("ready", flush=True)
for i in range(100):
    first.arrays = {"a0_0": np.full(1000, float(i))}
    first.data["seconds"] = float(i)
    store.write(TASK, first)
"""
    store = Store(tmp_path, pytest.fail)
    process = subprocess.Popen(
        [sys.executable, "-c", writer, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    looks = 0
    while process.poll() is None:
        found = store.latest(TASK)
        if found is not None:
            assert np.all(found.arrays["a0_0"] == found.data["seconds"])
            looks += 1
    process.stdout.close()
    assert process.returncode == 0
    assert looks > 10


# --- where nothing can be written ---------------------------------------------------------------------------


def test_something_in_the_way_is_a_setup_error(tmp_path, evaluated):
    (tmp_path / "results").write_text("a file")
    store = Store(tmp_path)
    assert store.latest(TASK) is None
    for attempt in (lambda: store.write(TASK, evaluated), lambda: store.try_lock(TASK)):
        with pytest.raises(SetupError, match=r"results.*in its place; move that away"):
            attempt()


@pytest.mark.skipif(not shutil.which("chmod") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_a_setup_error(stored, evaluated):
    store, _ = stored
    store.path(TASK).parent.chmod(0o500)
    with pytest.raises(SetupError, match="make the folder `results` writable"):
        store.write(TASK, evaluated)


@pytest.mark.parametrize(
    ("code", "mend"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "writable"), (errno.EIO, "check")]
)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_refuses_is_a_setup_error_and_keeps_the_old(
    stored, evaluated, monkeypatch, code, mend, step
):
    store, notices = stored
    before = files(store)

    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(SetupError, match=mend) as caught:
        store.write(TASK, Evidence(evaluated.data | {"key": "k2"}, {"a": np.zeros(2)}))
    assert str(store.path(TASK)) in str(caught.value)
    monkeypatch.undo()
    assert files(store) == before
    assert same(store.read(TASK, "k1"), evaluated)
    assert notices == []


def test_evidence_is_strict_json(stored, evaluated):
    store, _ = stored
    for value in (float("nan"), float("inf"), np.ones(1), {1, 2}):
        with pytest.raises((ValueError, TypeError)):
            store.write(TASK, Evidence(evaluated.data | {"seconds": value}, {}))
    assert same(store.read(TASK, "k1"), evaluated)


def test_one_lock_for_one_evaluation(tmp_path):
    store, other = Store(tmp_path), Store(tmp_path)
    lock = store.try_lock(TASK)
    assert other.try_lock(TASK) is None
    free = other.try_lock(replace(TASK, seed=1))
    assert free is not None
    free.release()
    lock.release()
    again = other.try_lock(TASK)
    assert again is not None
    again.release()
    with warnings.catch_warnings(), store.lock(TASK):
        warnings.simplefilter("error")
        assert other.try_lock(TASK) is None
