r"""A random layer of m units has rank min(m, n) on n attention outputs, unless its activation is a polynomial.

For distinct $h_1, \dots, h_n \in \mathbb{R}^d$ and almost every W, b, with $\psi$ real analytic,

$$\mathrm{rank}\,[\psi(w_i \cdot h_j + b_i)]_{m \times n} = \min(m, n) \ \text{ unless } \psi \text{ is a polynomial}, \qquad
\le \binom{d + r}{r} \ \text{ if it is one of degree } r .$$

So a layer as wide as there are contexts makes their features independent, and no polynomial layer does that for
$n > \binom{d+r}{r}$, however wide it is.

---
Exact: $\psi(x) = 1/(1+x^2)$ on the rational outputs of attention, modulo a prime, where a full rank proves one over
the rationals; GELU by a determinant in balls; polynomials at distinct integer points, over the rationals. A rank that
is full at one point is full at almost every one.
"""

import math

import numpy as np

from verify import Claim, equal, exact, plot

from . import _exact, world

claim = Claim(
    "transformer-memory-capacity/feature-rank",
    cases=(
        {"tokens": 3, "longest": 3, "d": 1},
        {"tokens": 4, "longest": 3, "d": 2},
        {"tokens": 3, "longest": 4, "d": 2},
    ),
    full={"cases": ({"tokens": 6, "longest": 3, "d": 3},)},
)
DEGREES = (1, 2, 3)


@claim.instance
def outputs(rng, tokens, longest, d, attentive=1, points=24):
    """{context: rational output of attention}, at the first of some points that tells all contexts apart."""
    contexts = world.words(tokens, longest)
    for _ in range(points):
        point = _exact.integer_point(rng, tokens, longest, d)
        point.A = attentive * point.A
        found = _exact.attention_outputs(contexts, point)
        if len(set(found)) == len(found):
            break
    return dict(zip(contexts, found, strict=True))


@claim.instance
def widths(outputs):
    """From one unit to twice as many as there are outputs, with the two neighbours of equality."""
    n = len(outputs)
    return np.unique([*np.linspace(1, 2 * n, 7, dtype=int), n - 1, n, n + 1])


@claim.instance
def integer_points(rng, outputs, d):
    """As many distinct integer points (n, d) as there are outputs."""
    n = len(outputs)
    flat = rng.choice(100**d, size=n, replace=False)
    return np.array([(flat // 100**i) % 100 for i in range(d)]).T.astype(object)


@claim.reference
def full_rank(outputs, widths):
    return exact(np.minimum(widths, len(outputs)))


@claim.reference
def monomials(d):
    """Monomials of degree at most r in d variables."""
    return exact(np.array([math.comb(d + r, r) for r in DEGREES]))


def units(rng, inputs, count):
    """Random weights and biases modulo the prime: w_i . h_j + b_i, (count, n)."""
    W, b = (rng.integers(0, _exact.PRIME, size=(count, k)).astype(object) for k in (inputs.shape[1], 1))
    return (W @ inputs.T + b) % _exact.PRIME


@claim.run
def ranks(rng, outputs, widths, activation=lambda z: _exact.rational_activation(z)[0]):
    features = activation(units(rng, _exact.residues(outputs.values()), widths[-1]))
    return exact(np.array([_exact.modular_rank(features[:m]) for m in widths]))


@claim.run
def gelu_rank(rng, outputs):
    """Of n units, centred at outputs of their own."""
    rows = list(outputs.values())
    h = _exact.floats(rows)
    weights = 3 * rng.normal(size=h.shape) / h.std()
    biases = -np.sum(weights * rng.permutation(h), axis=1)
    return exact(_exact.gelu_rank(rows, weights, biases))


@claim.run
def polynomial_ranks(rng, integer_points, constant=1):
    """Powers of 2n affine functions with integer coefficients."""
    n, d = integer_points.shape
    W, b = (rng.integers(-99, 100, size=(2 * n, k)).astype(object) for k in (d, 1))
    z = W @ integer_points.T + constant * b
    return exact(np.array([_exact.integer_rank(z**r) for r in DEGREES]))


@claim.check("full-rank")
def full(ranks, full_rank, widths):
    return equal(ranks, full_rank, width=widths)


@claim.check("full-rank-of-gelu")
def full_gelu(gelu_rank, outputs):
    return equal(gelu_rank, exact(len(outputs)))


@claim.check("polynomial-rank")
def polynomial(polynomial_ranks, monomials):
    return equal(polynomial_ranks, monomials, degree=DEGREES)


def cube(z):
    return z**3 % _exact.PRIME


claim.control("activation x^3", activation=cube, must_fail="full-rank")
claim.control("uniform attention, outputs agree", attentive=0, points=1, must_fail="full-rank")
claim.control("uniform attention", attentive=0, points=1, must_fail="full-rank-of-gelu")
claim.control(
    "one unit to spare", full_rank=lambda outputs, widths: exact(np.minimum(widths, len(outputs) - 1)),
    must_fail="full-rank",
)  # fmt: skip
claim.control("no biases", constant=0, must_fail="polynomial-rank")
claim.control(
    "degree one lower", monomials=lambda d: exact(np.array([math.comb(d + r - 1, r - 1) for r in DEGREES])),
    must_fail="polynomial-rank",
)  # fmt: skip


@claim.figure
def draw(figure, evidence):
    panels = plot.panel_grid(figure, ["" for _ in evidence.cases], columns=3)
    grey = {"activation x^3": (0, (1, 1.1)), "uniform attention, outputs agree": (0, (4, 1, 1, 1))}
    for panel, case in zip(panels, evidence.cases, strict=True):
        own = evidence.curve("full-rank", **case)
        panel.plot(own.width, own.measured.middle, "o", label=r"$\psi(x) = 1/(1+x^2)$")
        panel.plot(own.width, own.bound.middle, color=plot.COLORS[0], **plot.BOUND)
        for name, look in grey.items():
            control = evidence.curve("full-rank", control=name, **case)
            panel.plot(control.width, control.measured.middle, label=f"control: {name}",
                       **{**plot.CONTROL, "linestyle": look})  # fmt: skip
        n = int(own.bound.middle.max())
        panel.set(xlabel="units $m$", title=f"$n$ = {n}, $d$ = {case['d']}")
    panels[0].set_ylabel("rank")
    plot.legend(panels, bound="min(m, n)")
