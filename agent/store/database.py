"""The database file: opening it safely, for the bot and for commands beside it, and what can go wrong with it.

Knows paths, permissions, pragmas and versions. Does not know a table.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from agent.store import folder, schema

# How long to wait for another program's write before giving up, seconds. Ours take milliseconds.
BUSY_TIMEOUT = 5.0

# A file up to this size is checked page by page when the bot starts: 0.12 s for 200 MB, measured with a warm cache.
CHECKED_SIZE = 256 * 1024 * 1024

# The write-ahead log shrinks to this after a checkpoint; a long reader can let it grow far beyond.
WAL_SIZE = 16 * 1024 * 1024


class StoreError(Exception):
    """The database cannot be used; the message ends with the remedy.

    StoreError
     ├── StoreBusy        another program holds it: trying again may help
     └── SchemaMismatch   another version of this program wrote it: update, or start the bot once
    """


class StoreBusy(StoreError):
    pass


class SchemaMismatch(StoreError):
    pass


def open_for_bot(path: Path) -> sqlite3.Connection:
    """The bot's one connection, on the calling thread: file and folder made private, migrations applied.

    Raises StoreError for a file that is damaged, foreign, unreadable or of a newer version.
    """
    try:
        _make_private(path)
    except OSError as error:
        raise StoreError(
            f"{str(path)!r} cannot be created or opened ({error.strerror}); give this user the folder, or set "
            "AGENT_DATA_DIR to another one"
        ) from error
    with explained(path):
        db = _connect(path, "rw")
        try:
            _require_known(path, schema.applied(db))
            _require_ours(db, path)
            _require_sound(db, path)
            db.execute("PRAGMA journal_mode = WAL")
            # FULL, not NORMAL: NORMAL survives kill -9 but not a power cut, after which the last commits are missing.
            # A turn that WeCom will not send again, and a push that may not be repeated, are worth the 0.25 ms
            # (measured on NVMe, against 0.02 ms; commits in a group share it).
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute(f"PRAGMA journal_size_limit = {WAL_SIZE}")
            schema.migrate(db)
            db.row_factory = sqlite3.Row
        except BaseException:
            db.close()
            raise
    return db


@contextlib.contextmanager
def read(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection for a command, also while the bot writes. Sees one unchanging state of the database.

    Raises StoreError, SchemaMismatch among them.
    """
    with explained(path), contextlib.closing(_open_beside(path, "ro")) as db:
        db.execute("BEGIN")
        yield db


@contextlib.contextmanager
def write(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction of a command beside the bot, committed at the end of the block unless it raised.

    Raises StoreError; StoreBusy when another program writes for longer than five seconds.
    """
    with explained(path), contextlib.closing(_open_beside(path, "rw")) as db:
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns SQLite's errors about the file into StoreErrors with a remedy; mistakes in our SQL stay what they are."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if (better := explain(error, path)) is None:
            raise
        raise better from error


def explain(error: sqlite3.DatabaseError, path: Path) -> StoreError | None:
    """The StoreError that says what to do about `error`, or None for a mistake of this program."""
    # The low byte is the primary code, the rest narrows it down (sqlite.org/rescode.html).
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    file = repr(str(path))
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(
                f"{file} is locked by another program for over {BUSY_TIMEOUT:.0f} s; close the tool that has it open "
                "for writing"
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _damaged(path, str(error))
        case sqlite3.SQLITE_FULL:
            return StoreError(f"no room left on the disk of {file}; free some space")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            return StoreError(
                f"{file} cannot be opened or written ({error}); run as the user that owns it, and check that "
                "the disk is not read-only"
            )
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_PROTOCOL:
            return StoreError(
                f"the disk under {file} failed ({error}); check it, and use a local disk rather than a network share"
            )
    return None


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Transactions are begun and ended in the open, so the module's own implicit ones are off.
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)


def _open_beside(path: Path, mode: str) -> sqlite3.Connection:
    if not path.exists():
        raise StoreError(f"there is no database at {str(path)!r} yet; start the bot once, or set AGENT_DATA_DIR")
    db = _connect(path, mode)
    try:
        applied = schema.applied(db)
        _require_known(path, applied)
        if applied < set(schema.NAMES):
            raise SchemaMismatch(
                f"{str(path)!r} is from an older version ({_steps(set(schema.NAMES) - applied)} missing); start the "
                "bot once, which brings it up to date"
            )
        db.row_factory = sqlite3.Row
    except BaseException:
        db.close()
        raise
    return db


def _make_private(path: Path) -> None:
    """Folder 0700 and file 0600, made or corrected. SQLite gives its side files the mode of the main one."""
    folder.prepare(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    folder.close(path, 0o600)


def _require_known(path: Path, applied: set[str]) -> None:
    if unknown := applied - set(schema.NAMES):
        raise SchemaMismatch(
            f"{str(path)!r} was written by a newer version of wecom-agent (it has {_steps(unknown)}); update this one, "
            "or set AGENT_DATA_DIR to another folder"
        )


def _require_ours(db: sqlite3.Connection, path: Path) -> None:
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not schema.applied(db):
        raise StoreError(
            f"{str(path)!r} is the database of another program (tables {_steps(tables)}); set AGENT_DATA_DIR to a "
            "folder of the bot's own"
        )


def _require_sound(db: sqlite3.Connection, path: Path) -> None:
    if path.stat().st_size > CHECKED_SIZE:
        return
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise _damaged(path, " ".join(found.replace("*** in database main ***", "").split()))


def _damaged(path: Path, found: str) -> StoreError:
    return StoreError(
        f"{str(path)!r} is damaged ({found}); restore a backup of it, or move it with its -wal and -shm files out of "
        "the folder to begin anew, and try 'sqlite3 FILE .recover' on what was moved"
    )


def _steps(names: set[str]) -> str:
    first = sorted(names)[:3]
    return ", ".join(first) + (", ..." if len(names) > len(first) else "")
