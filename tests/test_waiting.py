"""Messages that arrive while their chat is busy, and what `/stop` ends: the whole bot against the simulator."""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent.chat.words import CHINESE
from agent.simulator import Message, Sent, Simulator
from agent.simulator.model import Reply, ToolCall
from agent.store import turns
from tests.bot import Play, running


async def bubble(sim: Simulator, sent: Sent, within: float = 10.0) -> Message:
    """The finished bubble of an answer, which has to be one."""
    (shown,) = await sim.gateway.answered(sent, within)
    return shown


async def answering(sim: Simulator, user: str, text: str, chat: str | None = None, length: int = 400) -> Sent:
    """A message whose answer has begun to grow and goes on for `length` / 80 seconds."""
    sim.script.reply(Reply("长" * length, pace=40))
    sent = sim.gateway.say(user, text, chat)
    await sim.gateway.until(lambda: any("长" in one.text for one in sim.gateway.messages(chat or f"user:{user}")), 5)
    return sent


def said(play: Play, number: int = -1) -> list[str]:
    """What people said in a request to the model, without the system prompt."""
    return [one["content"] for one in play.asked(number) if one["role"] == "user"]


async def test_a_second_waiting_message_joins_the_first(play: Play) -> None:
    sim = play.sim
    slow = await answering(sim, "li", "慢的问题")
    first = sim.gateway.say("li", "第一个")
    second = sim.gateway.say("li", "第二个")
    assert (await bubble(sim, second)).text == CHINESE.joined
    third = sim.gateway.say("li", "第三个")
    assert third.delivered, "WeCom lets a person have three messages open"
    assert (await bubble(sim, third)).text == CHINESE.joined
    sim.script.reply("一起答")
    stop = sim.gateway.say("li", "/stop")
    assert stop.delivered, "there is room for /stop"
    assert (await bubble(sim, stop)).text == CHINESE.stopping
    assert (await bubble(sim, slow)).text.endswith(CHINESE.stopped)
    assert (await bubble(sim, first)).text == "一起答"
    assert said(play)[-1] == "第一个\n\n第二个\n\n第三个"
    rows = await play.rows("SELECT text, state, joined_to, attempts FROM turns WHERE command IS NULL ORDER BY id")
    assert rows == [
        ("慢的问题", "cancelled", None, 1),
        ("第一个", "delivered", None, 1),
        ("第二个", "delivered", 2, 0),
        ("第三个", "delivered", 2, 0),
    ]
    sim.script.reply("再答", "又答")
    await play.ask("接着", "li")
    assert said(play) == ["慢的问题", "第一个\n\n第二个\n\n第三个", "接着"], "the history holds the question as a whole"
    await play.ask("/new", "li")
    await play.ask("全新", "li")
    assert said(play) == ["全新"]


async def test_retry_repeats_what_was_joined_too(play: Play) -> None:
    sim = play.sim
    await answering(sim, "li", "慢的问题")
    first = sim.gateway.say("li", "第一个")
    await bubble(sim, sim.gateway.say("li", "第二个"))
    sim.script.reply("一", "二", "三", "四")
    await play.ask("/stop", "li")
    await bubble(sim, first)
    for answer in ("二", "三"):
        assert (await play.ask("/retry", "li")).text == answer
        assert said(play) == ["慢的问题", "第一个\n\n第二个"]
    await play.ask("接着", "li")
    assert said(play) == ["慢的问题", "第一个\n\n第二个", "接着"]
    rows = await play.rows("SELECT id, joined_to FROM turns WHERE joined_to IS NOT NULL ORDER BY id")
    assert rows == [(2, 6), (3, 6), (5, 6)], "the last /retry stands for all of it"


async def test_people_in_a_group_wait_in_order_and_do_not_join_each_other(play: Play) -> None:
    sim = play.sim
    sim.gateway.group("room", members=("li", "wang"))
    await answering(sim, "li", "慢的问题", "room")
    wang = sim.gateway.say("wang", "王的问题", "room")
    li = sim.gateway.say("li", "李的问题", "room")
    more = sim.gateway.say("wang", "王的补充", "room")
    assert (await bubble(sim, more)).text == CHINESE.joined
    place = CHINESE.waiting.format(ahead=2)[:-1]
    await sim.gateway.until(lambda: any(one.text == place for one in sim.gateway.messages("room")), 5)
    sim.script.reply("答王", "答李")
    await play.ask("/stop", "li", "room")
    assert (await bubble(sim, wang)).text == "答王"
    assert (await bubble(sim, li)).text == "答李"
    assert said(play) == ["li: 慢的问题", "wang: 王的问题\n\n王的补充", "li: 李的问题"]


