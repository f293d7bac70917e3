"""Which part of a chat the model gets to see: a window counted in tokens, newest first. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agent.model.tokens import image_tokens

Message = dict[str, Any]

# Role and separators of a message, as OpenAI's cookbook counts them.
MESSAGE_TOKENS = 4
# How many exchanges are looked at at most; a window of 32,000 tokens rarely holds more.
EXCHANGES = 200
# What stays of a text that is larger than the window: this share of it from the beginning, the rest from the end.
HEAD_SHARE = 0.7
_MARK = "\n[…]\n"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for the model: an encoded file of at most 1568 px a side."""

    path: Path
    mime: str
    width: int
    height: int


Part = str | Picture


@dataclass(frozen=True, slots=True)
class Said:
    """A question and its answer, as the window takes them."""

    question: tuple[Part, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the window."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return tuple(part for part in self.parts if isinstance(part, Picture))


@dataclass(frozen=True, slots=True)
class Window:
    """The messages of a request, the estimated tokens in them, and what was left out."""

    entries: tuple[Entry, ...]
    tokens: int
    shortened: bool = False
    dropped: int = 0

    @property
    def pictures(self) -> int:
        return sum(len(entry.pictures) for entry in self.entries)


def window(
    system: str,
    exchanges: Sequence[Said],
    question: Sequence[Part],
    budget: int,
    count: Callable[[str], int],
    spare: int = 0,
) -> Window:
    """System prompt, as many of the newest exchanges as fit, and the question, within `budget` tokens.

    `exchanges` are in order, oldest first, and leave `spare` tokens of the budget free; `count` estimates the tokens
    of a text. In a question that alone is too large the longest texts lose their middle.
    """
    used = count(system) + MESSAGE_TOKENS
    asked, shortened = _fit_parts(question, budget - used - MESSAGE_TOKENS, count)
    used += _cost(asked, count) + MESSAGE_TOKENS
    chosen: list[Entry] = []
    kept = 0
    for exchange in reversed(exchanges):
        said = exchange.question or ("…",)
        cost = _cost(said, count) + count(exchange.answer) + 2 * MESSAGE_TOKENS
        if used + cost > budget - spare:
            break
        used += cost
        kept += 1
        chosen += [Entry("assistant", (exchange.answer,)), Entry("user", said)]
    entries = (Entry("system", (system,)), *reversed(chosen), Entry("user", asked))
    return Window(entries, used, shortened, len(exchanges) - kept)


def _cost(parts: Sequence[Part], count: Callable[[str], int]) -> int:
    return sum(count(part) if isinstance(part, str) else image_tokens(part.width, part.height) for part in parts)


def _fit_parts(parts: Sequence[Part], budget: int, count: Callable[[str], int]) -> tuple[tuple[Part, ...], bool]:
    """The parts with their longest texts, one after the other, shortened as far as needed."""
    fitted, shortened = list(parts), False
    while (over := _cost(fitted, count) - budget) > 0:
        texts = [(len(part), number) for number, part in enumerate(fitted) if isinstance(part, str)]
        size, longest = max(texts, default=(0, 0))
        text = fitted[longest]
        if not isinstance(text, str) or size <= len(_MARK.strip()):
            break
        fitted[longest], cut = _fit(text, count(text) - over, count)
        if not cut:
            break
        shortened = True
    return tuple(fitted), shortened


def _fit(text: str, budget: int, count: Callable[[str], int]) -> tuple[str, bool]:
    """`text`, or its beginning and end with a mark between them, in at most about `budget` tokens."""
    total = count(text)
    budget = max(budget, 1)
    if total <= budget:
        return text, False
    room = len(text)
    while room > 0:
        room = int(room * min(0.9, budget / total * 0.95))
        head = int(room * HEAD_SHARE)
        short = text[:head] + _MARK + text[len(text) - (room - head) :]
        total = count(short)
        if total <= budget:
            return short, True
    return _MARK.strip(), True
