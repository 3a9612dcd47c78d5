"""What can go wrong before there is a verdict."""


class VerifyError(Exception):
    """Base class of the engine's own errors."""


class SetupError(VerifyError):
    """A usage, map or set-up error: one paragraph for the user, exit code 2, no traceback."""


class CertificateError(VerifyError, ValueError):
    """A certificate does not stand up: its ends cross, or its point is not feasible after repair."""


class NotAValueError(VerifyError, ValueError):
    """NaN, or a bare number where a value with a grade and a reason is needed."""
