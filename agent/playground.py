"""`wecom-agent playground`: simulator, bot and page in one process; no credentials, nothing leaves the machine.

The bot is the real one, on a real WebSocket to the pretend gateway; only its far side is simulated. With a configured
model the answers are real, without one a scripted model demonstrates.
"""

import asyncio
import contextlib
import logging
import sys
import threading
import webbrowser
from dataclasses import replace

from agent import app, health
from agent.chat.prompts import Prompts
from agent.config import Settings
from agent.serve import stopped_by_signals
from agent.simulator import Simulator
from agent.store import lock

BOT_ID, SECRET = "playground", "playground-secret"
BOT_NAME = {"zh": "小助手", "en": "Assistant"}

_log = logging.getLogger(__name__)


class CannotListen(OSError):
    """The page's address cannot be used."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"cannot listen on {host}, port {port} ({reason}); give another --port (0 picks one) or --host"
        )


def play(settings: Settings, *, host: str, port: int, browser: bool, scripted: bool) -> None:
    """Serves the playground until Ctrl-C.

    Args:
        settings: the deployment's; the `WECOM_BOT_*` ones are not used.
        host, port: of the page; port 0 picks a free one.
        browser: whether to open the page.
        scripted: the scripted model instead of the configured one.

    Raises:
        DataLocked, StoreError: another playground works on the folder, or the database cannot be used.
        CannotListen: the port is taken, or the host is none of this machine's.
    """
    folder = settings.data_dir / "playground"
    with lock.hold(folder):
        asyncio.run(_play(replace(settings, data_dir=folder), host, port, browser, scripted))


async def _play(settings: Settings, host: str, port: int, browser: bool, scripted: bool) -> None:
    name = settings.bot_name or BOT_NAME[settings.language]
    async with contextlib.AsyncExitStack() as stack:
        simulator = Simulator(bot_id=BOT_ID, secret=SECRET, bot_name=name, host=host, port=port)
        try:
            await stack.enter_async_context(simulator)
        except OSError as error:
            raise CannotListen(host, port, health.reason(error)) from error
        settings = replace(settings, bot_id=BOT_ID, bot_secret=SECRET, bot_name=name, ws_url=simulator.ws_url)
        if scripted:
            settings = replace(
                settings,
                openai_base_url=simulator.model_url,
                openai_api_key=simulator.token or "scripted",
                openai_model="scripted",
            )
        async with app.opened(settings) as bot:
            _say(simulator.page_url, settings, scripted)
            if browser:  # nobody waits for it: one in the terminal returns when it is closed
                threading.Thread(target=webbrowser.open, args=(simulator.page_url,), daemon=True).start()
            with stopped_by_signals(bot.stop):
                await bot.serve()


def _say(url: str, settings: Settings, scripted: bool) -> None:
    model = (
        "a scripted model (set OPENAI_API_KEY and OPENAI_MODEL for a real one)" if scripted else settings.openai_model
    )
    lines = (
        f"Playground: {url}",
        f"  model   {model}",
        f"  data    {settings.data_dir.absolute()}",
        f"  prompts {Prompts(settings.prompts_dir).folder.absolute()} (edits apply to the next message)",
        "Ctrl-C stops it.",
    )
    print("\n".join(lines), file=sys.stdout, flush=True)
