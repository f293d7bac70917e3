"""The official Node SDK judges the simulator: everything that it can do works, and nothing of it is a violation."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.simulator import Options, Simulator
from tests.foreign.driver import Foreign, Json, Refused
from tests.simulator.conftest import golden
from tests.simulator.line import Bot

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("node-sdk")]
SCRIPT = Path(__file__).with_name("node_client.mjs")
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100

# What the SDK itself does wrong, by rule: only these may show, and only where a test names them.
KNOWN = {
    "invisible-final": "replyStream() passes an empty final text on as it is (protocol §9.2)",
    "msg-item": "replyStream() offers msg_item, which shows nothing on the long connection (protocol §9.2)",
    "bad-type": "replyStreamWithCard() and reply() send types that are refused with 40008 (protocol §9.1)",
    "bad-field": "reply() checks no body before it sends it (protocol §9.1)",
}


def content(size: int, head: bytes = b"") -> bytes:
    """The bytes that the script makes for a file of that size."""
    return (head + b"0123456789abcdef" * (size // 16 + 1))[:size]


@asynccontextmanager
async def connected(sim: Simulator, folder: Path, **options: Any) -> AsyncIterator[Foreign]:
    given = {"botId": "bot", "secret": "secret", "wsUrl": sim.ws_url, "reconnectInterval": 50, **options}
    async with Foreign(["node", SCRIPT, folder]) as client:
        await client.call("connect", options=given)
        await client.event("authenticated")
        yield client


def check(sim: Simulator, *known: str) -> None:
    """No violation but ``known`` ones, and each of those."""
    assert {violation.rule for violation in sim.gateway.check()} == set(known), sim.gateway.check()
    assert set(known) <= KNOWN.keys()


async def message(client: Foreign) -> Json:
    frame: Json = (await client.event("message"))["value"]
    return frame


async def test_it_streams(node_sdk: Path) -> None:
    async with Simulator() as sim, connected(sim, node_sdk) as client:
        sent = sim.gateway.say("zhangsan", "你好", "wrGroup")
        frame = await message(client)
        assert frame["body"]["text"]["content"] == "@Bot 你好"
        stream = {"frame": frame, "id": "S1", "feedback": {"id": "F1"}}
        assert (await client.call("replyStream", content="<think></think>", finish=False, **stream))["errcode"] == 0
        text = ""
        for number in range(30):
            text += f"第 {number} 步。"
            await client.call("replyStream", content=text, finish=number == 29, **stream)
        contents = [f"<think>思考</think>{'x' * number}" for number in range(1, 40)]
        skipped = await client.call("replyStreamNonBlocking", frame=frame, id="S2", contents=contents)
        assert skipped > 0
        one, two = await sim.gateway.answered(sent, count=2)
        assert (one.text, one.frames, one.feedback_id) == (text, 31, "F1")
        assert (two.text, two.thinking) == ("x" * 39, "思考")
        assert sim.gateway.feedback("zhangsan", one.id, 2, "wrong", [3]).delivered
        event = (await client.event("event"))["value"]["body"]["event"]
        assert event["feedback_event"] == {"id": "F1", "type": 2, "content": "wrong", "inaccurate_reason_list": [3]}
        check(sim)


async def test_it_understands_every_message(node_sdk: Path) -> None:
    async with Simulator() as sim, connected(sim, node_sdk) as client:
        image = sim.gateway.send("a", "image", PNG)
        assert (await message(client))["body"]["msgtype"] == "image"
        contents: Sequence[tuple[str, tuple[Any, ...]]] = (
            ("mixed", ("look", PNG)),
            ("voice", ("spoken",)),
            ("file", (b"12345",)),
            ("video", (b"12345",)),
        )
        for number, (kind, parts) in enumerate(contents):
            sim.gateway.send(f"user{number}", kind, *parts, quote=image.message_id)
            body = (await message(client))["body"]
            assert (body["msgtype"], body["quote"]["msgtype"]) == (kind, "image")
        check(sim)


async def test_it_welcomes_and_updates_cards(node_sdk: Path) -> None:
    async with Simulator() as sim, connected(sim, node_sdk) as client:
        sim.gateway.enter("zhangsan")
        frame = (await client.event("event"))["value"]
        await client.call("welcome", frame=frame, body={"msgtype": "text", "text": {"content": "欢迎"}})
        for name, key in (("button", "yes"), ("vote", "submit"), ("multiple", "submit"), ("text-notice", "menu_1")):
            sim.gateway.say("zhangsan", "a card, please")
            card = golden(f"out-reply-card-{name}")["body"]["template_card"] | {"task_id": f"TASK-{name}"}
            await client.call("card", frame=await message(client), card=card)
            bubble = sim.gateway.messages("zhangsan")[-1]
            assert sim.gateway.click("zhangsan", bubble.id, key).delivered
            frame = (await client.event("event"))["value"]
            assert frame["body"]["event"]["template_card_event"]["event_key"] == key
            new = golden(f"out-update-card-{name}")["body"]["template_card"] | {"task_id": f"TASK-{name}"}
            assert (await client.call("update", frame=frame, card=new))["errcode"] == 0
            assert (sim.gateway.message(bubble.id).card or {})["main_title"]["desc"] == "done"
        check(sim)


@pytest.mark.parametrize("size", [5, 100_000, 4 * 512 * 1024, 6_000_000])
async def test_it_uploads(node_sdk: Path, size: int) -> None:
    """1, 4 chunks at once, and 12 by two workers."""
    async with Simulator() as sim, connected(sim, node_sdk) as client:
        sent = sim.gateway.say("zhangsan", "a file, please")
        uploaded = await client.call("upload", type="file", filename="报告 1.txt", size=size, head="")
        assert uploaded["created_at"].isdigit()
        await client.call("replyMedia", frame=await message(client), type="file", id=uploaded["media_id"])
        await client.call("sendMedia", chatid="zhangsan", type="file", id=uploaded["media_id"])
        (answer,) = await sim.gateway.answered(sent)
        assert answer.media[0]["name"] == "报告 1.txt"
        assert sim.gateway.media_bytes(uploaded["media_id"]) == content(size)
        assert hashlib.md5(content(size)).hexdigest() == uploaded["md5"]
        assert [shown.kind for shown in sim.gateway.messages("zhangsan")] == ["text", "file", "file"]
        check(sim)


async def test_it_uploads_pictures_and_videos(node_sdk: Path) -> None:
    async with Simulator() as sim, connected(sim, node_sdk) as client:
        sim.gateway.say("zhangsan", "a picture, please")
        frame = await message(client)
        heads = {"image": "89504e470d0a1a0a", "video": "000000186674797069736f6d", "voice": "2321414d520a"}
        for kind, head in heads.items():
            uploaded = await client.call("upload", type=kind, filename=f"a.{kind}", size=1000, head=head)
            assert uploaded["type"] == kind
            video = {"title": "标题", "description": "说明"}
            await client.call("replyMedia", frame=frame, type=kind, id=uploaded["media_id"], video=video)
        assert [shown.kind for shown in sim.gateway.messages("zhangsan")[1:]] == list(heads)
        assert sim.gateway.messages("zhangsan")[2].media[0]["title"] == "标题"
        check(sim)


@pytest.mark.parametrize("padding", [16, 32])
@pytest.mark.parametrize("disposition", ["rfc5987", "plain", "none"])
async def test_it_downloads(node_sdk: Path, padding: Any, disposition: Any) -> None:
    options = Options(padding=padding, disposition=disposition, key_padding=padding == 16)
    async with Simulator(options=options) as sim, connected(sim, node_sdk) as client:
        for number, size in enumerate((0, 1, 31, 32, 33, 1_000_000)):
            sim.gateway.send(f"user{number}", "file", (content(size), "报告 1.pdf"))
            link = (await message(client))["body"]["file"]
            if size == 0:
                continue  # the cipher text of an empty file is padding alone, which it decrypts to nothing
            got = await client.call("download", url=link["url"], key=link["aeskey"])
            assert got.get("filename") == (None if disposition == "none" else "报告 1.pdf")
            assert (got["size"], got["md5"]) == (size, hashlib.md5(content(size)).hexdigest())
        check(sim)


async def test_it_hears_of_failed_downloads(node_sdk: Path) -> None:
    async with Simulator() as sim, connected(sim, node_sdk) as client:
        sim.gateway.send("zhangsan", "image", PNG)
        link = (await message(client))["body"]["image"]
        sim.gateway.faults.media_error(503)
        with pytest.raises(Refused, match="503"):
            await client.call("download", url=link["url"], key=link["aeskey"])
        sim.gateway.faults.damage_media("garbled")
        with pytest.raises(Refused, match="padding"):
            await client.call("download", url=link["url"], key=link["aeskey"])
        check(sim)


async def test_it_pushes_and_hears_refusals(node_sdk: Path) -> None:
    async with Simulator() as sim, connected(sim, node_sdk) as client:
        sim.gateway.say("zhangsan", "hello", "wrGroup")
        frame = await message(client)
        markdown = {"msgtype": "markdown", "markdown": {"content": "**notice**"}}
        assert (await client.call("send", chatid="wrGroup", body=markdown))["errcode"] == 0
        assert (await client.call("send", chatid="wrGroup", body={"chat_type": 2, **markdown}))["errcode"] == 0
        with pytest.raises(Refused, match="invalid chatid") as refused:
            await client.call("send", chatid="wrgroup", body=markdown)
        assert refused.value.errcode == 93006
        check(sim)
        with pytest.raises(Refused) as refused:
            await client.call("reply", frame=frame, body={"msgtype": "text", "text": {"content": "x"}})
        assert refused.value.errcode == 40008
        await client.call("replyStream", frame=frame, id="S", content="with an item", finish=True, items=[{"x": 1}])
        await client.call("replyStream", frame=frame, id="S2", content="", finish=True)
        check(sim, "bad-type", "msg-item", "invisible-final")


async def test_it_never_sees_an_orphan_ack(node_sdk: Path) -> None:
    """40058 carries no req_id, so the SDK runs into its own 5 s (protocol §1.1)."""
    async with Simulator() as sim, connected(sim, node_sdk) as client:
        sim.gateway.say("zhangsan", "hello")
        body = {"msgtype": "image", "image": {"url": "https://example.com/a.png"}}
        with pytest.raises(Refused, match="ack timeout"):
            await client.call("reply", frame=await message(client), body=body)
        check(sim, "bad-field")


async def test_it_steps_back_when_displaced(node_sdk: Path) -> None:
    async with Simulator() as sim, connected(sim, node_sdk) as client, Bot(sim.ws_url):
        event = (await client.event("event"))["value"]["body"]["event"]
        assert event == {"eventtype": "disconnected_event"}
        assert "New connection" in (await client.event("disconnected"))["value"]
        await sim.gateway.until(lambda: len(sim.gateway.world.connections) == 1)
        check(sim)


async def test_it_gives_up_on_wrong_credentials(node_sdk: Path) -> None:
    async with Simulator() as sim, Foreign(["node", SCRIPT, node_sdk]) as client:
        options = {"botId": "bot", "secret": "wrong", "wsUrl": sim.ws_url, "reconnectInterval": 20}
        await client.call("connect", options={**options, "maxAuthFailureAttempts": 2})
        errors = [(await client.event("error"))["value"] for _ in range(4)]
        assert "853000" in errors[0]["message"]
        assert errors[-1]["code"] == "WS_AUTH_FAILURE_EXHAUSTED"
        check(sim)


async def test_it_comes_back_after_every_kind_of_loss(node_sdk: Path) -> None:
    async with Simulator(options=Options(ping_minimum=0)) as sim:
        async with connected(sim, node_sdk, heartbeatInterval=150) as client:
            faults = sim.gateway.faults
            faults.drop(1006)
            await client.event("authenticated")
            faults.drop(1011)
            await client.event("authenticated")
            faults.freeze()  # half-open: found by two unanswered pings
            await client.event("authenticated")
            faults.lose_subscription()
            with pytest.raises(Refused) as refused:
                await client.call("send", chatid="x", body={"msgtype": "markdown", "markdown": {"content": "x"}})
            assert refused.value.errcode == 846609
            faults.drop(1006)
            await client.event("authenticated")
            sim.gateway.say("zhangsan", "still there?")
            assert (await message(client))["body"]["text"]["content"] == "still there?"
        check(sim)


async def test_it_survives_what_the_line_does(node_sdk: Path) -> None:
    async with Simulator(options=Options(ping_minimum=0)) as sim:
        async with connected(sim, node_sdk, heartbeatInterval=100) as client:
            faults = sim.gateway.faults
            faults.control_characters = faults.pong = True
            for kind in ("not-json", "array", "empty", "no-headers", "unknown-cmd", "orphan-error", "unknown-ack"):
                faults.garbage(kind)  # type: ignore[arg-type]
            faults.delay_acks(0.05)
            faults.duplicate_acks(1, "aibot_respond_msg")
            sent = sim.gateway.say("zhangsan", "hello")
            frame = await message(client)
            while frame.get("headers", {}).get("req_id") != sent.req_id:  # it passes some of the garbage on
                frame = await message(client)
            assert frame["body"]["text"]["content"] == "hello"
            for text in ("a", "ab", "abc"):
                await client.call("replyStream", frame=frame, id="S", content=text, finish=text == "abc")
            assert [shown.text for shown in await sim.gateway.answered(sent)] == ["abc"]
        check(sim)
