"""A construction as a real ``torch.nn.Module``: its weights are buffers, its forward pass is the one forward pass."""

from __future__ import annotations

import hashlib
import math
import uuid
from typing import Any, ClassVar, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from constructions.construction import Construction
from constructions.layers.attention import check_distinct
from constructions.ratios import Ratios
from constructions.validation import IntArray, InvalidArgument, check_choice, check_tokens
from verify.arithmetic.base import Arithmetic
from verify.arithmetic.emulated import MatmulPrecision as MatmulPrecision
from verify.arithmetic.emulated import matmul_precision as matmul_precision
from verify.arithmetic.tensors import TorchArithmetic
from verify.running.model import Generation, Model, bind, bind_construction, forward, generate
from verify.running.respond import respond
from verify.running.trace import Trace
from verify.running.traced import traced_forward


@final
class TorchTransformer(nn.Module):
    """Dense weights as buffers, named as in ``ExactTransformer.matrices`` with ``__`` for every dot.

    ``state_dict``, ``.to(device)`` and an assignment to a buffer work as on any module and take effect on the next
    call: a mutated weight is what runs. ``copy.deepcopy``, ``pickle``, ``torch.export.export`` and ``torch.compile``
    take it, for every batch and length. A call keeps the gradient of virtual tokens that ask for one; generation keeps
    none.

    Attributes:
        construction: what the module was made from.
        source: the construction's transformer, as it was when the module was made.
        made: a name for all that a compiler may hold as constants; another one once something is assigned to one of
            :attr:`DECISIVE`. Modules of one name can run one program.
        arithmetic: dtype and device at construction.
        temperature: the inverse temperature of all heads, or of each.
        precision: torch's precision of float32 products during a call.

    Example:
        >>> from constructions import ConditionalGeneration
        >>> module = TorchTransformer(ConditionalGeneration(3), dtype="float32")
        >>> module.generate(module.prompt([[2, 0, 1]]), [[0]]).tolist()
        [[2]]

    """

    #: The attributes that decide what a call computes, beside the buffers.
    DECISIVE: ClassVar[frozenset[str]] = frozenset(("construction", "source", "arithmetic", "temperature", "precision"))

    def __init__(
        self,
        construction: Construction,
        *,
        dtype: str = "float32",
        device: str | torch.device = "cpu",
        precision: MatmulPrecision = "highest",
    ) -> None:
        """Lower the construction's weights to ``dtype`` on ``device``.

        Args:
            construction: what to lower.
            dtype: ``float64``, ``float32``, ``bfloat16`` or ``float16``.
            device: any torch device.
            precision: ``highest`` for IEEE float32 products, ``high`` to allow TF32 on a GPU that has it.

        Raises:
            InvalidArgument: a dtype that cannot hold the weights, a device that is not there, or two matrices whose
                buffers would have one name.

        """
        super().__init__()
        check_choice("precision", precision, ("highest", "high", "medium"))
        self.construction = construction
        self.precision: MatmulPrecision = precision
        self.arithmetic = TorchArithmetic(dtype, device)
        self.source = construction.transformer
        model = bind_construction(construction, self.arithmetic, transformer=self.source)
        self.temperature = model.temperature
        held = {name: buffer_name(name) for name in model.transformer.matrices()}
        # torch lets the later of two buffers of one name take the place of the earlier
        check_distinct("buffers, named as the matrices with __ for every dot", list(held.values()))
        for name, weight in model.transformer.matrices().items():
            self.register_buffer(held[name], weight)
        self.made = self._name()

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign an attribute; with one that decides what a call computes, the module gets a name of its own."""
        super().__setattr__(name, value)
        if name in self.DECISIVE and "made" in vars(self):
            self.made = uuid.uuid4().hex

    def _name(self) -> str:
        """Return a digest of what decides beside the buffers, whose numbers no program holds.

        Two classes of other authors may have one name and compute different things: with any of them, the name is of
        this module and its copies alone.
        """
        exact = self.source.lowered
        if exact.authored:
            return uuid.uuid4().hex
        said = exact.structure, repr(self.temperature), self.construction.mask, self.arithmetic.expression()
        return hashlib.sha256(repr(said).encode()).hexdigest()

    def decisive(self) -> tuple[str, ...]:
        """Return in words what of :attr:`DECISIVE` decides, the same in every process."""
        kernels = self.arithmetic.expression()
        return self.source.lowered.sha256, repr(self.temperature), self.construction.mask, self.precision, kernels

    def model(self) -> Model[Tensor, Tensor, Tensor, Arithmetic[Tensor, Tensor, Tensor]]:
        """Return the model that a call runs: the buffers as they are now, wherever they are now."""
        exact = self.source.lowered
        weights = {name: self.get_buffer(buffer_name(name)) for name in exact.matrices()}
        held = weights["embedding"]
        arithmetic = self.arithmetic
        dtype = str(held.dtype).removeprefix("torch.")
        if held.device != arithmetic.torch_device or dtype != arithmetic.fmt.name:
            arithmetic = TorchArithmetic(dtype, held.device)
        return bind(exact, arithmetic, self.temperature, weights, mask=self.construction.mask)

    def forward(
        self,
        virtual_tokens: Float[Tensor, "batch virtual embedding"],
        tokens: Int[Tensor, "batch length"],
        trace: Trace | None = None,
    ) -> Float[Tensor, "batch positions vocab"]:
        """Return the logits at every position, virtual ones included, in one pass.

        Under ``torch.compile`` and ``torch.export`` the values of tokens are not checked, as they are not known, and
        the precision of float32 products is torch's global setting, as it is of any module, and of a backward pass.

        Args:
            virtual_tokens: embedding halves of the first positions, one prompt for each sequence.
            tokens: the visible tokens after them, possibly none.
            trace: records every intermediate.

        """
        model = self.model()
        if torch.compiler.is_compiling():  # torch.export too
            # torch keeps one program for all modules of a class, and runs it again where the values that it reads are
            # the same. Those that it holds as constants, as a mask's, it does not read: it must read their name.
            if not self.made:
                raise InvalidArgument("made: expected the name that the module was given")
            return traced_forward(model, virtual_tokens, tokens)
        seen = check_tokens("tokens", tokens.cpu().numpy(), self.construction.vocab_size, (tokens.shape[-1],))
        rows = virtual_tokens
        if seen.shape[-1]:
            rows = model.arithmetic.below(rows, model.arithmetic.embed(model.embedding, seen))
        with matmul_precision(self.precision):
            return forward(model, rows, rows.shape[1], trace=trace)

    def prompt(self, targets: object) -> Float[Tensor, "batch virtual embedding"]:
        """Return the virtual tokens of a batch of targets, each number correctly rounded to the module's dtype.

        Args:
            targets: integers of shape ``(*batch, *targets.shape)``; the batch axes are flattened to one.

        """
        ratios = self.construction.virtual_tokens(targets)
        count = math.prod(ratios.shape[:-2])
        flat = Ratios(ratios.numerators.reshape(count, *ratios.shape[-2:]), ratios.denominator)
        return self.model().arithmetic.prompt(flat)

    def generate(
        self,
        virtual_tokens: Float[Tensor, "batch virtual embedding"],
        user_inputs: Any = None,
        *,
        steps: int | None = None,
        trace: Trace | None = None,
    ) -> Tensor:
        """Return the response to each prompt, as the construction's layout and decoding say: batch x steps.

        Args:
            virtual_tokens: from :meth:`prompt`.
            user_inputs: integers of shape ``(batch, user)``; ``None`` when the layout has no user tokens.
            steps: how many tokens, by default as many as the response has.
            trace: records every intermediate of the last step.

        """
        inputs = self._inputs(user_inputs, virtual_tokens.shape[0])
        with torch.no_grad(), matmul_precision(self.precision):
            made = respond(self.model(), self.construction, virtual_tokens, inputs, steps=steps, trace=trace)
        return torch.from_numpy(made.answers).to(virtual_tokens.device)

    def generation(
        self,
        virtual_tokens: Float[Tensor, "batch virtual embedding"],
        user_inputs: Any = None,
        *,
        steps: int | None = None,
        trace: Trace | None = None,
    ) -> Generation[Tensor]:
        """Return the greedy response to each prompt with the logits of every step; see :meth:`generate`."""
        layout = self.construction.layout
        inputs = self._inputs(user_inputs, virtual_tokens.shape[0])
        count = layout.response if steps is None else steps
        with torch.no_grad(), matmul_precision(self.precision):
            return generate(self.model(), virtual_tokens, layout.virtual, inputs, count, trace=trace)

    def _inputs(self, user_inputs: Any, batch: int) -> IntArray:
        user = self.construction.layout.user
        if user_inputs is None:
            user_inputs = np.zeros((batch, 0), dtype=np.int64)
        if isinstance(user_inputs, Tensor):
            user_inputs = user_inputs.cpu().numpy()
        inputs = check_tokens("user_inputs", user_inputs, self.construction.vocab_size, (user,))
        if inputs.shape[:-1] != (batch,):
            raise InvalidArgument(f"user_inputs: expected a batch of {batch} but got one of shape {inputs.shape[:-1]}")
        return inputs


def buffer_name(name: str) -> str:
    """Return the name of the buffer of a matrix: torch takes no dots."""
    return name.replace(".", "__")


def to_torch(
    construction: Construction,
    dtype: str = "float32",
    device: str | torch.device = "cpu",
    *,
    precision: MatmulPrecision = "highest",
) -> TorchTransformer:
    """Return the construction as a torch module; see :class:`TorchTransformer` for arguments and errors.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> module = to_torch(UnconditionalGeneration(5, 3), dtype="float64")
        >>> module.generate(module.prompt([[4, 0, 2]])).tolist()
        [[4, 0, 2]]

    """
    return TorchTransformer(construction, dtype=dtype, device=device, precision=precision)
