"""Supervised contrastive learning with free unit-norm features: Behnia and Thrampoulidis, 2024."""
