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

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.errors import NotAValueError, SetupError
from verify.interval import GRADES, UNIT_ROUNDOFF, Interval

ALPHA = 1e-6  # error probability of one interval
BUDGET = 1000  # intervals of a complete run for one seed

Floats = NDArray[np.float64]


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


# --- constructors ---------------------------------------------------------------------------------------


def proportion(successes: Any, trials: Any) -> Interval:
    """The probability of an event that happened in `successes` of `trials` independent trials.

    successes, trials: integers, scalars or arrays that broadcast to (...); result (...).
    Clopper and Pearson, Biometrika 26 (1934): the ends are Beta quantiles, so it covers at every (n, p).
    """
    from scipy.special import betainccinv, betaincinv

    k, n = np.broadcast_arrays(_counts(successes, "successes"), _counts(trials, "trials"))
    if k.size == 0 or (n < 1).any():
        raise SetupError("a proportion needs at least one trial")
    if ((k < 0) | (k > n)).any():
        at = np.unravel_index(int(((k < 0) | (k > n)).argmax()), k.shape)
        raise NotAValueError(f"{k[at]} successes in {n[at]} trials")
    half = _alpha.get() / 2
    low = np.where(k == 0, 0.0, betaincinv(np.maximum(k, 1), n - k + 1, half))
    up = np.where(k == n, 1.0, betainccinv(k + 1, np.maximum(n - k, 1), half))
    of = f"{k} of {n}" if k.ndim == 0 else f"{k.size} proportions of {_span(n)} trials"
    return _made(low, up, f"Clopper-Pearson, {of}, error {_alpha.get():g}{_each(k.size)}")


def hoeffding_mean(samples: Any, low: float, high: float) -> Interval:
    """The mean of independent variables that lie in [low, high], whatever their laws.

    samples: (n, ...), n draws; result (...). low, high: known beforehand, not the extremes of the draws.
    Hoeffding, JASA 58 (1963), Theorem 2: radius (high - low) sqrt(log(2/alpha) / (2 n)).
    """
    draws = _bounded(samples, low, high)
    radius = (high - low) * np.sqrt(np.log(2 / _alpha.get()) / (2 * len(draws)))
    return _mean(draws, radius, low, high, "Hoeffding")


def bernstein_mean(samples: Any, low: float, high: float) -> Interval:
    """The mean of independent draws of one law on [low, high], narrow where their variance V is small.

    samples: (n, ...), n >= 2 draws; result (...). low, high: known beforehand.
    Maurer and Pontil, COLT 2009, Theorem 4, on either side with alpha/2; with L = log(4/alpha) the radius is
    sqrt(2 V L / n) + 7 (high - low) L / (3 (n - 1)). Hoeffding is narrower below some hundred draws.
    """
    draws = _bounded(samples, low, high, least=2)
    log_term, n = np.log(4 / _alpha.get()), len(draws)
    spread = np.sqrt(2 * np.var(draws, axis=0, ddof=1) * log_term / n)
    radius = spread + 7 * (high - low) * log_term / (3 * (n - 1))
    return _mean(draws, radius, low, high, "empirical Bernstein")


def median(samples: Any) -> Interval:
    """The median of the law of independent draws, by order statistics: no other assumption.

    samples: (n, ...), n draws, infinite ones allowed (a run that never gets there); result (...).
    P(the median lies outside [X_(r), X_(n+1-r)]) <= 2 P(Bin(n, 1/2) < r) (David and Nagaraja, Order Statistics,
    section 7.1); r is the largest rank that keeps it at or below alpha. Extremes of 21 draws: 2^-20 < 1e-6.
    """
    draws = _numbers(samples, infinite=True)
    rank, error = _median_rank(len(draws))
    ordered = np.sort(draws, axis=0)
    because = f"order statistics {rank} and {len(draws) + 1 - rank} of {len(draws)} draws for the median"
    because = f"{because}, error {error:.2g}{_each(ordered[0].size)}"
    return _made(ordered[rank - 1], ordered[-rank], because)


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
    """Where one draw of a known exact law lies: its alpha/2 and 1 - alpha/2 quantiles.

    distribution: a frozen scipy.stats law, such as binom(100, 0.5), its parameters scalars or arrays (...).
    A statistic of the run is compared with it; the quantiles are checked with the distribution function.
    """
    if not all(hasattr(distribution, name) for name in ("dist", "cdf", "sf", "ppf", "isf")):
        raise SetupError(f"quantile_of_law() takes a frozen scipy.stats law, not {distribution!r:.60}")
    half, step = _alpha.get() / 2, 0.5 if hasattr(distribution, "pmf") else 0.0
    low, up = np.asarray(distribution.ppf(half)), np.asarray(distribution.isf(half))
    law = f"{distribution.dist.name}({', '.join(_arguments(distribution))})"
    if np.isnan(low).any() or np.isnan(up).any():
        raise NotAValueError(f"{law} has no quantiles: are its parameters right?")
    if max(np.max(distribution.cdf(low - step)), np.max(distribution.sf(up))) > half * (1 + 1e-6):
        raise NotAValueError(f"scipy's quantiles of {law} leave out more than {half:g} on one side")
    return _made(low, up, f"central interval of {law}, error {_alpha.get():g}{_each(low.size)}")


