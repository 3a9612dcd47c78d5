"""Figures: how they look, and when their files are rewritten."""

import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

import verify
from verify import evaluate, figures, plot, svg
from verify.execute import Task
from verify.figures import DIFFERS, FAILED, MISSING, NO_EVIDENCE, NO_FIGURE, UNCHANGED, WRITTEN
from verify.interval import Interval
from verify.key import Keys
from verify.store import Store

MODULE = '''
    """The gap stays below its bound."""
    import numpy as np
    from verify import Claim, at_most, plot, rounded

    claim = Claim("paper/{slug}")

    @claim.reference
    def bound(scale=1.0):
        return rounded(scale / np.arange(1.0, 101.0), 1, 1.0)

    @claim.run
    def gap(bound, share=0.8):
        return bound * share

    @claim.check("gap")
    def check(gap, bound):
        return at_most(gap, bound)

    claim.control("gap 50% larger", gap=lambda gap: 1.5 * gap, must_fail="gap")
'''
FIGURE = """
    @claim.figure
    def draw(figure, evidence):
        (axes,) = plot.panel_grid(figure, ["The gap"])
        plot.curve_with_bound(axes, np.arange(1, 101), evidence.of("gap"), evidence.of("bound"), label="gap")
        plot.legend(axes, "bound", loc="upper right")
"""
BROKEN = """
    @claim.figure
    def draw(figure, evidence):
        raise ValueError("no such curve")
"""


def between(low, up):
    return Interval(np.asarray(low, dtype=float), np.asarray(up, dtype=float), "numerical", "test")


def drawing(act) -> str:
    from matplotlib.figure import Figure

    with plot.house_style():
        figure = Figure()
        act(figure)
    return plot.to_svg(figure)


def curve(lift=0.0, anchor=(0.6, 0.9), label="gap", points=300, width=0.02):
    """A figure with one curve; in its axes 1 is some 200 pixels wide."""

    def act(figure):
        (axes,) = plot.panel_grid(figure, ["One curve"])
        x = np.linspace(0, 1, points)
        y = 0.5 + 0.4 * np.sin(6 * x) + lift
        plot.curve_with_bound(axes, x, between(y - width, y + width), 1.2, label=label)
        axes.set(xlim=(0, 1), ylim=(0, 1.4))
        plot.legend(axes, "bound", loc="upper left", bbox_to_anchor=anchor)

    return act


# --- how they look ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_curve():
    return drawing(curve())


def test_the_same_figure_has_the_same_bytes(one_curve):
    assert drawing(curve()) == one_curve
    assert "matplotlib.org" not in one_curve
    assert len(one_curve) < 60_000


def test_the_users_own_settings_do_not_matter(one_curve):
    import matplotlib

    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black", "svg.fonttype": "none"}):
        assert drawing(curve()) == one_curve


def test_no_pyplot_state():
    import sys

    before = "matplotlib.pyplot" in sys.modules
    drawing(curve())
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_many_long_curves_stay_small():
    def act(figure):
        for axes in plot.panel_grid(figure, ["A"]):
            x = np.geomspace(1, 1e5, 400)
            for k in range(6):
                y = (k + 1) * x**-0.5 * (1 + 0.05 * np.sin(4 * np.log(x)))
                plot.curve_with_bound(axes, x, between(0.9 * y, 1.1 * y), 2 * y)
            axes.set(xscale="log", yscale="log")

    assert len(drawing(act)) < 75_000


def test_fewer_points_show_the_same():
    x = np.linspace(0, 100, 5000)
    y = np.sin(x / 3) * 20
    data = "M " + "\nL ".join(f"{a} {b}" for a, b in zip(x, y, strict=True))
    whole = f'<svg viewBox="0 0 100 100"><path d="{data}"/></svg>'
    assert len(svg.slim(whole)) < len(whole) / 20
    assert svg.same_picture(whole, svg.slim(whole), pixel=0.05)


def test_bars_heatmaps_and_panels_draw():
    def act(figure):
        first, second, third = plot.panel_grid(figure, ["Bars", "Table", "Empty"])
        plot.bars_with_intervals(
            first, ["a", "b"], [between(1, 2), 3.0], [None, between(3, 4)], controls=["b"]
        )
        plot.heatmap(second, [[1.0, -2.0], [np.nan, 0.5]], ["r", "s"], ["c", "d"])
        third.plot([0, 1], [0, 1], **plot.CONTROL)
        assert len(figure.axes) == 4

    assert drawing(act).count("<path") > 20


