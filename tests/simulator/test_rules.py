"""Protocol §21, point by point, without sockets and without waiting."""

import json
from collections.abc import Callable

import pytest

from tests.simulator.line import Pure

Make = Callable[..., Pure]
BUTTON = {
    "card_type": "button_interaction",
    "task_id": "T1",
    "main_title": {"title": "Go on?"},
    "button_list": [{"text": "Yes", "style": 1, "key": "yes"}],
}
ACTION = {"card_action": {"type": 1, "url": "https://work.weixin.qq.com/"}}


# -- connection (1-7) ----------------------------------------------------------------------------------------------


def test_req_ids_come_back_verbatim_and_acks_have_no_cmd(pure: Make) -> None:
    far = pure()
    for req_id in ("x", "ping_1_ab", 'quote " and 中文 \t', "r" * 256):
        ack = far.ask("ping", req_id=req_id)
        assert ack == {"headers": {"req_id": req_id}, "errcode": 0, "errmsg": "ok"}
    assert far.rules_broken == ["ping-too-often"] * 3


@pytest.mark.parametrize("cmd", ["ping", "aibot_respond_msg", "aibot_send_msg", "aibot_upload_media_init", "nonsense"])
def test_before_subscribe_everything_is_846609(pure: Make, cmd: str) -> None:
    far = pure(subscribed=False)
    assert far.ask(cmd, {})["errcode"] == 846609
    assert far.rules_broken == ["command-before-subscribe"]


def test_bad_credentials_keep_the_socket(pure: Make) -> None:
    far = pure(subscribed=False)
    for body in ({"secret": "wrong"}, {"bot_id": "other"}):
        ack = far.subscribe(**body)
        assert ack["errcode"] == 853000
        assert ack["errmsg"].startswith("invalid bot_id or secret")
    assert far.drops() == []
    assert far.world.owner is None
    assert far.rules_broken == []
    assert far.subscribe()["errcode"] == 0


def test_a_client_that_lingers_after_853000_is_noted(pure: Make) -> None:
    far = pure(subscribed=False)
    far.subscribe(secret="wrong")
    far.tick(4.9)
    assert far.rules_broken == []
    far.tick(0.2)
    far.tick(10)
    assert far.rules_broken == ["refused-socket-left-open"]


@pytest.mark.parametrize("body", [None, {}, {"bot_id": "bot"}, {"bot_id": "bot", "secret": ""}, {"bot_id": 7}])
def test_an_incomplete_subscribe_is_an_orphan_40058(pure: Make, body: dict[str, object] | None) -> None:
    far = pure(subscribed=False)
    ack = far.ask("aibot_subscribe", body)
    assert (ack["errcode"], ack["headers"]) == (40058, {})
    assert far.rules_broken == ["bad-field"]


def test_a_second_subscriber_takes_over_at_once(pure: Make) -> None:
    far = pure(kick_delay=2.2)
    old, new = far.conn, far.connect()
    far.receive(
        json.dumps(
            {
                "cmd": "aibot_subscribe",
                "headers": {"req_id": "s2"},
                "body": {"bot_id": "bot", "secret": "secret"},
            }
        ),
        conn=new,
    )
    sent = far.take()
    assert [(conn.number, frame.get("cmd")) for conn, frame in sent] == [(1, "aibot_event_callback"), (2, None)]
    event = sent[0][1]["body"]
    assert event["event"] == {"eventtype": "disconnected_event"}
    assert not {"from", "chatid", "chattype"} & event.keys()
    # The old socket looks healthy, and can do nothing.
    assert far.ask("ping", conn=old)["errcode"] == 0
    assert far.ask("aibot_send_msg", {"chatid": "x"}, conn=old)["errcode"] == 846609
    assert far.people.say("zhangsan", "to whom?").delivered
    assert [conn.number for conn, frame in far.take()] == [2]
    far.tick(2.1)
    assert far.drops() == []
    far.tick(0.2)
    assert far.drops() == [old]
    assert far.rules_broken == []


def test_a_disconnected_event_cannot_be_answered(pure: Make) -> None:
    far = pure()
    new = far.connect()
    far.receive(
        '{"cmd":"aibot_subscribe","headers":{"req_id":"s"},"body":{"bot_id":"bot","secret":"secret"}}', conn=new
    )
    req_id = far.take()[0][1]["headers"]["req_id"]
    ack = far.ask("aibot_respond_msg", {"msgtype": "markdown", "markdown": {"content": "hi"}}, req_id=req_id, conn=new)
    assert ack["errcode"] == 846605


def test_bots_that_kick_each_other_are_noted(pure: Make) -> None:
    far = pure(kick_loop=5.0)
    far.subscribe(far.connect())
    assert far.rules_broken == []
    far.now += 4
    far.subscribe(far.connect())
    assert far.rules_broken == ["mutual-kick"]
    far.now += 6
    far.subscribe(far.connect())
    assert far.rules_broken == ["mutual-kick"]


def test_one_subscribe_a_socket(pure: Make) -> None:
    far = pure()
    assert far.subscribe()["errcode"] == 0
    assert far.rules_broken == ["subscribed-twice"]
    assert far.world.owner is far.conn


