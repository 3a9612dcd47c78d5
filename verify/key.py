"""The key of evidence: a digest of everything that its numbers depend on, found without running any of it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import SetupError
from verify.sources import Memory, Signature, Source, content, signature, source

if TYPE_CHECKING:
    from verify.paper_map import PaperMap

ENGINE = Path(__file__).parent
NUMERICAL_ROOMS = (
    "claim", "evaluation", "evidence", "interval", "record", "relation", "statistics", "verdict", "world",
    "certify*", "train*",
)  # fmt: skip
NUMERICAL_PACKAGES = (
    "numpy", "scipy", "cvxpy", "clarabel", "highspy", "jax", "jaxlib", "optax", "python-flint", "sympy",
)  # fmt: skip


class Keys:
    """The keys of a project's claims. A file is read again when it changes."""

    def __init__(self, paper_map: PaperMap) -> None:
        self.map, self.root = paper_map, paper_map.root
        self.memory = Memory(self.root / "results" / ".sources.json")
        self.memory.recall()

    def evidence(
        self,
        claim_id: str,
        seed: int,
        size: str,
        parameters: Iterable[tuple[str, Any]] = (),
        parts: Mapping[str, Any] | None = None,
    ) -> str:
        """The key of one evaluation; parts: what `parts` said a moment ago, if many keys of a claim are needed.

        It changes with the claim's module and what that imports from the project (up to comments, docstrings
        and figures), the data files in the paper's folder, the numerical rooms of the engine, seed, size,
        parameters, and the versions of Python and the numerical packages.
        """
        task = {"claim": claim_id, "seed": seed, "size": size, "parameters": dict(parameters)}
        return _digest({**task, **(parts or self.parts(claim_id))})

    def parts(self, claim_id: str) -> dict[str, dict[str, str]]:
        """What a claim's evidence rests on whatever its seed: {kind: {name: digest or version}}."""
        modules = self._reached(self.map.module_name(claim_id))
        return {
            "modules": {name: _module(path, name).digest for name, path in modules.items()},
            "data": self._data_files(self.map.module_path(claim_id).parent, modules.values()),
            "engine": _engine(),
            "versions": versions(),
        }

    def figure(self, claim_id: str, evidence_key: str) -> str:
        """The key of a figure: its evidence, its draw function and what that imports, the plotting room."""
        name, plot = self.map.module_name(claim_id), ENGINE / "plot.py"
        own = _module(self.map.module_path(claim_id), name)
        modules = self._reached(*own.figure_imports)
        return _digest(
            {
                "evidence": evidence_key,
                "draw": own.figure,
                "modules": {name: _module(path, name).digest for name, path in modules.items()},
                "plot": _module(plot, "verify.plot").digest,
                "matplotlib": _version("matplotlib"),
            }
        )

    def _reached(self, *names: str) -> dict[str, Path]:
        """{dotted name: file} of the project's modules behind some names, and of all that they import."""
        found: dict[str, Path] = {}
        seen, waiting = set(names), list(names)
        while waiting:
            name = waiting.pop()
            # a package is run before its modules; and the last part may be a function in a module
            parent = name.rpartition(".")[0]
            path = self._file(name)
            if path is not None:
                found[name] = path
            imports = _module(path, name).imports if path is not None else ()
            for other in (*imports, parent):
                if other and other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return dict(sorted(found.items()))

    def _file(self, name: str) -> Path | None:
        """The file of a module that the project itself holds; the engine is accounted for as a whole."""
        top, *rest = name.split(".")
        if top == ENGINE.name:
            return None
        place = self.root.joinpath(top, *rest)
        for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if path.is_file():
                return path
        return None

    def _data_files(self, folder: Path, modules: Iterable[Path]) -> dict[str, str]:
        """Digests of the files beside the modules that are no code: the whole folder of the paper, and of
        other packages what lies right beside a module that is reached. Hidden files are no data.
        """
        found = {path for path in folder.rglob("*") if path.is_file()}
        for beside in {path.parent for path in modules} - {self.root}:
            found |= {path for path in beside.iterdir() if path.is_file()}
        names = {path.relative_to(self.root): path for path in found}
        return {
            name.as_posix(): _content_digest(path, signature(path))
            for name, path in sorted(names.items())
            if path.suffix not in (".py", ".pyc") and not any(part.startswith(".") for part in name.parts)
        }


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of the numerical packages that are installed."""
    found = {name: _version(name) for name in NUMERICAL_PACKAGES}
    return {"python": platform.python_version()} | {name: text for name, text in found.items() if text}


@cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _engine() -> dict[str, str]:
    paths = [path for room in NUMERICAL_ROOMS for path in _python_files(room)]
    return {str(path.relative_to(ENGINE)): source(path, "verify").digest for path in paths}


def _module(path: Path, name: str) -> Source:
    return source(path, name if path.name == "__init__.py" else name.rpartition(".")[0])


@lru_cache(maxsize=10_000)
def _content_digest(path: Path, then: Signature) -> str:
    return hashlib.sha256(content(path)).hexdigest()


def _python_files(room: str) -> list[Path]:
    """The files of a room of the engine, which is a module or a package."""
    packages = [folder for folder in ENGINE.glob(room) if folder.is_dir()]
    return sorted(
        [*ENGINE.glob(f"{room}.py"), *(path for folder in packages for path in folder.rglob("*.py"))]
    )


def _digest(parts: dict[str, Any]) -> str:
    try:
        text = json.dumps(parts, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise SetupError(f"parameters are plain numbers, words or lists of them: {error}") from error
    return hashlib.sha256(text.encode()).hexdigest()
