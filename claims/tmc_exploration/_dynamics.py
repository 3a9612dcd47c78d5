"""Fine-tuning of the paper's chain: the sampled algorithms, and the same with every draw replaced by its mean.

A policy is an array theta (3, 2, 2) of logits, one for (layer, state, next state). All algorithms reward 1 for a
correct path of TASK1 and step by rate * (their weight) * grad log pi(path). REINFORCE takes every path. RL-rej first
tries 5 times and drops an instance that it solves. RAFT weighs each step of the path by 1 + log p(step).
"""

import numpy as np

from verify import train

from . import world

METHODS = {"REINFORCE": (0, 0.0), "RAFT": (0, 1.0), "RL-rej": (5, 0.0)}  # tries, weight of log p
TRIES = 5
RATE, STEPS, POOL = 0.05, 1000, 200  # of the paper's experiment
PRETRAINING = ((2000, 0.05), (500, 0.025))  # steps and rates


def step_tables():
    """taken, rows (8, 12): which logits the paths from state 0 take, and all those of the rows that they pass."""
    steps = world.paths(world.authors_chain(), 0)
    taken = np.zeros((len(steps), 3, 2, 2))
    for layer in range(3):
        taken[np.arange(len(steps)), layer, steps[:, layer], steps[:, layer + 1]] = 1
    rows = np.broadcast_to(taken.sum(axis=-1, keepdims=True), taken.shape)
    return taken.reshape(-1, 12), rows.reshape(-1, 12)


def log_law(theta, start=0):
    """jax: log pi (8,) of the paths from a start, in the order of `world.paths`; theta (3, 2, 2) logits."""
    from jax import nn

    first, second, third = nn.log_softmax(theta, axis=-1)
    return (first[start][:, None, None] + second[:, :, None] + third[None]).ravel()


def logits(chain):
    return np.log(np.array(chain, dtype=float))


def kernels(theta):
    """theta (..., 3, 2, 2) as a list of kernels (..., 2, 2)."""
    weights = np.exp(theta - theta.max(axis=-1, keepdims=True))
    return list(np.moveaxis(weights / weights.sum(axis=-1, keepdims=True), -3, 0))


def correctness_of_first_task():
    """acc (8,) of the paths from state 0 in floats, 0 for those that do not end in state 0."""
    return world.correctness(world.authors_chain(), *world.TASKS["TASK1"])[0].astype(float)


# --- every draw replaced by its mean ----------------------------------------------------------------------


def expected(method, rate=RATE, steps=STEPS, tries=None):
    """Logits after expected updates from the paper's chain. numpy: it is what theory predicts, not a run."""
    own, weight = METHODS[method]
    tries, theta = own if tries is None else tries, logits(world.authors_chain())
    members, weights = world.instances(correctness_of_first_task())
    taken, rows = step_tables()
    for _ in range(steps):
        p = np.exp(theta - np.logaddexp(*np.moveaxis(theta, -1, 0))[..., None]).ravel()
        log_p = taken * np.log(p)
        pi = np.exp(log_p.sum(axis=1))
        kept = weights * (1 - members @ pi) ** tries
        share = (pi * (kept @ members))[:, None]
        if weight:  # of each of the path's three steps
            share = share * (1 + weight * (rows * (log_p.reshape(-1, 6, 2).sum(axis=2).repeat(2, axis=1))))
        theta = theta + rate * (share * (taken - rows * p)).sum(axis=0).reshape(theta.shape)
    return theta


# --- the sampled algorithms -------------------------------------------------------------------------------


def pretrained(rng, runs):
    """Logits (runs, 3, 2, 2) after stochastic maximum likelihood on paths of the chain, starts drawn evenly."""
    chain = world.authors_chain()
    theta = 0.1 * rng.normal(size=(runs, 3, 2, 2))
    laws = np.stack([world.path_law(chain, start).astype(float) for start in (0, 1)])
    steps = np.concatenate([world.paths(chain, start) for start in (0, 1)])
    for count, rate in PRETRAINING:
        drawn = steps[rng.choice(16, size=(count, runs), p=laws.ravel() / 2)]
        theta, _ = train.loop(likelihood_step, theta, drawn, rate)
    return np.asarray(theta)


def likelihood_step(theta, paths, rate):
    """theta (runs, 3, 2, 2), one path (4,) for each run."""
    from jax import nn

    now, then = nn.one_hot(paths[:, :-1], 2)[..., None], nn.one_hot(paths[:, 1:], 2)[:, :, None, :]
    return theta + rate * now * (then - nn.softmax(theta, axis=-1)), {}


def sampled(rng, theta, method, rate=RATE, steps=STEPS, pool=POOL):
    """Logits (runs, 3, 2, 2) after the sampled algorithm; every run has `pool` instances, or fresh ones (None)."""
    runs, acc, (tries, weight) = len(theta), correctness_of_first_task(), METHODS[method]
    if pool is None:
        correct = rng.random((steps, runs, len(acc))) < acc
    else:
        pools = rng.random((runs, pool, len(acc))) < acc
        correct = pools[np.arange(runs), rng.integers(pool, size=(steps, runs))]
    inputs = {"correct": correct, "draws": rng.random((steps, runs, TRIES + 1))}
    fixed = (rate, np.arange(TRIES + 1) < tries, weight, *step_tables())
    theta, _ = train.loop(sampled_update, np.reshape(theta, (runs, 12)), inputs, *fixed)
    return np.reshape(theta, (runs, 3, 2, 2))


def sampled_update(theta, inputs, rate, trying, weight, taken, rows):
    """One draw of an instance, the tries on it, and a path to learn from, in every run; theta (runs, 12)."""
    from jax import nn
    from jax import numpy as jnp

    log_p = nn.log_softmax(theta.reshape(-1, 6, 2), axis=-1).reshape(-1, 12)
    heights = jnp.exp(log_p @ taken.T) @ jnp.triu(jnp.ones((8, 7)))  # of the distribution function over paths
    drawn = (inputs["draws"][:, :, None] > heights[:, None]).sum(axis=-1, keepdims=True) == jnp.arange(8)
    correct = (drawn & inputs["correct"][:, None]).any(axis=-1)
    reward = correct[:, -1] & ~(correct & trying).any(axis=1)
    mine = drawn[:, -1].astype(float)
    chosen = mine @ taken
    own_log_p = (chosen * log_p).reshape(-1, 6, 2).sum(axis=-1).repeat(2, axis=-1)
    step = (1 + weight * own_log_p) * (chosen - (mine @ rows) * jnp.exp(log_p))
    return theta + rate * reward[:, None] * step, {}


# --- what the table counts --------------------------------------------------------------------------------


def proportions(theta, task):
    """(..., 3): how likely a policy's path from the task's start is its easy path, another valid one, or invalid."""
    start, target = world.TASKS[task]
    first, second, third = kernels(np.asarray(theta))
    law = first[..., start, :, None, None] * second[..., :, :, None] * third[..., None, :, :]
    valid = law[..., target].reshape(*law.shape[:-3], -1)
    easy = valid[..., 0]
    return np.stack([easy, valid.sum(axis=-1) - easy, 1 - valid.sum(axis=-1)], axis=-1)