def test_subscribes_have_a_limit(pure: Make) -> None:
    far = pure(subscribes_per_minute=3)
    assert far.subscribe()["errcode"] == far.subscribe()["errcode"] == 0
    ack = far.subscribe()
    assert ack["errcode"] == 45009
    assert ack["errmsg"].endswith("(invented)")
    assert "subscribe-too-often" in far.rules_broken
    far.now += 60
    assert far.subscribe()["errcode"] == 0


def test_silence_ends_a_socket_and_pings_keep_it(pure: Make) -> None:
    far = pure(idle_timeout=120.0)
    for _ in range(5):
        far.tick(100)
        far.ask("ping")
    assert far.drops() == []
    far.tick(119)
    assert far.drops() == []
    far.tick(2)
    assert far.drops() == [far.conn]


def test_pings_too_close_are_noted_unless_the_last_ack_was_lost(pure: Make) -> None:
    far = pure(ping_minimum=5.0)
    far.ask("ping")
    far.now += 5
    far.ask("ping")
    assert far.rules_broken == []
    far.world.faults.lose_acks(1, "ping")
    far.now += 30
    far.receive('{"cmd":"ping","headers":{"req_id":"p"}}')
    assert far.take() == []
    far.now += 1
    far.ask("ping")
    assert far.rules_broken == []
    far.now += 1
    far.ask("ping")
    assert far.rules_broken == ["ping-too-often"]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        ("{", "not-json"),
        ("[]", "not-json"),
        ('{"cmd":"ping","headers":{"req_id":"a"},"body":NaN}', "not-json"),
        ('{"cmd":"ping","headers":{"req_id":"\\ud800"}}', "not-json"),
        ("[" * 100_000, "not-json"),
        (b'{"cmd":"ping","headers":{"req_id":"a"}}', "binary-frame"),
    ],
)
def test_what_is_no_frame_gets_no_answer(pure: Make, data: str | bytes, rule: str) -> None:
    far = pure()
    far.receive(data)
    assert far.take() == []
    assert far.rules_broken == [rule]


@pytest.mark.parametrize("headers", [None, {}, {"req_id": ""}, {"req_id": 7}, [], "x"])
def test_a_frame_without_req_id_gets_an_orphan(pure: Make, headers: object) -> None:
    far = pure()
    ack = far.ask_frame({"cmd": "ping", "headers": headers})
    assert (ack["errcode"], ack["headers"]) == (40058, {})
    assert far.rules_broken == ["no-req-id"]


def test_orphans_may_come_without_headers(pure: Make) -> None:
    far = pure(orphan_headers=False)
    assert "headers" not in far.ask("aibot_upload_media_init", {"type": "nothing"})


def test_unknown_and_plugin_commands(pure: Make) -> None:
    far = pure()
    assert far.ask("aibot_dance", {})["errmsg"].endswith("(invented)")
    far.ask("aibot_get_mcp_config", {"biz_type": "doc"})
    far.ask_frame({"headers": {"req_id": "a"}, "body": {}})
    assert far.rules_broken == ["unknown-command", "plugin-command", "unknown-command"]


def test_a_long_req_id_is_noted(pure: Make) -> None:
    far = pure()
    assert far.ask("ping", req_id="中" * 86)["errcode"] == 0
    assert far.rules_broken == ["long-req-id"]


def test_a_second_frame_before_the_ack_is_noted(pure: Make) -> None:
    far = pure()
    req_id = far.say()
    frame = {
        "cmd": "aibot_respond_msg",
        "headers": {"req_id": req_id},
        "body": {"msgtype": "stream", "stream": {"id": "S", "content": "a", "finish": False}},
    }
    far.receive(json.dumps(frame))
    far.now += 3.9
    far.receive(json.dumps(frame))
    assert far.rules_broken == ["second-frame-in-flight"]
    # A client that gave up waiting may go on.
    far.now += 5
    far.receive(json.dumps(frame))
    assert far.rules_broken == ["second-frame-in-flight"]
    assert len(far.take()) == 3
    far.ask_frame(frame)
    assert far.rules_broken == ["second-frame-in-flight"]


# -- inbound (8-13) ------------------------------------------------------------------------------------------------


def test_chatid_and_mention_belong_to_groups(pure: Make) -> None:
    far = pure()
    far.people.say("zhangsan", "hello", "wrGroup")
    body = far.callback()["body"]
    assert (body["chatid"], body["chattype"]) == ("wrGroup", "group")
    assert body["text"]["content"] == "@Team Bot hello"
    far.people.say("zhangsan", "hello")
    body = far.callback()["body"]
    assert "chatid" not in body
    assert (body["chattype"], body["text"]["content"]) == ("single", "hello")


def test_talk_without_a_mention_stays_in_the_group(pure: Make) -> None:
    far = pure()
    sent = far.people.say("lisi", "lunch?", "wrGroup", mention=False)
    assert (sent.delivered, sent.why) == (False, "the bot is not mentioned")
    assert far.take() == []
    assert [message.text for message in far.people.messages("wrGroup")] == ["lunch?"]


@pytest.mark.parametrize("kind", ["image", "file", "video"])
def test_media_of_their_own_reach_the_bot_in_single_chats_only(pure: Make, kind: str) -> None:
    far = pure()
    assert not far.people.send("lisi", kind, b"12345", chat="wrGroup").delivered
    assert far.take() == []
    assert far.people.send("lisi", kind, (b"12345", "a.pdf")).delivered
    assert far.callback()["body"][kind].keys() == {"url", "aeskey"}


