r"""In ten settings of the size that the paper reports DSI is faster than SI.

Ten pairs of target and drafter, given by the latencies of their passes and an acceptance rate, generate texts of 50 tokens
in the model of constant latencies: DSI with at most 7 target servers, SI, both with the lookahead of 1, 5 or 10 that is
best for long texts. In every setting the median of the time saved by DSI is positive,

$$\mathrm{median}\,(T_{\mathrm{SI}} - T_{\mathrm{DSI}}) > 0 .$$

---
The latencies, the acceptance rates and the speed-ups beside which the figure draws ours were noted from memory: they are an
instance, no statement rests on them. Reported times, which save more, include more than forward passes (first-token latency, restarts).
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, less, plot, statistics

from . import world

claim = Claim("distributed-speculative-inference/reported-speedups", full={"texts": 200})
LOOKAHEADS = (1, 5, 10)
# target, data, milliseconds of a target and of a drafter pass (tenths), acceptance (hundredths), reported speed-up
SETTINGS = (
    ("Starcoder-15B, HumanEval", 206, 68, 93, 1.92),
    ("Starcoder-15B, MBPP", 210, 68, 90, 1.66),
    ("Phi3-14B, Alpaca", 496, 334, 87, 1.60),
    ("Phi3-14B, HumanEval", 521, 340, 95, 1.41),
    ("Phi3-14B, CNN-DM", 524, 346, 93, 1.39),
    ("Phi3-14B, MBPP", 522, 343, 94, 1.37),
    ("Vicuna-13B, CNN-DM", 377, 25, 63, 1.47),
    ("Vicuna-13B, Alpaca", 333, 25, 58, 1.41),
    ("Vicuna-7B, CNN-DM", 294, 25, 67, 1.29),
    ("Vicuna-7B, Alpaca", 260, 25, 59, 1.70),
)


@claim.instance
def settings(servers=7):
    """Records (c, p, k of SI, L of DSI): lookaheads that are best for long texts and need few enough servers."""
    found = []
    for _, target, drafter, percent, _ in SETTINGS:
        c, p = Fraction(drafter, target), Fraction(percent, 100)
        feasible = [L for L in LOOKAHEADS if world.servers_needed(c, 1, L) <= servers]
        k = min(LOOKAHEADS, key=lambda k, p=p, c=c: world.si_rate(p, c, k))
        found.append(Record(c=c, p=p, k=k, L=min(feasible, key=lambda L, p=p, c=c: world.dsi_rate(p, c, L))))
    return found


@claim.run
def times(settings, rng, servers, tokens=50, texts=30, overhead=1, available=None):
    """Record(waiting, parallel (texts, settings)): SI and DSI on the same random texts."""
    waiting, parallel = np.zeros((2, texts, len(settings)))
    for j, s in enumerate(settings):
        for i in range(texts):
            accepted = (rng.random(tokens) < float(s.p)).astype(int).tolist()
            waiting[i, j] = world.si(accepted, s.c, lookahead=s.k)
            parallel[i, j] = overhead * world.dsi(accepted, s.c, 1, s.L, available or servers).time
    return Record(waiting=waiting, parallel=parallel)


@claim.check("parallel-is-faster")
def faster(times):
    saved = statistics.paired_median_difference(times.waiting, times.parallel)
    return less(0, saved, setting=[name for name, *_ in SETTINGS])


claim.control("DSI's passes 30% longer", overhead=Fraction(13, 10), must_fail="parallel-is-faster")
claim.control("one server in place of seven", available=1, must_fail="parallel-is-faster")


@claim.figure
def draw(figure, evidence):
    figure.set_size_inches(plot.WIDTH, 3.4)
    axes = figure.subplots()
    times = evidence.of("times")
    ratios = np.sort(times.waiting / times.parallel, axis=0)
    rows = np.arange(len(SETTINGS))
    axes.hlines(rows, ratios[0], ratios[-1], color=plot.COLORS[0], linewidth=1)
    axes.plot(np.median(ratios, axis=0), rows, "o", label="here: median, range", color=plot.COLORS[0])
    axes.plot([row[-1] for row in SETTINGS], rows, "D", label="reported, from memory", color=plot.COLORS[1])
    axes.axvline(1, color=plot.INK, linestyle="-", linewidth=0.8)
    axes.axvline(np.e / (np.e - 1), color=plot.INK, label="ceiling $e/(e-1)$", **plot.BOUND)
    axes.set_yticks(rows, [row[0] for row in SETTINGS])
    axes.invert_yaxis()
    axes.set(xlabel="speed-up of DSI over SI")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2, columnspacing=1.2)
