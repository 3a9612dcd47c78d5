"""The key of evidence: a digest of everything that its numbers depend on, found without running any of it."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import SetupError

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

Signature = tuple[int, int, int]
_SCOPES = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Source:
    """A Python file as keys see it: no comments, no docstrings, and figure functions apart.

    imports, figure_imports: absolute dotted names that an import statement may mean, wherever it stands.
    """

    digest: str
    imports: frozenset[str]
    figure: str
    figure_imports: frozenset[str]


class Keys:
    """The keys of a project's claims. A file is read again when it changes."""

    def __init__(self, paper_map: PaperMap) -> None:
        self.map, self.root = paper_map, paper_map.root

    def evidence(
        self, claim_id: str, seed: int, size: str, parameters: Iterable[tuple[str, Any]] = ()
    ) -> str:
        """The key of one evaluation.

        It changes with the claim's module and what that imports from the project (up to comments, docstrings
        and figures), the data files in the paper's folder, the numerical rooms of the engine, seed, size,
        parameters, and the versions of Python and the numerical packages.
        """
        modules = self._reached(self.map.module_name(claim_id))
        return _digest(
            {
                "claim": claim_id,
                "modules": {name: _source(path, name).digest for name, path in modules.items()},
                "data": self._data_files(self.map.module_path(claim_id).parent, modules.values()),
                "engine": _engine(),
                "seed": seed,
                "size": size,
                "parameters": dict(parameters),
                "versions": versions(),
            }
        )

    def figure(self, claim_id: str, evidence_key: str) -> str:
        """The key of a figure: its evidence, its draw function and what that imports, the plotting room."""
        name, plot = self.map.module_name(claim_id), ENGINE / "plot.py"
        own = _source(self.map.module_path(claim_id), name)
        modules = self._reached(*own.figure_imports)
        return _digest(
            {
                "evidence": evidence_key,
                "draw": own.figure,
                "modules": {name: _source(path, name).digest for name, path in modules.items()},
                "plot": _source(plot, "verify.plot").digest,
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
            imports = _source(path, name).imports if path is not None else ()
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
            name.as_posix(): _content(path, _signature(path))
            for name, path in sorted(names.items())
            if path.suffix not in (".py", ".pyc") and not any(part.startswith(".") for part in name.parts)
        }


def read_source(path: Path, package: str) -> Source:
    """What keys see of a Python file; package: the one that its relative imports start from.

    A file that is no Python stands for itself, byte by byte.
    """
    raw = _bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the code's own oddities, which are not ours to report
            tree = ast.parse(raw)
        figures = [node for node in tree.body if _is_figure(node)]
        tree.body = [node for node in tree.body if node not in figures]
        drawing = ast.Module(figures, [])
        return Source(*_digest_and_imports(tree, package), *_digest_and_imports(drawing, package))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Source(hashlib.sha256(raw).hexdigest(), frozenset(), "", frozenset())


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
    return {str(path.relative_to(ENGINE)): _source(path, "verify").digest for path in paths}


def _source(path: Path, name: str) -> Source:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return _source_then(path, package, _signature(path))


@lru_cache(maxsize=10_000)
def _source_then(path: Path, package: str, signature: Signature) -> Source:
    return read_source(path, package)


@lru_cache(maxsize=10_000)
def _content(path: Path, signature: Signature) -> str:
    return hashlib.sha256(_bytes(path)).hexdigest()


def _digest_and_imports(tree: ast.Module, package: str) -> tuple[str, frozenset[str]]:
    """The digest of a tree without its docstrings, and what it imports."""
    parts: list[str] = []
    imports: list[ast.Import | ast.ImportFrom] = []
    _write(tree, parts, imports)
    text = "\n".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest(), frozenset(
        n for node in imports for n in _imported(node, package)
    )


def _write(node: Any, parts: list[str], imports: list[ast.Import | ast.ImportFrom]) -> None:
    """The tree as words, without docstrings. One pass: `ast.dump` with `ast.walk` takes twice as long."""
    if isinstance(node, ast.AST):
        parts.append(type(node).__name__)
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        elif isinstance(node, _SCOPES) and _has_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
        for field in node._fields:
            _write(getattr(node, field, None), parts, imports)
    elif isinstance(node, list):
        parts.append(f"{len(node)}:")
        for item in node:
            _write(item, parts, imports)
    else:
        parts.append(repr(node))


def _has_docstring(scope: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = scope.body[0] if scope.body else None
    return isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str)


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """Absolute names that an import statement may mean: `from a import b` is a, and a.b if b is a module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    parts = package.split(".") if node.level else []
    base = [*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])]
    yield ".".join(base)
    yield from (".".join([*base, alias.name]) for alias in node.names)


def _is_figure(node: ast.stmt) -> bool:
    """Whether it is a function under `@claim.figure`."""
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(d, ast.Attribute)
        and d.attr == "figure"
        and isinstance(d.value, ast.Name)
        and d.value.id == "claim"
        for d in node.decorator_list
    )


def _python_files(room: str) -> list[Path]:
    """The files of a room of the engine, which is a module or a package."""
    packages = [folder for folder in ENGINE.glob(room) if folder.is_dir()]
    return sorted(
        [*ENGINE.glob(f"{room}.py"), *(path for folder in packages for path in folder.rglob("*.py"))]
    )


def _signature(path: Path) -> Signature:
    """What changes when a file does; zeros if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def _bytes(path: Path) -> bytes:
    """The file's content. One that cannot be read counts as broken; the evaluation will say so."""
    try:
        return path.read_bytes()
    except OSError as error:
        return repr(error).encode()


def _digest(parts: dict[str, Any]) -> str:
    try:
        text = json.dumps(parts, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise SetupError(f"parameters are plain numbers, words or lists of them: {error}") from error
    return hashlib.sha256(text.encode()).hexdigest()
