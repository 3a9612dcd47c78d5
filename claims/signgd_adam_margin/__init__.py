"""Implicit bias of normalised steepest descent and Adam on multiclass separable data (arXiv 2502.04664)."""
