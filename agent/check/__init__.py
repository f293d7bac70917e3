"""`wecom-agent check`: what works, what does not, and the remedy, a row each.

Every part is tried even when another is broken. The line comes last: subscribing displaces a bot that runs elsewhere,
so the operator is told at the beginning and has the time in between to stop it.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from agent import logs
from agent.check import far, near
from agent.check.rows import Row
from agent.config import Settings
from agent.look import room
from agent.store import lock
from agent.table import Column, one_line, row_lines

__all__ = ["report"]

# How wide the first two columns are, and what the other two get at least, together.
WHAT, MARK, REST = 9, 4, 40

NOTE = """\
note: this ends with a short connection to WeCom. If a bot with the same Bot ID runs on another machine, WeCom
disconnects that one, and it stops. Ctrl-C or `--offline` prevents it.
"""


def report(env_file: Path | None, *, offline: bool) -> bool:
    """Prints the table row by row, as the answers come; False when something fails.

    Puts the proxy of the settings into this process's environment. With `offline` nobody is contacted.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # the table says it; the log would say it again
    settings, rows = near.settings_rows(os.environ, env_file)
    out = _Printer()
    if settings is None:
        for row in rows:
            out.add(row)
        out.add(Row("the rest", "-", "not looked at", "correct the settings first"))
        return out.close()
    if settings.log_level == "DEBUG":
        logs.set_up(settings.log_level, settings.log_format)
    os.environ.update(settings.proxy_environment)
    if not offline and settings.bot_id and settings.bot_secret and not _bot_is_here(settings):
        out.say(NOTE)
    out.head()
    for row in rows:
        out.add(row)
    parts: tuple[tuple[str, Callable[[Settings], Iterator[Row]]], ...] = (
        ("prompts", near.prompt_rows),
        ("data", near.data_rows),
        ("fonts", near.font_rows),
        ("proxy", far.proxy_rows),
    )
    for what, part in parts:
        try:
            for row in part(settings):
                out.add(row)
        except Exception as error:  # a row too, so that the other parts are still looked at
            out.add(Row(what, "fail", f"could not be checked: {error!r}"))
    if offline:
        out.add(Row("model", "-", "not asked: --offline"))
        out.add(Row("wecom", "-", "not asked: --offline"))
    else:
        asyncio.run(_ask(settings, out))
    return out.close()


def _bot_is_here(settings: Settings) -> bool:
    try:
        return lock.holder(settings.data_dir) is not None
    except OSError:  # a folder of another user: the row of the line tells
        return False


async def _ask(settings: Settings, out: "_Printer") -> None:
    parts: tuple[tuple[str, Callable[[Settings, Callable[[Row], None]], Awaitable[None]]], ...] = (
        ("model", far.ask_models),
        ("wecom", far.ask_wecom),
    )
    for what, part in parts:
        try:
            await part(settings, out.add)
        except Exception as error:  # as above
            out.add(Row(what, "fail", f"could not be checked: {error!r}"))


class _Printer:
    """Prints rows in columns that are laid out before any row is known; counts the marks."""

    def __init__(self) -> None:
        limit = room()
        self._columns = (Column("WHAT"), Column(""), Column("FOUND", "wrap"), Column("WHAT TO DO", "wrap"))
        self._widths: list[int] | None = None  # without a terminal each row is one line
        if limit is not None:
            rest = max(limit - WHAT - MARK - 6, REST)
            self._widths = [WHAT, MARK, rest * 3 // 5, rest - rest * 3 // 5]
        self._counts = {"fail": 0, "warn": 0}

    def head(self) -> None:
        self._print([column.title for column in self._columns])

    def add(self, row: Row) -> None:
        if row.mark in self._counts:
            self._counts[row.mark] += 1
        self._print([one_line(row.what), row.mark, one_line(row.finding), one_line(row.remedy)])

    def close(self) -> bool:
        """Prints the sum; whether nothing failed."""
        failed, warned = self._counts["fail"], self._counts["warn"]
        found = [f"{number} {word}" for number, word in ((failed, "failed"), (warned, "to look at")) if number]
        self.say(f"\n{', '.join(found) or 'everything works'}")
        return not failed

    def say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def _print(self, cells: list[str]) -> None:
        if self._widths is None:
            what, mark, *rest = cells
            self.say("  ".join([f"{what:<{WHAT}}", f"{mark:<{MARK}}", *filter(None, rest)]).rstrip())
            return
        for line in row_lines(self._columns, cells, self._widths):
            self.say(line.rstrip())
