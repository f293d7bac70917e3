"""Frames as text and dicts: command names, error codes, acks, refusals. It knows no state and no rule."""

import json
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

SUBSCRIBE = "aibot_subscribe"
PING = "ping"
RESPOND = "aibot_respond_msg"
WELCOME = "aibot_respond_welcome_msg"
UPDATE = "aibot_respond_update_msg"
SEND = "aibot_send_msg"
UPLOAD_INIT = "aibot_upload_media_init"
UPLOAD_CHUNK = "aibot_upload_media_chunk"
UPLOAD_FINISH = "aibot_upload_media_finish"
MESSAGE = "aibot_msg_callback"
EVENT = "aibot_event_callback"
PLUGIN_ONLY = frozenset({"aibot_get_mcp_config", "aibot_send_biz_msg", "ww_ai_robot_enter_event"})  # protocol §8.6

REQ_ID_LIMIT = 256  # bytes (protocol §1.1)

INVENTED = " (invented)"

# Codes of protocol §18. A text that no source quotes, and a code that stands in for an unknown one, ends in INVENTED.
SYSTEM_ERROR = -1
CONFLICT = 6000
BAD_MEDIA_TYPE = 40005  # the general table's code; its use here is invented
BAD_SIZE = 40006  # the same
BAD_MEDIA_ID = 40007
BAD_TYPE = 40008
BAD_PARAMETER = 40035  # the same
BAD_FIELD = 40058
NO_CARD_ACTION = 42045
TOO_LONG = 45002  # the same
TOO_OFTEN = 45009
NO_CHATID = 86201
NOT_IN_ROOM = 93001
BAD_CHATID = 93006
TOO_LATE = 846604
BAD_REQ_ID = 846605
STREAM_EXPIRED = 846608
NOT_SUBSCRIBED = 846609
BAD_CREDENTIALS = 853000


class Refusal(Exception):
    """A command that is answered with an error.

    ``rule`` names the violation when a correct client never meets this error (the class "bug" of protocol §18), and is
    empty when the error belongs to normal life. ``section`` is the protocol's.
    """

    def __init__(self, errcode: int, errmsg: str, *, rule: str, section: str) -> None:
        super().__init__(f"{errcode} {errmsg}")
        self.errcode = errcode
        self.errmsg = errmsg
        self.rule = rule
        self.section = section


def missing(field: str, section: str, why: str = "") -> Refusal:
    """A missing or unusable field: 40058, whose ack carries no req_id (protocol §1.1)."""
    return Refusal(BAD_FIELD, f"missing field {field}{': ' + why if why else ''}", rule="bad-field", section=section)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# json.dumps and json.loads would build these anew for every frame.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def encode(frame: Mapping[str, Any]) -> str:
    return _ENCODER.encode(frame)


def decode(text: str) -> Json:
    """The JSON object in ``text``. ValueError for anything else; NaN and Infinity are not JSON."""
    try:
        frame = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:
            encode(frame).encode()  # half a surrogate pair is no text; UnicodeEncodeError is a ValueError
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(frame, dict):
        raise ValueError(f"a JSON {type(frame).__name__} is no frame")
    return frame


def ack(req_id: str, errcode: int = 0, errmsg: str = "ok", body: Json | None = None) -> Json:
    """The answer to a command: no ``cmd``, and a body only for uploads (protocol §1.1)."""
    frame: Json = {"headers": {"req_id": req_id}, "errcode": errcode, "errmsg": errmsg}
    if body is not None:
        frame["body"] = body
    return frame


def orphan(errcode: int, errmsg: str, *, headers: bool) -> Json:
    """The ack of a rejected field, which nobody can match to its command (protocol §1.1)."""
    return {"headers": {}, "errcode": errcode, "errmsg": errmsg} if headers else {"errcode": errcode, "errmsg": errmsg}


def size(text: str) -> int:
    """Bytes of UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
