"""The greeting and its questions: the whole bot against the simulator."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.chat.words import CHINESE
from agent.simulator import Message, Options, Simulator
from agent.simulator.model import Reply, ToolCall, failing
from tests.bot import Play, running

WELCOME = "---\nsuggestions: [写周报, 写邮件, /help]\n---\n你好，我是{{bot_name}}。\n\n有什么可以帮你？"


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "welcome.md").write_text(WELCOME, encoding="utf-8")
    return folder


@pytest.fixture
async def play(sim: Simulator, tmp_path: Path, prompts: Path) -> AsyncIterator[Play]:
    async with running(sim, tmp_path / "data", prompts_dir=prompts) as one:
        yield one


def bubbles(sim: Simulator, user: str) -> list[Message]:
    return [one for one in sim.gateway.messages(f"user:{user}") if one.sender == "bot"]


async def shown(sim: Simulator, user: str, count: int) -> list[Message]:
    await sim.gateway.until(lambda: len(bubbles(sim, user)) >= count, 10)
    return bubbles(sim, user)


async def card_of(sim: Simulator, user: str) -> Message:
    before = len(bubbles(sim, user))
    assert sim.gateway.enter(user, again=True).delivered
    card = (await shown(sim, user, before + 1))[-1]
    assert card.kind == "template_card"
    return card


def labels(card: Message) -> list[str]:
    assert card.card is not None
    return [button["text"] for button in card.card["button_list"]]


async def click(sim: Simulator, user: str, card: Message, key: str) -> str:
    """Clicks and waits for the card's update; the event's msgid."""
    sent = sim.gateway.click(user, card.id, key)
    assert sent.delivered, sent.why
    await sim.gateway.answered(sent, 4)
    return sent.msgid


async def test_suggestions_make_a_card_and_a_click_is_answered_by_push(play: Play) -> None:
    sim = play.sim
    sim.script.reply("在", "周报如下", "接着说")
    await play.ask("在吗", "li")
    card = await card_of(sim, "li")
    assert card.card is not None
    assert card.card["main_title"]["title"] == "你好，我是小 助手。"
    assert labels(card) == ["写周报", "写邮件", "/help"]
    began = asyncio.get_running_loop().time()
    await click(sim, "li", card, "写周报")
    assert asyncio.get_running_loop().time() - began < 4
    assert labels(sim.gateway.message(card.id)) == ["✓ 写周报", "写邮件", "/help"]
    answer = (await shown(sim, "li", 3))[-1]
    assert (answer.kind, answer.text) == ("markdown", "周报如下")
    assert answer.feedback_id
    assert [one["content"] for one in play.asked()][1:] == ["在吗", "在", "写周报"]
    assert (await play.ask("继续", "li")).text == "接着说"
    assert [one["content"] for one in play.asked()][3:] == ["写周报", "周报如下", "继续"]
    rows = await play.rows("SELECT turns.kind, text, turns.state, deliveries.kind, deliveries.state FROM turns JOIN"
                           " deliveries ON turn = turns.id WHERE turns.kind = 'event'")  # fmt: skip
    assert rows == [("event", "写周报", "delivered", "push", "acked")]
    assert sim.gateway.feedback("li", answer.id, 1).delivered
    await click(sim, "li", card, "/help")
    assert (await shown(sim, "li", 5))[-1].text == CHINESE.help
    assert await play.rows("SELECT type, text FROM feedback JOIN turns ON turns.id = turn") == [(1, "写周报")]
    sim.script.reply("新周报")
    assert (await play.ask("/retry", "li")).text == "新周报", "it is the chat's last question"


async def test_a_question_of_a_card_is_asked_once(sim: Simulator, tmp_path: Path, prompts: Path) -> None:
    async with running(sim, tmp_path / "data", prompts_dir=prompts) as play:
        sim.script.reply("在", "周报如下", "邮件如下")
        await play.ask("在吗", "li")
        card = await card_of(sim, "li")
        first = await click(sim, "li", card, "写周报")
        await click(sim, "li", card, "写周报")
        sim.gateway.faults.redeliver(first, new_req_id=True)
        await shown(sim, "li", 3)
        await play.idle()
    async with running(sim, tmp_path / "data", prompts_dir=prompts) as play:
        sim.gateway.faults.redeliver(first, new_req_id=True)
        await click(sim, "li", card, "写周报")
        await click(sim, "li", card, "写邮件")
        assert labels(sim.gateway.message(card.id)) == ["✓ 写周报", "✓ 写邮件", "/help"]
        assert [one.text for one in await shown(sim, "li", 4)][2:] == ["周报如下", "邮件如下"]
        another = await card_of(sim, "li")
        sim.script.reply("又一份周报")
        await click(sim, "li", another, "写周报")
        assert (await shown(sim, "li", 6))[-1].text == "又一份周报", "another card asks anew"
        assert len(sim.script.requests) == 4


async def test_somebody_who_never_wrote_is_answered_all_the_same(play: Play) -> None:
    """WeCom does not let the bot push there (93006); the click's response_url does it."""
    card = await card_of(play.sim, "newcomer")
    play.sim.script.reply("周报如下")
    await click(play.sim, "newcomer", card, "写周报")
    assert (await shown(play.sim, "newcomer", 2))[-1].text == "周报如下"
    assert await play.rows("SELECT state FROM turns") == [("delivered",)]


async def test_where_nothing_can_be_sent_the_turn_has_failed(tmp_path: Path, prompts: Path) -> None:
    async with (
        Simulator(bot_name="助手", options=Options(response_url=False)) as sim,
        running(sim, tmp_path / "data", prompts_dir=prompts) as play,
    ):
        card = await card_of(sim, "newcomer")
        sim.script.reply("周报如下")
        await click(sim, "newcomer", card, "写周报")
        assert await play.rows("SELECT state, error FROM turns") == [("failed", "wecom_93006")]


