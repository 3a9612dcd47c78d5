r"""Definitions that the claims of this paper share: sequences, the one-layer model, Algorithm 1, the max-sum ratio.

Tokens are 0..N-1, the first N_trg of them triggers. A sequence with subtexts of lengths (l1, l2) is
$(z_1 .. z_{l1}, w, o, z_{l1+3} .. z_{l1+l2+2}, w)$ of length T = l1 + l2 + 3, and o is to follow. Embeddings are
$x_t = [p_t; e_{z_t}; e_{z_{t-1}}]$ in dimension D = L + 2N: row t - 1 of a matrix is position t, row L + z the token
z, row L + N + z the previous token z (absent at t = 1).
"""

from collections.abc import Mapping
from numbers import Real

import numpy as np

from verify import Record

# --- data and model -------------------------------------------------------------------------------------


def sequences(rng, first, second, vocabulary, triggers):
    """Random sequences with subtexts of lengths first and second, both (M,).

    Returns Record(tokens (M, max T), length T (M,), output (M,)); tokens beyond T are of no account.
    """
    length, rows = first + second + 3, np.arange(len(first))
    tokens = rng.integers(triggers, vocabulary, (len(first), length.max()))
    trigger, output = rng.integers(0, triggers, len(first)), rng.integers(triggers, vocabulary, len(first))
    tokens[rows, first] = tokens[rows, length - 1] = trigger
    tokens[rows, first + 1] = output
    return Record(tokens=tokens, length=length, output=output)


def training_sequences(rng, distribution, samples, vocabulary, triggers):
    """Sequences whose two subtexts have one length, drawn from {length: probability}."""
    support = np.array(sorted(distribution))
    length = rng.choice(support, samples, p=[float(distribution[k]) for k in support])
    return sequences(rng, length, length, vocabulary, triggers)


def every_sequence(length, vocabulary, triggers):
    """All sequences with two subtexts of one length, as `sequences` returns them; they are equally likely."""
    choices = (triggers, *(vocabulary - triggers,) * (2 * length + 1))
    trigger, output, *rest = np.indices(choices).reshape(len(choices), -1)
    head, tail = np.array(rest[:length]), np.array(rest[length:])
    tokens = np.stack([*(triggers + head), trigger, triggers + output, *(triggers + tail), trigger], axis=1)
    return Record(tokens=tokens, length=np.full(len(tokens), 2 * length + 3), output=triggers + output)


def one_hot(batch, positions, vocabulary):
    """The embeddings x_t of sequences of one length, integers (M, T, D)."""
    X = Embedded(batch, positions, vocabulary)
    M, T = batch.tokens.shape
    return np.stack([X.combined(np.tile(np.eye(T)[t], (M, 1))) for t in range(T)], axis=1).astype(int)


def positions(lengths):
    """L, with room for T + 1 at the longest of the lengths."""
    return 2 * max(lengths) + 4


class Embedded:
    """Sequences as the model sees them: X of every sequence, by the places of its ones."""

    def __init__(self, batch, positions, vocabulary):
        M, S = batch.tokens.shape
        self.output, self.vocabulary = batch.output, vocabulary
        self.shape = (M, positions + 2 * vocabulary)
        self.inside = np.arange(S) < batch.length[:, None]
        self.uniform = self.inside / batch.length[:, None]
        token, before = (batch.tokens[np.arange(M), batch.length - j] for j in (1, 2))
        self.last = np.stack([batch.length - 1, positions + token, positions + vocabulary + before], axis=1)
        here, token = np.broadcast_to(np.arange(S), (M, S)), positions + batch.tokens
        self._ones = np.concatenate([here, token, token[:, :-1] + vocabulary], axis=1, dtype=np.int32)

    def summed(self, rows, weights, size):
        """sum_m,t weights[m, t] e_r x_t^T with r = rows[m], (size, D); rows (M,), weights (M, S), 0 beyond T."""
        each, D = np.concatenate([weights, weights, weights[:, 1:]], axis=1), self.shape[1]
        places = self._ones + D * rows[:, None]
        return np.bincount(places.ravel(), each.ravel(), size * D).reshape(size, D)

    def combined(self, weights):
        """sum_t weights[m, t] x_t of every sequence, (M, D); weights (M, S), 0 beyond T."""
        return self.summed(np.arange(len(weights)), weights, len(weights))

    def products(self, vectors):
        """vectors[m] . x_t of every sequence and t, (M, S), of no account beyond T; vectors (M, D)."""
        (M, D), S = self.shape, self.inside.shape[1]
        each = vectors.take(self._ones + D * np.arange(M)[:, None])
        result = each[:, :S] + each[:, S : 2 * S]
        result[:, 1:] += each[:, 2 * S :]
        return result


