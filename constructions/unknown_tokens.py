"""Arrays of integers known only by their bounds: with them a construction's own code answers for ALL targets at once.

A certificate is about all targets. A construction's description of its own prompt could be wrong; its own ``encode``
and ``answer`` are run instead, on :class:`UnknownTokens`: an unknown token is an integer between 0 and the last letter
of the alphabet. The results are bounds of the numbers that they would return for every target, and the entries of the
target that each number may depend on.

Code can look past the bounds only with questions that they cannot answer. An operation that is not sound for every
value between the bounds is refused. The refusal is written down as well: ``except TypeError`` cannot hide it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeGuard, final

import numpy as np

from constructions.bounded_runs import Run, refuse
from constructions.unknown_refusals import Refusing

Array = np.ndarray[Any, Any]

_INT64 = np.iinfo(np.int64)


_Operator = Callable[["UnknownTokens", Any], "UnknownTokens"]


def _operators(name: str) -> tuple[_Operator, _Operator, _Operator]:
    """Return an operator's methods: for ``a + b``, for ``a + b`` where ``b`` alone is unknown, and for ``a += b``.

    Args:
        name: numpy's name of the operation.

    """

    def forward(self: UnknownTokens, other: Any) -> UnknownTokens:
        return self._operated(name, self, other)

    def reflected(self: UnknownTokens, other: Any) -> UnknownTokens:
        return self._operated(name, other, self)

    def in_place(self: UnknownTokens, other: Any) -> UnknownTokens:
        return self._in_place(name, other)

    return forward, reflected, in_place


@final
class UnknownTokens(Refusing):
    """An array of integers, each from ``low`` to ``high``, that acts as a numpy array where that is sound.

    Sums, differences, products, floor quotients and remainders by known positive integers, sums over axes, products
    with known matrices, minimum and maximum, and all moves of entries give bounds of the result. See
    :mod:`constructions.token_functions` for one-hots, look-ups and comparisons. Anything else raises
    :class:`UnknownValue`.

    Numbers are int64, as a forward pass has them, and an enclosure that leaves int64 is refused: the code would wrap.
    After ``astype(object)`` they are Python's integers, without a limit.
    """

    __slots__ = ("_entries", "_high", "_low", "_owned", "_run")

    _entries: Array
    _high: Array
    _low: Array
    _owned: bool
    _run: Run

    def __init__(self, low: Array, high: Array, entries: Array, run: Run, *, owned: bool = False) -> None:
        """Hold bounds: two int64 (or two object) arrays, and the entries as bits.

        Args:
            low: the smallest values.
            high: the largest values.
            entries: the entries of the target that each number may depend on; forgotten where the number is known.
            run: the run that the tokens belong to.
            owned: whether no other array shares the memory that numpy would use: it may be changed in place.

        """
        if not run.open:
            refuse("a token that was kept from an earlier call")
        once = tuple(slice(None) if any(steps) else slice(1) for steps in zip(low.strides, high.strides, strict=True))
        known = low[(*once, ...)] == high[(*once, ...)]  # an axis along which nothing changes is looked at once
        keep = object.__setattr__
        keep(self, "_low", low)
        keep(self, "_high", high)
        keep(self, "_entries", np.where(known, 0, entries) if known.any() else entries)
        keep(self, "_run", run)
        keep(self, "_owned", owned)

    # what is known ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return tuple(self._low.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._low.ndim

    @property
    def size(self) -> int:
        """The number of entries."""
        return self._low.size

    @property
    def dtype(self) -> Any:
        """int64, or object where the numbers are Python's integers."""
        return self._low.dtype

    def __len__(self) -> int:
        if not self.ndim:
            refuse("the length of a single token")
        return len(self._low)

    def __iter__(self) -> Iterator[UnknownTokens]:
        if not self.ndim:
            refuse("a loop over a single token")
        return (self[place] for place in range(len(self)))

    def __getitem__(self, index: Any) -> UnknownTokens:
        if holds_unknown(index):
            refuse("an unknown token as an index (use look_up)")
        low, high, entries = (part[index] for part in (self._low, self._high, self._entries))
        if isinstance(low, np.ndarray):
            share(self)
            return UnknownTokens(low, high, entries, self._run)
        return UnknownTokens(*as_arrays(self, low, high, entries), self._run, owned=True)  # a scalar shares no memory

    # arithmetic ------------------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        from constructions.unknown_arithmetic import call_ufunc  # noqa: PLC0415 # each module needs the other

        return call_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        from constructions.unknown_functions import call_function  # noqa: PLC0415 # each module needs the other

        return call_function(function, args, options)

    def _operated(self, name: str, *operands: Any) -> UnknownTokens:
        from constructions.unknown_arithmetic import operate  # noqa: PLC0415 # each module needs the other

        return operate(name, *operands)

    def _called(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        from constructions.unknown_functions import call_function  # noqa: PLC0415 # each module needs the other

        return call_function(function, (self, *args), options)

    def _in_place(self, name: str, other: Any) -> UnknownTokens:
        """Change the array that every name of it sees; a scalar cannot be changed, and gets a new object."""
        found: UnknownTokens = self._operated(name, self, other)
        if not self._owned:
            refuse("a change in place of an array that others may share (write a = a + b)")
        if not self.ndim:
            return found
        if found.shape != self.shape or found.dtype != self.dtype:
            refuse("a change in place to another shape or type")
        for slot in ("_low", "_high", "_entries"):
            object.__setattr__(self, slot, getattr(found, slot))
        return self

    __add__, __radd__, __iadd__ = _operators("add")
    __sub__, __rsub__, __isub__ = _operators("subtract")
    __mul__, __rmul__, __imul__ = _operators("multiply")
    __floordiv__, __rfloordiv__, __ifloordiv__ = _operators("floor_divide")
    __mod__, __rmod__, __imod__ = _operators("remainder")
    __matmul__, __rmatmul__ = _operators("matmul")[:2]

    def __divmod__(self, other: Any) -> tuple[UnknownTokens, UnknownTokens]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[UnknownTokens, UnknownTokens]:
        return other // self, other % self

    def __neg__(self) -> UnknownTokens:
        return self._operated("negative", self)

    def __pos__(self) -> UnknownTokens:
        return self._operated("positive", self)

    # methods of arrays -----------------------------------------------------------------------------------------------

    @property
    def T(self) -> UnknownTokens:  # noqa: N802 # as numpy calls it
        """The array with its axes in reverse order."""
        return self._called(np.transpose)  # type: ignore[no-any-return] # numpy's functions may return anything

    def reshape(self, *shape: Any, **options: Any) -> UnknownTokens:
        """Return the entries in another shape."""
        new = shape[0] if len(shape) == 1 else shape
        return self._called(np.reshape, new, **options)  # type: ignore[no-any-return] # the same

    def transpose(self, *axes: Any) -> UnknownTokens:
        """Return the array with its axes in another order."""
        order = None if not axes else axes[0] if len(axes) == 1 else axes
        return self._called(np.transpose, order)  # type: ignore[no-any-return] # the same

    def astype(self, dtype: Any, **options: Any) -> UnknownTokens:
        """Return the numbers as int64, or (``object``) as Python's integers, which have no limit."""
        from constructions.unknown_functions import converted  # noqa: PLC0415 # each module needs the other

        return converted(self, dtype, options)

    # attributes ------------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        """Return a method of arrays that numpy has as a function, too; write down every other request."""
        from constructions.unknown_functions import METHODS  # noqa: PLC0415 # each module needs the other

        if name in METHODS:
            return lambda *args, **options: self._called(METHODS[name], *args, **options)
        if name in {"__array_interface__", "__array_struct__", "__array_priority__", "__array_wrap__"}:
            raise AttributeError(name)  # numpy looks for these, and for __array__ when it wants the values
        return refuse(f"the attribute {name}")

    @property  # type: ignore[misc] # object's can be set
    def __class__(self) -> Any:
        """The class of numpy's own array: isinstance cannot tell bounds from numbers, and numpy asks, too."""
        if self.ndim or not self._owned:
            return np.ndarray
        return np.int64 if self.dtype == np.int64 else refuse("the type of a Python integer")


def unknown_tokens(run: Run, low: Array, high: Array, entries: Array | None = None) -> UnknownTokens:
    """Return integers between two arrays, for a run of code.

    Args:
        run: see :func:`~constructions.bounded_runs.run_on_bounds`.
        low: the smallest values, int64.
        high: the largest ones, of the same shape.
        entries: for each of them the entries of the target that it depends on, as the bits of an integer; none by
            default, for code that will not be asked for them.

    """
    named = np.zeros(low.shape, dtype=np.int64) if entries is None else entries
    return UnknownTokens(low, high, named, run)


def bounds(tokens: UnknownTokens) -> tuple[Array, Array]:
    """Return the smallest and the largest values, int64 or Python's integers as objects: for a verifier."""
    return tokens._low, tokens._high


def dependence(tokens: UnknownTokens) -> Array:
    """Return for each number the entries of the target that it may depend on, as bits: for a verifier."""
    return tokens._entries


def run_of(tokens: UnknownTokens) -> Run:
    """Return the run that the tokens belong to."""
    return tokens._run


def share(tokens: UnknownTokens) -> None:
    """Say that another array may share the memory of this one: neither may be changed in place."""
    if tokens.ndim:  # a scalar has no memory to share
        object.__setattr__(tokens, "_owned", False)


def is_unknown(value: Any) -> TypeGuard[UnknownTokens]:
    """Return whether a value is unknown tokens, without asking it."""
    return type(value) is UnknownTokens


def holds_unknown(value: Any) -> bool:
    """Return whether an argument is, or has in its lists and mappings, an unknown token."""
    if type(value) is UnknownTokens:
        return True
    if isinstance(value, (list, tuple)):
        return any(holds_unknown(item) for item in value)
    return isinstance(value, dict) and any(holds_unknown(item) for item in value.values())


def as_arrays(like: UnknownTokens, low: Any, high: Any, entries: Any) -> tuple[Array, Array, Array]:
    """Return scalars that numpy gave as arrays without axes, of the types of another array's parts."""
    kept = like._low.dtype
    return np.asarray(low, dtype=kept), np.asarray(high, dtype=kept), np.asarray(entries, dtype=like._entries.dtype)


def in_int64(low: Array, high: Array) -> bool:
    """Return whether all bounds are numbers of int64."""
    if low.dtype == np.int64 and high.dtype == np.int64:
        return True
    return not low.size or (int(low.min()) >= _INT64.min and int(high.max()) <= _INT64.max)
