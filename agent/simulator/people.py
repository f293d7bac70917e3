"""What people do, and what the platform makes of it: callbacks to the bot, or none (protocol §6, §8).

Pure: the caller passes ``now`` and reads the world's outbox.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.simulator import cards, media, wire
from agent.simulator.bubbles import Bubble, card_text
from agent.simulator.callbacks import Callback
from agent.simulator.chats import SINGLE, Chat
from agent.simulator.media import Medium
from agent.simulator.shelf import file_md5
from agent.simulator.wire import Json
from agent.simulator.world import World, new_id

KINDS = ("text", "image", "mixed", "voice", "file", "video")
IN_GROUPS = ("text", "mixed")
UNSUPPORTED = "暂不支持该类型的消息。 / This kind of message is not supported."
FILE_LIMIT = 100 * 1024 * 1024  # of a file or video that people send (protocol §6.1)
_DAY = 86400.0

Part = str | Medium


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of something that a person did.

    ``delivered`` says that a callback went out; ``why`` says why not: no connection, held back, suppressed, and so on.
    ``message_id`` is the person's own bubble, empty for events.
    """

    msgid: str
    req_id: str
    delivered: bool
    why: str = ""
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a message refers to: no id, no sender, no time (protocol §6.2)."""

    msgtype: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A message on its way. Links are made when it is delivered, because they live for five minutes only."""

    msgid: str
    req_id: str
    chat: Chat
    user: str
    msgtype: str
    parts: tuple[Part, ...]
    quote: Quote | None


# -- messages ------------------------------------------------------------------------------------------------------


def send(
    world: World,
    chat: Chat,
    user: str,
    msgtype: str,
    parts: Sequence[Part],
    now: float,
    *,
    quote: Quote | None = None,
    mention: bool = True,
) -> Sent:
    """A person sends something: one text (also a voice's transcript), one medium, or several of both as mixed."""
    if chat.type == "group" and user not in chat.members:
        chat.members.append(user)
        world.tell("chat", chat)
    draft = Draft(new_id(), new_id(), chat, user, msgtype, tuple(parts), quote)
    if chat.type == "group" and mention and msgtype in IN_GROUPS:
        draft = _mentioning(world, draft)
    bubble = _own_bubble(world, draft, now)
    if why := _suppressed(world, draft, mention, now):
        return Sent(draft.msgid, draft.req_id, False, why, bubble.id)
    chat.contacted = True
    if world.owner is None:
        return Sent(draft.msgid, draft.req_id, False, "no bot is connected; nothing is replayed later", bubble.id)
    if world.interactions.is_full(user, now):
        world.interactions.hold(user, draft)
        why = f"held back: {user!r} has {world.options.interactions} messages open with the bot"
        return Sent(draft.msgid, draft.req_id, False, why, bubble.id)
    arrives = _deliver(world, draft, now)
    return Sent(draft.msgid, draft.req_id, arrives, "" if arrives else "lost on the way, by a fault", bubble.id)


def _suppressed(world: World, draft: Draft, mention: bool, now: float) -> str:
    """Why the platform makes no callback of this, or empty (protocol §6.1)."""
    chat = draft.chat
    if draft.msgtype not in KINDS:
        answer = world.new_bubble(chat, "platform", "text", now)
        answer.content = UNSUPPORTED
        world.show(chat, answer)
        return f"the platform answers {draft.msgtype!r} itself: not supported"
    if chat.type == "single":
        return ""
    if not chat.has_bot:
        return "the bot is not in this group"
    if draft.msgtype not in IN_GROUPS:
        return f"a {draft.msgtype} of its own does not reach the bot in a group; quote it, or send it with a mention"
    return "" if mention else "the bot is not mentioned"


def _mentioning(world: World, draft: Draft) -> Draft:
    """In a group the first text begins with the mention, and stays so (protocol §6.1)."""
    head, parts = f"@{world.bot_name} ", list(draft.parts)
    first = next((number for number, part in enumerate(parts) if isinstance(part, str)), None)
    if first is None:
        parts.insert(0, head)
    else:
        parts[first] = head + str(parts[first])
    return Draft(draft.msgid, draft.req_id, draft.chat, draft.user, draft.msgtype, tuple(parts), draft.quote)


