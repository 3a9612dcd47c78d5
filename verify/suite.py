"""A suite: the paper map and the claims beside it."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from verify import instances
from verify.claim import Claim
from verify.errors import SetupError

if TYPE_CHECKING:
    from verify.paper_map import PaperMap

_imported: dict[Path, frozenset[tuple[str, int, int]]] = {}  # the claims of each project, as they were then


class Claims(Mapping[str, Claim]):
    """{id: claim}, each imported when it is asked for."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite

    def __getitem__(self, claim_id: str) -> Claim:
        return self._suite.claim(claim_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._suite.map.ids())

    def __len__(self) -> int:
        return len(self._suite.map.ids())


class Suite:
    """The paper map at `map.path`, with `claims`, `results`, `figures`, `report` beside it."""

    def __init__(self, found: PaperMap) -> None:
        self.map = found
        self.root = found.root

    @property
    def claims(self) -> Claims:
        """{id: claim} in the order of the map."""
        return Claims(self)

    def claim(self, claim_id: str) -> Claim:
        """Imports one claim; SetupError if its module has no claim of that id."""
        self.map.row(claim_id)
        return import_claim(self.root, claim_id)


def import_claim(root: Path, claim_id: str) -> Claim:
    """Imports one claim of the project at `root`, whose map need not be read for it.

    Raises SetupError if its module has no claim of that id, and whatever the module itself raises.
    """
    root = root.absolute()
    _forget_what_changed(root)
    if sys.path[:1] != [str(root)]:
        sys.path[:] = [str(root), *(path for path in sys.path if path != str(root))]
    if "claims" not in sys.modules and not (root / "claims" / "__init__.py").exists():
        # a folder without __init__.py would lose against any other package `claims` on the path
        package = types.ModuleType("claims")
        package.__path__ = [str(root / "claims")]
        sys.modules["claims"] = package
    name = "claims." + claim_id.replace("-", "_").replace("/", ".")
    claim = getattr(importlib.import_module(name), "claim", None)
    where = root.joinpath(*name.split(".")).with_suffix(".py")
    if not isinstance(claim, Claim):
        raise SetupError(f'{where}: no variable `claim`; write claim = Claim("{claim_id}")')
    if claim.id != claim_id:
        raise SetupError(f'{where}: its claim calls itself "{claim.id}"; the map says "{claim_id}"')
    claim.worst = instances.read(root, claim_id)
    return claim


def load(path: str | Path | None = None) -> Suite:
    """The suite of a map file, of a folder with one, or of the nearest one above the working directory."""
    from verify import paper_map

    start = Path(path) if path is not None else None
    if start is not None and not start.is_dir():
        return Suite(paper_map.read(start))
    return Suite(paper_map.read(paper_map.find(start)))


def _forget_what_changed(root: Path) -> None:
    """Every project calls its package `claims`, and people edit claims while a notebook or a worker lives:
    what was imported of another project, or before an edit, must not pass for what is there now.
    """
    files = [(str(path), path.stat()) for path in (root / "claims").rglob("*.py") if path.is_file()]
    now = frozenset((path, status.st_mtime_ns, status.st_size) for path, status in files)
    package = sys.modules.get("claims")
    is_ours = package is None or any(Path(p).resolve().parent == root.resolve() for p in package.__path__)
    if not is_ours or _imported.get(root, now) != now:
        for name in [name for name in sys.modules if name == "claims" or name.startswith("claims.")]:
            del sys.modules[name]
        importlib.invalidate_caches()
    _imported[root] = now
