"""Mutants that took a killer or an argument of their own: tensor cores, ends of formats, cells that share."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_tensor_cores = of("tensor cores", "verify.certificates.floats.rounding.tensor_cores")
_sums = of("sums", "verify.certificates.floats.sums")
_absorbed = of("absorption in a sum", "verify.certificates.floats.sums")
_softmax = of("softmax", "verify.certificates.floats.softmax")
_pairs = of("sieve of pairs", "verify.certificates.floats.pairs_of_tokens")
_floats = of("floats one by one", "verify.certificates.floats.pairs_of_tokens")
_ball_sieve = of("sieve of balls", "verify.certificates.balls.margins")
_sparse = of("cells that share", "verify.certificates.floats.sparse")
_kept = of("cells that share", "verify.certificates.floats.boxes")
_sparse_rows = of("cells that share", "verify.certificates.floats.sparse_rows")

_SHARED = "The single box that encloses all cells is right by itself; what is kept cell by cell only tightens it."
_UNREAD = "A coordinate that is 0 in every cell adds nothing to any sum, so that reading it changes no sum."
_NUMBERS = "self.low.shape, self.low.tobytes(), self.high.tobytes(), self.grid.tobytes(), self.exact"

_KEY = "".join(
    f"            {line},\n"
    for line in ('"attention"', "visible.shape", "visible.tobytes()", "temperature", "key_size")
)

SETTLED: tuple[Mutant, ...] = (
    _tensor_cores(
        "tensor cores round to nearest",
        "return 2 * float(self.fmt.unit_roundoff)",
        "return float(self.fmt.unit_roundoff)",
        "assumptions",
    ),
    _tensor_cores(
        "the result of tensor cores is not charged again",
        "spread = 2 * low.dtype.type(self.unit)",
        "spread = 0 * low.dtype.type(self.unit)",
        argument=(
            "The 2n errors of 2^-23 that a sum of n products is charged include the last operation's, so that the "
            "spread of the result charges it twice."
        ),
        proof="sums, truncated",
    ),
    _sums(
        "a product that is cut off is the nearest number",
        "error = slack + np.where(held, 0, self.rounding.single_underflow)",
        "error = slack",
        "sums, truncated",
    ),
    _sums(
        "what truncates keeps the smaller of two",
        "if terms.held is not None and self.rounding.keeps_held_pairs and not whole.all():",
        "if terms.held is not None:",
        "sums, truncated",
    ),
    _sums(
        "what truncates absorbs",
        " and self.rounding.absorbs",
        "",
        "sums, truncated",
    ),
    _absorbed(
        "the others count once",
        "np.minimum(error, 3 * rest + slack)",
        "np.minimum(error, rest + slack)",
        argument=(
            "In the format the result is the rounding of the large term plus some of the others, and that differs "
            "from the exact sum by the rest of them; in an accumulator, which holds the large term, each addition is "
            "off by at most the term that it adds. Either way it is at most all others together."
        ),
        proof="absorption",
    ),
    _softmax(
        "weights are on a grid one too coarse",
        "grid = grids_between(low, high, self.fmt).min(axis=(0, 1), initial=EVERYTHING)",
        "grid = grids_between(low, high, self.fmt).min(axis=(0, 1), initial=EVERYTHING) + 1",
        "grids of weights",
    ),
    _softmax("0 times a hidden score is 0", "if gap_low == 0:", "if False:", "overflow"),
    _softmax(
        "exponents that overflow are ends",
        "wild = wild | overflow.any(axis=-1, keepdims=True)",
        "pass",
        "overflow",
    ),
    _pairs(
        "a pair's chain from 0 rounds nothing",
        "self.rounding.rounds_products(shift)",
        "self.rounding.rounds_products(np.ones(shift.shape))",
        "built networks",
    ),
    _floats(
        "the ends alone",
        "places[:, column] = first[active, column] + digit",
        "places[:, column] = first[active, column] + (digit > 0) * (counts[active, column] - 1)",
        "built networks",
    ),
    _ball_sieve(
        "a margin is rounded to nearest",
        "below = float(np.nextafter(value, -np.inf))",
        "below = value",
        "margins of balls",
    ),
    _ball_sieve(
        "nothing is lost near the smallest number",
        "slack = 2 * ((2 * width + 7) * _UNIT * most + tiny)",
        "slack = 2 * ((2 * width + 7) * _UNIT * most)",
        "built networks, balls",
    ),
    _kept("kept without grids", _NUMBERS, _NUMBERS.replace(" self.grid.tobytes(),", ""), "sparse, kept"),
    _kept("kept without exactness", _NUMBERS, _NUMBERS.replace(", self.exact", ""), "sparse, kept"),
    _kept("kept without upper bounds", _NUMBERS, _NUMBERS.replace(" self.high.tobytes(),", ""), "sparse, kept"),
    _kept("kept without shapes", _NUMBERS, _NUMBERS.replace("self.low.shape, ", ""), "sparse, kept"),
    _sparse(
        "scores and mixes are kept as one",
        '[attention, values.shared], "mix")',
        '[attention, values.shared], "scores")',
        "sparse, kept",
    ),
    _sparse("kept for any mask", _KEY, _KEY.replace("            visible.tobytes(),\n", ""), "sparse, kept"),
    _sparse("kept for any temperature", _KEY, _KEY.replace("            temperature,\n", ""), "sparse, kept"),
    _sparse("kept for any key size", _KEY, _KEY.replace("            key_size,\n", ""), "sparse, kept"),
    _sparse("kept for any matrix", "part.values.tobytes(), part.exact", "part.exact", "sparse, kept"),
    _sparse(
        "kept for any shape of a matrix",
        "part.values.shape, part.values.tobytes()",
        "part.values.tobytes()",
        argument="A matrix has as many columns as the rows that it multiplies are wide; its numbers tell the rest.",
        proof="sparse, kept",
    ),
    _sparse(
        "kept for matrices exact or not", "part.values.tobytes(), part.exact", "part.values.tobytes()", "sparse, kept"
    ),
    _sparse(
        "what is not finite does not spread",
        "return not all((box.magnitude <= largest).all() for box in boxes)",
        "return False",
        "sparse, dense",
    ),
    _sparse(
        "the first place alone is touched",
        "touched = weight.rows_reading(rows.places)",
        "touched = weight.rows_reading(rows.places[:1])",
        argument=_SHARED,
        proof="sparse, dense",
    ),
    _sparse(
        "everything is touched",
        "touched = weight.rows_reading(rows.places)",
        "touched = np.arange(weight.shape[0])",
        argument="Computing more coordinates cell by cell gives what the dense arithmetic gives.",
        proof="sparse, dense",
    ),
    _sparse(
        "what is 0 in a row is not read",
        "np.flatnonzero(rows.shared.moving & weight.read_by(touched))",
        "np.flatnonzero((rows.shared.magnitude != 0).all(axis=(0, 1)) & weight.read_by(touched))",
        "sparse, dense",
    ),
    _kept(
        "what is 0 is read",
        "(self.magnitude != 0).any(axis=(0, 1))",
        "(self.magnitude >= 0).any(axis=(0, 1))",
        argument=_UNREAD,
        proof="sparse, dense",
    ),
    _sparse(
        "what every output reads is read",
        "np.flatnonzero(rows.shared.moving & weight.read_by(touched))",
        "np.flatnonzero(rows.shared.moving & weight.read_by(touched[:1]))",
        "sparse, dense",
    ),
    _sparse(
        "scores read what is never 0",
        "read = np.flatnonzero(queries.shared.moving & keys.shared.moving)",
        "read = np.flatnonzero((queries.shared.magnitude != 0).all(axis=(0, 1)) & keys.shared.moving)",
        "sparse, dense",
    ),
    _sparse(
        "scores read what is 0 on one side",
        "read = np.flatnonzero(queries.shared.moving & keys.shared.moving)",
        "read = np.flatnonzero(queries.shared.moving | keys.shared.moving)",
        argument=_UNREAD,
        proof="sparse, dense",
    ),
    _sparse_rows(
        "the shared box is the first cell",
        "low, high = box.low.min(axis=0, keepdims=True), box.high.max(axis=0, keepdims=True)",
        "low, high = box.low[:1], box.high[:1]",
        "sparse, dense",
    ),
    _sparse_rows(
        "the lower bounds alone differ",
        "differs = (box.low != box.low[:1]).any(axis=(0, 1)) | (box.high != box.high[:1]).any(axis=(0, 1))",
        "differs = (box.low != box.low[:1]).any(axis=(0, 1))",
        argument=_SHARED,
        proof="sparse, dense",
    ),
    _sparse(
        "a mix in which weights differ is shared",
        "if attention.shape[0] > 1 or self.wild(attention, values):",
        "if self.wild(attention, values):",
        argument="What is called shared then holds the numbers of each cell, which every operation takes as well.",
        proof="sparse, dense",
    ),
)
