"""Certificates against exact arithmetic: the enclosure holds the truth, is tight, and trusts no solver."""

from __future__ import annotations

import itertools
import subprocess
import sys
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from verify import certify
from verify.certify import matrices
from verify.errors import CertificateError, NotAValueError
from verify.interval import Interval, exact, rounded

KINDS = ("max", "sum", "frobenius", "spectral", "nuclear", 1.5, 3.0, 7)
SMALLEST = 5e-324
EPSILON = 2.0**-52
few = settings(max_examples=40, deadline=None)

mpmath.mp.dps = 60


def entries(largest: float = 1e300) -> st.SearchStrategy[float]:
    """Small integers, where coincidences happen, and floats of every size."""
    wild = st.floats(-largest, largest, allow_nan=False)
    return st.one_of(st.integers(-3, 3).map(float), st.floats(-1, 1), wild)


@st.composite
def float_matrices(draw: st.DrawFn, most: int = 4, largest: float = 1e300) -> np.ndarray:
    shape = draw(st.tuples(st.integers(1, most), st.integers(1, most)))
    return draw(arrays(float, shape, elements=entries(largest)))


def exactly(number: float | int | Fraction) -> mpmath.mpf:
    fraction = Fraction(number)
    return mpmath.mpf(fraction.numerator) / fraction.denominator


def fractions(A: np.ndarray) -> np.ndarray:
    return np.array([Fraction(x) for x in A.ravel().tolist()], dtype=object).reshape(A.shape)


def assert_encloses(interval: Interval, truth: mpmath.mpf, relative: float) -> None:
    """It holds the truth (known to 50 digits), and nothing far from it."""
    slack = abs(truth) * mpmath.mpf(10) ** -50
    assert exactly(interval.lower) <= truth + slack
    assert truth - slack <= exactly(interval.upper)
    assert interval.upper - interval.lower <= relative * abs(float(truth)) + 2 * SMALLEST


# --- norms --------------------------------------------------------------------------------------------------


def true_norm(A: np.ndarray, kind: str | float) -> mpmath.mpf:
    """Entrywise norms of any matrix, the others by singular values to 60 digits."""
    magnitudes = [abs(exactly(x)) for x in A.ravel().tolist()]
    if kind == "max":
        return max(magnitudes)
    p = {"sum": 1, "frobenius": 2}.get(kind, kind)
    if not isinstance(p, str):
        return sum(m**p for m in magnitudes) ** (mpmath.mpf(1) / p)
    scale = max(magnitudes)
    if scale == 0:
        return scale
    scaled = [[exactly(x) / scale for x in row] for row in A.tolist()]
    values = mpmath.svd_r(mpmath.matrix(scaled), compute_uv=False)
    return scale * (max(values) if kind == "spectral" else sum(values))


@few
@given(float_matrices(), st.sampled_from(KINDS))
def test_norm_encloses_the_norm_tightly(A: np.ndarray, kind: str | float) -> None:
    assert_encloses(certify.norm(A, kind), true_norm(A, kind), 1e-13)


@few
@given(arrays(float, (2, 2), elements=entries()), st.sampled_from(["spectral", "nuclear"]))
def test_schatten_norms_of_2x2_in_closed_form(A: np.ndarray, kind: str) -> None:
    (a, b), (c, d) = fractions(A).tolist()
    squares, determinant = a * a + b * b + c * c + d * d, abs(a * d - b * c)
    nuclear = mpmath.sqrt(exactly(squares + 2 * determinant))
    spectral = (nuclear + mpmath.sqrt(exactly(squares - 2 * determinant))) / 2
    assert_encloses(certify.norm(A, kind), nuclear if kind == "nuclear" else spectral, 1e-13)


@pytest.mark.parametrize("kind", ["spectral", "nuclear"])
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (1, 4), (4, 1), (4, 4)])
def test_schatten_norms_of_diagonal_matrices(shape: tuple[int, int], kind: str) -> None:
    diagonal = [3.0, 1e-200, 0.0, 2.0**-20][: min(shape)]
    A = np.zeros(shape)
    np.fill_diagonal(A, diagonal)
    truth = max(diagonal) if kind == "spectral" else sum(map(Fraction, diagonal))
    assert_encloses(certify.norm(A, kind), exactly(truth), 1e-13)


