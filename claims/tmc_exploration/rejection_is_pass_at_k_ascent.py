r"""Learning only from instances that n tries failed on is gradient ascent on pass@(n+1), which is concave.

An instance C is drawn, n paths are tried on it, and only if none is correct the policy makes a REINFORCE step on one
more path. With $s_C = \pi(C)$ the mean of this update is

$$\sum_C P(C) (1 - s_C)^n\, \nabla s_C = \frac{1}{n+1} \nabla \sum_C P(C) \left[ 1 - (1 - s_C)^{n+1} \right] .$$

As a function of the law of paths pass@(n+1) is concave, so what rejection converges to is a convex program. If a share
$1 - h$ of instances is solved by path a alone and a share $h < 1/2$ by path b alone, its solution is

$$\pi_b = \frac{1}{1 + ((1 - h)/h)^{1/n}} ,$$

which is h for n = 1, tends to 1/2 with n, and is 0 without rejection. So rejection keeps a rare path only if there are
tries enough: among the valid paths of the paper's chain it loses the rarest one with its 5 tries, and keeps it with 10.

---
The mean is taken over every instance, every outcome of the tries and every path, in fractions; the gradient is the exact
derivative of a polynomial in t along a change t of a logit, from its values at enough t. An optimum is certified by
concavity: no law has more than $f(\pi) + \max_o \partial_o f - \pi \cdot \nabla f$, and between two laws with
slopes of opposite signs there is one.
"""

from fractions import Fraction
from itertools import product

import numpy as np

from verify import Claim, Record, at_most, certify, equal, exact, less, plot, rounded, stack, stated, train

from . import _dynamics, world

claim = Claim("tmc-exploration/rejection-is-pass-at-k-ascent", full={"most_tries": 20, "pairs": 300})
RARE = (Fraction(1, 10), Fraction(3, 10), Fraction(9, 20))  # shares h
TRIES = (1, 2, 3, 5, 10, 20)
ON_CHAIN = 5  # tries of the paper


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


@claim.instance
def types(most_tries=5):
    """(h, n) of problems with two types of instances."""
    return [(h, n) for h in RARE for n in TRIES if n <= most_tries]


# --- what pass@K says -------------------------------------------------------------------------------------


@claim.reference
def slope(policies, tries=(0, 1, 2)):
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


@claim.reference
def rare_share(types, fewer=0):
    """pi_b in closed form for every (h, n)."""

    def closed(h, n):
        return 1 / (1 + ((1 - h) / h).root(n)) if n else 0 * h

    n_used = [(h, n - fewer) for h, n in types]
    return stack([certify.evaluate(lambda x, n=n: closed(x, n), h) for h, n in n_used])


@claim.reference
def chain_optimum():
    """Record(value, law): the largest pass@6 over all laws on the valid paths, for the instances of TASK1."""
    members, exact_weights = world.instances(valid_correctness())
    weights, law = exact_weights.astype(float), np.full(4, 0.25)
    for _ in range(4000):  # a fixed-point iteration, of which nothing is trusted
        gradient = members.T @ (weights * (1 - members @ law) ** ON_CHAIN)
        law = law * (gradient / (law @ gradient)) ** (1 / ON_CHAIN)
        law /= law.sum()
    value, slopes = value_and_slopes(law)
    most = value + slopes.largest() - (law * slopes).sum()
    return Record(value=certify.bracket(value, most, "concavity of pass@K"), law=law)


def value_and_slopes(law):
    """pass@6 of a law (4,) of floats, for the instances of TASK1, and its slopes in every path's probability."""
    members, weights = world.instances(valid_correctness())
    law = exact(0) + law
    missed = 1 - stack([(law * row).sum() for row in members]) / law.sum()
    value = (exact(weights) * (1 - missed ** (ON_CHAIN + 1))).sum()
    each = exact(weights) * missed**ON_CHAIN * (ON_CHAIN + 1)
    return value, stack([(each * column).sum() for column in members.T])


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
def trained(types, updates=400):
    """pi_b at the end of expected policy gradient on two paths, from 1/5, for every (h, n)."""
    start, members = np.log([0.8, 0.2]), np.eye(2)
    ends = [learned(start, members, np.array([1 - h, h], dtype=float), n, updates) for h, n in types]
    return np.array(ends)[:, 1]


