"""Messages that are whole when they come: replies, welcomes, card updates and pushes (protocol §9.1, §10-§12).

One function a command; each raises a Refusal for what the platform does not take. Streams have their own file.
"""

from agent.simulator import cards, people, wire
from agent.simulator.bubbles import Bubble, is_visible, thinking_fault
from agent.simulator.callbacks import Callback
from agent.simulator.chats import Chat
from agent.simulator.wire import INVENTED, Json, Refusal, missing
from agent.simulator.world import Connection, World

MEDIA = ("image", "file", "voice", "video")
PUSHABLE = ("markdown", "template_card", *MEDIA)
WELCOMES = ("text", "template_card")
FEEDBACK_LIMIT = 256
_TITLE_LIMIT, _DESCRIPTION_LIMIT = 64, 512


def respond(world: World, conn: Connection, callback: Callback, chat: Chat, body: Json, now: float) -> None:
    bubble = _compose(world, conn, chat, body, PUSHABLE, now)
    bubble.req_id = callback.req_id
    admit(chat, now)
    _accept(world, bubble)
    world.show(chat, bubble, callback)
    people.end_interaction(world, callback, now)


def welcome(world: World, conn: Connection, req_id: str, body: Json, now: float) -> None:
    callback = world.callbacks.claim(req_id, wire.WELCOME, now)
    chat = world.chats.by_id[callback.chat]
    bubble = _compose(world, conn, chat, body, WELCOMES, now)
    bubble.req_id = req_id
    admit(chat, now)
    _accept(world, bubble)
    callback.answered = True
    world.show(chat, bubble, callback)


def update(world: World, conn: Connection, req_id: str, body: Json, now: float) -> None:
    """Replaces the clicked card, for everyone or for ``userids`` (protocol §11)."""
    callback = world.callbacks.claim(req_id, wire.UPDATE, now)
    if body.get("response_type") != "update_template_card":
        raise missing("response_type", "11")
    userids = body.get("userids", [])
    if not isinstance(userids, list) or not all(isinstance(user, str) for user in userids):
        raise missing("userids", "11", "a list of strings is needed")
    card = cards.check(body.get("template_card"), update=True)
    bubble = callback.bubble
    assert bubble is not None  # a click has a card
    if card.get("task_id", "") != (bubble.card or {}).get("task_id", ""):
        text = f"task_id {card.get('task_id')!r} is not the event's" + INVENTED
        raise Refusal(wire.BAD_PARAMETER, text, rule="bad-card", section="11")
    callback.answered = True
    if userids:
        bubble.cards.update(dict.fromkeys(userids, card))
    if not userids or callback.user in userids:
        bubble.card = card
    bubble.updated_card, bubble.updated = True, now
    bubble.frames += 1
    if feedback := card.get("feedback"):
        bubble.feedback_id = feedback["id"]
    callback.shown.append(bubble)
    world.tell("message", bubble)
    world.tell("answered", callback.req_id)  # the bubble itself belongs to another req_id


def push(world: World, conn: Connection, req_id: str, body: Json, now: float) -> None:
    chat = _target(world, body)
    bubble = _compose(world, conn, chat, body, PUSHABLE, now)
    admit(chat, now)
    _accept(world, bubble)
    world.show(chat, bubble)


def _target(world: World, body: Json) -> Chat:
    """An automatic ``chat_type`` tries groups first; somebody must have addressed the bot there before (§12)."""
    chatid, chat_type = body.get("chatid"), body.get("chat_type", 0)
    if not isinstance(chatid, str) or not chatid:
        raise Refusal(wire.NO_CHATID, "chatid missing", rule="no-chatid", section="12")
    if not isinstance(chat_type, int) or isinstance(chat_type, bool) or chat_type not in (0, 1, 2):
        raise missing("chat_type", "12", f"{chat_type!r} is none of 0, 1, 2")
    group = world.chats.by_id.get(chatid) if not chatid.startswith("user:") else None
    single = world.chats.by_id.get("user:" + chatid)
    chat = {0: group or single, 1: single, 2: group}[chat_type]
    if chat is None or not chat.contacted:
        raise Refusal(wire.BAD_CHATID, "invalid chatid", rule="", section="12")
    if not chat.has_bot:
        raise Refusal(wire.NOT_IN_ROOM, "the bot is not in this room" + INVENTED, rule="", section="12")
    return chat


