"""Statistical intervals cover as often as they say, are not wider than they say, and are counted.

Coverage is computed exactly, by summing the law of the draws, wherever that law is finite or known; a
simulation is judged by an exact binomial test at 1e-6 and has fixed seeds.
"""

from fractions import Fraction
from math import comb, inf, log, nan, sqrt

import numpy as np
import pytest
from scipy import stats

from verify import statistics
from verify.errors import NotAValueError, SetupError
from verify.interval import Interval
from verify.statistics import ALPHA, BUDGET, counting, error_probability

LEVEL = 0.05  # of the calibration
CHANCES = [Fraction(k, 97) for k in range(0, 98, 3)] + [
    Fraction(1, 1000),
    Fraction(1, 2),
    Fraction(999, 1000),
    1,
]


@pytest.fixture
def calibrating():
    with error_probability(LEVEL):
        yield


def binomial_law(n, p):
    """P(k successes) for k = 0..n, in fractions."""
    return [comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


def covers(value, truth):
    return (value.lower <= truth) & (truth <= value.upper)


def assert_covers_often_enough(hits):
    """No evidence at 1e-6 that a single interval covers with a probability below 0.95."""
    law = stats.binom(hits.size, 1 - LEVEL)
    assert law.cdf(np.count_nonzero(hits)) > 1e-6


# --- proportions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 7, 20, 60])
@pytest.mark.usefixtures("calibrating")
def test_clopper_pearson_covers_at_every_chance(n):
    values = statistics.proportion(np.arange(n + 1), n)
    for p in CHANCES:
        inside = covers(values, p)
        assert sum(mass for mass, hit in zip(binomial_law(n, p), inside, strict=True) if hit) >= Fraction(
            95, 100
        )


def test_clopper_pearson_covers_at_the_fixed_error():
    values = statistics.proportion(np.arange(41), 40)
    for p in CHANCES:
        missed = sum(m for m, hit in zip(binomial_law(40, p), covers(values, p), strict=True) if not hit)
        assert missed <= Fraction(1, 10**6)


@pytest.mark.parametrize(("k", "n"), [(0, 5), (1, 5), (37, 100), (99, 100), (100, 100), (1, 1)])
def test_clopper_pearson_is_no_wider_than_its_tails(k, n):
    """At the upper end P(at most k) is alpha/2, at the lower end P(at least k) is."""
    value = statistics.proportion(k, n)
    low_law, up_law = (binomial_law(n, Fraction(end)) for end in (value.lower, value.upper))
    assert value.upper == 1 if k == n else float(sum(up_law[: k + 1])) == pytest.approx(ALPHA / 2, rel=1e-9)
    assert value.lower == 0 if k == 0 else float(sum(low_law[k:])) == pytest.approx(ALPHA / 2, rel=1e-9)


def test_no_failure_in_many_runs_is_an_upper_limit():
    value = statistics.proportion(0, 1000)
    assert value.lower == 0
    assert value.upper == pytest.approx(1 - (ALPHA / 2) ** (1 / 1000), rel=1e-9)
    assert value.because == "Clopper-Pearson, 0 of 1000, error 1e-06"


def test_proportions_broadcast_and_take_small_integer_types():
    value = statistics.proportion(
        np.array([[1], [2]], dtype=np.uint8), np.array([250, 251, 255], dtype=np.uint8)
    )
    assert value.shape == (2, 3)
    assert value.upper[1, 2] == statistics.proportion(2, 255).upper
    assert value.because == "Clopper-Pearson, error 1e-06 for each of 6"
    assert value.grade == "statistical"


@pytest.mark.parametrize(
    ("successes", "trials"),
    [(3, 2), (-1, 2), (0, 0), (1.0, 2), (nan, 2), (True, 2), ([1, 3], 2), ([], 2), (1, -1), ("1", 2)],
)
def test_what_is_no_count_is_refused(successes, trials):
    with pytest.raises(NotAValueError, match="no count of successes in trials"):
        statistics.proportion(successes, trials)


# --- means ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [statistics.hoeffding_mean, statistics.bernstein_mean])
@pytest.mark.parametrize("n", [2, 5, 30, 300])
@pytest.mark.usefixtures("calibrating")
def test_means_cover_for_bernoulli_draws(mean, n):
    """The draws are determined by their sum, so the coverage is a binomial sum."""
    draws = np.tril(np.ones((n + 1, n)), -1).T  # column k holds k ones
    low, high = -1.0, 3.0
    values = mean(low + (high - low) * draws, low, high)
    for p in np.linspace(0, 1, 51):
        missed = ~covers(values, low + (high - low) * p)
        assert stats.binom(n, p).pmf(np.arange(n + 1))[missed].sum() <= LEVEL


@pytest.mark.parametrize("law", [stats.beta(0.2, 3), stats.beta(2, 2), stats.uniform()])
@pytest.mark.parametrize("mean", [statistics.hoeffding_mean, statistics.bernstein_mean])
@pytest.mark.usefixtures("calibrating")
def test_means_cover_for_continuous_draws(mean, law):
    draws = law.rvs(size=(40, 2000), random_state=np.random.default_rng(1))
    assert_covers_often_enough(covers(mean(draws, 0, 1), law.mean()))


def test_hoeffding_has_exactly_its_radius():
    draws = np.random.default_rng(0).uniform(-1, 3, size=(1000, 4))
    value = statistics.hoeffding_mean(draws, -1, 3)
    radius = 4 * sqrt(log(2 / ALPHA) / 2000)
    assert value.lower == pytest.approx(draws.mean(axis=0) - radius, rel=1e-12)
    assert value.upper == pytest.approx(draws.mean(axis=0) + radius, rel=1e-12)
    assert value.because == "Hoeffding, mean of 1000 draws in [-1, 3], error 1e-06 for each of 4"


def test_hoeffding_of_means_is_that_of_what_they_are_means_of():
    draws = np.random.default_rng(0).uniform(-1, 3, size=(1000, 50))
    value, whole = statistics.hoeffding_mean(draws.mean(axis=1), -1, 3, each=50), draws.ravel()
    assert value.lower == pytest.approx(statistics.hoeffding_mean(whole, -1, 3).lower, rel=1e-9)
    assert value.upper == pytest.approx(statistics.hoeffding_mean(whole, -1, 3).upper, rel=1e-9)
    assert value.because == "Hoeffding for means of 50, mean of 1000 draws in [-1, 3], error 1e-06"
    with pytest.raises(NotAValueError, match="at least one variable"):
        statistics.hoeffding_mean(draws, -1, 3, each=0)


def test_bernstein_has_exactly_its_radius():
    draws = np.random.default_rng(0).uniform(1, 3, size=500)
    value, term = statistics.bernstein_mean(draws, 1, 3), log(4 / ALPHA)
    pairs = sum(
        (draws[i] - draws[:i]) @ (draws[i] - draws[:i]) for i in range(500)
    )  # Maurer and Pontil's V_n
    variance = pairs / (500 * 499)
    radius = sqrt(2 * variance * term / 500) + 7 * 2 * term / (3 * 499)
    assert (value.lower, value.upper) == pytest.approx(
        (draws.mean() - radius, draws.mean() + radius), rel=1e-10
    )


def test_each_mean_is_the_narrower_one_where_it_should_be():
    rare, even = np.zeros(10_000), np.tile([0.0, 1.0], 5_000)
    rare[:10] = 1
    assert statistics.bernstein_mean(rare, 0, 1).width < statistics.hoeffding_mean(rare, 0, 1).width / 3
    assert statistics.hoeffding_mean(even, 0, 1).width < statistics.bernstein_mean(even, 0, 1).width
    for n in (175, 176):  # the smallest sample at which Bernstein can be the narrower one
        still = np.full(n, 0.5)
        narrower = statistics.bernstein_mean(still, 0, 1).width < statistics.hoeffding_mean(still, 0, 1).width
        assert narrower == (n >= 176)


def test_means_stay_within_what_is_possible():
    for mean in (statistics.hoeffding_mean, statistics.bernstein_mean):
        value = mean(np.full(7, 0.1), 0, 1)
        assert (value.lower, value.upper) == (0, 1)
        assert mean(np.full(10**5, 0.3), 0.3 - 1e-9, 0.3 + 1e-9).width < 1e-8


@pytest.mark.parametrize("mean", [statistics.hoeffding_mean, statistics.bernstein_mean])
def test_bad_draws_of_a_mean_are_refused(mean):
    for low, high in ((0, 0.5), (0.2, 1), (1, 0), (0, 0), (0, inf), (nan, 1)):
        with pytest.raises(NotAValueError, match=r"draws in \[0.1, 0.9\], bounds"):
            mean([0.1, 0.9], low, high)
    with pytest.raises(NotAValueError, match="1 of 3 draws are NaN or infinite"):
        mean([0.1, nan, 0.2], 0, 1)
    with pytest.raises(SetupError, match="at least"):
        mean([], 0, 1)
    with pytest.raises(NotAValueError, match="array of numbers, not list"):
        mean([True, False], 0, 1)
    with pytest.raises(SetupError, match="at least 2 along the first axis"):
        statistics.bernstein_mean([0.1], 0, 1)


# --- medians --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "alpha"),
    [*((n, LEVEL) for n in (6, 7, 8, 21, 50, 101)), *((n, ALPHA) for n in (21, 22, 25, 26, 50, 101, 400))],
)
def test_the_ranks_of_a_median_are_the_best_that_cover(n, alpha):
    """Exactly: 2 P(Bin(n, 1/2) < r) <= alpha < 2 P(Bin(n, 1/2) < r + 1)."""
    with error_probability(alpha):
        value = statistics.median(np.arange(1.0, n + 1))
    rank = int(value.lower)
    errors = [Fraction(2 * sum(comb(n, k) for k in range(r)), 2**n) for r in (rank, rank + 1)]
    assert value.upper == n + 1 - rank
    assert errors[0] <= alpha < errors[1]
    assert value.because.endswith(f"of {n} draws for the median, error {float(errors[0]):.2g}")


