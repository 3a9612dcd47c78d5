r"""With the weight $\beta = 10^3$ of the paper the hinge lets the divergence grow to 79 times the bound $\delta = 10^{-4}$.

For a table of answers, J the ratio score's objective and $K = \mathrm{KL}(\pi_{\mathrm{old}} \,\|\, \pi)$, let $p_\beta$ be the probability of a
correct answer under the maximiser of $J - \beta\, [K - \delta]_+^2$. Whatever $\delta \ge 0$, if $p + p_\beta \le 1$, then

$$K_\beta \ge (2 \beta^2)^{-1/3},$$

which is $79\, \delta$ at the settings of the paper. For $K_\beta \le 2 \delta$ a weight $\beta > \tfrac12 \delta^{-3/2} = 5 \cdot 10^5$ is needed.

---
By stationarity $2 \beta K \ge 2 \beta (K - \delta) = p_\beta (1 - p_\beta) / (p (1 - p) (p_\beta - p)) \ge 1 / (p_\beta - p)$, as p_beta is no farther
from 1/2 than p is, and p_beta - p <= sqrt(K / 2) by Pinsker. It is sharp where delta = 0, p + p_beta = 1 and both are
close to 1/2, as for a large beta. The settings are those of a table with one answer a draw; in a language model both J
and K are averages over tokens.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, concatenate, equal, exact, plot, stack

from . import world

claim = Claim(
    "disco-difficulty-bias/penalty-leaves-the-trust-region",
    full={"runs": tuple(Fraction(i, 100) for i in range(1, 45, 3)), "draws": 300},
)
DELTA = Fraction(1, 10_000)
GRID = tuple(Fraction(i, 100) for i in (1, 2, 4, 7, 10, 15, 20, 25, 30, 35, 40, 44, 46))


@claim.instance
def tables(rng, draws=20):
    """(p, delta, beta): the paper's settings on the grid first, then an almost sharp case, then random ones."""
    named = [(p, DELTA, 1_000) for p in GRID]
    almost_sharp = (Fraction(4965, 10_000), 0, 10**6)
    numbers = zip(
        rng.uniform(0.05, 0.4, draws), 10 ** rng.uniform(-8, -3, draws), 10 ** rng.uniform(3, 6, draws),
        strict=True,
    )  # fmt: skip
    return [*named, almost_sharp, *(fractions(*each) for each in numbers)]


def fractions(p, delta, beta):
    return Fraction(p), Fraction(delta), Fraction(beta)


@claim.space("tables", build=lambda p, powers: [fractions(p, *(10**x for x in powers))])
def one_table(draw):
    from hypothesis import strategies as st

    # p + p_beta <= 1 asks for a small p where delta is large or beta small
    powers = draw(st.floats(-12, -1)), draw(st.floats(1, 7))
    return {"p": draw(st.floats(0.01, 0.49)), "powers": powers}


@claim.instance
def olds(rng, runs=(Fraction(1, 20), Fraction(1, 5), Fraction(9, 20)), correct=2, wrong=6):
    """Old policies with about these probabilities of a correct answer, (runs, answers)."""
    shares = [(float(p), float(1 - p)) for p in runs]
    drawn = [
        np.concatenate(
            [share * rng.dirichlet(np.full(k, 2.0)) for share, k in zip(pair, (correct, wrong), strict=True)]
        )
        for pair in shares
    ]
    return np.array([certify.convex_weights(policy) for policy in drawn])


@claim.reference
def hinged(tables, part=1):
    """K_beta and p + p_beta of every table; part: of beta that counts."""
    return maximisers([(p, delta, part * beta) for p, delta, beta in tables])


@claim.reference
def least(tables):
    """(2 beta^2)^(-1/3) of every table."""
    return stack([certify.evaluate(lambda beta: 1 / (2 * beta**2).root(3), beta) for _, _, beta in tables])


@claim.reference
def as_in_the_paper(beta=1_000):
    """K_beta and p + p_beta for every p of the grid."""
    return maximisers([(p, DELTA, beta) for p in GRID])


@claim.reference
def heavier(weight=500_000):
    """The same for the weight that the statement asks for."""
    return maximisers([(p, DELTA, weight) for p in GRID])


