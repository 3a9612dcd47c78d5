"""Instances that an attack found: plain data in a file beside the claim's module, which the claim then tries too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verify.errors import SetupError
from verify.files import replace_file

Data = Mapping[str, Any]
Kept = dict[str, dict[str, Data]]


def path(root: Path, claim_id: str) -> Path:
    """claims/<paper>/<claim>.worst.json, which counts as code: evidence is stale when it changes."""
    return root.joinpath("claims", *claim_id.replace("-", "_").split("/")).with_suffix(".worst.json")


def read(root: Path, claim_id: str) -> Kept:
    """{space: {name: data}}; empty if nothing was kept. SetupError if it is no such file."""
    file = path(root, claim_id)
    try:
        content: Any = json.loads(file.read_text(), parse_constant=_refuse)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(file, str(error)) from error
    tables = [content, *content.values()] if isinstance(content, dict) else [content]
    tables += [data for table in tables[1:] if isinstance(table, dict) for data in table.values()]
    if not all(isinstance(table, dict) for table in tables):
        raise _unusable(file, "it is not {space: {name: {argument: value}}}")
    kept: Kept = content
    return kept


def keep(root: Path, claim_id: str, of: str, name: str, data: Data) -> Path:
    """Adds an instance to the file, in place of one of the same name; all of the file is written, or nothing."""
    file, content = path(root, claim_id), read(root, claim_id)
    content.setdefault(of, {})[name] = data
    replace_file(file, json.dumps(content, allow_nan=False, indent=1) + "\n")
    return file


def _unusable(file: Path, why: str) -> SetupError:
    return SetupError(f"{file}: holds no instances ({why}); mend it, or remove it and attack again")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in strict JSON")