def test_voice_is_a_transcript(pure: Make) -> None:
    far = pure()
    far.people.send("lisi", "voice", "remind me")
    assert far.callback()["body"]["voice"] == {"content": "remind me"}
    assert not far.people.send("lisi", "voice", "remind me", chat="wrGroup").delivered


def test_mixed_keeps_the_order_and_begins_with_the_mention_in_groups(pure: Make) -> None:
    far = pure()
    far.people.send("lisi", "mixed", b"one", "and", b"two")
    items = far.callback()["body"]["mixed"]["msg_item"]
    assert [item["msgtype"] for item in items] == ["image", "text", "image"]
    far.people.send("lisi", "mixed", b"one", "and", chat="wrGroup")
    items = far.callback()["body"]["mixed"]["msg_item"]
    assert [item.get("text", {}).get("content") for item in items] == [None, "@Team Bot and"]
    far.people.send("lisi", "mixed", b"one", chat="wrGroup")
    items = far.callback()["body"]["mixed"]["msg_item"]
    assert [item["msgtype"] for item in items] == ["text", "image"]
    assert items[0]["text"]["content"] == "@Team Bot "


@pytest.mark.parametrize("kind", ["link", "location", "card", "miniprogram"])
def test_the_platform_answers_other_kinds_itself(pure: Make, kind: str) -> None:
    far = pure()
    assert not far.people.send("lisi", kind, "something").delivered
    assert far.take() == []
    assert [message.sender for message in far.people.messages("lisi")] == ["lisi", "platform"]


def test_optional_fields_can_be_switched(pure: Make) -> None:
    far = pure(create_time=False, response_url=False, corpid="wwCorp", chattype_on_enter=False, file_extras=True)
    far.people.send("lisi", "file", (b"12345", "a.txt"))
    body = far.callback()["body"]
    assert not {"create_time", "response_url"} & body.keys()
    assert body["file"] | {"url": "", "aeskey": ""} == {
        "url": "",
        "aeskey": "",
        "filename": "a.txt",
        "md5": "827ccb0eea8a706c4c34a16891f84e7b",
        "file_size": 5,
    }
    assert body["from"] == {"userid": "lisi"}
    far.people.enter("lisi")
    body = far.callback()["body"]
    assert body["from"] == {"userid": "lisi", "corpid": "wwCorp"}
    assert "chattype" not in body


def test_every_kind_can_be_quoted(pure: Make) -> None:
    far = pure()
    ids = {
        "text": far.people.say("lisi", "earlier").message_id,
        "image": far.people.send("lisi", "image", b"12345").message_id,
        "mixed": far.people.send("lisi", "mixed", "look", b"12345").message_id,
        "voice": far.people.send("wang", "voice", "spoken").message_id,
        "file": far.people.send("wang", "file", b"12345").message_id,
        "video": far.people.send("wang", "video", b"12345").message_id,
    }
    far.take()
    for number, (kind, message_id) in enumerate(ids.items()):
        far.people.say(f"user{number}", "about this", "wrGroup", quote=message_id)
        quote = far.callback()["body"]["quote"]
        assert quote.keys() == {"msgtype", kind}
        assert quote["msgtype"] == kind
        if kind in ("image", "file", "video"):
            assert quote[kind].keys() == {"url", "aeskey"}
    far = pure(quote_video=False)
    message_id = far.people.send("lisi", "video", b"12345").message_id
    far.take()
    far.people.say("lisi", "about this", quote=message_id)
    assert "quote" not in far.callback()["body"]


def test_an_answer_of_the_bot_can_be_quoted_as_text(pure: Make) -> None:
    far = pure()
    req_id = far.say()
    far.stream(req_id, "<think>hm</think>forty-two", True)
    answer = far.people.messages("zhangsan")[-1]
    far.people.say("zhangsan", "why?", quote=answer.id)
    assert far.callback()["body"]["quote"] == {"msgtype": "text", "text": {"content": "forty-two"}}


def test_nothing_is_replayed(pure: Make) -> None:
    far = pure()
    far.world.closed(far.conn)
    sent = far.people.say("zhangsan", "anybody?")
    assert (sent.delivered, sent.why) == (False, "no bot is connected; nothing is replayed later")
    far.conn = far.connect()
    far.subscribe()
    far.tick(60)
    assert far.take() == []


def test_the_same_msgid_comes_again_on_demand(pure: Make) -> None:
    far = pure()
    sent = far.people.say("zhangsan", "hello")
    first = far.callback()
    far.people.faults.redeliver(sent.msgid)
    assert far.callback() == first
    far.people.faults.redeliver(sent.msgid, new_req_id=True)
    again = far.callback()
    assert again["body"] == first["body"]
    assert again["headers"] != first["headers"]
    assert far.respond(again["headers"]["req_id"], "markdown", content="twice")["errcode"] == 0
    with pytest.raises(KeyError):
        far.people.faults.redeliver("unknown")


