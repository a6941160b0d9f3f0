"""The one training loop: measured on its way, refused as soon as a loss is not finite, and gone on with after a kill.

A step is a function of the weights, the moments and its own number: its questions, its tasks and its dropout are drawn
from the seed, the phase and the step. So a killed run repeats the steps since its file was written, bit for bit on a
processor whose kernels are deterministic, as torch's are for one number of threads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from verify.experiments.draws import draw, number
from verify.experiments.models import answer_logits, loss_of, measured, mixed, read_by
from verify.experiments.phases import Phase, Preset
from verify.experiments.saved import Files, key_sha256, trained_weights
from verify.files.json_lines import JsonLines
from verify.huggingface.models import quiet

#: AdamW's betas and the largest norm of a gradient, as the paper's notebooks have them.
_BETAS, _LARGEST = (0.9, 0.95), 1.0
#: Seconds from one file to the next: half of the minute that a kill may cost, as a measurement may come in between.
SAVE_EVERY = 30.0


class NotFiniteError(ArithmeticError):
    """A loss is not finite, so that the training has ended; the message says where."""


@dataclass(frozen=True)
class Run:
    """One seed of an experiment.

    Attributes:
        folder: for its files.
        key: what decides its results, as JSON values.
        preset: how much it does.
        seed: of all its random numbers.
        device: as torch names it.
        save_every: seconds from one file to the next.
        say: takes a line about each measurement.
        stepped: called with how many steps are done, of all phases.
        clock: seconds that only grow.

    """

    folder: Path
    key: Mapping[str, Any]
    preset: Preset
    seed: int
    device: str = "cpu"
    save_every: float = SAVE_EVERY
    say: Callable[[str], None] = lambda line: None
    stepped: Callable[[int], None] = lambda done: None
    clock: Callable[[], float] = time.monotonic

    @property
    def measurements(self) -> Path:
        """The file of every measurement, a line of JSON each."""
        return self.folder / "measurements.jsonl"

    def files(self, phase: str) -> Files:
        """Return the files of a phase."""
        return Files(self.folder, phase, key_sha256(self.key))

    def phase(self, name: str) -> Phase:
        """Return a phase by its name."""
        return next(phase for phase in self.preset.phases if phase.name == name)

    def started(self, phase: Phase) -> Any:
        """Return the model of a phase before its first step."""
        with torch.random.fork_rng(devices=[]):
            model = self.preset.sizes.model(self.seed)
            if phase.start is not None:
                self.files(phase.start).load(model)  # all weights, or it is refused
            torch.manual_seed(number("adapter", self.seed, phase.name))
            return phase.adaptation.applied(model).to(self.device)

    def finished(self, name: str) -> Any:
        """Return the model of a phase after its last step, in evaluation mode."""
        phase = self.phase(name)
        model = self.started(phase)
        self.files(name).load(model)
        return model.eval()

    def questions(self, count: int) -> Any:
        """Return the held-out questions on which this seed is measured, the first ``count`` of them."""
        return draw(self.preset.questions, self.preset.sizes.length, "test", self.seed, test=True)[:count]


def run_phases(run: Run) -> list[dict[str, Any]]:
    """Run every phase that is not done yet; return all measurements.

    Raises:
        NotFiniteError: a loss is not finite.
        InvalidArgument: a file is damaged, or another run's.

    """
    kept, before = _gone_on_with(run), 0
    with quiet(), torch.random.fork_rng(devices=[run.device] if run.device.startswith("cuda") else []):
        for phase in run.preset.phases:
            if not run.files(phase.name).finished.exists():
                _train(run, phase, kept, before)
            before += phase.steps
            run.stepped(before)
    return _lines(run)


def _lines(run: Run) -> list[dict[str, Any]]:
    most = sum(phase.steps + 1 for phase in run.preset.phases)
    return JsonLines(run.measurements, "out", run.key).taken_over(most)


def _gone_on_with(run: Run) -> JsonLines:
    """Return the file of measurements without those that will be made again."""
    steps: dict[str, int] = {}
    for phase in run.preset.phases:
        files = run.files(phase.name)
        if files.finished.exists():
            steps[phase.name] = phase.steps
        elif files.running.exists():
            steps[phase.name] = files.step() - 1
    kept = JsonLines(run.measurements, "out", run.key)
    lines = [line for line in _lines(run) if line["step"] <= steps.get(line["phase"], -1)]
    kept.add(lines)
    kept.write()
    return kept


def _train(run: Run, phase: Phase, kept: JsonLines, before: int) -> None:
    model, files = run.started(phase), run.files(phase.name)
    optimizer = torch.optim.AdamW(phase.adaptation.groups(model), lr=phase.rate, betas=_BETAS)
    saved = run.clock()
    for step in range(files.resume(model, optimizer), phase.steps):
        if run.clock() - saved >= run.save_every:
            kept.write()  # first, so that no measurement is missing that will not be made again
            files.save(model, optimizer, step)
            saved = run.clock()
        if step % phase.every == 0:
            _measure(run, phase, model, step, kept)
        loss = _step(run, phase, model, optimizer, step)
        _check(loss, phase, step)
        run.stepped(before + step + 1)
    _measure(run, phase, model, phase.steps, kept)
    kept.write()
    files.finish(model)


def _step(run: Run, phase: Phase, model: Any, optimizer: torch.optim.Optimizer, step: int) -> float:
    """Make one step of AdamW; return the loss before it."""
    preset, sizes, words = run.preset, run.preset.sizes, (run.seed, phase.name, step)
    questions = draw(preset.batch, sizes.length, *words, test=False)
    answers = mixed(questions, phase.tasks, *words)
    model.train(phase.adaptation.dropout)
    torch.manual_seed(number("dropout", *words))
    read = torch.from_numpy(read_by(questions, answers)).to(run.device)
    wanted = torch.from_numpy(np.ascontiguousarray(answers)).to(run.device)
    loss = loss_of(answer_logits(model, sizes, phase.adaptation, read), wanted)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(list(trained_weights(model).values()), _LARGEST)
    optimizer.step()
    return float(loss.detach())


def _measure(run: Run, phase: Phase, model: Any, step: int, kept: JsonLines) -> None:
    """Measure the model on every task of the phase, and keep the line."""
    questions = run.questions(run.preset.questions if step == phase.steps else run.preset.on_the_way)
    found = {task: measured(model, run.preset.sizes, phase.adaptation, questions, task) for task in phase.all_tasks}
    for one in found.values():
        _check(one.loss, phase, step)
    tasks = {task: {"right": one.right, "of": one.questions, "loss": one.loss} for task, one in found.items()}
    kept.add([{"phase": phase.name, "step": step, "tasks": tasks}])
    shown = ", ".join(f"{task} {one.percent:.1f} % (loss {one.loss:.3f})" for task, one in found.items())
    run.say(f"seed {run.seed}, {phase.name}, step {step} of {phase.steps}: {shown}")


def _check(loss: float, phase: Phase, step: int) -> None:
    if not math.isfinite(loss):
        raise NotFiniteError(f"{phase.name}: the loss is {loss} at step {step} of {phase.steps}; lower its rate")
