r"""Definitions that the claims of this paper share: laws of the curvature, Lyapunov exponents, exact laws of runs.

Where every per-sample gradient vanishes, SGD is to leading order $\theta_{t+1} = (1 - \lambda h_t)\,\theta_t$ with
independent curvatures $h_t$, in several dimensions $\Delta_{t+1} = (I - \lambda H_t)\,\Delta_t$. The Lyapunov exponent is
$\Lambda = \mathrm{E} \log |1 - \lambda h|$. All numbers of a law and all rates are exact fractions.
"""

from fractions import Fraction
from math import comb

import numpy as np

from verify import Interval, Record, certify, exact, statistics

# --- laws of the curvature ------------------------------------------------------------------------------


def law(values, weights=None):
    """A law on finitely many curvatures.

    values, weights: (m,) numbers as ints, fractions or decimals in quotes (a float is the binary fraction that
    it is); weights are positive with sum 1, all equal if not given. Returns Record(values, weights) of tuples.
    """
    values = fractions(values, "values")
    weights = (Fraction(1, len(values)),) * len(values) if weights is None else fractions(weights, "weights")
    if len(weights) != len(values):
        raise ValueError(f"{len(values)} values need as many weights, not {len(weights)}")
    if min(weights) <= 0 or sum(weights) != 1:
        raise ValueError(f"weights are positive and have sum 1: {', '.join(map(str, weights))}")
    return Record(values=values, weights=weights)


def batch_mean(one, size):
    """The law of the mean of `size` independent draws of a two-point law: size + 1 points, binomial weights."""
    if len(one.values) != 2 or size < 1:
        raise ValueError(f"a batch of {size} from a law of {len(one.values)} points: two points are needed")
    (x, y), (p, q) = one.values, one.weights
    counts = range(size + 1)
    values = [(k * x + (size - k) * y) / size for k in counts]
    return law(values, [comb(size, k) * p**k * q ** (size - k) for k in counts])


def fractions(numbers, what="numbers"):
    """A tuple of Fractions from ints, fractions, floats or decimals in quotes; ValueError for anything else."""
    try:
        found = tuple(Fraction(x) for x in numbers)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{what} must be a sequence of finite numbers: {error}") from error
    if not found:
        raise ValueError(f"{what} are empty")
    return found


def mean(of, power=1):
    """E h^power, an exact fraction."""
    return sum(w * h**power for h, w in zip(of.values, of.weights, strict=True))


def factors(of, rates):
    """|1 - rate h| for rates (r,) and the m points of a law: exact, an object array (r, m)."""
    return np.array([[abs(1 - rate * h) for h in of.values] for rate in rates], dtype=object)


def sampled(rng, of, shape):
    """Independent draws of a law as floats."""
    index = rng.choice(len(of.values), size=shape, p=np.array(of.weights, dtype=float))
    return np.array(of.values, dtype=float)[index]


# --- exponents and moments ------------------------------------------------------------------------------


def exponent(of, rates) -> Interval:
    """Lyapunov exponents E log|1 - rate h| for rates (r,), enclosed -> (r,); -infinity where a factor is 0."""
    size = factors(of, fractions(rates, "rates"))
    hit = np.any(size == 0, axis=1)
    logs = certify.log(np.where(size == 0, Fraction(1), size))
    total = average(of.weights, logs)
    ends = (np.where(hit, -np.inf, end) for end in (total.lower, total.upper))
    return Interval(*ends, total.grade, total.because)


def moment(of, rates, order) -> Interval:
    """E |1 - rate h|^order for rates (r,) -> (r,), exact for a whole order; ValueError unless it is positive."""
    values = power(factors(of, fractions(rates, "rates")), order)
    return average(of.weights, values)


def power(x, order) -> Interval:
    """x^order of exact x >= 0 (...), exact for a whole order > 0."""
    if not order > 0:
        raise ValueError(f"powers of positive order only, not {order}")
    if order == int(order):
        return exact(x ** int(order))
    zero = x == 0
    return certify.exp(order * certify.log(np.where(zero, Fraction(1), x))) * np.where(zero, 0.0, 1.0)


