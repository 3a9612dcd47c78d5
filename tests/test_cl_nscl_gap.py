"""Contrastive losses: the library functions, and the helpers against definitions written once more."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from claims.cl_nscl_gap import (
    _collapse,
    _embeddings,
    _encoder,
    _few_shot,
    _free,
    _program,
    corollary_optimiser,
    directional_variance_decides,
    few_shot_bound,
    gap_bound,
    narrow_dimension_descent,
    nscl_minimiser_etf,
    trained_encoder_tracking,
    ufm_gap_decay,
    world,
)
from verify import Record, certify, exact, rounded, stack, statistics, train

many = settings(max_examples=60, deadline=None)
few = settings(max_examples=20, deadline=None)


@st.composite
def labelled(draw, balanced=False):
    """(embeddings (N, K, d), labels (N,), temperature), at least two classes."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    sizes = [sizes[0]] * len(sizes) if balanced else sizes
    shape = sum(sizes), draw(st.integers(1, 3)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shift = draw(st.sampled_from([0.0, 1.0, 50.0]))
    centres = np.repeat(rng.normal(size=(len(sizes), shape[2])), sizes, axis=0)[:, None]
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return rng.normal(size=shape) + shift * centres, labels, draw(st.sampled_from([0.1, 0.5, 1.0, 3.0]))


def by_definition(z, labels, temperature):
    """Both losses, term by term."""
    N, K, _ = z.shape
    unit = [[v / np.sqrt(v @ v) for v in views] for views in z]
    cl = nscl = 0.0
    for i, l1, l2 in itertools.product(range(N), range(K), range(K)):
        here = unit[i][l1]
        weight = {
            j: sum(math.exp(here @ unit[j][k] / temperature) for k in range(K)) for j in range(N) if j != i
        }
        positive = here @ unit[i][l2] / temperature
        cl += math.log(sum(weight.values())) - positive
        nscl += math.log(sum(w for j, w in weight.items() if labels[j] != labels[i])) - positive
    return cl / (K * K * N), nscl / (K * K * N)


# --- library functions ------------------------------------------------------------------------------------------


@many
@given(labelled())
def test_losses_are_their_definition(case):
    assert world.losses(*case) == pytest.approx(by_definition(*case), rel=1e-12, abs=1e-12)


@many
@given(labelled())
def test_the_gap_is_between_zero_and_the_bound(case):
    z, labels, temperature = case
    cl, nscl = world.losses(z, labels, temperature)
    assert -1e-12 <= cl - nscl <= world.gap_bound(np.bincount(labels), temperature) + 1e-12


@few
@given(labelled(), st.integers(0, 1000), st.floats(0.1, 100))
def test_losses_ignore_scale_rotation_order_and_names(case, seed, scale):
    z, labels, temperature = case
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(z.shape[2],) * 2))[0]
    order = rng.permutation(len(labels))
    names = rng.permutation(100)[: labels.max() + 1]
    moved = world.losses((scale * z @ rotation)[order], names[labels[order]], temperature)
    assert moved == pytest.approx(world.losses(z, labels, temperature), abs=1e-11)


@pytest.mark.parametrize(("n", "views", "temperature"), [(2, 1, 1.0), (5, 2, 0.5), (20, 1, 2.0)])
def test_opposite_classes_attain_the_bound_with_one_sample_less(n, views, temperature):
    z = world.collapsed(np.array([[1.0], [-1.0]]), (n, n), views)
    cl, nscl = world.losses(z, world.balanced(2, n), temperature)
    assert cl - nscl == pytest.approx(math.log1p((n - 1) / n * math.exp(2 / temperature)), rel=1e-13)


def test_low_temperatures_do_not_overflow():
    z = world.collapsed(np.array([[1.0], [-1.0]]), (2, 2), 1)
    cl, nscl = world.losses(z, [0, 0, 1, 1], 1e-3)
    assert cl - nscl == pytest.approx(2000 + math.log(1 / 2), rel=1e-13)
    assert world.losses(z, [0, 0, 1, 1]) == world.losses(z, [0, 0, 1, 1], 1.0)


def test_bounds_as_computed_by_hand():
    for classes, bound in ((2, 2.127), (5, 1.046), (10, 0.599), (20, 0.329), (50, 0.141), (100, 0.072)):
        assert world.gap_bound([7] * classes) == pytest.approx(bound, abs=6e-4)
    assert world.gap_bound([1, 8]) == pytest.approx(4.096, abs=6e-4)
    assert world.gap_bound([3, 3], 1e-3) == pytest.approx(2000)  # no overflow


def test_huge_and_tiny_vectors_have_directions():
    z = np.array([[[1e300, 1e300]], [[1e-300, -1e-300]], [[1.0, 0.0]]])
    same = np.array([[[1.0, 1.0]], [[1.0, -1.0]], [[1.0, 0.0]]])
    assert world.losses(z, [0, 1, 1]) == pytest.approx(world.losses(same, [0, 1, 1]))


GOOD = np.ones((3, 2, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((3, 2)), [0, 1, 1]), r"\(N, K, d\)"),
        ((np.ones((3, 0, 2)), [0, 1, 1]), "non-empty"),
        (("text", [0]), "array of numbers"),
        ((GOOD, [0, 1]), r"shape \(3,\)"),
        ((GOOD, [0, 0, 1, 1, 1, 1]), "not one a view"),
        ((GOOD, [1, 1, 1]), "one class only"),
        ((GOOD, [0.5, 1, 1]), "integers"),
        ((GOOD, [0, 1, 1], 0.0), "temperature"),
        ((GOOD, [0, 1, 1], float("nan")), "temperature"),
        ((GOOD, [0, 1, 1], True), "temperature"),
        ((np.where(np.arange(12).reshape(3, 2, 2) == 7, np.nan, 1.0), [0, 1, 1]), "view 1 of sample 1"),
        ((GOOD * np.array([1, 1, 0])[:, None, None], [0, 1, 1]), "no direction"),
    ],
)
def test_losses_refuse_what_has_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        world.losses(*arguments)