def softmax(logits):
    """Along the last axis."""
    weights = logits - logits.max(axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def logits(W_V, W_KQ, batch):
    """f = W_V X softmax(X^T W_KQ x_T) of every sequence, (M, N); W_V (N, D), W_KQ (D, D)."""
    vocabulary, size = W_V.shape
    X = Embedded(batch, size - 2 * vocabulary, vocabulary)
    asked = W_KQ.T[X.last[:, 0]] + W_KQ.T[X.last[:, 1]] + W_KQ.T[X.last[:, 2]]
    attention = softmax(np.where(X.inside, X.products(asked), -np.inf))
    return X.combined(attention) @ W_V.T


def answers(W_V, W_KQ, batch):
    """The token that the model puts first, (M,)."""
    return logits(W_V, W_KQ, batch).argmax(axis=1)


# --- Algorithm 1 on samples -----------------------------------------------------------------------------


def value_step(X):
    """Minus the gradient in W_V of the mean cross entropy at W_V = 0, W_KQ = 0, where p = 1/N: (N, D)."""
    total = X.summed(X.output, X.uniform, X.vocabulary)
    return (total - total.sum(axis=0) / X.vocabulary) / len(X.output)


def attention_step(X, W_V):
    """Minus the gradient in W_KQ of the mean cross entropy at W_KQ = 0 and the given W_V (N, D): (D, D)."""
    error = -softmax(X.combined(X.uniform) @ W_V.T)
    error[np.arange(len(error)), X.output] += 1
    gains = X.products(error @ W_V)
    centred = X.uniform * (gains - (X.uniform * gains).sum(axis=1, keepdims=True))
    return _grouped(X.last, X.combined(centred), X.shape[1]).T / len(error)


def _grouped(places, vectors, size):
    """Row i is the sum of the vectors (M, D) whose places (M, j) include i: (size, D)."""
    from scipy.sparse import csr_array

    M, each = places.shape
    ones = csr_array((np.ones(M * each), places.ravel(), np.arange(M + 1) * each), (M, size))
    return ones.T @ vectors


def trained(rng, distribution, vocabulary, triggers, samples, rates, separate=True, at_once=512):
    """(W_V(1), W_KQ(1)) of Algorithm 1; rates: (eta_V, eta_KQ); separate: whether each step has its own samples."""
    size = positions(distribution)

    def fresh():
        """Samples in parts that fit a processor's cache."""
        batch = training_sequences(rng, distribution, samples, vocabulary, triggers)
        return [Embedded(part, size, vocabulary) for part in split(batch, at_once)]

    def mean(step, parts, *given):
        return sum(len(X.output) * step(X, *given) for X in parts) / samples

    first = fresh()
    W_V = rates[0] * mean(value_step, first)
    second = fresh() if separate else first
    return W_V, rates[1] * mean(attention_step, second, W_V)


def split(batch, at_once):
    """The sequences in parts of so many."""
    for start in range(0, len(batch.tokens), at_once):
        yield Record(**{name: array[start : start + at_once] for name, array in vars(batch).items()})


def unequal_test(rng, shortest, longest, tests, vocabulary, triggers):
    """The paper's test sequences: l uniform on shortest + 1 .. longest, l1 on 1 .. 2 l - 1 without l, l2 = 2 l - l1."""
    length = rng.integers(shortest + 1, longest + 1, tests)
    first = rng.integers(1, 2 * length - 1)
    first += first >= length
    return sequences(rng, first, 2 * length - first, vocabulary, triggers)


def figure_3_model(rng, triggers, shortest, longest, vocabulary, samples):
    """(W_V, W_KQ) as trained for the paper's Figure 3: lengths uniform, one batch for both steps, rates 1e3, 1e4."""
    uniform = dict.fromkeys(range(shortest, longest + 1), 1 / (longest - shortest + 1))
    return trained(rng, uniform, vocabulary, triggers, samples, (1e3, 1e4), separate=False)


def figure_3_accuracy(rng, triggers, shortest, longest, vocabulary, samples, tests):
    """The share of test sequences that a freshly trained model answers."""
    model = figure_3_model(rng, triggers, shortest, longest, vocabulary, samples)
    batch = unequal_test(rng, shortest, longest, tests, vocabulary, triggers)
    return float(np.mean(answers(*model, batch) == batch.output))


def ood_accuracy(
    triggers: int, shortest: int, longest: int, vocabulary: int = 64, samples: int = 8192, seed: int = 0
) -> float:
    """One cell of the paper's Figure 3: train by Algorithm 1, test 4096 sequences with subtexts of unequal lengths.

    triggers: N_trg; shortest < longest: the training lengths, uniform between them; vocabulary: N > N_trg + 1;
    samples: for both steps together; equal seeds give equal results. Raises ValueError for anything else.
    """
    numbers = {"triggers": triggers, "shortest": shortest, "longest": longest, "vocabulary": vocabulary}
    for name, value in {**numbers, "samples": samples, "seed": seed}.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise ValueError(f"{name} must be an integer, not {value!r}")
        if value < (name != "seed"):
            raise ValueError(f"{name} must be {'at least 0' if name == 'seed' else 'positive'}, not {value}")
    if shortest >= longest:
        raise ValueError(
            f"the shortest length {shortest} must be below the longest, {longest}: a test needs both"
        )
    if vocabulary < triggers + 2:
        raise ValueError(f"{vocabulary} tokens leave fewer than two beside {triggers} triggers")
    rng = np.random.default_rng(seed)
    return figure_3_accuracy(rng, triggers, shortest, longest, vocabulary, samples, tests=4096)


def max_sum_ratio(distribution: Mapping[int, float]) -> float:
    r"""Definition 4: $R(D) = \max_l (q_l / l) / \sum_l (q_l / l)$ of {length: probability}.

    Raises ValueError unless lengths are positive integers and probabilities are not negative and sum to 1.
    """
    return float(exact_ratio(checked_distribution(distribution)))


def exact_ratio(distribution):
    """`max_sum_ratio` in the arithmetic of the probabilities, unchecked."""
    shares = [q / k for k, q in distribution.items()]
    return max(shares) / sum(shares)


def checked_distribution(distribution):
    """The distribution without lengths of probability 0, or a ValueError that says what is wrong."""
    if not isinstance(distribution, Mapping) or not distribution:
        raise ValueError(
            f"a length distribution is a mapping {{length: probability}}, not {distribution!r:.60}"
        )
    for length, q in distribution.items():
        if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 1:
            raise ValueError(f"lengths are positive integers, not {length!r}")
        if isinstance(q, bool) or not isinstance(q, Real) or not 0 <= q <= 1:
            raise ValueError(f"the probability of length {length} is {q!r}, not a number from 0 to 1")
    total = sum(distribution.values())
    if abs(total - 1) > len(distribution) * np.finfo(float).eps:
        raise ValueError(f"the probabilities sum to {float(total)!r}, not to 1")
    return {int(k): q for k, q in sorted(distribution.items()) if q > 0}


# --- what attention does, over all test sequences -------------------------------------------------------


def unequal_pairs(longest):
    """All (l1, l2), different and at least 1, of sequences no longer than those of training: T <= 2 longest + 3."""
    return [(T - l2, l2) for T in range(3, 2 * longest + 1) for l2 in range(1, T) if 2 * l2 != T]


def worst_margin(W_KQ, vocabulary, triggers, pairs):
    """By how much the output's position outscores all that hold another token, over all sequences of the pairs.

    W_KQ: (D, D) of numbers or fractions, compared exactly where they are exact; pairs: (l1, l2), all at least 1.
    The least over triggers w, outputs o, tokens y before the second trigger, positions and what can stand there.
    """
    parts, worst = {}, []
    for first, second in pairs:
        T = first + second + 3
        if T not in parts:
            parts[T] = _scores(W_KQ, vocabulary, triggers, T)
        p = parts[T]
        target = p.here[first + 1] + p.token + p.after_w
        rivals = [
            p.here[0] + p.rival,
            p.here[first] + p.trigger + p.before,
            p.here[T - 1] + p.trigger + p.after_y,
        ]
        middle = [*range(1, first), *range(first + 3, T - 2)]
        if middle:
            rivals.append(p.here[middle].max(axis=0) + p.rival + p.before)
        if second > 1:
            rivals.append(p.here[first + 2] + p.rival + p.after_o)
        last = p.here[T - 2] + p.y + (p.before if second > 1 else p.after_o)
        worst.append(min((target - last)[p.y_is_not_o].min(), *((target - x).min() for x in rivals)))
    return worst


def _scores(W_KQ, vocabulary, triggers, T):
    """What makes up x_t^T W_KQ x_T, by trigger w, token y before the last, output o: arrays (.., w, y, o)."""
    N, n = vocabulary, triggers
    L = len(W_KQ) - 2 * N
    asked = W_KQ[:, T - 1, None, None] + W_KQ[:, L : L + n, None] + W_KQ[:, None, L + N + n :]
    tokens, previous = asked[L + n : L + N], asked[L + N + n :]  # of non-triggers, (z, w, y)
    w, y = np.arange(n), np.arange(N - n)
    largest = np.sort(tokens, axis=0)[-2:, :, :, None]
    token = np.moveaxis(tokens, 0, -1)
    return Record(
        here=asked[:L, :, :, None],
        token=token,
        rival=np.where(token < largest[1], largest[1], largest[0]),  # the best token that is not o
        trigger=asked[L + w, w][:, :, None],
        y=np.moveaxis(tokens[y, :, y], 0, -1)[:, :, None],
        y_is_not_o=np.broadcast_to(y[:, None] != y, token.shape),
        after_w=asked[L + N + w, w][:, :, None],
        after_o=np.moveaxis(previous, 0, -1),
        after_y=np.moveaxis(previous[y, :, y], 0, -1)[:, :, None],
        before=previous.max(axis=0)[:, :, None],
    )
