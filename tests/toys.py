"""Toy claims, one for each thing that can happen to a claim, and projects made of them."""

from collections.abc import Mapping
from pathlib import Path

VERIFIED = '''\
"""The first n odd numbers add up to $n^2$."""

from verify import Claim, equal, exact

claim = Claim("@ID@", cases={"n": (1, 2, 10)}, full={"cases": {"n": (1, 2, 100)}})


@claim.reference
def square(n, exponent=2):
    return exact(n**exponent)


@claim.run
def total(n, first=1):
    return exact(sum(first + 2 * i for i in range(n)))


@claim.check("sum")
def agree(total, square):
    return equal(total, square)


claim.control("starting from 2", first=2, must_fail="sum")


@claim.figure
def draw(figure, evidence):
    axes = figure.subplots()
    for case in evidence.cases:
        axes.plot(case["n"], evidence.of("total", **case).middle, "o")
    axes.legend(["the sum"])
'''

REFUTED = VERIFIED.replace("exponent=2", "exponent=3")
VACUOUS = VERIFIED.replace("first=2", "first=1")
UNCOVERED = VERIFIED + '\n\n@claim.check("bound")\ndef bound(total, n):\n    return at_most(total, n**3)\n'
UNCOVERED = UNCOVERED.replace("import Claim,", "import Claim, at_most,").replace("n**3)", "exact(n**3))")

# a run that leaves arrays; the parameters are its starting point, its rate and the interval's half width
DECAY = '''\
"""A sequence that is halved at every step is at most twice the last but one."""

import numpy as np

from verify import Claim, Interval, at_most

claim = Claim("@ID@")


@claim.instance
def start(rng, size=3):
    return rng.uniform(1, 2, size)


@claim.reference
def bound(start, half_width=0.0):
    top = float(start.max())
    return Interval(top - half_width, top + half_width, "numerical", "made for a test")


@claim.run
def path(start, rate=0.5, steps=1000):
    return start * rate ** np.arange(steps)[:, None]


@claim.check("bounded")
def bounded(path, bound):
    return at_most(Interval(path, path, "numerical", "made for a test"), bound)


claim.control("growing", rate=1.01, must_fail="bounded")
'''

UNDECIDED = DECAY.replace("half_width=0.0", "half_width=0.5")
INVALID = (
    VERIFIED
    + """

@claim.assumption
def positive(n):
    return less(exact(n), exact(10))
"""
)
INVALID = INVALID.replace("equal, exact", "equal, exact, less")
UNDECIDED_ASSUMPTION = (
    DECAY.replace("at_most\n", "at_most, less\n").replace("half_width=0.0", "half_width=0.5")
    + """

@claim.assumption
def close(start, bound):
    top = start.max()
    return less(Interval(top, top, "numerical", "made for a test"), bound)
"""
)
RAISING = VERIFIED.replace("return exact(sum", "raise ValueError('no sum today')\n    return exact(sum")
EXITING = VERIFIED.replace("return exact(sum", "raise SystemExit(3)\n    return exact(sum")
NAN = DECAY.replace("start * rate", "np.nan * start * rate")
RAISING_CONTROL = VERIFIED.replace("first=2, must_fail", "total=lambda total: 1 / 0, must_fail")
NO_SUCH_CHECK = VERIFIED.replace('must_fail="sum"', 'must_fail="summ"')
BROKEN = VERIFIED.replace("from verify", "import no_such_module\nfrom verify")
NO_PYTHON = VERIFIED.replace("def total(n", "def total(n)(")
PRINTING = VERIFIED.replace(
    "return exact(sum",
    'print("from python")\n    import os\n    os.write(1, b"from C\\n")\n    return exact(sum',
)

_ROOT = "from pathlib import Path\n\n    root = Path(__file__).parents[2]\n    "
_LOGGED = f"{_ROOT}import os\n\n    (root / 'log').open('a').write(f'@ID@ {{os.getpid()}}\\n')\n    "

# writes its id and process to PROJECT/log, once an evaluation
LOGGED = VERIFIED.replace("(1, 2, 10)", "(10,)").replace(
    "def total(n, first=1):\n    ",
    f"def logged(n):\n    {_LOGGED}return n\n\n\n@claim.run\ndef total(logged, n, first=1):\n    ",
)
# the same, and goes on only once there is a file PROJECT/go
SLOW = LOGGED.replace(
    "    return n\n",
    "    import time\n\n    while not (root / 'go').exists():\n        time.sleep(0.02)\n    return n\n",
)
# takes its worker with it
DEADLY = LOGGED.replace("    return n\n", "    os.kill(os.getpid(), 9)\n")

VERDICTS = {
    "verified": (VERIFIED, DECAY),
    "refuted": (REFUTED,),
    "vacuous": (VACUOUS, UNCOVERED),
    "undecided": (UNDECIDED, UNDECIDED_ASSUMPTION),
    "invalid": (INVALID,),
    "error": (RAISING, EXITING, NAN, RAISING_CONTROL, NO_SUCH_CHECK, BROKEN, NO_PYTHON),
}

_PAPER = """\
  {slug}:
    title: A toy
    authors: [Nobody]
    year: 2025
    arxiv: "2501.00001"
    summary: Nothing new
    assumptions: {{}}
    not_checkable: []
    claims:
"""
_ROW = """\
      {slug}:
        title: A toy claim
        kind: {kind}
        source: nowhere
        known: exact
        priority: core
"""


def write_project(
    root: Path,
    claims: Mapping[str, str],
    *,
    paper: str = "toy-paper",
    kinds: Mapping[str, str] | None = None,
    expected: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> Path:
    """A project with one paper. claims: {slug: source, in which @ID@ is the id}; files: others, by path."""
    folder = root / "claims" / paper.replace("-", "_")
    folder.mkdir(parents=True)
    (root / "claims" / "__init__.py").touch()
    (folder / "__init__.py").touch()
    rows = "papers:\n" + _PAPER.format(slug=paper)
    for slug, source in claims.items():
        (folder / f"{slug.replace('-', '_')}.py").write_text(source.replace("@ID@", f"{paper}/{slug}"))
        rows += _ROW.format(slug=slug, kind=(kinds or {}).get(slug, "theorem"))
        if slug in (expected or {}):
            rows += f"        expected: {(expected or {})[slug]}\n        because: it is a toy\n"
    for name, text in (files or {}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "paper_map.yaml").write_text(rows)
    return root
