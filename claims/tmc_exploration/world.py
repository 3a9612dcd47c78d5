r"""Definitions that the claims of this paper share: chains of reasoning steps, tasks, instances, pass@K.

A *chain* is a list of transition kernels P_1 .. P_{L-1}; P_l (m_l, m_{l+1}) has rows that sum to 1 and leads from
layer l to layer l + 1. A path o = (o_1, .., o_L) has probability $\pi_0(o) = \prod_l P_l(o_l, o_{l+1})$ given
its start. A task has a start and a target; a path is *valid* if it leads from the one to the other. Its expected
correctness acc(o) is its share of the probability of all valid paths. An *instance* makes every valid path
correct independently with probability acc(o), and rewards exactly the correct paths. Layers share states, so
the chain is a layered graph: a reward of the whole path is not a function of the last state.

Everything here works on fractions (exactly) as on floats.
"""

from fractions import Fraction
from itertools import pairwise, product

import numpy as np

TASKS = {"TASK1": (0, 0), "TASK2": (1, 1)}  # start and target
EASY = {"TASK1": (0, 0, 0, 0), "TASK2": (1, 0, 0, 1)}  # the path along the chain's most likely steps
LAYERS = 4


def authors_chain():
    """The chain of the paper's experiment: four layers of two states, kernels of fractions."""
    likely, rare, half = Fraction(10, 11), Fraction(1, 11), Fraction(1, 2)
    kernels = ([[likely, rare]] * 2, [[likely, rare], [rare, likely]], [[half, half], [likely, rare]])
    return [np.array(kernel, dtype=object) for kernel in kernels]


def random_chain(rng, sizes, largest=9):
    """A chain of random fractions; sizes (L,): how many states each layer has."""
    weights = [rng.integers(1, largest + 1, size=shape) for shape in pairwise(sizes)]
    return [np.array([[Fraction(int(w), int(sum(row))) for w in row] for row in rows]) for rows in weights]


def paths(kernels, start):
    """All paths from a start, in the order of their states: (n, L) integers, n the product of the later sizes."""
    kernels = validated_chain(kernels)
    if not 0 <= start < len(kernels[0]):
        raise ValueError(f"start {start} is none of the {len(kernels[0])} states of the first layer")
    later = (range(kernel.shape[1]) for kernel in kernels)
    return np.array(list(product([start], *later)))


def path_law(kernels, start):
    """Probabilities (n,) of the paths from a start, in the order of `paths`."""
    steps = paths(kernels, start)
    law = kernels[0][steps[:, 0], steps[:, 1]]
    for layer in range(1, len(kernels)):
        law = law * kernels[layer][steps[:, layer], steps[:, layer + 1]]
    return law


def correctness(kernels, start, target):
    """(acc (n,), law (n,)) of the paths from a start: acc(o) = law(o) / law(valid), 0 where o is not valid."""
    steps, law = paths(kernels, start), path_law(kernels, start)
    if not 0 <= target < kernels[-1].shape[1]:
        raise ValueError(f"target {target} is none of the {kernels[-1].shape[1]} states of the last layer")
    valid = law * (steps[:, -1] == target)
    return valid / valid.sum(), law


def valid_correctness():
    """acc (4,) of the valid paths of TASK1 in the paper's chain: 0000, 0010, 0100, 0110."""
    acc, _ = correctness(authors_chain(), *TASKS["TASK1"])
    return acc[acc > 0]


def instances(acc):
    """(members (c, n) of 0 and 1, weights (c,)): the sets of correct paths that can be, and their probabilities."""
    acc = np.asarray(acc)
    if acc.ndim != 1 or len(acc) > 16 or np.any(acc < 0) or np.any(acc > 1):
        raise ValueError("acc is a list of at most 16 probabilities, one a path")
    choices = [[chosen for chosen in (0, 1) if (p if chosen else 1 - p) > 0] for p in acc]
    members = np.array(list(product(*choices)))
    return members, np.prod(np.where(members == 1, acc, 1 - acc), axis=1)


def pass_at_k(law, members, weights, k):
    r"""$\sum_C P(C) [1 - (1 - s_C)^K]$ with $s_C$ = law(C): how likely one of K samples is correct.

    law (n,); members (c, n): whether instance c takes path n for correct; weights (c,); k >= 1.
    """
    if np.shape(members) != (len(weights), len(law)):
        raise ValueError(f"members {np.shape(members)} must be (instances {len(weights)}, paths {len(law)})")
    if k < 1:
        raise ValueError(f"pass@K needs K >= 1, not {k}")
    return (weights * (1 - (1 - members @ law) ** k)).sum()


def doob_transform(kernels, factor):
    r"""The chain tilted by a positive factor of the last state: $P_l(x, y)\, h_{l+1}(y) / h_l(x)$.

    factor (m_L,) is $h_L$, and $h_l = P_l h_{l+1}$. Returns (kernels, h_1 (m_1,)). Doob's h-transform.
    """
    kernels, h = validated_chain(kernels), np.asarray(factor)
    if h.shape != (kernels[-1].shape[1],) or np.any(h <= 0):
        raise ValueError(f"factor is positive, one number for each of {kernels[-1].shape[1]} last states")
    tilted = []
    for kernel in reversed(kernels):
        before = kernel @ h
        tilted.insert(0, kernel * h / before[:, None])
        h = before
    return tilted, h


def best_of_n_law(law, reward, n):
    r"""Which of n independent samples has the largest reward: $P(v) = F(v)^n - F(v-)^n$, ties as in the law.

    law, reward (p,) -> (p,); F is the distribution function of the reward.
    """
    law, reward = np.asarray(law), np.asarray(reward)
    if law.shape != reward.shape or law.ndim != 1:
        raise ValueError(f"law and reward are lists of one length, not of shapes {law.shape}, {reward.shape}")
    if n < 1:
        raise ValueError(f"best of n needs n >= 1, not {n}")
    below, upto = (np.array([law[chosen].sum() for chosen in sets]) for sets in _levels(reward))
    level = upto - below
    return (upto**n - below**n) * law / np.where(level > 0, level, 1)


def _levels(reward):
    """For every path those with less reward, and those with at most its own."""
    return reward[None, :] < reward[:, None], reward[None, :] <= reward[:, None]


def validated_chain(kernels):
    """The kernels as arrays, or a ValueError that says what is wrong with them."""
    kernels = [np.asarray(kernel) for kernel in kernels]
    if not kernels or any(kernel.ndim != 2 for kernel in kernels):
        raise ValueError("a chain is a non-empty list of matrices")
    for layer, kernel in enumerate(kernels):
        if layer and len(kernel) != kernels[layer - 1].shape[1]:
            raise ValueError(
                f"kernel {layer} has {len(kernel)} rows, layer {layer} has another number of states"
            )
        if np.any(kernel < 0) or not all(_is_one(total) for total in kernel.sum(axis=1)):
            raise ValueError(f"the rows of kernel {layer} are no probabilities")
    return kernels


def _is_one(total):
    return total == 1 if isinstance(total, Fraction | int) else abs(total - 1) < 1e-9
