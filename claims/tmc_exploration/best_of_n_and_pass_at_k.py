r"""Best-of-N picks the most consistent path, not the correct one; and sampling more undoes what fine-tuning gained.

Best-of-N draws N paths from the base chain and keeps one with the largest outcome reward, here the expected
correctness acc. With F the distribution function of the reward,

$$P(\text{value } v \text{ is kept}) = F(v)^N - F(v-)^N ,$$

shared among paths of equal reward in proportion to their probability. So the easy path is kept with probability
$1 - (1 - \pi_0(\text{easy}))^N \to 1$, and on an instance whose only correct path is another one accuracy is at most
$(1 - \pi_0(\text{easy}))^N$. Over all instances

$$\mathrm{pass@}K(\pi) = \sum_C P(C) \left[ 1 - (1 - \pi(C))^K \right] \to 1 - P(C = \emptyset) ,$$

with at most $\sum_o \mathrm{acc}(o) (1 - \pi(o))^K$ missing; and REINFORCE, ahead of the base chain and of RL-rej at K = 1, is behind both at the K = 30 of the paper.

---
Best-of-N is carried out one path after the other, the best so far being kept, and pass@K by following the set of correct
paths seen so far; both in fractions. REINFORCE and RL-rej are the policies after 1000 expected updates.
"""

from fractions import Fraction
from itertools import product
from math import prod

import numpy as np

from verify import Claim, at_most, equal, exact, less, plot, rounded, stack

from . import _dynamics, _sampling, world

claim = Claim("tmc-exploration/best-of-n-and-pass-at-k", full={"most": 30, "chains": 8})
PAPER_K = 30
FINE_TUNED = ("REINFORCE", "RL-rej")


# --- chains and their rewards -----------------------------------------------------------------------------


@claim.instance
def bases(rng, chains=2):
    """(law, acc) of the paths from state 0: of the paper's chain, then of random ones."""
    own = world.correctness(world.authors_chain(), *world.TASKS["TASK1"])[::-1]
    others = [world.random_chain(rng, (1, rng.integers(2, 4), 2, 2)) for _ in range(chains)]
    return [own, *(world.correctness(chain, 0, 0)[::-1] for chain in others)]


@claim.instance
def sizes(most=15):
    """N, and K."""
    return sorted({1, 2, 3, 5, 8, 15, 30} & set(range(most + 1)))


# --- what the formulas say --------------------------------------------------------------------------------


@claim.reference
def kept(bases, sizes, fewer=0):
    """Which path best-of-N keeps: by base, N and path, one after the other."""
    return exact(np.concatenate([world.best_of_n_law(*base, n - fewer) for base, n in product(bases, sizes)]))


@claim.reference
def solved(bases, sizes, fewer):
    """pass@K by base and K."""
    found = []
    for (law, acc), k in product(bases, sizes):
        members, weights = world.instances(acc)
        found.append(world.pass_at_k(law, members, weights, k - fewer))
    return exact(found)


@claim.reference
def missed_easy(bases, sizes):
    """(1 - pi_0(easy))^N on the paper's chain, the easy path being the one of largest reward."""
    law, acc = bases[0]
    return exact([(1 - law[np.argmax(acc)]) ** n for n in sizes])


@claim.reference
def ceiling(bases):
    """1 - P(no path is correct), by base."""
    return exact([1 - np.prod(1 - acc) for _, acc in bases])


@claim.reference
def missing(bases, sizes):
    """How far below the ceiling pass@K may be, by base and K: some correct path is not among the samples."""
    return exact([(acc * (1 - law) ** k).sum() for (law, acc), k in product(bases, sizes)])


# --- what sampling does -----------------------------------------------------------------------------------


@claim.run
def selection(bases, sizes):
    """The law of the best path so far after N paths, a later one being kept only if it is better."""
    found = [_sampling.best_so_far(law, acc, max(sizes)) for law, acc in bases]
    return exact(np.concatenate([after[n] for after in found for n in sizes]))


@claim.run
def seen(bases, sizes):
    """pass@K from the law of which valid paths K samples have shown, by base and K."""
    found = []
    for law, acc in bases:
        after = _sampling.shown(law, acc > 0, max(sizes))
        found += [
            sum(p * (1 - prod(1 - acc[o] for o in paths)) for paths, p in after[k].items()) for k in sizes
        ]
    return exact(found)


@claim.run
def curves(ks=PAPER_K):
    """pass@K for K = 1 .. 30 of the base chain and of the fine-tuned policies, (3, 30)."""
    acc = _dynamics.correctness_of_first_task()
    members, weights = world.instances(acc)
    thetas = [_dynamics.logits(world.authors_chain()), *(_dynamics.expected(m) for m in FINE_TUNED)]
    laws = [world.path_law(_dynamics.kernels(theta), 0) for theta in thetas]
    values = [[world.pass_at_k(law, members, weights, k) for k in range(1, ks + 1)] for law in laws]
    return rounded(np.array(values), 200 * _dynamics.STEPS, 1.0)


