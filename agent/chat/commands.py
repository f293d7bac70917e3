"""Commands in chat, with half- or full-width slash and by their Chinese names.

A command stands alone in its message; only `/model` takes a word. Anything else that begins with a slash is text for
the model.
"""

from dataclasses import dataclass
from enum import Enum


class Name(Enum):
    NEW = "new"
    STOP = "stop"
    RETRY = "retry"
    MODEL = "model"
    USAGE = "usage"
    SUMMARY = "summary"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Command:
    """A command and the words behind it, empty for most."""

    name: Name
    words: tuple[str, ...] = ()


_NAMES = {
    "new": Name.NEW,
    "reset": Name.NEW,
    "新对话": Name.NEW,
    "stop": Name.STOP,
    "停止": Name.STOP,
    "retry": Name.RETRY,
    "重试": Name.RETRY,
    "model": Name.MODEL,
    "模型": Name.MODEL,
    "usage": Name.USAGE,
    "用量": Name.USAGE,
    "summary": Name.SUMMARY,
    "摘要": Name.SUMMARY,
    "help": Name.HELP,
    "帮助": Name.HELP,
}

# These do without a slash: nobody asks a model just that.
_BARE = {"新对话", "停止", "重试", "帮助"}

# `/model`, `/model NAME`, `/model default NAME`
_MODEL_WORDS = 2


def parse(text: str, bot_name: str = "") -> Command | None:
    """The command that `text` is, or None. A mention of the bot may follow it; speech ends it with a full stop."""
    text = text.strip()
    if bot_name:
        text = text.removesuffix(f"@{bot_name}").rstrip()
    if text.rstrip("。.！!") in _BARE:
        return Command(_NAMES[text.rstrip("。.！!")])
    if not text.startswith(("/", "／")):
        return None
    head, *words = text[1:].split()[: _MODEL_WORDS + 2] or [""]
    name = _NAMES.get(head.lower())
    if name is None or (words and (name is not Name.MODEL or len(words) > _MODEL_WORDS)):
        return None
    return Command(name, tuple(words))
