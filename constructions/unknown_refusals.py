"""The operations of Python that ask for a token's value: all of them are refused, and each says why."""

from __future__ import annotations

from typing import Any, NoReturn

from constructions.bounded_runs import refuse


def _refused(what: str) -> Any:
    """Return a method that is refused."""

    def method(self: object, *_: Any, **__: Any) -> NoReturn:
        refuse(what)

    return method


class Refusing:
    """An object that answers none of these questions; :class:`~constructions.unknown_tokens.UnknownTokens` is one."""

    __slots__ = ()

    __setattr__ = __delattr__ = _refused("a change of an attribute")
    __setitem__ = __delitem__ = _refused("a change of single tokens in place (use stack, concatenate or select)")
    __eq__ = __ne__ = _refused("a comparison (use equals)")
    __lt__ = __le__ = __gt__ = __ge__ = _refused("a comparison (use at_least)")
    __bool__ = _refused("whether it is true")
    __contains__ = _refused("a search")
    __hash__ = _refused("a hash")  # an object that cannot be compared cannot be a key
    __int__ = __index__ = __trunc__ = _refused("its value as an integer")
    __float__ = __complex__ = _refused("its value as a float")
    __round__ = __floor__ = __ceil__ = _refused("rounding")
    __repr__ = __str__ = __format__ = __bytes__ = _refused("its digits")
    __array__ = _refused("its values as a numpy array (return it as it is, use np.stack for several)")
    __buffer__ = _refused("its memory")
    __reduce__ = __reduce_ex__ = __getstate__ = __sizeof__ = _refused("a copy by pickle")
    __copy__ = __deepcopy__ = _refused("a copy (use copy())")
    __abs__ = __invert__ = _refused("an absolute value or its bits")
    __truediv__ = __rtruediv__ = __itruediv__ = _refused("a quotient that is no integer (use //)")
    __pow__ = __rpow__ = __ipow__ = _refused("a power (write t * t)")
    __and__ = __rand__ = __iand__ = _refused("its bits")
    __or__ = __ror__ = __ior__ = _refused("its bits")
    __xor__ = __rxor__ = __ixor__ = _refused("its bits")
    __lshift__ = __rlshift__ = __ilshift__ = _refused("its bits")
    __rshift__ = __rrshift__ = __irshift__ = _refused("its bits")
    __imatmul__ = _refused("a product in place")
    __call__ = __enter__ = __exit__ = _refused("a call")
