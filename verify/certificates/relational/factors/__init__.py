"""Rows whose coordinates share the factors of norms, in floats and in real numbers."""
