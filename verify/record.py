"""What a run or a reference returns when it is more than one value."""

from types import SimpleNamespace


class Record(SimpleNamespace):
    """Named fields, read as attributes: `Record(margin=..., norm=...)`."""
