"""Obligations about the theorems in a residual stream: no scale matters, and one number is selected."""
