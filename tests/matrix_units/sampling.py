"""Choose the sample of recorded sums: ``python -m tests.matrix_units.sampling OUR-OWN.npz``, beside all recorded ones.

Of each GPU and format it takes the sums that reject most wrong variants, at least 16 for each variant that any rejects.
"""

from __future__ import annotations

import sys

import numpy as np

from tests.matrix_units.recorded import SAMPLE, found, read
from tests.matrix_units.variants import VARIANTS

_ROWS = 225
_EACH = 16


def _chosen(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return the rows to take of one GPU and format."""
    wrong = np.array([one.wrong(change) for one in read(arrays) for change in VARIANTS.values()])
    order = np.argsort(-wrong.sum(axis=0), kind="stable")
    taken = {int(row) for kind in wrong for row in order[kind[order]][:_EACH]}
    taken |= set(order[: _ROWS - len(taken)].tolist())
    return np.sort(np.array(sorted(taken)))


def main(own: str) -> None:
    """Write the sample."""
    path = found()
    assert path is not None
    arrays = {**np.load(path), **np.load(own)}
    sample: dict[str, np.ndarray] = {}
    seen = set()
    for name in sorted({key.rsplit(".", 1)[0] for key in arrays}):
        one = {key: arrays[key] for key in arrays if key.startswith(name + ".")}
        content = one[name + ".c"].tobytes() + one[name + ".d_fp32"].tobytes()
        if content in seen:  # two GPUs for which the same numbers are published
            continue
        seen.add(content)
        rows = _chosen(one)
        for key, numbers in one.items():
            # the four bytes of numbers apart: those that are always zero take no room
            sample[key] = numbers[rows][..., None].view(np.uint8).transpose(2, 0, 1)
    np.savez_compressed(SAMPLE, allow_pickle=False, **sample)


if __name__ == "__main__":
    main(sys.argv[1])
