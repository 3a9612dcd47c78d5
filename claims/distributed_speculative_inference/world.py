r"""Plain decoding, speculative inference (SI) and distributed speculative inference (DSI) as processes in time.

One forward pass of the drafter takes t1, of the target t2. The pattern b_1 ... b_N says which drafts the target
accepts: b_i = 1 if the draft at position i is right, its prefix being right; a draft after a wrong one is of no
use. The last token comes from the target in any case, so b_N is never read. Times are exact: integers, fractions,
or floats taken as the rationals that they are.
"""

import heapq
import itertools
import math
from collections import deque
from fractions import Fraction

from verify import Record

FINISHED, DRAFTED = 0, 1  # in this order at one instant: a job that ends frees its server for one that starts


def patterns(N):
    """All acceptance patterns of N tokens, 2^(N-1) tuples of length N; the last entry, never read, is 1."""
    return [(*bits, 1) for bits in itertools.product((1, 0), repeat=N - 1)]


def pattern_law(N, p, spread=0):
    """Probabilities of `patterns(N)` when each of the N - 1 drafts is accepted independently with p.

    spread: half of the texts have a rate that is higher by spread * min(p, 1 - p), half one that is as much lower.
    """
    rates = [p - spread * min(p, 1 - p), p + spread * min(p, 1 - p)] if spread else [p]
    of_count = [sum(r**a * (1 - r) ** (N - 1 - a) for r in rates) / len(rates) for a in range(N)]
    return [of_count[sum(b[:-1])] for b in patterns(N)]


def servers_needed(t1, t2, lookahead=1):
    """ceil(t2 / (L t1)): how many target servers keep every verification from waiting."""
    return math.ceil(Fraction(t2) / (lookahead * Fraction(t1)))


# --- the three ways to decode -----------------------------------------------------------------------------


def rounds(accepted, lookahead):
    """The rounds of draft-then-wait speculative inference on a pattern: [(drafts, tokens gained)].

    accepted: (N,) of 0 and 1. A round drafts min(lookahead, tokens left - 1) tokens and verifies them with one
    target pass, which adds one token to the accepted ones: the correction, or a bonus if all are accepted.
    """
    N, done, found = len(accepted), 0, []
    while done < N:
        drafts = min(lookahead, N - done - 1)
        run = 0
        while run < drafts and accepted[done + run]:
            run += 1
        found.append((drafts, run + 1))
        done += run + 1
    return found


def si(accepted, t1, t2=1, lookahead=1):
    """Time of draft-then-wait speculative inference, a Fraction: the drafts and target passes of its `rounds`.

    Raises ValueError for times that are not positive, a lookahead below 1 or entries other than 0 and 1.
    """
    accepted, t1, t2, unit = _validated(accepted, t1, t2, lookahead)
    return sum(drafts * t1 + t2 for drafts, _ in rounds(accepted, lookahead)) * unit


def dsi(accepted, t1, t2=1, lookahead=1, servers=None):
    """One run of DSI with a drafter and a target, event by event.

    accepted: (N,) of 0 and 1; servers: how many target passes may run at once, None for no limit. The drafter
    never pauses. A verification job is queued on every `lookahead`-th prefix and on the last useful one, N - 1
    tokens. A job on a prefix checks its drafts and gives the token after it. The first wrong draft kills
    all jobs, and everything begins again from the corrected prefix.
    Returns Record(time: Fraction; jobs: [(prefix, queued, started, stopped)] in the order of their starts,
    a job that was killed stops at that moment; peak: most jobs at once; waited: longest wait in the queue).
    Raises ValueError as `si` does, and for less than one server.
    """
    accepted, t1, t2, unit = _validated(accepted, t1, t2, lookahead)
    if servers is not None and servers < 1:
        raise ValueError(f"DSI needs at least one server, not {servers}")
    limit = math.inf if servers is None else servers
    time, known, jobs, peak = 0, 0, [], 0
    while known < len(accepted):
        length, known, found, most = _epoch(accepted, known, t1, t2, lookahead, limit)
        jobs += [(prefix, *((time + x) * unit for x in times)) for prefix, *times in found]
        time, peak = time + length, max(peak, most)
    waited = max(started - queued for _, queued, started, _ in jobs)
    return Record(time=time * unit, jobs=sorted(jobs, key=lambda job: job[2]), peak=peak, waited=waited)


def _epoch(accepted, start, t1, t2, lookahead, limit):
    """From `start` verified tokens to the first wrong draft or the end: (time, tokens then known, jobs, peak)."""
    N, events, queue, running, jobs = len(accepted), [(0, DRAFTED, start)], deque(), {}, []
    drafted, known, peak = start, start, 0  # tokens with the drafts, and tokens given by the target
    while True:
        time, kind, prefix = heapq.heappop(events)
        if kind == DRAFTED:
            drafted = prefix
            if prefix < N - 1:
                heapq.heappush(events, (time + t1, DRAFTED, prefix + 1))
            if (prefix - start) % lookahead == 0 or prefix == N - 1:
                queue.append((prefix, time))
        else:
            jobs.append((prefix, *running.pop(prefix), time))
            wrong = (i for i in range(known + 1, prefix + 1) if not accepted[i - 1])
            known = next(wrong, prefix + 1)
        if known == N or (start < known <= drafted and not accepted[known - 1]):
            return time, known, jobs + [(i, *times, time) for i, times in running.items()], peak
        while queue and len(running) < limit:
            prefix, queued = queue.popleft()
            running[prefix] = (queued, time)
            heapq.heappush(events, (time + t2, FINISHED, prefix))
        peak = max(peak, len(running))


