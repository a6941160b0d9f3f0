"""A backend: any callable, such as your own kernel."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Literal, cast, final, get_args

import numpy as np

from constructions.formats import get_format
from constructions.ratios import Ratios
from constructions.specification import Specification
from constructions.validation import IntArray, InvalidArgument, check_choice, reject
from verify.backends.base import Backend, Prepared
from verify.backends.outputs import called, checked_tokens, respond_by_logits
from verify.running.respond import Produced
from verify.running.trace import Trace

Gives = Literal["logits", "tokens"]


@final
class CallableBackend(Backend):
    """Any callable from virtual tokens and user tokens to logits, or to the whole response.

    It is called with the virtual tokens as float64 (cases x virtual x embedding size, each number correctly rounded, to
    ``dtype`` where that is given; ``None`` where there are none) and with tokens as int64. If it gives logits, these
    tokens are the user's and those that were fed back, and it returns floats of shape cases x outputs (at the last
    position) or cases x positions x outputs, virtual positions included. If it gives tokens, they are the user's, and
    it returns integers of shape cases x response. Arrays are numpy's; torch tensors are taken as well.

    Example:
        A kernel that says the last token of its input again, held against that promise::

            >>> import numpy as np, verify
            >>> from constructions import Domain, specify
            >>> def kernel(virtual, tokens):
            ...     return np.eye(3)[tokens[:, -1]]
            >>> promise = specify(Domain.of(3, 2), lambda x: x[:, -1:])
            >>> verify.exhaust(promise, verify.CallableBackend(kernel)).holds
            True

    """

    def __init__(
        self,
        call: Callable[..., Any] | str,
        *,
        gives: Gives = "logits",
        name: str | None = None,
        device: str = "cpu",
        batched: bool = True,
        dtype: str | None = None,
    ) -> None:
        """Run ``call``.

        Args:
            call: the callable, or where it is: ``module:function``.
            gives: ``logits``, or ``tokens``, of which no margins are known.
            name: what verdicts call it, by default its own name.
            device: where it runs, as verdicts say.
            batched: whether it takes several cases at once; otherwise it is called with one, in a batch of one.
            dtype: the format that it computes in, which virtual tokens are rounded to; verdicts name it.

        Raises:
            InvalidArgument: nothing that can be called, or an unknown format.

        """
        self.call = _imported(call) if isinstance(call, str) else call
        if not callable(self.call):
            reject("call", "a function of virtual tokens and tokens, or where it is, as module:function", call)
        self.gives = cast("Gives", check_choice("gives", gives, get_args(Gives)))
        own = getattr(self.call, "__qualname__", type(self.call).__qualname__)
        self.fmt = None if dtype is None else get_format(dtype)
        self.name = f"callable {own if name is None else name}{'' if dtype is None else f' {dtype}'}"
        self.device, self.batched, self.gives_logits = device, batched, gives == "logits"
        self._where = call if isinstance(call, str) else _where(self.call)

    def prepare(self, specification: Specification) -> PreparedCallable:
        """Return the callable with its specification."""
        return PreparedCallable(self, specification)

    def code(self) -> tuple[object, ...]:
        """Return the callable."""
        return (self.call, self.gives, self.fmt)

    def assumptions(self) -> str:
        """Return that nothing is known of it but what it gave."""
        known = "" if self.gives_logits else "; it gives tokens alone, so that margins are not known"
        again = "" if self._where is not None else "; no expression makes it again, so that commands call it `backend`"
        return f"a callable: what it computes is not inspected{known}{again}"

    def arguments(self) -> tuple[str, ...]:
        """Return the expression that makes it, where it can be imported."""
        if self._where is None:
            return super().arguments()
        options = "" if self.gives_logits else ", gives='tokens'"
        options += "" if self.batched else ", batched=False"
        options += "" if self.fmt is None else f", dtype={self.fmt.name!r}"
        return (f"backend=verify.CallableBackend({self._where!r}{options})",)


@final
class PreparedCallable(Prepared):
    """A callable and what it is to answer."""

    def __init__(self, backend: CallableBackend, specification: Specification) -> None:
        """Hold both."""
        self.backend, self.specification = backend, specification

    def run(self, prompts: Ratios | None, user_inputs: IntArray, trace: Trace | None = None) -> Produced:
        """Return what the callable gives, called with arrays that it may do with as it likes."""
        virtual = None
        if prompts is not None and self.specification.layout.virtual:
            virtual = prompts.to_float(self.backend.fmt or get_format("float64"))
        backend, specification = self.backend, self.specification

        def asked(tokens: IntArray, *, part: slice = slice(None)) -> Any:
            return backend.call(None if virtual is None else virtual[part].copy(), tokens)

        if backend.batched:
            return self._answered(asked, user_inputs)
        ones = [slice(case, case + 1) for case in range(len(user_inputs))]
        made = [self._answered(partial(asked, part=one), user_inputs[one]) for one in ones]
        if not made:
            return Produced.empty(specification, with_logits=backend.gives_logits)
        logits = [each.logits for each in made if each.logits is not None]
        return Produced(np.concatenate([each.answers for each in made]), np.concatenate(logits) if logits else None)

    def _answered(self, asked: Callable[[IntArray], Any], user_inputs: IntArray) -> Produced:
        name, specification = self.backend.name, self.specification
        if self.backend.gives_logits:
            return respond_by_logits(name, specification, asked, user_inputs)
        found = called(name, lambda: asked(user_inputs.copy()))
        return Produced(checked_tokens(name, found, specification, len(user_inputs)), None)


def _imported(where: str) -> Any:
    module, colon, name = where.partition(":")
    if not colon:
        reject("call", "module:function", where)
    try:
        found = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InvalidArgument(f"call: expected module:function that can be imported but {where}: {error}") from None
    return found


def _where(call: Any) -> str | None:
    """Return where a callable can be imported from, ``None`` where it cannot."""
    module, name = getattr(call, "__module__", None), getattr(call, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is call else None
