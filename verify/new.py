"""`verify new`: a row in the map and a claim module that runs as it stands. Nothing that exists is overwritten."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from verify import paper_map
from verify.errors import SetupError
from verify.files import replace_file

TEMPLATE = Path(__file__).with_name("templates") / "claim.py.txt"
HEAD = """\
# The papers of this project and what is claimed of each; `verify new PAPER/CLAIM` adds to it.
# kind: theorem, lemma, finding, observation or conjecture. known (how well the source is known): exact,
# summary, abstract or reconstructed. priority: core, extended or deep.

papers:
"""


@dataclass(frozen=True)
class Step:
    """A file and what became of it: "wrote", "added to" or "kept"."""

    path: Path
    did: str


def new(claim_id: str, map_path: Path | None = None) -> list[Step]:
    """Adds a claim to the project of the map (default: the nearest one, or one in this folder).

    Raises SetupError for an id that is none, and where the map cannot be extended; then nothing is written.
    """
    paper, claim = _names(claim_id)
    path = map_path or _nearest()
    before = path.read_text(encoding="utf-8-sig") if path.is_file() else HEAD
    text = before if _has(path, before, paper, claim) else extended(before, path, paper, claim)
    module = path.parent.joinpath("claims", *claim_id.replace("-", "_").split("/")).with_suffix(".py")
    steps = []
    for file, content in ((module, TEMPLATE.read_text().replace("@ID@", claim_id)), (path, text)):
        is_map, exists = file == path, file.exists()
        if exists and (not is_map or text == before):
            steps.append(Step(file, "kept"))
        else:
            replace_file(file, content)
            steps.append(Step(file, "added to" if exists else "wrote"))
    return steps[::-1]


def extended(text: str, path: Path, paper: str, claim: str) -> str:
    """The map's text with one more row, everything else as it was."""
    papers = _value(yaml.compose(text, Loader=yaml.SafeLoader), "papers")
    known, row = _value(papers, paper), _claim(claim)
    claims = _value(known, "claims")
    if known is None:
        after = _with_entry(text, papers, [f"{paper}:", *_indented([*_paper(), "claims:", *_indented(row)])])
    elif claims is None:
        after = _with_entry(text, known, ["claims:", *_indented(row)])
    else:
        after = _with_entry(text, claims, row)
    try:
        paper_map.checked(after, path, check_modules=False)
    except SetupError as error:
        mend = f"its layout is not understood; add under `claims` of {paper} by hand:"
        raise SetupError("\n".join([f"{path}: {mend}", *row])) from error
    return after


def _with_entry(text: str, mapping: yaml.Node | None, entry: Sequence[str]) -> str:
    """The text with an entry at the end of a block mapping, indented like the mapping's other keys."""
    lines = text.splitlines()
    if isinstance(mapping, yaml.MappingNode) and mapping.value and not mapping.flow_style:
        indent, end = mapping.value[0][0].start_mark.column, _end(mapping, lines)
    else:  # `papers:` or `claims: {}`, with nothing in it yet
        line = mapping.start_mark.line if mapping is not None else len(lines) - 1
        indent = len(lines[line]) - len(lines[line].lstrip()) + 2
        lines[line], end = lines[line].replace("{}", "").rstrip(), line + 1
    added = [f"{' ' * indent}{line}" for line in entry]
    return "\n".join([*lines[:end], *added, *lines[end:]]) + "\n"


def _end(node: yaml.Node, lines: Sequence[str]) -> int:
    """The number of lines up to the end of a node, without the blank lines and comments behind it."""
    mark = node.end_mark
    end = mark.line + bool(mark.line < len(lines) and lines[mark.line][: mark.column].strip())
    while lines[end - 1].strip() == "" or lines[end - 1].lstrip().startswith("#"):
        end -= 1
    return end


def _value(node: Any, key: str) -> yaml.Node | None:
    """The value of a key in a mapping."""
    items = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in items if name.value == key), None)


def _has(path: Path, text: str, paper: str, claim: str) -> bool:
    """Whether the map has the row already; it is refused if it is not valid."""
    if text == HEAD:
        return False
    known = paper_map.checked(text, path, check_modules=False).papers.get(paper)
    return known is not None and claim in known.claims


def _paper() -> list[str]:
    return [
        "title: The title of the paper",
        f"authors: [{_author()}]",
        f"year: {date.today().year}",
        "summary: What the paper says, in one line.",
    ]


def _claim(slug: str) -> list[str]:
    return [
        f"{slug}:",
        "  title: What is claimed, in a few words",
        "  kind: theorem",
        "  source: Theorem 1",
        "  known: exact",
        "  priority: core",
    ]


def _author() -> str:
    name = ""
    with suppress(OSError, KeyError, ImportError):
        name = getpass.getuser()
    return f'"{name}"' if name.replace("-", "").replace("_", "").isalnum() else "A. Author"


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _names(claim_id: str) -> tuple[str, str]:
    """Paper and claim of an id that may be one."""
    parts = claim_id.split("/")
    if len(parts) != 2:
        raise SetupError(f"{claim_id}: write PAPER/CLAIM, two slugs such as my-paper/main-theorem")
    for part in parts:
        wrong = paper_map.slug_problem(part)
        if wrong:
            raise SetupError(f"{claim_id}: {part!r} {wrong}")
    return parts[0], parts[1]


def _nearest() -> Path:
    """The nearest map, else one in the working directory."""
    try:
        return paper_map.find()
    except SetupError:
        return Path.cwd() / paper_map.NAME
