"""The file of a ledger: how it is made and opened, and why another file is refused."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from constructions.validation import InvalidArgument

#: Marks a SQLite file as a ledger of this package: the bytes ``PfPr``.
APPLICATION = int.from_bytes(b"PfPr")
#: Raised with every change of the tables; an older ledger is refused, and nothing in it is touched.
SCHEMA = 1
#: Seconds that a driver may be silent before its shards are given to others. Nothing rests on it but time: a shard that
#: was given away counts once, whoever finishes it. A machine under load, or one that swaps, stops a process for
#: seconds.
LEASE = 60.0
#: Seconds between two signs of life: a driver that misses three of them in a row is still in time with the fourth.
BEAT = LEASE / 4
#: Seconds that a transaction waits for another one: so long that a sign of life that waited is still in time.
BUSY = LEASE / 2
#: Bytes of the smallest page of a SQLite file.
_PAGE = 512

_TABLES = (
    "CREATE TABLE run (one INTEGER PRIMARY KEY CHECK (one = 0), digest TEXT NOT NULL, key TEXT NOT NULL,"
    " work TEXT NOT NULL, title TEXT NOT NULL, total TEXT NOT NULL, cursor INTEGER NOT NULL, bound INTEGER,"
    " started REAL NOT NULL, verdict TEXT)",
    "CREATE TABLE claims (id INTEGER PRIMARY KEY AUTOINCREMENT, start INTEGER NOT NULL, stop INTEGER NOT NULL,"
    " driver TEXT NOT NULL, since REAL NOT NULL, until REAL NOT NULL)",
    "CREATE TABLE open (start INTEGER PRIMARY KEY, stop INTEGER NOT NULL)",
    "CREATE TABLE done (start INTEGER PRIMARY KEY, stop INTEGER NOT NULL UNIQUE, findings TEXT NOT NULL,"
    " seal TEXT NOT NULL, saved REAL NOT NULL)",
    "CREATE TABLE drivers (name TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, since REAL NOT NULL,"
    " seen REAL NOT NULL, shards INTEGER NOT NULL, units INTEGER NOT NULL)",
)


def connected(path: Path | None) -> sqlite3.Connection:
    """Return a connection to a ledger, made where it is not there; ``None`` is one in memory.

    Every commit waits until the disk has it (``synchronous = FULL``), so that not even a power cut takes one back.

    Raises:
        InvalidArgument: the file is no ledger, of another schema, damaged, or cannot be written.

    """
    if path is not None and path.exists() and not path.is_file():
        raise InvalidArgument(f"ledger: expected a regular file but {path} is not one")
    if path is not None and path.is_file() and 0 < path.stat().st_size < _PAGE:
        # SQLite would take it for empty, and write over it
        raise InvalidArgument(f"ledger: expected a ledger but {path} is too short to be one")
    with told(path):
        found = sqlite3.connect(":memory:" if path is None else path, timeout=BUSY, isolation_level=None)
    try:
        with told(path):
            check_kind(found, path, empty=True)
            _to_wal(found)
            found.execute("PRAGMA synchronous = FULL")
            with transaction(found):
                if not _tables(found):  # asked again inside: two drivers may make the same file
                    for statement in _TABLES:
                        found.execute(statement)
                    found.execute(f"PRAGMA application_id = {APPLICATION}")
                    found.execute(f"PRAGMA user_version = {SCHEMA}")
    except BaseException:
        found.close()
        raise
    return found


def read_only(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads.

    Raises:
        InvalidArgument: there is no such file, or it is no ledger.

    """
    if not path.is_file():
        raise InvalidArgument(f"ledger: expected a ledger but there is no file {path}")
    with told(path):
        found = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY, isolation_level=None)
        try:
            check_kind(found, path, empty=False)
        except BaseException:
            found.close()
            raise
    return found


def check_kind(connection: sqlite3.Connection, path: Path | None, *, empty: bool) -> None:
    """Refuse a file of another program, of another schema, or a damaged one.

    Args:
        connection: to the file.
        path: for messages.
        empty: accept a file without any table.

    """
    if not _tables(connection):
        if empty:
            return
        raise InvalidArgument(f"ledger: expected a ledger but {path} is empty")
    # asked after the tables, which another driver may make at this moment, all in one transaction
    ((application,),) = connection.execute("PRAGMA application_id")
    ((schema,),) = connection.execute("PRAGMA user_version")
    if application != APPLICATION:
        raise InvalidArgument(f"ledger: expected a ledger but {path} is a database of another program")
    if schema != SCHEMA:
        raise InvalidArgument(
            f"ledger: expected one of schema {SCHEMA} but {path} has schema {schema}; go on with the version that made"
            " it, or take another file"
        )
    problems = [text for (text,) in connection.execute("PRAGMA quick_check(1)")]
    if problems != ["ok"]:
        raise InvalidArgument(f"ledger: expected a ledger but {path} is damaged: {' '.join(problems[0].split())}")
    # a trigger would change rows behind our back; SQLite makes the table of the numbers of claims itself
    own = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'sqlite_sequence'"
    if {text for (text,) in connection.execute(own)} != {*_TABLES}:
        raise InvalidArgument(
            f"ledger: expected a ledger but {path} was damaged or edited: its tables differ from ours"
        )


def _tables(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def _to_wal(connection: sqlite3.Connection) -> None:
    """Turn to a write-ahead log, in which readers never wait; SQLite does not wait for others itself when it turns."""
    deadline = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(BUSY / 1000)
        else:
            return


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all of it or nothing, alone."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # where the disk is full, SQLite has taken it back itself
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def told(path: Path | None) -> Iterator[None]:
    """Tell what SQLite cannot do in one line."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite's own text, of a damaged file
        code = getattr(error, "sqlite_errorcode", None)
        why = f"it has been locked for {BUSY:.0f} s" if code == sqlite3.SQLITE_BUSY else str(error)
        raise InvalidArgument(f"ledger: expected a ledger that can be read and written but {path}: {why}") from error


def is_gone(host: str | None, pid: int | None) -> bool:
    """Say whether a driver of this very machine has ended; of one on another machine nothing is known."""
    if host != socket.gethostname() or pid is None or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # no process has so large a number
        return True
    except OSError:
        return False
    return False
