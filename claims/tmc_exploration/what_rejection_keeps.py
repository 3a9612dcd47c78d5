r"""Rejection keeps a rare path only if there are tries enough: the paper's 5 lose the rarest one, and 10 keep it.

Policy gradient on the instances that n tries failed on climbs pass@(n+1), a concave function f of the law of paths. If
a share $1 - h$ of instances is solved by path a alone and a share $h < 1/2$ by path b alone, it is largest at

$$\pi_b = \frac{1}{1 + ((1 - h)/h)^{1/n}} ,$$

which is h for n = 1, and tends to 1/2 with n. Among the valid paths of the paper's chain the rarest one starts with a
share of 0.7 %, its expected correctness. With 5 tries, or 9, any optimum holds less of it; training with 10 raises it.

---
Optima are certified by concavity: no law has more than $f(\pi) + \max_o \partial_o f - \pi \cdot \nabla f$, and each unit
of a path o costs $\max \partial f - \partial_o f$ of this, so no optimal law holds more of o than the excess over $f(\pi)$
pays for. Between two laws with slopes of opposite signs there is an optimum.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, certify, equal, exact, less, plot, rounded, stack, stated, train

from . import _certificate, world

claim = Claim("tmc-exploration/what-rejection-keeps", full={"most_tries": 20})
RARE = (Fraction(1, 10), Fraction(3, 10), Fraction(9, 20))  # shares h
TRIES = (1, 2, 3, 5, 10, 20)
ON_CHAIN = 5  # tries of the paper


@claim.instance
def types(most_tries=5):
    """(h, n) of problems with two types of instances."""
    return [(h, n) for h in RARE for n in TRIES if n <= most_tries]


# --- where pass@(n+1) is largest --------------------------------------------------------------------------


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
    law = _certificate.near_optimum(ON_CHAIN)
    return Record(
        value=certify.bracket(*_certificate.value_and_most(law, ON_CHAIN)[:2], "concavity of pass@K"), law=law
    )


# --- what training ends with ------------------------------------------------------------------------------


@claim.run
def trained(types, updates=400):
    """pi_b at the end of expected policy gradient on two paths, from 1/5, for every (h, n)."""
    start, members = np.log([0.8, 0.2]), np.eye(2)
    ends = [learned(start, members, np.array([1 - h, h], dtype=float), n, updates) for h, n in types]
    return np.array(ends)[:, 1]


@claim.run
def trained_on_chain(updates_on_chain=20_000, tries_on_chain=ON_CHAIN):
    """The law on the valid paths of TASK1 that expected policy gradient ends with, one logit a path."""
    acc = world.valid_correctness().astype(float)
    return learned(np.log(acc), *world.instances(acc), tries_on_chain, updates_on_chain)


@claim.run
def trained_with_few(updates_on_chain, few_tries=(ON_CHAIN, 9)):
    return [trained_on_chain(updates_on_chain, n) for n in few_tries]


@claim.run
def rarest_path(updates_on_chain, many_tries=10):
    """Its share after training with many tries."""
    return rounded(trained_on_chain(updates_on_chain, many_tries).min(), 100 * updates_on_chain, 1.0)


def learned(start, members, weights, n, updates):
    theta, _ = train.loop(ascend, start, np.ones(updates), members.astype(float), weights, float(n))
    return np.exp(theta - np.logaddexp.reduce(theta))


def ascend(theta, rate, members, weights, n):
    """REINFORCE in the mean, on the rewards that rejection leaves, in units of the largest one."""
    from jax import nn

    pi = nn.softmax(theta)
    left = (weights * (1 - members @ pi) ** n) @ members
    return theta + rate / n * pi * (left - (pi * left).sum()) / left.max(), {}


@claim.measurement
def optimum(types, trained):
    """Between two laws around the trained one whose slopes have opposite signs."""
    found = []
    for (h, n), p in zip(types, trained, strict=True):
        f = float(slope_in_share(h, n, p).middle)
        steep = float(h) * (1 - p) ** (n - 1) + (1 - float(h)) * p ** (n - 1)
        radius = 2 * abs(f) / (n * steep) + 1e-13
        below, above = p - radius, p + radius
        if not slope_in_share(h, n, below).lower > 0 > slope_in_share(h, n, above).upper:
            raise ValueError(f"h = {h}, n = {n}: no optimum within {radius} of where training ended, {p}")
        found.append(certify.bracket(*(exact(0) + end for end in (below, above)), "slopes of opposite signs"))
    return stack(found)


def slope_in_share(h, n, p):
    """Of pass@(n+1) / (n+1) in pi_b = p, where pi_a = 1 - p."""
    p = exact(0) + p
    return exact(h) * (1 - p) ** n - exact(1 - h) * p**n


@claim.measurement
def rarest_at_optimum(trained_with_few, few_tries):
    """How much an optimal law may hold of the rarest path, by concavity at the trained ones."""
    found, rarest = [], int(np.argmin(world.valid_correctness()))
    for law, n in zip(trained_with_few, few_tries, strict=True):
        value, most, slopes = _certificate.value_and_most(law, n)
        found.append((most - value) / (slopes.largest() - slopes[rarest]))
    return stack(found)


@claim.measurement
def value_on_chain(trained_on_chain):
    return _certificate.value_and_slopes(trained_on_chain, ON_CHAIN)[0]


# --- whether they agree -----------------------------------------------------------------------------------


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
def loses(rarest_at_optimum, few_tries):
    return less(rarest_at_optimum, exact(world.valid_correctness().min()), n=few_tries)


@claim.check("many-tries-keep-it")
def keeps(rarest_path):
    return less(exact(world.valid_correctness().min()), rarest_path)


# --- rivals -----------------------------------------------------------------------------------------------


def penalised(types):
    """The optimum with a KL penalty of weight 1 to the start, and rewards 1 - h and h."""
    tilt = [certify.evaluate(lambda x: x.exp() / 4, 2 * h - 1) for h, _ in types]
    return stack([t / (1 + t) for t in tilt])


def by_probability():
    """The law in proportion to expected correctness, where training starts."""
    return world.valid_correctness().astype(float)


def trained_share(rarest_path):
    """Of the rarest path with many tries."""
    return stack([rarest_path])


claim.control("exponent 1 / (n - 1)", fewer=1, must_fail="rare-share")
claim.control("KL penalty", rare_share=penalised, must_fail="rare-share")
claim.control("trained with 4 tries", tries_on_chain=4, must_fail="optimum-on-the-chain")
claim.control(
    "10 tries lose it",
    few_tries=(10,),
    rarest_at_optimum=trained_share,
    must_fail="few-tries-lose-the-rarest-path",
)
claim.control("9 tries keep it", many_tries=9, must_fail="many-tries-keep-it")
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
    left.axhline(0.5, color="#C9CCD1", linewidth=1)
    rivals = evidence.of("rare_share", control="KL penalty").middle
    left.plot(tries, rivals[: len(tries)], **plot.CONTROL, label="control: KL penalty")
    left.set(xlabel="tries $n$", ylabel=r"share $\pi_b$ of the rare path", ylim=(0, 0.55))
    law, best = evidence.of("trained_on_chain"), evidence.of("chain_optimum").law
    acc = evidence.of("trained_on_chain", control="expected correctness")
    x = np.arange(4)
    right.bar(x, law, width=0.6, color=plot.COLORS[0], alpha=0.75, label="trained, 5 tries")
    right.plot([2], [evidence.of("rarest_path").middle], "D", color=plot.COLORS[3], label="trained, 10 tries")
    for i, value in enumerate(best):
        right.plot([i - 0.4, i + 0.4], [value] * 2, color=plot.COLORS[1], **plot.BOUND)
    right.plot(x, acc, "x", color=plot.CONTROL["color"], label="control: expected correctness")
    right.set_xticks(x, ["0000", "0010", "0100", "0110"])
    right.set(xlabel="path", ylabel="probability", yscale="log", ylim=(1e-3, 1))
    plot.legend([left, right], bound="closed form, convex program")
