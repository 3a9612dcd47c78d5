"""The README's claim runs as it stands there."""

import textwrap
from pathlib import Path

import verify

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(first_line: str) -> str:
    """The indented block that starts with a line, up to the next line that is not indented."""
    lines = README[README.index("    " + first_line) :].splitlines()
    end = next(i for i, line in enumerate(lines) if line and not line.startswith("    "))
    return textwrap.dedent("\n".join(lines[:end])).strip() + "\n"


def test_a_claim_of_your_own(tmp_path):
    (tmp_path / "paper_map.yaml").write_text(block("papers:"))
    folder = tmp_path / "claims" / "odd_numbers"
    folder.mkdir(parents=True)
    (folder / "squares.py").write_text(block('r"""The first n odd numbers'))
    evidence = verify.evaluate(verify.load(tmp_path).claims["odd-numbers/squares"])
    assert evidence.verdict == "verified"
    assert evidence.grade == "exact"


def test_the_library_call():
    verify.load(ROOT).claims["signgd-adam-margin/proxy-lemmas"]  # other tests have claims of other projects
    from claims.signgd_adam_margin.world import max_margin

    gamma = max_margin([[2.0], [-1.0]], [0, 1], "frobenius")
    assert gamma.lower <= 2**0.5 <= gamma.upper
    assert gamma.grade == "rigorous"
