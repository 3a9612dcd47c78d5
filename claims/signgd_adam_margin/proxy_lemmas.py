r"""The inequalities between loss, gradient and proxy that everything rests on.

Let $L(W) = -\frac1n \sum_i \log s_{i,y_i}$ be the cross-entropy loss, its proxy
$G(W) = \frac1n \sum_i (1 - s_{i,y_i})$, and $B = \max_i \|h_i\|_1$. For every W and every entry-wise or
Schatten norm $\|\cdot\|$, with maximum margin $\gamma$ and dual norm $\|\cdot\|_*$:

- (a) $2 B\, G(W) \ge \|\nabla L(W)\|_* \ge \gamma\, G(W)$;
- (b) $\|A\|_{\max} \le \|A\| \le \|A\|_{\mathrm{sum}}$ for every matrix A;
- (c) $v^T (\mathrm{diag}(s) - s s^T)\, v \le 4 (1 - s_c) \|v v^T\|$ for probabilities s, every c and v;
- (d) $\sum_j s_j (1 - s_j) \le 2 (1 - s_c)$;
- (e) $1 \ge G/L \ge 1 - n L / 2$;
- (f) $L \le 2 G$ as soon as $L \le \log 2 / n$ or $G \le 1 / (2 n)$;
- (g) $G(W - \psi \eta D) \le e^{2 B \eta \psi \|D\|_{\max}}\, G(W)$ for $0 \le \psi \le 1$ and every D;
- (h) $|M_t| / \sqrt{V_t} \le (1 - \beta_1) \sqrt{\beta_2 / ((1 - \beta_2)(\beta_2 - \beta_1^2))}$ in Adam,
  if $\beta_1^2 < \beta_2$, whatever the gradients.

---
The lower half of (e) is checked as $(L - G) / L^2 \le n / 2$, which says something at every size of the loss.
All constants but that of (f) are attained, or approached, on extremal instances; (f) is checked with 2 log 2, which is
enough, in place of 2, and that is approached as well.
In (h) the largest ratio after T gradients is known, and the bound is its limit: gradients in proportion to
$(\beta_1 / \beta_2)^{T-t}$ attain $\sqrt{1 - (\beta_1^2 / \beta_2)^T}$ times the bound.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, equal, exact, less, plot, stack

from . import _lemmas, world

claim = Claim("signgd-adam-margin/proxy-lemmas", full={"datasets": 30, "draws": 300})
NORMS = ("max", "frobenius", "spectral", "sum", "nuclear", 3.0)

# --- what the lemmas are tried on: extremal instances, then random ones -----------------------------------


@claim.instance
def problems(rng, datasets=6, draws=40):
    """Data sets with classifiers W, and steps psi eta D from them."""
    return _lemmas.problems(rng, datasets, draws)


@claim.instance
def samples(problems):
    """n of every data set, a column."""
    return np.array([[len(p.labels)] for p in problems])


@claim.instance
def simplex(rng, draws):
    s, v = _lemmas.simplex_points(rng, 60 + draws)
    return Record(s=s, v=v)


@claim.space("simplex", build=lambda weights, v: Record(**_lemmas.simplex_point(weights, v)))
def one_point(draw):
    from hypothesis import strategies as st

    weights = draw(st.lists(st.floats(-30, 30), min_size=4, max_size=4))
    return {"weights": weights, "v": draw(st.lists(st.integers(-9, 9), min_size=4, max_size=4).filter(any))}


@claim.instance
def matrices(rng, draws):
    return _lemmas.integer_matrices(rng, draws)


@claim.instance
def histories(
    rng, decays=((0.9, 0.95), (0.9, 0.999), (0.9, 0.99), (0.5, 0.5), (0, 0.9), (0.9, 0.82)), steps=300
):
    """Gradients of one weight for every (b1, b2)."""
    return [_lemmas.gradient_histories(rng, b1, b2, steps, 12) for b1, b2 in decays]


# --- what the lemmas say ----------------------------------------------------------------------------------


@claim.reference
def gamma(problems):
    """Per data set and norm."""
    return stack([stack([world.max_margin(p.features, p.labels, norm) for norm in NORMS]) for p in problems])


@claim.reference
def radius(problems):
    return stack([world.reach(p.features, "max") for p in problems])


@claim.reference
def largest_entry(matrices):
    return exact(np.abs(matrices).max(axis=(1, 2)))


@claim.reference
def entry_sum(matrices):
    return exact(np.abs(matrices).sum(axis=(1, 2)))


@claim.reference
def variance_bound(simplex):
    """(c) for every c and the largest entry of v v^T, by (b) the smallest of its norms."""
    return exact(4 * (1 - simplex.s) * (np.abs(simplex.v).max(axis=1) ** 2)[:, None])


@claim.reference
def impurity_bound(simplex):
    """(d) for every c."""
    return exact(2 * (1 - simplex.s))


@claim.reference
def ratio_bound():
    """(e) of G / L."""
    return exact(1)


@claim.reference
def shortfall_bound(samples):
    """(e) of (L - G) / L^2."""
    return exact(samples) * Fraction(1, 2)


@claim.reference
def small_loss_bound():
    """(f) of L / G, with the smallest constant: l / (1 - e^{-l}) at l = log 2."""
    return 2 * certify.log(2)


@claim.reference
def growth_bound(problems, radius):
    length = [radius[i] * p.eta * p.psi * np.abs(p.D).max(axis=(1, 2)) for i, p in enumerate(problems)]
    return (2 * stack(length)).exp()


@claim.reference
def adam_bound(decays):
    def bound(b1, b2):
        return (1 - b1) * (b2 / ((1 - b2) * (b2 - b1**2))).sqrt()

    return stack([certify.evaluate(bound, b1, b2) for b1, b2 in decays])


@claim.reference
def adam_bound_attained(decays, adam_bound, steps):
    """What the first of the histories attains: Cauchy and Schwarz's inequality is an equality there."""

    def share(b1, b2):
        return (1 - (b1**2 / b2) ** steps).sqrt()

    return adam_bound * stack([certify.evaluate(share, b1, b2) for b1, b2 in decays])


