"""The command line: exit codes, what is said in words and in JSON, bad input, start-up."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import toys
from verify import cli, explain
from verify.terminal import Pace
from verify.workers import Task

HEAVY = {"jax", "optax", "cvxpy", "sympy", "scipy", "matplotlib", "flint", "highspy", "clarabel"}
DRAWS_TOO_MUCH = '''\
"""A mean of ones is at most one."""

import numpy as np

from verify import Claim, at_most, exact, statistics

claim = Claim("@ID@")


@claim.reference
def one():
    return exact(1)


@claim.run
def mean(value=0.5):
    return statistics.hoeffding_mean(np.full((1000, 501), value), 0, 2)


@claim.check("at-most-one")
def bounded(mean, one):
    return at_most(mean, one)


claim.control("larger", value=1.9, must_fail="at-most-one")
'''


class Done(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


@pytest.fixture
def verify(monkeypatch, capsys):
    """Runs a command in this process, in a folder."""

    def call(folder: Path, *args: str) -> Done:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["verify", *args])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Done(end.value.code, out, err)

    return call


def command(folder: Path, *args: str, **options) -> Done:
    """Runs a command in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-m", "verify", *args],
        cwd=folder, capture_output=True, text=True, timeout=60, **options,
    )  # fmt: skip
    assert "Traceback" not in run.stdout + run.stderr
    return Done(run.returncode, run.stdout, run.stderr)


def strict(text: str):
    def refuse(constant):
        raise AssertionError(f"{constant} is no strict JSON")

    return json.loads(text, parse_constant=refuse)


def loaded_by(folder: Path, *args: str) -> set[str]:
    """The modules that are there once a command is done."""
    code = (
        "import sys; from verify.cli import main; sys.argv[1:] = sys.argv[1:]\n"
        "try:\n    main()\nfinally:\n    print('loaded', *sys.modules, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code, *args], cwd=folder, capture_output=True, text=True)
    return set(run.stderr.rpartition("loaded ")[2].split())


# --- help and start-up --------------------------------------------------------------------------------------


def test_help_teaches(verify, tmp_path):
    done = verify(tmp_path, "--help")
    assert done.code == 0
    assert "Examples:" in done.out
    assert "verify run paper/claim --fresh 5" in done.out
    for word in ("verified", "refuted", "undecided", "vacuous", "invalid", "error", "Exit codes:"):
        assert word in done.out
    for name in ("run", "list", "show", "figures", "report"):
        assert re.search(rf"^  {name}  .*\.$", done.out, re.MULTILINE), "a short help that is not cut off"
        help_of_command = verify(tmp_path, name, "-h")
        assert help_of_command.code == 0
        assert "--map" in help_of_command.out


@pytest.mark.parametrize("args", [(), ("run",)])
def test_help_fits_a_terminal(verify, tmp_path, args):
    assert max(map(len, verify(tmp_path, *args, "--help").out.splitlines())) <= 84


def test_version(tmp_path):
    assert command(tmp_path, "--version").out == "verify 0.1.0\n"


def test_help_loads_nothing(tmp_path):
    modules = loaded_by(tmp_path, "--help")
    assert "typer" in modules
    assert not modules & {*HEAVY, "numpy", "rich", "yaml", "verify.execute", "verify.interval"}


def test_what_is_current_is_told_without_loading_claims(verify, project):
    root = project({"odd": toys.VERIFIED})
    verify(root, "run", "--jobs", "0")
    for args in (("run",), ("list",), ("show", "toy-paper/odd")):
        modules = loaded_by(root, *args)
        assert not modules & {*HEAVY, "rich", "claims", "verify.evaluation"}, args


# --- run ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected", "code"),
    [
        (toys.VERIFIED, None, 0),
        (toys.REFUTED, None, 1),
        (toys.REFUTED, "refuted", 0),
        (toys.VERIFIED, "refuted", 1),
        (toys.VACUOUS, None, 1),
        (toys.UNDECIDED, None, 1),
        (toys.INVALID, None, 1),
        (toys.RAISING, None, 1),
        (toys.NO_SUCH_CHECK, None, 2),
    ],
)
def test_exit_codes(verify, project, source, expected, code):
    root = project({"toy": source}, expected={"toy": expected} if expected else {})
    done = verify(root, "run", "--jobs", "0")
    assert done.code == code
    assert ("reproduce: verify run toy-paper/toy --seed 0" in done.out) == (code != 0)
    assert f"{int(code == 0)} of 1 claim as expected" in done.out


