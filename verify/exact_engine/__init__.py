"""Exact rationals for many cases at once: whole numbers over common denominators, with the batch in the last axis."""

from verify.exact_engine.passes import ExactPass as ExactPass
