"""The help of all commands, as they say it of themselves."""

from __future__ import annotations

import json

from typer.main import get_command

from verify.cli.app import app
from verify.cli.written_help import noted


def as_written() -> str:
    """Return the text of ``verify/cli/help.json``, one line for each call of a formatter."""
    parts = [
        f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(call, ensure_ascii=False) for call in calls) + "\n]"
        for name, calls in noted(get_command(app)).items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"
