r"""The best free constant of the few-shot bound solves a cubic, and the bound there has a closed form.

For $\alpha, A, B > 0$ let $E(a) = (1/2 - A/a)^{-2} \alpha + a B$ on $a > 2A$ and $F = 2 \alpha A / B$. The only stationary point is
a = y + 2A, the minimum, where y > 0 solves

$$y^3 - 8 F y - 16 A F = 0 , \qquad E(a) = \frac{B}{4A} (y + 2A)(y + 4A) ;$$

with $D = A^2 - 8F/27$,

$$y = \sqrt[3]{8F (A + \sqrt D)} + \sqrt[3]{8F (A - \sqrt D)} \ \ (D \ge 0) , \qquad
  y = 4 \sqrt{\frac{2F}{3}} \cos\Big( \frac13 \arccos\Big( 3 A \sqrt{\frac{3}{8F}} \Big) \Big) \ \ (D \le 0) .$$

Corollary 1 asks for $a \ge 5$; the best allowed constant is the larger of a and 5.

---
The identities are symbolic, the roots are evaluated in balls; the other side is a numerical search. $\alpha$ stands for
$\tilde V$, B for the terms that fade with the shots m, $A = 2 + 2^{3/2}/m$. As E is a sum of terms $c\,y^k$, $|k| \le 2$, c > 0, it is
convex in log y, and off by $\varepsilon$ in log y it is off by at most $4 \varepsilon^2$ of itself.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, at_most, certify, equal, exact, plot, rounded, rounding, stack

claim = Claim("cl-nscl-gap/corollary-optimiser", full={"draws": 1000})
PRECISION = 1e-9  # in log y, asked of the search


@claim.instance
def problems(rng, draws=60):
    """(alpha, A, B), exact numbers: D a little above and below 0, far from it, then random ones over decades."""
    A = Fraction(9, 4)  # with B = 1, D = 0 at alpha = 27 A / 16
    near = [
        Fraction(1, 100),
        Fraction(1, 9),
        Fraction(999, 1000),
        Fraction(1001, 1000),
        Fraction(9),
        Fraction(100),
    ]
    named = [(x * A * Fraction(27, 16), A, Fraction(1)) for x in near]
    alphas, Bs = 10 ** rng.uniform(-4, 1, draws), 10 ** rng.uniform(-4, 1, draws)
    columns = alphas, 2 + np.sqrt(8) / 10 ** rng.uniform(1, 4, draws), Bs
    return named + [tuple(Fraction(float(x)) for x in row) for row in zip(*columns, strict=True)]


def column(problems, function):
    return exact([function(*problem) for problem in problems])


def F_of(alpha, A, B):
    return 2 * alpha * A / B


# --- what theory says -----------------------------------------------------------------------------------------


@claim.reference
def root(problems, factor=8, inside=1):
    """y; factor, inside: of the cube roots of factor F (inside A +- sqrt D)."""

    def cubes(A, F):
        square = (A**2 - 8 * F / 27).sqrt()
        return (factor * F * (inside * A + square)).root(3) + (factor * F * (inside * A - square)).root(3)

    def cosine(A, F):
        return 4 * (2 * F / 3).sqrt() * ((3 * A * (3 / (8 * F)).sqrt()).acos() / 3).cos()

    pairs = [(A, F_of(alpha, A, B)) for alpha, A, B in problems]
    return stack([certify.evaluate(cubes if 27 * A**2 >= 8 * F else cosine, A, F) for A, F in pairs])


@claim.reference
def smallest(problems, root):
    """E at the stationary point."""
    A, B = column(problems, lambda alpha, A, B: A), column(problems, lambda alpha, A, B: B)
    return B / (4 * A) * (root + 2 * A) * (root + 4 * A)


@claim.reference
def smallest_allowed(problems, root, least=5):
    """E at the larger of a and `least`."""
    values = []
    for (alpha, A, B), y in zip(problems, root, strict=True):
        a = y + 2 * A
        a = exact(least) if a.upper < least else a
        values.append(E(a, alpha, A, B))
    return stack(values)


def E(a, alpha, A, B):
    return alpha / (Fraction(1, 2) - A / a) ** 2 + B * a


# --- what happens ---------------------------------------------------------------------------------------------


@claim.run
def found(problems):
    """The smallest E that a bounded search in log y finds."""
    from scipy.optimize import minimize_scalar

    def smallest(alpha, A, B):
        def value(log_y):
            y = np.exp(log_y)
            return 4 * alpha * (1 + 2 * A / y) ** 2 + B * (y + 2 * A)

        search = minimize_scalar(value, bounds=(-15, 15), method="bounded", options={"xatol": PRECISION})
        return search.fun

    return np.array([smallest(*map(float, problem)) for problem in problems])


@claim.run
def allowed(problems, grid=(5, 5.25, 6, 8, 12, 16, 25, 50, 200)):
    """E on a grid of a >= 5: (grid, problems)."""
    alpha, A, B = np.array(problems, dtype=float).T
    a = np.array(grid, dtype=float)[:, None]
    value = alpha / (0.5 - A / a) ** 2 + B * a
    # 1/2 - A/a cancels down to (a - 2A) / (2a)
    return rounded(value, 40, value * (a / (a - 2 * A)))


# --- checks ---------------------------------------------------------------------------------------------------


@claim.check("symbolic")
def symbolic(factor=8):
    """Coefficients that are left of the identities, the first with the factor in place of 8: none."""
    import sympy

    a, y, A, B, F, D, c, g = sympy.symbols("a y A B F D c g", positive=True)
    energy = (sympy.Rational(1, 2) - A / a) ** -2 * F * B / (2 * A) + a * B
    cubic = y**3 - 8 * F * y - 16 * A * F
    at_root = {F: y**3 / (8 * (y + 2 * A))}
    squared = A**2 - 8 * F / 27
    identities = [
        (sympy.diff(energy, a).subs(a, y + 2 * A) * y**3 / B, y**3 - factor * F * y - 2 * factor * A * F),
        (energy.subs(a, y + 2 * A).subs(at_root), B / (4 * A) * (y + 2 * A) * (y + 4 * A)),
        ((8 * F) ** 2 * (A**2 - squared), (8 * F / 3) ** 3),  # so the product of the cube roots is 8F/3
        # (u + v)^3 = u^3 + v^3 + 3uv(u + v)
        (8 * F * (A + D) + 8 * F * (A - D) + 3 * (8 * F / 3) * y, y**3 - cubic),
        (
            cubic.subs(y, 4 * g * c).subs(F, 3 * g**2 / 2),
            (16 * g**3 * (4 * c**3 - 3 * c) - 16 * A * F).subs(F, 3 * g**2 / 2),
        ),
        (16 * g**3 * 3 * A / (2 * g), 16 * A * (3 * g**2 / 2)),  # cos 3t = 3A sqrt(3/(8F)) = 3A / (2g)
    ]
    residues = [left - right for left, right in identities]
    left = [sympy.Poly(sympy.numer(sympy.together(r)), a, y, A, B, F, D, c, g).coeffs() for r in residues]
    return equal(exact([Fraction(int(k.p), int(k.q)) for row in left for k in row]), 0)


@claim.check("cubic")
def solves_cubic(root, problems):
    A, F = column(problems, lambda alpha, A, B: A), column(problems, F_of)
    ratio = root**3 / (8 * F * root + 16 * A * F)
    return equal(ratio, exact(1), within=ratio.gap())


@claim.check("minimum")
def minimum(found, smallest):
    """The closed form over the search's value."""
    within = rounding(40, 1) + 4 * exact(Fraction(PRECISION)) ** 2
    ratio = smallest / rounded(found, 40, found)
    return equal(ratio, exact(1), within=within + ratio.gap())


