"""Evidence in words: plain text for the terminal and for pytest, from the JSON entries of `outcome`."""

from __future__ import annotations

import math
import re
import shlex
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from verify import notation

Entry = Mapping[str, Any]

WIDTH = 100
SYMBOLS = {
    "verified": "✓", "refuted": "✗", "undecided": "?", "vacuous": "○", "invalid": "⚠", "error": "!",
    "stale": "↻", "not run": "–",
}  # fmt: skip
# LaTeX that is not a letter's name; what is not here stays as it is written
_COMMANDS = {
    "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠", "ll": "≪", "gg": "≫", "approx": "≈",
    "sim": "~", "to": "→", "in": "∈", "infty": "∞", "sum": "Σ", "prod": "Π", "int": "∫", "nabla": "∇",
    "partial": "∂", "times": "×", "cdot": "·", "pm": "±", "ell": "ℓ", "|": "‖", "sqrt": "√", "forall": "∀",
    "exists": "∃", "subset": "⊂", "cup": "∪", "cap": "∩", "dots": "…", "ldots": "…", "cdots": "⋯", "top": "ᵀ",
    "langle": "⟨", "rangle": "⟩", "odot": "⊙", "otimes": "⊗", "quad": "  ", "qquad": "    ", ",": " ",
    ";": " ", "!": "", "left": "", "right": "", "big": "", "bigl": "", "bigr": "", "Big": "",
    "{": "{", "}": "}", " ": " ", "#": "#", "mid": "|", "ast": "*", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈",
    "rceil": "⌉", **{name: name for name in ("log", "exp", "max", "min", "sup", "inf", "lim", "sign", "det", "Pr")},
}  # fmt: skip
_ACCENTS = {"bar": "\u0304", "hat": "\u0302", "tilde": "\u0303"}
_DISPLAY = "\x00"  # stands before a displayed formula while the text is laid out
_FORMULA = re.compile(r"(?<!\\)\$\$(.+?)(?<!\\)\$\$|(?<!\\)\$(?!\s)([^$]+?)(?<![\\\s])\$", re.DOTALL)


# --- numbers ----------------------------------------------------------------------------------


def weakest_power(power: Mapping[str, Mapping[str, float | None]]) -> str:
    """What change of the worst guarded reference is noticed; ↑ or ↓ if only one direction is."""
    worst: tuple[float, str] | None = None
    for change in power.values():
        seen = [
            (change[way], arrow) for way, arrow in (("up", "↑"), ("down", "↓")) if change[way] is not None
        ]
        if not seen:
            return "none"
        value, arrow = min((value or 0.0, arrow) for value, arrow in seen)
        if worst is None or value > worst[0]:
            worst = value, (arrow if len(seen) == 1 else "")
    return notation.percent(worst[0]) + worst[1] if worst else "–"


