"""What people send, as typed messages (protocol §6, §8).

Parsing never fails: a missing or odd field becomes None or empty, an unknown type becomes `UnknownReqMsg`. Knows the
callback's body and nothing about replies.
"""

from dataclasses import dataclass, field
from typing import Any

from .frames import EVENT, Frame


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _optional(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _first(data: dict[str, Any], *names: str) -> Any:
    for name in names:
        value = data.get(name)
        if value is not None:
            return value
    return None


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who sent it: `user_id` is an opaque, case-sensitive string; None where WeCom names nobody."""

    user_id: str | None = None
    corp_id: str | None = None

    @property
    def userid(self) -> str | None:
        return self.user_id

    @property
    def corpid(self) -> str | None:
        return self.corp_id


@dataclass(frozen=True, slots=True)
class MixedTextItem:
    content: str
    msg_type: str = field(default="text", init=False)


@dataclass(frozen=True, slots=True)
class MixedImageItem:
    """An image; its link lives five minutes and its content is encrypted (protocol §7)."""

    image_url: str | None
    aes_key: str | None = field(repr=False)
    msg_type: str = field(default="image", init=False)


@dataclass(frozen=True, slots=True)
class MixedVoiceItem:
    """Speech as WeCom's transcript; the sound itself is not delivered today (protocol §6.1)."""

    content: str
    voice_url: str | None = None
    aes_key: str | None = field(default=None, repr=False)
    msg_type: str = field(default="voice", init=False)


@dataclass(frozen=True, slots=True)
class MixedVideoItem:
    """A video; `name` and `size` (bytes) are None unless WeCom sends them."""

    video_url: str | None
    aes_key: str | None = field(repr=False)
    name: str | None = None
    size: int | None = None
    msg_type: str = field(default="video", init=False)


@dataclass(frozen=True, slots=True)
class MixedFileItem:
    """A file; `name` and `size` (bytes) are None unless WeCom sends them: the name comes with the download."""

    file_url: str | None
    aes_key: str | None = field(repr=False)
    name: str | None = None
    size: int | None = None
    msg_type: str = field(default="file", init=False)


Item = MixedTextItem | MixedImageItem | MixedVoiceItem | MixedVideoItem | MixedFileItem


def _item(kind: str, data: dict[str, Any]) -> Item | None:
    part = _dict(data.get(kind))
    url, key = _optional(part.get("url")), _optional(_first(part, "aeskey", "aes_key"))
    name, size = _optional(_first(part, "name", "filename")), _whole(_first(part, "size", "file_size"))
    match kind:
        case "text":
            return MixedTextItem(_text(part.get("content")))
        case "image":
            return MixedImageItem(url, key)
        case "voice":
            return MixedVoiceItem(_text(part.get("content")), url, key)
        case "video":
            return MixedVideoItem(url, key, name, size)
        case "file":
            return MixedFileItem(url, key, name, size)
        case _:
            return None


def _items(body: dict[str, Any]) -> tuple[Item, ...]:
    """The parts of a mixed message in the order sent; parts of unknown kinds are left out."""
    mixed = _dict(body.get("mixed"))
    raw = _first(mixed, "msg_item", "msg_items", "items") or body.get("msg_item")
    found = []
    for data in raw if isinstance(raw, list) else ():
        item = _item(_text(_first(data, "msgtype", "type")), data) if isinstance(data, dict) else None
        if item is not None:
            found.append(item)
    return tuple(found)


def _parts(kind: str, body: dict[str, Any]) -> tuple[Item, ...]:
    if kind == "mixed":
        return _items(body)
    item = _item(kind, body)
    return () if item is None else (item,)


def _joined(items: tuple[Item, ...]) -> str:
    return "\n".join(item.content for item in items if isinstance(item, MixedTextItem | MixedVoiceItem))


@dataclass(frozen=True, slots=True)
class Quote:
    """The message that this one quotes (protocol §6.2), of any of six types: WeCom tells neither its id nor its sender.

    `items` are its parts (one for all types but mixed); `content` is their text, empty for media.
    """

    msg_type: str
    items: tuple[Item, ...]
    msg_id: str | None = None

    @property
    def content(self) -> str:
        return _joined(self.items)


def _quote(value: Any) -> Quote | None:
    data = _dict(value)
    if not data:
        return None
    kind = _text(_first(data, "msgtype", "type"))
    return Quote(kind, _parts(kind, data), _optional(_first(data, "msgid", "msg_id")))


class ReqMsg:
    """What all messages have. `body` is the callback's body as it came, `frame` the whole frame.

    `chat_id` is the group's id or, in a single chat, the sender's user id: WeCom sends no chat id there.
    `chat_type` is "single" or "group"; `create_time` is a Unix time in seconds or None.
    """

    def __init__(self, body: dict[str, Any], frame: Frame | None = None) -> None:
        self.body = body
        self.frame = frame
        sender = _dict(body.get("from"))
        self.msg_type: str = _text(_first(body, "msgtype", "msg_type"))
        self.msg_id: str | None = _optional(_first(body, "msgid", "msg_id"))
        self.aibot_id: str | None = _optional(_first(body, "aibotid", "aibot_id"))
        self.from_user = UserInfo(
            _optional(_first(sender, "userid") or body.get("from_userid")),
            _optional(_first(sender, "corpid") or body.get("corpid")),
        )
        group = _optional(_first(body, "chatid", "chat_id"))
        self.chat_type: str = _text(_first(body, "chattype", "chat_type")) or ("group" if group else "single")
        self.chat_id: str | None = group or self.from_user.user_id
        self.create_time: int | None = _whole(_first(body, "create_time", "createtime"))
        self.response_url: str | None = _optional(body.get("response_url"))
        self.quote: Quote | None = _quote(body.get("quote"))

    @property
    def from_userid(self) -> str | None:
        return self.from_user.user_id

    @property
    def req_id(self) -> str:
        """The only handle for replying (protocol §6); empty in a message that was made without a frame."""
        return self.frame.req_id if self.frame is not None else ""

    @property
    def items(self) -> tuple[Item, ...]:
        """The message's parts in the order sent: one for all types but mixed, none for events and unknown types."""
        return _parts(self.msg_type, self.body)

    @staticmethod
    def create_msg(body: dict[str, Any], frame: Frame | None = None) -> "ReqMsg":
        kind = _text(_first(body, "msgtype", "msg_type"))
        return _TYPES.get(kind, UnknownReqMsg)(body, frame)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} msg_id={self.msg_id!r} chat={self.chat_type}:{self.chat_id!r} "
            f"from={self.from_userid!r}>"
        )


