r"""The decoder in exact arithmetic: rational attention, residues modulo a prime, and ranks.

Attention weights are rational although softmax is not: with A = log(b) A' for an integer matrix A', integer
embeddings and a rational b > 1, exp(x . A x') = b^(x . A' x'). An analytic function that is not zero at one point is
not zero at almost every point, so whatever is found at one such point (distinct outputs, a rank) is generic.

A rank modulo a prime never exceeds the rank over the rationals. Where log(b) itself enters (derivatives), any
residue may stand for it: log(b) is transcendental (Hermite and Lindemann), so a minor that is not zero modulo the
prime for some residue is not zero at log(b).
"""

import math
from fractions import Fraction

import numpy as np

from verify import Record
from verify.errors import CertificateError

PRIME = 2**31 - 1  # = 3 mod 4: -1 is no square, and 1 + z^2 is never 0
BASE = Fraction(129, 128)


def integer_point(rng, tokens, longest, d, size=None):
    """Integer parameters of attention: E (tokens, d), P (longest, d), A (d, d), diagonal +-1.

    Entries of E and P that belong to one dimension differ in absolute value, and none is 0 or exceeds `size`.
    """
    size = size or (20 if d == 1 else tokens + longest + 1)
    columns = [rng.choice(size, size=tokens + longest, replace=False) for _ in range(d)]
    x = (np.array(columns).T + 1) * rng.choice((-1, 1), size=(tokens + longest, d))
    A = np.diag(rng.choice((-1, 1), size=d))
    return Record(E=x[:tokens], P=x[tokens:], A=A)


def attention_outputs(contexts, point):
    """h of every context in lowest terms: rows of integers (numerators of h..., common denominator)."""
    return [_output(np.array(context), point) for context in contexts]


