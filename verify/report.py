"""The report: one self-contained page, drawn from stored evidence and figures; nothing is computed again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from verify import __version__, notation, svg
from verify.catalogue import CURRENT, KNOWN, NOT_RUN, STALE, Catalogue, Known
from verify.explain import SYMBOLS
from verify.figures import path_of, replace_file
from verify.interval import GRADES
from verify.relation import UNDECIDED
from verify.statement import inline_html, statement, to_html
from verify.suite import Suite
from verify.verdict import ERROR, INVALID, REFUTED, VACUOUS, VERIFIED

if TYPE_CHECKING:
    from verify.paper_map import ClaimRow, Paper

MEANING = {
    VERIFIED: "every check holds and every control is rejected",
    REFUTED: "a check fails",
    UNDECIDED: "the intervals are too wide to say",
    VACUOUS: "a control passes, or a check has no control: the evidence could not have said no",
    INVALID: "an assumption fails, or a certificate does not stand up",
    ERROR: "the claim's code did not come to an end",
    STALE: "code or data changed since the evaluation",
    NOT_RUN: "there is no evidence yet",
}


def write(suite: Suite) -> Path:
    """Writes report/index.html beside the map and returns its path."""
    path = suite.root / "report" / "index.html"
    replace_file(path, page(suite, evidence_of(suite)))
    return path


def evidence_of(suite: Suite) -> dict[str, Known]:
    """What the store holds for each claim, for seed 0 and size quick."""
    catalogue = Catalogue(suite)
    return {claim_id: catalogue.known(claim_id) for claim_id in suite.map.ids()}


def page(suite: Suite, found: Mapping[str, Known]) -> str:
    """The page for a suite, given the evidence of its claims (a claim that is not there has not been run)."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "number": notation.number, "percent": notation.percent, "interval": notation.interval,
        "prose": lambda text: Markup(inline_html(text)), "plot": interval_plot, "value": _value,
    }  # fmt: skip
    numbers = count()
    papers = [_paper(suite, slug, paper, found, numbers) for slug, paper in suite.map.papers.items()]
    template = environment.get_template("report.html.j2")
    return template.render(
        papers=papers,
        coverage=_coverage(papers),
        symbols=SYMBOLS,
        meaning=MEANING,
        known=KNOWN,
        version=__version__,
    )


# --- what the template is given -----------------------------------------------------------------------------


def _paper(
    suite: Suite, slug: str, paper: Paper, found: Mapping[str, Known], numbers: Iterator[int]
) -> dict[str, Any]:
    claims = [
        _claim(
            suite, f"{slug}/{name}", row, found.get(f"{slug}/{name}", Known(NOT_RUN)), f"f{next(numbers)}-"
        )
        for name, row in paper.claims.items()
    ]
    shown = Counter(claim["shown"] for claim in claims)
    return {
        "slug": slug, "paper": paper, "claims": claims,
        "counts": [(word, shown[word]) for word in SYMBOLS if shown[word]],
        "is_verified": bool(claims) and set(shown) == {VERIFIED},
        "unexpected": sum(claim["is_unexpected"] for claim in claims),
    }  # fmt: skip


def _claim(suite: Suite, claim_id: str, row: ClaimRow, known: Known, prefix: str) -> dict[str, Any]:
    """One claim: what the map and the module say, and what its evidence says."""
    entry = known.entry if known.state == CURRENT else None
    return {
        "id": claim_id, "row": row, "state": known.state, "data": known.data, "evidence": known.entry,
        "statement": Markup(to_html(statement(suite.map.module_path(claim_id)))),
        "shown": entry["verdict"] if entry else known.state, "grade": entry["grade"] if entry else None,
        "is_unexpected": bool(entry and not entry["ok"]),
        "figure": _figure(suite, claim_id, row.title, prefix),
    }  # fmt: skip


