"""How a worker makes the same run again: from the words of a command, or from what Python can pickle."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from constructions.validation import InvalidArgument
from verify.shards.works import WORKS

if TYPE_CHECKING:
    from verify.requests import Request
    from verify.shards.works.base import Work


@dataclass(frozen=True)
class Recipe:
    """A run as text.

    Attributes:
        text: JSON; of a command, it holds words alone, and no code.

    """

    text: str

    @classmethod
    def of_request(cls, word: str, request: Request, settings: Mapping[str, Any] | None = None) -> Recipe:
        """Return the recipe of a command.

        Args:
            word: the kind of run.
            request: the claim, its sizes and the arithmetic.
            settings: what else the command was given, as JSON values.

        Raises:
            InvalidArgument: the request holds something that no command could say.

        """
        from verify.requests.record import request_to_json  # noqa: PLC0415 # with all claims

        return cls(json.dumps({"work": word, "request": request_to_json(request), "settings": dict(settings or {})}))

    @classmethod
    def of_python(cls, make: Callable[..., Work], *given: Any) -> Recipe:
        """Return the recipe of what Python can pickle.

        Args:
            make: a function or class of a module, which makes the run of what is ``given``.
            given: anything that can be pickled.

        Raises:
            InvalidArgument: it cannot be pickled, or only in this very process.

        """
        try:
            held = pickle.dumps((make, given))
            pickle.loads(held)  # noqa: S301 # our own, a line above
        except Exception as error:
            raise InvalidArgument(
                "construction: expected one that can be pickled, so that workers can make it again, or a function of a"
                f" module that makes it, but {' '.join(str(error).split())}"
            ) from error
        if b"__main__" in held:
            raise InvalidArgument(
                "construction: expected one of a module that workers can import but it is of __main__, the script that"
                " runs; put it in a file of its own"
            )
        return cls(json.dumps({"pickled": base64.b64encode(held).decode()}))

    def work(self) -> Work:
        """Make the run."""
        record = json.loads(self.text)
        if "request" in record:
            from verify.requests.record import request_from_json  # noqa: PLC0415 # with all claims

            return WORKS[record["work"]].work.of(request_from_json(record["request"]), record["settings"])
        make, given = pickle.loads(base64.b64decode(record["pickled"]))  # noqa: S301 # of the driver's own user
        found: Work = make(*given)
        return found