def average(weights, values) -> Interval:
    """sum_j weights_j values[:, j] of an interval (r, m) -> (r,)."""
    return sum((w * values[:, j] for j, w in enumerate(weights)), start=0 * values[:, 0])


def critical_power(of, rate) -> Interval:
    r"""The positive root p* of $\mathrm{E}|1 - \lambda h|^p = 1$, certified by the values on both sides.

    p -> log E|.|^p is convex and 0 at p = 0, so there is one where the exponent is negative and some factor
    exceeds 1, and no other: ValueError otherwise.
    """
    from scipy.optimize import brentq

    (rate,) = fractions([rate], "rate")
    if not exponent(of, [rate]).upper[0] < 0 or max(factors(of, [rate])[0]) <= 1:
        raise ValueError(f"no positive power has moment 1 at rate {rate}: moments only grow, or only decay")
    size, weights = factors(of, [rate])[0].astype(float), np.array(of.weights, dtype=float)

    def log_moment(p):
        return np.log(weights @ size**p)

    high = 1.0
    while log_moment(high) <= 0:
        high *= 2
    low = high / 2
    while log_moment(low) >= 0:
        low /= 2
    # only where to look: the bracket is certified below
    root = brentq(log_moment, low, high, xtol=1e-300, rtol=1e-13)
    for digits in (40, 30, 20, 10):  # binary ones: where the moment is flat, rounding moves the root
        low, high = (Fraction(root) * (1 + sign * Fraction(1, 2**digits)) for sign in (-1, 1))
        if _excess(of, rate, low).upper < 0 < _excess(of, rate, high).lower:
            return certify.bracket(exact(low), exact(high), "moments below and above 1")
    raise ValueError(f"the root near {root:g} can't be separated from 0 at rate {rate}")


def _excess(of, rate, order):
    """E |1 - rate h|^order - 1, the difference taken in balls."""
    size = factors(of, [rate])[0]
    used = [(w, f) for w, f in zip(of.weights, size, strict=True) if f]
    weights, points = zip(*used, strict=True)
    return certify.evaluate(
        lambda p, *balls: sum(w * f**p for w, f in zip(balls[: len(used)], balls[len(used) :], strict=True)) - 1,
        order, *weights, *points,
    )  # fmt: skip


# --- the exact law of a run of a two-point law -----------------------------------------------------------


def hits_needed(of, rate, steps, level):
    """(outcome, least): |theta_steps| < level |theta_0| exactly when the outcome came up at least so often.

    outcome: which of the two points has the smaller factor; least may be steps + 1 (never).
    """
    small, large = sorted(range(2), key=lambda j: abs(1 - rate * of.values[j]))
    a, b = (abs(1 - rate * of.values[j]) for j in (small, large))

    def below(k):
        return a**k * b ** (steps - k) < level

    if below(0) or not below(steps):
        return small, 0 if below(0) else steps + 1
    low, high = 0, steps  # not below(low), below(high)
    if a > 0:
        guess = (float(np.log(float(level))) - steps * np.log(float(b))) / np.log(float(a) / float(b))
        low, high = (k if 0 < k < steps else end for k, end in ((int(guess) - 1, 0), (int(guess) + 2, steps)))
        low, high = (low if not below(low) else 0), (high if below(high) else steps)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if below(middle) else (middle, high)
    return small, high


def collapse_probability(of, rate, steps, level) -> Interval:
    r"""P(|theta_T| < level) from theta_0 = 1 for a two-point law, by complete enumeration of its binomial law.

    |theta_T| is a product of K factors of one kind and T - K of the other; which K fall below the level is
    decided in integers. rate, level: fractions; steps: T.
    """
    if len(of.values) != 2:
        raise ValueError(f"the exact law is that of two points, not of {len(of.values)}")
    (rate, level), steps = fractions([rate, level], "rate and level"), int(steps)
    if steps < 1 or level <= 0:
        raise ValueError(f"{steps} steps to level {level}: both must be positive")
    outcome, least = hits_needed(of, rate, steps, level)
    return binomial_tail(of.weights[outcome], steps, least)


