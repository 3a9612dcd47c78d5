"""Upper and lower memory capacity bounds of transformers for next-token prediction."""
