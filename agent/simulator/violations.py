"""Client misbehaviour: what a correct bot never does, whatever the line does to it.

A refusal is not a violation: a correct client meets 846604, 846605, 846608, 846609, 6000, 45009, 93001, 93006 and
40007 in normal life. A violation is recorded beside the answer, and never changes it.
"""

from dataclasses import dataclass

# Rule -> protocol section. Rules that come with a refusal (bad-field, bad-type, bad-card, bad-upload, no-chatid,
# content-too-long among them) take the section of the refusal.
RULES: dict[str, str] = {
    "not-json": "1",
    "binary-frame": "1",
    "no-req-id": "1.1",
    "long-req-id": "1.1",
    "unknown-command": "1.1",
    "plugin-command": "8.6",
    "command-before-subscribe": "2",
    "subscribed-twice": "2",
    "refused-socket-left-open": "2",
    "subscribe-too-often": "2",
    "ping-too-often": "3",
    "mutual-kick": "4",
    "second-frame-in-flight": "9.4",
    "late-welcome": "10",
    "late-update": "11",
    "answered-feedback": "8.3",
    "frame-after-finish": "9.2",
    "stream-id-reused": "9.2",
    "msg-item": "9.2",
    "invisible-final": "9.2",
    "unfinished-stream": "9.3",
    "swallowed-text": "9.6",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """``at`` is the gateway's clock in seconds; ``conn`` numbers the sockets from 1, 0 for none."""

    rule: str
    section: str
    detail: str
    conn: int
    at: float

    def __str__(self) -> str:
        return f"{self.rule} (protocol §{self.section}) on connection {self.conn}: {self.detail}"
