r"""In five entries of the paper's table no reward takes part: they are the base chain's law, or a fair coin's.

In the released experiment best-of-N keeps the best 30 of N = 15 candidates, which is all of them: both ORM-BoN rows have
the law of the base rows, starts drawn evenly,

$$P(\text{easy}) = \tfrac12 \pi_0(\text{easy}), \qquad P(\text{other valid}) = \tfrac12 \pi_0(\text{other valid}) ,$$

half of what the chain does from the task's own start: TASK2 is forgotten from 41% to 1.5%, not from 20%. The process
rewards of the TASK2 rows (PRM-BoN, DPRM-BoN, DPRM-AS) are those of TASK1, hence 0 on every path from TASK2's start,
and ties are broken at random: a fair coin at each of three steps,

$$P(\text{easy}) = \tfrac18, \qquad P(\text{other valid}) = \tfrac38 .$$

---
Each printed count must lie in the central interval of its binomial law, and so must counts from the samplers run as
released. Selection as the paper describes it keeps one path of 15, and rewards TASK2 for its own target.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, equal, exact, plot, statistics

from . import world

claim = Claim("tmc-exploration/rows-that-see-no-reward")
SAMPLES = 6000  # 200 instances, 30 paths each; best-of-N returns 15 for each
ROWS = {  # printed hundredths of a per cent: easy, other valid
    ("Base model", "TASK1"): (2167, 807), ("Base model", "TASK2"): (2003, 110),
    ("ORM-BoN", "TASK1"): (2100, 730), ("ORM-BoN", "TASK2"): (2023, 97),
    ("PRM-BoN", "TASK2"): (1342, 3677), ("DPRM-BoN", "TASK2"): (1340, 3702), ("DPRM-AS", "TASK2"): (1202, 3802),
}  # fmt: skip
TRIALS, CANDIDATES = 200, 15


@claim.instance
def sizes():
    """How many paths each row counts: best-of-N returns its 15 candidates for each of 200 instances."""
    return [TRIALS * CANDIDATES if method == "ORM-BoN" else SAMPLES for method, _ in ROWS]


@claim.instance
def printed(sizes):
    """Printed shares as counts, (rows, 2)."""
    pairs = zip(ROWS.values(), sizes, strict=True)
    return exact([[round(Fraction(n * size, 10**4)) for n in shares] for shares, size in pairs])


# --- laws without a reward --------------------------------------------------------------------------------


def laws(heads, start):
    """P(easy), P(other valid) of every row, (rows, 2)."""
    found = []
    for method, task in ROWS:
        if method in ("Base model", "ORM-BoN"):
            found.append([start * p for p in base_law(task)])
        else:  # the easy path turns to state 0 twice, then to its target 1
            easy = heads**2 * (1 - heads)
            found.append([easy, 1 - heads - easy])
    return found


def base_law(task):
    """P(easy), P(other valid) of the chain from the task's start."""
    acc, law = world.correctness(world.authors_chain(), *world.TASKS[task])
    easy = law[np.argmax(acc)]
    return easy, law[acc > 0].sum() - easy


@claim.reference
def central(sizes, heads=Fraction(1, 2), start=Fraction(1, 2)):
    """Where the counts lie, (rows, 2)."""
    return central_counts(laws(heads, start), sizes)


def central_counts(shares, sizes):
    from scipy.stats import binom

    return statistics.quantile_of_law(binom(np.array(sizes)[:, None], np.array(shares, dtype=float)))


# --- the samplers as released -----------------------------------------------------------------------------


@claim.run
def sampled(rng, kept=30, rewarded="TASK1"):
    """Counts of every row, (rows, 2)."""
    found = []
    for method, task in ROWS:
        if method == "Base model":
            paths = chain_paths(rng, SAMPLES)
        elif method == "ORM-BoN":
            paths = best(chain_paths(rng, TRIALS * CANDIDATES), kept, rewarded)
        else:
            paths = by_process_reward(rng, task, rewarded, weighed=method == "DPRM-AS")
        start, target = world.TASKS[task]
        valid = (paths[:, 0] == start) & (paths[:, -1] == target)
        easy = (paths == world.EASY[task]).all(axis=1)
        found.append([int(easy.sum()), int((valid & ~easy).sum())])
    return exact(found)


def chain_paths(rng, count):
    """Paths of the base chain, starts drawn evenly, (count, 4)."""
    steps = np.concatenate([world.paths(world.authors_chain(), start) for start in (0, 1)])
    law = np.concatenate([world.path_law(world.authors_chain(), start) for start in (0, 1)]) / 2
    return steps[rng.choice(len(steps), size=count, p=law.astype(float))]


