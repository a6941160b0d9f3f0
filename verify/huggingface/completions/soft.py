"""Soft prompts: single virtual tokens trained for random targets, saved, and run again from their files."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from constructions.targets import TargetSpace
from constructions.validation import InvalidArgument, check_integer
from verify.evidence.tally import Progress, no_progress
from verify.extras import needed
from verify.files.atomic import check_folder, write_atomically
from verify.files.json_lines import JsonLines
from verify.huggingface.completions.counting import Counted, counted, is_result, result_of, run_key, seed_of
from verify.huggingface.completions.generating import Completed, Sizes, check_length, greedy
from verify.huggingface.completions.training import Training, train
from verify.huggingface.models import check_causal, frozen

#: The file of results in the folder, and the name of the tensor in each file of virtual tokens.
RESULTS, TENSOR = "trained.jsonl", "virtual_tokens"


def soft_completions(
    model: Any,
    folder: Path,
    *,
    targets: int,
    length: int = 10,
    batch: int | None = None,
    training: Training | None = None,
    progress: Progress = no_progress,
) -> Counted:
    """Train a single virtual token for each of some random targets; count the completions of the saved tokens.

    A target is a uniformly drawn sequence of tokens. It counts as reached when the greedy completion of its virtual
    token, read again from the file, is the target.

    Args:
        model: a causal language model of transformers, which is not changed.
        folder: where the virtual tokens are saved, as safetensors, and every result as a JSON line with the file, the
            row and the file's SHA-256. A killed run goes on from it.
        targets: how many.
        length: tokens of a target.
        batch: how many are trained at once; by default as many as take the memory of the weights, or 64 MiB.
        training: the settings.
        progress: called with targets done and targets in all.

    Raises:
        InvalidArgument: as :func:`~verify.huggingface.completions.hard.hard_completions`; or a file of virtual tokens
            is not there any more, or is another.

    Source:
        The paper counts 46,812 completions of 48,218 trained virtual tokens of LLaMA-7B. How they were trained is not
        known to us: the settings here are our own.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from constructions import ResidualGeneration
        >>> from verify.huggingface import to_huggingface
        >>> model = to_huggingface(ResidualGeneration(vocab_size=4, context_size=3))
        >>> with TemporaryDirectory() as folder:
        ...     made = soft_completions(model, Path(folder), targets=5, length=3, training=Training(steps=10))
        >>> made.prompts, made.targets  # how many of them are reached is a matter of training
        (5, 5)

    """
    check_causal(model)
    check_length(model, length)
    check_integer("targets", targets, 1)
    folder, training = Path(folder), Training() if training is None else training
    check_folder(folder, "output")
    sizes, table = Sizes.of(model), model.get_input_embeddings().weight.detach()
    size = sizes.batch(batch, targets, sizes.training(length), table.device)
    settings = training.to_json(model)
    run = {"prompts": "trained virtual tokens", "count": targets, "length": length, "batch": size, "training": settings}
    kept = JsonLines(folder / RESULTS, "output", run_key(model, sizes, **run))
    wanted = TargetSpace(sizes.outputs, (length,)).sample(targets, seed=training.seed)
    starts = np.random.default_rng([training.seed, 1]).integers(sizes.tokens, size=targets)
    results: list[Any] = kept.taken_over(targets)
    for place, result in enumerate(results):
        if not is_result(result, length, sizes.outputs) or result.get("target") != wanted[place].tolist():
            raise InvalidArgument(f"output: expected results of this run's targets but line {place + 2} has another")
    before = len(results)
    if before % size and before < targets:
        raise InvalidArgument(
            f"output: expected results of whole batches of {size} but {folder / RESULTS} has {before}"
        )
    saved = _Saved(folder, sizes.size, table)
    saved.check(results)
    progress(before, targets)
    with frozen(model):
        for start in range(before, targets, size):
            rows = slice(start, min(targets, start + size))
            trained = train(
                model,
                wanted[rows],
                table[torch.from_numpy(starts[rows]).to(table.device)],
                training,
                stepped=lambda done, start=start: progress(start + done, targets),  # type: ignore[misc] # bound now
            )
            where = saved.write(start // size, trained.tokens)
            made = greedy(model, saved.read(where["file"]), length)
            new = [
                {
                    "target": wanted[start + place].tolist(),
                    **result_of(made, place),
                    "reached": made.tokens[place].tolist() == wanted[start + place].tolist(),
                    "steps": int(trained.steps[place]),
                    "loss": float(loss) if math.isfinite(loss) else None,  # JSON has no NaN
                    **where,
                    "row": place,
                }
                for place, loss in enumerate(trained.losses)
            ]
            results += new
            kept.add(new)
            progress(len(results), targets)
        kept.write()

        def alone(place: int) -> Completed:
            row = results[place]["row"]
            return greedy(model, saved.read(results[place]["file"])[row : row + 1], length)

        return counted(
            "trained virtual tokens",
            results,
            alone,
            seed=seed_of(kept),
            batch=size,
            length=length,
            taken_over=before,
            reached=sum(result["completion"] == result["target"] for result in results),
            targets=len({tuple(target) for target in wanted.tolist()}),
            not_finite=sum(result["loss"] is None for result in results),
            settings=settings,
        )


class _Saved:
    """The files of virtual tokens in a folder."""

    def __init__(self, folder: Path, size: int, table: torch.Tensor) -> None:
        self._folder, self._size, self._table = folder, size, table
        self._library = needed("safetensors.torch", "output")

    def write(self, number: int, tokens: torch.Tensor) -> dict[str, str]:
        """Write the virtual tokens of a batch; return the file's name and its digest."""
        content = self._library.save({TENSOR: tokens.cpu().contiguous()})
        name = f"trained-{number:05d}.safetensors"
        write_atomically(self._folder / name, content)
        return {"file": name, "sha256": hashlib.sha256(content).hexdigest()}

    def read(self, name: str) -> torch.Tensor:
        """Return the virtual tokens in a file."""
        tokens: torch.Tensor = self._library.load((self._folder / name).read_bytes())[TENSOR]
        return tokens.to(self._table.device)

    def check(self, results: list[Any]) -> None:
        """Refuse results of which the file of virtual tokens is not there, or is another.

        Raises:
            InvalidArgument: that.

        """
        rows: dict[tuple[str, str], int] = {}
        for result in results:
            file = str(result.get("file")), str(result.get("sha256"))
            if not re.fullmatch(r"trained-\d{5,}\.safetensors", file[0]) or result.get("row") != rows.get(file, 0):
                raise InvalidArgument(f"output: expected the place of each virtual token but {RESULTS} has {file[0]!r}")
            rows[file] = rows.get(file, 0) + 1
        for (name, digest), count in rows.items():
            path = self._folder / name
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                raise InvalidArgument(f"output: expected the virtual tokens of {RESULTS} but {path} is gone or another")
            if tuple(self.read(name).shape) != (count, self._size):
                raise InvalidArgument(f"output: expected {count} virtual tokens of {self._size} numbers in {path}")