def _figure(suite: Suite, claim_id: str, title: str, prefix: str) -> Markup | None:
    try:
        drawing = path_of(suite.root, claim_id).read_text(encoding="utf-8")
        return Markup(svg.for_page(drawing, prefix, f"Figure: {title}"))
    except (OSError, ValueError):
        return None


def _coverage(papers: list[dict[str, Any]]) -> dict[str, Any]:
    """The numbers at the top. A paper without claims counts as nothing but that."""
    shown = Counter(claim["shown"] for paper in papers for claim in paper["claims"])
    grades = {claim["grade"] for paper in papers for claim in paper["claims"]}
    return {
        "papers": len(papers), "with_claims": sum(bool(paper["claims"]) for paper in papers),
        "verified": sum(paper["is_verified"] for paper in papers), "claims": sum(shown.values()),
        "shown": [(word, shown[word]) for word in SYMBOLS if shown[word]],
        "verified_claims": shown[VERIFIED], "unexpected": sum(paper["unexpected"] for paper in papers),
        "grades": [grade for grade in reversed(GRADES) if grade in grades],
    }  # fmt: skip


def _value(value: Any) -> str:
    """A parameter, coordinate or replacement in words; functions are stored by their names."""
    if value is None:
        return "none"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return notation.number(value)
    if isinstance(value, list):
        return f"({', '.join(map(_value, value))})"
    name = str(value).rpartition("<locals>.")[2]
    return "altered" if name == "<lambda>" else name


# --- a check as a picture -----------------------------------------------------------------------------------


def interval_plot(check: Mapping[str, Any]) -> Markup:
    """Both sides of a check on one axis, and where the measured side has to lie for it to hold."""
    measured, bound = (_span(check[side]) for side in ("measured", "bound"))
    within = check["within"]["value"] if "within" in check else 0.0
    within = math.inf if within is None else within
    allowed = (bound[1] - within if check["relation"] == "=" else -math.inf, bound[0] + within)
    x = _axis([*measured, *bound, bound[0] + within, bound[1] - within])
    parts = []
    if allowed[0] <= allowed[1]:
        parts.append(_bar("allowed", x(allowed[0]), x(allowed[1]), 2, 40))
    parts.append(_bar("measured", x(measured[0]), x(measured[1]), 7, 8))
    parts.append(_bar("bound", x(bound[0]), x(bound[1]), 27, 10))
    words = '<text x="0" y="15">measured</text><text x="0" y="36">bound</text>'
    track = f'<path d="M{_LEFT} 11H{_RIGHT}M{_LEFT} 32H{_RIGHT}"/>'
    return Markup(
        f'<svg class="plot" viewBox="0 0 224 44" aria-hidden="true">{words}{track}{"".join(parts)}</svg>'
    )


_LEFT, _RIGHT = 62, 222


def _span(value: Mapping[str, Any]) -> tuple[float, float]:
    lower, upper = value["lower"], value["upper"]
    return (-math.inf if lower is None else lower, math.inf if upper is None else upper)


def _axis(marks: list[float]) -> Callable[[float], float]:
    """A map from values to places, all finite marks inside; unbounded ends go to the edges."""
    finite = [mark for mark in marks if math.isfinite(mark)] or [0.0]
    unit = max(map(abs, finite)) or 1.0
    low, high = min(finite) / unit, max(finite) / unit
    margin = 0.15 * (high - low) or 1.0
    scale = (_RIGHT - _LEFT) / (high - low + 2 * margin)

    def place(value: float) -> float:
        x = (
            _LEFT + scale * (max(min(value / unit, 2.0), -2.0) - low + margin)
            if math.isfinite(value)
            else value
        )
        return min(max(x, _LEFT), _RIGHT)

    return place


def _bar(name: str, left: float, right: float, top: float, height: float) -> str:
    """A bar that can be seen, however narrow the interval."""
    middle, width = (left + right) / 2, max(right - left, 3.0)
    x = f'x="{middle - width / 2:.1f}" width="{width:.1f}"'
    return f'<rect class="{name}" {x} y="{top}" height="{height}" rx="1.5"/>'
