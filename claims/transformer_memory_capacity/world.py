r"""Documents, contexts, and the one-layer decoder whose parameters are counted.

A context is a non-empty word over the tokens 0..omega-1; a document supplies every one of its proper prefixes as a
context, followed by the token that comes next. The decoder, for a context z_1..z_t,

    x_i = E[z_i] + P[i],   a = softmax(x_i . A x_t),   h = sum_i a_i x_i,   f = V psi(W h + b) + c,

has logits (f, 0): f are log-odds against the last token, so that no parameter is lost to the shift that softmax
ignores. P is fixed; omega d + d^2 + m (d + 1) + (omega - 1)(m + 1) parameters are trained. A contains the usual
1 / sqrt(d).
"""

import itertools
import math
from collections import Counter, defaultdict

import numpy as np

from verify import certify, exact


def words(tokens, longest):
    """All contexts of 1 to `longest` tokens out of 0..tokens-1, the shorter ones first."""
    every = range(1, longest + 1)
    return [word for length in every for word in itertools.product(range(tokens), repeat=length)]


def mixed_words(rng, tokens, longest, short, n):
    """n contexts: all of up to `short` tokens, one of each greater length up to `longest`, others by chance."""
    every = words(tokens, longest)
    few = [c for c in every if len(c) <= short]
    named = [(tokens - 1,) * t for t in range(short + 1, longest + 1)]
    others = [c for c in every if len(c) > short and c not in named]
    return [*few, *named, *(others[i] for i in rng.permutation(len(others))[: n - len(few) - len(named)])]


def markov_documents(rng, count, tokens, length, concentration=0.5, shortest=None):
    """Documents (lists of tokens) of a first-order Markov source with Dirichlet(concentration) rows.

    Each has `length` tokens, or a number drawn from shortest..length.
    """
    rows = np.cumsum(rng.dirichlet(np.full(tokens, concentration), size=tokens + 1), axis=1)
    found = []
    for _ in range(count):
        wanted = length if shortest is None else int(rng.integers(shortest, length + 1))
        document, state = [], tokens
        for u in rng.random(wanted):
            state = min(int(np.searchsorted(rows[state], u, side="right")), tokens - 1)
            document.append(state)
        found.append(document)
    return found


# --- counts and entropy -----------------------------------------------------------------------------------


def context_counts(documents, key=tuple):
    """N_cg: {context: Counter of the tokens that follow it}, pooled over documents (lists of tokens).

    key: what of a context is told apart, everything by default. Raises ValueError for what is no list of lists
    of integers.
    """
    counts = defaultdict(Counter)
    for document in _validated(documents):
        for t in range(1, len(document)):
            counts[key(document[:t])][document[t]] += 1
    return dict(counts)


def conditional_entropy(documents) -> float:
    """H = -sum_cg N_cg log(N_cg / N_c) in nats, summed over contexts c and next tokens g, not averaged.

    documents: a list of token lists. N_cg counts token g after the full non-empty prefix c, pooled over the
    documents; N_c = sum_g N_cg. No model has a smaller summed cross-entropy on these documents. A document of
    fewer than two tokens predicts nothing and adds nothing. Raises ValueError for no documents, and for
    documents that are no lists of integers.
    """
    counts = context_counts(documents).values()
    return 0.0 + math.fsum(
        N * math.log(following.total() / N) for following in counts for N in following.values()
    )


def entropy(counts):
    """The same of given counts {context: Counter}, enclosed."""
    pairs = [(N, following.total()) for following in counts.values() for N in following.values()]
    N, total = (np.array(side, dtype=object) for side in zip(*pairs, strict=True))
    return (exact(N) * (certify.log(exact(total)) - certify.log(exact(N)))).sum()


def count_table(counts, tokens):
    """N_cg as an integer array (n, omega), contexts in the order of their first appearance."""
    table = np.zeros((len(counts), tokens), dtype=int)
    for row, following in zip(table, counts.values(), strict=True):
        row[list(following)] = list(following.values())
    return table


def predictions(documents):
    """(row, token) of every predicted token, two arrays: rows number the contexts as `count_table` does."""
    rows = {}
    pairs = [
        (rows.setdefault(tuple(document[:t]), len(rows)), document[t])
        for document in documents
        for t in range(1, len(document))
    ]
    return tuple(np.array(pairs).T)


def _validated(documents):
    """The documents as tuples of ints, or a ValueError that says what is wrong."""
    if isinstance(documents, str | bytes | dict) or not hasattr(documents, "__iter__"):
        raise ValueError(f"documents must be a list of token lists, not {type(documents).__name__}")
    found = []
    for number, document in enumerate(documents):
        if isinstance(document, str | bytes | dict | set) or not hasattr(document, "__iter__"):
            raise ValueError(f"document {number} must be a list of tokens, not {document!r:.60}")
        tokens = tuple(document)
        for token in tokens:
            if isinstance(token, bool | np.bool_) or not isinstance(token, int | np.integer):
                raise ValueError(f"document {number} holds {token!r:.60}; tokens are integers")
        found.append(tuple(int(token) for token in tokens))
    if not found:
        raise ValueError("there are no documents")
    return found


# --- the decoder ------------------------------------------------------------------------------------------


def parameters(tokens, d, m):
    """How many numbers of the decoder are trained: k."""
    return tokens * d + d * d + m * (d + 1) + (tokens - 1) * (m + 1)


def mobius(n):
    """The Moebius function."""
    result, factor = 1, 2
    while n > 1:
        if n % factor == 0:
            n //= factor
            if n % factor == 0:
                return 0
            result = -result
        factor += 1
    return result
