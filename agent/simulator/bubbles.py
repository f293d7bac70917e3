"""What people see in a chat: bubbles in first-frame order. It knows rendering; it knows neither sockets nor limits."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agent.simulator.wire import Json

OPEN, CLOSE = "<think>", "</think>"
_STRAY = re.compile(r"</?think", re.I)

# Categories of characters that show nothing: controls, formats such as the zero-width ones, separators, unassigned.
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Cn", "Cs"})
# Letters and symbols by category that have no ink all the same: Hangul fillers, the blank Braille pattern.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\ufe0e\ufe0f")


def is_visible(text: str) -> bool:
    """Whether a person sees anything of ``text`` (protocol §9.2)."""
    return any(character not in _BLANK and unicodedata.category(character) not in _INVISIBLE for character in text)


@dataclass(frozen=True, slots=True)
class Rendering:
    """``thinking`` is None without a think block. ``fault`` says why text was swallowed, or is empty."""

    thinking: str | None
    text: str
    fault: str = ""


def render(content: str) -> Rendering:
    """Splits the native think block off and shows what a client would lose (protocol §9.6).

    How much of the text disappears is not attested beyond "can swallow the answer"; here all of it from the fault on.
    """
    fault = thinking_fault(content)
    if not content.startswith(OPEN):
        stray = _STRAY.search(content)
        return Rendering(None, content[: stray.start()] if stray else content, fault)
    end = content.find(CLOSE)
    if end < 0:
        return Rendering(content[len(OPEN) :], "", fault)
    thinking, rest = content[len(OPEN) : end], content[end + len(CLOSE) :]
    if "<" in thinking:
        return Rendering(thinking[: thinking.index("<")], "", fault)
    stray = _STRAY.search(rest)
    return Rendering(thinking, rest[: stray.start()] if stray else rest, fault)


def thinking_fault(content: str) -> str:
    """Why this content loses text: an unclosed block, a raw ``<`` inside it, a stray tag after it; or empty."""
    rest = content
    if content.startswith(OPEN):
        end = content.find(CLOSE)
        if end < 0:
            return "the think block is not closed"
        if content.find("<", len(OPEN), end) >= 0:
            return "a raw '<' stands inside the think block"
        rest = content[end + len(CLOSE) :]
    # Most answers hold no "<": the regular expression runs only for those that do.
    if "<" in rest and _STRAY.search(rest):
        return "a raw think tag stands in the text"
    return ""


@dataclass(frozen=True, slots=True)
class Message:
    """One bubble as a person sees it now.

    ``sender`` is "bot", "platform" or a userid. ``kind`` is stream, markdown, template_card, text, image, mixed, voice,
    file, video or the name of an unsupported kind. ``text`` is what shows outside the think block, ``thinking`` what
    shows inside (None: no block), ``content`` what was sent. ``media`` lists {"media_id", "kind", "name", "size"} in
    order; ``parts`` lists {"text"} and media in the order of a person's message. ``stuck``: the animation runs for ever
    although the stream ended. ``fault``: why text was swallowed.
    ``expired``: the stream's lifetime ended unfinished. ``frames`` counts the frames that were shown.
    ``created`` and ``updated`` are seconds of the gateway's clock.
    """

    id: str
    chat: str
    sender: str
    kind: str
    text: str
    thinking: str | None
    content: str
    media: tuple[Json, ...]
    parts: tuple[Json, ...]
    card: Json | None
    finished: bool
    stuck: bool
    fault: str
    expired: bool
    req_id: str
    stream_id: str
    frames: int
    created: float
    updated: float
    feedback_id: str
    feedback: Json | None
    quote: str
    conn: int

    def as_json(self) -> Json:
        return asdict(self)


@dataclass(slots=True, eq=False)
class Bubble:
    """The growing original of a Message. Rendering waits until somebody looks: most frames are replaced unseen."""

    id: str
    chat: str
    sender: str
    kind: str
    created: float
    content: str = ""
    media: tuple[Json, ...] = ()
    parts: tuple[Json, ...] = ()
    card: Json | None = None
    cards: dict[str, Json] = field(default_factory=dict)  # what an update showed to some users only
    finished: bool = True
    stuck: bool = False
    expired: bool = False
    excused: bool = False  # nobody could have finished this stream: its connection was displaced
    req_id: str = ""
    stream_id: str = ""
    frames: int = 1
    updated: float = 0.0
    feedback_id: str = ""
    feedback: Json | None = None
    quote: str = ""
    conn: int = 0
    updated_card: bool = False
    fault_noted: bool = False
    listed: bool = True  # False once the log has dropped it

    def message(self) -> Message:
        shown = render(self.content) if self.sender == "bot" else Rendering(None, self.content)
        return Message(
            id=self.id,
            chat=self.chat,
            sender=self.sender,
            kind=self.kind,
            text=shown.text,
            thinking=shown.thinking,
            content=self.content,
            media=self.media,
            parts=self.parts,
            card=self.card,
            finished=self.finished,
            stuck=self.stuck,
            fault=shown.fault,
            expired=self.expired,
            req_id=self.req_id,
            stream_id=self.stream_id,
            frames=self.frames,
            created=self.created,
            updated=self.updated or self.created,
            feedback_id=self.feedback_id,
            feedback=self.feedback,
            quote=self.quote,
            conn=self.conn,
        )


def card_text(card: Mapping[str, Any]) -> str:
    """The words of a card, for a quote of it."""
    title: Any = card.get("main_title")
    parts: Sequence[Any] = (
        (title.get("title"), title.get("desc"), card.get("sub_title_text")) if isinstance(title, dict) else ()
    )
    return "\n".join(part for part in parts if isinstance(part, str) and part)
