"""Distributed speculative inference: verification in parallel with drafting (arXiv 2405.14105)."""