def test_what_failed_is_explained(verify, project):
    root = project(
        {"wrong": toys.REFUTED, "loose": toys.UNDECIDED, "lax": toys.VACUOUS, "odd": toys.VERIFIED}
    )
    out = verify(root, "run", "--jobs", "0").out
    lines, _, rest = out.partition("\n\n")
    assert sorted(line.split()[1] for line in lines.splitlines()) == [
        f"toy-paper/{name}" for name in ("lax", "loose", "odd", "wrong")
    ]
    paragraphs = {text.split()[1].rstrip(":"): text for text in rest.split("\n\n")}
    assert "toy-paper/odd" not in paragraphs
    wrong = paragraphs["toy-paper/wrong"]
    assert wrong.startswith(
        "✗ toy-paper/wrong: refuted, expected verified\n  check sum fails: measured = bound"
    )
    for line in ("measured  4  exact", "bound     8  exact", "at        n = 2", "misses by 4"):
        assert line in wrong
    assert "made for a test" in paragraphs["toy-paper/loose"], "why the intervals are that wide"
    assert "the wider side is bound, 1 wide" in paragraphs["toy-paper/loose"]
    assert "control 'starting from 2' passes the check sum" in paragraphs["toy-paper/lax"]


def test_the_reason_for_an_expectation_is_told(verify, project):
    root = project({"odd": toys.VERIFIED}, expected={"odd": "refuted"})
    out = verify(root, "run", "--jobs", "0").out
    assert "✗ toy-paper/odd: verified, expected refuted" in out
    assert "refuted is expected because it is a toy" in out
    assert "✓" not in out


def test_a_claim_that_raises_is_shown_where(verify, project):
    out = verify(project({"toy": toys.RAISING}), "run", "--jobs", "0").out
    assert "toy.py:15 in total: raise ValueError('no sum today')" in out


def test_json_is_strict_and_alone_on_stdout(verify, project):
    sources = {f"{name}-{i}": source for name, all_ in toys.VERDICTS.items() for i, source in enumerate(all_)}
    done = verify(project(sources), "run", "--jobs", "0", "--json")
    assert done.code == 2, "one of them is not set up properly"
    assert f"2 of {len(sources)} claims as expected" in done.err
    document = strict(done.out)
    assert document["schema"] == 1
    claims = document["claims"]
    assert [entry["id"] for entry in claims] == [f"toy-paper/{name}" for name in sources], "the map's order"
    assert all(entry["id"].startswith(f"toy-paper/{entry['verdict']}-") for entry in claims)
    assert {
        "kind", "expected", "grade", "seconds", "cached", "key", "seed", "size", "parameters", "figure", "error",
        "power", "assumptions", "checks", "controls", "ablations",
    } <= set(claims[0])  # fmt: skip
    assert {
        "name", "relation", "measured", "bound", "within", "outcome", "points", "at", "tightness",
    } <= set(claims[0]["checks"][0])  # fmt: skip
    assert {"lower", "upper", "grade", "because"} <= set(claims[0]["checks"][0]["bound"])
    assert {"name", "must_fail", "outcome", "rejected"} <= set(claims[0]["controls"][0])
    assert document["summary"]["as_expected"] == 2


def test_workers_do_not_print_into_the_json(project):
    root = project({"odd": toys.PRINTING, "wrong": toys.REFUTED})
    done = command(root, "run", "--json", "--jobs", "2")
    assert done.code == 1
    assert len(strict(done.out)["claims"]) == 2
    again = command(root, "run", "--json")
    assert [entry["cached"] for entry in strict(again.out)["claims"]] == [True, True]
    assert [e["key"] for e in strict(again.out)["claims"]] == [e["key"] for e in strict(done.out)["claims"]]