def test_the_extremes_of_21_draws_hold_the_median():
    draws = np.random.default_rng(0).normal(size=(21, 3))
    value = statistics.median(draws)
    assert value.lower == pytest.approx(draws.min(axis=0))
    assert value.upper == pytest.approx(draws.max(axis=0))
    assert (
        value.because == "order statistics 1 and 21 of 21 draws for the median, error 9.5e-07 for each of 3"
    )


def test_too_few_draws_for_a_median_are_told_how_many():
    with pytest.raises(SetupError, match="20 draws bound no median with error 1e-06: at least 21 are needed"):
        statistics.median(np.arange(20.0))
    with error_probability(LEVEL), pytest.raises(SetupError, match="at least 6 are needed"):
        statistics.median(np.arange(5.0))


@pytest.mark.usefixtures("calibrating")
def test_medians_cover_for_a_law_with_atoms_and_for_heavy_tails():
    generator = np.random.default_rng(2)
    dice = generator.integers(1, 4, size=(15, 4000))  # median 2
    assert_covers_often_enough(covers(statistics.median(dice), 2))
    assert_covers_often_enough(covers(statistics.median(generator.standard_cauchy(size=(15, 4000))), 0))


def test_a_median_may_have_infinite_draws():
    few, many = ([inf] * count + [*range(21 - count)] for count in (1, 21))
    assert (statistics.median(few).lower, statistics.median(few).upper) == (0, inf)
    assert statistics.median(many).lower == inf
    with pytest.raises(NotAValueError, match=r"1 of 21 draws are NaN$"):
        statistics.median([nan, *range(20)])


