"""Paths drawn one after the other: laws of the best one and of the valid ones so far, step by step in fractions."""

from fractions import Fraction

import numpy as np


def best_so_far(law, reward, most):
    """{n: law (p,) of the path kept after n draws}, n up to `most`; a later path is kept only if it is better."""
    better, best = reward[None, :] > reward[:, None], law
    after = {1: law}
    for n in range(2, most + 1):
        stays = np.array([law[~row].sum() for row in better])
        best = best * stays + np.array([(best * better[:, o]).sum() * law[o] for o in range(len(law))])
        after[n] = best
    return after


def shown(law, valid, most):
    """{k: {set of valid paths: how likely k draws have shown exactly these}}, k up to `most`."""
    states, after = {frozenset(): Fraction(1)}, {}
    for k in range(1, most + 1):
        states = after[k] = one_more(states, law, valid)
    return after


def one_more(states, law, valid):
    following = {}
    for paths, p in states.items():
        stay = law[~valid].sum() + sum(law[o] for o in paths)
        following[paths] = following.get(paths, 0) + p * stay
        for o in np.flatnonzero(valid):
            if o not in paths:
                following[paths | {o}] = following.get(paths | {o}, 0) + p * law[o]
    return following
