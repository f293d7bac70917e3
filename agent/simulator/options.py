"""What can be set on the pretend gateway. It knows the numbers and their sources; it enforces nothing itself."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of the simulator. Times are seconds, sizes are bytes of UTF-8, 0 turns a limit off where it says so.

    The defaults are the strict reading of the protocol page; "invented" marks a figure that no source gives.
    """

    # Connection
    kick_delay: float = 2.2  # a displaced socket lives on for so long; measured 2.2 and 313 (protocol §4)
    kick_loop: float = (
        5.0  # displacing again within this time is a violation: bots kicking each other; 0: off (invented)
    )
    idle_timeout: float = (
        120.0  # silence after which a subscribed socket is dropped; unspecified, 90-120 (protocol §21.5)
    )
    ping_minimum: float = (
        5.0  # two answered pings closer than this are a violation; 0: off (invented; 30 is documented)
    )
    refused_linger: float = 5.0  # a client should close its socket after 853000 within this time; 0: off (invented)
    subscribes_per_minute: int = 60  # frequency protection without a documented number; 0: off (invented)
    ack_patience: float = (
        4.0  # a second frame on a req_id is a violation while the first is unacked and younger than this
    )
    frame_limit: int = 4 * 1024 * 1024  # a larger WebSocket message closes the socket with 1009 (invented)

    # Deadlines
    message_window: float = 24 * 3600.0  # respond_msg after a message (protocol §9.1)
    event_window: float = 5.0  # welcome and card update (protocol §8.5)
    stream_lifetime: float = 600.0  # from the first frame; 360 by the older documents (protocol §9.3)
    media_lifetime: float = 300.0  # of a download link (protocol §7)
    media_id_lifetime: float = 3 * 86400.0  # of an uploaded medium (protocol §14)
    upload_session: float = 1800.0  # from init (protocol §14)
    response_url_lifetime: float = 3600.0  # 1 h by document 101138, 5 min by a note (protocol §17)

    # Limits
    content_limit: int = 20480  # stream and markdown content (protocol §9.2)
    per_minute: int = 30  # replies and pushes of one conversation together; 0: off (protocol §13)
    per_hour: int = 1000  # the same; 0: off
    count_refreshes: bool = False  # most likely they are not counted (protocol §13)
    uploads_per_minute: int = 30  # per bot, counted at init; 0: off (protocol §13)
    uploads_per_hour: int = 1000  # the same; 0: off
    chunks_in_flight: int = 4  # more unacked chunks than this on one socket fail with a "system error" (protocol §14)
    image_limit: int = 10 * 1024 * 1024  # 2 MB by the older documents (protocol §14)

    # People
    interactions: int = 3  # messages that one user may have open with the bot (protocol §6.3)
    interaction_expiry: float = 120.0  # an interaction without any answer counts for so long (invented)

    # Optional fields of callbacks
    create_time: bool = True
    response_url: bool = True  # observed, not documented (protocol §6)
    corpid: str = ""  # events only, not for a company's own bots (protocol §6)
    chattype_on_enter: bool = True  # copies of the document disagree (protocol §8.1)
    file_extras: bool = False  # filename, md5, file_size: unconfirmed (protocol §6.1)
    quote_video: bool = True  # missing from the SDK's type (protocol §6.2)
    flat_events: bool = False  # the SDK's types instead of the real nesting (protocol §8)
    orphan_headers: bool = True  # a 40058 ack has empty headers; False: none at all (protocol §1.1)
    created_at_string: bool = True  # of a finished upload; False: an integer (protocol §14)

    # Media downloads
    padding: Literal[16, 32] = 32  # PKCS#7 block (protocol §7)
    key_padding: bool = False  # 44 characters with "=" instead of 43 (protocol §7)
    disposition: Literal["rfc5987", "plain", "none"] = "rfc5987"

    # Strict modes where sources disagree (protocol §21.20)
    after_finish: Literal["6000", "silent"] = "6000"
    drop_identical_final: bool = False
    one_stream_per_request: bool = False
    check_formats: bool = True  # image, voice and video must begin as their format does (invented enforcement)

    # What is kept
    trace_size: int = 2000  # frames; 0: no trace
    trace_text: int = 2000  # characters of each
    messages_kept: int = 500  # bubbles of each chat
    callbacks_kept: int = 100_000
    media_kept: int = 1000  # uploaded and sent files
    media_bytes_kept: int = 2 * 1024 * 1024 * 1024
    violations_kept: int = 1000
