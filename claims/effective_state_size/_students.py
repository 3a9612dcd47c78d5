"""A time-varying recurrence with r states that is trained to imitate an operator: L-BFGS on all its matrices.

Recurrences are padded with zeros to a common largest size R and written as one vector: A (L, R, R), B (L, R), C (L, R).
"""

from functools import cache

import numpy as np

from verify import train

from . import world


def trained(T, size, start, iterations, largest):
    """The recurrence after L-BFGS on |T - T'|_F^2 from `start`, a recurrence with at most `size` states a step.

    largest: R; the compiled loss is that of R states for students of all sizes, of which entries beyond r stay 0.
    """
    from scipy.optimize import minimize

    L = len(T)
    loss, x, own = loss_and_gradient(L, largest), flattened(start, largest), entries_of(size, L, largest)

    def of_own(entries):
        x[own] = entries
        value, gradient = loss(x, T)
        return float(value), np.asarray(gradient)[own]

    options = {"maxiter": iterations, "ftol": 0, "gtol": 0}
    x[own] = minimize(of_own, x[own], jac=True, method="L-BFGS-B", options=options).x
    return as_steps(x, np.diag(T), size, largest)


@cache
def loss_and_gradient(L, R):
    jax = train.use_jax()
    jnp = jax.numpy

    def loss(x, T):
        def step(state, part):
            A, B, C, now, row = part
            return A @ state + B[:, None] * now, ((C @ state - row) ** 2).sum()

        parts = (*unflattened(x, L, R), jnp.eye(L), jnp.tril(T, -1))
        return jax.lax.scan(step, jnp.zeros((R, L)), parts)[1].sum()

    return jax.jit(jax.value_and_grad(loss))


def random_start(rng, T, size, largest):
    """Normal entries, of a size at which a state neither grows nor fades."""
    L = len(T)
    x = rng.normal(size=L * largest * (largest + 2)) * size**-0.5
    return as_steps(x, np.diag(T), size, largest)


def flattened(steps, R):
    L = len(steps)
    A, B, C = np.zeros((L, R, R)), np.zeros((L, R)), np.zeros((L, R))
    for t, step in enumerate(steps):
        rows, columns = step.A.shape
        A[t, :rows, :columns], B[t, :rows], C[t, :columns] = step.A, step.B[:, 0], step.C[0]
    return np.concatenate([part.ravel() for part in (A, B, C)])


def unflattened(x, L, R):
    first, second = L * R**2, L * R**2 + L * R
    return x[:first].reshape(L, R, R), x[first:second].reshape(L, R), x[second:].reshape(L, R)


def entries_of(size, L, R):
    """Which entries of the vector belong to `size` states."""
    used = np.arange(R) < size
    parts = (np.outer(used, used), used, used)
    return np.concatenate([np.broadcast_to(part, (L, *part.shape)).ravel() for part in parts])


def as_steps(x, present, size, R):
    """A recurrence of `size` states from the vector; it starts without a state and ends without one."""
    L = len(present)
    A, B, C = unflattened(x, L, R)
    steps = []
    for t in range(L):
        rows, columns = (0 if t == L - 1 else size), (0 if t == 0 else size)
        steps.append(world.Step(A[t, :rows, :columns], B[t, :rows, None], C[t, None, :columns], present[t]))
    return steps