# --- what happens -----------------------------------------------------------------------------------------


@claim.run
def at(problems):
    """Loss, proxy and gradient at every W."""
    return [_lemmas.evaluated(p.features, p.labels, p.W) for p in problems]


@claim.run
def growth(problems, at):
    """G(W - psi eta D) / G(W)."""
    return stack([_lemmas.moved(p).proxy / here.proxy for p, here in zip(problems, at, strict=True)])


@claim.run
def variance(simplex):
    """Of v under s, a column."""
    mean = (simplex.s * simplex.v).sum(axis=1)[:, None]
    return exact((simplex.s * (simplex.v - mean) ** 2).sum(axis=1)[:, None])


@claim.run
def impurity(simplex):
    """How likely two draws from s are to differ, a column."""
    return exact(1 - (simplex.s**2).sum(axis=1)[:, None])


@claim.run
def longest_step(histories, decays):
    """Of optax's Adam in units of eta, per (b1, b2) and history."""
    pairs = zip(histories, decays, strict=True)
    return stack([_lemmas.adam_steps(history, b1, b2) for history, (b1, b2) in pairs])


@claim.measurement
def slope(at):
    """The dual norms of the gradient in units of G, per data set, norm and W."""
    duals = [certify.dual(norm) for norm in NORMS]
    return stack([stack([certify.norm(e.gradient, dual) / e.proxy for dual in duals]) for e in at])


@claim.measurement
def norms(matrices):
    return stack([certify.norm(matrices.astype(float), kind) for kind in (*NORMS, 1.5)])


@claim.measurement
def losses(at):
    return Record(**{name: stack([vars(e)[name] for e in at]) for name in ("loss", "proxy", "bend")})


# --- whether they agree, up to the rounding of both sides -------------------------------------------------


@claim.assumption
def separable(gamma):
    return less(0, gamma)


@claim.check("a-gradient-at-most")
def gradient_above(slope, radius):
    return at_most(slope, 2 * radius[:, None, None], within=slope.gap() + radius.gap())


