"""The golden frames judge the simulator: what it emits has their shape, what they send it accepts."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from agent.simulator.people import Quote
from tests.simulator.conftest import FRAMES, golden
from tests.simulator.line import Pure

Make = Callable[..., Pure]
GOLDEN = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FRAMES.glob("*.json"))}
OUT = [name for name in GOLDEN if name.startswith("out-")]
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
AMR = b"#!AMR\n" + b"\0" * 20
MP4 = b"\0\0\0\x18ftypmp42" + b"\0" * 20
GROUP = "wrkSFfCgAAxxxxxxxxxxxxxxxxxxxxxx"


def shape(value: Any, drop: tuple[str, ...] = ()) -> Any:
    """The structure of a frame: keys and types, and the values that name a kind."""
    named = ("cmd", "msgtype", "eventtype", "chattype", "card_type", "errcode", "type", "inaccurate_reason_list")
    if isinstance(value, dict):
        return {
            key: part if key in named and not isinstance(part, dict) else shape(part, drop)
            for key, part in value.items()
            if key not in drop
        }
    if isinstance(value, list):
        return [shape(part, drop) for part in value]
    return type(value).__name__


def test_every_file_says_where_it_comes_from() -> None:
    assert len(GOLDEN) > 100
    for name, content in GOLDEN.items():
        assert content.keys() <= {"section", "direction", "note", "frame", "raw", "errcode"}, name
        assert content["direction"] == name.split("-")[0] and content["section"], name


# -- in: the simulator emits the same shapes -----------------------------------------------------------------------


def emitted(far: Pure, name: str) -> Any:
    """What the simulator sends where the golden frame ``name`` was seen."""
    people, user = far.people, "zhangsan"
    chat = GROUP if "group" in name or "mention" in name else None
    match name.split("-")[1:]:
        case ["message", "mixed", "single"]:
            people.send(user, "mixed", PNG, "which city is this?")
        case ["message", "mixed", "group"]:
            people.send(user, "mixed", "what is in this picture?", PNG, "and in this one?", PNG, chat=chat)
        case ["message", "voice"]:
            people.send(user, "voice", "remind me tomorrow")
        case ["message", "key", "padded"]:
            people.send(user, "image", PNG)
        case ["message", ("image" | "file" | "video") as kind, *_]:
            people.send(user, kind, (b"12345", "plan.pdf"))
        case ["message", "unknown"]:
            people.faults.inject(golden(name))
        case ["message", *_]:
            people.say(user, "hello", chat)
        case ["quote", "only", "mention"]:
            people.say(user, "", chat, quote=Quote("text", ("when is the deadline?",)))
        case ["quote", "text", *_]:
            people.say(user, "about this", quote=Quote("text", ("the earlier sentence",)))
        case ["quote", "voice"]:
            people.say(user, "about this", quote=Quote("voice", ("what was said",)))
        case ["quote", "mixed"]:
            medium = far.world.shelf.put("image", "", PNG, far.now)
            people.say(user, "about this", quote=Quote("mixed", ("look", medium)))
        case ["quote", kind, *_]:
            medium = far.world.shelf.put(kind, "", PNG, far.now)
            people.say(user, "about this", chat, quote=Quote(kind, (medium,)))
        case ["event", "enter", *_]:
            people.enter(user)
        case ["event", "feedback", kind]:
            far.stream(far.say(), "answer", True, feedback={"id": "FEEDBACK-1"})
            number = {"like": 1, "dislike": 2, "withdrawn": 3, "flat": 1}[kind]
            people.feedback(user, people.messages(user)[-1].id, number, "the figure is last year's", [2, 4])
        case ["event", "disconnected"]:
            far.world.subscribes.admit(0)
            far.receive(
                json.dumps(golden("out-subscribe") | {"body": {"bot_id": "bot", "secret": "secret"}}),
                conn=far.connect(),
            )
            return far.take()[0][1]
        case ["event", "card", *kind]:
            return _clicked(far, kind)
        case ["event", *_]:
            people.faults.inject(golden(name))
    return far.callback()


def _clicked(far: Pure, kind: list[str]) -> Any:
    name, key = {
        "text": ("text-notice", "menu_1"),
        "news": ("news-notice", "menu_1"),
        "button": ("button", "yes"),
        "flat": ("minimal", "yes"),
        "vote": ("vote", "submit"),
        "multiple": ("multiple", "submit"),
    }[kind[0]]
    card = golden(f"out-reply-card-{name}")["body"]["template_card"]
    if kind == ["button"]:
        del card["button_selection"]
    if name == "news-notice":
        card |= {"task_id": "TASK-1", "action_menu": {"desc": "More", "action_list": [{"text": "Mute", "key": key}]}}
    selected = {"q1": ["a", "b"]} if kind == ["vote"] else None
    chat = GROUP if kind == ["button", "selected"] else None
    far.respond(far.say(chat=chat), "template_card", **card)
    bubble = far.people.messages(chat or "zhangsan")[-1]
    assert far.people.click("zhangsan", bubble.id, key, selected).delivered
    return far.callback()


OPTIONS: dict[str, dict[str, Any]] = {
    "in-message-text-minimal": {"create_time": False, "response_url": False},
    "in-message-file-extras": {"file_extras": True},
    "in-message-key-padded": {"key_padding": True},
    "in-event-enter-chat-bare": {"chattype_on_enter": False},
    "in-event-enter-chat-corpid": {"corpid": "wwCORP"},
    "in-event-card-flat": {"flat_events": True},
    "in-event-feedback-flat": {"flat_events": True},
}
CALLBACKS = [name for name in GOLDEN if name.startswith(("in-message", "in-quote", "in-event"))]


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_have_the_golden_shape(pure: Make, name: str) -> None:
    # The flat form of a card event shows in the SDK's types as key and task alone.
    drop = ("card_type",) if name == "in-event-card-flat" else ()
    sent = emitted(pure(kick_loop=0, **OPTIONS.get(name, {})), name)
    assert shape(sent, drop) == shape(GOLDEN[name]["frame"], drop)


def test_keys_look_as_observed(pure: Make) -> None:
    for padded, length in ((False, 43), (True, 44)):
        far = pure(key_padding=padded)
        far.people.send("zhangsan", "image", PNG)
        assert len(far.callback()["body"]["image"]["aeskey"]) == length
        name = "in-message-key-padded" if padded else "in-message-image"
        assert len(golden(name)["body"]["image"]["aeskey"]) == length


def test_raw_control_characters(pure: Make) -> None:
    far = pure()
    far.people.faults.control_characters = True
    far.people.say("zhangsan", "hello")
    (output,) = far.world.outbox
    raw = output.data
    for text in (raw, GOLDEN["in-control-characters"]["raw"]):
        assert re.search("[\x00-\x08\x0b-\x1f]", text)
    with pytest.raises(ValueError, match="control character"):
        json.loads(raw)
    clean = "".join(character for character in raw if character >= " " or character in "\t\n")
    assert json.loads(clean)["body"]["text"]["content"] == "hello"


def test_acks_have_the_golden_shape(pure: Make) -> None:
    far = pure()
    upload = golden("out-upload-init")["body"] | {"md5": ""}
    acks = {
        "in-ack-ok": far.ask("ping"),
        "in-ack-upload-init": far.ask("aibot_upload_media_init", upload),
        "in-error-40058-orphan": far.ask("aibot_upload_media_init", {}),
        "in-error-846605": far.respond("nobody's", "markdown", content="x"),
        "in-error-86201": far.push("markdown", {"content": "x"}),
        "in-error-93006": far.push("markdown", {"content": "x"}, chatid="nowhere"),
        "in-error-853000": far.subscribe(secret="wrong"),
        "in-error-846609": far.ask("aibot_send_msg", {}, conn=far.connect()),
    }
    chunk = golden("out-upload-chunk")["body"] | {"upload_id": acks["in-ack-upload-init"]["body"]["upload_id"]}
    acks["in-ack-upload-chunk"] = far.ask("aibot_upload_media_chunk", chunk)
    finish = {"upload_id": chunk["upload_id"]}
    acks["in-ack-upload-finish"] = far.ask("aibot_upload_media_finish", finish)
    far.world.faults.pong = True
    acks["in-ack-pong"] = far.ask("ping")
    for name, ack in acks.items():
        assert shape(ack) == shape(golden(name)), name
    assert len(golden("in-ack-upload-finish")["body"]["media_id"]) == len(
        acks["in-ack-upload-finish"]["body"]["media_id"]
    )


# -- out: the simulator accepts the same frames --------------------------------------------------------------------


@pytest.mark.parametrize("name", OUT)
def test_commands_are_accepted(pure: Make, name: str) -> None:
    """Each in its place: subscribed, with the callback, the card or the media that it needs."""
    far = pure(ping_minimum=0)
    frame, expected = json.loads(json.dumps(GOLDEN[name]["frame"])), GOLDEN[name].get("errcode", 0)
    body = frame.get("body", {})
    match frame["cmd"]:
        case "aibot_subscribe":
            far = pure(subscribed=False)
            body |= {"bot_id": "bot", "secret": "secret"}
        case "aibot_respond_msg":
            frame["headers"]["req_id"] = far.say()
        case "aibot_respond_welcome_msg":
            frame["headers"]["req_id"] = far.people.enter("zhangsan").req_id
        case "aibot_respond_update_msg":
            card = golden("out-reply-card-minimal")["body"]["template_card"] | {"task_id": "TASK-1"}
            assert far.respond(far.say(), "template_card", **card)["errcode"] == 0
            frame["headers"]["req_id"] = far.people.click("zhangsan", "m2", "yes").req_id
        case "aibot_send_msg":
            far.say()
            far.say(chat=GROUP)
        case "aibot_upload_media_chunk" | "aibot_upload_media_finish":
            body["upload_id"] = _begun(far, finished=frame["cmd"] == "aibot_upload_media_finish")
    media = body.get(body.get("msgtype", ""), {})
    if not expected and "media_id" in media:
        content = {"image": PNG, "voice": AMR, "video": MP4, "file": b"12345"}[body["msgtype"]]
        media["media_id"] = far.upload(content, kind=body["msgtype"])
    far.take()
    ack = far.ask_frame(frame)
    assert ack["errcode"] == expected, ack
    bugs = (40008, 40058, 42045, 86201)
    allowed = ["msg-item"] if name == "out-stream-msg-item" else []
    assert bool(far.rules_broken) == (expected in bugs) or far.rules_broken == allowed


def _begun(far: Pure, *, finished: bool) -> str:
    upload_id: str = far.ask_frame(golden("out-upload-init"))["body"]["upload_id"]
    if finished:
        frame = golden("out-upload-chunk")
        frame["body"]["upload_id"] = upload_id
        assert far.ask_frame(frame)["errcode"] == 0
    return upload_id
