"""One trained decoder: its log-odds in floats, how they are rounded, and an exact interpolant near it."""

import numpy as np

from verify import Record, certify

from . import _exact, _levenberg


def chosen(parameters, run, width):
    """The decoder of one run as {name: array}, without the units that are switched off."""
    theta = {name: value[run] for name, value in parameters.items()}
    return theta | {"W": theta["W"][:width], "b": theta["b"][:width], "V": theta["V"][:, :width]}


def log_odds(theta, P, contexts):
    """f (n, omega - 1) in float64; how many roundings an entry passes through, and relative to what magnitude.

    The magnitude is the sum of those that the last two layers add up. The slope of GELU is below 1.13, and errors
    of the scores act on h as relative ones.
    """
    tokens, lengths = _levenberg.padded(contexts)
    T, (m, d) = tokens.shape[1], theta["W"].shape
    h = _levenberg.attention(theta["E"], theta["A"], P, tokens, lengths)
    z = h @ theta["W"].T + theta["b"]
    f = _levenberg.gelu(z) @ theta["V"].T + theta["c"]
    x = np.abs(theta["E"]).max(axis=0) + np.abs(P).max(axis=0)
    scores = 2 * x @ np.abs(theta["A"]) @ x
    units = (1 + scores) * np.abs(theta["W"]) @ x + np.abs(theta["b"])
    magnitude = np.max(1.13 * np.abs(theta["V"]) @ units + np.abs(theta["c"]))
    return f, 2 * T + 4 * d + m + 16, magnitude


def exact_interpolant(theta, P, contexts, targets):
    """How far an exact interpolant is from a decoder, and how far rounding alone may have taken it.

    targets (n, omega - 1): log-odds. As many parameters as there are targets are set free, those on which the
    targets depend most independently, all others stay. Returns Record(distance: enclosure of the free
    parameters' distances to a decoder that has these log-odds exactly, amplification: float, by how much an error
    of the log-odds moves a parameter at most).
    """
    from scipy.linalg import qr

    shapes = {name: theta[name].shape for name in _exact.NAMES}
    start = np.concatenate([theta[name].ravel() for name in _exact.NAMES])
    wanted, positions = _exact.in_balls(targets).ravel(), _exact.in_balls(P)

    def everything(flat):
        cuts = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1]
        parts = zip(shapes.items(), np.split(flat, cuts), strict=True)
        full = Record(P=positions, **{name: part.reshape(shape) for (name, shape), part in parts})
        weights = _exact.ball_weights(full.A)
        found = [_exact.derivatives(c, full, weights, _exact.ball_gelu) for c in contexts]
        return np.concatenate([f for f, _ in found]) - wanted, np.concatenate([rows for _, rows in found])

    J = everything(_exact.in_balls(start))[1].astype(float)
    free = np.sort(qr(J, mode="r", pivoting=True)[1][: len(wanted)])

    def square(unknowns):
        flat = _exact.in_balls(start)
        flat[free] = unknowns
        values, rows = everything(flat)
        return values, rows[:, free]

    amplification = float(np.abs(np.linalg.inv(J[:, free])).sum(axis=1).max())
    return Record(distance=abs(certify.zero(square, start[free]) - start[free]), amplification=amplification)
