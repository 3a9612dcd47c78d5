r"""Exact tests on counts of right answers, their error rates, and the filter for copied texts.

Two samples of problems, of sizes n1 (before a cutoff) and n2 (after it), with x1 and x2 right answers. Fisher's
one-sided test holds the total m = x1 + x2 fixed: under equal accuracies x1 is then hypergeometric, and its p-value is
P(X >= x1). All probabilities here are fractions.
"""

import math
from fractions import Fraction
from functools import cache
from itertools import accumulate

import numpy as np


def fisher(x1, n1, x2, n2):
    """One-sided p-value of Fisher's exact test for a decline from x1 of n1 to x2 of n2, a Fraction.

    Raises ValueError unless 0 <= x1 <= n1 and 0 <= x2 <= n2.
    """
    if not (0 <= x1 <= n1 and 0 <= x2 <= n2):
        raise ValueError(f"{x1} of {n1} and {x2} of {n2} are no counts of right answers")
    tables = _tables(x1, n1, x2, n2)
    return Fraction(sum(tables), math.comb(n1 + n2, x1 + x2))


def _tables(x1, n1, x2, n2):
    """C(n1, x) C(n2, m - x) for x = x1, x1 + 1, ..., m the total: each from the one before, without rounding."""
    m, count = x1 + x2, math.comb(n1, x1) * math.comb(n2, x2)
    for x in range(x1, min(n1, m) + 1):
        yield count
        count = count * (n1 - x) * (m - x) // ((x + 1) * (n2 - m + x + 1))


def holm(p):
    """Holm's adjusted p-values, valid under any dependence of the tests; p: a list of Fractions."""
    order = sorted(range(len(p)), key=p.__getitem__)
    steps = accumulate((min(1, (len(p) - rank) * p[i]) for rank, i in enumerate(order)), max)
    adjusted = dict(zip(order, steps, strict=True))
    return [adjusted[i] for i in range(len(p))]


@cache
def fisher_limits(n1, n2, level=Fraction(1, 20), mid=0):
    """The test as a tuple over totals m = 0 ... n1 + n2: it rejects when x1 is at least entry m.

    mid: the share of P(X = x1) that is left out of the p-value, 1/2 for the mid-p test. An entry n1 + 1 never
    rejects. Raises ValueError for samples or levels that are none.
    """
    if n1 < 1 or n2 < 1 or not 0 < level < 1:
        raise ValueError(f"samples of {n1} and {n2} at level {level} make no test")
    limits = []
    for m in range(n1 + n2 + 1):
        allowed, tail, limit = level * math.comb(n1 + n2, m), 0, min(n1, m) + 1
        for x, count in _tables_from_above(m, n1, n2):
            if tail + (1 - mid) * count > allowed:
                break
            tail, limit = tail + count, x
        limits.append(limit)
    return tuple(limits)


def _tables_from_above(m, n1, n2):
    """(x, C(n1, x) C(n2, m - x)) for x = min(n1, m), ..., max(0, m - n2)."""
    x = min(n1, m)
    count = math.comb(n1, x) * math.comb(n2, m - x)
    while x >= max(0, m - n2):
        yield x, count
        count = count * x * (n2 - m + x) // ((n1 - x + 1) * (m - x + 1))
        x -= 1


def conditional_sizes(limits, n1, n2):
    """Probability of rejection given every total m under equal accuracies, a list of Fractions."""
    return [
        Fraction(sum(_tables(limit, n1, m - limit, n2)) if limit <= min(n1, m) else 0, math.comb(n1 + n2, m))
        for m, limit in enumerate(limits)
    ]


def rejection_probability(rejected, n1, n2, a1, a2):
    """Probability that a test rejects when answers are right independently with a1 before and a2 after, a Fraction.

    rejected: for every x1 = 0 ... n1 the set of x2 that is rejected is {0, ..., rejected[x1] - 1}.
    """
    first, second = _binomial(n1, a1), _binomial(n2, a2)
    below = [0, *accumulate(second)]
    return sum(weight * below[count] for weight, count in zip(first, rejected, strict=True))


def rejected_counts(limits, n1, n2):
    """From limits on x1 for every total to the number of rejected x2 for every x1, as `rejection_probability` asks."""
    inside = [[x1 >= limits[x1 + x2] for x2 in range(n2 + 1)] for x1 in range(n1 + 1)]
    counts = [sum(row) for row in inside]
    if any(not all(row[:count]) for row, count in zip(inside, counts, strict=True)):
        raise ValueError("the rejected x2 of some x1 are not the smallest ones")
    return counts


def _binomial(n, p):
    p = Fraction(p)
    r, s, unit = p.numerator, p.denominator - p.numerator, Fraction(1, p.denominator**n)
    return [math.comb(n, x) * r**x * s ** (n - x) * unit for x in range(n + 1)]


# --- trends ---------------------------------------------------------------------------------------------------


def inversions(n):
    """How many of the n! orders have 0, 1, 2, ... inversions (Mahonian numbers), a list."""
    counts = [1]
    for i in range(2, n + 1):
        counts = [sum(counts[max(0, j - i + 1) : j + 1]) for j in range(len(counts) + i - 1)]
    return counts


def falling_trend(values, blur=0):
    """p-value of the Mann-Kendall test for a falling trend, a Fraction; pairs closer than `blur`, and ties, count as rising.

    values: at least two numbers in the order of time.
    """
    n = len(values)
    falling = sum(values[i] - values[j] > blur for j in range(n) for i in range(j))
    return Fraction(sum(inversions(n)[falling:]), math.factorial(n))


# --- copied texts ---------------------------------------------------------------------------------------------


def words(text):
    """Lower-cased words between white space."""
    return text.lower().split()


def is_caught(text, benchmark, n=10):
    """Whether any n consecutive words of the text occur in one of the benchmark's texts. ValueError for n < 1."""
    if n < 1:
        raise ValueError(f"a window holds at least one word, not {n}")
    known = {tuple(w[i : i + n]) for w in map(words, benchmark) for i in range(len(w) - n + 1)}
    own = words(text)
    return any(tuple(own[i : i + n]) in known for i in range(len(own) - n + 1))


def accuracy(theta, difficulty):
    """1 / (1 + exp(difficulty - theta)): the Rasch probability of a right answer."""
    return 1 / (1 + np.exp(difficulty - theta))
