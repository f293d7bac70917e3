"""The files that the demonstration asks the bot's tools for: one small call a kind, in both languages.

It knows the tools' names and plausible arguments, as a model would write them; what comes of them is the bot's.
"""

import json
from typing import Any

from agent.simulator.completions import Reply, Request, ToolCall

# By tool: the arguments in Chinese and in English.
_DOCUMENT: tuple[dict[str, Any], dict[str, Any]] = (
    {
        "filename": "会议纪要.docx",
        "format": "docx",
        "title": "项目周会纪要",
        "content": "## 结论\n\n**按期上线**，范围不变。\n\n## 待办\n\n| 事项 | 负责人 | 截止 |\n|---|---|---|\n"
        "| 压测报告 | 张三 | 周三 |\n| 上线公告 | 李四 | 周五 |\n\n> 下次会议：下周一 10:00",
    },
    {
        "filename": "minutes.docx",
        "format": "docx",
        "title": "Weekly minutes",
        "content": "## Decision\n\n**We ship on time.**\n\n## To do\n\n| Task | Owner | Due |\n|---|---|---|\n"
        "| Load test | Ann | Wednesday |\n| Announcement | Bob | Friday |\n\n> Next meeting: Monday, 10:00",
    },
)
_WORKBOOK: tuple[dict[str, Any], dict[str, Any]] = (
    {
        "filename": "差旅费用.xlsx",
        "sheets": [
            {
                "name": "明细",
                "columns": [
                    {"title": "部门"},
                    {"title": "人数", "format": "integer", "total": "sum"},
                    {"title": "金额", "format": "money", "total": "sum"},
                ],
                "rows": [["销售", 24, 186400], ["研发", 61, 92150.5], ["市场", 15, 74020]],
                "charts": [{"type": "column", "title": "各部门金额", "labels": "部门", "values": ["金额"]}],
            },
            {"name": "说明", "columns": [{"title": "项目"}, {"title": "内容"}], "rows": [["口径", "演示数据"]]},
        ],
    },
    {
        "filename": "travel.xlsx",
        "sheets": [
            {
                "name": "Details",
                "columns": [
                    {"title": "Team"},
                    {"title": "People", "format": "integer", "total": "sum"},
                    {"title": "Amount", "format": "usd", "total": "sum"},
                ],
                "rows": [["Sales", 24, 186400], ["Research", 61, 92150.5], ["Marketing", 15, 74020]],
                "charts": [{"type": "column", "title": "By team", "labels": "Team", "values": ["Amount"]}],
            },
            {"name": "Notes", "columns": [{"title": "Item"}, {"title": "Text"}], "rows": [["Source", "made up"]]},
        ],
    },
)
_CHANGE: tuple[dict[str, Any], dict[str, Any]] = (
    {
        "filename": "差旅费用.xlsx",
        "based_on": "差旅费用.xlsx",
        "sheets": [{"name": "2", "append_rows": [["更新", "第二张表加了这一行"]]}],
    },
    {
        "filename": "travel.xlsx",
        "based_on": "travel.xlsx",
        "sheets": [{"name": "2", "append_rows": [["Change", "this row is new"]]}],
    },
)
_SLIDES: tuple[dict[str, Any], dict[str, Any]] = (
    {
        "filename": "季度汇报.pptx",
        "title": "季度汇报",
        "subtitle": "演示数据",
        "slides": [
            {"title": "要点", "bullets": ["收入同比增长 12%", "新签客户 48 家", "续约率 93%"]},
            {
                "title": "收入",
                "chart": {
                    "type": "bar",
                    "labels": ["一月", "二月", "三月"],
                    "series": [{"name": "收入（万元）", "values": [120, 138, 151]}],
                },
            },
        ],
    },
    {
        "filename": "quarter.pptx",
        "title": "The quarter",
        "subtitle": "Made-up figures",
        "slides": [
            {"title": "In short", "bullets": ["Revenue up 12%", "48 new customers", "93% renewed"]},
            {
                "title": "Revenue",
                "chart": {
                    "type": "bar",
                    "labels": ["January", "February", "March"],
                    "series": [{"name": "Revenue", "values": [120, 138, 151]}],
                },
            },
        ],
    },
)
_CHART: tuple[dict[str, Any], dict[str, Any]] = (
    {
        "filename": "收入趋势.png",
        "type": "line",
        "title": "收入趋势（万元）",
        "labels": ["一月", "二月", "三月", "四月"],
        "series": [{"name": "华东", "values": [12, 15, 14, 19]}, {"name": "华南", "values": [9, 11, 13, 12]}],
    },
    {
        "filename": "trend.png",
        "type": "line",
        "title": "Revenue",
        "labels": ["January", "February", "March", "April"],
        "series": [{"name": "East", "values": [12, 15, 14, 19]}, {"name": "South", "values": [9, 11, 13, 12]}],
    },
)
PIECES = {
    "document": ("create_document", _DOCUMENT),
    "workbook": ("create_spreadsheet", _WORKBOOK),
    "change": ("create_spreadsheet", _CHANGE),
    "slides": ("create_slides", _SLIDES),
    "chart": ("create_chart", _CHART),
}


def call(piece: str, request: Request, language: int) -> Reply:
    """The call for a piece, or what is missing when the bot does not offer the tool."""
    name, arguments = PIECES[piece]
    if piece == "change":  # the workbook that was made, whatever the language of this question
        language = 1 if _WORKBOOK[1]["filename"] in str(request.messages) else 0
    offered = [tool.get("function", {}).get("name") for tool in request.body.get("tools") or ()]
    if name not in offered:
        missing = ("机器人现在没有提供工具 `{}`。", "The bot does not offer the tool `{}` now.")
        return Reply(missing[language].format(name))
    said = ("好的，马上生成。", "Sure, one moment.")[language]
    return Reply(said, tool_calls=(ToolCall(name, json.dumps(arguments[language], ensure_ascii=False)),), pace=60.0)


def done(request: Request, language: int) -> Reply | None:
    """What follows a tool that made a file; None after others and after failures."""
    told = str(request.messages[-1].get("content", ""))
    if not told.startswith("Made file"):
        return None
    return Reply(("做好了，文件随这条消息发给你。", "Done; the file follows this message.")[language], pace=60.0)
