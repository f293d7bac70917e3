"""The examples of the PyPI framework ``wecom-ai-bot-ws-svr``, on ours: unchanged but for the import line.

They are read from its source distribution; none of them is kept here. So are its own tests and its signatures.
"""

import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import agent.wecom
from agent.simulator import Simulator
from agent.wecom import WecomAIBotWsServer
from tests.wecom.running import running, server_on

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("framework")]


@pytest.fixture
def examples(framework_source: Path) -> list[str]:
    readme = (framework_source / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert len(found) == 3
    return [ours(each) for each in found]


def ours(source: str) -> str:
    return re.sub(r"from wecom_ai_bot_ws_svr[.\w]* import", "from agent.wecom import", source)


def test_the_parameters_of_a_connection(examples: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WECOM_BOT_NAME", "小助手")
    known: dict[str, Any] = {"WecomAIBotWsServer": WecomAIBotWsServer}
    exec(examples[0], known)
    server = known["server"]
    assert (server.name, server.reconnect_interval, server.max_reconnect_attempts) == ("小助手", 1000, -1)
    assert (server.heartbeat_interval, server.request_timeout) == (30000, 10000)
    assert server.ws_url == "wss://openws.work.weixin.qq.com"


async def test_the_script(examples: list[str], tmp_path: Path) -> None:
    """Also where the framework itself does not hold: after a dropped connection, and after a frame of garbage."""
    script = tmp_path / "script.py"
    script.write_text(examples[1], encoding="utf-8")
    async with Simulator() as sim:
        gateway = sim.gateway
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            script,
            env={**os.environ, "PYTHONPATH": ".", "WECOM_BOT_ID": "bot", "WECOM_BOT_SECRET": "secret"}
            | {"WECOM_BOT_WS_URL": sim.ws_url},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await gateway.subscribed(20)
            assert (await gateway.answered(gateway.say("li", "你好")))[-1].text == "你说：你好"
            assert (await gateway.answered(gateway.send("li", "image", b"12345")))[-1].text == "msg_type: image"
            gateway.faults.garbage("not-json")
            assert (await gateway.answered(gateway.say("li", "还在吗")))[-1].text == "你说：还在吗"
            gateway.faults.drop(1006)
            await gateway.until(lambda: gateway.world.owner is None)
            await gateway.subscribed()
            assert (await gateway.answered(gateway.say("li", "回来了")))[-1].text == "你说：回来了"
            process.terminate()
            _, errors = await process.communicate()
            assert process.returncode == 0
            assert b"Traceback" not in errors
            assert not gateway.check()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


async def test_the_active_messages(examples: list[str], tmp_path: Path) -> None:
    for name, content in (
        ("image.png", b"\x89PNG\r\n\x1a\n" + bytes(100)),
        ("voice.amr", b"#!AMR\n" + bytes([0x3C]) + bytes(31)),
        ("video.mp4", b"\x00\x00\x00\x18ftypmp42" + bytes(100)),
        ("file.pdf", b"%PDF-1.7\n"),
    ):
        (tmp_path / name).write_bytes(content)
    body = examples[2].replace("/path/to", str(tmp_path))
    known: dict[str, Any] = {}
    exec(f"async def send(server, chat_id):\n{textwrap.indent(body, '    ')}", known)
    async with Simulator() as sim:
        server = server_on(sim.ws_url)
        server.set_message_handler(lambda message: None)
        async with running(server):
            sim.gateway.say("li", "the chat has to begin")
            await known["send"](server, "li")
            shown = sim.gateway.messages("user:li")[1:]
            assert [message.kind for message in shown] == ["markdown", "image", "voice", "video", "file"]
            assert shown[-1].media[0]["name"] == "file.pdf"
            assert {v.rule for v in sim.gateway.check()} <= {"no-answer"}


def test_its_own_tests(framework_source: Path) -> None:
    known: dict[str, Any] = {}
    exec(ours((framework_source / "tests" / "test_messages.py").read_text(encoding="utf-8")), known)
    tests = [each for name, each in known.items() if name.startswith("test_")]
    assert len(tests) == 4
    for test in tests:
        test()


# Of their parameters, those that our contract calls otherwise; they are given by position.
RENAMED = {"rsp_msg": "reply", "p": "params"}

DESCRIBE = """
import inspect, json, wecom_ai_bot_ws_svr as framework
def parameters(function):
    return [(each.name, repr(each.default)) for each in inspect.signature(function).parameters.values()]
described = {}
for name in framework.__all__:
    value = getattr(framework, name)
    public = {key for key, one in vars(value).items() if inspect.isfunction(one) and key[0] != "_"} if inspect.isclass(value) else ()
    described[name] = {"": parameters(value)} | {key: parameters(getattr(value, key)) for key in public}
print(json.dumps(described))
"""  # noqa: E501


def test_every_name_takes_what_the_framework_s_takes(framework: Path) -> None:
    described = json.loads(subprocess.check_output([framework, "-c", DESCRIBE], text=True))
    assert len(described) == 26
    for name, functions in described.items():
        mine = getattr(agent.wecom, name)
        for key, theirs in functions.items():
            if key == "" and re.fullmatch(r"Mixed\w+Item", name):
                continue  # made by the framework alone
            parameters = inspect.signature(getattr(mine, key) if key else mine).parameters
            taken = [(each.name, repr(each.default)) for each in parameters.values()][: len(theirs)]
            assert [each for each, _ in taken] == [RENAMED.get(each, each) for each, _ in theirs], (name, key)
            assert [each for _, each in taken] == [each for _, each in theirs] or name == "RspTemplateCardMsg"