@pytest.mark.parametrize("kind", ["spectral", "nuclear"])
def test_rank_one_of_generic_size(kind: str) -> None:
    u, v = np.arange(-3.0, 7.0), np.arange(25.0) - 11
    truth = mpmath.sqrt(int(u @ u) * int(v @ v))
    assert_encloses(certify.norm(np.outer(u, v), kind), truth, 1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_width_for_a_generic_matrix(kind: str | float) -> None:
    A = np.random.default_rng(0).standard_normal((10, 25))
    assert_encloses(certify.norm(A, kind), true_norm(A, kind), 1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exponent", [-1000, -300, 300, 1000])
def test_norm_scales_with_the_matrix(kind: str | float, exponent: int) -> None:
    A = np.random.default_rng(1).standard_normal((4, 6))
    plain, scaled = certify.norm(A, kind), certify.norm(np.ldexp(A, exponent), kind)
    assert scaled.lower == np.ldexp(plain.lower, exponent)
    assert scaled.upper == np.ldexp(plain.upper, exponent)


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_entries(kind: str | float) -> None:
    assert certify.norm(np.zeros((3, 2)), kind).upper == 0
    tiny = certify.norm(np.full((2, 2), SMALLEST), kind)
    assert SMALLEST <= tiny.upper <= 5 * SMALLEST
    huge = certify.norm(np.full((2, 2), 1.7e308), kind)
    assert huge.lower >= 1.7e308
    mixed = certify.norm(np.array([[1.7e308, SMALLEST], [1e-200, 1.0]]), kind)
    assert mixed.lower <= 1.7e308 <= mixed.upper <= 1.7e308 * (1 + 1e-13)


@few
@given(float_matrices(largest=1e100), st.sampled_from(KINDS), st.data())
def test_norm_of_an_interval_matrix_holds_every_member(
    A: np.ndarray, kind: str | float, data: st.DataObject
) -> None:
    radius = abs(A) * EPSILON * data.draw(st.integers(0, 2**40))
    enclosure = certify.norm(Interval(A - radius, A + radius, "numerical", "test"), kind)
    share = data.draw(arrays(float, A.shape, elements=st.floats(0, 1)))
    member = np.clip(A - radius + share * (2 * radius), A - radius, A + radius)
    assert enclosure.lower <= certify.norm(member, kind).upper
    assert certify.norm(member, kind).lower <= enclosure.upper
    assert enclosure.grade == "numerical"
    assert "test" in enclosure.because


@few
@given(float_matrices(largest=1e100), st.sampled_from(KINDS), st.data())
def test_duality(A: np.ndarray, kind: str | float, data: st.DataObject) -> None:
    B = data.draw(arrays(float, A.shape, elements=entries(1e100)))
    inner = abs(np.sum(fractions(A) * fractions(B)))
    bounds = certify.norm(A, kind).upper, certify.norm(B, certify.dual(kind)).upper
    # a product of norms below the smallest float is not the norms' fault
    assert inner <= Fraction(bounds[0]) * Fraction(bounds[1])


def test_duals() -> None:
    names = {
        "max": "sum",
        "sum": "max",
        "frobenius": "frobenius",
        "spectral": "nuclear",
        "nuclear": "spectral",
    }
    assert {kind: certify.dual(kind) for kind in names} == names
    assert certify.dual(3.0) == 1.5
    assert (certify.dual(1), certify.dual(2), certify.dual(float("inf"))) == ("max", "frobenius", "sum")
    conjugate = certify.dual(1.7)  # no float is the dual exponent of 1.7
    assert 1 / Fraction(1.7) + 1 / Fraction(conjugate) == 1
    assert certify.dual(conjugate) == 1.7


@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_is_its_matrices(kind: str | float) -> None:
    A = np.random.default_rng(2).standard_normal((2, 3, 4, 5)) * 10.0 ** np.arange(0, 300, 100)[:, None, None]
    A[0, 0] = 0
    together = certify.norm(A, kind)
    assert together.shape == (2, 3)
    for at in np.ndindex(2, 3):
        alone = certify.norm(A[at], kind)
        assert max(alone.lower, together.lower[at]) <= min(alone.upper, together.upper[at])
        assert together.upper[at] - together.lower[at] <= 2e-13 * alone.upper


def test_norms_of_integers_and_fractions_stay_exact() -> None:
    A = exact([[Fraction(1, 3), -2], [0, Fraction(1, 7)]])
    assert certify.norm(A, "max").upper == 2
    assert certify.norm(A, "sum").upper == 2 + Fraction(1, 3) + Fraction(1, 7)
    assert certify.norm(A, "sum").grade == "exact"
    assert certify.norm(A, "frobenius").grade == "rigorous"


def shaken(U: np.ndarray, s: np.ndarray, Vt: np.ndarray, error: float) -> list[np.ndarray]:
    return [x + error * np.cos(np.arange(x.size)).reshape(x.shape) for x in (U, s, Vt)]


def shrunk(U: np.ndarray, s: np.ndarray, Vt: np.ndarray, error: float) -> list[np.ndarray]:
    return [U, s * (1 - error), Vt]


def longer(U: np.ndarray, s: np.ndarray, Vt: np.ndarray, error: float) -> list[np.ndarray]:
    """The same product, of vectors that are too long."""
    return [U * (1 + error), s / (1 + error) ** 2, Vt * (1 + error)]


@pytest.mark.parametrize("kind", ["spectral", "nuclear"])
@pytest.mark.parametrize("error", [1e-9, 1e-3, 0.4])
@pytest.mark.parametrize("wrong", [shaken, shrunk, longer])
@pytest.mark.parametrize("A", [np.eye(4), np.random.default_rng(3).standard_normal((4, 6))])
def test_wrong_factors_only_widen(
    monkeypatch: pytest.MonkeyPatch, kind: str, error: float, wrong: Any, A: np.ndarray
) -> None:
    truth, right = true_norm(A, kind), np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda A, full_matrices: wrong(*right(A, full_matrices), error))
    try:
        assert_encloses(certify.norm(A, kind), truth, 20 * error)
    except CertificateError:
        assert wrong is not shrunk
        assert error == 0.4


def true_singular_values(A: np.ndarray) -> list[mpmath.mpf]:
    scale = max(abs(exactly(x)) for x in A.ravel().tolist()) or mpmath.mpf(1)
    scaled = mpmath.matrix([[exactly(x) / scale for x in row] for row in A.tolist()])
    return sorted((scale * value for value in mpmath.svd_r(scaled, compute_uv=False)), reverse=True)


@few
@given(float_matrices())
def test_singular_values_are_enclosed_and_the_largest_is_the_norm(A: np.ndarray) -> None:
    found, largest = certify.singular_values(A), certify.norm(A, "spectral")
    assert found.shape == (min(A.shape),)
    slack = exactly(largest.upper) * mpmath.mpf(10) ** -40
    for value, truth in zip(found, true_singular_values(A), strict=True):
        assert exactly(value.lower) - slack <= truth <= exactly(value.upper) + slack
        assert value.width <= 1e-12 * largest.upper + 4 * SMALLEST
    assert found[0].lower <= largest.upper
    assert largest.lower <= found[0].upper


@pytest.mark.parametrize("error", [1e-9, 1e-3, 0.4])
@pytest.mark.parametrize("wrong", [shaken, shrunk, longer])
def test_wrong_factors_only_widen_singular_values(
    monkeypatch: pytest.MonkeyPatch, error: float, wrong: Any
) -> None:
    A = np.random.default_rng(3).standard_normal((4, 6))
    truth, right = true_singular_values(A), np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda A, full_matrices: wrong(*right(A, full_matrices), error))
    try:
        for value, exact_value in zip(certify.singular_values(A), truth, strict=True):
            assert exactly(value.lower) <= exact_value <= exactly(value.upper)
    except CertificateError:
        assert wrong is not shrunk
        assert error == 0.4