def _own_bubble(world: World, draft: Draft, now: float) -> Bubble:
    bubble = world.new_bubble(draft.chat, draft.user, draft.msgtype, now)
    bubble.content = "\n".join(part for part in draft.parts if isinstance(part, str))
    bubble.media = tuple(part.as_json() for part in draft.parts if isinstance(part, Medium))
    bubble.parts = tuple({"text": part} if isinstance(part, str) else part.as_json() for part in draft.parts)
    bubble.req_id = draft.req_id
    if draft.quote:
        words = [part if isinstance(part, str) else part.name or part.kind for part in draft.quote.parts]
        bubble.quote = "\n".join(words)
    world.show(draft.chat, bubble)
    return bubble


def _deliver(world: World, draft: Draft, now: float) -> bool:
    assert world.owner is not None
    body = _head(world, draft.chat, draft.user, draft.msgid, now)
    body["msgtype"] = draft.msgtype
    body[draft.msgtype] = _payload(world, draft.msgtype, draft.parts, now)
    quote = draft.quote
    if quote is not None and (quote.msgtype != "video" or world.options.quote_video):
        body["quote"] = {"msgtype": quote.msgtype, quote.msgtype: _payload(world, quote.msgtype, quote.parts, now)}
    frame: Json = {"cmd": wire.MESSAGE, "headers": {"req_id": draft.req_id}, "body": body}
    world.remember(draft.msgid, frame)
    deadline = now + world.options.message_window
    world.callbacks.add(Callback(draft.req_id, "message", draft.chat.id, draft.user, now, deadline))
    world.interactions.begin(draft.user, draft.req_id, now)
    return world.callback(world.owner, frame, now)


def _head(world: World, chat: Chat, user: str, msgid: str, now: float) -> Json:
    """The fields of messages and card events; the optional ones as the options say (protocol §6)."""
    body: Json = {"msgid": msgid, "aibotid": world.bot_id}
    if chat.type == "group":
        body["chatid"] = chat.id
    body["chattype"] = chat.type
    body["from"] = {"userid": user}
    if world.options.create_time:
        body["create_time"] = int(now)
    if world.options.response_url:
        code = world.response_code(chat, now)
        body["response_url"] = f"{world.base}/cgi-bin/aibot/response?response_code={code}"
    return body


def _payload(world: World, msgtype: str, parts: Sequence[Part], now: float) -> Json:
    if msgtype == "mixed":
        items = (
            ("text", {"content": part}) if isinstance(part, str) else ("image", _linked(world, part, now))
            for part in parts
        )
        return {"msg_item": [{"msgtype": kind, kind: payload} for kind, payload in items]}
    part = parts[0]
    return {"content": part} if isinstance(part, str) else _linked(world, part, now)


def _linked(world: World, medium: Medium, now: float) -> Json:
    """Link and key, both new each time; neither name nor size nor type (protocol §6.1, §7)."""
    options = world.options
    link = world.link(media.new_link(medium, now, options.media_lifetime))
    payload: Json = {
        "url": media.url(link, world.base),
        "aeskey": media.key_text(link.key, padded=options.key_padding),
    }
    if options.file_extras and medium.kind == "file":
        payload |= {"filename": medium.name, "md5": medium.md5 or file_md5(medium.path), "file_size": medium.size}
    return payload


def quote_of(world: World, bubble: Bubble) -> Quote:
    """The quote that a person makes of a bubble. ValueError when there is nothing in it to quote."""
    parts: list[Part] = []
    for item in bubble.parts or bubble.media:
        medium = world.shelf.get(item["media_id"]) if "media_id" in item else None
        if "text" in item:
            parts.append(item["text"])
        elif medium is not None:
            parts.append(medium)
    kind = bubble.kind
    if kind in ("image", "file", "video") and parts:
        return Quote(kind, (parts[0],))
    if kind == "mixed":
        return Quote("mixed", tuple(parts))
    if kind == "voice" and bubble.sender != "bot":
        return Quote("voice", (bubble.content,))
    text = card_text(bubble.card) if bubble.card else bubble.message().text
    if not text:
        raise ValueError(f"message {bubble.id!r} ({kind}) holds nothing that can be quoted")
    return Quote("text", (text,))


