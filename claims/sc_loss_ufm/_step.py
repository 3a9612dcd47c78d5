r"""Step imbalance: k_a classes of n_a = R n_b samples, k_b classes of n_b. F has two variables then.

M has the values alpha within the large classes, delta within the small ones and beta between them. With
u = 1 + (k_a - 1) alpha = s^2 and v = 1 + (k_b - 1) delta = t^2, M is psd and singular if and only if
beta = -s t / sqrt(k_a k_b), 0 <= s^2 <= k_a, 0 <= t^2 <= k_b.
"""

import contextlib

import numpy as np

DIGITS = 50


def minimisers(k_a, k_b, n_b, tau, ratios):
    """(alpha, beta, delta, u) of the optimum for every R in `ratios`, increasing from 1: (ratios, 4), right to rounding.

    Newton's method with 50 digits from one ratio to the next; t stays at its end sqrt(k_b), where the small classes are
    one, once F still falls there. Another stationary point with s, t > 0 there is none: its Z would be psd as well.
    """
    import mpmath
    from mpmath import mpf

    found = []
    with mpmath.workdps(DIGITS):
        root = mpmath.sqrt(k_a * k_b)
        state, last = (mpf(1), mpf(1)), mpf(1)  # the search starts at right angles
        for ratio in map(mpf, ratios):
            state = _advanced(state, last, ratio, k_a, k_b, n_b, mpf(tau))
            (s, t), last = state, ratio
            values = (s**2 - 1) / (k_a - 1), -s * t / root, (t**2 - 1) / (k_b - 1), s**2
            found.append([float(value) for value in values])
    return np.array(found)


def _advanced(state, last, ratio, k_a, k_b, n_b, tau):
    """(s, t) at a ratio from those at the one before, by half the way where Newton's method does not get there."""
    import mpmath

    slope, end = slopes(k_a, k_b, ratio * n_b, n_b, tau), mpmath.sqrt(k_b)
    guess = mpmath.log(state[0] * last / ratio), min(state[1], end)
    with contextlib.suppress(ValueError, ZeroDivisionError):  # what findroot raises when it gets nowhere
        a, t = mpmath.findroot(lambda a, t: slope(mpmath.exp(a), t), guess)
        if 0 < t <= end:
            return mpmath.exp(a), t
    with contextlib.suppress(ValueError, ZeroDivisionError):
        s = mpmath.exp(mpmath.findroot(lambda a: slope(mpmath.exp(a), end)[0], guess[0]))
        if slope(s, end)[1] < 0:
            return s, end
    if ratio < last * 1.01:
        raise ArithmeticError(f"no optimum found at R = {float(ratio):g}")
    middle = mpmath.sqrt(last * ratio)
    return _advanced(_advanced(state, last, middle, k_a, k_b, n_b, tau), middle, ratio, k_a, k_b, n_b, tau)


def slopes(k_a, k_b, n_a, n_b, tau):
    """The derivatives of F with respect to s and t, times tau, as a function of both."""
    import mpmath

    root = mpmath.sqrt(k_a * k_b)

    def slope(s, t):
        x = mpmath.exp(((s**2 - 1) / (k_a - 1) - 1) / tau)
        y = mpmath.exp((-s * t / root - 1) / tau)
        w = mpmath.exp(((t**2 - 1) / (k_b - 1) - 1) / tau)
        S_a = n_a - 1 + (k_a - 1) * n_a * x + k_b * n_b * y
        S_b = n_b - 1 + (k_b - 1) * n_b * w + k_a * n_a * y
        across = root * n_a * n_b * y * (1 / S_a + 1 / S_b)
        return 2 * k_a * n_a**2 * x / S_a * s - across * t, 2 * k_b * n_b**2 * w / S_b * t - across * s

    return slope