def test_a_fourth_message_waits_for_one_of_three(pure: Make) -> None:
    far = pure()
    req_ids = [far.say(f"{number}") for number in range(3)]
    held = far.people.say("zhangsan", "fourth", "wrGroup")
    fifth = far.people.say("zhangsan", "fifth")
    assert not held.delivered
    assert held.why.startswith("held back")
    assert far.people.say("lisi", "another user").delivered
    far.take()
    far.stream(req_ids[1], "working", False)
    assert far.take() == []
    far.receive(
        json.dumps(
            {
                "cmd": "aibot_respond_msg",
                "headers": {"req_id": req_ids[1]},
                "body": {"msgtype": "stream", "stream": {"id": "S", "content": "done", "finish": True}},
            }
        )
    )
    frames = [frame for _, frame in far.take() if frame.get("cmd")]
    assert [frame["body"]["text"]["content"] for frame in frames] == ["@Team Bot fourth"]
    assert frames[0]["headers"]["req_id"] == held.req_id
    # The fifth goes out when another reply is sent.
    far.receive(
        json.dumps(
            {
                "cmd": "aibot_respond_msg",
                "headers": {"req_id": req_ids[0]},
                "body": {"msgtype": "markdown", "markdown": {"content": "done"}},
            }
        )
    )
    frames = [frame for _, frame in far.take() if frame.get("cmd")]
    assert [frame["headers"]["req_id"] for frame in frames] == [fifth.req_id]


def test_an_interaction_without_an_answer_expires(pure: Make) -> None:
    far = pure(interaction_expiry=120.0)
    for number in range(3):
        far.say(f"{number}")
    sent = far.people.say("zhangsan", "fourth")
    assert not sent.delivered
    far.tick(119)
    assert far.take() == []
    far.tick(2)
    assert far.callback()["headers"]["req_id"] == sent.req_id


def test_an_open_stream_keeps_its_interaction(pure: Make) -> None:
    far = pure(interaction_expiry=120.0)
    for number in range(3):
        far.stream(far.say(f"{number}"), "…", id=f"S{number}")
    assert not far.people.say("zhangsan", "fourth").delivered
    far.tick(599)
    assert far.take() == []
    far.tick(2)
    assert far.callback()["body"]["text"]["content"] == "fourth"


# -- req_ids (14-15) -----------------------------------------------------------------------------------------------


def test_a_message_can_be_answered_for_a_day(pure: Make) -> None:
    far = pure()
    req_id = far.say()
    far.now += 24 * 3600
    assert far.respond(req_id, "markdown", content="late but in time")["errcode"] == 0
    far.now += 1
    assert far.respond(req_id, "markdown", content="too late")["errcode"] == 846604
    assert far.rules_broken == []


def test_unknown_req_ids(pure: Make) -> None:
    far = pure()
    assert far.respond("nobody's", "markdown", content="x")["errcode"] == 846605
    assert far.ask("aibot_respond_welcome_msg", {"msgtype": "text"}, req_id="nobody's")["errcode"] == 846605
    assert far.ask("aibot_respond_update_msg", {}, req_id="nobody's")["errcode"] == 846605
    assert far.rules_broken == []


def test_a_welcome_within_five_seconds_once(pure: Make) -> None:
    far = pure()
    welcome = {"msgtype": "text", "text": {"content": "Welcome!"}}
    req_id = far.people.enter("lisi").req_id
    assert far.callback()["body"]["event"] == {"eventtype": "enter_chat"}
    far.now += 5
    assert far.respond(req_id, "markdown", content="x")["errcode"] == 846605
    assert far.ask("aibot_respond_welcome_msg", welcome, req_id=req_id)["errcode"] == 0
    assert far.ask("aibot_respond_welcome_msg", welcome, req_id=req_id)["errcode"] == 846605
    assert far.rules_broken == []
    assert [(m.kind, m.text) for m in far.people.messages("lisi")] == [("text", "Welcome!")]
    req_id = far.people.enter("lisi", again=True).req_id
    far.now += 5.1
    assert far.ask("aibot_respond_welcome_msg", welcome, req_id=req_id)["errcode"] == 846604
    assert far.rules_broken == ["late-welcome"]


def test_enter_chat_comes_once_a_day(pure: Make) -> None:
    far = pure()
    assert far.people.enter("lisi").delivered
    assert far.people.enter("lisi").why == "not the first time today"
    far.now += 86400
    assert far.people.enter("lisi").delivered


def test_a_welcome_cannot_answer_a_message(pure: Make) -> None:
    far = pure()
    ack = far.ask("aibot_respond_welcome_msg", {"msgtype": "text", "text": {"content": "x"}}, req_id=far.say())
    assert ack["errcode"] == 846605


# -- replies (16-21) -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("msgtype", ["text", "mixed", "stream_with_template_card", "news", "event"])
def test_other_types_are_40008(pure: Make, msgtype: str) -> None:
    far = pure()
    assert far.respond(far.say(), msgtype, content="x")["errcode"] == 40008
    assert far.rules_broken == ["bad-type"]


@pytest.mark.parametrize("part", [{"url": "https://a/b.png"}, {"base64": "aGk=", "md5": "x"}, {}, {"media_id": ""}])
@pytest.mark.parametrize("kind", ["image", "file", "voice", "video"])
def test_media_go_by_media_id_only(pure: Make, kind: str, part: dict[str, str]) -> None:
    far = pure()
    ack = far.ask("aibot_respond_msg", {"msgtype": kind, kind: part}, req_id=far.say())
    assert (ack["errcode"], ack["headers"]) == (40058, {})