@pytest.mark.parametrize("sizes", [[5], [], [3, 0], [2.5, 2], [[2, 2]], [3, -1]])
def test_the_bound_refuses_what_are_no_class_sizes(sizes):
    with pytest.raises(ValueError, match="class_sizes"):
        world.gap_bound(sizes)


# --- helpers ------------------------------------------------------------------------------------------------------


@few
@given(labelled())
def test_the_gradient_of_the_gap(case):
    z, labels, temperature = case
    see = world.relations(labels, z.shape[1])
    flat, direction = (
        z.reshape(-1, z.shape[2]),
        np.random.default_rng(0).normal(size=(z.shape[0] * z.shape[1], z.shape[2])),
    )
    step = 1e-6 * np.abs(flat).max()
    up, down = (
        _embeddings.gap_and_gradient(flat + s * step * direction, see, temperature)[0] for s in (1, -1)
    )
    slope = (_embeddings.gap_and_gradient(flat, see, temperature)[1] * direction).sum()
    assert (up - down) / (2 * step) == pytest.approx(slope, rel=1e-4, abs=1e-4 / np.abs(flat).min())


@many
@given(labelled(balanced=True))
def test_the_excess_is_the_sum_of_its_terms(case):
    z, labels, temperature = case
    C, n = int(labels.max()) + 1, int((labels == 0).sum())
    terms = _collapse.terms(z, labels, temperature)
    right = terms.jensen.mean() + (terms.views + (terms.within + C * terms.centre) / (C - 1)) / temperature
    excess = (
        world.losses(z, labels, temperature)[1] - world.smallest_nscl(C, n, z.shape[1], temperature).middle
    )
    assert excess == pytest.approx(right, rel=1e-10, abs=1e-10)


@many
@given(labelled())
@example((np.array([1.0] * 59 + [-1.0])[:, None, None], np.array([0] * 30 + [1] * 30), 1.0))
def test_the_spread_is_bounded_by_the_jensen_gap(case):
    terms, R = _collapse.terms(*case), 2 / case[2]
    assert np.all(terms.spread <= R**2 / (R - 1 + math.exp(-R)) * terms.jensen + 1e-9)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_simplices(count):
    expected = np.full((count, count), -1 / (count - 1)) + np.eye(count) * (1 + 1 / (count - 1))
    for points in (world.simplex(count), world.tight_simplex(count)):
        np.testing.assert_allclose(points @ points.T, expected, atol=1e-14)
    assert world.tight_simplex(count).shape == (count, count - 1)


def test_descent_moves_along_the_gradient_of_the_loss():
    labels, rng = world.balanced(3, 2), np.random.default_rng(1)
    path = _free.descend(rng, labels, 2, 4, 0.5, "nscl", steps=60, keep=60)
    losses = [world.losses(z, labels, 0.5)[1] for z in path.embeddings]
    assert np.all(np.diff(losses) < 1e-12)
    assert np.allclose(np.linalg.norm(path.last, axis=2), 1)


def test_the_program_certifies_two_opposite_points():
    found = _program.smallest(np.array([0, 1]), 1, 1.0)
    assert found.value.lower <= -2 <= found.value.upper
    assert found.value.width < 1e-5
    assert found.gram[0, 1] == pytest.approx(-1, abs=1e-5)


# --- few shots ------------------------------------------------------------------------------------------------------


@st.composite
def two_point_classes(draw):
    d, classes = draw(st.integers(1, 3)), draw(st.integers(2, 3))
    point = st.lists(st.integers(-9, 9), min_size=d, max_size=d)
    pairs = st.lists(st.lists(point, min_size=2, max_size=2), min_size=classes, max_size=classes)
    chances = st.lists(st.integers(1, 19), min_size=classes, max_size=classes)
    return draw(pairs), [Fraction(x, 20) for x in draw(chances)]


@few
@given(two_point_classes())
def test_the_error_counts_every_draw_of_centres(case):
    points, chances = case
    try:
        one = _few_shot.instance("drawn", points, chances)
    except ValueError:
        return
    shots, total = 2, Fraction(0)
    classes = range(len(chances))
    for draws in itertools.product(itertools.product((0, 1), repeat=shots), repeat=len(chances)):
        weight = math.prod(chances[c] if x == 0 else 1 - chances[c] for c in classes for x in draws[c])
        centres = [
            sum(_few_shot.fractions(points[c][x]) for x in draws[c]) / Fraction(shots) for c in classes
        ]
        for i, x in itertools.product(classes, (0, 1)):
            distances = [((_few_shot.fractions(points[i][x]) - centre) ** 2).sum() for centre in centres]
            wrong = any(distances[j] <= distances[i] for j in classes if j != i)
            total += weight * (chances[i] if x == 0 else 1 - chances[i]) * wrong
    assert _few_shot.error(one, shots) == total / len(chances)


