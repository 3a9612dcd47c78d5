"""The map is read safely, and every mistake in it is named with file, line, field and mend."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests import toys
from verify import paper_map
from verify.errors import SetupError
from verify.paper_map import ClaimRow, PaperMap, find, read, select

REAL = Path(__file__).parent.parent / "paper_map.yaml"
VALID = """\
papers:
  first-paper:
    title: A title
    authors: [Ada, Emmy]
    year: 2024
    arxiv: "2405.10560"
    summary: What it says
    assumptions:
      separable: The data are separable
    not_checkable:
      - what: the large run
        because: it is large
    claims:
      one-claim:
        title: A claim
        kind: theorem
        source: Theorem 1
        known: exact
        priority: core
      two:
        title: Another claim
        kind: lemma
        source: Lemma 2
        known: summary
        priority: extended
  second:
    title: Another title
    authors: [Ada]
    year: 2025
    arxiv: cs/0501001
    venue: a journal
    summary: >-
      A folded
      text
    assumptions: {}
    not_checkable: []
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "paper_map.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def changed(old: str, new: str) -> str:
    assert old in VALID
    return VALID.replace(old, new, 1)


def problems(path: Path, check_modules: bool = False) -> list[str]:
    with pytest.raises(SetupError) as caught:
        read(path, check_modules)
    return [line.removeprefix(str(path)) for line in str(caught.value).splitlines()]


def modules(folder: Path, *names: str) -> None:
    for name in names:
        module = folder / "claims" / name
        module.parent.mkdir(parents=True, exist_ok=True)
        module.touch()


@pytest.fixture
def valid(tmp_path: Path) -> PaperMap:
    modules(tmp_path, "first_paper/one_claim.py", "first_paper/two.py")
    return read(write(tmp_path, VALID))


def test_the_real_map_has_34_papers() -> None:
    real = read(REAL, check_modules=False)
    assert len(real.papers) == 34
    assert list(real.papers)[:2] == ["signgd-adam-margin", "sc-loss-ufm"]
    assert list(real.papers)[-1] == "sgd-probabilistic-stability"
    assert len({paper.arxiv for paper in real.papers.values()}) == 34
    assert all(paper.assumptions and paper.not_checkable for paper in real.papers.values())


def test_a_valid_map(valid: PaperMap, tmp_path: Path) -> None:
    assert valid.root == tmp_path
    assert valid.ids() == ["first-paper/one-claim", "first-paper/two"]
    assert valid.row("first-paper/two").kind == "lemma"
    assert valid.row("first-paper/two").expected == ("verified",)
    assert valid.papers["second"].summary == "A folded text"
    assert valid.papers["second"].claims == {}
    assert valid.module_name("first-paper/one-claim") == "claims.first_paper.one_claim"
    assert valid.module_path("first-paper/one-claim") == tmp_path / "claims" / "first_paper" / "one_claim.py"


def test_rows_are_frozen(valid: PaperMap) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        valid.row("first-paper/two").title = "new"  # type: ignore[misc] - what the type forbids is tried


@pytest.mark.parametrize(
    "claim_id", ["first-paper/one-clam", "first-paper", "/", "", "../two", "first-paper/two/"]
)
def test_an_unknown_id_names_the_nearest(valid: PaperMap, claim_id: str) -> None:
    with pytest.raises(SetupError, match="no claim matches"):
        valid.row(claim_id)
    with pytest.raises(SetupError):
        valid.module_path(claim_id)


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    assert len(read(write(tmp_path, b"\xef\xbb\xbf" + VALID.encode()), check_modules=False).papers) == 2


