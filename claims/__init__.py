"""The claims of this repository, one folder per paper."""
