"""WeCom's native think block (protocol §9.6): making it, finding it, and keeping text from being taken for it.

An unclosed block, a raw `<` inside one or a stray tag after it can swallow the answer.
"""

import re

from .split import size, tail

OPEN, CLOSE = "<think>", "</think>"
# Of the reasoning, only its end is shown.
LIMIT = 4096

_STRAY = re.compile(r"<(?=\s*/?\s*think)", re.IGNORECASE)


def block(thinking: str, limit: int = LIMIT) -> str:
    """The fold with the end of `thinking` in at most `limit` bytes; without text it shows WeCom's animation."""
    whole = thinking.strip()
    shown = whole[-limit:].replace("<", "＜")
    if len(whole) > limit or size(shown) > limit:
        shown = "…" + tail(shown, limit - 3)
    return f"{OPEN}{shown}{CLOSE}"


def escaped(text: str) -> str:
    """`text` with the think tags in it as full-width look-alikes."""
    return _STRAY.sub("＜", text) if "<" in text else text


def parted(content: str) -> tuple[str, str]:
    """(reasoning, text) of content that begins with a think block, closed or not."""
    opened = content.lstrip()
    if not opened.startswith(OPEN):
        return "", content
    thinking, closed, text = opened[len(OPEN) :].partition(CLOSE)
    return thinking, text if closed else ""