FIRST = "papers.first-paper"
CLAIMS = f"{FIRST}.claims"
ONE = f"{CLAIMS}.one-claim"
NO_SLUG = "is no slug; use words of a-z and 0-9 joined by '-', a letter first, at most 80 long"
RESERVED = "is a reserved name (Python keyword or shared module); add a word"
YEAR = "write the year of the first version, 2025, without quotes"
NO_WORDS = "is empty or has a control character; write plain words, or remove it if optional"
QUOTES = "write text, in quotes"
A_CLAIM = "write a mapping from claim slug to claim, or nothing"
TWICE = "is given twice, first in line"
PAPER_FIELDS = "title, authors, year, arxiv, venue, summary, assumptions, not_checkable, claims"
FIELD_ERRORS = {
    "unknown top-level key": (
        "papers:",
        "papres: {}\npapers:",
        ":1: papres: is no field here; did you mean 'papers'?",
    ),
    "unknown paper field": (
        "venue: a",
        "venu: a",
        ":31: papers.second.venu: is no field here; did you mean 'venue'?",
    ),
    "unknown claim field": (
        "known: exact",
        "known: exact\n        knd: x",
        f":19: {ONE}.knd: is no field here; did you mean 'kind'?",
    ),
    "field unlike any": (
        "because: it is large",
        "because: it\n        xyz: 1",
        f":13: {FIRST}.not_checkable[0].xyz: is no field here; use one of what, because",
    ),
    "duplicate key": (
        "year: 2024",
        "year: 2024\n    year: 2024",
        f":6: {FIRST}.year: the key {TWICE} 5; rename or remove one",
    ),
    "duplicate paper": (
        "  second:",
        "  first-paper:",
        f":26: {FIRST}: the key {TWICE} 2; rename or remove one",
    ),
    "duplicate claim id": (
        "      two:",
        "      one-claim:",
        f":20: {ONE}: the claim id 'first-paper/one-claim' {TWICE} 14; rename or remove one",
    ),
    "unquoted arXiv id": (
        '"2405.10560"',
        "2405.10560",
        f":6: {FIRST}.arxiv: is a number, '2405.10560'; {QUOTES}: \"2405.10560\"",
    ),
    "bad arXiv id": (
        "2405.10560",
        "2405.105",
        f':6: {FIRST}.arxiv: \'2405.105\' is no arXiv id; write it as "2502.04664" or "cs/0501001"',
    ),
    "text for a number": ("2024", '"2024"', f":5: {FIRST}.year: is the text '2024'; {YEAR}"),
    "absurd year": ("2024", "20240", f":5: {FIRST}.year: is the number 20240; {YEAR}"),
    "negative year": ("2024", "-3", f":5: {FIRST}.year: is a number, '-3'; {YEAR}"),
    "number for text": ("A title", "1984", f':3: {FIRST}.title: is the number 1984; {QUOTES}: "1984"'),
    "truth value for text": (
        "A title",
        "yes",
        f":3: {FIRST}.title: is a truth value, 'yes'; {QUOTES}: \"yes\"",
    ),
    "date for text": (
        "A title",
        "2024-01-01",
        f":3: {FIRST}.title: is a date, '2024-01-01'; {QUOTES}: \"2024-01-01\"",
    ),
    "nothing for text": ("title: A title", "title:", f":3: {FIRST}.title: is empty; write the title"),
    "blank text": ("A title", "' '", f":3: {FIRST}.title: {NO_WORDS}"),
    "control character": ("A title", '"a\\x07"', f":3: {FIRST}.title: {NO_WORDS}"),
    "text for a list": (
        "[Ada, Emmy]",
        "Ada",
        f":4: {FIRST}.authors: is the text 'Ada'; write a list of names",
    ),
    "number for a list": (
        "[Ada, Emmy]",
        "1.5",
        f":4: {FIRST}.authors: is a number, '1.5'; write a list of names",
    ),
    "empty list": (
        "[Ada, Emmy]",
        "[]",
        f":4: {FIRST}.authors: is a list without entries; write a list of names",
    ),
    "bad list item": (
        "[Ada, Emmy]",
        "\n    - Ada\n    - 7",
        f':6: {FIRST}.authors[1]: is the number 7; {QUOTES}: "7"',
    ),
    "mapping for text": ("A title", "{a: b}", f":3: {FIRST}.title: is a mapping; write the title"),
    "list for a mapping": (
        "assumptions: {}",
        "assumptions: []",
        ":35: papers.second.assumptions: is a list without entries; "
        "write a mapping from name to short statement, or {}",
    ),
    "nothing for claims": (
        "    assumptions: {}",
        "    claims:\n    assumptions: {}",
        f":35: papers.second.claims: is empty; {A_CLAIM}",
    ),
    "text for a claim": (
        "      two:\n",
        "      two: x\n      three:\n",
        f":20: {CLAIMS}.two: is the text 'x'; {A_CLAIM}",
    ),
    "wrong kind": ("theorem", "theorm", f":16: {ONE}.kind: is the text 'theorm'; did you mean 'theorem'?"),
    "unlikely kind": (
        "theorem",
        "xyz",
        f":16: {ONE}.kind: is the text 'xyz'; use one of theorem, lemma, finding, observation, conjecture",
    ),
    "wrong known": (
        "exact",
        "1",
        f":18: {ONE}.known: is the number 1; use one of exact, summary, abstract, reconstructed",
    ),
    "wrong priority": ("core", "cor", f":19: {ONE}.priority: is the text 'cor'; did you mean 'core'?"),
    "missing field": (
        "    year: 2024\n",
        "",
        f":2: {FIRST}.year: is missing; add the year of the first version, 2025, without quotes",
    ),
    "missing claim field": (
        "        kind: theorem\n",
        "",
        f":14: {ONE}.kind: is missing; add one of theorem, lemma, finding, observation, conjecture",
    ),
    "bad paper slug": ("  second:", "  Second_Paper:", f":26: papers.Second_Paper: {NO_SLUG}"),
    "path as slug": ("  second:", "  ../x:", f":26: papers.../x: {NO_SLUG}"),
    "slug from a digit": ("      two:", "      2-two:", f":20: {CLAIMS}.2-two: {NO_SLUG}"),
    "keyword as slug": ("      two:", "      lambda:", f":20: {CLAIMS}.lambda: {RESERVED}: 'lambda-claim'"),
    "shared module as slug": (
        "      two:",
        "      world:",
        f":20: {CLAIMS}.world: {RESERVED}: 'world-claim'",
    ),
    "bad assumption name": ("separable", "Is separable", f":9: {FIRST}.assumptions.Is separable: {NO_SLUG}"),
    "alias": ("What it says", "*t", f":7: {FIRST}.summary: is the alias '*t'; write out what it stands for"),
    "alias in a list": (
        "[Ada, Emmy]",
        "\n    - &a Ada\n    - *a",
        f":6: {FIRST}.authors[1]: is the alias '*a'; write out what it stands for",
    ),
    "tagged text": (
        "A title",
        "!!python/name:os.system ''",
        f":3: {FIRST}.title: is a tagged value, ''; write the title",
    ),
    "tagged mapping": (
        "assumptions: {}",
        "assumptions: !x {}",
        ":35: papers.second.assumptions: has the tag '!x'; remove it",
    ),
    "merge key": (
        "assumptions: {}",
        "assumptions: {}\n    <<: {a: b}",
        f":36: papers.second.<<: is no field here; use one of {PAPER_FIELDS}",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), FIELD_ERRORS.values(), ids=FIELD_ERRORS)
