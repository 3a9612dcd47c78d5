r"""More lengths lower the max-sum ratio exponentially more slowly than longer ones do.

Uniform on $\ell_0, .., \ell_0 + K - 1$, the max-sum ratio is
$R(\ell_0, K) = \ell_0^{-1} / \sum_{k < K} (\ell_0 + k)^{-1}$: it decreases in K and in $\ell_0$. Let $K(\ell_0, n)$ be
the least K with $R(\ell_0, K) \le 1/n$. With Euler's constant $\gamma_E$ and $x = e^{n - \gamma_E}$,

$$x - \frac12 - \frac{x}{24 K^2} \le K(1, n) \le x + \frac12 , \qquad
(e - 1)(n - 1) \le K(n, n) \le \lceil (e - 1)\, n \rceil ,$$

so that the mean squared length, at best $n (n + 1) / 2$ under the constraint $R \le 1/n$, is at least
$(x - 1)^2 / 3$ by width from $\ell_0 = 1$ and at most $(e n)^2$ by shifting to $\ell_0 = n$.

---
$R(1, K) = 1 / H_K$ with the harmonic number $H_K$, and
$\log(K + \frac12) + \gamma_E < H_K < \log(K + \frac12) + \gamma_E + \frac{1}{24 K^2}$ (DeTemple, American Mathematical
Monthly 100, 1993). For $K(n, n)$ sums are compared with the integral of 1/x. All ratios are fractions.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, exact, less, plot, stack

claim = Claim("induction-head-transition/context-length-trade-off", full={"sizes_up_to": 10, "drawn": 400})
NAMED = ((1, 1), (1, 2), (2, 1), (2, 4), (5, 20), (40, 30))


@claim.instance
def sizes(sizes_up_to=8):
    """n = N_trg."""
    return list(range(2, sizes_up_to + 1))


@claim.instance
def windows(rng, drawn=60):
    """(l_0, K): the named ones and random ones."""
    return [*NAMED, *((int(rng.integers(1, 200)), int(rng.integers(1, 60))) for _ in range(drawn))]


def fewest(first, n):
    """The least number of lengths from the first on for which R is at most 1/n."""
    total, count = Fraction(0), 0
    while total * first < n:
        total, count = total + Fraction(1, first + count), count + 1
    return count


@claim.run
def counts(sizes):
    """Record(wide K(1, n), shifted K(n, n))."""
    return Record(wide=exact([fewest(1, n) for n in sizes]), shifted=exact([fewest(n, n) for n in sizes]))


@claim.run
def added(windows, earlier=0):
    """Record(before, after): R, and R with one more length (`earlier`: put in front, for a control)."""
    after = [shares(max(first - earlier, 1), count + 1) for first, count in windows]
    return Record(before=exact([shares(*each) for each in windows]), after=exact(after))


@claim.run
def shifted(windows, exponent=1):
    """Record(before, after): R, and R with all lengths one longer, where K > 1 (else R = 1)."""
    wide = [(first, count) for first, count in windows if count > 1]
    before = [shares(first, count, exponent) for first, count in wide]
    return Record(
        before=exact(before), after=exact([shares(first + 1, count, exponent) for first, count in wide])
    )


def shares(first, count, exponent=1):
    """R of equal probabilities, each divided by its length to a power, 1 in the paper."""
    each = [Fraction(1, k**exponent) for k in range(first, first + count)]
    return max(each) / sum(each)


@claim.measurement
def costs(counts, sizes):
    """Record(wide, shifted): mean squared lengths."""

    def mean_square(first, count):
        return sum(Fraction(k * k) for k in range(first, first + count)) / count

    wide = [mean_square(1, K) for K in counts.wide.lower]
    return Record(
        wide=exact(wide),
        shifted=exact([mean_square(n, K) for n, K in zip(sizes, counts.shifted.lower, strict=True)]),
    )


@claim.reference
def x(sizes, gammas=Fraction(1)):
    r"""$e^{n - \gamma_E}$; gammas: how many times Euler's constant."""
    from flint import fmpq

    times = fmpq(gammas.numerator, gammas.denominator)
    return stack([certify.evaluate(lambda n: (n - times * n.const_euler()).exp(), n) for n in sizes])


