"""The whole bot, from a typed message to the bubble that a person sees."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from agent.chat.words import CHINESE
from agent.simulator import Simulator
from agent.simulator.model import Break, Reply, failing
from tests.bot import Play, running


async def test_a_question_is_answered_and_remembered(play: Play) -> None:
    play.sim.script.reply("甲答", "乙答")
    assert (await play.ask("甲问")).text == "甲答"
    assert (await play.ask("乙问")).text == "乙答"
    roles = [(one["role"], one["content"]) for one in play.asked()]
    assert roles[0][0] == "system"
    assert roles[1:] == [("user", "甲问"), ("assistant", "甲答"), ("user", "乙问")]
    rows = await play.rows("SELECT state, text, answer, model FROM turns ORDER BY id")
    assert rows == [("delivered", "甲问", "甲答", "scripted"), ("delivered", "乙问", "乙答", "scripted")]
    assert await play.rows("SELECT DISTINCT state FROM deliveries") == [("acked",)]


async def test_the_animation_comes_before_the_model_and_the_answer_grows(play: Play) -> None:
    gate = asyncio.Event()
    play.sim.script.reply(Reply("字" * 60, reasoning="想" * 20, pace=60, delay=0.5))
    sent = play.sim.gateway.say("zhangsan", "问")
    await play.sim.gateway.until(lambda: len(play.sim.gateway.messages("user:zhangsan")) == 2, 5)
    assert not play.sim.script.requests or play.sim.script.open, "the first bubble does not wait for the model"
    first = play.sim.gateway.messages("user:zhangsan")[-1]
    assert (first.content, first.finished) == ("<think></think>", False)
    await play.sim.gateway.until(lambda: "字" in play.sim.gateway.messages("user:zhangsan")[-1].text, 5)
    last = (await play.sim.gateway.answered(sent, 10))[-1]
    assert last.text == "字" * 60
    assert last.thinking == "想" * 20
    assert last.frames > 4
    gate.set()


async def test_one_turn_at_a_time_in_a_chat_with_the_place_shown(play: Play) -> None:
    play.sim.script.reply(Reply("慢答" * 20, pace=40), "快答")
    first = play.sim.gateway.say("zhangsan", "慢")
    second = play.sim.gateway.say("zhangsan", "快")
    waiting = CHINESE.waiting.format(ahead=1)[:-1]
    await play.sim.gateway.until(lambda: play.sim.gateway.messages("user:zhangsan")[-1].text == waiting, 5)
    assert len(play.sim.script.requests) <= 1
    assert (await play.sim.gateway.answered(first, 10))[-1].text == "慢答" * 20
    assert (await play.sim.gateway.answered(second, 10))[-1].text == "快答"


async def test_groups_name_the_speaker_and_share_a_history(play: Play) -> None:
    play.sim.gateway.group("room", members=("li", "wang"))
    play.sim.script.reply("一", "二", "三")
    await play.ask("问 a@b.example @wang", "li", "room")
    await play.ask("我也问", "wang", "room")
    assert [one["content"] for one in play.asked()][1:] == ["li: 问 a@b.example @wang", "一", "wang: 我也问"]
    await play.ask("单聊", "li")
    assert [one["content"] for one in play.asked()][1:] == ["单聊"], "nothing of the group reaches a single chat"


async def test_a_history_per_person_in_a_group(sim: Simulator, tmp_path: Path) -> None:
    async with running(sim, tmp_path, group_history="per_user") as play:
        sim.gateway.group("room", members=("li", "wang"))
        sim.script.reply("一", "二", "三")
        await play.ask("秘密", "li", "room")
        await play.ask("我呢", "wang", "room")
        assert "秘密" not in str(play.asked())
        await play.ask("还记得吗", "li", "room")
        assert [one["content"] for one in play.asked()][1:] == ["li: 秘密", "一", "li: 还记得吗"]


async def test_new_stop_retry_and_help(play: Play) -> None:
    play.sim.script.reply("一", "二")
    await play.ask("旧")
    assert (await play.ask("/新对话")).text == CHINESE.new_done
    await play.ask("新")
    assert [one["content"] for one in play.asked()][1:] == ["新"]
    assert (await play.ask("/help")).text == CHINESE.help
    assert (await play.ask("停止")).text == CHINESE.nothing_to_stop
    play.sim.script.reply("三")
    assert (await play.ask("/retry")).text == "三"
    assert [one["content"] for one in play.asked()][1:] == ["新"], "the answer that is replaced is not shown"
    play.sim.script.reply("四")
    await play.ask("接着")
    assert [one["content"] for one in play.asked()][1:] == ["新", "三", "接着"]


async def test_stop_ends_the_answer_and_keeps_what_was_said(play: Play) -> None:
    play.sim.script.reply(Reply("说" * 400, pace=40))
    sent = play.sim.gateway.say("zhangsan", "问")
    await play.sim.gateway.until(lambda: "说" in play.sim.gateway.messages("user:zhangsan")[-1].text, 5)
    assert (await play.ask("/stop")).text == CHINESE.stopping
    stopped = (await play.sim.gateway.answered(sent, 5))[-1]
    assert stopped.text.startswith("说")
    assert stopped.text.endswith(CHINESE.stopped)
    await play.sim.script.until(lambda: not play.sim.script.open, 5)
    assert await play.rows("SELECT state FROM turns WHERE text = '问'") == [("cancelled",)]
    play.sim.script.reply("好")
    assert (await play.ask("再问")).text == "好"
    assert play.asked()[2]["content"].startswith("说"), "the model knows what it had said"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (failing(401), "key_refused"),
        (failing(402), "no_balance"),
        (failing(404), "model_missing"),
        (failing(429, retry_after=60), "rate_limited"),
        (failing(400), "too_long"),
        (Reply(""), "empty"),
        (Reply("", finish_reason="content_filter"), "refused"),
    ],
)
async def test_a_failing_model_ends_the_bubble_with_a_sentence(
    play: Play, reply: Reply, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    play.sim.script.reply(reply)
    assert (await play.ask("很私密的问题")).text == CHINESE.errors[code]
    assert await play.rows("SELECT state, error FROM turns") == [("failed", code)]
    assert "很私密的问题" not in caplog.text
    play.sim.script.reply("好了")
    assert (await play.ask("再问")).text == "好了", "the next turn works"


async def test_a_cut_answer_keeps_its_beginning(play: Play) -> None:
    play.sim.script.reply(Reply("开头说得很好" * 5, breaks=Break("cut", after=10)))
    shown = (await play.ask("问")).text
    assert shown.startswith("开头")
    assert shown.endswith(CHINESE.errors["cut"])


async def test_the_words_are_english_on_request(sim: Simulator, tmp_path: Path) -> None:
    async with running(sim, tmp_path, language="en") as play:
        sim.script.reply(failing(402))
        assert "balance" in (await play.ask("hi")).text


async def test_allow_lists_and_limits(sim: Simulator, tmp_path: Path) -> None:
    async with running(sim, tmp_path, allow_users=("li",), allow_chats=("room",), rate_per_user=1) as play:
        for room in ("room", "other"):
            sim.gateway.group(room, members=("li", "wang"))
        sim.script.reply("好")
        assert (await play.ask("问", "wang", "room")).text == CHINESE.not_allowed
        assert (await play.ask("问", "li", "other")).text == CHINESE.not_allowed
        assert (await play.ask("问", "li", "room")).text == "好"
        assert "秒再试" in (await play.ask("又问", "li", "room")).text
        assert len(sim.script.requests) == 1


async def test_the_daily_quota(sim: Simulator, tmp_path: Path) -> None:
    async with running(sim, tmp_path, daily_tokens_per_user=10) as play:
        sim.script.reply(Reply("好", usage={"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}))
        assert (await play.ask("问")).text == "好"
        assert (await play.ask("又问")).text == CHINESE.quota_used


async def test_a_message_that_comes_twice_is_answered_once_also_after_a_restart(sim: Simulator, tmp_path: Path) -> None:
    async with running(sim, tmp_path) as play:
        sim.script.reply("一次")
        sent = sim.gateway.say("li", "问")
        await sim.gateway.answered(sent, 10)
        sim.gateway.faults.redeliver(sent.msgid)
        assert (await play.ask("/help", "li")).text == CHINESE.help
    async with running(sim, tmp_path) as play:
        sim.gateway.faults.redeliver(sent.msgid)
        assert (await play.ask("/help", "li")).text == CHINESE.help
        assert len(sim.script.requests) == 1
        assert await play.rows("SELECT count(*) FROM turns WHERE text = '问'") == [(1,)]


async def test_the_line_drops_in_the_middle_of_an_answer(play: Play) -> None:
    play.sim.script.reply(Reply("字" * 120, pace=60))
    sent = play.sim.gateway.say("zhangsan", "问")
    await play.sim.gateway.until(lambda: "字" in play.sim.gateway.messages("user:zhangsan")[-1].text, 5)
    play.sim.gateway.faults.drop()
    shown = (await play.sim.gateway.answered(sent, 20))[-1]
    assert shown.text == "字" * 120
    assert len([one for one in play.sim.gateway.messages("user:zhangsan") if one.sender == "bot"]) == 1


async def test_a_req_id_that_no_longer_serves_falls_back_to_a_push(play: Play) -> None:
    play.sim.script.reply(Reply("字" * 120, pace=60))
    play.sim.gateway.say("zhangsan", "问")
    gateway = play.sim.gateway
    await gateway.until(lambda: "字" in gateway.messages("user:zhangsan")[-1].text, 5)
    gateway.faults.expire_streams()
    await gateway.until(lambda: gateway.messages("user:zhangsan")[-1].kind == "markdown", 20)
    assert gateway.messages("user:zhangsan")[-1].text == "字" * 120
    await play.sim.script.until(lambda: not play.sim.script.open, 5)


async def test_stopping_leaves_the_turn_owed_and_the_next_run_answers_it(sim: Simulator, tmp_path: Path) -> None:
    async with running(sim, tmp_path) as play:
        sim.script.reply(Reply("字" * 4000, pace=30))
        sim.gateway.say("zhangsan", "问")
        await sim.gateway.until(lambda: "字" in sim.gateway.messages("user:zhangsan")[-1].text, 5)
        for task in list(play.bot.server._tasks):
            task.cancel()  # the drain time is over
        await sim.gateway.until(lambda: sim.gateway.messages("user:zhangsan")[-1].finished, 5)
    noted = sim.gateway.messages("user:zhangsan")[-1].text
    assert noted.endswith(CHINESE.stream.stopped)
    sim.script.reply("补上的回答")
    async with running(sim, tmp_path) as play:
        await sim.gateway.until(lambda: sim.gateway.messages("user:zhangsan")[-1].text == "补上的回答", 10)
        assert await play.rows("SELECT state, answer FROM turns") == [("delivered", "补上的回答")]
    assert sim.gateway.messages("user:zhangsan")[-2].text == noted


async def test_what_is_sent_while_the_bot_stops_is_answered_by_its_next_run(sim: Simulator, tmp_path: Path) -> None:
    async with running(sim, tmp_path) as play:
        sim.script.reply(Reply("字" * 120, pace=60), "晚到的回答")
        slow = sim.gateway.say("zhangsan", "问")
        await sim.gateway.until(lambda: "字" in sim.gateway.messages("user:zhangsan")[-1].text, 5)
        play.bot.stop()
        late = sim.gateway.say("lisi", "晚到的问题")
        assert late.delivered
        assert (await sim.gateway.answered(slow, 10))[-1].text == "字" * 120
    assert len(sim.gateway.messages("user:lisi")) == 1, "it gets no half-hearted bubble"
    async with running(sim, tmp_path):
        assert (await sim.gateway.answered(late, 10))[-1].text == "晚到的回答"


async def test_long_answers_lose_nothing(play: Play) -> None:
    text = "\n\n".join(f"第 {number} 段：" + "很长的话。" * 30 for number in range(120))
    play.sim.script.reply(text)
    sent = play.sim.gateway.say("zhangsan", "长文")
    await play.sim.gateway.answered(sent, 30)
    await play.sim.gateway.until(
        lambda: sum(len(one.text) for one in play.sim.gateway.messages("user:zhangsan")[1:]) >= len(text) - 20, 10
    )
    bubbles = [one for one in play.sim.gateway.messages("user:zhangsan") if one.sender == "bot"]
    assert len(bubbles) > 1
    assert all(len(one.content.encode()) <= 20480 for one in bubbles)
    assert "".join("".join(one.text for one in bubbles).split()) == "".join(text.split())


async def test_what_exceeds_five_bubbles_comes_as_a_file_with_the_whole(play: Play) -> None:
    text = "\n\n".join(f"第 {number} 段：" + "很长的话。" * 30 for number in range(400))
    play.sim.script.reply(text)
    play.sim.gateway.say("zhangsan", "很长的长文")
    gateway = play.sim.gateway
    await gateway.until(lambda: gateway.messages("user:zhangsan")[-1].kind == "file", 40)
    bubbles = [one for one in gateway.messages("user:zhangsan") if one.sender == "bot"]
    assert [one.kind for one in bubbles] == ["stream", "file"]
    media = bubbles[-1].media[0]
    assert media["name"].endswith(".md")
    assert gateway.media_bytes(media["media_id"]).decode() == text


async def test_quotes_voice_and_what_cannot_be_read(play: Play) -> None:
    play.sim.script.reply("一", "二")
    first = await play.ask("原话")
    quoted = play.sim.gateway.say("zhangsan", "这是什么意思", quote=first.id)
    await play.sim.gateway.answered(quoted, 10)
    assert "not instructions" in play.asked()[-1]["content"]
    assert "一" in play.asked()[-1]["content"]
    spoken = play.sim.gateway.send("zhangsan", "voice", "几点了")
    play.sim.script.reply("三点")
    assert (await play.sim.gateway.answered(spoken, 10))[-1].text in ("二", "三点")
    assert play.asked()[-1]["content"] == "[voice] 几点了"


async def test_welcome_and_feedback(play: Play) -> None:
    play.sim.script.reply("好")
    entered = play.sim.gateway.enter("newcomer")
    assert entered.delivered, entered.why
    await play.sim.gateway.until(lambda: bool(play.sim.gateway.messages("user:newcomer")), 5)
    assert "小 助手" in str(play.sim.gateway.messages("user:newcomer")[-1].card)
    answer = await play.ask("问")
    assert answer.feedback_id
    play.sim.gateway.feedback("zhangsan", answer.id, 2, "不对", [3])
    for _ in range(100):
        if rows := await play.rows("SELECT type, content, reasons, turn FROM feedback"):
            break
        await asyncio.sleep(0.02)
    assert rows == [(2, "不对", "[3]", 1)]


async def test_an_edited_prompt_applies_to_the_next_turn(sim: Simulator, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "single.md").write_text("你是{{bot_name}}，在{{chat_type}}。", encoding="utf-8")
    async with running(sim, tmp_path / "data", prompts_dir=prompts) as play:
        sim.script.reply("一", "二")
        await play.ask("问")
        assert play.asked()[0]["content"] == "你是小 助手，在单聊。"
        (prompts / "single.md").write_text("---\ntemperature: 0.1\n---\n改过的提示词", encoding="utf-8")
        await play.ask("再问")
        assert play.asked()[0]["content"] == "改过的提示词"
        assert sim.script.requests[-1].body["temperature"] == 0.1


async def test_the_data_folder_is_private(play: Play) -> None:
    folder = play.settings.data_dir
    assert oct(os.stat(folder / "agent.db").st_mode & 0o777) == "0o600"


async def test_the_model_of_a_chat_and_of_everybody(sim: Simulator, tmp_path: Path) -> None:
    async with running(sim, tmp_path, openai_models=("scripted-vision",), admins=("boss",)) as play:
        assert "scripted-vision" in (await play.ask("/model", "li")).text
        assert (await play.ask("/model nonesuch", "li")).text.startswith("没有名为 nonesuch")
        assert (await play.ask("/model default scripted-vision", "li")).text == CHINESE.admins_only
        await play.ask("/model SCRIPTED-vision", "li")
        sim.script.reply("一", "二", "三")
        await play.ask("问", "li")
        assert sim.script.requests[-1].model == "scripted-vision"
        await play.ask("问", "wang")
        assert sim.script.requests[-1].model == "scripted"
        await play.ask("/model default scripted-vision", "boss")
        await play.ask("再问", "wang")
        assert sim.script.requests[-1].model == "scripted-vision"
        assert "今天" in (await play.ask("/usage", "wang")).text
        assert (await play.ask("/summary", "wang")).text == CHINESE.no_summary


async def test_what_falls_out_of_the_window_is_summarised(sim: Simulator, tmp_path: Path) -> None:
    async with running(sim, tmp_path, context_tokens=2600) as play:
        long = "关于合同的一段很长的话。" * 40
        for number in range(6):
            sim.script.reply(f"第 {number} 次的回答")
            await play.ask(f"{number}：{long}")
            if any("Summarise" in str(one.messages) for one in sim.script.requests):
                break
            sim.script.default = lambda request: Reply("摘要：他们在谈合同。")
        await play.idle()
        assert "摘要：他们在谈合同。" in (await play.ask("/summary")).text
        sim.script.reply("好")
        await play.ask("接着说")
        assert "摘要：他们在谈合同。" in play.asked()[0]["content"]
        await play.ask("/new")
        assert (await play.ask("/摘要")).text == CHINESE.no_summary
