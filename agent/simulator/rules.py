"""What the gateway makes of the bot's frames: every rule of protocol §21 that a command can meet.

One function a command; each returns the body of its ack (mostly None) or raises a Refusal. Pure: no sockets, no clock.
"""

from collections.abc import Callable
from typing import Any

from agent.simulator import people, replies, streams, wire
from agent.simulator.wire import INVENTED, Json, Refusal, missing
from agent.simulator.world import Connection, Drop, World


def receive(world: World, conn: Connection, data: str | bytes, now: float) -> None:
    """One WebSocket message from a bot."""
    conn.heard = now
    if isinstance(data, bytes):
        world.heard(conn, "", "", data, "binary", now)
        world.violate("binary-frame", f"{len(data)} bytes; frames are JSON text", conn, now)
        return
    try:
        frame = wire.decode(data)
    except ValueError as error:
        world.heard(conn, "", "", data, f"not JSON: {error}", now)
        world.violate("not-json", str(error), conn, now)
        return
    command, headers = frame.get("cmd"), frame.get("headers")
    command = command if isinstance(command, str) else ""
    req_id = headers.get("req_id") if isinstance(headers, dict) else None
    if not isinstance(req_id, str) or not req_id:
        world.heard(conn, command, "", data, "no req_id", now)
        world.violate("no-req-id", f"{command or 'a frame'} without headers.req_id", conn, now)
        refused = wire.orphan(wire.BAD_FIELD, "missing field headers.req_id", headers=world.options.orphan_headers)
        world.ack(conn, command, "", refused, now)
        return
    if world.faults.command_is_lost(command):
        world.heard(conn, command, req_id, data, "lost on the way, by a fault", now)
        return
    world.heard(conn, command, req_id, data, "", now)
    _note_flight(world, conn, command, req_id, now)
    try:
        body = _obey(world, conn, command, req_id, frame.get("body"), now)
    except Refusal as refusal:
        if refusal.rule:
            world.violate(refusal.rule, f"{command}: {refusal}", conn, now, refusal.section)
        if refusal.errcode == wire.BAD_FIELD:
            answer = wire.orphan(refusal.errcode, refusal.errmsg, headers=world.options.orphan_headers)
        else:
            answer = wire.ack(req_id, refusal.errcode, refusal.errmsg)
    else:
        answer = wire.ack(req_id, body=body)
    world.ack(conn, command, req_id, answer, now)
    if command == wire.SUBSCRIBE and world.owner is conn:
        people.release_held(world, now)


def _note_flight(world: World, conn: Connection, command: str, req_id: str, now: float) -> None:
    """Acks are told apart by req_id alone, so a second frame on one is ambiguous until the first is acked (§9.4)."""
    earlier = conn.pending.get(req_id)
    if earlier is not None:
        if now - earlier[0] < world.options.ack_patience:
            detail = f"{command} on {req_id!r} while {earlier[1]} on it is not acked"
            world.violate("second-frame-in-flight", detail, conn, now)
        world.settle(conn, req_id)
    conn.pending[req_id] = (now, command)
    if command == wire.UPLOAD_CHUNK:
        conn.chunks += 1
    if wire.size(req_id) > wire.REQ_ID_LIMIT:
        world.violate("long-req-id", f"{wire.size(req_id)} bytes, more than {wire.REQ_ID_LIMIT}", conn, now)


def _obey(world: World, conn: Connection, command: str, req_id: str, body: Any, now: float) -> Json | None:
    if errcode := world.faults.errcode(command):
        raise Refusal(errcode, "fault on demand" + INVENTED, rule="", section="18")
    if command == wire.SUBSCRIBE:
        _subscribe(world, conn, body, now)
        return None
    _check_subscribed(world, conn, command, now)
    if command == wire.PING:
        _ping(world, conn, now)
        return None
    rule = _COMMANDS.get(command)
    if rule is None:
        known = command in wire.PLUGIN_ONLY
        raise Refusal(
            wire.BAD_PARAMETER,
            f"unknown cmd {command[:60]!r}" + INVENTED,
            rule="plugin-command" if known else "unknown-command",
            section="8.6" if known else "1.1",
        )
    if not isinstance(body, dict):
        raise missing("body", "1.1")
    return rule(world, conn, req_id, body, now)


# -- connection ----------------------------------------------------------------------------------------------------


