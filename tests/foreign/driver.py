"""A foreign client in a process of its own: JSON lines in, JSON lines out.

Into it go ``{"number": 1, "call": name, ...arguments}``; out come ``{"number": 1, "result": ...}`` or
``{"number": 1, "error": ...}`` and, at any time, ``{"event": name, ...}``.
"""

import asyncio
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]


class Refused(Exception):
    """What the client's own call raised: its message, and the ack's errcode if it passed one on."""

    def __init__(self, error: Json) -> None:
        super().__init__(error.get("message"))
        self.errcode: int | None = error.get("errcode")


class Foreign:
    """Answers are read by whoever waits; there is one waiter at a time, so no task is needed."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        self._command = [str(word) for word in command]
        self._numbers = itertools.count(1)
        self._events: list[Json] = []
        self._answers: dict[int, Json] = {}
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=pipe, limit=64 * 1024 * 1024
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
        _, errors = await self._process.communicate()
        if error is not None and errors:
            error.add_note("the client said: " + errors.decode(errors="replace")[-2000:])

    async def start(self, call: str, **arguments: Any) -> int:
        """The number of a call whose answer is awaited later."""
        number = next(self._numbers)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"number": number, "call": call, **arguments}).encode() + b"\n")
        await self._process.stdin.drain()
        return number

    async def answer(self, number: int, seconds: float = 15.0) -> Any:
        async with asyncio.timeout(seconds):
            while number not in self._answers:
                await self._read()
        answer = self._answers.pop(number)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer.get("result")

    async def call(self, call: str, **arguments: Any) -> Any:
        """The result of the client's function. Refused when it raised."""
        return await self.answer(await self.start(call, **arguments))

    async def event(self, name: str, seconds: float = 15.0) -> Json:
        """The next event of that name; others stay for later."""
        async with asyncio.timeout(seconds):
            while not any(event["event"] == name for event in self._events):
                await self._read()
        found = next(event for event in self._events if event["event"] == name)
        self._events.remove(found)
        return found

    async def ended(self, seconds: float = 15.0) -> int:
        """The exit code, once the process has ended by itself."""
        async with asyncio.timeout(seconds):
            return await self._process.wait()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise EOFError("the foreign client ended")
        if not line.startswith(b"{"):
            return  # a log line
        message = json.loads(line)
        if "number" in message:
            self._answers[message["number"]] = message
        else:
            self._events.append(message)
