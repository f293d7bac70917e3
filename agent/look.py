"""`chats`, `history`, `stats` and `feedback`: what an operator sees of the bot.

Reads the database beside the running bot, or without one; knows how rows are shown as a table, as JSON and as CSV.
What people wrote never reaches a terminal raw: control characters are spelt out in all three forms. Moments are in
AGENT_TIMEZONE.
"""

import csv
import io
import json
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agent.config import Settings
from agent.store import StoreError, chats, feedback, files, read, stats, turns
from agent.store.columns import moment
from agent.table import Column, one_line, render, safe

DATABASE = "agent.db"

# What begins a formula, in full width, too, where a spreadsheet is set to Chinese.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")

VERDICTS = {1: "like", 2: "dislike", 3: "withdrawn"}
# The numbers in a dislike (protocol §8.3).
REASONS = {1: "unrelated", 2: "incomplete", 3: "wrong content", 4: "wrong data analysis"}

Record = dict[str, Any]


class ChatUnclear(Exception):
    """No chat, or more than one, goes by the name that was given; the message lists those that may be meant."""


def show(settings: Settings, look: str, form: str, options: Mapping[str, Any]) -> None:
    """Prints one of "chats", "history" (option `chat`, `limit`), "stats" (`days`) or "feedback" (`limit`).

    `form` is "table", "json" (a list of objects; for stats one object) or "csv" (for stats one row a day). A table is
    as wide as the terminal, and as wide as it needs to be where there is none.

    Raises StoreError, ChatUnclear.
    """
    zone = settings.timezone
    with read(database(settings)) as db:
        match look:
            case "chats":
                records = _chat_records(chats.summaries(db), zone)
                empty = "No chats yet: nobody has written to the bot."
                table = _chat_table
            case "history":
                chat = find_chat(db, options["chat"])
                said = turns.of_chat(db, chat.key, options["limit"])
                records = [_turn_record(turn, files.of_turn(db, turn.id), zone) for turn in said]
                empty = f"Nothing was said yet in {chat.key!r}."
                table = _talk
            case "stats":
                _show_stats(stats.collect(db, _since(zone, options["days"]), zone), form, zone)
                return
            case "feedback":
                records = [_feedback_record(each, zone) for each in feedback.newest(db, options["limit"])]
                empty = "No feedback yet: nobody has pressed like or dislike under an answer."
                table = _feedback_table
            case _:
                raise ValueError(f"there is no look called {look!r}")
    if form == "json":
        print(to_json(records))
    elif form == "csv":
        _write_csv(records, _FIELDS[look])
    else:
        print("\n".join(table(records)) if records else empty)


# --- forms


def to_json(value: Any) -> str:
    """Indented JSON with readable Chinese, in which no control character is left raw."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    # What `json` leaves as it is; all of it can only stand inside strings.
    return re.sub("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", lambda match: f"\\u{ord(match[0]):04x}", text)


def _write_csv(records: Sequence[Record], fields: Sequence[str]) -> None:
    """CSV in UTF-8, behind the mark by which Excel tells that."""
    if not sys.stdout.isatty():
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.write("\ufeff")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows([_csv_cell(record[name]) for name in fields] for record in records)


def _csv_cell(value: Any) -> Any:
    """Text that begins like a formula gets an apostrophe, so that a spreadsheet shows it instead of computing it."""
    if isinstance(value, list):
        value = ", ".join(str(each) for each in value)
    if not isinstance(value, str):
        return value
    text = safe(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith("\t") else text


def room() -> int | None:
    """The terminal's width; None where the output is no terminal and COLUMNS does not say."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS"):
        return None
    return max(shutil.get_terminal_size().columns, 20)


def _local(stamp: str | None, zone: ZoneInfo) -> str | None:
    """ISO 8601 with the zone's offset, to the millisecond."""
    return moment(stamp).astimezone(zone).isoformat(timespec="milliseconds") if stamp else None


def _short(local: str | None) -> str:
    """`2026-11-23 16:05:09` of a local ISO moment."""
    return local[:19].replace("T", " ") if local else ""


# --- chats


def _chat_records(found: Sequence[chats.Summary], zone: ZoneInfo) -> list[Record]:
    return [
        {
            "key": each.chat.key,
            "chat_type": each.chat.chat_type,
            "chat_id": each.chat.chat_id,
            "user_id": each.chat.user_id,
            "model": each.chat.model,
            "created_at": _local(each.chat.created_at, zone),
            "last_at": _local(each.chat.last_at, zone),
            "turns": each.turns,
            "remembered": each.remembered,
            "open": each.open,
        }
        for each in found
    ]


