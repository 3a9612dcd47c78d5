r"""Free features reach the optimum of a convex program over k x k matrices, and only there: classes collapse.

For every temperature, class sizes $n_c \ge 2$ and dimension $d \ge k - 1$,

$$\min_{\|h_i\| = 1} L(H) \ =\ \min_{G \succeq 0,\ G_{ii} = 1} f(G) \ =\ \min_{M \succeq 0,\ M_{cc} = 1} F(M) , \qquad L(H) = f(H^T H) ,$$

and with M the minimiser of F, Z its multipliers, $p_c$ the softmax weight of other classes
at $\bar M$ and $w_{cc'}$ a lower bound on the curvature of F at M,

$$L(H) - F(M) \ \ge\ \sum_c \frac{n_c p_c}{\tau} (1 - a_c) + \langle Z, \bar M \rangle
+ \frac{e^{-2\delta/\tau}}{2} \sum_{c < c'} w_{cc'} (\bar M_{cc'} - M_{cc'})^2 ,$$

where $a_c$ is the mean similarity within class c of H, $\bar M$ that between classes and $\delta$ their largest distance from M:
every minimiser has equal features in a class and the Gram matrix M between classes.
---
The n x n program is solved by an interior point method, the k x k program by a search over k unit vectors in k - 1
dimensions, and features are trained by projected gradient descent from random starts. Each certifies itself.
"""

import numpy as np

from verify import Claim, Record, at_most, concatenate, equal, exact, plot, stack, stated

from . import _certificates, _descent, _program, world

claim = Claim(
    "sc-loss-ufm/tight-relaxation-and-collapse",
    cases=(
        {"sizes": (4, 4, 4), "temperature": 0.5},
        {"sizes": (7, 3, 2), "temperature": 0.5},
        {"sizes": (6, 6, 2, 2), "temperature": 1.0},
    ),
    full={"runs": 50},
)
IMBALANCED = {"sizes": ((7, 3, 2), (6, 6, 2, 2))}


@claim.instance
def start(rng, sizes, runs=10, extra=1):
    return world.gaussian_start(rng, runs, len(sizes) + extra, sum(sizes))


