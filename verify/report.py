"""The report: an index and a page a claim, each self-contained, from stored evidence; nothing is computed again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from verify import __version__, explain, notation, svg
from verify.catalogue import CURRENT, KNOWN, NOT_RUN, STALE, Catalogue, Known
from verify.explain import SYMBOLS
from verify.figures import path_of
from verify.files import replace_file
from verify.interval import GRADES
from verify.relation import HOLDS, UNDECIDED
from verify.statement import inline_html, statement, to_html
from verify.suite import Suite
from verify.verdict import ERROR, INVALID, REFUTED, VACUOUS, VERIFIED

if TYPE_CHECKING:
    from jinja2 import Environment

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
    """Writes report/index.html and a page for each claim beside the map; returns the path of the index."""
    folder, pages = suite.root / "report", Pages(suite, evidence_of(suite))
    for claim_id in pages.claims:
        replace_file(folder / _href(claim_id), pages.claim(claim_id))
    for page in folder.glob("*/*.html"):
        if page.relative_to(folder).with_suffix("").as_posix() not in pages.claims:
            page.unlink()  # of a claim that is no more
    replace_file(folder / "index.html", pages.index())
    return folder / "index.html"


def evidence_of(suite: Suite) -> dict[str, Known]:
    """What the store holds for each claim, for seed 0 and size quick."""
    catalogue = Catalogue(suite)
    return {claim_id: catalogue.known(claim_id) for claim_id in suite.map.ids()}


class Pages:
    """The pages of a suite, given the evidence of its claims (one that is not there has not been run)."""

    def __init__(self, suite: Suite, found: Mapping[str, Known]) -> None:
        self.suite = suite
        self.papers = [_paper(suite, slug, paper, found) for slug, paper in suite.map.papers.items()]
        self.claims = {claim["id"]: claim for paper in self.papers for claim in paper["claims"]}
        self._environment = _environment()

    def index(self) -> str:
        """Coverage, findings, and every claim in a line."""
        findings = [claim for claim in self.claims.values() if claim["row"].kind == "finding"]
        return self._render(
            "index.html.j2", papers=self.papers, coverage=_coverage(self.papers), findings=findings
        )

    def claim(self, claim_id: str) -> str:
        """All there is on one claim, figure included."""
        claim, slug = self.claims[claim_id], claim_id.partition("/")[0]
        ids = list(self.claims)
        place = ids.index(claim_id)
        return self._render(
            "claim.html.j2",
            claim=claim,
            slug=slug,
            paper=self.suite.map.papers[slug],
            figure=_figure(self.suite, claim_id, claim["row"].title),
            statement=Markup(to_html(statement(self.suite.map.module_path(claim_id)))),
            before=_link(self.claims[ids[place - 1]]) if place else None,
            after=_link(self.claims[ids[place + 1]]) if place + 1 < len(ids) else None,
        )

    def _render(self, template: str, **given: Any) -> str:
        common = {"symbols": SYMBOLS, "meaning": MEANING, "known": KNOWN, "version": __version__}
        return self._environment.get_template(template).render(**common, **given)


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "number": notation.number, "percent": notation.percent, "interval": notation.interval,
        "prose": lambda text: Markup(inline_html(text)), "words": explain.plain_text, "plot": interval_plot,
        "value": _value,
    }  # fmt: skip
    return environment


# --- what the template is given -----------------------------------------------------------------------------


def _paper(suite: Suite, slug: str, paper: Paper, found: Mapping[str, Known]) -> dict[str, Any]:
    claims = [
        _claim(f"{slug}/{name}", row, found.get(f"{slug}/{name}", Known(NOT_RUN)))
        for name, row in paper.claims.items()
    ]
    shown = Counter(claim["shown"] for claim in claims)
    return {
        "slug": slug, "paper": paper, "claims": claims,
        "counts": [(word, shown[word]) for word in SYMBOLS if shown[word]],
        "is_verified": bool(claims) and set(shown) == {VERIFIED},
        "unexpected": sum(claim["is_unexpected"] for claim in claims),
    }  # fmt: skip


def _claim(claim_id: str, row: ClaimRow, known: Known) -> dict[str, Any]:
    """One claim: what the map says of it, and what its evidence says."""
    entry = known.entry if known.state == CURRENT else None
    tightest = _tightest(known.entry)
    controls = known.entry["controls"] if known.entry else []
    return {
        "id": claim_id, "href": _href(claim_id), "row": row, "state": known.state, "data": known.data,
        "evidence": known.entry, "shown": entry["verdict"] if entry else known.state,
        "grade": entry["grade"] if entry else None, "is_unexpected": bool(entry and not entry["ok"]),
        "power": explain.weakest_power(known.entry["power"]) if known.entry else None, "tightest": tightest,
        "rivals": [one for one in controls if tightest and one["must_fail"] == tightest["name"]],
    }  # fmt: skip


def _tightest(entry: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The check that a line on a claim shows: one that does not hold, else the tightest, else the first."""
    checks: list[dict[str, Any]] = entry["checks"] if entry else []
    bad = [check for check in checks if check["outcome"] != HOLDS]
    return max(bad or checks, key=lambda check: check["tightness"] or 0.0, default=None)


