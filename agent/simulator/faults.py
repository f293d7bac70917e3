"""Faults on demand: what the line and the platform do wrong, and when. It decides; others carry out.

Counters run down as frames pass; settings stay until they are changed or ``clear()`` is called. A command name of ""
means any command. Everything here happened to somebody, or is what a robust client has to survive (protocol §21.6).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agent.simulator import wire
from agent.simulator.wire import Json

Garbage = Literal[
    "not-json", "binary", "array", "null", "empty", "no-headers", "null-body", "no-msgtype", "unknown-cmd",
    "orphan-error", "unknown-ack", "deep", "huge",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one outgoing frame: how many copies leave, and after how many seconds."""

    copies: int = 1
    delay: float = 0.0

    @property
    def note(self) -> str:
        said = [] if self.copies == 1 else ["lost" if self.copies == 0 else f"{self.copies} copies"]
        return ", ".join(said + ([f"{self.delay:g} s late"] if self.delay else []))


_UNTOUCHED = Fate()


class Faults:
    """State of all faults. ``acts`` carries out what needs the gateway: drop, freeze, garbage and so on."""

    def __init__(self, acts: Mapping[str, Callable[..., Any]]) -> None:
        self._acts = acts
        self.clear()

    def clear(self) -> None:
        """Back to a gateway that works. Frozen sockets stay frozen: thaw them."""
        self.ack_delay = 0.0  # seconds, for every ack
        self.ack_delays: dict[str, float] = {}  # the same for one command, instead of ``ack_delay``
        self.lost_acks: dict[str, int] = {}
        self.duplicated_acks: dict[str, int] = {}
        self.lost_commands: dict[str, int] = {}
        self.lost_callbacks = 0
        self.duplicated_callbacks = 0
        self.errcodes: dict[str, list[tuple[int, int]]] = {}  # command -> (errcode, frames left), in order
        self.control_characters = False  # raw control characters inside JSON strings (protocol §1.1)
        self.pong = False  # ping acks carry cmd "pong" (protocol §3)
        self.refused_connections: int | bool = False  # a number runs down; True: all of them
        self.refusal: Literal["503", "reset", "stall"] = "503"
        self.media_statuses: list[int] = []  # HTTP status of the next downloads
        self.media_rate = 0  # bytes a second; 0: unlimited
        self.media_delay = 0.0  # seconds before the first byte
        self.media_damage: list[str] = []  # of the next downloads: cut, garbled, short (not a block)

    # -- acks and callbacks ----------------------------------------------------------------------------------------

    def delay_acks(self, seconds: float, command: str = "") -> None:
        """All acks, or those of ``command``, leave so late; a client gives up at 5 s (protocol §9.4)."""
        if command:
            self.ack_delays[command] = seconds
        else:
            self.ack_delay = seconds

    def lose_acks(self, frames: int = 1, command: str = "") -> None:
        """The next acks never leave, although the commands have had their effect."""
        self.lost_acks[command] = self.lost_acks.get(command, 0) + frames

    def lose_commands(self, frames: int = 1, command: str = "") -> None:
        """The next commands never arrive: no effect and no ack. To the bot it looks the same as a lost ack."""
        self.lost_commands[command] = self.lost_commands.get(command, 0) + frames

    def duplicate_acks(self, frames: int = 1, command: str = "") -> None:
        self.duplicated_acks[command] = self.duplicated_acks.get(command, 0) + frames

    def lose_callbacks(self, frames: int = 1) -> None:
        """The next messages and events get lost on the way to the bot."""
        self.lost_callbacks += frames

    def duplicate_callbacks(self, frames: int = 1) -> None:
        self.duplicated_callbacks += frames

    def refuse(self, command: str, errcode: int, frames: int = 1) -> None:
        """The next frames of ``command`` are answered with ``errcode`` and have no effect."""
        self.errcodes.setdefault(command, []).append((errcode, frames))

    def refuse_connections(self, count: int | bool = True, how: Literal["503", "reset", "stall"] = "503") -> None:
        """New sockets get HTTP 503, a reset, or no answer at all; False ends it."""
        self.refused_connections, self.refusal = count, how

    def ack_fate(self, command: str) -> Fate:
        copies = 1
        if self.lost_acks and _take(self.lost_acks, command):
            copies = 0
        elif self.duplicated_acks and _take(self.duplicated_acks, command):
            copies = 2
        delay = self.ack_delays.get(command, self.ack_delay)
        return _UNTOUCHED if copies == 1 and not delay else Fate(copies, delay)

    def command_is_lost(self, command: str) -> bool:
        return bool(self.lost_commands) and _take(self.lost_commands, command)

    def callback_fate(self) -> Fate:
        if self.lost_callbacks:
            self.lost_callbacks -= 1
            return Fate(0)
        if self.duplicated_callbacks:
            self.duplicated_callbacks -= 1
            return Fate(2)
        return _UNTOUCHED

    def errcode(self, command: str) -> int:
        """The error that this frame of ``command`` gets, or 0."""
        for name in (command, ""):
            if queue := self.errcodes.get(name):
                errcode, frames = queue[0]
                if frames > 1:
                    queue[0] = (errcode, frames - 1)
                else:
                    queue.pop(0)
                return errcode
        return 0

    def refused_connection(self) -> str:
        """How a new socket is refused, or empty."""
        if self.refused_connections is True:
            return self.refusal
        if self.refused_connections:
            self.refused_connections -= 1
            return self.refusal
        return ""

    # -- media -----------------------------------------------------------------------------------------------------

    def media_error(self, status: int = 503, downloads: int = 1) -> None:
        self.media_statuses += [status] * downloads

    def slow_media(self, bytes_per_second: int = 0, delay: float = 0.0) -> None:
        self.media_rate, self.media_delay = bytes_per_second, delay

    def damage_media(self, how: Literal["cut", "garbled", "short"] = "garbled", downloads: int = 1) -> None:
        """``cut``: the connection ends half-way; ``garbled``: wrong bytes, so the padding is wrong; ``short``: not a
        whole number of blocks."""
        self.media_damage += [how] * downloads

    def media_fate(self) -> tuple[int, str]:
        """HTTP status and damage of the next download."""
        status = self.media_statuses.pop(0) if self.media_statuses else 200
        return status, self.media_damage.pop(0) if self.media_damage and status == 200 else ""

    # -- at once, carried out by the gateway -----------------------------------------------------------------------

    def drop(self, code: int = 1006) -> None:
        """Ends the bot's sockets: 1006 by a reset without a close frame, any other code by a closing handshake."""
        self._acts["drop"](code)

    def lose_subscription(self, *, pings_pass: bool = False) -> None:
        """The socket stays open, and every command on it is answered with 846609 (protocol §2)."""
        self._acts["lose_subscription"](pings_pass=pings_pass)

    def freeze(self) -> None:
        """Half-open: the sockets stay open, nothing on them is read or answered any more."""
        self._acts["freeze"]()

    def thaw(self) -> None:
        self._acts["thaw"]()

    def garbage(self, kind: Garbage = "not-json") -> None:
        """One frame that makes no sense, to the bot."""
        self._acts["garbage"](kind)

    def redeliver(self, msgid: str, *, new_req_id: bool = False) -> None:
        """The same message once more, as the document allows (protocol §5). KeyError for an unknown msgid."""
        self._acts["redeliver"](msgid, new_req_id=new_req_id)

    def forget_requests(self) -> None:
        """Every req_id given out so far becomes invalid: 846605."""
        self._acts["forget_requests"]()

    def expire_streams(self) -> None:
        """Every open stream is too old from now on: 846608."""
        self._acts["expire_streams"]()

    def inject(self, frame: Json) -> None:
        """This very frame to the bot; the req_id of a message or event in it becomes answerable."""
        self._acts["inject"](frame)

    # -- by name, for the HTTP API ---------------------------------------------------------------------------------

    def state(self) -> Json:
        return {
            "ack_delay": self.ack_delay,
            "ack_delays": dict(self.ack_delays),
            "lost_acks": dict(self.lost_acks),
            "duplicated_acks": dict(self.duplicated_acks),
            "lost_commands": dict(self.lost_commands),
            "lost_callbacks": self.lost_callbacks,
            "duplicated_callbacks": self.duplicated_callbacks,
            "errcodes": {command: [list(entry) for entry in entries] for command, entries in self.errcodes.items()},
            "control_characters": self.control_characters,
            "pong": self.pong,
            "refused_connections": self.refused_connections,
            "refusal": self.refusal,
            "media_statuses": list(self.media_statuses),
            "media_rate": self.media_rate,
            "media_delay": self.media_delay,
            "media_damage": list(self.media_damage),
        }

    def apply(self, name: str, arguments: Json) -> None:
        """Calls the fault ``name``. ValueError for an unknown name or arguments that do not fit."""
        if name in ("control_characters", "pong"):
            on = arguments.get("on", True)
            if not isinstance(on, bool):
                raise ValueError(f"{name} takes on: true or false, not {on!r}")
            setattr(self, name, on)
            return
        check = NAMES.get(name)
        if check is None:
            raise ValueError(f"no fault is called {name!r}; there are {[*NAMES, 'control_characters', 'pong']}")
        for key, value in arguments.items():
            if (
                key not in check
                or not isinstance(value, check[key])
                or (value is True and bool not in _types(check[key]))
            ):
                raise ValueError(f"{name} does not take {key}={value!r}; it takes {list(check)}")
        try:
            getattr(self, name)(**arguments)
        except (TypeError, KeyError) as error:
            raise ValueError(f"{name}: {error}") from None


