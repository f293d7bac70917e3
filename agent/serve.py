"""`wecom-agent run`: the bot in this process until it is told to stop."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator

from agent import app, health
from agent.config import Settings
from agent.store import lock

# Seconds within which a second signal is the echo of the first.
SAME_SIGNAL = 1.0

_log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Runs the bot until Ctrl-C or SIGTERM; holds the data folder's lock meanwhile.

    Raises:
        DataLocked, StoreError: another bot works on the folder, or the database cannot be used.
        CannotListen: the address of AGENT_HTTP is taken.
        CredentialsRefused, Displaced, ReconnectExhausted: what ended the line.
    """
    with lock.hold(settings.data_dir):
        asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    async with app.opened(settings) as bot, health.listening(settings.http, app.database(settings), bot.state.line):
        _log.info(
            "bot %s, model %s, data in %s; Ctrl-C stops it",
            settings.bot_id,
            settings.openai_model,
            settings.data_dir.absolute(),
        )
        with stopped_by_signals(bot.stop):
            await bot.serve()


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` on the first Ctrl-C or SIGTERM; a second one cuts the drain time short: bubbles are closed at once.

    One Ctrl-C may come twice, from the terminal and from a program around this one: what follows within a second is
    the same one.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    asked_at: float | None = None
    hurried = False

    def taken() -> None:
        nonlocal asked_at, hurried
        if asked_at is None:
            asked_at = loop.time()
            _log.info("stopping: no new messages, running answers get ten seconds; a second Ctrl-C does not wait")
            stop()
        elif loop.time() - asked_at >= SAME_SIGNAL:
            hurried = True
            task.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(number, taken)
    try:
        yield
    except asyncio.CancelledError:
        if not hurried:
            raise
        while task.uncancel():
            pass
    finally:
        for number in numbers:
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                loop.remove_signal_handler(number)
