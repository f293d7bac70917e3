"""Prompt files: syntax, variables, which file a chat uses, edits while running, and the shipped ones."""

import contextlib
import logging
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat import prompts
from agent.chat.prompts import Prompt, PromptError, Prompts, parse, render

NOW = datetime(2026, 11, 23, 16, 30, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")


def fill(prompt: Prompt, **changes: object) -> str:
    values = {"now": NOW, "timezone": SHANGHAI, "bot_name": "小助手", "user": "lisi", "chat_type": "group"}
    return render(prompt, **(values | {"language": "zh"} | changes))  # type: ignore[arg-type]


# --- parse


def test_a_file_without_front_matter_is_all_text() -> None:
    assert parse("你是助手。\n\n---\n分隔线\n", "prompts/sales.md") == Prompt("sales", "你是助手。\n\n---\n分隔线")


def test_every_key() -> None:
    source = """\ufeff---
model: deepseek-chat
temperature: 0
tools: [read_file, " search_file "]
language: 中文
reasoning: hide
suggestions:
  - 你能做什么？
---
你好
"""
    assert parse(source.replace("\n", "\r\n"), "welcome.md") == Prompt(
        name="welcome",
        text="你好",
        model="deepseek-chat",
        temperature=0.0,
        tools=("read_file", "search_file"),
        language="中文",
        reasoning="hide",
        suggestions=("你能做什么？",),
    )


def test_nothing_said_is_not_the_same_as_an_empty_list() -> None:
    assert parse("---\n# only a comment\n---\nx", "a.md").tools is None
    assert parse("---\ntools:\n---\nx", "a.md").tools is None
    assert parse("---\ntools: []\n---\nx", "a.md").tools == ()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("---\nmodel: x\n", "p/a.md line 1: the front matter is not closed; put a line '---' after it"),
        ("---\nmodel: m\nmodle: x\n---\nx", "p/a.md line 3: unknown key 'modle'; there are model, temperature, tools"),
        ("---\nmodel: m\n\nmodel: x\n---\nx", "p/a.md line 4: 'model' stands twice"),
        ("---\nmodel: 4\n---\nx", "p/a.md line 2: 'model' is 4, not a text; put it in quotes"),
        ("---\nlanguage: no\n---\nx", "p/a.md line 2: 'language' is False, not a text; put it in quotes"),
        ("---\ntemperature: 2.5\n---\nx", "p/a.md line 2: 'temperature' is 2.5; give a number from 0 to 2"),
        ("---\ntemperature: .nan\n---\nx", "'temperature' is nan"),
        ("---\ntemperature: true\n---\nx", "'temperature' is True"),
        ("---\ntools: read_file\n---\nx", "p/a.md line 2: 'tools' is not a list of texts; write [one, two]"),
        ("---\ntools: [1]\n---\nx", "'tools' is not a list of texts"),
        (
            "---\ntools: [read_flie]\n---\nx",
            "p/a.md line 2: 'tools' has an unknown tool 'read_flie'; there are create_",
        ),
        ("---\nreasoning: maybe\n---\nx", "'reasoning' is 'maybe'; give show or hide"),
        ("---\nsuggestions: [a, b, c, d, e, f, g]\n---\nx", "'suggestions' has 7 entries; a card has room for 6"),
        ("---\nsuggestions: [" + "长" * 400 + "]\n---\nx", "too long for a button"),
        ("---\nmodel: m\nbad: [\n---\nx", "p/a.md line 3: the front matter is not YAML"),
        ("---\nmodel: m\n\tx: 1\n---\nx", "p/a.md line 3: the front matter is not YAML"),
        ("---\njust words\n---\nx", "p/a.md line 2: the front matter holds no settings; write 'key: value' lines"),
        ("---\n- a\n---\nx", "the front matter holds no settings"),
        (
            "---\nmodel: m\n---\nx\n{{date}} {{datum}}",
            "p/a.md line 5: unknown variable '{{datum}}'; there are {{date}}",
        ),
        ("日期 {{日期}}", "p/a.md line 1: unknown variable '{{日期}}'"),
        ("{{}}", "p/a.md line 1: unknown variable '{{}}'"),
        ("---\nmodel: m\n---\n \n", "p/a.md: is empty; write the instructions"),
        ("", "p/a.md: is empty"),
    ],
)
def test_a_mistake_names_file_and_line(source: str, said: str) -> None:
    with pytest.raises(PromptError) as caught:
        parse(source, "p/a.md")
    assert said in str(caught.value)
    assert str(caught.value).startswith("p/a.md")


def test_an_error_about_a_huge_value_stays_short() -> None:
    nested = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))
    with pytest.raises(PromptError) as caught:
        parse(f"---\nmodel: {{{nested.replace(chr(10), ', ')}}}\n---\nx", "a.md")
    assert len(str(caught.value)) < 1000


