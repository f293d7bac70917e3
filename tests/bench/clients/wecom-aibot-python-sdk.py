"""The bench's client on the PyPI package wecom-aibot-python-sdk. It has no upload."""

import asyncio
from typing import Any

import aibot.ws
from aibot import WSClient, WSClientOptions, generate_req_id
from orders import BOT_ID, WS_URL, Silent, contents, serve

# It hands its TLS context to the socket library for every URL, which refuses that for the bench's ws://.
aibot.ws._SSL_CONTEXT = None


async def main() -> None:
    client = WSClient(WSClientOptions(bot_id=BOT_ID, secret="secret", ws_url=WS_URL, logger=Silent()))

    async def answer(frame: dict[str, Any]) -> None:
        texts = contents(int(frame["body"]["text"]["content"]))
        stream_id = generate_req_id("stream")
        for text in texts:
            await client.reply_stream(frame, stream_id, text, False)
        await client.reply_stream(frame, stream_id, texts[-1], True)

    async def download(url: str, key: str) -> bytes:
        data, _ = await client.download_file(url, key)
        return data

    client.on("message.text", answer)
    await client.connect()
    await serve(None, download)
    client.disconnect()


asyncio.run(main())
