r"""With a KL penalty the best policy is the base chain's Doob transform, and correct paths keep their odds.

Over all laws of paths, $\mathbb E_\pi r - \beta\, \mathrm{KL}(\pi \| \pi_0)$ is largest at

$$\pi^* = \pi_0\, e^{r/\beta} / Z, \qquad \text{where it is } \beta \log Z .$$

If r depends on the last state alone, $\pi^*$ is a Markov chain again: $P_l^*(x, y) = P_l(x, y)\, h_{l+1}(y) / h_l(x)$
with $h_L = e^{r/\beta}$ and $h_l = P_l h_{l+1}$. Paths of equal reward keep their odds,
$\pi^*(a)/\pi^*(b) = \pi_0(a)/\pi_0(b)$, and no path of the largest reward loses: $\pi^*(b) \ge \pi_0(b)$.

---
The identities are compared in fractions, on chains with a rational $z = e^{1/\beta}$. Regularised policy gradient on
the paper's chain is held against the optimum by a certificate of its own: with $\zeta = r - \beta \log(\pi/\pi_0)$,
a policy of value J has $J \le \beta \log Z \le J + s^2/(8 \beta)$ and is within $s/(4 \beta)$ of $\pi^*$ in total
variation, s being the spread of $\zeta$ (Hoeffding's lemma and Pinsker's inequality).
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, equal, exact, hull, plot, rounded, stack, train

from . import world
from ._dynamics import log_law, logits

claim = Claim("tmc-exploration/kl-optimum-is-a-doob-transform", full={"draws": 60, "iterations": 12_000})


# --- chains with rewards ----------------------------------------------------------------------------------


@claim.instance
def chains(rng, draws=15):
    """The paper's chain, one with a state that cannot be left for its target, and random ones."""
    one, none = Fraction(1), Fraction(0)
    stuck = [np.array([[one / 2, one / 2]]), np.array([[one, none], [one / 3, 2 * one / 3]])]
    sizes = [rng.integers(1, 4, size=rng.integers(3, 6)) for _ in range(draws)]
    return [world.authors_chain(), stuck, *(world.random_chain(rng, size) for size in sizes)]


@claim.instance
def tilts(rng, chains):
    """z = exp(1 / beta) for every chain."""
    return [Fraction(7), Fraction(2), *(1 + Fraction(int(rng.integers(1, 90)), 10) for _ in chains[2:])]


@claim.instance
def rewards(rng, chains):
    """Rewards of every chain's paths from state 0: of their last states, 0, 1 or 2; 1 for the target 0 in the first two."""
    of_states = [rng.integers(0, 3, size=chain[-1].shape[1]) for chain in chains]
    of_states[:2] = [np.array([1, 0])] * 2
    return [of[world.paths(chain, 0)[:, -1]] for of, chain in zip(of_states, chains, strict=True)]


@claim.instance
def base(chains):
    return [world.path_law(chain, 0) for chain in chains]


# --- what the optimum is ----------------------------------------------------------------------------------


@claim.reference
def gibbs(base, tilts, rewards):
    """pi*, one list of probabilities after the other."""
    laws = [law * powers(z, r) for law, z, r in zip(base, tilts, rewards, strict=True)]
    return exact(np.concatenate([law / law.sum() for law in laws]))


def powers(z, r):
    """z^r in fractions, (n,)."""
    return np.array([z ** int(each) for each in r], dtype=object)


@claim.reference
def optimum(base, rewards, beta=0.5):
    """beta log Z, and pi*, on the paper's chain at a beta of common size."""
    gains = [certify.exp(exact(int(r)) / beta) for r in rewards[0]]
    weights = [exact(p) * gain for p, gain in zip(base[0], gains, strict=True)]
    total = sum(weights, exact(0))
    return Record(value=beta * certify.log(total), law=stack([weight / total for weight in weights]))


# --- what chains and policies do --------------------------------------------------------------------------


@claim.run
def doob(chains, base, tilts, rewards, sharper=Fraction(1)):
    """Path laws of the Doob transforms, whose factor is the mean of z^r over the paths that end in a state."""
    laws = []
    for chain, law, z, r in zip(chains, base, tilts, rewards, strict=True):
        last = world.paths(chain, 0)[:, -1] == np.arange(chain[-1].shape[1])[:, None]
        mass = last @ law
        factor = np.where(mass > 0, last @ (law * powers(sharper * z, r)) / np.where(mass > 0, mass, 1), 1)
        laws.append(world.path_law(world.doob_transform(chain, factor)[0], 0))
    return laws


@claim.run
def policy(chains, rewards, beta, iterations=3_000, rate=4.0):
    """The path law that regularised policy gradient on the kernels' logits ends with, from the paper's chain."""
    start = logits(chains[0])
    theta, _ = train.loop(ascend, start, np.full(iterations, rate), start, rewards[0].astype(float), beta)
    return np.exp(np.asarray(log_law(theta)))


def ascend(theta, rate, start, reward, beta):
    """Exact policy gradient on the regularised reward."""
    import jax
    from jax import numpy as jnp

    def value(theta):
        log_pi = log_law(theta)
        return (jnp.exp(log_pi) * (reward - beta * (log_pi - log_law(start)))).sum()

    return theta + rate * jax.grad(value)(theta), {}


