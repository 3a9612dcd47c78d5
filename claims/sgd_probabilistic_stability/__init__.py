"""Probabilistic stability of SGD at saddles and minima without gradient noise (arXiv 2303.13093)."""
