"""What people send, as typed messages: every golden frame, and everything odd."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wecom import frames, messages
from agent.wecom.frames import Frame
from agent.wecom.messages import (
    EventReqMsg,
    Feedback,
    FileReqMsg,
    ImageReqMsg,
    MixedFileItem,
    MixedImageItem,
    MixedMessageReqMsg,
    MixedTextItem,
    MixedVideoItem,
    MixedVoiceItem,
    Quote,
    ReqMsg,
    TextReqMsg,
    UnknownReqMsg,
    UserInfo,
    VideoReqMsg,
    VoiceReqMsg,
    strip_mention,
)
from tests.wecom.golden import Golden, all_golden, golden
from tests.wecom.test_frames import ANY_JSON

URL = "https://media.example.com/7571665296904772241?sign=q-sign-time%3D1700000000%3B1700000300"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
GROUP = "wrkSFfCgAAxxxxxxxxxxxxxxxxxxxxxx"
BOT = "Team Bot"


def read(name: str, bot: str = BOT) -> Any:
    return messages.parse(frames.parse(golden(name).wire), bot)


KINDS = {
    "text": TextReqMsg,
    "image": ImageReqMsg,
    "voice": VoiceReqMsg,
    "video": VideoReqMsg,
    "file": FileReqMsg,
    "mixed": MixedMessageReqMsg,
    "event": EventReqMsg,
}


@pytest.mark.parametrize(
    "one", [*all_golden("in-message-"), *all_golden("in-quote-"), *all_golden("in-event-")], ids=lambda one: one.name
)
def test_every_golden_callback_becomes_its_type(one: Golden) -> None:
    frame = frames.parse(one.wire)
    message = messages.parse(frame, BOT)
    body = one.body
    assert type(message) is KINDS.get(body["msgtype"], UnknownReqMsg)
    assert message.frame is frame
    assert message.body == body
    assert message.req_id == one.frame["headers"]["req_id"]
    assert message.msg_type == body["msgtype"]
    assert message.msg_id == body["msgid"]
    assert message.aibot_id == body["aibotid"]
    assert message.create_time == body.get("create_time")
    assert message.response_url == body.get("response_url")
    assert message.from_user == UserInfo(body.get("from", {}).get("userid"), body.get("from", {}).get("corpid"))
    assert message.from_userid == message.from_user.userid
    assert message.chat_type == body.get("chattype", "single")
    assert message.chat_id == body.get("chatid", message.from_userid)
    assert (message.quote is not None) == ("quote" in body)
    assert KEY not in repr(message)


def test_text() -> None:
    message = read("in-message-text-single")
    assert message.content == golden("in-message-text-single").body["text"]["content"]
    assert message.items == (MixedTextItem(message.content),)


def test_the_chat_of_a_single_chat_is_the_sender() -> None:
    message = read("in-message-text-minimal")
    assert (message.chat_type, message.chat_id, message.from_userid) == ("single", "zhangsan", "zhangsan")


def test_in_a_group_only_the_leading_mention_goes() -> None:
    message = read("in-message-text-group")
    assert message.content == "write to @lisi or a@example.com"
    assert message.body["text"]["content"].startswith("@Team Bot ")
    assert (message.chat_type, message.chat_id) == ("group", GROUP)
    assert read("in-message-text-mention-only").content == ""


def test_image() -> None:
    message = read("in-message-image")
    assert (message.image_url, message.aes_key) == (URL, KEY)
    assert message.items == (MixedImageItem(URL, KEY),)
    assert read("in-message-key-padded").aes_key == KEY + "="


def test_voice_is_a_transcript() -> None:
    message = read("in-message-voice")
    assert message.content == golden("in-message-voice").body["voice"]["content"]
    assert (message.voice_url, message.aes_key) == (None, None)
    assert message.items == (MixedVoiceItem(message.content),)


def test_video() -> None:
    message = read("in-message-video")
    assert (message.video_url, message.aes_key, message.name, message.size) == (URL, KEY, None, None)


def test_file_without_and_with_extras() -> None:
    plain, extra = read("in-message-file"), read("in-message-file-extras")
    assert (plain.file_url, plain.aes_key, plain.name, plain.size) == (URL, KEY, None, None)
    assert (extra.file_url, extra.aes_key, extra.name, extra.size) == (URL, KEY, "plan.pdf", 1_250_000)
    assert extra.items == (MixedFileItem(URL, KEY, "plan.pdf", 1_250_000),)


def test_mixed_keeps_its_order_and_loses_one_mention() -> None:
    message = read("in-message-mixed-group")
    image = MixedImageItem(URL, KEY)
    assert message.msg_items == [
        MixedTextItem("what is in this picture?"),
        image,
        MixedTextItem("and in this one?"),
        image,
    ]
    assert message.items == tuple(message.msg_items)
    assert message.content == "what is in this picture?\nand in this one?"


def test_mixed_of_a_single_chat_keeps_every_word() -> None:
    texts = [item.content for item in read("in-message-mixed-single").msg_items if isinstance(item, MixedTextItem)]
    raw = golden("in-message-mixed-single").body["mixed"]["msg_item"]
    assert texts == [item["text"]["content"] for item in raw if item["msgtype"] == "text"]


def test_an_unknown_type_is_kept_as_it_came() -> None:
    message = read("in-message-unknown")
    assert isinstance(message, UnknownReqMsg)
    assert message.raw_body == golden("in-message-unknown").body
    assert (message.msg_type, message.items) == ("location", ())


def test_control_characters_are_gone() -> None:
    assert read("in-control-characters").content == "belland escape[0m stay out"


@pytest.mark.parametrize(
    ("name", "kind", "items"),
    [
        ("in-quote-image", "image", (MixedImageItem(URL, KEY),)),
        ("in-quote-file", "file", (MixedFileItem(URL, KEY),)),
        ("in-quote-file-group", "file", (MixedFileItem(URL, KEY),)),
        ("in-quote-video", "video", (MixedVideoItem(URL, KEY),)),
        (
            "in-quote-mixed",
            "mixed",
            (MixedTextItem("@Team Bot what is in this picture?"), MixedImageItem(URL, KEY)),
        ),
    ],
)
def test_quoted_media(name: str, kind: str, items: tuple[Any, ...]) -> None:
    assert read(name).quote == Quote(kind, items)


@pytest.mark.parametrize(("name", "kind"), [("in-quote-text", "text"), ("in-quote-voice", "voice")])
def test_quoted_words(name: str, kind: str) -> None:
    quote = read(name).quote
    assert quote.msg_type == kind
    assert quote.content == golden(name).body["quote"][kind]["content"]
    assert quote.content
    assert quote.msg_id is None


def test_nothing_but_a_mention_and_a_quote() -> None:
    message = read("in-quote-only-mention")
    assert (message.content, message.quote.content) == ("", "when is the deadline?")


# --- events


@pytest.mark.parametrize("name", ["in-event-enter-chat", "in-event-enter-chat-bare", "in-event-enter-chat-corpid"])
def test_enter_chat(name: str) -> None:
    event = read(name)
    assert (event.event_type, event.chat_type, event.chat_id) == ("enter_chat", "single", "zhangsan")
    assert event.from_user.corp_id == ("wwCORP" if name.endswith("corpid") else None)
    assert event.feedback is None


@pytest.mark.parametrize("name", ["in-event-card-button", "in-event-card-flat"])
def test_a_card_s_click_nested_and_flat(name: str) -> None:
    event = read(name)
    assert (event.event_type, event.task_id, event.event_key) == ("template_card_event", "TASK-1", "yes")
    assert event.selected == {}


@pytest.mark.parametrize(
    ("name", "card_type", "selected"),
    [
        ("in-event-card-button-selected", "button_interaction", {"q1": ("a",)}),
        ("in-event-card-multiple", "multiple_interaction", {"q1": ("a",), "q2": ("c",)}),
        ("in-event-card-vote", "vote_interaction", {"q1": ("a", "b")}),
        ("in-event-card-text-notice", "text_notice", {}),
        ("in-event-card-news-notice", "news_notice", {}),
    ],
)
def test_what_was_selected_on_a_card(name: str, card_type: str, selected: dict[str, Any]) -> None:
    event = read(name)
    assert (event.card_type, event.selected) == (card_type, selected)
    assert event.event_key


@pytest.mark.parametrize(
    ("name", "feedback"),
    [
        ("in-event-feedback-like", Feedback("FEEDBACK-1", 1)),
        ("in-event-feedback-flat", Feedback("FEEDBACK-1", 1)),
        ("in-event-feedback-dislike", Feedback("FEEDBACK-1", 2, "the figure is last year's", (2, 4))),
        ("in-event-feedback-withdrawn", Feedback("FEEDBACK-1", 3)),
    ],
)
def test_feedback(name: str, feedback: Feedback) -> None:
    assert read(name).feedback == feedback


@pytest.mark.parametrize("name", ["in-event-auth-change", "in-event-check-update"])
def test_undocumented_events_are_events(name: str) -> None:
    assert read(name).event_type == golden(name).body["event"]["eventtype"]


# --- mentions


@pytest.mark.parametrize(
    ("text", "name", "left"),
    [
        ("@Team Bot hello", "Team Bot", "hello"),
        ("  @Team Bot\u2005hello", "Team Bot", "hello"),
        ("@Team Bot", "Team Bot", ""),
        ("@Team Bot, hello", "Team Bot", ", hello"),
        ("@Team Botany hello", "Team Bot", "@Team Botany hello"),
        ("@Team Bot_2 hello", "Team Bot", "@Team Bot_2 hello"),
        ("@lisi ask @Team Bot", "Team Bot", "@lisi ask @Team Bot"),
        ("hello @Team Bot", "Team Bot", "hello @Team Bot"),
        ("@Team Bot @Team Bot twice", "Team Bot", "@Team Bot twice"),
        ("a@example.com", "Team Bot", "a@example.com"),
        ("@小助手 你好 @李四", "小助手", "你好 @李四"),
        ("@anyone hello @other", "", "hello @other"),
        ("@anyone", "", ""),
        ("a@example.com", "", "a@example.com"),
        ("", "Team Bot", ""),
    ],
)
def test_mentions(text: str, name: str, left: str) -> None:
    assert strip_mention(text, name) == left


def test_in_a_single_chat_a_mention_is_text() -> None:
    body = {"msgtype": "text", "chattype": "single", "from": {"userid": "u"}, "text": {"content": "@Team Bot hi"}}
    message = messages.parse(Frame(frames.MESSAGE, "R", body), BOT)
    assert isinstance(message, TextReqMsg)
    assert message.content == "@Team Bot hi"


# --- odd bodies


def test_an_event_frame_is_an_event_whatever_its_msgtype() -> None:
    assert isinstance(messages.parse(Frame(frames.EVENT, "R", {"msgtype": "text"})), EventReqMsg)


def test_both_spellings_of_field_names() -> None:
    message = ReqMsg.create_msg(
        {"msg_type": "text", "msg_id": "M", "aibot_id": "B", "chat_id": "C", "chat_type": "group", "createtime": 5,
         "from_userid": "u", "corpid": "c"}
    )  # fmt: skip
    assert (message.msg_type, message.msg_id, message.aibot_id, message.chat_id) == ("text", "M", "B", "C")
    assert (message.create_time, message.from_userid, message.from_user.corpid) == (5, "u", "c")
    assert message.req_id == ""


FIELDS = [
    "msgtype", "msgid", "aibotid", "chatid", "chattype", "from", "create_time", "response_url", "text", "image",
    "mixed", "voice", "file", "video", "quote", "event", "msg_item",
]  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(FIELDS), ANY_JSON, max_size=8),
    st.sampled_from(["text", "image", "mixed", "voice", "file", "video", "event", "x", "", None, 5, []]),
    st.sampled_from([frames.MESSAGE, frames.EVENT]),
)
def test_parsing_never_fails(body: dict[str, Any], kind: Any, cmd: str) -> None:
    message = messages.parse(Frame(cmd, "R", {**body, "msgtype": kind}), BOT)
    repr(message)
    assert isinstance(message.items, tuple)
    assert isinstance(message.msg_type, str)
    assert message.create_time is None or type(message.create_time) is int
    for text in (message.msg_id, message.chat_id, message.from_userid, message.aibot_id):
        assert text is None or isinstance(text, str)


@given(st.dictionaries(st.sampled_from(["eventtype", "template_card_event", "feedback_event", "selected_items", "id",
                                        "type", "feedback", "inaccurate_reason_list"]), ANY_JSON, max_size=6),
       st.sampled_from(["template_card_event", "feedback_event", "enter_chat"]))  # fmt: skip
def test_parsing_events_never_fails(event: dict[str, Any], kind: str) -> None:
    read_event = messages.parse(Frame(frames.EVENT, "R", {"event": {**event, "eventtype": kind}}))
    assert isinstance(read_event, EventReqMsg)
    assert read_event.event_type == kind
    assert (read_event.feedback is not None) == (kind == "feedback_event")
