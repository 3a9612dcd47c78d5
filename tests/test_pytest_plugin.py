"""The pytest plugin, as people meet it: pytest in a folder with a map."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from tests import toys

HEAVY = (
    "numpy",
    "yaml",
    "pydantic",
    "rich",
    "typer",
    "jax",
    "matplotlib",
    "scipy",
    "cvxpy",
    "sympy",
    "verify.suite",
)
EMPTY_FIGURE = toys.VERIFIED.partition("    for case in evidence")[0] + "    axes.set_title('nothing')\n"
RAISING_FIGURE = toys.VERIFIED.partition("    for case in evidence")[0] + "    axes.plot(evidence.nothing)\n"
BAD_FORMULA = toys.VERIFIED.replace('["the sum"]', r'["$\\frac{$"]')
SOURCES = {
    "odd": toys.VERIFIED,
    "wrong": toys.REFUTED,
    "known-wrong": toys.REFUTED,
    "surprise": toys.VERIFIED,
    "lax": toys.VACUOUS,
    "loose": toys.UNDECIDED,
    "raising": toys.RAISING,
    "broken": toys.BROKEN,
    "exiting": toys.VERIFIED.replace("from verify", "raise SystemExit(3)\nfrom verify"),
    "set-up": toys.NO_SUCH_CHECK,
    "empty-figure": EMPTY_FIGURE,
    "raising-figure": RAISING_FIGURE,
    "bad-formula": BAD_FORMULA,
}


class Ran(NamedTuple):
    """What pytest said."""

    code: int
    out: str
    root: Path

    @property
    def outcomes(self) -> dict[str, str]:
        """{item without the map's name: outcome} of a verbose run."""
        lines = (
            re.match(r"paper_map\.yaml::(.*?) (PASSED|FAILED|XFAIL|XPASS)", x) for x in self.out.splitlines()
        )
        return {line[1]: line[2] for line in lines if line}

    def failure(self, item: str) -> str:
        """The text of one failure."""
        return re.split(r"\n(?:_{3,} .* _{3,}|=+ .* =+)\n", self.out.partition(f" toy-paper/{item} _")[2])[
            0
        ].lstrip("_\n")


def run_pytest(root: Path, *args: str) -> Ran:
    """Pytest in a process of its own, without what the surrounding run sets."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *args],
        cwd=root, env=environment, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    return Ran(run.returncode, run.stdout + run.stderr, root)


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> Ran:
    """All toys, run once."""
    expected = {"known-wrong": "refuted", "surprise": "refuted"}
    root = toys.write_project(tmp_path_factory.mktemp("plugin") / "project", SOURCES, expected=expected)
    return run_pytest(root, "-v", "--junitxml=report.xml", "-rxX")


def test_items(everything):
    items = list(everything.outcomes)
    assert items[:4] == [
        "toy-paper/odd::check[sum]",
        "toy-paper/odd::control[starting from 2]",
        "toy-paper/odd::figure",
        "toy-paper/odd::verdict",
    ]
    assert [item for item in items if "loose" in item] == [
        "toy-paper/loose::check[bounded]",
        "toy-paper/loose::control[growing]",
        "toy-paper/loose::verdict",
    ]


def test_what_passes_and_what_fails(everything):
    failed = {item.partition("/")[2] for item, outcome in everything.outcomes.items() if outcome == "FAILED"}
    assert failed == {
        "wrong::check[sum]", "wrong::verdict", "surprise::verdict", "lax::control[starting from 2]", "lax::verdict",
        "loose::check[bounded]", "loose::verdict", "raising::check[sum]", "raising::control[starting from 2]",
        "raising::figure", "raising::verdict", "broken::verdict", "exiting::verdict", "set-up::verdict",
        "empty-figure::figure", "raising-figure::figure", "bad-formula::figure",
    }  # fmt: skip
    assert everything.code == 1
    assert "Traceback" not in everything.out


def test_a_known_refutation_is_xfail_and_its_verdict_passes(everything):
    outcomes = {item: o for item, o in everything.outcomes.items() if "/known-wrong::" in item}
    assert [*outcomes.values()] == ["XFAIL", "XPASS", "PASSED", "PASSED"]
    assert "expected refuted: it is a toy" in everything.out


def test_an_unexpected_verification_is_red(everything):
    text = everything.failure("surprise::verdict")
    assert "✗ toy-paper/surprise: verified, expected refuted" in text
    assert "refuted is expected because it is a toy" in text


def test_a_failure_explains_itself(everything):
    lines = [line.strip() for line in everything.failure("wrong::check[sum]").splitlines()]
    assert lines == [
        "check sum fails: measured = bound",
        "measured  4  exact: exact",
        "bound     8  exact: exact",
        "at        n = 2",
        "misses by 4",
        "reproduce: verify run toy-paper/wrong --seed 0",
    ]
    assert "passes the check sum that it must fail" in everything.failure("lax::control[starting from 2]")
    assert "numerical: made for a test" in everything.failure("loose::check[bounded]")
    assert "tighten that first" in everything.failure("loose::check[bounded]")
    assert "reproduce: verify run toy-paper/loose --seed 0" in everything.failure("loose::verdict")


def test_an_error_in_a_claim_is_shown_where(everything):
    assert "toy_paper/broken.py:3" in everything.failure("broken::verdict")
    assert "No module named 'no_such_module'" in everything.failure("broken::verdict")
    assert "SystemExit: 3" in everything.failure("exiting::verdict")
    assert "no check of control 'starting from 2' 'summ'; there is sum" in everything.failure(
        "set-up::verdict"
    )
    assert "check[sum] was not reached" in everything.failure("raising::check[sum]")
    assert "no sum today" in everything.failure("raising::verdict")


def test_a_figure_draws_something_or_fails(everything):
    assert "the figure is empty" in everything.failure("empty-figure::figure")
    assert "raising_figure.py" in everything.failure("raising-figure::figure")
    assert "AttributeError" in everything.failure("raising-figure::figure")
    assert r"Expected \frac{num}{den}" in everything.failure("bad-formula::figure")


def test_junit(everything):
    suite = ElementTree.parse(everything.root / "report.xml").getroot()[0]
    assert int(suite.get("failures")) == 17
    names = {(case.get("classname"), case.get("name")) for case in suite.iter("testcase")}
    assert ("paper_map.yaml.toy-paper/odd", "check[sum]") in names


def test_the_cache_is_that_of_verify_run(everything):
    assert (everything.root / "results/toy-paper/odd/seed0-quick.json").is_file()
    assert not (everything.root / "results/toy-paper/broken").exists(), (
        "a claim that cannot be imported is not tried"
    )


def test_selecting(project):
    root = project({"odd": toys.LOGGED, "other": toys.LOGGED, "third": toys.LOGGED})
    ran = run_pytest(root, "-v", "-k", "odd and verdict")
    assert ran.outcomes == {"toy-paper/odd::verdict": "PASSED"}
    assert len((root / "log").read_text().splitlines()) == 1, "only what is selected is evaluated"
    ran = run_pytest(
        root, "-v", "paper_map.yaml::toy-paper/odd", "paper_map.yaml::toy-paper/other::check[sum]"
    )
    assert sorted(ran.outcomes) == [
        "toy-paper/odd::check[sum]",
        "toy-paper/odd::control[starting from 2]",
        "toy-paper/odd::figure",
        "toy-paper/odd::verdict",
        "toy-paper/other::check[sum]",
    ]
    assert len((root / "log").read_text().splitlines()) == 2, "the first was current"


def test_options(project):
    root = project({"odd": toys.LOGGED})
    for args in ([], ["--verify-no-cache"], ["--verify-size=full", "--verify-seed=7"]):
        assert run_pytest(root, "-k", "verdict", *args).code == 0
    evaluated_by = [line.split()[1] for line in (root / "log").read_text().splitlines()]
    assert len(set(evaluated_by)) == 3
    assert (root / "results/toy-paper/odd/seed7-full.json").is_file()
    ran = run_pytest(root, "--verify-seed=-1")
    assert ran.code == 4
    assert "'-1' is no seed" in ran.out


def test_stopping_at_the_first_failure_ends_the_workers(project):
    root = project({"wrong": toys.REFUTED, "slow": toys.SLOW})
    ran = run_pytest(root, "-v", "-x")
    assert ran.code == 1
    assert list(ran.outcomes.values()) == ["FAILED"]


def test_xdist_keeps_a_claim_together(project):
    root = project({"odd": toys.LOGGED, "wrong": toys.REFUTED, "other": toys.VERIFIED, "deadly": toys.DEADLY})
    (root / "test_other.py").write_text("def test_one():\n    pass\n\n\ndef test_two():\n    pass\n")
    ran = run_pytest(root, "-v", "-n", "2")
    workers: dict[str, set[str]] = {}
    for worker, claim in re.findall(r"\[(gw\d)\].* paper_map\.yaml::(.*?)::", ran.out):
        workers.setdefault(claim, set()).add(worker)
    assert {claim: len(names) for claim, names in workers.items()} == {
        f"toy-paper/{name}": 1 for name in ("odd", "wrong", "other", "deadly")
    }
    assert (root / "log").read_text().count("toy-paper/odd") == 1
    assert len(re.findall(r"^\[gw\d\].*PASSED test_other", ran.out, re.MULTILINE)) == 2
    assert "its worker process died" in ran.out
    assert "misses by 4" in ran.out


def test_a_broken_map_is_a_collection_error_of_one_line(project):
    root = project({"odd": toys.VERIFIED})
    (root / "paper_map.yaml").write_text(
        (root / "paper_map.yaml").read_text().replace("priority: core\n", "")
    )
    ran = run_pytest(root)
    assert ran.code == 2
    assert re.search(r"^paper_map.yaml:\d+: papers.toy-paper.claims.odd.priority: is missing", ran.out, re.M)
    assert "Traceback" not in ran.out
    assert ".py" not in ran.out.partition("ERRORS")[2].partition("short test summary")[0]


def test_a_map_elsewhere_is_named_in_the_command(project, tmp_path):
    project({"wrong": toys.REFUTED})
    ran = run_pytest(tmp_path, "-k", "verdict")
    assert (
        f"reproduce: verify run toy-paper/wrong --seed 0 --map {tmp_path}/project/paper_map.yaml" in ran.out
    )


def test_nothing_is_loaded_without_a_map(tmp_path):
    (tmp_path / "test_nothing.py").write_text(
        f"import sys\n\n\ndef test_nothing():\n    assert not {set(HEAVY)} & set(sys.modules)\n"
        "    assert 'verify.pytest_plugin' in sys.modules\n"
    )
    ran = run_pytest(tmp_path)
    assert ran.code == 0, ran.out