def test_media_ids(pure: Make) -> None:
    far = pure()
    media_id = far.upload(b"0123456789", name="报告 1.txt")
    assert len(media_id) == 87
    assert far.respond(far.say(), "file", media_id="wrong")["errcode"] == 40007
    assert far.respond(far.say(), "image", media_id=media_id)["errcode"] == 40007
    assert far.respond(far.say(user="lisi"), "file", media_id=media_id)["errcode"] == 0
    (medium,) = far.people.messages("lisi")[-1].media
    assert (medium["name"], medium["size"], medium["kind"]) == ("报告 1.txt", 10, "file")
    assert far.people.media_bytes(medium["media_id"]) == b"0123456789"
    far.now += 3 * 86400 + 1
    assert far.respond(far.say(user="lisi"), "file", media_id=media_id)["errcode"] == 40007


def test_what_people_sent_is_no_media_id_of_the_bot(pure: Make) -> None:
    far = pure()
    far.people.send("lisi", "file", b"12345")
    media_id = far.people.messages("lisi")[0].media[0]["media_id"]
    assert far.respond(far.say(), "file", media_id=media_id)["errcode"] == 40007


def test_a_video_keeps_its_title_within_limits(pure: Make) -> None:
    far = pure()
    media_id = far.upload(b"\0\0\0\x18ftypmp42", kind="video", name="a.mp4")
    assert far.respond(far.say(), "video", media_id=media_id, title="题" * 30, description="d" * 600)["errcode"] == 0
    (medium,) = far.people.messages("zhangsan")[-1].media
    assert medium["title"] == "题" * 21
    assert len(medium["description"]) == 512


def test_a_stream_replaces_its_content_and_locks(pure: Make) -> None:
    far = pure()
    req_id = far.say()
    for content in ("<think></think>", "a", "ab"):
        assert far.stream(req_id, content)["errcode"] == 0
    message = far.people.messages("zhangsan")[-1]
    assert (message.text, message.finished, message.frames) == ("ab", False, 3)
    assert far.stream(req_id, "abc", True)["errcode"] == 0
    assert far.stream(req_id, "abc", True)["errcode"] == 6000
    assert far.rules_broken == []  # the same final once more is what a client does that lost the ack
    assert far.stream(req_id, "abcd", True)["errcode"] == 6000
    assert far.rules_broken == ["frame-after-finish"]
    message = far.people.messages("zhangsan")[-1]
    assert (message.text, message.finished, message.frames) == ("abc", True, 4)


def test_a_frame_after_finish_may_be_swallowed(pure: Make) -> None:
    far = pure(after_finish="silent")
    req_id = far.say()
    far.stream(req_id, "a", True)
    assert far.stream(req_id, "b", True)["errcode"] == 0
    assert far.people.messages("zhangsan")[-1].text == "a"


def test_content_over_the_cap_is_refused_and_noted(pure: Make) -> None:
    far = pure()
    req_id = far.say()
    assert far.stream(req_id, "字" * 6826 + "ab")["errcode"] == 0
    ack = far.stream(req_id, "字" * 6827, True)
    assert ack["errcode"] == 45002
    assert ack["errmsg"].endswith("(invented)")
    assert far.rules_broken == ["content-too-long"]
    assert not far.people.messages("zhangsan")[-1].finished
    assert far.push("markdown", {"content": "a" * 20481}, chatid="zhangsan")["errcode"] == 45002
    assert far.push("markdown", {"content": "a" * 20480}, chatid="zhangsan")["errcode"] == 0


@pytest.mark.parametrize("lifetime", [360.0, 600.0])
def test_a_stream_lives_from_its_first_frame(pure: Make, lifetime: float) -> None:
    far = pure(stream_lifetime=lifetime)
    req_id = far.say()
    far.stream(req_id, "a")
    far.now += lifetime
    assert far.stream(req_id, "ab")["errcode"] == 0
    far.now += 1
    ack = far.stream(req_id, "abc", True)
    assert ack["errcode"] == 846608
    assert f">{lifetime / 60:g} minutes" in ack["errmsg"]
    message = far.people.messages("zhangsan")[-1]
    assert (message.text, message.finished, message.expired) == ("ab", False, True)
    assert far.rules_broken == ["unfinished-stream"]
    # The same req_id opens a new stream with a fresh clock.
    assert far.stream(req_id, "abc", True, id="S2")["errcode"] == 0


def test_an_unfinished_stream_is_noted_by_time_alone(pure: Make) -> None:
    far = pure()
    far.stream(far.say(), "a")
    assert [violation.rule for violation in far.people.check()] == ["unfinished-stream"]
    assert far.rules_broken == []
    far.tick(601)
    assert far.rules_broken == ["unfinished-stream"]
    assert [violation.section for violation in far.people.check()] == ["9.3"]


def test_streams_of_a_displaced_bot_are_not_held_against_it(pure: Make) -> None:
    far = pure()
    far.stream(far.say(), "a")
    far.subscribe(far.connect())
    assert far.people.check() == []
    far.tick(700)
    assert far.rules_broken == []


