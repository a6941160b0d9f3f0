"""The fields of a construction's class: which are sizes to choose, which are options, and how they are described.

A field is a size if it is a whole number; a field of named choices, of a whole number that may be ``None``, or that is
``False`` by default, is an option. The words come from the ``Attributes`` of the class' own documentation, so that
nothing is described twice.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from constructions.construction import Construction
from constructions.validation import InvalidArgument

#: The fields that every construction has beside its vocabulary size; they are options.
_EVERYWHERE = {item.name for item in fields(Construction)} - {"vocab_size"}


def short(name: str) -> str:
    """Return the short name of a field: ``vocab`` for ``vocab_size``."""
    return name.removesuffix("_size")


@dataclass(frozen=True)
class Sizes:
    """The sizes of a class of constructions.

    Attributes:
        owner: what messages call the class.
        defaults: the fields that are sizes, in their order, each with its default or ``MISSING``.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> Sizes.of("theorem-1", UnconditionalGeneration).complete({"vocab": 3, "context_size": 2})
        {'vocab_size': 3, 'context_size': 2}

    """

    owner: str
    defaults: Mapping[str, Any]

    @classmethod
    def of(cls, owner: str, construction: type[Construction]) -> Sizes:
        """Return the sizes of a class: whole numbers by their default, or by their annotation if they have none."""
        return cls(owner, {item.name: item.default for item in fields(construction) if _is_size(item)})

    @property
    def names(self) -> str:
        """The sizes as a message lists them, by their short names."""
        return ", ".join(short(name) for name in self.defaults) or "no sizes"

    def field_of(self, name: str) -> str:
        """Return the field that a size is given for: ``vocab`` is short for ``vocab_size``.

        Raises:
            InvalidArgument: there is no such size.

        """
        for known in (name, f"{name}_size"):
            if known in self.defaults:
                return known
        raise InvalidArgument(f"{name}: expected one of the sizes of {self.owner} ({self.names})")

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the given values by field, in the order of the fields; sizes with a default may be left out.

        Args:
            given: by field or short name; ``None`` counts as not given.

        Raises:
            InvalidArgument: a size is missing, unknown, or given twice.

        """
        found: dict[str, Any] = {}
        for name, value in given.items():
            if value is not None:
                known = self.field_of(name)
                if known in found:
                    raise InvalidArgument(f"{short(known)}: expected it once but got it twice")
                found[known] = value
        for name, default in self.defaults.items():
            if name not in found and default is MISSING:
                raise InvalidArgument(f"{short(name)}: expected a value, as {self.owner} needs {self.names}")
        return {name: found[name] for name in self.defaults if name in found}


def _is_size(item: Field[Any]) -> bool:
    annotation = item.type if isinstance(item.type, str) else getattr(item.type, "__name__", "")
    whole = annotation == "int" if item.default is MISSING else type(item.default) is int  # True is no size
    return item.init and whole and item.name not in _EVERYWHERE


def options_of_class(construction: type[Construction]) -> dict[str, type]:
    """Return the fields that are options, each with ``int``, ``bool``, or ``str`` where it is one of named choices.

    The temperature is not among them: it is written in several ways, see :mod:`constructions.temperature`.
    """
    hints, found = get_type_hints(construction), dict[str, type]()
    for item in fields(construction):
        if not item.init or _is_size(item):
            continue
        hint = hints[item.name]
        if get_origin(hint) is Literal:
            found[item.name] = str
        elif get_origin(hint) in {Union, types.UnionType} and set(get_args(hint)) == {int, type(None)}:
            found[item.name] = int
        elif hint is bool and item.default is False:
            found[item.name] = bool
    return found


def letter(construction: type[Construction], name: str) -> str | None:
    """Return the letter by which the documentation of a class calls a field: ``V`` for ``vocab_size``."""
    match = re.match(r"``([A-Za-z]_?\w?)``(?=[,.])", _documented(construction, name))
    return None if match is None else match[1]


def words(construction: type[Construction], name: str) -> str:
    """Return what the documentation of a class says of a field, up to the first full stop or semicolon.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> words(UnconditionalGeneration, "vocab_size")
        'the number of tokens'

    """
    text = _documented(construction, name)
    if letter(construction, name) is not None:
        text = re.sub(r"^``\w+``(, )?", "", text)
    return re.split(r"[;.](?: |$)", text.replace("``", ""), maxsplit=1)[0]


def _documented(construction: type[Construction], name: str) -> str:
    """Return what the ``Attributes`` of a class, or of the first class that it comes from, say of a field."""
    for made in construction.__mro__:
        section = (inspect.cleandoc(made.__dict__.get("__doc__") or "") + "\n").partition("\nAttributes:\n")[2]
        match = re.search(rf"^    {name}: (.*(?:\n     +.*)*)", section, re.MULTILINE)
        if match is not None:
            return " ".join(match[1].split())
    return ""
