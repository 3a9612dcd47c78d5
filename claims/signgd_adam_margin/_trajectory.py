r"""The explicit margin bound along a trajectory, which every descent claim of this paper uses.

If $\log L_{t+1} \le \log L_t - g_t$ at every step, then from the first step $\bar t$ with $L_t \le \log 2 / n$ on,
every step t with $L_t \le \log 2 / n$ has $m(W_t) \ge X_t = \sum_{\bar t \le s < t} g_s$: the loss dominates the
margin, $\log(1 + e^{-m}) \le n L$, and $e^x - 1 \le x / \log 2$ on $[0, \log 2]$, so that
$m \ge -\log(n L / \log 2) \ge X_t$.
"""

import numpy as np

from verify import Interval, Record, rounded, rounding


def recorded(path, features, classes, size):
    """The recorded scalars of a run as values, of shape (T+1,).

    size: (T+1,) floats >= max_i ||W_t h_i||_inf. A margin of W_t passes through d + 2 roundings of numbers
    that add up to at most 2 * size; the losses add up n k terms more and a few elementary functions.
    Returns Record(log_loss, ratio): log L_t and G_t / L_t.
    """
    n, d = features.shape
    terms, magnitude = n * classes + d + 20, 1 + 2 * size
    return Record(
        log_loss=rounded(path.log_loss, terms, magnitude),
        ratio=rounded(path.proxy_ratio, terms, magnitude * path.proxy_ratio),
    )


def told_and_sums(log_loss: Interval, n: int, steps, *summands: Interval):
    r"""Which of `steps` the bound speaks about, and the running sums from $\bar t$ on at those steps.

    log_loss: (T+1,); steps: increasing integers in 1..T; summands: each (T,).
    Returns (mask over steps, list of one Interval per summand).
    """
    small = log_loss.upper <= np.log(np.log(2) / n)
    start = int(np.argmax(small)) if small.any() else len(small)
    told = small[steps] & (steps > start)
    last = steps[told] - start - 1
    return told, [each[start:].cumsum()[last] for each in summands]


def second_order(radius: Interval, rates, curvature=1) -> Interval:
    r"""$c(\eta)\,\eta^2 = 2 B^2 e^{2 B \eta} \eta^2$; `curvature` 0 drops it."""
    return curvature * 2 * (radius * radius) * (2 * radius * rates).exp() * (rates * rates)


def lengths(rates):
    """Sum of eta_s over s < t for t = 0..T."""
    return np.concatenate([[0.0], np.cumsum(rates)])


def length_bound(rates, steps, entries) -> tuple[Interval, Interval]:
    """Sum of eta_s over s < t at `steps` as a value, and the rounding that W_t itself has gathered.

    entries: k d; every update rounds each entry once, and the norm of a matrix of errors is at most their sum.
    """
    length = lengths(rates)
    return rounded(length[steps], len(rates), length[steps]), rounding(len(rates) * entries, length[-1])
