"""The HTTP side: media, control API, live feed, and who may come in."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent.simulator import Options, Simulator
from tests.simulator.line import Bot


@asynccontextmanager
async def browsing(sim: Simulator, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sim.http_url, trust_env=False, **more) as client:
        yield client


def decrypt(data: bytes, key: str, block: int = 32) -> bytes:
    raw = base64.b64decode(key + "=" * (-len(key) % 4))
    assert len(raw) == 32
    decryptor = Cipher(algorithms.AES(raw), modes.CBC(raw[:16])).decryptor()
    plain = decryptor.update(data) + decryptor.finalize()
    padding = plain[-1]
    assert 1 <= padding <= block and plain[-padding:] == bytes([padding]) * padding
    assert len(plain) % block == 0
    return plain[:-padding]


async def sent_file(sim: Simulator, bot: Bot, content: Any = b"12345", kind: str = "file") -> dict[str, str]:
    """The url and aeskey that the bot gets."""
    assert sim.gateway.send(f"user{len(sim.gateway.world.chats.by_id)}", kind, content).delivered
    payload: dict[str, str] = (await bot.callback())["body"][kind]
    return payload


# -- media (13) -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [16, 32])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 33, 300_000])
async def test_media_are_encrypted(block: Any, size: int) -> None:
    async with Simulator(options=Options(padding=block)) as sim, Bot(sim.ws_url) as bot, browsing(sim) as http:
        content = bytes(number % 251 for number in range(size))
        link = await sent_file(sim, bot, content)
        response = await http.get(link["url"])
        assert response.status_code == 200
        assert int(response.headers["content-length"]) == len(response.content)
        assert decrypt(response.content, link["aeskey"], block) == content


async def test_each_link_has_its_own_key_and_each_get_the_same_bytes(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot, browsing(sim) as http:
        one, two = await sent_file(sim, bot), await sent_file(sim, bot)
        assert one["aeskey"] != two["aeskey"] and one["url"] != two["url"]
        first = (await http.get(one["url"])).content
        assert (await http.get(one["url"], headers={"Range": "bytes=0-3"})).content == first


@pytest.mark.parametrize(
    ("style", "header"),
    [
        ("rfc5987", "attachment; filename*=UTF-8''%E6%8A%A5%E5%91%8A%201%27.pdf"),
        ("plain", 'attachment; filename="%E6%8A%A5%E5%91%8A%201%27.pdf"'),
        ("none", None),
    ],
)
async def test_names_travel_in_the_header(style: Any, header: str | None) -> None:
    async with Simulator(options=Options(disposition=style)) as sim, Bot(sim.ws_url) as bot, browsing(sim) as http:
        link = await sent_file(sim, bot, (b"12345", "报告 1'.pdf"))
        assert (await http.get(link["url"])).headers.get("content-disposition") == header


async def test_links_expire_after_five_minutes() -> None:
    now = 1_700_000_000.0
    async with Simulator(now=lambda: now) as sim, Bot(sim.ws_url) as bot, browsing(sim) as http:
        link = await sent_file(sim, bot)
        now += 299
        assert (await http.get(link["url"])).status_code == 200
        now += 1
        response = await http.get(link["url"])
        assert response.status_code == 403
        assert "expired" in response.text
        assert (await http.get("/media/unknown")).status_code == 404


async def test_media_faults(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot, browsing(sim) as http:
        link = await sent_file(sim, bot, b"x" * 1000)
        faults = sim.gateway.faults
        faults.media_error(503, 2)
        assert [(await http.get(link["url"])).status_code for _ in range(3)] == [503, 503, 200]
        faults.damage_media("short")
        assert len((await http.get(link["url"])).content) % 16 == 11
        faults.damage_media("garbled")
        with pytest.raises(AssertionError):
            decrypt((await http.get(link["url"])).content, link["aeskey"])
        faults.damage_media("cut")
        with pytest.raises(httpx.HTTPError):
            await http.get(link["url"])
        faults.slow_media(5000)
        started = asyncio.get_running_loop().time()
        assert decrypt((await http.get(link["url"])).content, link["aeskey"]) == b"x" * 1000
        assert asyncio.get_running_loop().time() - started > 0.15


async def test_a_large_file_streams_from_its_path(sim: Simulator, tmp_path: Path) -> None:
    size = 30 * 1024 * 1024
    path = tmp_path / "大.bin"
    with path.open("wb") as file:
        file.truncate(size)
    async with Bot(sim.ws_url) as bot, browsing(sim) as http:
        link = await sent_file(sim, bot, path)
        digest, seen = hashlib.sha256(), 0
        async with http.stream("GET", link["url"]) as response:
            async for piece in response.aiter_raw():
                digest.update(piece)
                seen += len(piece)
        assert seen == size + 32
    assert path.exists()


async def test_people_cannot_send_more_than_the_platform_takes(sim: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024 + 1)
    with pytest.raises(ValueError, match="people can send"):
        sim.gateway.send("lisi", "file", path)


async def test_the_folder_of_uploads_goes_with_the_simulator() -> None:
    async with Simulator() as sim:
        sim.gateway.send("lisi", "file", b"12345")
        folder = sim.gateway.world.shelf.folder
        assert len(list(folder.iterdir())) == 1
    assert not folder.exists()


# -- control API ------------------------------------------------------------------------------------------------------


async def test_a_conversation_over_http(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot, browsing(sim) as http:
        chat = (
            await http.post("/api/chats", json={"type": "single", "title": "Zhang", "members": ["zhangsan"]})
        ).json()
        assert (chat["id"], chat["type"], chat["title"]) == ("user:zhangsan", "single", "Zhang")
        sent = (await http.post("/api/chats/user:zhangsan/say", json={"user": "zhangsan", "text": "hello"})).json()
        assert sent["delivered"] is True
        await bot.callback()
        await bot.stream(sent["req_id"], "<think>hm</think>Hello!", True)
        messages = (await http.get("/api/chats/user%3Azhangsan/messages")).json()
        assert [(m["sender"], m["text"], m["thinking"]) for m in messages] == [
            ("zhangsan", "hello", None),
            ("bot", "Hello!", "hm"),
        ]
        quote = {"user": "zhangsan", "text": "why?", "quote": messages[1]["id"]}
        await http.post("/api/chats/user:zhangsan/say", json=quote)
        assert (await bot.callback())["body"]["quote"]["text"] == {"content": "Hello!"}
        state = (await http.get("/api/state")).json()
        assert state["bot"] == {"id": "bot", "name": "Bot", "state": "subscribed"}
        assert [entry["id"] for entry in state["chats"]] == ["user:zhangsan"]
        assert state["options"]["content_limit"] == 20480
        trace = (await http.get("/api/trace")).json()
        assert [entry["seq"] for entry in trace] == list(range(1, len(trace) + 1))
        assert (await http.get(f"/api/trace?after={len(trace) - 2}")).json() == trace[-2:]


async def test_groups_and_files_over_http(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot, browsing(sim) as http:
        chat = (await http.post("/api/chats", json={"type": "group", "title": "组", "members": ["a", "b"]})).json()
        path = f"/api/chats/{chat['id']}"
        sent = (await http.post(f"{path}/say", json={"user": "a", "text": "hi", "mention": False})).json()
        assert sent["delivered"] is False
        files = [
            ("files", ("一.png", b"\x89PNG..one", "image/png")),
            ("files", ("2.png", b"\x89PNG..two", "image/png")),
        ]
        form = {"user": "b", "kind": "mixed", "text": "look"}
        assert (await http.post(f"{path}/send", data=form, files=files)).json()["delivered"] is True
        items = (await bot.callback())["body"]["mixed"]["msg_item"]
        assert [item["msgtype"] for item in items] == ["text", "image", "image"]
        assert (
            decrypt((await http.get(items[1]["image"]["url"])).content, items[1]["image"]["aeskey"]) == b"\x89PNG..one"
        )
        (message,) = [m for m in (await http.get(f"{path}/messages")).json() if m["kind"] == "mixed"]
        shown = await http.get(f"/files/{message['media'][0]['media_id']}")
        assert shown.content == b"\x89PNG..one"
        assert shown.headers["content-type"] == "image/png"
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert shown.headers["content-disposition"].startswith("attachment")
        form = {"user": "b", "kind": "file", "text": ""}
        sent = (await http.post(f"{path}/send", data=form, files=[("files", ("a.html", b"<p>", "text/html"))])).json()
        assert "quote it" in sent["why"]
        (message,) = [m for m in (await http.get(f"{path}/messages")).json() if m["kind"] == "file"]
        shown = await http.get(f"/files/{message['media'][0]['media_id']}")
        assert shown.headers["content-type"] == "application/octet-stream"


async def test_cards_feedback_and_entering_over_http(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot, browsing(sim) as http:
        sent = sim.gateway.say("zhangsan", "hello")
        card = {
            "card_type": "button_interaction",
            "task_id": "T",
            "main_title": {"title": "Go on?"},
            "button_list": [{"text": "Yes", "key": "yes"}],
            "feedback": {"id": "F"},
        }
        body = {"msgtype": "template_card", "template_card": card}
        assert (await bot.ask("aibot_respond_msg", body, req_id=sent.req_id))["errcode"] == 0
        await bot.callback()
        message = sim.gateway.messages("zhangsan")[-1].id
        click = {"user": "zhangsan", "key": "yes", "selected": None}
        assert (await http.post(f"/api/messages/{message}/click", json=click)).json()["delivered"] is True
        assert (await bot.callback())["body"]["event"]["template_card_event"]["event_key"] == "yes"
        rating = {"user": "zhangsan", "type": 2, "content": "no", "reasons": [1]}
        assert (await http.post(f"/api/messages/{message}/feedback", json=rating)).json()["delivered"] is True
        assert (await bot.callback())["body"]["event"]["feedback_event"]["inaccurate_reason_list"] == [1]
        assert (await http.post("/api/chats/user:zhangsan/enter", json={"user": "zhangsan"})).json()["delivered"]
        assert (await bot.callback())["body"]["event"]["eventtype"] == "enter_chat"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/chats/nobody/messages", None, 404),
        ("POST", "/api/chats", {"type": "group"}, 400),
        ("POST", "/api/chats", {"type": "single", "members": []}, 400),
        ("POST", "/api/chats", {"type": "club", "members": ["a"]}, 400),
        ("POST", "/api/chats", {"type": "group", "members": ["a"], "id": "user:a"}, 400),
        ("POST", "/api/chats/user:a/say", {"text": "x"}, 400),
        ("POST", "/api/chats/user:a/say", {"user": "b", "text": "x"}, 400),
        ("POST", "/api/chats/user:a/say", {"user": "a", "text": 7}, 400),
        ("POST", "/api/chats/user:a/say", {"user": "a", "text": "x", "quote": "m99"}, 404),
        ("POST", "/api/chats/user:a/say", [], 400),
        ("POST", "/api/messages/m99/click", {"user": "a", "key": "k"}, 404),
        ("POST", "/api/messages/m99/feedback", {"user": "a", "type": "like"}, 400),
        ("GET", "/api/trace?after=x", None, 400),
        ("GET", "/files/unknown", None, 404),
        ("POST", "/api/faults", {"name": "explode"}, 400),
        ("POST", "/api/faults", {"name": "lose_acks", "frames": "many"}, 400),
        ("POST", "/api/faults", {"name": "lose_acks", "frames": True}, 400),
        ("POST", "/api/faults", {"name": "refuse"}, 400),
        ("POST", "/api/faults", {"name": "redeliver", "msgid": "x"}, 400),
        ("POST", "/api/faults", {"name": "garbage", "kind": "nice"}, 400),
        ("POST", "/api/faults", {"name": "control_characters", "on": 1}, 400),
        ("GET", "/nowhere", None, 404),
    ],
)
async def test_bad_requests_get_a_reason(sim: Simulator, method: str, path: str, body: Any, status: int) -> None:
    sim.gateway.world.chats.single("a")
    async with browsing(sim) as http:
        response = await http.request(method, path, json=body)
        assert response.status_code == status
        if path != "/nowhere":
            assert response.json()["error"]["message"]
        broken = await http.post("/api/faults", content=b"{")
        assert broken.status_code == 400


async def test_faults_over_http(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot, browsing(sim) as http:
        listed = (await http.get("/api/faults")).json()
        assert listed["names"]["refuse"] == ["command", "errcode", "frames"]
        state = (await http.post("/api/faults", json={"name": "refuse", "command": "ping", "errcode": 846609})).json()
        assert state["errcodes"] == {"ping": [[846609, 1]]}
        assert (await bot.ask("ping"))["errcode"] == 846609
        await http.post("/api/faults", json={"name": "control_characters"})
        assert (await http.get("/api/faults")).json()["state"]["control_characters"] is True
        await http.post("/api/faults", json={"name": "clear"})
        assert (await http.get("/api/faults")).json()["state"]["control_characters"] is False
        await http.post("/api/faults", json={"name": "drop", "code": 1006})
        async with asyncio.timeout(5):
            await bot.socket.wait_closed()


async def test_response_url_works_once(sim: Simulator) -> None:
    async with Bot(sim.ws_url) as bot, browsing(sim) as http:
        sim.gateway.say("zhangsan", "hello")
        url = (await bot.callback())["body"]["response_url"]
        good = {"msgtype": "markdown", "markdown": {"content": "by HTTP"}}
        assert (await http.post(url, json={"msgtype": "text", "text": {"content": "x"}})).json()["errcode"] == 40008
        assert (await http.post(url, json=good)).json()["errcode"] == 0
        assert (await http.post(url, json=good)).json()["errcode"] == 0
        assert [m.text for m in sim.gateway.messages("zhangsan")] == ["hello", "by HTTP"]
        assert (await http.post(url + "x", json=good)).json()["errcode"] != 0


# -- live feed --------------------------------------------------------------------------------------------------------


async def test_the_live_feed(sim: Simulator) -> None:
    async with connect(sim.http_url.replace("http", "ws") + "/api/live", origin=sim.http_url) as page:  # type: ignore[arg-type]

        async def until(kind: str) -> list[Any]:
            seen = []
            async with asyncio.timeout(5):
                while not seen or seen[-1]["type"] != kind:
                    seen.append(json.loads(await page.recv()))
            return seen

        snapshot = json.loads(await page.recv())
        assert snapshot == {
            "type": "snapshot",
            "bot": {"id": "bot", "name": "Bot", "state": "gone"},
            "chats": [],
            "violations": 0,
        }
        async with Bot(sim.ws_url) as bot:
            assert (await until("bot"))[-1]["state"] in ("connected", "subscribed")
            sent = sim.gateway.say("zhangsan", "hello", "wrGroup")
            chat = (await until("chat"))[-1]["chat"]
            assert (chat["id"], chat["members"]) == ("wrGroup", ["zhangsan"])
            assert (await until("message"))[-1]["message"]["text"] == "@Bot hello"
            for number in range(1, 101):
                await bot.stream(sent.req_id, "x" * number, number == 100)
            states: list[Any] = []
            while not states or not states[-1]["finished"]:
                states.append((await until("message"))[-1]["message"])
            assert states[-1]["text"] == "x" * 100
            assert len(states) < 50  # coalesced: a browser never gets every frame
            await bot.send("aibot_dance", {})
            violation = (await until("violation"))[-1]
            assert (violation["rule"], violation["section"]) == ("unknown-command", "1.1")
        seen = await until("bot")
        assert seen[-1]["state"] == "gone"
    await asyncio.sleep(0)


async def test_a_browser_that_leaves_is_forgotten(sim: Simulator) -> None:
    before = len(sim.gateway.world.watchers)
    async with connect(sim.http_url.replace("http", "ws") + "/api/live") as page:
        await page.recv()
        await page.send("anything")
        sim.gateway.say("zhangsan", "hello")
        await page.recv()
        assert len(sim.gateway.world.watchers) == before + 1
    async with asyncio.timeout(5):
        while len(sim.gateway.world.watchers) > before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_the_simulator_closes_under_a_browser() -> None:
    async with asyncio.timeout(5), Simulator() as sim:
        page = await connect(sim.http_url.replace("http", "ws") + "/api/live")
        await page.recv()
    await page.wait_closed()


# -- the door ---------------------------------------------------------------------------------------------------------


async def test_only_the_page_itself_may_ask(sim: Simulator) -> None:
    async with browsing(sim) as http:
        own = sim.http_url.removeprefix("http://")
        assert (await http.get("/api/state", headers={"Origin": sim.http_url})).status_code == 200
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1", f"http://{own}.evil.example"):
            assert (await http.get("/api/state", headers={"Origin": origin})).status_code == 403
            assert (
                await http.post("/api/faults", json={"name": "clear"}, headers={"Origin": origin})
            ).status_code == 403
        # A name that resolves to this machine is how a page of another origin would get in.
        for host in ("evil.example", "127.0.0.1.evil.example", ""):
            assert (await http.get("/api/state", headers={"Host": host})).status_code in (400, 421)
        assert (await http.get("/api/state", headers={"Host": f"localhost:{own.split(':')[1]}"})).status_code == 200
    with pytest.raises(InvalidStatus, match="403"):
        async with connect(sim.http_url.replace("http", "ws") + "/api/live", origin="https://evil.example"):  # type: ignore[arg-type]
            pass


@pytest.mark.parametrize(
    ("header", "status"),
    [("Content-Length: 200000000", 413), ("Content-Length: -1", 400), ("Transfer-Encoding: chunked", 411)],
)
async def test_bodies_are_bounded(sim: Simulator, header: str, status: int) -> None:
    host = sim.http_url.removeprefix("http://")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(f"POST /api/chats HTTP/1.1\r\nHost: {host}\r\n{header}\r\n\r\n".encode())
    assert f" {status} " in (await reader.readline()).decode()
    writer.close()
    await writer.wait_closed()


async def test_a_token_guards_everything_but_signed_links() -> None:
    async with Simulator(token="a-long_token.1") as sim, Bot(sim.ws_url) as bot:
        async with browsing(sim) as http:
            for path in ("/", "/api/state", "/api/trace", "/files/x", "/v1/models", "/static/playground.js"):
                assert (await http.get(path)).status_code == 401, path
                assert (await http.get(path, params={"token": "wrong"})).status_code == 401, path
            assert (await http.get("/api/state", headers={"Authorization": "Bearer a-long_token.1"})).status_code == 200
            link = await sent_file(sim, bot)
            assert (await http.get(link["url"])).status_code == 200
            response = await http.get("/", params={"token": "a-long_token.1"})
            assert response.status_code == 200
            cookie = response.headers["set-cookie"]
            assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        async with browsing(sim, cookies={"wecom_agent_token": "a-long_token.1"}) as http:
            assert (await http.get("/api/state")).status_code == 200
        with pytest.raises(InvalidStatus, match="403"):
            async with connect(sim.http_url.replace("http", "ws") + "/api/live"):
                pass
        live = sim.http_url.replace("http", "ws") + "/api/live?token=a-long_token.1"
        async with connect(live) as page:
            assert json.loads(await page.recv())["type"] == "snapshot"


async def test_beyond_loopback_a_token_is_made_up() -> None:
    sim = Simulator(host="0.0.0.0")  # not opened: tests stay on loopback
    assert len(sim.token) >= 20
    assert Simulator().token == ""
    with pytest.raises(ValueError, match="letters, digits"):
        Simulator(token="a b")
    for host in ("localhost", "127.0.0.1", "127.8.8.8", "::1"):
        assert Simulator(host=host).token == ""


async def test_page_and_model_are_served(sim: Simulator) -> None:
    async with browsing(sim) as http:
        assert "text/html" in (await http.get("/")).headers["content-type"]
        assert (await http.get(sim.model_url + "/models")).status_code == 200