def test_one_wrong_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert problems(write(tmp_path, changed(old, new))) == [message]


EXPLAINS = "explains an 'expected' that is verified anyway; remove it, or add 'expected'"
REPEATS = "is empty or repeats a verdict; name every expected verdict once"
BECAUSE = "\n        because: x"
EXPECTED_ERRORS = {
    "never error": (
        "expected: error" + BECAUSE,
        ":20",
        "expected: is the text 'error'; use one of verified, refuted, undecided, vacuous",
    ),
    "because is missing": (
        "expected: refuted",
        ":14",
        "because: is missing; say why another verdict than verified is expected",
    ),
    "because of nothing": (BECAUSE.strip(), ":20", f"because: {EXPLAINS}"),
    "because of verified": ("expected: verified" + BECAUSE, ":21", f"because: {EXPLAINS}"),
    "list for a theorem": (
        "expected: [verified, refuted]" + BECAUSE,
        ":20",
        "expected: is a list, which only a conjecture may have; name one verdict",
    ),
    "empty list": ("expected: []" + BECAUSE, ":20", f"expected: {REPEATS}"),
    "repeated verdict": ("expected: [refuted, refuted]" + BECAUSE, ":20", f"expected: {REPEATS}"),
    "mapping": (
        "expected: {}" + BECAUSE,
        ":20",
        "expected: is a mapping without entries; write a verdict, or a list of them for a conjecture",
    ),
}


