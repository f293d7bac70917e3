"""Drives the PyPI framework ``wecom-ai-bot-ws-svr``: JSON lines on stdin and stdout (see driver.py).

Runs in the framework's own environment and imports nothing of this repository. Arguments: WebSocket address, secret.
"""

import asyncio
import hashlib
import json
import sys
import threading
from typing import Any

from wecom_ai_bot_ws_svr import RspFileMsg, RspMarkdownMsg, RspStreamMsg, RspTextMsg, WecomAIBotWsServer


def write(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def on_message(message: Any, server: WecomAIBotWsServer) -> Any:
    write({"event": "message", "type": type(message).__name__, "chat": message.chat_id, "body": message.body})
    words = getattr(message, "content", "").split()
    match words:
        case ["stream"]:
            return grow()
        case ["markdown"]:
            return RspMarkdownMsg(content="**bold**")
        case ["file", path]:
            return RspFileMsg(file_path=path)
        case ["raise"]:
            raise ValueError("a handler that fails")
        case ["empty"]:
            return RspTextMsg(content="")
    return RspTextMsg(content=f"echo {getattr(message, 'content', '')}")


async def grow() -> Any:
    text = ""
    for number in range(10):
        text += f"{number} "
        yield RspStreamMsg(content=text, stream_id="grows", finish=number == 9)


def on_event(event: Any) -> Any:
    write({"event": "event", "type": event.event_type, "body": event.body})
    return RspTextMsg(content="Welcome!") if event.event_type == "enter_chat" else None


def on_error(error: Exception) -> None:
    write({"event": "error", "message": str(error)})


async def obey(server: WecomAIBotWsServer, request: dict[str, Any]) -> Any:
    match request["call"]:
        case "push":
            return (await server.send_markdown(request["chat"], request["text"])).errcode
        case "push_text":
            return (await server.send_text(request["chat"], request["text"])).errcode
        case "push_file":
            return (await server.send_file(request["chat"], request["path"])).errcode
        case "download":
            data, name = await server.download_file(request["url"], request["key"])
            return {"name": name, "size": len(data), "md5": hashlib.md5(data).hexdigest()}
        case "disconnect":
            await server.disconnect()
    return None


async def listen(server: WecomAIBotWsServer) -> None:
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)

    threading.Thread(target=read, daemon=True).start()
    while True:
        request = json.loads(await lines.get())
        try:
            write({"number": request["number"], "result": await obey(server, request)})
        except Exception as error:
            write({"number": request["number"], "error": {"message": str(error)}})


async def main(url: str, secret: str) -> None:
    server = WecomAIBotWsServer("Bot", "bot", secret, url, reconnect_interval=50, heartbeat_interval=30000)
    server.set_message_handler(on_message)
    server.set_event_handler(on_event)
    server.set_error_handler(on_error)
    listener = asyncio.ensure_future(listen(server))
    await server.run_async()
    listener.cancel()
    write({"event": "ended"})


asyncio.run(main(*sys.argv[1:]))