_Types = type | tuple[type, ...]
NAMES: Mapping[str, Mapping[str, _Types]] = {
    "clear": {},
    "delay_acks": {"seconds": (int, float), "command": str},
    "lose_acks": {"frames": int, "command": str},
    "duplicate_acks": {"frames": int, "command": str},
    "lose_commands": {"frames": int, "command": str},
    "lose_callbacks": {"frames": int},
    "duplicate_callbacks": {"frames": int},
    "refuse": {"command": str, "errcode": int, "frames": int},
    "refuse_connections": {"count": (int, bool), "how": str},
    "media_error": {"status": int, "downloads": int},
    "slow_media": {"bytes_per_second": int, "delay": (int, float)},
    "damage_media": {"how": str, "downloads": int},
    "drop": {"code": int},
    "lose_subscription": {"pings_pass": bool},
    "freeze": {},
    "thaw": {},
    "garbage": {"kind": str},
    "redeliver": {"msgid": str, "new_req_id": bool},
    "forget_requests": {},
    "expire_streams": {},
    "inject": {"frame": dict},
}


def _types(types: _Types) -> tuple[type, ...]:
    return types if isinstance(types, tuple) else (types,)


def _take(counters: dict[str, int], command: str) -> bool:
    for name in (command, ""):
        if counters.get(name, 0) > 0:
            counters[name] -= 1
            if not counters[name]:
                del counters[name]
            return True
    return False


