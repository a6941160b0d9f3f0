"""The console that tables are printed on."""

from __future__ import annotations

from rich.console import Console


class WideConsole(Console):
    """A console that leaves a closed pipe to whoever runs the command."""

    def on_broken_pipe(self) -> None:
        """Raise the error that rich handles when it calls this; it would exit with status 1, which is a verdict."""
        raise  # noqa: PLE0704 # rich calls this where it handles the error
