"""What scripts and CI read: entries, their summary, the exit code."""

from dataclasses import replace

import pytest

from tests import toys
from verify import load, outcome
from verify.execute import Result
from verify.workers import Task, work


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A project of a theorem that holds, one that does not, and a conjecture; the result of each."""
    root = toys.write_project(
        tmp_path_factory.mktemp("outcome") / "project",
        {"good": toys.VERIFIED, "bad": toys.REFUTED, "open": toys.VERIFIED},
        kinds={"open": "conjecture"},
        expected={"open": "[verified, refuted]"},
    )
    tasks = [Task(f"toy-paper/{slug}") for slug in ("good", "bad", "open")]
    results = [Result(task, work(str(root), task.claim_id, 0, "quick", ()), "k", False) for task in tasks]
    return load(root).map, dict(zip(("good", "bad", "open"), results, strict=True))


def test_an_entry_says_what_was_expected(evaluated):
    paper_map, results = evaluated
    good, bad, open_ = (outcome.entry(paper_map, result) for result in results.values())
    assert (good["expected"], good["ok"], good["verdict"]) == ("verified", True, "verified")
    assert (bad["expected"], bad["ok"], bad["verdict"]) == ("verified", False, "refuted")
    assert (open_["expected"], open_["ok"]) == (["verified", "refuted"], True)
    assert not {*outcome.INTERNAL} & {*good}


def test_a_figure_is_that_of_seed_0_at_quick_size_once_it_is_drawn(evaluated):
    paper_map, results = evaluated
    good = results["good"]
    assert outcome.entry(paper_map, good)["figure"] is None
    file = paper_map.root / "figures" / "toy-paper" / "good.svg"
    file.parent.mkdir(parents=True)
    file.write_text("<svg/>")
    assert outcome.entry(paper_map, good)["figure"] == "figures/toy-paper/good.svg"
    for other in ({"seed": 1}, {"size": "full"}, {"parameters": (("n", 1),)}):
        assert outcome.entry(paper_map, replace(good, task=replace(good.task, **other)))["figure"] is None


def item(**changes):
    """An entry as `summary` and `exit_code` read it."""
    return {
        "id": "p/c", "seed": 0, "size": "quick", "verdict": "verified", "ok": True, "cached": False, "stated": 0,
        "statistical_intervals": 0, "seconds": 0.0, "error_kind": None, **changes,
    }  # fmt: skip


def test_a_summary_counts():
    found = outcome.summary([
        item(cached=True, stated=2, seconds=1.5, statistical_intervals=3),
        item(id="p/d", verdict="refuted", ok=False, seconds=0.5, statistical_intervals=4),
        item(id="p/d", seed=1, stated=1, statistical_intervals=1),
        item(id="p/d", seed=1, size="full", statistical_intervals=5),
    ])  # fmt: skip
    assert (found["claims"], found["evaluations"], found["as_expected"]) == (2, 4, 3)
    assert found["verdicts"] == {"verified": 3, "refuted": 1}
    assert (found["cached"], found["stated"], found["seconds"]) == (1, 3, 2.0)
    assert found["statistical_intervals"]["used"] == 7  # of seed 0, quick


def test_the_budget_is_for_one_seed_and_size():
    budget = outcome.summary([])["statistical_intervals"]["budget"]
    for used, within in ((budget, True), (budget + 1, False)):
        found = outcome.summary([item(statistical_intervals=used), item(seed=1, statistical_intervals=1)])
        assert found["statistical_intervals"] == {"used": used, "budget": budget, "within": within}
    assert outcome.summary([])["statistical_intervals"] == {"used": 0, "budget": budget, "within": True}


def test_exit_codes_in_order_of_weight():
    good, bad = item(), item(ok=False)
    setup, raised = item(ok=False, error_kind="setup"), item(ok=False, error_kind="error")
    assert [outcome.exit_code(entries) for entries in ([], [good], [good, bad], [good, raised])] == [
        0,
        0,
        1,
        1,
    ]
    assert outcome.exit_code([bad, setup, good]) == 2
    assert outcome.document([good]) == {"schema": 1, "claims": [good], "summary": outcome.summary([good])}