@claim.check("best-allowed")
def best_allowed(allowed, smallest_allowed, grid):
    ratio = smallest_allowed / allowed
    return at_most(ratio, exact(1), within=ratio.gap(), a=[[a] for a in grid])


# --- near rivals ----------------------------------------------------------------------------------------------

claim.control("cube roots of 4F (2A +- sqrt D)", factor=4, inside=2, must_fail="cubic")
claim.control("cube roots of 4F (2A +- sqrt D), minimum", factor=4, inside=2, must_fail="minimum")
claim.control("root 1% larger", root=lambda root: root * Fraction(101, 100), must_fail="cubic")
claim.control("9F in place of 8F", factor=9, must_fail="symbolic")
claim.control("a at least 5.25", least=Fraction(21, 4), must_fail="best-allowed")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["bound at other constants", "closed form over search"])
    ratio = evidence.curve("best-allowed").measured.middle
    a = np.ravel(evidence.curve("best-allowed").a)
    for k, color in zip((1, 2, 4, 8), plot.COLORS, strict=False):
        left.plot(a, 1 / ratio[:, k], color=color, linestyle="-", marker="o", markersize=2.5)
    left.axhline(1, color=plot.INK, **plot.BOUND, label="closed form")
    left.set(
        xscale="log", yscale="log", xlabel="constant a", ylabel="bound over the best allowed", ylim=(0.8, 30)
    )
    own = evidence.curve("minimum").measured.middle
    rival = evidence.curve("minimum", "cube roots of 4F (2A +- sqrt D), minimum").measured.middle
    order = np.argsort(rival)
    right.plot(own[order], ".", label="as stated")
    right.plot(rival[order], "x", color=plot.CONTROL["color"], markersize=4, label="control: 4F (2A ± √D)")
    right.set(xlabel="problems, sorted", ylim=(0.95, 1.45))
    plot.legend(left)
    plot.legend(right)