def nonsense(kind: str) -> str | bytes:
    """The text of a garbage frame. ValueError for an unknown kind."""
    frames: dict[str, str | bytes | Json | list[Any] | None] = {
        "not-json": '{"cmd":"aibot_msg_callback","headers":{',
        "binary": b"\x00\x01\xff\xfe",
        "array": [1, 2, 3],
        "null": None,
        "empty": "",
        "no-headers": {"cmd": wire.MESSAGE, "body": {"msgid": "GARBAGE", "msgtype": "text"}},
        "null-body": {"cmd": wire.MESSAGE, "headers": {"req_id": "GARBAGE"}, "body": None},
        "no-msgtype": {"cmd": wire.MESSAGE, "headers": {"req_id": "GARBAGE"}, "body": {"msgid": "GARBAGE"}},
        "unknown-cmd": {"cmd": "aibot_new_callback", "headers": {"req_id": "GARBAGE"}, "body": {}},
        "orphan-error": {"headers": {}, "errcode": wire.BAD_FIELD, "errmsg": "missing field"},
        "unknown-ack": {"headers": {"req_id": "NOBODY-ASKED"}, "errcode": 0, "errmsg": "ok"},
        "deep": "[" * 5000 + "]" * 5000,
        "huge": {"cmd": "aibot_new_callback", "headers": {"req_id": "GARBAGE"}, "body": {"text": "x" * 900_000}},
    }
    if kind not in frames:
        raise ValueError(f"no garbage is called {kind!r}; there are {list(frames)}")
    frame = frames[kind]
    if isinstance(frame, str | bytes):
        return frame
    return wire.encode(frame) if isinstance(frame, dict) else "null" if frame is None else str(frame)


def sprinkle(text: str) -> str:
    """The frame with raw control characters inside its strings; without them it means the same (protocol §1.1)."""
    for opening in ('"content":"', '"errmsg":"', '"msgid":"'):
        text = text.replace(opening, opening + "\x01\x0b\x1f")
    return text
