"""What the bounds on the gap are tried on: extremal embeddings, hostile ones, random ones, relabelled ones."""

import numpy as np

from verify import Record

from . import world

HOSTILE = (  # sizes, views, dimension, temperature of what is driven uphill
    ((4, 4), 1, 3, 1.0), ((4, 4), 2, 3, 0.5), ((2, 2, 2, 2), 1, 4, 1.0), ((3,) * 5, 2, 6, 1.0),
    ((2,) * 6, 1, 2, 1.0), ((1, 6), 1, 2, 1.0), ((1, 2, 4), 1, 4, 0.2), ((3,) * 5, 1, 5, 0.1),
)  # fmt: skip


def instance(name, embeddings, sizes, temperature=1.0, labels=None):
    """One instance: Record(name, embeddings (N, K, d), labels (N,), sizes (C,), temperature).

    Labels are in the order of the classes unless they are given.
    """
    labels = np.repeat(np.arange(len(sizes)), sizes) if labels is None else labels
    sizes = [int(n) for n in sizes]
    return Record(name=name, embeddings=embeddings, labels=labels, sizes=sizes, temperature=temperature)


def built(sizes, views, tenths, numbers):
    """The instance of an attack's plain data; tenths: of the temperature; numbers: the embeddings, in one list."""
    embeddings = np.reshape(numbers, (sum(sizes), views, -1))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    embeddings, labels, temperature = world.validated(embeddings, labels, tenths / 10)
    return instance("attack", embeddings, sizes, temperature, labels)


def extremal():
    """Two opposite classes, equal and not; one point; simplices."""
    opposite = np.array([[1.0, 0.0], [-1.0, 0.0]])
    for n, views, temperature in ((5, 1, 1.0), (2, 2, 1.0), (20, 1, 1.0), (20, 2, 0.5), (9, 1, 2.0)):
        embeddings = world.collapsed(opposite, (n, n), views)
        yield instance(f"opposite, {n} a class", embeddings, (n, n), temperature)
    yield instance("opposite, 1 and 8", world.collapsed(opposite, (1, 8), 1), (1, 8))
    yield instance("one point", world.collapsed(np.ones((5, 2)), (4,) * 5, 2), (4,) * 5)
    for classes, n, temperature in ((5, 4, 1.0), (10, 3, 0.1), (11, 2, 2.0)):
        embeddings = world.collapsed(world.simplex(classes), (n,) * classes, 1)
        yield instance(f"simplex of {classes}, {n} a class", embeddings, (n,) * classes, temperature)


def by_classes(rng, counts=(2, 3, 5, 8, 13, 20, 32)):
    """Collapsed classes of 3 on a simplex, and on Gaussian centres in 16 dimensions."""
    for classes in counts:
        sizes = (3,) * classes
        for kind, centres in (
            ("simplex", world.simplex(classes)), ("Gaussian centres", rng.normal(size=(classes, 16))),
        ):  # fmt: skip
            yield instance(f"{kind}, 3 a class", world.collapsed(centres, sizes, 1), sizes)


def adversarial(rng, starts):
    """Embeddings whose gap was driven uphill, from random starts."""
    for sizes, views, dimension, temperature in HOSTILE:
        for embeddings in ascended(rng, sizes, views, dimension, temperature, starts):
            yield instance("driven uphill", embeddings, sizes, temperature)


def drawn(rng, draws):
    """Gaussian embeddings, their classes moved apart by 0 to 50 times their spread."""
    for _ in range(draws):
        sizes = rng.integers(1, 6, size=rng.integers(2, 7))
        views, dimension = rng.integers(1, 4), rng.integers(1, 8)
        shift = rng.choice([0.0, 1.0, 5.0, 50.0]) * rng.normal(size=(len(sizes), dimension))
        noise = rng.normal(size=(sizes.sum(), views, dimension))
        temperature = float(rng.choice([0.1, 0.5, 1.0, 2.0]))
        yield instance("random", np.repeat(shift, sizes, axis=0)[:, None] + noise, sizes, temperature)


def relabelled(rng, relabellings):
    """One embedding of five clusters, its labels dealt anew each time."""
    embeddings = world.collapsed(rng.normal(size=(5, 6)), (4,) * 5, 2) + 0.3 * rng.normal(size=(20, 2, 6))
    labels = world.balanced(5, 4)
    yield instance("own labels", embeddings, (4,) * 5)
    for _ in range(relabellings):
        yield instance("relabelled", embeddings, (4,) * 5, labels=rng.permutation(labels))


# --- uphill -----------------------------------------------------------------------------------------------------


def ascended(rng, sizes, views, dimension, temperature, starts, steps=150):
    """The embeddings (N, K, d) of largest gap that L-BFGS finds from each of `starts` Gaussian starts."""
    from scipy.optimize import minimize

    labels = np.repeat(np.arange(len(sizes)), sizes)
    see, shape = world.relations(labels, views), (len(labels), views, dimension)

    def loss(x):
        value, slope = gap_and_gradient(x.reshape(-1, dimension), see, temperature)
        return -value, -slope.ravel()

    begun = [rng.normal(size=shape).ravel() for _ in range(starts)]
    options = {"maxiter": steps}
    found = [minimize(loss, x, jac=True, method="L-BFGS-B", options=options).x for x in begun]
    return [x.reshape(shape) for x in found]


def gap_and_gradient(z, see, temperature):
    """The gap of z (P, d) and its gradient: an anchor moves its similarities by the difference of its two softmaxes."""
    length = np.linalg.norm(z, axis=1, keepdims=True)
    unit = z / length
    sim = unit @ unit.T / temperature
    low = np.where(see.other, sim, -np.inf)
    both = np.where(see.positive, -np.inf, sim)
    log_low, log_both = world.log_sum_exp(low), world.log_sum_exp(both)
    push = (np.exp(both - log_both[:, None]) - np.exp(low - log_low[:, None])) / (temperature * len(z))
    slope = (push + push.T) @ unit
    slope -= (slope * unit).sum(axis=1, keepdims=True) * unit
    return (log_both - log_low).mean(), slope / length