def test_feedback_counts_in_the_first_frame_only(pure: Make) -> None:
    far = pure()
    req_id = far.say()
    far.stream(req_id, "a", feedback={"id": "F1"})
    far.stream(req_id, "ab", True, feedback={"id": "F2"})
    req_id = far.say()
    far.stream(req_id, "a", id="S2")
    far.stream(req_id, "ab", True, id="S2", feedback={"id": "F3"})
    assert [m.feedback_id for m in far.people.messages("zhangsan") if m.sender == "bot"] == ["F1", ""]


def test_msg_item_is_answered_and_shown_nowhere(pure: Make) -> None:
    far = pure()
    item = {"msgtype": "image", "image": {"base64": "aGk=", "md5": "x"}}
    assert far.stream(far.say(), "look", True, msg_item=[item])["errcode"] == 0
    message = far.people.messages("zhangsan")[-1]
    assert (message.text, message.media) == ("look", ())
    assert far.rules_broken == ["msg-item"]


@pytest.mark.parametrize("content", ["", " \n\t", "\u200b\u200d\ufeff", "<think>all of it</think>", "\u3164\u2800"])
def test_an_invisible_final_is_stuck(pure: Make, content: str) -> None:
    far = pure()
    req_id = far.say()
    assert far.stream(req_id, "visible")["errcode"] == 0
    assert far.stream(req_id, "\u200b")["errcode"] == 0
    assert far.rules_broken == []  # harmless in the middle
    assert far.stream(req_id, content, True)["errcode"] == 0
    message = far.people.messages("zhangsan")[-1]
    assert (message.finished, message.stuck) == (True, True)
    assert far.rules_broken == ["invisible-final"]


@pytest.mark.parametrize(
    ("content", "thinking", "text"),
    [
        ("<think>not closed", "not closed", ""),
        ("<think>a < b</think>answer", "a ", ""),
        ("<think>ok</think>see </think> there", "ok", "see "),
        ("before <think>late</think>", None, "before "),
    ],
)
def test_swallowed_text_is_noted(pure: Make, content: str, thinking: str | None, text: str) -> None:
    far = pure()
    req_id = far.say()
    far.stream(req_id, content)
    far.stream(req_id, content)
    message = far.people.messages("zhangsan")[-1]
    assert (message.thinking, message.text) == (thinking, text)
    assert message.fault
    assert far.rules_broken == ["swallowed-text"]


def test_bubbles_stand_in_first_frame_order(pure: Make) -> None:
    far = pure()
    req_id = far.say("one")
    far.stream(req_id, "a", id="S1")
    far.push("markdown", {"content": "pushed"}, chatid="zhangsan")
    far.push("markdown", {"content": "pushed"}, chatid="zhangsan")
    far.stream(req_id, "b", True, id="S2")
    far.stream(req_id, "abc", True, id="S1")
    shown = [message.text for message in far.people.messages("zhangsan")]
    assert shown == ["one", "abc", "pushed", "pushed", "b"]


def test_strict_modes(pure: Make) -> None:
    far = pure(drop_identical_final=True)
    req_id = far.say()
    far.stream(req_id, "same")
    assert far.stream(req_id, "same", True)["errcode"] == 0
    assert not far.people.messages("zhangsan")[-1].finished
    assert far.stream(req_id, "same.", True)["errcode"] == 0
    assert far.people.messages("zhangsan")[-1].finished
    far = pure(one_stream_per_request=True)
    req_id = far.say()
    assert far.stream(req_id, "a", True)["errcode"] == 0
    assert far.stream(req_id, "b", True, id="S2")["errcode"] == 6000


def test_a_stream_id_belongs_to_one_req_id(pure: Make) -> None:
    far = pure()
    far.stream(far.say(), "a", True)
    far.stream(far.say(), "b", True)
    assert far.rules_broken == ["stream-id-reused"]


@pytest.mark.parametrize(
    "stream",
    [
        {"content": "x"},
        {"id": "", "content": "x"},
        {"id": "S", "content": 7},
        {"id": "S", "content": "x", "finish": 1},
        {"id": "S", "content": "x", "feedback": {}},
        {"id": "S", "content": "x", "feedback": {"id": "f" * 257}},
        "stream",
    ],
)
def test_a_malformed_stream_is_40058(pure: Make, stream: object) -> None:
    far = pure()
    ack = far.ask("aibot_respond_msg", {"msgtype": "stream", "stream": stream}, req_id=far.say())
    assert (ack["errcode"], ack["headers"]) == (40058, {})
    assert [m.sender for m in far.people.messages("zhangsan")] == ["zhangsan"]


# -- pushes and limits (22-23) -------------------------------------------------------------------------------------


def test_push_targets(pure: Make) -> None:
    far = pure()
    text = {"content": "reminder"}
    assert far.push("markdown", text)["errcode"] == 86201
    assert far.push("markdown", text, chatid="")["errcode"] == 86201
    assert far.push("markdown", text, chatid="zhangsan")["errcode"] == 93006  # never addressed the bot
    far.say(user="zhangsan", chat="wrGroup")
    assert far.push("markdown", text, chatid="zhangsan")["errcode"] == 93006
    assert far.push("markdown", text, chatid="wrGroup")["errcode"] == 0
    assert far.push("markdown", text, chatid="wrgroup")["errcode"] == 93006  # case-sensitive
    assert far.push("markdown", text, chatid="wrGroup", chat_type=2)["errcode"] == 0
    assert far.push("markdown", text, chatid="wrGroup", chat_type=1)["errcode"] == 93006
    assert far.push("markdown", text, chatid="wrGroup", chat_type="2")["errcode"] == 40058
    assert far.push("markdown", text, chatid="user:zhangsan")["errcode"] == 93006
    far.people.group("wrGroup", has_bot=False)
    assert far.push("markdown", text, chatid="wrGroup")["errcode"] == 93001
    assert far.rules_broken == ["no-chatid", "no-chatid", "bad-field"]