def distribution_band(samples: Any, points: Any = None) -> Interval:
    """The distribution function P(X <= x) of independent draws, at all points at once: it counts as one.

    samples: (n,); points: (m,), where to evaluate, the sorted samples if not given; result (m,).
    Massart, Annals of Probability 18 (1990), the tight Dvoretzky-Kiefer-Wolfowitz inequality:
    radius sqrt(log(2/alpha) / (2 n)).
    """
    draws = np.sort(_numbers(samples, infinite=True))
    if draws.ndim != 1:
        raise SetupError(f"a distribution function needs draws of shape (n,), not {draws.shape}")
    at = draws if points is None else _numbers(points, "points", infinite=True)
    height = np.searchsorted(draws, at, side="right") / len(draws)
    radius = np.sqrt(np.log(2 / _alpha.get()) / (2 * len(draws))) + 4 * UNIT_ROUNDOFF
    because = f"Dvoretzky-Kiefer-Wolfowitz, {len(draws)} draws, error {_alpha.get():g} for the whole band"
    return _made(np.maximum(height - radius, 0.0), np.minimum(height + radius, 1.0), because, count=1)


def prediction(samples: Any) -> Interval:
    """Where one more draw of the same experiment lies (a number printed in a paper), if draws are normal.

    samples: (n, ...), n >= 2 of our own replicates; result (...). Student-t prediction interval (Hahn and
    Meeker, Statistical Intervals, section 4.7): mean +- t_{1 - alpha/2, n - 1} s sqrt(1 + 1/n).
    """
    from scipy.stats import t

    draws = _numbers(samples, least=2)
    n, spread = len(draws), np.std(draws, axis=0, ddof=1)
    if np.any(draws.max(axis=0) == draws.min(axis=0)):
        raise SetupError(f"all {n} replicates agree: they have no spread to predict from (one seed, repeated?)")
    radius = t.isf(_alpha.get() / 2, n - 1) * spread * np.sqrt(1 + 1 / n)
    because = f"Student t prediction of one more draw from {n}, draws taken as normal"
    return _made(*_around(draws, radius), f"{because}, error {_alpha.get():g}{_each(spread.size)}")


def slopes(log_x: Any, log_y: Any, window: tuple[float, float]) -> Interval:
    """The slopes of a deterministic run: all two-point slopes over a stated window. Numerical, not counted.

    log_x: (m,) increasing; log_y: (m,) numbers or an Interval; window: (first, last), on the axis of log_x and
    covered by it. A pair counts when its points lie in the window and at least half of it apart: nearer
    pairs show steps and noise, not the rate. Best on a geometric grid; m points cost m^2 operations.
    """
    x, lower, upper = _curve(log_x, log_y)
    first, last = (float(end) for end in window)
    slack = 1e-9 * (last - first)  # the ends of a grid carry rounding
    if not first < last or x[0] > first + slack or x[-1] < last - slack:
        raise SetupError(f"window [{first:g}, {last:g}] is not covered by log x in [{x[0]:g}, {x[-1]:g}]")
    inside = (x >= first - slack) & (x <= last + slack)
    x, lower, upper = x[inside], lower[inside], upper[inside]
    least, most = np.inf, -np.inf
    for i, j in enumerate(np.searchsorted(x, x + (last - first) / 2 - slack)):
        least = np.min((lower[j:] - upper[i]) / (x[j:] - x[i]), initial=least)
        most = np.max((upper[j:] - lower[i]) / (x[j:] - x[i]), initial=most)
    if least > most:
        raise SetupError(f"window [{first:g}, {last:g}] holds no two points that are half of it apart")
    low, up = least - 8 * UNIT_ROUNDOFF * abs(least), most + 8 * UNIT_ROUNDOFF * abs(most)
    grade = min("numerical", getattr(log_y, "grade", "exact"), key=GRADES.index)
    because = f"two-point slopes of {len(x)} points at least {(last - first) / 2:.3g} apart"
    return Interval(low, up, grade, f"{because} over log x in [{first:.3g}, {last:.3g}]")