@pytest.mark.parametrize(("lines", "line", "message"), EXPECTED_ERRORS.values(), ids=EXPECTED_ERRORS)
def test_expected_verdicts(tmp_path: Path, lines: str, line: str, message: str) -> None:
    text = changed("priority: core", "priority: core\n        " + lines)
    assert problems(write(tmp_path, text)) == [f"{line}: {ONE}.{message}"]


def test_a_finding_names_what_it_differs_from(tmp_path: Path) -> None:
    finding = changed("kind: theorem", "kind: finding")
    message = (
        f":14: {ONE}.differs: is missing; a finding names the paper's statement it contradicts or sharpens"
    )
    assert problems(write(tmp_path, finding)) == [message]
    path = write(tmp_path, finding.replace("known: exact", "known: exact\n        differs: Theorem 3"))
    assert read(path, check_modules=False).row("first-paper/one-claim").differs == "Theorem 3"


def test_a_conjecture_may_expect_several_verdicts(tmp_path: Path) -> None:
    lines = "kind: conjecture\n        expected: [verified, undecided]\n        because: it is open"
    row = read(write(tmp_path, changed("kind: theorem", lines)), check_modules=False).row(
        "first-paper/one-claim"
    )
    assert row.expected == ("verified", "undecided")


def test_all_problems_are_listed_in_the_order_of_lines(tmp_path: Path) -> None:
    text = changed("A title", "1984").replace("kind: lemma", "kind: lema").replace("  second:", "  Second:")
    found = problems(write(tmp_path, text))
    assert [line.split(": ")[0] for line in found] == [":3", ":22", ":26"]


def test_very_many_problems_are_cut_short(tmp_path: Path) -> None:
    found = problems(write(tmp_path, VALID + "".join(f"key{i}: 1\n" for i in range(700))))
    assert len(found) == 501
    assert found[-1] == "... and 200 more"


NOT_YAML = "cannot be read as YAML"
PAPERS = "a mapping from paper slug to paper"
UNREADABLE = {
    "empty": (b"", f":1: papers: is missing; add {PAPERS}"),
    "only a comment": (b"# nothing\n", f":1: papers: is missing; add {PAPERS}"),
    "empty document": (b"---\n...\n", f":1: top level: is empty; write {PAPERS}"),
    "a list": (b"- a\n", f":1: top level: is a list; write {PAPERS}"),
    "a word": (b"word", f":1: top level: is the text 'word'; write {PAPERS}"),
    "no papers": (b"papers:\n", f":1: papers: is empty; write {PAPERS}"),
    "not UTF-8": (b"papers: {}\n# \xff", ":2: not UTF-8; save the file in that encoding"),
    "control character": (
        "# é\npapers: \x01".encode(),
        f":2: {NOT_YAML}: a control character; remove it",
    ),
    "two documents": (
        b"papers: {}\n---\npapers: {}\n",
        f":3: {NOT_YAML}: a second document begins; remove it and its '---'",
    ),
    "complex key": (
        b"papers:\n  ? [a]\n  : b\n",
        f":2: {NOT_YAML}: papers has a key that is no plain word; write a single word",
    ),
    "alias as key": (
        b"papers:\n  &a b: {}\n  *a : {}\n",
        f":3: {NOT_YAML}: papers has a key that is no plain word; write a single word",
    ),
    "deep": (
        b"papers: " + b"[" * 900,
        f":1: {NOT_YAML}: papers" + "[0]" * 11 + " is nested too deeply; unfold it, the map has six levels",
    ),
}