def _href(claim_id: str) -> str:
    return f"{claim_id}.html"


def _link(claim: Mapping[str, Any]) -> dict[str, str]:
    """To another claim, from a claim's page."""
    return {"href": f"../{claim['href']}", "title": claim["row"].title}


def _figure(suite: Suite, claim_id: str, title: str) -> Markup | None:
    try:
        drawing = path_of(suite.root, claim_id).read_text(encoding="utf-8")
        return Markup(svg.for_page(drawing, "f-", f"Figure: {title}"))
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


def interval_plot(check: Mapping[str, Any], controls: Sequence[Mapping[str, Any]] = ()) -> Markup:
    """Both sides of a check on one axis, where the measured side has to lie for it to hold, and what its
    controls measured, each against its own bound shifted onto the check's.
    """
    measured, bound = (_span(check[side]) for side in ("measured", "bound"))
    within = check["within"]["value"] if "within" in check else 0.0
    within = math.inf if within is None else within
    allowed = (bound[1] - within if check["relation"] == "=" else -math.inf, bound[0] + within)
    rivals = [_shifted(control, bound) for control in controls]
    ends = [end for rival in rivals for end in rival]
    x = _axis([*measured, *bound, bound[0] + within, bound[1] - within, *ends])
    parts = []
    if allowed[0] <= allowed[1]:
        parts.append(_bar("allowed", x(allowed[0]), x(allowed[1]), 2, 61 if rivals else 40))
    parts += [_bar("control", x(low), x(high), 49, 8) for low, high in rivals]
    parts.append(_bar("measured", x(measured[0]), x(measured[1]), 7, 8))
    parts.append(_bar("bound", x(bound[0]), x(bound[1]), 27, 10))
    words = '<text x="0" y="15">measured</text><text x="0" y="36">bound</text>'
    words += '<text x="0" y="57">controls</text>' if rivals else ""
    track = f'<path d="M{_LEFT} 11H{_RIGHT}M{_LEFT} 32H{_RIGHT}{f"M{_LEFT} 53H{_RIGHT}" if rivals else ""}"/>'
    label = (
        f"{check['name']}: {notation.interval(check['measured'])} against {notation.interval(check['bound'])}"
    )
    return Markup(
        f'<svg class="plot" viewBox="0 0 224 {65 if rivals else 44}" role="img" aria-label="{escape(label)}">'
        f"{words}{track}{''.join(parts)}</svg>"
    )


def _shifted(control: Mapping[str, Any], bound: tuple[float, float]) -> tuple[float, float]:
    """What a control measured, moved by as much as its bound lies off the check's."""
    low, high = _span(control["measured"])
    own = _span(control["bound"])
    shift = (bound[0] + bound[1] - own[0] - own[1]) / 2
    return (low + shift, high + shift) if math.isfinite(shift) else (low, high)


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
