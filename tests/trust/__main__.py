"""Trust under fire: what the suite promises, put to the test. `make trust`, or one of

    python -m tests.trust kills [N]             SIGKILL at N random moments; nothing finished is lost
    python -m tests.trust disk                  a full disk, a read-only folder, two suites at once
    python -m tests.trust damage [N]            N malformed inputs; a clear message or a recomputation each
    python -m tests.trust calibration [N]       statistical claims at alpha = 0.05 on N fresh seeds
    python -m tests.trust soak [N] [ID...]      statistical claims, or those named, as they stand on N fresh seeds
    python -m tests.trust mutants [COUNT] ID... faults in claims (COUNT a claim; 0: all) that are noticed
    python -m tests.trust engine [COUNT] [FILE...]  faults in the engine (COUNT a file) that its tests notice
    python -m tests.trust scale                 throughput against workers, overhead a task, a large run

Each prints a table and writes tests/trust/<part>.json.
"""

import json
import platform
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PARTS = ("kills", "disk", "damage", "calibration", "soak", "mutants", "engine", "scale")


def main(part: str, words: list[str]) -> None:
    """Runs one part and keeps its result."""
    from importlib import import_module

    numbers = [int(word) for word in words if word.isdigit()]
    patterns = [word for word in words if not word.isdigit()]
    module = import_module(f"tests.trust.{part}")
    if part == "mutants":
        from verify import paper_map

        ids = paper_map.select(paper_map.read(ROOT / paper_map.NAME).ids(), patterns)
        result = module.main(ROOT, ids, *numbers[:1])
    elif patterns:
        result = module.main(*numbers[:1], patterns=patterns)
    else:
        result = module.main(*numbers[:1])
    machine = {"machine": platform.machine(), "python": platform.python_version()}
    Path(__file__).with_name(f"{part}.json").write_text(
        json.dumps({**machine, part: result}, indent=1) + "\n"
    )


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in PARTS:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
