"""AoPS-Instruct and LiveAoPSBench: declining accuracies, and what they say of contamination (arXiv 2501.14275)."""
