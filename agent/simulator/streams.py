"""Streams: the first frame makes a bubble, later ones replace its content, finish locks it (protocol §9.2-§9.6)."""

from agent.simulator import people, replies, wire
from agent.simulator.bubbles import Bubble, is_visible, thinking_fault
from agent.simulator.callbacks import Callback
from agent.simulator.chats import Chat
from agent.simulator.wire import Json, Refusal, missing
from agent.simulator.world import Connection, World


def receive(world: World, conn: Connection, callback: Callback, chat: Chat, body: Json, now: float) -> None:
    """One frame of a stream: the first makes the bubble, later ones replace its content, finish locks it (§9.2)."""
    part = body.get("stream")
    if not isinstance(part, dict):
        raise missing("stream", "9.2")
    stream_id, content, finish = part.get("id"), part.get("content", ""), part.get("finish", False)
    if not isinstance(stream_id, str) or not stream_id:
        raise missing("stream.id", "9.2")
    if not isinstance(content, str):
        raise missing("stream.content", "9.2", "a string is needed")
    if not isinstance(finish, bool):
        raise missing("stream.finish", "9.2", "true or false is needed")
    key = (callback.req_id, stream_id)
    bubble = world.streams.get(key)
    if bubble is not None and _is_over(world, conn, bubble, content, now):
        return
    replies.check_length(world, content, "stream")
    if bubble is None:
        bubble = _open(world, conn, callback, chat, key, part, now)
    else:
        if world.options.count_refreshes:
            replies.admit(chat, now)
        if finish and world.options.drop_identical_final and content == bubble.content:
            return  # dropped in silence, as one implementation says (protocol §9.2)
        bubble.frames += 1
    bubble.content, bubble.updated = content, now
    if part.get("msg_item"):
        world.violate("msg-item", "it is answered with 0 and shown nowhere", conn, now)
    if (fault := thinking_fault(content)) and not bubble.fault_noted:
        bubble.fault_noted = True  # once: a block that grows unclosed would be noted in every frame
        world.violate("swallowed-text", f"stream {stream_id!r}: {fault}", conn, now)
    if finish:
        _finish(world, conn, callback, bubble, now)
    if bubble.listed:
        world.tell("message", bubble)


def _is_over(world: World, conn: Connection, bubble: Bubble, content: str, now: float) -> bool:
    """True when the frame is swallowed; Refusal 6000 or 846608 when it is refused; False when the stream is open."""
    if bubble.finished:
        if content != bubble.content:
            world.violate(
                "frame-after-finish", f"stream {bubble.stream_id!r} was finished with another text", conn, now
            )
        if world.options.after_finish == "silent":
            return True
        raise Refusal(wire.CONFLICT, "data version conflict", rule="", section="9.2")
    if bubble.expired or now - bubble.created > world.options.stream_lifetime:
        expire(world, bubble, now)
        minutes = f"{world.options.stream_lifetime / 60:g}"
        text = f"stream message update expired (>{minutes} minutes), cannot update"
        raise Refusal(wire.STREAM_EXPIRED, text, rule="", section="9.3")
    return False


def _open(
    world: World, conn: Connection, callback: Callback, chat: Chat, key: tuple[str, str], part: Json, now: float
) -> Bubble:
    stream_id = key[1]
    if world.options.one_stream_per_request and any(shown.stream_id for shown in callback.shown):
        raise Refusal(wire.CONFLICT, "data version conflict", rule="", section="9.5")
    feedback_id = replies.feedback_id_of(part)
    replies.admit(chat, now)
    if world.stream_requests.setdefault(stream_id, callback.req_id) != callback.req_id:
        world.violate("stream-id-reused", f"stream {stream_id!r} belongs to another req_id", conn, now)
    bubble = world.new_bubble(chat, "bot", "stream", now)
    bubble.req_id, bubble.stream_id, bubble.conn = callback.req_id, stream_id, conn.number
    bubble.feedback_id, bubble.finished = feedback_id, False
    world.streams[key] = world.open_streams[key] = bubble
    world.interactions.extend(callback.user, callback.req_id, now + world.options.stream_lifetime)
    # The bubble is told of twice, here and with its content: watchers coalesce.
    world.show(chat, bubble, callback)
    return bubble


def _finish(world: World, conn: Connection, callback: Callback, bubble: Bubble, now: float) -> None:
    bubble.finished = True
    del world.open_streams[(bubble.req_id, bubble.stream_id)]
    if not is_visible(bubble.message().text):
        bubble.stuck = True
        detail = f"stream {bubble.stream_id!r} ends without visible text: the animation never stops"
        world.violate("invisible-final", detail, conn, now)
    if not bubble.listed:
        world.forget(bubble)
    people.end_interaction(world, callback, now)


def expire(world: World, bubble: Bubble, now: float) -> None:
    """A stream that is too old freezes as it is, and loads for ever (protocol §9.3)."""
    if bubble.expired:
        return
    bubble.expired = True
    world.open_streams.pop((bubble.req_id, bubble.stream_id), None)
    if not bubble.listed:
        world.forget(bubble)
    if not bubble.excused:
        detail = f"stream {bubble.stream_id!r} in {bubble.chat} was not finished in its lifetime"
        world.violate("unfinished-stream", detail, bubble.conn, now)
    world.tell("message", bubble)