@few
@given(two_point_classes())
def test_moments_are_those_of_the_law(case):
    points, chances = case
    try:
        one = _few_shot.instance("drawn", points, chances)
    except ValueError:
        return
    law = [
        [(p, _few_shot.fractions(a) - mean), (1 - p, _few_shot.fractions(b) - mean)]
        for (a, b), p, mean in zip(points, chances, one.means, strict=True)
    ]
    for k, (i, j) in enumerate(itertools.permutations(range(len(chances)), 2)):
        delta, m = one.means[j] - one.means[i], one.moments
        assert m.distance2[k] == delta @ delta
        for c, along, variance, square, fourth in (
            (i, m.along, m.own, m.own2, m.fourth), (j, m.along_other, m.other, m.other2, m.fourth_other),
        ):  # fmt: skip
            assert along[k] == sum(p * (u @ delta) ** 2 for p, u in law[c])
            assert variance[k] == sum(p * (u @ u) for p, u in law[c])
            assert square[k] == sum(p * q * (u @ w) ** 2 for p, u in law[c] for q, w in law[c])
            assert fourth[k] == sum(p * (u @ u) ** 2 for p, u in law[c]) - variance[k] ** 2
        assert m.mixed[k] == sum(p * q * (u @ w) ** 2 for p, u in law[i] for q, w in law[j])


def test_a_rare_point_at_the_middle_nearly_attains_the_one_sided_bound():
    p = Fraction(1, 10_001)
    one = _few_shot.instance("rare", _few_shot.outlier(p), (p, Fraction(1, 2)))
    bound = _few_shot.one_sided(one, 60)
    assert bound.lower > 0
    assert 0.95 < float(_few_shot.error(one, 60)) / bound.middle <= 1


def test_classes_of_one_mean_are_refused():
    with pytest.raises(ValueError, match="mean"):
        _few_shot.instance("same", [[[1], [-1]], [[2], [-2]]], [Fraction(1, 2)] * 2)


def test_certified_and_plain_bounds_agree():
    certified = world.certified_bound(Fraction(8, 1), 0.5)
    assert certified.lower - 1e-14 <= world.gap_bound([8, 1], 0.5) <= certified.upper + 1e-14
    assert certify.log(2).lower <= math.log(2) + 1e-16


# --- bounds and certificates --------------------------------------------------------------------------------------


def agrees(value, expected, relative=1e-12):
    """Both ends of a value; twelve digits are left of float64 after some hundred operations."""
    np.testing.assert_allclose(np.array(value.lower, dtype=float), expected, rtol=relative)
    np.testing.assert_allclose(np.array(value.upper, dtype=float), expected, rtol=relative)


@pytest.mark.parametrize("shape", [(20, 5, 1), (5, 20, 1), (2, 1, 500)])
def test_the_rounding_of_a_loss_allows_for_every_operation(shape):
    samples, views, dimension = shape
    operations = (2 * dimension + 6) + (samples * views + 20) + samples * views  # cosine, log of a sum, mean
    for temperature in (1e-3, 1.0):
        width = world.rounded_loss(0.0, np.ones(shape), temperature).upper
        assert width >= operations * 2.0**-53 * (1 / temperature + math.log(samples * views))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 3.0])
def test_certified_bounds_are_tight_enclosures(temperature):
    shares = [Fraction(1, 40), Fraction(2, 3), Fraction(7)]
    for exponent in (1, 2, Fraction(19, 10)):
        found = world.certified_bound(np.array(shares, dtype=object), temperature, exponent)
        agrees(found, [math.log1p(float(s) * math.exp(float(exponent) / temperature)) for s in shares], 1e-14)


def test_the_bound_that_is_compared_is_the_one_that_users_call():
    worlds = [*_embeddings.extremal()]
    expected = [world.gap_bound(one.sizes, one.temperature) for one in worlds]
    agrees(gap_bound.bound(worlds), expected)


def test_sharper_bounds_are_a_mean_over_samples_and_that_of_the_largest_class():
    sizes, temperature = [(1, 2, 4), (3, 3), (1, 2), (2, 1, 1, 5)], 0.5
    worlds = [_embeddings.instance("sizes", None, each, temperature) for each in sizes]

    def of_class(n, each):
        return math.log1p((n - 1) / (sum(each) - n) * math.exp(2 / temperature))

    mean = [np.mean([of_class(n, each) for n in each for _ in range(n)]) for each in sizes]
    agrees(gap_bound.sharper(worlds, 2), [mean, [of_class(max(each), each) for each in sizes]])


@few
@given(labelled())
def test_gaps_with_the_positive_in_the_denominators_are_their_definition(case):
    """In both once, and twice in that of the contrastive loss and once in that of NSCL: by plain sums."""
    z, labels, temperature = case
    unit = z / np.linalg.norm(z, axis=2, keepdims=True)
    rows = {"gap": [], "coupled": [], "doubled": [], "anchor": [], "distance": []}
    for i, anchor in itertools.product(range(len(z)), range(z.shape[1])):
        weight = np.exp(unit @ unit[i, anchor] / temperature)  # (N, K)
        same = weight[(labels == labels[i]) & (np.arange(len(z)) != i)].sum()
        other = weight[labels != labels[i]].sum()
        rows["gap"].append(math.log((same + other) / other))
        rows["coupled"] += [math.log((p + same + other) / (p + other)) for p in weight[i]]
        rows["doubled"] += [math.log((2 * p + same + other) / (p + other)) for p in weight[i]]
        rows["distance"].append(same / (same + other))
    rows["anchor"] = rows["gap"]
    found = gap_bound.losses_of(_embeddings.instance("drawn", z, np.bincount(labels), temperature))
    for name, values in rows.items():
        expected = values if name in ("anchor", "distance") else np.mean(values)
        np.testing.assert_allclose(found[name].middle, expected, rtol=1e-11, atol=1e-12 / temperature)


