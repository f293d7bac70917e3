"""The fold: raw chat-completion chunks go in, events come out.

Knows the shape of chunks, with the habits of the endpoints that deviate from it. Does not know HTTP, SSE or time.

    fold = Fold()
    for chunk in chunks:            # dicts, as decoded from the `data:` lines
        events += fold.feed(chunk)
    events += fold.flush()          # tool calls, usage, Finished

Deviations it takes: ``choices`` empty, None or missing; content None, "" or a list of parts; thinking as
``reasoning_content``, ``reasoning`` or inline (`agent.model.thinking`); tool calls without an index, all with the same
index, without ids, or with the name in every fragment; arguments as an object; usage on every chunk or inside the
choice; a whole ``message`` instead of deltas; finish reasons by other names; error objects.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.model.errors import from_stream
from agent.model.thinking import InlineThinking, Text, TextWasThinking, Thinking, ThinkingWasText

__all__ = ["Event", "Finished", "Fold", "Text", "TextWasThinking", "Thinking", "ThinkingWasText", "ToolCall", "Usage"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One complete call. ``arguments`` is the JSON text as the model wrote it: it may be broken, or empty."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint counted them; ``cached_tokens`` are a part of ``prompt_tokens``."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Finished:
    """``stop``, ``tool_calls``, ``length`` (the answer ran into its token limit), ``content_filter``, ``refusal``, or
    the endpoint's own word."""

    reason: str


Event = Thinking | Text | TextWasThinking | ThinkingWasText | ToolCall | Usage | Finished

_REASONS = {
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "end_turn": "stop",
    "eos": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "sensitive": "content_filter",  # GLM
}


def _call_id() -> str:
    return "call_" + secrets.token_hex(8)