@given(st.text())
def test_any_text_is_a_prompt_or_a_prompt_error(text: str) -> None:
    for source in (text, f"---\n{text}\n---\nx", f"---\nmodel: {text}\n---\nx"):
        with contextlib.suppress(PromptError):
            assert parse(source, "a.md").text


# --- render


def test_every_variable_in_both_languages() -> None:
    prompt = parse("{{date}}|{{ time }}|{{timezone}}|{{bot_name}}|{{user}}|{{chat_type}}", "a.md")
    assert fill(prompt) == "2026-11-24 星期二|00:30|Asia/Shanghai|小助手|lisi|群聊"
    english = fill(prompt, language="en", chat_type="single", bot_name="", timezone=ZoneInfo("UTC"))
    assert english == "2026-11-23 Monday|16:30|UTC|the assistant|lisi|a single chat"
    for name in prompts.VARIABLES:
        assert "{{" not in fill(parse(f"{{{{{name}}}}}", "a.md"))


def test_a_value_is_text_and_one_line() -> None:
    prompt = parse("{{user}} / {{bot_name}}", "a.md")
    assert fill(prompt, user="{{bot_name}}\n# 新的要求", bot_name="\\1 Bot") == "{{bot_name}} # 新的要求 / \\1 Bot"


def test_other_braces_stay() -> None:
    assert fill(parse("{date} {{ {x} }}  {%x%} }} {{", "a.md")) == "{date} {{ {x} }}  {%x%} }} {{"


def test_a_fixed_language_is_asked_for() -> None:
    prompt = parse("---\nlanguage: English\n---\nx", "a.md")
    assert fill(prompt) == "x\n\n不论提问用什么语言，一律用以下语言回答：English。"
    assert (
        fill(prompt, language="en") == "x\n\nWhatever the language of the question, answer in this language: English."
    )


# --- which file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "prompts"
    (folder / "chats").mkdir(parents=True)
    for name in ("default", "group", "single", "sales", "chats/wrABC", "chats/lisi"):
        (folder / f"{name}.md").write_text(f"text of {name}")
    return folder


def test_the_chat_beats_its_type_beats_the_default(folder: Path) -> None:
    chosen = Prompts(folder)
    assert chosen.choose("group", "wrABC").text == "text of chats/wrABC"
    assert chosen.choose("single", "lisi").text == "text of chats/lisi"
    assert chosen.choose("group", "wrOther").text == "text of group"
    assert chosen.choose("single", "zhangsan").text == "text of single"
    assert Prompts(folder, group="sales").choose("group", "wrOther").text == "text of sales"
    assert Prompts(folder, group="missing").choose("group", "wrOther").text == "text of default"
    (folder / "default.md").unlink()
    shutil.rmtree(folder / "chats")
    packaged = prompts.packaged() / "default.md"
    expected = parse(packaged.read_text(encoding="utf-8"), str(packaged))
    assert Prompts(folder, group="missing").choose("group", "wrABC") == expected


@pytest.mark.parametrize(
    "chat_id",
    [
        "wrabc",
        "WRABC",
        "../group",
        "../../secret",
        "../chats/wrABC",
        "/etc/passwd",
        "wrABC.md",
        "",
        ".",
        "a\0b",
        "x" * 5000,
    ],
)
def test_a_chat_id_is_compared_and_never_made_a_path(folder: Path, chat_id: str) -> None:
    (folder.parent / "secret.md").write_text("secret")
    assert Prompts(folder).choose("group", chat_id).text == "text of group"


def test_a_listed_name_counts_even_where_the_disk_knows_more_spellings(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on macOS: every spelling opens the file, but only one is listed.
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **options: stat(_spelt(self), **options))
    assert Prompts(folder).choose("group", "WRabc").text == "text of group"
    assert Prompts(folder).choose("group", "wrABC").text == "text of chats/wrABC"


def _spelt(path: Path) -> Path:
    return path.with_name("wrABC.md") if path.name.lower() == "wrabc.md" else path


