"""The agent loop: ask, carry out the tool calls, ask again, until the model has answered.

Knows rounds, budgets and the messages that a round adds. What the model says goes into the `Draft` as it comes; how
that is shown is the caller's. Cancelling it at any point closes the model's connection and the tools' work.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.model.client import ModelClient
from agent.model.errors import ModelError
from agent.model.stream import Event, TextWasThinking, Thinking, ToolCall
from agent.model.stream import Text as TextEvent
from agent.tools.toolbox import Result, Toolbox

from .draft import Draft

Message = dict[str, Any]

# While tools work the bubble counts their seconds.
TICK = 1.0
# A result is never cut to less than this, whatever the budget: the model would learn nothing from it.
LEAST_TOKENS = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one turn: rounds of tools, seconds in all, and estimated tokens that calls and results may come to."""

    rounds: int = 12
    seconds: float = 900.0
    tokens: int = 16000


@dataclass(slots=True)
class _Round:
    """What the model said in one round."""

    text: str = ""
    thinking: str = ""
    calls: list[ToolCall] = field(default_factory=list)

    def take(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case TextEvent(text):
                    self.text += text
                case Thinking(text):
                    self.thinking += text
                case TextWasThinking():
                    self.thinking, self.text = self.thinking + self.text, ""
                case ToolCall():
                    self.calls.append(event)
                case _:
                    pass


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
    asked once more, without tools, to answer with what it has.

    Raises:
        ModelError: the model gave no complete answer; what it said before is in the draft.
    """
    said: list[Message] = list(messages)
    started, left = time.monotonic(), limits.tokens
    for number in range(limits.rounds + 1):
        last = number == limits.rounds or time.monotonic() - started > limits.seconds or left <= 0
        this = _Round()
        draft.begin_round()
        async with client.stream(
            said,
            model=model,
            temperature=temperature,
            max_tokens=max_tokens,
            tools=toolbox.schemas if toolbox else None,
            extra={"tool_choice": "none"} if toolbox and last else None,
            on_wait=on_wait,
        ) as batches:
            async for events in batches:
                this.take(events)
                draft.take(events)
                changed()
        if not this.calls or last:
            return
        said.append(_assistant(this))
        left -= sum(count(call.arguments) for call in this.calls)
        for call, result in zip(this.calls, await _carry_out(this.calls, toolbox, draft, changed), strict=True):
            text = _fitting(result.text, max(left, LEAST_TOKENS), count)
            said.append({"role": "tool", "tool_call_id": call.id, "content": text})
            left -= count(text)


async def _carry_out(
    calls: Sequence[ToolCall], toolbox: Toolbox, draft: Draft, changed: Callable[[], None]
) -> list[Result]:
    """The results of all calls, carried out at the same time."""

    async def one(call: ToolCall) -> Result:
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


def _assistant(this: _Round) -> Message:
    """The assistant's message of a round with tool calls.

    A model that thinks in `reasoning_content` wants it back beside its calls (DeepSeek answers 400 without); others
    never sent any, and get none.
    """
    message: Message = {
        "role": "assistant",
        "content": this.text or None,
        "tool_calls": [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _json(call.arguments)}}
            for call in this.calls
        ],
    }
    if this.thinking:
        message["reasoning_content"] = this.thinking
    return message


def _json(arguments: str) -> str:
    """Arguments that endpoints take back: some refuse what is no JSON object, though the model wrote it."""
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except ValueError:
        return "{}"
