r"""What the removal of texts that share ten consecutive words with a benchmark guarantees, and what it does not.

A text is caught if any n of its consecutive words, lower-cased and split at white space, occur in a benchmark.

- (i) A text that shares a run of at least n words with a benchmark is caught, whatever stands around it.
- (ii) A copy of L words escapes after $\lfloor L / n \rfloor$ words, suitably chosen, have been altered into words that
  the benchmark lacks, and not after fewer; one of L < n words escapes as it is.
- (iii) If every word is altered independently with probability r, a copy of L words is caught with the probability
  that L trials of success probability $1 - r$ have a run of n successes, the chance of ending in state n of

$$\Pr(s_{t+1} = s + 1) = 1 - r, \qquad \Pr(s_{t+1} = 0) = r \quad (s < n), \qquad s_0 = 0 .$$

---
(ii) and (iii) are found by running the filter on every set of altered words. Words are what white space separates: a formula
written with other spaces is another text, as a control shows.
"""

from fractions import Fraction
from itertools import combinations

import numpy as np

from verify import Claim, Record, equal, exact, plot

from . import world

claim = Claim("aops-contamination/ngram-decontamination", full={"copies": 500, "longest": 14})
WINDOW = 10  # the repository's n
RATES = tuple(Fraction(i, 20) for i in range(11))
COPIES = ((11, 2), (12, 3), (11, 4), (13, WINDOW))  # (L, n) for (iii)
SHOWN = (20, 40, 80)  # L of the figure's curves, n = 10
VOCABULARY = 500


def words(rng, count):
    return [f"word{i}" for i in rng.integers(VOCABULARY, size=count)]


# --- (i) ----------------------------------------------------------------------------------------------------


@claim.instance
def shared(rng, copies=60):
    """Pairs (text, benchmark) that share a run of WINDOW words or a few more; the first is a problem with a formula."""
    problem = "Find all real numbers x such that x^2+3x=4 holds and x-1>0 or show that there are none"
    pairs = [(problem, problem), (problem.upper(), problem)]
    for _ in range(copies):
        run = words(rng, WINDOW + rng.integers(4))
        text, benchmark = (
            [*words(rng, rng.integers(8)), *run, *words(rng, rng.integers(8))] for _ in range(2)
        )
        pairs.append((" ".join(text).title(), "  ".join(benchmark)))
    return pairs


@claim.run
def caught(shared):
    """1 for every text that the filter catches."""
    return exact(
        [int(world.is_caught(text, ["another text", benchmark], WINDOW)) for text, benchmark in shared]
    )


@claim.check("copies-are-caught")
def copies_are_caught(caught):
    return equal(caught, exact(1))


# --- (ii) ---------------------------------------------------------------------------------------------------


@claim.instance
def lengths(longest=11):
    """Pairs (L, n)."""
    return [(L, n) for n in (2, 3, 4, 5) for L in range(1, longest + 1)]


