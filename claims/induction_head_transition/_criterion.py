r"""Which of the two a length distribution teaches, to leading order in 1/N: fractions of the distribution alone.

$Q_l = q_l / T_l$, 0 outside the support; $R_T = \max Q_l / \sum Q_l$. In units of $\sigma / N_{trg}$ the score of
position t in a sequence of length T = l1 + l2 + 3 is, with l = (l1 + l2) / 2 (no Q_l where that is no integer),

    N_trg Q_l [t in {l+2, l+3}]  +  Q_{t-2} + Q_{t-3}  -  2 sum_{k: T_k >= t} Q_k / T_k          everywhere,
    + Q_l (1 - 2/T) + S_1  at t = l1 + 2, the output,     - 4 (Q_l / T + sum_k Q_k / T_k)  at the two triggers,

where $S_1 = \sum Q_k (1 - 2 / T_k)$.
"""

from fractions import Fraction

from . import _population


def weights(distribution):
    """Q and the sums that scores are made of."""
    Q = {k: Fraction(q) / (2 * k + 3) for k, q in distribution.items()}
    over_T = sum(Q[k] / (2 * k + 3) for k in Q)
    return Q, over_T, sum(Q.values()) - 2 * over_T


def sharp_criterion(distribution, triggers, pairs, centring=1):
    """By how much the output outscores all other positions, over S_1: the least over pairs (l1, l2).

    centring: 0 leaves out the last sum of the formula, for a control.
    """
    Q, over_T, S1 = weights(distribution)
    longest = max(first + second for first, second in pairs) + 3
    last_sum = [
        2 * centring * sum((Q[k] / (2 * k + 3) for k in Q if 2 * k + 3 >= t), Fraction(0))
        for t in range(longest + 1)
    ]
    everywhere = [Q.get(t - 2, 0) + Q.get(t - 3, 0) - last_sum[t] for t in range(longest + 1)]
    least = []
    for first, second in pairs:
        T, middle, odd = first + second + 3, *divmod(first + second, 2)
        own = 0 if odd else Q.get(middle, Fraction(0))
        scores = everywhere[: T + 1]
        scores[middle + 2] += triggers * own
        scores[middle + 3] += triggers * own
        scores[first + 1] -= 4 * (own / T + over_T)
        scores[T] -= 4 * (own / T + over_T)
        output = scores[first + 2] + own * (1 - Fraction(2, T)) + S1
        least.append(output - max(x for t, x in enumerate(scores) if t not in (0, first + 2)))
    return min(least) / S1


def remainder(distribution, vocabulary, triggers):
    r"""A bound on what the leading order neglects in `sharp_criterion` at a vocabulary of size N.

    In units of sigma: a mean gain E a_t differs from its leading term by at most e = N_trg/N + 2 max(|b|/sigma +
    1/N', 2/N), a centred one by $\delta = 2 e$. In any sequence centred gains are at most $2 + \delta$, and
    z_{T-1} comes 1 + 2 l / N' times on average: their sums over equal tokens are at most the product. Adding up
    the nine entries of W_KQ that make a score bounds its error; a margin has twice that.
    """
    Q, _, S1 = weights(distribution)
    k = _population.constants(distribution, vocabulary, triggers)
    beta = abs(k.b) / k.sigma + Fraction(1, k.others)
    delta = 2 * (Fraction(triggers, vocabulary) + 2 * max(beta, Fraction(2, vocabulary)))
    if not delta < Fraction(1, 10):
        raise ValueError(f"the bound needs a larger vocabulary than {vocabulary}")
    largest, total = max(Q.values()), sum(Q.values())
    near = delta * ((triggers + 3) * largest + 4 * total)
    repeated = (2 + delta) * (1 + Fraction(2 * max(Q), k.others))
    far = (3 * triggers * largest + (6 + 2 * triggers + 2 * triggers * repeated) * total) / k.others
    return 2 * (near + far) / S1


def below(distribution, triggers):
    r"""$\epsilon_1$: R(D) < epsilon_1 makes the criterion positive; N_trg at least 1, shortest length at least 1."""
    l = min(distribution)
    T = Fraction(2 * l + 3)
    return (2 * l / T) * (1 - 4 / T) / (triggers + 1 + 2 / T)


def above(distribution, triggers):
    r"""$\epsilon_2$: R(D) > epsilon_2 makes it negative; shortest length at least 2.

    At l1 = 1 no Q adds to the output's $S_1 < \sum Q$, and the rival at l + 2, l the length with the largest Q_l, has
    N_trg Q_l; and $\sum Q / \max Q$ is at most T_0 / (2 l_0) / R(D).
    """
    l = min(distribution)
    return Fraction(2 * l + 3, 2 * l) / triggers
