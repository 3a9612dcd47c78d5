"""A suite: the paper map and the claims beside it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from verify import paper_map
from verify.claim import Claim
from verify.errors import SetupError
from verify.paper_map import PaperMap


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
        if str(self.root) not in sys.path:
            sys.path.insert(0, str(self.root))
        _forget_other_projects(self.root)
        name = self.map.module_name(claim_id)
        module = importlib.import_module(name)
        claim = getattr(module, "claim", None)
        where = self.map.module_path(claim_id)
        if not isinstance(claim, Claim):
            raise SetupError(f'{where}: no variable `claim`; write claim = Claim("{claim_id}")')
        if claim.id != claim_id:
            raise SetupError(f'{where}: its claim calls itself "{claim.id}"; the map says "{claim_id}"')
        return claim


def load(path: str | Path | None = None) -> Suite:
    """The suite of a map file, of a folder that holds one, or of the nearest one above the working directory."""
    start = Path(path) if path is not None else None
    if start is not None and start.is_file():
        return Suite(paper_map.read(start))
    return Suite(paper_map.read(paper_map.find(start)))


def _forget_other_projects(root: Path) -> None:
    """Every project calls its package `claims`: the one that was imported must be this project's."""
    package = sys.modules.get("claims")
    if package is None or any(Path(p).resolve().parent == root.resolve() for p in package.__path__):
        return
    for name in [name for name in sys.modules if name == "claims" or name.startswith("claims.")]:
        del sys.modules[name]
    sys.path.remove(str(root))
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
