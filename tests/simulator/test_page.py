"""The playground's page: its headers and files, and the whole of it in Chromium against a simulator and a small bot."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect

from agent.simulator import Simulator, page
from tests.simulator.test_model import png

with suppress(ImportError):  # here, because it takes so long that it would block a test's event loop
    from playwright.async_api import async_playwright

STATIC = Path(page.__file__).with_name("static")
CHROMIUM = Path("/usr/bin/chromium")


# -- files and headers --------------------------------------------------------------------------------------------


@asynccontextmanager
async def fetching() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=Starlette(routes=page.routes()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://page") as http:
        yield http


async def test_every_file_is_served_under_a_strict_policy() -> None:
    paths = ["/", "/favicon.ico", *(f"/static/{path.name}" for path in STATIC.iterdir())]
    assert len(paths) > 10
    async with fetching() as http:
        for path in paths:
            answer = await http.get(path)
            assert answer.status_code == 200, path
            policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
            assert policy["default-src"] == "'none'"
            assert {policy[f"{kind}-src"] for kind in ("script", "style", "connect", "img")} == {"'self'"}
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
        assert (await http.get("/")).headers["content-type"] == "text/html; charset=utf-8"
        assert (await http.get("/static/playground.js")).headers["content-type"].startswith("text/javascript")
        assert (await http.get("/favicon.ico")).headers["content-type"] == "image/svg+xml"


async def test_an_unchanged_file_is_not_sent_again() -> None:
    async with fetching() as http:
        first = await http.get("/static/playground.css")
        again = await http.get("/static/playground.css", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert (await http.get("/static/playground.css", headers={"If-None-Match": '"x"'})).content == first.content


@pytest.mark.parametrize("name", ["nothing.js", "..%2fpage.py", "%2e%2e/page.py", "../page.py", "", "index.html%00"])
async def test_nothing_else_is_served(name: str) -> None:
    async with fetching() as http:
        assert (await http.get(f"/static/{name}")).status_code == 404


def test_the_scripts_never_parse_text_as_html_and_load_nothing_from_elsewhere() -> None:
    for path in STATIC.glob("*.js"):
        code = path.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", code
        ), path
        for module in re.findall(r'from "([^"]+)"', code):
            assert (STATIC / module).is_file(), f"{path}: {module}"
    page_text = (STATIC / "index.html").read_text()
    assert not re.search(r"(?:src|href)=[\"'](?!/static/)", page_text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|<style|\bon\w+=", page_text)  # the policy would refuse these
    assert "url(" not in (STATIC / "playground.css").read_text()


def test_every_word_of_the_page_exists_in_both_languages() -> None:
    words = dict(re.findall(r"^  (\w+): \[(.*)\],$", (STATIC / "words.js").read_text(), re.MULTILINE))
    assert len(words) > 80
    for key, both in words.items():
        zh, en = json.loads(f"[{both}]")
        assert zh and en, key
        assert set(re.findall(r"\{\d\}", zh)) == set(re.findall(r"\{\d\}", en)), key
    used = {key for path in STATIC.glob("*.js") for key in re.findall(r'\bt\((?:[^()"]*\? )?"(\w+)"', path.read_text())}
    assert len(used) > 60 and used <= words.keys(), used - words.keys()


# -- a bot that speaks the protocol -------------------------------------------------------------------------------

Frame = dict[str, Any]


class Bot:
    """A bot of a few lines: ``answer(bot, frame)`` answers each callback, in a task of its own."""

    def __init__(self, socket: ClientConnection, answer: Callable[["Bot", Frame], Awaitable[None]]) -> None:
        self.socket = socket
        self.answer = answer
        self.heard: list[Frame] = []
        self.news = asyncio.Event()
        self.acks: dict[str, asyncio.Future[Frame]] = {}
        self.count = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            async for text in self.socket:
                frame = json.loads(text)
                if "cmd" not in frame:
                    self.acks.pop(frame["headers"]["req_id"]).set_result(frame)
                    continue
                self.heard.append(frame)
                self.news.set()
                group.create_task(self.answer(self, frame))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition()`` holds; it is asked again at each callback."""
        async with asyncio.timeout(10):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def request(self, cmd: str, body: Frame, req_id: str = "") -> Frame:
        """The ack of a command."""
        self.count += 1
        req_id = req_id or f"{cmd}_{self.count}"
        ack = self.acks[req_id] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"cmd": cmd, "headers": {"req_id": req_id}, "body": body}))
        answered: Frame = await ack
        assert answered["errcode"] == 0, answered
        return answered

    async def stream(self, frame: Frame, *contents: str, pause: float = 0.1, feedback: str = "") -> None:
        """A stream with these contents, the last of which finishes it."""
        self.count += 1
        body = {"msgtype": "stream", "stream": {"id": f"stream-{self.count}", "finish": False, "content": ""}}
        stream: Frame = body["stream"]  # type: ignore[assignment]
        if feedback:
            stream["feedback"] = {"id": feedback}
        for number, content in enumerate(contents, 1):
            stream |= {"content": content, "finish": number == len(contents)}
            await self.request("aibot_respond_msg", body, frame["headers"]["req_id"])
            stream.pop("feedback", None)
            await asyncio.sleep(pause)

    async def upload(self, kind: str, name: str, data: bytes) -> str:
        body = {"type": kind, "filename": name, "total_size": len(data), "total_chunks": 1}
        upload_id = (await self.request("aibot_upload_media_init", body))["body"]["upload_id"]
        chunk = {"upload_id": upload_id, "chunk_index": 0, "base64_data": base64.b64encode(data).decode()}
        await self.request("aibot_upload_media_chunk", chunk)
        finished = await self.request("aibot_upload_media_finish", {"upload_id": upload_id})
        media_id: str = finished["body"]["media_id"]
        return media_id