def test_singular_values_of_stacks_and_intervals() -> None:
    A = np.random.default_rng(4).standard_normal((3, 5, 2))
    stacked = certify.singular_values(A)
    assert stacked.shape == (3, 2)
    assert np.array_equal(stacked.lower[1], certify.singular_values(A[1]).lower)
    wide = certify.singular_values(Interval(A[0] - 0.01, A[0] + 0.01, "numerical", "test"))
    assert wide.grade == "numerical"
    assert np.all(wide.lower <= stacked.lower[0])
    assert np.all(stacked.upper[0] <= wide.upper)
    assert certify.singular_values(np.zeros((2, 3))).upper.tolist() == [0.0, 0.0]


def test_radii_of_full_rank() -> None:
    around_zero = Interval(-np.eye(9), np.eye(9), "rigorous", "test")
    assert 9 <= certify.norm(around_zero, "nuclear").upper <= 9.1
    assert 1 <= certify.norm(around_zero, "spectral").upper <= 3.1


@pytest.mark.parametrize("bad", [0.5, "trace", float("nan")])
def test_unknown_norms(bad: str | float) -> None:
    with pytest.raises(NotAValueError, match="norm"):
        certify.norm(np.eye(2), bad)


@pytest.mark.parametrize("bad", [np.ones(3), np.ones((0, 2)), [[float("inf")]], [[float("nan")]]])
def test_what_is_no_matrix(bad: np.ndarray) -> None:
    with pytest.raises(NotAValueError):
        certify.norm(bad, "spectral")


# --- products -----------------------------------------------------------------------------------------------