async def test_nothing_joins_a_message_that_new_has_forgotten(play: Play) -> None:
    sim = play.sim
    await answering(sim, "li", "慢的问题", length=60)
    before = sim.gateway.say("li", "旧的")
    assert (await play.ask("/new", "li")).text == CHINESE.new_done
    sim.script.reply("答旧", "答新")
    after = sim.gateway.say("li", "新的")
    await sim.gateway.until(lambda: sim.gateway.messages("user:li")[-1].text.startswith("⏳"), 5)
    # All three of the person's places are taken now; the running answer ends by itself.
    assert (await bubble(sim, before, 20)).text == "答旧"
    assert (await bubble(sim, after)).text == "答新"
    assert said(play) == ["新的"]


async def test_stop_ends_within_300_ms_and_the_bubble_after_its_outstanding_ack(play: Play) -> None:
    sim = play.sim
    slow = await answering(sim, "li", "慢的问题")
    sim.gateway.faults.delay_acks(0.5, "aibot_respond_msg")
    await asyncio.sleep(0.15)  # a frame is on its way now, and its ack is late
    began = asyncio.get_running_loop().time()
    sim.gateway.say("li", "/stop")
    await sim.script.until(lambda: bool(sim.script.abandoned), 2)
    assert asyncio.get_running_loop().time() - began < 0.3
    shown = await bubble(sim, slow)
    assert asyncio.get_running_loop().time() - began < 1.5
    assert shown.text.startswith("长")
    assert shown.text.endswith(CHINESE.stopped)


async def test_stop_withdraws_what_waits_behind_somebody_elses_answer(play: Play) -> None:
    sim = play.sim
    sim.gateway.group("room", members=("li", "wang"))
    slow = await answering(sim, "li", "慢的问题", "room")
    waiting = sim.gateway.say("wang", "不问了", "room")
    await bubble(sim, sim.gateway.say("wang", "补充", "room"))
    last = sim.gateway.say("li", "下一个", "room")
    assert (await play.ask("停止", "wang", "room")).text == CHINESE.withdrawn
    assert (await bubble(sim, waiting)).text == CHINESE.stopped
    rows = await play.bot.store.run(lambda db: db.execute("SELECT state FROM turns WHERE text = '不问了'").fetchall())
    assert [tuple(row) for row in rows] == [("cancelled",)]
    place = CHINESE.waiting.format(ahead=1)[:-1]
    await sim.gateway.until(lambda: any(one.text == place for one in sim.gateway.messages("room")), 5)
    sim.script.reply("好")
    assert (await play.ask("停止", "wang", "room")).text == CHINESE.stopping, "in a group anybody may end an answer"
    assert (await bubble(sim, slow)).text.endswith(CHINESE.stopped)
    assert (await bubble(sim, last)).text == "好"
    assert "不问了" not in str(play.asked())
    assert (await play.ask("停止", "wang", "room")).text == CHINESE.nothing_to_stop


async def test_retry_while_an_answer_is_written_says_so(play: Play) -> None:
    slow = await answering(play.sim, "li", "慢的问题")
    assert (await play.ask("/retry", "li")).text == CHINESE.still_answering
    await play.ask("/stop", "li")
    assert (await bubble(play.sim, slow)).text.endswith(CHINESE.stopped)
    play.sim.script.reply("这次快")
    assert (await play.ask("/retry", "li")).text == "这次快"
    assert said(play) == ["慢的问题"]