def test_a_legend_never_covers_narrow_panels():
    def act(count, one):
        def inner(figure):
            panels = plot.panel_grid(figure, ["Panel"] * count, columns=count)
            for panel in panels:
                plot.curve_with_bound(panel, [1, 2], [1.0, 2.0], [2.0, 3.0], label="run")
                plot.curve_with_bound(panel, [1, 2], [1.5, 1.5], label="control: another", **plot.CONTROL)
            plot.legend(panels[0] if one else panels, "bound")
            figure.canvas.draw()
            legends = [*figure.legends, *(p.get_legend() for p in panels if p.get_legend())]
            assert len(legends) == 1
            assert [text.get_text() for text in legends[0].get_texts()] == [
                "run",
                "bound",
                "control: another",
            ]
            inside = legends[0].get_window_extent().overlaps(panels[0].get_window_extent())
            assert bool(inside) == (count == 1)

        return inner

    for count, one in ((1, True), (2, True), (2, False), (3, True)):
        drawing(act(count, one))


def test_unbounded_ends_are_left_out():
    def act(figure):
        (axes,) = plot.panel_grid(figure, ["Half open"])
        plot.curve_with_bound(axes, [1, 2, 3], between([1, 1, -np.inf], [2, np.inf, 3]))

    assert "nan" not in drawing(act)


def test_colours_stand_out_from_white_and_from_each_other():
    def linear(colour):
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)

    colours = [linear(colour) for colour in plot.COLORS]
    for colour in colours:
        assert 1.05 / (colour @ [0.2126, 0.7152, 0.0722] + 0.05) >= 3
    # red-green blindness, Machado et al. 2009 (severity 1.0), in linear light
    protan = np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    )
    deutan = np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    )
    for matrix in (np.eye(3), protan, deutan):
        seen = [np.clip(matrix @ colour, 0, 1) ** (1 / 2.2) for colour in colours]
        styles = plot.STYLES
        pairs = [(i, j) for i in range(6) for j in range(i)]
        for i, j in pairs:
            assert np.linalg.norm(seen[i] - seen[j]) > 0.1 or styles[i] != styles[j], (i, j)


def test_short_logarithmic_axes_have_few_labels():
    from matplotlib.figure import Figure

    with plot.house_style():
        for low, up, labels in (
            (1, 1e4, ["$", "$"]),
            (1500, 20000, ["3000", "10000"]),
            (200, 600, ["200", "500"]),
        ):
            axes = Figure().subplots()
            axes.set(xscale="log", xlim=(low, up))
            plot._label_decades(axes.xaxis, *axes.get_xlim())
            texts = [t.get_text() for t in axes.get_xticklabels() if low <= t.get_position()[0] <= up]
            assert texts == labels or (labels[0] == "$" and len(texts) == 5)
            assert not any(t.get_text() for t in axes.get_xticklabels(minor=True))


# --- what counts as a visible change -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (curve(anchor=(0.6 + 0.3 / 260, 0.9)), True),  # the legend moved by 0.3 px
        (curve(anchor=(0.62, 0.9)), False),  # by 5 px
        (curve(lift=0.001), True),  # the curve moved by 0.2 px
        (curve(lift=0.02), False),  # by 3 px
        (curve(points=280), True),  # drawn through other points
        (curve(width=0.04), False),  # a wider band
        (curve(label="gaq"), False),  # another word of the same length
    ],
    ids=[
        "legend-0.3px",
        "legend-5px",
        "curve-0.2px",
        "curve-3px",
        "other-points",
        "wider-band",
        "other-word",
    ],
)
def test_same_picture(one_curve, other, same):
    assert svg.same_picture(one_curve, drawing(other)) is same


def test_another_colour_order_or_extra_mark_is_seen():
    def lines(*colours):
        def act(figure):
            (axes,) = plot.panel_grid(figure, ["Lines"])
            for k, colour in enumerate(colours):
                axes.plot([0, 1], [0, 1 + k], color=colour)
            axes.set(ylim=(0, 3))

        return act

    first = drawing(lines("#123456", "#654321"))
    assert svg.same_picture(first, first)
    assert not svg.same_picture(first, drawing(lines("#123456", "#654322")))
    assert not svg.same_picture(first, drawing(lines("#123456")))
    assert not svg.same_picture(first, "<svg")
    assert not svg.same_picture("", first)


def test_a_gap_in_a_curve_is_seen():
    whole = '<svg viewBox="0 0 9 9"><path d="M 0 0 L 50 0 L 100 0"/></svg>'
    assert svg.same_picture(whole, '<svg viewBox="0 0 9 9"><path d="M 0 0 L 100 0"/></svg>')
    assert not svg.same_picture(whole, '<svg viewBox="0 0 9 9"><path d="M 0 0 L 50 0 M 60 0 L 100 0"/></svg>')


