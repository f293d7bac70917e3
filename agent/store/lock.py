"""The data folder's lock: one bot a folder, and a way for commands to see whether it lives.

The kernel holds the lock (flock) and lets go of it however the process ends, so a file that was left behind locks
nothing. Its content, the holder's process id and start, is for people.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.store import folder
from agent.store.columns import moment, stamp

# A look at the lock takes it for a moment, shared; so a bot that starts tries again for this long, in seconds.
PATIENCE = 0.5


@dataclass(frozen=True)
class Holder:
    """Who holds the lock. Both are None for the instant between taking the lock and writing them down."""

    pid: int | None
    started_at: datetime | None


class DataLocked(Exception):
    """Another bot works on this data folder."""

    def __init__(self, data_dir: Path, holder: Holder) -> None:
        self.holder = holder
        who = f"process {holder.pid}" if holder.pid else "another process"
        since = f", running since {stamp(holder.started_at)}," if holder.started_at else ""
        super().__init__(
            f"{str(data_dir)!r} is in use by {who}{since} as another bot's data folder; stop that one, or set "
            "AGENT_DATA_DIR to another folder"
        )


class DataUnusable(OSError):
    """The data folder cannot be made or written."""

    def __init__(self, data_dir: Path, error: OSError) -> None:
        super().__init__(
            f"AGENT_DATA_DIR: {str(data_dir)!r} cannot be made or written ({error.strerror}); give this user a folder "
            "there on a disk that is not read-only, or set another one"
        )


@contextlib.contextmanager
def hold(data_dir: Path, now: datetime | None = None) -> Iterator[None]:
    """Holds the folder for the block, making it first. `now` is the start time to write down, the present if None.

    Raises DataLocked when another process holds it, DataUnusable when the folder cannot be made or written. Child
    processes do not inherit it. May block for half a second: call it before the event loop runs.
    """
    try:
        folder.prepare(data_dir)
        descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as error:
        raise DataUnusable(data_dir, error) from error
    try:
        deadline = time.monotonic() + PATIENCE
        while not _take(descriptor, shared=False):
            if time.monotonic() > deadline:
                raise DataLocked(data_dir, _read(descriptor))
            time.sleep(0.02)
        os.ftruncate(descriptor, 0)
        content = {"pid": os.getpid(), "started_at": stamp(now or datetime.now(UTC))}
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps(content).encode())
        yield
    finally:
        os.close(descriptor)


def holder(data_dir: Path) -> Holder | None:
    """The live bot on this folder, or None. Waits for nothing and changes nothing."""
    try:
        descriptor = os.open(data_dir / "lock", os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return None
    try:
        return None if _take(descriptor, shared=True) else _read(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> Holder:
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        content = json.loads(os.read(descriptor, 1024))
        return Holder(int(content["pid"]), moment(content["started_at"]))
    except (ValueError, KeyError, TypeError):
        return Holder(None, None)


if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int, *, shared: bool) -> bool:
        # Windows locks bytes, and a locked byte cannot be read: one far behind the content stands for the file.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _take(descriptor: int, *, shared: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
