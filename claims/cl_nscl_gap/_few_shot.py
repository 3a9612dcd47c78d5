r"""Classes of two points each: their nearest-centre error by enumeration, and the moments that bound it, in fractions.

Class c takes the point a_c with probability p_c and b_c otherwise; points are integer vectors. Its centre is the mean of m
draws, $(k\,a_c + (m-k)\,b_c)/m$ with k binomial.
"""

import itertools
from fractions import Fraction
from math import comb, prod

import numpy as np

from verify import Record, certify, exact, stack

# --- instances --------------------------------------------------------------------------------------------------


def instance(name, points, chances):
    """points: (classes, 2, d) integers; chances: of the first of the two, fractions strictly between 0 and 1."""
    points = np.asarray(points, dtype=np.int64)
    chances = [Fraction(p) for p in chances]
    means = [p * fractions(a) + (1 - p) * fractions(b) for (a, b), p in zip(points, chances, strict=True)]
    if len({tuple(mean) for mean in means}) < len(means):
        raise ValueError("two classes share their mean: there is no direction between them")
    found = moments(points, chances, means)
    return Record(name=name, points=points, chances=chances, means=means, moments=found)


def built(points, twentieths):
    """The instance of an attack's plain data."""
    return instance("attack", points, [Fraction(x, 20) for x in twentieths])


def fractions(vector):
    return np.array([Fraction(int(x)) for x in vector], dtype=object)


def named():
    """Much dispersion across the line between the means and little along it, for two classes and for three."""
    half = Fraction(1, 2)
    across = [[[0, 45, 0], [1, -45, 0]], [[10, 0, 45], [11, 0, -45]]]
    yield instance("wide, along axes", across, (half, half))
    yield instance("wide, parallel", [[[0, 40], [0, -40]], [[10, 40], [10, -40]]], (half, half))
    third = [[5, 0, 45], [5, 3, -45]]
    yield instance("wide, three classes", [*across, third], (half, half, half))
    for p in (Fraction(1, 1001), Fraction(1, 6)):
        yield instance("rarely at the middle", outlier(p), (p, half))


def outlier(p, half=1000):
    """A class on a line whose first point is the middle between the means; the other class is a single point."""
    back = -p / (1 - p) * half
    scale = back.denominator
    return [[[half * scale], [int(back * scale)]], [[2 * half * scale]] * 2]


def drawn(rng, count):
    """Random ones, two or three classes in up to four dimensions, from compact to dispersed."""
    for i in range(count):
        classes, dimension = 3 if i % 4 == 0 else 2, rng.integers(1, 5)
        spread = int(rng.choice([2, 5, 20, 60]))
        centre = rng.integers(-20, 21, size=(classes, 1, dimension))
        points = centre + rng.integers(-spread, spread + 1, size=(classes, 2, dimension))
        chances = [Fraction(int(x), 20) for x in rng.integers(1, 20, size=classes)]
        try:
            yield instance("random", points, chances)
        except ValueError:
            continue


# --- what happens -----------------------------------------------------------------------------------------------


def error(one, shots):
    """The average class error of nearest-centre classification, exactly; a tie counts as an error."""
    classes = len(one.chances)
    weights = [binomial(p, shots) for p in one.chances]
    scale = prod(p.denominator**shots for p in one.chances)
    k = np.arange(shots + 1)
    total = Fraction(0)
    for i in range(classes):
        for z, chance in zip(one.points[i], (one.chances[i], 1 - one.chances[i]), strict=True):
            squares = np.ix_(*(distance(shots * z, pair, k, shots) for pair in one.points))
            wrong = np.zeros((shots + 1,) * classes, dtype=bool)
            for j in range(classes):
                if j != i:
                    wrong |= squares[j] <= squares[i]
            total += chance * Fraction(expectation(wrong, weights), scale)
    return total / classes


def binomial(p, shots):
    """Probabilities of the counts 0..shots, times denominator^shots: integers."""
    a, b = p.numerator, p.denominator
    return np.array([comb(shots, k) * a**k * (b - a) ** (shots - k) for k in range(shots + 1)], dtype=object)


def distance(z, pair, k, shots):
    """Squared distances (k,) of z from the centres of a class, times shots^2."""
    centres = k[:, None] * pair[0] + (shots - k)[:, None] * pair[1]
    return ((z - centres) ** 2).sum(axis=1)


def expectation(wrong, weights):
    """Of an indicator over the counts of all classes."""
    value = wrong.astype(object)
    for weight in reversed(weights):
        value = value @ weight
    return value


# --- moments ----------------------------------------------------------------------------------------------------


def moments(points, chances, means):
    """For every ordered pair (i, j), arrays of fractions.

    Record(distance2: d^2, along: delta' Sigma_i delta, along_other: delta' Sigma_j delta, own: v_i = tr Sigma_i,
    other: v_j, own2, mixed, other2: traces of Sigma_i^2, Sigma_i Sigma_j, Sigma_j^2, fourth, fourth_other: E |u|^4 - v^2).
    """
    spans = [fractions(a - b) for a, b in points]
    scale = [p * (1 - p) for p in chances]
    lengths = [w @ w for w in spans]
    v = [s * length for s, length in zip(scale, lengths, strict=True)]
    fourth = [
        s * ((1 - p) ** 3 + p**3) * length**2 - s**2 * length**2
        for s, p, length in zip(scale, chances, lengths, strict=True)
    ]
    rows = []
    for i, j in itertools.permutations(range(len(spans)), 2):
        delta = means[j] - means[i]
        d2 = delta @ delta
        own, other = (scale[c] * (spans[c] @ delta) ** 2 for c in (i, j))
        rows.append({
            "distance2": d2, "along": own, "along_other": other, "own": v[i], "other": v[j],
            "own2": v[i] ** 2, "mixed": scale[i] * scale[j] * (spans[i] @ spans[j]) ** 2, "other2": v[j] ** 2,
            "fourth": fourth[i], "fourth_other": fourth[j],
        })  # fmt: skip
    return Record(**{name: np.array([row[name] for row in rows], dtype=object) for name in rows[0]})


def averages(instances):
    """Means over ordered pairs of Vt_ij, V_ij and V^s_ij: Record(directional, dispersion, root), each (instances,)."""
    all_moments = [one.moments for one in instances]
    roots = [certify.sqrt(exact(m.own / m.distance2)).sum() / len(m.own) for m in all_moments]
    directional = [sum(m.along / m.distance2**2) / len(m.own) for m in all_moments]
    dispersion = [sum((m.own + m.other) / (2 * m.distance2)) / len(m.own) for m in all_moments]
    return Record(directional=exact(directional), dispersion=exact(dispersion), root=stack(roots))


def one_sided(one, shots, factor=4, rest=1):
    """The average over classes of the sum over rivals of S / (S + t^2), S = factor delta' Sigma_i delta + rest R^2."""
    m, classes = one.moments, len(one.chances)
    t = m.distance2 + (m.other - m.own) / shots
    roots = exact(np.array([
        4 * (m.own2 + m.mixed) / shots, 4 * m.along_other / shots,
        (m.fourth + 2 * (shots - 1) * m.own2) / Fraction(shots**3),
        (m.fourth_other + 2 * (shots - 1) * m.other2) / Fraction(shots**3),
    ], dtype=object))  # fmt: skip
    R = sum(certify.sqrt(roots))
    S = factor * exact(m.along) + rest * R**2
    each = S / (S + exact(t**2))
    return stack([each[k] if t[k] > 0 else exact(1) for k in range(len(t))]).sum() / classes
