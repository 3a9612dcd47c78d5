"""The report: what it shows of a suite whose claims came out in every way, and what it never shows."""

import itertools
import re
from html.parser import HTMLParser

import pytest

import verify
from verify import notation, report, statement, svg
from verify.catalogue import CURRENT, NOT_RUN, STALE, Known

STATEMENT = r'''
r"""The gap stays below $\gamma_t$, and a & b < c.

$$0 \le \gamma - \frac{m(W_t)}{\|W_t\|}$$

A broken formula, $\frac{a$, and `code < code`.
---
How it is checked is no part of the statement.
"""
'''
TITLES = {
    "good": "A claim that holds",
    "bad": "A claim that does not <script>alert(1)</script>",
    "known": "A known erratum",
    "crashed": "A claim whose code raises",
    "old": "A claim that was evaluated before its code changed",
    "new": "A claim that nobody has run",
}
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements of a page; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


def interval(lower, upper=None, because="rounding of 3 operations in float64"):
    return {
        "lower": lower,
        "upper": lower if upper is None else upper,
        "grade": "numerical",
        "because": because,
    }


def check(outcome="holds", low=0.5, **more):
    sides = {"measured": interval(low, low + 0.1), "bound": interval(0.8)}
    return {
        "name": "gap", "relation": "<=", **sides, "within": {"value": 0.0, "because": "exact"},
        "outcome": outcome, "points": 1, "at": {}, "tightness": 0.7, "cases": [], **more,
    }  # fmt: skip


def known(state, verdict, expected="verified", **more):
    """Evidence by hand, as the catalogue gives it."""
    control = check("fails", 0.9) | {
        "name": "rate too fast", "must_fail": "gap", "rejected": True, "outcomes": [],
        "changes": {"bound": "<lambda>", "steps": 10},
    }  # fmt: skip
    each = {"outcome": "holds", "measured": interval(0.5), "bound": interval(None), "within": {"value": 1e-9}}
    cases = [{**each, "case": {"norm": norm}, "at": {}, "tightness": None} for norm in ("max", "<b>")]
    entry = {
        "id": "a/b", "seed": 0, "size": "quick", "parameters": {"steps": 2000, "rate": 1e-7},
        "verdict": verdict, "expected": expected, "ok": verdict == expected,
        "grade": "numerical", "reason": "check gap <fails>",
        "assumptions": [check() | {"name": "separable"}], "checks": [check(cases=cases)],
        "controls": [control], "ablations": [], "error": None, "error_kind": None,
        "power": {"gamma": {"up": 0.017, "down": None}},
        "seconds": 1.25, "statistical_intervals": 3, "versions": {"numpy": "2.4"}, "started": "2025-01-01",
        "key": "abc123", "stated": 0, **more,
    }  # fmt: skip
    return Known(state, entry, entry)


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    folder = root / "claims" / "first_paper"
    folder.mkdir(parents=True)
    rows = ""
    for slug, title in TITLES.items():
        (folder / f"{slug}.py").write_text(STATEMENT.lstrip())
        expected = "\n        expected: refuted\n        because: a sign error" if slug == "known" else ""
        expected += "\n        differs: the opposite" if slug == "good" else ""
        rows += f"""
      {slug}:
        title: "{title}"
        kind: {"finding" if slug == "good" else "theorem"}
        source: Theorem 1
        known: exact
        priority: core{expected}"""
    paper = """
    authors: [Ada <Lovelace>]
    year: 2024
    arxiv: "2401.0000{}"
    summary: What it says of $\\gamma$.
    assumptions: {{separable: A1 <i>holds</i>}}
    not_checkable: [{{what: the experiment, because: it needs data}}]"""
    (root / "paper_map.yaml").write_text(
        f"papers:\n  first-paper:\n    title: The first & best paper{paper.format(1)}\n    claims:{rows}\n"
        f"  second-paper:\n    title: The second paper{paper.format(2)}\n"
    )
    figure = root / "figures" / "first-paper" / "good.svg"
    figure.parent.mkdir(parents=True)
    figure.write_text(HOSTILE)
    (figure.parent / "bad.svg").write_text(HOSTILE)
    (figure.parent / "known.svg").write_text("<svg")
    return verify.load(root)


