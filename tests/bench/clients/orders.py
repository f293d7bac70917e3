"""What every Python client of the bench does, apart from its own library's calls. Runs in foreign environments.

- Text callbacks say how many frames the answer shall have; frame k holds the first k parts of one Chinese text of 2 KB.
- The bench gives orders in JSON lines on stdin (upload a file, download one) and reads how many seconds each took.
"""

import asyncio
import functools
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

ANSWER = Path(__file__).with_name("answer.txt").read_text("utf-8").strip()
WS_URL, BOT_ID = sys.argv[1:3]


class Silent:
    """A logger for the libraries that print each frame by default."""

    def debug(self, *words: object) -> None: ...

    info = warn = warning = error = debug


@functools.cache
def contents(count: int) -> list[str]:
    """The text of each of the `count` frames of an answer, growing to all of it."""
    return [ANSWER[: max(1, len(ANSWER) * (number + 1) // count)] for number in range(count)]


async def serve(
    upload: Callable[[str], Awaitable[object]] | None, download: Callable[[str, str], Awaitable[bytes]]
) -> None:
    """Follows orders until stdin ends. `upload(path)`, None when the library has none; `download(url, key)`."""
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        order = json.loads(line)
        began = time.perf_counter()
        try:
            if order["do"] == "download":
                size = len(await download(order["url"], order["key"]))
            elif upload is not None:
                await upload(order["path"])
                size = order["size"]
            else:
                raise RuntimeError("it has no upload")
            answer = {"seconds": time.perf_counter() - began, "size": size}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(answer), flush=True)
