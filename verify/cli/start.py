"""Where ``prefixproof`` starts, before anything slow is imported: Ctrl-C is one line and status 130, help is shown."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

#: When this process started, before it imported what a proof rests on; ``None`` where something did so earlier.
STARTED = time.time() if not {"constructions", "proofs"} & set(sys.modules) else None


def _leave_at_once(signum: int, frame: FrameType | None) -> NoReturn:
    """Leave without Python's own shutdown: an import that is cut short must not print anything of its own."""
    os.write(2, b"interrupted\n")
    os._exit(130)


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    # a shell that starts this in the background ignores Ctrl-C on purpose; so it stays
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _leave_at_once)
    from verify.cli.terminal import finish, prepare, show_text  # noqa: PLC0415 # Ctrl-C from here on
    from verify.cli.written_help import written_help  # noqa: PLC0415 # the same

    prepare()
    text = written_help(sys.argv[1:])
    if text is not None:
        sys.exit(finish(show_text(text)))
    from verify.cli.app import main as run_and_exit  # noqa: PLC0415 # a second of imports

    run_and_exit()


if __name__ == "__main__":
    sys.exit(main())