def test_paired_differences():
    generator = np.random.default_rng(3)
    common = 100 * generator.normal(size=60)
    a, b = common + 1 + 0.1 * generator.normal(size=60), common
    value, plain = statistics.paired_median_difference(a, b), statistics.median(a - b)
    assert covers(value, 1)
    assert value.width < 0.5
    assert value.lower < plain.lower
    assert plain.upper < value.upper
    assert value.width == pytest.approx(plain.width)
    assert value.because == f"paired differences, {plain.because}"
    with pytest.raises(SetupError, match="one shape"):
        statistics.paired_median_difference(a, b[1:])
    with pytest.raises(NotAValueError, match="infinite"):
        statistics.paired_median_difference(a, np.full(60, inf))


# --- laws and distributions -----------------------------------------------------------------------------


@pytest.mark.parametrize("p", [Fraction(1, 2), Fraction(1, 50), Fraction(97, 100)])
@pytest.mark.parametrize("n", [1, 30, 150])
@pytest.mark.parametrize("alpha", [ALPHA, LEVEL])
def test_quantiles_of_a_binomial_law_leave_out_half_of_alpha_on_either_side(n, p, alpha):
    with error_probability(alpha):
        value = statistics.quantile_of_law(stats.binom(n, float(p)))
    law, low, up = binomial_law(n, p), int(value.lower), int(value.upper)
    assert sum(law[:low]) <= alpha / 2 <= sum(law[: low + 1])
    assert sum(law[up + 1 :]) <= alpha / 2 <= sum(law[up:])


