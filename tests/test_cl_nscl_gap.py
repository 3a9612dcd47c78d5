"""Contrastive losses: the library functions, and the helpers against definitions written once more."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from claims.cl_nscl_gap import _collapse, _embeddings, _few_shot, _free, _program, world
from verify import certify

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
    path = _free.descend(rng, labels, 2, 4, 0.5, steps=60, keep=60)
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
        assert m.along[k] == sum(p * (u @ delta) ** 2 for p, u in law[i])
        assert m.own[k] == sum(p * (u @ u) for p, u in law[i])
        assert m.fourth[k] == sum(p * (u @ u) ** 2 for p, u in law[i]) - m.own[k] ** 2
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
