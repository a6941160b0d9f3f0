"""What a ledger says of its run, for people and for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flint

from verify.evidence.verdict import Verdict
from verify.numbers import decimal, number
from verify.report.progress import duration, speed
from verify.report.tables import explanation
from verify.shards.checking import check_whole
from verify.shards.ledger_file import LEASE, is_gone, read_only, told
from verify.shards.records import State, moment

#: What a run with a verdict is called, by whether it holds.
_ENDS = {True: "done", False: "refuted", None: "not shown"}


def summary(path: Path, *, clock: Callable[[], float] = time.time) -> dict[str, Any]:
    """Return what a ledger says, as JSON values; the ledger stays as it is.

    Args:
        path: the file.
        clock: seconds since 1970.

    Returns:
        ``state``: ``running`` while a driver gives signs of life, ``refuted`` as soon as a unit is not shown right and
        every one below it is done, ``done``, ``not shown``, or ``interrupted``; units ``done``, ``claimed`` and in
        ``total``; the ``claims`` and the ``drivers``; the ``verdict``, where there is one.

    Raises:
        InvalidArgument: there is no such file, or it is no ledger, or a damaged one.

    """
    connection = read_only(path)
    try:
        with told(path):
            connection.execute("BEGIN")  # all of it at one moment
            row = connection.execute("SELECT digest, work, title, total, bound, started, verdict FROM run").fetchone()
            check_whole(connection, row[0], path)
            claims = connection.execute(
                "SELECT start, stop, driver, since, until FROM claims ORDER BY start"
            ).fetchall()
            drivers = connection.execute(
                "SELECT name, since, seen, shards, units, host, pid FROM drivers ORDER BY since"
            ).fetchall()
            rows = connection.execute("SELECT start, stop, findings, saved FROM done ORDER BY start").fetchall()
            connection.execute("COMMIT")
    finally:
        connection.close()
    digest, work, title, total, bound, started, verdict = row
    now = clock()
    found = State.of(rows)
    gone = {name for name, *_, host, pid in drivers if is_gone(host, pid)}
    alive = {name for _, _, name, _, until in claims if 0 <= until - now <= LEASE} - gone
    ended = None if verdict is None else Verdict.from_json(json.loads(verdict))
    state = _ENDS[ended.holds] if ended is not None else "running" if alive else "interrupted"
    done, rate = sum(stop - start for start, stop in found.ranges), _rate(drivers, alive, now)
    left = int(flint.fmpz(total)) - done
    return {
        "ledger": str(path),
        "work": work,
        "run": title,
        "digest": digest,
        "state": state,
        "total": total,
        "done": decimal(done),
        "claimed": decimal(sum(stop - start for start, stop, *_ in claims)),
        "failure": None if bound is None else decimal(bound),
        "margin": found.findings.to_json()["margin"],
        "started": moment(started),
        "rate": rate,
        "seconds_left": left / rate if rate and state == "running" else None,
        "bytes": path.stat().st_size,
        "claims": [
            {
                "start": decimal(start),
                "stop": decimal(stop),
                "driver": name,
                "since": moment(since),
                "until": moment(to),
            }
            for start, stop, name, since, to in claims
        ],
        "drivers": [
            {
                "name": name,
                "since": moment(since),
                "seen": moment(seen),
                "shards": shards,
                "units": decimal(units),
                "alive": name in alive,
            }
            for name, since, seen, shards, units, *_ in drivers
        ],
        "verdict": None if ended is None else ended.to_json(),
    }


def _rate(drivers: list[Any], alive: set[str], now: float) -> float | None:
    """Return how many units the living drivers do in a second, together."""
    rates = [units / (now - since) for name, since, _, _, units, *_ in drivers if name in alive and now > since]
    return sum(rates) or None


def lines(found: dict[str, Any]) -> list[str]:
    """Return a summary as lines for people."""
    done, total = (int(flint.fmpz(found[name])) for name in ("done", "total"))
    said = [f"{found['ledger']}: {found['work']} {found['run']}: {found['state']}"]
    rate = "" if found["rate"] is None else f", {speed(found['rate'])}"
    left = "" if found["seconds_left"] is None else f", about {duration(found['seconds_left'])} left"
    said.append(f"  {number(done)} of {number(total)} done ({100 * done // max(total, 1)} %){rate}{left}")
    if found["failure"] is not None:
        said.append(f"  unit {found['failure']} is not shown right")
    for driver in found["drivers"]:
        held = [claim for claim in found["claims"] if claim["driver"] == driver["name"]]
        what = f"{driver['shards']} shards, {driver['units']} units" + (f", {len(held)} claimed" if held else "")
        said.append(f"  {driver['name']}: {what}, last seen {driver['seen']}")
    if found["verdict"] is not None:
        said += [f"  {line}" for line in explanation(Verdict.from_json(found["verdict"]))]
    return said
