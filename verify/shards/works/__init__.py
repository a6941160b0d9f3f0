"""The kinds of runs that are split into shards; a new one is its own file, and an entry here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from constructions.registry import Registry

if TYPE_CHECKING:
    from verify.shards.works.base import Work


@dataclass(frozen=True)
class Kind:
    """A kind of run.

    Attributes:
        word: its name, most often the word of its command.
        home: its module and, after a colon, its class; imported when it runs, as a worker needs one kind alone.

    """

    word: str
    home: str

    @property
    def work(self) -> type[Work]:
        """The class."""
        module, _, name = self.home.partition(":")
        found: type[Work] = getattr(import_module(module), name)
        return found


#: Kinds of runs by their words.
WORKS: Registry[Kind] = Registry(
    "work",
    (
        Kind("exhaust", "verify.shards.works.enumerating:Enumerating"),
        Kind("fuzz", "verify.shards.works.fuzzing:Fuzzing"),
        Kind("fuzz layers", "verify.shards.works.fuzzing_layers:FuzzingLayers"),
        Kind("certify", "verify.shards.works.certifying:Certifying"),
        Kind("sweep", "verify.shards.works.sweeping:Sweeping"),
    ),
    name=lambda kind: kind.word,
)
