"""The house style of figures: a claim says what is drawn, this room how it looks."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from verify import notation, svg
from verify.errors import SetupError
from verify.evidence import Evidence
from verify.interval import Interval
from verify.suite import Suite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Told apart with every common kind of colour blindness, and 3:1 or more against white; lines that are
# measured also differ in style. Dashes always mean a bound, dots and grey a control.
COLORS = ("#1F5FA8", "#C4521A", "#12806A", "#8A4A9E", "#9A7400", "#4A93C4")
STYLES = ("-", (0, (7, 1.2, 1.2, 1.2)), "-", (0, (7, 1.2, 1.2, 1.2, 1.2, 1.2)), "-", (0, (12, 1.5)))
INK = "#2B2F36"
BOUND: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 1.1}
CONTROL: dict[str, Any] = {"color": "#8B8F96", "linestyle": (0, (1, 1.1)), "linewidth": 1.2, "zorder": 1.8}
THIN = 1e-6  # relative; a narrower band is left out of the file
WIDTH, HEIGHT = 4.4, 2.9  # inches; at 8 cm the smallest text is still 6 points high


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's defaults, whatever the user's own are, and ours on top."""
    from cycler import cycler
    from matplotlib.style import context

    lines = cycler(color=COLORS) + cycler(linestyle=STYLES)
    style = {
        "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 8.5,
        "mathtext.fontset": "dejavusans", "axes.titlesize": 9, "axes.titleweight": "normal",
        "axes.titlelocation": "left", "axes.labelsize": 8.5, "legend.fontsize": 8, "xtick.labelsize": 8,
        "ytick.labelsize": 8, "axes.prop_cycle": lines, "axes.spines.top": False, "axes.spines.right": False,
        "axes.edgecolor": "#6B7078", "axes.linewidth": 0.7, "axes.labelcolor": INK, "text.color": INK,
        "axes.titlecolor": INK, "xtick.color": "#6B7078", "ytick.color": "#6B7078", "xtick.labelcolor": INK,
        "ytick.labelcolor": INK, "xtick.major.width": 0.7, "ytick.major.width": 0.7, "xtick.minor.size": 0,
        "ytick.minor.size": 0, "axes.grid": True, "grid.color": "#E4E6EA", "grid.linewidth": 0.6,
        "axes.axisbelow": True, "lines.linewidth": 1.5, "lines.markersize": 4, "legend.edgecolor": "none",
        "legend.framealpha": 0.85, "legend.handlelength": 2.6, "hatch.linewidth": 0.6,
        "figure.figsize": (WIDTH, HEIGHT), "figure.constrained_layout.use": True,
        # the same picture everywhere, and the same bytes: text as outlines, ids from a digest
        "svg.fonttype": "path", "svg.hashsalt": "verify", "path.simplify": False,
    }  # fmt: skip
    with context(["default", style]):
        yield