HOSTILE = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="72pt" height="36pt"
  viewBox="0 0 72 36" onload="alert(1)">
 <defs><style>*{color: red}</style><clipPath id="c"><rect width="9" height="9"/></clipPath>
  <path id="m" d="M 0 0"/></defs>
 <script>alert(1)</script>
 <foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>
 <a xlink:href="https://example.org"><path d="M 1 1"/></a>
 <image xlink:href="https://example.org/x.png"/>
 <g id="unused" clip-path="url(#c)"><use xlink:href="#m" onclick="alert(1)"/></g>
</svg>"""


@pytest.fixture(scope="module")
def pages(suite):
    found = {
        "first-paper/good": known(CURRENT, "verified"),
        "first-paper/bad": known(CURRENT, "refuted"),
        "first-paper/known": known(CURRENT, "refuted", "refuted"),
        "first-paper/crashed": known(
            CURRENT, "error", error="claim.py:3 in gap: x\nValueError: <oops>", checks=[], controls=[],
            power={}, assumptions=[], grade=None,
        ),
        "first-paper/old": known(STALE, "verified"),
    }  # fmt: skip
    return report.Pages(suite, found)


@pytest.fixture(scope="module")
def index(pages):
    return Page(pages.index())


@pytest.fixture(scope="module")
def texts(pages):
    """{page: HTML}; the index is "index"."""
    return {"index": pages.index(), **{slug: pages.claim(f"first-paper/{slug}") for slug in TITLES}}


@pytest.fixture(scope="module")
def each(texts):
    return {name: Page(text) for name, text in texts.items()}


def rows(index):
    return {a["id"]: a for a in index.all("li") if "data-verdict" in a}


def test_the_index_leads_to_every_claim_and_back(index, each):
    assert set(rows(index)) == {f"first-paper/{slug}" for slug in TITLES}
    links = {attributes.get("href") for attributes in index.all("a")}
    assert {f"first-paper/{slug}.html" for slug in TITLES} <= links
    slugs = list(TITLES)
    for slug, page in each.items():
        assert page.all("html") == [{"lang": "en"}]
        if slug != "index":
            links = {attributes.get("rel"): attributes["href"] for attributes in page.all("a")}
            assert "../index.html#first-paper" in {attributes["href"] for attributes in page.all("a")}
            after = slugs[slugs.index(slug) + 1 :][:1]
            assert links.get("next") == (f"../first-paper/{after[0]}.html" if after else None)


def test_headings_come_in_order_and_ids_once(each):
    for page in each.values():
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))


def test_nothing_is_loaded(texts, each):
    for name, page in each.items():
        for tag, attributes in page.elements:
            for attribute in ("src", "href", "xlink:href", "action", "data", "srcset"):
                value = attributes.get(attribute) or ""
                assert not re.match(r"(https?:)?//", value) or tag == "a", (tag, value)
        outside = {a["href"] for a in page.all("a") if a["href"].startswith("http")}
        assert outside <= {"https://arxiv.org/abs/2401.00001", "https://arxiv.org/abs/2401.00002"}
        assert "@import" not in texts[name]
        assert "url(http" not in texts[name]


def test_text_is_escaped_and_figures_do_not_run(texts, each):
    assert [len(page.all("script")) for page in each.values()] == [1] + [0] * len(TITLES)
    for name, page in each.items():
        assert "<script>alert" not in texts[name]
        assert "color: red" not in texts[name]
        assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
        assert not any(
            tag in ("b", "i", "foreignobject", "image") and attributes for tag, attributes in page.elements
        )
    assert "alert(1)</script>" in each["index"].text
    assert "alert(1)</script>" in each["bad"].text
    assert "<oops>" in each["crashed"].text
    assert "Ada <Lovelace>" in each["good"].text


def test_figures_stand_on_their_page_only(each):
    assert {name: len(page.all("clippath")) for name, page in each.items() if page.all("clippath")} == {
        "good": 1, "bad": 1,
    }  # fmt: skip
    (clip,) = (attributes["id"] for attributes in each["good"].all("clippath"))
    assert f"url(#{clip})" in {g.get("clip-path") for g in each["good"].all("g")}
    assert not any((a.get("id") or "").endswith("unused") for _, a in each["good"].elements)


def test_verdicts(index, each):
    shown = {name.partition("/")[2]: a["data-verdict"] for name, a in rows(index).items()}
    assert shown == {
        "good": "verified", "bad": "refuted", "known": "refuted", "crashed": "error", "old": STALE,
        "new": NOT_RUN,
    }  # fmt: skip
    assert shown == {slug: each[slug].all("article")[0]["data-verdict"] for slug in TITLES}
    unexpected = {name.partition("/")[2] for name, a in rows(index).items() if a["data-unexpected"] == "yes"}
    assert unexpected == {"bad", "crashed"}


def test_what_is_not_verified_is_not_counted_as_such(index):
    assert "1 of 2 papers have claims" in index.text
    assert "0 of 2 papers have every claim verified" in index.text
    assert "1 of 6 claims are verified" in index.text
    assert "2 verdicts are unexpected" in index.text
    assert "No claims yet: 1 of 2 papers The second paper no claims yet" in index.text
    assert "No claim of this paper is checked yet." in index.text
    assert "verified" not in index.text[index.text.rindex("The second paper") :].partition("seed 0")[0]


def test_findings_stand_together(index):
    text = index.text.partition("Findings")[2]
    assert "A claim that holds" in text.partition("The first & best paper")[0]
    assert "The paper says: the opposite" in text


def test_it_says_what_the_evidence_is(each):
    text = " ".join(page.text for page in each.values())
    for words in (
        "[0.50, 0.60]", "numerical: rounding of 3 operations in float64", "must fail gap",
        "↑ 1.7 % ↓ unnoticed",
        "bound → altered, steps → 10", "norm <b>", "abc123", "numpy 2.4", "Seed 0, size quick, 1.25 s",
        "steps 2000, rate 1·10⁻⁷", "Expected to be refuted because a sign error", "read in the paper",
        "(it says verified)", "ValueError: <oops>", "Check gap <fails>.",
    ):  # fmt: skip
        assert words in text, words


def test_a_line_shows_the_tightest_check_with_its_controls_and_power(pages):
    line = pages.index().partition('id="first-paper/good"')[2].partition("</li>")[0]
    assert 'class="measured"' in line
    assert line.count('class="control"') == 1
    assert "measured/bound 0.7" in line
    assert "power 1.7 %↑" in line


def test_statements_have_their_mathematics(texts, each):
    assert {attributes["display"] for attributes in each["good"].all("math")} == {"inline", "block"}
    assert '<code class="latex">\\frac{a</code>' in texts["good"]
    assert "How it is checked" not in each["good"].text


def test_pages_depend_on_their_input_only(suite, texts):
    one, two = (report.Pages(suite, {"first-paper/good": known(CURRENT, "verified")}) for _ in range(2))
    assert one.index() == two.index() != texts["index"]
    assert one.claim("first-paper/good") == two.claim("first-paper/good")


def test_it_is_written_beside_the_map_and_old_pages_go(suite):
    old = suite.root / "report" / "first-paper" / "gone.html"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.touch()
    path = report.write(suite)
    assert path == suite.root / "report" / "index.html"
    assert {a["data-verdict"] for a in rows(Page(path.read_text(encoding="utf-8"))).values()} == {NOT_RUN}
    assert {page.stem for page in old.parent.iterdir()} == set(TITLES)


# --- statements ---------------------------------------------------------------------------------------------


def test_a_statement_is_read_without_importing(tmp_path):
    path = tmp_path / "claim.py"
    path.write_text('"""One.\n\nTwo.\n---\nThree."""\nraise SystemExit\n')
    assert statement.statement(path) == "One.\n\nTwo."
    path.write_text("x = 1\n")
    assert statement.statement(path) == ""
    path.write_text("def\n")
    assert statement.statement(path) == ""
    assert statement.statement(tmp_path / "none.py") == ""


@pytest.mark.parametrize(
    "latex", [r"\frac{a", "a_{ij", "}{", "x^", r"\nonsense{x}", r"\left( x", "{" * 5000 + "}" * 5000]
)
def test_a_broken_formula_is_shown_as_its_source(latex):
    assert statement.to_mathml(latex).startswith('<code class="latex">')


@pytest.mark.parametrize(
    ("latex", "part"),
    [
        (r"\Big\| x \Big\|", "‖"),
        (r"\boldsymbol{\theta}", "𝜽"),
        (r"\mathbf{x}", "𝐱"),
        (r"\text{<script> if } x", "&lt;script&gt;"),
        (r"\href{javascript:alert(1)}{x}", "<mi>x</mi>"),
        (r"\style{color:red}{x}", "<mi>x</mi>"),
    ],
)
def test_formulas_are_mathml_and_nothing_else(latex, part):
    formula = statement.to_mathml(latex)
    assert formula.startswith("<math")
    assert part in formula
    assert not re.search("href|style=|class=|<script", formula)


def test_spaces_and_limits_as_they_are_set():
    assert "<munder><mo>max</mo>" in statement.to_mathml(r"\max_{i} x", display=True)
    assert "<msub><mo>max</mo>" in statement.to_mathml(r"\max_{i} x")
    assert 'rspace="0.167em">log</mo>' in statement.to_mathml(r"a + \log n")
    assert "<mi>log</mi>" in statement.to_mathml(r"\log(n)")


def test_prose():
    assert statement.inline_html(r"a < b costs \$5, $x$, and `y`") == (
        f'a &lt; b costs $5, <span class="formula">{statement.to_mathml("x")},</span> and <code>y</code>'
    )
    assert statement.inline_html("between $5 and $6") == "between $5 and $6"
    assert statement.to_html("- one\n- two\n  lines") == "<ul><li>one</li><li>two\n  lines</li></ul>"


# --- numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lower", "upper", "text"),
    [
        (0.5, 0.5, "0.5"),
        (1.234, 1.24, "[1.2340, 1.2400]"),
        (-0.5, 0.5, "[−0.5, 0.5]"),
        (None, 3.2, "(−∞, 3.2]"),
        (1.0, None, "[1, ∞)"),
        (None, None, "(−∞, ∞)"),
        (1e-9, 5.0, "[1·10⁻⁹, 5]"),
        (1e-200, 3e-200, "[1.0, 3.0]·10⁻²⁰⁰"),
        (15.41896123456789, 15.41896123456829, "15.418961… ± 2·10⁻¹³"),
        (123456.0, 123457.0, "123456.5 ± 0.5"),
    ],
)
def test_intervals_in_words(lower, upper, text):
    assert notation.interval({"lower": lower, "upper": upper}) == text


def test_exact_numbers_in_words():
    assert notation.interval({"lower": 1 / 3, "upper": 1 / 3, "exact": "1/3"}) == "1/3"
    assert notation.number(-2.5e-200) == "−2.5·10⁻²⁰⁰"
    assert notation.percent(0.0283) == "2.83 %"


# --- pictures of checks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ends",
    [
        (0.0, 0.0, 0.0, 0.0),
        (None, None, None, None),
        (1e300, None, -1e300, 1e308),
        (5e-324, 1e-323, 0.0, 0.0),
    ],
)
def test_an_interval_plot_stays_inside(ends):
    sides = {"measured": interval(ends[0], ends[1]), "bound": interval(ends[2], ends[3])}
    sides["measured"]["upper"], sides["bound"]["upper"] = ends[1], ends[3]
    for relation, within in (("<=", 0.0), ("=", 1e-6), ("<=", None)):
        picture = report.interval_plot(
            check(relation=relation, within={"value": within, "because": ""}, **sides)
        )
        places = [float(x) for x in re.findall(r' x="([-.\de]+)"', picture)]
        assert all(-3 <= x <= 226 for x in places)
        assert "nan" not in picture


def test_no_svg_is_a_value_error():
    with pytest.raises(ValueError, match="no SVG"):
        svg.for_page("<svg", "f0-", "label")


def test_package_holds_the_template():
    from pathlib import Path

    assert (Path(report.__file__).parent / "templates" / "index.html.j2").is_file()