@claim.run
def trained_on_chain(updates_on_chain=20_000, tries_on_chain=ON_CHAIN):
    """The law on the valid paths of TASK1 that expected policy gradient ends with, one logit a path."""
    acc = valid_correctness().astype(float)
    return learned(np.log(acc), *world.instances(acc), tries_on_chain, updates_on_chain)


@claim.run
def rarest_path(updates_on_chain, tries_on_chain, many_tries=10):
    """Its share after training with few tries, and with many."""
    few, many = (trained_on_chain(updates_on_chain, n).min() for n in (tries_on_chain, many_tries))
    return rounded(np.array([few, many]), 100 * updates_on_chain, 1.0)


def learned(start, members, weights, n, updates):
    theta, _ = train.loop(ascend, start, np.ones(updates), members.astype(float), weights, float(n))
    return np.exp(theta - np.logaddexp.reduce(theta))


def ascend(theta, rate, members, weights, n):
    """REINFORCE in the mean, on the rewards that rejection leaves, in units of the largest one."""
    from jax import nn

    pi = nn.softmax(theta)
    left = (weights * (1 - members @ pi) ** n) @ members
    return theta + rate / n * pi * (left - (pi * left).sum()) / left.max(), {}


@claim.run
def along_chords(laws, samples=ON_CHAIN + 1):
    """pass@K between two laws, and the same share of its values at both."""
    members, weights = world.instances(valid_correctness())

    def value(law):
        return world.pass_at_k(law, members, weights, samples)

    return compared(laws, value)


def compared(laws, value):
    inside, chord = [], []
    for (p, q), share in zip(laws.pairs, laws.between, strict=True):
        inside.append(value(share * p + (1 - share) * q))
        chord.append(share * value(p) + (1 - share) * value(q))
    return Record(inside=exact(inside), chord=exact(chord))


def valid_correctness():
    """acc of the four valid paths of TASK1, in fractions."""
    acc, _ = world.correctness(world.authors_chain(), *world.TASKS["TASK1"])
    return acc[acc > 0]


@claim.measurement
def optimum(types, trained):
    """Between two laws around the trained one whose slopes have opposite signs; all of [0, 1] where they have not."""
    found = []
    for (h, n), p in zip(types, trained, strict=True):
        f, steep = (
            float(slope_in_share(h, n, p).middle),
            float(h) * (1 - p) ** (n - 1) + (1 - float(h)) * p ** (n - 1),
        )
        radius = 2 * abs(f) / (n * steep) + 1e-13
        below, above = p - radius, p + radius
        certain = slope_in_share(h, n, below).lower > 0 > slope_in_share(h, n, above).upper
        ends = (below, above) if certain else (0.0, 1.0)
        found.append(certify.bracket(*(exact(0) + end for end in ends), "slopes of opposite signs"))
    return stack(found)


def slope_in_share(h, n, p):
    """Of pass@(n+1) / (n+1) in pi_b = p, where pi_a = 1 - p."""
    p = exact(0) + p
    return exact(h) * (1 - p) ** n - exact(1 - h) * p**n


@claim.measurement
def value_on_chain(trained_on_chain):
    return value_and_slopes(trained_on_chain)[0]


# --- whether they agree -----------------------------------------------------------------------------------


@claim.check("mean-update")
def ascent(mean_update, slope):
    return equal(mean_update, slope)


@claim.check("concave")
def concave(along_chords):
    return at_most(along_chords.chord, along_chords.inside)


@claim.check("rare-share")
def kept(optimum, rare_share, types):
    within = optimum.gap(each=True) + rare_share.gap(each=True)
    return equal(optimum, rare_share, within=within, h=[float(h) for h, _ in types], n=[n for _, n in types])


