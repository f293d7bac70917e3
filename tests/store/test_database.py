"""Opening: permissions, versions, damage, and other programs at the same file."""

import asyncio
import contextlib
import logging
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.store import SchemaMismatch, StoreBusy, StoreError, chats, database, open_store, read, schema, turns, write
from agent.store.database import open_for_bot
from tests.store.samples import arrival, exchange, receive


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- files


def test_folder_and_files_are_private(path: Path) -> None:
    before = os.umask(0)
    try:
        with contextlib.closing(open_for_bot(path)) as db:
            receive(db, "1")
            assert mode(path.parent) == 0o700
            names = sorted(each.name for each in path.parent.iterdir())
            assert names == ["agent.db", "agent.db-shm", "agent.db-wal"]
            assert {mode(each) for each in path.parent.iterdir()} == {0o600}
    finally:
        os.umask(before)


def test_what_was_open_to_others_is_closed(path: Path) -> None:
    open_for_bot(path).close()
    path.chmod(0o644)
    path.parent.chmod(0o755)
    open_for_bot(path).close()
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


def test_a_folder_with_other_things_keeps_its_mode(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "photos").mkdir()
    tmp_path.chmod(0o755)
    with caplog.at_level(logging.WARNING):
        open_for_bot(tmp_path / "agent.db").close()
    assert (mode(tmp_path), mode(tmp_path / "agent.db")) == (0o755, 0o600)
    assert "'photos'" in caplog.text


def test_missing_folders_above_are_made_private_too(tmp_path: Path) -> None:
    open_for_bot(tmp_path / "data" / "playground" / "agent.db").close()
    assert mode(tmp_path / "data") == mode(tmp_path / "data" / "playground") == 0o700


def test_a_path_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StoreError, match=r"cannot be created or opened .* set AGENT_DATA_DIR"):
        open_for_bot(tmp_path / "data" / "agent.db")


def test_names_with_spaces_and_signs(tmp_path: Path) -> None:
    path = tmp_path / "my data #1 100% 机器人?" / "agent.db"
    with contextlib.closing(open_for_bot(path)) as db:
        receive(db, "1")
        with read(path) as other:
            assert len(chats.summaries(other)) == 1
    assert path.exists()


# --- settings of the connection


def test_pragmas(db: sqlite3.Connection) -> None:
    assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        db.execute("INSERT INTO deliveries (turn, kind, state, created_at) VALUES (99, 'push', 'open', '')")


# --- versions


def test_opening_again_changes_nothing(path: Path) -> None:
    with contextlib.closing(open_for_bot(path)) as db:
        first = list(map(tuple, db.execute("SELECT * FROM _sqlite_migrations")))
        exchange(db, "1", "答")
    with contextlib.closing(open_for_bot(path)) as db:
        assert list(map(tuple, db.execute("SELECT * FROM _sqlite_migrations"))) == first
        assert [row[2] for row in first] == list(schema.NAMES)
        assert len(turns.history(db, "bot:group:wr1", 5)) == 1


def test_a_newer_file_is_refused_by_all_and_left_alone(path: Path) -> None:
    with contextlib.closing(open_for_bot(path)) as db:
        db.execute("INSERT INTO _sqlite_migrations VALUES (99, 'agent', 'm999_telepathy', 'later')")
    before = path.read_bytes()
    with pytest.raises(SchemaMismatch, match=r"newer version of .* \(it has m999_telepathy\); update this one"):
        open_for_bot(path)
    for opener in (read, write):
        with pytest.raises(SchemaMismatch, match="newer version"), opener(path):
            pass
    assert path.read_bytes() == before


def test_an_older_file_is_migrated_by_the_bot_and_refused_by_commands(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(open_for_bot(path)) as db:
        receive(db, "1")

    def m900_later(db: object) -> None:
        db.execute("CREATE TABLE later (x)")  # type: ignore[attr-defined]

    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, m900_later))
    monkeypatch.setattr(schema, "NAMES", (*schema.NAMES, "m900_later"))
    with pytest.raises(SchemaMismatch, match=r"older version \(m900_later missing\); start the bot once"), read(path):
        pass
    with contextlib.closing(open_for_bot(path)) as db:
        assert db.execute("SELECT count(*) FROM later").fetchone()[0] == 0
        assert db.execute("SELECT count(*) FROM turns").fetchone()[0] == 1
    with read(path):
        pass