@pytest.mark.parametrize(("classes", "per_class", "views", "temperature"), [(2, 3, 1, 0.5), (4, 2, 3, 2.0)])
def test_simplices_attain_the_smallest_losses(classes, per_class, views, temperature):
    labels, samples = world.balanced(classes, per_class), classes * per_class
    every = world.collapsed(world.simplex(samples), (1,) * samples, views)
    agrees(
        world.smallest_contrastive(samples, views, temperature), world.losses(every, labels, temperature)[0]
    )
    own = world.collapsed(world.simplex(classes), (per_class,) * classes, views)
    agrees(
        world.smallest_nscl(classes, per_class, views, temperature), world.losses(own, labels, temperature)[1]
    )


@few
@given(labelled())
def test_terms_of_the_excess_are_their_definition(case):
    z, labels, temperature = case
    unit = z / np.linalg.norm(z, axis=2, keepdims=True)
    flat, label = unit.reshape(-1, z.shape[2]), np.repeat(labels, z.shape[1])
    found, measured = _collapse.terms(*case), _collapse.measured_of(*case)
    pairs = [a @ b for views in unit for a in views for b in views]
    means = [flat[label == c].mean(axis=0) for c in set(label)]
    other = [flat[label != c] @ u / temperature for u, c in zip(flat, label, strict=True)]
    expected = {
        "views": 1 - np.mean(pairs),
        "within": np.mean([1 - mean @ mean for mean in means]),
        "centre": flat.mean(axis=0) @ flat.mean(axis=0),
        "spread": [x.var() for x in other],
        "jensen": [math.log(np.exp(x).mean()) - x.mean() for x in other],
    }
    expected |= {f"mean_{name}": np.mean(expected[name]) for name in ("spread", "jensen")}
    for name, value in expected.items():
        np.testing.assert_allclose(measured[name].middle, value, rtol=1e-10, atol=1e-12 / temperature**2)
        if name in vars(found):
            np.testing.assert_allclose(vars(found)[name], value, rtol=1e-10, atol=1e-12 / temperature**2)
    assert measured["loss"].middle == pytest.approx(world.losses(*case)[1], rel=1e-12)
    # squares of similarities: as many operations as in a loss, of magnitude 4 / temperature^2
    least = 2 * (2 * z.shape[2] + 2 * len(flat) + 26) * 2.0**-53 * 4 / temperature**2
    assert np.all(measured["spread"].width >= least)


@many
@given(labelled(balanced=True))
def test_what_an_excess_allows_is_shared_by_the_distances(case):
    """views / allowed + within / allowed + centre / allowed + mean Jensen gap / excess = 1."""
    z, labels, temperature = case
    C, n = int(labels.max()) + 1, int((labels == 0).sum())
    excess = world.losses(*case)[1] - world.smallest_nscl(C, n, z.shape[1], temperature).middle
    one = Record(**_collapse.measured_of(*case))
    allowed = _collapse.allowed(stack([exact(2)]), C, temperature, exact(7)).middle[:, 0]
    shares = _collapse.distances(one).middle[:3] / (allowed[:3] / 2)
    assert shares.sum() + one.mean_jensen.middle == pytest.approx(excess, rel=1e-9, abs=1e-10)
    assert allowed[3] == 14
    assert _collapse.distances(one).middle[3] == one.mean_spread.middle


def loss_of_gram(gram, see, temperature, loss):
    """Either loss as a function of a matrix of similarities, not necessarily symmetric."""
    total = 0.0
    for row, other, positive in zip(gram, see.other, see.positive, strict=True):
        negatives = other if loss == "nscl" else ~positive
        total += math.log(sum(math.exp(x / temperature) for x in row[negatives]))
        total -= np.mean(row[positive]) / temperature
    return total / len(gram)


@pytest.mark.parametrize(("loss", "views"), [("nscl", 1), ("nscl", 2), ("cl", 2)])
def test_the_program_certifies_whatever_the_solver_returns(loss, views, monkeypatch):
    """By the tangent of the loss at the unit vectors that it makes of it."""
    labels, temperature = np.array([0, 0, 1, 2]), 0.5
    see, anchors = world.relations(labels, views), 4 * views
    unit = np.random.default_rng(5).normal(size=(anchors, anchors))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    long = np.linspace(0.5, 2, anchors)[:, None] * unit
    monkeypatch.setattr(_program, "solved", lambda *arguments: long @ long.T)
    found = _program.smallest(labels, views, temperature, loss)
    np.testing.assert_allclose(found.gram, unit @ unit.T, atol=1e-14)
    embedded = found.embeddings.reshape(anchors, anchors)
    np.testing.assert_allclose(embedded @ embedded.T, found.gram, atol=1e-14)

    value, step = loss_of_gram(found.gram, see, temperature, loss), 1e-5
    slope = np.empty((anchors, anchors))
    for at in np.ndindex(anchors, anchors):
        up, down = (
            found.gram + s * step * np.eye(anchors)[at[0]][:, None] * np.eye(anchors)[at[1]] for s in (1, -1)
        )
        slope[at] = (
            loss_of_gram(up, see, temperature, loss) - loss_of_gram(down, see, temperature, loss)
        ) / (2 * step)
    slope = (slope + slope.T) / 2
    tangent = slope - np.diag(np.diag(slope @ found.gram))
    assert found.value.upper == pytest.approx(value, rel=1e-12)
    assert found.value.lower == pytest.approx(value + anchors * np.linalg.eigvalsh(tangent)[0], abs=1e-7)


