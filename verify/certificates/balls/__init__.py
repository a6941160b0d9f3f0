"""Certificates in real numbers: balls, with the true ``exp``."""