# --- inside ---------------------------------------------------------------------------------------------

def _made(low: Any, up: Any, because: str, count: int | None = None) -> Interval:
    for counter in _counters.get():
        counter.count += np.size(low) if count is None else count
    return Interval(low, up, "statistical", because)


def _each(size: int) -> str:
    return f" for each of {size}" if size > 1 else ""


def _mean(draws: Floats, radius: Any, low: float, high: float, name: str) -> Interval:
    """The mean over the first axis, radius and rounding of the mean outward, within what is possible."""
    mean, radius = draws.mean(axis=0), radius + 2 * len(draws) * UNIT_ROUNDOFF * max(abs(low), abs(high))
    because = f"{name}, mean of {len(draws)} draws in [{low:g}, {high:g}]"
    because = f"{because}, error {_alpha.get():g}{_each(mean.size)}"
    return _made(np.maximum(mean - radius, low), np.minimum(mean + radius, high), because)


def _median_rank(n: int) -> tuple[int, float]:
    """The rank of the lower order statistic, counted from 1, and the error probability of the interval."""
    from scipy.stats import binom

    alpha = _alpha.get()
    rank = int(binom.ppf(alpha / 2, n, 0.5))
    while rank > 0 and 2 * binom.cdf(rank - 1, n, 0.5) > alpha:
        rank -= 1
    if rank == 0:
        needed = int(np.ceil(1 - np.log2(alpha)))
        raise SetupError(f"{n} draws bound no median with error {alpha:g}: at least {needed} are needed")
    return rank, 2 * float(binom.cdf(rank - 1, n, 0.5))


def _numbers(values: Any, what: str = "draws", least: int = 1, infinite: bool = False) -> Floats:
    """Array (n, ...) of float64 with n >= least."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        hint = "; truth values are counted by proportion()" if array.dtype.kind == "b" else ""
        raise NotAValueError(f"{what} are an array of numbers, not {type(values).__name__} {values!r:.60}{hint}")
    if array.ndim == 0 or array.size == 0 or len(array) < least:
        raise SetupError(f"{what} of shape {array.shape}: at least {least} along the first axis are needed")
    bad = np.isnan(array) if infinite else ~np.isfinite(array)
    if bad.any():
        kind = "NaN" if infinite else "NaN or infinite"
        raise NotAValueError(f"{int(bad.sum())} of {array.size} {what} are {kind}")
    return array.astype(float)


def _bounded(samples: Any, low: float, high: float, least: int = 1) -> Floats:
    draws = _numbers(samples, least=least)
    if not -np.inf < low < high < np.inf:
        raise SetupError(f"bounds of a variable are finite and increasing, not {low!r} and {high!r}")
    if draws.min() < low or draws.max() > high:
        extremes = f"[{draws.min():g}, {draws.max():g}]"
        raise NotAValueError(f"draws spread over {extremes}, beyond their bounds [{low:g}, {high:g}]")
    return draws


def _curve(log_x: Any, log_y: Any) -> tuple[Floats, Floats, Floats]:
    ends = (log_y.lower, log_y.upper) if isinstance(log_y, Interval) else (log_y, log_y)
    x, lower, upper = _numbers(log_x, "log_x", 2), *(_numbers(end, "log_y", 2) for end in ends)
    if x.ndim != 1 or x.shape != lower.shape:
        raise SetupError(f"log_x and log_y need one shape (m,), not {x.shape} and {lower.shape}")
    if (np.diff(x) <= 0).any():
        raise SetupError("log_x must increase from point to point")
    return x, lower, upper
