"""The data folder: made, and closed to other users."""

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

# What the bot keeps there. A folder that holds anything else is not the bot's alone, and not the bot's to close.
_OWN = ("agent.db", "files", "lock", "playground", "lost+found")


def prepare(folder: Path) -> None:
    """Makes `folder` and what is missing above it with mode 0700; an existing one of the bot's own gets that mode.

    A folder that holds other things too (`/tmp`, a home) is left as it is, with a warning. Raises OSError.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
    if not folder.stat().st_mode & 0o077:
        return
    foreign = next((entry.name for entry in folder.iterdir() if not entry.name.startswith(_OWN)), None)
    if foreign is not None:
        logger.warning("%s is open to other users and left so, because it holds other things (%r)", folder, foreign)
        return
    close(folder, 0o700)


def close(path: Path, mode: int) -> None:
    """Takes the rights of other users away; where that is not allowed, a warning."""
    if path.stat().st_mode & 0o077:
        try:
            path.chmod(mode)
        except OSError as error:  # a mounted folder that belongs to another user
            logger.warning("%s is open to other users and cannot be closed to them (%s)", path, error.strerror)
