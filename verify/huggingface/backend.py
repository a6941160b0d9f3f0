"""A backend: a stock model of transformers, which generates by its own ``generate``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Literal, cast, final, get_args

import numpy as np
import torch
from torch import Tensor

from constructions.ratios import Ratios
from constructions.specification import Specification
from constructions.validation import IntArray, InvalidArgument, check_choice, reject
from verify.backends import Backend, Prepared
from verify.backends.modules import state_sha256
from verify.backends.outputs import called, checked_logits, checked_tokens
from verify.extras import needed
from verify.huggingface.adapters import multitask_config, under_adapter, write_tasks
from verify.huggingface.classes import PURPOSE, dtype_of, family_of
from verify.huggingface.stock import check_stock
from verify.running.respond import Produced
from verify.running.trace import Trace

#: How virtual tokens reach the model: an adapter of peft, or the argument ``inputs_embeds``.
Through = Literal["peft", "inputs_embeds"]

#: Fields of a generation configuration that a run gives itself, or that say nothing of tokens.
_GIVEN = frozenset({"max_new_tokens", "do_sample", "use_cache", "transformers_version"})


@final
class HuggingFaceBackend(Backend):
    """A stock model of transformers, held against a promise by its own ``generate(do_sample=False)``.

    Tokens are those that ``generate`` returns. Logits, of which margins are made, are those of one
    forward pass over the whole context, those tokens fed. Each case has its own virtual tokens, by a multitask
    prompt-tuning adapter of peft, or as ``inputs_embeds``.

    Attributes:
        model: the stock model.
        through: how virtual tokens reach it.
        use_cache: whether ``generate`` keeps keys and values.

    """

    def __init__(
        self,
        model: Any,
        *,
        through: Through = "inputs_embeds",
        use_cache: bool | None = None,
        name: str | None = None,
    ) -> None:
        """Run ``model``.

        Args:
            model: of a stock class, such as :func:`~verify.huggingface.to_huggingface` makes, in evaluation mode.
            through: ``peft``, or ``inputs_embeds``, which is faster.
            use_cache: whether ``generate`` keeps keys and values; by default with ``inputs_embeds`` alone, as peft 0.21
                gives virtual tokens to every step of transformers 5.24, beside those in the cache.
            name: what verdicts call it, by default its class, format, attention and library.

        Raises:
            InvalidArgument: no stock class, one that was changed or is in training, parameters of several dtypes, or
                another ``through``.

        """
        family_of(model)
        if model.training:
            raise InvalidArgument("model: expected one in evaluation mode but got one in training; call model.eval()")
        check_stock(model)
        self.model = model
        self.through = cast("Through", check_choice("through", through, get_args(Through)))
        self.use_cache = through == "inputs_embeds" if use_cache is None else use_cache
        if not isinstance(self.use_cache, bool):
            reject("use_cache", "True or False", use_cache)
        if through == "peft":
            needed("peft", PURPOSE)
        self.fmt = dtype_of(model)
        self.device = str(model.device)
        libraries = ("transformers", "peft") if through == "peft" else ("transformers",)
        shown = ", ".join(f"{library} {version(library)}" for library in libraries)
        attention = model.config._attn_implementation  # it has no public name
        precision = torch.get_float32_matmul_precision()
        reduced = f" at precision {precision}" if self.fmt.name == "float32" and precision != "highest" else ""
        described = f"{type(model).__name__} {self.fmt.name}{reduced}, {attention} attention ({shown})"
        self.name = described if name is None else name
        self._described = described, self.device

    def prepare(self, specification: Specification) -> PreparedHuggingFace:
        """Return the model with its specification.

        Raises:
            InvalidArgument: the specification has other tokens than the model, or reads logits otherwise than by the
                largest; or the model is not as it was.

        """
        config, outputs = self.model.config, specification.output_vocab_size
        if not config.vocab_size == specification.vocab_size == outputs:
            raise InvalidArgument(
                f"model: expected one with the {specification.vocab_size} tokens of the promise, read and written, but"
                f" got one with {config.vocab_size}"
            )
        if not specification.reading.takes_largest:
            raise InvalidArgument(
                f"backend: expected a promise that reads the largest logit, as generate does, but got one that reads"
                f" {specification.reading.words()}"
            )
        if (other := self.described_otherwise()) is not None:
            raise InvalidArgument(f"model: expected it as it was when the backend was made but {other}")
        return PreparedHuggingFace(self, specification)

    def described_otherwise(self) -> str | None:
        """Say how the model is not what it was when the backend was made; ``None`` where it is."""
        try:
            now = HuggingFaceBackend(self.model, through=self.through, use_cache=self.use_cache)
        except InvalidArgument as error:
            return f"{self.name} would be refused now: {error}"
        if now._described == self._described:
            return None
        return f"{' on '.join(self._described)} is now {' on '.join(now._described)}"

    def settings(self, specification: Specification) -> Mapping[str, Any]:
        """Return how virtual tokens reach the model, whether there is a cache, and what changes what is generated."""
        through = {"through": self.through} if specification.layout.virtual else {}
        if specification.layout.read is not None:
            return through
        own = self.model.generation_config.to_diff_dict()
        changed = {name: value for name, value in own.items() if name[0] != "_" and name not in _GIVEN}
        return {**through, "use_cache": self.use_cache, **({"generation_config": changed} if changed else {})}

    def code(self) -> tuple[object, ...]:
        """Return the class, its configurations, and a digest of parameters and buffers."""
        said = self.model.config.to_json_string(), self.model.generation_config.to_json_string()
        return (type(self.model), *said, state_sha256(self.model), self.through, self.use_cache)

    def assumptions(self) -> str:
        """Return how tokens and logits come about."""
        return (
            "a stock model: tokens are those of its generate, which casts logits to float32; margins are of the logits"
            " of one forward pass with those tokens fed; no expression makes it again, so that commands call it"
            " `backend`"
        )


@final
class PreparedHuggingFace(Prepared):
    """A stock model and what it is to answer."""

    def __init__(self, backend: HuggingFaceBackend, specification: Specification) -> None:
        """Hold both, and the digest of the model's state."""
        self.backend, self.specification = backend, specification
        self._state = backend.code()
        self._adapted: tuple[int, Any] | None = None

    def run(self, prompts: Ratios | None, user_inputs: IntArray, trace: Trace | None = None) -> Produced:
        """Return what ``generate`` gives, and the logits of the whole context."""
        backend, layout, cases = self.backend, self.specification.layout, len(user_inputs)
        if not cases:
            return Produced.empty(self.specification)
        if prompts is None or not layout.virtual:
            prompts = None
        ids = torch.from_numpy(user_inputs.copy()).to(backend.model.device)
        with torch.no_grad(), warnings.catch_warnings():
            # peft says that it drops position ids; the model counts positions itself, the virtual ones included
            warnings.filterwarnings("ignore", message="Position ids are not supported")
            if layout.read is not None:
                logits = self._logits(prompts, ids)[:, [layout.virtual + place for place in layout.read]]
                return Produced(self.specification.reading.produced(logits), logits)
            found = called(backend.name, lambda: self._generated(prompts, ids))
            if found.shape[1:] < (layout.response,):
                raise InvalidArgument(
                    f"backend: expected {backend.name} to generate {layout.response} tokens but it ended after"
                    f" {found.shape[1]}; its eos_token_id is {backend.model.generation_config.eos_token_id}"
                )
            tokens = checked_tokens(backend.name, found, self.specification, cases)
            fed = torch.cat([ids, torch.from_numpy(tokens[:, :-1]).to(ids.device)], dim=1)
            logits = self._logits(prompts, fed)[:, -layout.response :]
        return Produced(tokens, logits)

    def _generated(self, prompts: Ratios | None, ids: Tensor) -> Tensor:
        """Return the tokens that ``generate`` adds, none of which ends it."""
        model, response = self.backend.model, self.specification.layout.response
        options: dict[str, Any] = {
            "generation_config": needed("transformers", PURPOSE).GenerationConfig(
                max_new_tokens=response,
                do_sample=False,
                bos_token_id=None,
                eos_token_id=None,
                pad_token_id=None,
                use_cache=self.backend.use_cache,
            )
        }
        if prompts is not None and self.backend.through == "peft":
            made: Tensor = self._under_adapter(prompts).generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                task_ids=torch.arange(len(ids), device=ids.device),
                **options,
            )
            return made[:, ids.shape[1] :]
        if prompts is None:
            made = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)
            return made[:, ids.shape[1] :]
        embedded = self._embedded(prompts, ids)
        mask = torch.ones(embedded.shape[:2], dtype=torch.long, device=ids.device)
        found: Tensor = model.generate(inputs_embeds=embedded, attention_mask=mask, **options)
        return found

    def _logits(self, prompts: Ratios | None, ids: Tensor) -> np.ndarray[Any, Any]:
        """Return the logits at every position, virtual ones included."""
        backend = self.backend
        positions = self.specification.layout.virtual + ids.shape[1]
        shape = (len(ids), positions, self.specification.output_vocab_size)

        def asked() -> Any:
            if prompts is None:
                return backend.model(input_ids=ids, use_cache=False)
            if backend.through == "peft":
                tasks = torch.arange(len(ids), device=ids.device)
                mask = torch.ones_like(ids)
                return self._under_adapter(prompts)(input_ids=ids, attention_mask=mask, task_ids=tasks, use_cache=False)
            return backend.model(inputs_embeds=self._embedded(prompts, ids), use_cache=False)

        return checked_logits(backend.name, called(backend.name, asked), (shape,))

    def _embedded(self, prompts: Ratios, ids: Tensor) -> Tensor:
        """Return virtual tokens, correctly rounded, and the embeddings of tokens."""
        model, fmt = self.backend.model, self.backend.fmt
        assert fmt is not None, "refused before"
        virtual = torch.from_numpy(np.array(prompts.to_float(fmt))).to(model.device, getattr(torch, fmt.name))
        return torch.cat([virtual, model.get_input_embeddings()(ids)], dim=1)

    def _under_adapter(self, prompts: Ratios) -> Any:
        """Return the model under an adapter that holds virtual tokens: one for as many cases as there were at once."""
        backend = self.backend
        cases, virtual, _ = prompts.shape
        if self._adapted is None or self._adapted[0] < cases:
            asked = [(weight, weight.requires_grad) for weight in backend.model.parameters()]
            made = under_adapter(backend.model, multitask_config(cases, virtual)).eval()
            for weight, wanted in asked:  # peft freezes the user's model
                weight.requires_grad_(wanted)
            encoder = made.prompt_encoder["default"]
            encoder.to(backend.model.device, next(backend.model.parameters()).dtype)
            self._adapted = (cases, made)
        made = self._adapted[1]
        write_tasks(made.prompt_encoder["default"], prompts)
        return made

    def changed(self) -> str | None:
        """Say whether the model is not what it was before the run."""
        if self.backend.code() != self._state:
            return f"{self.backend.name}: its parameters, buffers or configuration are not what they were"
        return self.backend.described_otherwise()
