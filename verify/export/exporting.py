"""Write an export, and verify one: the two entry points."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from constructions.construction import Construction
from constructions.validation import IntArray, InvalidArgument, check_choice, check_integer, check_tokens, reject
from proofs import CLAIMS
from verify.evidence.verdict import Verdict
from verify.export.base import SAMPLE as SAMPLE
from verify.export.base import Export, ExportFormat
from verify.export.formats import EXPORTS
from verify.export.verifying import Verification
from verify.files.atomic import check_output
from verify.requests.own import names_of
from verify.running.torch_module import to_torch


def write_export(
    construction: Construction,
    path: str | Path,
    format: str = "safetensors",  # noqa: A002 # what it is
    *,
    dtype: str = "float32",
    targets: object = None,
    user_inputs: object = None,
    sample: int = SAMPLE,
    seed: int = 0,
    claim: str | None = None,
) -> list[Verdict]:
    """Write a construction in a format of other programs, and verify what was written from the files alone.

    Args:
        construction: what to export.
        path: the file, which ends as the format's files do; a folder that is not there yet for ``bundle``.
        format: see :data:`~verify.export.formats.EXPORTS`.
        dtype: the number format of the weights.
        targets: of the cases; drawn where none are given.
        user_inputs: of the cases, one for each target; drawn where none are given.
        sample: how many cases are drawn.
        seed: the same seed draws the same cases.
        claim: the claim's id; where it is given, the export names it and can be verified without a construction.

    Returns:
        A verdict for each way to run the export.

    Raises:
        InvalidArgument: another format, ending, dtype or case, an extra that is not installed, or a construction that
            the format cannot hold.
        OSError: it cannot be written; the error names the file.

    Example:
        >>> import tempfile
        >>> from constructions import UnconditionalGeneration
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/model.safetensors"
        ...     [verdict] = write_export(UnconditionalGeneration(5, 4), path, claim="theorem-1")
        ...     [again] = verify_export(path)
        >>> verdict.holds, again.holds, again.cases
        (True, True, 20)

    """
    form, place = EXPORTS[check_choice("format", format, tuple(EXPORTS))], Path(path)
    form.check_dtype(dtype)
    _check_ending(form, place)
    if form.ending:
        check_output(place, "out")
    chosen, inputs = cases_of(construction, targets, user_inputs, sample=sample, seed=seed)
    fixed = form.fixed(construction, dtype)
    name = claim if claim is not None and claim in CLAIMS else type(construction).__name__  # not where it is
    if name not in (known := names_of(construction)):
        reject("claim", f"one of {', '.join(known)} for this construction", claim)
    form.write(Export(fixed, name, dtype, chosen, inputs, to_torch(fixed, dtype)), place)
    return Verification(form, form.read(place), place, construction).verdicts()


def verify_export(path: str | Path, construction: Construction | None = None) -> list[Verdict]:
    """Verify an export from its files alone.

    Every byte is compared with the digests in the export, the weights with those of the construction, bit for bit, and
    its cases are run.

    Args:
        path: what :func:`write_export` wrote.
        construction: what it must be of; by default the registered claim that its record names. Of a construction of
            the author's own, nothing is shown unless it is given.

    Raises:
        InvalidArgument: no export, or one that was damaged, cut short or changed.
        OSError: it cannot be read.

    """
    place = Path(path)
    form = _format_of(place)
    held = form.read(place)
    known = held.record.rebuilt() if construction is None else construction
    return Verification(form, held, place, known).verdicts()


def cases_of(
    construction: Construction, targets: object, user_inputs: object, *, sample: int, seed: int
) -> tuple[IntArray, IntArray]:
    """Return the targets and the user inputs of cases: those given, or drawn ones.

    Raises:
        InvalidArgument: not targets or inputs of the construction, or of another number.

    """
    space, users = construction.target_space, construction.user_inputs
    if targets is None:
        chosen = space.sample(check_integer("sample", sample, 1), seed=check_integer("seed", seed, 0))
    else:
        given = check_tokens("targets", targets, space.vocab_size, space.shape)
        chosen = given.reshape(-1, *space.shape)
    if not len(chosen):
        raise InvalidArgument("targets: expected at least one but got none")
    if user_inputs is None:
        return chosen, users.sample(len(chosen), seed=check_integer("seed", seed, 0))
    inputs = check_tokens("user_inputs", user_inputs, construction.vocab_size, (construction.layout.user,))
    if inputs.shape[:-1] != (len(chosen),) or not users.contains(inputs).all():
        raise InvalidArgument(f"user_inputs: expected {len(chosen)} inputs of the construction, one for each target")
    return chosen, np.asarray(inputs)


def _check_ending(form: ExportFormat, path: Path) -> None:
    if form.ending and path.suffix != form.ending:
        raise InvalidArgument(f"out: expected a file that ends in {form.ending} for {form.name} but got {path}")
    if not form.ending and path.suffix in {other.ending for other in EXPORTS.values()} - {""}:
        raise InvalidArgument(f"out: expected the name of a folder for {form.name} but got {path}")


def _format_of(path: Path) -> ExportFormat:
    """Return the format of an export, by its ending; of a folder by which manifest is in it."""
    for form in EXPORTS.values():
        if form.recognises(path):
            return form
    endings = ", ".join(form.ending for form in EXPORTS.values() if form.ending)
    raise InvalidArgument(f"verify: expected an export, a file that ends in {endings} or a folder, but got {path}")
