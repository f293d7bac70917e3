"""`send`: from the operator through the database and the running bot to WeCom, and what the operator is told."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent import app, outbox, sender
from agent.app import Bot
from agent.config import Settings
from agent.simulator import Simulator
from agent.store import chats, deliveries, lock, read, sends, stats, write
from agent.store.database import open_for_bot
from agent.wecom import ConnectionLost, RequestFailed, RequestTimeout
from agent.wecom.limits import SendingLimits

PERSON = chats.Address("bot/single/lisi", "bot", "single", "lisi")


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(bot_id="bot", secret="secret") as opened:
        for user in ("lisi", "wangwu"):
            opened.gateway.say(user, "hi")  # nobody hears it, but now they may be written to
        opened.gateway.group("wrGroup1", "group", ["lisi"])
        opened.gateway.say("lisi", "hi", chat="wrGroup1")
        yield opened


@pytest.fixture
def settings(simulator: Simulator, tmp_path: Path) -> Settings:
    return Settings(
        bot_id="bot",
        bot_secret="secret",
        ws_url=simulator.ws_url,
        openai_base_url=simulator.model_url,
        openai_model="scripted",
        data_dir=tmp_path / "data",
        reconnect_interval=50,
        request_timeout=1000,
    )


async def beside(settings: Settings, work: Callable[[Bot], Awaitable[Any]]) -> Any:
    """What `work` returns, done while a bot runs."""
    with lock.hold(settings.data_dir):
        async with app.opened(settings) as bot, asyncio.TaskGroup() as group:
            group.create_task(bot.serve())
            try:
                async with asyncio.timeout(10):
                    await bot.state.up.wait()
                return await work(bot)
            finally:
                bot.stop()


async def send(
    settings: Settings, chat: str, text: str = "hello", file: Path | None = None, **more: Any
) -> tuple[str, bool]:
    return await asyncio.to_thread(sender.send, settings, chat, text, file, **more)


def queued(settings: Settings) -> list[str]:
    with read(settings.data_dir / "agent.db") as db:
        return [row["state"] for row in db.execute("SELECT state FROM sends ORDER BY id")]


def remember(settings: Settings, *addresses: chats.Address) -> None:
    db = open_for_bot(settings.data_dir / "agent.db")
    for address in addresses:
        chats.touch(db, address, datetime.now(UTC))
    db.close()


def shown(simulator: Simulator, chat: str) -> list[str]:
    return [message.text for message in simulator.gateway.messages(chat) if message.sender == "bot"]


# --- sent


async def test_text_and_file_arrive_and_are_acked(simulator: Simulator, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "报表 2026.txt"
    file.write_text("内容内容")
    sentence, acked = await beside(settings, lambda bot: send(settings, "lisi", "**done**", file))
    assert (sentence, acked) == ("sent: WeCom has the message and the file", True)
    _, text, media = simulator.gateway.messages("lisi")
    assert text.text == "**done**"
    assert media.media[0]["name"] == "报表 2026.txt"
    assert simulator.gateway.media_bytes(media.media[0]["media_id"]) == file.read_bytes()
    assert queued(settings) == ["acked"]
    assert not simulator.gateway.check()


async def test_a_group_with_a_history_for_each_person_is_one_group(simulator: Simulator, settings: Settings) -> None:
    remember(
        settings,
        *(chats.Address(f"bot/group/wrGroup1/{who}", "bot", "group", "wrGroup1", who) for who in ("lisi", "wangwu")),
    )
    for name in ("wrGroup1", "bot/group/wrGroup1/wangwu"):
        assert (await beside(settings, lambda bot, name=name: send(settings, name)))[1]  # type: ignore[misc]
    assert shown(simulator, "wrGroup1") == ["hello", "hello"]


# --- refused before anything is queued


async def test_without_a_bot_nothing_is_queued(settings: Settings) -> None:
    sentence, acked = await send(settings, "lisi")
    assert not acked
    assert "no bot is running" in sentence
    assert "`wecom-agent run`" in sentence
    assert not settings.data_dir.exists()
    remember(settings, PERSON)
    assert not (await send(settings, "lisi"))[1]
    assert queued(settings) == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "is not a file"),
        (lambda path: path.mkdir(), "is not a file"),
        (lambda path: path.write_bytes(b"1234"), "has 4 bytes; WeCom takes files from 5 bytes on"),
        (lambda path: make_large(path), "20,971,521 bytes"),
    ],
)
async def test_a_file_is_checked_first(
    settings: Settings, tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "file")
    sentence, acked = await send(settings, "lisi", "hello", tmp_path / "file")
    assert (acked, words in sentence, "nothing was sent" in sentence) == (False, True, True)


def make_large(path: Path) -> None:
    path.touch()
    os.truncate(path, 20 * 1024 * 1024 + 1)


async def test_a_name_that_wecom_does_not_take_is_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "NAME_MOST", 8)  # most disks take no name of more than 255 bytes
    file = tmp_path / "报表.txt"
    file.write_text("content")
    sentence, acked = await send(settings, "lisi", "hello", file)
    assert (acked, "more than 8 bytes" in sentence) == (False, True)


async def test_an_empty_text_is_refused(settings: Settings) -> None:
    assert await send(settings, "lisi", " \n") == ("the text is empty; nothing was sent", False)


async def test_a_name_of_a_person_and_a_group_is_unclear(simulator: Simulator, settings: Settings) -> None:
    remember(settings, PERSON, chats.Address("bot/group/lisi", "bot", "group", "lisi"))
    sentence, acked = await beside(settings, lambda bot: send(settings, "lisi"))
    assert not acked
    assert sorted(sentence.splitlines()[1:]) == ["  bot/group/lisi", "  bot/single/lisi"]
    assert queued(settings) == []


# --- refused by WeCom


async def test_a_conversation_that_never_wrote_is_told_in_words(simulator: Simulator, settings: Settings) -> None:
    remember(settings, PERSON)
    sentence, acked = await beside(settings, lambda bot: send(settings, "LiSi"))
    assert not acked
    assert "never written to the bot" in sentence
    assert "(errcode 93006)" in sentence
    assert sentence.endswith("(known is 'lisi')")
    assert queued(settings) == ["refused"]


async def test_a_refused_file_says_that_the_text_arrived(
    simulator: Simulator, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    simulator.gateway.faults.refuse("aibot_upload_media_finish", 40007)
    sentence, acked = await beside(settings, lambda bot: send(settings, "lisi", "hello", file))
    assert not acked
    assert "the text arrived, but not the file" in sentence
    assert shown(simulator, "lisi") == ["hello"]


async def test_a_file_that_the_bot_cannot_read_is_told(simulator: Simulator, settings: Settings) -> None:
    async def work(bot: Bot) -> sends.Send:
        path = settings.data_dir / "agent.db"
        with write(path) as db:
            row = sends.queue(db, chat="lisi", text=None, file="/nowhere/x", at=datetime.now(UTC), wait=15)
        async with asyncio.timeout(10):
            while True:
                found = await bot.store.run(sends.get, row)
                assert found is not None
                if found.state not in ("queued", "sending"):
                    return found
                await asyncio.sleep(0.02)

    found = await beside(settings, work)
    assert found.state == "refused"
    assert "the bot cannot read '/nowhere/x' (No such file or directory)" in found.error


# --- nothing known


async def test_a_lost_ack_is_unknown_and_stands_in_the_stats(simulator: Simulator, settings: Settings) -> None:
    simulator.gateway.faults.lose_acks(command="aibot_send_msg")
    sentence, acked = await beside(settings, lambda bot: send(settings, "lisi"))
    assert not acked
    assert sentence.startswith("unknown whether the message arrived: no ack for aibot_send_msg within 1 s")
    assert shown(simulator, "lisi") == ["hello"]
    with read(settings.data_dir / "agent.db") as db:
        (unknown,) = stats.collect(db, datetime.now(UTC) - timedelta(hours=1), settings.timezone).unknown
    assert (unknown.kind, unknown.turn) == ("push", None)


async def test_an_ack_that_is_late_for_the_command_is_unknown(simulator: Simulator, settings: Settings) -> None:
    simulator.gateway.faults.delay_acks(2.0, "aibot_send_msg")
    slow = replace(settings, request_timeout=5000)
    sentence, acked = await beside(slow, lambda bot: send(settings, "lisi", wait=1.0))
    assert not acked
    assert "unknown whether the message arrived: the bot is sending" in sentence


async def test_a_line_that_is_down_leaves_nothing_queued(simulator: Simulator, settings: Settings) -> None:
    async def work(bot: Bot) -> tuple[str, bool]:
        down = asyncio.Event()

        def noticed(state: str, reason: str) -> None:
            bot.state.take(state, reason)
            if state == "down":
                down.set()

        bot.server.set_state_handler(noticed)
        simulator.gateway.faults.refuse_connections()
        simulator.gateway.faults.drop()
        async with asyncio.timeout(5):
            await down.wait()
        answer = await send(settings, "lisi", wait=0.5)
        simulator.gateway.faults.refuse_connections(False)
        await simulator.gateway.subscribed()
        assert (await send(settings, "wangwu", "second"))[1]
        return answer

    sentence, acked = await beside(settings, work)
    assert not acked
    assert sentence.startswith("not sent, and nothing stays queued: the bot is not connected to WeCom (")
    assert queued(settings) == ["expired", "acked"]
    assert (shown(simulator, "lisi"), shown(simulator, "wangwu")) == ([], ["second"])


async def test_a_bot_that_stops_meanwhile_is_noticed_at_once(simulator: Simulator, settings: Settings) -> None:
    remember(settings, PERSON)  # there is a database, but this holder of the lock never looks into it
    locked = contextlib.ExitStack()
    locked.enter_context(lock.hold(settings.data_dir))

    async def leave_when_queued() -> None:
        while not queued(settings):  # noqa: ASYNC110 (another thread's write)
            await asyncio.sleep(0.02)
        locked.close()

    async with asyncio.timeout(10):
        (sentence, acked), _ = await asyncio.gather(send(settings, "lisi", wait=60), leave_when_queued())
    assert not acked
    assert sentence == "not sent, and nothing stays queued: the bot has stopped"
    assert queued(settings) == ["expired"]


async def test_one_chats_limit_holds_no_other_up(simulator: Simulator, settings: Settings) -> None:
    async def work(bot: Bot) -> list[tuple[str, bool]]:
        bot.server._sending.limits = SendingLimits(per_minute=1)
        first = await send(settings, "lisi", "1")
        waiting, other = await asyncio.gather(send(settings, "lisi", "2", wait=1.5), send(settings, "wangwu", "3"))
        return [first, waiting, other]

    first, waiting, other = await beside(settings, work)
    assert (first[1], other[1]) == (True, True)
    assert waiting[0].startswith("unknown whether the message arrived: the bot is sending")
    assert shown(simulator, "lisi") == ["1"]


def test_what_an_earlier_bot_left_is_settled(tmp_path: Path) -> None:
    db = open_for_bot(tmp_path / "data" / "agent.db")
    now = datetime.now(UTC)
    row = sends.queue(db, chat="lisi", text="x", file=None, at=now, wait=15)
    assert sends.claim(db, now)
    written = deliveries.begin(db, turn=None, kind="push", at=now)
    deliveries.mark_written(db, written)
    planned = deliveries.begin(db, turn=None, kind="media", at=now)
    outbox.abandon(db, now)
    found = sends.get(db, row)
    assert found is not None
    assert found.state == "unknown"
    assert {row["id"]: row["state"] for row in _deliveries(db)} == {written: "unknown", planned: "failed"}
    db.close()


def _deliveries(db: sqlite3.Connection) -> list[sqlite3.Row]:
    return db.execute("SELECT id, state FROM deliveries").fetchall()


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (RequestFailed("aibot_send_msg", 93006, "invalid chatid"), "never written to the bot"),
        (RequestFailed("aibot_send_msg", 93001, ""), "not a member of this group"),
        (RequestFailed("aibot_send_msg", 45009, ""), "try again later (errcode 45009)"),
        (RequestFailed("aibot_send_msg", 40201, ""), "content policy"),
        (RequestFailed("aibot_send_msg", 12345, "what"), "errcode 12345: 'what'"),
        (RequestTimeout("aibot_send_msg", 10.0), "no ack for aibot_send_msg within 10 s"),
        (ConnectionLost("not connected", written=False), "the connection to WeCom is down"),
    ],
)
def test_reasons_in_words(failure: Exception, words: str) -> None:
    assert words in outbox.reason(failure)
