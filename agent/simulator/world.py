"""Everything the pretend platform remembers, and the two ways out of it: frames to sockets and news to watchers.

Pure state under the rules (``rules`` for what the bot sends, ``people`` for what people do): synchronous, with ``now``
passed in. Whoever owns the sockets reads ``outbox`` when ``wake`` is called.
"""

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agent.simulator import faults as faulty
from agent.simulator import wire
from agent.simulator.bubbles import Bubble
from agent.simulator.callbacks import Callback, Callbacks
from agent.simulator.chats import Chat, Chats
from agent.simulator.interactions import Interactions
from agent.simulator.limits import Window
from agent.simulator.media import Link
from agent.simulator.options import Options
from agent.simulator.shelf import Shelf
from agent.simulator.trace import Trace
from agent.simulator.uploads import Uploads
from agent.simulator.violations import RULES, Violation
from agent.simulator.wire import Json

LINKS_KEPT = 10_000
TASK_IDS_KEPT = 100_000
DELIVERED_KEPT = 1000
CODES_KEPT = 10_000

News = Literal["message", "answered", "bot", "chat", "trace", "violation"]
BotState = Literal["subscribed", "connected", "displaced", "gone"]


@dataclass(slots=True, eq=False)
class Connection:
    """One socket of a bot. ``pending`` holds the commands that are not acked yet: req_id -> when, command."""

    number: int
    peer: str
    opened: float
    heard: float
    subscribed: bool = False
    ever_subscribed: bool = False
    subscribing: bool = False  # the ack of the subscribe has not left yet
    displaced: float | None = None
    refused: float | None = None
    lost: bool = False  # the platform forgot the subscription, by a fault
    lost_pings_pass: bool = False
    frozen: bool = False
    pending: dict[str, tuple[float, str]] = field(default_factory=dict)
    chunks: int = 0
    last_ping: float | None = None  # the newest one that was answered at once


@dataclass(frozen=True, slots=True)
class Send:
    """A frame to a socket: ``copies`` times, ``delay`` seconds late. Writing it settles the command ``settles``."""

    conn: Connection
    data: str | bytes
    copies: int = 1
    delay: float = 0.0
    settles: str = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """A socket to end: with a close frame of that code, or without one (None)."""

    conn: Connection
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Freeze:
    """A socket that is no longer read (or is again)."""

    conn: Connection
    on: bool


Output = Send | Drop | Freeze


