"""The store's thread: groups, order, errors, cancellation, closing; and kill -9."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.store import Store, StoreError, open_store, read, turns
from agent.store.states import IllegalTransition
from tests.store.conftest import at
from tests.store.samples import arrival


def texts(path: Path) -> list[str]:
    with read(path) as db:
        return [text for (text,) in db.execute("SELECT text FROM turns ORDER BY id")]


async def test_a_result_is_on_disk_before_it_comes_back(store: Store) -> None:
    assert await store.run(turns.receive, **arrival("1", text="一")) == 1
    assert texts(store.path) == ["一"]


async def test_what_waits_shares_a_transaction_and_keeps_its_order(store: Store, path: Path) -> None:
    commits: list[str] = []
    await store.run(lambda db: db.set_trace_callback(commits.append))
    ids = await asyncio.gather(*(store.run(turns.receive, **arrival(str(number))) for number in range(500)))
    assert ids == sorted(ids) == list(range(1, 501))
    assert sum(statement == "COMMIT" for statement in commits) < 20
    await store.run(lambda db: db.set_trace_callback(None))


async def test_an_error_undoes_only_its_own_work(store: Store) -> None:
    def half(db: sqlite3.Connection) -> None:
        turns.receive(db, **arrival("half"))
        raise KeyError("half way")

    def double(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO chats (key) VALUES ('incomplete')")

    results = await asyncio.gather(
        store.run(turns.receive, **arrival("1", text="一")),
        store.run(half),
        store.run(double),
        store.run(turns.start, 99, at(1)),
        store.run(turns.receive, **arrival("2", text="二")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [int, KeyError, sqlite3.IntegrityError, IllegalTransition, int]
    assert texts(store.path) == ["一", "二"]


async def test_several_changes_in_one_function_are_one(store: Store) -> None:
    def both(db: sqlite3.Connection) -> None:
        turn = turns.receive(db, **arrival("1"))
        assert turn is not None
        turns.start(db, turn, at(1))
        turns.deliver(db, turn, at(2))  # not answered yet

    with pytest.raises(IllegalTransition):
        await store.run(both)
    assert texts(store.path) == []


async def test_the_loop_is_free_while_the_thread_works(store: Store) -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait(db: sqlite3.Connection) -> str:
        entered.set()
        assert leave.wait(10)
        return threading.current_thread().name

    waiting = asyncio.ensure_future(store.run(wait))
    assert await asyncio.to_thread(entered.wait, 10)
    # The loop runs here, with the thread held inside the transaction.
    leave.set()
    assert (await waiting).startswith("store")


async def test_a_cancelled_caller_does_not_take_its_write_back(path: Path) -> None:
    async with open_store(path) as store:
        gate = threading.Event()
        blocked = asyncio.ensure_future(store.run(lambda db: gate.wait(10)))
        caller = asyncio.ensure_future(store.run(turns.receive, **arrival("1", text="一")))
        await asyncio.sleep(0)
        caller.cancel()
        gate.set()
        assert await blocked
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert texts(path) == ["一"]


async def test_closing_waits_for_everything(path: Path) -> None:
    async with open_store(path) as store:
        gate = threading.Event()
        pending = [asyncio.ensure_future(store.run(lambda db: gate.wait(10)))]
        pending += [asyncio.ensure_future(store.run(turns.receive, **arrival(str(n)))) for n in range(300)]
        await asyncio.sleep(0)
        threading.Timer(0.05, gate.set).start()
    assert all(task.done() and task.exception() is None for task in pending)
    assert not path.with_name("agent.db-wal").exists()
    assert len(texts(path)) == 300


async def test_closing_while_cancelled_still_closes(path: Path) -> None:
    gate = threading.Event()

    async def use() -> None:
        async with open_store(path) as store:
            hold = asyncio.ensure_future(store.run(lambda db: gate.wait(10)))
            write = asyncio.ensure_future(store.run(turns.receive, **arrival("1", text="一")))
            await asyncio.sleep(0)
            entered.set()
            await asyncio.gather(hold, write)

    entered = asyncio.Event()
    user = asyncio.ensure_future(use())
    await entered.wait()
    user.cancel()
    for _ in range(5):  # until it waits for the file to close
        await asyncio.sleep(0)
    user.cancel()
    await asyncio.sleep(0)
    assert not user.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await user
    assert not path.with_name("agent.db-wal").exists()
    assert texts(path) == ["一"]


async def test_cancelled_while_opening_leaves_nothing_open(path: Path) -> None:
    async def use() -> None:
        async with open_store(path):
            pytest.fail("opened")

    user = asyncio.ensure_future(use())
    await asyncio.sleep(0)
    user.cancel()
    with pytest.raises(asyncio.CancelledError):
        await user
    for thread in threading.enumerate():
        if thread.name.startswith("store"):
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()
    # The last connection takes the log with it.
    assert not path.with_name("agent.db-wal").exists()


async def test_a_closed_store_says_so(path: Path) -> None:
    async with open_store(path) as store:
        pass
    with pytest.raises(StoreError, match="the store is closed"):
        await store.run(turns.receive, **arrival("1"))
    await store.close()


async def test_a_message_is_taken_once_across_lives(path: Path) -> None:
    async with open_store(path) as store:
        both = await asyncio.gather(
            store.run(turns.receive, **arrival("1")), store.run(turns.receive, **arrival("1", req_id="again"))
        )
        assert both == [1, None]
    async with open_store(path) as store:
        assert await store.run(turns.receive, **arrival("1")) is None
        assert await store.run(turns.receive, **arrival("2")) == 2


CHILD = """
import asyncio, sys
from pathlib import Path
from agent.store import open_store, turns, deliveries
from tests.store.conftest import at
from tests.store.samples import arrival

