r"""Where the model fails it copies from the shortcut's positions: the pseudo trigger's, or the leftmost one.

The training of Figure 3 with lengths $\ell_{min} .. \ell_{max}$; a test sequence has unequal subtexts $\ell_1 \ne \ell_2$, and
$\bar\ell = (\ell_1 + \ell_2) / 2$. Of the wrong answers

- most are the token at $\bar\ell + 2$, where the output would stand in a training sequence of the same length (a
  *pseudo trigger* before it), or at $\ell_{min} + 2$ (*leftmost*), or right of these: at $\bar\ell + 3$ or $\ell_{min} + 3$;
- both rates, of pseudo-trigger and of leftmost errors among all tests, fall as $\ell_{max}$ grows.

---
The right neighbours have the same shortcut score, because the token after the output has the output before it. A
wrong answer that copied from a random position would be among the four tokens much less often.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from verify import Claim, Record, exact, less, plot, statistics

from . import world

claim = Claim("induction-head-transition/error-modes", full={"tests": 16384})


@claim.instance
def cells():
    """Training lengths (shortest, longest) of cells that fail often, and less often."""
    return (14, 15), (12, 15), (8, 11), (5, 8), (3, 5), (3, 9)


@claim.instance
def widening():
    """Cells with one shortest length and a growing longest one."""
    return (3, 5), (3, 7), (3, 9)


@dataclass(frozen=True)
class Tested:
    """The answers (M,) of one model to its test sequences, and the shortest of its training lengths."""

    batch: Record
    answer: np.ndarray
    shortest: int


def tested(rng, cell, triggers, vocabulary, samples, tests):
    model = world.figure_3_model(rng, triggers, *cell, vocabulary, samples)
    batch = world.unequal_test(rng, *cell, tests, vocabulary, triggers)
    return Tested(batch, world.answers(*model, batch), cell[0])


@claim.run
def failures(rng, cells, triggers=4, vocabulary=64, samples=8192, tests=4096):
    """One trained model a cell, with its answers."""
    return [tested(rng, cell, triggers, vocabulary, samples, tests) for cell in cells]


@claim.run
def widened(rng, widening, triggers, vocabulary, samples, tests):
    return [tested(rng, cell, triggers, vocabulary, samples, tests) for cell in widening]


def token_at(run, places):
    """The tokens at positions 1.. of each sequence; places: an array (M,) or one number."""
    places = np.broadcast_to(places, len(run.answer))
    return run.batch.tokens[np.arange(len(places)), places - 1]


def copied(run, offsets):
    """Whether an answer is wrong and the token that far behind l bar, behind l_min: two arrays (M,)."""
    wrong = run.answer != run.batch.output
    middle = (run.batch.length - 3) // 2
    return tuple(
        wrong & np.any([run.answer == token_at(run, start + offset) for offset in offsets], axis=0)
        for start in (middle, run.shortest)
    )


@claim.measurement
def explained(failures, offsets=(2, 3)):
    """The share of wrong answers that are one of the four tokens, for every cell."""
    wrong = [np.count_nonzero(run.answer != run.batch.output) for run in failures]
    found = [np.count_nonzero(np.logical_or(*copied(run, offsets))) for run in failures]
    return statistics.proportion(found, wrong)


@claim.measurement
def rates(widened):
    """Record(pseudo, leftmost): how often tests end so, for every cell."""
    counts = np.array([[np.count_nonzero(kind) for kind in copied(run, (2,))] for run in widened])
    tests = len(widened[0].answer)
    pseudo, leftmost = (statistics.proportion(column, tests) for column in counts.T)
    return Record(pseudo=pseudo, leftmost=leftmost)


@claim.check("most-errors-are-copies")
def most(explained, cells, half=Fraction(1, 2)):
    return less(exact(half), explained, shortest=[a for a, _ in cells], longest=[b for _, b in cells])


@claim.check("pseudo-trigger-errors-fall")
def pseudo_falls(rates):
    return less(rates.pseudo[1:], rates.pseudo[:-1])


@claim.check("leftmost-errors-fall")
def leftmost_falls(rates):
    return less(rates.leftmost[1:], rates.leftmost[:-1])


def copied_at_random(failures, rng):
    """The same runs, each wrong answer replaced by the token at a random other position that is not the output."""
    result = []
    for run in failures:
        wrong, tokens = run.answer != run.batch.output, run.batch.tokens
        allowed = np.arange(tokens.shape[1]) < run.batch.length[:, None]
        allowed &= tokens != run.batch.output[:, None]
        chosen = np.where(allowed, rng.random(tokens.shape), -1).argmax(axis=1)
        answer = np.where(wrong, tokens[np.arange(len(tokens)), chosen], run.answer)
        result.append(replace(run, answer=answer))
    return result


claim.control("copied from random positions", failures=copied_at_random, must_fail="most-errors-are-copies")
claim.control("positions two further", offsets=(4, 5), must_fail="most-errors-are-copies")
claim.control("the right neighbours alone", offsets=(3,), must_fail="most-errors-are-copies")
claim.control(
    "range that starts later", widening=lambda: ((3, 5), (12, 15)), must_fail="pseudo-trigger-errors-fall"
)
claim.control("narrower range", widening=lambda: ((3, 5), (14, 15)), must_fail="leftmost-errors-fall")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["errors that are copies", "rates, $\\ell_{min} = 3$"])
    explained = evidence.of("explained")
    random = evidence.of("explained", control="copied from random positions")
    names = [f"{a} to {b}" for a, b in evidence.of("cells")]
    plot.bars_with_intervals(left, names, [explained[i] for i in range(len(names))])
    for y in range(len(names)):
        left.plot(random[y].middle, y, "x", color=plot.CONTROL["color"], label="control: random position")
    left.set(xlim=(0, 1.02), xlabel="share of wrong answers", ylabel="training lengths")
    rates, longest = evidence.of("rates"), [b for _, b in evidence.of("widening")]
    for values, label in ((rates.pseudo, "pseudo trigger"), (rates.leftmost, "leftmost")):
        plot.curve_with_bound(right, longest, values, label=label, marker="o", markersize=3)
    right.set(xlabel=r"$\ell_{max}$", ylim=(0, None))
    plot.legend([left, right])
