r"""The paper's Figure 3 is one more draw of the experiment that it describes: Algorithm 1 on 8192 sequences.

Training lengths are uniform on $\ell_{min} .. \ell_{max}$, the learning rates $\eta_V = 10^3$ and
$\eta_{KQ} = 10^4$, and both steps use the same samples. Test sequences have unequal subtexts:
$\ell$ uniform on $\ell_{min} + 1 .. \ell_{max}$, $\ell_1$ uniform on $1 .. 2\ell - 1$ without $\ell$, and
$\ell_2 = 2\ell - \ell_1$. For $N_{trg} = 4$ the mean accuracy that the paper prints for some cells, and the root mean
square distance of its numbers from ours, lie where one more of our own replicates would. With 8 triggers, by the
same code, fewer test sequences are answered.

---
The size of the vocabulary is not printed with the figure; 64 was inferred from it. Half as many tokens move the
cells by less than the prediction intervals resolve, and are recorded only. The cells that are compared spread over
the lower lengths, where training is cheap; near the transition one varies by 2 to 5 points from draw to draw.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, at_most, exact, less, plot, statistics

from . import world

claim = Claim("induction-head-transition/figure-3-reproduction", full={"replicates": 40, "tests": 4096})

# rows l_min = 3, 4, .., 14, columns l_max = l_min + 1 .. 15, in per cent, for 4 triggers
PRINTED = """
25.0 24.4 33.9 71.2 88.1 95.2 95.1 99.1 100 99.9 100 99.6
19.6 21.0 27.4 64.4 88.4 93.9 95.4 100 98.9 100 100
16.7 19.6 22.9 64.6 88.0 93.6 100 98.8 100 100
11.6 13.7 22.9 61.4 85.9 97.4 100 100 100
11.1 13.1 20.4 50.9 86.5 98.4 100 98.5
11.0 10.4 18.9 48.1 90.8 100 100
8.7 7.8 14.4 54.7 91.2 100
7.9 9.5 13.1 43.4 88.5
9.7 9.7 16.3 42.7
9.3 9.5 11.7
7.0 6.4
6.7
"""
ALL = tuple((shortest, longest) for shortest in range(3, 15) for longest in range(shortest + 1, 16))
PAPER = dict(zip(ALL, (Fraction(x) / 100 for x in PRINTED.split()), strict=True))


@claim.instance
def compared():
    """Cells over the lower lengths, where training is cheap."""
    return (3, 5), (3, 7), (4, 6), (5, 7), (5, 9), (6, 9), (7, 8), (9, 10)


@claim.reference
def printed(compared):
    """What the paper prints for the cells that are compared."""
    return exact([PAPER[cell] for cell in compared])


@claim.run
def replicate(rng, compared, triggers=4, vocabulary=64, samples=8192, tests=1024, replicates=16):
    """Our own accuracies (replicates, cells)."""
    return np.array(
        [
            [world.figure_3_accuracy(rng, triggers, *cell, vocabulary, samples, tests) for cell in compared]
            for _ in range(replicates)
        ]
    )


@claim.run
def table(rng, triggers, vocabulary, samples, tests, cells=ALL):
    """One draw of the whole table."""
    return np.array(
        [world.figure_3_accuracy(rng, triggers, *cell, vocabulary, samples, tests) for cell in cells]
    )


@claim.run
def table_of_more(rng, vocabulary, samples, tests, cells, more=8):
    """The same with more triggers."""
    return np.array([world.figure_3_accuracy(rng, more, *cell, vocabulary, samples, tests) for cell in cells])


@claim.measurement
def predicted_mean(replicate):
    return statistics.prediction(replicate.mean(axis=1))


@claim.measurement
def predicted_distance(replicate):
    """Of the root mean square distance between one draw and the mean of the others."""
    others = (replicate.sum(axis=0) - replicate) / (len(replicate) - 1)
    return statistics.prediction(np.sqrt(((replicate - others) ** 2).mean(axis=1)))


@claim.measurement
def answered(table, table_of_more, tests):
    """The share of test sequences that are answered, over all cells, by these models: (fewer, more) triggers."""
    return tuple(
        statistics.proportion(round(float(each.sum()) * tests), tests * len(each))
        for each in (table, table_of_more)
    )


def inside(value, prediction):
    """Whether a number lies in a prediction interval: twice its distance from the middle is at most the width."""
    return at_most(2 * abs(value - prediction.middle), prediction.gap())


@claim.check("mean-accuracy")
def mean_accuracy(printed, predicted_mean):
    return inside(printed.sum() / len(printed), predicted_mean)


@claim.check("distance-from-the-mean")
def distance(printed, replicate, predicted_distance):
    square = ((printed - replicate.mean(axis=0)) ** 2).sum() / len(printed)
    return inside(square.sqrt(), predicted_distance)


@claim.check("more-triggers-answer-less")
def more_triggers(answered):
    return less(answered[1], answered[0])


def drawn(rng, compared, samples, tests, other_triggers=4, other_vocabulary=64, later=0):
    """A table that was made in another world, its lengths up to `later` more."""
    return exact(
        [
            Fraction(
                world.figure_3_accuracy(
                    rng, other_triggers, first, last + later, other_vocabulary, samples, tests
                )
            )
            for first, last in compared
        ]
    )


claim.control("5 triggers", printed=drawn, other_triggers=5, must_fail="distance-from-the-mean")
claim.control("16 tokens", printed=drawn, other_vocabulary=16, must_fail="mean-accuracy")
claim.control("lengths up to one more", printed=drawn, later=1, must_fail="mean-accuracy")
claim.control(
    "2 triggers in place of 8", more=2, cells=((3, 5), (3, 7), (4, 6)), must_fail="more-triggers-answer-less"
)
claim.ablation("32 tokens", printed=drawn, other_vocabulary=32, check="mean-accuracy")


@claim.figure
def draw(figure, evidence):
    titles = ["4 triggers, paper", "4 triggers, ours", "8 triggers, ours", "paper against ours"]
    panels = plot.panel_grid(figure, titles)
    ours, more = evidence.of("table"), evidence.of("table_of_more")
    paper = np.array([float(PAPER[cell]) for cell in ALL])
    lowest, highest = np.array(ALL).T
    for panel, values in zip(panels, (paper, ours, more), strict=False):
        grid = np.full((12, 12), np.nan)
        grid[lowest - 3, highest - 4] = 100 * values
        cells = panel.pcolormesh(
            np.arange(4, 17) - 0.5, np.arange(3, 16) - 0.5, grid, cmap="Blues", vmin=0, vmax=100
        )
        panel.set(xlabel=r"$\ell_{max}$", xticks=range(4, 16, 2), yticks=range(3, 15, 2))
        panel.grid(visible=False)
        panel.invert_yaxis()
        panel.set_ylabel(r"$\ell_{min}$")
    figure.colorbar(cells, ax=[panels[1], panels[3]], label="accuracy (%)")
    rival = 100 * evidence.of("printed", control="16 tokens").middle
    mean = 100 * evidence.of("replicate").mean(axis=0)
    panels[3].plot(100 * ours, 100 * paper, "o", markersize=3, label="78 cells")
    panels[3].plot(mean, rival, "x", color=plot.CONTROL["color"], markersize=4, label="control: 16 tokens")
    panels[3].plot([0, 100], [0, 100], color=plot.INK, **plot.BOUND)
    panels[3].set(xlabel="ours (%)", ylabel="paper (%)")
    plot.legend(panels)
