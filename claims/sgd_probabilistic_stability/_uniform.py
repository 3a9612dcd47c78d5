r"""A continuous law: the curvature is uniform on [low, high], and 1 - rate h stays positive.

With u = 1 - rate h uniform on [a, b], the moments of log u are differences of primitives:
$\int \log u = u \log u - u$ and $\int \log^2 u = u \log^2 u - 2 u \log u + 2 u$.
"""

from fractions import Fraction

from verify import certify, stack

SHEVTSOVA = Fraction(4748, 10000)  # constant of the Berry-Esseen theorem for equal laws (Shevtsova, 2011)


def ends(low, high, rate):
    """[a, b] of u = 1 - rate h; ValueError unless it is positive throughout."""
    a, b = 1 - rate * high, 1 - rate * low
    if not 0 < a < b:
        raise ValueError(f"1 - {rate} h reaches 0 for h in [{low}, {high}]")
    return a, b


def exponent(low, high, rates):
    """E log(1 - rate h) for rates (r,) -> (r,)."""
    return stack([certify.evaluate(_mean, *ends(low, high, rate)) for rate in rates])


def collapse_probability(low, high, rate, steps, level):
    r"""P(|theta_T| < level) from theta_0 = 1, enclosed by the normal law and the Berry-Esseen theorem.

    $|P - \Phi(z)| \le C \rho / (\sigma^3 \sqrt T)$ with $z = (\log(\text{level}) - T \Lambda)/(\sigma \sqrt T)$,
    and $\rho = \mathrm{E}|X - \Lambda|^3 \le \sigma^2 \log(b/a)$ for X = log u in [log a, log b].
    """

    def normal(a, b):
        z = (_ball(level).log() - steps * _mean(a, b)) / (steps * _variance(a, b)).sqrt()
        return (1 + (z / _ball(2).sqrt()).erf()) / 2

    def error(a, b):
        return _ball(SHEVTSOVA) * (b / a).log() / (steps * _variance(a, b)).sqrt()

    interval = ends(low, high, rate)
    middle, radius = certify.evaluate(normal, *interval), certify.evaluate(error, *interval)
    return certify.bracket(middle - radius, middle + radius, "normal law and the Berry-Esseen theorem")


def _mean(a, b):
    return (b * b.log() - a * a.log()) / (b - a) - 1


def _variance(a, b):
    second = (b * b.log() ** 2 - a * a.log() ** 2 - 2 * (b * b.log() - a * a.log())) / (b - a) + 2
    return second - _mean(a, b) ** 2


def _ball(x):
    from flint import arb, fmpq

    x = Fraction(x)
    return arb(fmpq(x.numerator, x.denominator))
