"""Certificates in floats: boxes that hold whatever a kernel computes."""
