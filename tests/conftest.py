"""Hypothesis profiles and toy projects."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.toys import write_project

# `ci` finds the same on every machine; HYPOTHESIS_PROFILE=random looks further
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Writes a toy project and returns its folder (see `toys.write_project`)."""
    path = list(sys.path)
    yield lambda claims, **options: write_project(tmp_path / "project", claims, **options)
    # every project calls its package `claims`: the next one is not to find this one's
    sys.path[:] = path
    for name in [name for name in sys.modules if name == "claims" or name.startswith("claims.")]:
        del sys.modules[name]