@pytest.fixture(params=["balls", "a priori"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to bound a product, the second in blocks of one row."""
    if request.param == "a priori":
        monkeypatch.setattr(matrices, "BALL_OPERATIONS", 0)
        monkeypatch.setattr(matrices, "BLOCK_ENTRIES", 1)
    return str(request.param)


@pytest.mark.parametrize("seed", range(20))
def test_product_against_fractions(way: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m, k = rng.integers(1, 6, 3)
    A, B = (
        rng.standard_normal(shape) * 10.0 ** rng.choice([0, 0, -160, 150], shape)
        for shape in ((n, m), (m, k))
    )
    truth, size = fractions(A) @ fractions(B), fractions(abs(A)) @ fractions(abs(B))
    result = certify.product(A, B)
    assert result.grade == "rigorous"
    for at in np.ndindex(truth.shape):
        low, up = result.lower[at], result.upper[at]
        assert low <= truth[at] <= up
        if abs(truth[at]) > 2.0**-900 and np.isfinite([low, up]).all():
            tolerance = EPSILON * abs(truth[at]) if way == "balls" else (m + 3) * EPSILON * size[at]
            assert Fraction(up) - Fraction(low) <= tolerance * Fraction(101, 100)


def test_product_of_intervals_holds_products_of_members(way: str) -> None:
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((4, 3)), rng.standard_normal((3, 2))
    left, right = (
        Interval(A - 1e-3, A + 1e-3, "rigorous", "left"),
        Interval(B, B + 1e-6, "numerical", "right"),
    )
    result = certify.product(left, right)
    assert result.grade == "numerical"
    assert "left" in result.because
    assert "right" in result.because
    for signs in itertools.product((-1, 1), repeat=3):
        member = fractions(A + 0.99e-3 * np.array(signs)) @ fractions(B + 0.5e-6)
        assert (result.lower <= member).all()
        assert (member <= result.upper).all()
    assert (result.upper - result.lower <= 2.1e-3 * abs(B).sum(0) + 2e-6 * abs(A).sum(1)[:, None]).all()


def test_product_of_wide_intervals_is_attained(way: str) -> None:
    """Signs about zero: the members' products fill [-m, m], and only the product of the radii says so."""
    left, right = (Interval(-np.ones(s), np.ones(s), "rigorous", "signs") for s in ((2, 3), (3, 2)))
    result = certify.product(left, right)
    assert (result.lower <= -3).all()
    assert (result.upper >= 3).all()
    assert np.abs([result.lower, result.upper]).max() == pytest.approx(
        3, rel=2**-26
    )  # radii of balls have 30 bits


def test_integers_and_overflow(way: str) -> None:
    A = np.arange(6.0).reshape(2, 3)
    result = certify.product(A, A.T)
    assert (result.lower <= A @ A.T).all()
    assert (result.upper >= A @ A.T).all()
    if way == "balls":
        assert (result.lower == result.upper).all()
    over = certify.product(np.full((1, 2), 1e200), np.array([[1e200], [-1e200]]))
    assert over.lower[0, 0] <= 0 <= over.upper[0, 0]
    whole = certify.product(exact([[1, 2]]), exact([[Fraction(1, 3)], [1]]))
    assert whole.lower[0, 0] == Fraction(7, 3)
    assert whole.grade == "exact"


def test_large_product() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((50_000, 9)), rng.standard_normal((9, 5))
    result = certify.product(A, B)
    assert np.max(result.width) <= 40 * EPSILON * np.max(abs(A) @ abs(B))
    for i in (0, 17, 49_999):
        truth = fractions(A[[i]]) @ fractions(B)
        assert (result.lower[i] <= truth[0]).all()
        assert (truth[0] <= result.upper[i]).all()


def test_shapes_of_a_product() -> None:
    with pytest.raises(NotAValueError, match="shapes"):
        certify.product(np.eye(2), np.eye(3))
    with pytest.raises(NotAValueError, match="shape"):
        certify.product(np.zeros((2, 2, 2)), np.eye(2))


# --- smallest eigenvalue ------------------------------------------------------------------------------------


@few
@given(st.integers(1, 3), st.data())
def test_smallest_eigenvalue_against_the_characteristic_polynomial(n: int, data: st.DataObject) -> None:
    A = data.draw(arrays(float, (n, n), elements=st.one_of(st.integers(-4, 4).map(float), st.floats(-9, 9))))
    S = np.tril(A) + np.tril(A, -1).T
    result = certify.smallest_eigenvalue(S)
    width = result.upper - result.lower
    assert width <= 1e-13 * np.abs(S).max() + 2 * SMALLEST
    # no root of the characteristic polynomial below the lower end, and one at or below the upper end
    assert is_positive_semidefinite(fractions(S), Fraction(result.lower))
    step = Fraction(max(width, SMALLEST))
    assert not is_positive_semidefinite(fractions(S), Fraction(result.upper) + step)


def is_positive_semidefinite(S: np.ndarray, shift: Fraction) -> bool:
    """S - shift I >= 0: every principal minor is nonnegative."""
    n = len(S)
    T = S - shift * np.array([[Fraction(int(i == j)) for j in range(n)] for i in range(n)], dtype=object)
    subsets = itertools.chain.from_iterable(itertools.combinations(range(n), k) for k in range(1, n + 1))
    return all(determinant(T[np.ix_(subset, subset)]) >= 0 for subset in subsets)


def determinant(T: np.ndarray) -> Fraction:
    if len(T) == 1:
        return T[0, 0]
    minors = (np.delete(np.delete(T, 0, 0), j, 1) for j in range(len(T)))
    return sum(((-1) ** j * T[0, j] * determinant(minor) for j, minor in enumerate(minors)), Fraction(0))


def test_positive_definite_of_size_50() -> None:
    A = np.random.default_rng(0).standard_normal((50, 60))
    S = A @ A.T
    result = certify.smallest_eigenvalue((S + S.T) / 2)
    assert result.lower > 0
    assert result.width <= 1e-12 * np.linalg.norm(S, 2)
    low, up = np.ldexp(result.lower, -300), np.ldexp(result.upper, -300)
    scaled = certify.smallest_eigenvalue(np.ldexp((S + S.T) / 2, -300))
    assert max(low, scaled.lower) <= min(up, scaled.upper)


def test_interval_and_exact_matrices() -> None:
    third = exact([[Fraction(1, 3), 0], [0, 1]])
    assert_encloses(certify.smallest_eigenvalue(third), mpmath.mpf(1) / 3, 4e-16)
    S = np.diag([1.0, 2.0])
    wide = certify.smallest_eigenvalue(Interval(S - 0.1, S + 0.1, "numerical", "test"))
    assert wide.lower <= 0.9 - 0.01
    assert wide.upper >= 1.1 - 1e-12
    assert wide.lower >= 0.79
    assert wide.grade == "numerical"
    assert certify.smallest_eigenvalue(np.zeros((3, 3))).upper == 0
    with pytest.raises(NotAValueError, match="symmetric"):
        certify.smallest_eigenvalue(np.array([[1.0, 2.0], [0.0, 1.0]]))


@pytest.mark.parametrize("vectors", [np.eye(2), np.ones((2, 2)), np.array([[3.0, 1.0], [-2.0, 1.0]])])
def test_wrong_eigenvectors_only_widen(monkeypatch: pytest.MonkeyPatch, vectors: np.ndarray) -> None:
    monkeypatch.setattr(np.linalg, "eigh", lambda S: (np.zeros(2), vectors))
    for off_diagonal in (1.0, 3.0):  # eigenvalues 2 + and - that
        result = certify.smallest_eigenvalue(np.array([[2.0, off_diagonal], [off_diagonal, 2.0]]))
        assert result.lower <= 2 - off_diagonal <= result.upper


# --- numbers ------------------------------------------------------------------------------------------------


@few
@given(arrays(float, st.integers(1, 30), elements=st.floats(-1e300, 1e300)))
def test_convex_weights(weights: np.ndarray) -> None:
    assume(weights.max() > 0)
    result = certify.convex_weights(weights)
    assert (result >= 0).all()
    assert sum(map(Fraction, result.tolist())) == 1
    clipped = [max(Fraction(w), 0) for w in weights.tolist()]
    truth = np.array([float(w / sum(clipped)) for w in clipped])
    assert np.abs(result - truth).max() <= 40 * EPSILON
    # subsets are summed without rounding
    assert Fraction(float(result[::2].sum())) == sum(map(Fraction, result[::2].tolist()))


def test_no_weights() -> None:
    with pytest.raises(CertificateError, match="positive"):
        certify.convex_weights([-1.0, 0.0])
    with pytest.raises(NotAValueError, match="finite"):
        certify.convex_weights([1.0, float("nan")])


def test_bracket() -> None:
    lower, upper = Interval(1.0, 1.1, "rigorous", "primal"), rounded(2.0, 5, 2.0)
    result = certify.bracket(lower, upper, "weak duality")
    assert (result.lower, result.upper) == (1.0, upper.upper)
    assert (result.grade, result.because) == ("numerical", "weak duality")
    assert certify.bracket(exact(1), exact(2), "known").grade == "rigorous"
    assert certify.bracket(exact(2), exact(2), "known").grade == "exact"
    assert certify.bracket(0, exact(2), "known").lower == 0


def test_a_crossed_bracket_names_both_bounds() -> None:
    with pytest.raises(CertificateError, match=r"duality.*3\.0 \(from W\).*2\.0 \(from the multipliers\)"):
        certify.bracket(
            Interval(np.array([0.0, 3.0]), np.array([0.5, 3.5]), "rigorous", "from W"),
            Interval(np.array([1.0, 1.0]), np.array([2.0, 2.0]), "rigorous", "from the multipliers"),
            "duality",
        )


@few
@given(st.floats(-700, 700), st.sampled_from(["exp", "log", "sqrt"]))
def test_elementary_functions(x: float, name: str) -> None:
    x = x if name == "exp" else abs(x)
    assume(name != "log" or x > 0)
    truth = getattr(mpmath, name)(mpmath.mpf(x))
    assert_encloses(getattr(certify, name)(x), truth, 5e-16)
    assert_encloses(certify.evaluate(lambda t: getattr(t, name)(), x), truth, 1e-15)


def test_elementary_functions_of_arrays_and_intervals() -> None:
    x = Interval(np.array([0.0, 1.0, -800.0]), np.array([0.5, 800.0, -800.0]), "numerical", "test")
    result = certify.exp(x)
    assert result.shape == (3,)
    assert result.lower[0] == 1
    assert np.isinf(result.upper[1])
    assert 0 <= result.lower[2] < 1e-300
    assert (result.grade, result.because) == ("numerical", "exp in balls; test")
    assert certify.exp(0).upper == 1
    assert certify.sqrt(exact([4, 9])).lower.tolist() == [2.0, 3.0]
    assert_encloses(certify.log(Fraction(1, 3)), -mpmath.log(3), 3e-16)
    with pytest.raises(NotAValueError, match="below"):
        certify.log(Interval(0.0, 1.0, "rigorous", "test"))
    with pytest.raises(NotAValueError, match="below"):
        certify.sqrt(-1)


def test_evaluate() -> None:
    # 1 - cos(x) cancels almost every digit, and the precision is raised until enough are left
    x = Fraction(1, 10**40)
    assert_encloses(certify.evaluate(lambda t: 1 - t.cos(), x, digits=10), exactly(x * x / 2), 1e-15)
    zero = certify.evaluate(lambda t: t.cos() ** 2 + t.sin() ** 2 - 1, 1)
    assert zero.lower <= 0 <= zero.upper < 1e-60
    wide = certify.evaluate(lambda t: t.sin(), Interval(0.0, 1.0, "statistical", "test"))
    assert wide.grade == "statistical"
    assert wide.lower <= 0
    assert wide.upper >= 0.84
    assert certify.evaluate(lambda: 3).grade == "rigorous"


@given(st.fractions(min_value=Fraction(1, 10**6), max_value=10**6))
@few
def test_root_encloses_a_square_root(number: Fraction) -> None:
    truth = mpmath.sqrt(exactly(number))
    assert_encloses(certify.root(lambda x, a: x * x - a, 0, 1 + number, number), truth, 4 * EPSILON)
    assert_encloses(certify.root(lambda x, a: a - x * x, 0, 1 + number, number), truth, 4 * EPSILON)


def test_root_trusts_nothing_but_a_sign_change() -> None:
    wide = certify.root(lambda x, a: x.exp() - a, 0, 2, Interval(2.0, 3.0, "statistical", "test"))
    assert wide.grade == "statistical"
    assert wide.lower == pytest.approx(np.log(2))
    assert wide.upper == pytest.approx(np.log(3))
    sharp = certify.root(lambda x: x - 1, 0, 3)  # a zero that is a float
    assert sharp.lower <= 1 <= sharp.upper
    assert sharp.width <= 2 * EPSILON
    for low, high in ((0, 1), (2, 1), (1, 3)):
        with pytest.raises(CertificateError, match="no sign change"):
            certify.root(lambda x: x - 1, low, high)
    with pytest.raises(NotAValueError):
        certify.root(lambda x, a: x - a, 0, 1, np.ones(2))
    with pytest.raises(NotAValueError, match="left ball arithmetic"):
        certify.root(float, 0, 1)


def test_evaluate_refuses_what_is_no_enclosure() -> None:
    with pytest.raises(NotAValueError, match="left ball arithmetic"):
        certify.evaluate(float, 2)
    with pytest.raises(CertificateError, match="no enclosure"):
        certify.evaluate(lambda t: t.log(), -1)
    with pytest.raises(NotAValueError, match="scalars"):
        certify.evaluate(lambda t: t, np.ones(2))


def test_identity() -> None:
    result = certify.identity("(a + b)**2", "a**2 + 2*a*b + b**2")
    assert (result.lower, result.upper, result.grade) == (0, 0, "exact")
    with pytest.raises(CertificateError, match=r"a\*b"):
        certify.identity("(a + b)**2", "a**2 + b**2")
    with pytest.raises(NotAValueError, match="floats"):
        certify.identity("0.1 + 0.2", "0.3")


# --- linear programs ----------------------------------------------------------------------------------------


def solve(c: np.ndarray, A: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    from scipy.optimize import linprog

    result = linprog(c, A_ub=-A, b_ub=-b, method="highs")
    return (result.x, -result.ineqlin.marginals) if result.status == 0 else None


def best_vertex(c: np.ndarray, A: np.ndarray, b: np.ndarray) -> Fraction | None:
    """The least cost over all vertices, by Cramer's rule in exact arithmetic."""
    n = len(c)
    rows = np.vstack([fractions(A.astype(float)), fractions(np.eye(n))])
    right = np.concatenate([fractions(b.astype(float)), np.array([Fraction(0)] * n, dtype=object)])
    values = []
    for chosen in itertools.combinations(range(len(rows)), n):
        basis, bound = rows[list(chosen)], right[list(chosen)]
        if (whole := determinant(basis)) == 0:
            continue
        replaced = (np.column_stack([basis[:, :j], bound, basis[:, j + 1 :]]) for j in range(n))
        x = np.array([determinant(matrix) / whole for matrix in replaced], dtype=object)
        if (rows @ x >= right).all():
            values.append(c @ x)
    return min(values, default=None)


@few
@given(st.integers(1, 3), st.integers(1, 3), st.data())
def test_linear_program_is_solved_exactly(n: int, m: int, data: st.DataObject) -> None:
    integers = st.integers(-4, 4)
    A = data.draw(arrays(int, (m, n), elements=integers))
    b = data.draw(arrays(int, m, elements=integers))
    c = data.draw(arrays(int, n, elements=st.integers(0, 4)))
    truth = best_vertex(c, A, b)
    found = solve(c, A, b)
    assert (truth is None) == (found is None)
    if found is not None:
        noise = 1e-10 * np.cos(np.arange(n + m))
        result = certify.linear_program(c, A, b, found[0] + noise[:n], found[1] + noise[n:])
        assert (result.lower, result.upper, result.grade) == (truth, truth, "exact")


@pytest.mark.parametrize("seed", range(3))
def test_linear_program_of_floats(seed: int) -> None:
    rng = np.random.default_rng(seed)
    A, c = rng.standard_normal((20, 12)), rng.random(12) + 0.1
    b = A @ rng.random(12) - 0.2 * rng.random(20)
    x, y = solve(c, A, b)
    result = certify.linear_program(c, A, b, x, y)
    assert result.grade == "exact"
    assert float(result.upper) == pytest.approx(c @ x, rel=1e-9)


def test_long_fractions_are_rounded_outward(monkeypatch: pytest.MonkeyPatch) -> None:
    from verify.certify import programs

    monkeypatch.setattr(programs, "LONGEST", 1)
    result = certify.linear_program([1], [[3]], [1], [1 / 3], [1 / 3])
    assert_encloses(result, mpmath.mpf(1) / 3, 3e-16)
    assert result.grade == "rigorous"


def test_a_loose_linear_program_is_wide() -> None:
    # min x + y, x + 2 y >= 3, 2 x + y >= 3: optimum 2 at (1, 1)
    A, b = [[1, 2], [2, 1]], [3, 3]
    result = certify.linear_program([1, 1], A, b, [2.0, 2.0], [0.25, 0.25])
    assert (result.lower, result.upper, result.grade) == (Fraction(3, 2), 4, "rigorous")


def test_a_vertex_with_a_negative_entry_is_no_point() -> None:
    # x1 + x2 >= 1 and x1 >= 1 + tiny look active together, where they meet x2 is -tiny
    bound = 1 + Fraction(1, 10**11)
    result = certify.linear_program([1, 2], [[1, 1], [1, 0]], [1, bound], [1.0, 1.5e-9], [0.0, 1.0])
    assert result.lower == bound <= result.upper <= 1 + 1e-8


def test_points_that_cannot_be_repaired() -> None:
    A, b = [[1, 2], [2, 1]], [3, 3]
    with pytest.raises(CertificateError, match="primal"):
        certify.linear_program([1, 1], A, b, [0.2, 0.1], [0.3, 0.3])
    with pytest.raises(CertificateError, match="dual"):
        certify.linear_program([1, 1], A, b, [1.0, 1.0], [5.0, 0.3])
    with pytest.raises(NotAValueError, match=r"A \(m, n\)"):
        certify.linear_program([1, 1], A, b, [1.0], [5.0, 0.3])
    with pytest.raises(NotAValueError, match="exact coefficients"):
        certify.linear_program(rounded([1.0, 1.0], 1, 1.0), A, b, [1.0, 1.0], [0.3, 0.3])


# --- the package --------------------------------------------------------------------------------------------


def test_importing_loads_no_heavy_package() -> None:
    code = "import sys, verify.certify; print(sorted({'flint', 'sympy', 'scipy', 'jax'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_maximum_margin_bracket() -> None:
    """The certificate of a margin program: any W from below, any convex weights from above."""
    rng = np.random.default_rng(0)
    X, labels = rng.standard_normal((12, 20)), np.arange(12) % 3
    W = np.linalg.lstsq(X, 3 * np.eye(3)[labels] - 1, rcond=None)[0].T
    others = np.array([[c for c in range(3) if c != label] for label in labels])
    logits = certify.product(X, W.T)
    rows = np.arange(12)[:, None]
    margin = logits[rows, labels[:, None]] - logits[rows, others]
    weights = certify.convex_weights(rng.random((12, 2)))
    C = np.zeros((12, 3))
    C[rows, others] -= weights
    C[np.arange(12), labels] += weights.sum(1)
    for kind in KINDS:
        lower = margin.smallest() / certify.norm(W, kind)
        upper = certify.norm(certify.product(C.T, X), certify.dual(kind))
        assert certify.bracket(lower, upper, "duality").grade == "rigorous"
        with pytest.raises(CertificateError, match="duality"):
            certify.bracket(upper * 1.5, lower, "duality")


@few
@given(st.fractions(), st.integers(-1200, 1200))
def test_balls_come_back_as_the_tightest_floats(x: Fraction, exponent: int) -> None:
    from flint import ctx

    from verify.certify import _balls

    x *= Fraction(2) ** exponent
    with ctx.workprec(_balls.BITS):
        low, up = _balls.ends(_balls.ball(x))
    assert (low if np.isfinite(low) else -np.inf) <= x <= up
    if Fraction(2) ** -1022 < abs(x) < Fraction(2) ** 1024 * (1 - Fraction(2) ** -53):
        assert up - low <= 3e-16 * max(abs(low), abs(up))


# --- zeros ------------------------------------------------------------------------------------------------


def test_zero_encloses_a_zero_and_says_that_there_is_one():
    found = certify.zero(
        lambda x: ([x[0] * x[0] - 2, x[0] * x[1] - 1], [[2 * x[0], 0], [x[1], x[0]]]), [1.4, 0.7]
    )
    assert found.grade == "rigorous"
    assert np.all(found.lower**2 <= [2, 0.5 * (1 + 1e-15)])
    assert np.all(found.upper**2 >= [2, 0.5 * (1 - 1e-15)])
    assert np.max(found.width) < 1e-15


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_zero_of_a_linear_system_solves_it(seed, n):
    rng = np.random.default_rng(seed)
    A, x = rng.integers(-9, 10, size=(n, n)) + 30 * np.eye(n, dtype=int), rng.integers(-9, 10, size=n)
    b = (A @ x).tolist()

    def system(unknowns):
        from flint import arb

        rows = [[arb(int(a)) for a in row] for row in A]
        values = [
            sum(a * u for a, u in zip(row, unknowns, strict=True)) - c for row, c in zip(rows, b, strict=True)
        ]
        return values, rows

    found = certify.zero(system, x + 1e-3 * rng.normal(size=n))
    assert np.all((found.lower <= x) & (x <= found.upper))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ([x[0] * x[0] + 1], [[2 * x[0]]]),  # no zero
        lambda x: ([x[0] * x[0]], [[2 * x[0]]]),  # a double one
        lambda x: ([x[0] - 1], [[0 * x[0]]]),  # wrong derivatives
    ],
)
def test_zero_refuses_what_is_not_certain(function):
    with pytest.raises(CertificateError, match="no zero is certain"):
        certify.zero(function, [0.3])


def test_zero_needs_a_square_system():
    with pytest.raises(NotAValueError, match="square system"):
        certify.zero(lambda x: ([x[0]], [[1, 2]]), [0.0, 1.0])
    with pytest.raises(NotAValueError, match="vector"):
        certify.zero(lambda x: (x, [[1]]), 0.0)