# --- files --------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    """A project of three claims: one draws, one's figure raises, one has none."""

    def write(slug, figure):
        path = tmp_path / "claims" / "paper" / f"{slug}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(MODULE + figure).replace("{slug}", slug))

    rows = "".join(
        f"""
      {slug}: {{title: A title, kind: theorem, source: Theorem 1, known: exact, priority: core}}"""
        for slug in ("good", "broken", "bare")
    )
    (tmp_path / "paper_map.yaml").write_text(
        f"""papers:
  paper:
    title: A paper
    authors: [A]
    year: 2024
    arxiv: "2401.00001"
    summary: A summary.
    assumptions: {{}}
    not_checkable: []
    claims:{rows}
"""
    )
    for slug, figure in (("good", FIGURE), ("broken", BROKEN), ("bare", "")):
        write(slug, figure)
    for package in ("claims", "claims/paper"):
        (tmp_path / package / "__init__.py").touch()
    return SimpleNamespace(root=tmp_path, store=Store(tmp_path), write=write)


def suite_of(project):
    """The project as a new process would see it."""
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "claims"]:
        del sys.modules[name]
    return verify.load(project.root)


def run(project, slug, **parameters):
    """Stores evidence as current, whatever parameters it was made with."""
    suite = suite_of(project)
    evidence = evaluate(suite.claims[f"paper/{slug}"], **parameters)
    evidence.data["key"] = Keys(suite.map).evidence(f"paper/{slug}", 0, "quick")
    project.store.write(Task(f"paper/{slug}"), evidence)


def states(project, *patterns, **options):
    drawn = figures.write_figures(suite_of(project), project.store, patterns, **options)
    return {one.claim_id.partition("/")[2]: one.state for one in drawn}


def test_written_once_then_unchanged_without_drawing(project, monkeypatch):
    run(project, "good")
    assert states(project, "paper/good", check=True) == {"good": MISSING}
    assert not (project.root / "figures").exists()
    assert states(project, "paper/good") == {"good": WRITTEN}
    monkeypatch.setattr(plot, "draw", lambda *_: pytest.fail("drew what is unchanged"))
    assert states(project, "paper/good") == {"good": UNCHANGED}
    assert states(project, "paper/good", check=True) == {"good": UNCHANGED}


def test_rewritten_only_if_something_visible_changed(project):
    path = project.root / "figures" / "paper" / "good.svg"
    run(project, "good")
    states(project, "paper/good")
    before = path.read_bytes()
    project.write("good", FIGURE.replace('"upper right"', '"upper right", borderaxespad=0.52'))
    run(project, "good", share=0.8001)
    assert states(project, "paper/good") == {"good": UNCHANGED}
    assert path.read_bytes() == before
    run(project, "good", share=0.5)
    project.store.path(Task("paper/good")).with_name("figure.json").write_text("{ damaged")
    assert states(project, "paper/good", check=True) == {"good": DIFFERS}
    assert path.read_bytes() == before
    assert states(project, "paper/good") == {"good": WRITTEN}
    changed = path.read_bytes()
    assert changed != before
    path.write_bytes(changed[:500])
    assert states(project, "paper/good") == {"good": WRITTEN}
    assert path.read_bytes() == changed


def test_one_failure_does_not_keep_others_from_being_drawn(project):
    for slug in ("good", "broken", "bare"):
        run(project, slug)
    told = []
    assert states(project, watch=told.append) == {"good": WRITTEN, "broken": FAILED, "bare": NO_FIGURE}
    failed = next(one for one in told if one.state == FAILED)
    line = (project.root / "claims/paper/broken.py").read_text().splitlines().index(
        '    raise ValueError("no such curve")'
    ) + 1
    assert failed.message == f"claims/paper/broken.py:{line} in draw: ValueError: no such curve"
    assert [one.is_bad for one in told] == [False, True, False]


def test_missing_and_stale_evidence_is_named(project):
    run(project, "good")
    project.write("bare", "")
    run(project, "bare")
    project.write("bare", "\n    LATER = 1\n")
    told = []
    assert states(project, watch=told.append) == {"good": WRITTEN, "broken": NO_EVIDENCE, "bare": NO_EVIDENCE}
    assert told[1].message == "its evidence is missing: verify run paper/broken"
    assert told[2].message == "its evidence is stale: verify run paper/bare"


def test_no_evidence_at_all_is_a_setup_error(project):
    with pytest.raises(verify.SetupError, match="verify run paper/good"):
        states(project, "paper/good")