# --- steps of descent ---------------------------------------------------------------------------------------------


@cache
def compiled(step):
    train.use_jax()
    import jax

    return jax.jit(step)


@pytest.mark.parametrize("loss", ["nscl", "cl"])
def test_a_step_on_the_sphere(loss):
    """P tau / 4 times the gradient, by central differences; losses ignore lengths, so it is tangential."""
    labels, temperature, rng = world.balanced(3, 2), 0.5, np.random.default_rng(2)
    see = world.relations(labels, 2)
    U = rng.normal(size=(12, 3))
    U /= np.linalg.norm(U, axis=1, keepdims=True)

    def value(x):
        return world.losses(x.reshape(6, 2, 3), labels, temperature)[loss == "nscl"]

    basis = 1e-5 * np.eye(U.size).reshape(-1, *U.shape)
    slope = np.reshape([(value(U + e) - value(U - e)) / 2e-5 for e in basis], U.shape)
    expected = U - 12 * temperature / 4 * slope
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    negatives = see.other if loss == "nscl" else ~see.positive
    moved, told = compiled(_free.step)(U, None, negatives, see.positive / 2, temperature)
    np.testing.assert_allclose(moved, expected, atol=1e-8)
    assert np.array_equal(told["U"], U)


@pytest.mark.parametrize("loss", ["nscl", "cl"])
def test_a_descent_starts_where_it_should_and_takes_all_its_steps(loss):
    labels, temperature = world.balanced(2, 2), 0.5
    see = world.relations(labels, 2)
    given = np.random.default_rng(1).normal(size=(4, 2, 3))
    for near in (None, given):
        path = _free.descend(np.random.default_rng(0), labels, 2, 2, temperature, loss, 3, 3, 3, near)
        drawn = np.pad(np.random.default_rng(0).normal(size=(8, 2)), ((0, 0), (0, 1)))
        begun = drawn if near is None else given.reshape(8, 3) + drawn / 100
        negatives = see.other if loss == "nscl" else ~see.positive
        for here in path.embeddings.reshape(3, 8, 3):
            begun = begun / np.linalg.norm(begun, axis=1, keepdims=True)
            np.testing.assert_allclose(here, begun, atol=1e-14)
            begun = np.asarray(compiled(_free.step)(begun, None, negatives, see.positive / 2, temperature)[0])
        assert path.steps.tolist() == [0, 1, 2]
        np.testing.assert_allclose(path.last.reshape(8, 3), begun, atol=1e-14)


@pytest.mark.parametrize("loss", ["nscl", "cl"])
def test_a_step_of_the_encoder(loss):
    """Adam's first moment is a tenth of the gradient, and its first step has the length of the rate."""
    train.use_jax()
    rng, labels, temperature = np.random.default_rng(4), world.balanced(2, 2), 0.5
    see, weights = world.relations(labels, 2), _encoder.start(rng, 2)
    weights["bias"] = rng.normal(size=weights["bias"].shape)
    inputs = _encoder.gaussian_views(rng, 2, 2, 2)
    flat = inputs.reshape(2, 8, -1)

    def both(weights, seed, temperature):
        hidden = np.maximum(flat[seed] @ weights["first"][seed] + weights["bias"][seed], 0)
        return world.losses((hidden @ weights["second"][seed]).reshape(4, 2, -1), labels, temperature)

    negatives = see.other if loss == "nscl" else ~see.positive
    fixed = flat, negatives, ~see.positive, see.other, see.positive / 2, temperature, 3e-3
    (moved, state), told = compiled(_encoder.step)(
        (weights, _encoder.optimizer().init(weights)), None, *fixed
    )
    for _ in range(4):
        way = {name: rng.normal(size=x.shape) for name, x in weights.items()}
        up, down = (
            sum(
                both({k: x + s * way[k] for k, x in weights.items()}, seed, temperature)[loss == "nscl"]
                for seed in (0, 1)
            )
            for s in (1e-7, -1e-7)
        )
        slope = sum((np.asarray(state.mu[name]) * 10 * way[name]).sum() for name in weights)
        assert (up - down) / 2e-7 == pytest.approx(slope, rel=1e-4)
    for name, x in weights.items():
        used = np.abs(state.mu[name]) > 1e-5  # against the 1e-8 that Adam adds
        sign = np.sign(state.mu[name])
        np.testing.assert_allclose((x - moved[name])[used], 3e-3 * sign[used], rtol=1e-3)
    expected = np.array([both(weights, seed, 1.0) for seed in (0, 1)])
    np.testing.assert_allclose(np.transpose([told["cl"], told["nscl"]]), expected, rtol=1e-12)


@pytest.mark.parametrize("loss", ["nscl", "cl"])
def test_what_training_records(loss):
    rng, labels = np.random.default_rng(6), world.balanced(2, 2)
    inputs, weights = _encoder.gaussian_views(rng, 2, 2, 2), _encoder.start(rng, 2)
    found = _encoder.trained(inputs, weights, labels, loss, 0.5, 50)
    assert found.cl.shape == found.nscl.shape == (51, 2)
    last = np.array([world.losses(z, labels) for z in found.embeddings])
    np.testing.assert_allclose(np.transpose([found.cl[-1], found.nscl[-1]]), last, rtol=1e-12)
    see = world.relations(labels, 2)
    negatives = see.other if loss == "nscl" else ~see.positive
    fixed = inputs.reshape(2, 8, -1), negatives, ~see.positive, see.other, see.positive / 2, 0.5, 3e-3
    carry = weights, _encoder.optimizer().init(weights)
    for step in range(3):
        carry, told = compiled(_encoder.step)(carry, None, *fixed)
        np.testing.assert_allclose(found.cl[step], told["cl"], rtol=1e-12)
        np.testing.assert_allclose(found.nscl[step], told["nscl"], rtol=1e-12)


