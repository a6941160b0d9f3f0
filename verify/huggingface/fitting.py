"""The sizes that a stock model needs for a decoder, and whether a family has a place for everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from constructions.activations import Activation
from constructions.exact_matrix import ExactMatrix
from constructions.layers import Norm
from constructions.temperature import Temperatures
from constructions.validation import InvalidArgument
from verify.huggingface.blocks import Block, Decoder, MlpPart
from verify.huggingface.families import Family, Sizes
from verify.huggingface.families.base import activation_name
from verify.huggingface.seats import Seat, groups_of, seats_of

_SIDE_BY_SIDE = "family: expected one whose attention and MLP may read the same stream, such as gpt-neox"


@dataclass(frozen=True, eq=False)
class Fitted:
    """A decoder in the sizes of a stock model.

    Attributes:
        decoder: the decoder.
        family: of the stock class.
        sizes: of the stock model.
        temperature: of attention.

    """

    decoder: Decoder
    family: Family
    sizes: Sizes
    temperature: Temperatures

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of the decoder; a stock model may have more, which add nothing."""
        return self.decoder.blocks(parallel=self.sizes.parallel)

    @cached_property
    def seats(self) -> tuple[tuple[Seat, ...], ...]:
        """The heads of each block."""
        return tuple(
            () if block.attention is None else seats_of(block.attention.layer, self.sizes.head_size)
            for block in self.blocks
        )

    @property
    def scored(self) -> Iterator[Seat]:
        """The heads whose scores may be anything but 0."""
        return (seat for seats in self.seats for seat in seats if seat.scored)

    def check(self) -> None:
        """Refuse sizes that are too small, or others than the decoder's where they must be the same.

        Raises:
            InvalidArgument: they do not fit; the message says where.

        """
        sizes, decoder, name = self.sizes, self.decoder, self.family.name
        exact = decoder.exact
        equal = (
            ("vocabulary", sizes.vocab, exact.vocab_size),
            ("number of logits", sizes.vocab, exact.output_size),
            ("width of the residual stream", sizes.width, decoder.width),
            ("eps of the norms", sizes.eps, eps_of(decoder, self.family)),
            ("activation", sizes.activation, activation_of(decoder, self.family)),
        )
        for what, found, wanted in equal:
            if found != wanted:
                mine, theirs = (float(value) if isinstance(value, Fraction) else value for value in (wanted, found))
                raise InvalidArgument(f"config: expected the {what} of the construction, {mine}, but got {theirs}")
        positions = exact.context_size if decoder.positions is None else decoder.positions.shape[1]
        least = (
            ("positions", sizes.positions, positions),
            ("blocks", sizes.blocks, len(self.blocks)),
            ("hidden units", sizes.hidden, hidden_of(decoder)),
            ("heads", sizes.heads, max(map(len, self.seats), default=0)),
        )
        for what, found, needed in least:
            if found < needed:
                raise InvalidArgument(f"config: expected at least {needed} {what} but got {found}")
        if decoder.parallel and not sizes.parallel:
            raise InvalidArgument(f"{_SIDE_BY_SIDE}, but got {name}")
        self._check_heads()

    def _check_heads(self) -> None:
        for seat in self.scored:
            size, key_size = seat.head_size(self.temperature), seat.head.key_size
            if size != self.sizes.head_size:
                raise InvalidArgument(
                    f"config: expected heads of size {size}, whose scores are scaled as those of {seat.where}, but got"
                    f" {self.sizes.head_size}"
                )
            if self.family.rotary and key_size != size:
                raise InvalidArgument(
                    f"key size: expected {size} in {seat.where}, as its pairs of coordinates are turned, but got"
                    f" {key_size}"
                )


def fitted_to(decoder: Decoder, family: Family, temperature: Temperatures, config: Any) -> Fitted:
    """Return a decoder in the sizes of a configuration.

    Raises:
        InvalidArgument: it does not fit, or the family has no place for something in it.

    """
    family.check(config)
    check_kinds(decoder, family, temperature)
    found = Fitted(decoder, family, family.sizes(config), temperature)
    found.check()
    return found


def smallest(decoder: Decoder, family: Family, temperature: Temperatures) -> Fitted:
    """Return a decoder in the smallest sizes that hold it.

    Raises:
        InvalidArgument: the family has no place for something in it.

    """
    check_kinds(decoder, family, temperature)
    exact = decoder.exact
    parallel = family.parallel and decoder.parallel
    first: InvalidArgument | None = None
    for heads, head_size in _heads(decoder, family, temperature):
        sizes = Sizes(
            vocab=exact.vocab_size,
            width=decoder.width,
            blocks=max(1, len(decoder.blocks(parallel=parallel))),
            heads=heads,
            groups=heads,
            head_size=head_size,
            hidden=hidden_of(decoder),
            positions=exact.context_size if decoder.positions is None else decoder.positions.shape[1],
            activation=activation_of(decoder, family),
            eps=eps_of(decoder, family),
            parallel=parallel,
        )
        found = Fitted(decoder, family, sizes, temperature)
        if heads < max(map(len, found.seats), default=0):
            continue
        try:
            found.check()
        except InvalidArgument as error:
            first = first or error
            continue
        return _grouped(found)
    if first is not None:
        raise first
    raise InvalidArgument(
        f"family: expected one with heads of any number and size, as no number of them in {family.name} holds all"
        f" values of a stream {decoder.width} wide"
    )


