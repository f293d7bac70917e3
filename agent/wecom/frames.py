"""Frames: one JSON object per WebSocket text message (protocol §1).

Knows the envelope (`cmd`, `headers.req_id`, `body`, `errcode`, `errmsg`) and nothing about what a body holds.
"""

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from .errors import BadFrame

SUBSCRIBE = "aibot_subscribe"
PING = "ping"
PONG = "pong"  # drawn in the documentation's diagrams, never seen; accepted as a ping's ack (§3)
MESSAGE = "aibot_msg_callback"
EVENT = "aibot_event_callback"
RESPOND = "aibot_respond_msg"
WELCOME = "aibot_respond_welcome_msg"
UPDATE_CARD = "aibot_respond_update_msg"
SEND = "aibot_send_msg"
UPLOAD_INIT = "aibot_upload_media_init"
UPLOAD_CHUNK = "aibot_upload_media_chunk"
UPLOAD_FINISH = "aibot_upload_media_finish"

# The gateway sometimes leaves raw control characters inside strings; all but TAB and LF go (§1.1).
_CONTROL = bytes(byte for byte in range(0x20) if byte not in (0x09, 0x0A))
_decode = json.JSONDecoder(strict=False).decode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Frame:
    """A parsed frame. An ack has no `cmd` and an `errcode`; a callback has a `cmd` and no `errcode`."""

    cmd: str
    req_id: str
    body: dict[str, Any] = field(default_factory=dict)
    errcode: int | None = None
    errmsg: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"req_id": self.req_id}


def parse(data: bytes | str) -> Frame:
    """Reads one message of the socket.

    Raises:
        BadFrame: it is not a JSON object, or a part of the envelope has the wrong type.
    """
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    try:
        frame = _decode(data.translate(None, _CONTROL).decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"not JSON: {error}") from None
    if not isinstance(frame, dict):
        raise BadFrame(f"a JSON {type(frame).__name__}, not an object")
    headers, body, cmd = frame.get("headers"), frame.get("body"), frame.get("cmd")
    req_id = headers.get("req_id") if isinstance(headers, dict) else None
    errmsg = frame.get("errmsg")
    return Frame(
        cmd=cmd if isinstance(cmd, str) else "",
        req_id=req_id if isinstance(req_id, str) else "",
        body=body if isinstance(body, dict) else {},
        errcode=_integer(frame.get("errcode")),
        errmsg=str(errmsg) if isinstance(errmsg, str | int | float) else "",
    )


def _integer(value: object) -> int | None:
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return None
    return None


def build(cmd: str, req_id: str, body: dict[str, Any] | None = None) -> bytes:
    """One client command as UTF-8 JSON; lone surrogates become question marks."""
    frame: dict[str, Any] = {"cmd": cmd, "headers": {"req_id": req_id}}
    if body is not None:
        frame["body"] = body
    return _encode(frame).encode("utf-8", "replace")


def new_req_id(cmd: str) -> str:
    """An id of our own, `<cmd>_<unix ms>_<8 hex digits>`, so that the families of ids stay disjoint (§1.1)."""
    return f"{cmd}_{time.time_ns() // 1_000_000}_{secrets.token_hex(4)}"
