r"""The latency of DSI in closed form: on every pattern of acceptances, in expectation, and for any number of drafters.

One target pass is the unit of time, c a drafter's pass, $b_i = 1$ if the draft at position i is accepted. With
lookahead 1, at least $\lceil 1 / c \rceil$ target servers and $c \le 1$, for every pattern b of N tokens

$$T(b) = c A + (N - A), \qquad A = b_1 + \dots + b_{N-1},$$

and if drafts are accepted independently with probability p,

$$\mathbb{E}\, T = c\, p\, (N-1) + (1-p)(N-1) + 1 .$$

With drafters of latencies $t_1, \dots, t_{m-1}$ and the target's $t_m$, every model started from every prefix, and
$b_{ij} = 1$ if model j is right at position i (the target always is),

$$T(b) = t_m + \sum_{i=1}^{N-1} \min \{ t_j : b_{ij} = 1 \},$$

so that one more drafter never hurts, however slow it is.

---
Run on all 2^(N-1) patterns of a short text, which gives the expectation as well, and on random long ones.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, equal, exact, plot

from . import world

claim = Claim(
    "distributed-speculative-inference/dsi-latency-exact",
    cases={"c": (Fraction(1, 7), Fraction(1, 3), Fraction(1))},
    full={"N": 12, "long": 200, "draws": 2_000},
)
P = tuple(Fraction(i, 10) for i in range(11))
FASTER = {"c": (Fraction(1, 7), Fraction(1, 3))}  # where drafts and corrections differ in cost


@claim.instance
def patterns(rng, N=9, long=20):
    """Every pattern of N tokens, then random ones of 100."""
    rates = rng.uniform(0.3, 1, size=long)
    return world.patterns(N) + [tuple((rng.random(100) < p).astype(int).tolist()) for p in rates]


@claim.instance
def tables(rng, draws=200):
    """Who is right where, and the latencies, the target's last: extremal tables, then random ones."""
    found = [
        Record(right=[(1,)] * 5, latencies=(14, 7)),  # always right and slower than the target
        Record(right=[(1, 1)] * 5, latencies=(2, 3, 7)),
        Record(right=[(0, 0)] * 5, latencies=(2, 3, 7)),
        Record(right=[(1, 0), (0, 1), (1, 1), (0, 1), (1, 0)], latencies=(5, 5, 7)),
    ]
    for _ in range(draws):
        m, N = rng.integers(2, 5), rng.integers(2, 6)
        right = [tuple(row) for row in rng.integers(0, 2, size=(N - 1, m - 1)).tolist()]
        found.append(Record(right=right, latencies=tuple(rng.integers(1, 13, size=m).tolist())))
    return found


@claim.reference
def latency(patterns, c, draft=1, correction=1):
    """c A + (N - A) for every pattern; draft, correction: factors that controls put on the two costs."""
    counts = [(sum(b[:-1]), len(b) - 1) for b in patterns]
    return exact([draft * c * A + correction * (n - A) + 1 for A, n in counts])


@claim.reference
def expected_latency(c, N, rates=P):
    return exact([c * p * (N - 1) + (1 - p) * (N - 1) + 1 for p in rates])


@claim.reference
def table_latency(tables):
    return exact([table.latencies[-1] + sum(fastest_right(table)) for table in tables])


def fastest_right(table):
    """The smallest latency of a model that is right, position by position."""
    *drafters, target = table.latencies
    return [min([target, *(t for t, b in zip(drafters, row, strict=True) if b)]) for row in table.right]


@claim.run
def simulated(patterns, c):
    """Event by event, with as many servers as the statement asks for; `jobs` of one pattern for the figure."""
    servers = world.servers_needed(c, 1)
    runs = [world.dsi(b, c, servers=servers) for b in patterns]
    shown = world.dsi(tuple(int(i not in (5, 11)) for i in range(1, 17)), c, servers=servers)
    return Record(times=exact([run.time for run in runs]), jobs=[list(map(float, job)) for job in shown.jobs])


@claim.run
def table_runs(tables, follow=min):
    return exact([world.dsi_tree(table.right, table.latencies, follow) for table in tables])