def _output(context, point):
    x = point.E[context] + point.P[: len(context)]
    score = x @ point.A @ x[-1]
    up, down = (score - score.min()).tolist(), (score.max() - score).tolist()
    weights = [BASE.numerator**i * BASE.denominator**j for i, j in zip(up, down, strict=True)]
    row = [sum(w * e for w, e in zip(weights, column, strict=True)) for column in x.T.tolist()]
    row.append(sum(weights))
    divisor = math.gcd(*row)
    return tuple(number // divisor for number in row)


def floats(outputs):
    """The outputs as floats (n, d)."""
    return np.array([[number / row[-1] for number in row[:-1]] for row in outputs])


# --- ranks of a layer's features ----------------------------------------------------------------------------


def residues(outputs):
    """Attention outputs modulo the prime, object array (n, d)."""
    rows = [[number * pow(row[-1], -1, PRIME) for number in row[:-1]] for row in outputs]
    return np.array(rows, dtype=object) % PRIME


def modular_rank(matrix):
    """The rank of an integer matrix modulo the prime."""
    from flint import nmod_mat

    return nmod_mat(*matrix.shape, [int(entry) % PRIME for entry in matrix.ravel()], PRIME).rank()


def integer_rank(matrix):
    """The rank of an integer matrix over the rationals."""
    from flint import fmpz_mat

    return fmpz_mat(*matrix.shape, matrix.ravel().tolist()).rank()


def rational_activation(z):
    """1 / (1 + z^2) and its derivative modulo the prime: real analytic on the whole line, and no polynomial."""
    z = z % PRIME
    value = np.array([pow(1 + x * x, -1, PRIME) for x in z.ravel().tolist()], dtype=object).reshape(z.shape)
    return value, -2 * z * value * value % PRIME


def gelu_rank(outputs, weights, biases):
    """Rank of a layer of as many GELU units as there are distinct outputs, at these outputs; proved in balls.

    weights: (m, d) floats; biases: (m,). With n distinct outputs the rank is at most n, and exactly n once some
    ball around the determinant of n units at them excludes 0. Raises CertificateError if 8192 bits do not do that.
    """
    from flint import arb, arb_mat, ctx, fmpq

    points = list(dict.fromkeys(outputs))
    n, bits = len(points), 512
    while bits <= 8192:
        with ctx.workprec(bits):
            h = [[arb(fmpq(number, row[-1])) for number in row[:-1]] for row in points]
            z = in_balls(weights[:n]) @ np.array(h, dtype=object).T + in_balls(biases[:n])[:, None]
            units = [[x * normal(x) for x in row] for row in z.tolist()]
            if not arb_mat(units).det().contains(0):
                return n
        bits *= 2
    raise CertificateError(f"the determinant of {n} units is not told from 0 with {bits // 2} bits")


# --- derivatives of the decoder -----------------------------------------------------------------------------


def derivatives(context, theta, weights, activation):
    """Log-odds f (omega - 1,) of one context and their derivatives (omega - 1, k), over any field.

    theta: Record of object arrays E (omega, d), P (T, d), A (d, d), W (m, d), b (m,), V (omega - 1, m),
    c (omega - 1,). weights: x (t, d) -> attention from its last row (t,). activation: z (m,) -> psi(z), psi'(z).
    Columns of the derivatives are in the order of NAMES.
    """
    x = theta.E[list(context)] + theta.P[: len(context)]
    key, a = theta.A @ x[-1], weights(x)
    h = a @ x
    psi, slope = activation(theta.W @ h + theta.b)
    f, rows = theta.V @ psi + theta.c, []
    for v, unit in zip(theta.V, np.eye(len(theta.V), dtype=int).astype(object), strict=True):
        db = v * slope
        dh = db @ theta.W
        dscore = a * ((x - h) @ dh)
        dx = np.outer(a, dh) + np.outer(dscore, key)
        dx[-1] = dx[-1] + theta.A.T @ (dscore @ x)
        dE = 0 * theta.E
        for token, row in zip(context, dx, strict=True):
            dE[token] = dE[token] + row
        parts = (dE, np.outer(dscore @ x, x[-1]), np.outer(db, h), db, np.outer(unit, psi), unit)
        rows.append(np.concatenate([part.ravel() for part in parts]))
    return f, np.array(rows)


NAMES = ("E", "A", "W", "b", "V", "c")


def generic_rank(rng, contexts, tokens, d, m, activation=rational_activation, size=50):
    """Rank of the log-odds' derivatives on all contexts, modulo the prime, at a random point."""
    longest = max(map(len, contexts))
    E, P, A = (
        rng.integers(-size, size + 1, size=s).astype(object) for s in ((tokens, d), (longest, d), (d, d))
    )
    shapes = ((m, d), m, (tokens - 1, m), tokens - 1)
    W, b, V, c = (rng.integers(0, PRIME, size=shape).astype(object) for shape in shapes)
    base, log_base = (int(number) for number in rng.integers(2, PRIME, size=2))
    theta = Record(E=E, P=P, A=log_base * A % PRIME, W=W, b=b, V=V, c=c)

    weights = modular_weights(base, A)
    return modular_rank(np.concatenate([derivatives(c, theta, weights, activation)[1] for c in contexts]))


def modular_weights(base, A):
    """Attention for `derivatives` modulo the prime: base^(x_i . A x_t) over their sum, for integer x and A."""

    def weights(x):
        powers = [pow(base, score, PRIME) for score in (x @ (A @ x[-1])).tolist()]
        return np.array(powers, dtype=object) * pow(sum(powers), -1, PRIME) % PRIME

    return weights


def ball_weights(A):
    """Softmax attention for `derivatives` in balls."""

    def weights(x):
        powers = np.array([score.exp() for score in x @ (A @ x[-1])], dtype=object)
        return powers / powers.sum()

    return weights


def ball_gelu(z):
    """GELU and its derivative in balls."""
    from flint import arb

    height, below = 1 / (2 * arb.pi()).sqrt(), [normal(x) for x in z]
    slope = [p + x * height * (-x * x / 2).exp() for x, p in zip(z, below, strict=True)]
    return z * np.array(below, dtype=object), np.array(slope, dtype=object)


def normal(x):
    """The normal distribution function at a ball."""
    from flint import arb

    return (1 + (x / arb(2).sqrt()).erf()) / 2


def in_balls(array):
    """Floats as an object array of exact balls."""
    from flint import arb

    flat = np.array([arb(number) for number in np.ravel(array).tolist()], dtype=object)
    return flat.reshape(np.shape(array))


def log_ratios(counts):
    """log(N_cg / N_cw) of integer counts (n, omega) against the last token's, in balls (n, omega - 1)."""
    from flint import arb

    logs = np.array([[arb(int(N)).log() for N in row] for row in counts], dtype=object)
    return logs[:, :-1] - logs[:, -1:]
