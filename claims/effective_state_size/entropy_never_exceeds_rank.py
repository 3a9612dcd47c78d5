r"""The entropy version of the effective state-size never exceeds the rank, and reaches it for equal singular values.

With the singular values $\sigma_j$ of a block $H_t$ and $p_j = \sigma_j / \sum_i \sigma_i$,

$$\mathrm{ESS}^{\mathrm{entropy}}_t = \exp \Big( - \sum_j p_j \log p_j \Big) \le \mathrm{rank}\, H_t ,$$

with equality if and only if all singular values that are not 0 are equal, as those of a pure delay are.

---
Ranks are exact; singular values are enclosed, those that are 0 too. A delay by d steps has ESS min(d, t, L - t). The gap may
be wide: modes that fade make a time-invariant model's blocks look like rank 1.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, at_most, certify, concatenate, equal, exact, hull, plot, stack

from . import _operators, world

claim = Claim("effective-state-size/entropy-never-exceeds-rank", full={"length": 48})
NAMES = (
    "delay",
    "time-invariant",
    "linear attention",
    "softmax attention",
    "convolution",
    "window attention",
)


@claim.instance
def delay_line(length=20, delay=5, fade=Fraction(1)):
    """y_t = fade^s u_s with s = t - delay."""
    return _operators.causal(length, lambda t, s: fade**s if t - s == delay else 0)


@claim.instance
def others(rng, length):
    o = _operators
    return [
        o.lti(rng, length, 4), o.linear_attention(rng, length, 4), normalised(o.softmax_attention(rng, length, 2)),
        o.fir(rng, length, 6), normalised(o.softmax_attention(rng, length, 2, window=6)),
    ]  # fmt: skip


def normalised(T):
    """Rows divided by the sum of their magnitudes, as softmax weights are."""
    return T / abs(T).sum(axis=1, keepdims=True)


@claim.reference
def ranks(delay_line, others):
    """By operator and step, the delay first."""
    return exact([world.effective_state_sizes(T) for T in (delay_line, *others)])


@claim.measurement
def of_delay(delay_line):
    """Entropies by step."""
    return of_operator(delay_line)


@claim.measurement
def of_others(others):
    return stack([of_operator(T) for T in others])


def of_operator(T):
    each = [certify.singular_values(exact(T[t:, :t])) for t in range(1, len(T))]
    return stack([entropy(sigma / sigma.sum()) for sigma in each])


@claim.measurement
def entropy_ess(of_delay, of_others, power=1):
    """exp(power times entropy), by operator and step."""
    return certify.exp(power * concatenate([stack([of_delay]), of_others]))


def entropy(p):
    """- sum p log p of enclosed probabilities (k,). The function is concave and largest at 1/e."""
    least = np.nextafter(0, 1)
    ends = [-((exact(0) + end) * certify.log(np.maximum(end, least))) for end in (p.lower, p.upper)]
    terms, peak = hull(*ends, "entropy of enclosed probabilities"), certify.exp(-1)
    astride = (p.lower < peak.upper) & (peak.lower < p.upper)
    return hull(
        terms,
        stack([peak if here else term for here, term in zip(astride, terms, strict=True)]),
        terms.because,
    ).sum()


@claim.check("at-most-rank")
def below(entropy_ess, ranks):
    return at_most(entropy_ess, ranks, within=entropy_ess.gap())


@claim.check("equal-for-a-delay")
def attained(entropy_ess, ranks):
    return equal(entropy_ess[0], ranks[0], within=2 * entropy_ess[0].gap())


claim.control("exp(1.1 entropy)", power=1.1, must_fail="at-most-rank")
claim.control("weights fade by a tenth a step", fade=Fraction(9, 10), must_fail="equal-for-a-delay")


@claim.figure
def draw(figure, evidence):
    panels = plot.panel_grid(figure, NAMES, columns=3, sharey=True, sharex=True)
    found, ranks = evidence.of("entropy_ess").middle, evidence.of("ranks").middle
    other = evidence.of("entropy_ess", control="exp(1.1 entropy)").middle
    t = np.arange(1, found.shape[1] + 1)
    for panel, value, rank, rival in zip(panels, found, ranks, other, strict=True):
        plot.curve_with_bound(panel, t, value, rank, label="entropy version")
        panel.plot(t, rival, **plot.CONTROL, label="control: exp(1.1 entropy)")
    for panel in panels[3:]:
        panel.set_xlabel("step $t$")
    panels[0].set_ylabel("ESS")
    panels[3].set_ylabel("ESS")
    plot.legend(panels, bound="rank")
