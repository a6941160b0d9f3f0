"""The command line ``prefixproof``.

Exit status: 0, every verdict holds; 1, a claim is falsified or not shown; 2, bad input, told in one line.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from constructions.validation import InvalidArgument
from verify import cli_certify, cli_evidence, cli_frontier, cli_limits, cli_show, cli_text

app = typer.Typer(
    name="prefixproof",
    help="Formal verification of hand-built transformers: what one virtual token can make a transformer do.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _module in (cli_evidence, cli_certify, cli_frontier, cli_text, cli_show, cli_limits):
    _module.register(app)


def main() -> NoReturn:
    """Run the command line and exit; an error of the user's is one line on standard error and status 2."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line on ``arguments`` and return the exit status."""
    try:
        result = app(arguments or ["--help"], prog_name="prefixproof", standalone_mode=False)
    except InvalidArgument as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename or 'file'}: {error.strerror or error}")
    except Exception as error:  # the base class of usage errors moves between releases of typer and click
        if not hasattr(error, "format_message") or not hasattr(error, "exit_code"):
            raise
        return _refuse(error.format_message())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201 # the command line's own output
        return 130
    return result if isinstance(result, int) else 0


def _refuse(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201 # the command line's own output
    return 2