def test_an_automatic_target_tries_groups_first(pure: Make) -> None:
    far = pure()
    far.say("hi", user="same")
    far.say("hi", user="lisi", chat="same")
    assert far.push("markdown", {"content": "x"}, chatid="same")["errcode"] == 0
    assert far.push("markdown", {"content": "y"}, chatid="same", chat_type=1)["errcode"] == 0
    assert [m.text for m in far.people.messages("same")][1:] == ["x"]
    assert [m.text for m in far.people.messages("user:same")][1:] == ["y"]


@pytest.mark.parametrize("msgtype", ["text", "mixed", "stream"])
def test_some_types_cannot_be_pushed(pure: Make, msgtype: str) -> None:
    far = pure()
    far.say()
    assert far.push(msgtype, {"content": "x"}, chatid="zhangsan")["errcode"] == 40008


def test_replies_and_pushes_share_one_limit(pure: Make) -> None:
    far = pure()
    req_id = far.say()
    for number in range(15):
        assert far.stream(req_id, "a", id=f"S{number}")["errcode"] == 0
        assert far.stream(req_id, "ab", True, id=f"S{number}")["errcode"] == 0  # refreshes do not count
        assert far.push("markdown", {"content": "x"}, chatid="zhangsan")["errcode"] == 0
    assert far.push("markdown", {"content": "x"}, chatid="zhangsan")["errcode"] == 45009
    assert far.stream(req_id, "a", id="S15")["errcode"] == 45009
    assert far.respond(far.say(user="lisi"), "markdown", content="another chat")["errcode"] == 0
    far.now += 59.9
    assert far.push("markdown", {"content": "x"}, chatid="zhangsan")["errcode"] == 45009
    far.now += 0.1
    assert far.push("markdown", {"content": "x"}, chatid="zhangsan")["errcode"] == 0
    assert far.rules_broken == []


def test_a_thousand_an_hour(pure: Make) -> None:
    far = pure(per_minute=0)
    far.say()
    acks = [far.push("markdown", {"content": "x"}, chatid="zhangsan")["errcode"] for _ in range(1001)]
    assert acks == [0] * 1000 + [45009]
    far.now += 3600
    assert far.push("markdown", {"content": "x"}, chatid="zhangsan")["errcode"] == 0


def test_refreshes_count_when_asked(pure: Make) -> None:
    far = pure(count_refreshes=True)
    req_id = far.say()
    acks = [far.stream(req_id, "a" * number)["errcode"] for number in range(1, 32)]
    assert acks == [0] * 30 + [45009]


# -- cards and feedback (25-26) ------------------------------------------------------------------------------------


def test_clicks_and_the_update(pure: Make) -> None:
    far = pure()
    assert far.respond(far.say(), "template_card", **BUTTON)["errcode"] == 0
    card = far.people.messages("zhangsan")[-1]
    clicks = []
    for _ in range(2):  # repeated clicks, repeated events
        assert far.people.click("zhangsan", card.id, "yes").delivered
        clicks.append(far.callback())
    event = clicks[0]["body"]["event"]
    assert event == {
        "eventtype": "template_card_event",
        "template_card_event": {"card_type": "button_interaction", "event_key": "yes", "task_id": "T1"},
    }
    assert not far.people.click("zhangsan", card.id, "no").delivered
    req_id = clicks[1]["headers"]["req_id"]
    assert far.respond(req_id, "markdown", content="x")["errcode"] == 846605
    new = BUTTON | ACTION | {"main_title": {"title": "Thanks"}}
    update = {"response_type": "update_template_card", "template_card": new}
    bare = {"response_type": "update_template_card", "template_card": BUTTON}
    assert far.ask("aibot_respond_update_msg", bare, req_id=req_id)["errcode"] == 42045
    wrong = {"response_type": "update_template_card", "template_card": new | {"task_id": "T2"}}
    assert far.ask("aibot_respond_update_msg", wrong, req_id=req_id)["errcode"] == 40035
    assert far.ask("aibot_respond_update_msg", update, req_id=req_id)["errcode"] == 0
    assert far.ask("aibot_respond_update_msg", update, req_id=req_id)["errcode"] == 846605
    assert (far.people.message(card.id).card or {})["main_title"] == {"title": "Thanks"}
    assert far.rules_broken == ["bad-card", "bad-card"]
    far.now += 5.1
    assert far.ask("aibot_respond_update_msg", update, req_id=clicks[0]["headers"]["req_id"])["errcode"] == 846604
    assert far.rules_broken[2:] == ["late-update"]