async def grow(bot: Bot, frame: Frame) -> None:
    """Thinks, then answers in six steps."""
    if frame["body"]["msgtype"] == "event":
        return
    body = frame["body"]
    text = "# 回答\n\n" + "".join(f"第 {step} 步，**很好**。" for step in range(1, 7))
    thought = "<think>先想\n再答</think>"
    steps = [thought + text[: len(text) * step // 6] for step in range(1, 7)]
    await bot.stream(frame, "<think></think>", thought, *steps, feedback=f"fb-{body['msgid']}")


@asynccontextmanager
async def playing(answer: Callable[[Bot, Frame], Awaitable[None]] = grow) -> AsyncIterator[tuple[Any, Bot]]:
    """A simulator with a subscribed bot."""
    async with Simulator(bot_id="bot", secret="secret", bot_name="小助手") as sim, connect(sim.ws_url) as socket:
        bot = Bot(socket, answer)
        running = asyncio.ensure_future(bot.run())
        await bot.request("aibot_subscribe", {"bot_id": "bot", "secret": "secret"})
        try:
            yield sim, bot
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


# -- the page in a browser ----------------------------------------------------------------------------------------

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = (
    "playwright is not installed"
    if find_spec("playwright") is None
    else ""
    if CHROMIUM.exists()
    else f"{CHROMIUM} is not installed"
)


def browser(test: Callable[[], Awaitable[None]]) -> Any:
    """Marks a test that needs Chromium. All of them go to one worker: two browsers at a time are slower than one."""
    marked = pytest.mark.xdist_group("browser")(pytest.mark.browser(test))
    return pytest.mark.skipif(bool(MISSING), reason=MISSING)(marked)


@asynccontextmanager
async def browsing(url: str, **options: Any) -> AsyncIterator[Any]:
    """A page at ``url``. Fails at its end when the console or the network had an error."""
    options = {"locale": "zh-CN", "viewport": {"width": 1280, "height": 800}, **options}
    wrong: list[str] = []
    async with async_playwright() as driver:
        chromium = await driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        try:
            context = await chromium.new_context(**options)
            context.set_default_timeout(30_000)
            tab = await context.new_page()
            tab.on(
                "console",
                lambda said: wrong.append(f"console: {said.text}") if said.type in ("error", "warning") else None,
            )
            tab.on("pageerror", lambda error: wrong.append(f"error: {error}"))
            tab.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
            tab.on("response", lambda seen: wrong.append(f"{seen.status} {seen.url}") if seen.status >= 400 else None)
            await tab.goto(url)
            yield tab
        finally:
            await chromium.close()
    assert wrong == []


async def begin(tab: Any, title: str = "zhangsan") -> None:
    """Open one of the sample chats, which the page makes when there is none."""
    await tab.locator(".chat-row", has_text=title).click()


async def type_and_send(tab: Any, text: str) -> None:
    box = tab.get_by_role("textbox", name="消息内容")
    await box.press_sequentially(text)
    await box.press("Enter")


WATCH = """() => {
    window.lengths = [];
    const look = () => {
        const text = document.querySelector(".from-bot .text");
        if (text) window.lengths.push([text.textContent.length, Boolean(text.closest(".growing"))]);
    };
    new MutationObserver(look).observe(document.querySelector(".messages"), {subtree: true, childList: true});
}"""


@browser
async def test_a_bubble_grows_while_the_bot_answers() -> None:
    async with playing() as (sim, bot):
        async with browsing(sim.page_url) as tab:
            await begin(tab)
            await tab.evaluate(WATCH)
            await type_and_send(tab, "你好，帮我算一下")
            await tab.locator(".mine .text", has_text="你好，帮我算一下").wait_for()
            await tab.locator(".from-bot .dots").wait_for()
            await tab.locator(".from-bot:not(.growing) .text", has_text="第 6 步").wait_for()
            seen = await tab.evaluate("window.lengths")
            growing = {length for length, is_growing in seen if is_growing and length}
            assert len(growing) >= 2 and max(growing) <= seen[-1][0]
            assert await tab.locator(".from-bot .text h3").text_content() == "回答"
            assert await tab.locator(".from-bot .text strong").count() == 6
            # The thought is folded away once the answer has begun, and opens by a click.
            assert not await tab.locator(".from-bot .thought").is_visible()
            await tab.get_by_text("思考过程").click()
            assert "再答" in await tab.locator(".from-bot .thought").inner_text()
        assert bot.heard[0]["body"]["text"]["content"] == "你好，帮我算一下"
        assert sim.gateway.check() == []


@browser
async def test_enter_while_an_input_method_composes_sends_nothing() -> None:
    async with playing() as (sim, bot), browsing(sim.page_url) as tab:
        await begin(tab)
        box = tab.get_by_role("textbox", name="消息内容")
        await box.focus()
        keyboard = await tab.context.new_cdp_session(tab)
        await keyboard.send("Input.imeSetComposition", {"text": "nihao", "selectionStart": 5, "selectionEnd": 5})
        await box.press("Enter")  # picks the candidate
        await keyboard.send("Input.insertText", {"text": "你好"})
        await box.press("Shift+Enter")
        await box.press_sequentially("第二行")
        assert sim.gateway.messages("zhangsan") == []
        await box.press("Enter")
        await bot.until(lambda: len(bot.heard) == 1)
        assert bot.heard[0]["body"]["text"]["content"] == "你好\n第二行"
        assert await box.input_value() == ""


@browser
async def test_a_group_with_several_speakers() -> None:
    async with playing() as (sim, bot), browsing(sim.page_url) as tab:
        await tab.get_by_role("button", name="新建会话").click()
        await tab.get_by_label("群聊").check()
        await tab.get_by_label("群名").fill("发布小组")
        await tab.get_by_label("成员（userid").fill("王芳, 李雷，han")
        await tab.get_by_role("button", name="创建", exact=True).click()
        await type_and_send(tab, "大家好")
        await tab.locator(".from-bot:not(.growing) .text", has_text="第 6 步").wait_for()
        body = bot.heard[0]["body"]
        assert (body["chattype"], body["from"], body["text"]) == (
            "group",
            {"userid": "王芳"},
            {"content": "@小助手 大家好"},
        )
        # Another person speaks: the first one's message moves to the other side, with a name.
        await tab.get_by_label("发言人").select_option("李雷")
        await tab.locator(".theirs .name", has_text="王芳").wait_for()
        await tab.get_by_label("@机器人").uncheck()
        await type_and_send(tab, "我们自己说")
        await tab.locator(".mine .warning", has_text="没有送达机器人").wait_for()
        assert [message.sender for message in sim.gateway.messages(body["chatid"])] == ["王芳", "bot", "李雷"]
        assert len(bot.heard) == 1


@browser
async def test_the_trace_shows_frames_and_violations() -> None:
    async with playing() as (sim, bot), browsing(sim.page_url) as tab:
        await begin(tab)
        await bot.request("ping", {})
        await type_and_send(tab, "你好")
        await tab.locator(".from-bot:not(.growing) .text", has_text="第 6 步").wait_for()
        frames = tab.locator(".frame")
        commands = await frames.locator(".cmd").all_inner_texts()
        assert commands[0].startswith("subscribe") and "msg_callback text" in commands
        assert commands[-2:] == ["respond_msg stream finish", "应答 respond_msg"]
        assert not any("ping" in command for command in commands)
        await frames.filter(has_text="msg_callback").locator("button").click()
        assert '"content": "你好"' in await tab.locator(".frame-json").inner_text()
        assert "secret" not in (await tab.locator(".trace").inner_text()).replace('"secret"', "")
        # Paused, nothing moves; what breaks the protocol is red and counted.
        await tab.get_by_role("button", name="暂停").click()
        count = await frames.count()
        with pytest.raises(AssertionError, match="unknown cmd"):
            await bot.request("no_such_command", {})
        await sim.gateway.until(lambda: len(sim.gateway.violations) == 1)
        await tab.locator(".trace-status", has_text="已暂停").wait_for()
        assert await frames.count() == count
        await tab.get_by_role("button", name="继续", exact=True).click()
        await tab.get_by_role("button", name="1 条违规").click()
        violation = tab.locator(".frame.violation", has_text="unknown-command")
        await violation.wait_for()
        assert await frames.count() == 1
        assert await violation.locator(".cmd").evaluate("node => getComputedStyle(node).color") == "rgb(198, 40, 40)"
        await tab.get_by_role("button", name="1 条违规").click()
        await tab.get_by_label("过滤帧").fill("subscribe")
        assert await frames.count() == 2  # the command and its ack


PASTE = """(data) => {
    const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], "image.png", {type: "image/png"}));
    const options = {clipboardData: transfer, bubbles: true, cancelable: true};
    document.querySelector("textarea").dispatchEvent(new ClipboardEvent("paste", options));
}"""
DROP = """() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["a,b\\n1,2"], "数据 1.csv", {type: "text/csv"}));
    const main = document.querySelector("main");
    for (const type of ["dragenter", "dragover", "drop"]) {
        main.dispatchEvent(new DragEvent(type, {dataTransfer: transfer, bubbles: true, cancelable: true}));
    }
}"""


@browser
async def test_pictures_and_files_in_both_directions() -> None:
    async def echo(bot: Bot, frame: Frame) -> None:
        media_id = await bot.upload("image", "chart.png", png(120, 80))
        await bot.request(
            "aibot_respond_msg", {"msgtype": "image", "image": {"media_id": media_id}}, frame["headers"]["req_id"]
        )
        media_id = await bot.upload("file", "报表.txt", "内容".encode())
        await bot.request(
            "aibot_respond_msg", {"msgtype": "file", "file": {"media_id": media_id}}, frame["headers"]["req_id"]
        )

    async with playing(echo) as (sim, bot), browsing(sim.page_url) as tab:
        await begin(tab)
        photo = {"name": "照片.png", "mimeType": "image/png", "buffer": png(64, 48)}
        await tab.locator("input[type=file]").set_input_files(photo)
        await tab.locator(".chip", has_text="照片.png").wait_for()
        await tab.get_by_role("button", name="发送", exact=True).click()
        await tab.locator(".mine .picture img").wait_for()
        await tab.wait_for_function("document.querySelector('.mine img').naturalWidth === 64")
        await tab.wait_for_function("document.querySelector('.from-bot img')?.naturalWidth === 120")
        assert bot.heard[0]["body"]["msgtype"] == "image"
        async with tab.expect_download() as download:
            await tab.locator(".from-bot .file", has_text="报表.txt").click()
        assert (await download.value).suggested_filename == "报表.txt"
        # Pasted, with words: one mixed message; dropped: a file of its own.
        await tab.evaluate(PASTE, base64.b64encode(png(32, 32)).decode())
        await type_and_send(tab, "这是什么")
        await bot.until(lambda: len(bot.heard) == 2)
        items = bot.heard[1]["body"]["mixed"]["msg_item"]
        assert [item["msgtype"] for item in items] == ["text", "image"]
        await tab.evaluate(DROP)
        await tab.get_by_role("button", name="移除 数据 1.csv").wait_for()
        await tab.get_by_role("button", name="发送", exact=True).click()
        await bot.until(lambda: len(bot.heard) == 3)
        assert bot.heard[2]["body"]["msgtype"] == "file"
        await tab.locator(".mine .file", has_text="数据 1.csv").wait_for()


CARD = {
    "card_type": "vote_interaction",
    "task_id": "task-1",
    "main_title": {"title": "午饭", "desc": "<b>选一个</b>"},
    "checkbox": {
        "question_key": "lunch",
        "mode": 1,
        "option_list": [
            {"id": "a", "text": "面", "is_checked": True},
            {"id": "b", "text": "饭"},
            {"id": "c", "text": "粥"},
        ],
    },
    "submit_button": {"text": "投票", "key": "vote"},
}


@browser
async def test_cards_feedback_quotes_and_entering() -> None:
    async def play(bot: Bot, frame: Frame) -> None:
        body, req_id = frame["body"], frame["headers"]["req_id"]
        event = body.get("event", {}).get("eventtype")
        if event == "enter_chat":
            await bot.request("aibot_respond_welcome_msg", {"msgtype": "text", "text": {"content": "欢迎"}}, req_id)
        elif event is None and body["text"]["content"] == "卡片":
            await bot.request("aibot_respond_msg", {"msgtype": "template_card", "template_card": CARD}, req_id)
        elif event is None:
            await bot.stream(frame, "好的，**收到**", feedback="fb-1")

    def events(bot: Bot, kind: str) -> list[Frame]:
        found = [frame["body"]["event"] for frame in bot.heard if frame["body"]["msgtype"] == "event"]
        return [event[kind] for event in found if event["eventtype"] == kind]

    async with playing(play) as (sim, bot), browsing(sim.page_url) as tab:
        await begin(tab)
        await tab.get_by_role("button", name="进入会话").click()
        await tab.locator(".from-bot .text", has_text="欢迎").wait_for()
        await type_and_send(tab, "卡片")
        await tab.get_by_label("饭", exact=True).check()
        assert await tab.locator(".card").get_by_text("<b>选一个</b>").is_visible()
        await tab.get_by_role("button", name="投票").click()
        await bot.until(lambda: len(events(bot, "template_card_event")) == 1)
        clicked = events(bot, "template_card_event")[0]
        assert clicked["event_key"] == "vote"
        assert clicked["selected_items"]["selected_item"][0]["option_ids"] == {"option_id": ["a", "b"]}

        await type_and_send(tab, "评价我")
        await tab.get_by_role("button", name="回答得好").click()
        await tab.locator("[aria-label=回答得好][aria-pressed=true]").wait_for()
        await tab.get_by_role("button", name="回答不好").click()
        await tab.get_by_label("不完整").check()
        await tab.get_by_label("补充说明").fill("少了一步")
        await tab.get_by_role("button", name="提交").click()
        await tab.locator("[aria-label=回答不好][aria-pressed=true]").wait_for()
        await tab.get_by_role("button", name="回答不好").click()
        await bot.until(lambda: len(events(bot, "feedback_event")) == 3)
        assert [event["type"] for event in events(bot, "feedback_event")] == [1, 2, 3]
        disliked = events(bot, "feedback_event")[1]
        assert (disliked["content"], disliked["inaccurate_reason_list"]) == ("少了一步", [2])

        answer = tab.locator(".from-bot", has_text="收到")
        await answer.get_by_role("button", name="引用").click()
        await tab.locator(".quote-bar", has_text="好的，收到").wait_for()
        await type_and_send(tab, "这句是什么意思")
        await bot.until(lambda: "quote" in bot.heard[-1]["body"])
        assert bot.heard[-1]["body"]["quote"] == {"msgtype": "text", "text": {"content": "好的，**收到**"}}
        await tab.locator(".mine .quoted", has_text="收到").wait_for()


ATTACK = (
    "<img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)> [a](javascript:alert(4)) "
    '[b](data:text/html,<script>alert(5)</script>) ![c](x" onerror=alert(6)) '
    '<https://e.example/"onmouseover=alert(7)> [d](https://e.example/?q=<b>) &lt;i&gt; '
    "<a href=javascript:alert(8)>x</a>"
)
EVERYWHERE = f"# {ATTACK}\n\n| {ATTACK} |\n|---|\n| {ATTACK} |\n\n> {ATTACK}\n\n```{ATTACK}\n{ATTACK}\n```\n- {ATTACK}"
FOREIGN = """() => ({
    made: document.querySelectorAll("#app script, #app img, #app svg[onload], #app iframe, #app b").length,
    handlers: [...document.querySelectorAll("*")].filter((node) => {
        return [...node.attributes].some((attribute) => attribute.name.startsWith("on"));
    }).length,
    links: [...document.querySelectorAll("#app .from-bot a")].map((a) => [a.protocol, a.target, a.rel]),
})"""


@browser
async def test_what_people_and_bots_write_stays_text() -> None:
    async def attack(bot: Bot, frame: Frame) -> None:
        if frame["body"]["msgtype"] != "event":
            await bot.stream(frame, EVERYWHERE)

    async with playing(attack) as (sim, _), browsing(sim.page_url) as tab:
        await tab.get_by_role("button", name="新建会话").click()
        await tab.get_by_label("群聊").check()
        await tab.get_by_label("群名").fill("<img src=x onerror=alert(9)>")
        await tab.get_by_label("成员（userid").fill("<script>alert(10)</script>")
        await tab.get_by_role("button", name="创建", exact=True).click()
        name = "<img src=x onerror=alert(11)>.txt"
        await tab.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/plain", "buffer": b"x"})
        await type_and_send(tab, ATTACK)
        await tab.locator(".mine .text", has_text="<img src=x onerror=alert(1)><script>").wait_for()
        await tab.locator(".from-bot:not(.growing) .text").wait_for()
        shown = await tab.locator(".from-bot .text").inner_text()
        assert shown.count("<script>alert(2)</script>") == 6 and "[a](javascript:alert(4))" in shown
        for frame in await tab.locator(".frame button").all():
            await frame.click()
        found = await tab.evaluate(FOREIGN)
        assert (found["made"], found["handlers"]) == (0, 0)
        assert {tuple(link) for link in found["links"]} == {("https:", "_blank", "noopener noreferrer nofollow")}


MARKDOWN = [
    ("# a\n### b", "<h3>a</h3><h5>b</h5>"),
    ("a\nb\n\nc", "<p>a<br>b</p><p>c</p>"),
    ("**a** *b* ~~d~~ `e*f*`", "<p><strong>a</strong> <em>b</em> <del>d</del> <code>e*f*</code></p>"),
    ("***c***", "<p><em><strong>c</strong></em></p>"),
    ("这是**“重点”**。", "<p>这是<strong>“重点”</strong>。</p>"),
    ("snake_case_name 2 * 3 * 4", "<p>snake_case_name 2 * 3 * 4</p>"),
    ("**open *and `ticks", "<p>**open *and `ticks</p>"),
    ("\\*not\\* \\[x\\](y)", "<p>*not* [x](y)</p>"),
    ("- a\n  - b\n- d", "<ul><li><p>a</p><ul><li><p>b</p></li></ul></li><li><p>d</p></li></ul>"),
    ("- a\n  1. b\n\n- c", "<ul><li><p>a</p><ol><li><p>b</p></li></ol></li><li><p>c</p></li></ul>"),
    ("3. a\n\n   b\n4. c\n\nd", '<ol start="3"><li><p>a</p><p>b</p></li><li><p>c</p></li></ol><p>d</p>'),
    ("- a\n1. b", "<ul><li><p>a</p></li></ul><ol><li><p>b</p></li></ol>"),
    ("> a\n>> b\n\nc", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote><p>c</p>"),
    ("a\n***\nb", "<p>a</p><hr><p>b</p>"),
    ("```py\n<b>\n\n  x\n```\ny", "<pre><code>&lt;b&gt;\n\n  x</code></pre><p>y</p>"),
    ("````\n```\n````", "<pre><code>```</code></pre>"),
    ("```\nnot closed", "<pre><code>not closed</code></pre>"),
    (
        "| a | b |\n|:-:|--:|\n| `1` | x\\|y |\n| 2 |",
        "<div><table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td><code>1</code></td><td>x|y</td></tr>"
        "<tr><td>2</td><td></td></tr></tbody></table></div>",
    ),
    ("text\n| a |\n|---|\n| b |", "<p>text<br>| a |<br>|---|<br>| b |</p>"),
    ("see https://a.example/x?y. ok", '<p>see <a href="https://a.example/x?y">https://a.example/x?y</a>. ok</p>'),
    ("见https://a.example/。好", '<p>见<a href="https://a.example/">https://a.example/</a>。好</p>'),
    ("[*a*](https://a.example/ 't')", '<p><a href="https://a.example/"><em>a</em></a></p>'),
    ("[b](ftp://x) [c](/d)", "<p>[b](ftp://x) [c](/d)</p>"),
    ("![pic](https://a.example/p.png)", '<p><a href="https://a.example/p.png">pic</a></p>'),
    ("<@zhangsan> <b>x</b> &amp;", "<p>&lt;@zhangsan&gt; &lt;b&gt;x&lt;/b&gt; &amp;amp;</p>"),
]
RENDER = """async (text) => {
    const {show} = await import("/static/markdown.js");
    const node = document.createElement("div");
    show(node, text);
    for (const inner of node.querySelectorAll("*")) {
        for (const name of ["class", "target", "rel", "tabindex", "data-language"]) inner.removeAttribute(name);
    }
    return node.innerHTML;
}"""
GROW = """async (text) => {
    const {show} = await import("/static/markdown.js");
    const [grown, whole] = [document.createElement("div"), document.createElement("div")];
    let kept = 0;
    for (let length = 0; length <= text.length; length += 1) {
        const first = grown.firstChild;
        show(grown, text.slice(0, length));
        if (first && first === grown.firstChild) kept += 1;
    }
    show(whole, text);
    return [grown.innerHTML === whole.innerHTML, kept];
}"""
HOSTILE = [
    "*a ",
    "_",
    "[a](",
    "[[",
    "`",
    "> ",
    "- ",
    "1. a\n",
    "# ",
    "|",
    "http://",
    "<http://",
    "\\",
    "**a *b _c ",
    "a** b* c_ ",
]
TIME = """async (pieces) => {
    const {show} = await import("/static/markdown.js");
    const start = performance.now();
    for (const piece of pieces) show(document.createElement("div"), piece.repeat(20480 / piece.length));
    return performance.now() - start;
}"""


@browser
async def test_markdown() -> None:
    async with playing() as (sim, _), browsing(sim.page_url) as tab:
        for text, expected in MARKDOWN:
            assert await tab.evaluate(RENDER, text) == expected, text
        # A growing text ends as the whole one, and what stands at its beginning is not built again.
        same, kept = await tab.evaluate(GROW, "\n\n".join(text for text, _ in MARKDOWN))
        assert same and kept > 300
        assert await tab.evaluate(TIME, HOSTILE) < 3000  # milliseconds for fifteen full bubbles; 200 when measured


@browser
async def test_the_page_finds_the_simulator_again() -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(Simulator(bot_name="甲"))
        async with browsing(first.page_url) as tab:
            await tab.locator(".banner.gone", has_text="机器人没有连上").wait_for()
            await begin(tab)
            await type_and_send(tab, "有人吗")
            await tab.locator(".warning", has_text="没有送达机器人").wait_for()
            await stack.aclose()
            await tab.locator(".banner.lost").wait_for()
            async with Simulator(bot_name="乙", port=int(first.http_url.rsplit(":", 1)[1])) as second:
                second.gateway.group("wr-later", "后来的群", ["lisi"])
                await tab.get_by_role("button", name="立即重连").click()
                await tab.locator(".chat-row", has_text="后来的群").wait_for()
                assert await tab.locator(".message").count() == 0
            await tab.locator(".banner.lost").wait_for()


@browser
async def test_a_phone_in_english() -> None:
    phone = {"viewport": {"width": 375, "height": 720}, "locale": "en-US", "has_touch": True}
    async with playing() as (sim, _), browsing(sim.page_url, **phone) as tab:
        await tab.locator(".chat-row").first.click()
        panes = {name: tab.locator(name) for name in (".chats", ".conversation", ".trace")}

        async def visible() -> list[str]:
            overflow = await tab.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0
            return [name for name, pane in panes.items() if await pane.is_visible()]

        assert await visible() == [".conversation"]
        box = tab.get_by_role("textbox", name="Message")
        assert (await box.bounding_box())["height"] > 30
        await box.fill("x" * 300)
        await tab.get_by_role("button", name="Send", exact=True).click()
        await tab.locator(".from-bot:not(.growing) .text", has_text="第 6 步").wait_for()
        assert await visible() == [".conversation"]
        await tab.get_by_role("button", name="Show frames").click()
        assert ".trace" in await visible()
        await tab.get_by_role("button", name="Hide frames").click()
        await tab.get_by_role("button", name="Back to the chats").click()
        assert await visible() == [".chats"]
        await tab.get_by_role("button", name="切换到中文").click()
        await tab.get_by_role("heading", name="会话").wait_for()
        assert await tab.evaluate("document.documentElement.lang") == "zh-CN"


@browser
async def test_with_a_token() -> None:
    async with Simulator(token="T0KEN.is-a~secret") as sim, browsing(sim.page_url) as tab:
        await tab.locator(".chat-row").first.wait_for()
        assert "token" not in tab.url
        await tab.reload()
        await tab.locator(".chat-row").first.wait_for()
