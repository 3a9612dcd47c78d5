"""Speed side by side with what a competent user writes: `make bench`. Ratios of one run on one machine.

    python -m tests.bench                 everything
    python -m tests.bench runs margins    some parts: runs, margins, commands

Prints a table and writes tests/bench/result.json. Nothing here is asserted: timings never are.
"""

import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # what a worker has; both sides of every ratio have it
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np  # noqa: E402 - after the environment that it reads

from tests.bench import baselines  # noqa: E402 - likewise, it imports numpy

ROOT = Path(__file__).parent.parent.parent
RULES = {"SignGD": "max", "normalised GD": "frobenius", "spectral descent": "spectral", "Adam": "adam"}


def best(function, repeats=3):
    """The shortest of a few wall-clock times, in seconds, and the last result."""
    times, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return min(times), result


# --- (a) training loops ---------------------------------------------------------------------------------------


def instance(per_class):
    from claims.signgd_adam_margin.world import gaussian_classes

    return gaussian_classes(np.random.default_rng(0), 10, 25, per_class, 0.1)


def compiled(rule, data, rates):
    """The same run with verify.train."""
    from claims.signgd_adam_margin.adam_max_norm import adam
    from verify import train

    if rule != "adam":
        return train.descend(data.features, data.labels, rates, train.steepest(rule))
    hyper = {"b1": 0.9, "b2": 0.95, "eps": 0.0}
    return train.descend(data.features, data.labels, train.adam_rates(rates, 0.9, 0.95), adam, hyper)


def cold(rule, steps):
    """Seconds of a run in a fresh process with an empty compilation cache, imports not counted."""
    code = f"""
import sys, time
from tests.bench.__main__ import compiled, instance, np
import jax, optax
data, rates = instance(5), 0.01 * (np.arange({steps}) + 1.0) ** -0.5
start = time.perf_counter()
compiled({rule!r}, data, rates)
print(time.perf_counter() - start)
"""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    return float(done.stdout.split()[-1])


def runs():
    """Seconds per step, and end to end with compilation at 20,000 and 100,000 steps."""
    rows, data = [], instance(5)
    for name, rule in RULES.items():
        rates = 0.01 * (np.arange(20_000) + 1.0) ** -0.5
        compiled(rule, data, rates)
        ours, record = best(lambda rule=rule, rates=rates: compiled(rule, data, rates))
        theirs, (_, margins, _) = best(
            lambda rule=rule, rates=rates: baselines.descend_numpy(*vars(data).values(), rates, rule), 1
        )
        row = {
            "run": name,
            "us_per_step": ours / 20_000 * 1e6,
            "numpy_us_per_step": theirs / 20_000 * 1e6,
            "per_step": theirs / ours,
            "margins_agree_to": float(abs(margins[-1] / record.margin[-2] - 1)),
        }
        for steps in (20_000, 100_000):
            row[f"end_to_end_{steps}"] = theirs * steps / 20_000 / cold(rule, steps)
        rows.append(row)
        say(row)
    if importlib.util.find_spec("torch"):
        rates = 0.01 * (np.arange(5_000) + 1.0) ** -0.5
        theirs, _ = best(lambda: baselines.descend_torch(*vars(data).values(), rates), 1)
        rows.append(
            {"run": "SignGD, torch autograd", "torch_over_ours": theirs * 4 / (rows[0]["us_per_step"] * 0.02)}
        )
        say(rows[-1])
    return rows


# --- (b) certified margins --------------------------------------------------------------------------------------


def margins():
    """Certified margins at n = 500, k = 10, d = 25, against cvxpy on all 4,500 pairs."""
    from claims.signgd_adam_margin.world import max_margin

    rows, data = [], instance(50)
    for norm in ("max", "frobenius", "spectral"):
        max_margin(data.features, data.labels, norm)
        ours, gamma = best(lambda norm=norm: max_margin(data.features, data.labels, norm))
        vectorised, (value, _) = best(
            lambda norm=norm: baselines.margin_vectorised(data.features, data.labels, norm)
        )
        by_rows, _ = best(lambda norm=norm: baselines.margin_by_rows(data.features, data.labels, norm), 1)
        rows.append(
            {
                "norm": norm,
                "seconds": ours,
                "over_vectorised": vectorised / ours,
                "over_rows": by_rows / ours,
                "relative_gap": float(gamma.width / gamma.lower),
                "cvxpy_outside_by": float(max(gamma.lower - value, value - gamma.upper, 0) / gamma.lower),
            }
        )
        say(rows[-1])
    return rows


# --- (c) commands ----------------------------------------------------------------------------------------------


def commands():
    """Wall-clock seconds of what people do all day; `verify run` with nothing to compute."""
    verify = [sys.executable, "-m", "verify"]
    subprocess.run([*verify, "run"], cwd=ROOT, capture_output=True, check=False)
    rows = []
    for name, command in {
        "verify run (nothing changed)": [*verify, "run"],
        "verify --help": [*verify, "--help"],
        "verify list": [*verify, "list"],
        "import verify": [sys.executable, "-c", "import verify"],
        "python itself": [sys.executable, "-c", "pass"],
    }.items():
        seconds, _ = best(
            lambda command=command: subprocess.run(command, cwd=ROOT, capture_output=True, check=False), 5
        )
        rows.append({"command": name, "seconds": seconds})
        say(rows[-1])
    return rows


def say(row):
    print(
        "  " + " · ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()),
        flush=True,
    )


def main(parts):
    known = {"runs": runs, "margins": margins, "commands": commands}
    if unknown := set(parts) - set(known):
        sys.exit(f"no part {', '.join(sorted(unknown))}; there is {', '.join(known)}")
    result = {"machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"}
    print(result["machine"])
    for name in parts or known:
        print(name + ": " + known[name].__doc__.strip())
        result[name] = known[name]()
    target = Path(__file__).parent / "result.json"
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