async def test_a_refused_card_becomes_text(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    play.sim.gateway.faults.refuse("aibot_respond_welcome_msg", 42045)
    assert play.sim.gateway.enter("li").delivered
    (greeting,) = await shown(play.sim, "li", 1)
    assert (greeting.kind, greeting.content) == ("text", "你好，我是小 助手。\n\n有什么可以帮你？")
    assert "42045" in caplog.text


async def test_without_suggestions_or_with_a_persona_of_its_own(play: Play, prompts: Path) -> None:
    (prompts / "welcome.md").write_text("---\nlanguage: English\n---\n你好，{{user}}。", encoding="utf-8")
    play.sim.gateway.enter("li")
    assert (await shown(play.sim, "li", 1))[-1].content == "你好，li。"
    (prompts / "chats").mkdir()
    persona = "---\nwelcome: 我是{{bot_name}}，只为{{user}}服务。\nsuggestions: [甲]\n---\n你是秘书。"
    (prompts / "chats" / "wang.md").write_text(persona, encoding="utf-8")
    card = await card_of(play.sim, "wang")
    assert card.card is not None
    assert card.card["main_title"]["title"] == "我是小 助手，只为wang服务。"
    assert labels(card) == ["甲"]
    (prompts / "welcome.md").unlink()
    play.sim.gateway.enter("zhao")
    play.sim.script.reply("好")
    await play.ask("在吗", "zhao")
    assert len(bubbles(play.sim, "zhao")) == 1, "without the file there is no greeting"


async def test_allow_list_limit_and_failing_model_hold_for_clicks_too(
    sim: Simulator, tmp_path: Path, prompts: Path
) -> None:
    async with running(sim, tmp_path / "data", prompts_dir=prompts) as play:
        await play.ask("/help", "li")
        card = await card_of(sim, "li")
    changes = {"prompts_dir": prompts, "rate_per_user": 1, "allow_users": ("li",)}
    async with running(sim, tmp_path / "data", **changes) as play:
        sim.script.reply(failing(402))
        await click(sim, "li", card, "写周报")
        assert (await shown(sim, "li", 3))[-1].text == CHINESE.errors["no_balance"]
        await click(sim, "li", card, "写邮件")
        assert "秒再试" in (await shown(sim, "li", 4))[-1].text
    async with running(sim, tmp_path / "data", prompts_dir=prompts, allow_users=("boss",)) as play:
        sim.gateway.click("li", card.id, "/help")
        sim.gateway.enter("li", again=True)
        assert (await play.ask("/help", "boss")).text == CHINESE.help
        await play.idle()
        assert len(bubbles(sim, "li")) == 4, "nothing for people who are not on the list"


async def test_a_click_is_answered_after_a_restart_but_a_push_that_may_have_arrived_is_not_repeated(
    sim: Simulator, tmp_path: Path, prompts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(sim, tmp_path / "data", prompts_dir=prompts) as play:
        await play.ask("/help", "li")
        card = await card_of(sim, "li")
        sim.script.reply(Reply("字" * 4000, pace=30))
        await click(sim, "li", card, "写周报")
        await sim.script.until(lambda: bool(sim.script.requests), 5)
        for task in list(play.bot.server._tasks):
            task.cancel()  # the drain time is over
    assert len(bubbles(sim, "li")) == 2, "nothing half-done is pushed"
    sim.script.reply("补上的周报")
    async with running(sim, tmp_path / "data", prompts_dir=prompts) as play:
        assert (await shown(sim, "li", 3))[-1].text == "补上的周报"
        await play.idle()
        await play.bot.store.run(lambda db: db.execute("UPDATE turns SET state = 'answered' WHERE kind = 'event'"))
        await play.bot.store.run(lambda db: db.execute("UPDATE deliveries SET state = 'written' WHERE kind = 'push'"))
    async with running(sim, tmp_path / "data", prompts_dir=prompts) as play:
        await play.ask("/help", "li")
        assert len(bubbles(sim, "li")) == 4
        assert await play.rows("SELECT state FROM deliveries WHERE kind = 'push'") == [("unknown",)]
        assert (await play.ask("/retry", "li")).text == "补上的周报", "it is brought again on request"


async def test_a_very_long_answer_to_a_click_is_its_first_part_and_a_file(play: Play) -> None:
    sim = play.sim
    await play.ask("/help", "li")
    card = await card_of(sim, "li")
    text = "\n\n".join(f"第 {number} 段：" + "很长的话。" * 30 for number in range(300))
    sim.script.reply(text)
    await click(sim, "li", card, "写周报")
    first, file = (await shown(sim, "li", 4))[2:]
    assert (first.kind, file.kind) == ("markdown", "file")
    assert first.content.startswith("第 0 段")
    assert sim.gateway.media_bytes(file.media[0]["media_id"]).decode() == text


async def test_files_follow_an_answer_that_is_pushed(play: Play) -> None:
    sim = play.sim
    made = ToolCall("create_document", '{"filename": "a.md", "format": "md", "content": "# 周报"}')
    sim.script.reply("好", Reply(tool_calls=(made,)), "做好了")
    await play.ask("你好", "li")
    await sim.gateway.answered(sim.gateway.enter("li"))
    await click(sim, "li", sim.gateway.messages("user:li")[-1], "写周报")
    await sim.gateway.until(lambda: sim.gateway.messages("user:li")[-1].kind == "file")
    assert await play.rows("SELECT kind, state FROM deliveries WHERE kind <> 'stream'") == [
        ("push", "acked"),
        ("media", "acked"),
    ]
    assert await play.rows("SELECT state FROM files") == [("sent",)]
