"""What reaches the log: keys at no level, people's words at DEBUG only, whatever library speaks."""

import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from agent.model.client import ModelClient
from agent.model.errors import ModelError
from tests.model.conftest import HASTE, KEY
from tests.model.far import Far, answers, breaks, delta, finish, raw, refuses, says

WORDS = "工资条在哪里看"


class Log:
    """All that any logger wrote, as a log file would hold it, tracebacks included."""

    def __init__(self) -> None:
        self.streams = {level: io.StringIO() for level in (logging.DEBUG, logging.INFO)}
        self.handlers = []
        for level, stream in self.streams.items():
            handler = logging.StreamHandler(stream)
            handler.setLevel(level)
            handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
            self.handlers.append(handler)

    def at(self, level: int) -> str:
        return self.streams[level].getvalue()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """As the most talkative setup has it: the root logger at DEBUG, and the libraries' own switches thrown."""
    monkeypatch.setenv("OPENAI_LOG", "debug")
    root, found = logging.getLogger(), Log()
    names = ("openai", "httpx2", "httpcore2", "httpcore2.http11")
    levels = {name: logging.getLogger(name).level for name in (*names, "root")}
    for name in names:
        logging.getLogger(name).setLevel(logging.NOTSET)
    root.setLevel(logging.DEBUG)
    for handler in found.handlers:
        root.addHandler(handler)
    yield found
    for handler in found.handlers:
        root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


async def ask(client: ModelClient, **kwargs: Any) -> None:
    """One turn as the assistant does it: a failure is logged with its traceback."""
    try:
        async with client.stream([{"role": "user", "content": WORDS}], model="m", **kwargs) as answer:
            async for _ in answer:
                pass
    except ModelError as error:
        logging.getLogger("agent.chat").error("the turn failed: %s", error, exc_info=error)


ECHO = f"no: {WORDS} / Incorrect API key provided: {KEY} / sk-proj-****wxyz / Authorization: Bearer {KEY}"


async def test_an_answer_leaves_nothing(far: Far, log: Log) -> None:
    far.will(answers(WORDS))
    async with ModelClient(far.url, KEY, patience=HASTE) as client:
        await ask(client)
    logging.getLogger("agent.chat").debug("the end")
    assert log.at(logging.DEBUG).endswith("DEBUG agent.chat the end\n")
    assert KEY not in log.at(logging.DEBUG)
    assert WORDS not in log.at(logging.DEBUG)
    assert "HTTP Request" not in log.at(logging.DEBUG)


@pytest.mark.parametrize(
    "script",
    [
        refuses(400, {"message": ECHO}),
        refuses(401, {"message": ECHO, "code": "invalid_api_key"}, Set_Cookie=f"session={KEY}"),
        refuses(429, {"message": ECHO}),
        refuses(500, {"message": ECHO}),
        refuses(500, ECHO),
        refuses(400, {"message": f"temperature {ECHO}"}),
        says({"error": {"message": ECHO}}),
        says(delta(WORDS), {"error": {"message": ECHO, "code": "content_filter"}}),
        says(delta(WORDS), finish("content_filter")),
        says(delta(WORDS), WORDS),
        breaks(delta(WORDS)),
        raw(b"HTTP/1.1 " + KEY.encode() + b"\r\n\r\n"),
    ],
)
async def test_neither_key_nor_words(far: Far, log: Log, script: Any) -> None:
    far.will(script)
    async with ModelClient(far.url, KEY, patience=HASTE) as client:
        await ask(client, temperature=0.3)
    assert "Traceback" in log.at(logging.INFO)
    assert KEY not in log.at(logging.DEBUG)
    assert "sk-proj" not in log.at(logging.DEBUG)
    assert WORDS not in log.at(logging.INFO)


async def test_neither_key_nor_proxy_password_when_nobody_is_there(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:1")
    async with ModelClient("https://model.example/v1", KEY, patience=replace(HASTE, retries=1)) as client:
        await ask(client)
    assert "the turn failed" in log.at(logging.INFO)
    assert "asking again" in log.at(logging.INFO)
    assert KEY not in log.at(logging.DEBUG)
    assert "hunter2" not in log.at(logging.DEBUG)


async def test_what_the_provider_says_is_there_at_debug(far: Far, log: Log) -> None:
    far.will(refuses(400, {"message": "the frobnicator is off"}))
    async with ModelClient(far.url, KEY, patience=HASTE) as client:
        await ask(client)
    assert "the frobnicator is off" in log.at(logging.DEBUG)
    assert "the frobnicator is off" not in log.at(logging.INFO)


def test_importing_the_client_loads_neither_openai_nor_tiktoken() -> None:
    code = (
        "import sys, agent.model.client, agent.model.probe, agent.model.tokens; "
        "print([name for name in ('openai', 'httpx2', 'tiktoken', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
