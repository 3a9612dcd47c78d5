r"""Compared item by item with a clean solver, memorisation shows whatever the drift of difficulty.

Let solver s be right on problem i with probability $1/(1 + e^{d_i - \theta_s})$, independently, the difficulties $d_i$ being
arbitrary. If exactly one of the solvers A and B is right on a problem, it is A with probability

$$\frac{e^{\theta_A}}{e^{\theta_A} + e^{\theta_B}} ,$$

whatever $d_i$. So among these problems Fisher's test, A's wins and B's wins before the cutoff against those after it, has
size at most $\alpha$ under every drift of difficulty. It finds problems that A has memorised whatever the drift, as long as
B has memorised none; the test of A's accuracy alone does neither.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, equal, exact, less, plot, statistics

from . import world

claim = Claim("aops-contamination/difficulty-proof-detector", full={"worlds": 4_000})
DRIFTS = (-0.8, 0.0, 0.4)  # how much harder the problems after the cutoff are
BEFORE, AFTER = 600, 400
ABILITIES = ((Fraction(1, 3), Fraction(1, 2)), (Fraction(1), Fraction(1)), (Fraction(9), Fraction(1, 9)))
DIFFICULTIES = (Fraction(1, 1000), Fraction(1, 4), Fraction(1), Fraction(3), Fraction(1000))


@claim.instance
def odds(rng, draws=20):
    """Triples (e^theta_A, e^theta_B, e^d): extremal ones, then random ones."""
    drawn = [tuple(Fraction(int(n), 20) for n in row) for row in rng.integers(1, 200, size=(draws, 3))]
    return [(a, b, d) for a, b in ABILITIES for d in DIFFICULTIES] + drawn


@claim.instance
def discordant(rng):
    """Numbers of problems, before and after, on which exactly one solver is right."""
    return [(3, 3), (60, 40), (40, 60), *((int(a), int(b)) for a, b in rng.integers(20, 90, size=(3, 2)))]


@claim.reference
def level():
    """alpha, 5 per cent."""
    return exact(Fraction(1, 20))


@claim.reference
def share(odds):
    """e^theta_A / (e^theta_A + e^theta_B)."""
    return exact([a / (a + b) for a, b, _ in odds])


@claim.run
def wins(odds, guessed=0):
    """P(A is right and B wrong) over P(exactly one is right), from the four outcomes on one problem."""

    def share(a, b, d):
        first, second = (guessed + (1 - guessed) * x / (x + d) for x in (a, b))
        only_first, only_second = first * (1 - second), (1 - first) * second
        return only_first / (only_first + only_second)

    return exact([share(*triple) for triple in odds])


@claim.run
def sizes(discordant, mid=0):
    """Probability of rejection given every total of A's wins, all pairs in a row."""
    tests = [(world.fisher_limits(*ns, mid=mid), ns) for ns in discordant]
    return exact([size for limits, ns in tests for size in world.conditional_sizes(limits, *ns)])


@claim.run
def alarms(rng, worlds=800, memorised=0.1, earlier=1):
    """In how many worlds the tests reject, for every drift: {who has memorised: {test: counts (drifts,)}}.

    earlier: 1 if the problems that B has memorised are earlier ones as well, 0 if they are newer ones.
    """
    shares = {  # of the earlier and of the newer problems
        "nobody": ((0, 0), (0, 0)),
        "solver": ((memorised, 0), (0, 0)),
        "both": ((memorised, earlier * memorised), (0, (1 - earlier) * memorised)),
    }
    found = {}
    for who, share in shares.items():
        each = [alarms_of(rng, worlds, drift, share) for drift in DRIFTS]
        found[who] = {test: np.array([counts[test] for counts in each]) for test in each[0]}
    return found


