"""Things as keys of what is kept: things of other authors may equal others that compute something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Itself(Generic[_T]):
    """A thing as a key that equals keys of the same object alone, whatever its class says of equality.

    It holds the thing, so that no other one gets its id for as long as the key is kept. It says nothing of what the
    thing is later: keep such keys no longer than a certificate takes.
    """

    thing: _T

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)
