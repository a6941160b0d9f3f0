"""Which sizes fuzzing draws: those of a request that the construction accepts and the format can carry."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from constructions.construction import Construction
from constructions.validation import InvalidArgument
from verify.requests import Request
from verify.suite.building import built


def constructions_of(request: Request) -> tuple[SearchStrategy[Construction], dict[str, Any]]:
    """Return a strategy for the constructions of a request, and what a verdict says of the sizes drawn from.

    A size is drawn from the values that the request has for it, and is not drawn where the construction or the format
    refuses it. Where a claim has a limit of its own, and the request gives no more than the largest sizes, the sizes
    within that limit are listed and drawn from.
    """
    only_ends = all(values.start == 1 for values in request.sizes.values())
    if request.claim.drawn is not None and only_ends:
        return _listed(request)
    shown = {name: f"{values[0]}..{values[-1]}" for name, values in request.sizes.items()}
    return _constructions(request), shown


@st.composite
def _constructions(draw: st.DrawFn, request: Request) -> Construction:
    sizes = {name: draw(st.integers(values[0], values[-1])) for name, values in request.sizes.items()}
    construction = built(request, sizes)
    return reject() if construction is None else construction


def _listed(request: Request) -> tuple[SearchStrategy[Construction], dict[str, Any]]:
    names, drawn = list(request.sizes), request.claim.drawn
    assert drawn is not None, "the caller has seen it"
    found: list[tuple[dict[str, int], Construction]] = []
    for values in itertools.product(*request.sizes.values()):
        sizes = dict(zip(names, values, strict=True))
        construction = built(request, sizes) if drawn(sizes) else None
        if construction is not None:
            found.append((sizes, construction))
    if not found:
        largest = ", ".join(f"{name} {values[-1]}" for name, values in request.sizes.items())
        raise InvalidArgument(f"sizes: expected some that can be drawn but there are none up to {largest}")
    return st.sampled_from([construction for _, construction in found]), _shown([sizes for sizes, _ in found])


def _shown(found: list[dict[str, int]]) -> dict[str, str]:
    """Return sizes that do not all go with each other: for each value of the other sizes the vocabularies drawn."""
    first, *others = found[0]
    vocabularies: dict[tuple[int, ...], list[int]] = {}
    for sizes in found:
        vocabularies.setdefault(tuple(sizes[name] for name in others), []).append(sizes[first])
    ordered = sorted(vocabularies)
    ranges = ", ".join(f"{min(vocabularies[rest])}..{max(vocabularies[rest])}" for rest in ordered)
    return {first: ranges} | {
        name: ", ".join(str(rest[place]) for rest in ordered) for place, name in enumerate(others)
    }
