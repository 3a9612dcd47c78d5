r"""A process reward that is the expected outcome reward concentrates on the easy path as well, step by step.

The process reward of a prefix is the mean expected correctness of its completions under the base chain, so that it
is a martingale: $V(o_1..o_l) = \sum_x P_l(o_l, x)\, V(o_1..o_l x)$. Step-wise best-of-n draws n next states at every
layer and keeps one of largest V; with $F_l$ the distribution function of V among the next states it keeps

$$v \text{ with probability } F_l(v)^n - F_l(v-)^n .$$

On the paper's chain the easy path is at every layer the best continuation of itself, so it is followed with probability

$$\prod_l \left( 1 - (1 - P_l(o_l, o_{l+1}))^n \right) \to 1 ,$$

and on an instance whose only correct path is another one accuracy is at most what this leaves.

---
Everything is compared in fractions. The run goes through every tuple of n candidates at every prefix.
"""

from fractions import Fraction
from itertools import product

import numpy as np

from verify import Claim, at_most, equal, exact, plot

from . import world

claim = Claim("tmc-exploration/process-reward-best-of-n", full={"sizes": (1, 2, 3, 5, 7), "draws": 8})
FIRST = world.EASY["TASK1"]


# --- chains and process rewards ---------------------------------------------------------------------------


@claim.instance
def chains(rng, draws=4):
    """The paper's chain first; paths start in state 0, and are valid if they end in state 0."""
    sizes = [(1, int(rng.integers(2, 4)), 2, 2) for _ in range(draws)]
    return [world.authors_chain(), *(world.random_chain(rng, size) for size in sizes)]


@claim.instance
def values(chains):
    """V of every prefix from state 0, by chain: the mean over completions, one by one."""
    return [mean_of_completions(chain, world.correctness(chain, 0, 0)[0]) for chain in chains]


def mean_of_completions(chain, reward):
    """{prefix: mean reward of the paths that continue it}."""
    law, found = world.path_law(chain, 0), {}
    steps = [tuple(int(x) for x in path) for path in world.paths(chain, 0)]
    for length in range(1, len(steps[0]) + 1):
        for prefix in {path[:length] for path in steps}:
            inside = np.array([path[:length] == prefix for path in steps])
            found[prefix] = (law * reward)[inside].sum() / law[inside].sum()
    return found


# --- what the formulas say --------------------------------------------------------------------------------


@claim.reference
def averaged(chains, values):
    """The mean of V after one step more, for every prefix that is not complete."""
    found = []
    for chain, value in zip(chains, values, strict=True):
        for prefix in incomplete(chain, value):
            row = chain[len(prefix) - 1][prefix[-1]]
            found.append(sum(p * value[(*prefix, x)] for x, p in enumerate(row)))
    return exact(found)


def incomplete(chain, value):
    return [prefix for prefix in value if len(prefix) <= len(chain)]


@claim.reference
def followed(chains, values, sizes=(1, 2, 3, 5), fewer=0):
    """Law of the paths that step-wise best-of-n ends with: by chain, n and path."""
    found = []
    for (chain, value), n in product(zip(chains, values, strict=True), sizes):
        for path in world.paths(chain, 0):
            chance = Fraction(1)
            for layer, kernel in enumerate(chain):
                prefix, row = tuple(path[: layer + 1]), kernel[path[layer]]
                reward = np.array([value[(*prefix, x)] for x in range(len(row))])
                chance *= world.best_of_n_law(row, reward, n - fewer)[path[layer + 1]]
            found.append(chance)
    return exact(found)


@claim.reference
def easy_path(chains, sizes):
    """The product over layers, by n."""
    steps = [kernel[x, y] for kernel, x, y in zip(chains[0], FIRST[:-1], FIRST[1:], strict=True)]
    return exact([np.prod([1 - (1 - p) ** n for p in steps]) for n in sizes])


# --- what selection does ----------------------------------------------------------------------------------


