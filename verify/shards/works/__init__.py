"""The kinds of runs that are split into shards; a new one is its own file, and an entry here."""

from __future__ import annotations

from constructions.registry import Registry
from verify.shards.works.base import Work as Work
from verify.shards.works.enumerating import Enumerating
from verify.shards.works.fuzzing import Fuzzing
from verify.shards.works.sweeping import Sweeping

#: Kinds of runs by their words, which are those of their commands.
WORKS: Registry[type[Work]] = Registry("work", (Enumerating, Fuzzing, Sweeping), name=lambda kind: kind.word)
