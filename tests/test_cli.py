"""The command line as an operator and a supervisor meet it: real processes, their output and their exit codes."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.simulator import Simulator
from agent.simulator.model import Reply
from agent.store import lock, read
from agent.store.database import open_for_bot
from tests.wecom import certificates
from tests.wecom.far import far_side
from tests.wecom.proxies import proxy

SECRET = "a-secret-of-the-bot"
# Loading this takes as long as everything else that `--help` does, or more.
HEAVY = ("openai", "tiktoken", "httpx2", "websockets", "cryptography", "starlette", "uvicorn", "yaml", "sqlite_utils")
COMMANDS = ("playground", "run", "check", "chats", "history", "stats", "feedback", "send")


@dataclass(frozen=True)
class Ended:
    """A command's end."""

    code: int | None
    out: str
    err: str


def environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return {**kept, **settings}


async def start(folder: Path, *words: str, module: bool = True, **settings: str) -> asyncio.subprocess.Process:
    program = [sys.executable, "-m", "agent"] if module else [str(Path(sys.executable).parent / "wecom-agent")]
    return await asyncio.create_subprocess_exec(
        *program,
        *words,
        cwd=folder,
        env=environment(**settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> Ended:
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return Ended(process.returncode, out.decode(), err.decode())


async def command(folder: Path, *words: str, **settings: str) -> Ended:
    return await ended(await start(folder, *words, **settings))


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(bot_id="bot", secret=SECRET) as opened:
        yield opened


@pytest.fixture
def folder(simulator: Simulator, tmp_path: Path) -> Path:
    """A folder with a complete `.env`, as an operator has one."""
    (tmp_path / ".env").write_text(
        f"WECOM_BOT_ID=bot\nWECOM_BOT_SECRET={SECRET}\nWECOM_BOT_WS_URL={simulator.ws_url}\n"
        f"OPENAI_BASE_URL={simulator.model_url}\nOPENAI_MODEL=scripted\nOPENAI_API_KEY=a-key-of-the-model\n"
    )
    return tmp_path


@contextlib.asynccontextmanager
async def running(folder: Path, simulator: Simulator, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A subscribed bot, killed at the end of the block if it still runs."""
    process = await start(folder, "run", **settings)
    try:
        await simulator.gateway.subscribed(30)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


# --- words


async def test_help_names_every_command_and_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from agent.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=tmp_path, env=environment(), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert out.decode().endswith("heavy: []\n")
    assert set(re.findall(r"^    ([a-z]+)\b", out.decode(), re.MULTILINE)) == set(COMMANDS)


async def test_the_module_is_the_command(tmp_path: Path) -> None:
    as_module, as_script = [await ended(await start(tmp_path, "--help", module=each)) for each in (True, False)]
    assert as_module == as_script
    assert as_module.out.startswith("usage: wecom-agent ")


@pytest.mark.parametrize(
    "words", [(), ("dance",), ("history",), ("history", "x", "--limit", "0"), ("stats", "--days", "-1"), ("chats", "x")]
)
async def test_words_that_make_no_sense_are_told(tmp_path: Path, words: tuple[str, ...]) -> None:
    found = await command(tmp_path, *words)
    assert found.code == 2
    assert found.err.startswith("usage: wecom-agent")
    assert "error:" in found.err
    assert not found.out


# --- settings


async def test_missing_settings_are_listed_with_the_remedy(tmp_path: Path) -> None:
    found = await command(tmp_path, "run", AGENT_REPLY_TOKENS="many")
    assert found.code == 2
    for name in ("WECOM_BOT_ID", "WECOM_BOT_SECRET", "OPENAI_MODEL", "OPENAI_API_KEY", "AGENT_REPLY_TOKENS"):
        assert re.search(rf"^  {name}: .*; \S", found.err, re.MULTILINE), name
    assert "`wecom-agent check`" in found.err
    assert "Traceback" not in found.err
    assert not (tmp_path / "data").exists()


async def test_check_ends_with_2_as_well(tmp_path: Path) -> None:
    found = await command(tmp_path, "check", "--offline")
    assert found.code == 2
    assert "WECOM_BOT_SECRET: missing" in found.out
    assert found.err == ""


async def test_looking_needs_no_credentials(tmp_path: Path) -> None:
    found = await command(tmp_path, "chats")
    assert (found.code, "there is no database at 'data/agent.db' yet" in found.err) == (1, True)
    open_for_bot(tmp_path / "data" / "agent.db").close()
    found = await command(tmp_path, "chats")
    assert (found.code, found.out) == (0, "No chats yet: nobody has written to the bot.\n")
    found = await command(tmp_path, "history", "lisi")
    assert (found.code, found.out) == (1, "")
    assert found.err.startswith("wecom-agent: no chat is called 'lisi'")


async def test_what_a_terminal_cannot_show_is_spelt_out(tmp_path: Path) -> None:
    found = await command(tmp_path, "--help", PYTHONIOENCODING="ascii")
    assert (found.code, "WeCom (\\u4f01\\u4e1a\\u5fae\\u4fe1)" in found.out.replace("\n", "")) == (0, True)


@pytest.mark.parametrize("unbuffered", ["", "1"])
async def test_a_reader_that_leaves_is_no_error(tmp_path: Path, unbuffered: str) -> None:
    open_for_bot(tmp_path / "data" / "agent.db").close()
    reading, writing = os.pipe()
    os.close(reading)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent", "chats", cwd=tmp_path, env=environment(PYTHONUNBUFFERED=unbuffered),
        stdout=writing, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    assert await ended_quietly(process) == (0, "")


async def ended_quietly(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    return process.returncode, err.decode()


async def test_a_send_that_is_broken_off_is_not_acked_and_not_queued(tmp_path: Path) -> None:
    path = tmp_path / "data" / "agent.db"
    open_for_bot(path).close()

    def states() -> list[str]:
        with read(path) as db:
            return [row["state"] for row in db.execute("SELECT state FROM sends")]

    with lock.hold(path.parent):  # by a bot that never looks into the database
        process = await start(tmp_path, "send", "lisi", "hello")
        async with asyncio.timeout(30):
            while not states():  # noqa: ASYNC110 (another process's write)
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert (await ended(process)).code == 1
    assert states() == ["expired"]


# --- run


async def test_a_held_folder_says_who_holds_it(folder: Path, simulator: Simulator) -> None:
    with lock.hold(folder / "data"):
        found = await command(folder, "run")
    assert found.code == 1
    assert f"in use by process {os.getpid()}" in found.err
    assert "AGENT_DATA_DIR" in found.err
    assert not simulator.gateway.trace


async def test_a_bots_day(folder: Path, simulator: Simulator) -> None:
    """Subscribe, answer, be looked at and spoken through from beside, end on SIGTERM."""
    with free_port() as port:
        pass
    process = await start(folder, "run", AGENT_HTTP=f"127.0.0.1:{port}")
    await simulator.gateway.subscribed(30)
    simulator.script.reply("年假在系统里申请。")
    (message,) = await simulator.gateway.answered(simulator.gateway.say("lisi", "年假怎么申请？"), 30)
    assert message.text == "年假在系统里申请。"

    assert await get(port, "/readyz") == 200
    chats = json.loads((await command(folder, "chats", "--json")).out)
    assert [(each["chat_id"], each["turns"], each["open"]) for each in chats] == [("lisi", 1, 0)]
    history = await command(folder, "history", "lisi")
    assert "年假怎么申请？" in history.out
    assert "年假在系统里申请。" in history.out
    stats = json.loads((await command(folder, "stats", "--json")).out)
    assert stats["states"] == {"delivered": 1}
    (folder / "file.txt").write_text("内容内容")
    sent = await command(folder, "send", "lisi", "看附件", "--file", "file.txt")
    assert (sent.code, sent.out, sent.err) == (0, "sent: WeCom has the message and the file\n", "")
    refused = await command(folder, "send", "wangwu", "hello")
    assert (refused.code, refused.out) == (1, "")
    assert "never written to the bot" in refused.err
    check = await command(folder, "check")
    assert check.code == 0
    assert f"the running bot (process {process.pid}) is subscribed since" in check.out
    assert simulator.gateway.world.bot_state == "subscribed"  # nobody displaced it
    assert sum(entry.cmd == "aibot_subscribe" for entry in simulator.gateway.trace) == 1

    process.send_signal(signal.SIGTERM)
    found = await ended(process)
    assert found.code == 0
    assert "Traceback" not in found.err
    for secret in (SECRET, "a-key-of-the-model", "年假", "看附件"):
        assert secret not in found.err
    assert not simulator.gateway.check()
    gone = await command(folder, "send", "lisi", "hello")
    assert (gone.code, "no bot is running" in gone.err) == (1, True)


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


async def get(port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    status = (await reader.read()).split()[1]
    writer.close()
    await writer.wait_closed()
    return int(status)


async def test_ctrl_c_lets_a_running_answer_end(folder: Path, simulator: Simulator) -> None:
    async with running(folder, simulator) as process:
        simulator.script.reply(Reply("This takes a little while, and ends.", pace=20))
        sent = simulator.gateway.say("lisi", "hi")
        await simulator.script.until(lambda: len(simulator.script.requests) == 1)
        process.send_signal(signal.SIGINT)
        (message,) = await simulator.gateway.answered(sent, 20)
        assert message.text == "This takes a little while, and ends."
        assert (await ended(process)).code == 0
    assert not simulator.gateway.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_closes_the_answer_with_a_note_at_once(
    folder: Path, simulator: Simulator, number: signal.Signals
) -> None:
    async with running(folder, simulator) as process:
        simulator.script.reply(Reply("This takes very long indeed. " * 40, pace=10))
        sent = simulator.gateway.say("lisi", "hi")
        await simulator.script.until(lambda: len(simulator.script.requests) == 1)
        process.send_signal(number)
        process.send_signal(number)  # the same one again, as from a wrapper: the answer goes on
        await asyncio.sleep(1.2)
        assert process.returncode is None
        process.send_signal(number)
        (message,) = await simulator.gateway.answered(sent, 5)
        assert message.text.endswith("（服务正在重启，恢复后会接着回答）")
        found = await ended(process)
        assert found.code == 0
        assert "Traceback" not in found.err
    assert not simulator.gateway.check()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc that tells who catches signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.4])
async def test_a_signal_during_the_start_is_an_end_on_purpose(
    folder: Path, simulator: Simulator, delay: float, number: signal.Signals
) -> None:
    simulator.gateway.faults.refuse_connections(how="stall")
    process = await start(folder, "run")
    try:
        async with asyncio.timeout(30):
            while not catches(process.pid, signal.SIGTERM):  # noqa: ASYNC110 (another process's doing)
                await asyncio.sleep(0.005)
        await asyncio.sleep(delay)
        process.send_signal(number)
    finally:
        found = await ended(process)
    assert (found.code, "Traceback" in found.err) == (0, False)


def catches(pid: int, number: signal.Signals) -> bool:
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) >> number - 1 & 1)


async def test_a_data_folder_that_cannot_be_made_names_its_setting(folder: Path) -> None:
    found = await command(folder, "run", AGENT_DATA_DIR="/proc/agent-data")
    assert found.code == 1
    assert "AGENT_DATA_DIR: '/proc/agent-data' cannot be made or written (No such file or directory)" in found.err


async def test_a_prompt_that_is_not_there_is_said_at_the_start(folder: Path, simulator: Simulator) -> None:
    async with running(folder, simulator, AGENT_PROMPT_GROUP="team") as process:
        process.send_signal(signal.SIGTERM)
        assert "AGENT_PROMPT_GROUP: no 'team.md'" in (await ended(process)).err


async def test_wrong_credentials_end_with_2_and_the_reason(folder: Path, simulator: Simulator) -> None:
    found = await command(folder, "run", WECOM_BOT_SECRET="not-the-secret")
    assert found.code == 2
    assert "853000" in found.err
    assert "compare Bot ID and Secret" in found.err
    assert "Traceback" not in found.err
    assert "not-the-secret" not in found.err


async def test_displaced_ends_with_3_as_a_check_elsewhere_said_it_would(
    folder: Path, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / ".env").write_text((folder / ".env").read_text())
    process = await start(folder, "run")
    await simulator.gateway.subscribed(30)
    check = await command(elsewhere, "check")
    assert check.code == 0
    assert "disconnects that one, and it stops" in check.out
    found = await ended(process)
    assert found.code == 3
    assert "another process subscribed with this Bot ID" in found.err
    assert "Traceback" not in found.err


async def test_a_proxy_and_a_ca_of_the_settings_file_are_used(folder: Path, simulator: Simulator) -> None:
    private = certificates.make(folder, "gateway.corp.example")
    async with far_side(private.server) as far, proxy(login="user:p%40ss") as middle:
        url = f"wss://gateway.corp.example:{far.url.rpartition(':')[2]}"
        added = f"HTTPS_PROXY={middle.url}\nWECOM_CA_FILE={private.ca_file}\n"
        (folder / ".env").write_text((folder / ".env").read_text() + added)
        process = await start(folder, "run", WECOM_BOT_WS_URL=url)
        async with asyncio.timeout(30):
            await far.until(lambda: far.count("aibot_subscribe") == 1)
        process.send_signal(signal.SIGTERM)
        found = await ended(process)
        assert (found.code, "p%40ss" in found.err) == (0, False)
        assert middle.asked == [f"CONNECT {url.removeprefix('wss://')} HTTP/1.1"]
    assert not simulator.gateway.trace


async def test_exhausted_attempts_end_with_1(folder: Path, simulator: Simulator) -> None:
    simulator.gateway.faults.refuse_connections()
    found = await command(folder, "run", WECOM_MAX_RECONNECT_ATTEMPTS="0")
    assert found.code == 1
    assert "HTTP 503; 0 reconnect attempts are used up" in found.err
    assert "Traceback" not in found.err


async def test_a_taken_health_port_ends_with_1_before_anything_else(folder: Path, simulator: Simulator) -> None:
    with free_port() as port:
        found = await command(folder, "run", AGENT_HTTP=f"127.0.0.1:{port}")
    assert found.code == 1
    assert f"AGENT_HTTP: cannot listen on 127.0.0.1:{port} (address already in use)" in found.err
    assert "Traceback" not in found.err
    assert not simulator.gateway.trace