@claim.measurement
def on_hard_instances(bases, sizes, selection):
    """How likely best-of-N is right on the paper's chain if the only correct path is the likeliest other one."""
    law, acc = bases[0]
    hard = np.argsort(acc)[-2]
    return stack([selection[i * len(law) + hard] for i in range(len(sizes))])


# --- whether they agree -----------------------------------------------------------------------------------


@claim.check("selection-law")
def laws(selection, kept):
    return equal(selection, kept)


@claim.check("hard-instances-are-lost")
def lost(on_hard_instances, missed_easy, sizes):
    return at_most(on_hard_instances, missed_easy, N=sizes)


@claim.check("pass-at-k")
def passing(seen, solved):
    return equal(seen, solved)


@claim.check("below-the-ceiling")
def below(seen, ceiling, sizes):
    return less(seen, for_every_size(ceiling, sizes))


@claim.check("near-the-ceiling")
def near(seen, ceiling, missing, sizes):
    return at_most(for_every_size(ceiling, sizes) - seen, missing)


def for_every_size(ceiling, sizes):
    return exact(np.repeat(ceiling.lower, len(sizes)))


@claim.check("reinforce-is-overtaken")
def overtaken(curves):
    """At K = 1 it is ahead, at K = 30 behind."""
    base, reinforce, rejection = curves[0], curves[1], curves[2]
    lower = stack([base[0], rejection[0], reinforce[-1], reinforce[-1]])
    upper = stack([reinforce[0], reinforce[0], base[-1], rejection[-1]])
    return less(lower, upper, against=("base", "RL-rej") * 2, K=(1, 1, PAPER_K, PAPER_K))


# --- other selections and policies ------------------------------------------------------------------------


def any_valid(bases, sizes):
    """A reward that is the same for all valid paths: nothing is concentrated."""
    same = [(law, np.where(acc > 0, Fraction(1), Fraction(0))) for law, acc in bases]
    return selection(same, sizes)


def independent_tries(bases, sizes):
    """Every sample meets an instance of its own."""
    return exact([1 - (1 - (law * acc).sum()) ** k for (law, acc), k in product(bases, sizes)])


def flattened(bases):
    """1 - P(no path is correct), if all valid paths were equally likely to be."""
    counts = [int(np.count_nonzero(acc)) for _, acc in bases]
    return exact([1 - (1 - Fraction(1, n)) ** n for n in counts])


def raised(ceiling):
    return Fraction(11, 10) * ceiling


def with_penalty(curves):
    """In place of REINFORCE the base chain conditioned on TASK1's target, the limit of a weak KL penalty."""
    acc = _dynamics.correctness_of_first_task()
    members, weights = world.instances(acc)
    values = [world.pass_at_k(acc, members, weights, k) for k in range(1, PAPER_K + 1)]
    return stack([curves[0], rounded(np.array(values), 1000, 1.0), curves[2]])


claim.control(
    "N - 1 paths", sizes=lambda sizes: [n for n in sizes if n > 1], fewer=1, must_fail="selection-law"
)
claim.control("reward equal on valid paths", selection=any_valid, must_fail="hard-instances-are-lost")
claim.control("an instance for every sample", seen=independent_tries, must_fail="pass-at-k")
claim.control("valid paths alike", ceiling=flattened, must_fail="below-the-ceiling")
claim.control("ceiling 10% higher", ceiling=raised, must_fail="near-the-ceiling")
claim.control("weak KL penalty for REINFORCE", curves=with_penalty, must_fail="reinforce-is-overtaken")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["best of $N$, law of what is kept", "pass@$K$ on TASK1"])
    sizes, easy = evidence.of("sizes"), evidence.of("missed_easy").middle
    hard = evidence.of("on_hard_instances")
    (line,) = left.plot(sizes, hard.middle, "o-", label="the only correct path, hard")
    left.plot(sizes, easy, color=line.get_color(), **plot.BOUND)
    left.plot(sizes, 1 - easy, "s-", color=plot.COLORS[1], label="the easy path")
    rival = evidence.of("on_hard_instances", control="reward equal on valid paths").middle
    left.plot(sizes, rival, **plot.CONTROL, label="control: valid paths alike")
    left.set(xscale="log", yscale="log", xlabel="paths $N$", ylabel="probability", ylim=(1e-4, 2))
    left.set_xticks([1, 3, 10], ["1", "3", "10"])
    curves, k = evidence.of("curves"), np.arange(1, PAPER_K + 1)
    for name, curve, color in zip(("base chain", *FINE_TUNED), curves, plot.COLORS[2:], strict=False):
        right.plot(k, curve.middle, color=color, label=name)
    right.axhline(evidence.of("ceiling").middle[0], color=plot.INK, **plot.BOUND)
    right.set(xscale="log", xlabel="samples $K$", ylim=(0.3, 0.85))
    right.set_xticks([1, 3, 10, 30], ["1", "3", "10", "30"])
    plot.legend([left, right], bound="bound, ceiling")