class TextReqMsg(ReqMsg):
    """Text. In a group, `content` comes without the leading mention of the bot."""

    def __init__(self, body: dict[str, Any], frame: Frame | None = None) -> None:
        super().__init__(body, frame)
        self.content: str = _text(_dict(body.get("text")).get("content"))

    @property
    def items(self) -> tuple[Item, ...]:
        return (MixedTextItem(self.content),)


class ImageReqMsg(ReqMsg):
    """An image (single chats only; in groups it comes as mixed)."""

    def __init__(self, body: dict[str, Any], frame: Frame | None = None) -> None:
        super().__init__(body, frame)
        image = _dict(body.get("image"))
        self.image_url: str | None = _optional(image.get("url"))
        self.aes_key: str | None = _optional(_first(image, "aeskey", "aes_key"))


class VoiceReqMsg(ReqMsg):
    """Speech: `content` is WeCom's transcript."""

    def __init__(self, body: dict[str, Any], frame: Frame | None = None) -> None:
        super().__init__(body, frame)
        voice = _dict(body.get("voice"))
        self.content: str = _text(voice.get("content"))
        self.voice_url: str | None = _optional(voice.get("url"))
        self.aes_key: str | None = _optional(_first(voice, "aeskey", "aes_key"))


class _NamedMediaReqMsg(ReqMsg):
    _kind = ""

    def __init__(self, body: dict[str, Any], frame: Frame | None = None) -> None:
        super().__init__(body, frame)
        part = _dict(body.get(self._kind))
        self._url = _optional(part.get("url"))
        self.aes_key: str | None = _optional(_first(part, "aeskey", "aes_key"))
        self.name: str | None = _optional(_first(part, "name", "filename"))
        self.size: int | None = _whole(_first(part, "size", "file_size"))


class VideoReqMsg(_NamedMediaReqMsg):
    """A video of at most 100 MB; `name` and `size` in bytes where WeCom sends them."""

    _kind = "video"

    @property
    def video_url(self) -> str | None:
        return self._url


class FileReqMsg(_NamedMediaReqMsg):
    """A file of at most 100 MB; `name` and `size` in bytes where WeCom sends them (the download names it)."""

    _kind = "file"

    @property
    def file_url(self) -> str | None:
        return self._url


class MixedMessageReqMsg(ReqMsg):
    """Text and images in one message, `msg_items` in the order sent."""

    def __init__(self, body: dict[str, Any], frame: Frame | None = None) -> None:
        super().__init__(body, frame)
        self.msg_items: list[Item] = list(_items(body))

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(self.msg_items)

    @property
    def content(self) -> str:
        """The text parts, one a line."""
        return _joined(self.items)


