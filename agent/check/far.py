"""What can only be checked by asking: the way there, the models, WeCom."""

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.check.rows import Mark, Row, split
from agent.config import Settings
from agent.look import DATABASE
from agent.store import StoreError, lock, read, status
from agent.store.columns import moment

if TYPE_CHECKING:
    from agent.model.client import ModelClient
    from agent.model.errors import ModelError

# A live bot says every ten seconds how it is; one that has been silent for longer hangs.
SILENCE = 35.0

# Seconds for one subscription: the way there, a proxy, TLS, the ack.
SUBSCRIBE_TIMEOUT = 30.0
# Seconds until a model has to say something, and to be done; no second try.
MODEL_FIRST_TOKEN, MODEL_TOTAL = 30.0, 60.0


def proxy_rows(settings: Settings) -> Iterator[Row]:
    """Which way the line and the model go, as their libraries read the environment."""
    from agent.model.endpoint import DEFAULT_URL
    from agent.model.wire import proxy_for

    model_url = settings.openai_base_url or DEFAULT_URL
    for what, url, find in (("WeCom", settings.ws_url, line_proxy), ("model", model_url, proxy_for)):
        host = urlsplit(url).hostname or url
        try:
            proxy = find(url)
        except ValueError as error:
            yield split("proxy", "fail", f"{what}, {host}: {error}")
            continue
        way = f"through {_without_password(proxy)}" if proxy else "directly"
        yield Row("proxy", "ok", f"{what}: {host} {way}")


def line_proxy(url: str) -> str | None:
    """The proxy that the line takes to `url`. Raises ValueError for one that cannot be used."""
    from websockets.exceptions import InvalidProxy
    from websockets.proxy import get_proxy, parse_proxy
    from websockets.uri import parse_uri

    from agent.wecom import is_loopback

    uri = parse_uri(url)
    proxy = None if is_loopback(uri.host) else get_proxy(uri)
    if proxy is None:
        return None
    try:
        scheme = parse_proxy(proxy).scheme
    except InvalidProxy:
        raise ValueError(f"{_without_password(proxy)!r} is no proxy; set HTTPS_PROXY to http://host:port") from None
    if scheme.startswith("socks"):
        from importlib.util import find_spec

        if find_spec("python_socks") is None:
            raise ValueError(
                f"a {scheme} proxy needs the package python-socks; install it, or set HTTPS_PROXY to an http:// proxy"
            )
    return proxy


def _without_password(url: str) -> str:
    return re.sub(r"(\w+://|^).*@", r"\1***@", url)


async def ask_models(settings: Settings, add: Callable[[Row], None]) -> None:
    """A row for each model that is set, and one about seeing pictures."""
    from agent.model.client import ModelClient, Patience

    if not settings.model_configured:
        add(Row("model", "-", "not asked: the settings name none", "see the rows of the settings"))
        return
    patience = Patience(first_token=MODEL_FIRST_TOKEN, total=MODEL_TOTAL, retries=0)
    try:
        async with ModelClient(
            settings.openai_base_url or None, settings.openai_api_key or None, patience=patience
        ) as client:
            await _ask_each(client, settings, add)
    except ValueError as error:
        add(split("model", "fail", str(error)))


async def _ask_each(client: "ModelClient", settings: Settings, add: Callable[[Row], None]) -> None:
    from agent.model.probe import probe

    main = await probe(client, settings.openai_model, image=True)
    if main.error is None:
        add(Row("model", "ok", f"{main.model} answers after {main.seconds:.1f} s"))
    else:
        add(_refused("fail", main.model, main.error))
    others = dict.fromkeys(settings.openai_fallback_models, "OPENAI_FALLBACK_MODELS")
    others |= dict.fromkeys(settings.openai_models, "OPENAI_MODELS")
    for name, setting in others.items():
        if name == settings.openai_model:
            continue
        found = await probe(client, name)
        if found.error is None:
            add(Row("model", "ok", f"{name} ({setting}) answers after {found.seconds:.1f} s"))
        else:
            add(_refused("warn", f"{name} ({setting})", found.error))
    if main.error is None or settings.openai_vision_model:
        add(await _vision_row(client, settings, main.sees))
    else:
        add(Row("vision", "-", f"not asked: {main.model} does not answer"))


def _refused(mark: Mark, name: str, error: "ModelError") -> Row:
    row = split("model", mark, str(error))
    said = f": {error.said!r}" if error.said else ""
    return replace(row, finding=f"{name}: {row.finding}{said}")


