"""DisCO: the difficulty bias of GRPO, its discriminative form, and constrained optimisation (arXiv 2505.12366)."""
