r"""Imbalanced classes: the weighted class vectors sum to zero, and step imbalance leaves two unknowns.

Let M be the optimum over class Gram matrices and $p_{cc'}$ its softmax weights. With $D_{cc'} = (n_c p_{cc'} + n_{c'} p_{c'c}) / 2\tau$
and rank M = k - 1 there is z > 0 with

$$D_{cc'} = z_c z_{c'} \ (c \ne c') , \qquad z_c^2 = - \sum_{c'} D_{cc'} M_{cc'} , \qquad \sum_c z_c h_c = 0 .$$

Classes of one size play one role. If $k_a$ classes have $n_a$ samples and $k_b$ have $n_b$, M has three values: $\alpha$ and $\delta$
within both groups and $\beta$ across, with

$$\beta = - \sqrt{\frac{(1 + (k_a - 1)\alpha)(1 + (k_b - 1)\delta)}{k_a k_b}} .$$
---
M is enclosed by the certificate of the k x k program. The two unknowns are minimised over by themselves, and features are
trained from random starts.
"""

import numpy as np

from verify import Claim, Record, certify, concatenate, equal, exact, plot, rounded, stack

from . import _certificates, _descent, _step, world

claim = Claim("sc-loss-ufm/imbalance-structure", full={"runs": 20})
STEPS = ((2, 2, 20, 2, 1.0), (3, 3, 8, 2, 0.5), (2, 3, 6, 3, 1.0), (3, 2, 4, 4, 0.5), (2, 2, 6, 2, 0.3))
DIFFERENT = (((7, 5, 3, 2), 0.5), ((12, 6, 4, 3, 2), 0.8))


@claim.instance
def worlds():
    """(sizes, tau) of the steps (k_a, k_b, n_a, n_b, tau), then of classes that are all different."""
    return [((n_a,) * k_a + (n_b,) * k_b, tau) for k_a, k_b, n_a, n_b, tau in STEPS] + list(DIFFERENT)


@claim.instance
def start(rng, worlds, runs=4):
    """Unit features (worlds * runs, d, n) in k + 1 dimensions."""
    depth, width = (max(function(sizes) for sizes, _ in worlds) for function in (len, sum))
    each = [
        world.gaussian_start(rng, runs, len(sizes) + 1, sum(sizes), depth + 1, width) for sizes, _ in worlds
    ]
    return np.concatenate(each)


@claim.reference
def optima(worlds, heat=1):
    """Enclosures of M and Z. heat: M of a temperature so many times higher, for a control."""
    return [_certificates.at_optimum(world.reduced(sizes, heat * tau), tau) for sizes, tau in worlds]


@claim.reference
def three(worlds, moved=0):
    """(alpha, beta, delta) of the steps, (steps, 3). moved: samples fewer in the large classes, for a control."""
    found = []
    for k_a, k_b, n_a, n_b, tau in STEPS:
        ratios = np.geomspace(1, (n_a - moved) / n_b, 6)
        found.append(_step.minimisers(k_a, k_b, n_b, tau, ratios)[-1, :3])
    return rounded(np.array(found), 4, np.abs(found))


@claim.run
def features(start, worlds, runs, steps=800):
    width = start.shape[-1]
    labels = np.repeat([world.padded(world.labels_of(sizes), width) for sizes, _ in worlds], runs, axis=0)
    temperatures = np.repeat([tau for _, tau in worlds], runs)
    return _descent.descend(start, labels, temperatures, steps, keep=2).features[-1]


@claim.measurement
def trained(features, worlds):
    """For every world the losses (runs,), in balls, and the least, mean and largest inner products (runs, k, k)."""
    found = []
    for H, (sizes, tau) in zip(np.split(features, len(worlds)), worlds, strict=True):
        G, labels = _certificates.gram(H[:, :, : sum(sizes)]), world.labels_of(sizes)
        loss = _certificates.losses(G, *(mask[0] for mask in world.pairs(labels[None])), tau)
        found.append(Record(loss=loss, **_certificates.blocks(G, labels)))
    return found


@claim.check("one-vector-of-weights")
def rank_one(optima):
    """Z = z z': all its 2 x 2 minors on the diagonal vanish."""
    left, right = [], []
    for optimum in optima:
        i, j = world.couples(len(optimum.gram))
        left.append(optimum.Z[i, i] * optimum.Z[j, j])
        right.append(optimum.Z[i, j] ** 2)
    left, right = concatenate(left), concatenate(right)
    return equal(left, right, within=left.gap(each=True) + right.gap(each=True))


