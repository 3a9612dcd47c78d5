"""The largest pass@(n+1) for the instances of TASK1, over all laws on its four valid paths, by concavity."""

import numpy as np

from verify import exact, stack

from . import world


def near_optimum(n):
    """A law (4,) near the optimum of pass@(n+1), by a fixed-point iteration of which nothing is trusted."""
    members, weights = world.instances(world.valid_correctness().astype(float))
    law = np.full(4, 0.25)
    for _ in range(4000):
        gradient = members.T @ (weights * (1 - members @ law) ** n)
        law = law * (gradient / (law @ gradient)) ** (1 / n)
        law /= law.sum()
    return law


def value_and_most(law, n):
    """pass@(n+1) of a law, the most that any law has by concavity, and the slopes in every path's probability."""
    value, slopes = value_and_slopes(law, n)
    return value, value + slopes.largest() - (law * slopes).sum() / law.sum(), slopes


def value_and_slopes(law, n):
    """pass@(n+1) of a law (4,) of floats, for the instances of TASK1, and its slopes in every path's probability."""
    members, weights = world.instances(world.valid_correctness())
    law = exact(0) + law
    missed = 1 - stack([(law * row).sum() for row in members]) / law.sum()
    value = (exact(weights) * (1 - missed ** (n + 1))).sum()
    each = exact(weights) * missed**n * (n + 1)
    return value, stack([(each * column).sum() for column in members.T])