def _grouped(found: Fitted) -> Fitted:
    """Return the same with as few keys and values, and as many turned coordinates, as its heads have."""
    sizes = vars(found.sizes).copy()
    if found.family.grouped:
        sizes["groups"] = groups_of(list(found.seats), found.sizes.heads)
    turned = {
        len({row for row, _, _ in rotary.turn.nonzero()}) for seat in found.scored for rotary in seat.turned if rotary
    }
    if turned:
        sizes["turned"] = max(turned)
    return Fitted(found.decoder, found.family, Sizes(**sizes), found.temperature)


def _heads(decoder: Decoder, family: Family, temperature: Temperatures) -> Iterator[tuple[int, int]]:
    """Yield numbers of heads that divide the width, with the size of one, the fewest first."""
    counts = [heads for heads in range(1, decoder.width + 1) if decoder.width % heads == 0]
    if not family.free_head_size:
        yield from ((heads, decoder.width // heads) for heads in counts)
        return
    seats = whole_seats(decoder)
    sizes = {seat.head_size(temperature) for seat in seats if seat.scored}
    if not sizes:
        widest = max((len(seat.values) for seat in seats), default=1)
        sizes = {widest + widest % 2}  # rotary positions turn pairs
    yield from ((heads, size) for heads in counts for size in sorted(sizes))


def check_kinds(decoder: Decoder, family: Family, temperature: Temperatures) -> None:
    """Refuse norms, gates, activations, positions and scores that a family does not have.

    Raises:
        InvalidArgument: there is one; the message names the layer.

    """
    for norm in norms_of(decoder):
        if type(norm) is not family.norm:
            raise InvalidArgument(
                f"family: expected one with {type(norm).__name__}, for layer {norm.name}, but {family.name} has"
                f" {family.norm.__name__}"
            )
    for mlp in mlps_of(decoder):
        if (mlp.gate is not None) != family.gated:
            wanted = "without a gate" if mlp.gate is None else "with a gate"
            raise InvalidArgument(
                f"family: expected one whose MLP is {wanted}, for layer {mlp.active.name}, but got {family.name}"
            )
    if decoder.positions is not None and not family.learned_positions:
        raise InvalidArgument(f"family: expected one with a table of positions but {family.name} has none")
    if decoder.parallel and not family.parallel:
        raise InvalidArgument(f"{_SIDE_BY_SIDE}, but got {family.name}")
    activation_of(decoder, family)
    eps_of(decoder, family)
    for seat in whole_seats(decoder):
        if seat.scored:
            seat.head_size(temperature)
            _check_turned(seat, family)


def _check_turned(seat: Seat, family: Family) -> None:
    for rotary in seat.turned:
        if (rotary is not None) != family.rotary:
            wanted = "one that leaves queries and keys as they are" if rotary is None else "one with rotary positions"
            raise InvalidArgument(f"family: expected {wanted}, for {seat.where}, but got {family.name}")


def whole_seats(decoder: Decoder) -> list[Seat]:
    """Return the heads of all attention layers, each with all of its values that fit the stream."""
    layers = [step.attention.layer for step in decoder.steps if step.attention is not None]
    return [seat for layer in layers for seat in seats_of(layer, decoder.width)]


def norms_of(decoder: Decoder) -> Iterator[Norm[ExactMatrix]]:
    """Yield every norm, the last one included."""
    for step in decoder.steps:
        yield from (part.norm for part in (step.attention, step.mlp) if part is not None)
    yield decoder.norm


def mlps_of(decoder: Decoder) -> Iterator[MlpPart]:
    """Yield every MLP."""
    return (step.mlp for step in decoder.steps if step.mlp is not None)


def hidden_of(decoder: Decoder) -> int:
    """Return the width of the widest MLP, at least 1."""
    return max((mlp.up.weight.shape[0] for mlp in mlps_of(decoder)), default=1)


def activation_of(decoder: Decoder, family: Family) -> Activation:
    """Return the one activation, the family's default where there is none.

    Raises:
        InvalidArgument: there are two, or one that stock classes do not have.

    """
    found: dict[Activation, str] = {}
    for mlp in mlps_of(decoder):
        found.setdefault(mlp.activation, mlp.active.name)
    if not found:
        return family.default_activation
    (activation, where), *others = found.items()
    if others:
        raise InvalidArgument(
            f"activation: expected the same in every MLP but layer {where} has {activation}, and layer {others[0][1]}"
            f" {others[0][0]}"
        )
    if activation_name(activation) is None:
        raise InvalidArgument(f"activation: expected one that stock classes have but layer {where} has {activation}")
    return activation


def eps_of(decoder: Decoder, family: Family) -> Fraction:
    """Return the one eps of all norms.

    Raises:
        InvalidArgument: there are two, or one that float64 does not hold.

    """
    found: dict[Fraction, str] = {}
    for norm in norms_of(decoder):
        found.setdefault(Fraction(norm.eps), norm.name)
    (eps, where), *others = found.items()
    if others:
        raise InvalidArgument(
            f"eps: expected the same in every norm but layer {where} has {float(eps)} and layer {others[0][1]} has"
            f" {float(others[0][0])}"
        )
    if Fraction(float(eps)) != eps:
        raise InvalidArgument(f"eps: expected a float64, as configurations hold it, but layer {where} has {eps}")
    if family.fixed_eps is not None and eps != family.fixed_eps:
        raise InvalidArgument(
            f"eps: expected {float(family.fixed_eps)}, as {family.name} always has it, but layer {where} has"
            f" {float(eps)}"
        )
    return eps