def test_quantiles_of_other_laws():
    value = statistics.quantile_of_law(stats.norm(1, [1.0, 2.0]))
    assert value.upper == pytest.approx([1 + 4.891638475699, 1 + 2 * 4.891638475699])
    geometric = statistics.quantile_of_law(stats.geom(p=0.01))
    assert geometric.lower == 1
    assert 0.99**geometric.upper <= ALPHA / 2 < 0.99 ** (geometric.upper - 1)
    assert geometric.because == "central interval of geom(p=0.01), error 1e-06"
    shifted = statistics.quantile_of_law(stats.binom(100, 0.5, loc=-3))
    assert shifted.lower + 3 == statistics.quantile_of_law(stats.binom(100, 0.5)).lower


def test_bad_laws_are_refused():
    for bad in (0.5, "norm", np.zeros(3)):
        with pytest.raises(SetupError, match=r"frozen scipy\.stats law"):
            statistics.quantile_of_law(bad)
    with pytest.raises(NotAValueError, match="are its parameters right"):
        statistics.quantile_of_law(stats.binom(10, 1.5))
    with pytest.raises(NotAValueError, match="are its parameters right"):
        statistics.quantile_of_law(stats.norm(0, [1.0, -1.0]))


@pytest.mark.parametrize("alpha", [ALPHA, LEVEL])
@pytest.mark.parametrize("n", [5, 30, 1000])
def test_the_band_covers_a_whole_distribution(n, alpha):
    """P(the supremum leaves the band) is known exactly (Kolmogorov), and near alpha for many draws."""
    with error_probability(alpha):
        value = statistics.distribution_band(np.arange(float(n)))
    radius, height = sqrt(log(2 / alpha) / (2 * n)), np.arange(1, n + 1) / n
    assert value.lower == pytest.approx(np.maximum(height - radius, 0))
    assert value.upper == pytest.approx(np.minimum(height + radius, 1))
    assert stats.kstwo(n).sf(radius) <= alpha
    assert n < 1000 or stats.kstwo(n).sf(radius) > alpha / 2


