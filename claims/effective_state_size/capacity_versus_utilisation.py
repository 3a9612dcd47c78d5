r"""A state-space model uses as many states as it has different modes that are both written to and read from.

For a time-invariant model $s_{t+1} = A s_t + B u_t$, $y_t = C s_t + D u_t$ with n states, A diagonalisable with modes
$\lambda_j$, input weights $b_j$ and output weights $c_j$ in its eigenvectors' coordinates, let

$$k = \#\Big\{ \lambda : \lambda = \lambda_j \text{ for some } j, \textstyle\sum_{j : \lambda_j = \lambda} b_j c_j \ne 0 \Big\} .$$

If none of these modes is 0 and $L \ge 2k - 1$, then $\mathrm{ESS}_t = \min(k,\, t,\, L - t)$ whatever the capacity n: a
mode without input weight or output weight, and a copy of a mode, hold state that no effective state-size sees.

---
Models are exact, and hidden by a random integer change of coordinates, so that no mode can be read off their matrices.
The reference counts modes; the run takes ranks of blocks of the operator that the recurrence computes. Where A is not
diagonalisable, a control, a Jordan block of one mode may use as many states as it has.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, equal, exact, plot

from . import world

claim = Claim("effective-state-size/capacity-versus-utilisation", full={"length": 32, "draws": 40})


@claim.instance
def models(rng, draws=12):
    """Modes, input and output weights; named cases first: all used, some or all but one dead, copies, cancelling copies."""
    quarter = [Fraction(k, 4) for k in (-3, -2, -1, 1, 2, 3)]
    one = [1] * 6
    named = [
        (quarter, one, one),
        (quarter, [1, 1, 0, 1, 1, 0], one),
        (quarter, [1, 0, 0, 1, 1, 1], [1, 1, 0, 0, 0, 0]),
        ([quarter[0], *quarter[:5]], one, [1, 2, 3, 1, 1, 1]),
        ([quarter[0], *quarter[:5]], one, [-1, 1, 3, 1, 1, 1]),
    ]
    drawn = [
        (
            [quarter[i] for i in rng.integers(6, size=6)],
            list(rng.integers(-1, 2, size=6)),
            list(rng.integers(0, 3, size=6)),
        )
        for _ in range(draws)
    ]
    return [Record(modes=m, b=[int(x) for x in b], c=[int(x) for x in c]) for m, b, c in [*named, *drawn]]


@claim.instance
def coordinates(rng, models):
    """For each model an invertible integer matrix: a product of a lower and an upper one with unit diagonals."""

    def triangular():
        return np.tril(rng.integers(-2, 3, size=(6, 6)), -1).astype(object) + np.eye(6, dtype=object).astype(
            int
        )

    return [(triangular(), triangular().T) for _ in models]


@claim.reference
def used(models, length=24, unread=True, merged=True):
    """min(k, t, L - t) by model and t. unread: whether output weights count; merged: whether copies do as one."""
    found = []
    for model in models:
        weights = [b * (c if unread else 1) for b, c in zip(model.b, model.c, strict=True)]
        if merged:
            k = sum(
                sum(w for w, m in zip(weights, model.modes, strict=True) if m == mode) != 0
                for mode in set(model.modes)
            )
        else:
            k = sum(w != 0 for w in weights)
        found.append([min(k, t, length - t) for t in range(1, length)])
    return exact(found)


@claim.run
def measured(models, coordinates, length, chained=0):
    operators = [operator(m, x, length, chained) for m, x in zip(models, coordinates, strict=True)]
    return exact([world.effective_state_sizes(T) for T in operators])


def operator(model, coordinates, length, chained):
    """What the recurrence in the changed coordinates computes: D = 1 and h_j = C A^(j-1) B."""
    lower, upper = coordinates
    change, back = lower @ upper, inverse(upper) @ inverse(lower)
    modes = np.array(model.modes, dtype=object)
    A = change @ (np.diag(modes) + np.diag((modes[1:] == modes[:-1]) * chained, 1)) @ back
    state, C, h = change @ np.array(model.b, dtype=object), np.array(model.c, dtype=object) @ back, [1]
    for _ in range(length - 1):
        h.append(C @ state)
        state = A @ state
    lags = np.arange(length)[:, None] - np.arange(length)
    return np.where(lags >= 0, np.array(h, dtype=object)[np.maximum(lags, 0)], 0)


def inverse(triangular):
    """Of a triangular integer matrix with unit diagonal: 1 - N + N^2 - .., N being nilpotent."""
    one = np.eye(len(triangular), dtype=int).astype(object)
    power, total = one, one
    for _ in range(len(triangular) - 1):
        power = power @ (one - triangular)
        total = total + power
    return total


@claim.check("utilisation")
def utilisation(measured, used):
    return equal(measured, used)


def capacity(models, length):
    return exact([[min(6, t, length - t) for t in range(1, length)] for _ in models])


claim.control("capacity", used=capacity, must_fail="utilisation")
claim.control("modes written to, read or not", unread=False, must_fail="utilisation")
claim.control("copies counted one by one", merged=False, must_fail="utilisation")
claim.control("equal modes chained in a Jordan block", chained=1, must_fail="utilisation")


@claim.figure
def draw(figure, evidence):
    axes = figure.subplots()
    names = (
        "all modes used",
        "two not written to",
        "one used at all",
        "one mode twice",
        "twice, and cancelling",
    )
    found, bound = evidence.of("measured").middle, evidence.of("used").middle
    t = np.arange(1, found.shape[1] + 1)
    for i, name in enumerate(names):
        shift = 0.06 * (i - 2)  # equal curves side by side
        plot.curve_with_bound(axes, t, found[i] + shift, bound[i] + shift, label=name)
    axes.plot(
        t,
        evidence.of("used", control="capacity").middle[0] + 0.25,
        **plot.CONTROL,
        label="control: capacity 6",
    )
    axes.set(xlabel="step $t$", ylabel="effective state-size", ylim=(0, 10.5), yticks=range(7))
    plot.legend(axes, bound="count of modes", loc="upper left", ncols=2)
