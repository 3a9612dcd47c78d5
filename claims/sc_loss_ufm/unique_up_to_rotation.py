r"""Two trained sets of features differ by an orthogonal map: the minimiser is unique up to rotation.

Any two minimisers have one Gram matrix, hence $H_2 = Q H_1$ with Q orthogonal. More generally, for any two sets of unit
features in d dimensions whose losses exceed the optimum by so little that every entry of their Gram matrices is within
$\epsilon_1$ and $\epsilon_2$ of the optimal one,

$$\min_{Q^T Q = I} \| Q H_1 - H_2 \|_F^2 \ \le\ \| H_1^T H_1 - H_2^T H_2 \|_* \ \le\ \sqrt{2 d\, n (n - 1)}\ (\epsilon_1 + \epsilon_2) .$$
---
The first inequality is that of Powers and Stormer, tried on random features as well. The second counts 2d singular values and
n (n - 1) entries, and is an equality for the six diagonals of the icosahedron and their conjugates. Epsilon follows from a
loss and the certificate of the optimum. Pairs are trained from independent random starts; each is aligned by the solution of
the orthogonal Procrustes problem.
"""

import numpy as np

from verify import Claim, Record, at_most, certify, concatenate, equal, exact, plot, stack

from . import _certificates, _descent, world

claim = Claim(
    "sc-loss-ufm/unique-up-to-rotation",
    cases=(
        {"sizes": (4, 4, 4), "temperature": 0.5},
        {"sizes": (7, 3, 2), "temperature": 0.5},
        {"sizes": (6, 6, 2, 2), "temperature": 1.0},
    ),
    full={"runs": 50},
)
IMBALANCED = {"sizes": ((7, 3, 2), (6, 6, 2, 2))}


@claim.instance
def start(rng, sizes, runs=10):
    return world.gaussian_start(rng, runs, len(sizes) + 1, sum(sizes))


@claim.instance
def other_start(rng, sizes, runs):
    return world.gaussian_start(rng, runs, len(sizes) + 1, sum(sizes))


@claim.reference
def reduced(sizes, temperature):
    return world.reduced(sizes, temperature)


@claim.run
def first(start, sizes, temperature, steps=600):
    return trained(start, world.labels_of(sizes), temperature, steps)


@claim.run
def second(other_start, sizes, temperature, steps, heat=1, moved=0):
    """The other run; for controls at another temperature, or with some samples of class 0 in the last class."""
    labels = world.labels_of(sizes)
    labels[:moved] = len(sizes) - 1
    return trained(other_start, labels, heat * temperature, steps)


def trained(start, labels, temperature, steps):
    """Features (runs, d, n) after the last step."""
    path = _descent.descend(start, world.padded(labels), temperature, steps, keep=2)
    return path.features[-1][:, :, : len(labels)]


@claim.measurement
def grams(first, second, sizes, temperature):
    """Gram matrices (runs, n, n) and losses (2 runs,) of both sets, in balls."""
    masks = [mask[0] for mask in world.pairs(world.labels_of(sizes)[None])]
    G = [_certificates.gram(H) for H in (first, second)]
    return Record(
        first=G[0], second=G[1], losses=concatenate([_certificates.losses(g, *masks, temperature) for g in G])
    )


@claim.measurement
def residual(first, second, aligned=True):
    return _certificates.procrustes(first, second, aligned)


@claim.measurement
def apart(start, other_start, sizes):
    """Pairs before training, and two that share no direction, where the first inequality is an equality."""
    n, runs = sum(sizes), len(start)
    H, K = (
        np.concatenate([each[:, :, :n], np.zeros((1, len(start[0]), n))]) for each in (start, other_start)
    )
    H[runs, 0], K[runs, 0] = 1, np.arange(n) % 2 * 2 - 1
    differences = [certify.norm(G, "nuclear") for G in _certificates.gram(H) - _certificates.gram(K)]
    return Record(residual=_certificates.procrustes(H, K), nuclear=stack(differences))


@claim.measurement
def icosahedron():
    """Its six diagonals, and those with the golden ratio's conjugate: the nuclear norm and the largest entry of what differs."""
    G = []
    for root in (np.sqrt(5), -np.sqrt(5)):
        golden = (1 + root) / 2
        lines = np.array([[0, 1, golden], [0, 1, -golden]])
        G.append(_certificates.gram(np.concatenate([np.roll(lines, i, axis=1) for i in range(3)]).T))
    return Record(nuclear=certify.norm(G[0] - G[1], "nuclear"), largest=abs(G[0] - G[1]).largest())


