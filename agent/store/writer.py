"""The store of a running bot: one thread, one connection, writes committed in groups.

A function of an aggregate's module goes in with its arguments and comes back with its result once the transaction is
on disk. What waits at that moment shares one transaction and one flush, each function in a savepoint of its own, so
that one which raises undoes only itself. Functions run in the order in which they were handed in.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from agent.store.database import StoreError, explain, open_for_bot

P = ParamSpec("P")
T = TypeVar("T")

# How many functions share a transaction at most: a limit on how long the first of them waits for its commit.
GROUP = 200


@dataclass(eq=False, slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Store:
    """Use `open_store`. Belongs to the event loop that opened it."""

    def __init__(self, path: Path, db: sqlite3.Connection, executor: ThreadPoolExecutor) -> None:
        self.path = path
        self._db = db
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._guard = threading.Lock()
        self._waiting: deque[_Job] = deque()
        self._draining = False
        self._closed = False

    async def run(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The result of `work(connection, ...)`, committed. What it raises is raised here, its changes undone.

        Cancelling the caller does not take the work back: it is still done, and nobody learns how it went.

        Raises StoreError when the file cannot be written (nothing was changed then) or the store is closed.
        """
        if self._closed:
            raise StoreError("the store is closed; nothing may be written after the bot has stopped")
        job = _Job(lambda db: work(db, *args, **kwargs), self._loop.create_future())
        with self._guard:
            self._waiting.append(job)
            begin, self._draining = not self._draining, True
        if begin:
            self._executor.submit(self._drain)
        result: T = await job.future
        return result

    async def close(self) -> None:
        """Waits for everything that was handed in, then closes the file. Also when cancelled, which it then is."""
        if self._closed:
            return
        self._closed = True
        # After the jobs: the thread takes its tasks in order.
        closing = asyncio.wrap_future(self._executor.submit(self._db.close))
        cancelled: asyncio.CancelledError | None = None
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError as error:
                cancelled = error
        self._executor.shutdown()
        if cancelled is not None:
            raise cancelled
        closing.result()

    def _drain(self) -> None:
        """On the store's thread: groups until nothing waits."""
        while True:
            with self._guard:
                group = [self._waiting.popleft() for _ in range(min(GROUP, len(self._waiting)))]
                if not group:
                    self._draining = False
                    return
            _commit(self._db, group, self.path)
            self._loop.call_soon_threadsafe(_settle, group)


@contextlib.asynccontextmanager
async def open_store(path: Path) -> AsyncIterator[Store]:
    """Opens the database file at `path` for the bot, creating or migrating it, and closes it after the block.

    The caller holds the data folder's lock (`agent.store.lock`). Raises StoreError.
    """
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
    opening = executor.submit(open_for_bot, path)
    try:
        db = await asyncio.wrap_future(opening)
    except BaseException:
        # Cancelled meanwhile, the thread still opens the file; its next task closes it again.
        executor.submit(_abandon, opening)
        executor.shutdown(wait=False)
        raise
    store = Store(path, db, executor)
    try:
        yield store
    finally:
        await store.close()


def _abandon(opening: Future[sqlite3.Connection]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _commit(db: sqlite3.Connection, group: list[_Job], path: Path) -> None:
    """Runs the group in one transaction and leaves a result or an error in each job."""
    try:
        # IMMEDIATE: a transaction that begins by reading could not always go on to write (SQLITE_BUSY_SNAPSHOT).
        db.execute("BEGIN IMMEDIATE")
        for job in group:
            db.execute("SAVEPOINT job")
            try:
                job.result = job.work(db)
            except Exception as error:
                if not db.in_transaction:
                    raise  # a full disk, say: SQLite has undone everything, not this job alone
                db.execute("ROLLBACK TO job")
                job.error = error
            db.execute("RELEASE job")
        db.execute("COMMIT")
    except Exception as error:
        with contextlib.suppress(sqlite3.Error):
            db.rollback()
        for job in group:
            job.error = job.error or error
    for job in group:
        if isinstance(job.error, sqlite3.DatabaseError) and (better := explain(job.error, path)) is not None:
            better.__cause__ = job.error
            job.error = better


def _settle(group: list[_Job]) -> None:
    """On the event loop: hands results to those who still wait."""
    for job in group:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)
