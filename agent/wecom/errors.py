"""What can go wrong on the line, split by what the caller does next.

::

    WecomError
    ├── CredentialsRefused     WeCom does not accept Bot ID and Secret: stop, correct them
    ├── Displaced              another process subscribed with the same Bot ID: stop, there can be only one
    ├── ReconnectExhausted     the allowed number of reconnect attempts is used up
    ├── ConnectionLost         the line dropped: wait for the next connection (`written` says whether to send again)
    ├── RequestFailed          WeCom answered with an errcode: decide on the code (protocol §18)
    ├── RequestTimeout         no ack came: the outcome is unknown, not failed
    ├── BadFrame               a frame that cannot be read: logged and skipped
    └── MediaError             a file that cannot be sent or received
        ├── MediaTooLarge
        ├── MediaWrongKind     size or format that the kind does not allow
        ├── MediaUnavailable   the link expired or the server keeps failing
        └── MediaUndecryptable the key does not fit: the bytes are not handed on
"""


class WecomError(Exception):
    """The root of everything that `agent.wecom` raises about the world."""


class CredentialsRefused(WecomError):
    """WeCom refused the subscription for good (853000). `errcode` and `errmsg` are WeCom's own."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        self.errcode, self.errmsg = errcode, errmsg
        super().__init__(
            f"WeCom refused the bot's credentials (errcode {errcode}: {errmsg!r}); compare Bot ID and Secret with the "
            "bot's page in the admin console, in API mode with long connection"
        )


class Displaced(WecomError):
    """Another connection subscribed with the same Bot ID; WeCom keeps only the newest (protocol §4)."""

    def __init__(self) -> None:
        super().__init__(
            "another process subscribed with this Bot ID and WeCom keeps only the newest connection; "
            "stop the other one, then start this one again"
        )


class ReconnectExhausted(WecomError):
    """`max_reconnect_attempts` attempts in a row failed; `last`, also the `__cause__`, is the last failure."""

    def __init__(self, attempts: int, last: WecomError) -> None:
        self.attempts, self.last = attempts, last
        super().__init__(f"{last}; {attempts} reconnect attempts are used up")


class ConnectionLost(WecomError):
    """The line is down. `written` tells whether the frame may have reached WeCom; if not, it can be sent again."""

    def __init__(self, reason: str, *, written: bool) -> None:
        self.reason, self.written = reason, written
        super().__init__(f"the connection to WeCom is down: {reason}")


class RequestFailed(WecomError):
    """WeCom acked `cmd` with a non-zero `errcode` (protocol §18); decide on the code, never on `errmsg`."""

    def __init__(self, cmd: str, errcode: int, errmsg: str) -> None:
        self.cmd, self.errcode, self.errmsg = cmd, errcode, errmsg
        super().__init__(f"WeCom refused {cmd} with errcode {errcode}: {errmsg!r}")


class RequestTimeout(WecomError):
    """No ack within `seconds`. WeCom has probably taken the frame (protocol §9.4): do not repeat a push.

    `hint` is an ack without req_id that came meanwhile, as (errcode, errmsg): it probably belongs to this frame (§1.1).
    """

    def __init__(self, cmd: str, seconds: float, hint: tuple[int, str] | None = None) -> None:
        self.cmd, self.seconds, self.hint = cmd, seconds, hint
        tail = f"; errcode {hint[0]} ({hint[1]!r}) came without req_id, probably for it" if hint else ""
        super().__init__(f"no ack for {cmd} within {seconds:g} s{tail}")


class BadFrame(WecomError):
    """A message from the socket that is not a JSON object of the documented shape (protocol §1.1)."""


class MediaError(WecomError):
    """A file cannot be sent or received."""


class MediaTooLarge(MediaError):
    """Over a size limit; the message names the limit in bytes."""


class MediaWrongKind(MediaError):
    """The file does not fit the message kind (format, minimal size, name)."""


class MediaUnavailable(MediaError):
    """The download failed: the link lives five minutes (protocol §7) or the storage keeps refusing."""


class MediaUndecryptable(MediaError):
    """Key or padding do not fit; nothing of the download is handed on."""