def seconds(time: float) -> str:
    """A duration for people."""
    if time < 100:
        return f"{time:.1f} s" if time < 10 else f"{time:.0f} s"
    minutes, rest = divmod(round(time), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def count(number: int, noun: str) -> str:
    """1 claim, 2 claims."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def arxiv(identifier: str | None) -> str:
    """What follows the year of a paper; nothing for one that has no arXiv id yet."""
    return f", arXiv:{identifier}" if identifier else ""


# --- comparisons --------------------------------------------------------------------------------------------


def comparison(record: Entry, indent: str = "    ") -> list[str]:
    """Lines on a check's decisive entry: both sides, why they are that wide, the resolution, where it is."""
    sides = [(name, record[name]) for name in ("measured", "bound")]
    rows = [(name, f"{notation.interval(side)}  {side['grade']}: {side['because']}") for name, side in sides]
    within = record.get("within") or {"value": 0}
    if within["value"] != 0:
        rows.append(("within", f"{notation.number(within['value'])}: {within.get('because', '')}"))
    where = place(record)
    rows += [("at", where)] if where else []
    rows += [(_word(record), text) for text in [_distance(record)] if text]
    return [line for name, text in rows for line in hanging(f"{name:<9} ", text, indent)]


def relation(record: Entry) -> str:
    """The relation as it is judged: measured <= bound + within."""
    sign = record.get("relation", "<=")
    within = (record.get("within") or {"value": 0})["value"]
    if within == 0:
        return f"measured {sign} bound"
    return (
        f"measured {sign} bound, up to the resolution"
        if sign == "="
        else f"measured {sign} bound + resolution"
    )


def place(record: Entry) -> str:
    """Where the decisive entry lies: case and coordinates."""
    return ", ".join(f"{name} = {value}" for name, value in (record.get("at") or {}).items())


def _word(record: Entry) -> str:
    return {"fails": "misses by", "undecided": "too wide", "holds": "slack"}[record["outcome"]]


def _distance(record: Entry) -> str:
    """By how much it misses or holds; for an undecided check, which side has to be tightened."""
    a, b, within = record["measured"], record["bound"], (record.get("within") or {"value": 0})["value"]
    if record["outcome"] == "undecided":
        return _wider(a, b)
    pairs = [(a["lower"], b["upper"])] if record["outcome"] == "fails" else [(b["lower"], a["upper"])]
    if record.get("relation") == "=":
        if record["outcome"] == "holds":
            return ""
        pairs.append((b["lower"], a["upper"]))
    gaps = [x - y for x, y in pairs if x is not None and y is not None]
    if not gaps or within is None:
        return ""
    if record["outcome"] == "holds" and max(gaps) < 0:
        return "none: it holds up to the resolution"
    if record.get("relation") == "<" and record["outcome"] == "fails":
        return f"{notation.number(max(gaps))}, and the inequality is strict"
    resolution = f", the resolution being {notation.number(within)}" if within else ""
    return notation.number(max(gaps)) + resolution


def _wider(a: Entry, b: Entry) -> str:
    widths = [math.inf if None in (s["lower"], s["upper"]) else s["upper"] - s["lower"] for s in (a, b)]
    name, width = ("measured", widths[0]) if widths[0] >= widths[1] else ("bound", widths[1])
    return f"to decide: the wider side is {name}, {notation.number(width)} wide; tighten that first"


# --- a claim whose verdict is not the expected one ----------------------------------------------------------


def headline(entry: Entry) -> str:
    """paper/claim: refuted, expected verified."""
    seed = f" (seed {entry['seed']})" if entry["seed"] else ""
    return f"{entry['id']}{seed}: {verdict(entry)}"


def symbol(entry: Entry) -> str:
    """The verdict's symbol; what is verified against expectation gets no ✓."""
    word = entry["verdict"] or entry["state"]
    return SYMBOLS["refuted"] if word == "verified" and not entry["ok"] else SYMBOLS.get(word, " ")


def verdict(entry: Entry) -> str:
    """The verdict, and the expected one if it differs or is not simply `verified`."""
    if not entry["ok"]:
        return f"{entry['verdict']}, expected {expected(entry)}"
    return str(entry["verdict"]) if entry["verdict"] == "verified" else f"{entry['verdict']}, as expected"


def expected(entry: Entry) -> str:
    """The expected verdict; `a or b` if there are several."""
    words = entry["expected"]
    return words if isinstance(words, str) else " or ".join(words)


def unexpected(entry: Entry, because: str | None = None, options: Sequence[str] = ()) -> str:
    """A paragraph: verdict, reason, what failed with its two intervals, the command that reproduces it.

    because: why the map expects another verdict; options: what the command needs besides, such as --map.
    """
    lines = [f"{symbol(entry)} {headline(entry)}"]
    if because and not entry["ok"]:
        lines += hanging("", f"{expected(entry)} is expected because {because}", "  ")
    if entry["error"]:
        lines += [f"    {line}" for line in entry["error"].splitlines()]
    for kind in ("assumption", "check"):
        bad = (record for record in entry[f"{kind}s"] if record["outcome"] != "holds")
        lines += [line for record in bad for line in check(record, kind)]
    lines += [line for record in entry["controls"] if not record["rejected"] for line in control(record)]
    if len(lines) == 1 + bool(because):  # nothing failed: no check, say, has a control
        lines += hanging("", entry["reason"], "  ")
    lines.append(f"  reproduce: {command(entry, options)}")
    return "\n".join(lines)


def check(record: Entry, kind: str = "check") -> list[str]:
    """Lines on a check or an assumption and its decisive entry."""
    return [
        *hanging("", f"{kind} {record['name']} {_is(record)}: {relation(record)}", "  "),
        *comparison(record),
    ]


def control(record: Entry) -> list[str]:
    """Lines on a control that is not rejected."""
    outcome = "passes" if record["outcome"] == "holds" else "leaves undecided"
    what = f"control {record['name']!r} {outcome} the check {record['must_fail']} that it must fail"
    return [*hanging("", f"{what}: {relation(record)}", "  "), *comparison(record)]


def command(entry: Entry, options: Sequence[str] = ()) -> str:
    """The one command that evaluates this again."""
    size = ["--size", entry["size"]] if entry["size"] != "quick" else []
    return shlex.join(["verify", "run", entry["id"], "--seed", str(entry["seed"]), *size, *options])


def _is(record: Entry) -> str:
    return {"fails": "fails", "undecided": "is undecided", "holds": "holds"}[record["outcome"]]


def hanging(head: str, text: str, indent: str = "") -> list[str]:
    """The text wrapped, its lines lined up behind the head."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent + head, subsequent_indent=indent + " " * len(head),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


# --- statements ---------------------------------------------------------------------------------------------


def plain_statement(text: str) -> str:
    """A statement for the terminal: Greek letters and relations as characters, other LaTeX as it is."""
    blocks = (_formulas(block.strip()) for block in re.split(r"\n\s*\n", text.strip()))
    return "\n\n".join(_laid_out(block) for block in blocks)


def plain_text(text: str) -> str:
    """A title or a sentence on one line, as `plain_statement`."""
    return " ".join(plain_statement(text).split())


def _laid_out(block: str) -> str:
    """A displayed formula keeps its lines, a list its items; the rest is filled."""
    if block.startswith(_DISPLAY):
        return textwrap.indent(block.replace(_DISPLAY, "").strip(), "    ")
    items = re.split(r"^[-*] +", block.replace(_DISPLAY, ""), flags=re.MULTILINE)
    marks = ["" if block == items[0] else "- "] * len(items)
    lines = (hanging(mark, " ".join(item.split())) for mark, item in zip(marks, items, strict=True))
    return "\n".join(line for item in lines for line in item)


def _formulas(text: str) -> str:
    return _FORMULA.sub(
        lambda match: (_DISPLAY if match[1] else "") + _readable(match[1] or match[2]).strip(), text
    )


def _readable(latex: str) -> str:
    """The formula with the commands that have a character replaced by it."""
    latex = re.sub(r"\\(?:text|mathrm|operatorname|mathbf|mathcal|mathbb)\{([^{}]*)\}", r"\1", latex)
    latex = re.sub(r"\\[td]?frac(?:\{([^{}]*)\}|(\w))\s*(?:\{([^{}]*)\}|(\w))", _fraction, latex)
    latex = re.sub(r"\\(bar|hat|tilde)(?: (\w)|\{(\w)\})", _accented, latex)
    text = re.sub(r"\\([A-Za-z]+|[^A-Za-z])", lambda match: _character(match[1], match[0]), latex)
    return "\n".join(re.sub(r"(?<=\S) +", " ", line).rstrip() for line in text.splitlines())


def _accented(match: re.Match[str]) -> str:
    return (match[2] or match[3]) + _ACCENTS[match[1]]


def _fraction(match: re.Match[str]) -> str:
    top, bottom = match[1] or match[2], match[3] or match[4]
    return "/".join(part if re.fullmatch(r"[\w\\]+", part) else f"({part})" for part in (top, bottom))


def _character(name: str, otherwise: str) -> str:
    if name in _COMMANDS:
        return _COMMANDS[name]
    if not name.isalpha():
        return otherwise
    case = "CAPITAL" if name[0].isupper() else "SMALL"
    try:
        return unicodedata.lookup(
            f"GREEK {case} LETTER {name.removeprefix('var').replace('lambda', 'lamda').upper()}"
        )
    except KeyError:
        return otherwise
