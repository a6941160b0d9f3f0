"""A backend of ``prefixproof conformance`` describes itself: its name, its formats, and how it is made."""

from __future__ import annotations

from abc import ABC, abstractmethod

from constructions.construction import Construction
from constructions.formats import FORMATS
from constructions.validation import check_choice
from verify.backends import Backend


class BackendFactory(ABC):
    """Makes the backend that runs a construction's weights in some library.

    A new one is a class in a file of its own and a line in ``verify.conformance.backends.FACTORIES``.

    Attributes:
        name: as ``--backend`` takes it.
        group: as ``--backend`` takes all that differ in a setting, such as the kernels of one function.
        summary: what runs, in a few words.
        formats: those that it has.
        quick: whether it runs by default: it needs no optional library, no compiler and no other device.

    """

    name: str
    group: str
    summary: str
    formats: tuple[str, ...] = tuple(FORMATS)
    quick: bool = True

    @abstractmethod
    def make(self, construction: Construction, dtype: str) -> Backend:
        """Return the backend.

        Args:
            construction: whose weights it runs.
            dtype: one of :attr:`formats`.

        Raises:
            InvalidArgument: something that it needs is not here, or it cannot run this construction.

        """

    def words(self) -> tuple[str, ...]:
        """Return the words of ``prefixproof conformance`` that choose it."""
        return ("--backend", self.name)

    def backend(self, construction: Construction, dtype: str) -> Backend:
        """Return the backend, see :meth:`make`; refuses a format that it does not have."""
        check_choice("dtype", dtype, self.formats)
        return self.make(construction, dtype)

    def __repr__(self) -> str:
        return self.name