@claim.check("weighted-centring")
def centring(trained, optima, weighted=True):
    """|sum_c z_c h_c|^2 of trained class means h_c."""
    squares, within = [], []
    for found, optimum in zip(trained, optima, strict=True):
        c = np.arange(len(optimum.gram))
        z = certify.sqrt(optimum.Z[c, c]) if weighted else exact(np.ones(len(c), int))
        square = (found.mean * (z[:, None] * z)).sum(axis=(1, 2))
        squares.append(square)
        bound = _certificates.gram_bound(found.loss - optimum.dual, optimum) + optimum.far
        within.append(bound * z.sum() ** 2 + square.gap())
    return equal(concatenate(squares), 0, within=concatenate(within))


@claim.check("determinant")
def determinant(optima, shrink=1):
    left, right = [], []
    for (k_a, k_b, *_), optimum in zip(STEPS, optima, strict=False):
        alpha, beta, delta = optimum.gram[0, 1], shrink * optimum.gram[0, k_a], optimum.gram[k_a, k_a + 1]
        left.append(k_a * k_b * beta**2)
        right.append((1 + (k_a - 1) * alpha) * (1 + (k_b - 1) * delta))
    left, right = stack(left), stack(right)
    return equal(left, right, within=left.gap(each=True) + right.gap(each=True))


@claim.check("three-values")
def values(optima, three):
    """Of the enclosed optimum, every pair of classes."""
    found, expected = [], []
    for i, (step, optimum) in enumerate(zip(STEPS, optima, strict=False)):
        a, b = world.couples(sum(step[:2]))
        found.append(optimum.gram[a, b])
        expected.append(three[i][group(a, b, step)])
    found, expected = concatenate(found), concatenate(expected)
    return equal(found, expected, within=found.gap(each=True) + expected.gap())


@claim.check("three-values-trained")
def of_training(trained, three, optima):
    """Of trained features, every pair of classes: the least and the largest inner product of their samples."""
    found, expected, within = [], [], []
    for i, step in enumerate(STEPS):
        a, b = world.couples(sum(step[:2]))
        bound = _certificates.gram_bound(trained[i].loss - optima[i].dual, optima[i])
        for run in range(len(bound)):
            found += [trained[i].least[run, a, b], trained[i].largest[run, a, b]]
            expected += [three[i][group(a, b, step)]] * 2
            within += [bound[np.full(len(a), run)]] * 2
    return equal(concatenate(found), concatenate(expected), within=concatenate(within))


def group(a, b, step):
    """0, 1 or 2 for two classes in the large group, in both, or in the small one."""
    return (np.asarray(a) >= step[0]).astype(int) + (np.asarray(b) >= step[0])


claim.control("Gram matrix of a temperature 5% higher", heat=1.05, must_fail="one-vector-of-weights")
claim.control("class vectors unweighted", weighted=False, must_fail="weighted-centring")
claim.control("beta 5% smaller", shrink=0.95, must_fail="determinant")
claim.control("large classes with one sample fewer", moved=1, must_fail="three-values")
claim.control("large classes with one sample fewer, trained", moved=1, must_fail="three-values-trained")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["inner products of classes", r"$|\sum_c z_c h_c|^2$, trained"])
    trained = evidence.of("trained")
    three = evidence.of("three").middle
    names = [f"{k_a}x{n_a}, {k_b}x{n_b}, {tau:g}" for k_a, k_b, n_a, n_b, tau in STEPS]
    for j, name in enumerate((r"$\alpha$", r"$\beta$", r"$\delta$")):
        left.plot(three[:, j], np.arange(len(STEPS)), marker="o", markersize=9, fillstyle="none", linestyle="none",
                  color=plot.COLORS[j], label=f"{name}, two unknowns")  # fmt: skip
    for i, step in enumerate(STEPS):
        a, b = world.couples(sum(step[:2]))
        for run in range(len(trained[i].mean.middle)):
            label = "trained" if i == run == 0 else None
            left.plot(trained[i].mean.middle[run, a, b], np.full(len(a), i), color=plot.INK, marker="x", linestyle="none",
                      markersize=4, label=label)  # fmt: skip
    left.set_yticks(range(len(STEPS)), names, fontsize=7)
    left.set_xlabel("inner product")
    own = evidence.curve("weighted-centring")
    rival = evidence.curve("weighted-centring", control="class vectors unweighted")
    run = np.arange(len(own.measured.middle))
    right.plot(
        run, np.maximum(np.abs(own.measured.middle), 1e-16), linestyle="none", marker="o", label="weights $z$"
    )
    right.plot(run, np.abs(rival.measured.middle), linestyle="none", marker="x", color=plot.CONTROL["color"],
               label="control: weights 1")  # fmt: skip
    right.plot(run, own.within.middle, color=plot.INK, **plot.BOUND)
    right.set(yscale="log", xlabel="run", ylim=(1e-17, 1e2))
    plot.legend(left)
    plot.legend(right, bound="certified")