def admit(chat: Chat, now: float) -> None:
    if not chat.window.admit(now):
        raise Refusal(wire.TOO_OFTEN, f"too many messages in {chat.id}" + INVENTED, rule="", section="13")


def _accept(world: World, bubble: Bubble) -> None:
    if bubble.card is not None and (task_id := bubble.card.get("task_id")):
        world.use_task_id(task_id)


def _compose(world: World, conn: Connection, chat: Chat, body: Json, allowed: tuple[str, ...], now: float) -> Bubble:
    """The bubble of a message that is not a stream. 40008, 40058, 40007 or 42045 for what cannot be sent."""
    kind = body.get("msgtype")
    if not isinstance(kind, str) or not kind:
        raise missing("msgtype", "9.1")
    if kind not in allowed:
        raise Refusal(wire.BAD_TYPE, "invalid message type", rule="bad-type", section="9.1")
    part = body.get(kind)
    if not isinstance(part, dict):
        raise missing(kind, "9.1")
    bubble = world.new_bubble(chat, "bot", kind, now)
    bubble.conn = conn.number
    if kind in ("markdown", "text"):
        bubble.content = _content(world, part, kind)
        if not is_visible(bubble.content):
            raise missing(f"{kind}.content", "9.1", "nothing in it is visible" + INVENTED)
        if fault := thinking_fault(bubble.content):
            world.violate("swallowed-text", f"{kind}: {fault}", conn, now)
    elif kind == "template_card":
        bubble.card = cards.check(part)
        task_id = part.get("task_id")
        if task_id and task_id in world.task_ids:
            text = f"task_id {task_id!r} was used before" + INVENTED
            raise Refusal(wire.BAD_PARAMETER, text, rule="bad-card", section="16")
    else:
        bubble.media = (_medium(world, part, kind, now),)
    bubble.feedback_id = feedback_id_of(part)
    return bubble


def _content(world: World, part: Json, kind: str) -> str:
    content = part.get("content")
    if not isinstance(content, str):
        raise missing(f"{kind}.content", "9.1")
    check_length(world, content, kind)
    return content


def check_length(world: World, content: str, kind: str) -> None:
    # A quarter of the limit in characters cannot exceed it in bytes; most frames end here.
    limit = world.options.content_limit
    if len(content) * 4 > limit and (size := wire.size(content)) > limit:
        text = f"{kind} content has {size} bytes, more than {limit}" + INVENTED
        raise Refusal(wire.TOO_LONG, text, rule="content-too-long", section="9.2")


def _medium(world: World, part: Json, kind: str, now: float) -> Json:
    media_id = part.get("media_id")
    if not media_id:
        raise missing(f"{kind}.media_id", "9.1")
    shown = world.uploads.claim(media_id, kind, now).as_json()
    if kind == "video":
        for name, limit in (("title", _TITLE_LIMIT), ("description", _DESCRIPTION_LIMIT)):
            if (text := part.get(name)) is not None:
                if not isinstance(text, str):
                    raise missing(f"video.{name}", "9.1", "a string is needed")
                shown[name] = text.encode()[:limit].decode(errors="ignore")  # longer ones are truncated (protocol §9.1)
    return shown


def feedback_id_of(part: Json) -> str:
    if "feedback" not in part:
        return ""
    feedback = part["feedback"]
    feedback_id = feedback.get("id") if isinstance(feedback, dict) else None
    if not isinstance(feedback_id, str) or not feedback_id:
        raise missing("feedback.id", "9.1")
    if wire.size(feedback_id) > FEEDBACK_LIMIT:
        raise missing("feedback.id", "9.1", f"more than {FEEDBACK_LIMIT} bytes" + INVENTED)
    return feedback_id
