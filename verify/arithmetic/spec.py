"""An arithmetic as data: its name, its options, its JSON and its Python are derived from it, here alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from itertools import product
from operator import attrgetter
from typing import Any, TypeAlias

from constructions.validation import InvalidArgument, check_choice

#: The value of an option: a word, a number, or on; ``None`` where nothing is chosen.
Setting: TypeAlias = str | int | bool | None


@dataclass(frozen=True, eq=False)
class Option:
    """A choice of an arithmetic's kernels.

    Attributes:
        name: the argument in Python; with dashes, the option of the command line.
        default: the value that holds unless another one is chosen.
        refusal: the message of an arithmetic without it where it is chosen.
        shown: the word that a choice adds to the name of the arithmetic; a choice that is left out adds nothing.
        always: whether it is said even at its default, in a place of its own in the name.

    """

    name: str
    default: Setting
    refusal: str
    shown: Mapping[Setting, str] = field(default_factory=dict)
    always: bool = False

    def words(self, value: Setting) -> tuple[str, ...]:
        """Return the words of the command line that choose a value."""
        flag = "--" + self.name.replace("_", "-")
        return (flag,) if isinstance(value, bool) else (flag, str(value))

    def said(self, value: Setting) -> str:
        """Return what a choice adds to the name of the arithmetic."""
        return self.shown.get(value, "")


class Number(Option):
    """A choice that is a number; any but the default adds itself to the name of the arithmetic."""

    def said(self, value: Setting) -> str:
        """Return the option and the number."""
        return f"{self.name.replace('_', ' ')} {value}"


@dataclass(frozen=True, eq=False)
class Family:
    """A kind of arithmetic.

    Attributes:
        word: as ``--arithmetic`` takes it.
        title: the name of one; ``{format}`` stands for the float format, the name of an option for its value.
        numbers: which numbers it is about, whatever computes them; evidence is compared by this.
        home: the module and, after a colon, what makes one there.
        python: the same for a user who has imported ``verify``.
        formats: the float formats that it may have; none in exact arithmetic.
        devices: whether it runs on other devices than the cpu.
        options: its choices, in the order of the arithmetic's name.

    """

    word: str
    title: str
    numbers: str
    home: str
    python: str
    formats: tuple[str, ...] = ()
    devices: bool = False
    options: tuple[Option, ...] = ()

    def spec(self, dtype: str | None = None, device: str = "cpu", options: Mapping[str, Setting] | None = None) -> Spec:
        """Return the spec of one of them.

        Args:
            dtype: the float format, where it has one.
            device: where it runs.
            options: its options; those at their defaults are left out.

        """
        given = [(options or {}).get(option.name, option.default) for option in self.options]
        chosen = tuple(
            (option.name, value)
            for option, value in zip(self.options, given, strict=True)
            if option.always or value != option.default
        )
        return Spec(self, dtype if self.formats else None, device, chosen)

    def made(self, dtype: str, device: str, options: Mapping[str, Setting], known: Mapping[str, Option]) -> Any:
        """Return one of them.

        Args:
            dtype: the float format, where it has one.
            device: where it runs.
            options: its options.
            known: those of all families that it is chosen from.

        Raises:
            InvalidArgument: an option that it does not have, or a value that it refuses.

        """
        own = {option.name for option in self.options}
        for name, value in options.items():
            check_choice("option", name, tuple(known))
            if name not in own and (value != known[name].default or known[name].always):
                raise InvalidArgument(f"{known[name].refusal}, but got {self.spec(dtype).name}")
        if not self.devices:
            check_choice("device", device, ("cpu",))
        place = [*([dtype] if self.formats else []), *([device] if self.devices else [])]
        module, _, path = self.home.partition(":")  # torch takes seconds to import
        make = attrgetter(path)(import_module(module))
        return make(*place, **{name: value for name, value in options.items() if name in own})

    def specs(self) -> Iterator[Spec]:
        """Yield all specs on the cpu that differ in their names."""
        values = [
            [(option.name, value) for value in dict.fromkeys((option.default, *option.shown))]
            for option in self.options
            if option.shown
        ]
        for dtype in self.formats or (None,):
            for chosen in product(*values):
                yield self.spec(dtype, options=dict(chosen))


@dataclass(frozen=True)
class Spec:
    """One arithmetic.

    Attributes:
        family: its kind.
        format: the float format, ``None`` in exact arithmetic.
        device: where it runs.
        options: the choices of its kernels that are not the default, by name.

    Example:
        >>> from verify.arithmetic.families import TORCH
        >>> spec = TORCH.spec("float32", options={"bias": "fma"})
        >>> spec.name
        'torch float32 fma'
        >>> spec.words()
        ('--arithmetic', 'torch', '--dtype', 'float32', '--bias', 'fma')
        >>> spec.expression()
        "verify.TorchArithmetic('float32', bias='fma')"

    """

    family: Family
    format: str | None = None
    device: str = "cpu"
    options: tuple[tuple[str, Setting], ...] = ()

    @property
    def name(self) -> str:
        """As verdicts call it, such as ``rational`` or ``torch float32``."""
        return self._titled(self.family.title)

    @property
    def numbers(self) -> str:
        """Which numbers it is about, such as ``real``, ``rational`` or ``float32``."""
        return self._titled(self.family.numbers)

    def _titled(self, title: str) -> str:
        given = dict(self.options)
        shown = [option.said(given[option.name]) for option in self.family.options if option.name in given]
        return " ".join([title.format(format=self.format, **given), *filter(None, shown)])

    @property
    def _place(self) -> tuple[str | None, str | None]:
        """The format and the device, where they have to be said."""
        return self.format, self.device if self.family.devices and self.device != "cpu" else None

    def words(self) -> tuple[str, ...]:
        """Return the options that choose it on the command line."""
        dtype, device = self._place
        given = dict(self.options)
        chosen = [option.words(given[option.name]) for option in self.family.options if option.name in given]
        return (
            *("--arithmetic", self.family.word),
            *(() if dtype is None else ("--dtype", dtype)),
            *(() if device is None else ("--device", device)),
            *(word for words in chosen for word in words),
        )

    def expression(self) -> str:
        """Return the Python expression that makes it, where ``verify`` is imported."""
        parts = [repr(part) for part in self._place if part is not None]
        parts += [f"{name}={value!r}" for name, value in self.options]
        return f"{self.family.python}({', '.join(parts)})"

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        found = {"family": self.family.word, "format": self.format, "device": self.device}
        return found | dict(self.options)
