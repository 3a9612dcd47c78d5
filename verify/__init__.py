"""verify: numerical verification of the theorems of machine-learning theory papers.

    import verify
    suite = verify.load("paper_map.yaml")
    evidence = verify.evaluate(suite.claims["signgd-adam-margin/proxy-lemmas"])
    evidence.verdict

Names resolve lazily: importing the package loads nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify import certify, plot, statistics, train
    from verify.claim import Claim
    from verify.errors import CertificateError, NotAValueError, SetupError
    from verify.evaluation import evaluate
    from verify.evidence import Evidence
    from verify.interval import Interval, concatenate, exact, hull, rounded, rounding, stack, stated
    from verify.record import Record
    from verify.relation import at_most, equal, less
    from verify.suite import Suite, load

__version__ = "0.1.0"

_ROOMS = ("certify", "plot", "statistics", "train")
_HOMES = {
    "claim": ("Claim",),
    "record": ("Record",),
    "interval": ("Interval", "concatenate", "exact", "hull", "rounded", "rounding", "stack", "stated"),
    "relation": ("at_most", "equal", "less"),
    "evaluation": ("evaluate",),
    "evidence": ("Evidence",),
    "suite": ("Suite", "load"),
    "errors": ("CertificateError", "NotAValueError", "SetupError"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CertificateError", "Claim", "Evidence", "Interval", "NotAValueError", "Record", "SetupError", "Suite",
    "at_most", "certify", "concatenate", "equal", "evaluate", "exact", "hull", "less", "load", "plot", "rounded",
    "rounding", "stack", "stated", "statistics", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"verify.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'verify' has no attribute {name!r}")
    return getattr(import_module(f"verify.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