# --- moments and bounds of few shots ------------------------------------------------------------------------------


def float_moments(points, chances):
    """Means, covariances, floats."""
    points, p = np.array(points, dtype=float), np.array(chances, dtype=float)[:, None]
    spans = points[:, 0] - points[:, 1]
    return p * points[:, 0] + (1 - p) * points[:, 1], [
        q * (1 - q) * np.outer(w, w) for q, w in zip(p[:, 0], spans, strict=True)
    ]


SMALL = [  # points, chances
    ([[[3, 1], [-2, 0]], [[9, 4], [7, -5]]], [Fraction(1, 4), Fraction(3, 5)]),
    (
        [[[1, 0, 2], [0, 3, 1]], [[8, 1, 1], [6, 6, 2]], [[-7, 2, 2], [-9, 0, 5]]],
        [Fraction(k, 7) for k in (2, 3, 6)],
    ),
    ([[[0, 90], [1, -80]], [[3, 5], [4, 4]]], [Fraction(1, 2), Fraction(1, 3)]),  # t may be negative
    ([[[0], [1]], [[1], [1]]], [Fraction(1, 2), Fraction(1, 2)]),  # t is 0, then 1/6
]


@pytest.mark.parametrize(("points", "chances"), SMALL)
@pytest.mark.parametrize("shots", [1, 3])
def test_the_one_sided_bound_is_its_definition(points, chances, shots):
    means, covariances = float_moments(points, chances)
    q = []  # the variance of the squared error of a centre, over all counts
    for (a, b), p, mean in zip(np.array(points, dtype=float), map(float, chances), means, strict=True):
        law = [math.comb(shots, k) * p**k * (1 - p) ** (shots - k) for k in range(shots + 1)]
        errors = [(((k * a + (shots - k) * b) / shots - mean) ** 2).sum() for k in range(shots + 1)]
        q.append(np.dot(law, np.square(errors)) - np.dot(law, errors) ** 2)
    total = 0.0
    for i, j in itertools.permutations(range(len(chances)), 2):
        delta, (own, other) = means[j] - means[i], (covariances[i], covariances[j])
        t = delta @ delta + (np.trace(other) - np.trace(own)) / shots
        R = (
            2 * math.sqrt(np.trace(own @ (own + other)) / shots)
            + math.sqrt(max(q[i], 0))
            + math.sqrt(max(q[j], 0))
        )
        R += 2 * math.sqrt(delta @ other @ delta / shots)
        S = 4 * delta @ own @ delta + R**2
        total += S / (S + t**2) if t > 0 else 1
    one = _few_shot.instance("small", points, chances)
    agrees(_few_shot.one_sided(one, shots), total / len(chances), 1e-9)


def paper_bounds(points, chances, shots, a):
    """Proposition 1, and Corollary 1 at a."""
    means, covariances = float_moments(points, chances)
    rows = []
    for i, j in itertools.permutations(range(len(chances)), 2):
        delta, d = means[j] - means[i], np.linalg.norm(means[j] - means[i])
        v, w = np.trace(covariances[i]), np.trace(covariances[j])
        rows.append((delta @ covariances[i] @ delta / d**4, (v + w) / (2 * d**2), math.sqrt(v) / d))
    directional, dispersion, root = np.mean(rows, axis=0)
    rivals, A = len(chances) - 1, 2 + 2**1.5 / shots
    fading = 2 / math.sqrt(shots) * (root + dispersion) + dispersion / shots
    return rivals * (8 * directional + 4 * fading), rivals * (
        directional / (1 / 2 - A / a) ** 2 + a / 4 * fading
    )


@pytest.mark.parametrize("shots", [10, 37])
def test_the_bounds_of_the_paper_are_as_stated(shots):
    made = [_few_shot.instance("small", *one) for one in SMALL]
    averages = few_shot_bound.averages(made)
    agrees(few_shot_bound.proposition(averages, shots), [paper_bounds(*one, shots, 9)[0] for one in SMALL])
    expected = [[paper_bounds(*one, shots, a)[1] for one in SMALL] for a in few_shot_bound.FREE]
    agrees(few_shot_bound.corollary(averages, shots, 1), expected)


def test_exact_centres_are_left_by_who_is_beyond_the_middle():
    """The first class's law by its two points, the second mean at 20."""
    lines = [(Fraction(x), Fraction(k, 20)) for x in (1, 9, 10, 11, 24) for k in (1, 10, 19)]
    found = few_shot_bound.errors_of_exact_centres(lines)
    for (x, p), error in zip(lines, found.lower, strict=True):
        law = [(p, x), (1 - p, -p * x / (1 - p))]
        assert sum(q * z for q, z in law) == 0
        assert error == sum(q for q, z in law if abs(z) >= abs(z - 20))
    variances = [float(p / (1 - p) * x**2) for x, p in lines]
    expected = [4 * v / 400 / (1 + 4 * v / 400) for v in variances]
    agrees(few_shot_bound.limit(lines, 4), expected)


