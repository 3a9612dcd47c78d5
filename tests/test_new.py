"""`verify new`: what it writes runs as it stands, at any place of any map, and nothing is overwritten."""

import pytest
import yaml

import verify
from tests.test_cli import command
from verify import paper_map
from verify.errors import SetupError
from verify.new import extended, new

MAP = """\
# a comment at the top
papers:
    first-paper:   # four columns here
        title: >-
            A title that goes on
            over two lines
        authors: [A. Author]
        year: 2026
        summary: What it says.
        claims:
            one:
                title: One
                kind: lemma
                source: Lemma 1
                known: exact
                priority: core

            # the last comment of the first paper

    second-paper:
        claims: {}
        title: Another
        authors:
        - B. Author
        year: 2026
        summary: >-
            What it says,
            in a folded paragraph.


# a comment at the end
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_claim_is_verified_and_its_world_can_be_broken(folder):
    new("my-paper/main-theorem")
    claim = verify.load().claims["my-paper/main-theorem"]
    for seed in range(5):
        evidence = verify.evaluate(claim, seed=seed)
        assert evidence.verdict == "verified", evidence.data["reason"]
        assert all(control["rejected"] for control in evidence.data["controls"])
        assert evidence.data["power"]["rate"]["down"] < 1e-3
    assert verify.evaluate(claim.replace(rate=lambda rate: rate * rate)).verdict == "refuted"
    assert verify.evaluate(claim, size="full").verdict == "verified"


def test_command_says_what_is_next_and_the_next_works(folder):
    done = command(folder, "new", "my-paper/main-theorem")
    assert (done.code, done.err) == (0, "")
    assert "wrote paper_map.yaml" in done.out
    assert "verify run my-paper/main-theorem" in done.out
    run = command(folder, "run")
    assert run.code == 0
    assert "1 of 1 claim as expected" in run.out
    assert command(folder, "figures").code == 0
    assert command(folder, "list").out.count("arXiv") == 0
    assert command(folder, "report").code == 0


def test_nothing_is_written_twice(folder):
    new("my-paper/first")
    (folder / "claims/my_paper/first.py").write_text("mine")
    before = (folder / "paper_map.yaml").read_text()
    assert [step.did for step in new("my-paper/first")] == ["kept", "kept"]
    assert (folder / "claims/my_paper/first.py").read_text() == "mine"
    assert (folder / "paper_map.yaml").read_text() == before


def test_the_nearest_map_is_extended(folder, monkeypatch):
    new("my-paper/first")
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    new("my-paper/second")
    assert paper_map.read(folder / "paper_map.yaml").ids() == ["my-paper/first", "my-paper/second"]
    assert not (folder / "below" / "claims").exists()


@pytest.mark.parametrize("claim_id", ["first-paper/two", "second-paper/two", "third-paper/two"])
def test_a_row_is_added_and_every_other_line_stays(tmp_path, claim_id):
    paper, claim = claim_id.split("/")
    text = extended(MAP, tmp_path / "paper_map.yaml", paper, claim)
    left = [line for line in text.splitlines() if line.strip()]
    for line in MAP.replace("claims: {}", "claims:").splitlines():
        if line.strip() and not (line.endswith("claims:") and "{}" in MAP):
            assert line in left
    before, after = (yaml.safe_load(each)["papers"] for each in (MAP, text))
    assert claim in after[paper]["claims"]
    del after[paper]["claims"][claim]
    if paper not in before:
        del after[paper]
    assert after == before


def test_a_paper_without_claims_gets_them(tmp_path):
    text = MAP.replace("        claims: {}\n", "")
    after = yaml.safe_load(extended(text, tmp_path / "paper_map.yaml", "second-paper", "two"))
    assert list(after["papers"]["second-paper"]["claims"]) == ["two"]


def test_a_layout_that_is_not_understood_is_left_alone(tmp_path):
    text = MAP.replace(
        "claims: {}", "claims: {a: {title: A, kind: lemma, source: B, known: exact, priority: core}}"
    )
    with pytest.raises(SetupError, match="by hand"):
        extended(text, tmp_path / "paper_map.yaml", "second-paper", "two")


@pytest.mark.parametrize(
    "claim_id", ["paper", "a/b/c", "Paper/claim", "paper/class", "../x/y", "paper/", "a/wörld"]
)
def test_ids_that_are_none(folder, claim_id):
    with pytest.raises(SetupError):
        new(claim_id)
    assert list(folder.iterdir()) == []


def test_a_broken_map_is_reported_and_left_alone(folder):
    (folder / "paper_map.yaml").write_text("papers: {a: 1}\n")
    with pytest.raises(SetupError, match=r"paper_map\.yaml:1"):
        new("my-paper/first")
    assert not (folder / "claims").exists()
