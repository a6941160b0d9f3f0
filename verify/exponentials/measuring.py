"""The measurement of all arguments of a format, block by block, so that a killed one goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from constructions.formats import get_format
from constructions.validation import InvalidArgument, check_choice, check_integer
from verify.exponentials.findings import Findings
from verify.exponentials.record import Record, place_of
from verify.files.json_lines import JsonLines

#: The formats whose numbers can all be tried.
DTYPES = ("float32", "bfloat16", "float16")
#: Bit patterns of a block, after which progress is reported and may be saved.
BLOCK = 2**24
#: Arguments that are computed at once: on a CPU what fits its caches, elsewhere what keeps a device busy in 2 GiB.
_CHUNKS = {"cpu": 2**17}
_LARGE_CHUNK = 2**23


def measure(
    function: str = "exp",
    dtype: str = "float32",
    device: str = "cpu",
    *,
    checkpoint: Path | None = None,
    patterns: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Record:
    """Measure a function of torch on every argument of a format.

    Args:
        function: a word of :data:`~verify.exponentials.functions.FUNCTIONS`.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        device: where torch runs, such as ``cpu`` or ``cuda``.
        checkpoint: a file in which progress is saved, and from which it goes on.
        patterns: how many bit patterns, from 0 up; all of them unless given.
        progress: takes how many bit patterns are done, and how many there are.

    Raises:
        InvalidArgument: an unknown function, format or device, or the checkpoint of another measurement.

    Example:
        >>> measure("exp", "float16").within(3)
        True

    """
    from verify.exponentials.functions import FUNCTIONS  # noqa: PLC0415 # torch takes seconds to import

    check_choice("function", function, tuple(FUNCTIONS))
    fmt = get_format(check_choice("dtype", dtype, DTYPES))
    _check_device(device)
    from verify.exponentials.blocks import Blocks  # noqa: PLC0415 # as above

    place = place_of(device, FUNCTIONS[function].home)
    blocks = Blocks.of(FUNCTIONS[function], fmt, device, _CHUNKS.get(place["device"], _LARGE_CHUNK))
    total = blocks.patterns
    if patterns is not None:
        total = check_integer("patterns", patterns, 1, blocks.patterns)
    found, done, lines = Findings(), 0, None
    if checkpoint is not None:
        key = {"measured": function, "dtype": dtype, "place": place, "patterns": total, "block": BLOCK}
        lines = JsonLines(checkpoint, "checkpoint", key)
        for line in lines.taken_over(-(-total // BLOCK)):
            found.add(Findings.from_json(line))
            done = min(done + BLOCK, total)
    progress(done, total)
    while done < total:
        stop = min(done + BLOCK, total)
        more = blocks.measured(done, stop)
        found.add(more)
        done = stop
        if lines is not None:
            lines.add([more.to_json()])
        progress(done, total)
    if lines is not None:
        lines.write()
    return Record(function, dtype, place, total, total == blocks.patterns, found)


def _check_device(device: str) -> None:
    """Refuse a device that torch does not have here."""
    import torch  # noqa: PLC0415 # torch takes seconds to import

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise InvalidArgument(f"device: expected one that torch has here but got {device!r}: {why}") from None
