"""Evidence is current exactly as long as nothing changed that its numbers depend on."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests import toys
from verify import key, paper_map, sources
from verify.errors import SetupError
from verify.key import Keys
from verify.sources import read_source

WORLD = '''\
"""What the claims of this paper share."""

from . import _constants

def square(n):
    """The square."""
    from claims._shared.powers import power

    return power(n, 2) * _constants.ONE
'''
FILES = {
    "claims/toy_paper/world.py": WORLD,
    "claims/toy_paper/_constants.py": "ONE = 1\n",
    "claims/toy_paper/table.csv": "1,4,9\n",
    "claims/toy_paper/deep/er.json": "{}\n",
    "claims/_shared/powers.py": "from helpers import nothing\n\ndef power(n, k):\n    return n**k\n",
    "claims/_shared/unused.py": "X = 1\n",
    "claims/_shared/__init__.py": "",
    "helpers.py": "nothing = None\n",
}
USING_WORLD = toys.VERIFIED.replace(
    "from verify import Claim, equal, exact",
    "from claims.toy_paper.world import square as power_of\nfrom verify import Claim, equal, exact",
).replace("    axes = figure", "    from claims._shared import unused\n\n    axes = figure")
CLAIM = "claims/toy_paper/one.py"
ONE, OTHER = "toy-paper/one", "toy-paper/other"


@pytest.fixture(autouse=True)
def engine(tmp_path, monkeypatch):
    """A small engine, which is read faster."""
    folder = tmp_path / "engine" / "verify"
    folder.mkdir(parents=True)
    (folder / "interval.py").write_text("X = 1")
    monkeypatch.setattr(key, "ENGINE", folder)
    return folder


@pytest.fixture
def root(project):
    return project({"one": USING_WORLD, "other": toys.REFUTED}, files=FILES)


def evidence_key(root, claim_id=ONE, seed=0, size="quick", parameters=()):
    return Keys(paper_map.read(root / "paper_map.yaml")).evidence(claim_id, seed, size, parameters)


def figure_key(root):
    return Keys(paper_map.read(root / "paper_map.yaml")).figure(ONE, "the key of evidence")


def edit(path: Path, old: str, new: str):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    # two edits within a tick of the file system's clock are for machines only
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 10**9))


CHANGES = {
    "a constant of the claim": (CLAIM, "exponent=2", "exponent=3"),
    "another constant": (CLAIM, "first=1", "first=-1"),
    "a control": (CLAIM, "first=2", "first=4"),
    "a case": (CLAIM, "(1, 2, 10)", "(1, 2, 11)"),
    "the shared world": ("claims/toy_paper/world.py", "2)", "3)"),
    "a module of a relative import": ("claims/toy_paper/_constants.py", "1", "1.0"),
    "a module imported inside a function": ("claims/_shared/powers.py", "n**k", "n**(k + 1)"),
    "a module beside claims": ("helpers.py", "None", "0"),
    "a parent's __init__": ("claims/_shared/__init__.py", "", "print()"),
    "the root's __init__": ("claims/__init__.py", "", "X = 1"),
    "a data file": ("claims/toy_paper/table.csv", "4", "5"),
    "a data file further down": ("claims/toy_paper/deep/er.json", "{}", "[]"),
    "a syntax error": (CLAIM, "def total(", "def total(("),
}
NO_CHANGES = {
    "a comment": (CLAIM, "@claim.run", "# it sums\n@claim.run"),
    "the statement": (CLAIM, "add up to", "have the sum"),
    "a docstring of the world": ("claims/toy_paper/world.py", "The square.", "n times n."),
    "white space": (CLAIM, "n**exponent", "n ** exponent"),
    "a legend": (CLAIM, 'legend(["the sum"])', 'legend(["the sum"], loc="upper left")'),
    "another claim": ("claims/toy_paper/other.py", "exponent=3", "exponent=4"),
    "what only the figure imports": ("claims/_shared/unused.py", "1", "2"),
    "the map": ("paper_map.yaml", "A toy claim", "A toy's claim"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_the_numbers_changes_the_key(root, change):
    before = evidence_key(root)
    edit(root / change[0], *change[1:])
    assert evidence_key(root) != before


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_does_not_change_the_numbers_keeps_the_key(root, change):
    before = evidence_key(root)
    edit(root / change[0], *change[1:])
    assert evidence_key(root) == before


def test_a_new_data_file_changes_the_key_and_hidden_files_and_caches_do_not(root):
    before = evidence_key(root)
    folder = root / "claims" / "toy_paper"
    (folder / ".one.py.swp").write_text("an editor's")
    (folder / ".#world.py").symlink_to("nobody@nowhere")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "one.cpython-311.pyc").write_text("python's")
    (root / "notes.txt").write_text("beside a module that is reached, but no package's")
    assert evidence_key(root) == before
    (folder / "new.txt").write_text("data")
    assert evidence_key(root) != before


def test_the_order_of_parameters_makes_no_difference(root):
    keys = Keys(paper_map.read(root / "paper_map.yaml"))
    one, other = (
        keys.evidence(ONE, 0, "quick", pairs) for pairs in ([("a", 1), ("b", 2)], [("b", 2), ("a", 1)])
    )
    assert one == other


def test_what_is_remembered_lies_with_the_results(root):
    keys = Keys(paper_map.read(root / "paper_map.yaml"))
    assert keys.memory.path == root / "results" / ".sources.json"


def test_a_package_is_imported_from_by_its_own_name(root):
    edit(root / CLAIM, "from claims.toy_paper.world", "from claims.toy_paper")
    (root / "claims" / "toy_paper" / "__init__.py").write_text("from .world import square\n")
    before = evidence_key(root)
    edit(root / "claims" / "toy_paper" / "world.py", "power(n, 2)", "power(n, 3)")
    assert evidence_key(root) != before


def test_one_object_sees_edits(root):
    keys = Keys(paper_map.read(root / "paper_map.yaml"))
    before = keys.evidence(ONE, 0, "quick")
    assert keys.evidence(ONE, 0, "quick") == before
    for path, old, new in (CHANGES["a module imported inside a function"], CHANGES["a data file"]):
        edit(root / path, old, new)
        after = keys.evidence(ONE, 0, "quick")
        assert after != before
        before = after


def test_seed_size_parameters_and_claim_have_keys_of_their_own(root):
    variants = [
        {}, {"seed": 1}, {"size": "full"}, {"parameters": (("n", 1),)}, {"parameters": (("n", 1.0),)},
        {"parameters": (("n", 1), ("m", 2))}, {"claim_id": OTHER},
    ]  # fmt: skip
    assert len({evidence_key(root, **variant) for variant in variants}) == len(variants)
    both = (("n", 1), ("m", 2))
    assert evidence_key(root, parameters=both) == evidence_key(root, parameters=both[::-1])
    with pytest.raises(SetupError, match="plain"):
        evidence_key(root, parameters=(("f", len),))


def test_versions_count(root, monkeypatch):
    before = evidence_key(root)
    assert {"python", "numpy", "scipy", "cvxpy", "jax", "python-flint"} <= key.versions().keys()
    monkeypatch.setattr(key, "versions", lambda: {"python": "3.99"})
    assert evidence_key(root) != before


def test_the_numerical_rooms_of_the_engine_count_and_no_others(root, engine):
    before = evidence_key(root)
    (engine / "report.py").write_text("X = 1")
    (engine / "interval.py").write_text("X = 1  # a comment")
    assert evidence_key(root) == before
    (engine / "interval.py").write_text("X = 2  # a constant")
    after = evidence_key(root)
    (engine / "certify").mkdir()
    (engine / "certify" / "norms.py").write_text("X = 1")
    assert len({before, after, evidence_key(root)}) == 3


def test_the_numerical_rooms_are_there(monkeypatch):
    monkeypatch.undo()
    files = {room: key._python_files(room) for room in key.NUMERICAL_ROOMS}
    assert all(files.values()), files


def test_the_same_project_elsewhere_has_the_same_keys(root, tmp_path):
    before = evidence_key(root)
    root.rename(tmp_path / "elsewhere")
    assert evidence_key(tmp_path / "elsewhere") == before


def test_a_claim_module_is_never_run(project):
    root = project({"one": "from pathlib import Path\n\nPath(__file__).with_suffix('.run').touch()\n"})
    assert evidence_key(root) == evidence_key(root)
    assert not list(root.rglob("*.run"))


@pytest.mark.parametrize(
    "source", [toys.NO_PYTHON, "x = '\0'\n", "(" * 5000, "-" * 10**5 + "1"], ids=range(4)
)
def test_code_that_is_no_python_still_has_a_key(project, source):
    root = project({"one": source, "other": toys.VERIFIED})
    before, other = evidence_key(root), evidence_key(root, OTHER)
    edit(root / CLAIM, source[:1], source[:1] * 2)
    assert evidence_key(root) != before
    assert evidence_key(root, OTHER) == other


def test_a_figure_has_a_key_of_its_own(root):
    before = figure_key(root)
    edit(root / CLAIM, "add up to", "have the sum")
    edit(root / CLAIM, "exponent=2", "exponent=3")  # that is for the key of evidence to say
    assert figure_key(root) == before
    for name in ("a legend", "what only the figure imports"):
        path, old, new = NO_CHANGES[name]
        edit(root / path, old, new)
        after = figure_key(root)
        assert after != before
        before = after
    (key.ENGINE / "plot.py").write_text("X = 2")
    assert figure_key(root) != before
    keys = Keys(paper_map.read(root / "paper_map.yaml"))
    assert keys.figure(ONE, "another key") != figure_key(root)


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("import a.b as c, d", {"a.b", "d"}),
        ("from a import b, c", {"a", "a.b", "a.c"}),
        ("from . import b", {"claims.p", "claims.p.b"}),
        ("from .b import f", {"claims.p.b", "claims.p.b.f"}),
        ("from ..q.b import f", {"claims.q.b", "claims.q.b.f"}),
        ("from ... import b", {"b", ""}),
        ("if x:\n    class A:\n        import deep.down", {"deep.down"}),
    ],
)
def test_imports_are_found_wherever_they_stand(statement, names):
    assert read_source(statement.encode(), "claims.p").imports == names


# --- what is remembered from run to run -----------------------------------------------------------------------


def forget(monkeypatch):
    """As in a new process."""
    monkeypatch.setattr(sources, "_by_file", {})
    monkeypatch.setattr(sources, "_by_content", {})


@pytest.fixture
def remembered(root, monkeypatch):
    """The keys of a project, and the file that a run leaves."""
    forget(monkeypatch)
    keys = Keys(paper_map.read(root / "paper_map.yaml"))
    found = keys.evidence(ONE, 0, "quick")
    keys.memory.remember()
    forget(monkeypatch)
    return found, keys.memory.path


def test_a_later_run_reads_no_syntax_tree_again(root, remembered, monkeypatch):
    found, path = remembered
    before = path.stat()
    with monkeypatch.context() as patch:
        patch.setattr(sources, "read_source", pytest.fail)
        keys = Keys(paper_map.read(root / "paper_map.yaml"))
        assert keys.evidence(ONE, 0, "quick") == found
        keys.memory.remember()
    assert path.stat() == before
    edit(root / CLAIM, "exponent=2", "exponent=3")
    assert evidence_key(root) != found


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-9],
        lambda text: text.replace('["', '["0', 1),
        lambda text: "[]",
        lambda text: json.dumps({"sources": {"x": 1}, "checksum": sources._checksum({"x": 1})}),
        lambda text: "[" * 100_000,
    ],
    ids=["emptied", "truncated", "edited", "a list", "of the wrong type", "too deep"],
)
def test_a_damaged_memory_is_no_memory(root, remembered, damage):
    found, path = remembered
    path.write_text(damage(path.read_text()))
    keys = Keys(paper_map.read(root / "paper_map.yaml"))
    assert keys.evidence(ONE, 0, "quick") == found
    keys.memory.remember()
    assert len(json.loads(path.read_text())["sources"]) >= 5


def test_a_memory_that_cannot_be_written_is_none(root, tmp_path):
    (root / "results").write_text("a file")
    keys = Keys(paper_map.read(root / "paper_map.yaml"))
    keys.evidence(ONE, 0, "quick")
    keys.memory.remember()
    assert (root / "results").read_text() == "a file"


# --- against grimp ------------------------------------------------------------------------------------------


ORACLE = """
    import sys
    import grimp

    sys.path.insert(0, sys.argv[1])
    graph = grimp.build_graph("claims", cache_dir=None)
    for module in sorted(graph.modules):
        found, waiting = set(), {module}
        while waiting:
            name = waiting.pop()
            found.add(name)
            parents = {name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1)}
            waiting |= (graph.find_modules_directly_imported_by(name) | parents) - found
        print(module, *sorted(found))
"""


def reached_by_grimp(root: Path) -> dict[str, set[str]]:
    """{module: what it reaches} as grimp has it; in a process of its own, as it takes what is imported."""
    command = [sys.executable, "-c", textwrap.dedent(ORACLE), str(root)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[0]: set(line.split()[1:]) for line in lines}


def test_grimp_reaches_the_same_modules(root):
    """Up to what only figures import, which grimp does not tell apart."""
    for folder in (root, Path(__file__).parent.parent):
        keys = Keys(paper_map.read(folder / "paper_map.yaml", check_modules=False))
        for module, reached in reached_by_grimp(folder).items():
            sources = [key._module(keys._file(name), name) for name in reached]
            drawing = keys._reached(*(name for source in sources for name in source.figure_imports))
            found = {name for name in keys._reached(module) if name.startswith("claims")}
            assert found <= reached <= found | drawing.keys(), module
