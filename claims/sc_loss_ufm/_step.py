r"""Step imbalance: k_a classes of n_a = R n_b samples, k_b classes of n_b. F has two variables then.

M has the values alpha within the large classes, delta within the small ones and beta between them. With
u = 1 + (k_a - 1) alpha = s^2 and v = 1 + (k_b - 1) delta = t^2, M is psd and singular if and only if
beta = -s t / sqrt(k_a k_b), 0 <= s^2 <= k_a, 0 <= t^2 <= k_b.
"""

import numpy as np

DIGITS = 50


def minimisers(k_a, k_b, n_b, tau, ratios):
    """(alpha, beta, delta, u) of the optimum for every R in `ratios`, increasing from 1: (ratios, 4), right to rounding.

    Newton's method with 50 digits from one ratio to the next; t stays at its end sqrt(k_b), where the small classes are
    one, once F still falls there.
    """
    import mpmath
    from mpmath import mpf

    found = []
    with mpmath.workdps(DIGITS):
        k = k_a + k_b
        s, t = mpmath.sqrt(mpf(k_b) / (k - 1)), mpmath.sqrt(mpf(k_a) / (k - 1))  # the simplex, at R = 1
        end, last = mpmath.sqrt(k_b), mpf(1)
        for ratio in ratios:
            slope = slopes(k_a, k_b, mpf(ratio) * n_b, n_b, mpf(tau))
            guess = s * last / ratio, min(t, end)
            s, t = mpmath.findroot(lambda s, t, slope=slope: slope(s, t), guess)
            if t > end:
                t = end
                s = mpmath.findroot(lambda s, slope=slope: slope(s, end)[0], guess[0])
                assert slope(s, end)[1] < 0
            last = mpf(ratio)
            values = (s**2 - 1) / (k_a - 1), -s * t / mpmath.sqrt(k_a * k_b), (t**2 - 1) / (k_b - 1), s**2
            found.append([float(value) for value in values])
    return np.array(found)


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
