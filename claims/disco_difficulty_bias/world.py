r"""Questions, answers and rewards: GRPO, Dr. GRPO and DisCO as the paper defines them.

A question has finitely many answers o, each a sequence of tokens, a reward r(o) that is 0 or 1, and an old
policy with probabilities $\pi(o)$; p is the probability of a correct answer, $\pi^+$ and $\pi^-$ the old policy given
that the answer is correct, or wrong. The three methods differ in the factor that an answer's score gets:

    grpo      (r - p) / sqrt(p (1 - p))
    dr-grpo   r - p
    disco     r / p - (1 - r) / (1 - p)

In a group of rollouts the group's own rate of correct answers stands for p, and a group whose answers are all
correct or all wrong counts as zero. Numbers may be fractions, floats or jax arrays: what they are stays exact.
"""

import itertools
import math
import warnings
from collections import Counter
from fractions import Fraction

import numpy as np

from verify import CertificateError, Record, certify, exact

METHODS = ("grpo", "dr-grpo", "disco")
END = "."  # the token that ends an answer


# --- answers and their scores -----------------------------------------------------------------------------


def question(answers, old, new, rewards):
    """A question with its answers, a Record that adds `p`, the probability of a correct one, and `ratios`.

    answers: k different token sequences, none the beginning of another; old, new: (k,) positive
    probabilities that sum to 1, exactly for fractions; rewards: (k,) of 0 and 1, both kinds.
    Raises ValueError for anything else.
    """
    answers = [tuple(answer) for answer in answers]
    if not len(answers) == len(old) == len(new) == len(rewards):
        raise ValueError("answers, old, new and rewards need one entry an answer")
    known = beginnings(answers, [1] * len(answers))
    shared = [o for o in answers if known[o] > 1]
    if shared:
        raise ValueError(f"answer {shared[0]} is the beginning of another one")
    for policy, name in ((old, "old"), (new, "new")):
        total = sum(policy)
        if min(policy) <= 0 or not (total == 1 if isinstance(total, Fraction) else math.isclose(total, 1)):
            raise ValueError(f"{name} is no positive distribution: it sums to {total}")
    if set(rewards) != {0, 1}:
        raise ValueError("rewards are 0 and 1, and a question has answers of both kinds")
    p = sum(weight for weight, r in zip(old, rewards, strict=True) if r)
    ratios = token_ratios(answers, old, new)
    return Record(answers=answers, old=list(old), new=list(new), rewards=list(rewards), p=p, ratios=ratios)


def token_ratios(answers, old, new):
    """Per answer the ratios new/old of its tokens' conditional probabilities, given the tokens before."""

    before, after = beginnings(answers, old), beginnings(answers, new)

    def ratio(o, t):
        prefix, longer = o[:t], o[: t + 1]
        return (after[longer] / after[prefix]) / (before[longer] / before[prefix])

    return [[ratio(o, t) for t in range(len(o))] for o in answers]


def beginnings(answers, policy):
    """{beginning: probability that an answer begins like that}."""
    total = Counter()
    for o, weight in zip(answers, policy, strict=True):
        for t in range(len(o) + 1):
            total[o[:t]] += weight
    return total


def clipped(ratio, advantage, low, high, xp=np):
    """f(x, A) = min(x A, clip(x, 1 - low, 1 + high) A); GRPO has low = high, DAPO a larger high."""
    return xp.minimum(ratio * advantage, xp.clip(ratio, 1 - low, 1 + high) * advantage)


# --- what the methods multiply scores with ----------------------------------------------------------------


def advantages(method, rewards, p, sqrt=np.sqrt):
    """Factors of the answers' scores, of the shape of rewards and p; sqrt as fits their kind of number."""
    if method not in METHODS:
        raise ValueError(f"method is one of {', '.join(METHODS)}, not {method!r}")
    if method == "grpo":
        return (rewards - p) / sqrt(p * (1 - p))
    return rewards - p if method == "dr-grpo" else rewards / p - (1 - rewards) / (1 - p)


def root(square):
    """The square root of a fraction, a fraction; ValueError where it is none."""
    square = Fraction(square)
    if square >= 0:
        found = Fraction(math.isqrt(square.numerator), math.isqrt(square.denominator))
        if found**2 == square:
            return found
    raise ValueError(f"{square} is not the square of a fraction")


def groups(policy, G):
    """All groups of G rollouts as (counts of the answers (k,), probability), by multinomial coefficients."""
    if G < 1 or len(policy) < 1:
        raise ValueError(f"a group has rollouts and a policy has answers, not {G} and {len(policy)}")
    for bars in itertools.combinations(range(G + len(policy) - 1), len(policy) - 1):
        ends = np.array([-1, *bars, G + len(policy) - 1])
        counts = np.diff(ends) - 1
        ways = math.factorial(G) // math.prod(math.factorial(c) for c in counts.tolist())
        yield counts, ways * math.prod(x**c for x, c in zip(policy, counts.tolist(), strict=True))


# --- scores of wrong answers ------------------------------------------------------------------------------


def points(numbers):
    """Floats (...) as the exact numbers that they are."""
    array = np.asarray(numbers, dtype=float)
    if not np.isfinite(array).all():
        raise ValueError("only finite numbers are exact")
    return exact(np.array([Fraction(x) for x in array.ravel().tolist()], dtype=object).reshape(array.shape))


def worst_case(scores, chances, tau):
    """max_Q E_Q s - tau KL(Q || P) over distributions Q, as Record(value, weights): an enclosure, and the best Q.

    scores, chances: (n,) floats, P positive with sum exactly 1 (see `certify.convex_weights`); tau: a positive
    number. The conic program's Q bounds the value from below; from above every number v does, by
    v + tau (E_P exp((s - v) / tau) - 1), and the best v is the multiplier of sum Q = 1.
    Raises ValueError for other shapes, chances or tau.
    """
    import cvxpy as cp

    scores, chances = np.asarray(scores, dtype=float), np.asarray(chances, dtype=float)
    if scores.ndim != 1 or scores.shape != chances.shape or not np.isfinite(scores).all():
        raise ValueError(f"scores and chances of shape (n,) are needed, not {scores.shape}, {chances.shape}")
    if not tau > 0 or not (chances > 0).all() or sum(map(Fraction, chances.tolist())) != 1:
        raise ValueError("tau and the chances are positive, and the chances sum to 1")
    q, temperature = cp.Variable(len(scores)), float(tau)
    program = cp.Problem(
        cp.Maximize(scores @ q - temperature * cp.sum(cp.rel_entr(q, chances))), [cp.sum(q) == 1]
    )
    solve(program)
    weights = certify.convex_weights(q.value)
    primal = regularised(scores, chances, tau, weights)
    v = Fraction(float(program.constraints[0].dual_value) + temperature)
    above = (points(chances) * certify.exp((points(scores) - v) / Fraction(tau))).sum() - 1
    value = certify.bracket(primal, v + Fraction(tau) * above, "primal and dual points of a conic program")
    return Record(value=value, weights=weights)


def solve(program):
    """Solves a cvxpy program as well as the solver can; certificates decide how good that is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program.solve(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    if any(variable.value is None for variable in program.variables()):
        raise CertificateError(f"the solver found no point: {program.status}")


def regularised(scores, chances, tau, weights):
    """E_Q s - tau KL(Q || P) for one distribution Q, enclosed."""
    kept = weights > 0
    Q, P = points(weights[kept]), points(chances[kept])
    divergence = (Q * (certify.log(Q) - certify.log(P))).sum()
    return (points(weights) * points(scores)).sum() - Fraction(tau) * divergence