class World:
    """``base`` is the HTTP address of the simulator, for links; it may be set once the server listens."""

    def __init__(self, *, bot_id: str, secret: str, bot_name: str, options: Options, folder: Path) -> None:
        self.bot_id = bot_id
        self.secret = secret
        self.bot_name = bot_name
        self.options = options
        self.base = ""
        self.connections: dict[int, Connection] = {}
        self.owner: Connection | None = None
        self.displaced_at: float | None = None  # when a subscribe last displaced somebody
        self.subscribes = Window(options.subscribes_per_minute, 0)
        self.chats = Chats(options.per_minute, options.per_hour)
        self.callbacks = Callbacks(options.callbacks_kept)
        self.interactions: Interactions[Any] = Interactions(options.interactions, options.interaction_expiry)
        self.shelf = Shelf(folder, options.media_kept, options.media_bytes_kept)
        self.uploads = Uploads(options, self.shelf)
        self.links: dict[str, Link] = {}
        self.response_codes: dict[str, tuple[str, float]] = {}  # code -> chat, when it was made
        self._used_codes: set[str] = set()
        self.bubbles: dict[str, Bubble] = {}
        self.streams: dict[tuple[str, str], Bubble] = {}  # by req_id and stream id, while the bubble is listed
        self.stream_requests: dict[str, str] = {}  # stream id -> the req_id that used it first
        self.open_streams: dict[tuple[str, str], Bubble] = {}  # unfinished and not expired, oldest first
        self.task_ids: dict[str, None] = {}
        self.delivered: dict[str, Json] = {}  # msgid -> the frame, for redelivery
        self.trace = Trace(options.trace_size, options.trace_text, secret)
        self.violations: list[Violation] = []
        self.violation_count = 0
        self.faults = faulty.Faults({})
        self.outbox: list[Output] = []
        self.wake: Callable[[], None] = lambda: None
        self.watchers: list[Callable[[News, Any], None]] = []
        self._connection_count = 0
        self._bubble_count = 0

    # -- out: frames -----------------------------------------------------------------------------------------------

    def put(self, output: Output) -> None:
        self.outbox.append(output)
        if len(self.outbox) == 1:
            self.wake()

    def ack(self, conn: Connection, command: str, req_id: str, frame: Json, now: float) -> None:
        """Answers a command, as the faults allow."""
        if conn.frozen:
            return
        fate = self.faults.ack_fate(command)
        if command == wire.PING:
            # A ping whose ack is lost or late may be asked again soon: only answered pings are held against a client.
            conn.last_ping = conn.last_ping if fate.copies and not fate.delay else None
            if self.faults.pong:
                frame = {"cmd": "pong", **frame}
        text = wire.encode(frame)
        errcode = frame["errcode"]
        said = f"ack of {command}" if not errcode else f"{command} refused: {errcode} {frame['errmsg']}"
        self._send(conn, text, "", frame.get("headers", {}).get("req_id", ""), fate, said, now, settles=req_id)

    def callback(self, conn: Connection, frame: Json, now: float, note: str = "") -> bool:
        """Sends a message or event to the bot, as the faults allow; False when it got lost on the way."""
        if conn.frozen:
            return False
        fate = self.faults.callback_fate()
        self._send(conn, wire.encode(frame), frame["cmd"], frame["headers"]["req_id"], fate, note, now)
        return fate.copies > 0

    def raw(self, conn: Connection, data: str | bytes, note: str, now: float) -> None:
        """Sends exactly this."""
        self._traced(now, "in", conn, "", "", data, note)
        self.put(Send(conn, data))

    def _send(
        self,
        conn: Connection,
        text: str,
        cmd: str,
        req_id: str,
        fate: faulty.Fate,
        note: str,
        now: float,
        *,
        settles: str = "",
    ) -> None:
        if self.faults.control_characters:
            text = faulty.sprinkle(text)
        if fate.note:
            note = f"{note}; {fate.note}" if note else fate.note
        self._traced(now, "in", conn, cmd, req_id, text, note)
        self.put(Send(conn, text, fate.copies, fate.delay, settles))

    def settle(self, conn: Connection, req_id: str) -> None:
        """The ack of ``req_id`` was written, or is lost for good."""
        match conn.pending.pop(req_id, None):
            case (_, wire.UPLOAD_CHUNK):
                conn.chunks -= 1
            case (_, wire.SUBSCRIBE):
                conn.subscribing = False

    # -- out: news -------------------------------------------------------------------------------------------------

    def tell(self, kind: News, value: Any) -> None:
        for watcher in self.watchers:
            watcher(kind, value)

    def heard(self, conn: Connection, cmd: str, req_id: str, data: str | bytes, note: str, now: float) -> None:
        self._traced(now, "out", conn, cmd, req_id, data, note)

    def _traced(
        self, now: float, direction: str, conn: Connection, cmd: str, req_id: str, data: str | bytes, note: str
    ) -> None:
        entry = self.trace.add(now, direction, conn.number, cmd, req_id, data, note)
        if entry is not None and self.watchers:
            self.tell("trace", entry)

    def violate(self, rule: str, detail: str, conn: Connection | int, now: float, section: str = "") -> None:
        """Records misbehaviour; the section comes from the table of rules unless a refusal names it."""
        number = conn if isinstance(conn, int) else conn.number
        violation = Violation(rule, section or RULES[rule], detail[:500], number, now)
        self.violation_count += 1
        if len(self.violations) < self.options.violations_kept:
            self.violations.append(violation)
        self.tell("violation", violation)

    @property
    def bot_state(self) -> BotState:
        if self.owner is not None:
            return "subscribed"
        if not self.connections:
            return "gone"
        return "displaced" if any(c.displaced is not None for c in self.connections.values()) else "connected"

    # -- sockets ---------------------------------------------------------------------------------------------------

    def opened(self, peer: str, now: float) -> Connection:
        self._connection_count += 1
        conn = Connection(self._connection_count, peer, now, now)
        self.connections[conn.number] = conn
        self.tell("bot", self.bot_state)
        return conn

    def closed(self, conn: Connection) -> None:
        self.connections.pop(conn.number, None)
        conn.subscribed = False
        if self.owner is conn:
            self.owner = None
        self.tell("bot", self.bot_state)

    # -- bubbles ---------------------------------------------------------------------------------------------------

    def show(self, chat: Chat, bubble: Bubble, callback: Callback | None = None) -> None:
        """Puts a new bubble at the end of its chat; the oldest one of a full log goes."""
        chat.log[bubble.id] = bubble
        self.bubbles[bubble.id] = bubble
        if callback is not None:
            callback.shown.append(bubble)
        if len(chat.log) > self.options.messages_kept:
            self._drop_bubble(chat.log.pop(next(iter(chat.log))))
        self.tell("message", bubble)

    def _drop_bubble(self, bubble: Bubble) -> None:
        bubble.listed = False
        del self.bubbles[bubble.id]
        if bubble.finished or bubble.expired:
            self.forget(bubble)

    def forget(self, bubble: Bubble) -> None:
        """Drops what else holds a bubble that is no longer listed; an open stream is held until its end."""
        if bubble.stream_id:
            self.streams.pop((bubble.req_id, bubble.stream_id), None)
            self.stream_requests.pop(bubble.stream_id, None)
        callback = self.callbacks.get(bubble.req_id)
        if callback is not None and bubble in callback.shown:
            callback.shown.remove(bubble)

    def new_bubble(self, chat: Chat, sender: str, kind: str, now: float) -> Bubble:
        self._bubble_count += 1
        return Bubble(f"m{self._bubble_count}", chat.id, sender, kind, now)

    # -- small stores ----------------------------------------------------------------------------------------------

    def link(self, link: Link) -> Link:
        _keep(self.links, link.token, link, LINKS_KEPT)
        return link

    def response_code(self, chat: Chat, now: float) -> str:
        code = secrets.token_urlsafe(24)
        _keep(self.response_codes, code, (chat.id, now), CODES_KEPT)
        return code

    def use_response_code(self, code: str) -> bool:
        """False when it was used before: the second use is answered and shows nothing (protocol §17)."""
        fresh = code not in self._used_codes
        self._used_codes.add(code)
        return fresh

    def use_task_id(self, task_id: str) -> None:
        _keep(self.task_ids, task_id, None, TASK_IDS_KEPT)

    def remember(self, msgid: str, frame: Json) -> None:
        _keep(self.delivered, msgid, frame, DELIVERED_KEPT)


def _keep(store: dict[str, Any], key: str, value: Any, limit: int) -> None:
    store[key] = value
    if len(store) > limit:
        del store[next(iter(store))]


def new_id() -> str:
    """A msgid or req_id: opaque, unique, without a meaning a client could come to depend on."""
    return uuid.uuid4().hex
