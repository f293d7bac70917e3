"""A handler framework for WeCom AI bots on the WebSocket long connection; knows nothing about models.

from agent.wecom import RspTextMsg, WecomAIBotWsServer

def handle(message, server):
    return RspTextMsg(f"You said: {message.content}")

server = WecomAIBotWsServer()  # WECOM_BOT_ID and WECOM_BOT_SECRET from the environment
server.set_message_handler(handle)
server.run()
"""

from .download import SavedFile
from .errors import (
    BadFrame,
    ConnectionLost,
    CredentialsRefused,
    Displaced,
    MediaError,
    MediaTooLarge,
    MediaUnavailable,
    MediaUndecryptable,
    MediaWrongKind,
    ReconnectExhausted,
    RequestFailed,
    RequestTimeout,
    WecomError,
)
from .frames import Frame
from .handlers import HandlerError
from .messages import (
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
)
from .messages import parse as parse_message
from .replies import (
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
from .reply_stream import ReplyStream
from .server import WecomAIBotWsServer
from .stream import Address, Delivery, Outcome
from .transport import is_loopback
from .upload import Media
from .words import ENGLISH, Words

__all__ = [
    "ENGLISH",
    "Address",
    "BadFrame",
    "ConnectionLost",
    "CredentialsRefused",
    "Delivery",
    "Displaced",
    "EventReqMsg",
    "Feedback",
    "FileReqMsg",
    "Frame",
    "HandlerError",
    "ImageReqMsg",
    "Media",
    "MediaError",
    "MediaTooLarge",
    "MediaUnavailable",
    "MediaUndecryptable",
    "MediaWrongKind",
    "MixedFileItem",
    "MixedImageItem",
    "MixedMessageReqMsg",
    "MixedTextItem",
    "MixedVideoItem",
    "MixedVoiceItem",
    "Outcome",
    "Quote",
    "ReconnectExhausted",
    "ReplyStream",
    "ReqMsg",
    "RequestFailed",
    "RequestTimeout",
    "RspFileMsg",
    "RspImageMsg",
    "RspMarkdownMsg",
    "RspMediaMsg",
    "RspMsg",
    "RspStreamMsg",
    "RspTemplateCardMsg",
    "RspTextMsg",
    "RspVideoMsg",
    "RspVoiceMsg",
    "SavedFile",
    "TextReqMsg",
    "UnknownReqMsg",
    "UserInfo",
    "VideoReqMsg",
    "VoiceReqMsg",
    "WecomAIBotWsServer",
    "WecomError",
    "Words",
    "is_loopback",
    "parse_message",
    "rsp_msg_from_active_params",
]
