"""A bot without a model: what the handler framework `agent.wecom` does, one kind of message after the other.

    export WECOM_BOT_ID=... WECOM_BOT_SECRET=... WECOM_BOT_NAME=...
    python demo/demo.py

Send it text, "count", "card", a picture, a file; open the chat to see the welcome. Ctrl-C ends it.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from agent.wecom import (
    EventReqMsg,
    FileReqMsg,
    ImageReqMsg,
    ReqMsg,
    RspFileMsg,
    RspMarkdownMsg,
    RspMsg,
    RspStreamMsg,
    RspTemplateCardMsg,
    RspTextMsg,
    TextReqMsg,
    VoiceReqMsg,
    WecomAIBotWsServer,
)

FOLDER = Path(tempfile.gettempdir()) / "wecom-demo"  # where the files of people are kept


async def handle(message: ReqMsg, server: WecomAIBotWsServer) -> RspMsg | AsyncIterator[RspMsg] | None:
    """Gets every message; what it returns is the answer."""
    match message:
        case TextReqMsg(content="count"):
            return count()  # a generator: a bubble that grows
        case TextReqMsg(content="card"):
            return RspTemplateCardMsg(card("Shall we?", "yes", "no"))
        case TextReqMsg(content="fail"):
            raise ValueError("this handler fails on purpose")
        case TextReqMsg():
            return RspMarkdownMsg(f"**{message.from_userid}** says:\n\n> {message.content}")
        case VoiceReqMsg():
            return RspTextMsg(f"You spoke: {message.content}")
        case ImageReqMsg(image_url=str(url)):
            saved = await server.save_file(url, message.aes_key, FOLDER)  # decrypted, in bounded memory
            return RspTextMsg(f"A picture of type {saved.mime}, {saved.size} bytes.")
        case FileReqMsg(file_url=str(url)):
            saved = await server.save_file(url, message.aes_key, FOLDER)
            return RspFileMsg(str(saved.path))  # uploaded, then sent back under its own name
    return RspTextMsg(f"That was {message.msg_type}.")


async def count() -> AsyncIterator[RspMsg]:
    """Each reply holds the whole text so far; the end of the generator finishes the bubble."""
    text = ""
    for number in range(1, 6):
        text += f"{number} "
        yield RspStreamMsg(text, finish=False)
        await asyncio.sleep(0.2)


def on_event(event: EventReqMsg) -> RspMsg | None:
    """Gets every event; handlers may be plain functions, too, and then run in a thread."""
    if event.event_type == "enter_chat":
        return RspTextMsg("Hello! Send me text, count, card, a picture or a file.")
    if event.event_type == "template_card_event":
        return RspTemplateCardMsg(card(f"You chose {event.event_key}."))  # replaces the card, within five seconds
    return None


def on_error(error: Exception) -> RspMsg:
    """Gets what a handler raised; may return what the person sees."""
    return RspTextMsg(f"Sorry, that went wrong ({type(error).__name__}).")


def card(title: str, *keys: str) -> dict[str, object]:
    buttons = [{"text": key, "key": key, "style": 1} for key in keys or ("ok",)]
    return {
        "card_type": "button_interaction",
        "main_title": {"title": title},
        "button_list": buttons,
        "card_action": {"type": 1, "url": "https://work.weixin.qq.com/"},
        "task_id": f"demo-{time.time_ns()}",
    }


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    bot = WecomAIBotWsServer()
    bot.set_message_handler(handle)
    bot.set_event_handler(on_event)
    bot.set_error_handler(on_error)
    bot.run()
