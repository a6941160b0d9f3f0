"""Known answers from a bundle: the folder that ``prefixproof export --format bundle`` writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from constructions.construction import Construction
from constructions.validation import InvalidArgument
from verify.conformance.answers import KnownAnswers, answers_for


def answers_of_bundle(path: str | Path, construction: Construction | None = None) -> KnownAnswers:
    """Return the known answers of a bundle, after everything in it was verified again from its files.

    Args:
        path: the folder.
        construction: what it is of; by default the registered claim that it names.

    Raises:
        InvalidArgument: no bundle, one that was damaged or changed, one of a construction that is not given, or one
            whose numbers are not those of its construction.
        OSError: it cannot be read.

    Example:
        >>> import tempfile
        >>> from constructions import UnconditionalGeneration
        >>> from verify.export import write_export
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = write_export(UnconditionalGeneration(5, 3), folder, "bundle", sample=7, claim="theorem-1")
        ...     answers = answers_of_bundle(folder)
        >>> len(answers), answers.fmt.name, answers.targets.shape
        (7, 'float32', (7, 3))

    """
    from verify.export import EXPORTS, verify_export  # noqa: PLC0415 # torch takes seconds to import

    form, place = EXPORTS["bundle"], Path(path)
    held = form.read(place)
    made = held.record.rebuilt() if construction is None else construction
    if made is None:
        raise InvalidArgument(
            f"bundle: expected one of a registered claim, or its construction beside it, but got {held.record.claim!r}"
        )
    fixed = form.fixed(made, held.record.dtype)
    for verdict in verify_export(place, fixed):
        if verdict.holds is not True:
            case = verdict.reason if verdict.case is None else verdict.case.sentence()
            raise InvalidArgument(f"bundle: expected one that its own verification shows right but {case}")
    targets, inputs = held.record.cases(fixed)
    given = repr(str(place)) if construction is None else f"{str(place)!r}, {construction!r}"
    found = answers_for(fixed, held.record.dtype, targets, inputs)
    return replace(found, made=f"verify.conformance.answers_of_bundle({given})")
