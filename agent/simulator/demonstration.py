"""The playground's answers without a model: an echo of what was understood, and by keyword everything that can go
right or wrong in an answer.

It speaks through ``Reply`` like any test; the words of the help are the table of tricks at the end.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from agent.simulator import showpieces
from agent.simulator.completions import Break, Reply, Request, ToolCall, failing, text_of
from agent.simulator.strictness import picture

_CJK = re.compile(r"[\u3400-\u9fff]")
_FILE = re.compile(
    r"[^\s\\/:*?\"'<>|`「」『』【】《》“”‘’（）()\[\]，。：；,;]{1,80}"
    r"\.(?:pdf|docx?|xlsx?|pptx?|csv|tsv|txt|md|html?|json|py|log)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_DATA = re.compile(r"\[[^\n]*not instructions\]\n(`{3,})\n.*?\n\1", re.DOTALL)
# In which a bot names what was sent.
_NOTE = re.compile(r"^\[(?:image|file|video|scanned)[^\n]*\](?: \([^\n]*\))?$\n*", re.MULTILINE)
_NAMES = re.compile(r"excel|word|ppt", re.IGNORECASE)  # of programs, in every language
_PACE = 60.0  # tokens a second: about what people see from a hosted model


@dataclass(frozen=True, slots=True)
class _Trick:
    """Something that the demonstration shows when a word of ``pattern`` is in the question."""

    pattern: re.Pattern[str]
    word: tuple[str, str]  # as the help names it: Chinese, English
    does: tuple[str, str]
    build: Callable[[re.Match[str], int], Reply] | None = None  # the match and the language: 0 Chinese, 1 English
    piece: str = ""  # instead of ``build``: a file that a tool of the bot makes


def demonstrate(request: Request) -> Reply:
    """The playground's answer: what a keyword asks for, else an echo of what was understood.

    In English when the question has Latin letters and no Chinese character, else in Chinese.
    """
    text = request.text
    said = _NOTE.sub("", _DATA.sub("", text)).strip()  # what stands in a file is no wish
    language = 1 if re.search(r"[A-Za-z]", _NAMES.sub("", said)) and not _CJK.search(said) else 0
    last = request.messages[-1]
    if last.get("role") == "tool":
        if (reply := showpieces.done(request, language)) is not None:
            return reply
        told = ("工具返回了：", "The tool returned:")[language]
        return Reply(f"{told}\n\n```\n{_quotable(text_of(last), 1500)}\n```", pace=_PACE)
    for trick in _TRICKS:
        match = trick.pattern.search(said)
        if match:
            return trick.build(match, language) if trick.build else showpieces.call(trick.piece, request, language)
    return Reply(_echo(request, text, said, language), delay=0.3, pace=_PACE)


def _quotable(text: str, limit: int) -> str:
    """At most ``limit`` characters, with no fence that could end the one around it."""
    text = text.replace("```", "ʼʼʼ")
    return text if len(text) <= limit else f"{text[:limit]} …"


def _echo(request: Request, text: str, said: str, language: int) -> str:
    asked = sum(message.get("role") == "user" for message in request.messages)
    quoted = "\n".join(f"> {line}" for line in _quotable(said, 600).splitlines()) or "> …"
    pictures = [picture(url) or (url[:60], 0, 0, 0) for url in request.images]
    names = list(dict.fromkeys(match[0] for match in _FILE.finditer(text)))[:5]
    if language:
        lines = ["I understood:", "", quoted, ""]
        lines += [f"- Picture {n}: {_picture_words(seen, 'bytes')}" for n, seen in enumerate(pictures, 1)]
        lines += [f"- File: **{name}**; {len(text)} characters of text came with the question" for name in names]
        lines += [
            "",
            f"Question {asked} of this conversation. I am a scripted model, so this is an echo; say **help**.",
        ]
    else:
        lines = ["我理解你说的是：", "", quoted, ""]
        lines += [f"- 图片 {n}：{_picture_words(seen, '字节')}" for n, seen in enumerate(pictures, 1)]
        lines += [f"- 文件：**{name}**，随问题一共收到 {len(text)} 个字符" for name in names]
        lines += [
            "",
            f"这是本次对话的第 {asked} 个问题。我是脚本模型，只会复述；发送 **演示** 看我会什么。",
        ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def _picture_words(seen: tuple[str, int, int, int], unit: str) -> str:
    kind, width, height, size = seen
    return kind + (f", {width} × {height}" if width else "") + (f", {size:,} {unit}" if size else "")


def _help(match: re.Match[str], language: int) -> Reply:
    head = (
        "我是脚本模型，用来在没有密钥的时候试用。消息里有下面的词，我就演示对应的效果：\n\n| 词 | 演示 |\n|---|---|\n",
        "I am a scripted model, for trying things without a key. A word from this table shows its effect:\n\n"
        "| word | shows |\n|---|---|\n",
    )[language]
    rows = [f"| {trick.word[language]} | {trick.does[language]} |" for trick in _TRICKS]
    tail = (
        "\n\n其他内容我会复述一遍，图片和文件会说明收到了什么。",
        "\n\nAnything else is echoed, with the pictures and files in it.",
    )
    return Reply(head + "\n".join(rows) + tail[language], pace=2 * _PACE)


_BROKEN: dict[str, Reply] = {
    "cut": Reply("这个回答会在中途断开 / this answer is cut off in the mid", breaks=Break("cut", after=8), pace=20),
    "midway": Reply("这个回答会在中途出错 / this answer fails in the middle", breaks=Break("error", after=8), pace=20),
    "silence": Reply(breaks=Break("silence")),
    "empty": Reply(),
    "filter": Reply("这个回答会被", finish_reason="content_filter", pace=20),
    "length": Reply("这个回答因为长度上限在这里被截", finish_reason="length", pace=20),
}
_BROKEN_WORDS = {"断开": "cut", "中途": "midway", "沉默": "silence", "空": "empty", "过滤": "filter", "截断": "length"}


def _fail(match: re.Match[str], language: int) -> Reply:
    what = (match[1] or "500").lower()
    if what.isdecimal():
        status = int(what) if 400 <= int(what) <= 599 else 500
        return failing(status, retry_after=2 if status == 429 else None)
    return _BROKEN[_BROKEN_WORDS.get(what, what)]


def _think(match: re.Match[str], language: int) -> Reply:
    thought = (
        "用户想看我思考的样子。\n先弄清楚问题：他要的是一个能折叠的思考过程，而不是答案本身。\n"
        "再看约束：思考内容不能混进正文，也不能丢。\n最后组织语言：一句结论，三个理由，够了。",
        "The person wants to see me think.\nFirst the question: a thinking block that folds, not the answer itself.\n"
        "Then the constraints: the thought must not leak into the answer, nor be lost.\n"
        "Last the words: one conclusion and three reasons will do.",
    )[language]
    said = (
        "想好了。**结论：思考和回答是分开的。**\n\n1. 思考在上面可以折叠的部分\n2. 回答从这里开始\n3. 两边互不混入",
        "Done. **Thinking and answer are separate.**\n\n1. The thought is in the block above, which folds\n"
        "2. The answer begins here\n3. Neither leaks into the other",
    )[language]
    return Reply(said, reasoning=thought, delay=0.3, pace=_PACE / 2)


def _table(match: re.Match[str], language: int) -> Reply:
    return Reply(
        (
            "本季度的差旅费用（演示数据）：\n\n| 部门 | 人数 | 金额（元） | 同比 |\n|:---|:---:|---:|---:|\n"
            "| 销售 | 24 | 186,400.00 | **+12.5%** |\n| 研发 | 61 | 92,150.50 | -3.1% |\n"
            "| 市场 | 15 | 74,020.00 | +0.8% |\n| 合计 | 100 | 352,570.50 | +5.4% |\n\n数字靠右，人数居中，部门靠左。",
            "Travel this quarter (made-up figures):\n\n| Team | People | Amount | Change |\n|:---|:---:|---:|---:|\n"
            "| Sales | 24 | 186,400.00 | **+12.5%** |\n| Research | 61 | 92,150.50 | -3.1% |\n"
            "| Marketing | 15 | 74,020.00 | +0.8% |\n| Total | 100 | 352,570.50 | +5.4% |\n\n"
            "Figures to the right, heads centred, names to the left.",
        )[language],
        pace=_PACE,
    )


_PROGRAM = """```python
from collections.abc import Iterator


def primes(limit: int) -> Iterator[int]:
    \"\"\"The primes below ``limit``, by the sieve of Eratosthenes.\"\"\"
    sieve = bytearray([1]) * limit
    for number in range(2, limit):
        if sieve[number]:
            yield number
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))


print(*primes(50))
```"""


def _code(match: re.Match[str], language: int) -> Reply:
    head = ("用筛法求素数：", "Primes by a sieve:")[language]
    tail = ("`primes(50)` 依次给出 2、3、5 …… 47。", "`primes(50)` yields 2, 3, 5 … 47.")[language]
    return Reply(f"{head}\n\n{_PROGRAM}\n\n{tail}", pace=_PACE)


def _markup(match: re.Match[str], language: int) -> Reply:
    zh = (
        "# 一级标题\n## 二级标题\n### 三级标题\n\n**加粗**、*斜体*、`行内代码`、[链接](https://work.weixin.qq.com/)。\n\n"
        "- 无序列表\n  - 第二层\n    - 第三层\n- 第二项\n\n1. 有序列表\n2. 第二步\n\n> 引用\n>> 引用里的引用\n\n---\n\n"
        "下面这些必须原样显示成文字：<b>HTML</b> <script>alert(1)</script> [坏链接](javascript:alert(1))"
    )
    en = (
        "# Heading 1\n## Heading 2\n### Heading 3\n\n**Bold**, *italic*, `inline code`, "
        "[a link](https://work.weixin.qq.com/).\n\n- A list\n  - second level\n    - third level\n- second item\n\n"
        "1. Numbered\n2. second step\n\n> A quote\n>> in a quote\n\n---\n\n"
        "These must show as plain text: <b>HTML</b> <script>alert(1)</script> [bad link](javascript:alert(1))"
    )
    return Reply((zh, en)[language], pace=_PACE)


def _long(match: re.Match[str], language: int) -> Reply:
    """More than the 20,480 bytes that one message may hold (protocol §9.2), with tables and fences to be cut well."""
    sections: list[str] = []
    size = number = 0
    while size < 26_000:
        number += 1
        if language:
            section = f"## {number}. Section {number}\n\n" + " ".join(
                f"Sentence {part} of section {number} is here so that the answer is long and every piece of it can be "
                f"counted afterwards."
                for part in range(1, 7)
            )
            rows = "\n".join(f"| {number}.{row} | value {row * number} |" for row in range(1, 9))
            section += f"\n\n| entry | value |\n|---|---:|\n{rows}" if number % 3 == 0 else ""
        else:
            section = f"## {number}. 第 {number} 节\n\n" + "".join(
                f"这是第 {number} 节的第 {part} 句，写在这里是为了让回答足够长，并且每一段事后都数得清，一句也不能少。"
                for part in range(1, 7)
            )
            rows = "\n".join(f"| {number}.{row} | 数值 {row * number} |" for row in range(1, 9))
            section += f"\n\n| 条目 | 数值 |\n|---|---:|\n{rows}" if number % 3 == 0 else ""
        section += f"\n\n{_PROGRAM}" if number % 5 == 0 else ""
        sections.append(section)
        size += len(section.encode())
    sections.append(("（完，共 {} 节）", "(The end, {} sections.)")[language].format(number))
    return Reply("\n\n".join(sections), pace=8 * _PACE)


def _slow(match: re.Match[str], language: int) -> Reply:
    said = (
        "让你久等了。这个回答先沉默八秒，然后慢慢说：一个字，一个字，一个字地说，好让你看清气泡是怎样长大的。",
        "Sorry for the wait. This answer says nothing for eight seconds and then speaks slowly, word by word, so that "
        "you can watch the bubble grow.",
    )[language]
    return Reply(said, delay=8.0, keep_alive=2.0, pace=4.0)


def _call(match: re.Match[str], language: int) -> Reply:
    return Reply(tool_calls=(ToolCall(match[1], match[2]),), pace=_PACE)


def _word(zh: str, en: str) -> re.Pattern[str]:
    # Not \b: between a Latin letter and a Chinese character there is none.
    return re.compile(rf"{zh}|(?<![a-z])(?:{en})(?![a-z])", re.IGNORECASE)


_WAYS = r"\d{3}|断开|中途|沉默|空|过滤|截断|cut|midway|silence|empty|filter|length"
_TRICKS = (
    _Trick(
        _word("帮助|演示|你会什么|能做什么", "help|demo|keywords"),
        ("help、演示", "help, demo"),
        ("这张表", "this table"),
        _help,
    ),
    _Trick(
        re.compile(rf"(?:出错|(?<![a-z])error)[\s:：]*({_WAYS})|^\W*(?:出错|error)\W*$", re.IGNORECASE),
        (
            "出错 429（或 401、402、404、500、断开、中途、沉默、空、过滤、截断）",
            "error 429 (or 401, 402, 404, 500, cut, midway, silence, empty, filter, length)",
        ),
        ("模型这样出错", "the model fails in that way"),
        _fail,
    ),
    _Trick(
        re.compile(r"(?:工具|(?<![a-z])tool)[\s:：]+([A-Za-z0-9_-]{1,64})\s*(\{.*\})", re.IGNORECASE | re.DOTALL),
        ("工具 名字 {JSON}", "tool name {JSON}"),
        ("调用这个工具", "calls that tool"),
        _call,
    ),
    _Trick(
        _word("想一想|思考", "think|thinking"), ("想一想", "think"), ("先思考再回答", "thinks, then answers"), _think
    ),
    _Trick(_word("长文|很长|长一点", "long"), ("长文", "long"), ("超过 20 KB 的回答", "an answer over 20 KB"), _long),
    _Trick(
        _word("慢", "slow|slowly"),
        ("慢", "slow"),
        ("等八秒，再慢慢说", "waits eight seconds, then speaks slowly"),
        _slow,
    ),
    _Trick(
        _word("第二张表|改表格", "second sheet"),
        ("改第二张表", "second sheet"),
        ("改刚才的工作簿", "changes the workbook made before"),
        piece="change",
    ),
    _Trick(
        _word("excel|电子表格", "excel|spreadsheet"), ("Excel", "Excel"), ("工作簿", "a workbook"), piece="workbook"
    ),
    _Trick(_word("word|文档|纪要", "word|document"), ("Word", "Word"), ("Word 文档", "a document"), piece="document"),
    _Trick(_word("ppt|幻灯片", "ppt|slides"), ("PPT", "PPT"), ("演示文稿", "slides"), piece="slides"),
    _Trick(_word("图表|画图", "chart"), ("图表", "chart"), ("图表图片", "a chart"), piece="chart"),
    _Trick(_word("表格", "table"), ("表格", "table"), ("对齐的表格", "a table with alignment"), _table),
    _Trick(_word("代码", "code"), ("代码", "code"), ("代码块", "a block of code"), _code),
    _Trick(
        _word("排版|格式", "markdown"), ("排版", "markdown"), ("所有 Markdown 元素", "every Markdown element"), _markup
    ),
)