def test_no_cache_evaluates_again(verify, project):
    root = project({"odd": toys.LOGGED})
    for args, evaluations in ((), 1), ((), 1), (("--no-cache",), 2), (("--seed", "3"), 3):
        assert verify(root, "run", "--jobs", "0", *args).code == 0
        assert len((root / "log").read_text().split("\n")) - 1 == evaluations
    assert (root / "results/toy-paper/odd/seed3-quick.json").is_file()


def test_fresh_seeds_are_printed_and_can_be_repeated(verify, project):
    root = project({"odd": toys.VERIFIED, "wrong": toys.REFUTED})
    done = verify(root, "run", "--fresh", "3", "--jobs", "0")
    head, *_ = done.out.splitlines()
    seeds = [int(word) for word in re.match(r"fresh seeds: ([\d ]+)", head)[1].split()]
    assert len(set(seeds)) == 3
    assert f"verify run --seed {seeds[0]} --jobs 0" in head
    assert "toy-paper/odd: verified 3x" in done.out
    bad = ", ".join(map(str, seeds))
    assert f"toy-paper/wrong: refuted 3x; not as expected: seed {bad}" in done.out
    assert "3 of 6 evaluations as expected" in done.out
    assert f"verify run toy-paper/wrong --seed {seeds[1]}" in done.out
    again = verify(root, "run", "--seed", str(seeds[1]), "--json")
    assert {(entry["seed"], entry["cached"]) for entry in strict(again.out)["claims"]} == {(seeds[1], True)}


def test_full_size_is_announced(verify, project):
    root = project({"odd": toys.VERIFIED})
    done = verify(root, "run", "--size", "full", "--jobs", "0")
    assert "1 evaluation with larger parameters: how long it takes is not known yet" in done.err
    done = verify(root, "run", "--size", "full", "--jobs", "0")
    assert re.search(r"about \d\.\d s, from what they took last time", done.err)
    assert "cached" in done.out


def test_too_many_statistical_intervals_are_an_error(verify, project):
    root = project({"a": DRAWS_TOO_MUCH})
    done = verify(root, "run", "--jobs", "0", "--seed", "5")
    assert done.code == 2
    assert "1,002 of 1,000 statistical intervals used" in done.out
    assert "seed 5 uses 1,002 statistical intervals" in done.err


def test_select(verify, project):
    root = project({"one": toys.VERIFIED, "two": toys.VERIFIED, "three": toys.VERIFIED})
    for patterns, chosen in {
        ("toy-paper/one",): 1,
        ("toy-paper",): 3,
        ("*/t*",): 2,
        ("*/t*", "toy-paper/one"): 3,
    }.items():
        assert f" of {chosen} claim" in verify(root, "run", "--jobs", "0", *patterns).out
    done = verify(root, "run", "toy-paper/tree")
    assert done.code == 2
    assert done.err.startswith("verify: no claim matches 'toy-paper/tree'; the nearest: toy-paper/three")


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "--seed", "-1"], "'--seed'"),
        (["run", "--seed", "4294967296"], "'--seed'"),
        (["run", "--seed", "nought"], "'--seed'"),
        (["run", "--jobs", "x"], "'--jobs'"),
        (["run", "--jobs", "-1"], "'--jobs'"),
        (["run", "--size", "huge"], "'quick', 'full'"),
        (["run", "--fresh", "-2"], "'--fresh'"),
        (["run", "--fresh", "2", "--seed", "1"], "leave out --seed"),
        (["run", "--nonsense"], "--nonsense"),
        (["runn"], "runn"),
        (["show"], "ID"),
        (["list", "--map", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["run", "--map", "claims"], "claims/paper_map.yaml: no such file"),
        (["show", "toy-paper/add"], "toy-paper/odd"),
        (["figures", "toy-paper/add"], "toy-paper/odd"),
    ],
)
def test_bad_input_is_one_paragraph(verify, project, args, said):
    done = verify(project({"odd": toys.VERIFIED}), *args)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert len(done.err.strip().splitlines()) <= 4


