"""The agent loop: ask, carry out the tool calls, ask again, until the model has answered.

Knows rounds, budgets and the messages that a round adds. What the model says goes into the `Draft` as it comes; how
that is shown is the caller's. Cancelling it at any point closes the model's connection and the tools' work.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.model.client import ModelClient
from agent.model.errors import BadRequest, Empty, ModelError
from agent.model.stream import Event, Finished, TextWasThinking, Thinking, ThinkingWasText, ToolCall
from agent.model.stream import Text as TextEvent
from agent.tools.toolbox import Result, Toolbox

from .draft import Draft

Message = dict[str, Any]

# While tools work the bubble counts their seconds.
TICK = 1.0
# A result is never cut to less than this, whatever the budget: the model would learn nothing from it.
LEAST_TOKENS = 200
# So many calls of one round are carried out; a model that wants more is told to go on in the next.
CALLS = 16
# What endpoints do not take back in a function's name (OpenAI's rule), though models write it.
_NO_NAME = re.compile(r"[^a-zA-Z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one turn: rounds of tools, seconds in all, and estimated tokens that calls and results may come to."""

    rounds: int = 12
    seconds: float = 900.0
    tokens: int = 16000


@dataclass(slots=True)
class _Round:
    """What the model said in one round, and the results of its calls."""

    text: str = ""
    thinking: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    cut: bool = False

    def take(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case TextEvent(text):
                    self.text += text
                case Thinking(text):
                    self.thinking += text
                case TextWasThinking():
                    self.thinking, self.text = self.thinking + self.text, ""
                case ThinkingWasText():
                    self.thinking = ""
                case ToolCall(call_id):
                    if any(call_id == call.id for call in self.calls):  # results are told apart by it
                        event = replace(event, id=f"{call_id}_{len(self.calls)}")
                    self.calls.append(event)
                case Finished(reason):
                    self.cut = reason == "length"
                case _:
                    pass

    def messages(self, thinking: bool) -> list[Message]:
        """The round as the next request repeats it, with its thinking in `reasoning_content` or without."""
        said: Message = {"role": "assistant", "content": self.text or None, "tool_calls": list(map(_call, self.calls))}
        if thinking:
            said["reasoning_content"] = self.thinking
        results = zip(self.calls, self.results, strict=True)
        return [said, *({"role": "tool", "tool_call_id": call.id, "content": text} for call, text in results)]


async def run(
    client: ModelClient,
    messages: Sequence[Message],
    draft: Draft,
    *,
    model: str,
    toolbox: Toolbox,
    limits: Limits,
    count: Callable[[str], int],
    changed: Callable[[], None],
    on_wait: Callable[[float, ModelError], None] | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
) -> None:
    """Fills `draft` with the answer to `messages`.

    `changed()` is called whenever the draft has more to show. When rounds, time or tokens are used up the model is
    asked once more, without tools, to answer with what it has. After tools that made files it need not say anything.

    Raises:
        ModelError: the model gave no complete answer; what it said before is in the draft.
    """
    rounds: list[_Round] = []
    # DeepSeek demands the thinking of a turn back, with its first tool calls on; others refuse to see it.
    carries: bool | None = None
    started, left = time.monotonic(), limits.tokens

    async def ask(thinking: bool, last: bool) -> _Round:
        this = _Round()
        async with client.stream(
            [*messages, *(message for one in rounds for message in one.messages(thinking))],
            model=model,
            temperature=temperature,
            max_tokens=max_tokens,
            tools=toolbox.schemas if toolbox else None,
            extra={"tool_choice": "none"} if toolbox and last else None,
            on_wait=on_wait,
        ) as batches:
            try:
                async for events in batches:
                    this.take(events)
                    draft.take(events)
                    changed()
            except Empty:
                if not (draft.made or draft.text.strip()):
                    raise
        return this

    for number in range(limits.rounds + 1):
        last = number == limits.rounds or time.monotonic() - started > limits.seconds or left <= 0
        thinking = any(one.thinking for one in rounds) if carries is None else carries
        draft.begin_round()
        try:
            this = await ask(thinking, last)
        except BadRequest as error:
            if not rounds or "reasoning_content" not in error.said:
                raise
            carries = not thinking
            this = await ask(carries, last)
        if last and this.calls and not (draft.made or draft.text.strip()):
            raise Empty(f"the model {model!r} called tools when it was to answer")
        if not this.calls or last:
            return
        left -= sum(map(count, (this.text, this.thinking, *(call.arguments for call in this.calls))))
        for result in await _carry_out(this.calls, toolbox, draft, changed):
            text = _fitting(result.text, max(left, LEAST_TOKENS), count)
            if this.cut and result.failed:
                text += f" Your calls were cut off at the limit of {max_tokens} tokens: send less at once."
            this.results.append(text)
            left -= count(text)
        rounds.append(this)


async def _carry_out(
    calls: Sequence[ToolCall], toolbox: Toolbox, draft: Draft, changed: Callable[[], None]
) -> list[Result]:
    """The results of all calls, carried out at the same time."""

    async def one(call: ToolCall) -> Result:
        if call in calls[CALLS:]:
            return Result(f"Not carried out: at most {CALLS} calls at once; call again.", failed=True)
        step = draft.begin_step(call.name)
        changed()
        result = await toolbox.call(call)
        draft.end_step(step, failed=result.failed)
        changed()
        return result

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK)
            changed()

    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(tick())
        async with asyncio.TaskGroup() as working:
            tasks = [working.create_task(one(call)) for call in calls]
        ticking.cancel()
    return [task.result() for task in tasks]


def _fitting(text: str, budget: int, count: Callable[[str], int]) -> str:
    """The beginning of a result that the turn's budget still holds."""
    total = count(text)
    if total <= budget:
        return text
    kept = text[: int(len(text) * budget / total)]
    return f"{kept}\n[cut: this turn's budget of tokens is used up; {len(text) - len(kept)} more characters]"


def _call(call: ToolCall) -> Message:
    name = _NO_NAME.sub("_", call.name)[:64] or "unnamed"
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": _json(call.arguments)}}


def _json(arguments: str) -> str:
    """Arguments that endpoints take back: some refuse what is no JSON object, though the model wrote it."""
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except ValueError:
        return "{}"
