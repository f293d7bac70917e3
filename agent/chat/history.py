"""Which part of a chat the model gets to see: a window counted in tokens, newest first. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agent.store.turns import Exchange

Message = dict[str, Any]

# Role and separators of a message, as OpenAI's cookbook counts them.
MESSAGE_TOKENS = 4
# How many exchanges are looked at at most; a window of 32,000 tokens rarely holds more.
EXCHANGES = 200
# What stays of a question that is larger than the window: this share of it from the beginning, the rest from the end.
HEAD_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Window:
    """The messages of a request, the estimated tokens in them, and what was left out."""

    messages: list[Message]
    tokens: int
    shortened: bool = False
    dropped: int = 0


def window(
    system: str,
    exchanges: Sequence[Exchange],
    question: str,
    budget: int,
    count: Callable[[str], int],
    name: Callable[[Exchange], str],
) -> Window:
    """System prompt, as many of the newest exchanges as fit, and the question, within `budget` tokens.

    `exchanges` are in order, oldest first; `count` estimates the tokens of a text; `name` gives the speaker to put
    before a question, or "". A question that alone is too large loses its middle.
    """
    used = count(system) + MESSAGE_TOKENS
    asked, shortened = _fit(question, budget - used - MESSAGE_TOKENS, count)
    used += count(asked) + MESSAGE_TOKENS
    chosen: list[Message] = []
    kept = 0
    for exchange in reversed(exchanges):
        speaker = name(exchange)
        said = f"{speaker}: {exchange.text}" if speaker else exchange.text
        cost = count(said) + count(exchange.answer) + 2 * MESSAGE_TOKENS
        if used + cost > budget:
            break
        used += cost
        kept += 1
        chosen += [{"role": "assistant", "content": exchange.answer}, {"role": "user", "content": said or "…"}]
    messages = [{"role": "system", "content": system}, *reversed(chosen), {"role": "user", "content": asked}]
    return Window(messages, used, shortened, len(exchanges) - kept)


def _fit(text: str, budget: int, count: Callable[[str], int]) -> tuple[str, bool]:
    """`text`, or its beginning and end with a mark between them, in at most about `budget` tokens."""
    total = count(text)
    budget = max(budget, 1)
    if total <= budget:
        return text, False
    mark = "\n[…]\n"
    room = len(text)
    while room > 0:
        room = int(room * min(0.9, budget / total * 0.95))
        head = int(room * HEAD_SHARE)
        short = text[:head] + mark + text[len(text) - (room - head) :]
        total = count(short)
        if total <= budget:
            return short, True
    return mark.strip(), True