@pytest.mark.parametrize(
    "problem", [(0.3, 2.25, 1.0), (0.01, 2.1, 1.0), (4.0, 2.25, 1.0), (1e-3, 2.001, 5.0), (50.0, 2.25, 0.1)]
)
def test_the_best_constants_are_the_best(problem):
    """By a search over a, of at least 5 and of any above 2A."""
    from scipy.optimize import minimize_scalar

    alpha, A, B = problem
    exactly = [tuple(map(Fraction, problem))]

    def energy(a):
        return alpha / (1 / 2 - A / a) ** 2 + a * B

    def smallest(least):
        return minimize_scalar(lambda x: energy(least + math.exp(x)), bounds=(-40, 10), method="bounded").fun

    root = corollary_optimiser.root(exactly)
    expected = max(
        x.real for x in np.roots([1, 0, -16 * alpha * A / B, -32 * alpha * A**2 / B]) if not x.imag
    )
    agrees(root, [expected], 1e-9)
    agrees(corollary_optimiser.smallest(exactly, root), [smallest(2 * A)], 1e-7)  # of a flat minimum
    agrees(corollary_optimiser.smallest_allowed(exactly, root), [smallest(5)], 1e-7)
    grid = (5, 5.25, 60)
    agrees(corollary_optimiser.allowed(exactly, grid), [[energy(a)] for a in grid])
    agrees(exact([Fraction(x) for x in corollary_optimiser.found(exactly)]), [smallest(2 * A)], 1e-7)


# --- Gaussian classes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("along", "total", "shots", "d"), [(0.05, 20.0, 10, 200), (0.5, 2.0, 1, 3)])
def test_bounds_of_gaussian_classes_are_their_definition(along, total, shots, d):
    covariance = np.diag([along] + [(total - along) / (d - 1)] * (d - 1))
    delta = np.eye(d)[0]
    own2 = np.trace(covariance @ covariance)
    q = 2 * own2 / shots**2  # the variance of the squared length of a centre's error
    R = 2 * math.sqrt(2 * own2 / shots) + 2 * math.sqrt(q) + 2 * math.sqrt(delta @ covariance @ delta / shots)
    S = 4 * delta @ covariance @ delta + R**2
    gaussian = directional_variance_decides
    agrees(certify.evaluate(lambda a, v, m: gaussian.noise(a, v, m, d), along, total, shots), R)
    agrees(gaussian.one_sided(((along, total),), (shots,), d), [[S / (S + 1)]])
    stated = 8 * along + 8 / math.sqrt(shots) * (math.sqrt(total) + total) + 4 / shots * total
    agrees(gaussian.proposition(((along, total),), (shots,)), [[stated]])
    s = 2 * R ** (2 / 3)
    ends = [
        math.erfc((1 - sign * s) / math.sqrt(8 * along)) / 2 + sign * R**2 / (R**2 + s**2) for sign in (-1, 1)
    ]
    limit = gaussian.limit(((along, total),), d, shots)
    assert limit.lower[0] == pytest.approx(ends[0], rel=1e-12)
    assert limit.upper[0] == pytest.approx(ends[1], rel=1e-12)


@pytest.mark.parametrize(
    ("along", "total", "shots"), [(0.3, 2.0, 1), (0.2, 0.6, 1), (3.0, 3.3, 2), (0.05, 2.0, 20)]
)
def test_the_reduced_law_is_that_of_whole_vectors(along, total, shots):
    """In dimension 3, where every degree of freedom counts."""
    rng, draws, d = np.random.default_rng(7), 150_000, 3
    deviations = np.sqrt([along] + [(total - along) / (d - 1)] * (d - 1))
    sample, own, other = rng.normal(size=(3, draws, d)) * deviations
    delta = np.eye(d)[0]
    to_own = ((sample - own / math.sqrt(shots)) ** 2).sum(axis=1)
    to_other = ((sample - delta - other / math.sqrt(shots)) ** 2).sum(axis=1)
    plain = statistics.proportion(int((to_other <= to_own).sum()), draws)
    reduced = statistics.proportion(
        directional_variance_decides.count(rng, along, total, shots, d, draws), draws
    )
    assert plain.lower <= reduced.upper
    assert reduced.lower <= plain.upper


# --- at the exact minimisers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_how_a_loss_near_its_minimum_pins_down_the_gap(temperature):
    classes, epsilon, R = (2, 5), np.array([[1e-3, 1e-5], [1e-2, 1e-6]]), 2 / temperature
    minima = rounded(np.zeros((2, 2)), 1, 0.0)
    found = ufm_gap_decay.pinned(rounded(epsilon, 1, 0.0), minima, temperature, classes)
    c, k = R**2 / (R - 1 + math.exp(-R)), (math.exp(R) - 1 - R) / R**2
    agrees(found.cl, epsilon[0] * (1 + 2 * k * c) + np.sqrt(2 * c * epsilon[0]))
    expected = 2 * (np.array(classes) + 1) * epsilon[1] + np.sqrt(2 * epsilon[1] / temperature)
    agrees(found.nscl, expected)
    below = ufm_gap_decay.pinned(rounded(-epsilon, 1, 0.0), minima, temperature, classes)  # by rounding
    assert np.all(below.cl.upper < 1e-300)


