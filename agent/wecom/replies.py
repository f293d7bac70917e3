"""What a handler may answer with, and the wire bodies of these (protocol §9–§12).

A reply with a `file_path` has no body yet: the server uploads the file first. Text is `text` only in a welcome;
elsewhere WeCom refuses it (40008) and it leaves as a finished stream (reply) or as Markdown (push).
"""

from dataclasses import dataclass, field
from typing import Any


class RspMsg:
    """The root of all replies."""

    msg_type: str = ""

    def to_body(self) -> dict[str, Any]:
        """The body of `aibot_respond_msg` or `aibot_send_msg`."""
        raise TypeError(f"{type(self).__name__} has no body of its own; use one of its subclasses")


@dataclass
class RspTextMsg(RspMsg):
    """Text in a bubble of its own; rendered as Markdown (protocol §15)."""

    content: str | None = None
    msg_type: str = "text"

    def to_body(self) -> dict[str, Any]:
        return {"msgtype": "text", "text": {"content": self.content or ""}}

    def to_stream_body(self, stream_id: str, finish: bool = True) -> dict[str, Any]:
        return _stream_body(stream_id, self.content, finish)


@dataclass
class RspMarkdownMsg(RspMsg):
    """Markdown in a bubble of its own; `feedback_id` (at most 256 bytes) gives it like and dislike buttons."""

    content: str | None = None
    msg_type: str = "markdown"
    feedback_id: str | None = None

    def to_body(self) -> dict[str, Any]:
        markdown: dict[str, Any] = {"content": self.content or ""}
        if self.feedback_id:
            markdown["feedback"] = {"id": self.feedback_id}
        return {"msgtype": "markdown", "markdown": markdown}

    def to_stream_body(self, stream_id: str, finish: bool = True) -> dict[str, Any]:
        return _stream_body(stream_id, self.content, finish)


@dataclass
class RspStreamMsg(RspMsg):
    """The whole text so far of a bubble that grows; each one replaces what the bubble showed (protocol §9.2).

    Without a `stream_id` all of one handler run share one bubble; the end of the handler finishes it.
    """

    content: str | None = None
    stream_id: str | None = None
    finish: bool = True
    msg_type: str = "stream"
    feedback_id: str | None = None

    def to_body(self) -> dict[str, Any]:
        stream: dict[str, Any] = {"content": self.content or "", "finish": self.finish}
        if self.stream_id:
            stream["id"] = self.stream_id
        if self.feedback_id:
            stream["feedback"] = {"id": self.feedback_id}
        return {"msgtype": "stream", "stream": stream}


def _stream_body(stream_id: str, content: str | None, finish: bool) -> dict[str, Any]:
    return {"msgtype": "stream", "stream": {"id": stream_id, "content": content or "", "finish": finish}}


@dataclass
class RspMediaMsg(RspMsg):
    """A file of a kind: `file_path` is uploaded first, a `media_id` (valid three days) goes as it is."""

    file_path: str | None = None
    media_id: str | None = None
    media_type: str = "file"
    msg_type: str = "file"

    def to_body(self) -> dict[str, Any]:
        if not self.media_id:
            raise ValueError(
                f"{type(self).__name__} has no media_id yet; give it to the server, which uploads its file"
            )
        return {"msgtype": self.media_type, self.media_type: {"media_id": self.media_id}}


class RspImageMsg(RspMediaMsg):
    """PNG, JPG or GIF of at most 10 MB; what is larger leaves as a file."""

    def __init__(self, file_path: str | None = None, media_id: str | None = None) -> None:
        super().__init__(file_path, media_id, "image", "image")


class RspVoiceMsg(RspMediaMsg):
    """AMR of at most 2 MB and 60 s; other sound becomes that with the extra `voice`; what does not leaves as a file."""

    def __init__(self, file_path: str | None = None, media_id: str | None = None) -> None:
        super().__init__(file_path, media_id, "voice", "voice")


class RspVideoMsg(RspMediaMsg):
    """MP4 of at most 10 MB with `title` (64 bytes shown) and `description` (512); what is larger leaves as a file."""

    def __init__(
        self,
        file_path: str | None = None,
        media_id: str | None = None,
        title: str | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(file_path, media_id, "video", "video")
        self.title, self.description = title, description

    def to_body(self) -> dict[str, Any]:
        body = super().to_body()
        for key in ("title", "description"):
            if getattr(self, key):
                body[self.media_type][key] = getattr(self, key)
        return body


class RspFileMsg(RspMediaMsg):
    """Any file of at most 20 MB."""

    def __init__(self, file_path: str | None = None, media_id: str | None = None, media_type: str = "file") -> None:
        super().__init__(file_path, media_id, media_type, media_type)


@dataclass
class RspTemplateCardMsg(RspMsg):
    """A template card (protocol §16). As the answer to a card's click it replaces that card."""

    template_card: dict[str, Any] = field(default_factory=dict)
    msg_type: str = "template_card"

    def to_body(self) -> dict[str, Any]:
        return {"msgtype": "template_card", "template_card": self.template_card}


def rsp_msg_from_active_params(params: dict[str, Any] | None) -> RspMsg | None:
    """A reply from plain data (`{"msg_type": "markdown", "content": …}`), None when it names no known kind."""
    if not params:
        return None
    content, path, media = params.get("content"), params.get("file_path"), params.get("media_id")
    match params.get("msg_type") or params.get("msgtype"):
        case "text":
            return RspTextMsg(content)
        case "markdown":
            return RspMarkdownMsg(content)
        case "stream":
            return RspStreamMsg(content, params.get("stream_id"), params.get("finish", True))
        case "image":
            return RspImageMsg(path, media)
        case "voice":
            return RspVoiceMsg(path, media)
        case "video":
            return RspVideoMsg(path, media)
        case "file":
            return RspFileMsg(path, media, params.get("media_type") or "file")
        case "template_card" if isinstance(params.get("template_card"), dict):
            return RspTemplateCardMsg(params["template_card"])
        case _:
            return None