def draw(suite: Suite, evidence: Evidence) -> Figure:
    """The claim's figure, drawn from its evidence. SetupError if the claim has none."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    claim = suite.claim(evidence.id)
    if claim.draw is None:
        raise SetupError(f"{evidence.id}: draws no figure; write one below @claim.figure")
    with house_style():
        figure = Figure()
        FigureCanvasAgg(figure)
        claim.draw(figure, evidence)
        for axes in figure.axes:
            _label_decades(axes.xaxis, *axes.get_xlim())
            _label_decades(axes.yaxis, *axes.get_ylim())
    return figure


def to_svg(figure: Figure) -> str:
    """The figure as SVG text, the same for the same figure."""
    file = io.StringIO()
    with house_style():
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=nothing)
    return svg.slim(
        file.getvalue().replace("<!-- Created with matplotlib (https://matplotlib.org/) -->\n", "")
    )


# --- what claims' figures share ---------------------------------------------------------------------------


def panel_grid(
    figure: Figure, titles: Sequence[str], columns: int | None = None, **options: Any
) -> list[Axes]:
    """One panel per title, at most two in a row unless said otherwise; options as for `Figure.subplots`."""
    columns = columns or min(len(titles), 2)
    rows = -(-len(titles) // columns)
    figure.set_size_inches(WIDTH, _height(rows, columns))
    panels = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for panel, title in zip(panels, titles, strict=False):
        panel.set_title(title if "$" in title else textwrap.fill(title, 54 // columns))
    for panel in panels[len(titles) :]:
        panel.set_axis_off()
    return panels[: len(titles)]


def curve_with_bound(
    axes: Axes,
    x: Any,
    measured: Any,
    bound: Any = None,
    *,
    label: str = "",
    **style: Any,
) -> None:
    """A measured curve, its bound dashed in the same colour, the certified interval of each shaded.

    x: (n,); measured, bound: intervals or arrays of shape (n,), a bound may be one number. style: as for
    `Axes.plot`; `**CONTROL` for a control.
    """
    low, middle, up = _curve(measured, np.shape(x))
    (line,) = axes.plot(x, middle, label=label or None, **style)
    color = line.get_color()
    _band(axes, x, low, up, color=color, alpha=0.2, zorder=line.get_zorder() - 0.1)
    if bound is not None:
        low, middle, up = _curve(bound, np.shape(x))
        axes.plot(x, middle, **{**style, **BOUND, "color": color})
        _band(axes, x, low, up, color=color, alpha=0.1, zorder=1.5)


def legend(panels: Axes | Sequence[Axes], bound: str = "", above: bool = False, **options: Any) -> None:
    """The legend: curves, then what dashes mean (say, bound="bound of Theorem 1"), then controls.

    Of one panel it stands inside, below it if there are two in a row; of several panels, or where there are
    three in a row, or `above` is asked for, above them all, each label once. options: as for `Axes.legend`; a
    `loc` keeps it inside.
    """
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    each: Sequence[Axes] = panels if isinstance(panels, Sequence) else [panels]
    found = {
        label: handle for one in each for handle, label in zip(*one.get_legend_handles_labels(), strict=True)
    }
    found |= {bound: Line2D([], [], color=INK, **BOUND)} if bound else {}
    labels = sorted(found, key=lambda label: label.startswith("control"))
    handles, grid = [found[label] for label in labels], each[0].get_gridspec()
    figure = cast("Figure", each[0].get_figure(root=True))
    rows, columns = grid.get_geometry() if grid else (1, 1)
    if "loc" in options or (len(each) == columns == 1 and not above):
        each[0].legend(handles, labels, **options)
    elif len(each) == 1 and columns == 2 and not above:
        below = each[0].transAxes + ScaledTranslation(0, -31 / 72, figure.dpi_scale_trans)
        figure.set_figheight(max(figure.get_figheight(), _height(rows, columns) + 0.17 * len(labels)))
        each[0].legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=(0, 0),
            bbox_transform=below,
            borderpad=0,
            **options,
        )
    else:
        across = _as_wide_as_fits(figure, handles, labels, options)
        figure.set_figheight(figure.get_figheight() + 0.17 * -(-len(labels) // across))


def bars_with_intervals(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[Any],
    bounds: Sequence[Any] = (),
    controls: Sequence[str] = (),
) -> None:
    """A horizontal bar per name with its interval and its bound, a dashed stroke; controls are grey.

    values, bounds: scalar intervals or numbers, one per name; a bound may be None.
    """
    for y, (name, value) in enumerate(zip(names, values, strict=True)):
        low, middle, up = (float(end) for end in _curve(value, ()))
        look: dict[str, Any] = {"color": COLORS[0], "alpha": 0.75}
        if name in controls:
            look = {"facecolor": "#E6E7EA", "edgecolor": CONTROL["color"], "hatch": "////"}
        axes.barh(y, middle, height=0.6, **look)
        axes.plot([low, up], [y, y], color=INK, linestyle="-", marker="|", markersize=6, linewidth=1.2)
        if len(bounds) and bounds[y] is not None:
            middle = float(_curve(bounds[y], ())[1])
            axes.plot([middle, middle], [y - 0.42, y + 0.42], color=COLORS[1], **BOUND)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def heatmap(axes: Axes, matrix: Any, rows: Sequence[Any], columns: Sequence[Any], fmt: str = ".2f") -> None:
    """A table of numbers (r, c) as coloured cells, up to some 30 x 30; numbers are written in if they fit."""
    values = np.asarray(matrix, dtype=float)
    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    signs = bool(np.nanmin(values) < 0)
    cells = axes.pcolormesh(
        values, cmap="RdBu_r" if signs else "Blues", vmin=-most if signs else 0, vmax=most,
        edgecolor="white", linewidth=0.8,
    )  # fmt: skip
    if values.shape[1] <= 12 and fmt:
        for (i, j), value in np.ndenumerate(values):
            light = float(np.dot(cells.to_rgba(value)[:3], (0.3, 0.59, 0.11)))
            axes.text(
                j + 0.5, i + 0.5, format(value, fmt), ha="center", va="center", fontsize=7.5,
                color=INK if light > 0.55 else "white",
            )  # fmt: skip
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()


def _as_wide_as_fits(
    figure: Figure, handles: Sequence[Any], labels: Sequence[str], options: dict[str, Any]
) -> int:
    """Puts the legend above all panels in as many columns as the figure is wide; how many."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer: Any = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    for columns in range(len(labels), 0, -1):
        legend = figure.legend(handles, labels, loc="outside upper left", ncols=columns, **options)
        if columns == 1 or legend.get_window_extent(renderer).width <= figure.bbox.width:
            return columns
        legend.remove()
    return 1


def _height(rows: int, columns: int) -> float:
    return HEIGHT if rows == columns == 1 else 2.15 * rows + 0.2


def _label_decades(axis: Axis, *ends: float) -> None:
    """Labels that fit on a logarithmic axis: decades, or a few round numbers where there are hardly any."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if axis.get_scale() != "log":
        return
    ratio = max(ends) / min(ends)
    axis.set_minor_formatter(NullFormatter())
    if ratio < 20:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < 5 else (1, 3)))
        axis.set_major_formatter(lambda x, _: f"{x:g}" if 1e-3 <= x < 1e5 else notation.number(x, 1))


def _band(axes: Axes, x: Any, low: np.ndarray, up: np.ndarray, **style: Any) -> None:
    """Shades between two curves, unless that would be too thin to see on a linear or logarithmic axis."""
    width = np.nan_to_num(up - low)
    if np.any(width > THIN * np.nanmax(np.abs(up), initial=0.0)) or np.any(width > THIN * np.abs(up)):
        axes.fill_between(x, low, up, linewidth=0, **style)


def _curve(value: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lower, middle, upper) as floats of a shape; where one end is unbounded, the other is the middle."""
    with np.errstate(invalid="ignore"):
        ends = (value.lower, value.middle, value.upper) if isinstance(value, Interval) else (value,) * 3
    arrays = (np.asarray(end, dtype=float) for end in ends)
    low, middle, up = (np.where(np.isfinite(x), x, np.nan) for x in arrays)
    middle = np.where(np.isnan(middle), np.where(np.isnan(low), up, low), middle)
    return np.broadcast_to(low, shape), np.broadcast_to(middle, shape), np.broadcast_to(up, shape)
