"""Results one by one, as lines of JSON: the file of a long run, from which a killed one goes on."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from constructions.validation import InvalidArgument
from verify.files.atomic import check_output, write_atomically

#: The file is written again when this many times as long has gone by as writing took the last time, so that writing
#: takes at most a tenth of the time.
_SELDOM = 9

#: A result as JSON values.
Result = Mapping[str, Any]


class JsonLines:
    """The file of one run: a line that says which run it is, a line for each result, a line with a digest of these.

    The whole file is written at once, so that a reader sees results that are whole, and their digest. The digest
    guards against damage and edits; it is no signature.
    """

    def __init__(self, path: Path, name: str, key: Result, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the file of a run; it need not be there.

        Args:
            path: the file.
            name: what it is, for messages.
            key: what it is the file of; a file of anything else is refused.
            clock: seconds that only grow.

        Raises:
            InvalidArgument: it could not be written.

        """
        check_output(path, name)
        self.path, self.name, self._clock = path, name, clock
        self._key = json.loads(json.dumps(key))  # as it comes back
        self._lines = [_line({"run": self._key})]
        self._digest = hashlib.sha256(self._lines[0].encode())
        self._kept, self._due = 0, -float("inf")

    @property
    def sha256(self) -> str:
        """The digest of the run and its results so far."""
        return self._digest.hexdigest()

    def taken_over(self, most: int) -> list[dict[str, Any]]:
        """Return the results of the file, an empty list where there is none; further ones come after them.

        Args:
            most: how many results a finished run has.

        Raises:
            InvalidArgument: the file is damaged, was edited, or is another run's.

        """
        if not self.path.exists():
            return []
        try:
            *body, seal = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            found = json.loads(seal)
            read = [json.loads(line) for line in body]
        except (ValueError, RecursionError) as error:
            self._refuse(f"it cannot be read: {' '.join(str(error).split())}")
        digest = hashlib.sha256("".join(body).encode())
        if not isinstance(found, dict) or found.get("sha256") != digest.hexdigest() or not body:
            self._refuse("it was damaged or edited: its digest is another")
        self._check(read[0])
        if len(read) - 1 > most:
            self._refuse(f"it has {len(read) - 1} results of {most}")
        self._lines, self._digest = body, digest
        self._kept = len(body)
        return read[1:]

    def _check(self, first: Any) -> None:
        held = first.get("run") if isinstance(first, dict) else None
        if held == self._key:
            return
        if not isinstance(held, dict):
            self._refuse("its first line does not say of which run")
        names = sorted(name for name in {*held, *self._key} if held.get(name) != self._key.get(name))
        raise InvalidArgument(
            f"{self.name}: expected the results of this very run but {self.path} differs in {', '.join(names)}; remove"
            " it to start afresh"
        )

    def add(self, results: Sequence[Result]) -> None:
        """Add results, and write the file where that is due."""
        lines = [_line(result) for result in results]
        self._lines += lines
        self._digest.update("".join(lines).encode())
        if self._clock() >= self._due:
            self.write()

    def write(self) -> None:
        """Write the file, unless all of it is there."""
        if self._kept == len(self._lines):
            return
        started = self._clock()
        seal = {"saved": datetime.now(UTC).isoformat(timespec="seconds"), "sha256": self.sha256}
        write_atomically(self.path, "".join([*self._lines, _line(seal)]))
        self._kept = len(self._lines)
        self._due = self._clock() + _SELDOM * (self._clock() - started)

    def _refuse(self, why: str) -> NoReturn:
        raise InvalidArgument(f"{self.name}: expected a file of results but {self.path} is not: {why}")


def _line(record: Result) -> str:
    return json.dumps(record, ensure_ascii=True, allow_nan=False, separators=(", ", ": ")) + "\n"
