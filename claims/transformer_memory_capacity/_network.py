"""Trained decoders: which are trained, their errors against rounding, and exact interpolants near them."""

import numpy as np

from verify import Record, certify, plot, rounded, rounding, stack

from . import _exact, _levenberg, world


def arms(rng, n, draws, starts, narrow, wide, fewer):
    """Decoders to train: width, target (of `draws`), and which of n contexts are asked for, (R, n) of 0 and 1.

    Three kinds by name: "narrow" and "wide" ones, and "few", narrow ones asked for `fewer` contexts only.
    """
    few = (rng.permutation(n) < fewer).astype(float)
    plan = {"narrow": (narrow, np.ones(n)), "wide": (wide, np.ones(n)), "few": (narrow, few)}
    counts = {"narrow": starts // 3, "wide": starts, "few": starts // 3}
    rows = [(name, i) for name in plan for i in range(draws) for _ in range(counts[name])]
    return Record(
        name=np.array([name for name, _ in rows]),
        target=np.array([i for _, i in rows]),
        width=np.array([plan[name][0] for name, _ in rows]),
        asked=np.array([plan[name][1] for name, _ in rows]),
    )


def residuals(trained, contexts, targets, P, arms):
    """Of every decoder the largest error of a log-odds, and how large rounding alone could make it; `courses`."""
    errors, floors = [], []
    for run, (width, target, asked) in enumerate(zip(arms.width, arms.target, arms.asked, strict=True)):
        f, terms, magnitude = log_odds(chosen(trained.parameters, run, width), P, contexts)
        errors.append(rounded(np.max(asked[:, None] * np.abs(f - targets[target])), terms, magnitude))
        floors.append(rounding(2 * terms, magnitude))
    return Record(error=stack(errors), floor=stack(floors), courses=courses(trained, arms))


def best_runs(trained, arms, name):
    """For each target the run of one kind that ends nearest."""
    each = [(arms.name == name) & (arms.target == i) for i in range(arms.target.max() + 1)]
    return np.array([np.argmin(np.where(mine, trained.norm[-1], np.inf)) for mine in each])


def interpolants(trained, runs, P, contexts, targets, arms):
    """`exact_interpolant` near each of some runs, of their targets."""
    found = [
        exact_interpolant(chosen(trained.parameters, run, arms.width[run]), P, contexts, target)
        for run, target in zip(runs, targets, strict=True)
    ]
    return Record(
        distance=stack([each.distance for each in found]),
        amplification=np.array([each.amplification for each in found]),
    )


def courses(trained, arms, most=12):
    """The residuals (steps + 1, R) of up to `most` decoders of each kind, few enough to be kept for a figure."""
    each = [np.flatnonzero(arms.name == name) for name in ("few", "narrow", "wide")]
    runs = np.concatenate([mine[:: -(-len(mine) // most)] for mine in each])
    return Record(name=arms.name[runs], width=arms.width[runs], norm=trained.norm[:, runs],
                  step=np.arange(len(trained.norm)))  # fmt: skip


def draw_training(axes, courses, needed, tokens, d):
    """The residuals of decoders against the steps, by kind."""
    looks = {"few": plot.CONTROL, "narrow": {"color": plot.COLORS[1]}, "wide": {"color": plot.COLORS[0]}}
    for name, look in looks.items():
        runs = np.flatnonzero(np.array(courses.name) == name)
        share = world.parameters(tokens, d, int(courses.width[runs[0]])) / needed
        label = "control: half the contexts" if name == "few" else f"$k$ = {share:.2f} $n(\\omega - 1)$"
        for i, run in enumerate(runs):
            style = {"linestyle": "-", **look, "linewidth": 0.8}
            axes.plot(courses.step, courses.norm[:, run], label=None if i else label, **style)
    axes.set(yscale="log", xlabel="step", ylabel="residual of the log-odds")


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
    return f, _roundings(T, d, m), magnitude


def _roundings(T, d, m):
    return 2 * T + 4 * d + m + 16


def exact_interpolant(theta, P, contexts, targets):
    """How far an exact interpolant is from a decoder, and how far rounding alone may have taken it.

    targets: a function without arguments that returns log-odds (n, omega - 1) as balls. As many parameters as
    there are targets are set free, those on which the targets depend most independently; all others stay. Returns
    Record(distance: enclosure of the free parameters' distances to a decoder that has these log-odds exactly,
    amplification: float, by how much an error of the log-odds moves a parameter at most).
    """
    from scipy.linalg import qr

    shapes = {name: theta[name].shape for name in _exact.NAMES}
    start = np.concatenate([theta[name].ravel() for name in _exact.NAMES])
    positions = _exact.in_balls(P)

    def everything(flat):
        cuts = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1]
        parts = zip(shapes.items(), np.split(flat, cuts), strict=True)
        full = Record(P=positions, **{name: part.reshape(shape) for (name, shape), part in parts})
        weights = _exact.ball_weights(full.A)
        found = [_exact.derivatives(c, full, weights, _exact.ball_gelu) for c in contexts]
        return np.concatenate([f for f, _ in found]) - targets().ravel(), np.concatenate(
            [rows for _, rows in found]
        )

    J = everything(_exact.in_balls(start))[1].astype(float)
    free = np.sort(qr(J, mode="r", pivoting=True)[1][: len(J)])

    def square(unknowns):
        flat = _exact.in_balls(start)
        flat[free] = unknowns
        values, rows = everything(flat)
        return values, rows[:, free]

    amplification = float(np.abs(np.linalg.inv(J[:, free])).sum(axis=1).max())
    return Record(distance=abs(certify.zero(square, start[free]) - start[free]), amplification=amplification)
