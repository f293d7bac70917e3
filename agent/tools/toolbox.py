"""Tools: what the model may do, and how a call of it is carried out.

A tool is a name, a description, a JSON schema and an async function from arguments to a result. Mistakes of the model
(an unknown tool, broken JSON, wrong arguments) and failures of a tool become results that it can read and act on.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.model.stream import ToolCall
from agent.tools.made import ToolInputError

# A result longer than this is cut: it would push the conversation out of the window.
RESULT_CHARACTERS = 24_000
CALL_SECONDS = 120.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What the model reads of a call."""

    text: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """`run` gets the arguments as an object; `ToolInputError` goes back to the model as its message."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[[Mapping[str, Any]], Awaitable[str]]

    @property
    def schema(self) -> dict[str, Any]:
        """The function as the chat-completions API wants it."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}


class Toolbox:
    """The tools of one turn."""

    def __init__(self, tools: Iterable[Tool] = (), seconds: float = CALL_SECONDS) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._seconds = seconds

    def __bool__(self) -> bool:
        return bool(self._tools)

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    @property
    def schemas(self) -> list[dict[str, Any]]:
        return [tool.schema for tool in self._tools.values()]

    def tokens(self, count: Callable[[str], int]) -> int:
        """What the schemas cost in each request."""
        return count(json.dumps(self.schemas, ensure_ascii=False)) if self._tools else 0

    async def call(self, call: ToolCall) -> Result:
        """Carries out one call. Never raises but when cancelled."""
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            return Result(f"There is no tool {call.name!r}. Available: {known}.", failed=True)
        try:
            arguments = parse_arguments(call.arguments)
            async with asyncio.timeout(self._seconds):
                text = await tool.run(arguments)
        except ToolInputError as error:
            return Result(f"{call.name} was not carried out: {error}", failed=True)
        except TimeoutError:
            return Result(f"{call.name} was not done after {self._seconds:g} s; try something smaller.", failed=True)
        except Exception as error:  # a tool's failure is the model's to work around
            _log.error("the tool %s failed", call.name, exc_info=error)
            return Result(f"{call.name} failed because of an internal error ({type(error).__name__}).", failed=True)
        if len(text) > RESULT_CHARACTERS:
            text = f"{text[:RESULT_CHARACTERS]}\n[cut: {len(text) - RESULT_CHARACTERS} more characters]"
        return Result(text)


def parse_arguments(text: str) -> Mapping[str, Any]:
    """The arguments of a call. Raises ToolInputError for what is not a JSON object."""
    try:
        arguments = json.loads(text, strict=False) if text.strip() else {}
    except ValueError as error:
        raise ToolInputError(f"the arguments are not valid JSON ({error}); send one JSON object") from None
    if isinstance(arguments, str):  # some models encode twice
        return parse_arguments(arguments)
    if not isinstance(arguments, dict):
        raise ToolInputError(f"the arguments are a JSON {type(arguments).__name__}; send one JSON object")
    return arguments
