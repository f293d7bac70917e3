"""`chats`, `history`, `stats`, `feedback`: what is shown, in which form, and what is said when there is nothing."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agent import look
from agent.config import Settings
from agent.store import StoreError, chats, deliveries, feedback, files, turns
from agent.store.database import open_for_bot
from agent.table import width

GROUP = chats.Address("bot/group/wrGroup1", "bot", "group", "wrGroup1")
SINGLE = chats.Address("bot/single/lisi", "bot", "single", "lisi")
# 01:30 on the 23rd in UTC is 09:30 in Shanghai and still the 22nd in New York.
AT = datetime(2026, 11, 23, 1, 30, 5, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(bot_id="bot", data_dir=tmp_path / "data")


@pytest.fixture
def db(settings: Settings) -> Iterator[sqlite3.Connection]:
    """The bot's connection, open as while the bot runs."""
    connection = open_for_bot(settings.data_dir / "agent.db")
    yield connection
    connection.close()


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def ask(db: sqlite3.Connection, text: str, address: chats.Address = SINGLE, at: datetime = AT, **more: Any) -> int:
    number = db.execute("SELECT count(*) FROM turns").fetchone()[0]
    arguments: dict[str, Any] = {"user_id": "lisi", "kind": "text", "body": {}} | more
    turn = turns.receive(db, chat=address, msgid=f"m{number}", req_id=f"r{number}", text=text, at=at, **arguments)
    assert turn is not None
    return turn


def answer(db: sqlite3.Connection, turn: int, text: str, at: datetime = AT, feedback_id: str | None = None) -> None:
    turns.start(db, turn, at, model="deepseek-chat", feedback_id=feedback_id)
    turns.answer(db, turn, at, answer=text, prompt_tokens=100, completion_tokens=20)
    turns.deliver(db, turn, at.replace(second=at.second + 2))


def shown(
    settings: Settings, capsys: pytest.CaptureFixture[str], what: str, form: str = "table", **options: Any
) -> str:
    look.show(settings, what, form, {"limit": 50, "days": 36500, **options})
    return capsys.readouterr().out


# --- chats


