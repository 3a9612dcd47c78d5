"""Self-supervised contrastive learning is approximately supervised contrastive learning (arXiv 2506.04411)."""
