"""From Shortcut to Induction Head (arXiv 2512.18634): two gradient steps choose between the two."""
