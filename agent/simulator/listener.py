"""An ASGI application on a socket of the running loop: uvicorn's protocols without its process manager.

uvicorn's own ``Server`` installs signal handlers, exits the process when a port is taken, and takes 0.1 s or more to
stop; all of that belongs to whoever opened the simulator.
"""

import asyncio
from email.utils import formatdate
from typing import Any

from starlette.applications import Starlette
from uvicorn import Config
from uvicorn.server import ServerState

GRACE = 1.0  # seconds that open requests get when the listener closes


class Listener:
    """Serves ``app`` from ``open`` until ``close``."""

    def __init__(self, app: Starlette) -> None:
        self._config = Config(
            app, loop="asyncio", http="h11", ws="websockets-sansio", lifespan="off", log_config=None, access_log=False,
            proxy_headers=False, server_header=False, ws_ping_interval=None,
        )  # fmt: skip
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """The port that it listens on. OSError when it is taken."""
        self._config.load()
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self._server = await asyncio.get_running_loop().create_server(self._protocol, host, port)
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    def _protocol(self) -> asyncio.Protocol:
        kind: Any = self._config.http_protocol_class
        protocol: asyncio.Protocol = kind(config=self._config, server_state=self._state, app_state={})
        return protocol

    async def close(self) -> None:
        """Stops listening, lets open requests end for a moment, then cuts them."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=GRACE)
        for task in self._state.tasks:
            task.cancel()
        for connection in list(self._state.connections):
            transport: Any = connection.transport
            transport.abort()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks)
        await self._server.wait_closed()
        self._server = None
