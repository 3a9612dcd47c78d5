r"""The paper's table of fine-tuned policies follows from dynamics in which every draw is replaced by its mean.

REINFORCE, RAFT and RL-rej (which drops an instance that the policy solves within 5 tries) are fine-tuned on TASK1 of
the paper's four-layer chain. Their update has the mean

$$\sum_C P(C)\, (1 - s_C)^n \sum_{o \in C} \pi(o) \sum_l w_l\, \nabla \log P_l(o_l, o_{l+1})$$

over the 16 sets C of correct paths, with $s_C = \pi(C)$, n = 0 or 5 tries, and weights $w_l = 1$, or $1 + \log P_l$ in
RAFT. Iterating the mean for 1000 steps of rate 0.05 gives the shares of easy, other valid, and invalid paths that
the sampled algorithms have in the median, up to the bias of finite steps, and the table's rows are draws like ours.
TASK2 is never trained on, yet forgotten: it needs a step of a shared state that TASK1 pushes the other way.

---
Finite steps shift a median by O(rate), which the combination 2 (median at rate/2) - (median at rate) removes; runs
start at the chain itself and see fresh instances. The table's rows are compared with runs of the paper's own protocol:
pre-training on 2500 paths, a pool of 200 instances, 6000 paths to count.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, equal, exact, plot, rounded, statistics

from . import _dynamics, world

TASKS = ("TASK1", "TASK2")
ENTRIES = ("TASK1 easy", "TASK1 other", "TASK1 invalid", "TASK2 easy", "TASK2 other")
COUNTED = 6000  # paths from which the table's shares were counted
PRINTED = {  # hundredths of a per cent, in the order of ENTRIES
    "REINFORCE": (9433, 343, 223, 152, 87),
    "RAFT": (9522, 233, 245, 230, 92),
    "RL-rej": (4962, 1742, 3297, 3063, 227),
}
PATH_TABLE = {  # millionths: probability and expected correctness of the four valid paths
    "TASK1": ((413223, 75131, 4132, 75131), (727995, 132363, 7280, 132363)),
    "TASK2": ((413223, 7513, 4132, 7513), (955691, 17376, 9557, 17376)),
}

claim = Claim(
    "tmc-exploration/paper-table-from-expected-dynamics",
    cases={"method": tuple(_dynamics.METHODS)},
    full={"runs": 2000, "replicates": 200},
)


def shares(theta):
    """The entries of the table, (..., 5)."""
    return np.concatenate([_dynamics.proportions(theta, task) for task in TASKS], axis=-1)[..., :5]


# --- what is predicted ------------------------------------------------------------------------------------


@claim.reference
def path_table(chain=world.authors_chain):
    """Probability and expected correctness of the valid paths of both tasks, in fractions."""
    found = []
    for task in TASKS:
        acc, law = world.correctness(chain(), *world.TASKS[task])
        found += [*law[acc > 0], *acc[acc > 0]]
    return exact(found)


@claim.reference
def expected(method, tries=None, faster=1.0):
    """Entries of the table after expected updates."""
    theta = _dynamics.expected(method, rate=faster * _dynamics.RATE, tries=tries)
    return rounded(shares(theta), 100 * _dynamics.STEPS, 1.0)


# --- what happens -----------------------------------------------------------------------------------------


@claim.run
def ideal(rng, method, runs=160, rate=_dynamics.RATE, steps=_dynamics.STEPS):
    """Entries of sampled runs, (2, runs, 5): at half the rate, and at the rate."""
    start = np.broadcast_to(_dynamics.logits(world.authors_chain()), (runs, 3, 2, 2))
    plans = ((rate / 2, 2 * steps), (rate, steps))
    return np.stack([shares(_dynamics.sampled(rng, start, method, *plan, pool=None)) for plan in plans])


@claim.run
def base(rng, replicates=50):
    return _dynamics.pretrained(rng, replicates)


@claim.run
def protocol(rng, base, method):
    """Entries counted in runs of the paper's own protocol, (replicates, 5)."""
    theta = _dynamics.sampled(rng, base, method)
    each = [rng.multinomial(COUNTED, _dynamics.proportions(theta, task)) / COUNTED for task in TASKS]
    return np.concatenate(each, axis=-1)[:, :5]