@claim.reference
def of_the_runs(olds, correct, beta):
    """The same for the old policies of the runs."""
    return maximisers([(world.rates(old, correct)[0], DELTA, beta) for old in olds])


def maximisers(tables):
    found = [(p, world.penalised(p, delta, beta)) for p, delta, beta in tables]
    both = stack([p + 1 - x.wrong for p, x in found])
    return Record(divergence=stack([x.divergence for _, x in found]), both=both)


@claim.run
def policies(olds, correct, beta):
    """What BFGS finds from every old policy, (runs, answers)."""
    return np.array([world.penalised_ascent(old, correct, float(DELTA), beta) for old in olds])


@claim.measurement
def found(policies, olds, correct, beta):
    """Divergence and how far it may be from the maximiser's, (runs,)."""
    pairs = zip(policies, olds, strict=True)
    each = [world.measured(policy, old, correct, DELTA, beta) for policy, old in pairs]
    return Record(divergence=stack([x.divergence for x in each]), near=stack([x.near for x in each]))


@claim.assumption
def at_most_even(hinged, as_in_the_paper, heavier, of_the_runs):
    every = (hinged, as_in_the_paper, heavier, of_the_runs)
    return at_most(concatenate([each.both for each in every]), exact(1))


@claim.check("divergence-at-least")
def divergence_at_least(hinged, least, tables):
    p, delta, beta = np.array(tables, dtype=float).T
    return at_most(least, hinged.divergence, p=p, delta=delta, beta=beta)


@claim.check("79-times-delta")
def times_delta(as_in_the_paper, times=79):
    return at_most(exact(times * DELTA), as_in_the_paper.divergence, p=[float(p) for p in GRID])


@claim.check("run-at-its-maximum")
def run_at_its_maximum(found, of_the_runs, runs):
    within = found.near + of_the_runs.divergence.gap() + found.divergence.gap()
    return equal(found.divergence, of_the_runs.divergence, within=within, p=[float(p) for p in runs])


@claim.check("run-leaves")
def run_leaves(found, times, runs):
    return at_most(exact(times * DELTA), found.divergence, within=found.near, p=[float(p) for p in runs])


@claim.check("weight-needed")
def weight_needed(heavier):
    return at_most(exact(2 * DELTA), heavier.divergence, p=[float(p) for p in GRID])


claim.control("beta 20% larger", part=Fraction(6, 5), must_fail="divergence-at-least")
claim.control("beta 20% larger in the runs", beta=1_200, must_fail="run-leaves")
claim.control("88 times", times=88, must_fail="79-times-delta")
claim.control(
    "maximum for a beta 10% larger",
    of_the_runs=lambda olds, correct, beta: of_the_runs(olds, correct, Fraction(11, 10) * beta),
    must_fail="run-at-its-maximum",
)
claim.control("a weight 20% larger", weight=600_000, must_fail="weight-needed")


@claim.figure
def draw(figure, evidence):
    titles = [r"$\beta = 10^3$", r"$\beta = 5 \cdot 10^5$"]
    left, right = plot.panel_grid(figure, titles)
    delta, rates = float(DELTA), [float(p) for p in GRID]
    checks = (
        ("divergence-at-least", "beta 20% larger", left),
        ("weight-needed", "a weight 20% larger", right),
    )
    for check, control, panel in checks:
        own, rival = evidence.curve(check), evidence.curve(check, control=control)
        limit, values, grey = (
            np.broadcast_to(x.middle, own.bound.shape)[: len(GRID)] / delta
            for x in (own.measured, own.bound, rival.bound)
        )
        plot.curve_with_bound(panel, rates, values, limit, label="maximiser")
        panel.plot(rates, grey, label=r"control: $\beta$ 20% larger", **plot.CONTROL)
        panel.set(xlabel="rate $p$ of correct answers", ylim=(0, None))
    run = evidence.curve("run-leaves")
    left.plot(run.p, run.bound.middle / delta, "o", color=plot.COLORS[1], label="BFGS")
    left.set_ylabel(r"divergence $K_\beta / \delta$")
    plot.legend([left, right], bound="lower bound")