def alarms_of(rng, worlds, drift, shares):
    """{test: number of worlds with p <= 0.05}; shares: what A and B have memorised before and after the cutoff."""
    tables = [
        answers(rng, (worlds, BEFORE), 0.0, shares[0]),
        answers(rng, (worlds, AFTER), drift, shares[1]),
    ]
    by_wins = [((first & ~second).sum(axis=1), (first ^ second).sum(axis=1)) for first, second in tables]
    by_accuracy = [(first.sum(axis=1), first.shape[1]) for first, _ in tables]
    return {"wins": rejections(*by_wins), "accuracy": rejections(*by_accuracy)}


def answers(rng, shape, harder, shares):
    """Right answers (worlds, problems) of A and of B."""
    difficulty = rng.normal(harder, 1, size=shape)
    found = []
    for theta, memorised in zip((-1.0, -0.6), shares, strict=True):
        right = rng.random(shape) < world.accuracy(theta, difficulty)
        found.append(right | (rng.random(shape) < memorised) if memorised else right)
    return found


def rejections(before, after):
    """How often Fisher's p-value is at most 0.05, the samples being (right answers, problems) of many worlds."""
    from scipy.stats import hypergeom

    (x1, n1), (x2, n2) = before, after
    return int((hypergeom.sf(x1 - 1, n1 + n2, n1, x1 + x2) <= 0.05).sum())


@claim.measurement
def rates(alarms, worlds, test="wins"):
    """Record(nobody, solver, both): probabilities of an alarm, (drifts,) each."""
    return Record(**{who: statistics.proportion(counts[test], worlds) for who, counts in alarms.items()})


@claim.check("share-of-wins")
def share_of_wins(wins, share, odds):
    return equal(wins, share, difficulty=[float(d) for *_, d in odds])


@claim.check("size")
def size(sizes, level, discordant):
    names = [f"{a}, {b}: {m}" for a, b in discordant for m in range(a + b + 1)]
    return at_most(sizes, level, problems_and_total=names)


@claim.check("clean-solvers")
def clean_solvers(rates, level):
    """At most the level as far as the simulation resolves."""
    return at_most(rates.nobody, level, within=rates.nobody.gap(each=True), drift=DRIFTS)


@claim.check("memorising-solvers")
def memorising_solvers(rates, level):
    return less(level, rates.solver, drift=DRIFTS)


@claim.check("clean-reference")
def clean_reference(rates):
    """More alarms against a clean solver B than against one that has memorised as much."""
    return less(rates.both, rates.solver, drift=DRIFTS)


claim.control("one answer in ten guessed", guessed=Fraction(1, 10), must_fail="share-of-wins")
claim.control("mid-p test", mid=Fraction(1, 2), must_fail="size")
claim.control("accuracy of A alone, clean", test="accuracy", must_fail="clean-solvers")
claim.control("accuracy of A alone, memorised", test="accuracy", must_fail="memorising-solvers")
claim.control("B has memorised newer problems", earlier=0, worlds=400, must_fail="clean-reference")


@claim.figure
def draw(figure, evidence):
    panels = plot.panel_grid(figure, ["against a clean solver", "accuracy alone"], sharey=True)
    both = ("memorising-solvers", "clean-solvers")
    own = [
        evidence.curve(check).measured if check == both[1] else evidence.curve(check).bound for check in both
    ]
    controls = ("accuracy of A alone, memorised", "accuracy of A alone, clean")
    plain = [evidence.curve(check, control=name) for check, name in zip(both, controls, strict=True)]
    for panel, values in zip(panels, (own, [plain[0].bound, plain[1].measured]), strict=True):
        for value, label, color in zip(values, ("a tenth memorised", "clean"), plot.COLORS, strict=False):
            width = (value.upper - value.lower) / 2
            middle = (value.upper + value.lower) / 2
            panel.errorbar(DRIFTS, middle, yerr=width, fmt="o", color=color, label=label)
            panel.plot(DRIFTS, middle, color=color, linewidth=0.8, linestyle="-")
        panel.axhline(0.05, color=plot.INK, **plot.BOUND)
        panel.set(xlabel="drift of difficulty", ylim=(0, 1.03))
    panels[0].set_ylabel("alarms")
    plot.legend(panels, bound="level")
