"""Many evaluations: in workers, in threads, killed, interrupted, side by side; what scripts read of them."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import toys
from verify import execute, outcome
from verify.errors import SetupError
from verify.execute import Result, Task, Watcher, run
from verify.store import Store
from verify.suite import load
from verify.workers import failed

# no `if __name__ == "__main__"`: a worker does not run it
SCRIPT = """
import sys
from verify.execute import Task, Watcher, run
from verify.suite import load

class Told(Watcher):
    def started(self, task):
        print("started", task.claim_id, flush=True)
    def notice(self, text):
        print("notice", text, flush=True)

suite = load(sys.argv[1])
tasks = [Task(i) for i in suite.map.ids()]
try:
    for result in run(suite, tasks, jobs=int(sys.argv[2]), watch=Told()):
        print("result", result.task.claim_id, result.evidence.verdict, result.cached, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


class Told(Watcher):
    """Everything that a run tells."""

    def __init__(self):
        self.events, self.notices = [], []

    def started(self, task):
        self.events.append(("started", task.claim_id))

    def phase(self, task, text):
        self.events.append(("phase", task.claim_id, text))

    def finished(self, result):
        self.events.append(("finished", result.task.claim_id))

    def notice(self, text):
        self.notices.append(text)


def tasks_of(root, **options):
    return [Task(claim_id, **options) for claim_id in load(root).map.ids()]


def results(root, jobs=0, **options):
    """{claim slug: result}."""
    found = list(run(load(root), options.pop("tasks", None) or tasks_of(root), jobs=jobs, **options))
    return {result.task.claim_id.partition("/")[2]: result for result in found}


def entries(root, **options):
    paper_map = load(root).map
    return {slug: outcome.entry(paper_map, result) for slug, result in results(root, **options).items()}


def log(root):
    """[(claim slug, process)] of every evaluation of a claim that logs."""
    path = root / "log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(line.split()[0].partition("/")[2], int(line.split()[1])) for line in lines]


def evaluated(root):
    return sorted(slug for slug, _ in log(root))


def started(root, jobs=1):
    """The script above, under way in a process group of its own, as a shell starts it."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(root), str(jobs)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def wait_until(what, seconds=30):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)


def is_alive(pid):
    """A process that ended and that nobody waited for is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- what comes back ----------------------------------------------------------------------------------------


def test_workers_give_every_verdict_and_keep_stdout_clean(project, capfd):
    sources = {f"{verdict}-{i}": s for verdict, of in toys.VERDICTS.items() for i, s in enumerate(of)}
    root, told = project({**sources, "printing": toys.PRINTING, "logged": toys.LOGGED}), Told()
    found = results(root, jobs=2, watch=told)
    assert {slug: found[slug].evidence.verdict for slug in sources} == {
        slug: slug.partition("-")[0] for slug in sources
    }
    out, err = capfd.readouterr()
    assert out == ""
    assert "from python" in err
    assert "from C" in err
    assert os.getpid() not in {pid for _, pid in log(root)}
    assert ("phase", "toy-paper/verified-1", "control growing") in told.events
    of_one = [event[0] for event in told.events if event[1] == "toy-paper/verified-1"]
    assert of_one[0] == "started"
    assert of_one[-1] == "finished"
    assert all(event == "phase" for event in of_one[1:-1])

    again = results(root, jobs=2)
    assert {slug for slug, result in again.items() if not result.cached} == {
        s for s in sources if s.startswith("error")
    }
    for slug in ("verified-1", "undecided-0"):
        assert again[slug].evidence.data == found[slug].evidence.data
        assert again[slug].evidence.arrays.keys() == found[slug].evidence.arrays.keys()


def test_workers_threads_and_this_process_find_the_same(project):
    root = project({"one": toys.DECAY, "two": toys.VERIFIED})
    with ThreadPoolExecutor(2) as threads:
        ways = [{"jobs": 0}, {"jobs": 1}, {"jobs": 2, "executor": threads}]
        found = [results(root, use_cache=False, **way) for way in ways]
    for slug in ("one", "two"):
        first, *others = [
            {k: v for k, v in way[slug].evidence.data.items() if k not in ("seconds", "started")}
            for way in found
        ]
        assert all(other == first for other in others)
        assert first["key"] == found[0][slug].key
        assert first["versions"].keys() >= {"python", "numpy"}


def test_errors_say_where_they_are(project):
    root = project(
        {"raising": toys.RAISING, "broken": toys.BROKEN, "none": toys.NO_PYTHON, "setup": toys.NO_SUCH_CHECK}
    )
    found = entries(root)
    line = toys.BROKEN.splitlines().index("import no_such_module") + 1
    assert found["broken"]["error"].startswith(f"claims/toy_paper/broken.py:{line}: ModuleNotFoundError: ")
    line = next(i for i, text in enumerate(toys.NO_PYTHON.splitlines(), 1) if "total(n)(" in text)
    assert found["none"]["error"].startswith(f"claims/toy_paper/none.py:{line}: SyntaxError: ")
    assert "no sum today" in found["raising"]["error"]
    assert "raising.py" in found["raising"]["error"]
    assert "summ" in found["setup"]["error"]
    assert {slug: entry["error_kind"] for slug, entry in found.items()} == {
        "raising": "error", "broken": "error", "none": "error", "setup": "setup",
    }  # fmt: skip


def test_parameters_are_evaluations_of_their_own(project):
    root = project({"one": toys.VERIFIED})
    tasks = [Task("toy-paper/one"), Task("toy-paper/one", parameters=(("exponent", 3),))]
    assert [r.evidence.verdict for r in run(load(root), tasks, jobs=0)] == ["verified", "refuted"]
    assert [r.cached for r in run(load(root), tasks, jobs=0)] == [True, True]
    unknown = [Task("toy-paper/one", parameters=(("exponents", 3),))]
    [result] = run(load(root), unknown, jobs=0)
    assert result.evidence.data["error_kind"] == "setup"
    [full] = run(load(root), [Task("toy-paper/one", size="full")], jobs=0)
    assert full.evidence.cases[-1] == {"n": 100}


def test_the_pool_has_its_own_environment_and_the_parent_keeps_its(project, monkeypatch):
    source = toys.VERIFIED.replace(
        "return exact(sum",
        "import os, sys\n"
        "    names = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'JAX_ENABLE_X64', 'XLA_FLAGS')\n"
        "    raise ValueError(repr([os.environ.get(n) for n in names]) + sys.modules['__main__'].__name__)\n"
        "    return exact(sum",
    )
    monkeypatch.setenv("XLA_FLAGS", "--mine=1")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("JAX_ENABLE_X64", raising=False)
    before = dict(os.environ)
    error = results(project({"one": source}), jobs=1)["one"].evidence.data["error"]
    assert "['1', '1', '1', '--mine=1 --xla_cpu_multi_thread_eigen=false" in error
    assert os.environ == before


def test_starting_the_engine_loads_nothing_heavy():
    heavy = "{'numpy', 'jax', 'scipy', 'cvxpy', 'sympy', 'matplotlib', 'pydantic'}"
    code = f"import sys; import verify.execute, verify.key; assert not {heavy} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the cache ----------------------------------------------------------------------------------------------


def test_only_what_changed_is_evaluated_again(project):
    root = project({"one": toys.LOGGED, "two": toys.LOGGED})
    results(root)
    path = root / "claims" / "toy_paper" / "two.py"
    path.write_text(path.read_text().replace("exponent=2", "exponent=2, unused=1234"))
    assert [r.cached for r in results(root).values()] == [True, False]
    assert evaluated(root) == ["one", "two", "two"]
    assert [r.cached for r in results(root, use_cache=False).values()] == [False, False]


def test_a_notebook_sees_edits_of_a_claim_and_of_what_it_imports(project):
    source = toys.VERIFIED.replace("import Claim,", "import Claim,").replace(
        "from verify", "from claims.toy_paper.world import EXPONENT\nfrom verify"
    )
    source = source.replace("exponent=2", "exponent=EXPONENT")
    root = project({"one": source}, files={"claims/toy_paper/world.py": "EXPONENT = 2\n"})
    assert results(root)["one"].evidence.verdict == "verified"
    (root / "claims" / "toy_paper" / "world.py").write_text("EXPONENT = 2 + 1\n")
    assert results(root)["one"].evidence.verdict == "refuted"


def test_what_changes_while_it_is_evaluated_is_not_kept_as_current(project):
    source = toys.LOGGED.replace(
        "    return n\n", "    Path(__file__).with_name('new.txt').write_text('data')\n    return n\n"
    )
    root, told = project({"one": source}), Told()
    found = results(root, watch=told)["one"]
    assert found.evidence.verdict == "verified"
    assert "changed while it was evaluated" in told.notices[0]
    assert found.key == found.evidence.data["key"] == execute.CHANGED
    assert not results(root)["one"].cached
    assert results(root)["one"].cached


def test_damaged_evidence_is_computed_again(project):
    root, told = project({"one": toys.DECAY}), Told()
    before = results(root)["one"].evidence
    path = Store(root).path(Task("toy-paper/one"))
    path.write_text(path.read_text().replace('"verified"', '"refuted"'))
    found = results(root, watch=told)["one"]
    assert not found.cached
    assert found.evidence.verdict == before.verdict
    assert str(path) in told.notices[0]
    assert results(root)["one"].cached


def test_a_store_that_cannot_be_written_ends_the_run_before_it_computes(project):
    root = project({"one": toys.LOGGED})
    (root / "results").write_text("a file")
    with pytest.raises(SetupError, match="move that away"):
        results(root)
    assert evaluated(root) == []


def test_the_longest_start_first(project):
    root = project({"short": toys.LOGGED, "long": toys.LOGGED, "new": toys.LOGGED})
    for slug, seconds in (("short", 1.0), ("long", 99.0)):
        evidence = failed(Task(f"toy-paper/{slug}"), "made for a test")
        evidence.data |= {"verdict": "verified", "seconds": seconds, "key": "stale"}
        Store(root).write(Task(f"toy-paper/{slug}"), evidence)
    results(root)
    assert [slug for slug, _ in log(root)] == ["new", "long", "short"]


# --- other executors ----------------------------------------------------------------------------------------


class Inline(Executor):
    """An executor that somebody else wrote."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def test_any_executor_serves_and_is_left_running(project):
    root, told = project({"one": toys.LOGGED, "two": toys.RAISING, "three": toys.LOGGED}), Told()
    with ThreadPoolExecutor(2) as threads:
        found = results(root, jobs=2, executor=threads, watch=told)
        assert threads.submit(len, "abc").result() == 3
    assert [found[slug].evidence.verdict for slug in ("one", "two", "three")] == [
        "verified",
        "error",
        "verified",
    ]
    assert {event[0] for event in told.events} == {"started", "finished"}
    assert all(r.cached for slug, r in results(root, jobs=1, executor=Inline()).items() if slug != "two")


def test_an_executor_that_breaks_is_an_error_of_what_was_under_way(project):
    class Broken(Executor):
        def submit(self, fn, /, *args, **kwargs):
            raise BrokenExecutor("the cluster is gone")

    class Odd(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.set_exception(TypeError("cannot serialize"))
            return future

    root = project({"one": toys.VERIFIED})
    assert "the cluster is gone" in results(root, jobs=1, executor=Broken())["one"].evidence.data["error"]
    assert "cannot serialize" in results(root, jobs=1, executor=Odd())["one"].evidence.data["error"]
    assert results(root)["one"].evidence.verdict == "verified"


ENDLESS = """\
    while True:
        try:
            pass
        except Exception:
            pass
"""
HANGING = toys.VERIFIED.replace("    return exact(sum(", ENDLESS + "    return exact(sum(")


@pytest.mark.parametrize("jobs", [0, 1])
def test_a_claim_that_hangs_is_given_up_and_the_others_finish(project, jobs):
    root = project({"one": HANGING, "two": toys.VERIFIED})
    found = results(root, jobs=jobs, limit=1.0)
    assert "given up after 1 s" in found["one"].evidence.data["error"]
    assert found["two"].evidence.verdict == "verified"


def test_jobs_is_not_negative(project):
    with pytest.raises(SetupError, match="jobs"):
        results(project({"one": toys.VERIFIED}), jobs=-1)


# --- killed, dead, interrupted ------------------------------------------------------------------------------


def test_a_dying_worker_is_reported_and_the_others_finish(project):
    root, told = (
        project({"one": toys.LOGGED, "deadly": toys.DEADLY, "two": toys.LOGGED, "three": toys.LOGGED}),
        Told(),
    )
    found = results(root, jobs=2, watch=told)
    assert {slug: r.evidence.verdict for slug, r in found.items()} == {
        "one": "verified", "deadly": "error", "two": "verified", "three": "verified",
    }  # fmt: skip
    assert "worker process died" in found["deadly"].evidence.data["error"]
    assert "SIGKILL, as when memory runs out" in found["deadly"].evidence.data["error"]
    assert any("worker process died" in notice for notice in told.notices)
    assert evaluated(root).count("deadly") == 2


def test_a_killed_run_goes_on_where_it_was(project):
    root = project({"one": toys.LOGGED, "slow": toys.SLOW, "two": toys.LOGGED})
    process = started(root)
    wait_until(lambda: "slow" in evaluated(root))
    process.kill()
    process.communicate()
    assert evaluated(root) == ["one", "slow"]
    wait_until(lambda: not any(is_alive(pid) for _, pid in log(root)))  # workers do not outlive the parent

    (root / "go").touch()
    second = started(root)
    out, err = second.communicate(timeout=30)
    assert second.returncode == 0, err
    assert "result toy-paper/one verified True" in out
    assert "result toy-paper/slow verified False" in out
    assert evaluated(root) == ["one", "slow", "slow", "two"]
    assert all(r.cached for r in results(root).values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_workers_at_once_and_keeps_what_is_done(project, number):
    root = project({"one": toys.LOGGED, "slow": toys.SLOW, "two": toys.LOGGED})
    process = started(root)
    wait_until(lambda: "slow" in evaluated(root))
    began = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 5
    assert out.endswith("interrupted\n")
    assert process.returncode == 0
    assert err == ""
    wait_until(lambda: not any(is_alive(pid) for _, pid in log(root)))
    store = Store(root)
    assert store.latest(Task("toy-paper/one")).verdict == "verified"
    assert store.latest(Task("toy-paper/slow")) is None
    assert evaluated(root) == ["one", "slow"]


def test_closing_the_results_ends_the_workers(project):
    root = project({"one": toys.LOGGED, "slow": toys.SLOW})
    before = signal.getsignal(signal.SIGTERM)
    found = run(load(root), tasks_of(root), jobs=1)
    assert next(found).task.claim_id == "toy-paper/one"
    wait_until(lambda: "slow" in evaluated(root))
    found.close()
    wait_until(lambda: not any(is_alive(pid) for _, pid in log(root)))
    assert signal.getsignal(signal.SIGTERM) is before
    (root / "go").touch()
    assert [r.cached for r in results(root).values()] == [True, False]


def test_two_processes_share_the_work(project):
    root = project({"slow": toys.SLOW, "one": toys.LOGGED})
    first = started(root)
    wait_until(lambda: evaluated(root) == ["slow"])
    second = started(root)
    wait_until(lambda: evaluated(root) == ["one", "slow"])  # the second one takes what is free
    (root / "go").touch()
    outs = [process.communicate(timeout=30)[0] for process in (first, second)]
    assert "notice toy-paper/slow: another process is evaluating it" in outs[1]
    assert "result toy-paper/slow verified False" in outs[0]
    assert "result toy-paper/slow verified True" in outs[1]
    assert "result toy-paper/one verified True" in outs[0]
    assert evaluated(root) == ["one", "slow"]


# --- what scripts read --------------------------------------------------------------------------------------


def strict(document):
    return json.loads(json.dumps(document, allow_nan=False))


def test_the_document_is_strict_json_and_says_what_is_expected(project):
    root = project(
        {
            "good": toys.DECAY,
            "wrong": toys.REFUTED,
            "surprise": toys.VERIFIED,
            "open": toys.UNDECIDED,
            "odd": toys.NAN,
        },
        kinds={"open": "conjecture", "surprise": "lemma"},
        expected={"wrong": "refuted", "surprise": "refuted", "open": "[undecided, verified]"},
        files={"figures/toy-paper/good.svg": "<svg/>"},
    )
    found = entries(root)
    document = strict(outcome.document(list(found.values())))
    assert document["schema"] == 1
    assert [entry["id"].partition("/")[2] for entry in document["claims"] if entry["ok"]] == [
        "good",
        "wrong",
        "open",
    ]
    assert [found[slug]["expected"] for slug in ("good", "wrong", "open")] == [
        "verified", "refuted", ["undecided", "verified"],
    ]  # fmt: skip
    good = found["good"]
    wanted = {
        "id", "kind", "verdict", "expected", "grade", "seconds", "cached", "key", "seed", "size",
        "parameters", "figure", "error", "power", "assumptions", "checks", "controls", "ablations",
    }  # fmt: skip
    assert wanted <= good.keys()
    assert not {"worlds", "trees", "left_out"} & good.keys()
    assert good["figure"] == "figures/toy-paper/good.svg"
    assert found["wrong"]["figure"] is None
    assert found["odd"]["verdict"] == "error"
    assert document["summary"]["verdicts"] == {"verified": 2, "refuted": 1, "undecided": 1, "error": 1}
    assert document["summary"]["as_expected"] == 3
    assert document["summary"]["statistical_intervals"] == {"used": 0, "budget": 1000, "within": True}


def test_exit_codes(project):
    root = project(
        {"good": toys.VERIFIED, "surprise": toys.VERIFIED, "setup": toys.NO_SUCH_CHECK},
        expected={"surprise": "refuted"},
    )
    found = entries(root)
    assert outcome.exit_code([]) == 0
    assert outcome.exit_code([found["good"]]) == 0
    assert (
        outcome.exit_code([found["good"], found["surprise"]]) == 1
    )  # an unexpected `verified` is red as well
    assert outcome.exit_code([found["setup"], found["surprise"]]) == 2


def test_a_stated_number_is_no_side_of_a_theorem(project):
    source = toys.VERIFIED.replace("equal, exact", "equal, exact, stated").replace(
        "exact(n**exponent)", "stated(n**exponent, 'somebody said so')"
    )
    root = project({"theorem": source, "observation": source}, kinds={"observation": "observation"})
    found = entries(root)
    assert found["observation"]["verdict"] == "verified"
    assert found["observation"]["stated"] == 1
    assert found["theorem"]["verdict"] == "error"
    assert "somebody said so" in found["theorem"]["error"]
    assert not found["theorem"]["ok"]


def test_the_budget_is_for_one_seed(project):
    root = project({"one": toys.VERIFIED})
    [result] = results(root).values()
    entry = outcome.entry(load(root).map, Result(result.task, result.evidence, "key", cached=True))
    many = [entry | {"statistical_intervals": 600, "seed": seed} for seed in (0, 1)]
    assert outcome.summary(many)["statistical_intervals"] == {"used": 600, "budget": 1000, "within": True}
    assert outcome.summary([*many, many[0]])["statistical_intervals"]["within"] is False
