"""Inline thinking: `<think>…</think>` written into the content itself, as R1-type models do on Ollama and vLLM.

Knows where a block of thinking may stand in an answer's content and how its tags are cut across pieces. Does not know
chunks or HTTP.

What counts as thinking:

- A block that opens the content. Anywhere later ``<think>`` is plain text.
- Everything before a ``</think>`` that was never opened: some chat templates put the opening tag into the prompt, so
  that the model writes only the closing one. Nothing shows this before the closing tag arrives, hence it is said in
  hindsight with `TextWasThinking`; ``habit`` then tells the caller to pass ``opened=True`` for this model's next
  answers, which are thinking from their first token on. A closing tag inside a code fence, or right after a quotation
  mark or backtick, is talk about tags and stays text.
"""

import enum
from dataclasses import dataclass

OPEN, CLOSE = "<think>", "</think>"
_QUOTES = "`'\"“‘「『"


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of the model's reasoning, in order."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer, in order."""

    text: str


@dataclass(frozen=True, slots=True)
class TextWasThinking:
    """All `Text` of this answer so far was thinking; the answer begins after it."""


@dataclass(frozen=True, slots=True)
class ThinkingWasText:
    """All `Thinking` of this answer's content so far was the answer, which follows once more as `Text`."""


class _At(enum.Enum):
    START = enum.auto()  # nothing but white space, or a part of the opening tag
    INSIDE = enum.auto()
    AFTER = enum.auto()  # behind the closing tag, before the answer's first word
    TEXT = enum.auto()


class InlineThinking:
    """Splits the pieces of one answer's content into thinking and text; loses nothing but the tags, and blank lines
    before the answer's first word.

    ``opened``: this model is known to leave out the opening tag.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self.habit = opened
        self._at = _At.START
        self._held = ""  # what cannot be told yet: white space at a beginning, a tag in parts
        self._said: list[str] = []  # text or guessed thinking that a closing tag may still turn over
        self._watch = True  # an unopened closing tag is still possible
        self._guessed = False  # inside on the strength of the habit alone

    def settle(self) -> None:
        """The endpoint separates thinking itself: no closing tag without an opening one is to be expected."""
        self._watch = False
        self.habit = False

    def feed(self, piece: str) -> list[Thinking | Text | TextWasThinking | ThinkingWasText]:
        if not piece:
            return []
        if self._at is _At.TEXT and not self._watch and not self._held:
            return [Text(piece)]
        piece = self._held + piece
        self._held = ""
        match self._at:
            case _At.START:
                return self._start(piece)
            case _At.INSIDE:
                return self._inside(piece)
            case _At.AFTER:
                return self._after(piece)
            case _At.TEXT:
                return self._text(piece)

    def flush(self, *, complete: bool) -> list[Thinking | Text | TextWasThinking | ThinkingWasText]:
        """What was held back. ``complete`` is False when the answer was cut or ran into its length."""
        held, self._held = self._held, ""
        match self._at:
            case _At.START | _At.AFTER:
                held = held if held.strip() else ""
                self._at = _At.TEXT
                return [Text(held)] if held else []
            case _At.INSIDE:
                if self._guessed and complete:
                    # The habit did not hold this time: what was shown as thinking is the answer.
                    self.habit = False
                    answer = "".join(self._said) + held
                    return [ThinkingWasText(), Text(answer)] if answer else []
                return [Thinking(held)] if held else []
            case _At.TEXT:
                return [Text(held)] if held else []

    def _start(self, piece: str) -> list[Thinking | Text | TextWasThinking | ThinkingWasText]:
        words = piece.lstrip()
        if words.startswith(OPEN):
            self._at = _At.INSIDE
            self._watch = self.habit = False
            return self._inside(words[len(OPEN) :])
        if OPEN.startswith(words):
            self._held = piece
            return []
        if self.habit:
            self._at, self._guessed = _At.INSIDE, True
            return self._inside(piece)
        if CLOSE.startswith(words):
            self._held = piece
            return []
        self._at = _At.TEXT
        return self._text(_unindent(piece))

    def _inside(self, piece: str) -> list[Thinking | Text | TextWasThinking | ThinkingWasText]:
        thought, tag, rest = piece.partition(CLOSE)
        if not tag:
            thought, self._held = _part_off(piece)
        if self._guessed:
            self._said.append(thought)
        events: list[Thinking | Text | TextWasThinking | ThinkingWasText] = [Thinking(thought)] if thought else []
        if tag:
            self._at, self._watch, self._guessed = _At.AFTER, False, False
            self._said.clear()
            events += self._after(rest)
        return events

    def _after(self, piece: str) -> list[Thinking | Text | TextWasThinking | ThinkingWasText]:
        if not piece.strip():
            self._held = piece
            return []
        self._at = _At.TEXT
        return self._text(_unindent(piece))

    def _text(self, piece: str) -> list[Thinking | Text | TextWasThinking | ThinkingWasText]:
        if not self._watch:
            return [Text(piece)] if piece else []
        events: list[Thinking | Text | TextWasThinking | ThinkingWasText] = []
        while True:
            before, tag, rest = piece.partition(CLOSE)
            if not tag:
                before, self._held = _part_off(piece)
            elif not self._is_talk(before):
                break
            if before + tag:
                self._said.append(before + tag)
                events.append(Text(before + tag))
            if not rest:
                return events
            piece = rest
        if any(self._said):
            events.append(TextWasThinking())
        self._at, self._watch, self.habit = _At.AFTER, False, True
        self._said.clear()
        if before:
            events.append(Thinking(before))
        return events + self._after(rest)

    def _is_talk(self, before: str) -> bool:
        said = "".join(self._said) + before
        return said.endswith(tuple(_QUOTES)) or said.count("```") % 2 == 1 or said.count("~~~") % 2 == 1


def _part_off(piece: str) -> tuple[str, str]:
    """``piece`` without a beginning of the closing tag at its end, and that beginning."""
    at = piece.rfind("<", -len(CLOSE) + 1)
    if at >= 0 and CLOSE.startswith(piece[at:]):
        return piece[:at], piece[at:]
    return piece, ""


def _unindent(piece: str) -> str:
    """``piece`` without blank lines before its first word; an indent on that word's line stays."""
    blank = piece[: len(piece) - len(piece.lstrip())]
    return piece[max(blank.rfind("\n"), blank.rfind("\r")) + 1 :]
