"""The commands of `tests.trust`, in little; `make trust` is the whole."""

import ast
import os

import pytest

from tests import toys
from tests.trust import damage, kills, mutants

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
