"""Parnichkun et al., Quantifying Memory Utilization with Effective State-Size."""
