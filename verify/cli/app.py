"""The command line ``prefixproof``; :mod:`verify.cli.terminal` says what its exit status means."""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import version as version_of
from typing import Annotated, Any, NoReturn

import typer
from typer.main import get_command

from constructions.validation import InvalidArgument
from verify.cli import certifying as cli_certify
from verify.cli import completions as cli_completions
from verify.cli import conformance as cli_conformance
from verify.cli import device as cli_device
from verify.cli import evidence as cli_evidence
from verify.cli import experiments as cli_experiments
from verify.cli import exponentials as cli_exponentials
from verify.cli import exporting as cli_export
from verify.cli import frontier as cli_frontier
from verify.cli import limits as cli_limits
from verify.cli import report as cli_report
from verify.cli import sharding as cli_sharding
from verify.cli import show as cli_show
from verify.cli import text as cli_text
from verify.cli import verifying as cli_verify
from verify.cli.groups import OTHER_EXITS
from verify.cli.terminal import BAD_INPUT, echo, finish, prepare, tell, tell_interrupted, told_as
from verify.requests.own import author_mistake, begin_command

app = typer.Typer(
    name="prefixproof",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _module in (
    cli_verify,
    cli_evidence,
    cli_certify,
    cli_conformance,
    cli_frontier,
    cli_exponentials,
    cli_text,
    cli_show,
    cli_limits,
    cli_completions,
    cli_experiments,
    cli_export,
    cli_device,
    cli_sharding,
    cli_report,
):
    _module.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        echo(f"prefixproof {version_of('prefixproof')}")
        raise typer.Exit


@app.callback(epilog=f"Exit status: 0 holds, 1 falsified or not shown, {OTHER_EXITS}")
def _everywhere(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="show the version and exit")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error; may stand anywhere")] = False,
) -> None:
    """Formal verification of hand-built transformers: what one virtual token can make a transformer do."""


def main() -> NoReturn:
    """Run the command line and exit."""
    prepare()
    sys.exit(finish(run(sys.argv[1:])))


def run(arguments: list[str]) -> int:
    """Run the command line on ``arguments`` and return the exit status; nothing but a verdict is 0 or 1."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug, as_json = "--debug" in options, "--json" in options
    given = [word for word in options if word != "--debug"] + arguments[len(options) :]
    begin_command()
    try:
        return _invoke(given or ["--help"])
    except InvalidArgument as error:
        return tell(str(error), BAD_INPUT, as_json=as_json, cause=error if debug else None)
    except (KeyboardInterrupt, typer.Abort):
        return tell_interrupted()
    except (Exception, SystemExit) as error:  # noqa: BLE001 # whatever it is, it must not end as a verdict
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # the base class of usage errors moves
            message, status = error.format_message(), BAD_INPUT
        elif (mistake := author_mistake(error)) is not None:
            message, status = mistake, BAD_INPUT
        else:
            message, status = told_as(error)
        return tell(message, status, as_json=as_json, cause=error if debug else None)


def _invoke(arguments: list[str]) -> int:
    """Run the command without the library's own ``main``, which ends in status 1 on a closed pipe."""
    command = _command()
    try:
        with command.make_context("prefixproof", list(arguments)) as context:
            result = command.invoke(context)
    except typer.Exit as end:  # --help and --version
        return end.exit_code
    return result if isinstance(result, int) else 0


@cache
def _command() -> Any:
    """Return the commands, which are put together once in a process."""
    return get_command(app)