# -- interactions --------------------------------------------------------------------------------------------------


def end_interaction(world: World, callback: Callback, now: float) -> None:
    if world.interactions.end(callback.user, callback.req_id):
        _release(world, callback.user, now)


def release_held(world: World, now: float) -> None:
    """Messages that waited for a place (or for a bot: they had arrived while one was there) get their turn."""
    for user in world.interactions.users_waiting():
        _release(world, user, now)


def _release(world: World, user: str, now: float) -> None:
    while world.owner is not None and (draft := world.interactions.release(user, now)) is not None:
        _deliver(world, draft, now)


# -- events --------------------------------------------------------------------------------------------------------


def enter(world: World, user: str, now: float, *, again: bool = False) -> Sent:
    """The user opens the single chat: an event the first time in a day (protocol §8.1), or with ``again`` each time."""
    chat = world.chats.single(user)
    day = int(now // _DAY)
    if chat.entered == day and not again:
        return Sent("", "", False, "not the first time today")
    chat.entered = day
    options = world.options
    body: Json = {"msgid": new_id(), "create_time": int(now), "aibotid": world.bot_id}
    if options.chattype_on_enter:
        body["chattype"] = "single"
    body["from"] = _sender(world, user)
    body |= {"msgtype": "event", "event": {"eventtype": "enter_chat"}}
    return _event(world, chat, user, "enter_chat", body, now)


def click(
    world: World, user: str, bubble: Bubble, key: str, selected: Mapping[str, Sequence[str]] | None, now: float
) -> Sent:
    """A click on a card. Repeated clicks give repeated events (protocol §8.2)."""
    card = bubble.cards.get(user) or bubble.card
    if card is None:
        return Sent("", "", False, f"message {bubble.id!r} is no card")
    try:
        detail = cards.click(card, key, selected, updated=bubble.updated_card)
    except ValueError as error:
        return Sent("", "", False, str(error))
    chat = world.chats.by_id[bubble.chat]
    body = _head(world, chat, user, new_id(), now) | {"create_time": int(now)}
    body["from"] = _sender(world, user)
    body |= {"msgtype": "event", "event": _details(world, "template_card_event", detail)}
    return _event(world, chat, user, "template_card_event", body, now, bubble)


def feedback(
    world: World, user: str, bubble: Bubble, kind: int, content: str, reasons: Sequence[int], now: float
) -> Sent:
    """A like (1), a dislike (2, with words and reasons 1-4) or its withdrawal (3) (protocol §8.3)."""
    if not bubble.feedback_id:
        return Sent("", "", False, f"message {bubble.id!r} was sent without feedback.id")
    if kind not in (1, 2, 3):
        return Sent("", "", False, f"the type is 1, 2 or 3, not {kind!r}")
    detail: Json = {"id": bubble.feedback_id, "type": kind}
    if kind == 2:
        detail |= {"content": content} if content else {}
        detail |= {"inaccurate_reason_list": list(reasons)} if reasons else {}
    bubble.feedback = None if kind == 3 else detail
    world.tell("message", bubble)
    chat = world.chats.by_id[bubble.chat]
    body: Json = {"msgid": new_id(), "create_time": int(now), "aibotid": world.bot_id}
    if chat.type == "group":
        body["chatid"] = chat.id
    body |= {"chattype": chat.type, "from": _sender(world, user), "msgtype": "event"}
    body["event"] = _details(world, "feedback_event", detail)
    return _event(world, chat, user, "feedback_event", body, now, bubble)


def disconnected(world: World, now: float) -> Json:
    """The frame for a displaced socket: no sender, no chat; its req_id answers nothing (protocol §4)."""
    req_id = new_id()
    body: Json = {"msgid": new_id(), "create_time": int(now), "aibotid": world.bot_id, "msgtype": "event"}
    body["event"] = {"eventtype": "disconnected_event"}
    frame: Json = {"cmd": wire.EVENT, "headers": {"req_id": req_id}, "body": body}
    world.callbacks.add(Callback(req_id, "disconnected_event", "", "", now, now))
    return frame


def _event(
    world: World, chat: Chat, user: str, kind: str, body: Json, now: float, bubble: Bubble | None = None
) -> Sent:
    msgid, req_id = body["msgid"], new_id()
    if world.owner is None:
        return Sent(msgid, req_id, False, "no bot is connected; nothing is replayed later")
    frame: Json = {"cmd": wire.EVENT, "headers": {"req_id": req_id}, "body": body}
    world.remember(msgid, frame)
    deadline = now + world.options.event_window
    world.callbacks.add(Callback(req_id, kind, chat.id, user, now, deadline, bubble))
    arrives = world.callback(world.owner, frame, now)
    return Sent(msgid, req_id, arrives, "" if arrives else "lost on the way, by a fault")


def _sender(world: World, user: str) -> Json:
    return {"userid": user, "corpid": world.options.corpid} if world.options.corpid else {"userid": user}


def _details(world: World, eventtype: str, detail: Json) -> Json:
    """Real frames nest the details under the event's own name; the SDK's types do not (protocol §8)."""
    return {"eventtype": eventtype, **(detail if world.options.flat_events else {eventtype: detail})}


# -- faults --------------------------------------------------------------------------------------------------------


def redeliver(world: World, msgid: str, now: float, *, new_req_id: bool = False) -> bool:
    """The same message or event once more. KeyError for an unknown msgid; False when no bot is there."""
    frame = world.delivered[msgid]
    if world.owner is None:
        return False
    if new_req_id:
        old = world.callbacks.get(frame["headers"]["req_id"])
        frame = {**frame, "headers": {"req_id": new_id()}}
        if old is not None:
            req_id, deadline = frame["headers"]["req_id"], now + old.deadline - old.at
            world.callbacks.add(Callback(req_id, old.kind, old.chat, old.user, now, deadline, old.bubble))
    return world.callback(world.owner, frame, now, "delivered again")


def inject(world: World, frame: Json, now: float) -> bool:
    """Any frame, to the bot. The req_id of a message or event with a sender becomes answerable."""
    if world.owner is None:
        return False
    headers, body = frame.get("headers"), frame.get("body")
    req_id = headers.get("req_id") if isinstance(headers, dict) else None
    if frame.get("cmd") in (wire.MESSAGE, wire.EVENT) and isinstance(req_id, str) and isinstance(body, dict):
        _make_answerable(world, req_id, body, now)
    world.raw(world.owner, wire.encode(frame), "injected", now)
    return True


def _make_answerable(world: World, req_id: str, body: Json, now: float) -> None:
    sender, event = body.get("from"), body.get("event")
    user = sender.get("userid") if isinstance(sender, dict) else None
    if not isinstance(user, str) or not user:
        return
    chatid = body.get("chatid")
    chat = world.chats.group(chatid, members=[user]) if isinstance(chatid, str) and chatid else world.chats.single(user)
    kind: Any = event.get("eventtype") if isinstance(event, dict) else "message"
    window = world.options.message_window if kind == "message" else world.options.event_window
    chat.contacted = chat.contacted or kind == "message"
    bubble = None
    if kind == "template_card_event":
        bubble = world.new_bubble(chat, "bot", "template_card", now)
        detail: Any = event.get(kind, event) if isinstance(event, dict) else {}
        bubble.card = {"card_type": detail.get("card_type", "button_interaction"), "task_id": detail.get("task_id", "")}
        world.show(chat, bubble)
    world.callbacks.add(Callback(req_id, str(kind), chat.id, user, now, now + window, bubble))


def find_chat(world: World, chat: str | None, user: str) -> Chat:
    """The chat that a person means: none is the single chat with the bot; an unknown group is made."""
    if chat is None:
        return world.chats.single(user)
    if chat.startswith(SINGLE):
        if chat != SINGLE + user:
            raise ValueError(f"{user!r} cannot write in the single chat {chat!r}")
        return world.chats.single(user)
    known = world.chats.by_id.get(chat)
    if known is None:
        known = world.chats.group(chat, members=[user])
        world.tell("chat", known)
    return known
