"""Mutation testing: each small fault in a claim's code should end in anything but the expected verdict, or, where
the claim cannot tell, in a failing test of its paper.

A mutant changes one place of the claim's module, or of what it reaches in its paper's folder, on a line that the
claim's own checks execute: a constant, a sign, an operator, operands in the wrong order, a term left out, a norm,
max for min. Left alone is what states no mathematics: figures, docstrings, layout, the number of roundings that a
resolution allows for, code that only controls execute (another wrong world is as wrong), and code that draws
instances (another instance is as good). `explained.yaml` gives a reason for each function or file that is left alone
beyond that, and for single changes that make no difference: those that survive are counted apart.
"""

from __future__ import annotations

import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

import verify
from verify import paper_map, workers
from verify.suite import import_claim

LIMIT_FACTOR, LIMIT_SECONDS = 10, 60
EXPLAINED = Path(__file__).with_name("explained.yaml")
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
COMPARISONS = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE, ast.Eq: ast.NotEq}
NAMES = {
    "max": "min", "min": "max", "argmax": "argmin", "argmin": "argmax", "maximum": "minimum",
    "minimum": "maximum", "sum": "mean", "mean": "sum", "largest": "smallest", "smallest": "largest",
    "at_most": "equal", "sin": "cos", "cos": "sin", "log": "log1p", "exp": "expm1", "sqrt": "square",
    "cumsum": "cumprod", "isf": "ppf",
}  # fmt: skip
WORDS = {
    "max": "frobenius",
    "frobenius": "spectral",
    "spectral": "frobenius",
    "sum": "max",
    "nuclear": "spectral",
}
LEFT_ALONE = ("control", "ablation", "space", "figure", "instance", "Claim")
LAYOUT = (
    "axis", "axes", "dtype", "ndmin", "indexing", "shape", "size", "rng", "max_steps", "keep", "terms", "keepdims",
    "strict", "optimize",
)  # fmt: skip
EVEN = ("abs", "norm")  # of a difference they are what they are of its opposite


@dataclass(frozen=True)
class Mutant:
    """One changed place."""

    file: str
    line: int
    scope: str  # the function it is in, "outer.inner"; "" on a module's level
    was: str
    now: str
    source: str

    def reason(self, single: bool) -> str | None:
        """Why nobody need notice this change (single), or any in its function or file, where that is known."""
        for row in explained():
            whole = "was" not in row and "now" not in row
            here = self.file == row["file"] and self.scope == row.get("in", self.scope)
            this = row.get("was", self.was) == self.was and row.get("now", self.now) == self.now
            if here and this and whole != single:
                return row["why"]
        return None


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: the verdict, or why there is none."""

    claim_id: str
    mutant: Mutant
    verdict: str
    reason: str

    @property
    def survived(self) -> bool:
        """Whether nobody noticed."""
        return self.verdict == "verified"


@cache
def explained() -> list[dict[str, str]]:
    """Rows {file, why} and, to speak of less than a file: in (a function), was, now (the change)."""
    return yaml.safe_load(EXPLAINED.read_text()) or []


def mutants(tree: ast.Module, file: str, lines: set[int]) -> Iterator[Mutant]:
    """All mutants of a module on some of its lines."""
    for path, scope, node in places(tree):
        if getattr(node, "lineno", None) in lines:
            for change in changes(node):
                altered = copy.deepcopy(tree)
                parent, field, index = locate(altered, path)
                now = change(copy.deepcopy(node))
                if is_even(parent) and opposite(node, now):
                    continue
                if index is None:
                    setattr(parent, field, now)
                else:
                    getattr(parent, field)[index] = now
                source = ast.unparse(ast.fix_missing_locations(altered))
                mutant = Mutant(file, node.lineno, scope, ast.unparse(node), ast.unparse(now), source)
                if mutant.reason(single=False) is None:
                    yield mutant


def places(tree: ast.Module) -> Iterator[tuple[tuple, str, ast.AST]]:
    """(path, function, node) of what may be changed."""

    def visit(node: ast.AST, path: tuple, scope: str) -> Iterator[tuple[tuple, str, ast.AST]]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            scope = f"{scope}.{node.name}".lstrip(".")
        for field, value in ast.iter_fields(node):
            items = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
            for index, item in items:
                if isinstance(item, ast.AST) and not left_alone(node, field, index, item):
                    here = (*path, (field, index))
                    yield here, scope, item
                    yield from visit(item, here, scope)

    yield from visit(tree, (), "")


def left_alone(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> bool:
    """Imports, docstrings, decorators, controls, figures, instances, layout: no statement of mathematics."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr | ast.Raise | ast.Assert) or field in (
        "decorator_list",
        "annotation",
        "returns",
    ):
        return True
    if isinstance(node, ast.FunctionDef):
        names = [ast.unparse(decorator) for decorator in node.decorator_list]
        return any(f"claim.{name}" in text for name in ("figure", "instance", "space") for text in names)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    call = node.value if isinstance(node, ast.Expr | ast.Assign) else node
    if isinstance(call, ast.Call):
        name = called(call)
        if name in LEFT_ALONE or (isinstance(node, ast.Expr) and name in ("append", "validate")):
            return True
    if isinstance(parent, ast.Call):  # how many roundings, of which magnitude; which shape
        name = called(parent)
        if name in ("rounding", "reshape") or (name == "rounded" and (field, index) != ("args", 0)):
            return field in ("args", "keywords")
    if isinstance(parent, ast.Subscript) and field == "slice":
        return True
    return isinstance(node, ast.keyword) and node.arg in LAYOUT