def _chat_table(records: Sequence[Record]) -> list[str]:
    ids = [record["chat_id"] for record in records]
    columns = (
        Column("CHAT"),
        Column("TYPE"),
        Column("LAST MESSAGE"),
        Column("TURNS", right=True),
        Column("IN HISTORY", right=True),
        Column("OPEN", right=True),
        Column("MODEL", "cut"),
    )
    rows = [
        (
            # What can be typed after `history` and `send`: the id where it is one chat's own, else the key.
            one_line(record["chat_id"] if ids.count(record["chat_id"]) == 1 else record["key"]),
            record["chat_type"],
            _short(record["last_at"]),
            str(record["turns"]),
            str(record["remembered"]),
            str(record["open"]),
            one_line(record["model"] or ""),
        )
        for record in records
    ]
    return render(columns, rows, room())


def find_chat(db: sqlite3.Connection, name: str) -> chats.Chat:
    """The chat whose key, group id or user id is `name`. Raises ChatUnclear."""
    found = chats.find(db, name)
    exact = [chat for chat in found if chat.key == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        lines = "".join(f"\n  {one_line(chat.key)}" for chat in found)
        raise ChatUnclear(f"{name!r} are {len(found)} chats; give the key of one:{lines}")
    raise ChatUnclear(f"no chat is called {name!r}; {_suggestions(db, name)}")


def _suggestions(db: sqlite3.Connection, name: str) -> str:
    """Chats whose names look like `name`; ids are case-sensitive, and long ones get cut when they are copied."""
    wanted = name.casefold().strip()
    known = [each.chat for each in chats.summaries(db)]
    close = [chat for chat in known if wanted and wanted in chat.key.casefold()]
    if not close:
        return "`wecom-agent chats` lists them" if known else "nobody has written to the bot yet"
    lines = "".join(f"\n  {one_line(chat.key)}" for chat in close[:10])
    return f"is one of these meant?{lines}"


# --- history


def _turn_record(turn: turns.Turn, related: Sequence[files.File], zone: ZoneInfo) -> Record:
    ended = turn.delivered_at or turn.ended_at
    return {
        "id": turn.id,
        "at": _local(turn.received_at, zone),
        "user_id": turn.user_id,
        "kind": turn.kind,
        "command": turn.command,
        "joined_to": turn.joined_to,
        "question": turn.text,
        "answer": turn.answer,
        "reasoning": turn.reasoning,
        "received": [_file_words(file) for file in related if file.origin == "received"],
        "made": [_file_words(file) for file in related if file.origin == "made"],
        "state": turn.state,
        "error": turn.error,
        "ended_at": _local(ended, zone),
        "seconds": round((moment(ended) - moment(turn.received_at)).total_seconds(), 3) if ended else None,
        "model": turn.model,
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
    }


def _file_words(file: files.File) -> str:
    """`报表.xlsx v2`, and what became of it where that is not the usual."""
    version = f" v{file.version}" if file.version > 1 else ""
    state = "" if file.state in ("ready", "sent") else f" ({file.error or file.state})"
    return f"{file.name}{version}{state}"


def _talk(records: Sequence[Record]) -> list[str]:
    columns = (Column("TIME"), Column("WHO"), Column("TEXT", "wrap"))
    rows = []
    for record in records:
        kind = "" if record["kind"] == "text" else f"[{one_line(record['kind'])}] "
        asked = "\n".join(filter(None, (f"{kind}{safe(record['question'])}".strip(), _listed(record["received"]))))
        rows.append((_short(record["at"]), one_line(record["user_id"]), asked))
        state = record["state"] if record["state"] != "delivered" else ""
        notes = f"[{one_line(': '.join(filter(None, (state, record['error']))))}]" if state or record["error"] else ""
        said = "\n".join(filter(None, (safe(record["answer"] or "").strip(), _listed(record["made"]), notes)))
        rows.append((_short(record["ended_at"]), "(bot)", said))
    return render(columns, rows, room())


def _listed(names: Sequence[str]) -> str:
    return "\n".join(f"[file] {one_line(name)}" for name in names)


# --- feedback


def _feedback_record(each: feedback.Feedback, zone: ZoneInfo) -> Record:
    return {
        "id": each.id,
        "at": _local(each.at, zone),
        "chat": each.chat,
        "user_id": each.user_id,
        "verdict": VERDICTS.get(each.type, str(each.type)),
        "reasons": [REASONS.get(number, str(number)) for number in each.reasons],
        "comment": each.content,
        "turn": each.turn,
        "question": each.question,
        "answer": each.answer,
    }


def _feedback_table(records: Sequence[Record]) -> list[str]:
    columns = (
        Column("TIME"),
        Column("USER"),
        Column("VERDICT"),
        Column("WHY", "cut"),
        Column("QUESTION", "cut"),
        Column("ANSWER", "cut"),
    )
    rows = [
        (
            _short(record["at"])[:16],
            one_line(record["user_id"]),
            record["verdict"],
            one_line("; ".join(filter(None, (", ".join(record["reasons"]), record["comment"])))),
            one_line(record["question"] or ""),
            one_line(record["answer"] or ""),
        )
        for record in records
    ]
    return render(columns, rows, room())


# --- stats


def _since(zone: ZoneInfo, days: int) -> datetime:
    """The first moment of the day that begins `days` days, today included."""
    today = datetime.now(zone).date()
    first = today - timedelta(days=min(days, 36500) - 1)
    return datetime(first.year, first.month, first.day, tzinfo=zone)


def _show_stats(found: stats.Stats, form: str, zone: ZoneInfo) -> None:
    days = [asdict(day) for day in found.days]
    if form == "csv":
        _write_csv(days, _FIELDS["stats"])
        return
    record = asdict(found) | {
        "since": _local(found.since, zone),
        "timezone": zone.key,
        "unknown": [asdict(each) | {"created_at": _local(each.created_at, zone)} for each in found.unknown],
    }
    print(to_json(record) if form == "json" else "\n".join(_stats_lines(record)))


def _stats_lines(record: Record) -> list[str]:
    since = _short(record["since"])[:16]
    if not record["days"] and not record["deliveries"]:
        return [f"Nothing happened since {since} ({record['timezone']})."]
    columns = (Column("DAY"), *(Column(name, right=True) for name in _DAY_TITLES))
    rows = [tuple(str(day[name]) for name in _FIELDS["stats"]) for day in record["days"]]
    lines = [f"since {since} ({record['timezone']})", ""]
    if rows:
        lines += [*render(columns, rows, room()), ""]
    for title, counts in (
        ("turns", record["states"]),
        ("errors", record["errors"]),
        ("models", record["models"]),
        ("deliveries", record["deliveries"]),
        ("feedback", record["feedback"]),
    ):
        if counts:
            lines.append(f"{title:<11} {', '.join(f'{one_line(name)} {number}' for name, number in counts.items())}")
    if record["latency_p50"] is not None:
        p50, p95 = record["latency_p50"], record["latency_p95"]
        lines.append(f"{'latency':<11} p50 {p50:.1f} s, p95 {p95:.1f} s, from the message to the last ack")
    if record["unknown"]:
        lines += ["", "never acked by WeCom, so they may or may not have arrived:", *_unknown_table(record["unknown"])]
    return lines


def _unknown_table(records: Sequence[Record]) -> list[str]:
    columns = (Column("TIME"), Column("KIND"), Column("CHAT"), Column("TURN", right=True))
    rows = [
        (
            _short(each["created_at"]),
            each["kind"],
            one_line(each["chat"] or "(wecom-agent send)"),
            "" if each["turn"] is None else str(each["turn"]),
        )
        for each in records
    ]
    return render(columns, rows, room())


_DAY_TITLES = ("TURNS", "USERS", "ANSWERED", "FAILED", "TOKENS IN", "TOKENS OUT")
_FIELDS = {
    "chats": (
        "key", "chat_type", "chat_id", "user_id", "model", "created_at", "last_at", "turns", "remembered", "open",
    ),
    "history": (
        "id", "at", "user_id", "kind", "command", "joined_to", "question", "answer", "reasoning", "received", "made",
        "state", "error", "ended_at", "seconds", "model", "prompt_tokens", "completion_tokens",
    ),
    "stats": ("date", "turns", "users", "answers", "failed", "prompt_tokens", "completion_tokens"),
    "feedback": (
        "id", "at", "chat", "user_id", "verdict", "reasons", "comment", "turn", "question", "answer",
    ),
}  # fmt: skip


def database(settings: Settings) -> Path:
    """The database file of these settings. Raises StoreError where there is only the playground's."""
    path = settings.data_dir / DATABASE
    playground = settings.data_dir / "playground"
    if not path.exists() and (playground / DATABASE).exists():
        raise StoreError(
            f"there is no database at {str(path)!r} yet, only the playground's; start the bot, or look into that one "
            f"with AGENT_DATA_DIR={playground}"
        )
    return path
