"""The files of the figures: drawn from current evidence, rewritten only if something visible changed."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verify import paper_map, svg
from verify.errors import SetupError
from verify.files import replace_file
from verify.suite import Suite
from verify.verdict import ERROR

if TYPE_CHECKING:
    from verify.evidence import Evidence
    from verify.key import Keys
    from verify.store import Store

UNCHANGED, WRITTEN, MISSING, DIFFERS = "unchanged", "written", "missing", "differs"
FAILED, NO_FIGURE, NO_EVIDENCE = "failed", "no figure", "no evidence"


@dataclass(frozen=True)
class Drawn:
    """What became of one claim's figure: one of the states above, and what there is to say about it."""

    claim_id: str
    path: Path
    state: str
    message: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether the command that asked for it should fail."""
        return self.state in (MISSING, DIFFERS, FAILED)


def path_of(root: Path, claim_id: str) -> Path:
    """Where a claim's figure lies."""
    return root / "figures" / f"{claim_id}.svg"


def write_figures(
    suite: Suite,
    store: Store,
    patterns: Sequence[str] = (),
    *,
    check: bool = False,
    watch: Callable[[Drawn], None] = lambda drawn: None,
) -> list[Drawn]:
    """Draws the figures of the selected claims from their current evidence (seed 0, quick).

    patterns: as for `paper_map.select`. check: compares and writes nothing. watch: is told each one.
    A figure that fails does not keep the others from being drawn. SetupError if there is no evidence at all.
    """
    from verify.key import Keys

    keys, results = Keys(suite.map), []
    for claim_id in paper_map.select(suite.map.ids(), patterns):
        path = path_of(suite.root, claim_id)
        try:
            state, message = _one(suite, store, keys, claim_id, path, check)
        except Exception as error:
            state, message = FAILED, _explain(error, suite.root)
        results.append(Drawn(claim_id, path, state, message))
        watch(results[-1])
    if results and all(result.state == NO_EVIDENCE for result in results):
        which = ", ".join(patterns) or "any claim"
        command = " ".join(["verify run", *patterns])
        raise SetupError(f"nothing to draw from: no current evidence for {which}; first run: {command}")
    return results


def _one(suite: Suite, store: Store, keys: Keys, claim_id: str, path: Path, check: bool) -> tuple[str, str]:
    """(state, message) of one figure, whose file is left alone if it shows the same already."""
    from verify.execute import Task

    task = Task(claim_id)
    key = keys.evidence(claim_id, task.seed, task.size, task.parameters)
    seal, sealed = store.path(task).with_name("figure.json"), keys.figure(claim_id, key)
    old = path.read_text(encoding="utf-8") if path.is_file() else None
    if old is not None and _read(seal) == {"figure": sealed, "file": _digest(old)}:
        return UNCHANGED, ""
    evidence = store.read(task, key)
    if evidence is None:
        state = "is stale" if store.latest(task) else "is missing"
        return NO_EVIDENCE, f"its evidence {state}: verify run {claim_id}"
    if evidence.verdict == ERROR:
        return NO_EVIDENCE, f"its evaluation ended in an error: verify show {claim_id}"
    if suite.claim(claim_id).draw is None:
        return NO_FIGURE, "it has no @claim.figure"
    return _compared(suite, evidence, old, path, seal, sealed, check)


def _compared(
    suite: Suite, evidence: Evidence, old: str | None, path: Path, seal: Path, sealed: str, check: bool
) -> tuple[str, str]:
    from verify import plot

    new = plot.to_svg(plot.draw(suite, evidence))
    same = old is not None and svg.same_picture(old, new)
    command = f"verify figures {evidence.id}"
    if check and not same:
        what = "the file shows something else" if old else "there is no file"
        return (DIFFERS if old else MISSING), f"{what}: {command}"
    if check:
        return UNCHANGED, ""
    kept = old if same and old is not None else new
    if not same:
        replace_file(path, new)
    replace_file(seal, json.dumps({"figure": sealed, "file": _digest(kept)}))
    return (UNCHANGED if same else WRITTEN), ""


def _explain(error: Exception, root: Path) -> str:
    """File, line and message; the innermost line of the project's own code, if it came that far."""
    engine = Path(__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    paths = [(Path(frame.filename), frame) for frame in frames]
    own = [frame for path, frame in paths if path.is_relative_to(root) and not path.is_relative_to(engine)]
    if not own:
        return f"{type(error).__name__}: {error}" if not isinstance(error, SetupError) else str(error)
    where = Path(own[-1].filename).relative_to(root)
    return f"{where}:{own[-1].lineno} in {own[-1].name}: {type(error).__name__}: {error}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> object:
    """What a seal says; nothing if there is none or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
