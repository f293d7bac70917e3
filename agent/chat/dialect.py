"""WeCom's Markdown dialect: what a model writes, made safe to show (protocol §9.6, §15). Pure."""

import re

# A raw tag of WeCom's own think block would fold away, or swallow, what follows it.
_THINK_TAG = re.compile(r"<(?=/?think\b)", re.IGNORECASE)


def shown(text: str) -> str:
    """`text` as it may stand in a bubble."""
    return _THINK_TAG.sub("＜", text) if "<" in text else text
