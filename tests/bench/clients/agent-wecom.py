"""The bench's client on `agent.wecom`. "paced 50" shows 50 texts, 20 a second, through the stream that keeps a pace."""

import asyncio

from orders import BOT_ID, WS_URL, contents, serve

from agent.wecom import RspStreamMsg, TextReqMsg, WecomAIBotWsServer

PACE = 0.05

server = WecomAIBotWsServer("bot", BOT_ID, "secret", WS_URL)


async def answer(message: TextReqMsg) -> None:
    mode, _, count = (message.content or "").rpartition(" ")
    texts = contents(int(count))
    if mode == "paced":
        async with server.open_stream(message) as bubble:
            for text in texts:
                bubble.show(text)
                await asyncio.sleep(PACE)
            await bubble.finish(texts[-1])
        return
    stream_id = f"stream-{message.msg_id}"
    for text in texts:
        await server.reply_message(message, RspStreamMsg(text, stream_id, finish=False))
    await server.reply_message(message, RspStreamMsg(texts[-1], stream_id, finish=True))


async def download(url: str, key: str) -> bytes:
    data, _ = await server.download_file(url, key)
    return data


async def main() -> None:
    server.set_message_handler(answer)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(server.run_async())
        await serve(lambda path: server.upload_media(path, "file"), download)
        await server.disconnect()
        await running


asyncio.run(main())
