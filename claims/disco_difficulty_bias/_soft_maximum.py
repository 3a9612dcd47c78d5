"""The soft maximum over wrong answers: as code differentiates it, and its rival with the divergence reversed."""

from fractions import Fraction
from functools import cache

from verify import certify, train


@cache
def of_all():
    """(J2, gradients of -J2 and of the surrogate) for arrays of questions and of taus."""
    jax = train.use_jax()
    jnp = jax.numpy

    def exponentials(wrong, chances, correct, tau):
        return (chances * jnp.exp((wrong - correct[:, None]) / tau)).sum(axis=1)

    def loss(wrong, *given):
        return (given[-1] * jnp.log(exponentials(wrong, *given))).mean()

    def surrogate(wrong, *given):
        sums = exponentials(wrong, *given)
        return (given[-1] * sums / jax.lax.stop_gradient(sums)).mean()

    def of_one(*given):
        return -loss(*given), jnp.stack([jax.grad(loss)(*given), jax.grad(surrogate)(*given)])

    over_taus = jax.vmap(of_one, in_axes=(None, None, None, 0))
    return jax.jit(jax.vmap(over_taus, in_axes=(0, 0, 0, None)))


def with_divergence_reversed(scores, chances, tau):
    """(value, Q) of max_Q E_Q s - tau KL(P || Q), the penalty the other way round.

    Q = tau P / (v - s) with v > max s from sum Q = 1: the value is v - tau + tau E_P log(tau / (v - s)).
    """
    pairs = list(zip(chances.tolist(), scores.tolist(), strict=True))
    top, chance = scores.max(), chances[scores.argmax()]

    def excess(v, tau):
        return 1 - sum(tau * P / (v - s) for P, s in pairs)

    def value(v, tau):
        return v - tau + tau * sum(P * (tau / (v - s)).log() for P, s in pairs)

    v = certify.root(excess, Fraction(top) + tau * Fraction(chance) / 2, Fraction(top) + 2 * tau, tau)
    return certify.evaluate(value, v, tau), float(tau) * chances / (v.middle - scores)