def test_chats_by_the_name_that_can_be_typed(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(db, ask(db, "年假怎么申请？"), "在系统里申请。")
    ask(db, "大家好", GROUP, AT.replace(minute=40))
    lines = shown(settings, capsys, "chats").splitlines()
    assert lines[0].split() == ["CHAT", "TYPE", "LAST", "MESSAGE", "TURNS", "IN", "HISTORY", "OPEN", "MODEL"]
    assert [line.split() for line in lines[1:]] == [
        ["wrGroup1", "group", "2026-11-23", "09:40:05", "1", "0", "1"],
        ["lisi", "single", "2026-11-23", "09:30:05", "1", "1", "0"],
    ]


def test_chats_of_one_id_are_told_apart_by_their_keys(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    for person in ("lisi", "wangwu"):
        ask(db, "hi", chats.Address(f"bot/group/wrGroup1/{person}", "bot", "group", "wrGroup1", person))
    lines = shown(settings, capsys, "chats").splitlines()
    assert {line.split()[0] for line in lines[1:]} == {"bot/group/wrGroup1/lisi", "bot/group/wrGroup1/wangwu"}


def test_times_are_in_the_deployments_zone(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(db, "hi")
    there = Settings(data_dir=settings.data_dir, timezone=ZoneInfo("America/New_York"))
    assert "2026-11-22 20:30:05" in shown(there, capsys, "chats")
    (record,) = json.loads(shown(there, capsys, "chats", "json"))
    assert record["last_at"] == "2026-11-22T20:30:05.000-05:00"
    assert set(record) == set(
        next(csv.reader(io.StringIO(shown(there, capsys, "chats", "csv").removeprefix("\ufeff"))))
    )


@pytest.mark.parametrize("what", ["chats", "feedback", "stats"])
def test_nothing_yet_is_a_sentence_and_an_empty_list(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    assert shown(settings, capsys, what).startswith(("No chats yet", "No feedback yet", "Nothing happened"))
    said = json.loads(shown(settings, capsys, what, "json"))
    assert said == [] or (what == "stats" and said["days"] == [])
    assert len(shown(settings, capsys, what, "csv").splitlines()) == 1


def test_without_a_database_the_remedy_is_named(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StoreError, match=r"no database at .* start the bot once"):
        shown(settings, capsys, "chats")
    open_for_bot(settings.data_dir / "playground" / "agent.db").close()
    with pytest.raises(StoreError, match=r"AGENT_DATA_DIR=.*playground"):
        shown(settings, capsys, "chats")


# --- history


def test_history_is_the_talk_in_order(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(db, ask(db, "年假怎么申请？"), "在系统里申请：\n\n- 登录\n- 提交")
    failed = ask(db, "", kind="image")
    turns.fail(db, failed, AT, error="overloaded")
    ask(db, "还有吗")
    lines = shown(settings, capsys, "history", chat="lisi").splitlines()
    assert [line[21:].split(maxsplit=1) for line in lines[1:]] == [
        ["lisi", "年假怎么申请？"],
        ["(bot)", "在系统里申请："],
        [],
        ["-", "登录"],
        ["-", "提交"],
        ["lisi", "[image]"],
        ["(bot)", "[failed: overloaded]"],
        ["lisi", "还有吗"],
        ["(bot)", "[received]"],
    ]
    assert [line[:19].strip() for line in lines[1:3]] == ["2026-11-23 09:30:05", "2026-11-23 09:30:07"]


def test_history_names_the_files(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    turn = ask(db, "", kind="file")
    known = {"chat": "bot/single/lisi", "turn": turn, "mime": "", "size": 1, "facts": {}, "at": AT}
    files.add(db, origin="received", kind="file", name="合同.pdf", sha256="", error="expired", **known)
    for _ in range(2):
        files.add(db, origin="made", kind="file", name="报表.xlsx", sha256="ab" * 32, **known)
    printed = shown(settings, capsys, "history", chat="lisi")
    assert "[file] 合同.pdf (expired)" in printed
    assert "[file] 报表.xlsx v2 (made)" in printed
    (record,) = json.loads(shown(settings, capsys, "history", "json", chat="lisi"))
    assert record["made"] == ["报表.xlsx (made)", "报表.xlsx v2 (made)"]
    assert "合同.pdf" in shown(settings, capsys, "history", "csv", chat="lisi")


@pytest.mark.parametrize("name", ["lisi", "bot/single/lisi"])
def test_a_chat_goes_by_its_id_and_by_its_key(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    ask(db, "hi")
    assert "hi" in shown(settings, capsys, "history", chat=name)


def test_limit_takes_the_newest(settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        ask(db, f"question {number}")
    said = json.loads(shown(settings, capsys, "history", "json", chat="lisi", limit=2))
    assert [each["question"] for each in said] == ["question 3", "question 4"]


def test_an_ambiguous_or_unknown_name_lists_the_candidates(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(look.ChatUnclear, match="nobody has written"):
        shown(settings, capsys, "history", chat="lisi")
    for person in ("lisi", "wangwu"):
        ask(db, "hi", chats.Address(f"bot/group/wrGroup1/{person}", "bot", "group", "wrGroup1", person))
    with pytest.raises(look.ChatUnclear) as caught:
        shown(settings, capsys, "history", chat="wrGroup1")
    assert sorted(str(caught.value).splitlines()[1:]) == ["  bot/group/wrGroup1/lisi", "  bot/group/wrGroup1/wangwu"]
    with pytest.raises(look.ChatUnclear, match="is one of these meant") as caught:
        shown(settings, capsys, "history", chat="WANGWU")
    assert "bot/group/wrGroup1/wangwu" in str(caught.value)
    with pytest.raises(look.ChatUnclear, match="`wecom-agent chats` lists them"):
        shown(settings, capsys, "history", chat="somebody")


def test_what_people_write_never_reaches_the_terminal_raw(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b]0;owned\x07\x9b31m\u202e=1+1"
    answer(db, ask(db, evil, user_id="li\x1bsi"), evil, feedback_id="f1")
    feedback.record(db, msgid="e1", feedback_id="f1", user_id="lisi", type=2, content=evil, reasons=[2], at=AT)
    turns.fail(db, ask(db, "x"), AT, error="e\x1b")
    for what in ("chats", "history", "stats", "feedback"):
        for form in ("table", "json", "csv"):
            printed = shown(settings, capsys, what, form, chat="lisi")
            assert not set(printed) & set("\x1b\x07\x9b\u202e"), (what, form)
    (first, _) = json.loads(shown(settings, capsys, "history", "json", chat="lisi"))
    assert first["question"] == evil


def test_csv_is_read_back_and_no_cell_is_a_formula(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(db, ask(db, '=HYPERLINK("http://x"),"quoted"'), "- 一\n- 二")
    printed = shown(settings, capsys, "history", "csv", chat="lisi")
    assert printed.startswith("\ufeffid,at,"), "Excel takes what has no mark for the system's code page"
    (row,) = csv.DictReader(io.StringIO(printed.removeprefix("\ufeff")))
    assert row["question"] == '\'=HYPERLINK("http://x"),"quoted"'
    assert row["answer"] == "'- 一\n- 二"
    assert (row["at"], row["seconds"], row["error"]) == ("2026-11-23T09:30:05.000+08:00", "2.0", "")


@pytest.mark.parametrize(
    "comment", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\n=1", "＝1+1", "＋1", "－1", "＠x"]
)
def test_no_comment_becomes_a_formula(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str], comment: str
) -> None:
    answer(db, ask(db, "问"), "答", feedback_id="f1")
    feedback.record(db, msgid="e1", feedback_id="f1", user_id="lisi", type=2, content=comment, reasons=[2, 4], at=AT)
    printed = shown(settings, capsys, "feedback", "csv").removeprefix("\ufeff")
    (row,) = csv.DictReader(io.StringIO(printed))
    assert row["comment"] == f"'{comment}"
    assert (row["question"], row["answer"], row["verdict"]) == ("问", "答", "dislike")
    assert row["reasons"] == "incomplete, wrong data analysis"


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_tables_fit_the_terminal(
    settings: Settings,
    db: sqlite3.Connection,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    answer(db, ask(db, "年假怎么申请？请详细说明每一步。" * 5), "Log in, then " * 40, feedback_id="f1")
    feedback.record(db, msgid="e1", feedback_id="f1", user_id="lisi", type=1, content=None, reasons=[], at=AT)
    for what in ("history", "feedback"):
        assert max(map(width, shown(settings, capsys, what, chat="lisi").splitlines())) <= columns, what
    monkeypatch.delenv("COLUMNS")  # a pipe: nothing is cut
    assert "年假怎么申请？请详细说明每一步。" * 5 in shown(settings, capsys, "feedback")
    assert "…" not in shown(settings, capsys, "feedback")


# --- stats and feedback


def test_stats_say_what_became_of_everything(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    answer(db, ask(db, "a", at=now), "b", at=now)
    turns.fail(db, ask(db, "c", GROUP, at=now, user_id="wangwu"), now, error="overloaded")
    push = deliveries.begin(db, turn=None, kind="push", at=now)
    deliveries.mark_written(db, push)
    deliveries.settle(db, push, "unknown", now)
    printed = shown(settings, capsys, "stats", days=2)
    lines = [line.split() for line in printed.splitlines()]
    today = now.astimezone(settings.timezone).date().isoformat()
    assert [today, "2", "2", "1", "1", "100", "20"] in lines
    assert ["errors", "overloaded", "1"] in lines
    assert ["deliveries", "unknown", "1"] in lines
    assert "p50 2.0 s" in printed
    assert "(wecom-agent send)" in printed.splitlines()[-1]
    said = json.loads(shown(settings, capsys, "stats", "json", days=2))
    assert said["days"][0] == {
        "date": today, "turns": 2, "users": 2, "answers": 1, "failed": 1, "prompt_tokens": 100,
        "completion_tokens": 20,
    }  # fmt: skip
    assert (said["timezone"], said["states"]) == ("Asia/Shanghai", {"delivered": 1, "failed": 1})
    (row,) = csv.DictReader(io.StringIO(shown(settings, capsys, "stats", "csv", days=2).removeprefix("\ufeff")))
    assert row["turns"] == "2"


def test_stats_of_sends_alone_show_no_empty_table(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    deliveries.settle(db, deliveries.begin(db, turn=None, kind="push", at=now), "failed", now)
    printed = shown(settings, capsys, "stats", days=2)
    assert "failed 1" in printed
    assert "TURNS" not in printed


def test_stats_begin_with_a_day_of_the_zone(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    said = json.loads(shown(settings, capsys, "stats", "json", days=1))
    assert said["since"] == f"{datetime.now(settings.timezone).date()}T00:00:00.000+08:00"
    assert json.loads(shown(settings, capsys, "stats", "json", days=999_999))["since"].startswith("19")


def test_feedback_stands_beside_question_and_answer(
    settings: Settings, db: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(db, ask(db, "年假几天？"), "十天。", feedback_id="f1")
    feedback.record(db, msgid="e1", feedback_id="f1", user_id="lisi", type=2, content="不对", reasons=[3, 9], at=AT)
    feedback.record(db, msgid="e2", feedback_id="gone", user_id="wangwu", type=1, content=None, reasons=[], at=AT)
    newest, oldest = shown(settings, capsys, "feedback").splitlines()[1:]
    assert newest.split() == ["2026-11-23", "09:30", "wangwu", "like"]
    assert oldest.split()[2:] == ["lisi", "dislike", "wrong", "content,", "9;", "不对", "年假几天？", "十天。"]
    said = json.loads(shown(settings, capsys, "feedback", "json"))
    assert said[1]["reasons"] == ["wrong content", "9"]
    assert said[1]["chat"] == SINGLE.key
    row = list(csv.DictReader(io.StringIO(shown(settings, capsys, "feedback", "csv"))))[1]
    assert (row["reasons"], row["comment"]) == ("wrong content, 9", "不对")
