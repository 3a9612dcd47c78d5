r"""The inequalities between loss, gradient and proxy that everything rests on.

For the cross-entropy loss $L(W) = -\frac1n \sum_i \log s_{i,y_i}$, its proxy $G(W) = \frac1n \sum_i (1 - s_{i,y_i})$ and
$B = \max_i \|h_i\|_1$, for every W and every entry-wise or Schatten norm with margin $\gamma$ and dual $\|\cdot\|_*$:

- (a) $2 B\, G(W) \ge \|\nabla L(W)\|_* \ge \gamma\, G(W)$;
- (b) $\|A\|_{\max} \le \|A\| \le \|A\|_{\mathrm{sum}}$ for every matrix A;
- (c) $v^T (\mathrm{diag}(s) - s s^T)\, v \le 4 (1 - s_c) \|v v^T\|$ for probabilities s, every c and v;
- (d) $\sum_j s_j (1 - s_j) \le 2 (1 - s_c)$;
- (e) $1 \ge G/L \ge 1 - n L / 2$;
- (f) $L \le 2 G$ as soon as $L \le \log 2 / n$ or $G \le 1 / (2 n)$;
- (g) $G(W - \psi \eta D) \le e^{2 B \eta \psi \|D\|_{\max}}\, G(W)$ for $0 \le \psi \le 1$;
- (h) $|M_t| / \sqrt{V_t} \le (1 - \beta_1) \sqrt{\beta_2 / ((1 - \beta_2)(\beta_2 - \beta_1^2))}$ in Adam, if $\beta_1^2 < \beta_2$.

---
(a), (e) and (f) are divided by G or L, so that losses of all sizes count alike. The constants of (a) to (e), (g) and (h)
are attained, or approached, on the extremal instances; in (f) 2 may be replaced by 2 log 2 and by nothing less.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, exact, less, plot, stack

from . import _lemmas, world

claim = Claim("signgd-adam-margin/proxy-lemmas", full={"datasets": 30, "draws": 300})
NORMS = ("max", "frobenius", "spectral", "sum", "nuclear", 3.0)
SMALLER = {"max": "max", "frobenius": 3.0, "spectral": "max", "sum": "nuclear", "nuclear": "frobenius", 3.0: "max"}

# --- what the lemmas are tried on -----------------------------------------------------------------------


@claim.instance
def problems(rng, datasets=6, draws=40):
    """Data sets with classifiers W and steps eta, psi, D from each of them."""
    return _lemmas.problems(rng, datasets, draws)


@claim.instance
def samples(problems):
    """n of each data set, a column."""
    return np.array([[len(p.labels)] for p in problems])


@claim.instance
def simplex(rng, draws):
    s, v = _lemmas.simplex_points(rng, 60 + draws)
    return Record(s=s, v=v)


@claim.instance
def matrices(rng, draws):
    return _lemmas.integer_matrices(rng, draws)


@claim.instance
def histories(rng, decays=((0.9, 0.95), (0.9, 0.999), (0.9, 0.99), (0.5, 0.5), (0.0, 0.9), (0.9, 0.82)), steps=300):
    """Gradients of one weight for every (b1, b2), (h, T) each."""
    return [_lemmas.gradient_histories(rng, b1, b2, steps, 12) for b1, b2 in decays]


# --- what the lemmas say --------------------------------------------------------------------------------


@claim.reference
def gamma(problems):
    """The maximum margin of every data set and norm."""
    return stack([stack([world.max_margin(p.features, p.labels, norm) for norm in NORMS]) for p in problems])


@claim.reference
def radius(problems):
    return stack([certify.norm(p.features[:, None, :], "sum").largest() for p in problems])


@claim.reference
def largest_entry(matrices):
    return exact(np.abs(matrices).max(axis=(1, 2)))


@claim.reference
def entry_sum(matrices):
    return exact(np.abs(matrices).sum(axis=(1, 2)))


@claim.reference
def variance_bound(simplex, four=4):
    """(c) for every c and the largest entry of v v^T, by (b) the smallest of its norms."""
    return exact(four * (1 - simplex.s) * (np.abs(simplex.v).max(axis=1) ** 2)[:, None])


@claim.reference
def impurity_bound(simplex, two=2):
    return exact(two * (1 - simplex.s))


@claim.reference
def growth_bound(problems, radius, exponent=2):
    """(g) for every data set and step from it."""
    length = [radius[i] * p.rate * p.fraction * np.abs(p.D).max(axis=(1, 2)) for i, p in enumerate(problems)]
    return (exponent * stack(length)).exp()


@claim.reference
def adam_bound(decays):
    """(h) for every (b1, b2)."""
    return stack([certify.evaluate(cauchy_schwarz, b1, b2) for b1, b2 in decays])


def cauchy_schwarz(b1, b2):
    return (1 - b1) * (b2 / ((1 - b2) * (b2 - b1**2))).sqrt()


# --- what happens ---------------------------------------------------------------------------------------


@claim.run
def evaluated(problems):
    """Loss, proxy and gradient at every W."""
    return [_lemmas.evaluated(p.features, p.labels, p.W) for p in problems]


@claim.run
def growth(problems, evaluated):
    """(g): the proxy after a step of length psi eta along D, in units of the proxy before."""
    ratios = []
    for p, before in zip(problems, evaluated, strict=True):
        step = (p.fraction * p.rate)[:, None, None] * p.D
        after = _lemmas.evaluated(p.features, p.labels, p.W - step, np.abs(p.W) + np.abs(step))
        ratios.append(after.proxy / before.proxy)
    return stack(ratios)


@claim.run
def variance(simplex):
    """(c): the variance of v under s."""
    mean = (simplex.s * simplex.v).sum(axis=1)
    return exact((simplex.s * (simplex.v - mean[:, None]) ** 2).sum(axis=1))


@claim.run
def impurity(simplex):
    """(d): how likely two draws from s are to differ."""
    return exact(1 - (simplex.s**2).sum(axis=1))


@claim.run
def steps_taken(histories, decays):
    """(h): the longest of T steps of Adam in units of eta, per (b1, b2) and history."""
    pairs = zip(histories, decays, strict=True)
    return stack([_lemmas.adam_steps(history, b1, b2) for history, (b1, b2) in pairs])


@claim.measurement
def slope(evaluated):
    """(a): the dual norm of the gradient in units of G, per data set, norm and W."""
    duals = [certify.dual(norm) for norm in NORMS]
    return stack([stack([certify.norm(e.gradient, dual) / e.proxy for dual in duals]) for e in evaluated])


@claim.measurement
def norms(matrices, kinds=(*NORMS, 1.5)):
    """(b): per norm and matrix."""
    return stack([certify.norm(matrices.astype(float), kind) for kind in kinds])


@claim.measurement
def ratio(evaluated):
    """(e): G / L per data set and W."""
    return stack([e.proxy / e.loss for e in evaluated])


@claim.measurement
def bend(evaluated, samples):
    """(e): (1 - G / L) / (n L) per data set and W."""
    return stack([e.bend for e in evaluated]) / samples


@claim.measurement
def small_ratio(evaluated, samples):
    """(f): L / G wherever L <= log 2 / n or G <= 1 / (2 n), for certain."""
    loss, proxy = (stack([getattr(e, name) for e in evaluated]) for name in ("loss", "proxy"))
    told = ((loss * samples).upper <= certify.log(2).lower) | ((proxy * samples).upper <= 0.5)
    return (loss / proxy)[told]


# --- whether they agree: attained bounds up to the rounding of both sides ---------------------------------


@claim.assumption
def separable(gamma):
    return less(0, gamma)


@claim.check("a-gradient-at-most")
def gradient_above(slope, radius, factor=2):
    return at_most(slope, factor * radius[:, None, None], within=slope.gap() + radius.gap())


@claim.check("a-gradient-at-least")
def gradient_below(slope, gamma):
    return at_most(gamma[:, :, None], slope, within=slope.gap() + gamma.gap())


@claim.check("b-norms-at-least")
def norms_above(norms, largest_entry):
    return at_most(largest_entry, norms, within=norms.gap())


@claim.check("b-norms-at-most")
def norms_below(norms, entry_sum):
    return at_most(norms, entry_sum, within=norms.gap())


@claim.check("c-softmax-curvature")
def curvature(variance, variance_bound):
    return at_most(variance[:, None], variance_bound)


@claim.check("d-impurity")
def simplex_impurity(impurity, impurity_bound):
    return at_most(impurity[:, None], impurity_bound)


@claim.check("e-proxy-at-most-loss")
def proxy_below(ratio, ceiling=1):
    return at_most(ratio, exact(ceiling), within=ratio.gap())


@claim.check("e-proxy-at-least")
def proxy_above(bend, slack=Fraction(1, 2)):
    return at_most(bend, exact(slack), within=bend.gap())


@claim.check("f-loss-at-most-proxy")
def loss_below(small_ratio, times=2):
    return at_most(small_ratio, exact(times))


@claim.check("g-proxy-growth")
def growth_below(growth, growth_bound):
    return at_most(growth, growth_bound, within=growth.gap() + growth_bound.gap())


@claim.check("h-adam-step")
def step_below(steps_taken, adam_bound):
    return at_most(steps_taken, adam_bound[:, None], within=steps_taken.gap() + adam_bound.gap())


# --- constants sharpened beyond the truth -----------------------------------------------------------------

claim.control("1.9 B G", factor=Fraction(19, 10), must_fail="a-gradient-at-most")
claim.control("gamma 5% too large", gamma=lambda gamma: 1.05 * gamma, must_fail="a-gradient-at-least")
claim.control(
    "gamma of the next smaller norm", gamma=lambda gamma: gamma[:, [NORMS.index(SMALLER[norm]) for norm in NORMS]],
    must_fail="a-gradient-at-least",
)  # fmt: skip
claim.control(
    "largest entry 10% larger", largest_entry=lambda largest_entry: Fraction(11, 10) * largest_entry,
    must_fail="b-norms-at-least",
)  # fmt: skip
claim.control(
    "spectral norm in place of the largest entry", largest_entry=lambda matrices: certify.norm(matrices, "spectral"),
    must_fail="b-norms-at-least",
)  # fmt: skip
claim.control(
    "entry sum 10% smaller", entry_sum=lambda entry_sum: Fraction(9, 10) * entry_sum, must_fail="b-norms-at-most"
)
claim.control(
    "nuclear norm in place of the entry sum", entry_sum=lambda matrices: certify.norm(matrices, "nuclear"),
    must_fail="b-norms-at-most",
)  # fmt: skip
claim.control("3.9 in place of 4", four=Fraction(39, 10), must_fail="c-softmax-curvature")
claim.control("1.9 in place of 2", two=Fraction(19, 10), must_fail="d-impurity")
claim.control("0.95 in place of 1", ceiling=Fraction(19, 20), must_fail="e-proxy-at-most-loss")
claim.control("1 - 0.45 n L", slack=Fraction(9, 20), must_fail="e-proxy-at-least")
claim.control("1 - n L / 3", slack=Fraction(1, 3), must_fail="e-proxy-at-least")
claim.control("1.35 in place of 2", times=Fraction(27, 20), must_fail="f-loss-at-most-proxy")
claim.control("small loss without 1 / n", samples=lambda samples: np.ones_like(samples), must_fail="f-loss-at-most-proxy")
claim.control("exponent 1.8 B", exponent=Fraction(9, 5), must_fail="g-proxy-growth")
claim.control("exponent B", exponent=1, must_fail="g-proxy-growth")


def one(decays):
    """What (h) says for b1 = b2."""
    return exact(np.ones(len(decays), dtype=int))


def sign_ignored(decays):
    """(h) read as if b2 - b1^2 could be turned round."""

    def turned(b1, b2):
        return (1 - b1) * (b2 / ((1 - b2) * abs(b2 - b1**2))).sqrt()

    return stack([certify.evaluate(turned, b1, b2) for b1, b2 in decays])


claim.control("1, as for b1 = b2", adam_bound=one, decays=((0.9, 0.95),), must_fail="h-adam-step")
claim.control("b1^2 > b2", adam_bound=sign_ignored, decays=((0.95, 0.9),), must_fail="h-adam-step")


ROWS = {
    "a-gradient-at-most": r"(a)  $\|\nabla L\|_* \leq 2BG$",
    "a-gradient-at-least": r"(a)  $\gamma G \leq \|\nabla L\|_*$",
    "b-norms-at-least": r"(b)  $\|A\|_{\max} \leq \|A\|$",
    "b-norms-at-most": r"(b)  $\|A\| \leq \|A\|_{\mathrm{sum}}$",
    "c-softmax-curvature": r"(c)  $\mathrm{Var}_s(v) \leq 4(1-s_c)\|v\|_\infty^2$",
    "d-impurity": r"(d)  $\sum s_j(1-s_j) \leq 2(1-s_c)$",
    "e-proxy-at-most-loss": r"(e)  $G \leq L$",
    "e-proxy-at-least": r"(e)  $L - G \leq nL^2/2$",
    "f-loss-at-most-proxy": r"(f)  $L \leq 2G$, $L$ small",
    "g-proxy-growth": r"(g)  $G_+ \leq e^{2B\eta\psi}G$",
    "h-adam-step": r"(h)  $|M| \leq C(\beta_1,\beta_2)\sqrt{V}$",
}
SHOWN = 60  # entries a row


@claim.figure
def draw(figure, evidence):
    figure.set_size_inches(plot.WIDTH, 4.6)
    axes = figure.subplots()
    for row, check in enumerate(ROWS):
        tried = ratios(evidence.curve(check))
        sharpened = next(c for c in evidence.data["controls"] if c["must_fail"] == check)["name"]
        limit = tried[-1] / ratios(evidence.curve(check, control=sharpened))[-1]
        shown = tried[np.linspace(0, len(tried) - 1, SHOWN).round().astype(int)]
        axes.plot(shown, np.linspace(row + 0.34, row - 0.34, SHOWN), ".", markersize=2.5, color=plot.COLORS[0])
        axes.plot([1, 1], [row - 0.42, row + 0.42], color=plot.COLORS[1], **plot.BOUND)
        axes.plot([limit, limit], [row - 0.42, row + 0.42], **plot.CONTROL)
    first = axes.get_lines()[:3]
    labels = ["an instance (each row sorted)", "bound of the lemma", "control: a sharper constant"]
    figure.legend(first, labels, loc="outside upper left", ncols=3, columnspacing=1, handlelength=1.6)
    axes.set_yticks(range(len(ROWS)), list(ROWS.values()))
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="measured / bound", xlim=(-0.02, 1.04), ylim=(len(ROWS) - 0.4, -0.6))


def ratios(curve):
    """measured / bound of all entries, sorted."""
    return np.sort(np.ravel(np.asarray(curve.measured.middle) / np.asarray(curve.bound.middle)))