def test_no_map(verify, tmp_path):
    done = verify(tmp_path, "run")
    assert done.code == 2
    assert "no paper_map.yaml" in done.err


def test_a_broken_map(verify, project):
    root = project({"odd": toys.VERIFIED})
    text = (root / "paper_map.yaml").read_text()
    (root / "paper_map.yaml").write_text(text.replace("kind: theorem", "kind: theorm"))
    for args in (("run",), ("list",), ("show", "toy-paper/odd"), ("figures",), ("report",)):
        done = verify(root, *args)
        assert done.code == 2
        assert re.search(r"paper_map.yaml:\d+: papers.toy-paper.claims.odd.kind", done.err)
        assert "did you mean 'theorem'?" in done.err


def test_a_map_without_claims(verify, tmp_path):
    (tmp_path / "paper_map.yaml").write_text("papers: {}\n")
    assert "no claims yet" in verify(tmp_path, "run").err
    assert "no papers yet" in verify(tmp_path, "list").err


def test_the_map_of_a_folder_or_a_file(verify, project, tmp_path):
    root = project({"wrong": toys.REFUTED})
    for path in ("project", "project/paper_map.yaml"):
        done = verify(tmp_path, "run", "--map", path, "--jobs", "0")
        assert done.code == 1
        assert f"reproduce: verify run toy-paper/wrong --seed 0 --map {path}" in done.out
    assert (root / "results").is_dir()


def test_an_error_of_the_engine_is_short(verify, project, monkeypatch):
    def stumble(*args, **options):
        raise RuntimeError("boom")

    monkeypatch.setattr("verify.execute.run", stumble)
    done = verify(project({"odd": toys.VERIFIED}), "run")
    assert done.code == 2
    assert done.err.startswith("verify: an error of verify itself: RuntimeError: boom\n")
    assert "in stumble" in done.err


def test_evidence_that_cannot_be_written(verify, project):
    root = project({"odd": toys.VERIFIED})
    (root / "results").write_text("in the way")
    done = verify(root, "run", "--jobs", "0")
    assert done.code == 2
    assert "cannot be written" in done.err


# --- interruptions ------------------------------------------------------------------------------------------


