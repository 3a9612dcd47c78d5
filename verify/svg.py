"""SVG files as matplotlib writes them: compared as pictures, and made fit to stand inside a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import zip_longest
from xml.etree import ElementTree as ET

import numpy as np

PIXEL = 0.75  # a pixel in the unit of the files, the point
_STEP = 4.0  # points of a curve are compared at least this densely
_SLACK = 0.04  # how far a point that is left out may lie from the curve that is drawn
_HREF = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_DECIMAL = re.compile(r"-?\d+\.\d+")
_CALL = re.compile(r"(\w+)\(([^)]*)\)")
_URL = re.compile(r"url\(#([^)]+)\)")
_TAGS = {
    "circle", "clipPath", "defs", "desc", "ellipse", "g", "image", "line", "linearGradient", "mask", "path",
    "pattern", "polygon", "polyline", "rect", "stop", "svg", "symbol", "text", "title", "tspan", "use",
}  # fmt: skip
_WORDS = ("text", "tspan", "title", "desc")


@dataclass(frozen=True)
class Mark:
    """One thing that is drawn. what: all but geometry (style, text); lines: polylines (k, 2) in points."""

    what: tuple[str, ...]
    lines: list[np.ndarray]


def same_picture(old: str, new: str, pixel: float = PIXEL) -> bool:
    """Whether two drawings show the same marks in the same order, none of them a pixel or more apart.

    Curves are compared as curves, so that the same one drawn through other points is the same.
    """
    try:
        first, second = ET.fromstring(old, _parser()), ET.fromstring(new, _parser())
    except ET.ParseError:
        return False
    if first.get("viewBox") != second.get("viewBox"):
        return False
    pairs = zip_longest(_marks_of(first), _marks_of(second))
    return all(a and b and a.what == b.what and _near(a.lines, b.lines, pixel) for a, b in pairs)


def slim(drawing: str) -> str:
    """The drawing with coordinates to 1/100 of a point, less those that are on the way to the next anyhow."""
    return re.sub(r'(?<= d=")[^"]*', lambda match: _slim(match.group()), drawing)


def for_page(drawing: str, prefix: str, label: str) -> str:
    """The drawing as an element of a page: ids prefixed, nothing in it that runs, loads or styles the page.

    label: what a screen reader says. Raises ValueError if it is no XML.
    """
    try:
        root = ET.fromstring(drawing)
    except ET.ParseError as error:
        raise ValueError(f"no SVG: {error}") from error
    width = root.get("width", "100%")
    _sanitize(root, prefix, _references(root))
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    # joins and caps stand in a style sheet, which in a page would reach beyond the drawing
    style = f"width:{width};max-width:100%;height:auto;stroke-linejoin:round;stroke-linecap:butt"
    root.attrib |= {"role": "img", "aria-label": label, "style": style}
    return ET.tostring(root, encoding="unicode")


# --- a drawing as a list of marks -------------------------------------------------------------------------


def _parser() -> ET.XMLParser:
    """Comments are kept: before each text drawn as outlines matplotlib notes the text in one."""
    return ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))


def _marks_of(root: ET.Element) -> Iterator[Mark]:
    known = {element.get("id", ""): element for element in root.iter()}
    yield from _marks(root, np.eye(3), (), known)


def _marks(
    element: ET.Element, frame: np.ndarray, styles: tuple[str, ...], known: Mapping[str, ET.Element]
) -> Iterator[Mark]:
    """The marks of an element and below, in the order of painting."""
    tag = _local(element)
    if tag in ("defs", "metadata", "style"):
        return
    frame = frame @ _matrix(element)
    styles = (*styles, _style(element, known))
    if tag == "path":
        yield Mark((*styles, "path"), [_moved(line, frame) for line in _polylines(element.get("d", ""))])
    elif tag == "image":
        yield Mark((*styles, element.get(_HREF, "")), [_moved(_box(element), frame)])
    elif tag == "use":
        target = known.get(element.get(_HREF, "#")[1:])
        if target is not None and _local(target) != "use":
            yield from _marks(target, frame, styles, known)
    text = None
    for child in element:
        if callable(child.tag):  # a comment
            text = (child.text or "").strip()
        elif text is not None:
            yield _text(child, text, frame, styles)
            text = None
        else:
            yield from _marks(child, frame, styles, known)


def _text(element: ET.Element, text: str, frame: np.ndarray, styles: tuple[str, ...]) -> Mark:
    """A text that is drawn as outlines: what it says, in which fonts and size, and where it starts."""
    frame = frame @ _matrix(element)
    fonts = {(use.get(_HREF) or "").rpartition("-")[0] for use in element.iter() if _local(use) == "use"}
    turn = " ".join(f"{x:.4g}" for x in frame[:2, :2].flat)
    return Mark((*styles, element.get("style", ""), *sorted(fonts), turn, text), [frame[:2, 2][None, :]])


def _style(element: ET.Element, known: Mapping[str, ET.Element]) -> str:
    """Style as text; a reference to a clip path or pattern by what that is, as its id is a digest."""
    style = f"{element.get('style', '')};{element.get('fill', '')};{element.get('opacity', '')}"
    for name in _URL.findall(style):
        target = known.get(name)
        parts = (
            [child.get("style", "") + child.get("d", "") for child in target] if target is not None else []
        )
        style = style.replace(name, " ".join(parts))
    return style + (";clipped" if element.get("clip-path") else "")


def _matrix(element: ET.Element) -> np.ndarray:
    """The (3, 3) matrix of an element's `transform`, and of a use's `x` and `y`."""
    result = np.eye(3)
    for name, text in _CALL.findall(element.get("transform", "")):
        numbers = [float(number) for number in _NUMBER.findall(text)]
        step = np.eye(3)
        if name == "translate":
            step[:2, 2] = (*numbers, 0.0)[:2]
        elif name == "scale":
            step[0, 0], step[1, 1] = numbers[0], numbers[-1]
        elif name == "rotate":
            turn = np.deg2rad(numbers[0])
            step[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        elif name == "matrix":
            step[:2] = np.array(numbers).reshape(3, 2).T
        result = result @ step
    if _local(element) == "use":
        shift = np.eye(3)
        shift[:2, 2] = float(element.get("x", 0)), float(element.get("y", 0))
        result = result @ shift
    return result


def _polylines(data: str) -> list[np.ndarray]:
    """The subpaths of path data; curves by their control points. matplotlib writes M, L, Q, C and z only."""
    lines = []
    for part in data.split("M")[1:]:
        points = np.array([float(number) for number in _NUMBER.findall(part)]).reshape(-1, 2)
        lines.append(np.vstack([points, points[:1]]) if part.rstrip().endswith(("z", "Z")) else points)
    return lines


def _box(element: ET.Element) -> np.ndarray:
    x, y, width, height = (float(element.get(name, 0)) for name in ("x", "y", "width", "height"))
    return np.array([[x, y], [x + width, y + height]])


def _moved(line: np.ndarray, frame: np.ndarray) -> np.ndarray:
    return np.asarray(line @ frame[:2, :2].T + frame[:2, 2])


# --- how far apart --------------------------------------------------------------------------------------


def _near(a: list[np.ndarray], b: list[np.ndarray], pixel: float) -> bool:
    """Whether every point of each lies less than a pixel from the other."""
    if len(a) == len(b) and all(
        x.shape == y.shape and np.all(np.hypot(*(x - y).T) < pixel) for x, y in zip(a, b, strict=True)
    ):
        return True
    if not a or not b:
        return a == b
    return _covered(a, b, pixel) and _covered(b, a, pixel)


def _covered(lines: list[np.ndarray], by: list[np.ndarray], pixel: float) -> bool:
    starts = np.vstack([line[:-1] if len(line) > 1 else line for line in by])
    ends = np.vstack([line[1:] if len(line) > 1 else line for line in by])
    return all(
        np.all(_distances(chunk, starts, ends) < pixel)
        for line in lines
        for chunk in np.array_split(_dense(line), 1 + len(line) // 200)
    )


def _distances(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(n,) distances of points (n, 2) from the nearest of the segments (m, 2) to (m, 2)."""
    along = ends - starts
    length = np.maximum(np.sum(along**2, axis=1), 1e-300)
    offset = points[:, None] - starts
    t = np.clip(np.sum(offset * along, axis=2) / length, 0, 1)
    away = offset - t[..., None] * along
    return np.asarray(np.min(np.hypot(away[..., 0], away[..., 1]), axis=1))


