"""Every statistical claim on fresh seeds, as it stands: what is unexpected comes no oftener than the intervals allow.

An interval misses with probability 1e-6 at most, so that N evaluations of a claim with m intervals are unexpected at
most binomially (N, 1e-6 m), all in all far less than once. A control that is not rejected on some seed, or a check
that is undecided there, counts as well, though no interval excuses it.
"""

from __future__ import annotations

from pathlib import Path

from scipy.stats import binom

from tests.trust.calibration import LEVEL, outcome, statistical
from verify import paper_map, statistics, workers

ROOT = Path(__file__).parent.parent.parent
FIRST_SEED = 1_000


def main(count: int = 100, patterns: tuple[str, ...] = (), jobs: int = 2) -> dict:
    """Prints and returns, for each claim, the seeds on which its verdict is not the expected one.

    patterns: claims to take, statistical or not; without them all statistical ones.
    """
    papers = paper_map.read(ROOT / paper_map.NAME)
    pool = workers.Pool(jobs, lambda name, phase: None)
    ids = papers.ids()
    ids = paper_map.select(ids, patterns) if patterns else list(statistical(pool, ids))
    table = [soaked(pool, papers, claim_id, range(FIRST_SEED, FIRST_SEED + count)) for claim_id in ids]
    pool.kill()
    evaluations, unexpected = count * len(ids), sum(len(row["unexpected"]) for row in table)
    most = max(row["intervals"] for row in table)
    tail = float(binom.sf(unexpected - 1, evaluations, min(1.0, statistics.ALPHA * most)))
    flag = "ok" if tail >= LEVEL else "TOO MANY"
    print(f"{flag}: {unexpected} of {evaluations} evaluations unexpected, tail {tail:.2g}")
    return {"claims": table, "evaluations": evaluations, "unexpected": unexpected, "tail": tail}


def soaked(pool: workers.Pool, papers: paper_map.PaperMap, claim_id: str, seeds: range) -> dict:
    """One claim on all seeds."""
    futures = {seed: pool.submit(outcome, str(ROOT), claim_id, seed, statistics.ALPHA) for seed in seeds}
    found = {seed: future.result() for seed, future in futures.items()}
    expected = papers.row(claim_id).expected
    unexpected = {seed: verdict for seed, (_, _, verdict) in found.items() if verdict not in expected}
    intervals = max(number for number, _, _ in found.values())
    print(
        f"{len(unexpected)} of {len(seeds)} unexpected, {intervals} intervals: {claim_id} {unexpected or ''}",
        flush=True,
    )
    return {
        "claim": claim_id, "seeds": [seeds.start, seeds.stop - 1], "intervals": intervals,
        "unexpected": unexpected,
    }  # fmt: skip