def test_a_step_that_fails_leaves_no_trace(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def m900_half(db: object) -> None:
        db.execute("CREATE TABLE half (x)")  # type: ignore[attr-defined]
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(schema, "STEPS", (*schema.STEPS, m900_half))
        patched.setattr(schema, "NAMES", (*schema.NAMES, "m900_half"))
        with pytest.raises(RuntimeError, match="power cut"):
            open_for_bot(path)
    with contextlib.closing(open_for_bot(path)) as db:
        assert db.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchone() is None


# --- damage


def test_a_file_that_is_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("this is a text file, and a long one at that" * 100)
    with pytest.raises(StoreError, match=r"is damaged \(file is not a database\); restore a backup"):
        open_for_bot(path)
    with pytest.raises(StoreError, match="is damaged"), read(path):
        pass


@pytest.mark.parametrize("damage", ["zeros", "cut"])
def test_a_damaged_page_is_found_at_the_start(path: Path, damage: str) -> None:
    with contextlib.closing(open_for_bot(path)) as db:
        for number in range(300):
            exchange(db, str(number), "答案" * 500)
    content = bytearray(path.read_bytes())
    if damage == "zeros":
        content[len(content) // 2 : len(content) // 2 + 8192] = bytes(8192)
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged .*; restore a backup of it, or move it"):
        open_for_bot(path)


def test_the_database_of_another_program(path: Path) -> None:
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE bookmarks (x)")
    with pytest.raises(StoreError, match=r"database of another program \(tables bookmarks\); set AGENT_DATA_DIR"):
        open_for_bot(path)


def test_no_database_yet(path: Path) -> None:
    for opener in (read, write):
        with pytest.raises(StoreError, match=r"there is no database at .* yet; start the bot once"), opener(path):
            pass
    assert not path.parent.exists()


# --- others at the same file


def test_a_reader_sees_one_state_while_the_bot_writes(path: Path, db: sqlite3.Connection) -> None:
    exchange(db, "1", "一")
    with read(path) as other:
        assert len(turns.history(other, "bot:group:wr1", 9)) == 1
        exchange(db, "2", "二")
        assert len(turns.history(other, "bot:group:wr1", 9)) == 1
    with read(path) as other:
        assert len(turns.history(other, "bot:group:wr1", 9)) == 2


def test_a_reader_cannot_write(path: Path, db: sqlite3.Connection) -> None:
    with pytest.raises(StoreError, match="cannot be opened or written"), read(path) as other:
        receive(other, "1")


def test_a_mistake_in_our_own_sql_is_not_blamed_on_the_file(path: Path, db: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such column"), read(path) as other:
        other.execute("SELECT absent FROM turns")


def test_a_reader_needs_no_running_bot(path: Path) -> None:
    with contextlib.closing(open_for_bot(path)) as db:
        exchange(db, "1", "一")
    assert not path.with_name("agent.db-wal").exists()
    with read(path) as other:
        assert len(chats.summaries(other)) == 1
    # And what the reader left behind does not trouble the bot.
    open_for_bot(path).close()


def test_a_reader_in_another_process_is_never_in_the_way(path: Path, db: sqlite3.Connection) -> None:
    program = (
        "import sys; from pathlib import Path; from agent.store import read\n"
        "last = -1\n"
        "while last < 300:\n"
        "    with read(Path(sys.argv[1])) as db:\n"
        "        (turns,) = db.execute('SELECT count(*) FROM turns').fetchone()\n"
        "        (pairs,) = db.execute('SELECT count(*) FROM deliveries').fetchone()\n"
        "    assert turns == pairs, (turns, pairs)\n"
        "    assert turns >= last\n"
        "    if last < 0: print('reading', flush=True)\n"
        "    last = turns\n"
    )
    reader = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    with reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        for number in range(300):
            db.execute("BEGIN IMMEDIATE")
            turn = receive(db, str(number))
            db.execute(
                "INSERT INTO deliveries (turn, kind, state, created_at) VALUES (?, 'stream', 'open', '')", (turn,)
            )
            db.execute("COMMIT")
        assert reader.wait(30) == 0


def test_a_command_writes_beside_the_bot(path: Path, db: sqlite3.Connection) -> None:
    with write(path) as other:
        turn = receive(other, "1")
    assert turns.get(db, turn) is not None
    with pytest.raises(ZeroDivisionError), write(path) as other:
        receive(other, "2")
        _ = 1 / 0
    assert db.execute("SELECT count(*) FROM turns").fetchone()[0] == 1


def test_a_tool_that_holds_the_file(path: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    db.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="locked by another program"), write(path):
        pass
    db.execute("ROLLBACK")


async def test_the_bot_outlives_a_tool_that_holds_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    async with open_store(path) as store:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as tool:
            tool.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusy):
                await store.run(turns.receive, **arrival("1"))
            tool.execute("ROLLBACK")
        assert await store.run(turns.receive, **arrival("1")) is not None


async def test_a_full_disk_is_said_and_survived(path: Path) -> None:
    async with open_store(path) as store:
        await store.run(turns.receive, **arrival("0"))
        (pages,) = await store.run(lambda db: db.execute("PRAGMA page_count").fetchone())
        await store.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 2}").fetchone())
        big = {"x": "长" * 20_000}
        results = await asyncio.gather(
            *(store.run(turns.receive, **arrival(str(number), body=big)) for number in range(1, 4)),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [StoreError] * 3
        assert "no room left" in str(results[0])
        await store.run(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
        assert await store.run(turns.receive, **arrival("1", body=big)) is not None
        assert await store.run(lambda db: db.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"