@few
@given(st.integers(2, 4), st.sampled_from([0.5, 1.0]), st.floats(1e-4, 1.0), st.integers(0, 1000))
def test_embeddings_near_the_minima_have_gaps_that_are_pinned_down(classes, temperature, size, seed):
    labels, sizes = world.balanced(classes, 2), (2,) * classes
    rng, samples = np.random.default_rng(seed), 2 * classes
    near = [
        z + size * rng.normal(size=z.shape)
        for z in (
            world.collapsed(world.simplex(samples), (1,) * samples, 2),
            world.collapsed(world.simplex(classes), sizes, 2),
        )
    ]
    (cl, low), (high, nscl) = (world.losses(z, labels, temperature) for z in near)
    reached = stack([exact([Fraction(cl)]), exact([Fraction(nscl)])])
    minima = ufm_gap_decay.minima((classes,), 2, temperature)
    found = ufm_gap_decay.pinned(reached, minima, temperature, (classes,))
    assert abs(cl - low - ufm_gap_decay.gap_at_cl((classes,), 2).middle[0]) <= found.cl.upper[0]
    expected = ufm_gap_decay.gap_at_nscl((classes,), 2, temperature).middle[0]
    assert abs(high - nscl - expected) <= found.nscl.upper[0]


def test_local_slopes_are_derivatives():
    """Of log log(1 + x) in log(C - 1), by central differences."""
    classes, n, h = (2, 3, 6, 12), 3, 1e-5
    gap = [
        [math.log(math.log1p((n - 1) / n * (C - 1) ** -1.0 * math.exp(s))) for s in (h, -h)] for C in classes
    ]
    agrees(ufm_gap_decay.slopes(classes, n), [(down - up) / (2 * h) for up, down in gap], 1e-9)


def test_the_sandwich_ends_with_the_bound_of_the_paper():
    classes, temperature = (2, 3, 6), 0.5
    minima = ufm_gap_decay.minima(classes, 3, temperature)
    ends = Record(cl=minima, nscl=minima)
    chain = ufm_gap_decay.sandwich(ends, minima, temperature, classes)
    paper = [world.gap_bound([3] * C, temperature) for C in classes]
    agrees(chain.bound[-1], minima.middle[1] + paper)
    agrees(trained_encoder_tracking.bound(classes), [world.gap_bound([4] * C) for C in classes])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_constant_of_the_spread_is_approached_by_a_rare_opposite(temperature):
    """Scaled similarities 1 / temperature but for one in a million, and that -1 / temperature."""
    p, R = mpmath.mpf(10) ** -6, mpmath.mpf(2) / mpmath.mpf(temperature)
    with mpmath.workdps(40):
        spread, jensen = p * (1 - p) * R**2, mpmath.log(1 - p + p * mpmath.exp(-R)) + p * R
    found = nscl_minimiser_etf.spread_constant(temperature)
    assert spread / jensen < found.lower
    agrees(found, float(spread / jensen), 1e-5)  # and approached like p


# --- what is read off runs ----------------------------------------------------------------------------------------


def test_those_that_end_above_the_minimum_are_stuck():
    minimum = rounded(2.0, 1, 2.0)
    losses = rounded(np.array([2.0, 2.0, 2.5, 2.0, 3.0, 2.0 + 1e-15]), 4, 3.0)
    found, expected = (
        narrow_dimension_descent.stuck(Record(loss=losses), minimum),
        statistics.proportion(2, 6),
    )
    assert (found.lower, found.upper) == (expected.lower, expected.upper)


def test_losses_of_trained_encoders_are_told_by_class_step_and_seed():
    rng = np.random.default_rng(3)
    cl, nscl = (
        rng.normal(size=(2, 5, 3, 4)) + np.array([9.0, 0])[:, None, None, None]
    )  # steps, classes, seeds
    runs = [Record(cl=cl[:, k], nscl=nscl[:, k], embeddings=np.ones((4, 6, 2, 3))) for k in range(3)]
    path, goal = trained_encoder_tracking.path(runs), trained_encoder_tracking.goal(runs)
    np.testing.assert_allclose(path.cl, cl.sum(axis=2) / 4)
    np.testing.assert_allclose(path.nscl, nscl.sum(axis=2) / 4)
    np.testing.assert_allclose(goal.mean, nscl.sum(axis=2) / 4)
    assert np.array_equal(
        [path.last_cl, path.last_nscl, goal.cl, goal.nscl], [cl[4], nscl[4], cl[4], nscl[4]]
    )
    gaps = trained_encoder_tracking.gaps(runs)
    agrees(gaps.smallest, (cl - nscl).min(axis=2))
    agrees(gaps.largest, (cl - nscl).max(axis=2))


def test_the_excess_of_a_trained_encoder_is_less_what_its_own_loss_lacks():
    """Delta <= bound + max(s, 0), seed by seed: below its minimum (s < 0) as well as above."""
    own, other = np.array([[3.0, 3.0], [2.5, 2.0]]), np.array([[2.0, 4.0], [2.0, 3.0]])  # CL of f, of g
    low, least = np.array([[1.0, 2.5], [1.5, 1.25]]), np.array([[0.5, 1.0], [1.0, 1.0]])  # NSCL of f, of g
    path, goal = Record(last_cl=own, last_nscl=low), Record(cl=other, nscl=least)
    delta = trained_encoder_tracking.delta(path, goal)
    runs, bound = [Record(embeddings=np.ones((2, 6, 2, 3)))], exact([Fraction(1), Fraction(2)])
    found = trained_encoder_tracking.excess(path, goal, delta, bound, runs, (3, 5))
    np.testing.assert_allclose(found.measured.middle, [[-0.5, 1.5], [0, 0.25]], atol=1e-12)
    assert np.array_equal(found.bound.lower, [[1], [2]])
    assert found.outcomes().tolist() == [["holds", "fails"], ["holds", "holds"]]
