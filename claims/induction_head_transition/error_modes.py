r"""Where the model fails it copies what the pseudo trigger's next position holds: its token, or the one before.

The training of Figure 3 with lengths $\ell_{min} .. \ell_{max}$; a test sequence has unequal subtexts $\ell_1 \ne \ell_2$, and
$\bar\ell = (\ell_1 + \ell_2) / 2$. The output of a training sequence of the same length stands at $\bar\ell + 2$, behind a
*pseudo trigger* at $\bar\ell + 1$. Of the wrong answers

- nearly all are the token at $\bar\ell + 2$ or at $\bar\ell + 1$;
- those at $\ell_{min} + 2$, *leftmost* for every length, are mostly the latter: they come where $\bar\ell = \ell_{min} + 1$;
- both rates, of pseudo-trigger errors, at $\bar\ell + 2$, and of leftmost ones among all tests, fall as $\ell_{max}$ grows.

---
$x_{\bar\ell + 2}$ holds both tokens, one as the previous token, and $W_V$ copies the two alike. A wrong answer that copied from
a random position would be one of the two much less often.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from verify import Claim, Record, exact, less, plot, stated, statistics

from . import world

claim = Claim("induction-head-transition/error-modes", full={"tests": 16384})


@claim.instance
def cells():
    """Training lengths (shortest, longest) of cells that fail often, and less often."""
    return (14, 15), (12, 15), (8, 11), (5, 8), (3, 5), (3, 7)


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


def wrong(run):
    return run.answer != run.batch.output


def middle(run):
    """l bar of each sequence, (M,)."""
    return (run.batch.length - 3) // 2


def copied(run, start, *offsets):
    """Whether an answer is wrong and one of the tokens that far behind the start, (M,)."""
    return wrong(run) & np.any([run.answer == token_at(run, start + offset) for offset in offsets], axis=0)


@claim.measurement
def explained(failures, offsets=(1, 2)):
    """The share of wrong answers that are one of the two tokens, for every cell."""
    all_wrong = [np.count_nonzero(wrong(run)) for run in failures]
    found = [np.count_nonzero(copied(run, middle(run), *offsets)) for run in failures]
    return statistics.proportion(found, all_wrong)


@claim.measurement
def coincident(failures, behind=1):
    """The share of leftmost errors where l bar is so far behind l_min, for every cell."""
    leftmost = [copied(run, run.shortest, 2) for run in failures]
    there = [middle(run) == run.shortest + behind for run in failures]
    found = [np.count_nonzero(each & near) for each, near in zip(leftmost, there, strict=True)]
    return statistics.proportion(found, [np.count_nonzero(each) for each in leftmost])


@claim.measurement
def rates(widened):
    """Record(pseudo, leftmost): how often tests end so, for every cell."""
    tests = len(widened[0].answer)
    pseudo = [np.count_nonzero(copied(run, middle(run), 2)) for run in widened]
    leftmost = [np.count_nonzero(copied(run, run.shortest, 2)) for run in widened]
    return Record(
        pseudo=statistics.proportion(pseudo, tests), leftmost=statistics.proportion(leftmost, tests)
    )


@claim.check("nearly-all-errors-are-copies")
def nearly_all(explained, cells):
    most = stated(Fraction(9, 10), "what nearly all means")
    return less(most, explained, shortest=[a for a, _ in cells], longest=[b for _, b in cells])


@claim.check("leftmost-errors-coincide")
def coincide(coincident, cells, half=Fraction(1, 2)):
    return less(exact(half), coincident, shortest=[a for a, _ in cells], longest=[b for _, b in cells])


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
        tokens = run.batch.tokens
        allowed = np.arange(tokens.shape[1]) < run.batch.length[:, None]
        allowed &= tokens != run.batch.output[:, None]
        chosen = np.where(allowed, rng.random(tokens.shape), -1).argmax(axis=1)
        answer = np.where(wrong(run), tokens[np.arange(len(tokens)), chosen], run.answer)
        result.append(replace(run, answer=answer))
    return result


COPIES = "nearly-all-errors-are-copies"
claim.control("copied from random positions", failures=copied_at_random, must_fail=COPIES)
claim.control("positions one further", offsets=(2, 3), must_fail=COPIES)
claim.control("the pseudo trigger's next alone", offsets=(2,), must_fail=COPIES)
claim.control("one length further", behind=2, must_fail="leftmost-errors-coincide")
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
