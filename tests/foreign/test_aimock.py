"""The whole bot with a model server that we did not write: the loop, the tools, the files."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from agent.simulator import Simulator
from tests.aimock import fixture, server
from tests.bot import Play, running

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("aimock")]

BOOK = {
    "filename": "费用.xlsx",
    "sheets": [
        {"name": "一月", "columns": [{"title": "项目"}, {"title": "金额"}], "rows": [["差旅", 120], ["会议", 80]]},
        {"name": "二月", "columns": [{"title": "项目"}, {"title": "金额"}], "rows": [["差旅", 60]]},
    ],
}
CHANGE = {
    "filename": "费用.xlsx",
    "based_on": "费用.xlsx",
    "sheets": [{"name": "2", "append_rows": [["培训", 300]]}],
}
NOTE = {"filename": "说明.md", "format": "md", "content": "# 说明"}


def call(name: str, arguments: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {"id": f"call_{name}_{number}", "name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}


ANSWERS = [
    fixture(
        "做个费用表",
        {
            "content": "好的。",
            "reasoning": "两个文件",
            "toolCalls": [call("create_spreadsheet", BOOK), call("create_document", NOTE)],
        },
        match={"hasToolResult": False},
    ),
    fixture("做个费用表", {"content": "两个文件都好了。"}, match={"hasToolResult": True}),
    fixture(
        "第二张表",
        {"content": "", "toolCalls": [call("create_spreadsheet", CHANGE, 2)]},
        match={"hasToolResult": False},
    ),
    fixture("第二张表", {"content": "改好了。"}, match={"hasToolResult": True}),
    fixture("甲乙", {"content": "读到了。"}),
]


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    async with server(ANSWERS, tmp_path) as url, Simulator() as sim:
        async with running(sim, tmp_path / "data", openai_base_url=url, openai_model="gpt-4o") as one:
            yield one
        assert not sim.gateway.check()


def rows(play: Play, media_id: str, sheet: str) -> list[tuple[Any, ...]]:
    book = openpyxl.load_workbook(io.BytesIO(play.sim.gateway.media_bytes(media_id)))
    return list(book[sheet].iter_rows(values_only=True))


async def test_parallel_calls_make_files_and_a_change_keeps_the_rest(play: Play) -> None:
    gateway = play.sim.gateway
    bubble, *files = await gateway.answered(gateway.say("li", "做个费用表"), 20, count=3)
    assert bubble.text == "好的。\n\n两个文件都好了。"
    assert "两个文件" in bubble.thinking
    assert sorted(one.media[0]["name"] for one in files) == ["说明.md", "费用.xlsx"]
    bubble, file = await gateway.answered(gateway.say("li", "在第二张表加上培训 300"), 20, count=2)
    assert bubble.text == "改好了。"
    media = file.media[0]
    assert media["name"] == "费用_v2.xlsx"
    assert rows(play, media["media_id"], "一月") == [("项目", "金额"), ("差旅", 120), ("会议", 80)]
    assert rows(play, media["media_id"], "二月") == [("项目", "金额"), ("差旅", 60), ("培训", 300)]


async def test_a_file_that_someone_sent_reaches_it(play: Play) -> None:
    gateway = play.sim.gateway
    await gateway.answered(gateway.send("li", "file", ("甲乙丙".encode("gb18030"), "说明.txt")), 20)
    assert (await play.ask("总结一下", "li")).text == "读到了。"
