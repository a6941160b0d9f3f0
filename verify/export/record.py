"""What every export says of itself, in words that hold a digest of themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import flint
import numpy as np

from constructions.construction import Construction
from constructions.formats import FORMATS
from constructions.temperature import Softmax, Temperatures, as_temperature, parse_head_q
from constructions.validation import IntArray, InvalidArgument, check_choice, check_integer
from proofs import CLAIMS
from verify.files.strict import canonical, read_canonical
from verify.numbers import decimal

#: The number of this layout; a reader refuses any other.
SCHEMA = 1

#: Values of a construction's fields from which it can be made again.
_PLAIN = (int, str, bool)


@dataclass(frozen=True)
class Record:
    """What an export is of, and the cases that it is verified on.

    Attributes:
        format: the name of the export's format.
        claim: a claim's id, or the name of a construction of the author's own.
        construction: the name of its class.
        fields: its fields, from which it can be made again; empty where some of them are more than numbers and words.
        temperature: in the words of the command line, as it is in the number format.
        dtype: the number format of the weights.
        exact_sha256: the digest of the exact weights and of everything else that the layers say of themselves.
        layout: the numbers of virtual, user and response tokens, of positions of the context, and the sizes.
        weights: for each weight by its name its shape, and the SHA-256 of its bytes.
        ranks: of the targets of the cases, each as a decimal string.
        user_inputs: of the cases.
        versions: of Python, this package and the libraries that did the work.
        schema: the number of this layout.

    """

    format: str
    claim: str
    construction: str
    fields: Mapping[str, Any]
    temperature: Mapping[str, str]
    dtype: str
    exact_sha256: str
    layout: Mapping[str, int]
    weights: Mapping[str, Mapping[str, Any]]
    ranks: tuple[str, ...]
    user_inputs: tuple[tuple[int, ...], ...]
    versions: Mapping[str, str]
    schema: int = SCHEMA

    def to_text(self) -> str:
        """Return the record as JSON, with its own digest in it."""
        held = {item.name: getattr(self, item.name) for item in fields(self)}
        return canonical({**held, "sha256": _sha256(held)})

    @classmethod
    def from_text(cls, text: str, name: str) -> Record:
        """Return the record that :meth:`to_text` wrote.

        Args:
            text: the JSON.
            name: what it is in, for messages.

        Raises:
            InvalidArgument: anything else, such as a record that was changed, or one of another schema.

        """
        document = read_canonical(text, name)
        if not isinstance(document, dict) or "sha256" not in document or "schema" not in document:
            raise InvalidArgument(f"{name}: expected the record of an export of this package")
        sealed = document.pop("sha256")
        if type(document["schema"]) is not int or document["schema"] != SCHEMA:
            raise InvalidArgument(f"{name}: expected a record of schema {SCHEMA}, the one that this version reads")
        if sealed != _sha256(document):
            raise InvalidArgument(f"{name}: expected the record as it was written but its digest is of another")
        if set(document) != {item.name for item in fields(cls)}:
            raise InvalidArgument(f"{name}: expected exactly the keys of schema {SCHEMA} in the record")
        _check_kinds(document, name)
        document["ranks"] = tuple(document["ranks"])
        document["user_inputs"] = tuple(tuple(row) for row in document["user_inputs"])
        return cls(**document)

    # the cases ------------------------------------------------------------------------------------------------------

    def cases(self, construction: Construction) -> tuple[IntArray, IntArray]:
        """Return the targets and the user inputs of the cases.

        Raises:
            InvalidArgument: a rank or a token that the construction does not have, or no case at all.

        """
        space, user = construction.target_space, construction.layout.user
        targets = [space.unrank(int(flint.fmpz(rank))) for rank in self.ranks]
        fitting = all(len(row) == user and min(row, default=0) >= 0 for row in self.user_inputs)
        fitting = fitting and all(max(row, default=0) < construction.vocab_size for row in self.user_inputs)
        rows = self.user_inputs if fitting else ()
        inputs = np.array(rows, dtype=np.int64).reshape(len(rows), user)
        if not targets or len(inputs) != len(targets) or not construction.user_inputs.contains(inputs).all():
            raise InvalidArgument("record: expected at least one case, and user inputs of the construction")
        return np.stack(targets).astype(np.int64), inputs

    # the construction -----------------------------------------------------------------------------------------------

    def rebuilt(self) -> Construction | None:
        """Return the construction, made again from the record; ``None`` where that is an author's own.

        A record names no code that would be imported: only registered claims are made again.

        Raises:
            InvalidArgument: the construction of the claim has another name, or refuses these fields.

        """
        known = CLAIMS[self.claim].construction if self.claim in CLAIMS else None
        if known is None or not self.fields:
            return None
        if known.__name__ != self.construction:
            raise InvalidArgument(f"record: expected {known.__name__} for {self.claim} but got {self.construction!r}")
        settable = {item.name for item in fields(known) if item.init and item.name != "temperature"}
        if not set(self.fields) <= settable:
            raise InvalidArgument(f"record: expected fields of {known.__name__} but got {sorted(self.fields)}")
        return known(**self.fields, temperature=_temperature(self.temperature))


def fields_of(construction: Construction) -> dict[str, Any]:
    """Return the fields that make a construction again, none where some of them are more than numbers and words."""
    found = {}
    for item in fields(construction):
        value = getattr(construction, item.name)
        if not item.init or item.name == "temperature" or value is None:
            continue
        if not isinstance(value, _PLAIN):
            return {}
        found[item.name] = value
    return found


def ranks_of(construction: Construction, targets: IntArray) -> tuple[str, ...]:
    """Return the ranks of targets as decimal strings."""
    return tuple(decimal(construction.target_space.rank(target)) for target in targets)


def _temperature(words: Mapping[str, str]) -> Temperatures:
    if set(words) == {"q"}:
        return parse_head_q(words["q"])
    try:
        value = float(words["temperature"])
    except (KeyError, ValueError):
        raise InvalidArgument(f"record: expected a temperature but got {dict(words)}") from None
    if "scaled-by" not in words:
        return as_temperature(value)
    return Softmax(value, check_choice("record: scaled-by", words["scaled-by"], ("key", "length")))  # type: ignore[arg-type] # one of them


def _sha256(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def _check_kinds(document: Mapping[str, Any], name: str) -> None:
    """Refuse values of other types than the record's."""
    words = {"format", "claim", "construction", "exact_sha256"}
    plain = all(isinstance(document[key], str) for key in words)
    mappings = {"fields": _PLAIN, "temperature": (str,), "layout": (int,), "versions": (str,), "weights": (dict,)}
    held = all(
        isinstance(document[key], dict) and all(isinstance(value, kinds) for value in document[key].values())
        for key, kinds in mappings.items()
    )
    ranks, inputs = document["ranks"], document["user_inputs"]
    cases = (
        isinstance(ranks, list)
        and all(isinstance(rank, str) and rank.isascii() and rank.isdigit() for rank in ranks)
        and isinstance(inputs, list)
        and len(inputs) == len(ranks)
        and all(isinstance(row, list) and all(type(token) is int for token in row) for row in inputs)
    )
    if not (plain and held and cases):
        raise InvalidArgument(f"{name}: expected the values of schema {SCHEMA} in the record")
    check_choice(f"{name}: dtype", document["dtype"], tuple(FORMATS))
    for weight, entry in document["weights"].items():
        shape = entry.get("shape")
        if set(entry) != {"shape", "sha256"} or not isinstance(shape, list) or not isinstance(entry["sha256"], str):
            raise InvalidArgument(f"{name}: expected a shape and a digest of weight {weight[:40]!r}")
        for axis in shape:
            check_integer(f"{name}: shape of weight {weight[:40]!r}", axis, 0)
