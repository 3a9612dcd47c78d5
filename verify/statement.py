"""A claim's statement: read from its module without importing it, and shown with its mathematics.

The statement is the module's docstring, up to a line `---` if there is one; below it a docstring may go on
about how the claim is checked. In text, `$...$` and `$$...$$` are LaTeX and backticks are code.
"""

from __future__ import annotations

import ast
import inspect
import re
import unicodedata
from collections.abc import Iterator
from html import escape, unescape
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

# display and inline formulas, code
_SPECIAL = re.compile(
    r"(?<!\\)\$\$(.+?)(?<!\\)\$\$|(?<!\\)\$(?!\s)([^$]+?)(?<![\\\s])\$([.,;:!?)]*)|`([^`\n]+)`", re.DOTALL
)
_ITEM = re.compile(r"^[-*] +", re.MULTILINE)
# what a formula may consist of: latex2mathml also knows \href, \style and \class
_ELEMENTS = {
    "math", "menclose", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded", "mphantom",
    "mprescripts", "mroot", "mrow", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable", "mtd",
    "mtext", "mtr", "munder", "munderover", "none",
}  # fmt: skip
_ATTRIBUTES = {
    "accent", "columnalign", "columnlines", "columnspacing", "depth", "display", "displaystyle", "fence",
    "form", "height", "largeop", "linethickness", "lspace", "mathcolor", "mathvariant", "maxsize",
    "minsize", "movablelimits", "notation", "rowspacing", "rspace", "scriptlevel", "separator", "stretchy",
    "symmetric", "voffset", "width", "xmlns",
}  # fmt: skip
# commands that the library passes through where they follow \big and its like
_PASSED = {
    r"\|": "‖", r"\Vert": "‖", r"\lVert": "‖", r"\rVert": "‖", r"\vert": "|", r"\lvert": "|", r"\rvert": "|",
    r"\{": "{", r"\}": "}", r"\langle": "⟨", r"\rangle": "⟩", r"\lfloor": "⌊", r"\rfloor": "⌋",
    r"\lceil": "⌈", r"\rceil": "⌉", r"\arg": "arg",
}  # fmt: skip
_LIMITS = ("max", "min", "sup", "inf", "lim")
_PARTS = {
    "mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3,
}  # fmt: skip


def statement(path: Path) -> str:
    """The statement of the claim in a module's file; empty if there is none or the file is no Python."""
    try:
        docstring = ast.get_docstring(ast.parse(Path(path).read_bytes()), clean=False) or ""
    except (OSError, SyntaxError, ValueError):
        return ""
    lines = inspect.cleandoc(docstring).splitlines()
    end = next((i for i, line in enumerate(lines) if line.strip() == "---"), len(lines))
    return "\n".join(lines[:end]).strip()


def to_html(text: str) -> str:
    """A statement as HTML: paragraphs, lists of lines that start with "- ", MathML, everything escaped."""
    return "\n".join(_block(block) for block in re.split(r"\n\s*\n", text.strip()) if block)


def inline_html(text: str) -> str:
    """A sentence as HTML, without paragraphs."""
    return "".join(_pieces(text))


def to_mathml(latex: str, display: bool = False) -> str:
    """A formula as MathML; its source in <code> if it is broken or holds a command that is not known."""
    from latex2mathml.converter import convert_to_element

    latex = " ".join(latex.split())
    try:
        if not _is_balanced(latex):
            raise ValueError("a brace is missing")
        formula = convert_to_element(latex, display="block" if display else "inline")
        for element in formula.iter():
            _clean(element)
        for element in formula.iter():
            _set(element, display)
        return tostring(formula, encoding="unicode")
    except Exception:  # the library raises whatever it trips over, StopIteration included
        return f'<code class="latex">{escape(latex)}</code>'


def _block(block: str) -> str:
    if not _ITEM.match(block):
        return f"<p>{inline_html(block)}</p>"
    items = (item for item in _ITEM.split(block) if item.strip())
    return "<ul>" + "".join(f"<li>{inline_html(item.strip())}</li>" for item in items) + "</ul>"


def _pieces(text: str) -> Iterator[str]:
    end = 0
    for match in _SPECIAL.finditer(text):
        yield _prose(text[end : match.start()])
        block, formula, after, code = match.groups()
        if block:
            yield f'<span class="display">{to_mathml(block, display=True)}</span>'
        elif formula:  # kept on one line with the comma that follows
            yield f'<span class="formula">{to_mathml(formula)}{after}</span>'
        else:
            yield f"<code>{escape(code)}</code>"
        end = match.end()
    yield _prose(text[end:])


def _prose(text: str) -> str:
    return escape(text.replace(r"\$", "$"))


def _is_balanced(latex: str) -> bool:
    """Whether braces close; the library closes some by itself and shows something else than was meant."""
    braces = re.sub(r"\\.|[^{}]", "", latex)
    while "{}" in braces:
        braces = braces.replace("{}", "")
    return not braces


def _clean(element: Element) -> None:
    """Resolves the library's character references; ValueError for what a formula should not hold."""
    if element.tag not in _ELEMENTS:
        raise ValueError(f"<{element.tag}> in a formula")
    if len(element) != _PARTS.get(element.tag, len(element)):
        raise ValueError(f"<{element.tag}> with {len(element)} parts")
    text = unescape(element.text or "")
    text = _PASSED.get(text, text)
    if "\\" in text and element.tag != "mtext":
        raise ValueError(f"unknown command {text}")
    variant = element.attrib.pop("mathvariant", None)
    if variant == "normal":
        element.set("mathvariant", "normal")
    elif variant:
        text = "".join(_styled(character, variant) for character in text)
    element.text, element.tail = text or None, unescape(element.tail or "") or None
    for name in element.attrib.keys() - _ATTRIBUTES:
        del element.attrib[name]


def _set(element: Element, display: bool) -> None:
    """Two habits of mathematical type that the library leaves out: max has its index below, log x a space."""
    if display and element.tag == "msub" and (element[0].text or "").endswith(_LIMITS):
        element.tag = "munder"
    if element.tag in ("math", "mrow"):
        for child, after in pairwise(element):
            if child.tag == "mi" and len(child.text or "") > 1 and after.text != "(":
                child.tag, child.attrib = "mo", {"lspace": "0.167em", "rspace": "0.167em"}


def _styled(character: str, variant: str) -> str:
    """A letter in a style such as bold-italic, from Unicode: browsers know no `mathvariant` but normal."""
    style = variant.upper().replace("-", " ")
    name = unicodedata.name(character, "").replace("LATIN ", "").replace("GREEK ", "").replace(" LETTER", "")
    try:
        return unicodedata.lookup(f"MATHEMATICAL {style} {name}")
    except KeyError:
        return character
