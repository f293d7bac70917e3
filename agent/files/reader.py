"""The way in: reads a stranger's file in a child process that has the file, a pipe, and nothing else.

Each call starts one fresh child with an empty environment; at most two run at a time. The child is ended when its time
is over, when it says too much, and when the caller is cancelled; the parent holds no more than the answer.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from agent.files import kinds
from agent.files.extract import Extract, Image, Limits, Picture, Unreadable, from_json

T = TypeVar("T")

AT_A_TIME = 2
ANSWER_BYTES = 40 * 2**20

# Isolated mode takes no path from outside; where this package lies goes behind what is installed.
_START = (
    "import sys, json; sys.path.append(sys.argv[1]); from agent.files import child; child.main(json.loads(sys.argv[2]))"
)
_ROOT = str(Path(__file__).parents[2])


class Reader:
    """Reads files, each in a child process of its own. Every method raises Unreadable."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._turns = asyncio.Semaphore(AT_A_TIME)

    async def read(self, path: Path, name: str) -> Extract:
        """What the file says; `name` is the one that its sender gave it."""
        return await self._ask(path, _extract, do="read", ending=kinds.extension(name))

    async def picture(self, path: Path, inside: str = "") -> Image:
        """The image, upright and shrunk to at most 1568 pixels; several parts where it is very long. `inside` names a
        picture in an office file (one of `Extract.images`)."""
        return await self._ask(path, _image, do="picture", inside=inside)

    async def pages(self, path: Path, numbers: Sequence[int]) -> tuple[Picture, ...]:
        """Pages of a PDF (numbers from 1, at most 20 of them), rendered."""
        return await self._ask(path, _pictures, do="pages", numbers=list(numbers))

    async def frames(self, path: Path, count: int) -> tuple[Picture, ...]:
        """Up to `count` frames from all over a video; needs the extra `video`."""
        return await self._ask(path, _pictures, do="frames", count=count)

    async def _ask(self, path: Path, build: Callable[[dict[str, Any], bytes], T], **order: Any) -> T:
        """What `build` makes of the child's answer: its values and the bytes behind them."""
        text = json.dumps({**order, "limits": asdict(self._limits)})
        async with self._turns:
            answer, code = await _run(_open(path, self._limits), text, self._limits.seconds)
        line, _, data = answer.partition(b"\n")
        if code or not line:
            raise _died(code)
        try:
            value = json.loads(line)
            if "unreadable" in value:
                raise Unreadable(*value["unreadable"])
            return build(value, data)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
            raise Unreadable("broken", "the reader answered nonsense") from None


def _open(path: Path, limits: Limits) -> int:
    """A descriptor of the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise Unreadable("missing", f"the file cannot be opened ({type(error).__name__})") from None
    size = os.fstat(descriptor).st_size
    if 0 < size <= limits.file_bytes:
        return descriptor
    os.close(descriptor)
    raise Unreadable("too_large", f"{size} bytes") if size else Unreadable("empty")


async def _run(file: int, order: str, seconds: float) -> tuple[bytes, int]:
    """(answer, exit code) of a child; it is gone when this returns or raises.

    Not by asyncio's subprocesses: in Python 3.11, a task that is cancelled while one starts may wait for ever.
    """
    process = _start(file, order)
    try:
        async with asyncio.timeout(seconds):
            answer = await _collect(process)
            while process.poll() is None:  # noqa: ASYNC110 - it has closed its end: this takes a moment
                await asyncio.sleep(0.002)
            return answer, process.returncode
    except TimeoutError:
        raise Unreadable("timeout", f"not read within {seconds:g} s") from None
    finally:
        process.kill()
        process.wait()


async def _collect(process: subprocess.Popen[bytes]) -> bytes:
    """What the child says until it closes its end."""
    output = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(output)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, process.stdout)
    answer = bytearray()
    try:
        while piece := await output.read(2**18):
            answer += piece
            if len(answer) > ANSWER_BYTES:
                raise Unreadable("too_large", "the answer is too long")
    finally:
        transport.close()
    return bytes(answer)


def _start(file: int, order: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-c", _START, _ROOT, order],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )
    finally:
        os.close(file)


def _died(code: int) -> Unreadable:
    """What it means that a child ended without an answer."""
    if code == -signal.SIGXCPU:
        return Unreadable("timeout", "the reader used up its processor time")
    if code == -signal.SIGKILL:
        return Unreadable("too_large", "the reader was killed, probably for lack of memory")
    return Unreadable("broken", f"the reader ended with {code}")


def _extract(value: dict[str, Any], data: bytes) -> Extract:
    return from_json(value)


def _image(value: dict[str, Any], data: bytes) -> Image:
    return Image(_pictures(value, data), *value["image"])


def _pictures(value: dict[str, Any], data: bytes) -> tuple[Picture, ...]:
    found, at = [], 0
    for size, mime, width, height in value["pictures"]:
        found.append(Picture(data[at : at + size], mime, width, height))
        at += size
    return tuple(found)