def test_the_band_at_chosen_points():
    draws = np.random.default_rng(4).exponential(size=20_000)
    points = np.array([-1.0, 0.0, 0.5, 1.0, 30.0])
    value = statistics.distribution_band(draws, points)
    assert np.all(covers(value, stats.expon.cdf(points)))
    assert value.lower[0] == 0
    assert value.upper[-1] == 1
    assert value.width.max() < 0.04
    assert value.because == "Dvoretzky-Kiefer-Wolfowitz, whole band, 20000 draws, error 1e-06"
    ties = statistics.distribution_band([1, 1, 2, 2], [0.9, 1, 2])
    assert (ties.lower + ties.upper)[1] == pytest.approx(1)
    with pytest.raises(SetupError, match=r"shape \(n,\)"):
        statistics.distribution_band(np.zeros((3, 2)))
    with pytest.raises(NotAValueError, match="points are NaN"):
        statistics.distribution_band(draws, [nan])


# --- predictions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.usefixtures("calibrating")
def test_predictions_cover_one_more_draw_exactly_as_often_as_they_say(n):
    generator = np.random.default_rng(5)
    draws, more = generator.normal(3, 2, size=(n, 20_000)), generator.normal(3, 2, size=20_000)
    hits = np.count_nonzero(covers(statistics.prediction(draws), more))
    assert stats.binomtest(hits, 20_000, 1 - LEVEL).pvalue > 1e-6


def test_a_prediction_has_exactly_its_radius():
    draws = np.array([1.0, 2.0, 4.0, 5.0])
    value = statistics.prediction(draws)
    radius = stats.t.ppf(1 - ALPHA / 2, 3) * sqrt(10 / 3) * sqrt(5 / 4)
    assert (value.lower, value.upper) == pytest.approx((3 - radius, 3 + radius))
    assert value.because == "Student t prediction of one more draw from 4, taken as normal, error 1e-06"


def test_bad_replicates_are_refused():
    with pytest.raises(SetupError, match="all 3 replicates agree"):
        statistics.prediction([2.0, 2.0, 2.0])
    with pytest.raises(SetupError, match="at least 2"):
        statistics.prediction([2.0])
    with pytest.raises(NotAValueError, match="NaN or infinite"):
        statistics.prediction([2.0, inf])
    with pytest.raises(NotAValueError, match="array of numbers"):
        statistics.prediction(["a", "b"])


# --- slopes ---------------------------------------------------------------------------------------------

log_t = np.log(np.geomspace(10, 1e5, 81))
WINDOW = (log(100), log(10_000))


def test_slopes_of_a_power_law_are_its_exponent():
    value = statistics.slopes(log_t, 3 - log_t / 2, WINDOW)
    assert covers(value, -0.5)
    assert value.width < 1e-13
    assert value.grade == "numerical"
    assert value.because == "two-point slopes of 41 points at least 2.3 apart over log_x in [4.61, 9.21]"


def test_slopes_are_the_extremes_over_pairs_half_a_window_apart():
    log_y = -log_t / 2 + 0.1 * np.sin(3 * log_t)
    inside = (log_t > WINDOW[0] - 1e-9) & (log_t < WINDOW[1] + 1e-9)
    x, y = log_t[inside], log_y[inside]
    pairs = [
        (y[j] - y[i]) / (x[j] - x[i])
        for i in range(len(x)) for j in range(i, len(x)) if x[j] - x[i] > log(10) - 1e-9
    ]  # fmt: skip
    value = statistics.slopes(log_t, log_y, WINDOW)
    assert (value.lower, value.upper) == pytest.approx((min(pairs), max(pairs)), rel=1e-14)
    assert value.lower < min(pairs)
    assert max(pairs) < value.upper


def test_slopes_do_not_look_outside_the_window():
    log_y = -log_t / 2
    bent = np.where((log_t < WINDOW[0] - 0.01) | (log_t > WINDOW[1] + 0.01), 50.0, log_y)
    assert statistics.slopes(log_t, bent, WINDOW).upper == statistics.slopes(log_t, log_y, WINDOW).upper


