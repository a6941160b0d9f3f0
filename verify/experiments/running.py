"""An experiment from its first step to its result file: every seed, then the theory, the checks and the pictures."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from constructions.validation import check_integer
from verify.arithmetic.tensors import check_device
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import library_versions
from verify.experiments.base import TINY, Experiment, Results
from verify.experiments.loop import SAVE_EVERY, Run, run_phases
from verify.experiments.phases import Phase, Preset
from verify.extras import needed
from verify.files.atomic import check_folder, write_atomically
from verify.files.folders import file_sha256
from verify.files.strict import canonical
from verify.huggingface.models import quiet

#: The layout of the result file.
FORMAT = 1
#: The result file of an experiment.
RESULT = "result.json"
#: The modules on which a training depends; after a change of another one, what was trained is still good.
_TRAINING = ("adaptations", "draws", "loop", "models", "phases", "saved", "tasks")


@cache
def training_sha256() -> str:
    """Return a digest of the sources on which a training depends."""
    digest = hashlib.sha256()
    for name in _TRAINING:
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that an experiment rests on."""
    return {**library_versions(), **{name: version(name) for name in ("transformers", "peft")}}


def run_experiment(
    experiment: Experiment,
    preset: str | Preset,
    out: Path,
    *,
    seeds: int = 1,
    device: str = "cpu",
    save_every: float = SAVE_EVERY,
    pictures: bool = True,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Run an experiment, or go on with it, and write its result.

    Args:
        experiment: which one.
        preset: how much it does, by name or as it is.
        out: the folder for its files; what is there of the same experiment is not done again.
        seeds: how many; they are 0, 1, ...
        device: as torch names it.
        save_every: seconds from one saved state to the next; a kill loses these, and any measurement in between.
        pictures: whether to draw, which needs the extra ``plot``.
        say: takes a line about each measurement.
        progress: called with steps done and steps in all.

    Returns:
        The document in ``out/result.json``: shares of right answers by phase, task and seed, beside the paper's; the
        checks; what was measured on the trained models; versions, and digests of the weights.

    Raises:
        InvalidArgument: a library is missing, a folder that cannot be written, or files of another run.
        NotFiniteError: a loss is not finite.

    """
    started = time.perf_counter()
    for library in ("transformers", "peft", *(["matplotlib"] if pictures else [])):
        needed(library, "experiment")
    check_integer("seeds", seeds, 1)
    chosen = experiment.preset(preset) if isinstance(preset, str) else preset
    check_folder(out, "out")
    word, place = preset if isinstance(preset, str) else "own", str(check_device(device))
    runs = []
    for seed in range(seeds):
        key = {"experiment": experiment.name, **chosen.to_json(), "seed": seed, **_surroundings(place)}
        runs.append(Run(out / f"seed-{seed}", key, chosen, seed, device=place, save_every=save_every, say=say))
    with quiet():
        lines = _trained(runs, progress)
        result = _result(experiment, word, runs, lines)
        drawn = [path.name for path in _pictures(experiment, runs[0], out, result)] if pictures else []
    made = {"made": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": round(time.perf_counter() - started, 1)}
    result |= {"pictures": drawn, **made}
    write_atomically(out / RESULT, canonical(result))
    return result


def _surroundings(device: str) -> dict[str, Any]:
    """Return what a training depends on beside its settings."""
    return {
        "device": device,
        "threads": torch.get_num_threads(),
        "sources": training_sha256(),
        "versions": versions(),
    }


def _trained(runs: Sequence[Run], progress: Progress) -> list[list[dict[str, Any]]]:
    """Train every seed; return the measurements of each."""
    each = sum(phase.steps for phase in runs[0].preset.phases)
    total, lines = each * len(runs), []
    for place, run in enumerate(runs):
        stepped = partial(_report, progress, each * place, total)
        lines.append(run_phases(replace(run, stepped=stepped)))
    return lines


def _report(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _result(
    experiment: Experiment, preset: str, runs: Sequence[Run], lines: Sequence[Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    """Return the document, without pictures and the clock."""
    chosen = runs[0].preset
    results = Results(_shares(runs, lines), [experiment.after(run) for run in runs], chosen.questions)
    return {
        "format": FORMAT,
        "experiment": experiment.name,
        "summary": experiment.summary,
        "source": experiment.source,
        "preset": preset,
        "smaller": chosen.smaller,
        "seeds": [run.seed for run in runs],
        **chosen.to_json(),
        **_surroundings(runs[0].device),
        "parameters": {phase.name: _parameters(runs[0], phase) for phase in chosen.phases},
        "shares": results.shares,
        "course": _course(runs, lines),
        "paper": {phase: dict(tasks) for phase, tasks in experiment.paper.items()},
        "checks": [] if preset == TINY else [check.to_json() for check in experiment.judge(results)],
        "after": results.extras,
        "weights": {
            phase.name: [file_sha256(run.files(phase.name).finished) for run in runs] for phase in chosen.phases
        },
    }


def holds(result: Mapping[str, Any]) -> bool:
    """Say whether everything came out that must; where nothing is judged, nothing is shown."""
    return bool(result["checks"]) and all(check["holds"] for check in result["checks"])


def _shares(runs: Sequence[Run], lines: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, list[float]]]:
    """Return the shares of right answers at the end of each phase, by phase and task, one for each seed."""
    found: dict[str, dict[str, list[float]]] = {}
    for phase in runs[0].preset.phases:
        ends = [next(line for line in of if _is_end(line, phase)) for of in lines]
        found[phase.name] = {task: [_percent(end["tasks"][task]) for end in ends] for task in phase.all_tasks}
    return found


def _is_end(line: Mapping[str, Any], phase: Phase) -> bool:
    return bool(line["phase"] == phase.name and line["step"] == phase.steps)


def _percent(counted: Mapping[str, Any]) -> float:
    return float(100 * counted["right"] / counted["of"])


def _course(runs: Sequence[Run], lines: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Return how the shares went, phase by phase: the steps, and for each task a list for each seed."""
    found = {}
    for phase in runs[0].preset.phases:
        ways = [[line for line in of if line["phase"] == phase.name] for of in lines]
        found[phase.name] = {
            "steps": [line["step"] for line in ways[0]],
            "tasks": {
                task: [[_percent(line["tasks"][task]) for line in way] for way in ways] for task in phase.all_tasks
            },
        }
    return found


def _parameters(run: Run, phase: Phase) -> int:
    """Return how many numbers a phase trains."""
    return sum(weight.numel() for weight in run.started(phase).parameters() if weight.requires_grad)


def _pictures(experiment: Experiment, run: Run, out: Path, result: Mapping[str, Any]) -> list[Path]:
    from verify.experiments.pictures import draw_course  # noqa: PLC0415 # optional: the extra plot

    course = draw_course(out / "accuracy.png", result) if run.preset.phases else []
    return [*course, *experiment.draw(run, out)]