def binomial_tail(p, n, least) -> Interval:
    """P(Bin(n, p) >= least) for a fraction p, summed in integers."""
    hit, miss, whole = p.numerator, p.denominator - p.numerator, p.denominator
    total, ways = 0, comb(n, least) if least <= n else 0
    for k in range(least, n + 1):
        total += ways * hit**k * miss ** (n - k) if whole != 2 else ways
        ways = ways * (n - k) // (k + 1)
    return certify.evaluate(lambda x: x, Fraction(total, whole**n))


# --- runs -----------------------------------------------------------------------------------------------


def descend(curvatures, rates, every=50):
    """log|theta_T| of SGD on h theta^2 / 2 from theta_0 = 1: every step theta <- theta - rate h theta.

    curvatures: (T, n), one sample a step and run; rates: (r,) -> (r, n). theta itself under- and overflows, so
    its binary exponent is taken out every few steps, which rounds nothing.
    """
    rates = np.asarray(rates, dtype=float)[:, None]
    theta = np.ones((len(rates), curvatures.shape[1]))
    exponents = np.zeros(theta.shape, dtype=int)
    for t, h in enumerate(curvatures, start=1):
        theta = theta - rates * (h * theta)
        if t % every == 0:
            theta, taken = np.frexp(theta)
            exponents += taken
    with np.errstate(divide="ignore"):
        return np.log(np.abs(theta)) + exponents * np.log(2.0)


def two_layer_step(u, w, rate, label):
    """One SGD step on (u w x - y)^2 / 2 at x = 1."""
    residual = rate * (label - u * w)
    return u + residual * w, w + residual * u


def descend_two_layers(labels, rates, start, keep=()):
    """SGD on f(x) = u w x with one label (or batch mean of labels) a step.

    labels: (T, n); rates: (r,); start: (u_0, w_0). Runs that escape end at infinity or NaN.
    Returns u, w (r, n) and {"u", "w"} at the steps in `keep`, each (len(keep), r, n).
    """
    rates = np.asarray(rates, dtype=float)[:, None]
    u, w = (np.full((len(rates), labels.shape[1]), float(x)) for x in start)
    wanted, kept = set(np.asarray(keep, dtype=int).tolist()), {"u": [], "w": []}
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for t, label in enumerate(labels):
            if t in wanted:
                kept["u"].append(u)
                kept["w"].append(w)
            u, w = two_layer_step(u, w, rates, label)
    return u, w, {name: np.array(values) for name, values in kept.items()}


def resolution(probability, runs):
    """How closely so many runs tell an event of at least this probability (>= 1/2), before any of them is made.

    It happens at least as often as a quantile of the binomial law says; this is the width of the Clopper-Pearson
    interval there, which is no wider for a more probable event, nor for the complement of one.
    """
    from scipy.stats import binom

    least = statistics.quantile_of_law(binom(runs, float(probability))).lower
    return statistics.proportion(int(least), runs).gap()


def walk(hessians, drawn, rate, every=20):
    """log|Delta_T| of SGD Delta <- Delta - rate H Delta from unit starts.

    hessians: (m, d, d); drawn: Record(index (T, n), start (n, d)) -> (n,). The length is taken out every few steps.
    """
    steps = np.eye(hessians.shape[1]) - rate * hessians
    delta, log_size = drawn.start, np.zeros(len(drawn.start))
    for t, index in enumerate(drawn.index, start=1):
        delta = np.einsum("nij,nj->ni", steps[index], delta)
        if t % every == 0 or t == len(drawn.index):
            length = np.linalg.norm(delta, axis=1)
            delta, log_size = delta / length[:, None], log_size + np.log(length)
    return log_size
