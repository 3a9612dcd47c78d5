"""How far embeddings are from a collapsed simplex: the terms of the excess of NSCL, and what an excess allows."""

from fractions import Fraction

import numpy as np

from verify import Record, concatenate, stack

from . import world

ANCHORWISE = ("spread", "jensen")  # of every anchor


def measured(embeddings, labels, temperature):
    """The loss and the terms of its excess, with their rounding, of a list of embeddings.

    Returns Record(loss, views, within, centre, mean_spread, mean_jensen (t,); spread, jensen (anchors of all,)).
    """
    each = [measured_of(z, labels, temperature) for z in embeddings]
    return Record(
        **{k: (concatenate if k in ANCHORWISE else stack)([one[k] for one in each]) for k in each[0]}
    )


def measured_of(z, labels, temperature):
    found = vars(terms(z, labels, temperature))
    found["loss"] = world.supervised(world.log_sums(z, labels, temperature)).mean()
    means = {f"mean_{name}": found[name].mean() for name in ANCHORWISE}
    # similarities are squared in the spread: what `rounded_loss` allows for at temperature^2 / 4
    return {name: world.rounded_loss(x, z, temperature**2 / 4) for name, x in (found | means).items()}


def terms(embeddings, labels, temperature) -> Record:
    r"""How far unit embeddings are from a collapsed simplex.

    Returns Record(views: 1 - mean similarity of positives, within: mean over classes of the variance 1 - |mu_c|^2,
    centre: |mean|^2, and for every anchor (P,) of its similarities x / temperature to other classes
    spread: their variance, jensen: log mean exp - mean).
    """
    views = np.shape(embeddings)[1]
    unit, label = world.directions(embeddings), np.repeat(labels, views)
    means = np.array([unit[label == c].mean(axis=0) for c in np.unique(labels)])
    other = world.relations(labels, views).other
    sim, count = unit @ unit.T / temperature, other.sum(axis=1)
    mean = (sim * other).sum(axis=1) / count
    return Record(
        views=1 - world.positive_pairs(embeddings).mean(),
        within=1 - (means**2).sum(axis=1).mean(),
        centre=(unit.mean(axis=0) ** 2).sum(),
        spread=((sim - mean[:, None]) ** 2 * other).sum(axis=1) / count,
        jensen=world.log_sum_exp(np.where(other, sim, -np.inf)) - np.log(count) - mean,
    )


def distances(one):
    """Positives from each other, samples of a class from each other, the mean from 0, similarities from equal."""
    return stack([one.views, one.within, one.centre, one.mean_spread])


def allowed(epsilon, classes, temperature, spread_constant):
    """What an excess (t,) allows each of the distances to be, (4, t)."""
    scales = (temperature, (classes - 1) * temperature, (classes - 1) * temperature / classes)
    return stack([*(epsilon * scale for scale in scales), spread_constant * epsilon])


# --- the dual of the convex program -----------------------------------------------------------------------


def dual_of(classes, multiplier):
    """(the dual matrix, the sum of projections): weights c within samples, c - 1 within classes, 0 between, c overall."""
    see = world.relations(world.balanced(classes, 2), 2)
    P, c, one = 4 * classes, Fraction(classes, classes - 1), np.eye(4 * classes, dtype=int)
    gradient = see.other * Fraction(1, P - 4) - see.positive * Fraction(1, 2)
    sample, alike, every = (
        see.positive * Fraction(1, 2),
        ~see.other * Fraction(1, 4),
        np.full((P, P), Fraction(1, P)),
    )
    return gradient + multiplier * one, c * (one - sample) + (c - 1) * (sample - alike) + c * every