@claim.reference
def slope():
    """e - 1."""
    return certify.exp(exact(1)) - 1


@claim.check("decreases-with-more-lengths")
def more_lengths(added):
    return less(added.after, added.before)


@claim.check("decreases-with-longer-lengths")
def longer_lengths(shifted):
    return less(shifted.after, shifted.before)


@claim.check("by-width")
def by_width(counts, x, sizes, half=Fraction(1, 2)):
    K = counts.wide
    return at_most(stack([K - x, x - K - x / (24 * K * K)]), exact(half), n=np.array(sizes))


@claim.check("by-shifting-at-least")
def by_shifting_least(counts, slope, sizes, factor=Fraction(1)):
    return at_most(factor * slope * exact([n - 1 for n in sizes]), counts.shifted, n=np.array(sizes))


@claim.check("by-shifting-at-most")
def by_shifting_most(counts, slope, sizes):
    """K <= ceil(s) is K - 1 < s."""
    return less(counts.shifted - 1, slope * exact(sizes), n=np.array(sizes))


@claim.check("cost-by-width")
def cost_by_width(costs, x, sizes, third=Fraction(1, 3)):
    return at_most((x - 1) ** 2 * third, costs.wide, n=np.array(sizes))


@claim.check("cost-by-shifting")
def cost_by_shifting(costs, slope, sizes, share=Fraction(1)):
    return at_most(costs.shifted, share * (slope + 1) ** 2 * exact([n * n for n in sizes]), n=np.array(sizes))


@claim.check("optimum-costs-less")
def optimum(costs, sizes, power=1):
    best = exact([Fraction(n * (n + 1), 2) ** power for n in sizes])
    return less(best, stack([costs.wide, costs.shifted]), n=np.array(sizes))


claim.control("the new length put in front", earlier=1, must_fail="decreases-with-more-lengths")
claim.control("q in place of q / l", exponent=0, must_fail="decreases-with-longer-lengths")
claim.control("gamma 10% smaller", gammas=Fraction(9, 10), must_fail="by-width")
claim.control("2/5 in place of 1/2", half=Fraction(2, 5), must_fail="by-width")
claim.control("lower slope 20% larger", factor=Fraction(6, 5), must_fail="by-shifting-at-least")
claim.control(
    "upper slope 15% smaller", slope=lambda slope: slope * Fraction(17, 20), must_fail="by-shifting-at-most"
)
claim.control("10 / 27 in place of 1/3", third=Fraction(10, 27), must_fail="cost-by-width")
claim.control("2/5 of the bound", share=Fraction(2, 5), must_fail="cost-by-shifting")
claim.control("the optimum squared", power=2, must_fail="optimum-costs-less")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["lengths needed, $K$", "mean squared length"])
    counts, costs = evidence.of("counts"), evidence.of("costs")
    n = np.arange(2, 2 + len(counts.wide))
    x, slope = evidence.of("x"), evidence.of("slope")
    best = n * (n + 1) / 2
    for panel, values, bounds in (
        (left, counts, (x.middle, slope.middle * n)),
        (right, costs, ((x.middle - 1) ** 2 / 3, ((slope.middle + 1) * n) ** 2)),
    ):
        for which, bound, label in zip(
            (values.wide, values.shifted), bounds, (r"$\ell_0 = 1$", r"$\ell_0 = N_{trg}$"), strict=True
        ):
            plot.curve_with_bound(panel, n, which, bound, label=label)
        panel.set(yscale="log", xlabel="$N_{trg}$")
    right.plot(n, best, color=plot.COLORS[2], label="optimal distribution")
    plot.legend([left, right], bound="bounds")
