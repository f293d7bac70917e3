"""`wecom-agent send`, the operator's side: puts a message into the database for the bot, and waits for its fate.

The bot's side is `agent.outbox`.
"""

import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

from agent.config import Settings
from agent.look import ChatUnclear, database
from agent.store import chats, lock, read, sends, status, write
from agent.table import one_line

# How long `send` waits for WeCom's ack, and how often it asks the database, in seconds.
WAIT = 15.0
POLL = 0.1

# What WeCom takes as a file (protocol §14).
FILE_LEAST, FILE_MOST = 5, 20 * 1024 * 1024
NAME_MOST = 256


def send(settings: Settings, chat: str, text: str, file: Path | None, *, wait: float = WAIT) -> tuple[str, bool]:
    """Hands a message to the running bot and waits up to `wait` seconds for WeCom's ack: (what to say, acked?).

    `chat` is a chat's key, a group's id or a user's id; one that the database does not know goes to WeCom as it is.
    Nothing stays queued: what the bot has not taken up by then is withdrawn. What it has taken up and WeCom has not
    acked is told as unknown, because sending it again could show it twice (protocol §9.4).

    Raises StoreError.
    """
    if problem := _unsendable(text, file):
        return problem, False
    if lock.holder(settings.data_dir) is None:
        where = str(settings.data_dir)
        return (
            f"no bot is running on the data folder {where!r}; start it with `wecom-agent run`; nothing was sent",
            False,
        )
    path = database(settings)
    try:
        with write(path) as db:
            row = sends.queue(
                db,
                chat=_target(db, settings.bot_id, chat),
                text=text if text.strip() else None,
                file=str(file.absolute()) if file else None,
                at=datetime.now(UTC),
                wait=wait,
            )
    except ChatUnclear as error:
        return f"nothing was sent: {error}", False
    try:
        send = _settled(settings, row, wait)
    except BaseException:  # Ctrl-C, or the database fell away: nothing stays queued
        _withdraw(path, row)
        raise
    return _outcome(settings, send, chat, wait)


def _unsendable(text: str, file: Path | None) -> str:
    """Why there is nothing to send, or empty."""
    if file is None:
        return "" if text.strip() else "the text is empty; nothing was sent"
    try:
        if not file.is_file():
            return f"{str(file)!r} is not a file; nothing was sent"
        with file.open("rb"):
            size = file.stat().st_size
    except OSError as error:
        return f"{str(file)!r} cannot be read ({error.strerror}); nothing was sent"
    if size < FILE_LEAST:
        return f"{str(file)!r} has {size} bytes; WeCom takes files from {FILE_LEAST} bytes on; nothing was sent"
    if size > FILE_MOST:
        return f"{str(file)!r} has {size:,} bytes; WeCom takes files up to {FILE_MOST:,}; nothing was sent"
    try:
        str(file.absolute()).encode()  # the database and WeCom take nothing else
    except UnicodeEncodeError:
        return f"the path of {str(file)!r} is not UTF-8; rename it; nothing was sent"
    if len(file.name.encode()) > NAME_MOST:
        return f"the name of {str(file)!r} has more than {NAME_MOST} bytes; rename the file; nothing was sent"
    return ""


def _target(db: sqlite3.Connection, bot_id: str, name: str) -> str:
    """The key of a known chat with this name, else the name. Raises ChatUnclear when it is a person's and a group's."""
    found = chats.find(db, name)
    if any(chat.key == name for chat in found):
        return name
    # The same conversation may have several keys: one for each person of a group, or of another bot.
    own = [chat for chat in found if chat.bot_id == bot_id] or list(found)
    if len({chat.chat_type for chat in own}) > 1:
        lines = "".join(f"\n  {one_line(chat.key)}" for chat in own)
        raise ChatUnclear(f"{name!r} is a person and a group; give the key of one:{lines}")
    return own[0].key if own else name


def _settled(settings: Settings, row: int, wait: float) -> sends.Send:
    """The message when its fate is known, its time is over, or the bot is gone."""
    path, deadline = database(settings), time.monotonic() + wait
    while True:
        with read(path) as db:
            send = sends.get(db, row)
        assert send is not None
        if send.state not in ("queued", "sending"):
            return send
        if time.monotonic() > deadline or lock.holder(settings.data_dir) is None:
            return _withdraw(path, row)
        time.sleep(POLL)


def _withdraw(path: Path, row: int) -> sends.Send:
    with write(path) as db:
        sends.withdraw(db, row, datetime.now(UTC))
        send = sends.get(db, row)
    assert send is not None
    return send


def _outcome(settings: Settings, send: sends.Send, chat: str, wait: float) -> tuple[str, bool]:
    what = "the message and the file" if send.text and send.file else "the file" if send.file else "the message"
    match send.state:
        case "acked":
            return f"sent: WeCom has {what}", True
        case "refused":
            return f"not sent: {one_line(send.error or 'no reason is known')}{_known_as(settings, send, chat)}", False
        case "expired":
            return f"not sent, and nothing stays queued: {_why_untaken(settings)}", False
        case "unknown":
            reason = one_line(send.error or "the bot stopped while it was sending")
            return f"unknown whether {what} arrived: {reason}; look into the chat before sending again", False
        case _:
            gone = "" if lock.holder(settings.data_dir) else ", and the bot is gone"
            return (
                f"unknown whether {what} arrived: the bot is sending, WeCom has not answered within {wait:g} s{gone}; "
                "look into the chat before sending again"
            ), False


def _why_untaken(settings: Settings) -> str:
    if lock.holder(settings.data_dir) is None:
        return "the bot has stopped"
    with read(database(settings)) as db:
        said = status.entries(db)
    state, reason = (str(said[name].value) if name in said else "" for name in ("state", "reason"))
    if state == "subscribed":
        return "the bot did not take it up in time, although it is connected; try again"
    return one_line(f"the bot is not connected to WeCom ({': '.join(filter(None, (state, reason)))})")


def _known_as(settings: Settings, send: sends.Send, name: str) -> str:
    """For a chat that WeCom does not know: those in the database that look like it."""
    if send.chat != name:
        return ""
    with read(database(settings)) as db:
        if chats.find(db, name):
            return ""
        close = [
            each.chat.chat_id for each in chats.summaries(db) if each.chat.chat_id.casefold() == name.strip().casefold()
        ]
    return f" (known is {one_line(close[0])!r})" if close else ""