@claim.measurement
def certificate(policy, base, rewards, beta):
    """J and the spread of zeta."""
    law = rounded(policy, 30, policy)
    law = law / law.sum()
    zeta = exact(rewards[0]) - beta * (law / exact(base[0])).log()
    spread = hull(zeta.smallest(), zeta.largest(), "zeta of all paths").gap()
    return Record(value=(law * zeta).sum(), spread=spread, law=law)


# --- whether they agree -----------------------------------------------------------------------------------


@claim.check("doob")
def transform(doob, gibbs):
    return equal(exact(np.concatenate(doob)), gibbs)


@claim.check("odds")
def odds(doob, base, rewards):
    """Of each path against the first of its reward."""
    now, before = [], []
    for law, old, r in zip(doob, base, rewards, strict=True):
        first = [list(r).index(value) for value in r]
        now.append(law * old[first])
        before.append(law[first] * old)
    return equal(exact(np.concatenate(now)), exact(np.concatenate(before)))


@claim.check("best-paths-gain")
def gain(doob, base, rewards):
    chosen = [r == r.max() for r in rewards]
    old, new = (
        np.concatenate([law[c] for law, c in zip(laws, chosen, strict=True)]) for laws in (base, doob)
    )
    return at_most(exact(old), exact(new))


@claim.check("value")
def best_value(certificate, optimum, beta):
    most = certificate.value + certificate.spread**2 / (8 * beta)
    found = certify.bracket(certificate.value, most, "value of a policy, and Hoeffding's lemma")
    return equal(found, optimum.value, within=2 * found.gap() + optimum.value.gap())


@claim.check("policy")
def trained(certificate, optimum, beta):
    within = certificate.spread / (4 * beta) + certificate.law.gap() + optimum.law.gap()
    return equal(certificate.law, optimum.law, within=within)


# --- other rewards, penalties and temperatures ------------------------------------------------------------


def of_the_whole_path(rewards, chains):
    """One path of those with the largest reward loses it: the last state no longer tells."""
    changed = [r.copy() for r in rewards]
    for r in changed:
        r[r.argmax()] -= 1
    return changed


def reverse_penalty(base, rewards, beta):
    """The optimum of E r - beta KL(pi_0 || pi): beta pi_0 / (lambda - r), of sum 1."""
    law, r = base[0].astype(float), rewards[0]
    missed = beta * law[r == 0].sum()
    level = ((1 + beta) + np.sqrt((1 + beta) ** 2 - 4 * missed)) / 2
    return beta * law / (level - r)


def forgetful(doob, base, rewards):
    """The most likely of the best paths takes the share of all of them."""
    changed = []
    for law, old, r in zip(doob, base, rewards, strict=True):
        best = r == r.max()
        top = np.flatnonzero(best)[np.argmax(old[best])]
        changed.append(np.where(best, Fraction(0), law))
        changed[-1][top] = law[best].sum()
    return changed


claim.control("e^(1/beta) 10% larger", sharper=Fraction(11, 10), must_fail="doob")
claim.control("reward of the whole path", rewards=of_the_whole_path, must_fail="doob")
claim.control("the likeliest path takes all", doob=forgetful, must_fail="odds")
claim.control("the likeliest path takes all, gain", doob=forgetful, must_fail="best-paths-gain")
claim.control("penalty KL(pi_0 || pi)", policy=reverse_penalty, must_fail="policy")
claim.control(
    "beta log Z 1% larger", must_fail="value",
    optimum=lambda optimum: Record(value=1.01 * optimum.value, law=optimum.law),
)  # fmt: skip
claim.control("policy trained for a tenth", iterations=300, must_fail="policy")


@claim.figure
def draw(figure, evidence):
    axes = figure.subplots()
    steps = world.paths(world.authors_chain(), 0)
    base, optimum = world.path_law(world.authors_chain(), 0).astype(float), evidence.of("optimum").law.middle
    order = np.lexsort((-base, steps[:, -1]))
    x = np.arange(len(order))
    reverse = evidence.of("policy", control="penalty KL(pi_0 || pi)")
    axes.vlines(x, base[order], optimum[order], color="#C9CCD1", linewidth=4, zorder=1)
    axes.plot(x, base[order], "o", mfc="white", color=plot.INK, label=r"base chain $\pi_0$")
    axes.plot(x, evidence.of("policy")[order], "o", color=plot.COLORS[0], label="trained with KL penalty")
    axes.plot(x, reverse[order], "x", color=plot.CONTROL["color"], label="control: penalty turned round")
    for i, value in enumerate(optimum[order]):
        bound = {**plot.BOUND, "color": plot.COLORS[1]}
        axes.plot([i - 0.35, i + 0.35], [value] * 2, **bound, label="Doob transform" if i == 0 else None)
    axes.axvline(3.5, color="#C9CCD1", linewidth=0.8)
    axes.set_xticks(x, ["".join(map(str, steps[i])) for i in order])
    axes.set(
        yscale="log",
        ylim=(6e-4, 40),
        ylabel="probability",
        xlabel="path: four correct ones, then four wrong ones",
    )
    axes.set_yticks([1e-3, 1e-2, 1e-1, 1])
    plot.legend(axes, loc="upper right")