def outcome_rewards(paths, task):
    """Expected correctness for a task, (n,)."""
    start = world.TASKS[task][0]
    acc, _ = world.correctness(world.authors_chain(), *world.TASKS[task])
    number = paths[:, 1:] @ [4, 2, 1]  # of a path among those from its start
    return np.where(paths[:, 0] == start, acc.astype(float)[number], 0.0)


def best(paths, kept, task):
    """Of every 15 paths the `kept` ones of largest reward, or all if there are fewer."""
    rewards = outcome_rewards(paths, task).reshape(-1, CANDIDATES)
    order = np.argsort(-rewards, axis=1, kind="stable")[:, :kept]
    return paths.reshape(-1, CANDIDATES, world.LAYERS)[np.arange(len(rewards))[:, None], order].reshape(
        -1, world.LAYERS
    )


def by_process_reward(rng, task, rewarded, weighed):
    """Steps of largest mean outcome reward, ties at random, or by weights exp(reward / 2); (SAMPLES, 4)."""
    own = world.paths(world.authors_chain(), world.TASKS[task][0])  # its states count in binary
    law, reward = (
        world.path_law(world.authors_chain(), own[0, 0]).astype(float),
        outcome_rewards(own, rewarded),
    )
    drawn = np.zeros(SAMPLES, dtype=int)
    for layer in range(1, world.LAYERS):
        mass = law.reshape(2**layer, -1).sum(axis=1)
        scores = (law * reward).reshape(2**layer, -1).sum(axis=1) / mass  # of the prefixes, in their order
        gap = scores[1::2] - scores[::2]
        chance = 1 / (1 + np.exp(-gap / 2)) if weighed else (1 + np.sign(gap)) / 2
        drawn = 2 * drawn + (rng.random(SAMPLES) < chance[drawn])
    return own[drawn]


# --- whether they agree -----------------------------------------------------------------------------------


@claim.check("printed-rows")
def as_printed(printed, central):
    return equal(printed, central, within=central.gap(each=True), row=[[" ".join(row)] for row in ROWS])


@claim.check("released-samplers")
def as_sampled(sampled, central):
    return equal(sampled, central, within=central.gap(each=True), row=[[" ".join(row)] for row in ROWS])


# --- what the paper describes -----------------------------------------------------------------------------


def selected(heads, start):
    """`laws` if one path is kept of 15 for TASK1's reward, and process rewards are for TASK2's own target."""
    easy = 1 - (1 - base_law("TASK1")[0] * start) ** CANDIDATES
    best_of_n = [[easy, 1 - easy], [Fraction(0), Fraction(0)]]
    return [*laws(heads, start)[:2], *best_of_n, *[[Fraction(1), Fraction(0)]] * 3]


def central_if_selected(sizes, heads, start):
    return central_counts(selected(heads, start), sizes)


claim.control("rows as the paper describes them", central=central_if_selected, must_fail="printed-rows")
claim.control("every path from its task's start", start=Fraction(1), must_fail="printed-rows")
claim.control("a coin with 3/5", heads=Fraction(3, 5), must_fail="printed-rows")
claim.control("one of 15 kept", kept=1, must_fail="released-samplers")
claim.control("TASK2 rewarded for its own target", rewarded="TASK2", must_fail="released-samplers")


@claim.figure
def draw(figure, evidence):
    panels = plot.panel_grid(figure, ["easy path", "other valid paths"], sharey=True)
    names, sizes = [" ".join(row) for row in ROWS], np.array(evidence.of("sizes"))
    central, printed = evidence.of("central"), evidence.of("printed").middle
    described = np.array(selected(Fraction(1, 2), Fraction(1, 2)), dtype=float)
    y = np.arange(len(names))
    for column, panel in enumerate(panels):
        low, up = (np.asarray(end)[:, column] / sizes for end in (central.lower, central.upper))
        panel.barh(
            y, up - low, left=low, height=0.6, color="#C9D8EA", label="law without a reward, central interval"
        )
        panel.plot(printed[:, column] / sizes, y, "|", color=plot.COLORS[1], markersize=11, label="printed")
        look = {"color": plot.CONTROL["color"], "linestyle": "none", "marker": "x"}
        panel.plot(described[2:, column], y[2:], **look, label="control: as described")
        panel.set(xlabel="share of paths", xlim=(-0.04, 1.04), ylim=(len(names) - 0.5, -0.5))
    panels[0].set_yticks(y, names)
    plot.legend(panels)
