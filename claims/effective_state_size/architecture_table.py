r"""What the effective state-size of standard sequence operators is, step by step, for generic parameters.

For one channel and sequences of length L, at step t = 1 .. L-1 (t inputs before, L - t outputs left),

- state-space models with n states, time-invariant or with input-dependent gates, and linear attention with keys of
  dimension n: $\mathrm{ESS}_t = \min(n,\, t,\, L - t)$;
- convolutions of w taps and softmax attention over a window of w: $\min(w - 1,\, t,\, L - t)$;
- softmax attention over everything, whatever its head dimension: $\min(t,\, L - t)$.

---
Ranks are exact, by elimination in rationals, of operators with large random integers for parameters; softmax weights are
powers of 2. So each rank is what generic parameters give, up to a coincidence that does not happen.
"""

import numpy as np

from verify import Claim, equal, exact, plot

from . import _operators, world
from ._operators import WIDTH

claim = Claim(
    "effective-state-size/architecture-table",
    cases={"architecture": tuple(WIDTH)},
    full={"length": 64},
)
BOUNDED = ("time-invariant", "time-varying", "linear attention")
WINDOWED = ("convolution", "window attention")


@claim.instance
def operator(rng, architecture, length=32):
    """T (L, L); 4 to 6 states, key dimensions, taps or positions."""
    return _operators.standard(rng, length, architecture)


@claim.reference
def predicted(architecture, length, capacity=0, ahead=0):
    """ESS at t = 1 .. L-1; capacity and ahead shift the formula."""
    t, width = np.arange(1, length), WIDTH[architecture]
    most = length if architecture == "softmax attention" else width - (architecture in WINDOWED) + capacity
    return exact(np.minimum(np.minimum(t, length - t - ahead), most))


@claim.run
def measured(operator):
    return exact(world.effective_state_sizes(operator))


@claim.check("ranks")
def ranks(measured, predicted, length):
    return equal(measured, predicted, t=range(1, length))


def linear_in_place_of_softmax(rng, length):
    """Softmax attention with the identity for its feature map: linear attention of the head dimension."""
    return _operators.softmax_attention(rng, length, WIDTH["softmax attention"], powers=False)


def always_open(rng, length):
    """Time-varying state space whose gates are 1 and whose input and output weights do not change."""
    weights = _operators.nonzero(rng, WIDTH["time-varying"], 9)
    return _operators.causal(length, lambda t, s: int((weights**2).sum()) if s < t else 1)


claim.control(
    "one state or position more", capacity=1, must_fail="ranks", cases={"architecture": (*BOUNDED, *WINDOWED)}
)
claim.control("the future one output shorter", ahead=1, must_fail="ranks")
claim.control(
    "identity for a feature map", operator=linear_in_place_of_softmax, must_fail="ranks",
    cases={"architecture": ("softmax attention",)},
)  # fmt: skip
claim.control(
    "gates always open", operator=always_open, must_fail="ranks", cases={"architecture": ("time-varying",)}
)


@claim.figure
def draw(figure, evidence):
    names = [case["architecture"] for case in evidence.cases]
    panels = plot.panel_grid(figure, names, columns=3, sharey=True, sharex=True)
    rivals = {"softmax attention": "identity for a feature map", "time-varying": "gates always open"}
    for panel, name in zip(panels, names, strict=True):
        found, bound = (evidence.of(side, architecture=name).middle for side in ("measured", "predicted"))
        t = np.arange(1, len(found) + 1)
        plot.curve_with_bound(panel, t, found, bound, label="rank", drawstyle="steps-mid")
        if name in rivals:
            rival = evidence.of("measured", control=rivals[name]).middle
            panel.plot(t, rival, **plot.CONTROL, label="control: linear features, open gates")
    for panel in panels[3:]:
        panel.set_xlabel("step $t$")
    panels[0].set(ylabel="ESS", yticks=(1, 4, 8, 12, 16))
    panels[3].set_ylabel("ESS")
    plot.legend(panels, bound="formula")
