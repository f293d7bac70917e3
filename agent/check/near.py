"""What can be checked without asking anybody: settings, prompts, the data folder, fonts. Changes nothing on disk."""

import contextlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent import config, envfile
from agent.check.rows import Mark, Row, split
from agent.config import Settings, SettingsError
from agent.look import DATABASE
from agent.store import SchemaMismatch, StoreBusy, StoreError, read

# Bytes on the disk of the data folder.
DISK_LEAST, DISK_LITTLE = 100 * 1024**2, 1024**3


def settings_rows(environ: Mapping[str, str], env_file: Path | None) -> tuple[Settings | None, list[Row]]:
    """The settings, with defaults in the place of wrong values, and a row for each problem and warning.

    None for the settings when not even the defaults can be used (no time zone data).
    """
    try:
        settings = config.load(environ, env_file)
    except SettingsError as error:
        rows = [split("settings", "fail", problem) for problem in error.problems]
        try:
            return config.load(_without(environ, env_file, error.problems), None, need=()), rows
        except SettingsError:
            return None, rows
    rows = [split("settings", "warn", warning) for warning in settings.warnings]
    given = sorted(set(settings.sources.values()))
    found = f"complete, {len(settings.sources)} from {' and '.join(given)}, the others by default"
    return settings, [Row("settings", "ok", found), *rows]


def _without(environ: Mapping[str, str], env_file: Path | None, problems: tuple[str, ...]) -> dict[str, str]:
    """One environment of both sources, without the settings that have problems."""
    values: dict[str, str] = {}
    if env_file is not None:
        with contextlib.suppress(OSError):
            values = dict(envfile.parse(env_file.read_text(encoding="utf-8-sig", errors="replace")).values)
    names = {setting.name for setting in config.SETTINGS}
    for name, value in environ.items():
        if name.upper() in names and value.strip():
            values.pop(name.lower(), None)
            values[name] = value
    wrong = {problem.partition(":")[0] for problem in problems}
    return {name: value for name, value in values.items() if name.upper() not in wrong}


def prompt_rows(settings: Settings) -> Iterator[Row]:
    from agent.chat.prompts import Prompts

    prompts = Prompts(settings.prompts_dir, group=settings.prompt_group, single=settings.prompt_single)
    problems = prompts.problems()
    for problem in problems:
        yield split("prompts", "fail", problem)
    if not problems:
        files = sorted(path.name for path in prompts.folder.glob("*.md"))
        own = len(list((prompts.folder / "chats").glob("*.md")))
        where = f"in {prompts.folder}"
        if prompts.folder != settings.prompts_dir:
            where = f"that come with the program: there is no folder {str(settings.prompts_dir)!r}"
        more = f", {own} for single chats or groups" if own else ""
        yield Row("prompts", "ok", f"{', '.join(files)}{more} {where}")


def data_rows(settings: Settings) -> Iterator[Row]:
    folder = settings.data_dir
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Row(
            "data", "fail", f"{str(there)!r} cannot be written", "give this user the folder, or set AGENT_DATA_DIR"
        )
    elif not folder.exists():
        yield Row("data", "ok", f"{str(folder)!r} does not exist yet; the bot makes it")
    elif folder.stat().st_mode & 0o077 and sys.platform != "win32":
        mode = folder.stat().st_mode & 0o777
        yield Row(
            "data",
            "warn",
            f"{str(folder)!r} is open to other users (mode {mode:04o})",
            f"chmod 700 {folder}; a starting bot does so itself where nothing else lies in it",
        )
    else:
        yield Row("data", "ok", f"{str(folder)!r} can be written, and only by this user")
    yield _database_row(settings)
    free = shutil.disk_usage(there).free
    mark: Mark = "fail" if free < DISK_LEAST else "warn" if free < DISK_LITTLE else "ok"
    yield Row("disk", mark, f"{_size(free)} free", "" if mark == "ok" else "free some space: a full disk stops the bot")


def _database_row(settings: Settings) -> Row:
    path = settings.data_dir / DATABASE
    if not path.exists():
        return Row("database", "ok", f"none yet; the bot makes {str(path)!r}")
    try:
        with read(path) as db:
            (number,) = db.execute("SELECT count(*) FROM turns").fetchone()
    except StoreError as error:
        soft = isinstance(error, StoreBusy) or (isinstance(error, SchemaMismatch) and "older" in str(error))
        return split("database", "warn" if soft else "fail", str(error))
    size = sum(each.stat().st_size for each in settings.data_dir.glob(f"{DATABASE}*"))
    return Row("database", "ok", f"{str(path)!r} can be read: {number} turns, {_size(size)}")


def _size(number: float) -> str:
    """Bytes for people."""
    units = ["bytes", "KB", "MB", "GB", "TB"]
    while number >= 1024 and len(units) > 1:
        number, units = number / 1024, units[1:]
    return f"{number:.0f} {units[0]}" if units[0] == "bytes" else f"{number:.1f} {units[0]}"


def font_rows(settings: Settings) -> Iterator[Row]:
    """The packaged fonts, and whether charts can be drawn."""
    from agent.tools import fonts
    from agent.tools.made import BuildFailed

    try:
        for font in (fonts.CHINESE, fonts.SYMBOLS, fonts.EMOJI):
            font.load()
    except BuildFailed as error:
        yield Row("fonts", "fail", str(error), "pip install --force-reinstall wecom-agent")
    else:
        yield Row("fonts", "ok", f"Chinese in PDFs and charts: {fonts.CHINESE.family}, packaged")
    for module, extra, what in (
        ("matplotlib", "charts", "chart pictures"),
        ("av", "video,voice", "frames of videos, voice messages from other sound"),
    ):
        if importlib.util.find_spec(module) is not None:
            yield Row("extras", "ok", f"{what}: {module}")
        else:
            yield Row("extras", "-", f"no {what}: {module} is not installed", f'pip install "wecom-agent[{extra}]"')
