"""Lists of things by name that everything else follows, such as the claims or the kinds of evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, final

from constructions.validation import InvalidArgument

ItemT = TypeVar("ItemT")


@final
class Registry(Mapping[str, ItemT], Generic[ItemT]):
    """Things of one kind by their names, in the order in which they were registered unless ``order`` says another.

    Help, messages and plans follow it, so that nothing is registered in a second place. To add something for a while,
    such as in a test, use :meth:`having`. The command line makes its options when it is imported: add before that.

    Example:
        >>> colours = Registry("colour", ["red", "blue"], name=str)
        >>> list(colours)
        ['red', 'blue']
        >>> with colours.having("green"):
        ...     "green" in colours
        True
        >>> "green" in colours
        False

    """

    def __init__(
        self,
        kind: str,
        items: Iterable[ItemT],
        *,
        name: Callable[[ItemT], str],
        order: Callable[[ItemT], Any] | None = None,
    ) -> None:
        """Register ``items``.

        Args:
            kind: what they are, for messages.
            items: the first ones.
            name: returns the name of one.
            order: the largest come first; equal ones stay in the order in which they were registered.

        Raises:
            InvalidArgument: two have the same name.

        """
        self._kind, self._name, self._order = kind, name, order
        self._held: dict[str, ItemT] = {}
        for item in items:
            self.add(item)

    def add(self, item: ItemT) -> ItemT:
        """Register one more, and return it.

        Raises:
            InvalidArgument: its name is taken.

        """
        name = self._name(item)
        if name in self._held:
            raise InvalidArgument(f"{self._kind}: expected a name that is not taken but got {name!r}")
        held = [*self._held.items(), (name, item)]
        if self._order is not None:
            order = self._order
            held.sort(key=lambda pair: order(pair[1]), reverse=True)
        self._held = dict(held)
        return item

    @contextmanager
    def having(self, item: ItemT) -> Iterator[ItemT]:
        """Register one more until the end of a ``with`` block."""
        self.add(item)
        try:
            yield item
        finally:
            del self._held[self._name(item)]

    def __getitem__(self, name: str) -> ItemT:
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)
