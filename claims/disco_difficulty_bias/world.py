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

from verify import CertificateError, Record, certify, concatenate, exact, stack

METHODS = ("grpo", "dr-grpo", "disco")
END = "."  # the token that ends an answer


def column(numbers):
    """Integers and fractions, one after the other, as exact values (k,)."""
    return exact(np.array(list(numbers), dtype=object))


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


# --- a policy near the old one ----------------------------------------------------------------------------
#
# J(x) = sum_o w_o x_o, the ratio score's J1 of a table of answers: w = 1 / p for correct, -1 / (1 - p) for wrong
# answers. The best policy with KL(old || x) <= delta keeps the proportions among correct and among wrong
# answers; y is the mass that it leaves to wrong ones.


def rates(old, correct):
    """(p, w) of a table of answers, exactly: the mass of the first `correct` answers, and their values (k,).

    old: (k,) positive floats whose sum is exactly 1. ValueError for anything else.
    """
    exactly = [Fraction(x) for x in np.asarray(old, dtype=float).ravel().tolist()]
    if not 0 < correct < len(exactly) or min(exactly) <= 0 or sum(exactly) != 1:
        raise ValueError("old is a positive distribution over correct answers, then wrong ones")
    p = sum(exactly[:correct])
    values = [1 / p] * correct + [-1 / (1 - p)] * (len(exactly) - correct)
    return p, np.array(values, dtype=object)


def divergence(y, p):
    """KL(old || x) in balls, for mass y of wrong answers."""
    return p * (p / (1 - y)).log() + (1 - p) * ((1 - p) / y).log()


def gain(y, p):
    """J in balls."""
    return (1 - p - y) / (p * (1 - p))


def price(y, p):
    """The multiplier of the constraint in balls: how fast the best J grows with delta."""
    return y * (1 - y) / (p * (1 - p) * (1 - p - y))


def constrained(p, delta):
    """The best policy with KL(old || x) <= delta: Record(wrong, value, multiplier, divergence), enclosures."""
    return _policy(lambda y, p, delta: divergence(y, p) - delta, p, delta)


def with_divergence_reversed(p, delta):
    """The best policy with KL(x || old) <= delta, the rival: Record(value, multiplier), enclosures."""

    def excess(y, p, delta):
        return y * (y / (1 - p)).log() + (1 - y) * ((1 - y) / p).log() - delta

    wrong = certify.root(excess, (1 - p) / 2**40, 1 - p, p, delta)
    return Record(value=certify.evaluate(gain, wrong, p), multiplier=certify.evaluate(price, wrong, p))


def penalised(p, delta, beta):
    """The maximiser of J - beta [KL - delta]_+^2: Record(wrong, value, multiplier, divergence), enclosures.

    There the multiplier is 2 beta (KL - delta), here multiplied with what it is divided by. ValueError for a
    negative delta or beta.
    """
    if delta < 0 or beta <= 0:
        raise ValueError(f"delta {float(delta):.6g} and beta {float(beta):.6g} are not negative")

    def stationary(y, p, delta, beta):
        return 2 * beta * (divergence(y, p) - delta) * p * (1 - p) * (1 - p - y) - y * (1 - y)

    return _policy(stationary, p, delta, beta)


def _policy(condition, p, *given):
    if not 0 < p < 1:
        raise ValueError(f"p lies between 0 and 1, not at {float(p):.6g}")
    wrong = certify.root(condition, (1 - p) / 2**200, 1 - p, p, *given)
    parts = {"value": gain, "multiplier": price, "divergence": divergence}
    return Record(wrong=wrong, **{name: certify.evaluate(part, wrong, p) for name, part in parts.items()})


def proportions(policy, correct):
    """The policy given that the answer is correct, then given that it is wrong, (answers,)."""
    x = points(policy)
    return concatenate([part / part.sum() for part in (x[:correct], x[correct:])])


def best_value(old, correct, delta):
    """The largest J of a policy with KL(old || x) <= delta, enclosed by points of a conic program.

    Above: for every multiplier m > 0 of the constraint and every v > max w,
    J <= v + m delta + sum_o old_o m (log(m / (v - w_o)) - 1).
    """
    import cvxpy as cp

    _, w = rates(old, correct)
    x = cp.Variable(len(old))
    entropy = float(old @ np.log(old))
    constraints = [entropy - old @ cp.log(x) <= float(delta), cp.sum(x) == 1]
    solve(cp.Problem(cp.Maximize(w.astype(float) @ x), constraints))
    m, v = (Fraction(float(abs(constraint.dual_value))) for constraint in constraints)
    logs = certify.log(np.array([m / (v - value) for value in w], dtype=object))
    upper = v + m * delta + (points(old) * m * (logs - 1)).sum()
    return certify.bracket((exact(w) * points(feasible(x.value, old, delta))).sum(), upper, "conic program")


def feasible(policy, old, delta):
    """A policy near the given one with KL(old || x) <= delta: as little of the old one is mixed in as is needed."""
    for share in (0.0, *2.0 ** np.arange(-40, 1)):
        mixed = certify.convex_weights((1 - share) * np.maximum(policy, 0) + share * old)
        if mixed.min() > 0 and divergence_from(old, mixed).upper <= delta:
            return mixed
    raise CertificateError("no feasible policy near the solver's")


def divergence_from(old, policy):
    """KL(old || policy) of positive distributions (k,), enclosed."""
    return (points(old) * (certify.log(points(old)) - certify.log(points(policy)))).sum()


def penalised_ascent(old, correct, delta, beta, fixed=None):
    """The policy (k,) that BFGS finds in softmax logits, from the old one, for J - beta [KL - delta]_+^2.

    fixed: J - fixed KL instead.
    """
    from scipy.optimize import minimize

    good = np.arange(len(old)) < correct
    w = np.where(good, 1 / old[good].sum(), -1 / old[~good].sum())

    def loss(logits):
        policy = np.exp(logits - logits.max())
        policy /= policy.sum()
        divergence = old @ np.log(old / policy)
        over = max(divergence - delta, 0.0)
        value, force = (beta * over**2, 2 * beta * over) if fixed is None else (fixed * divergence, fixed)
        slopes = w + force * old / policy
        return value - w @ policy, policy * (policy @ slopes - slopes)

    logits = minimize(loss, np.log(old), jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 2_000}).x
    policy = np.exp(logits - logits.max())
    return policy / policy.sum()


def measured(policy, old, correct, delta, beta):
    """Record(divergence, value, gap, near) of a policy (k,), enclosed.

    gap: how far J - beta [KL - delta]_+^2 is from its maximum at most, max_o g_o - sum_o x_o g_o with its
    gradient g, since it is concave in the policy. near: how far the divergence is from the maximiser's at
    most, sqrt(gap / beta), since the largest J for a given divergence is concave in it (and it is delta at least).
    """
    _, w = rates(old, correct)
    policy = certify.convex_weights(policy)
    x, before = points(policy), points(old)
    divergence = divergence_from(old, policy)
    over = stack([divergence - delta, exact(0)]).largest()
    g = exact(w) + 2 * beta * over * before / x
    gap = certify.bracket(exact(0), g.largest() - (x * g).sum(), "concavity of the objective").gap()
    return Record(divergence=divergence, value=(exact(w) * x).sum(), gap=gap, near=(gap / beta).sqrt())
