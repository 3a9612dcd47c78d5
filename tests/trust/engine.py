"""Mutation testing of the engine: each small fault in a file that verdicts rest on should fail a test.

The tests run once with `coverage`, which says for each line which tests reach it; a mutant is put before these only,
the file's own tests first. Lines that no test reaches are not changed.
"""

from __future__ import annotations

import ast
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.trust.mutants import Mutant, copied, counted, made, mutants, run_tests, total
from verify import workers

ROOT = Path(__file__).parent.parent.parent
# what decides a verdict, or what is believed of one that is stored; the rest is text and pictures
FILES = (
    "interval", "relation", "verdict", "world", "claim", "evaluation", "evidence", "outcome", "statistics",
    "instances", "key", "store", "certify/_balls", "certify/_operands", "certify/_rounding", "certify/matrices",
    "certify/norms", "certify/programs", "certify/values", "certify/zeros", "train/descent", "train/directions",
    "train/loops", "train/losses",
)  # fmt: skip
SLOW = ("test_trust", "test_wheel", "test_browser", "test_docs", "test_cluster", "test_readme", "test_claims")
OF_CLAIMS = re.compile(r"^(from|import) claims\b", re.MULTILINE)
MOST_TESTS, LIMIT_SECONDS = 60, 180
COVERAGE = "[run]\nsource = {source}\ndata_file = {data}\ndynamic_context = test_function\n"


def engine_tests() -> list[Path]:
    """The test files of the engine: those that need no claim of the suite."""
    files = sorted((ROOT / "tests").glob("test_*.py"))
    return [file for file in files if file.stem not in SLOW and not OF_CLAIMS.search(file.read_text())]


def reached() -> dict[str, dict[int, list[str]]]:
    """{file: {line: tests that reach it}}; no tests for what runs on import only."""
    from coverage import CoverageData

    with tempfile.TemporaryDirectory() as folder:
        data, settings = Path(folder, "data"), Path(folder, "settings")
        settings.write_text(COVERAGE.format(source=ROOT / "verify", data=data))
        command = [
            sys.executable,
            "-m",
            "coverage",
            "run",
            f"--rcfile={settings}",
            "-m",
            "pytest",
            "-q",
            "-n",
            "0",
        ]
        tests = [str(file.relative_to(ROOT)) for file in engine_tests()]
        environment = {**os.environ, **workers.ENVIRONMENT, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([*command, *tests], cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"the engine's tests fail before anything is changed:\n{done.stdout[-2000:]}")
        found = CoverageData(str(data))
        found.read()
        return {
            str(Path(file).relative_to(ROOT)): {
                line: [nodeid(context) for context in contexts if context]
                for line, contexts in found.contexts_by_lineno(file).items()
            }
            for file in found.measured_files()
        }


def nodeid(context: str) -> str:
    """tests.test_x.test_y, as coverage names it, as pytest names it."""
    module, _, function = context.rpartition(".")
    return f"{module.replace('.', '/')}.py::{function}"


def own_tests(file: str) -> str:
    """The test file of a module, or of its room."""
    names = (Path(file).stem, Path(file).parent.name)
    return next((f"tests/test_{n}.py" for n in names if (ROOT / f"tests/test_{n}.py").exists()), "")


def chosen(mutant: Mutant, lines: dict[int, list[str]]) -> list[str]:
    """The tests that a mutant is put before: those of its own file first, at most some."""
    own = own_tests(mutant.file)
    tests = lines[mutant.line] or sorted({test for tests in lines.values() for test in tests})
    return sorted(tests, key=lambda test: (not (own and test.startswith(own)), test))[:MOST_TESTS]


def survives(home: str, mutant: Mutant, tests: list[str]) -> bool:
    """Whether the tests pass with one file changed; puts the file back."""
    own = own_tests(mutant.file)
    with made(home, mutant):
        # what its own tests do in other processes, `coverage` does not see
        return run_tests(home, tests, LIMIT_SECONDS) and (not own or run_tests(home, [own], LIMIT_SECONDS))


def main(count: int = 20, patterns: tuple[str, ...] = (), jobs: int = 2, seed: int = 0) -> list[dict]:
    """Prints and returns the share that was noticed, per file, and every survivor.

    patterns: files as FILES names them; without them all of these.
    """
    started = time.perf_counter()
    lines = reached()
    print(f"coverage: {time.perf_counter() - started:.0f} s", flush=True)
    table = []
    with tempfile.TemporaryDirectory() as folder:
        homes = [
            copied(ROOT, Path(folder, str(job)), ("claims", "tests", "verify", "docs")) for job in range(jobs)
        ]
        for name in patterns or FILES:
            file = f"verify/{name}.py"
            every = list(mutants(ast.parse((ROOT / file).read_text()), file, set(lines[file])))
            some = random.Random(f"{file}{seed}").sample(every, min(count, len(every))) if count else every

            def one_by_one(home: str, part: list[Mutant], file: str = file) -> list[tuple[Mutant, bool]]:
                return [(mutant, survives(home, mutant, chosen(mutant, lines[file]))) for mutant in part]

            with ThreadPoolExecutor(jobs) as threads:
                found = threads.map(one_by_one, homes, (some[job::jobs] for job in range(jobs)))
                table.append(counted(file, [pair for part in found for pair in part], len(every)))
    total(table)
    return table
