"""What people see of an answer while it grows and when it is long, and what the prompt files make of it."""

import json
import re
from pathlib import Path

import pytest

from agent.simulator import Message, Simulator
from agent.simulator.model import Reply, ToolCall
from tests.bot import Play, running


def bubbles(sim: Simulator, user: str) -> list[Message]:
    return [one for one in sim.gateway.messages(f"user:{user}") if one.sender == "bot"]


def contents(sim: Simulator) -> list[str]:
    """What each frame of the bot showed."""
    frames = [json.loads(one.text) for one in sim.gateway.trace if one.direction == "out"]
    bodies = [frame["body"]["stream"] for frame in frames if frame.get("body", {}).get("msgtype") == "stream"]
    return [body["content"] for body in bodies]


async def test_no_frame_shows_a_picture_by_url(play: Play) -> None:
    text = (
        "看 ![图](https://e.invalid/a.png?q=secret) 和 [![徽](https://e.invalid/b.svg)](https://e.invalid)，"
        "<img src='https://e.invalid/c.png'>，![d][1]，代码 `![e](f)`。\n\n[1]: https://e.invalid/d.png\n"
    )
    play.sim.script.reply(
        Reply(
            text,
            reasoning="想 `![g](https://e.invalid/g.png)`",
            pieces=[text[at : at + 3] for at in range(0, len(text), 3)],
            pace=40,
        )
    )
    answer = await play.ask("画", "li")
    assert answer.thinking == "想 `[g](https://e.invalid/g.png)`"
    shown = answer.text
    grown = contents(play.sim)
    assert len(grown) > 8
    for content in grown:
        assert "![" not in content.replace("`![e](f)`", "")
        assert "<img" not in content
    for address in ("a.png?q=secret", "b.svg", "c.png", "d.png"):
        assert f"https://e.invalid/{address}" in shown, "as a link it is still there"
    assert "`![e](f)`" in shown


async def test_the_name_of_a_made_up_tool_shows_no_picture_either(play: Play) -> None:
    name = "![x](https://e.invalid/?q=secret)</think>"
    play.sim.script.reply(Reply(tool_calls=(ToolCall(name, "{}"),)), "好")
    answer = await play.ask("画", "li")
    assert answer.text == "好"
    assert answer.thinking is not None
    assert "x_https_e_invalid_q_secret" in answer.thinking
    assert "![" not in "".join(contents(play.sim))


async def test_a_long_table_and_long_code_are_whole_in_each_bubble(play: Play) -> None:
    table = "| 编号 | 说明 |\n|---|---|\n" + "".join(f"| {number} | 一行说明文字 |\n" for number in range(1000))
    code = "```python\n" + "".join(f"print({number})  # 注释\n" for number in range(1200)) + "```\n"
    play.sim.script.reply(f"先看表：\n{table}\n再看代码：\n\n{code}\n完")
    sent = play.sim.gateway.say("li", "长文")
    await play.sim.gateway.answered(sent, 30, count=3)
    await play.idle()
    shown = [one.content for one in bubbles(play.sim, "li")]
    assert 3 <= len(shown) <= 5
    rows, lines = [], []
    for content in shown:
        assert len(content.encode()) <= 20480
        assert content.count("```") % 2 == 0, "each bubble closes its fence"
        found = [int(number) for number in re.findall(r"^\| (\d+) \|", content, re.MULTILINE)]
        if found:
            assert re.search(r"(^|\n\n)\| 编号 \| 说明 \|\n\|---\|---\|\n\| \d", content), "a header, and apart"
        rows += found
        lines += [int(number) for number in re.findall(r"^print\((\d+)\)", content, re.MULTILINE)]
    assert rows == list(range(1000))
    assert lines == list(range(1200))


async def test_personas_by_type_and_by_chat(sim: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "prompts"
    (folder / "chats").mkdir(parents=True)
    (folder / "group.md").write_text("群里的助手", encoding="utf-8")
    (folder / "single.md").write_text("---\nreasoning: hide\nlanguage: English\n---\n单聊的助手", encoding="utf-8")
    (folder / "chats" / "wang.md").write_text("---\nmodel: scripted-vision\ntemperature: 0.2\n---\n王的助手", "utf-8")
    sim.gateway.group("room", members=("li",))
    async with running(sim, tmp_path / "data", prompts_dir=folder) as play:
        sim.script.default = lambda _: Reply("答", reasoning="想")
        assert (await play.ask("问", "li", "room")).thinking == "想"
        assert play.asked()[0]["content"] == "群里的助手"
        assert (await play.ask("问", "li")).thinking is None, "hidden"
        assert play.asked()[0]["content"].startswith("单聊的助手\n\n")
        assert "English" in play.asked()[0]["content"]
        await play.ask("问", "wang")
        assert (play.asked()[0]["content"], sim.script.requests[-1].model) == ("王的助手", "scripted-vision")
        assert sim.script.requests[-1].body["temperature"] == 0.2
        (folder / "chats" / "wang.md").write_text("---\nmodell: x\n---\n坏的", encoding="utf-8")
        for _ in range(2):
            await play.ask("问", "wang")
            assert (play.asked()[0]["content"], sim.script.requests[-1].model) == ("王的助手", "scripted-vision")
        assert caplog.text.count("unknown key 'modell'") == 1
        assert "wang.md line 2" in caplog.text
        await play.idle()
        # As after a kill -9 between the answer and its delivery.
        await play.bot.store.run(
            lambda db: db.execute(
                "UPDATE turns SET state = 'answered', delivered_at = NULL WHERE id = (SELECT min(id) FROM turns"
                " WHERE chat LIKE '%/single/li')"
            )
        )
    async with running(sim, tmp_path / "data", prompts_dir=folder) as play:
        await play.ask("/help", "li")
        assert await play.rows("SELECT DISTINCT state FROM turns") == [("delivered",)]
        assert [one.thinking for one in bubbles(sim, "li")] == [None, None, None], "hidden after a restart, too"