@pytest.mark.parametrize(("raw", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_is_no_map(tmp_path: Path, raw: bytes, message: str) -> None:
    assert problems(write(tmp_path, raw)) == [message]


@pytest.mark.parametrize("raw", [b"papers:\n  a: b: c\n", b"papers:\n\tx: 1", b"papers:\n  'x", b"a:\n]"])
def test_bad_yaml(tmp_path: Path, raw: bytes) -> None:
    (message,) = problems(write(tmp_path, raw))
    assert message.startswith(f":2: {NOT_YAML}: ")
    assert message.endswith("; check quotes, colons and indentation")


def test_very_deep_nesting_is_refused(tmp_path: Path) -> None:
    for raw in (b"[" * 1_000_000, b"- " * 1_000_000, b"{a: " * 500_000, b"? " * 500_000):
        assert len(problems(write(tmp_path, raw))) == 1


def test_a_bomb_of_aliases_is_refused(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}]\n" for i in range(1, 40))
    assert len(problems(write(tmp_path, bomb + "papers: *a39\n"))) == 41


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    huge = b"#" * 5_000_001
    assert problems(write(tmp_path, huge)) == [
        ": larger than 5,000,000 bytes, no paper map; give another by --map PATH"
    ]


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(tmp_path / "none.yaml") == [": no such file; create it or give --map PATH"]
    assert problems(tmp_path) == [": is a folder; name the file in it"]
    path = write(tmp_path, VALID)

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert problems(path) == [": Permission denied; check the path and its permissions"]


def test_messages_name_the_file_as_seen_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "papers:\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError, match=r"^paper_map\.yaml:1: papers: "):
        read(Path("paper_map.yaml"))


def test_a_claim_without_module_and_modules_without_row(tmp_path: Path) -> None:
    modules(tmp_path, "first_paper/two.py", "first_paper/three.py", "second/four.py", "third/world.py")
    assert problems(write(tmp_path, VALID), check_modules=True) == [
        ":1: papers: claims/third/ belongs to no paper; add one or rename it _third",
        f":13: {FIRST}.claims: claims/first_paper/three.py has no row; add one, or rename it _three.py",
        f":14: {ONE}: has no module; write claims/first_paper/one_claim.py or remove the row",
        ":26: papers.second.claims: claims/second/four.py has no row; add one, or rename it _four.py",
    ]


def test_shared_modules_need_no_row(tmp_path: Path) -> None:
    shared = (
        "__init__.py",
        "first_paper/__init__.py",
        "first_paper/world.py",
        "first_paper/_data.py",
        "_lib/x.py",
    )
    modules(
        tmp_path, "first_paper/one_claim.py", "first_paper/two.py", "first_paper/__pycache__/x.py", *shared
    )
    (tmp_path / "claims" / "leftover" / "__pycache__").mkdir(parents=True)
    assert len(read(write(tmp_path, VALID)).ids()) == 2


def test_modules_are_checked_beside_other_problems(tmp_path: Path) -> None:
    modules(tmp_path, "first_paper/one_claim.py")
    found = problems(write(tmp_path, changed("kind: theorem", "kind: theorm")), check_modules=True)
    assert [line.split(": ")[0] for line in found] == [":16", ":20"]


def test_a_deleted_module_is_noticed(valid: PaperMap) -> None:
    valid.module_path("first-paper/two").unlink()
    assert problems(valid.path, check_modules=True) == [
        f":20: {FIRST}.claims.two: has no module; write claims/first_paper/two.py or remove the row"
    ]


def test_find_looks_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "claims" / "first_paper"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    with pytest.raises(SetupError, match=r"no paper_map.yaml in .* or above; .* --map PATH"):
        find()
    path = write(tmp_path, VALID)
    assert find() == path.resolve()
    assert find(tmp_path) == path.resolve()
    near = write(below, VALID)
    assert find() == near.resolve()


def test_find_in_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SetupError, match="change to a readable folder"):
        find()


IDS = ["b-paper/two-words", "b-paper/one", "a-paper/one", "a-paper/three"]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ([], IDS),
        (["a-paper/one"], ["a-paper/one"]),
        (["b-paper"], IDS[:2]),
        (["*/one"], ["b-paper/one", "a-paper/one"]),
        (["a-*"], IDS[2:]),
        (["?-paper"], IDS),
        (["*"], IDS),
        (["a-paper", "b-paper/one", "a-paper/one"], IDS[1:]),
        (["[ab]-paper/t*"], ["b-paper/two-words", "a-paper/three"]),
    ],
)
def test_select(patterns: list[str], chosen: list[str]) -> None:
    assert select(IDS, patterns) == chosen


