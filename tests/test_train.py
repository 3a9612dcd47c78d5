"""Training: losses against mpmath, directions against dual norms, runs against plain and exact recursions."""

import subprocess
import sys
from functools import cache

import mpmath
import numpy as np
import pytest

from verify import train
from verify.errors import SetupError

LOSSES = ("cross_entropy", "exponential", "pair_logistic", "polynomial")


# --- losses ---------------------------------------------------------------------------------------------


def reference(loss, margins):
    """(loss, weights) of one row's margins, in mpmath."""
    one = mpmath.mpf(1)
    if loss == "cross_entropy":
        total = one + sum(mpmath.exp(-x) for x in margins)
        # log1p, since 60 digits do not see 1e-434 next to 1
        return mpmath.log1p(total - one if total > one else 0) if total - one > mpmath.mpf(
            10
        ) ** -40 else sum(mpmath.exp(-x) for x in margins), [mpmath.exp(-x) / total for x in margins]
    if loss == "exponential":
        return sum(mpmath.exp(-x) for x in margins), [mpmath.exp(-x) for x in margins]
    if loss == "pair_logistic":
        return sum(mpmath.log1p(mpmath.exp(-x)) for x in margins), [
            one / (1 + mpmath.exp(x)) for x in margins
        ]
    values = [(1 + x) ** -2 if x > 0 else 1 - 2 * x for x in margins]
    return sum(values), [2 * (1 + x) ** -3 if x > 0 else mpmath.mpf(2) for x in margins]