def called(call: ast.Call) -> str:
    """The last name of what is called."""
    return ast.unparse(call.func).rpartition(".")[2]


def is_even(parent: ast.AST) -> bool:
    """Whether the sign of what stands in it makes no difference: a square, a norm."""
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow):
        return isinstance(parent.right, ast.Constant) and parent.right.value == 2
    return isinstance(parent, ast.Call) and called(parent) in EVEN


def opposite(node: ast.AST, now: ast.AST) -> bool:
    """Whether b - a came for a - b."""
    both = isinstance(node, ast.BinOp) and isinstance(now, ast.BinOp)
    return both and isinstance(node.op, ast.Sub) and ast.dump(node.left) == ast.dump(now.right)


def locate(tree: ast.AST, path: tuple) -> tuple[ast.AST, str, int | None]:
    """(parent, field, index) of a path in a copy of the tree."""
    node = tree
    for field, index in path[:-1]:
        value = getattr(node, field)
        node = value if index is None else value[index]
    return node, *path[-1]


def changes(node: ast.AST) -> Iterator:
    """Functions from a copy of the node to what stands in its place."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str) and node.value in WORDS:
            yield lambda n: ast.Constant(WORDS[n.value])
        elif isinstance(node.value, float):
            yield lambda n: ast.Constant(1.05 * n.value if n.value else 0.05)
        elif isinstance(node.value, bool):
            yield lambda n: ast.Constant(not n.value)
        elif isinstance(node.value, int):
            yield lambda n: ast.Constant(n.value + 1)
    elif isinstance(node, ast.BinOp):
        if type(node.op) in OPERATORS:
            yield lambda n: ast.BinOp(n.left, OPERATORS[type(n.op)](), n.right)
        if isinstance(node.op, ast.Sub | ast.Div):
            yield lambda n: ast.BinOp(n.right, n.op, n.left)
        if isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
            yield lambda n: n.left
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield lambda n: n.operand
    elif isinstance(node, ast.BoolOp):
        yield lambda n: ast.BoolOp(ast.Or() if isinstance(n.op, ast.And) else ast.And(), n.values)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        yield lambda n: ast.Compare(n.left, [COMPARISONS[type(n.ops[0])]()], n.comparators)
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield lambda n: ast.Attribute(n.value, NAMES[n.attr], n.ctx)
    elif isinstance(node, ast.Name) and node.id in ("max", "min"):
        yield lambda n: ast.Name(NAMES[n.id], n.ctx)


# --- in a worker, on a copy of the project of its own ---------------------------------------------------------------


def executed(root: str, claim_id: str, folder: str) -> tuple[float, str, dict[str, set[int]]]:
    """(seconds, verdict, {file: lines}) of an evaluation: what its own checks execute of the files in a folder,
    instances aside.
    """
    found: dict[str, set[int]] = {}
    instances = {place for file in Path(folder).glob("*.py") for place in instances_of(file)}
    own, drawing = True, 0

    def phase(text: str) -> None:
        nonlocal own
        own = text.partition(" ")[0] in ("check", "assumption")

    def local(frame, event, argument):
        nonlocal drawing
        if event == "line" and own and not drawing:
            found.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        if event == "return" and (frame.f_code.co_filename, frame.f_code.co_firstlineno) in instances:
            drawing -= 1
        return local

    def entered(frame, event, argument):
        nonlocal drawing
        if not frame.f_code.co_filename.startswith(folder):
            return None
        drawing += (frame.f_code.co_filename, frame.f_code.co_firstlineno) in instances
        return local

    sys.settrace(entered)
    try:
        evidence = workers.work(root, claim_id, 0, "quick", (), report=phase, with_power=False)
    finally:
        sys.settrace(None)
    return evidence.data["seconds"], evidence.verdict, found


def instances_of(file: Path) -> Iterator[tuple[str, int]]:
    """(file, first line) of the functions that draw a claim's instances."""
    functions = (n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.FunctionDef))
    for function in functions:
        if any("claim.instance" in ast.unparse(decorator) for decorator in function.decorator_list):
            yield str(file), min(decorator.lineno for decorator in function.decorator_list)


