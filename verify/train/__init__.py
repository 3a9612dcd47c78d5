r"""Training runs: compiled float64 loops around optax, with losses that stay right when they are 1e-200.

A linear classifier W (k, d) sees rows h_i (d,) with labels y_i; its margins are
x_ic = (e_{y_i} - e_c)^T W h_i for c != y_i. On separable data they grow without bound: exp(-x) underflows,
and softmax minus one-hot has cancelled to zero long before. So everything lives in a *moving scale*: losses,
gradients and weights are multiplied by exp(shift), where the shift follows the smallest margin. Directions of
steepest descent do not notice, the optimiser's buffers are carried from one scale to the next, and log L is
right to rounding at any size.

    def adam(hyper, unit):
        import optax
        return optax.scale_by_adam(hyper["b1"], hyper["b2"], eps=hyper["eps"] * unit)

    train.descend(features, labels, rates, train.steepest("max"))                              # SignGD
    train.descend(features, labels, rates, adam, {"b1": 0.9, "b2": 0.95, "eps": 1e-8})         # Adam

What a compiled loop is made of (optimizer, loss, measure, step) must be a module-level or cached object: its
identity finds the compiled loop again. All else is traced, so other numbers or more steps compile nothing.

Importing this package loads no jax; its functions do, in float64 and with jax's compilation cache in the
user's cache folder. With JAX_NUM_CPU_DEVICES=2 in the environment, large data are spread over two cores.
"""

from verify.train.descent import State, descend
from verify.train.directions import adam_rates, steepest
from verify.train.loops import key, log_grid, loop, use_jax
from verify.train.losses import cross_entropy, evaluate, exponential, pair_logistic, polynomial

__all__ = [
    "State",
    "adam_rates",
    "cross_entropy",
    "descend",
    "evaluate",
    "exponential",
    "key",
    "log_grid",
    "loop",
    "pair_logistic",
    "polynomial",
    "steepest",
    "use_jax",
]
