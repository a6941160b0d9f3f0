"""A family of constructions that differ in the vocabulary size alone, as the command line names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from constructions.construction import Construction
from constructions.temperature import Temperatures
from constructions.validation import InvalidArgument
from verify.requests import Request, claim_of
from verify.requests.words import field_named
from verify.running.cases import show_temperature


@dataclass(frozen=True)
class Family:
    """A claim's constructions for every vocabulary size.

    Attributes:
        claim: the claim's id.
        sizes: the other sizes, by the names of the command line.
        temperature: of every member; ``None`` for the default of each size and format.
        options: mask, lift, encoding, readout and band, where they are given.

    """

    claim: str
    sizes: Mapping[str, int] = field(default_factory=dict)
    temperature: Temperatures | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, vocab_size: int) -> Construction:
        """Return the member of a vocabulary size.

        Raises:
            InvalidArgument: bad sizes or options.

        """
        if {"vocab", "vocab_size"} & set(self.sizes):
            raise InvalidArgument("vocab: expected no size of the vocabulary, as the frontier is one")
        made = self._request()
        return made.build({"vocab": vocab_size, **self.sizes})

    def command(self, construction: Construction) -> dict[str, str] | None:
        """Return how the command line builds a member, ``None`` where it cannot."""
        return self._request().command(construction)

    def _request(self) -> Request:
        options = {field_named(name): value for name, value in self.options.items()}
        temperature = {} if self.temperature is None else {"temperature": self.temperature}
        return Request(claim_of(self.claim, built=True), options={**temperature, **options})

    def setting(self) -> dict[str, Any]:
        """Return the family as JSON values."""
        temperature = "default" if self.temperature is None else show_temperature(self.temperature)
        return {"claim": self.claim, **self.sizes, "temperature": temperature, **self.options}