@dataclass(frozen=True, slots=True)
class Feedback:
    """A person's verdict on an answer (protocol §8.3).

    `id` is the feedback id that the answer was sent with; `type` 1 like, 2 dislike, 3 withdrawn;
    `reasons`: 1 unrelated, 2 incomplete, 3 wrong content, 4 wrong data analysis.
    """

    id: str
    type: int
    content: str = ""
    reasons: tuple[int, ...] = ()


class EventReqMsg(ReqMsg):
    """Something happened: `event_type` is "enter_chat", "template_card_event", "feedback_event" or newer.

    Details are read nested (`event.<eventtype>.…`, as WeCom sends them) or flat (as the official SDK types them).
    For a card's click `task_id`, `event_key` and `card_type` come back verbatim, and `selected` maps a question's key
    to the chosen option ids; `feedback` is None unless somebody judged an answer.
    """

    def __init__(self, body: dict[str, Any], frame: Frame | None = None) -> None:
        super().__init__(body, frame)
        self.msg_type = "event"
        event = _dict(body.get("event"))
        self.event_type: str = _text(_first(event, "eventtype", "event_type"))
        detail = {**event, **_dict(event.get(self.event_type))}
        self.task_id: str | None = _optional(_first(detail, "task_id", "taskid"))
        self.card_id: str | None = _optional(_first(detail, "card_id", "cardid"))
        self.card_type: str | None = _optional(detail.get("card_type"))
        self.event_key: str | None = _optional(detail.get("event_key"))
        self.response_code: str | None = _optional(detail.get("response_code"))
        self.selected: dict[str, tuple[str, ...]] = _selected(detail)
        self.feedback: Feedback | None = _feedback(self.event_type, detail)


def _selected(detail: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    items = _dict(detail.get("selected_items")).get("selected_item")
    chosen = {}
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and isinstance(item.get("question_key"), str):
            ids = _dict(item.get("option_ids")).get("option_id")
            chosen[item["question_key"]] = tuple(str(one) for one in ids) if isinstance(ids, list) else ()
    return chosen


def _feedback(event_type: str, detail: dict[str, Any]) -> Feedback | None:
    if event_type != "feedback_event":
        return None
    detail = {**detail, **_dict(detail.get("feedback"))}
    kind, reasons = detail.get("type"), detail.get("inaccurate_reason_list")
    return Feedback(
        id=_text(detail.get("id")),
        type=kind if isinstance(kind, int) else 0,
        content=_text(detail.get("content")),
        reasons=tuple(one for one in reasons if isinstance(one, int)) if isinstance(reasons, list) else (),
    )


class UnknownReqMsg(ReqMsg):
    """A type that this version does not know; everything is in `raw_body`."""

    @property
    def raw_body(self) -> dict[str, Any]:
        return self.body


_TYPES: dict[str, type[ReqMsg]] = {
    "text": TextReqMsg,
    "image": ImageReqMsg,
    "voice": VoiceReqMsg,
    "video": VideoReqMsg,
    "file": FileReqMsg,
    "mixed": MixedMessageReqMsg,
    "event": EventReqMsg,
}


def parse(frame: Frame, bot_name: str = "") -> ReqMsg:
    """The typed message of a callback frame; a group's text loses the leading mention of the bot."""
    message = EventReqMsg(frame.body, frame) if frame.cmd == EVENT else ReqMsg.create_msg(frame.body, frame)
    if message.chat_type == "group":
        if isinstance(message, TextReqMsg):
            message.content = strip_mention(message.content, bot_name)
        elif isinstance(message, MixedMessageReqMsg):
            for index, item in enumerate(message.msg_items):
                if isinstance(item, MixedTextItem):
                    message.msg_items[index] = MixedTextItem(strip_mention(item.content, bot_name))
                    break
    return message


def strip_mention(text: str, bot_name: str) -> str:
    """`text` without the leading mention of the bot; every other @word and e-mail address stays (protocol §19.12).

    With a name only that name goes, spaces in it included. Without one the first @word goes: in a group WeCom delivers
    only messages that mention the bot.
    """
    stripped = text.lstrip()
    if not stripped.startswith("@"):
        return text
    if bot_name:
        mention = "@" + bot_name
        rest = stripped[len(mention) :]
        if stripped.startswith(mention) and not (rest and (rest[0].isalnum() or rest[0] == "_")):
            return rest.strip()
        return text
    words = stripped.split(None, 1)
    return words[1].strip() if len(words) > 1 else ""
