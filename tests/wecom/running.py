"""A server of the framework on a pretend gateway, for one test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agent.wecom import WecomAIBotWsServer


def server_on(url: str, **settings: Any) -> WecomAIBotWsServer:
    settings = {"name": "Bot", "reconnect_interval": 100, **settings}
    return WecomAIBotWsServer(bot_id="bot", secret="secret", ws_url=url, **settings)


@asynccontextmanager
async def running(server: WecomAIBotWsServer, drain_time: int = 2000) -> AsyncIterator[WecomAIBotWsServer]:
    """`server`, subscribed. What ended it is raised at the end; so it may be the value of a fixture."""
    task = asyncio.ensure_future(server.run_async(drain_time))
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(15.0):
            await server.line.ready()
        yield server
    finally:
        server.stop()
        async with asyncio.timeout(20.0):
            await task