def dsi_tree(right, latencies, follow=min):
    """Time of DSI with any number of drafters, which starts every model from every prefix that exists.

    right: (N - 1, m - 1), whether drafter j is right at position i; latencies: (m,), the target's last.
    The target's thread from the verified prefix is the verifier. When it ends, the threads beside it that have
    ended with the same token may lead on; `follow` picks one by latency, the others die with all that grew
    from them. Raises ValueError for latencies that are not positive or a table of another shape.
    """
    if any(len(row) != len(latencies) - 1 for row in right) or min(latencies, default=0) <= 0:
        raise ValueError(f"{len(latencies)} positive latencies need rows of {len(latencies) - 1} drafters")
    N, target = len(right) + 1, len(latencies) - 1
    models = range(target + 1)
    # an event: the thread of models `path` has made its last token; the target's comes after others of its time
    events = [(latencies[j], j == target, (j,)) for j in models]
    heapq.heapify(events)
    lead, ended = (), set()
    while True:
        time, _, path = heapq.heappop(events)
        if path[: len(lead)] != lead:
            continue  # killed
        ended.add(path)
        if len(path) < N:
            for j in models:
                heapq.heappush(events, (time + latencies[j], j == target, (*path, j)))
        while (*lead, target) in ended:
            if len(lead) == N - 1:
                return time
            same = [j for j in models if (*lead, j) in ended and (j == target or right[len(lead)][j])]
            lead = (*lead, follow(same, key=lambda j: latencies[j]))


# --- time per token of long texts, one target pass as the unit --------------------------------------------


def si_rate(p, c, k):
    """(k c + 1) / (1 + p + ... + p^k), p < 1: time of a round over its expected tokens; k = 0 is plain decoding."""
    return (k * c + 1) * (1 - p) / (1 - p ** (k + 1))


def dsi_rate(p, c, lookahead=1):
    """(1 - p) (1 + L c p / (1 - p^L)): expected time of an epoch over its expected number of tokens, p < 1."""
    return (1 - p) * (1 + lookahead * c * p / (1 - p**lookahead))


# --- the tokens -------------------------------------------------------------------------------------------


def acceptance(P, q, x):
    """min(1, P(x) / q(x)): how often the draft x, of q(x) > 0, is kept; P, q: (V,) laws of the next token."""
    return min(1, P[x] / q[x])


def correction(P, q):
    """The law (P - q)_+ / sum (P - q)_+ after a rejection, (V,); P itself if the two laws are equal."""
    rest = [max(a - b, 0) for a, b in zip(P, q, strict=True)]
    return [r / sum(rest) for r in rest] if any(rest) else P


def emitted_law(models, N, drafts, accept=acceptance, correct=correction):
    """The law {text: probability} of N tokens of draft-and-verify rounds, by enumeration of all that can happen.

    models: {context: (P, q)} for every context, a tuple of tokens, shorter than N; drafts: k of a round.
    """
    law, finished = {(): Fraction(1)}, {}
    while law:
        text = min(law, key=len)  # no shorter text is still to come, so its probability is complete
        weight = law.pop(text)
        if len(text) == N:
            finished[text] = weight
            continue
        for longer, chance in _round(models, text, min(drafts, N - len(text) - 1), accept, correct):
            law[longer] = law.get(longer, 0) + weight * chance
    return finished


def _round(models, text, drafts, accept, correct):
    """What a round makes of a text: (longer text, probability), again and again."""
    P, q = models[text]
    if drafts == 0:
        yield from (((*text, x), P[x]) for x in range(len(P)) if P[x])
        return
    for x in range(len(q)):
        if q[x]:
            kept = accept(P, q, x)
            if kept:
                following = _round(models, (*text, x), drafts - 1, accept, correct)
                yield from ((longer, q[x] * kept * chance) for longer, chance in following)
            if kept < 1:
                law = correct(P, q)
                yield from (((*text, y), q[x] * (1 - kept) * law[y]) for y in range(len(P)) if law[y])


# --- inside -----------------------------------------------------------------------------------------------


def _validated(accepted, t1, t2, lookahead):
    """(accepted as a tuple, t1 and t2 as integers, what they are multiples of), or a ValueError."""
    accepted = tuple(accepted)
    if not accepted or any(b not in (0, 1) for b in accepted):
        raise ValueError(f"a pattern is a non-empty sequence of 0 and 1, not {accepted!r:.60}")
    if not isinstance(lookahead, int) or lookahead < 1:
        raise ValueError(f"a lookahead is a positive integer, not {lookahead!r}")
    try:
        first, second = Fraction(t1), Fraction(t2)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"latencies are numbers: {error}") from error
    if first <= 0 or second <= 0:
        raise ValueError(f"latencies are positive, not {t1} and {t2}")
    unit = Fraction(1, math.lcm(first.denominator, second.denominator))
    return accepted, int(first / unit), int(second / unit), unit
