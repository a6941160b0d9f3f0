"""Stock GPT-2 classes of small sizes, questions and answers as they read them, and how often they are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from constructions.validation import IntArray
from verify.experiments.adaptations import Adaptation
from verify.experiments.draws import number
from verify.experiments.tasks import TASKS, VOCABULARY
from verify.extras import needed
from verify.huggingface.models import quiet

#: Dropout while all weights are trained from the start, as in minGPT.
_DROPOUT = 0.1
#: Sequences that are judged at once; nothing but memory depends on it.
_BATCH = 320


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model and of its sequences.

    Attributes:
        layers: of the model.
        heads: of each layer.
        width: of the residual stream.
        length: of a question, and of its answer.
        prefix: positions in front of the question that are kept for virtual tokens. Every training has the question
            behind them, so that a prefix of so many does not move it to positions that the model never saw.
        first_norm: whether each layer has the norm before its attention.

    """

    layers: int
    heads: int
    width: int
    length: int = 10
    prefix: int = 1
    first_norm: bool = True

    @property
    def positions(self) -> int:
        """Tokens that a model reads: the question, and all of the answer but its last token."""
        return 2 * self.length - 1

    def model(self, *words: object) -> Any:
        """Return a model with weights that are drawn, as the class draws them; the same words draw the same."""
        transformers = needed("transformers", "experiment")
        config = transformers.GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=self.positions + self.prefix,
            n_embd=self.width,
            n_layer=self.layers,
            n_head=self.heads,
            resid_pdrop=_DROPOUT,
            embd_pdrop=_DROPOUT,
            attn_pdrop=_DROPOUT,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,
            attn_implementation="eager",  # which gives the weights that the theory speaks of
        )
        torch.manual_seed(number("model", *words))
        with quiet():
            model = transformers.GPT2LMHeadModel(config)
        if not self.first_norm:
            for block in model.transformer.h:
                block.ln_1 = torch.nn.Identity()
        return model.eval()


def read_by(questions: IntArray, answers: IntArray) -> IntArray:
    """Return what a model reads: questions, and their answers but the last token."""
    return np.concatenate([questions, answers[:, :-1]], axis=1)


def answer_logits(model: Any, sizes: Sizes, adaptation: Adaptation, read: Tensor) -> Tensor:
    """Return the logits of the answer's tokens: sequences x length x vocabulary.

    The question stands at positions ``prefix..``; peft adds as many positions as the adapter has virtual tokens.
    """
    positions = torch.arange(read.shape[1], device=read.device) + (sizes.prefix - adaptation.virtual)
    logits = model(input_ids=read, position_ids=positions.expand(len(read), -1)).logits
    wanted: Tensor = logits[:, sizes.length - 1 :]
    return wanted


def loss_of(logits: Tensor, answers: Tensor) -> Tensor:
    """Return the mean cross-entropy of the answers' tokens."""
    return cross_entropy(logits.flatten(0, 1), answers.flatten())


@dataclass(frozen=True)
class Measured:
    """How a model does on questions of one task.

    Attributes:
        right: questions whose whole answer is right, as greedy generation gives it.
        questions: how many.
        loss: the mean cross-entropy of a token.

    """

    right: int
    questions: int
    loss: float

    @property
    def percent(self) -> float:
        """The share that is right."""
        return 100 * self.right / self.questions


def measured(model: Any, sizes: Sizes, adaptation: Adaptation, questions: IntArray, task: str) -> Measured:
    """Measure a model on a task.

    Greedy generation gives the answer if and only if every token of it has the largest logit behind the ones before it
    (by induction, generation feeds back these very tokens). So one pass over the answer decides, and none is generated;
    a tie counts for the first token, as in generation.

    Args:
        model: as the adaptation applied it; it runs without dropout.
        sizes: of the model.
        adaptation: of the model.
        questions: sequences x length.
        task: its name.

    """
    answers = TASKS[task].answer(questions)
    device = next(model.parameters()).device
    right, loss = 0, 0.0
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(questions), _BATCH):
            rows = slice(start, start + _BATCH)
            read = torch.from_numpy(read_by(questions[rows], answers[rows])).to(device)
            wanted = torch.from_numpy(np.ascontiguousarray(answers[rows])).to(device)
            logits = answer_logits(model, sizes, adaptation, read)
            right += int((logits.argmax(dim=2) == wanted).all(dim=1).sum())
            loss += float(loss_of(logits, wanted)) * len(read)
    return Measured(right, len(questions), loss / len(questions))


def mixed(questions: IntArray, tasks: Sequence[str], *words: object) -> IntArray:
    """Return the answers of questions, each by one of some tasks, drawn."""
    which = np.random.default_rng(number("tasks", *words)).integers(len(tasks), size=len(questions))
    answers = np.stack([TASKS[task].answer(questions) for task in tasks])
    return np.asarray(answers[which, np.arange(len(questions))])
