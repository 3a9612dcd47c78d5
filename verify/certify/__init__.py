"""Certificates: enclosures that are evaluated again without the solver that found them.

A claim hands over what a solver or a training run produced (a point, multipliers, an approximate value) and
gets back an interval that holds whatever the solver did: weak duality, factors with a bounded residual, exact
rational arithmetic, balls. Floats are taken as the exact rationals that they are, so nothing is said of how
they came about. A loose certificate is a wide interval; one that does not stand up is a CertificateError.
This package alone stamps the grade `rigorous`.
"""

from verify.certify.matrices import product, smallest_eigenvalue
from verify.certify.norms import Kind, dual, norm, singular_values
from verify.certify.programs import linear_program
from verify.certify.values import bracket, convex_weights, evaluate, exp, identity, log, root, sqrt
from verify.certify.zeros import zero

__all__ = [
    "Kind",
    "bracket",
    "convex_weights",
    "dual",
    "evaluate",
    "exp",
    "identity",
    "linear_program",
    "log",
    "norm",
    "product",
    "root",
    "singular_values",
    "smallest_eigenvalue",
    "sqrt",
    "zero",
]
