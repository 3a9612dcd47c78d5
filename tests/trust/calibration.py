"""Statistical claims on fresh seeds with every interval at alpha = 0.05: do misses come no oftener than they may?

A check that fails although the theorem holds needs an interval that misses. A claim with m intervals has one in an
evaluation with probability at most 0.05 m, so that the failures among N seeds are at most binomial(N, 0.05 m): a
claim is flagged when the exact test rejects that at level 1e-3. An undecided check is wide, not wrong; it counts for
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scipy.stats import binom

from verify import paper_map, workers
from verify.suite import import_claim

ROOT = Path(__file__).parent.parent.parent
ALPHA, LEVEL = 0.05, 1e-3
FIRST_SEED = 10_000


def outcome(root: str, claim_id: str, seed: int, alpha: float) -> tuple[int, list[str], str]:
    """(intervals, checks that fail, verdict) of an evaluation, in a worker."""
    from verify.evaluation import evaluate

    data = evaluate(import_claim(Path(root), claim_id), seed=seed, alpha=alpha, with_power=False).data
    failing = [check["name"] for check in data["checks"] if check["outcome"] == "fails"]
    return data["statistical_intervals"], failing, data["verdict"]


def statistical(pool: workers.Pool, ids: list[str]) -> Iterator[str]:
    """The claims that are expected to be verified and have statistical intervals."""
    futures = {claim_id: pool.submit(outcome, str(ROOT), claim_id, 0, 1e-6) for claim_id in ids}
    for claim_id, future in futures.items():
        if future.result()[0]:
            yield claim_id


def main(count: int = 20, jobs: int = 2) -> list[dict]:
    """Prints and returns, for each statistical claim, how often a check failed and how often one may."""
    papers = paper_map.read(ROOT / paper_map.NAME)
    ids = [claim_id for claim_id in papers.ids() if papers.row(claim_id).expected == ("verified",)]
    table, pool = [], workers.Pool(jobs, lambda name, phase: None)
    for claim_id in list(statistical(pool, ids)):
        seeds = range(FIRST_SEED, FIRST_SEED + count)
        futures = [pool.submit(outcome, str(ROOT), claim_id, seed, ALPHA) for seed in seeds]
        found = [future.result() for future in futures]
        intervals = max(number for number, _, _ in found)
        failures = [seed for seed, (_, failing, _) in zip(seeds, found, strict=True) if failing]
        allowed = min(1.0, ALPHA * intervals)
        tail = float(binom.sf(len(failures) - 1, count, allowed)) if allowed < 1 else 1.0
        flag = "TOO MANY" if tail < LEVEL else "ok"
        print(f"{flag}: {claim_id}: {len(failures)} of {count} fail, {intervals} intervals, tail {tail:.2g}")
        table.append(
            {
                "claim": claim_id, "seeds": [seeds.start, seeds.stop - 1], "failing_seeds": failures,
                "intervals": intervals, "tail": tail, "ok": flag == "ok",
            }
        )  # fmt: skip
    pool.kill()
    return table