def test_control_c_keeps_what_is_done_and_says_how_to_go_on(project):
    root = project({"odd": toys.VERIFIED, "slow": toys.SLOW})
    run = subprocess.Popen(
        [sys.executable, "-m", "verify", "run", "--jobs", "1", "--seed", "4"],
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    _wait_for(root / "log", root / "results/toy-paper/odd/seed4-quick.json")
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "interrupted: 1 of 2 evaluations done and kept" in err
    assert "Traceback" not in err
    (root / "go").touch()
    words = shlex.split(err.strip().splitlines()[-1])
    assert words[:2] == ["verify", "run"]
    done = command(root, *words[1:], "--json")
    assert {entry["id"]: entry["cached"] for entry in strict(done.out)["claims"]} == {
        "toy-paper/odd": True,
        "toy-paper/slow": False,
    }


def _wait_for(*paths: Path) -> None:
    deadline = time.monotonic() + 30
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline, paths
        time.sleep(0.05)


def test_a_reader_that_leaves_is_no_error(project):
    root = project({f"claim-{number}": toys.VERIFIED for number in range(30)})
    read, write = os.pipe()
    run = subprocess.Popen(
        [sys.executable, "-m", "verify", "list"], cwd=root, stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    os.close(read)
    assert run.communicate(timeout=60)[1] == b""


def test_an_output_without_the_symbols(verify, project):
    done = command(project({"odd": toys.VERIFIED}), "list", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.code == 0
    assert "not run" in done.out


# --- a terminal ---------------------------------------------------------------------------------------------


def test_a_terminal_gets_live_progress_and_a_table(project):
    root = project({"odd": toys.VERIFIED, "slow": toys.SLOW, "wrong": toys.REFUTED})
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    run = subprocess.Popen(
        [sys.executable, "-m", "verify", "run", "--jobs", "2"],
        cwd=root, stdout=slave, stderr=slave, env=environment,
    )  # fmt: skip
    os.close(slave)
    output = b""
    while True:
        try:
            output += os.read(master, 4096)
        except OSError:  # the other end is closed
            break
        if b"2 of 3 done" in output:
            (root / "go").touch()
    os.close(master)
    assert run.wait(timeout=30) == 1
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode())
    assert re.search(r"\d s +toy-paper/slow", text), "what is under way, and for how long"
    assert "1 not as expected" in text
    table = text.rpartition("seconds")[2]
    assert re.search(r"toy-paper/odd +theorem +✓ verified +exact", table)
    assert re.search(r"toy-paper/wrong +theorem +✗ refuted, expected verified +exact", table)
    assert "\x1b[31m" in output.decode(), "red"


def test_the_time_that_is_left():
    a, b, c = (Task(f"p/{name}") for name in "abc")
    pace = Pace(lambda tasks: {a: 10.0, b: 20.0}, jobs=2)
    assert pace.left([a], {}) is None
    pace.begin([a, b, c])
    assert pace.left([a, b, c], {}) == 22.5, "what was never run takes as long as a typical one"
    assert pace.left([], {b: 5.0}) == 15
    assert pace.left([], {b: 50.0}) == 0
    pace.learn(c, 100.0)
    assert pace.left([c, a], {}) == 100, "not less than the longest"


# --- list, show, figures, report ----------------------------------------------------------------------------


def test_list_tells_current_from_stale_and_not_run(verify, project):
    root = project(
        {"odd": toys.VERIFIED, "wrong": toys.REFUTED, "new": toys.VERIFIED, "broken": toys.BROKEN},
        expected={"wrong": "refuted"},
    )
    verify(root, "run", "--jobs", "0", "toy-paper/odd", "toy-paper/wrong")
    done = verify(root, "list")
    assert done.code == 0
    assert re.search(r"✓ toy-paper/odd +theorem +core +exact +exact +verified", done.out)
    assert re.search(r"✗ toy-paper/wrong .* refuted, as expected", done.out)
    assert re.search(r"toy-paper/new .* not run", done.out)
    assert re.search(r"toy-paper/broken .* not run", done.out)
    module = root / "claims/toy_paper/odd.py"
    module.write_text(module.read_text().replace("first=1", "first=2"))
    assert re.search(r"toy-paper/odd .* stale", verify(root, "list").out)


def test_list_as_json(verify, project):
    root = project({"odd": toys.VERIFIED, "new": toys.VERIFIED})
    verify(root, "run", "--jobs", "0", "toy-paper/odd")
    text = (root / "paper_map.yaml").read_text()
    other = text.partition("    claims:")[0].replace("papers:\n", "").replace("toy-paper", "other")
    other = other.replace(
        "not_checkable: []", "not_checkable:\n      - what: the large run\n        because: it is large"
    )
    (root / "paper_map.yaml").write_text(text + other)
    document = strict(verify(root, "list", "--json").out)
    odd, new = document["papers"][0]["claims"]
    assert (odd["id"], odd["state"], odd["verdict"], odd["grade"], odd["ok"]) == (
        "toy-paper/odd", "current", "verified", "exact", True,
    )  # fmt: skip
    assert (new["state"], new["verdict"], new["grade"], new["ok"]) == ("not run", None, None, None)
    assert document["papers"][1]["not_checkable"] == [{"what": "the large run", "because": "it is large"}]
    out = verify(root, "list").out
    assert "no claims yet" in out
    assert "not checkable: the large run: it is large" in out
    assert "no findings" in verify(root, "list", "--findings").err


def test_list_findings(verify, project):
    root = project({"odd": toys.VERIFIED, "new": toys.VERIFIED}, kinds={"odd": "finding"})
    path = root / "paper_map.yaml"
    path.write_text(
        path.read_text().replace("kind: finding", "kind: finding\n        differs: they add up to n")
    )
    done = verify(root, "list", "--findings")
    assert "toy-paper/odd" in done.out
    assert "toy-paper/new" not in done.out
    assert "the paper: they add up to n" in done.out


def test_show(verify, project):
    root = project({"odd": toys.VERIFIED})
    before = verify(root, "show", "toy-paper/odd").out
    assert "not run yet: verify run toy-paper/odd" in before
    assert "control 'starting from 2' must fail check sum" in before
    verify(root, "run", "--jobs", "0")
    out = verify(root, "show", "toy-paper/odd").out
    for text in (
        "The first n odd numbers add up to n^2.", "read in the paper", "verified", "check sum holds: measured = bound",
        "'starting from 2' must fail sum: rejected", "changed   first = 2", "square: noticed once it is",
        "seed0-quick.json", "numpy ", "exponent = 2", "figures/toy-paper/odd.svg", "over      3 comparisons",
    ):  # fmt: skip
        assert text in out, text
    module = root / "claims/toy_paper/odd.py"
    module.write_text(module.read_text().replace("(1, 2, 10)", "(1, 2, 11)"))
    stale = verify(root, "show", "toy-paper/odd").out
    assert "(stale: code, data or" in stale
    assert "stale; evaluate with: verify run toy-paper/odd" in stale


def test_show_an_error_and_a_broken_claim(verify, project):
    root = project({"toy": toys.RAISING, "broken": toys.BROKEN})
    assert "the claim cannot be imported: ModuleNotFoundError" in verify(root, "show", "toy-paper/broken").out
    verify(root, "run", "--jobs", "0")
    assert "ValueError: no sum today" in verify(root, "show", "toy-paper/toy").out


def test_show_a_paper(verify, project):
    out = verify(project({"odd": toys.VERIFIED}), "show", "toy-paper").out
    assert out.startswith("toy-paper: A toy (Nobody, 2025, arXiv:2501.00001)\n")
    assert "toy-paper/odd" in out


def test_figures_and_report(verify, project):
    root = project({"odd": toys.VERIFIED, "plain": toys.DECAY})
    nothing = verify(root, "figures")
    assert nothing.code == 2
    assert "verify run" in nothing.err
    verify(root, "run", "--jobs", "0")
    missing = verify(root, "figures", "--check")
    assert missing.code == 1
    assert "missing: figures/toy-paper/odd.svg" in missing.err
    done = verify(root, "figures", "toy-paper/odd")
    assert (done.code, done.out) == (0, "written: figures/toy-paper/odd.svg\n1 written\n")
    assert verify(root, "figures", "--check").code == 0
    assert verify(root, "figures", "toy-paper/odd").out == "1 unchanged\n"
    assert verify(root, "report").out == "wrote report/index.html\n"
    assert "toy-paper/odd" in (root / "report/index.html").read_text()


# --- words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("power", "said"),
    [
        ({}, "–"),
        ({"a": {"up": 0.017, "down": 0.028}}, "1.7 %"),
        ({"a": {"up": None, "down": 0.5}}, "50 %↓"),
        ({"a": {"up": 0.017, "down": 0.028}, "b": {"up": 0.5, "down": None}}, "50 %↑"),
        ({"a": {"up": 0.017, "down": 0.028}, "b": {"up": None, "down": None}}, "none"),
    ],
)
def test_the_weakest_power(power, said):
    assert explain.weakest_power(power) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (3.14, "3.1 s"), (59.6, "60 s"), (150, "2 min 30 s"), (7300, "2 h 01 min")],
)
def test_durations(seconds, said):
    assert explain.seconds(seconds) == said


def test_a_statement_in_plain_text():
    text = r"""Margins $\gamma - \frac{m}{\|W_t\|}$ shrink, and

    $$ X_t = \sum_{s=\bar t}^{t} \eta_s \le \frac12, \qquad
       \unknown{x} \ne \Gamma $$

    - one
    - two $\alpha$
    """
    text = "\n".join(line.strip() for line in text.splitlines())
    assert explain.plain_statement(text).splitlines() == [
        "Margins γ - m/(‖W_t‖) shrink, and",
        "",
        "    X_t = Σ_{s=t̄}^{t} η_s ≤ 1/2,",
        r"    \unknown{x} ≠ Γ",
        "",
        "- one",
        "- two α",
    ]