@claim.measurement
def median(ideal):
    """Of the entries, extrapolated to steps of rate 0."""
    return statistics.median(2 * ideal[0] - ideal[1])


@claim.measurement
def one_more(protocol):
    """Where the entries of one more run would lie."""
    return statistics.prediction(protocol)


# --- whether they agree -----------------------------------------------------------------------------------


@claim.check("path-table")
def paths(path_table):
    printed = exact([Fraction(n, 10**6) for task in TASKS for column in PATH_TABLE[task] for n in column])
    return equal(path_table, printed, within=exact(Fraction(1, 2 * 10**6)))


@claim.check("sampled-runs")
def typical(median, expected):
    return equal(median, expected, within=median.gap(each=True), entry=ENTRIES)


@claim.check("printed-rows")
def printed(one_more, method):
    row = exact([Fraction(n, 10**4) for n in PRINTED[method]])
    return equal(row, one_more, within=one_more.gap(each=True), entry=ENTRIES)


# --- other algorithms and chains --------------------------------------------------------------------------


def without_rejection(base, rng):
    """RL-rej that never rejects."""
    return protocol(rng, base, "REINFORCE")


def tasks_apart(expected):
    """Each task on states of its own: what TASK1 trains is nothing to TASK2."""
    before = shares(_dynamics.logits(world.authors_chain()))
    return rounded(np.where(np.arange(5) < 3, expected.middle, before), 1, 1.0)


def less_likely():
    """The chain with 9/10 in place of 10/11."""
    return [np.where(k > Fraction(1, 2), Fraction(9, 10), np.where(k < Fraction(1, 2), Fraction(1, 10), k))
            for k in world.authors_chain()]  # fmt: skip


claim.control("9/10 in place of 10/11", chain=less_likely, must_fail="path-table")
claim.control("3 tries", tries=3, must_fail="sampled-runs", cases={"method": ("RL-rej",)})
claim.control(
    "rate 15% larger", faster=1.15, must_fail="sampled-runs", cases={"method": ("REINFORCE", "RAFT")}
)
claim.control("TASK2 on states of its own", expected=tasks_apart, must_fail="sampled-runs")
claim.control(
    "no rejection", protocol=without_rejection, must_fail="printed-rows", cases={"method": ("RL-rej",)}
)


@claim.figure
def draw(figure, evidence):
    panels = plot.panel_grid(figure, TASKS, sharey=True)
    names = [
        f"{case['method']}: {source}"
        for case in evidence.cases
        for source in ("paper", "predicted", "sampled")
    ]
    for panel, columns in zip(panels, (slice(0, 2), slice(3, 5)), strict=True):
        left = np.zeros(len(names))
        rows = np.concatenate([table(evidence, case["method"])[:, columns] for case in evidence.cases])
        rows = np.column_stack([rows, 1 - rows.sum(axis=1)])
        looks = (plot.COLORS[0], plot.COLORS[1], "#DDDFE3")
        for share, color, label in zip(
            rows.T, looks, ("easy path", "other valid paths", "invalid"), strict=True
        ):
            panel.barh(range(len(names)), share, left=left, height=0.75, color=color, label=label)
            left = left + share
        for line in (2.5, 5.5):
            panel.axhline(line, color="#8B8F96", linewidth=0.6)
        panel.set(xlabel="share of paths", xlim=(0, 1), ylim=(len(names) - 0.5, -0.5))
        panel.grid(visible=False)
    panels[0].set_yticks(range(len(names)), names)
    plot.legend(panels)


def table(evidence, method):
    """Paper, expected and median of the protocol's runs, (3, 5)."""
    counted = np.median(evidence.of("protocol", method=method), axis=0)
    return np.array([np.array(PRINTED[method]) / 1e4, evidence.of("expected", method=method).middle, counted])
