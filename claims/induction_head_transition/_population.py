r"""The two gradient steps of Algorithm 1 on the population loss, in closed form and exact fractions.

With $\tau = \sum q_l / T_l$, $\rho = \sum 2 l q_l / T_l$, $c_t = \sum_{T_l \ge t} q_l / T_l$, $T_l = 2 l + 3$,
$\gamma = N_{trg} / (N N')$, $N' = N - N_{trg}$ and $\sigma = \tau / N'$. Columns of W_KQ that are not named are 0.
"""

from fractions import Fraction

import numpy as np

from verify import Record


def constants(distribution, vocabulary, triggers, others=None):
    """Record(q, share q_l / T_l, tau, rho, c, gamma, sigma, others N', A, P, b): what all entries are made of."""
    q = {k: Fraction(p) for k, p in sorted(distribution.items())}
    others = others or vocabulary - triggers
    share = {k: p / (2 * k + 3) for k, p in q.items()}
    tau, rho = sum(share.values()), sum(2 * k * f for k, f in share.items())
    gamma, sigma = Fraction(triggers, vocabulary * others), tau / others
    return Record(
        q=q, share=share, tau=tau, rho=rho, gamma=gamma, sigma=sigma, others=others,
        c=lambda t: sum((f for k, f in share.items() if 2 * k + 3 >= t), Fraction(0)),
        A=2 * tau * gamma / triggers, P=tau * gamma / triggers, b=rho * gamma / others - sigma / vocabulary,
    )  # fmt: skip


def values(distribution, vocabulary, triggers, positions, others=None):
    """W_V(1) / eta_V, (N, L + 2 N), exactly and for every eta_V; others: in place of N', for a control."""
    k = constants(distribution, vocabulary, triggers, others)
    trigger = np.arange(vocabulary) < triggers
    g = np.where(trigger, Fraction(0), Fraction(1, k.others)) - Fraction(1, vocabulary)
    at = np.array([k.c(t) for t in range(1, positions + 1)], dtype=object)
    own = np.where(np.eye(vocabulary, dtype=bool) & ~trigger, Fraction(1), Fraction(0))
    C = k.sigma * (own - np.where(trigger, Fraction(0), Fraction(1, vocabulary)))
    C = C + k.rho / k.others * np.outer(g, np.where(trigger, 0, 1))
    after = k.tau / triggers * np.outer(g, np.where(trigger, 1, 0))
    return np.concatenate([np.outer(g, at), 2 * after + C, after + C], axis=1)


def centred_gains(k, length, o=2):
    """What attention to t = 1..T gains above attention to all, the mean over sequences of a length.

    o: how far behind the first subtext the output stands, for a control.
    """
    T = 2 * length + 3
    EA = [k.b + k.sigma / k.others] * T
    EA[length] = EA[T - 1] = k.A
    EA[length + o - 1] = k.b + k.sigma
    EP = [Fraction(0), *EA[:-1]]
    EP[length + 1] = k.P
    gains = [k.gamma * k.c(t + 1) + EA[t] + EP[t] for t in range(T)]
    mean = sum(gains) / T
    return [gain - mean for gain in gains]


def repeated_token(k, length):
    """(SD, SP): sums of a_t - mean of a over the t with z_t = y, and with z_{t-1} = y, given y = z_{T-1}."""
    T, o, n = 2 * length + 3, length + 2, k.others
    once, m = Fraction(1, n), 2 * length - 1
    count = 1 + once + m * once
    both = once * ((2 + m * once) ** 2 + m * once * (1 - once))
    both += (1 - once) * (1 + 2 * m * once + m * (m - 1) * once**2)
    total = k.gamma * sum(k.c(t) for t in range(1, T + 1)) + 2 * k.A + k.P + 2 * (2 * length + 1) * k.b
    Q = (total * count + 2 * k.sigma * both) / T

    def is_y(t):
        return 1 if t == T - 1 else once

    def is_o(t):
        return 1 if t == o else once

    tokens = [t for t in range(1, T + 1) if t not in (length + 1, T)]
    SD = sum((k.gamma * k.c(t) + k.b) * is_y(t) for t in tokens) + k.sigma * (2 * once + m * once**2)
    SD += k.P * is_y(o) - Q
    SD += sum(k.b * is_y(t) + k.sigma * is_o(t - 1) * is_y(t) for t in tokens if t not in (1, o))
    SP = -Q
    for s in tokens:
        SP += (k.gamma * k.c(s + 1) + k.b) * is_y(s) + k.sigma * (once if s in (T - 1, o) else once**2)
        if s + 1 in (T, length + 1):
            SP += k.A * is_y(s)
        elif s + 1 == T - 1:
            SP += k.b * is_y(s) + k.sigma * (once if s == o else once**2)
        else:
            SP += k.b * is_y(s) + k.sigma * is_y(s) * once
    return SD, SP


def attention(distribution, vocabulary, triggers, positions, shown=None, o=2, number=Fraction):
    """W_KQ(1) / (eta_V eta_KQ) in the limit eta_V -> 0, exactly, in the order of rows of `world`.

    D is L + 2 N. shown: (triggers, others), how many tokens of each kind get rows and columns; all of them if not given.
    Tokens of a kind are alike, so a few show every entry there is. number: what entries are turned into.
    """
    k = constants(distribution, vocabulary, triggers)
    n, N = triggers, k.others
    some, rest = shown or (triggers, k.others)
    L, m = positions, some + rest
    trigger, equal = np.arange(m) < some, np.eye(m, dtype=bool)
    W = np.full((L + 2 * m, L + 2 * m), number(0))
    here, token, before = slice(0, L), slice(L, L + m), slice(L + m, None)
    for length, f in k.share.items():
        T, ED = 2 * length + 3, centred_gains(k, length, o)
        SD, SP = (number(f * x) for x in repeated_token(k, length))
        at_w, after_w, else_w = ED[length] + ED[T - 1], ED[length + 1], -ED[0] - ED[length + 1]
        at_w, after_w, else_w = (number(f * x) for x in (at_w, after_w, else_w))
        rows = np.array([number(f * x) for x in ED] + [number(0)] * (L - T))
        W[here, T - 1] = rows
        W[token, T - 1] = np.where(trigger, at_w / n, -at_w / N)
        W[before, T - 1] = np.where(trigger, after_w / n, else_w / N)
        # the second trigger w, in the second block
        columns, own = np.arange(L, L + some), equal[:, :some]
        W[here, columns] += rows[:, None] / n
        W[token, columns] += np.where(trigger[:, None], own * at_w / n, -at_w / (N * n))
        W[before, columns] += np.where(trigger[:, None], own * after_w / n, else_w / (N * n))
        # the token y before it, in the third block
        columns, own, spread = np.arange(L + m + some, L + 2 * m), equal[:, some:], N * (N - 1)
        W[here, columns] += rows[:, None] / N
        other = np.where(own, SD / N, (-at_w - SD) / spread)
        W[token, columns] += np.where(trigger[:, None], at_w / (n * N), other)
        other = np.where(own, SP / N, (else_w - SP) / spread)
        W[before, columns] += np.where(trigger[:, None], after_w / (n * N), other)
    return W


def shortcut_over_induction(distribution, vocabulary, triggers):
    """N_trg d_l (q_l / T_l) / sum_k d_k (q_k / T_k) for every length l, in increasing order."""
    k = constants(distribution, vocabulary, triggers)
    strength = [f * centred_gains(k, length)[length + 1] for length, f in k.share.items()]
    return [triggers * one / sum(strength) for one in strength]
