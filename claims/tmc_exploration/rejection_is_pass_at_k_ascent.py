r"""Learning only from instances that n tries failed on is gradient ascent on pass@(n+1), which is concave.

An instance C is drawn, n paths are tried on it, and only if none is correct the policy makes a REINFORCE step on one
more path. With $s_C = \pi(C)$ the mean of this update is

$$\sum_C P(C) (1 - s_C)^n\, \nabla s_C = \frac{1}{n+1} \nabla \sum_C P(C) \left[ 1 - (1 - s_C)^{n+1} \right] .$$

As a function of the law of paths, pass@(n+1) is concave: what rejection climbs to is the solution of a convex program.

---
The mean is taken over every instance, every outcome of the tries and every path, in fractions; the gradient is the exact
derivative of a polynomial in t along a change t of a logit, from its values at enough t. Concavity is tried on chords,
from corner to corner among them.
"""

from fractions import Fraction
from itertools import product

import numpy as np

from verify import Claim, Record, at_most, equal, exact, plot

from . import _dynamics, world

claim = Claim("tmc-exploration/rejection-is-pass-at-k-ascent", full={"pairs": 300})
TRIES = (0, 1, 2)


# --- policies, laws and instances -------------------------------------------------------------------------


@claim.instance
def policies(rng):
    """Kernels of random policies on the paper's graph, and random instances of its four valid paths."""
    chains = [world.authors_chain(), *(world.random_chain(rng, (2, 2, 2, 2)) for _ in range(2))]
    chances = [Fraction(int(k), 10) for k in rng.integers(1, 10, size=4)]
    acc = np.array([chances[i // 2] if i % 2 == 0 else Fraction(0) for i in range(8)])
    return Record(chains=chains, acc=[world.correctness(chains[0], 0, 0)[0], acc, acc])


@claim.instance
def laws(rng, pairs=40):
    """Pairs of laws on four paths, a corner and its opposite among them, and where between them to look."""
    weights = rng.integers(0, 9, size=(pairs, 2, 4)) + np.eye(4, dtype=int)[rng.integers(4, size=(pairs, 2))]
    weights[:4] = [np.eye(4, dtype=int)[[i, (i + 1) % 4]] for i in range(4)]
    as_fractions = [[[Fraction(int(w), int(row.sum())) for w in row] for row in pair] for pair in weights]
    between = [Fraction(int(k), 10) for k in rng.integers(1, 10, size=pairs)]
    return Record(pairs=np.array(as_fractions), between=np.array(between))


# --- what pass@K says -------------------------------------------------------------------------------------


@claim.reference
def slope(policies, tries=TRIES):
    """Exact gradient of pass@(n+1) / (n+1) in the 12 logits, one after the other for policies and n."""
    found = []
    for chain, acc in zip(policies.chains, policies.acc, strict=True):
        members, weights = world.instances(acc)
        for n, change in product(tries, directions(chain)):
            laws = [law_of([k + t * c for k, c in zip(chain, change, strict=True)]) for t in range(n + 2)]
            found.append(
                derivative([world.pass_at_k(law, members, weights, n + 1) for law in laws]) / (n + 1)
            )
    return exact(found)


def directions(chain):
    """How the kernels change, to first order, with each logit (layer, x, y): by P(x, y) (e_y - P(x, .))."""
    for layer, x, y in product(range(3), range(2), range(2)):
        change = [np.full((2, 2), Fraction(0)) for _ in chain]
        change[layer][x] = chain[layer][x, y] * ((np.arange(2) == y) - chain[layer][x])
        yield change


def law_of(kernels):
    """Products of entries along the paths from state 0, also of kernels that are no probabilities."""
    steps = world.paths(world.authors_chain(), 0)
    return np.prod([k[steps[:, i], steps[:, i + 1]] for i, k in enumerate(kernels)], axis=0)


def derivative(values):
    """At 0 of the polynomial with the given values at 0, 1, 2, .., exactly (Lagrange)."""
    total, nodes = Fraction(0), range(1, len(values))
    for j in nodes:
        weight = Fraction(1, j)
        for k in nodes:
            weight *= Fraction(-k, j - k) if k != j else 1
        total += (values[j] - values[0]) * weight
    return total


# --- what the algorithm does ------------------------------------------------------------------------------


@claim.run
def mean_update(policies, tries):
    """The mean over instances, tries and paths, in the order of `slope`."""
    taken, rows = (np.array(table, dtype=int) for table in _dynamics.step_tables())
    found = []
    for (chain, acc), n in product(zip(policies.chains, policies.acc, strict=True), tries):
        pi, flat = world.path_law(chain, 0), np.concatenate([kernel.ravel() for kernel in chain])
        members, weights = world.instances(acc)
        total = np.full(12, Fraction(0))
        for correct, weight in zip(members, weights, strict=True):
            if weight:
                chance = weight * all_fail(pi, correct, n)
                total = total + chance * ((pi * correct)[:, None] * (taken - rows * flat)).sum(axis=0)
        found += list(total)
    return exact(found)


def all_fail(pi, correct, n):
    """Probability that none of n tries is correct, over all outcomes."""
    total = Fraction(0)
    for outcome in product(range(len(pi)), repeat=n):
        if not correct[list(outcome)].any():
            total += np.prod(pi[list(outcome)])
    return total


@claim.run
def along_chords(laws, samples=6):
    """pass@K between two laws, and the same share of its values at both."""
    members, weights = world.instances(world.valid_correctness())

    def value(law):
        return world.pass_at_k(law, members, weights, samples)

    return compared(laws, value)


def compared(laws, value):
    inside, chord = [], []
    for (p, q), share in zip(laws.pairs, laws.between, strict=True):
        inside.append(value(share * p + (1 - share) * q))
        chord.append(share * value(p) + (1 - share) * value(q))
    return Record(inside=exact(inside), chord=exact(chord))


# --- whether they agree -----------------------------------------------------------------------------------


@claim.check("mean-update")
def ascent(mean_update, slope):
    return equal(mean_update, slope)


@claim.check("concave")
def concave(along_chords):
    return at_most(along_chords.chord, along_chords.inside)


# --- rivals -----------------------------------------------------------------------------------------------


def one_try_more(policies, tries):
    return mean_update(policies, tuple(n + 1 for n in tries))


def all_correct(laws, samples):
    """That all K samples are correct, in place of one."""
    members, weights = world.instances(world.valid_correctness())
    return compared(laws, lambda law: (weights * (members @ law) ** samples).sum())


claim.control("one try more", mean_update=one_try_more, must_fail="mean-update")
claim.control("all K samples correct", along_chords=all_correct, must_fail="concave")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["mean update, every logit", "pass@6 of mixed laws"])
    slope, own = evidence.of("slope").middle, evidence.of("mean_update").middle
    rival = evidence.of("mean_update", control="one try more").middle
    slope, own, rival = (np.array(x, dtype=float).reshape(-1, len(TRIES), 12) for x in (slope, own, rival))
    left.plot(slope.ravel(), rival.ravel(), "x", color=plot.CONTROL["color"], label="control: one try more")
    for i, n in enumerate(TRIES):
        left.plot(slope[:, i].ravel(), own[:, i].ravel(), "o", label=f"{n} tries")
    left.plot([slope.min(), slope.max()], [slope.min(), slope.max()], color=plot.INK, **plot.BOUND)
    left.set(xlabel=r"$\nabla$ pass@$(n+1)$ / $(n+1)$", ylabel="mean update")
    for name, look in (
        (
            "all K samples correct",
            {"marker": "x", "color": plot.CONTROL["color"], "label": "control: all 6 correct"},
        ),
        (None, {"marker": ".", "color": plot.COLORS[0], "label": "one of 6 correct"}),
    ):
        chords = evidence.of("along_chords", control=name)
        right.plot(chords.chord.middle, chords.inside.middle, linestyle="none", **look)
    right.plot([0, 1], [0, 1], color=plot.INK, **plot.BOUND)
    right.set(xlabel="mixture of the values", ylabel="value of the mixture", xlim=(0, 0.85), ylim=(0, 0.85))
    plot.legend([left, right], bound="equal")
