"""Mutation testing of claims: each small fault in a claim's code should end in anything but the expected verdict.

A mutant changes one place of the claim's module, or of what it reaches in its paper's folder, on a line that an
evaluation executes: a constant, a sign, an operator, operands in the wrong order, a term left out, a norm, max for
min. Figures, controls, docstrings, and the code that draws instances are left alone: another instance is no fault.
"""

from __future__ import annotations

import ast
import copy
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from verify import paper_map, workers
from verify.suite import import_claim

LIMIT_FACTOR, LIMIT_SECONDS = 10, 60
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
LAYOUT = ("axis", "axes", "dtype", "ndmin", "indexing", "shape", "size", "rng", "max_steps", "keep", "terms")


@dataclass(frozen=True)
class Mutant:
    """One changed place."""

    file: str
    line: int
    was: str
    now: str
    source: str


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


def mutants(tree: ast.Module, file: str, lines: set[int]) -> Iterator[Mutant]:
    """All mutants of a module on some of its lines."""
    for path, node in places(tree):
        if getattr(node, "lineno", None) in lines:
            for change in changes(node):
                altered = copy.deepcopy(tree)
                parent, field, index = locate(altered, path)
                now = change(copy.deepcopy(node))
                if index is None:
                    setattr(parent, field, now)
                else:
                    getattr(parent, field)[index] = now
                source = ast.unparse(ast.fix_missing_locations(altered))
                yield Mutant(file, node.lineno, ast.unparse(node), ast.unparse(now), source)


def places(tree: ast.Module) -> Iterator[tuple[tuple, ast.AST]]:
    """(path, node) of what may be changed."""

    def visit(node: ast.AST, path: tuple) -> Iterator[tuple[tuple, ast.AST]]:
        for field, value in ast.iter_fields(node):
            items = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
            for index, item in items:
                if isinstance(item, ast.AST) and not left_alone(node, field, item):
                    here = (*path, (field, index))
                    yield here, item
                    yield from visit(item, here)

    yield from visit(tree, ())


def left_alone(parent: ast.AST, field: str, node: ast.AST) -> bool:
    """Imports, docstrings, decorators, controls, figures, instances, layout: no statement of mathematics."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr) or field in (
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
        name = ast.unparse(call.func).rpartition(".")[2]
        return name in LEFT_ALONE or (isinstance(node, ast.Expr) and name in ("append", "validate"))
    if isinstance(parent, ast.Subscript) and field == "slice":
        return True
    return isinstance(node, ast.keyword) and node.arg in LAYOUT


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
        elif isinstance(node.value, int) and not isinstance(node.value, bool):
            yield lambda n: ast.Constant(n.value + 1)
    elif isinstance(node, ast.BinOp):
        if type(node.op) in OPERATORS:
            yield lambda n: ast.BinOp(n.left, OPERATORS[type(n.op)](), n.right)
        if isinstance(node.op, ast.Sub | ast.Div):
            yield lambda n: ast.BinOp(n.right, n.op, n.left)
        if isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
            yield lambda n: n.left
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield lambda n: n.operand
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        yield lambda n: ast.Compare(n.left, [COMPARISONS[type(n.ops[0])]()], n.comparators)
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield lambda n: ast.Attribute(n.value, NAMES[n.attr], n.ctx)
    elif isinstance(node, ast.Name) and node.id in ("max", "min"):
        yield lambda n: ast.Name(NAMES[n.id], n.ctx)


# --- in a worker, on a copy of the project of its own ---------------------------------------------------------------


def executed(root: str, claim_id: str, folder: str) -> tuple[float, str, dict[str, set[int]]]:
    """(seconds, verdict, {file: lines}) of an evaluation, lines of the files in a folder only."""
    found: dict[str, set[int]] = {}

    def local(frame, event, argument):
        if event == "line":
            found.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        return local

    sys.settrace(
        lambda frame, event, argument: local if frame.f_code.co_filename.startswith(folder) else None
    )
    try:
        evidence = workers.work(root, claim_id, 0, "quick", ())
    finally:
        sys.settrace(None)
    return evidence.data["seconds"], evidence.verdict, found


def judged(root: str, claim_id: str, mutant: Mutant, limit: float) -> Outcome:
    """Evaluates a claim with one file changed, and puts the file back."""
    path = Path(root) / mutant.file
    before = path.read_text()
    try:
        path.write_text(mutant.source)
        evidence = workers.work(root, claim_id, 0, "quick", (), limit)
    finally:
        path.write_text(before)
    return Outcome(claim_id, mutant, evidence.verdict, evidence.data["reason"])


def copied(root: Path, into: Path) -> str:
    """What a claim needs, in a folder of its own."""
    shutil.copytree(root / "claims", into / "claims", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / paper_map.NAME, into)
    return str(into)


# --- the whole ------------------------------------------------------------------------------------------------------


def survey(root: Path, claim_id: str, count: int, seed: int, jobs: int) -> tuple[list[Outcome], int]:
    """(outcomes of `count` mutants or of all if 0, how many there are)."""
    import_claim(root, claim_id)  # a claim that cannot be imported has no mutants
    with tempfile.TemporaryDirectory() as folder:
        homes = [copied(root, Path(folder, str(job))) for job in range(jobs)]
        paper = str(Path(homes[0], "claims", claim_id.partition("/")[0].replace("-", "_")))
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
        survivors = [one for one in outcomes if one.survived]
        noticed = len(outcomes) - len(survivors)
        print(f"{noticed} of {len(outcomes)} noticed (of {every} mutants): {claim_id}", flush=True)
        for one in (survivor.mutant for survivor in survivors):
            print(f"    survived: {one.file}:{one.line}: {one.was} -> {one.now}", flush=True)
        table.append(
            {
                "claim": claim_id, "tried": len(outcomes), "noticed": noticed,
                "mutants": every,
                "survivors": [[one.mutant.file, one.mutant.line, one.mutant.was, one.mutant.now] for one in survivors],
            }
        )  # fmt: skip
    return table
