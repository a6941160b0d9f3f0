"""A change of the certifier's source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A change of one module's source.

    Attributes:
        name: what is wrong, in a few words.
        rule: the rule that is broken.
        module: whose source is changed.
        old: what stands there, exactly once.
        new: what stands there instead.
        killers: the killers that contradict it; none for a harmless mutant.
        argument: why a harmless mutant changes no verdict that is sound.
        proof: the check of the argument.

    """

    name: str
    rule: str
    module: str
    old: str
    new: str
    killers: tuple[str, ...] = ()
    argument: str = ""
    proof: str = ""


def of(rule: str, module: str) -> Callable[..., Mutant]:
    """Return what makes the mutants of a rule in a module."""

    def made(name: str, old: str, new: str, *killers: str, argument: str = "", proof: str = "") -> Mutant:
        return Mutant(f"{rule}: {name}", rule, module, old, new, killers, argument, proof)

    return made
