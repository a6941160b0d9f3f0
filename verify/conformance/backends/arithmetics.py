"""Backends: the forward pass of this package in one of its float arithmetics."""

from __future__ import annotations

from typing import final

from constructions.construction import Construction
from verify.arithmetic import get_arithmetic
from verify.arithmetic.spec import Family
from verify.backends import Backend, as_backend
from verify.conformance.backends.base import BackendFactory


@final
class InArithmetic(BackendFactory):
    """A float arithmetic of this package."""

    def __init__(self, family: Family, summary: str) -> None:
        """Run in the arithmetics of ``family``."""
        self.name = self.group = family.word
        self.summary, self.formats = summary, family.formats

    def make(self, construction: Construction, dtype: str) -> Backend:
        """Return the construction's transformer in the arithmetic."""
        return as_backend(get_arithmetic(self.name, dtype=dtype))
