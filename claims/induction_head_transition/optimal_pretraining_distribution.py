r"""The cheapest distribution that teaches the induction head is proportional to length, on lengths up to N_trg.

For $n = N_{trg} \le U$ the linear program

$$\min_q \sum_{l \le U} q_l\, l^2 \quad \text{subject to} \quad
\max_l \frac{q_l}{l} \le \frac1n \sum_l \frac{q_l}{l}, \qquad \sum_l q_l = 1, \quad q \ge 0$$

has the unique solution $q_l = l / Z$ for $l \le n$, 0 beyond, $Z = n (n + 1) / 2$, and the optimal value
$n (n + 1) / 2$.

---
In the variables $r_l = q_l / l$, with $\lambda = n (n + 1) / 2$, $h_l = l^3 - \lambda l$ and M halfway between $h_n$ and
$h_{n+1}$, the multipliers $\mu_l = (M - h_l) / n$ of the caps for $l \le n$ and 0 beyond, and $\lambda$ of the equality,
are feasible for the dual, because $\sum_{l \le n} h_l = 0$. Every r, feasible or not, has

$$\sum r_l\, l^3 = \lambda \sum l\, r_l + \sum_{l > n} s_l\, r_l + \sum_{l \le n} \mu_l \Big( \sum_k r_k - n\, r_l \Big), \qquad
s_l = h_l - M ,$$

with $s_l > 0$ and $\mu_l > 0$: the solution is unique, and a point that misses the constraints and the optimal value
by little is near it. That is how far the solver's solution may be from q, from its own residuals.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, concatenate, equal, exact, less, plot

claim = Claim(
    "induction-head-transition/optimal-pretraining-distribution",
    cases=(
        {"n": 1, "U": 6}, {"n": 2, "U": 6}, {"n": 3, "U": 12}, {"n": 5, "U": 20}, {"n": 8, "U": 30}, {"n": 16, "U": 40}
    ),
    full={"cases": ({"n": 16, "U": 60}, {"n": 24, "U": 60}, {"n": 40, "U": 80})},
)  # fmt: skip


@claim.instance
def lengths(U):
    return [Fraction(k) for k in range(1, U + 1)]


@claim.instance
def program(lengths, n, cap=0, power=2):
    """Record(cost, caps, total): min cost.r subject to caps r >= 0, total.r = 1, r >= 0, exactly.

    cap: the caps have 1 / (n + cap); power: of the length in the cost.
    """
    caps = [[1 - (n + cap) * (k == l) for l in lengths] for k in lengths]
    return Record(cost=[k ** (power + 1) for k in lengths], caps=caps, total=lengths)


@claim.reference
def optimum(lengths, n):
    """Record(q, value) of the statement."""
    Z = Fraction(n * (n + 1), 2)
    return Record(q=exact([k / Z if k <= n else Fraction(0) for k in lengths]), value=exact(Z))


@claim.reference
def dual(lengths, n):
    """Record(caps mu (U,), total lambda, beyond s (U - n,))."""
    total = Fraction(n * (n + 1), 2)
    h = [k**3 - total * k for k in lengths]
    M = (h[n - 1] + h[n]) / 2
    mu = [(M - x) / n for x in h[:n]] + [Fraction(0)] * (len(lengths) - n)
    return Record(caps=exact(mu), total=exact(total), beyond=exact([x - M for x in h[n:]]))


@claim.run
def solved(program):
    """Record(r, multiplier): what HiGHS returns, floats."""
    from scipy.optimize import linprog

    cost, caps, total = (np.array(part, dtype=float) for part in vars(program).values())
    found = linprog(cost, A_ub=-caps, b_ub=np.zeros(len(caps)), A_eq=total[None], b_eq=[1.0], method="highs")
    return Record(r=found.x, multiplier=float(found.eqlin.marginals[0]), caps=-found.ineqlin.marginals)


@claim.measurement
def value(program, solved):
    """The optimal value, by weak duality from exact points near the solver's: feasibility is checked exactly.

    With total.r >= 1 it is the same: dividing r by its total keeps the caps and costs no more.
    """
    A, b = [*program.caps, program.total], [Fraction(0)] * len(program.caps) + [Fraction(1)]
    y = np.append(np.maximum(solved.caps, 0), solved.multiplier)
    return certify.linear_program(program.cost, A, b, solved.r, y)


@claim.check("feasible")
def feasible(program, optimum):
    r = optimum.q.lower / np.array(program.total)
    return at_most(0, exact(np.array(program.caps, dtype=object) @ r))


@claim.check("optimal-value")
def optimal(value, optimum):
    return equal(value, optimum.value)


@claim.check("dual-certificate")
def certificate(program, dual, n):
    """cost - caps^T mu - lambda total, exactly: 0 where q may be positive, positive elsewhere."""
    caps, total = np.array(program.caps, dtype=object), np.array(program.total)
    reduced = np.array(program.cost) - caps.T @ dual.caps.lower - dual.total.lower * total
    return equal(exact(reduced), concatenate([exact([0] * n), dual.beyond]))


@claim.check("strictly-complementary")
def unique(dual, n):
    return less(0, concatenate([dual.caps[:n], dual.beyond]))


def nearness(program, dual, solved, n):
    """Record(q, multiplier): how far the solver's answers may be from the statement's, from their residuals.

    a |x| summed over the slacks x of the caps up to n and the r_l beyond, a their multipliers, is the objective's excess
    and twice what is negative. A unit of it moves q most, by l / a, at l = n + 1; the sum's residual adds its own.
    """
    k, Z, caps = np.array(program.total), Fraction(n * (n + 1), 2), np.array(program.caps, dtype=object)
    r, y = (np.array([Fraction(x) for x in part], dtype=object) for part in (solved.r, solved.caps))
    slacks, a = (
        np.concatenate([caps[:n] @ r, r[n:]]),
        np.concatenate([dual.caps.lower[:n], dual.beyond.lower]),
    )
    q = n * abs(k @ r - 1) / Z + (a @ abs(slacks)) * k[n] / a[n]
    left = (np.array(program.cost) - caps.T @ y - Fraction(solved.multiplier) * k)[:n]
    return Record(q=exact(q), multiplier=exact((sum(abs(left)) + n * sum(abs(y[n:]))) / Z))


@claim.check("solver-finds-it")
def solution(solved, program, optimum, dual, n):
    found = exact(np.array([Fraction(x) for x in solved.r]) * np.array(program.total))
    return equal(
        found, optimum.q, within=nearness(program, dual, solved, n).q, length=np.arange(1, len(solved.r) + 1)
    )


@claim.check("solver-finds-the-multiplier")
def multiplier(solved, program, dual, n):
    return equal(
        exact(Fraction(solved.multiplier)), dual.total, within=nearness(program, dual, solved, n).multiplier
    )


# --- neighbouring programs and solutions ----------------------------------------------------------------------

SEVERAL = {"n": (2, 3, 5, 8, 16, 24, 40)}
claim.control("caps of 1 / (n + 1)", cap=1, must_fail="solver-finds-it")
claim.control("caps of 1 / (n - 1)", cap=-1, must_fail="solver-finds-it", cases=SEVERAL)
claim.control("caps of 1 / (n + 1), multiplier", cap=1, must_fail="solver-finds-the-multiplier")
claim.control("caps of 1 / (n + 1), value", cap=1, must_fail="optimal-value")
claim.control("length in place of its square", power=1, must_fail="optimal-value", cases=SEVERAL)
claim.control("caps of 1 / (n + 1), certificate", cap=1, must_fail="dual-certificate")


def uniform(lengths, n):
    """Uniform on 1..n, in place of the optimum."""
    q = [Fraction(1, n) if k <= n else Fraction(0) for k in lengths]
    return Record(q=exact(q), value=exact(sum(x * k**2 for x, k in zip(q, lengths, strict=True))))


def at_the_edge(dual):
    """M = h_{n+1}: still optimal, but it no longer shows that the solution is the only one."""
    shift = dual.beyond.lower[0]
    return Record(caps=dual.caps, total=dual.total, beyond=exact([x - shift for x in dual.beyond.lower]))


claim.control("uniform on 1..n", optimum=uniform, must_fail="feasible", cases=SEVERAL)
claim.control("M at the edge", dual=at_the_edge, must_fail="strictly-complementary")


@claim.figure
def draw(figure, evidence):
    case = {"n": 8}
    left, right = plot.panel_grid(figure, ["$N_{trg} = 8$", "mean squared length"])
    q, r = evidence.of("optimum", **case).q.middle, evidence.of("solved", **case).r
    rival = evidence.of("solved", control="caps of 1 / (n + 1)", **case).r
    k = np.arange(1, len(q) + 1)
    shown = k <= 12
    left.bar(k[shown], q[shown], width=0.7, color=plot.COLORS[0], alpha=0.5, label="$l / Z$")
    left.plot(k[shown], (k * r)[shown], "o", color=plot.COLORS[1], markersize=3, label="solver")
    left.plot(k[shown], (k * rival)[shown], "x", color=plot.CONTROL["color"], label="control: cap 1/9")
    left.set(xlabel="length $l$", ylabel="$q_l$")
    n = np.array([each["n"] for each in evidence.cases])
    values = [evidence.of("value", **each).middle for each in evidence.cases]
    right.plot(n, values, "o", color=plot.COLORS[1], markersize=4)
    right.plot(n, n * (n + 1) / 2, color=plot.COLORS[0], label="$n (n + 1) / 2$", **plot.BOUND)
    right.set(xscale="log", yscale="log", xlabel="$N_{trg}$")
    plot.legend([left, right])