def spread(d, n, itself=1):
    """The nuclear norm of a matrix of rank 2d with 1 off the diagonal and 0 on it, at most. itself=0: 1 on it as well."""
    return certify.sqrt(exact(2 * d * n * (n - itself)))


def bounds(grams, reduced):
    """epsilon of both sets, (2, runs), from their losses."""
    runs = len(grams.losses) // 2
    both = _certificates.gram_bound(grams.losses - reduced.dual, reduced)
    return stack([both[:runs], both[runs:]])


@claim.check("one-gram-matrix")
def one(grams, reduced):
    i, j = world.couples(grams.first.shape[-1])
    within = bounds(grams, reduced).sum(axis=0)[:, None]
    return equal(
        grams.first[:, i, j], grams.second[:, i, j], within=within, run=np.arange(len(within))[:, None]
    )


@claim.check("that-of-the-program")
def programs(grams, reduced, sizes):
    i, j = world.couples(grams.first.shape[-1])
    labels = world.labels_of(sizes)
    within = bounds(grams, reduced)[0][:, None]
    return equal(grams.first[:, i, j], reduced.enclosed[labels[i], labels[j]], within=within)


@claim.check("powers-stormer")
def powers_stormer(apart, share=1):
    nuclear = share * apart.nuclear
    return at_most(apart.residual, nuclear, within=apart.residual.gap() + nuclear.gap())


@claim.check("rank-and-entries")
def second_inequality(icosahedron, itself=1):
    bound = spread(3, 6, itself) * icosahedron.largest
    return equal(icosahedron.nuclear, bound, within=icosahedron.nuclear.gap() + bound.gap())


@claim.check("rotation")
def rotation(residual, grams, reduced, sizes):
    within = spread(len(sizes) + 1, sum(sizes)) * bounds(grams, reduced).sum(axis=0)
    return at_most(residual, 0, within=within, run=np.arange(len(residual)))


claim.control(
    "second run at a temperature 10% higher", heat=1.1, must_fail="one-gram-matrix", cases=IMBALANCED
)
claim.control("one sample of the second run relabelled", moved=1, must_fail="one-gram-matrix")
claim.control(
    "program at a temperature 10% higher", must_fail="that-of-the-program", cases=IMBALANCED,
    reduced=lambda sizes, temperature: world.reduced(sizes, 1.1 * temperature),
)  # fmt: skip
claim.control("nuclear norm 10% smaller", share=0.9, must_fail="powers-stormer")
claim.control("n^2 entries", itself=0, must_fail="rank-and-entries")
claim.control("not aligned", aligned=False, must_fail="rotation")
claim.control("aligned, one sample relabelled", moved=1, must_fail="rotation")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["distance of two runs", "plane of the class means"])
    names = [", ".join(map(str, case["sizes"])) for case in evidence.cases]
    looks = {
        "aligned": None,
        "not aligned": "not aligned",
        "aligned, one sample relabelled": "one relabelled",
    }
    for i, (control, label) in enumerate(looks.items()):
        for j, case in enumerate(evidence.cases):
            curve = evidence.curve("rotation", control=control if label else None, **case)
            size = np.sqrt(np.maximum(np.abs(curve.measured.middle), 1e-16))
            style = (
                {"color": plot.CONTROL["color"], "marker": "x+"[i - 1]}
                if label
                else {"marker": "o", "color": plot.COLORS[0]}
            )
            text = (f"control: {label}" if label else "aligned") if j == 0 else None
            left.plot(np.full(len(size), j), size, linestyle="none", label=text, **style)
            if not label:
                left.plot(
                    [j - 0.3, j + 0.3], [np.sqrt(curve.within.middle.max())] * 2, color=plot.INK, **plot.BOUND
                )
    left.set(yscale="log", ylabel=r"$\|Q H_1 - H_2\|_F$", xlim=(-0.5, 2.5))
    left.set_xticks(range(3), names)
    case = evidence.cases[0]
    H, K = (evidence.of(name, **case)[0] for name in ("first", "second"))
    U, _, V = np.linalg.svd(K @ H.T)
    plane = np.linalg.svd(K)[0][:, :2]
    for points, marker, text in ((H, "x", "first"), (U @ V @ H, "+", "first, aligned"), (K, "o", "second")):
        x, y = plane.T @ points
        right.plot(x, y, linestyle="none", marker=marker, fillstyle="none", markersize=7, label=text)
    right.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
    plot.legend(left, bound="certified")
    plot.legend(right)
