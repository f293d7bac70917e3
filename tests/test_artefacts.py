"""Files that the bot makes: from the model's call to the file that a person gets, against the simulator."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from agent.chat import artefacts
from agent.chat.words import CHINESE
from agent.simulator import Message, Sent, Simulator
from agent.simulator.model import Reply, ToolCall, failing
from tests.bot import Play, running

FIRST = "aibot_upload_media_init"
RESPOND = "aibot_respond_msg"


def making(name: str = "纪要.md", content: str = "# 会议纪要\n\n- 张三：完成", **more: Any) -> Reply:
    arguments = {"filename": name, "format": "md", "content": content, **more}
    return Reply("马上好。", tool_calls=(ToolCall("create_document", json.dumps(arguments, ensure_ascii=False)),))


async def both(play: Play, sent: Sent, within: float = 10.0) -> list[Message]:
    """The bubble of an answer and what followed it."""
    return await play.sim.gateway.answered(sent, within, count=2)


async def test_a_file_follows_the_answer(play: Play) -> None:
    play.sim.script.reply(making(), "做好了，请查收。")
    bubble, file = await both(play, play.sim.gateway.say("li", "写纪要"))
    assert bubble.text == "马上好。\n\n做好了，请查收。"
    assert "✅ 生成文档" in bubble.thinking
    assert (file.kind, file.media[0]["name"]) == ("file", "纪要.md")
    assert "张三：完成" in play.sim.gateway.media_bytes(file.media[0]["media_id"]).decode()
    call, result = play.asked()[-2:]
    assert call["tool_calls"][0]["function"]["name"] == "create_document"
    assert result["content"].startswith("Made file 1: 纪要.md.")
    assert await play.rows("SELECT name, state, origin FROM files") == [("纪要.md", "sent", "made")]
    assert await play.rows("SELECT kind, state FROM deliveries ORDER BY id") == [
        ("stream", "acked"),
        ("media", "acked"),
    ]


async def test_a_second_version_is_known_as_such(play: Play) -> None:
    play.sim.script.reply(making(), "第一版", making(content="改过的"), "第二版")
    await both(play, play.sim.gateway.say("li", "写纪要"))
    _, file = await both(play, play.sim.gateway.say("li", "改一下"))
    assert file.media[0]["name"] == "纪要_v2.md"
    read = (ToolCall("read_file", '{"file": "纪要_v2.md"}'), ToolCall("read_file", '{"file": "纪要.md"}'))
    play.sim.script.reply(Reply(tool_calls=read), "好")
    await play.ask("v2 里有什么", "li")
    assert all("改过的" in one["content"] for one in play.asked()[-2:]), "by the name that people see"
    history = play.asked(2)
    assert '[file 1: "纪要.md", made by you' in history[2]["content"], "so that the model knows what it may change"


async def test_a_made_workbook_that_is_quoted_can_be_changed(play: Play) -> None:
    def calling(**arguments: Any) -> Reply:
        return Reply(tool_calls=(ToolCall("create_spreadsheet", json.dumps(arguments, ensure_ascii=False)),))

    def sheet(name: str, value: int) -> dict[str, Any]:
        return {"name": name, "columns": [{"title": "x"}], "rows": [[value]]}

    play.sim.script.reply(calling(filename="预算.xlsx", sheets=[sheet("一", 1), sheet("二", 2)]), "好")
    _, made = await both(play, play.sim.gateway.say("li", "做表"))
    play.sim.script.reply(calling(based_on="预算.xlsx", sheets=[sheet("二", 9)]), "改好了")
    _, file = await both(play, play.sim.gateway.say("li", "把第二张表改成 9", quote=made.id))
    book = openpyxl.load_workbook(io.BytesIO(play.sim.gateway.media_bytes(file.media[0]["media_id"])))
    assert [(one.title, one["A2"].value) for one in book] == [("一", 1), ("二", 9)]
    assert file.media[0]["name"] == "预算_v2.xlsx"


async def test_a_failed_upload_is_tried_again(play: Play) -> None:
    play.sim.gateway.faults.refuse(FIRST, -1)
    play.sim.script.reply(making(), "好")
    _, file = await both(play, play.sim.gateway.say("li", "写纪要"))
    assert file.kind == "file"
    assert await play.rows("SELECT state FROM files") == [("sent",)]


async def test_a_file_that_cannot_be_sent_is_said_kept_and_brought_again(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artefacts, "PAUSES", (0.01, 0.01))
    play.sim.gateway.faults.refuse(FIRST, -1, 3)
    play.sim.script.reply(making(), "好")
    _, said = await both(play, play.sim.gateway.say("li", "写纪要"))
    assert said.text == CHINESE.file_not_sent.format(name="纪要.md")
    assert await play.rows("SELECT state, error FROM files") == [("failed", "upload")]
    again, file = await both(play, play.sim.gateway.say("li", "/retry"))
    assert again.text == CHINESE.files_again
    assert file.media[0]["name"] == "纪要.md"
    assert await play.rows("SELECT state, error FROM files") == [("sent", None)]
    assert len(play.sim.script.requests) == 2, "the model is not asked again"


async def test_a_file_whose_ack_is_lost_is_not_sent_twice_unless_asked_for(sim: Simulator, tmp_path: Path) -> None:
    async with running(sim, tmp_path, request_timeout=400) as play:
        sim.gateway.faults.delay_acks(0.3, "aibot_upload_media_finish")
        sim.script.reply(making(), "好")
        sent = sim.gateway.say("li", "写纪要")
        await sim.gateway.answered(sent)
        sim.gateway.faults.lose_acks(1, RESPOND)
        await both(play, sent)
        assert await play.rows("SELECT state FROM files") == [("unknown",)]
        assert [one.kind for one in sim.gateway.messages("user:li")].count("file") == 1
        said, _ = await both(play, sim.gateway.say("li", "/retry"))
        assert said.text == CHINESE.files_again, "the words had arrived"
        assert await play.rows("SELECT state FROM files") == [("sent",)]


async def test_a_restart_sends_what_was_made_and_never_left(sim: Simulator, tmp_path: Path) -> None:
    sim.gateway.faults.refuse(FIRST, -1, 1)
    sim.script.reply(making(), "好")
    async with running(sim, tmp_path) as play:
        sent = sim.gateway.say("li", "写纪要")
        await sim.gateway.answered(sent)
        await asyncio.sleep(0.2)  # inside the pause before the next try
        play.bot.server.stop()
        play.bot.server._tasks.copy().pop().cancel()
    assert [one.kind for one in sim.gateway.messages("user:li")] == ["text", "stream"]
    async with running(sim, tmp_path) as play:
        await sim.gateway.until(lambda: sim.gateway.messages("user:li")[-1].kind == "file")
        assert await play.rows("SELECT state FROM files") == [("sent",)]


async def test_an_answer_that_is_written_again_after_a_restart_sends_its_file_once(
    sim: Simulator, tmp_path: Path
) -> None:
    sim.script.reply(making(), Reply("慢慢说" * 100, pace=20), making(), "又做好了")
    async with running(sim, tmp_path) as play:
        sim.gateway.say("li", "写纪要")
        await sim.script.until(lambda: len(sim.script.requests) == 2)
        play.bot.server.stop()
        play.bot.server._tasks.copy().pop().cancel()
    for _ in range(2):  # the second time nothing is owed any more
        async with running(sim, tmp_path) as play:
            await sim.gateway.until(lambda: sim.gateway.messages("user:li")[-1].kind == "file")
            assert await play.rows("SELECT name, version, state FROM files") == [("纪要.md", 1, "sent")]
    assert [one.kind for one in sim.gateway.messages("user:li")].count("file") == 1


async def test_mistakes_of_the_model_go_back_to_it(play: Play) -> None:
    wrong = (
        ToolCall("create_document", '{"filename": "a.md", "format": "md", "content": ""}'),
        ToolCall("create_document", '{"filename": '),
        ToolCall("no_such_tool", "{}"),
        ToolCall("create_document", '{"filename": "a.md", "format": "md", "content": "x"}'),
    )
    play.sim.script.reply(Reply(tool_calls=wrong), "抱歉")
    assert (await play.ask("写", "li")).text == "抱歉"
    results = [one["content"] for one in play.asked()[-4:]]
    assert "content is empty" in results[0]
    assert "not valid JSON" in results[1]
    assert "There is no tool 'no_such_tool'" in results[2]
    assert "write more into it" in results[3]
    assert await play.rows("SELECT count(*) FROM files") == [(0,)]


async def test_rounds_have_an_end(play: Play) -> None:
    play.sim.script.default = lambda request: (
        Reply("够了") if request.body.get("tool_choice") == "none" else Reply(tool_calls=(ToolCall("nothing", "{}"),))
    )
    assert (await play.ask("转圈", "li")).text == "够了"
    assert len(play.sim.script.requests) == 13


async def test_a_file_is_answer_enough(play: Play) -> None:
    made = making()
    play.sim.script.reply(Reply(tool_calls=made.tool_calls), Reply())
    bubble, file = await both(play, play.sim.gateway.say("li", "写纪要"))
    assert (bubble.text, file.media[0]["name"]) == (CHINESE.files_made, "纪要.md")
    play.sim.script.reply(made, Reply())
    bubble, _ = await both(play, play.sim.gateway.say("li", "再写一份"))
    assert bubble.text == "马上好。"
    assert await play.rows("SELECT error, state FROM turns") == [(None, "delivered")] * 2


async def test_a_model_that_only_calls_tools_has_said_nothing(play: Play) -> None:
    play.sim.script.reply(*[Reply(tool_calls=(ToolCall("read_file", '{"file": "x"}'),)) for _ in range(13)])
    assert (await play.ask("问")).text == CHINESE.error("empty")
    assert await play.rows("SELECT error FROM turns") == [("empty",)]


async def test_tools_that_a_prompt_does_not_list_are_off(sim: Simulator, tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    prompt = tmp_path / "prompts" / "single.md"
    prompt.write_text("---\ntools: [create_document]\n---\n你好", encoding="utf-8")
    async with running(sim, tmp_path / "data", prompts_dir=tmp_path / "prompts") as play:
        sim.script.reply("一", "二")
        await play.ask("问", "li")
        offered = [tool["function"]["name"] for tool in sim.script.requests[-1].body["tools"]]
        assert offered == ["create_document"]
        prompt.write_text("---\ntools: []\n---\n你好", encoding="utf-8")
        await play.ask("再问", "li")
        assert "tools" not in sim.script.requests[-1].body


async def test_stop_while_a_tool_works(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def endless(*_: Any) -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr("agent.chat.workbench.Workbench._keep", endless)
    play.sim.script.reply(making())
    sent = play.sim.gateway.say("li", "写")
    async with asyncio.timeout(5):
        await begun.wait()
    assert (await play.ask("/stop", "li")).text == CHINESE.stopping
    assert (await play.sim.gateway.answered(sent))[-1].text == f"马上好。\n\n{CHINESE.stopped}"


@pytest.mark.parametrize(
    ("said", "name", "kind"),
    [
        ("Word", "会议纪要.docx", "file"),
        ("Excel", "差旅费用.xlsx", "file"),
        ("PPT", "季度汇报.pptx", "file"),
        ("图表", "收入趋势.png", "image"),
        ("a document", "minutes.docx", "file"),
    ],
)
async def test_what_the_playground_shows_works(play: Play, said: str, name: str, kind: str) -> None:
    bubble, file = await both(play, play.sim.gateway.say("li", said), 20)
    assert "⚠️" not in bubble.thinking
    assert (file.kind, file.media[0]["name"]) == (kind, name)


async def test_the_playground_changes_its_workbook(play: Play) -> None:
    await both(play, play.sim.gateway.say("li", "Excel"), 20)
    _, file = await both(play, play.sim.gateway.say("li", "改第二张表"), 20)
    book = openpyxl.load_workbook(io.BytesIO(play.sim.gateway.media_bytes(file.media[0]["media_id"])))
    assert book.sheetnames == ["明细", "说明"]
    assert [row[0].value for row in book["说明"].iter_rows()] == ["项目", "口径", "更新"]


async def test_a_restart_forgets_what_an_interrupted_attempt_made(sim: Simulator, tmp_path: Path) -> None:
    sim.script.reply(making(content="一次"), Reply("好", delay=30))
    async with running(sim, tmp_path) as play:
        sim.gateway.say("li", "写纪要")
        await sim.script.until(lambda: len(sim.script.requests) == 2)
        play.bot.server._tasks.copy().pop().cancel()
    sim.script.reply(making(content="两次"), "好")
    for _ in range(2):
        async with running(sim, tmp_path) as play:
            await sim.gateway.until(lambda: any(one.kind == "file" for one in sim.gateway.messages("user:li")))
            await play.ask("/help", "li")
            assert await play.rows("SELECT name, version, state FROM files") == [("纪要.md", 1, "sent")]
    assert [one.kind for one in sim.gateway.messages("user:li")].count("file") == 1


async def test_a_retry_while_an_upload_is_tried_again_sends_the_file_once(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artefacts, "PAUSES", (1.0,))
    play.sim.gateway.faults.refuse(FIRST, -1)
    play.sim.script.reply(making(), "好")
    sent = play.sim.gateway.say("li", "写纪要")
    await play.sim.gateway.answered(sent)
    assert (await both(play, play.sim.gateway.say("li", "/retry")))[1].kind == "file"
    assert await play.rows("SELECT state FROM files") == [("sent",)]
    assert [one.kind for one in play.sim.gateway.messages("user:li")] == ["text", "stream", "text", "stream", "file"]


async def test_a_file_waits_for_the_line_however_long_it_is_away(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artefacts, "PAUSES", (0.01, 0.01))
    async with running(sim, tmp_path, request_timeout=200) as play:
        sim.gateway.faults.refuse(FIRST, -1, 1)
        sim.script.reply(making(), "好")
        sent = sim.gateway.say("li", "写纪要")
        await sim.gateway.answered(sent)
        sim.gateway.faults.refuse_connections()
        sim.gateway.faults.drop()
        await asyncio.sleep(1)
        sim.gateway.faults.refuse_connections(False)
        assert (await both(play, sent))[1].kind == "file"
        assert await play.rows("SELECT state FROM files") == [("sent",)]


async def test_a_restart_sends_what_was_made_before_the_model_failed(sim: Simulator, tmp_path: Path) -> None:
    sim.gateway.faults.refuse(FIRST, -1, 1)
    sim.script.reply(making(), failing(401))
    async with running(sim, tmp_path) as play:
        sent = sim.gateway.say("li", "写纪要")
        await sim.gateway.answered(sent)
        await asyncio.sleep(0.2)  # inside the pause before the next try
        play.bot.server._tasks.copy().pop().cancel()
        assert await play.rows("SELECT state FROM turns") == [("failed",)]
    async with running(sim, tmp_path) as play:
        await sim.gateway.until(lambda: sim.gateway.messages("user:li")[-1].kind == "file")
        assert await play.rows("SELECT state FROM files") == [("sent",)]
