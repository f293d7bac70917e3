"""The far side: a strict pretend WeCom gateway with a browser playground and a scripted model, in one object.

    async with Simulator(bot_id="bot", secret="secret") as sim:
        bot = connect(sim.ws_url)                         # any client of the long connection
        await sim.gateway.subscribed()
        sent = sim.gateway.say("zhangsan", "hello")
        messages = await sim.gateway.answered(sent)
        assert not sim.gateway.check()                    # nothing that the protocol forbids

It enforces protocol §21; what no source attests is marked "(invented)" in the error texts, so that nobody comes to
depend on it. It shares no code with the client side.
"""

import asyncio
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from secrets import token_urlsafe
from types import TracebackType
from typing import Self

from agent.simulator import http, model, page
from agent.simulator.bubbles import Message
from agent.simulator.chats import Chat
from agent.simulator.door import is_loopback
from agent.simulator.faults import Faults
from agent.simulator.gateway import Gateway
from agent.simulator.listener import Listener
from agent.simulator.model import Script
from agent.simulator.options import Options
from agent.simulator.people import Quote, Sent
from agent.simulator.trace import TraceEntry
from agent.simulator.violations import Violation
from agent.simulator.world import World

__all__ = [
    "Chat",
    "Faults",
    "Gateway",
    "Message",
    "Options",
    "Quote",
    "Script",
    "Sent",
    "Simulator",
    "TraceEntry",
    "Violation",
]


def _reachable(host: str) -> str:
    """How this machine calls a server that listens on ``host``: a wildcard is no address."""
    name = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{name}]" if ":" in name else name


class Simulator:
    """Opens the gateway (``ws_url``), and media, control API, live feed, page and model (``http_url``).

    ``host`` and ``port`` are the HTTP side's, ``ws_host`` and ``ws_port`` the gateway's, which stays on this machine
    unless it is told otherwise; port 0 takes any free one. ``token`` guards the HTTP side; beyond loopback one is made
    up when none is given. ``now`` is the gateway's clock in seconds since the epoch: every deadline of the protocol
    follows it. ``script`` answers at ``model_url``. Raises OSError when a port is taken.
    """

    ws_url: str
    http_url: str

    def __init__(
        self,
        *,
        bot_id: str = "bot",
        secret: str = "secret",
        bot_name: str = "Bot",
        host: str = "127.0.0.1",
        port: int = 0,
        ws_host: str = "127.0.0.1",
        ws_port: int = 0,
        token: str = "",
        options: Options | None = None,
        now: Callable[[], float] = time.time,
        script: Script | None = None,
    ) -> None:
        self.options = options or Options()
        self.bot_id, self.secret, self.bot_name = bot_id, secret, bot_name
        self.script = script or Script()
        if not re.fullmatch(r"[\w.~-]*", token, re.ASCII):
            raise ValueError("a token may hold letters, digits and . _ ~ - only: it travels in addresses and cookies")
        self.token = token or ("" if is_loopback(host) else token_urlsafe(18))
        self._host, self._port = host, port
        self._ws_host, self._ws_port = ws_host, ws_port
        self._now = now
        self._stack = AsyncExitStack()
        self._gateway: Gateway | None = None

    @property
    def gateway(self) -> Gateway:
        if self._gateway is None:
            raise RuntimeError("the simulator is not open; use `async with Simulator(...) as sim`")
        return self._gateway

    @property
    def model_url(self) -> str:
        """What belongs into OPENAI_BASE_URL; with a token, the token is the API key."""
        return self.http_url + "/v1"

    @property
    def page_url(self) -> str:
        """What a person opens in a browser."""
        return f"{self.http_url}/?token={self.token}" if self.token else f"{self.http_url}/"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wecom-simulator-"))
            world = World(
                bot_id=self.bot_id,
                secret=self.secret,
                bot_name=self.bot_name,
                options=self.options,
                folder=Path(folder),
            )
            gateway = Gateway(world, self._now)
            stack.push_async_callback(gateway.close)
            ws_port = await gateway.open(self._ws_host, self._ws_port)
            others = [*page.routes(), *model.routes(self.script)]
            app = http.application(gateway, others, loopback=is_loopback(self._host), token=self.token)
            listener = Listener(app)
            stack.push_async_callback(listener.close)
            port = await listener.open(self._host, self._port)
            # Last, so that a port that is taken is an OSError and no group of errors.
            group = await stack.enter_async_context(asyncio.TaskGroup())
            gateway.start(group)
            stack.callback(gateway.stop)
            stack.callback(self.script.close)
            self.ws_url = f"ws://{_reachable(self._ws_host)}:{ws_port}"
            self.http_url = f"http://{_reachable(self._host)}:{port}"
            world.base = self.http_url
            self._gateway = gateway
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
