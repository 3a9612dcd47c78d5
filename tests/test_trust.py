"""The commands of `tests.trust`, in little; `make trust` is the whole."""

import ast
import copy
import os

import pytest

from tests import toys
from tests.trust import damage, disk, engine, kills, mutants, soak

ROUND = '''\
"""A square is at least twice its root less one."""

import numpy as np

from verify import Claim, at_most, exact

claim = Claim("@ID@")


@claim.instance
def x():
    return np.array([-2, 1, 3])


@claim.reference
def bound(x):
    return exact(2 * x - 1)


@claim.run
def square(x):
    return exact(x * x)


@claim.check("above")
def above(bound, square):
    return at_most(bound, square)


claim.control("a line too high", bound=lambda bound: bound + 1, must_fail="above")
'''


def test_kills_lose_nothing():
    assert kills.main(3, seed=1)["lost"] == 0


def test_damage_is_seen():
    assert damage.main(130, seed=1)["inputs"] == 130


@pytest.mark.skipif(not disk.possible(), reason="file systems cannot be mounted here")
def test_a_full_disk_and_a_read_only_one_lose_nothing():
    assert 0 < disk.main()["kept_on_a_full_disk"] < disk.CLAIMS


def test_a_soak_says_which_seeds_are_unexpected(project, monkeypatch, capsys):
    odd = toys.VERIFIED.replace(
        "def total(n, first=1):", "def total(n, rng, first=1):\n    n += rng.random() < 0.5"
    )
    monkeypatch.setattr(soak, "ROOT", project({"even": toys.VERIFIED, "odd": odd}))
    result = soak.main(12, patterns=("toy-paper/*",), jobs=1)
    even, odd = result["claims"]
    assert even["unexpected"] == {}
    assert 0 < len(odd["unexpected"]) < 12
    assert set(odd["unexpected"].values()) == {"refuted"}
    assert result["unexpected"] == len(odd["unexpected"])
    assert result["tail"] < soak.LEVEL
    assert "TOO MANY" in capsys.readouterr().out


def test_tests_of_the_engine_are_named_as_pytest_names_them():
    assert engine.nodeid("tests.test_interval.test_sum") == "tests/test_interval.py::test_sum"
    mutant = mutants.Mutant("verify/interval.py", 3, "", "1", "2", "")
    lines = {3: ["tests/test_a.py::test_a", "tests/test_interval.py::test_b"], 4: ["tests/test_c.py::test_c"]}
    assert engine.chosen(mutant, lines) == ["tests/test_interval.py::test_b", "tests/test_a.py::test_a"]
    assert len(engine.chosen(mutant, {3: [], **{n: [f"t{n}"] for n in range(4, 9)}})) == 5
    assert all((engine.ROOT / "verify" / f"{name}.py").exists() for name in engine.FILES)
    assert len(engine.engine_tests()) > 10


def test_explained_mutants_can_be_made():
    possible = {}
    for row in mutants.explained():
        assert {"file", "why"} <= set(row) <= {"file", "in", "was", "now", "why"}
        if row["file"] not in possible:
            possible[row["file"]] = set(possible_changes(engine.ROOT / row["file"]))
        fits = [
            (scope, was, now)
            for scope, was, now in possible[row["file"]]
            if (row.get("in", scope), row.get("was", was), row.get("now", now)) == (scope, was, now)
        ]
        assert fits, f"no such change can be made: {row}"


def possible_changes(file):
    for _, scope, node in mutants.places(ast.parse(file.read_text())):
        for change in mutants.changes(node):
            yield scope, ast.unparse(node), ast.unparse(change(copy.deepcopy(node)))


def test_mutants_are_made_noticed_and_survive(project, capsys):
    root = project({"line": ROUND})
    (table,) = mutants.main(root, ["toy-paper/line"], count=0, jobs=1)
    assert table["tried"] == table["mutants"] >= 8
    survivors = {(was, now) for _, _, was, now in table["survivors"]}
    assert ("2 * x - 1", "2 * x") not in survivors
    assert ("x * x", "x / x") not in survivors
    assert ("2 * x - 1", "1 - 2 * x") not in survivors
    assert table["noticed"] + len(survivors) == table["tried"]


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("y = a - 2 * b", {"a + 2 * b", "2 * b - a", "a", "2 / b", "2", "3"}),
        ("y = -x.max(axis=1)[0]", {"x.max(axis=1)[0]", "x.min"}),
        ('y = norm(W, "max") < 0.5', {"norm(W, 'max') > 0.5", "'frobenius'", "0.525"}),
        ("import numpy as np", set()),
        ("y = (a - b) ** 2", {"a + b", "a", "(a - b) * 2", "3"}),
        ("y = np.linalg.norm(a - b, axis=1)", {"a + b", "a"}),
        ("y = rounded(2 * x, 3 * n).reshape(2, -1)", {"2 / x", "2", "3"}),
        ("y = zip(a, b, strict=True) if a and not b else c", {"a or not b", "b"}),
        ('claim.control("off", factor=1.1, must_fail="x")', set()),
        ("@claim.instance\ndef data(n=5):\n    return n + 1", set()),
    ],
)
def test_what_is_changed(source, made):
    found = mutants.mutants(ast.parse(source), "x.py", set(range(10)))
    assert {mutant.now for mutant in found} == made
    for mutant in mutants.mutants(ast.parse(source), "x.py", set(range(10))):
        assert mutant.source != ast.unparse(ast.parse(source))


def test_only_lines_that_run_are_changed():
    source = "def f(x):\n    return x + 1\n\n\ndef g(x):\n    return x + 2\n"
    assert {mutant.line for mutant in mutants.mutants(ast.parse(source), "x.py", {2})} == {2}


def test_a_forged_verdict_is_not_believed(project):
    import json
    import random

    root = project({"wrong": toys.REFUTED})
    assert damage.call(root, "run", "--jobs", "0")[0] == 1
    (path,) = root.glob("results/*/*/seed0-quick.json")
    for seed in range(4):
        forged = damage.forged(path.read_bytes(), random.Random(seed))
        before = path.read_bytes()
        path.write_bytes(forged)
        code, out, _ = damage.call(root, "run", "--json", "--jobs", "0")
        assert (code, json.loads(out)["claims"][0]["verdict"]) == (1, "refuted")
        path.write_bytes(before)
    assert os.listdir(root)