def _subscribe(world: World, conn: Connection, body: Any, now: float) -> None:
    bot_id, secret = (body.get("bot_id"), body.get("secret")) if isinstance(body, dict) else (None, None)
    if not isinstance(bot_id, str) or not bot_id:
        raise missing("bot_id", "2")
    if not isinstance(secret, str) or not secret:
        raise missing("secret", "2")
    if not world.subscribes.admit(now):
        per_minute = world.options.subscribes_per_minute
        text = f"more than {per_minute} subscribes a minute" + INVENTED
        raise Refusal(wire.TOO_OFTEN, text, rule="subscribe-too-often", section="2")
    if bot_id != world.bot_id or secret != world.secret:
        conn.refused = now
        hint = f"invalid bot_id or secret, hint: [{now:.0f}_simulator], from ip: {conn.peer}, "
        more = "more info at https://open.work.weixin.qq.com/devtool/query?e=853000"
        raise Refusal(wire.BAD_CREDENTIALS, hint + more, rule="", section="2")
    if conn.ever_subscribed:
        world.violate("subscribed-twice", "one subscribe a socket; open a new one instead", conn, now)
    old = world.owner
    if old is conn:
        return
    if old is not None:
        _displace(world, old, conn, now)
    conn.subscribed = conn.ever_subscribed = conn.subscribing = True
    conn.displaced, conn.refused, conn.lost = None, None, False
    world.owner = conn
    world.tell("bot", world.bot_state)


def _displace(world: World, old: Connection, new: Connection, now: float) -> None:
    """The first loses ownership at once, is told, and lives on for a while without a close frame (protocol §4)."""
    loop, last = world.options.kick_loop, world.displaced_at
    if loop and last is not None and now - last < loop:
        detail = f"displaced connection {old.number}, {now - last:.1f} s after the displacement before"
        world.violate("mutual-kick", detail, new, now)
    world.displaced_at = now
    old.subscribed, old.displaced = False, now
    if old.frozen:
        return  # half-open: most likely it is the same bot that came back, and it still has to finish its streams
    for bubble in world.open_streams.values():
        bubble.excused = True  # its bot can no longer send, and the successor does not know of it
    world.callback(old, people.disconnected(world, now), now, f"displaced by connection {new.number}")


def _check_subscribed(world: World, conn: Connection, command: str, now: float) -> None:
    if conn.subscribed:
        if conn.subscribing:
            world.violate("command-before-subscribe", f"{command} before the ack of subscribe", conn, now)
        return
    if command == wire.PING and (conn.displaced is not None or (conn.lost and conn.lost_pings_pass)):
        return  # a displaced socket looks healthy (protocol §4)
    early = not conn.ever_subscribed
    rule = "command-before-subscribe" if early else ""
    raise Refusal(wire.NOT_SUBSCRIBED, "aibot websocket not subscribed", rule=rule, section="2")


def _ping(world: World, conn: Connection, now: float) -> None:
    last, conn.last_ping = conn.last_ping, now
    minimum = world.options.ping_minimum
    if minimum and last is not None and now - last < minimum:
        world.violate("ping-too-often", f"{now - last:.2f} s after the last answered one", conn, now)


# -- commands -------------------------------------------------------------------------------------------------------


def _respond(world: World, conn: Connection, req_id: str, body: Json, now: float) -> None:
    callback = world.callbacks.claim(req_id, wire.RESPOND, now)
    chat = world.chats.by_id[callback.chat]
    reply = streams.receive if body.get("msgtype") == "stream" else replies.respond
    reply(world, conn, callback, chat, body, now)


def _upload_init(world: World, conn: Connection, req_id: str, body: Json, now: float) -> Json:
    return world.uploads.init(body, world.bot_id, now)


def _upload_chunk(world: World, conn: Connection, req_id: str, body: Json, now: float) -> None:
    if conn.chunks > world.options.chunks_in_flight:
        # The backend's answer to many parallel chunks (protocol §14); its code is not attested.
        raise Refusal(wire.SYSTEM_ERROR, "system error" + INVENTED, rule="", section="14")
    world.uploads.chunk(body, world.bot_id, now)


def _upload_finish(world: World, conn: Connection, req_id: str, body: Json, now: float) -> Json:
    return world.uploads.finish(body, world.bot_id, now)


_COMMANDS: dict[str, Callable[[World, Connection, str, Json, float], Json | None]] = {
    wire.RESPOND: _respond,
    wire.WELCOME: replies.welcome,
    wire.UPDATE: replies.update,
    wire.SEND: replies.push,
    wire.UPLOAD_INIT: _upload_init,
    wire.UPLOAD_CHUNK: _upload_chunk,
    wire.UPLOAD_FINISH: _upload_finish,
}


# -- time ----------------------------------------------------------------------------------------------------------


def tick(world: World, now: float) -> None:
    """What time alone does: sockets end, streams expire, held-back messages get their turn. Cheap when idle."""
    options = world.options
    for conn in list(world.connections.values()):
        if conn.frozen:
            continue
        kicked = conn.displaced is not None and now - conn.displaced >= options.kick_delay
        if kicked or (conn.subscribed and now - conn.heard >= options.idle_timeout):
            world.put(Drop(conn))
        elif conn.refused is not None and options.refused_linger and now - conn.refused >= options.refused_linger:
            conn.refused = None
            world.violate(
                "refused-socket-left-open", f"still open {options.refused_linger:g} s after 853000", conn, now
            )
    while world.open_streams:
        bubble = next(iter(world.open_streams.values()))
        if now - bubble.created <= options.stream_lifetime:
            break
        streams.expire(world, bubble, now)
    people.release_held(world, now)
