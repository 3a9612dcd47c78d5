"""Files that people and commands read: replaced whole, so that nobody meets half of one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from verify.errors import SetupError


def replace_file(path: Path, text: str) -> None:
    """Writes all of the text or nothing. SetupError where that cannot be."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", newline="\n")
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise SetupError(f"{path}: cannot be written ({error.strerror or error})") from error
