"""Replies and their wire bodies: the same shapes as the golden frames."""

from typing import Any

import pytest

from agent.wecom import stream
from agent.wecom.replies import (
    RspFileMsg,
    RspImageMsg,
    RspMarkdownMsg,
    RspMediaMsg,
    RspMsg,
    RspStreamMsg,
    RspTemplateCardMsg,
    RspTextMsg,
    RspVideoMsg,
    RspVoiceMsg,
    rsp_msg_from_active_params,
)
from agent.wecom.stream import Address, addressed, push_body
from tests.wecom.golden import Golden, all_golden, golden

MEDIA = golden("out-reply-file").body["file"]["media_id"]


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("out-reply-markdown", RspMarkdownMsg(golden("out-reply-markdown").body["markdown"]["content"])),
        (
            "out-reply-markdown-feedback",
            RspMarkdownMsg(
                golden("out-reply-markdown-feedback").body["markdown"]["content"],
                feedback_id=golden("out-reply-markdown-feedback").body["markdown"]["feedback"]["id"],
            ),
        ),
        ("out-stream-refresh", RspStreamMsg("The answer grows", "STREAM-1", False)),
        ("out-stream-finish", RspStreamMsg("The answer grows and ends.", "STREAM-1")),
        ("out-stream-first", RspStreamMsg("The answer", "STREAM-1", False, feedback_id="FEEDBACK-1")),
        ("out-reply-file", RspFileMsg(media_id=MEDIA)),
        ("out-reply-image", RspImageMsg(media_id=MEDIA)),
        ("out-reply-voice", RspVoiceMsg(media_id=MEDIA)),
        ("out-reply-video", RspVideoMsg(media_id=MEDIA)),
        ("out-reply-video-titled", RspVideoMsg(None, MEDIA, "Demo", "What it shows")),
        ("out-welcome-text", RspTextMsg(golden("out-welcome-text").body["text"]["content"])),
    ],
)
def test_bodies_are_the_golden_ones(name: str, reply: RspMsg) -> None:
    assert reply.to_body() == golden(name).body


@pytest.mark.parametrize("one", all_golden("out-reply-card-"), ids=lambda one: one.name)
def test_cards_go_as_they_are(one: Golden) -> None:
    assert RspTemplateCardMsg(one.body["template_card"]).to_body() == one.body


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("out-push-markdown-single", Address("zhangsan", 1)),
        ("out-push-markdown-group", Address("wrkSFfCgAAxxxxxxxxxxxxxxxxxxxxxx", 2)),
        ("out-push-markdown-automatic", Address("wrkSFfCgAAxxxxxxxxxxxxxxxxxxxxxx")),
    ],
)
def test_pushes_are_the_golden_ones(name: str, address: Address) -> None:
    body = golden(name).body
    feedback = body["markdown"].get("feedback", {}).get("id")
    assert push_body(address, body["markdown"]["content"], feedback) == body


@pytest.mark.parametrize("kind", ["image", "voice", "video", "file", "card"])
def test_media_and_cards_are_pushed_with_their_address(kind: str) -> None:
    body = golden(f"out-push-{kind}").body
    rest = {key: value for key, value in body.items() if key not in ("chatid", "chat_type")}
    assert addressed(Address(body["chatid"], body.get("chat_type", 0)), rest) == body


@pytest.mark.parametrize("reply", [RspTextMsg(), RspMarkdownMsg(), RspStreamMsg()])
def test_without_content_it_is_empty(reply: Any) -> None:
    body = reply.to_body()
    assert body[body["msgtype"]]["content"] == ""


def test_text_as_a_stream_body() -> None:
    expected = {"msgtype": "stream", "stream": {"id": "S", "content": "hi", "finish": False}}
    assert RspTextMsg("hi").to_stream_body("S", finish=False) == expected
    assert RspMarkdownMsg("hi").to_stream_body("S")["stream"]["finish"] is True


def test_a_file_without_media_id_has_no_body() -> None:
    with pytest.raises(ValueError, match="RspFileMsg has no media_id yet; give it to the server"):
        RspFileMsg("a.pdf").to_body()


def test_the_root_has_no_body() -> None:
    with pytest.raises(TypeError, match="RspMsg has no body"):
        RspMsg().to_body()


def test_kinds_of_media() -> None:
    kinds = [(one.media_type, one.msg_type) for one in (RspImageMsg(), RspVoiceMsg(), RspVideoMsg(), RspFileMsg())]
    assert kinds == [(kind, kind) for kind in ("image", "voice", "video", "file")]
    assert RspMediaMsg(media_id="M").to_body() == {"msgtype": "file", "file": {"media_id": "M"}}


@pytest.mark.parametrize(
    ("params", "reply"),
    [
        ({"msg_type": "text", "content": "hi"}, RspTextMsg("hi")),
        ({"msgtype": "markdown", "content": "hi"}, RspMarkdownMsg("hi")),
        ({"msg_type": "stream", "content": "hi", "stream_id": "S", "finish": False}, RspStreamMsg("hi", "S", False)),
        ({"msg_type": "image", "file_path": "a.png"}, RspImageMsg("a.png")),
        ({"msg_type": "voice", "media_id": "M"}, RspVoiceMsg(media_id="M")),
        ({"msg_type": "video", "media_id": "M"}, RspVideoMsg(media_id="M")),
        ({"msg_type": "file", "file_path": "a.pdf", "media_type": "image"}, RspFileMsg("a.pdf", media_type="image")),
        ({"msg_type": "template_card", "template_card": {"a": 1}}, RspTemplateCardMsg({"a": 1})),
        ({"msg_type": "template_card", "template_card": 5}, None),
        ({"msg_type": "poem"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_replies_from_plain_data(params: dict[str, Any] | None, reply: RspMsg | None) -> None:
    assert rsp_msg_from_active_params(params) == reply


def test_stream_ids_differ() -> None:
    assert len({stream.new_stream_id() for _ in range(100)}) == 100
