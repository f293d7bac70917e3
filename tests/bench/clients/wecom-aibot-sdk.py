"""The bench's client on the PyPI package wecom-aibot-sdk."""

import asyncio
from pathlib import Path
from typing import Any

from orders import BOT_ID, WS_URL, Silent, contents, serve
from wecom_aibot_sdk import WSClient, generate_req_id

client = WSClient(bot_id=BOT_ID, secret="secret", ws_url=WS_URL, logger=Silent())


async def answer(frame: dict[str, Any]) -> None:
    texts = contents(int(frame["body"]["text"]["content"]))
    stream_id = generate_req_id("stream")
    for text in texts:
        await client.reply_stream(frame, stream_id, text, False)
    await client.reply_stream(frame, stream_id, texts[-1], True)


async def upload(path: str) -> None:
    data = Path(path).read_bytes()  # noqa: ASYNC240 (as its README reads a file)
    await client.upload_media(data, type="file", filename=Path(path).name)


async def download(url: str, key: str) -> bytes:
    return (await client.download_file(url, key))["buffer"]


async def main() -> None:
    client.on("message.text", answer)
    await client.connect()
    await serve(upload, download)
    await client.disconnect()


asyncio.run(main())