@claim.run
def runs_without_last_drafter(tables):
    return exact(
        [world.dsi_tree([row[:-1] for row in t.right], (*t.latencies[:-2], t.latencies[-1])) for t in tables]
    )


@claim.assumption
def drafter_not_slower(c):
    return at_most(exact(c), exact(1))


@claim.check("every-pattern")
def every_pattern(simulated, latency, patterns):
    return equal(simulated.times, latency, pattern=["".join(map(str, b)) for b in patterns])


@claim.check("expectation")
def expectation(simulated, expected_latency, N, spread=0):
    """The simulated times of all patterns of N tokens, weighted with their probabilities."""
    law = np.array([world.pattern_law(N, p, spread) for p in P], dtype=object)
    mean = exact(law @ simulated.times.lower[: 2 ** (N - 1)])
    return equal(mean, expected_latency, p=[float(p) for p in P])


@claim.check("any-number-of-drafters")
def any_number(table_runs, table_latency):
    return equal(table_runs, table_latency)


@claim.check("one-more-drafter-never-hurts")
def never_hurts(table_runs, runs_without_last_drafter):
    return at_most(table_runs, runs_without_last_drafter)


claim.control("drafts 10% dearer", draft=Fraction(11, 10), must_fail="every-pattern")
claim.control("corrections 10% cheaper", correction=Fraction(9, 10), must_fail="every-pattern")


def corrections_as_drafts(patterns, c):
    return exact([c * (len(b) - 1) + 1 for b in patterns])


claim.control(
    "corrections at a draft's price", latency=corrections_as_drafts, must_fail="every-pattern", cases=FASTER
)
claim.control(
    "drafter 20% slower than the target", c=Fraction(6, 5), must_fail="every-pattern",
    cases={"c": (Fraction(1),)},
)  # fmt: skip
claim.control(
    "p 10% smaller", rates=tuple(Fraction(9, 10) * p for p in P), must_fail="expectation", cases=FASTER
)
claim.ablation("acceptance rate varies from text to text", check="expectation", spread=Fraction(1, 2))
claim.control("p squared", rates=tuple(p * p for p in P), must_fail="expectation", cases=FASTER)


def last_token_drafted(tables):
    """As if the last token might come from the fastest model."""
    return exact([min(table.latencies) + sum(fastest_right(table)) for table in tables])


claim.control("last token drafted", table_latency=last_token_drafted, must_fail="any-number-of-drafters")
claim.control("slowest right model leads", follow=max, must_fail="any-number-of-drafters")
claim.control("slowest right model leads, more", follow=max, must_fail="one-more-drafter-never-hurts")


@claim.figure
def draw(figure, evidence):
    shown, tokens = Fraction(1, 3), evidence.data["parameters"]["N"]
    left, right = plot.panel_grid(figure, ["formula and simulation", "$c$ = 1/3; pale: killed"])
    for case in evidence.cases:
        curve = evidence.curve("expectation", **case)
        (line,) = left.plot(
            curve.p, curve.bound.middle / tokens, label=f"$c$ = {case['c']}", linestyle="-", linewidth=1.2
        )
        left.plot(curve.p, curve.measured.middle / tokens, "o", color=line.get_color(), clip_on=False)
    squared = evidence.curve("expectation", control="p squared", c=shown)
    left.plot(squared.p, squared.bound.middle / tokens, label="control: $p^2$", **plot.CONTROL)
    left.set(xlabel="acceptance rate $p$", ylabel=r"$\mathbb{E}\,T / N$", ylim=(0, 1.05))
    timeline(right, evidence.of("simulated", c=shown).jobs)
    right.set(xlabel="time, in target passes", ylabel="verification jobs", yticks=[])
    plot.legend(left)


def timeline(axes, jobs):
    """Verification jobs as bars; those that were killed are pale."""
    for row, (_, _, started, stopped) in enumerate(jobs):
        whole = stopped - started > 1 - 1e-9
        axes.barh(
            row, stopped - started, left=started, height=0.8, color=plot.COLORS[0], alpha=1 if whole else 0.3
        )
    axes.invert_yaxis()