def test_slopes_of_an_interval_carry_its_width_and_its_grade():
    log_y = Interval(-log_t / 2 - 0.01, -log_t / 2 + 0.01, "statistical", "x")
    value = statistics.slopes(log_t, log_y, WINDOW)
    assert value.lower == pytest.approx(-0.5 - 0.02 / log(10))
    assert value.upper == pytest.approx(-0.5 + 0.02 / log(10))
    assert value.grade == "statistical"
    rigorous = Interval(-log_t, -log_t, "rigorous", "x")
    assert statistics.slopes(log_t, rigorous, WINDOW).grade == "numerical"


def test_slopes_refuse_what_they_cannot_see():
    y = -log_t
    for window in ((log(100), log(1e6)), (0, log(1e4)), (log(1e4), log(100)), (nan, 5), (5, 5)):
        with pytest.raises(SetupError, match="is not covered by log_x in"):
            statistics.slopes(log_t, y, window)
    with pytest.raises(SetupError, match="no two points at least half of it apart"):
        statistics.slopes([0.0, 10.0], [0.0, 1.0], (4, 5))
    with pytest.raises(NotAValueError, match="1 of 81 log_y are NaN or infinite"):
        statistics.slopes(log_t, np.where(log_t > 11.5, -inf, y), WINDOW)
    for x in (log_t[::-1], log_t[:-1], np.zeros(81), np.stack([log_t, log_t])):
        with pytest.raises(SetupError, match="log_x"):
            statistics.slopes(x, y, WINDOW)


# --- the error probability and the budget ---------------------------------------------------------------


def test_the_error_probability_is_fixed_outside_calibration():
    assert pytest.approx(1e-3) == ALPHA * BUDGET
    before = statistics.proportion(3, 10)
    with error_probability(0.05):
        assert statistics.proportion(3, 10).width < before.width
        assert "error 0.05" in statistics.proportion(3, 10).because
    assert statistics.proportion(3, 10).width == before.width
    for bad in (0, 1, -0.1, nan, 2):
        with pytest.raises(SetupError, match="between 0 and 1"), error_probability(bad):
            pass


def test_an_error_inside_restores_the_error_probability():
    with pytest.raises(ZeroDivisionError), error_probability(0.5), counting():
        1 / 0
    assert "error 1e-06" in statistics.proportion(3, 10).because


def test_every_interval_is_counted_once():
    draws = np.random.default_rng(6).uniform(size=(30, 2))
    one_each = [
        lambda: statistics.proportion(1, 2),
        lambda: statistics.hoeffding_mean(draws[:, 0], 0, 1),
        lambda: statistics.bernstein_mean(draws[:, 0], 0, 1),
        lambda: statistics.median(draws[:, 0]),
        lambda: statistics.paired_median_difference(*draws.T),
        lambda: statistics.quantile_of_law(stats.norm()),
        lambda: statistics.distribution_band(draws[:, 0]),
        lambda: statistics.prediction(draws[:, 0]),
    ]
    for make in one_each:
        with counting() as counter:
            make()
        assert counter.count == 1
    with counting() as counter:
        statistics.slopes(log_t, log_t, WINDOW)
    assert counter.count == 0


def test_arrays_count_their_entries_and_counters_nest():
    draws = np.random.default_rng(7).uniform(size=(30, 2, 3))
    with counting() as outer:
        statistics.proportion([1, 2, 3], 5)
        with counting() as inner:
            statistics.median(draws)
            statistics.paired_median_difference(draws, draws[::-1])
            statistics.hoeffding_mean(draws, 0, 1)
            statistics.quantile_of_law(stats.binom(10, [0.1, 0.2]))
    statistics.proportion(1, 2)
    assert (inner.count, outer.count) == (20, 23)


def test_refused_draws_do_not_count():
    with counting() as counter, pytest.raises(SetupError):
        statistics.median([1.0])
    assert counter.count == 0


def test_constructors_never_stamp_more_than_statistical():
    draws = np.random.default_rng(8).uniform(size=30)
    for value in (
        statistics.median(draws),
        statistics.prediction(draws),
        statistics.distribution_band(draws),
    ):
        assert value.grade == "statistical"
        assert "; " not in value.because  # the separator of reasons
