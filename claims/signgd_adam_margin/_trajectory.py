r"""The explicit margin bound along a trajectory, which every descent claim of this paper uses.

If $\log L_{t+1} \le \log L_t - g_t$ at every step, then from the first step $\bar t$ with $L_t \le \log 2 / n$ on,
every step t with $L_t \le \log 2 / n$ has $m(W_t) \ge X_t = \sum_{\bar t \le s < t} g_s$: the loss dominates the
margin, $\log(1 + e^{-m}) \le n L$, and $e^x - 1 \le x / \log 2$ on $[0, \log 2]$, so that
$m \ge -\log(n L / \log 2) \ge X_t$.
"""

import numpy as np

from verify import Interval, Record, rounded


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


def first_small(log_loss: Interval, n: int) -> int:
    r"""$\bar t$: the first step with $L_t \le \log 2 / n$ beyond rounding, or T + 1 if there is none."""
    small = log_loss.upper <= np.log(np.log(2) / n)
    return int(np.argmax(small)) if small.any() else len(small)


def claimed(log_loss: Interval, n: int, steps):
    r"""Which of `steps` the bound speaks about: later than $\bar t$, with $L_t \le \log 2 / n$."""
    small = log_loss.upper <= np.log(np.log(2) / n)
    return small[steps] & (steps > first_small(log_loss, n))


def accumulated(summands: Interval, start: int, steps) -> Interval:
    """Sums of summands s over start <= s < t, for the given steps t > start."""
    return summands[start:].cumsum()[steps - start - 1]