class Fold:
    """Folds the chunks of one answer.

    ``opened``: the model is known to leave out the opening tag of its inline thinking (`thinking_habit` of an earlier
    answer). ``new_id`` names tool calls to which the endpoint gave no id.
    """

    def __init__(self, *, opened: bool = False, new_id: Callable[[], str] = _call_id, key: str = "") -> None:
        self.progress = 0  # pieces of content so far: text, thinking or tool call; white space counts
        self.finished = False  # a finish reason was given; only usage may follow
        self._content = InlineThinking(opened=opened)
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._usage: Usage | None = None
        self._reason = ""
        self._refusal = False
        self._new_id = new_id
        self._key = key

    @property
    def thinking_habit(self) -> bool:
        """Whether this model's content began inside a block of thinking; meaningful after `flush`."""
        return self._content.habit

    def feed(self, chunk: object) -> list[Event]:
        """The events of one chunk. Raises a `ModelError` when the chunk is an error object."""
        if not isinstance(chunk, dict):
            return []
        choices = chunk.get("choices")
        if chunk.get("error") or (not choices and _is_error(chunk)):
            raise from_stream(chunk, key=self._key)
        if usage := chunk.get("usage"):
            self._count(usage)
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return []
        choice = choices[0]
        if usage := choice.get("usage"):  # Kimi
            self._count(usage)
        delta = choice.get("delta")
        if not delta and not self.progress:
            delta = choice.get("message")  # streaming ignored; after deltas a message repeats them (MiniMax)
        events = self._fold(delta) if isinstance(delta, dict) else []
        if (reason := choice.get("finish_reason")) and isinstance(reason, str):
            self.finished = True
            self._reason = _REASONS.get(reason, reason)
        return events

    def flush(self, *, cut: bool = False) -> list[Event]:
        """The end of the answer. ``cut``: it broke off, so that only the text held back and usage are worth anything;
        half a tool call is not."""
        events: list[Event] = [*self._content.flush(complete=not cut and self._reason != "length")]
        whole = [] if cut else [call for call in self._calls if call.name or call.arguments]
        calls = [ToolCall(call.id or self._new_id(), call.name, call.arguments) for call in whole]
        events += calls
        if self._usage:
            events.append(self._usage)
        if not cut:
            reason = self._reason or "stop"
            if self._refusal:
                reason = "refusal"
            elif calls and reason == "stop":
                reason = "tool_calls"
            elif not calls and reason == "tool_calls":
                reason = "stop"
            events.append(Finished(reason))
        return events

    def _fold(self, delta: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str) and thought:
            self.progress += 1
            self._content.settle()
            events.append(Thinking(thought))
        content = delta.get("content")
        if content:
            if isinstance(content, list):
                events += self._parts(content)
            elif isinstance(content, str):
                self.progress += 1
                events += self._content.feed(content)
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self.progress += 1
            self._refusal = True
            events.append(Text(refusal))
        fragments = delta.get("tool_calls")
        if isinstance(fragments, list):
            for fragment in fragments:
                if isinstance(fragment, dict):
                    self.progress += 1
                    self._call(fragment)
        return events

    def _parts(self, parts: list[Any]) -> list[Event]:
        """Content as a list of parts, with thinking as a part of its own (Mistral)."""
        events: list[Event] = []
        for part in parts:
            match part:
                case {"type": "text", "text": str(text)} if text:
                    self.progress += 1
                    events += self._content.feed(text)
                case {"type": "thinking", "thinking": list(thoughts)}:
                    self._content.settle()
                    for thought in thoughts:
                        match thought:
                            case {"text": str(text)} if text:
                                self.progress += 1
                                events.append(Thinking(text))
        return events

    def _call(self, fragment: dict[str, Any]) -> None:
        """Adds a fragment to its call. The index alone does not tell calls apart: some endpoints leave it out or
        number every call 0. The name is set, never appended, as some repeat it in every fragment."""
        function = fragment.get("function")
        function = function if isinstance(function, dict) else {}
        call_id, name, arguments = fragment.get("id"), function.get("name"), function.get("arguments")
        call_id = call_id if isinstance(call_id, str) else ""
        name = name if isinstance(name, str) else ""
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments, ensure_ascii=False)
        arguments = arguments if isinstance(arguments, str) else ""
        index = fragment.get("index")
        if isinstance(index, int):
            known = self._by_index.get(index)
        else:
            last = self._calls[-1] if self._calls else None
            known = next((call for call in self._calls if call_id and call.id == call_id), last)
        if known is None or known.is_over(call_id, name, arguments):
            known = _Call()
            self._calls.append(known)
            if isinstance(index, int):
                self._by_index[index] = known
        known.id = known.id or call_id
        known.name = name or known.name
        known.arguments += arguments

    def _count(self, usage: object) -> None:
        """Usage may come on every chunk, growing, and with zeros on some: the newest figure that is not zero counts."""
        if not isinstance(usage, dict):
            return
        details = usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else None
        figures = (
            usage.get("prompt_tokens"),
            usage.get("completion_tokens"),
            cached or usage.get("prompt_cache_hit_tokens") or usage.get("cached_tokens"),
        )
        last = self._usage or Usage(0, 0, 0)
        old = (last.prompt_tokens, last.completion_tokens, last.cached_tokens)
        new = [int(f) if isinstance(f, int) and f > 0 else o for f, o in zip(figures, old, strict=True)]
        if any(new):
            self._usage = Usage(*new)


class _Call:
    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id = self.name = self.arguments = ""

    def is_over(self, call_id: str, name: str, arguments: str) -> bool:
        """Whether a fragment with these fields begins another call than this one."""
        if call_id and self.id:
            return call_id != self.id
        if not name or not self.name:
            return False
        # No id to go by. The same name again is another call only when this one is complete and arguments follow.
        return name != self.name or (bool(arguments) and _is_object(self.arguments))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _is_error(chunk: dict[str, Any]) -> bool:
    """An error object that does not call itself {"error": ...}: {"object": "error", ...}, or words with a code."""
    return chunk.get("object") == "error" or ("choices" not in chunk and bool(chunk.get("message")) and "code" in chunk)
