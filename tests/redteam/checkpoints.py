"""A run that is begun, and its checkpoint as somebody may have edited it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from constructions import Construction, InvalidArgument, UnconditionalGeneration
from verify import RationalArithmetic, exhaust
from verify.evidence.checkpoint import sealed

EXACT = RationalArithmetic()
RIGHT = UnconditionalGeneration(4, 4)

#: What :func:`begin` left of ``RIGHT``, which nothing here changes: by arithmetic.
_LEFT: dict[str, bytes] = {}


def begin(construction: Construction, path: Path, arithmetic: Any = EXACT, limit: int = 128) -> dict[str, Any]:
    """Run a part, and return the record that it left; that of ``RIGHT`` is made once."""
    known = f"{arithmetic.name}, {limit}" if construction is RIGHT else None
    if known in _LEFT:
        path.write_bytes(_LEFT[known])
    else:
        assert exhaust(construction, arithmetic, limit=limit, checkpoint=path).holds is None
    if known is not None:
        _LEFT[known] = path.read_bytes()
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def forge(path: Path, record: dict[str, Any], **changes: Any) -> None:
    """Write a record with a digest that fits: what a forger does, who knows how it is made."""
    path.write_text(sealed({name: part for name, part in {**record, **changes}.items() if name != "sha256"}))


def refused(construction: Construction, path: Path, arithmetic: Any = EXACT, **options: Any) -> str:
    before = path.read_bytes()
    with pytest.raises(InvalidArgument, match="checkpoint: expected") as caught:
        exhaust(construction, arithmetic, checkpoint=path, **options)
    assert path.read_bytes() == before
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)
