"""Commands in chat: `/new`, `/stop`, `/help`, with half- or full-width slash and by their Chinese names.

A command stands alone in its message. Anything else that begins with a slash is text for the model.
"""

from enum import Enum


class Command(Enum):
    NEW = "new"
    STOP = "stop"
    HELP = "help"


_NAMES = {
    "new": Command.NEW,
    "reset": Command.NEW,
    "新对话": Command.NEW,
    "stop": Command.STOP,
    "停止": Command.STOP,
    "help": Command.HELP,
    "帮助": Command.HELP,
}

# These do without a slash: nobody asks a model just that.
_BARE = {"新对话", "停止", "帮助"}


def parse(text: str) -> Command | None:
    """The command that `text` is, or None."""
    word = text.strip()
    if word.startswith(("/", "／")):
        return _NAMES.get(word[1:].strip().lower())
    return _NAMES[word] if word in _BARE else None
