"""The check, before the work starts, that a picture can be drawn into a file."""

from __future__ import annotations

from pathlib import Path

from constructions.validation import InvalidArgument
from verify.extras import needed
from verify.files.atomic import check_output

#: Formats that matplotlib lists but no viewer opens: TeX's, which needs TeX even to be written, and bare bytes.
_NO_PICTURES = {"pgf", "raw", "rgba"}


def check_picture(path: Path) -> None:
    """Refuse a picture that could not be written after the work.

    Raises:
        InvalidArgument: matplotlib is not installed, its formats do not have the file's ending, or the file cannot be
            written.

    """
    needed("matplotlib.backends.backend_agg", "picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 # optional: the extra plot

    known = sorted(set(FigureCanvasAgg.get_supported_filetypes()) - _NO_PICTURES)
    if path.suffix[1:].lower() not in known:
        raise InvalidArgument(f"picture: expected a name that ends in .{', .'.join(known)} but got {str(path)!r}")
    check_output(path, "picture")