async def talk(store, who):
    for number in range(100_000):
        turn = await store.run(turns.receive, **arrival(f"{who}-{number}"))
        print("received", turn, flush=True)
        await store.run(turns.start, turn, at(1))
        print("answering", turn, flush=True)
        await store.run(turns.answer, turn, at(2), answer="答案" * 200)
        print("answered", turn, flush=True)

        def finish(db):
            deliveries.settle(db, deliveries.begin(db, turn=turn, kind="stream", at=at(2)), "acked", at(3))
            turns.deliver(db, turn, at(3))

        await store.run(finish)
        print("delivered", turn, flush=True)

async def main():
    async with open_store(Path(sys.argv[1])) as store:
        await asyncio.gather(*(talk(store, who) for who in range(int(sys.argv[2]))))

asyncio.run(main())
"""

ORDER = ("received", "answering", "answered", "delivered")


@pytest.mark.parametrize(("talkers", "lines"), [(1, 7), (1, 1200), (20, 3), (20, 2500)])
def test_kill_9_loses_nothing_that_was_acknowledged(path: Path, talkers: int, lines: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(talkers)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    said: dict[int, str] = {}
    with child:
        assert child.stdout is not None
        for _ in range(lines):
            state, _, turn = child.stdout.readline().partition(" ")
            said[int(turn)] = state
        os.kill(child.pid, signal.SIGKILL)
        for line in child.stdout:  # said before the kill, read after it
            state, _, turn = line.partition(" ")
            if turn.endswith("\n"):
                said[int(turn)] = state
    assert child.returncode == -signal.SIGKILL

    # A command sees it all before any bot has tidied up.
    with read(path) as db:
        assert {turn for (turn,) in db.execute("SELECT id FROM turns")} >= said.keys()

    async def look() -> None:
        async with open_store(path) as store:
            stored = dict(await store.run(lambda db: db.execute("SELECT id, state FROM turns").fetchall()))
            for turn, state in said.items():
                assert ORDER.index(stored[turn]) >= ORDER.index(state)
            assert await store.run(lambda db: db.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"
            assert await store.run(lambda db: db.execute("PRAGMA foreign_key_check").fetchall()) == []
            # Two changes in one function: both or neither.
            acked = await store.run(
                lambda db: db.execute("SELECT turn FROM deliveries WHERE state = 'acked'").fetchall()
            )
            assert {turn for (turn,) in acked} == {turn for turn, state in stored.items() if state == "delivered"}
            owed = await store.run(turns.unfinished, "bot")
            assert {turn.id for turn in owed} == {turn for turn, state in stored.items() if state != "delivered"}
            # And the same message is still known.
            assert await store.run(turns.receive, **arrival("0-0")) is None

    with contextlib.closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(look())