@claim.reference
def fewest(lengths):
    return exact([L // n for L, n in lengths])


@claim.run
def fewest_found(lengths):
    """The least number of altered words of a copy that the filter lets pass, by trying all."""
    found = []
    for L, n in lengths:
        sets = (chosen for count in range(L + 1) for chosen in combinations(range(L), count))
        found.append(len(next(chosen for chosen in sets if not is_caught_altered(L, n, chosen))))
    return exact(found)


def is_caught_altered(L, n, chosen):
    """Whether a copy of L words is caught after the chosen ones have been altered."""
    original = [f"word{i}" for i in range(L)]
    copy = ["altered" if i in chosen else word for i, word in enumerate(original)]
    return world.is_caught(" ".join(copy), [" ".join(original)], n)


@claim.check("fewest-alterations")
def fewest_alterations(fewest_found, fewest, lengths):
    return equal(fewest_found, fewest, L=[L for L, _ in lengths], n=[n for _, n in lengths])


# --- (iii) --------------------------------------------------------------------------------------------------


@claim.reference
def chance(kept=1):
    """Record(exactly (copies, rates); curves for the figure); `kept`: factor on the rate 1 - r of the words kept."""
    rows = [[run_probability(L, n, 1 - kept * (1 - r)) for r in RATES] for L, n in COPIES]
    curves = [[float(run_probability(L, WINDOW, r)) for r in RATES] for L in SHOWN]
    return Record(exactly=exact(rows), curves=np.array(curves))


def run_probability(L, n, r):
    """Chance of a run of n successes in L trials of success probability 1 - r."""
    state = [Fraction(1)] + [Fraction(0)] * n
    for _ in range(L):
        state = [
            r * sum(state[:n]),
            *((1 - r) * s for s in state[: n - 1]),
            state[n] + (1 - r) * state[n - 1],
        ]
    return state[n]


@claim.run
def caught_sets():
    """How many sets of 0, 1, ... L altered words are caught, for every (L, n)."""
    return [
        [
            sum(is_caught_altered(L, n, set(chosen)) for chosen in combinations(range(L), e))
            for e in range(L + 1)
        ]
        for L, n in COPIES
    ]


@claim.measurement
def chance_found(caught_sets):
    rows = [
        [sum(count * r**e * (1 - r) ** (L - e) for e, count in enumerate(counts)) for r in RATES]
        for counts, (L, _) in zip(caught_sets, COPIES, strict=True)
    ]
    return exact(rows)


@claim.check("chance-of-being-caught")
def chance_of_being_caught(chance_found, chance):
    pairs = [[f"{L}, {n}"] for L, n in COPIES]
    return equal(chance_found, chance.exactly, L_and_n=pairs, rate=[float(r) for r in RATES])


# --- controls -----------------------------------------------------------------------------------------------


def spaced(shared):
    """The same problem, its formulas written with spaces."""
    text, benchmark = shared[0]
    return [(text.replace("+", " + ").replace("=", " = ").replace("-", " - "), benchmark), *shared[1:]]


claim.control("formula with other spaces", shared=spaced, must_fail="copies-are-caught")


def one_word_less(shared):
    """The shared run is one word too short."""
    return [(" ".join(world.words(benchmark)[: WINDOW - 1]), benchmark) for _, benchmark in shared]


claim.control("nine words in common", shared=one_word_less, must_fail="copies-are-caught")
claim.control(
    "floor((L - 1) / n)", fewest=lambda lengths: exact([(L - 1) // n for L, n in lengths]),
    must_fail="fewest-alterations",
)  # fmt: skip
claim.control("words kept 10% less often", kept=Fraction(9, 10), must_fail="chance-of-being-caught")


def windows_independent():
    """As if the L - n + 1 windows survived independently."""
    rows = [[1 - (1 - (1 - r) ** n) ** (L - n + 1) for r in RATES] for L, n in COPIES]
    return Record(exactly=exact(rows))


claim.control("windows taken as independent", chance=windows_independent, must_fail="chance-of-being-caught")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["a copy that escapes", f"caught, $n$ = {WINDOW}"])
    curve, control = (
        evidence.curve("fewest-alterations"),
        evidence.curve("fewest-alterations", control="floor((L - 1) / n)"),
    )
    L, n = np.asarray(curve.L), np.asarray(curve.n)
    for value, color in zip((2, 3, 5), plot.COLORS, strict=False):
        own = n == value
        left.plot(L[own], curve.bound.middle[own], color=color, **plot.BOUND)
        left.plot(L[own], curve.measured.middle[own], "o", color=color, label=f"$n$ = {value}")
    own = n == 3
    left.plot(L[own], control.bound.middle[own], label="control, $n$ = 3", **plot.CONTROL)
    left.set(xlabel="words of the copy $L$", ylabel="fewest altered words", xticks=range(1, 12, 2))
    chances = evidence.curve("chance-of-being-caught")
    rate = np.asarray(chances.rate)
    right.plot(rate, chances.measured.middle[-1], "o", color=plot.COLORS[0], label="$L$ = 13, all sets")
    right.plot(rate, chances.bound.middle[-1], color=plot.COLORS[0], **plot.BOUND)
    for length, values, color in zip(SHOWN, evidence.of("chance").curves, plot.COLORS[1:], strict=False):
        right.plot(rate, values, label=f"$L$ = {length}", color=color, **plot.BOUND)
    right.set(xlabel="altered with probability $r$", ylim=(0, 1.03))
    plot.legend(left, bound=r"$\lfloor L/n \rfloor$")
    plot.legend(right)
