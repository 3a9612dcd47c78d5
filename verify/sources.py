"""Python files as keys see them: without comments and docstrings, figure functions apart, imports listed."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Signature = tuple[int, int, int]
MOST_REMEMBERED = 5_000
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


# what this process knows, by file and by content
_by_file: dict[tuple[Path, str, Signature], Source] = {}
_by_content: dict[str, Source] = {}


def source(path: Path, package: str) -> Source:
    """A Python file as it is now. package: the one that its relative imports start from."""
    at = path, package, signature(path)
    if at not in _by_file:
        raw = content(path)
        name = hashlib.sha256(f"{_reader()}\n{package}\n".encode() + raw).hexdigest()
        if name not in _by_content:
            _by_content[name] = read_source(raw, package)
        _by_file[at] = _by_content[name]
    return _by_file[at]


def read_source(raw: bytes, package: str) -> Source:
    """The content of a Python file. One that is no Python stands for itself, byte by byte."""
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


class Memory:
    """Syntax trees take most of the time that keys take: what files amount to is remembered from run to run,
    by their content, so that nothing in it is ever out of date. A damaged memory is no memory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: frozenset[str] = frozenset()

    def recall(self) -> None:
        """Takes in what earlier runs remembered."""
        try:
            record = json.loads(self.path.read_bytes())
            rows = record["sources"]
            if record["checksum"] == _checksum(rows):
                for name, (digest, imports, figure, figure_imports) in rows.items():
                    found = Source(digest, frozenset(imports), figure, frozenset(figure_imports))
                    _by_content.setdefault(name, found)
                self.known = frozenset(rows)
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            pass

    def remember(self) -> None:
        """Writes down what this process knows, if that is more, and if it can be written."""
        if _by_content.keys() <= self.known:
            return
        rows = {
            name: [item.digest, sorted(item.imports), item.figure, sorted(item.figure_imports)]
            for name, item in list(_by_content.items())[-MOST_REMEMBERED:]
        }
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps({"checksum": _checksum(rows), "sources": rows}))
            os.replace(part, self.path)
        self.known = frozenset(rows)


def signature(path: Path) -> Signature:
    """What changes when a file does; zeros if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def content(path: Path) -> bytes:
    """The file's content. One that cannot be read counts as broken; the evaluation will say so."""
    try:
        return path.read_bytes()
    except OSError as error:
        return repr(error).encode()


@cache
def _reader() -> str:
    """Who made a source of a file: these very lines, and the parser of this Python."""
    return f"{platform.python_version()} {hashlib.sha256(content(Path(__file__))).hexdigest()}"


def _checksum(rows: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


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