@claim.run
def selected(chains, values, sizes):
    """By chain, n and path, in the order of `followed`; the first of the best candidates is kept."""
    found = []
    for (chain, value), n in product(zip(chains, values, strict=True), sizes):
        reached = {(0,): Fraction(1)}
        for kernel in chain:
            following = {}
            for prefix, p in reached.items():
                for x, share in enumerate(best_candidate(kernel[prefix[-1]], value, prefix, n)):
                    following[(*prefix, x)] = p * share
            reached = following
        found += [reached[tuple(path)] for path in world.paths(chain, 0)]
    return exact(found)


def best_candidate(row, value, prefix, n):
    """How likely each next state is the first best of n candidates drawn from a row of a kernel."""
    shares = [Fraction(0)] * len(row)
    for candidates in product(range(len(row)), repeat=n):
        best = max(candidates, key=lambda x: value[(*prefix, x)])
        shares[best] += np.prod(row[list(candidates)])
    return shares


@claim.measurement
def on_easy(chains, sizes, selected):
    """Probability of the easy path of the paper's chain, by n."""
    paths = [tuple(path) for path in world.paths(chains[0], 0)]
    return selected[[i * len(paths) + paths.index(FIRST) for i in range(len(sizes))]]


@claim.measurement
def on_hard(chains, sizes, selected):
    """Accuracy on the instance whose only correct path is another one: by n and path."""
    paths = [tuple(path) for path in world.paths(chains[0], 0)]
    others = [i for i, path in enumerate(paths) if path[-1] == 0 and path != FIRST]
    return selected[[[i * len(paths) + o for o in others] for i in range(len(sizes))]]


# --- whether they agree -----------------------------------------------------------------------------------


@claim.check("martingale")
def mean(values, averaged, chains):
    own = [value[p] for chain, value in zip(chains, values, strict=True) for p in incomplete(chain, value)]
    return equal(exact(own), averaged)


@claim.check("step-law")
def law(selected, followed):
    return equal(selected, followed)


@claim.check("easy-path-wins")
def easy(on_easy, easy_path, sizes):
    return equal(on_easy, easy_path, n=sizes)


@claim.check("hard-instances-are-lost")
def hard(on_hard, easy_path):
    return at_most(on_hard, (1 - easy_path)[:, None])


# --- other rewards and selections -------------------------------------------------------------------------


def chance_of_the_target(chains):
    """In place of the expected correctness the probability that a prefix ends validly."""
    valid = [(world.paths(chain, 0)[:, -1] == 0).astype(int) for chain in chains]
    return [mean_of_completions(chain, reward) for chain, reward in zip(chains, valid, strict=True)]


def best_completion(values):
    """In place of the mean over completions the largest one."""
    return [
        {prefix: max(v for path, v in value.items() if path[: len(prefix)] == prefix) for prefix in value}
        for value in values
    ]


def unselected(chains, values, sizes):
    """n candidates, of which any is kept."""
    return selected(chains, [dict.fromkeys(value, 0) for value in values], sizes)


claim.control("largest completion", values=best_completion, must_fail="martingale")
claim.control("n - 1 candidates", sizes=(2, 3, 5), fewer=1, must_fail="step-law")
claim.control("reward: chance of the target", values=chance_of_the_target, must_fail="easy-path-wins")
claim.control("no selection", selected=unselected, must_fail="hard-instances-are-lost")


@claim.figure
def draw(figure, evidence):
    axes = figure.subplots()
    sizes, easy, hard = (1, 2, 3, 5), evidence.of("on_easy").middle, evidence.of("on_hard").middle
    other = evidence.of("on_hard", control="no selection").middle
    axes.plot(sizes, easy, "o-", label="the easy path")
    axes.plot(sizes, hard[:, 0], "s-", label="another valid path")
    axes.plot(sizes, hard[:, 1], "^-", label="the rarest valid path")
    bound = evidence.of("easy_path").middle
    axes.plot(sizes, 1 - bound, color=plot.COLORS[1], **plot.BOUND)
    axes.plot(sizes, other[:, :2], **plot.CONTROL, label="control: no selection")
    axes.set(yscale="log", xlabel="candidates $n$ at every step", ylabel="probability that it is followed")
    axes.set_xticks(sizes, [str(n) for n in sizes])
    plot.legend(axes, bound="bound", loc="lower left")