def _dense(line: np.ndarray) -> np.ndarray:
    """The polyline's points with others between those that are far apart."""
    if len(line) < 2:
        return line
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    wanted = np.union1d(along, np.arange(0.0, along[-1], _STEP))
    return np.column_stack([np.interp(wanted, along, line[:, axis]) for axis in (0, 1)])


# --- fewer points -----------------------------------------------------------------------------------------


def _slim(data: str) -> str:
    if "C" in data or "Q" in data:
        return _DECIMAL.sub(_rounded, data)
    lines = []
    for line in _polylines(data):
        is_closed = len(line) > 1 and bool(np.all(line[0] == line[-1]))
        kept = _kept(line) if len(line) > 20 else line
        ends = "\nL ".join(f"{x:.2f} {y:.2f}" for x, y in (kept[:-1] if is_closed else kept))
        lines.append("M " + _DECIMAL.sub(_rounded, ends) + ("\nz" if is_closed else ""))
    return "\n".join(lines) + "\n"


def _kept(line: np.ndarray) -> np.ndarray:
    """The points that a polyline needs (Douglas and Peucker): no other is farther off than _SLACK."""
    kept = np.zeros(len(line), dtype=bool)
    kept[[0, -1]] = True
    spans = [(0, len(line) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first > 1:
            away = _distances(line[first + 1 : last], line[None, first], line[None, last])
            if away.max() > _SLACK:
                middle = first + 1 + int(away.argmax())
                kept[middle] = True
                spans += [(first, middle), (middle, last)]
    return np.asarray(line[kept])


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number.group()):.2f}".rstrip("0").rstrip(".")


# --- inside a page ----------------------------------------------------------------------------------------


def _sanitize(element: ET.Element, prefix: str, used: Set[str]) -> None:
    """Plain names, prefixed ids where something refers to them, and only what draws."""
    element.tag, element.tail = _local(element), None
    if element.tag not in _WORDS:
        element.text = None
    for child in list(element):
        if _local(child) in _TAGS:
            _sanitize(child, prefix, used)
        else:
            element.remove(child)
    for name, value in list(element.attrib.items()):
        del element.attrib[name]
        plain = name.rpartition("}")[2]
        if plain == "id" and value in used:
            element.set("id", prefix + value)
        elif plain == "href" and value.startswith("#"):
            element.set("href", f"#{prefix}{value[1:]}")
        elif plain == "href" and value.startswith("data:image/png;base64,"):
            element.set("href", value)
        elif plain not in ("id", "href") and not plain.lower().startswith("on"):
            element.set(plain, _URL.sub(rf"url(#{prefix}\1)", value))


def _references(root: ET.Element) -> Set[str]:
    values = [value for element in root.iter() for value in element.attrib.values()]
    urls = {name for value in values for name in _URL.findall(value)}
    return urls | {value[1:] for value in values if value.startswith("#")}


def _local(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]
