"""The bounded record of every frame in both directions, without secrets and without bulk."""

import re
from collections import deque
from typing import NamedTuple

from agent.simulator import wire

_KEYS = re.compile(r'("(?:secret|aeskey)"\s*:\s*")[^"]*')


class TraceEntry(NamedTuple):
    """One frame. ``in`` goes into the bot, ``out`` comes out of it; ``cmd`` is empty for acks.

    ``size`` is the whole frame in bytes; ``text`` its masked beginning; ``note`` what the gateway thought of it.
    """

    seq: int
    at: float
    direction: str
    conn: int
    cmd: str
    req_id: str
    size: int
    text: str
    note: str


class Trace:
    """Newest ``size`` frames, each with at most ``text`` characters. With ``size`` 0 nothing is kept."""

    def __init__(self, size: int, text: int, secret: str) -> None:
        self.entries: deque[TraceEntry] = deque(maxlen=size)
        self.enabled = size > 0
        self._text = text
        # Wherever it stands, unless it is so short that it would hit ordinary words.
        self._literal = secret if len(secret) >= 8 else ""
        self._seq = 0

    def add(
        self, at: float, direction: str, conn: int, cmd: str, req_id: str, text: str | bytes, note: str
    ) -> TraceEntry | None:
        if not self.enabled:
            return None
        if isinstance(text, bytes):
            length, kept = len(text), repr(text[: self._text // 4])
        else:
            length, kept = wire.size(text), self._masked(text)
        self._seq += 1
        entry = TraceEntry(self._seq, at, direction, conn, cmd[:100], req_id[:300], length, kept, note)
        self.entries.append(entry)
        return entry

    def after(self, seq: int) -> list[TraceEntry]:
        """Entries newer than ``seq``, oldest first."""
        newest = self._seq - seq
        return list(self.entries)[-newest:] if newest > 0 else []

    def _masked(self, text: str) -> str:
        # Masked before it is cut, with room for what masking shortens: a secret across the cut would show its half.
        kept = text[: self._text + 1000]
        if '"secret"' in kept or '"aeskey"' in kept:
            kept = _KEYS.sub(r"\1***", kept)
        if self._literal and self._literal in kept:
            kept = kept.replace(self._literal, "***")
        return kept if len(kept) <= self._text and len(text) <= self._text else kept[: self._text] + "…"