async def _vision_row(client: "ModelClient", settings: Settings, main_sees: bool | None) -> Row:
    from agent.model.probe import probe

    name = settings.openai_vision_model
    if main_sees:
        return Row("vision", "ok", f"{settings.openai_model} sees pictures")
    if not name:
        remedy = "set OPENAI_VISION_MODEL to a model that does, or people's pictures go unseen"
        finding = "does not see pictures" if main_sees is False else "could not be asked about a picture"
        return Row("vision", "warn", f"{settings.openai_model} {finding}", remedy)
    found = await probe(client, name, image=True)
    if found.error is not None:
        return replace(_refused("warn", f"{name} (OPENAI_VISION_MODEL)", found.error), what="vision")
    if found.sees:
        return Row("vision", "ok", f"{name} sees pictures for {settings.openai_model}")
    finding = "does not see pictures" if found.sees is False else "could not be asked about a picture"
    return Row("vision", "warn", f"{name} (OPENAI_VISION_MODEL) {finding}", "set a model that does")


async def ask_wecom(settings: Settings, add: Callable[[Row], None]) -> None:
    """The live bot's own word while one holds the data folder; otherwise a short subscription."""
    add(await _line_row(settings))


async def _line_row(settings: Settings) -> Row:
    holder = lock.holder(settings.data_dir)
    if holder is not None:
        return live_row(settings, holder, datetime.now(UTC))
    if not (settings.bot_id and settings.bot_secret):
        return Row("wecom", "-", "not asked: Bot ID or Secret is missing", "see the rows of the settings")
    if settings.ca_file is not None:
        try:
            ssl.create_default_context(cafile=str(settings.ca_file))
        except OSError as error:
            reason = f"WECOM_CA_FILE {str(settings.ca_file)!r} cannot be used ({error})"
            return Row("wecom", "fail", reason, "give a PEM file with the CA's certificate")
    return await _subscribe(settings)


def live_row(settings: Settings, holder: lock.Holder, now: datetime) -> Row:
    """What the running bot last said of itself."""
    who = f"the running bot (process {holder.pid})" if holder.pid else "the running bot"
    try:
        with read(settings.data_dir / DATABASE) as db:
            entries = status.entries(db)
    except StoreError as error:
        return Row("wecom", "warn", f"{who} has not said anything yet ({error})", "ask again in a few seconds")
    said = {name: entry.value for name, entry in entries.items()}
    at = moment(entries["state"].updated_at) if "state" in entries else None
    if at is None or (holder.started_at is not None and at < holder.started_at):
        return Row("wecom", "warn", f"{who} is starting", "ask again in a few seconds")
    age = (now - at).total_seconds()
    if age > SILENCE:
        return Row("wecom", "fail", f"{who} has been silent for {age:.0f} s", "it hangs: look at its log, restart it")
    if settings.bot_id and said.get("bot_id") != settings.bot_id:
        finding = f"{who} uses the Bot ID {said.get('bot_id')!r}, the settings say {settings.bot_id!r}"
        return Row("wecom", "warn", finding, "restart it if the settings are right")
    if said.get("state") == "subscribed":
        since = moment(said["subscribed_at"]).astimezone(settings.timezone)
        finding = f"{who} is subscribed since {since:%Y-%m-%d %H:%M:%S} (connection {said.get('connections')})"
        return Row("wecom", "ok", finding)
    finding = f"{who} is not subscribed: {': '.join(filter(None, (said.get('state'), said.get('reason'))))}"
    return Row("wecom", "fail", finding, "it tries again by itself; its log has the details")


async def _subscribe(settings: Settings) -> Row:
    """One connection for as long as the subscribe ack takes."""
    from agent.app import line_of
    from agent.chat import words
    from agent.wecom import ReconnectExhausted, WecomError

    server = line_of(replace(settings, max_reconnect_attempts=0), words.of(settings.language))
    started, took = time.monotonic(), 0.0

    def take(state: str, _reason: str) -> None:
        nonlocal took
        if state == "subscribed":
            took = time.monotonic() - started
            server.stop()

    server.set_state_handler(take)
    host = urlsplit(settings.ws_url).hostname
    try:
        async with asyncio.timeout(SUBSCRIBE_TIMEOUT):
            await server.run_async()
    except TimeoutError:
        finding = f"{host} has not answered within {SUBSCRIBE_TIMEOUT:g} s"
        return Row("wecom", "fail", finding, "check the network, HTTPS_PROXY and WECOM_BOT_WS_URL")
    except ReconnectExhausted as error:
        return _unconnected(str(error.last))
    except (WecomError, ImportError, OSError, ValueError) as error:
        return split("wecom", "fail", str(error))
    return Row("wecom", "ok", f"{settings.bot_id} subscribed at {host} after {took:.1f} s")


def _unconnected(reason: str) -> Row:
    row = split("wecom", "fail", reason.removeprefix("the connection to WeCom is down: "))
    return row if row.remedy else replace(row, remedy="check the network, HTTPS_PROXY and WECOM_BOT_WS_URL")