@claim.check("a-gradient-at-least")
def gradient_below(slope, gamma):
    return at_most(gamma[:, :, None], slope, within=slope.gap() + gamma.gap())


@claim.check("b-norms-at-least")
def norms_above(norms, largest_entry):
    return at_most(largest_entry, norms, within=norms.gap())


@claim.check("b-norms-at-most")
def norms_below(norms, entry_sum):
    return at_most(norms, entry_sum, within=norms.gap())


@claim.check("c-curvature")
def curvature(variance, variance_bound):
    return at_most(variance, variance_bound)


@claim.check("d-impurity")
def impure(impurity, impurity_bound):
    return at_most(impurity, impurity_bound)


@claim.check("e-proxy-at-most")
def proxy_below(losses, ratio_bound):
    ratio = losses.proxy / losses.loss
    return at_most(ratio, ratio_bound, within=ratio.gap())


@claim.check("e-proxy-at-least")
def proxy_above(losses, shortfall_bound):
    return at_most(losses.bend, shortfall_bound, within=losses.bend.gap())


@claim.check("f-small-loss")
def loss_below(losses, samples, small_loss_bound):
    small = (losses.loss * samples).upper <= certify.log(2).lower
    small |= (losses.proxy * samples).upper <= 0.5
    ratio = (losses.loss / losses.proxy)[small]
    return at_most(ratio, small_loss_bound, within=ratio.gap())


@claim.check("g-proxy-growth")
def growth_below(growth, growth_bound):
    return at_most(growth, growth_bound, within=growth.gap() + growth_bound.gap())


@claim.check("h-adam-step")
def step_below(longest_step, adam_bound):
    return at_most(longest_step, adam_bound[:, None], within=longest_step.gap() + adam_bound.gap())


@claim.check("h-adam-step-attained")
def step_attained(longest_step, adam_bound_attained):
    longest = longest_step[:, 0]
    return equal(longest, adam_bound_attained, within=longest.gap() + adam_bound_attained.gap())


# --- constants sharpened beyond the truth -----------------------------------------------------------------

claim.control("1.9 B G", radius=lambda radius: 0.95 * radius, must_fail="a-gradient-at-most")
claim.control("gamma 5% too large", gamma=lambda gamma: 1.05 * gamma, must_fail="a-gradient-at-least")
claim.control(
    "1.1 times the largest entry", largest_entry=lambda largest_entry: Fraction(11, 10) * largest_entry,
    must_fail="b-norms-at-least",
)  # fmt: skip
claim.control(
    "spectral norm in place of the largest entry",
    largest_entry=lambda matrices: certify.norm(matrices, "spectral"), must_fail="b-norms-at-least",
)  # fmt: skip
claim.control(
    "0.9 times the sum", entry_sum=lambda entry_sum: Fraction(9, 10) * entry_sum, must_fail="b-norms-at-most"
)
claim.control(
    "nuclear norm in place of the sum", entry_sum=lambda matrices: certify.norm(matrices, "nuclear"),
    must_fail="b-norms-at-most",
)  # fmt: skip
claim.control(
    "3.9 in place of 4", variance_bound=lambda variance_bound: Fraction(39, 40) * variance_bound,
    must_fail="c-curvature",
)  # fmt: skip
claim.control(
    "1.9 in place of 2", impurity_bound=lambda impurity_bound: Fraction(19, 20) * impurity_bound,
    must_fail="d-impurity",
)  # fmt: skip
claim.control(
    "0.95 in place of 1", ratio_bound=lambda ratio_bound: Fraction(19, 20) * ratio_bound,
    must_fail="e-proxy-at-most",
)  # fmt: skip
claim.control(
    "1 - 0.45 n L", shortfall_bound=lambda shortfall_bound: Fraction(9, 10) * shortfall_bound,
    must_fail="e-proxy-at-least",
)  # fmt: skip
claim.control(
    "1 - n L / 3", shortfall_bound=lambda shortfall_bound: Fraction(2, 3) * shortfall_bound,
    must_fail="e-proxy-at-least",
)  # fmt: skip
claim.control(
    "5% below 2 log 2", small_loss_bound=lambda small_loss_bound: 0.95 * small_loss_bound,
    must_fail="f-small-loss",
)  # fmt: skip
claim.control("n left out", samples=lambda samples: np.ones_like(samples), must_fail="f-small-loss")
claim.control("exponent 1.8 B", radius=lambda radius: 0.9 * radius, must_fail="g-proxy-growth")
claim.control("exponent B", radius=lambda radius: 0.5 * radius, must_fail="g-proxy-growth")
claim.control(
    "1, as for equal b1 and b2", adam_bound=lambda decays: exact([1] * len(decays)), decays=((0.9, 0.95),),
    must_fail="h-adam-step",
)  # fmt: skip


