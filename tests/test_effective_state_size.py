"""The paper on effective state-size: blocks, minimal and truncated recurrences, students."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from claims.effective_state_size import _operators, _students, world
from claims.effective_state_size.entropy_never_exceeds_rank import entropy
from verify import certify, exact

some = settings(max_examples=40, deadline=None)


@st.composite
def operators(draw, most=6):
    """Causal matrices of small integers and halves, where ranks drop often."""
    L = draw(st.integers(2, most))
    entries = st.sampled_from([0, 0, 1, -1, 2, Fraction(1, 2)])
    return np.tril(draw(arrays(object, (L, L), elements=entries)))


# --- exact recurrences ------------------------------------------------------------------------------------


@some
@given(operators())
def test_the_minimal_recurrence_is_the_operator_with_as_many_states_as_ranks(T):
    steps = world.minimal_recurrence(T)
    assert (world.operator_of(steps) == T).all()
    ranks = [np.linalg.matrix_rank(T[t:, :t].astype(float)) for t in range(1, len(T))]
    assert world.state_sizes(steps) == world.effective_state_sizes(T) == ranks


@some
@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(0, 10**6))
def test_no_recurrence_has_fewer_states_than_ranks(sizes, seed):
    rng, around = np.random.default_rng(seed), [0, *sizes, 0]
    steps = [
        world.Step(*(rng.integers(-1, 2, size=shape).astype(object) for shape in ((b, a), (b, 1), (1, a))), 1)
        for a, b in pairwise(around)
    ]
    T = world.operator_of(steps)
    assert all(rank <= size for rank, size in zip(world.effective_state_sizes(T), sizes, strict=True))


def test_the_operator_of_a_recurrence_is_what_it_does_to_inputs():
    rng = np.random.default_rng(0)
    steps = world.minimal_recurrence(_operators.linear_attention(rng, 6, 2))
    u, state, outputs = rng.integers(-5, 6, size=6).astype(object), np.zeros(0, dtype=object), []
    for step, now in zip(steps, u, strict=True):
        outputs.append((step.C @ state)[0] + step.D * now if len(state) else step.D * now)
        state = (step.A @ state if len(state) else 0) + step.B[:, 0] * now
    assert (world.operator_of(steps) @ u == outputs).all()


@pytest.mark.parametrize("L", [2, 3, 7])
def test_a_delay_attains_its_rank(L):
    T = _operators.causal(L, lambda t, s: int(t - s == 1))
    assert world.effective_state_sizes(T) == [1] * (L - 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: world.block(np.ones((3, 3)), 1), "not causal"),
        (lambda: world.block(np.eye(3), 0), "1..2"),
        (lambda: world.block(np.eye(1), 0), "at least two"),
        (lambda: world.effective_state_sizes(np.ones((2, 3))), "square"),
        (lambda: world.effective_state_sizes(np.eye(2)), "integers and fractions"),
        (lambda: world.truncated_recurrence(np.eye(3), [1]), "sizes names 1"),
        (
            lambda: world.operator_of([world.Step(np.eye(2), np.ones((2, 1)), np.ones((1, 2)), 1)]),
            "takes 2 states",
        ),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# --- truncation and training --------------------------------------------------------------------------------


@some
@given(st.integers(2, 7), st.integers(0, 4), st.integers(0, 10**6))
def test_truncation_lies_between_the_bounds(L, r, seed):
    T = np.tril(np.random.default_rng(seed).normal(size=(L, L)))
    tails = [(np.linalg.svd(T[t:, :t], compute_uv=False)[r:] ** 2).sum() for t in range(1, L)]
    error = ((T - world.operator_of(world.truncated_recurrence(T, [r] * (L - 1)))) ** 2).sum()
    assert max(tails) <= error + 1e-12
    assert error <= sum(tails) + 1e-12


def test_the_bounds_meet_where_one_step_hands_over():
    T = np.eye(4)
    T[2:, :2] = [[1, 2], [3, 4]]
    error = T - world.operator_of(world.truncated_recurrence(T, [1, 1, 1]))
    assert np.isclose(np.linalg.norm(error), np.linalg.svd(T[2:, :2], compute_uv=False)[1])


def test_students_improve_on_the_truncation():
    T = np.tril(np.random.default_rng(0).normal(size=(9, 9)))
    start = world.truncated_recurrence(T, [2] * 8)
    loss, _ = _students.loss_and_gradient(9, 3)(_students.flattened(start, 3), T)
    assert np.isclose(float(loss), ((T - world.operator_of(start)) ** 2).sum())
    student = _students.trained(T, 2, start, 30, largest=3)
    assert ((T - world.operator_of(student)) ** 2).sum() < float(loss)
    assert max(world.state_sizes(student)) == 2
    assert np.array_equal(np.diag(world.operator_of(student)), np.diag(T))


def test_the_vector_of_a_student_is_its_matrices():
    rng = np.random.default_rng(1)
    student = _students.random_start(rng, np.eye(5), 2, 3)
    again = _students.as_steps(_students.flattened(student, 3), np.ones(5), 2, 3)
    assert np.array_equal(world.operator_of(student), world.operator_of(again))
    assert _students.entries_of(2, 5, 3).sum() == 5 * (4 + 2 + 2)


# --- entropy ------------------------------------------------------------------------------------------------


@some
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any))
def test_entropy_is_enclosed(weights):
    p = np.array(weights) / sum(weights)
    truth = -sum(x * np.log(x) for x in p if x)
    found = entropy(exact([Fraction(w, sum(weights)) for w in weights]) + 0.0)
    assert found.lower - 1e-12 <= truth <= found.upper + 1e-12
    assert found.width < 1e-12
    assert certify.exp(found).lower <= np.count_nonzero(weights) + 1e-12