async def test_kill_9_in_the_middle_loses_nothing_and_answers_each_once(sim: Simulator, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")} | {
        "WECOM_BOT_ID": sim.bot_id,
        "WECOM_BOT_SECRET": sim.secret,
        "WECOM_BOT_NAME": sim.bot_name,
        "WECOM_BOT_WS_URL": sim.ws_url,
        "OPENAI_BASE_URL": sim.model_url,
        "OPENAI_API_KEY": "test",
        "OPENAI_MODEL": "scripted",
        "AGENT_DATA_DIR": str(tmp_path),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent",
        "run",
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await sim.gateway.subscribed(20)
        slow = await answering(sim, "li", "慢的问题")
        first = sim.gateway.say("li", "第一个")
        joined = sim.gateway.say("li", "第二个")
        assert (await bubble(sim, joined)).text == CHINESE.joined
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    sim.script.reply("慢的回答", "一起答")
    async with running(sim, tmp_path) as play:
        assert (await bubble(sim, slow, 20)).text == "慢的回答"
        assert (await bubble(sim, first, 20)).text == "一起答"
        assert said(play) == ["慢的问题", "第一个\n\n第二个"]
        rows = await play.rows("SELECT text, state, joined_to FROM turns ORDER BY id")
        assert rows == [
            ("慢的问题", "delivered", None),
            ("第一个", "delivered", None),
            ("第二个", "delivered", 2),
        ]
    assert len(sim.script.requests) == 3


async def test_a_stop_that_comes_after_the_last_word_changes_nothing(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, real = asyncio.get_running_loop(), turns.answer

    def late(db: sqlite3.Connection, *values: Any, **more: Any) -> None:
        answering = play.bot.assistant._turns
        loop.call_soon_threadsafe(answering.stop, f"{play.settings.bot_id}/single/li", "li")
        time.sleep(0.1)  # on the store's thread
        real(db, *values, **more)

    monkeypatch.setattr(turns, "answer", late)
    play.sim.script.reply("全文")
    assert (await play.ask("问", "li")).text == "全文"
    assert await play.rows("SELECT state FROM turns") == [("delivered",)], "else a restart would bring it again"


async def crash_at(play: Play, state: str) -> None:
    """From now on no turn gets into `state`: as with a full disk, or with a process that ends there."""
    trigger = (
        f"CREATE TRIGGER crash BEFORE UPDATE ON turns WHEN NEW.state = '{state}' BEGIN SELECT RAISE(ABORT, ''); END"
    )
    await play.bot.store.run(lambda db: db.execute(trigger))


async def test_an_answer_that_cannot_be_stored_is_said_once(play: Play) -> None:
    await crash_at(play, "answered")
    play.sim.script.reply("答")
    assert (await play.ask("问", "li")).text == f"答\n\n{CHINESE.stream.failed}"
    assert await play.rows("SELECT state FROM turns") == [("answering",)], "the next start answers it"
    assert len(play.sim.gateway.messages("user:li")) == 2


async def test_delivery_and_turn_are_settled_together(play: Play) -> None:
    await crash_at(play, "delivered")
    play.sim.script.reply("答")
    await play.ask("问", "li")
    assert await play.rows("SELECT state FROM turns") == [("answered",)]
    assert await play.rows("SELECT state FROM deliveries") == [("open",)], "the next process repeats the same stream"


async def test_a_stopped_answer_counts_the_rounds_before(play: Play) -> None:
    play.sim.script.reply(Reply(tool_calls=(ToolCall("nothing", "{}"),)))
    slow = await answering(play.sim, "li", "慢的问题")
    await play.ask("/stop", "li")
    assert (await bubble(play.sim, slow)).text.endswith(CHINESE.stopped)
    ((asked, answered),) = await play.rows("SELECT prompt_tokens, completion_tokens FROM turns WHERE command IS NULL")
    assert asked > 100
    assert answered > 0


async def test_a_retry_of_what_broke_off_is_the_only_answer(sim: Simulator, tmp_path: Path) -> None:
    sim.script.reply("一", "二")
    async with running(sim, tmp_path) as play:
        await play.ask("问", "li")
        await play.rows("UPDATE turns SET state = 'answering'")  # as after a full disk
        assert (await play.ask("/retry", "li")).text == "二"
    async with running(sim, tmp_path) as play:
        await play.ask("/help", "li")
        assert await play.rows("SELECT state, command FROM turns") == [
            ("failed", None),
            ("delivered", None),
            ("delivered", "help"),
        ]
    assert len(sim.script.requests) == 2


async def test_a_restart_finishes_the_bubble_of_a_stopped_answer(sim: Simulator, tmp_path: Path) -> None:
    async with running(sim, tmp_path) as play:
        slow = await answering(sim, "li", "慢的问题")
        sim.gateway.faults.lose_commands(1000, "aibot_respond_msg")
        play.bot.assistant._turns.stop(f"{play.settings.bot_id}/single/li", "li")
        await sim.script.until(lambda: bool(sim.script.abandoned))
        play.bot.server._tasks.copy().pop().cancel()
        await play.rows("UPDATE deliveries SET state = 'open'")  # as a kill -9 leaves it
    sim.gateway.faults.clear()
    async with running(sim, tmp_path) as play:
        shown = await bubble(sim, slow)
        assert shown.text.startswith("长")
        assert shown.text.endswith(CHINESE.stopped)
        assert await play.rows("SELECT turns.state, deliveries.state FROM turns, deliveries") == [
            ("cancelled", "acked"),
        ]