claim.control(
    "1% less than is attained", adam_bound=lambda adam_bound: 0.99 * adam_bound,
    must_fail="h-adam-step-attained",
)  # fmt: skip


def sign_ignored(decays):
    """(h) read as if b2 - b1^2 could be turned round."""

    def turned(b1, b2):
        return (1 - b1) * (b2 / ((1 - b2) * abs(b2 - b1**2))).sqrt()

    return stack([certify.evaluate(turned, b1, b2) for b1, b2 in decays])


claim.control("b1^2 > b2", adam_bound=sign_ignored, decays=((0.95, 0.9),), must_fail="h-adam-step")

ROWS = {
    "a-gradient-at-most": r"(a)  $\|\nabla L\|_* \leq 2BG$",
    "a-gradient-at-least": r"(a)  $\gamma G \leq \|\nabla L\|_*$",
    "b-norms-at-least": r"(b)  $\|A\|_{\max} \leq \|A\|$",
    "b-norms-at-most": r"(b)  $\|A\| \leq \|A\|_{\mathrm{sum}}$",
    "c-curvature": r"(c)  $\mathrm{Var}_s(v) \leq 4(1-s_c)\|v\|_\infty^2$",
    "d-impurity": r"(d)  $\sum s_j(1-s_j) \leq 2(1-s_c)$",
    "e-proxy-at-most": r"(e)  $G \leq L$",
    "e-proxy-at-least": r"(e)  $L - G \leq nL^2/2$",
    "f-small-loss": r"(f)  $L \leq 2 \log 2\, G$, $L$ small",
    "g-proxy-growth": r"(g)  $G_+ \leq e^{2B\eta\psi}G$",
    "h-adam-step": r"(h)  $|M| \leq C(\beta_1,\beta_2)\sqrt{V}$",
}


@claim.figure
def draw(figure, evidence):
    """Each lemma's instances in a row, sorted; the first control of a check is the constant sharpened."""
    figure.set_size_inches(plot.WIDTH, 4.6)
    axes = figure.subplots()
    for row, check in enumerate(ROWS):
        ratios = tightness(evidence.curve(check))
        control = next(c["name"] for c in evidence.data["controls"] if c["must_fail"] == check)
        sharper = ratios[-1] / tightness(evidence.curve(check, control=control))[-1]
        shown = ratios[np.linspace(0, len(ratios) - 1, 60).round().astype(int)]
        axes.plot(shown, np.linspace(row + 0.34, row - 0.34, 60), ".", markersize=2.5, color=plot.COLORS[0])
        for x, look in ((1, {"color": plot.COLORS[1], **plot.BOUND}), (sharper, plot.CONTROL)):
            axes.plot([x, x], [row - 0.42, row + 0.42], **look)
    figure.legend(
        axes.get_lines()[:3], ["instances, sorted", "bound", "control: sharper bound"],
        loc="outside upper right", ncols=3, columnspacing=1.2, handlelength=1.6,
    )  # fmt: skip
    axes.set_yticks(range(len(ROWS)), list(ROWS.values()))
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="measured / bound", xlim=(-0.02, 1.04), ylim=(len(ROWS) - 0.4, -0.6))


def tightness(curve):
    """measured / bound of all entries, sorted."""
    return np.sort(np.ravel(np.asarray(curve.measured.middle) / np.asarray(curve.bound.middle)))
