"""The bench's client on the PyPI package wecom-aibot-sdk-python."""

import asyncio
from typing import Any

from orders import BOT_ID, WS_URL, Silent, contents, serve
from wecom_aibot_sdk import WSClient, generate_req_id

client = WSClient({"bot_id": BOT_ID, "secret": "secret", "ws_url": WS_URL, "logger": Silent()})


async def answer(frame: Any) -> None:
    texts = contents(int(frame.body["text"]["content"]))
    stream_id = generate_req_id("stream")
    for text in texts:
        await client.reply_stream(frame, stream_id, text, finish=False)
    await client.reply_stream(frame, stream_id, texts[-1], finish=True)


async def download(url: str, key: str) -> bytes:
    data, _ = await client.download_file(url, key)
    return data


async def main() -> None:
    client.on("message.text", answer)
    await client.connect_async()
    await serve(client.upload_media, download)
    await client.disconnect()


asyncio.run(main())
