"""House rules of `claims/`, read from the source: what a claim may import, and that its two sides are apart."""

import ast
from functools import cache
from pathlib import Path

import pytest

from verify import paper_map

ROOT = Path(__file__).parent.parent
MAP = paper_map.read(ROOT / "paper_map.yaml")
MODULES = {claim_id: MAP.module_path(claim_id) for claim_id in MAP.ids()}
HEAVY = {
    "jax",
    "optax",
    "optimistix",
    "cvxpy",
    "sympy",
    "scipy",
    "matplotlib",
    "flint",
    "highspy",
    "clarabel",
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> dict[str, tuple[str, str | None]]:
    """Local name -> (dotted module, name in it or None) for every import of a file, wherever it stands."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found: dict[str, tuple[str, str | None]] = {}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = (alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                found[alias.asname or alias.name] = (module, alias.name)
    return found


@cache
def functions(path: Path) -> dict[str, ast.AST]:
    """Top-level functions, and top-level names that are assigned."""
    found: dict[str, ast.AST] = {}
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    return found


def decorated(path: Path, role: str) -> list[str]:
    """Names of the functions under @claim.<role>."""
    return [
        name
        for name, node in functions(path).items()
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(d, ast.Attribute) and d.attr == role for d in node.decorator_list)
    ]


def file_of(module: str) -> Path | None:
    path = ROOT / Path(*module.split(".")).with_suffix(".py")
    return path if module.startswith("claims.") and path.exists() else None


def uses(path: Path, name: str) -> set[tuple[str, str]]:
    """Everything that a function reaches by name: (dotted module, name), through project modules."""
    reached: set[tuple[str, str]] = set()
    todo = [(path, name)]
    while todo:
        where, what = todo.pop()
        node = functions(where).get(what)
        if node is None:
            continue
        for found in references(where, node):
            if found not in reached:
                reached.add(found)
                target = file_of(found[0])
                if target is not None:
                    todo.append((target, found[1]))
    return reached


def references(path: Path, node: ast.AST) -> set[tuple[str, str]]:
    """(module, name) for every name that the node mentions and that is imported or defined in its file."""
    here = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    parameters = {a.arg for a in node.args.args} if isinstance(node, ast.FunctionDef) else set()
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            module, name = imports(path).get(part.value.id, ("", None))
            if module:
                found.add((f"{module}.{name}" if name else module, part.attr))
        if isinstance(part, ast.Name) and part.id not in parameters:
            module, name = imports(path).get(part.id, ("", None))
            if name:
                found.add((module, name))
            elif part.id in functions(path):
                found.add((here, part.id))
    return found


def touches(reached: set[tuple[str, str]], room: str) -> bool:
    return any(
        module == f"verify.{room}"
        or module.startswith(f"verify.{room}.")
        or (module, name) == ("verify", room)
        for module, name in reached
    )


@pytest.mark.parametrize("claim_id", MODULES)
def test_a_reference_never_trains(claim_id):
    path = MODULES[claim_id]
    for name in decorated(path, "reference"):
        assert not touches(uses(path, name), "train"), f"reference {name} reaches verify.train"


@pytest.mark.parametrize("claim_id", MODULES)
def test_a_run_knows_no_reference(claim_id):
    path = MODULES[claim_id]
    known = set(decorated(path, "reference"))
    for name in decorated(path, "run"):
        asked = {a.arg for a in functions(path)[name].args.args}
        assert not asked & known, f"run {name} asks for a reference: {asked & known}"
        assert not touches(uses(path, name), "certify"), f"run {name} reaches verify.certify"


@pytest.mark.parametrize("claim_id", MODULES)
def test_a_measurement_knows_no_reference(claim_id):
    path = MODULES[claim_id]
    known = set(decorated(path, "reference"))
    for name in decorated(path, "measurement"):
        assert not {a.arg for a in functions(path)[name].args.args} & known


def test_the_reachability_sees_through_modules():
    path = ROOT / "claims/signgd_adam_margin/nsd_explicit_margin_bound.py"
    assert touches(uses(path, "gamma"), "certify")
    assert touches(uses(path, "path"), "train")
    assert not touches(uses(path, "path"), "certify")


@pytest.mark.parametrize("claim_id", MODULES)
def test_a_claim_types_no_interval(claim_id):
    names = {node.func.id for node in ast.walk(tree(MODULES[claim_id])) if called_by_name(node)}
    assert "Interval" not in names, "make values with certify, statistics, exact, rounded, stated"


def called_by_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


@pytest.mark.parametrize("path", sorted((ROOT / "claims").rglob("*.py")), ids=lambda p: p.stem)
def test_heavy_packages_are_imported_where_they_are_used(path):
    top = [node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name.split(".")[0] for node in top if isinstance(node, ast.Import) for alias in node.names}
    names |= {(node.module or "").split(".")[0] for node in top if isinstance(node, ast.ImportFrom)}
    assert not names & HEAVY


@pytest.mark.parametrize("claim_id", MODULES)
def test_a_claim_states_its_theorem_and_names_its_assumptions(claim_id):
    path = MODULES[claim_id]
    assert ast.get_docstring(tree(path)), "the statement is the module's docstring"
    paper = MAP.papers[claim_id.split("/")[0]]
    for name in decorated(path, "assumption"):
        assert name.replace("_", "-") in paper.assumptions, f"{name} is no assumption of the paper in the map"
