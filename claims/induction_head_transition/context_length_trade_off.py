r"""More lengths lower the max-sum ratio exponentially more slowly than longer ones do.

Uniform on $\ell_0, .., \ell_0 + K - 1$, the max-sum ratio is
$R(\ell_0, K) = \ell_0^{-1} / \sum_{k < K} (\ell_0 + k)^{-1}$: it decreases in K and in $\ell_0$. Let $K(\ell_0, s)$ be
the least K with $R(\ell_0, K) \le 1/s$. By width, from $\ell_0 = 1$, it is the integer nearest to an exponential; by
shifting, to $\ell_0 = n \ge 2$, it is known but for little more than 1: with Euler's constant $\gamma_E$,

$$|K(1, s) - x| < \frac12 , \quad x = e^{s - \gamma_E - 1 / (24 K^2)} , \qquad
y < K(n, s) + n - \frac12 < 1 + e^{1 / (24 (n - 1)^2)}\, y , \quad y = \Big( n - \frac12 \Big) e^{s / n} .$$

The mean squared length is between the values of

$$f(\ell_0, K) = \ell_0^2 + \ell_0 (K - 1) + \frac{(K - 1) (2 K - 1)}{6}$$

at these bounds of K. For $s = n = N_{trg}$, where $q_l = 2 l / n (n + 1)$, $l \le n$, has the ratio 1/n and costs no more
than $n (n + 1) / 2$, it is exponential by width, about $x^2 / 3$, and quadratic by shifting to n, about
$(e^2 + e + 1)\, n^2 / 3$.

---
$R(1, K) = 1 / H_K$ with the harmonic number $H_K$, and
$\frac{1}{24 (K + 1)^2} < H_K - \gamma_E - \log(K + \frac12) < \frac{1}{24 K^2}$ (DeTemple, American Mathematical
Monthly 100, 1993). Large K and n nearly attain all bounds of K, at levels s that K lengths just reach and at levels
just above what K - 1 lengths reach. All ratios are fractions.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, certify, concatenate, equal, exact, less, plot, stack

from . import world

claim = Claim("induction-head-transition/context-length-trade-off", full={"sizes_up_to": 10, "drawn": 400})
HALF = Fraction(1, 2)


@claim.instance
def sizes(sizes_up_to=8):
    """n = N_trg."""
    return list(range(2, sizes_up_to + 1))


@claim.instance
def levels(sizes):
    """{how: Record(first l_0, level s)}: the sizes, then a level that K lengths just reach, one that K - 1 do not."""
    large = {"width": (1, 200), "shift": (80, 700)}
    result = {"width": [(1, Fraction(n)) for n in sizes], "shift": [(n, Fraction(n)) for n in sizes]}
    for how, (first, count) in large.items():
        short, reached = (1 / shares(first, each) for each in (count - 1, count))
        result[how] += [(first, reached), (first, short + Fraction(1, 10**12))]
    return {
        how: Record(first=[a for a, _ in each], level=[s for _, s in each]) for how, each in result.items()
    }


@claim.instance
def windows(rng, drawn=60):
    """(l_0, K), K > 1 (else R = 1): the named ones and random ones."""
    named = (1, 2), (2, 2), (2, 4), (5, 20), (40, 30)
    return [*named, *((int(rng.integers(1, 200)), int(rng.integers(2, 60))) for _ in range(drawn))]


def shares(first, count):
    """R of equal probabilities."""
    return 1 / (first * sum(Fraction(1, k) for k in range(first, first + count)))


def fewest(first, level):
    """The least number of lengths from the first on for which R is at most 1 / level."""
    total, count = Fraction(0), 0
    while total * first < level:
        total, count = total + Fraction(1, first + count), count + 1
    return count


def mean_square(first, count):
    return sum(Fraction(k * k) for k in range(first, first + count)) / count


@claim.run
def counts(levels):
    """{how: K of every level}."""
    return {how: exact(list(map(fewest, each.first, each.level))) for how, each in levels.items()}


@claim.run
def added(windows, earlier=0):
    """Record(before, after): R, and R with one more length (`earlier`: put in front, for a control)."""
    after = [shares(max(first - earlier, 1), count + 1) for first, count in windows]
    return Record(before=exact([shares(*each) for each in windows]), after=exact(after))


@claim.run
def shifted(windows):
    """Record(before, after): R, and R with all lengths one longer."""
    after = [shares(first + 1, count) for first, count in windows]
    return Record(before=exact([shares(*each) for each in windows]), after=exact(after))


@claim.measurement
def costs(counts, levels):
    """{how: mean squared length of every level}."""
    return {how: exact(list(map(mean_square, each.first, counts[how].lower))) for how, each in levels.items()}


@claim.run
def proportional(sizes):
    """Record(ratio, cost) of probabilities proportional to length, up to n."""
    each = [{k: Fraction(k, sum(range(n + 1))) for k in range(1, n + 1)} for n in sizes]
    cost = [sum(q * k * k for k, q in distribution.items()) for distribution in each]
    return Record(ratio=exact(list(map(world.exact_ratio, each))), cost=exact(cost))


@claim.reference
def ends(levels, counts, gammas=Fraction(1), half=HALF, one=1):
    """{how: Record(least, most)}: the bounds of K.

    gammas: how many times Euler's constant; half and one: those of the statement.
    """
    from flint import fmpq

    times = fmpq(gammas.numerator, gammas.denominator)
    exponents = exact(levels["width"].level) - 1 / (24 * counts["width"] ** 2)
    x = stack([certify.evaluate(lambda e: (e - times * e.const_euler()).exp(), e) for e in exponents.lower])
    n, level = exact(levels["shift"].first), exact(levels["shift"].level)
    y = (n - HALF) * certify.exp(level / n)
    most = one + certify.exp(1 / (24 * (n - 1) ** 2)) * y
    return {
        "width": Record(least=x - half, most=x + half),
        "shift": Record(least=y - n + HALF, most=most - n + HALF),
    }


@claim.reference
def cost_ends(levels, ends, sixth=Fraction(1, 6)):
    """{how: f of both ends}; sixth: that of the statement."""

    def f(how, K):
        first = exact(levels[how].first)
        return first**2 + first * (K - 1) + sixth * (K - 1) * (2 * K - 1)

    return {how: Record(least=f(how, K.least), most=f(how, K.most)) for how, K in ends.items()}


def inside(values, ends):
    """Whether all values lie strictly between their ends."""
    return less(stack([ends.least, values]), stack([values, ends.most]), level=np.arange(len(values)))


@claim.check("decreases-with-more-lengths")
def more_lengths(added):
    return less(added.after, added.before)


@claim.check("decreases-with-longer-lengths")
def longer_lengths(shifted):
    return less(shifted.after, shifted.before)


@claim.check("lengths-by-width")
def by_width(counts, ends):
    return inside(counts["width"], ends["width"])


@claim.check("lengths-by-shifting")
def by_shifting(counts, ends):
    return inside(counts["shift"], ends["shift"])


@claim.check("attained")
def attained(levels, counts, ends):
    """The lower end of K at the last level but one, the upper end at the last, for both ways.

    Up to what DeTemple's bounds leave: both of H_K, or the upper one of H_{n-1}, differ from H_K by less than
    1 / (24 K^2), or 1 / (24 (n - 1)^2), which moves K + 1/2, or K + n - 1/2, by that share.
    """
    K = concatenate([each[-2:] for each in counts.values()])
    bounds = stack([end for each in ends.values() for end in (each.least[-2], each.most[-1])])
    k, (n, m) = counts["width"].lower[-1], (levels["shift"].first[-1], counts["shift"].lower[-1])
    left = [Fraction(k + 1, 24 * k**2), Fraction(n + m, 24 * (n - 1) ** 2)]
    return equal(bounds, K, within=exact([left[0], left[0], left[1], left[1]]))


@claim.check("cost-by-width")
def cost_by_width(costs, cost_ends):
    return inside(costs["width"], cost_ends["width"])


@claim.check("cost-by-shifting")
def cost_by_shifting(costs, cost_ends):
    return inside(costs["shift"], cost_ends["shift"])


@claim.check("ratio-of-the-optimum")
def ratio_of_optimum(proportional, sizes):
    return equal(proportional.ratio, 1 / exact(sizes), n=np.array(sizes))


@claim.check("cost-of-the-optimum")
def cost_of_optimum(proportional, sizes, one=1):
    n = exact(sizes)
    return equal(proportional.cost, n * (n + one) / 2, n=np.array(sizes))


@claim.check("optimum-costs-less")
def optimum(costs, proportional, sizes):
    others = stack([each[: len(sizes)] for each in costs.values()])
    return less(proportional.cost, others, n=np.array(sizes))


def undivided(windows):
    """max q / sum q, in place of q / l."""
    each = exact([Fraction(1, count) for _, count in windows])
    return Record(before=each, after=each)


def uniform(sizes):
    """Uniform on 1..n in place of proportional."""
    each = [(shares(1, n), mean_square(1, n)) for n in sizes]
    return Record(ratio=exact([ratio for ratio, _ in each]), cost=exact([cost for _, cost in each]))


def cheaper(costs, factor=Fraction(1, 3)):
    """A third of the costs: less than the optimum for the smallest n."""
    return {how: factor * each for how, each in costs.items()}


claim.control("the new length put in front", earlier=1, must_fail="decreases-with-more-lengths")
claim.control("q in place of q / l", shifted=undivided, must_fail="decreases-with-longer-lengths")
claim.control("gamma 1% smaller", gammas=Fraction(99, 100), must_fail="lengths-by-width")
claim.control("0.49 in place of 1/2", half=Fraction(49, 100), must_fail="lengths-by-width")
claim.control("0.9 in place of 1", one=Fraction(9, 10), must_fail="lengths-by-shifting")
claim.control("0.51 in place of 1/2", half=Fraction(51, 100), must_fail="attained")
claim.control("1.1 in place of 1", one=Fraction(11, 10), must_fail="attained")
claim.control("1/7 in place of 1/6, by width", sixth=Fraction(1, 7), must_fail="cost-by-width")
claim.control("1/7 in place of 1/6, by shifting", sixth=Fraction(1, 7), must_fail="cost-by-shifting")
claim.control("uniform on 1..n", proportional=uniform, must_fail="ratio-of-the-optimum")
claim.control("n^2 / 2", one=0, must_fail="cost-of-the-optimum")
claim.control("a third of the costs", costs=cheaper, must_fail="optimum-costs-less")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["lengths needed, $K$", "mean squared length"])
    n = np.array(evidence.of("sizes"))
    for panel, values, bounds in (
        (left, evidence.of("counts"), evidence.of("ends")),
        (right, evidence.of("costs"), evidence.of("cost_ends")),
    ):
        for how, end, label in (
            ("width", "least", r"$\ell_0 = 1$"),
            ("shift", "most", r"$\ell_0 = N_{trg}$"),
        ):
            shown = getattr(values, how)[: len(n)], getattr(getattr(bounds, how), end)[: len(n)]
            plot.curve_with_bound(panel, n, *shown, label=label)
        panel.set(yscale="log", xlabel="$N_{trg}$")
    right.plot(n, evidence.of("proportional").cost.middle, color=plot.COLORS[2], label="optimal distribution")
    plot.legend([left, right], bound="bounds")