def judged(root: str, claim_id: str, mutant: Mutant, limit: float) -> Outcome:
    """Evaluates a claim with one file changed, then its paper's tests; puts the file back."""
    with made(root, mutant):
        evidence = workers.work(root, claim_id, 0, "quick", (), limit, with_power=False)
        verdict, reason = evidence.verdict, evidence.data["reason"]
        if verdict == "verified" and not tests_pass(root, claim_id, limit):
            verdict, reason = "noticed by tests", "a test of the paper fails"
    return Outcome(claim_id, mutant, verdict, reason)


@contextmanager
def made(root: str, mutant: Mutant) -> Iterator[None]:
    """One file of a copy of the project is changed in here."""
    path = Path(root, mutant.file)
    before = path.read_text()
    try:
        path.write_text(mutant.source)
        yield
    finally:
        path.write_text(before)


def tests_pass(root: str, claim_id: str, limit: float) -> bool:
    """Whether the test files that open with an import from the claim's paper pass, if there are any."""
    paper = f"\nfrom claims.{claim_id.partition('/')[0].replace('-', '_')}"
    files = [str(file) for file in Path(root, "tests").glob("test_*.py") if paper in file.read_text()]
    return not files or run_tests(root, files, limit)


def run_tests(root: str, tests: list[str], limit: float) -> bool:
    """Whether tests pass in a folder, with the packages beside them before any others."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    paths = os.pathsep.join([root, str(Path(verify.__file__).parent.parent)])
    environment = {**os.environ, **workers.ENVIRONMENT, "PYTHONPATH": paths}
    try:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def copied(root: Path, into: Path, folders: tuple[str, ...] = ("claims", "tests")) -> str:
    """What a claim and its tests need, in a folder of its own."""
    for name in folders:
        if (root / name).is_dir():
            shutil.copytree(root / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (paper_map.NAME, "pyproject.toml"):
        if (root / name).is_file():
            shutil.copy(root / name, into)
    return str(into)


# --- the whole ------------------------------------------------------------------------------------------------------


def survey(root: Path, claim_id: str, count: int, seed: int, jobs: int) -> tuple[list[Outcome], int]:
    """(outcomes of `count` mutants or of all if 0, how many there are)."""
    import_claim(root, claim_id)  # a claim that cannot be imported has no mutants
    with tempfile.TemporaryDirectory() as folder:
        homes = [copied(root, Path(folder, str(job))) for job in range(jobs)]
        paper = str(Path(homes[0], "claims", claim_id.partition("/")[0].replace("-", "_")))
        if not tests_pass(homes[0], claim_id, LIMIT_SECONDS * LIMIT_FACTOR):
            raise SystemExit(f"tests of {claim_id} fail before anything is changed")
        with pool(1) as one:
            seconds, verdict, lines = one.submit(executed, homes[0], claim_id, paper).result()
        if verdict != "verified":
            raise SystemExit(f"{claim_id} is {verdict} before anything is changed")
        every = [
            mutant
            for file, seen in sorted(lines.items())
            for mutant in mutants(
                ast.parse(Path(file).read_text()), str(Path(file).relative_to(homes[0])), seen
            )
        ]
        chosen = random.Random(f"{claim_id}{seed}").sample(every, min(count, len(every))) if count else every
        limit = LIMIT_SECONDS + LIMIT_FACTOR * seconds
        with ThreadPoolExecutor(jobs) as threads:
            parts = (chosen[job::jobs] for job in range(jobs))
            found = threads.map(lambda home, part: one_by_one(home, claim_id, part, limit), homes, parts)
            outcomes = [outcome for part in found for outcome in part]
    return outcomes, len(every)


def pool(jobs: int) -> workers.Pool:
    """Workers as the suite has them."""
    return workers.Pool(jobs, lambda name, phase: None)


def one_by_one(home: str, claim_id: str, chosen: list[Mutant], limit: float) -> list[Outcome]:
    """The outcomes of some mutants, each in the same worker until one kills it."""
    outcomes, this = [], pool(1)
    for mutant in chosen:
        try:
            outcomes.append(this.submit(judged, home, claim_id, mutant, limit).result())
        except BrokenProcessPool:
            outcomes.append(Outcome(claim_id, mutant, "error", "its worker process died"))
            this.kill()
            this = pool(1)
    this.kill()
    return outcomes


def main(root: Path, ids: list[str], count: int = 20, seed: int = 0, jobs: int = 2) -> list[dict]:
    """Prints and returns the share that was noticed, per claim, and every survivor."""
    table = []
    for claim_id in ids:
        outcomes, every = survey(root, claim_id, count, seed, jobs)
        table.append(counted(claim_id, [(one.mutant, one.survived) for one in outcomes], every))
    total(table)
    return table


def counted(name: str, outcomes: list[tuple[Mutant, bool]], every: int) -> dict:
    """A row of the table, printed with those that survived and why they may."""
    survivors = [mutant for mutant, survived in outcomes if survived]
    unexplained = [mutant for mutant in survivors if mutant.reason(single=True) is None]
    noticed = len(outcomes) - len(survivors)
    print(
        f"{noticed} of {len(outcomes)} noticed, {len(survivors) - len(unexplained)} explained, "
        f"{len(unexplained)} survived (of {every} mutants): {name}"
    )
    for one in survivors:
        why = one.reason(single=True)
        word = f"explained ({why})" if why else "survived"
        print(f"    {word}: {one.file}:{one.line} {one.scope}: {one.was} -> {one.now}", flush=True)
    return {
        "name": name, "mutants": every, "tried": len(outcomes), "noticed": noticed,
        "explained": len(survivors) - len(unexplained),
        "survivors": [[one.file, one.line, one.was, one.now] for one in unexplained],
    }  # fmt: skip


def total(table: list[dict]) -> None:
    """Prints the whole: of the mutants that make a difference, how many are noticed."""
    tried, noticed, explained = (
        sum(row[column] for row in table) for column in ("tried", "noticed", "explained")
    )
    share = noticed / max(tried - explained, 1)
    print(f"{share:.1%}: {noticed} of {tried} noticed, {explained} explained", flush=True)
