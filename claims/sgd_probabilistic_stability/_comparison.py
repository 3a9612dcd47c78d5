r"""Finite-time bounds for the full dynamics of f(x) = u w x from balanced starts u = w.

There p = u + w = 2u obeys $p' = p\,(1 + \lambda (y - s))$ with s = p^2 / 4 = u w, for labels y in {1, a}.
"""

from fractions import Fraction

import numpy as np

from verify import certify

from . import world


def is_dominated(rate, a):
    """Whether |p'| <= (1 + rate y)|p| at all that a run can reach, so that it stays below the linear run.

    Every run stays in s <= 4 (1 + rate)^3 / (27 rate), the largest value after a step, as long as steps never
    overshoot by more than they would grow: s <= 2 (1 + rate a)/rate. That is 2 (1 + rate)^3 <= 27 (1 + rate a).
    """
    return 2 * (1 + rate) ** 3 <= 27 * (1 + rate * a)


def collapse_below_linear(rate, a, steps, level, start):
    """Lower bound on P(p_T < level) from p_0 <= start: that of the linear run, by complete enumeration."""
    if not is_dominated(rate, a):
        raise ValueError(f"at rate {rate} a run may rise above the linear one")
    linear = world.law([-1, -a])  # factors 1 + rate and 1 + rate a
    return world.collapse_probability(linear, rate, steps, Fraction(level) / Fraction(start))


def collapse_in_phase_one(rate, a, steps, level, start):
    r"""Upper bound on P(p_T < level) where E log(1 + rate y) > 0, from p_0 >= start.

    An excursion below a radius $\rho$ < start begins above $c \rho$, $c = 1 + \lambda a - 4 (1 + \lambda)^3 / 27$ the
    smallest factor that a run can meet; at most T excursions begin. The best of some radii.
    """
    c = 1 + rate * a - 4 * (1 + rate) ** 3 / 27
    if not c > 0:
        raise ValueError(f"at rate {rate} a step may overshoot")
    radii = [Fraction(1, 2**j) for j in range(1, 12) if Fraction(1, 2**j) < start]
    each = [excursion(rate, a, rho, Fraction(level) / (c * rho)) for rho in radii]
    found = [steps * bound for bound in each if bound is not None]
    if not found:
        raise ValueError(f"no excursion bound at rate {rate}: is E log(1 + rate y) positive?")
    return min(found, key=lambda bound: bound.upper)


def excursion(rate, a, radius, depth):
    r"""Upper bound on P(p ever falls to depth p_0 before it rises above the radius); None if none is found.

    While p <= radius, a step multiplies p by at least $f_y = 1 + \lambda (y - \rho^2 / 4)$. With $\mathrm{E} f_y^{-k} \le 1$
    the product of $f_y^{-k}$ is a supermartingale, and the bound is $\text{depth}^k$.
    """
    k = _power(rate, a, radius**2 / 4)
    return None if k is None else certify.evaluate(lambda depth, k: depth**k, Fraction(depth), k)


def _power(rate, a, r):
    """A fraction k > 0 with (f_1^-k + f_a^-k)/2 < 1, certified; None if there is none."""
    from scipy.optimize import brentq

    up, down = 1 + rate * (1 - r), 1 + rate * (a - r)
    rise, fall = float(np.log(float(up))), -float(np.log(float(down)))
    if not rise > fall > 0:
        return None
    first = (rise - fall) / rise**2 / 4
    high = 4 * (rise - fall) / min(rise, fall) ** 2
    root = brentq(lambda k: np.logaddexp(-k * rise, k * fall) - np.log(2), first, high)
    k = Fraction(root * 0.999)
    mean = certify.evaluate(lambda up, down, k: (up ** (-k) + down ** (-k)) / 2 - 1, up, down, k)
    return k if mean.upper < 0 else None
