"""The ledger of a run: which units are done and with which findings, and which are claimed, by whom and until when.

Rows are made as shards are claimed, and findings of neighbours are merged into one row: a ledger is as long as what is
under way is scattered, however many shards there are. At any moment the rows of what is done, open and claimed are
disjoint, and together they are all units below a cursor.

A claim has a number that is never used again, and its findings count only while the claim is there: a driver that was
taken for dead and comes back has lost its claims, and nothing counts twice.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from constructions.validation import InvalidArgument
from verify.numbers import decimal
from verify.shards.checking import Objection, check_whole, refuse_other
from verify.shards.findings import Findings
from verify.shards.ledger_file import BEAT, LEASE, connected, is_gone, told, transaction
from verify.shards.records import LARGEST_UNIT, Run, Shard, Standing, State, read_findings, sealed


class Ledger:
    """A run's ledger, in a file or in memory.

    Example:
        >>> ledger = Ledger(None, Run({"of": "an example"}, "exhaust", "an example", total=10))
        >>> shard = ledger.claim(lambda start, remaining: start + 4)
        >>> shard.start, shard.stop
        (0, 4)
        >>> from verify.running.ranks import RankTally
        >>> ledger.complete(shard, Findings(RankTally(4)))
        True
        >>> ledger.complete(shard, Findings(RankTally(4)))  # it counts once
        False
        >>> ledger.standing().units
        4

    """

    def __init__(
        self,
        path: Path | None,
        run: Run,
        *,
        clock: Callable[[], float] = time.time,
        driver: str | None = None,
        objection: Objection = Findings.objection,
    ) -> None:
        """Open the ledger of a run, or begin it.

        Args:
            path: the file; ``None`` for one in memory.
            run: what it is of.
            clock: seconds since 1970.
            driver: the name of this driver, by default a new one.
            objection: says why findings cannot be those of some units of this run.

        Raises:
            InvalidArgument: the file is no ledger, of another run, damaged or edited, or cannot be written.

        """
        self.path, self.run, self._clock, self._objection = path, run, clock, objection
        self._units = 0  # that this driver did
        self.driver = driver or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._connection = connected(path)
        try:
            with self._writing() as sql:
                self._begin(sql)
                check_whole(sql, run.digest, path, objection=objection)
        except BaseException:
            self._connection.close()
            raise

    def _begin(self, sql: sqlite3.Connection) -> None:
        run, now = self.run, self._clock()
        held = sql.execute("SELECT digest, key, work, title FROM run").fetchone()
        key = json.dumps(dict(run.key), sort_keys=True, allow_nan=False)
        if held is None:
            values = (run.digest, key, run.work, run.title, decimal(run.total), now)
            sql.execute("INSERT INTO run VALUES (0, ?, ?, ?, ?, ?, 0, NULL, ?, NULL)", values)
        elif held[:3] != (run.digest, key, run.work):
            refuse_other(run, self.path, *held[1:])
        sql.execute(
            "INSERT INTO drivers VALUES (?, ?, ?, ?, ?, 0, 0)",
            (self.driver, socket.gethostname(), os.getpid(), now, now),
        )

    def claim(self, upto: Callable[[int, int], int], *, below: int | None = None) -> Shard | None:
        """Claim units for this driver: what others left first, then new ones.

        Args:
            upto: of the first unit and the number of units that nobody has claimed, where the shard is to end.
            below: claim no unit from here on.

        Returns:
            The shard, of at least one unit; ``None`` where nothing is left that nobody has claimed.

        """
        with self._writing() as sql:
            now = self._clock()
            self._take_over(sql, now)
            end, cursor = self._end(sql, below), self._cursor(sql)
            ((waiting, first),) = sql.execute(
                "SELECT coalesce(sum(min(stop, ?1) - start), 0), min(start) FROM open WHERE start < ?1", (end,)
            )
            remaining = waiting + max(0, end - cursor)
            if not remaining:
                return None
            if first is None:
                start, last = cursor, end
            else:
                ((start, last),) = sql.execute("SELECT start, stop FROM open WHERE start = ?", (first,))
            stop = min(max(upto(start, remaining), start + 1), last, end)
            if first is None:
                sql.execute("UPDATE run SET cursor = ?", (stop,))
            else:
                sql.execute("DELETE FROM open WHERE start = ?", (start,))
                if stop < last:
                    sql.execute("INSERT INTO open VALUES (?, ?)", (stop, last))
            made = sql.execute(
                "INSERT INTO claims (start, stop, driver, since, until) VALUES (?, ?, ?, ?, ?)",
                (start, stop, self.driver, now, now + LEASE),
            )
            assert made.lastrowid is not None, "a row was inserted"
            return Shard(made.lastrowid, start, stop)

    def complete(self, shard: Shard, findings: Findings) -> bool:
        """Count the findings of a shard; return whether they count: not where the claim was given to another driver."""
        with self._writing() as sql:
            found = sql.execute(
                "DELETE FROM claims WHERE id = ? AND driver = ? AND start = ? AND stop = ?",
                (shard.id, self.driver, shard.start, shard.stop),
            )
            if found.rowcount != 1:
                return False
            now, failure = self._clock(), findings.tally.failure
            self._add(sql, shard.start, shard.stop, findings, now)
            if failure is not None:
                sql.execute("UPDATE run SET bound = min(coalesce(bound, ?1), ?1)", (failure,))
            sql.execute(
                "UPDATE drivers SET seen = ?, shards = shards + 1, units = units + ? WHERE name = ?",
                (now, shard.stop - shard.start, self.driver),
            )
        self._units += shard.stop - shard.start
        return True

    def _add(self, sql: sqlite3.Connection, start: int, stop: int, findings: Findings, now: float) -> None:
        """Write what is done, in one row with its neighbours; not beyond a failure, nor where rows would grow."""
        while not findings.identities and findings.tally.failure is None:
            near = sql.execute(
                "SELECT start, stop, findings FROM done WHERE stop = ? OR start = ?", (start, stop)
            ).fetchall()
            joined = [(row, made) for row in near if (made := read_findings(row[2])).tally.failure is None]
            if not joined:
                break
            (first, last, _), beside = joined[0]
            sql.execute("DELETE FROM done WHERE start = ?", (first,))
            start, stop, findings = min(start, first), max(stop, last), findings + beside
        text = json.dumps(findings.to_json(), allow_nan=False)
        seal = sealed(self.run.digest, start, stop, text)
        sql.execute("INSERT INTO done VALUES (?, ?, ?, ?, ?)", (start, stop, text, seal, now))

    def release(self, shard: Shard) -> None:
        """Give a shard back, so that anyone may claim it."""
        with self._writing() as sql:
            held = sql.execute("DELETE FROM claims WHERE id = ? AND driver = ?", (shard.id, self.driver))
            if held.rowcount == 1:
                sql.execute("INSERT INTO open VALUES (?, ?)", (shard.start, shard.stop))

    def _take_over(self, sql: sqlite3.Connection, now: float) -> None:
        """Open the claims of drivers that are gone.

        A lease that ends later than any that begins now was written by a clock that has since been put back.
        """
        rows = sql.execute(
            "SELECT id, start, stop, until, host, pid FROM claims LEFT JOIN drivers ON name = driver WHERE driver != ?",
            (self.driver,),
        ).fetchall()
        for number, start, stop, until, host, pid in rows:
            if 0 <= until - now <= LEASE and not is_gone(host, pid):
                continue
            sql.execute("DELETE FROM claims WHERE id = ?", (number,))
            sql.execute("INSERT INTO open VALUES (?, ?)", (start, stop))

    def beat(self, sql: sqlite3.Connection | None = None) -> None:
        """Give a sign of life: the claims of this driver stay its own."""
        with self._writing(sql) as writing:
            now = self._clock()
            writing.execute("UPDATE claims SET until = ? WHERE driver = ?", (now + LEASE, self.driver))
            writing.execute("UPDATE drivers SET seen = ? WHERE name = ?", (now, self.driver))

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Give signs of life from a thread, as one shard may take longer than a lease."""
        if self.path is None:
            yield
            return
        ended = threading.Event()

        def repeat() -> None:
            while not ended.wait(BEAT):
                try:
                    connection = connected(self.path)
                    try:
                        self.beat(connection)
                    finally:
                        connection.close()
                except InvalidArgument:
                    continue  # the driver itself meets whatever it is, and tells it

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def standing(self, *, below: int | None = None) -> Standing:
        """Return how far the run is; ``below``: a unit from which on nothing is asked for."""
        with self._writing() as sql:
            end = self._end(sql, below)
            ((units,),) = sql.execute("SELECT coalesce(sum(stop - start), 0) FROM done")
            ((left, lease),) = sql.execute(
                "SELECT count(*), min(CASE WHEN driver != ? THEN until END) FROM claims WHERE start < ?",
                (self.driver, end),
            )
            ((opened,),) = sql.execute("SELECT count(*) FROM open WHERE start < ?", (end,))
            complete = not left and not opened and self._cursor(sql) >= end
        ends = None if lease is None else max(0.0, lease - self._clock())
        return Standing(units, units - self._units, complete, ends)

    def state(self, *, below: int | None = None) -> State:
        """Return what was found up to the first failure, and below a unit.

        Raises:
            InvalidArgument: the ledger is damaged or was edited; see :func:`~verify.shards.checking.check_whole`.

        """
        with self._writing() as sql:
            check_whole(sql, self.run.digest, self.path, objection=self._objection)
            # the shard of the first failure begins at it or before
            rows = sql.execute(
                "SELECT start, stop, findings, saved FROM done WHERE start <= ? AND start < ? ORDER BY start",
                (self._end(sql, None), LARGEST_UNIT if below is None else below),
            ).fetchall()
            ((shards,),) = sql.execute("SELECT coalesce(sum(shards), 0) FROM drivers")
        return State.of(rows, shards)

    def rows(self) -> int:
        """Return how many rows say what is done, claimed and open."""
        with self._writing() as sql:
            tables = "SELECT (SELECT count(*) FROM done) + (SELECT count(*) FROM claims) + (SELECT count(*) FROM open)"
            return int(sql.execute(tables).fetchone()[0])

    def finish(self, verdict: Mapping[str, Any]) -> None:
        """Write the verdict down."""
        with self._writing() as sql:
            sql.execute("UPDATE run SET verdict = ?", (json.dumps(dict(verdict), allow_nan=False),))

    def close(self) -> None:
        """Give back what this driver has claimed, and close the file."""
        try:
            with self._writing() as sql:
                sql.execute("INSERT INTO open SELECT start, stop FROM claims WHERE driver = ?", (self.driver,))
                sql.execute("DELETE FROM claims WHERE driver = ?", (self.driver,))
        finally:
            self._connection.close()

    def _end(self, sql: sqlite3.Connection, below: int | None) -> int:
        ((bound,),) = sql.execute("SELECT bound FROM run")
        return min(end for end in (self.run.total, bound, below, LARGEST_UNIT) if end is not None)

    @staticmethod
    def _cursor(sql: sqlite3.Connection) -> int:
        return int(sql.execute("SELECT cursor FROM run").fetchone()[0])

    @contextmanager
    def _writing(self, sql: sqlite3.Connection | None = None) -> Iterator[sqlite3.Connection]:
        connection = self._connection if sql is None else sql
        with told(self.path), transaction(connection):
            yield connection