@pytest.mark.parametrize(
    ("pattern", "mend"),
    [
        ("a-paper/on", "the nearest: a-paper/one"),
        ("a-papr", "the nearest: a-paper"),
        ("two-wrds", "the nearest: b-paper/two-words"),
        ("A-PAPER/ONE!", "'verify list' shows all"),
        ("", "'verify list' shows all"),
        ("[", "'verify list' shows all"),
    ],
)
def test_select_without_a_match(pattern: str, mend: str) -> None:
    with pytest.raises(SetupError) as caught:
        select(IDS, ["a-paper", pattern])
    assert str(caught.value).startswith(f"no claim matches '{pattern}'; {mend}")


def test_every_unmatched_pattern_is_named() -> None:
    with pytest.raises(SetupError, match=r"'x'.*\n.*'y'"):
        select(IDS, ["x", "*", "y"])
    with pytest.raises(SetupError, match="'verify list' shows all"):
        select([], ["a"])
    assert select([], []) == []


@given(
    ids=st.lists(st.sampled_from(IDS), unique=True),
    patterns=st.lists(st.text(alphabet="ab-/one*?[]!", max_size=8), max_size=3),
)
def test_select_keeps_the_order_or_complains(ids: list[str], patterns: list[str]) -> None:
    try:
        chosen = select(ids, patterns)
    except SetupError:
        return
    assert chosen == [i for i in ids if i in set(chosen)]
    assert patterns or chosen == ids


def read_or_complain(path: Path, raw: bytes) -> None:
    """Whatever the bytes are: a map, or lines that each begin with the file's name."""
    path.write_bytes(raw)
    message = ""
    try:
        assert isinstance(read(path, check_modules=False), PaperMap)
    except SetupError as error:
        message = str(error)
    assert all(line.startswith(f"{path}:") and line.isprintable() for line in message.split("\n") if message)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("maps") / "paper_map.yaml"


often = settings(max_examples=200, deadline=None)
TOKENS = [
    "papers",
    ": ",
    "\n  ",
    "\n",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!x ",
    "? ",
    "'",
    '"',
    "#",
    "|",
    "1.5",
]


@often
@given(raw=st.binary(max_size=200))
def test_random_bytes(scratch: Path, raw: bytes) -> None:
    read_or_complain(scratch, raw)


@often
@given(text=st.one_of(st.text(max_size=100), st.lists(st.sampled_from(TOKENS), max_size=40).map("".join)))
def test_random_text(scratch: Path, text: str) -> None:
    read_or_complain(scratch, text.encode(errors="surrogatepass"))


@often
@given(start=st.integers(0, len(VALID)), length=st.integers(0, 60), new=st.sampled_from(["", "\n", *TOKENS]))
def test_a_damaged_map(scratch: Path, start: int, length: int, new: str) -> None:
    read_or_complain(scratch, (VALID[:start] + new + VALID[start + length :]).encode())


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
names = st.sampled_from(["papers", "a-b", "A b", *paper_map.Paper.model_fields, *ClaimRow.model_fields])
trees = st.recursive(
    leaves, lambda t: st.lists(t, max_size=3) | st.dictionaries(names, t, max_size=5), max_leaves=20
)


@often
@given(tree=trees)
def test_random_trees(scratch: Path, tree: object) -> None:
    read_or_complain(scratch, yaml.safe_dump({"papers": {"x": tree, "y": {"claims": {"z": tree}}}}).encode())


def test_the_import_is_light() -> None:
    heavy = "{'jax', 'numpy', 'scipy', 'cvxpy', 'sympy', 'matplotlib', 'typer'}"
    code = f"import sys, verify.paper_map; sys.exit(str({heavy} & set(sys.modules) or ''))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stderr.strip() == ""


def test_a_map_that_is_not_there_is_not_replaced_by_another(project):
    import verify

    root = project({"one": toys.VERIFIED})
    with pytest.raises(SetupError, match="no such file"):
        verify.load(root / "missing.yaml")
    assert list(verify.load(root).claims) == ["toy-paper/one"]