@claim.instance
def split(sizes, temperature, angles=(0.3, 0.03, 0.003)):
    """The optimum with one class split by an angle, across all other features: (classes * angles, d, n)."""
    labels, k = world.labels_of(sizes), len(sizes)
    H = np.zeros((k, len(angles), k + 1, len(labels)))
    H[:, :, :k] = _program.solve(sizes, np.array(sizes) - 1, temperature, k)[:, labels]
    for c in range(k):
        half = np.flatnonzero(labels == c)[: sizes[c] // 2 * 2].reshape(2, -1)
        for i, angle in enumerate(angles):
            H[c, i][:, half] *= np.cos(angle)
            H[c, i, k][half] = np.sin(angle) * np.array([[1], [-1]])
    return H.reshape(-1, k + 1, len(labels))


@claim.reference
def reduced(sizes, temperature):
    """The k x k program, its point made of vectors in k - 1 dimensions."""
    return world.reduced(sizes, temperature, len(sizes) - 1)


@claim.reference
def full(sizes, temperature):
    """The n x n program."""
    labels = world.labels_of(sizes)
    positives, allowed = (mask[0] for mask in world.pairs(labels[None]))
    return _certificates.full(_program.solve_full(labels, temperature), positives, allowed, temperature)


@claim.run
def path(start, sizes, temperature, steps=600, length=1):
    labels = world.padded(world.labels_of(sizes))
    return _descent.descend(start, labels, temperature, steps, sphere=length == 1, radius=length, keep=10)


@claim.measurement
def found(path, split, sizes, temperature, length):
    """Gram matrices and losses, in balls: of the path (steps, runs), of its last step, and of the split optimum."""
    labels = world.labels_of(sizes)
    masks = [mask[0] for mask in world.pairs(labels[None])]
    G = _certificates.gram(path.features[..., : len(labels)], unit=length == 1)
    S = _certificates.gram(split)
    near = concatenate([_certificates.shaped(G, (-1, *G.shape[2:])), S])
    return Record(
        steps=path.steps,
        last=G[-1],
        losses=_certificates.losses(G, *masks, temperature),
        near=near,
        near_losses=_certificates.losses(near, *masks, temperature),
    )


@claim.assumption
def class_size(sizes):
    return at_most(exact(2), exact(np.array(sizes)))


@claim.assumption
def embedding_dimension(sizes, extra):
    """That of the features in training, k + extra."""
    return at_most(exact(len(sizes) - 1), exact(len(sizes) + extra))


@claim.check("programs-agree")
def programs(full, reduced):
    return equal(full.optimum, reduced.optimum, within=full.optimum.gap() + reduced.optimum.gap())


@claim.check("strong-duality")
def duality(full, reduced):
    ratios = stack([found.dual / found.primal for found in (full, reduced)])
    accuracy = stated(1e-6, "the relative accuracy that a program has to be solved to")
    return equal(ratios, exact(1), within=accuracy, program=["n x n", "k x k"])


@claim.check("training-reaches-it")
def reaches(found, reduced, sizes, temperature):
    within = world.resolution(sum(sizes), temperature) + reduced.optimum.gap()
    return equal(found.losses[-1], reduced.optimum, within=within, run=np.arange(len(found.losses[-1])))


@claim.check("nothing-below-it")
def below(found, reduced):
    within = reduced.optimum.gap() + found.losses.gap()
    return at_most(reduced.optimum, found.losses, within=within, step=found.steps[:, None])


@claim.check("distance-costs")
def costs(found, reduced, sizes, weight=1):
    """The excess pays for what is not collapsed and for the Gram matrix's distance."""
    cost = weight * _certificates.growth(found.near, world.labels_of(sizes), reduced)
    excess = found.near_losses - reduced.tangent
    return at_most(cost, excess, within=found.near_losses.gap() + cost.gap())


@claim.check("gram-matrix")
def gram(found, reduced, sizes, temperature):
    """Every entry of the trained Gram matrix, against the bound that its loss puts on it."""
    labels = world.labels_of(sizes)
    predicted = reduced.enclosed[labels[:, None], labels]
    away = abs(found.last - predicted).largest(axis=(1, 2))
    bound = _certificates.gram_bound(found.losses[-1] - reduced.dual, reduced)
    return at_most(away, 0, within=bound)


claim.control("programs at temperatures 1% apart", full=lambda sizes, temperature: full(sizes, 1.01 * temperature),
              must_fail="programs-agree")  # fmt: skip
claim.control(
    "simplex in place of the optimum, classes of different sizes",
    reduced=lambda sizes, temperature: world.at_simplex(sizes, temperature),
    must_fail="strong-duality", cases=IMBALANCED,
)  # fmt: skip
claim.control(
    "one dimension too few", extra=-2, must_fail="training-reaches-it", cases={"sizes": ((6, 6, 2, 2),)}
)
claim.control("features of length up to 1.02", length=1.02, must_fail="nothing-below-it")
claim.control("cost 10% larger", weight=1.1, must_fail="distance-costs")
claim.control(
    "Gram matrix of a temperature 10% higher", must_fail="gram-matrix", cases=IMBALANCED,
    reduced=lambda sizes, temperature: world.reduced(sizes, 1.1 * temperature, len(sizes) - 1),
)  # fmt: skip


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["10 starts each", "program above, run below"])
    for i, case in enumerate(evidence.cases):
        found, optimum = evidence.of("found", **case), evidence.of("reduced", **case).optimum
        for run in range(len(found.losses.lower[0])):
            excess = np.maximum(found.losses.middle[:, run] - optimum.middle, 1e-16)
            label = f"{case['sizes']}, $\\tau$ = {case['temperature']}" if run == 0 else None
            left.plot(
                found.steps,
                excess,
                color=plot.COLORS[i],
                linestyle=plot.STYLES[i],
                linewidth=0.7,
                label=label,
            )
        within = evidence.curve("training-reaches-it", **case).within.middle
        left.axhline(within, color=plot.COLORS[i], **plot.BOUND)
    left.set(
        xscale="symlog", yscale="log", xlabel="step", ylabel="loss $-$ optimum of the program", xlim=(0, 700)
    )
    case = evidence.cases[1]
    program, trained = evidence.of("full", **case).gram, evidence.of("found", **case).last.middle[0]
    both = np.where(np.triu(np.ones(program.shape)) > 0, program, trained)
    plot.heatmap(right, both, *[world.labels_of(case["sizes"])] * 2, fmt="")
    ends = np.cumsum((0, *case["sizes"]))
    centres = (ends[1:] + ends[:-1]) / 2
    for x in centres:
        for y in centres[centres != x]:
            value = both[int(y), int(x)]
            right.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=6.5)
    right.set_xticks(centres, case["sizes"])
    right.set_yticks(centres, case["sizes"])
    right.set(xlabel="size of class", ylabel="size of class")
    plot.legend(left, bound="resolution")
