r"""No verification waits exactly if there are $\lceil t_2 / (L\, t_1) \rceil$ target servers.

With lookahead L, drafts of length $t_1$ and target passes of length $t_2$, a long accepted run has exactly

$$S^\ast = \Big\lceil \frac{t_2}{L\, t_1} \Big\rceil$$

verifications under way at once. With S servers, J blocks of accepted drafts and one more token take

$$T = J L\, t_1 + t_2 \quad (S \ge S^\ast), \qquad
T = \lfloor J / S \rfloor\, t_2 + (J \bmod S)\, L\, t_1 + t_2 \quad (S < S^\ast),$$

so that one server fewer makes a verification wait, and the text take longer, as soon as J is at least S.

---
The paper states that this many servers are enough; that they are necessary, and the cost of fewer, is derived here.
"""

import math
from fractions import Fraction

import numpy as np

from verify import Claim, Record, equal, exact, less, plot

from . import world

claim = Claim("distributed-speculative-inference/servers-needed", full={"blocks": 200, "draws": 40})


@claim.instance
def settings(rng, draws=6):
    """Pairs (c, L): a drafter's pass in target passes, and the lookahead."""
    named = [(Fraction(*c), L) for c in ((1, 10), (1, 3), (3, 10), (1, 4), (2, 3)) for L in (1, 2, 5)]
    drawn = [(Fraction(int(rng.integers(2, 20)), 20), int(rng.integers(1, 5))) for _ in range(draws)]
    return named + drawn


@claim.reference
def needed(settings, whole=math.ceil):
    return exact([whole(1 / (L * c)) for c, L in settings])


@claim.reference
def latency(settings, blocks=60, offered=12, wait=1):
    """Time with S = 1 ... offered servers, shape (settings, offered)."""

    def time(c, L, S):
        unhindered = S * L * c >= 1
        return 1 + (blocks * L * c if unhindered else wait * (blocks // S) + (blocks % S) * L * c)

    return exact([[time(c, L, S) for S in range(1, offered + 1)] for c, L in settings])


@claim.run
def peaks(settings, blocks):
    """Most verifications at once when every job finds a server, event by event."""
    return exact([world.dsi((1,) * (blocks * L + 1), c, lookahead=L).peak for c, L in settings])


@claim.run
def limited(settings, blocks, offered):
    """Record(times, waits (settings, offered)) with S = 1 ... offered servers."""
    servers = range(1, offered + 1)
    runs = [
        [world.dsi((1,) * (blocks * L + 1), c, lookahead=L, servers=S) for S in servers] for c, L in settings
    ]
    times, waits = ([[vars(run)[name] for run in row] for row in runs] for name in ("time", "waited"))
    return Record(times=exact(times), waits=exact(waits))


@claim.run
def shortest(settings, offered):
    """Longest wait with S = 1 ... offered servers and J = S blocks, shape (settings, offered)."""
    rows = [
        [world.dsi((1,) * (S * L + 1), c, lookahead=L, servers=S).waited for S in range(1, offered + 1)]
        for c, L in settings
    ]
    return exact(rows)


def at(settings):
    return {"c": [str(c) for c, _ in settings], "L": [L for _, L in settings]}


@claim.check("peak")
def peak(peaks, needed, settings):
    return equal(peaks, needed, **at(settings))


@claim.check("enough-servers-no-wait")
def enough(limited, needed, settings):
    servers = np.maximum(needed.lower.astype(int), 1)
    return equal(limited.waits[np.arange(len(settings)), servers - 1], 0, **at(settings))


@claim.check("one-server-fewer-waits")
def fewer(shortest, needed, settings):
    """Already in a text of as many blocks as there are servers."""
    servers = needed.lower.astype(int)
    some = np.flatnonzero(servers > 1)
    return less(0, shortest[some, servers[some] - 2], **at([settings[i] for i in some]))


@claim.check("time")
def time(limited, latency, settings, offered):
    each = {name: [[value] for value in values] for name, values in at(settings).items()}
    return equal(limited.times, latency, servers=np.arange(1, offered + 1), **each)


claim.control("floor in place of ceiling", whole=math.floor, must_fail="peak")
claim.control("floor in place of ceiling, waiting", whole=math.floor, must_fail="enough-servers-no-wait")
claim.control(
    "one more than the floor", whole=lambda x: math.floor(x) + 1, must_fail="one-server-fewer-waits",
)  # fmt: skip
claim.control("waits 10% shorter", wait=Fraction(9, 10), must_fail="time")


@claim.figure
def draw(figure, evidence):
    (panel,) = plot.panel_grid(figure, ["60 accepted blocks"])
    curve = evidence.curve("time")
    servers, needed = np.ravel(curve.servers), evidence.of("needed").middle
    labels = [f"$c$ = {c[0]}, $L$ = {L[0]}" for c, L in zip(curve.c, curve.L, strict=True)]
    for row in (0, 1, 3, 6):
        (line,) = panel.plot(servers, curve.measured.middle[row], "o", label=labels[row])
        panel.plot(servers, curve.bound.middle[row], color=line.get_color(), linestyle="-", linewidth=1)
        panel.axvline(needed[row], color=line.get_color(), **plot.BOUND)
    panel.set(xlabel="target servers", ylabel="target passes", yscale="log", xticks=servers)
    plot.legend(panel, bound="servers needed")