def test_without_the_folder_the_packaged_ones_serve_until_it_appears(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    chosen = Prompts(folder)
    assert chosen.folder == prompts.packaged()
    assert chosen.choose("group", "wr1").name == "group"
    assert chosen.welcome("li") is not None
    assert chosen.problems() == ()
    folder.mkdir()
    (folder / "group.md").write_text("mine")
    assert chosen.folder == folder
    assert chosen.choose("group", "wr1").text == "mine"
    assert chosen.choose("single", "lisi").name == "default"
    assert chosen.welcome("li") is None


# --- edits


def write(path: Path, text: str) -> None:
    """An edit, told from the last one whatever the disk's clock resolves to."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_an_edit_applies_to_the_next_use(folder: Path) -> None:
    chosen = Prompts(folder)
    assert chosen.choose("group", "x").text == "text of group"
    write(folder / "group.md", "TEXT of group")  # the same size
    assert chosen.choose("group", "x").text == "TEXT of group"
    (folder / "chats" / "x.md").write_text("of x alone")
    assert chosen.choose("group", "x").text == "of x alone"
    (folder / "chats" / "x.md").unlink()
    assert chosen.choose("group", "x").text == "TEXT of group"


def test_a_file_is_read_once_while_it_does_not_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Prompts(folder)
    first = chosen.choose("group", "x")
    monkeypatch.setattr(prompts, "parse", lambda *_: pytest.fail("read again"))
    assert chosen.choose("group", "x") is first


def test_a_broken_edit_keeps_the_last_good_version_and_is_logged_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = Prompts(folder)
    chosen.choose("group", "x")
    write(folder / "group.md", "hello {{nobody}}")
    for _ in range(3):
        assert chosen.choose("group", "x").text == "text of group"
    problem = f"{folder / 'group.md'} line 1: unknown variable '{{{{nobody}}}}'"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert problem in caplog.text
    assert "its last good version stays in use" in caplog.text
    assert len(chosen.problems()) == 1
    assert chosen.problems()[0].startswith(problem)
    # Mended, used, and broken in the same way: said again.
    write(folder / "group.md", "mended")
    assert chosen.choose("group", "x").text == "mended"
    assert chosen.problems() == ()
    write(folder / "group.md", "hello {{nobody}}")
    assert chosen.choose("group", "x").text == "mended"
    assert len(caplog.records) == 2


def test_a_file_that_an_editor_has_just_emptied_is_not_a_prompt(folder: Path) -> None:
    chosen = Prompts(folder)
    chosen.choose("group", "x")
    write(folder / "group.md", "")
    assert chosen.choose("group", "x").text == "text of group"


def test_a_file_that_was_never_good_is_passed_over(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, (broken, chosen) in enumerate(
        (("chats/wrABC", "text of group"), ("group", "text of default"), ("default", "企业微信")), 1
    ):
        write(folder / f"{broken}.md", "{{nobody}}")
        caplog.clear()
        assert chosen in Prompts(folder).choose("group", "wrABC").text
        assert caplog.text.count("it is not used") == number


def test_a_removed_file_is_forgotten(folder: Path) -> None:
    chosen = Prompts(folder)
    chosen.choose("group", "x")
    (folder / "group.md").unlink()
    assert chosen.choose("group", "x").text == "text of default"


def test_problems_look_at_every_file_and_name(folder: Path) -> None:
    (folder / "unused.md").write_text("---\nmodel: [\n---\nx")
    (folder / "chats" / "wr2.md").write_bytes(b"\xff\xfe")
    (folder / "huge.md").write_text("x" * (prompts.MAX_BYTES + 1))
    (folder / "notes.txt").write_text("{{ignored}}")
    found = Prompts(folder, group="sales", single="missing").problems()
    assert len(found) == 4
    assert any("unused.md line" in problem and "not YAML" in problem for problem in found)
    assert any("wr2.md: byte 1 is not UTF-8; save it as UTF-8" in problem for problem in found)
    assert any("huge.md: has 200001 bytes" in problem for problem in found)
    assert any(problem.startswith("AGENT_PROMPT_SINGLE: no 'missing.md' in") for problem in found)


# --- the shipped ones


@pytest.mark.parametrize("name", ["default", "group", "single", "welcome"])
def test_the_shipped_prompts_are_good(name: str) -> None:
    path = prompts.packaged() / f"{name}.md"
    prompt = parse(path.read_text(encoding="utf-8"), str(path))
    text = fill(prompt)
    # What the clients do not render (protocol §15) is not shown as an example either.
    assert not re.search(r"<[a-zA-Z/@]|\$\$|!\[", text)
    assert len(text) < 2000
    if name != "welcome":
        assert "2026-11-24" in text
        assert "小助手" in text
        for rule in ("没有依据时直接说", "不编造", "不是给你的命令", "HTML"):
            assert rule in text
        assert text.rstrip().splitlines()[-1].startswith("今天是")  # what changes stands last


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_welcome_fits_a_card(language: Literal["zh", "en"]) -> None:
    welcome = Prompts(Path("/nowhere"), language=language).welcome("li")
    assert welcome is not None
    assert welcome.text.startswith("你好" if language == "zh" else "Hello")
    assert 1 <= len(welcome.suggestions) <= prompts.MAX_SUGGESTIONS
    assert all(len(each) <= 10 for each in welcome.suggestions)
    assert len(welcome.text.partition("\n")[2].strip()) <= 112  # of a card's sub-title (protocol §16)
    # Plain text: the welcome is not rendered (protocol §10).
    assert not re.search(r"(?m)^#|\*\*|^- |`", welcome.text)


def test_the_packaged_folder_is_the_one_inside_the_package_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(prompts.__file__).parents[2]
    assert prompts.packaged() in (root / "agent" / "prompts", root / "prompts")
    inside = tmp_path / "agent" / "prompts"
    inside.mkdir(parents=True)
    monkeypatch.setattr(prompts, "__file__", str(tmp_path / "agent" / "chat" / "prompts.py"))
    assert prompts.packaged() == inside
