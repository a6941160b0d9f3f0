"""A backend: a torch module, from token ids (and virtual tokens, where there are any) to logits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from constructions.formats import FORMATS
from constructions.ratios import Ratios
from constructions.specification import Specification
from constructions.validation import IntArray, InvalidArgument, reject
from verify.backends.base import Backend, Prepared
from verify.backends.outputs import respond_by_logits
from verify.running.respond import Produced
from verify.running.torch_module import TorchTransformer
from verify.running.trace import Trace


@final
class ModuleBackend(Backend):
    """A ``torch.nn.Module`` that is called as ``module(tokens)``, or ``module(virtual_tokens, tokens)``.

    Tokens are int64, cases x length, on the device of its parameters; virtual tokens are embeddings, cases x virtual x
    embedding size, each number correctly rounded to the parameters' format. It returns logits, or an object that has
    ``logits``, of shape cases x positions x outputs, virtual positions included (or cases x outputs at the last one).

    Example:
        >>> import torch, verify
        >>> from constructions import Domain, specify
        >>> module = torch.nn.Embedding.from_pretrained(torch.eye(3)).eval()
        >>> promise = specify(Domain.of(3, 2), lambda x: x[:, -1:])
        >>> verify.exhaust(promise, verify.ModuleBackend(module)).holds
        True

    """

    def __init__(self, module: nn.Module, *, name: str | None = None) -> None:
        """Run ``module``.

        Args:
            module: in evaluation mode.
            name: what verdicts call it, by default its class.

        Raises:
            InvalidArgument: no torch module, or one that is being trained.

        """
        if not isinstance(module, nn.Module):
            reject("module", "a torch.nn.Module", module)
        if any(part.training for part in module.modules()):
            raise InvalidArgument("module: expected one in evaluation mode but got one in training; call module.eval()")
        self.module, self._given_name = module, name
        held = next((part for part in _held(module) if part.is_floating_point()), None)
        dtype = "" if held is None else str(held.dtype).removeprefix("torch.")
        self.fmt = FORMATS.get(dtype)
        self.torch_device = torch.device("cpu") if held is None else held.device
        self.device = str(self.torch_device)
        own = type(module).__qualname__ if name is None else name
        precision = torch.get_float32_matmul_precision()
        reduced = dtype == "float32" and precision != "highest"
        self.name = f"module {own}{f' {dtype}' if dtype else ''}{f' at precision {precision}' if reduced else ''}"

    def prepare(self, specification: Specification) -> PreparedModule:
        """Return the module with its specification."""
        if specification.layout.virtual and self.fmt is None:
            raise InvalidArgument(
                "module: expected one with float64, float32, bfloat16 or float16 parameters, which virtual tokens are"
                " rounded to"
            )
        if (other := self.described_otherwise()) is not None:
            raise InvalidArgument(f"module: expected it as it was when the backend was made but {other}")
        return PreparedModule(self, specification)

    def described_otherwise(self) -> str | None:
        """Say how a backend made now would differ from this one: verdicts carry its name, ``None`` where it agrees."""
        try:
            now = ModuleBackend(self.module, name=self._given_name)
        except InvalidArgument:
            return f"{self.name} is in training"
        if (now.name, now.device) == (self.name, self.device):
            return None
        return f"{self.name} on {self.device} is now {now.name} on {now.device}"

    def code(self) -> tuple[object, ...]:
        """Return what is known of the module and of the modules in it, see :func:`known_of`."""
        return (known_of(self.module),)

    def assumptions(self) -> str:
        """Return that nothing is known of it but what it gave."""
        return (
            "a torch module: what it computes is not inspected; no expression makes it again, so that commands call it"
            " `backend`"
        )


@final
class PreparedModule(Prepared):
    """A module and what it is to answer."""

    def __init__(self, backend: ModuleBackend, specification: Specification) -> None:
        """Hold both, and the digest of the module's state."""
        self.backend, self.specification = backend, specification
        self._state = state_sha256(backend.module)

    def run(self, prompts: Ratios | None, user_inputs: IntArray, trace: Trace | None = None) -> Produced:
        """Return what the module gives, without gradients."""
        backend = self.backend
        before: tuple[Tensor, ...] = ()
        if prompts is not None and self.specification.layout.virtual:
            assert backend.fmt is not None, "refused before"
            rounded = torch.from_numpy(prompts.to_float(backend.fmt).copy())
            before = (rounded.to(backend.torch_device, getattr(torch, backend.fmt.name)),)

        def asked(tokens: IntArray) -> Any:
            ids = torch.from_numpy(tokens).to(backend.torch_device)
            with torch.no_grad():
                return backend.module(*(part.clone() for part in before), ids)

        return respond_by_logits(backend.name, self.specification, asked, user_inputs)

    def changed(self) -> str | None:
        """Say whether parameters or buffers, or what the backend's name says, are others than before the run."""
        if state_sha256(self.backend.module) != self._state:
            return f"{self.backend.name}: its parameters or buffers are not what they were"
        return self.backend.described_otherwise()


def state_sha256(module: nn.Module) -> str:
    """Return a digest of a module's parameters and buffers."""
    digest = hashlib.sha256()
    for part in _held(module):
        for said in _numbers(part):
            digest.update(said)
    return digest.hexdigest()


def _numbers(part: Tensor) -> tuple[bytes, bytes]:
    """Return format and shape of a tensor, and its numbers."""
    values = part.detach().to("cpu").contiguous()
    numbers = values.reshape(-1).view(torch.uint8).numpy().tobytes() if values.numel() else b""
    return f"{values.dtype} {tuple(values.shape)}".encode(), numbers


def known_of(module: nn.Module, seen: frozenset[int] = frozenset()) -> tuple[Any, ...]:
    """Return a digest of a module's parameters and buffers, and of each module in it the class, attributes and hooks.

    A number that is no parameter, such as the ``eps`` of a norm, decides as much as a weight.

    Args:
        module: the module.
        seen: the modules that hold it in an attribute, by their ids: it may hold one of them in turn.

    """
    around = seen | {id(part) for part in module.modules()}
    parts = [
        (name, type(part), part.decisive() if isinstance(part, TorchTransformer) else None, *_kept_by(part, around))
        for name, part in module.named_modules()
    ]
    return (state_sha256(module), parts)


def _kept_by(part: nn.Module, around: frozenset[int]) -> tuple[dict[str, Any], list[Any]]:
    """Return the attributes of a module beside its parameters, buffers and modules, and its hooks."""
    own, hooks = dict[str, Any](), list[Any]()
    for name, value in vars(part).items():
        if name in {"_parameters", "_buffers", "_modules"}:
            continue
        if isinstance(part, TorchTransformer) and name in {*part.DECISIVE, "made"}:
            continue  # some differ from process to process; it says itself what decides
        if name in _EMPTY and isinstance(value, Mapping):  # by numbers that count all hooks of the process
            hooks.append((name, *(_known(hook, around) for hook in value.values())))
        else:
            own[name] = _known(value, around)
    return own, hooks


#: What every module has.
_EMPTY = frozenset(vars(nn.Module()))


def _known(value: Any, around: frozenset[int]) -> Any:
    """Return a value with the numbers of tensors in their place: no pickle of one is the same in all processes."""
    if isinstance(value, Tensor):
        return _numbers(value)
    if isinstance(value, nn.Module):
        return type(value) if id(value) in around else known_of(value, around)
    if type(value) in {list, tuple}:
        return [type(value), *(_known(part, around) for part in value)]
    return {key: _known(part, around) for key, part in value.items()} if type(value) is dict else value


def _held(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
