"""Statistical intervals: what draws say about a number, each wrong with probability at most ALPHA.

A complete run makes at most BUDGET of them, hence at most 1e-3 for any unexpected verdict. The statement
decides which one serves, before anyone looks at the draws:

    counts of an event             proportion                            Clopper-Pearson
    a mean of bounded variables    hoeffding_mean; bernstein_mean where their spread is known to be small
    a statistic of known law       quantile_of_law                       its quantiles
    a whole distribution           distribution_band                     Dvoretzky-Kiefer-Wolfowitz
    one more draw                  prediction                            Student t
    anything else                  median, paired_median_difference      order statistics
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from verify.errors import NotAValueError, SetupError
from verify.interval import GRADES, UNIT_ROUNDOFF, Interval

ALPHA = 1e-6  # error probability of one interval
BUDGET = 1000  # intervals of a complete run for one seed


@dataclass
class Counter:
    """How many statistical intervals were made while it counted; an array counts its entries."""

    count: int = 0


_alpha: ContextVar[float] = ContextVar("alpha", default=ALPHA)
_counters: ContextVar[tuple[Counter, ...]] = ContextVar("counters", default=())


@contextmanager
def error_probability(alpha: float) -> Iterator[None]:
    """Another error probability for the intervals made inside, for tests of calibration."""
    if not 0 < alpha < 1:
        raise SetupError(f"an error probability lies between 0 and 1, not at {alpha!r}")
    token = _alpha.set(float(alpha))
    try:
        yield
    finally:
        _alpha.reset(token)


@contextmanager
def counting() -> Iterator[Counter]:
    """Counts the intervals made inside; counters nest."""
    counter = Counter()
    token = _counters.set((*_counters.get(), counter))
    try:
        yield counter
    finally:
        _counters.reset(token)


def proportion(successes: Any, trials: Any) -> Interval:
    """The probability of an event that happened in `successes` of `trials` independent trials.

    successes, trials: integers, scalars or arrays that broadcast to (...); result (...).
    Clopper and Pearson, Biometrika 26 (1934): the ends are Beta quantiles, and it covers at every (n, p).
    """
    from scipy.special import betainccinv, betaincinv

    k, n = np.broadcast_arrays(successes, trials)
    if not {k.dtype.kind, n.dtype.kind} <= {"i", "u"} or k.size == 0 or np.any((n < 1) | (k < 0) | (k > n)):
        raise NotAValueError(f"{successes!r:.40} of {trials!r:.40} is no count of successes in trials")
    k, n = k.astype(int), n.astype(int)
    half = _alpha.get() / 2
    low = np.where(k == 0, 0.0, betaincinv(np.maximum(k, 1), n - k + 1, half))
    up = np.where(k == n, 1.0, betainccinv(k + 1, np.maximum(n - k, 1), half))
    return _made(low, up, f"Clopper-Pearson, {k} of {n}" if k.ndim == 0 else "Clopper-Pearson")


def hoeffding_mean(samples: Any, low: float, high: float, each: int = 1) -> Interval:
    """The expected mean of independent variables in [low, high], whatever their laws.

    samples: (n, ...), n draws; result (...). low, high: known beforehand, not the extremes of the draws.
    each: how many of the variables every sample is itself the mean of (the steps of a random walk, say).
    Hoeffding, JASA 58 (1963), Theorem 2: radius (high - low) sqrt(log(2/alpha) / (2 n each)).
    """
    if each < 1:
        raise NotAValueError(f"a sample is the mean of at least one variable, not of {each!r}")
    draws = _bounded(samples, low, high)
    radius = (high - low) * np.sqrt(np.log(2 / _alpha.get()) / (2 * len(draws) * each))
    return _mean(draws, radius, low, high, f"Hoeffding for means of {each}" if each > 1 else "Hoeffding")


def bernstein_mean(samples: Any, low: float, high: float) -> Interval:
    """The mean of independent draws of one law on [low, high], narrow where their variance V is small.

    samples: (n, ...), n >= 2 draws; result (...). Maurer and Pontil, COLT 2009, Theorem 4 on each side, with
    L = log(4/alpha): radius sqrt(2 V L / n) + 7 (high - low) L / (3 (n - 1)). Below 176 draws (alpha = 1e-6)
    Hoeffding is narrower whatever V is.
    """
    draws = _bounded(samples, low, high, least=2)
    term, n = np.log(4 / _alpha.get()), len(draws)
    radius = np.sqrt(2 * np.var(draws, axis=0, ddof=1) * term / n) + 7 * (high - low) * term / (3 * (n - 1))
    return _mean(draws, radius, low, high, "empirical Bernstein")


def median(samples: Any) -> Interval:
    """The median of the law of independent draws, by order statistics: no other assumption.

    samples: (n, ...), n draws, infinite ones allowed (a run that never gets there); result (...).
    P(the median lies outside [X_(r), X_(n+1-r)]) <= 2 P(Bin(n, 1/2) < r) (David and Nagaraja, Order
    Statistics, section 7.1), r the largest rank that keeps this below alpha: 21 draws for 1e-6.
    """
    from scipy.stats import binom

    ordered = np.sort(_numbers(samples, infinite=True), axis=0)
    n, alpha = len(ordered), _alpha.get()
    errors = 2 * binom.cdf(np.arange(n // 2 + 1), n, 0.5)  # with the ranks 1, 2, ...
    rank = int(np.searchsorted(errors, alpha, side="right"))
    if rank == 0:
        needed = int(np.ceil(1 - np.log2(alpha)))
        raise SetupError(f"{n} draws bound no median with error {alpha:g}: at least {needed} are needed")
    because = f"order statistics {rank} and {n + 1 - rank} of {n} draws for the median"
    return _made(ordered[rank - 1], ordered[-rank], because, errors[rank - 1])


def paired_median_difference(a: Any, b: Any) -> Interval:
    """The median of a - b over independent pairs (the same seed in two worlds, say), by order statistics.

    a, b: (n, ...), entry i of both from pair i; result (...). It is not the difference of the two medians.
    """
    first, second = _numbers(a), _numbers(b)
    if first.shape != second.shape:
        raise SetupError(f"pairs need arrays of one shape, not {first.shape} and {second.shape}")
    inner = median(first - second)
    low, up = np.nextafter(inner.lower, -np.inf), np.nextafter(inner.upper, np.inf)
    return Interval(low, up, inner.grade, f"paired differences, {inner.because}")


def quantile_of_law(distribution: Any) -> Interval:
    """Where one draw of a known exact law lies: between its alpha/2 and 1 - alpha/2 quantiles.

    distribution: a frozen scipy.stats law, such as binom(100, 0.5), its parameters scalars or arrays (...).
    """
    if not all(hasattr(distribution, name) for name in ("dist", "cdf", "sf", "ppf", "isf")):
        raise SetupError(f"quantile_of_law() takes a frozen scipy.stats law, not {distribution!r:.60}")
    arguments = [*map(str, distribution.args), *(f"{k}={v}" for k, v in distribution.kwds.items())]
    law = f"{distribution.dist.name}({', '.join(arguments):.60})"
    half, step = _alpha.get() / 2, 0.5 if hasattr(distribution, "pmf") else 0.0
    low, up = distribution.ppf(half), distribution.isf(half)
    if not np.max([distribution.cdf(low - step), distribution.sf(up)]) <= half * (1 + 1e-6):
        raise NotAValueError(f"scipy knows no quantiles {half:g} of {law}: are its parameters right?")
    return _made(low, up, f"central interval of {law}")


def distribution_band(samples: Any, points: Any = None) -> Interval:
    """The distribution function P(X <= x) of independent draws, at all points at once: it counts as one.

    samples: (n,); points: (m,), where to evaluate, the sorted samples if not given; result (m,).
    Massart, Annals of Probability 18 (1990), Corollary 1: radius sqrt(log(2/alpha) / (2 n)).
    """
    draws = np.sort(_numbers(samples, infinite=True), axis=0)
    at = draws if points is None else _numbers(points, "points", infinite=True)
    if draws.ndim != 1:
        raise SetupError(f"a distribution function needs draws of shape (n,), not {draws.shape}")
    height = np.searchsorted(draws, at, side="right") / len(draws)
    radius = np.sqrt(np.log(2 / _alpha.get()) / (2 * len(draws))) + 4 * UNIT_ROUNDOFF
    low, up = np.maximum(height - radius, 0.0), np.minimum(height + radius, 1.0)
    return _made(low, up, f"Dvoretzky-Kiefer-Wolfowitz, whole band, {len(draws)} draws", count=1)


def prediction(samples: Any) -> Interval:
    """Where one more draw of the same experiment lies (a number printed in a paper), if draws are normal.

    samples: (n, ...), n >= 2 of our own replicates; result (...). Student-t prediction interval (Hahn and
    Meeker, Statistical Intervals, section 4.7): mean +- t_{1 - alpha/2, n - 1} s sqrt(1 + 1/n).
    """
    from scipy.stats import t

    draws = _numbers(samples, least=2)
    n = len(draws)
    if np.any(draws.max(axis=0) == draws.min(axis=0)):
        raise SetupError(f"all {n} replicates agree, no spread to predict from: are their seeds different?")
    radius = t.isf(_alpha.get() / 2, n - 1) * np.std(draws, axis=0, ddof=1) * np.sqrt(1 + 1 / n)
    because = f"Student t prediction of one more draw from {n}, taken as normal"
    return _made(draws.mean(axis=0) - radius, draws.mean(axis=0) + radius, because)


def slopes(log_x: Any, log_y: Any, window: tuple[float, float]) -> Interval:
    """The slopes of a deterministic run: all two-point slopes over a stated window. Numerical, not counted.

    log_x: (m,) increasing; log_y: (m,) numbers or an Interval; window: (first, last) within log_x. A pair
    counts when its points lie in the window, at least half of it apart: nearer ones show steps and noise, not
    the rate. On a geometric grid, for m points cost m^2 operations.
    """
    ends = (log_y.lower, log_y.upper) if isinstance(log_y, Interval) else (log_y, log_y)
    x, lower, upper = _numbers(log_x, "log_x", 2), *(_numbers(end, "log_y", 2) for end in ends)
    if x.ndim != 1 or x.shape != lower.shape or (np.diff(x) <= 0).any():
        raise SetupError(f"log_x (m,) increases, log_y has its shape: not {x.shape} and {lower.shape}")
    first, last = (float(end) for end in window)
    slack = 1e-9 * (last - first)  # the ends of a grid carry rounding
    if not x[0] - slack <= first < last <= x[-1] + slack:
        raise SetupError(f"window [{first:g}, {last:g}] is not covered by log_x in [{x[0]:g}, {x[-1]:g}]")
    inside = (x >= first - slack) & (x <= last + slack)
    x, lower, upper = x[inside], lower[inside], upper[inside]
    least, most = np.inf, -np.inf
    for i, j in enumerate(np.searchsorted(x, x + (last - first) / 2 - slack)):
        least = np.min((lower[j:] - upper[i]) / (x[j:] - x[i]), initial=least)
        most = np.max((upper[j:] - lower[i]) / (x[j:] - x[i]), initial=most)
    if least > most:
        raise SetupError(f"window [{first:g}, {last:g}] holds no two points at least half of it apart")
    low, up = least - 8 * UNIT_ROUNDOFF * abs(least), most + 8 * UNIT_ROUNDOFF * abs(most)
    grade = min("numerical", getattr(log_y, "grade", "exact"), key=GRADES.index)
    because = f"two-point slopes of {len(x)} points at least {(last - first) / 2:.3g} apart"
    return Interval(low, up, grade, f"{because} over log_x in [{first:.3g}, {last:.3g}]")


def _made(low: Any, up: Any, because: str, error: float | None = None, count: int | None = None) -> Interval:
    """A statistical interval, counted, its error probability stated."""
    size = np.size(low) if count is None else count
    for counter in _counters.get():
        counter.count += size
    because = f"{because}, error {_alpha.get() if error is None else error:.2g}"
    return Interval(low, up, "statistical", because + (f" for each of {size}" if size > 1 else ""))


def _mean(draws: Any, radius: Any, low: float, high: float, name: str) -> Interval:
    """Mean over the first axis, radius and rounding outward, within what is possible."""
    mean, rounding = draws.mean(axis=0), 2 * len(draws) * UNIT_ROUNDOFF * max(abs(low), abs(high))
    low_end, up_end = np.maximum(mean - radius - rounding, low), np.minimum(mean + radius + rounding, high)
    return _made(low_end, up_end, f"{name}, mean of {len(draws)} draws in [{low:g}, {high:g}]")


def _numbers(values: Any, what: str = "draws", least: int = 1, infinite: bool = False) -> Any:
    """Array (n, ...) of float64 with n >= least."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise NotAValueError(f"{what} are an array of numbers, not {type(values).__name__} {values!r:.60}")
    if array.ndim == 0 or array.size == 0 or len(array) < least:
        raise SetupError(f"{what} of shape {array.shape}: at least {least} along the first axis are needed")
    bad = np.count_nonzero(np.isnan(array) if infinite else ~np.isfinite(array))
    if bad:
        raise NotAValueError(f"{bad} of {array.size} {what} are NaN{'' if infinite else ' or infinite'}")
    return array.astype(float)


def _bounded(samples: Any, low: float, high: float, least: int = 1) -> Any:
    draws = _numbers(samples, least=least)
    if not -np.inf < low < high < np.inf or draws.min() < low or draws.max() > high:
        raise NotAValueError(f"draws in [{draws.min():g}, {draws.max():g}], bounds [{low:g}, {high:g}]")
    return draws