def test_flat_events(pure: Make) -> None:
    far = pure(flat_events=True)
    far.respond(far.say(), "template_card", **BUTTON)
    far.people.click("zhangsan", far.people.messages("zhangsan")[-1].id, "yes")
    event = far.callback()["body"]["event"]
    assert (event["eventtype"], event["event_key"], event["task_id"]) == ("template_card_event", "yes", "T1")


def test_a_task_id_is_used_once(pure: Make) -> None:
    far = pure()
    assert far.respond(far.say(), "template_card", **BUTTON)["errcode"] == 0
    ack = far.respond(far.say(), "template_card", **BUTTON)
    assert ack["errcode"] == 40035
    assert ack["errmsg"].endswith("(invented)")
    assert far.respond(far.say(), "template_card", **(BUTTON | {"task_id": "T2"}))["errcode"] == 0


def test_disable_counts_in_updates_only(pure: Make) -> None:
    far = pure()
    selection = {
        "question_key": "q",
        "disable": True,
        "option_list": [{"id": "a", "text": "A"}, {"id": "b", "text": "B"}],
    }
    card = BUTTON | {"button_selection": selection}
    assert far.respond(far.say(), "template_card", **card)["errcode"] == 0
    bubble = far.people.messages("zhangsan")[-1]
    sent = far.people.click("zhangsan", bubble.id, "yes", {"q": ["b"]})
    assert sent.delivered
    detail = far.callback()["body"]["event"]["template_card_event"]
    assert detail["selected_items"] == {"selected_item": [{"question_key": "q", "option_ids": {"option_id": ["b"]}}]}
    update = {"response_type": "update_template_card", "template_card": card | ACTION}
    assert far.ask("aibot_respond_update_msg", update, req_id=sent.req_id)["errcode"] == 0
    assert far.people.click("zhangsan", bubble.id, "yes").why == "the card is disabled"


def test_an_update_for_some_users(pure: Make) -> None:
    far = pure()
    far.say(user="zhangsan", chat="wrGroup")
    far.say(user="lisi", chat="wrGroup")
    far.push("template_card", BUTTON, chatid="wrGroup")
    bubble = far.people.messages("wrGroup")[-1]
    sent = far.people.click("zhangsan", bubble.id, "yes")
    far.take()
    new = BUTTON | ACTION | {"button_list": [{"text": "Done", "key": "done"}]}
    update = {"response_type": "update_template_card", "userids": ["lisi"], "template_card": new}
    assert far.ask("aibot_respond_update_msg", update, req_id=sent.req_id)["errcode"] == 0
    assert far.people.click("lisi", bubble.id, "done").delivered
    assert far.people.click("zhangsan", bubble.id, "yes").delivered


def test_feedback_needs_an_id(pure: Make) -> None:
    far = pure()
    req_id = far.say()
    far.stream(req_id, "a", True)
    far.respond(req_id, "markdown", content="b", feedback={"id": "F1"})
    plain, rated = [message for message in far.people.messages("zhangsan") if message.sender == "bot"]
    assert not far.people.feedback("zhangsan", plain.id, 1).delivered
    sent = far.people.feedback("zhangsan", rated.id, 2, "old figures", [2, 4])
    event = far.callback()["body"]["event"]
    assert event == {
        "eventtype": "feedback_event",
        "feedback_event": {"id": "F1", "type": 2, "content": "old figures", "inaccurate_reason_list": [2, 4]},
    }
    assert far.ask("aibot_respond_msg", {}, req_id=sent.req_id)["errcode"] == 846605
    assert far.rules_broken == ["answered-feedback"]
    far.people.feedback("zhangsan", rated.id, 1, "ignored", [1])
    assert far.callback()["body"]["event"]["feedback_event"] == {"id": "F1", "type": 1}
    assert far.people.message(rated.id).feedback == {"id": "F1", "type": 1}
    far.people.feedback("zhangsan", rated.id, 3)
    assert far.people.message(rated.id).feedback is None


# -- bounds --------------------------------------------------------------------------------------------------------


def test_everything_kept_is_bounded(pure: Make) -> None:
    far = pure(messages_kept=10, callbacks_kept=10, trace_size=10, violations_kept=10, per_minute=0, per_hour=0)
    for number in range(50):
        req_id = far.say(f"{number}")
        far.stream(req_id, "a", id=f"S{number}")
        far.stream(req_id, "b", True, id=f"S{number}")
        far.receive("garbage")
    world = far.world
    assert len(far.people.messages("zhangsan")) == 10
    assert len(world.bubbles) == len(far.people.messages("zhangsan"))
    assert len(world.streams) == len(world.stream_requests) == 5
    assert len(world.trace.entries) == 10
    assert (len(world.violations), world.violation_count) == (10, 50)
    assert far.respond(req_id, "markdown", content="x")["errcode"] == 0


def test_a_stream_whose_bubble_is_gone_can_still_be_finished(pure: Make) -> None:
    far = pure(messages_kept=3, per_minute=0, per_hour=0)
    req_id = far.say()
    far.stream(req_id, "a")
    for _ in range(5):
        far.push("markdown", {"content": "x"}, chatid="zhangsan")
    assert far.stream(req_id, "ab")["errcode"] == 0
    assert far.stream(req_id, "abc", True)["errcode"] == 0
    assert far.people.check() == []
    assert far.world.streams == far.world.stream_requests == {}
    assert not far.world.callbacks.get(req_id).shown  # type: ignore[union-attr]
