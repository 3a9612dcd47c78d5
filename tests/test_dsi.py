"""Distributed speculative inference: its simulators attacked by hypothesis, in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from claims.distributed_speculative_inference import world
from claims.distributed_speculative_inference.speedup_ceiling import best_lookaheads

many = settings(max_examples=100, deadline=None)
few = settings(max_examples=40, deadline=None)
patterns = st.lists(st.integers(0, 1), min_size=1, max_size=40)
latencies = st.fractions(Fraction(1, 8), 1, max_denominator=12)  # of a drafter, at most one target pass
LONG_BLOCKS = ((1,) * 21 + (0,)) * 6


@many
@given(patterns, latencies)
@example([1], Fraction(1))
@example([0] * 5, Fraction(1, 8))
def test_dsi_costs_its_drafts_and_its_corrections(b, c):
    accepted = sum(b[:-1])
    run = world.dsi(b, c, servers=world.servers_needed(c, 1))
    assert run.time == c * accepted + len(b) - accepted
    assert run.waited == 0
    assert run.time == world.dsi(b, c).time


@many
@given(patterns, latencies, st.integers(1, 12))
def test_dsi_is_never_slower_than_si_or_plain_decoding(b, c, k):
    single = world.dsi(b, c).time
    assert single <= world.si(b, c, lookahead=k)
    assert single <= len(b)
    if k * c <= 1:
        blockwise = world.dsi(b, c, lookahead=k).time
        assert single <= blockwise <= min(world.si(b, c, lookahead=k), len(b))


def test_long_blocks_lose_to_si_on_one_pattern():
    assert world.dsi(LONG_BLOCKS, Fraction(1, 2), lookahead=10).time == Fraction(183, 2)
    assert world.si(LONG_BLOCKS, Fraction(1, 2), lookahead=10) == 72


@many
@given(patterns, latencies, st.integers(1, 4), st.integers(1, 6))
def test_a_server_more_never_hurts_and_jobs_respect_the_limit(b, c, lookahead, servers):
    run = world.dsi(b, c, lookahead=lookahead, servers=servers)
    assert run.peak <= servers
    assert run.time >= world.dsi(b, c, lookahead=lookahead, servers=servers + 1).time
    for prefix, queued, started, stopped in run.jobs:
        assert 0 <= prefix < len(b)
        assert queued <= started <= stopped <= min(started + 1, run.time)


@many
@given(patterns, st.integers(1, 12), st.integers(1, 12), st.integers(1, 5))
def test_time_scales_with_the_unit(b, t1, t2, lookahead):
    for decode in (world.si, lambda *args, **options: world.dsi(*args, **options).time):
        assert decode(b, t1, t2, lookahead=lookahead) == t2 * decode(b, Fraction(t1, t2), lookahead=lookahead)
    assert (
        world.dsi(b, 0.5).time == world.dsi(b, Fraction(1, 2)).time
    )  # floats are the rationals that they are


@many
@given(patterns, st.integers(1, 12))
def test_rounds_of_si_gain_every_token_once(b, k):
    rounds = world.rounds(b, k)
    assert sum(gained for _, gained in rounds) == len(b)
    assert all(1 <= gained <= drafts + 1 <= k + 1 for drafts, gained in rounds)


@st.composite
def tables(draw):
    m, n = draw(st.integers(1, 3)), draw(st.integers(0, 4))
    right = [tuple(draw(st.integers(0, 1)) for _ in range(m - 1)) for _ in range(n)]
    return right, tuple(draw(st.integers(1, 9)) for _ in range(m))


@many
@given(tables(), st.integers(1, 12))
def test_the_tree_follows_the_fastest_right_model(table, slow):
    right, times = table
    best = [min([times[-1], *(t for t, b in zip(times, row, strict=False) if b)]) for row in right]
    assert world.dsi_tree(right, times) == times[-1] + sum(best)
    longer = [(1, *row) for row in right]
    assert world.dsi_tree(longer, (slow, *times)) <= world.dsi_tree(right, times)


@few
@given(st.lists(st.integers(0, 1), min_size=1, max_size=6), latencies)
def test_the_tree_with_one_drafter_is_the_pipeline(b, c):
    assert world.dsi_tree([(x,) for x in b[:-1]], (c, 1)) == world.dsi(b, c).time


@st.composite
def laws(draw, letters=2):
    weights = draw(st.lists(st.integers(0, 4), min_size=letters, max_size=letters).filter(any))
    return [Fraction(w, sum(weights)) for w in weights]


@few
@given(st.data(), st.integers(1, 4))
def test_draft_and_verify_is_lossless(data, drafts):
    N, contexts = 3, [c for n in range(3) for c in product(range(2), repeat=n)]
    models = {context: (data.draw(laws()), data.draw(laws())) for context in contexts}
    law = world.emitted_law(models, N, drafts)
    for text in product(range(2), repeat=N):
        truth = Fraction(1)
        for i, x in enumerate(text):
            truth *= models[text[:i]][0][x]
        assert law.get(text, 0) == truth


@few
@given(st.fractions(0, Fraction(49, 50), max_denominator=50), latencies, st.integers(1, 8))
def test_times_per_token_are_ordered(p, c, k):
    assert world.dsi_rate(p, c) <= min(1, world.si_rate(p, c, k))
    assert world.dsi_rate(p, c) <= world.dsi_rate(p, c, k) <= world.si_rate(p, c, k)
    assert world.si_rate(p, c, 0) == 1
    best = min(world.si_rate(p, c, j) for j in range(80))
    assert min(world.si_rate(p, c, j) for j in best_lookaheads(p, c)) <= best


def test_dsi_in_blocks_beats_si_in_expectation_term_by_term():
    """The proof at c = 1: k (1 - p^k) - p^(k+1) sum_{i<k} (1 - p^i) has no root in (0, 1)."""
    import sympy

    p = sympy.symbols("p")
    for k in range(1, 7):
        gap = k * (1 - p**k) - p ** (k + 1) * sum(1 - p**i for i in range(k))
        at_one = sympy.Poly(sympy.cancel(gap / (1 - p)), p)
        assert at_one.count_roots(0, 1) == 0
        assert at_one.eval(0) > 0


def test_patterns_and_their_probabilities():
    assert len(world.patterns(5)) == 16
    assert len(set(world.patterns(5))) == 16
    for spread in (0, Fraction(1, 2)):
        law = world.pattern_law(6, Fraction(2, 7), spread)
        assert sum(law) == 1
        assert sum(q * b[0] for q, b in zip(law, world.patterns(6), strict=True)) == Fraction(2, 7)
    assert world.pattern_law(3, Fraction(2, 7)) == [Fraction(n, 49) for n in (4, 10, 10, 25)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), 1), "non-empty sequence"),
        (((1, 2), 1), "0 and 1"),
        (((1, 1), 0), "positive"),
        (((1, 1), 1, -1), "positive"),
        (((1, 1), "fast"), "numbers"),
        (((1, 1), float("nan")), "numbers"),
        (((1, 1), float("inf")), "numbers"),
        (((1, 1), 1, 1, 0), "lookahead"),
        (((1, 1), 1, 1, 1.5), "lookahead"),
    ],
)
def test_bad_input_is_named(arguments, message):
    for decode in (world.si, world.dsi):
        with pytest.raises(ValueError, match=message):
            decode(*arguments)


def test_bad_servers_and_tables_are_named():
    with pytest.raises(ValueError, match="at least one server"):
        world.dsi((1, 1), 1, servers=0)
    with pytest.raises(ValueError, match="rows of 1 drafters"):
        world.dsi_tree([(1, 0)], (1, 2))
    with pytest.raises(ValueError, match="positive latencies"):
        world.dsi_tree([(1,)], (0, 2))
