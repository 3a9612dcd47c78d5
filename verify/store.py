"""The store: evidence on disk, as JSON and plain npz. A damaged file is reported and never believed."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verify.errors import SetupError
from verify.evidence import Evidence

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from verify.workers import Task

FORMAT = 1
_DIGEST = re.compile("[0-9a-f]{64}")
FIELDS = {
    "id": str, "seed": int, "size": str, "verdict": str, "reason": str, "key": str, "seconds": float,
    "parameters": dict, "assumptions": list, "checks": list, "controls": list, "ablations": list,
    "power": dict, "worlds": list, "trees": dict, "left_out": list,
}  # fmt: skip


class DamagedError(ValueError):
    """A file of the store is not what was written; the message ends the sentence 'FILE ...'."""


class Store:
    """Evidence of one project, in `results/` beside its map.

    An evaluation has a JSON file, which names the npz file of its arrays by its digest: the JSON file is
    replaced last and at once, so whatever moment a run is killed at, it speaks of arrays that are there.
    notice: is told of damaged files, once each; they are warnings otherwise.
    """

    def __init__(self, root: Path, notice: Callable[[str], None] | None = None) -> None:
        self.folder = Path(root) / "results"
        self._notice = notice or warnings.warn
        self._noticed: set[Path] = set()

    def path(self, task: Task) -> Path:
        """The JSON file of an evaluation."""
        return self.folder.joinpath(*task.claim_id.split("/"), f"{task.name}.json")

    def read(self, task: Task, key: str) -> Evidence | None:
        """Evidence with this key; None if there is none, or it is stale or damaged."""
        evidence = self.latest(task)
        return evidence if evidence is not None and evidence.data["key"] == key else None

    def latest(self, task: Task) -> Evidence | None:
        """The last evidence, stale or not; None if there is none or it is damaged."""
        path = self.path(task)
        try:
            return self._read_settled(path, task)
        except DamagedError as error:
            if path not in self._noticed:
                self._noticed.add(path)
                self._notice(f"{path} {error}: it counts for nothing, and is evaluated again when asked for")
        return None

    def write(self, task: Task, evidence: Evidence) -> None:
        """Stores evidence in place of what there was. SetupError, with the mend, where that cannot be."""
        path = self.path(task)
        arrays = _npz(evidence.arrays) if evidence.arrays else None
        content: dict[str, Any] = {
            "format": FORMAT,
            "arrays": hashlib.sha256(arrays).hexdigest() if arrays is not None else None,
            "data": evidence.data,
        }
        text = json.dumps(
            content | {"checksum": _checksum(content)}, sort_keys=True, allow_nan=False, indent=1
        )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if arrays is not None:
                _replace(_npz_path(path, content["arrays"]), arrays)
            _replace(path, f"{text}\n".encode())
            _remove_leftovers(path, content["arrays"])
        except OSError as error:
            raise _cannot_write(path, error) from error

    def lock(self, task: Task) -> BaseFileLock:
        """The lock that keeps two processes off one evaluation; its file stays beside the evidence."""
        from filelock import FileLock

        path = self.path(task).with_suffix(".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_write(path, error) from error
        return FileLock(path)

    def try_lock(self, task: Task) -> BaseFileLock | None:
        """The lock, acquired; None while another process has it."""
        from filelock import Timeout

        lock = self.lock(task)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        except OSError as error:
            raise _cannot_write(Path(lock.lock_file), error) from error
        return lock

    def _read_settled(self, path: Path, task: Task) -> Evidence | None:
        """Reads again as long as another process replaces the files meanwhile."""
        raw = _bytes(path)
        while raw is not None:
            try:
                return _evidence(raw, path, task)
            except DamagedError:
                before, raw = raw, _bytes(path)
                if raw == before:
                    raise
        return None


def _evidence(raw: bytes, path: Path, task: Task) -> Evidence:
    """The evidence that a JSON file's content and the npz file beside it hold; DamagedError if it is none."""
    try:
        content = json.loads(raw, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"is truncated or no JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DamagedError("is no evidence, or was written by another version")
    if content.pop("checksum", None) != _checksum(content):
        raise DamagedError("was edited or damaged: its checksum is of something else")
    data, digest = content.get("data"), content.get("arrays")
    if not isinstance(data, dict) or not all(isinstance(data.get(f), kind) for f, kind in FIELDS.items()):
        raise DamagedError("lacks fields that evidence has")
    if (data["id"], data["seed"], data["size"]) != (task.claim_id, task.seed, task.size):
        raise DamagedError(f"is evidence of {data['id']}, seed {data['seed']}, size {data['size']}")
    if digest is None:
        return Evidence(data)
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise DamagedError("does not say which arrays it has")
    return Evidence(data, _Arrays(_npz_path(path, digest), digest))


class _Arrays(Mapping[str, np.ndarray]):
    """The arrays of an npz file, checked but only taken apart when somebody looks: most evidence is not drawn."""

    def __init__(self, path: Path, digest: str) -> None:
        raw = _bytes(path)
        if raw is None:
            raise DamagedError(f"has lost its arrays, {path.name}")
        if hashlib.sha256(raw).hexdigest() != digest:
            raise DamagedError(f"has damaged arrays, {path.name}")
        self._path, self._raw = path, raw

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        try:
            with np.load(io.BytesIO(self._raw), allow_pickle=False) as arrays:
                return dict(arrays)
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise SetupError(f"{self._path}: is no npz file of plain arrays ({error}); remove it") from error

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def _bytes(path: Path) -> bytes | None:
    """The file's content, None if it is not there."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedError(f"cannot be read ({error.strerror or error})") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in strict JSON")


def _checksum(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Equal bytes for equal arrays: numpy dates the members of the archive 1980."""
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"array {name} holds Python objects, which only pickle can store")
    stream = io.BytesIO()
    named: dict[str, Any] = dict(sorted(arrays.items()))
    np.savez(stream, **named)
    return stream.getvalue()


def _npz_path(path: Path, digest: str) -> Path:
    return path.with_suffix(f".{digest[:12]}.npz")


def _replace(path: Path, content: bytes) -> None:
    """All of it or nothing, even if the machine goes down: written beside, flushed to disk, renamed."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _remove_leftovers(path: Path, digest: str | None) -> None:
    """Arrays of evidence that was replaced, and parts that a killed run left."""
    kept = _npz_path(path, digest) if digest is not None else None
    for other in [*path.parent.glob(f"{path.stem}.*.npz"), *path.parent.glob(f".{path.stem}.*.tmp")]:
        if other != kept:
            with suppress(OSError):
                other.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> SetupError:
    """One paragraph: what cannot be written, why, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        mend = "free some space and run again; what is finished is kept"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        mend = "make the folder `results` writable, or work on a copy of the project that is"
    elif error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        mend = "something else lies in its place; move that away"
    else:
        mend = "check the folder `results`"
    return SetupError(f"{path}: cannot be written ({error.strerror or error}); {mend}")