@claim.check("optimum-on-the-chain")
def best(value_on_chain, chain_optimum):
    within = stated(
        Fraction(1, 20_000), "half a unit of the last digit of the percentages that the paper prints"
    )
    return equal(value_on_chain, chain_optimum.value, within=within)


@claim.check("few-tries-lose-the-rarest-path")
def loses(rarest_path):
    return less(rarest_path[0], exact(valid_correctness().min()))


@claim.check("many-tries-keep-it")
def keeps(rarest_path):
    return less(exact(valid_correctness().min()), rarest_path[1])


# --- rivals -----------------------------------------------------------------------------------------------


def all_correct(laws, samples):
    """That all K samples are correct, in place of one."""
    members, weights = world.instances(valid_correctness())
    return compared(laws, lambda law: (weights * (members @ law) ** samples).sum())


def penalised(types):
    """The optimum with a KL penalty of weight 1 to the start, and rewards 1 - h and h."""
    tilt = [certify.evaluate(lambda x: x.exp() / 4, 2 * h - 1) for h, _ in types]
    return stack([t / (1 + t) for t in tilt])


def one_try_more(policies, tries):
    return mean_update(policies, tuple(n + 1 for n in tries))


def by_probability():
    """The law in proportion to expected correctness, where training starts."""
    return valid_correctness().astype(float)


claim.control("one try more", mean_update=one_try_more, must_fail="mean-update")
claim.control("all K samples correct", along_chords=all_correct, must_fail="concave")
claim.control("exponent 1 / (n - 1)", fewer=1, must_fail="rare-share")
claim.control("KL penalty", rare_share=penalised, must_fail="rare-share")
claim.control("trained with 4 tries", tries_on_chain=4, must_fail="optimum-on-the-chain")
claim.control("10 tries lose it", tries_on_chain=10, must_fail="few-tries-lose-the-rarest-path")
claim.control("8 tries keep it", many_tries=8, must_fail="many-tries-keep-it")
claim.control("expected correctness", trained_on_chain=by_probability, must_fail="optimum-on-the-chain")


@claim.figure
def draw(figure, evidence):
    left, right = plot.panel_grid(figure, ["two types of instances", "instances of TASK1"])
    optimum, tries = evidence.of("optimum").middle, [n for n in TRIES if n <= 5]
    grid = np.linspace(1, 6, 60)
    for i, h in enumerate(RARE):
        (line,) = left.plot(
            tries, optimum[i * len(tries) : (i + 1) * len(tries)], "o", label=f"trained, $h$ = {float(h)}"
        )
        closed = 1 / (1 + ((1 - float(h)) / float(h)) ** (1 / grid))
        left.plot(grid, closed, color=line.get_color(), **plot.BOUND)
        left.plot([0, 0.999, 1], [0, 0, float(h)], color=line.get_color(), linewidth=0)
    left.axhline(0.5, color="#C9CCD1", linewidth=1)
    rivals = evidence.of("rare_share", control="KL penalty").middle
    left.plot(tries, rivals[: len(tries)], **plot.CONTROL, label="control: KL penalty")
    left.set(xlabel="tries $n$", ylabel=r"share $\pi_b$ of the rare path", ylim=(0, 0.55))
    law, best = evidence.of("trained_on_chain"), evidence.of("chain_optimum").law
    acc = evidence.of("trained_on_chain", control="expected correctness")
    x = np.arange(4)
    right.bar(x, law, width=0.6, color=plot.COLORS[0], alpha=0.75, label="trained, 5 tries")
    right.plot(
        [2], evidence.of("rarest_path").middle[1:], "D", color=plot.COLORS[3], label="trained, 10 tries"
    )
    for i, value in enumerate(best):
        right.plot([i - 0.4, i + 0.4], [value] * 2, color=plot.COLORS[1], **plot.BOUND)
    right.plot(x, acc, "x", color=plot.CONTROL["color"], label="control: expected correctness")
    right.set_xticks(x, ["0000", "0010", "0100", "0110"])
    right.set(xlabel="path", ylabel="probability", yscale="log", ylim=(1e-3, 1))
    plot.legend([left, right], bound="closed form, convex program")
