"""The public face, name by name: what other people's scripts may rely on."""

import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import agent.wecom
from agent.simulator import Simulator
from agent.wecom import Frame, ReqMsg, RspTextMsg, SavedFile, WecomAIBotWsServer
from tests.wecom.golden import golden
from tests.wecom.running import running, server_on

PNG, AMR = b"\x89PNG\r\n\x1a\n" + bytes(100), b"#!AMR\n" + bytes([0x3C]) + bytes(31)
MP4, PDF = b"\x00\x00\x00\x18ftypmp42" + bytes(100), b"%PDF-1.7\n"

METHODS = {
    "set_message_handler": "handler",
    "set_event_handler": "handler",
    "set_error_handler": "handler",
    "set_state_handler": "handler",
    "run": "",
    "run_async": "",
    "disconnect": "",
    "download_file": "url aes_key",
    "save_file": "url aes_key folder",
    "reply_message": "frame reply",
    "send_text": "chat_id content chat_type",
    "send_markdown": "chat_id content chat_type",
    "send_image": "chat_id file_path chat_type",
    "send_voice": "chat_id file_path chat_type",
    "send_video": "chat_id file_path chat_type",
    "send_file": "chat_id file_path chat_type",
    "send_active_message": "chat_id reply chat_type",
}
SYNC = {"set_message_handler", "set_event_handler", "set_error_handler", "set_state_handler", "run"}


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator
        assert not [each for each in simulator.gateway.check() if each.rule != "no-answer"]


def server_for(sim: Simulator, handler: Any) -> WecomAIBotWsServer:
    server = server_on(sim.ws_url)
    server.set_message_handler(handler)
    return server


def test_the_constructor_and_its_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = inspect.signature(WecomAIBotWsServer).parameters
    defaults = {name: each.default for name, each in list(parameters.items())[:8]}
    assert defaults == {
        "name": None, "bot_id": None, "secret": None, "ws_url": None, "reconnect_interval": 1000,
        "max_reconnect_attempts": -1, "heartbeat_interval": 30000, "request_timeout": 10000,
    }  # fmt: skip
    for name in ("NAME", "ID", "SECRET", "WS_URL"):
        monkeypatch.setenv(f"WECOM_BOT_{name}", f"ws://{name.lower()}")
    server = WecomAIBotWsServer()
    assert (server.name, server.bot_id, server.secret) == ("ws://name", "ws://id", "ws://secret")
    assert server.ws_url == "ws://ws_url"
    server = WecomAIBotWsServer("n", "i", "s", "ws://u")
    assert (server.name, server.bot_id, server.secret, server.ws_url) == ("n", "i", "s", "ws://u")


@pytest.mark.parametrize(("method", "parameters"), METHODS.items())
def test_methods_take_their_parameters(method: str, parameters: str) -> None:
    function = getattr(WecomAIBotWsServer, method)
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    assert names[: len(parameters.split())] == parameters.split()
    assert inspect.iscoroutinefunction(function) is (method not in SYNC)


@pytest.mark.parametrize(
    ("frame", "attributes"),
    [
        ("in-message-text-single", "content"),
        ("in-message-image", "image_url aes_key"),
        ("in-message-voice", "content voice_url aes_key"),
        ("in-message-video", "video_url aes_key name size"),
        ("in-message-file", "file_url aes_key name size"),
        ("in-message-mixed-single", "msg_items"),
        ("in-event-card-button", "event_type task_id card_id feedback"),
        ("in-message-unknown", "raw_body"),
    ],
)
def test_messages_have_their_attributes(frame: str, attributes: str) -> None:
    common = "msg_type msg_id aibot_id chat_id chat_type from_user create_time quote body frame"
    data = golden(frame).frame
    message = ReqMsg.create_msg(data["body"], Frame(data["cmd"], data["headers"]["req_id"], data["body"]))
    assert [name for name in f"{common} {attributes}".split() if not hasattr(message, name)] == []
    assert type(message).__name__ in agent.wecom.__all__


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [("image", "图 1.png", PNG), ("voice", "a.amr", AMR), ("video", "b.mp4", MP4), ("file", "报告 (终稿) 1.pdf", PDF)],
)
@pytest.mark.parametrize("chat_type", [None, 1, "single"])
async def test_files_are_pushed_as_what_they_are(
    sim: Simulator, tmp_path: Path, kind: str, name: str, content: bytes, chat_type: Any
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    async with running(server_for(sim, lambda message: RspTextMsg("好"))) as server:
        await sim.gateway.answered(sim.gateway.say("li", "hello"))
        ack = await getattr(server, f"send_{kind}")("li", str(path), chat_type)
        assert ack.errcode == 0
        pushed = sim.gateway.messages("user:li")[-1]
        assert (pushed.kind, pushed.media[0]["name"]) == (kind, name)
        assert sim.gateway.media_bytes(pushed.media[0]["media_id"]) == content


async def test_what_people_send_is_downloaded_under_its_name(sim: Simulator, tmp_path: Path) -> None:
    got: list[Any] = []

    async def handle(message: Any, server: WecomAIBotWsServer) -> RspTextMsg:
        got.append(await server.download_file(message.file_url, message.aes_key))
        got.append(await server.save_file(message.file_url, message.aes_key, tmp_path))
        return RspTextMsg("好")

    async with running(server_for(sim, handle)):
        await sim.gateway.answered(sim.gateway.send("li", "file", (PDF, "报告 (终稿) 1.pdf")))
    assert got[0] == (PDF, "报告 (终稿) 1.pdf")
    assert got[1] == SavedFile(tmp_path / "报告 (终稿) 1.pdf", "报告 (终稿) 1.pdf", len(PDF), "application/pdf")
    assert got[1].path.read_bytes() == PDF


async def test_the_state_handler_hears_of_the_line_and_may_fail(sim: Simulator) -> None:
    heard: list[str] = []

    def hear(state: str, _reason: str) -> None:
        heard.append(state)
        raise LookupError("a fault of the script's")

    server = server_for(sim, lambda message: RspTextMsg("好"))
    server.set_state_handler(hear)
    async with running(server):
        assert server.is_connected
        sim.gateway.faults.drop()
        await sim.gateway.until(lambda: sim.gateway.world.owner is None)
        await sim.gateway.subscribed()
        assert (await sim.gateway.answered(sim.gateway.say("li", "x")))[-1].text == "好"
    assert heard == ["connecting", "subscribed", "down"] * 2
