"""Choose the sample of sums at the edges: ``python -m tests.matrix_units.edge_sampling RECORDED.npz``.

Of each instruction it takes the sums that reject most wrong variants, at least 12 for each variant that any rejects,
and as many of each kind.
"""

from __future__ import annotations

import sys

import numpy as np

from tests.matrix_units.edges import EDGES, SAMPLE
from tests.matrix_units.recorded import read

_EACH = 12
_KINDS = ("tiny", "tinyc", "ties", "subnormal", "special", "overflow", "zeros", "normal", "cancel", "bits")
#: Instructions as the recording names them: what they are in the sample.
_NAMES = {
    "bf16": ("H200-edges.bf16", "d_fp32"),
    "f16": ("H200-edges.fp16", "d_fp32"),
    "f16h": ("H200-half.fp16", "d_fp16"),
    "tf32": ("H200-edges.tf32", "d_fp32"),
}


def main(path: str) -> None:
    """Write the sample."""
    stored = np.load(path)
    sample: dict[str, np.ndarray] = {}
    for recorded, (name, part) in _NAMES.items():
        rows: dict[str, list[np.ndarray]] = {"a": [], "b": [], "c": [], part: []}
        for kind in _KINDS:
            a, b, c, d = (stored[f"{recorded}.{kind}.{letter}"] for letter in "abcd")
            shape = (*c.shape, a.shape[-1])
            rows["a"].append(np.broadcast_to(a[:, :, None], shape).reshape(-1, shape[-1]))
            rows["b"].append(np.broadcast_to(b[:, None], shape).reshape(-1, shape[-1]))
            rows["c"].append(c.reshape(-1, 1))
            rows[part].append(d.reshape(-1, 1))
        arrays = {f"{name}.{key}": np.concatenate(values).view(np.uint32) for key, values in rows.items()}
        (one,) = read(arrays)
        wrong = np.array([one.wrong(change) for change in EDGES.values()])
        wrong &= ~one.wrong()
        order = np.argsort(-wrong.sum(axis=0), kind="stable")
        taken = {int(row) for each in wrong for row in order[each[order]][:_EACH]}
        count = len(one.results) // len(_KINDS)
        taken |= {kind * count + 977 * step for kind in range(len(_KINDS)) for step in range(_EACH)}
        for key, numbers in arrays.items():
            sample[key] = numbers[sorted(taken)][..., None].view(np.uint8).transpose(2, 0, 1)
    np.savez_compressed(SAMPLE, allow_pickle=False, **sample)


if __name__ == "__main__":
    main(sys.argv[1])
