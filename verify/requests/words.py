"""How the command line names the fields of constructions: its options, and the words that build a construction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from constructions.construction import Construction
from constructions.fields import letter, options_of_class, short, words
from constructions.specification import at_default
from constructions.temperature import as_temperature
from proofs import CLAIMS


@dataclass(frozen=True)
class FieldOption:
    """An option of the command line that sets a field of a construction.

    Attributes:
        field: the field.
        kind: ``int``, ``str``, or ``bool`` for an option without a value.
        letter: its letter in the documentation, such as ``V``; ``None`` where it has none.
        words: its description in the documentation.
        claims: the ids of the claims whose constructions have it.
        size: whether it is a size.

    """

    field: str
    kind: type
    letter: str | None
    words: str
    claims: tuple[str, ...]
    size: bool

    @property
    def name(self) -> str:
        """The option without its dashes: ``vocab`` for ``vocab_size``."""
        return short(self.field).replace("_", "-")


@lru_cache(maxsize=1)
def field_options() -> Mapping[str, FieldOption]:
    """Return the options of the registered claims by field, sizes first.

    The documentation of the first claim that has a field describes it. The temperature has options of its own.
    """
    found: dict[tuple[bool, str], FieldOption] = {}
    for claim in CLAIMS.values():
        made = claim.construction
        if made is None:
            continue
        for size, known in ((True, dict.fromkeys(claim.sizes.defaults, int)), (False, options_of_class(made))):
            for name, kind in known.items():
                before = found.get((size, name))
                having = (*(before.claims if before else ()), claim.id)
                option = before or FieldOption(name, kind, letter(made, name), words(made, name), (), size)
                found[size, name] = FieldOption(name, option.kind, option.letter, option.words, having, size)
    return {name: option for size in (True, False) for (is_size, name), option in found.items() if is_size == size}


def field_named(option: str) -> str:
    """Return the field that an option sets, given without its dashes: ``band_size`` for ``band``."""
    return next((name for name, known in field_options().items() if known.name == option), option)


def command_for(claim: str, construction: Construction) -> dict[str, str] | None:
    """Return the words that build a construction: the claim, then option -> value, empty for one without a value.

    ``None`` when the command line cannot build it, as it has no option for a field that was given, such as an
    embedding.

    Args:
        claim: a claim's id, or ``module:Class`` of a construction of the user's.
        construction: what to build.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> command_for("theorem-1", UnconditionalGeneration(3, 2, lift="mask"))
        {'claim': 'theorem-1', '--vocab': '3', '--context': '2', '--lift': 'mask'}

    """
    known = field_options()
    sizes, own, options = {}, [], {}
    for name, item in construction.__dataclass_fields__.items():
        value = getattr(construction, name)
        if not item.init:
            continue
        option = known.get(name)
        if name == "temperature":
            continue
        if option is not None and option.size and type(value) is int:  # True is no whole number
            sizes[f"--{option.name}"] = str(value)
        elif option is None and type(value) is int:
            own.append(f"{name}={value}")
        elif not at_default(item, value):
            if option is None or type(value) is not option.kind:
                return None
            options[f"--{option.name}"] = "" if value is True else str(value)
    given = construction.temperature
    temperature = {} if given is None else as_temperature(given).words
    return {
        "claim": claim,
        **sizes,
        **({"--size": ",".join(own)} if own else {}),
        **{f"--{name}": value for name, value in temperature.items()},
        **options,
    }
