"""The registry of req_ids that the gateway gave out: what may answer them, and until when (protocol §21.14-15)."""

from dataclasses import dataclass, field

from agent.simulator.bubbles import Bubble
from agent.simulator.wire import BAD_REQ_ID, RESPOND, TOO_LATE, UPDATE, WELCOME, Refusal

# Kind -> the one command that answers it (protocol §8). Every other kind has none.
ANSWERS = {"message": RESPOND, "enter_chat": WELCOME, "template_card_event": UPDATE}
ONCE = frozenset({WELCOME, UPDATE})
_LATE = {WELCOME: ("late-welcome", "10"), UPDATE: ("late-update", "11")}


@dataclass(slots=True, eq=False)
class Callback:
    """One message or event that was sent to the bot. ``at`` is when, in seconds."""

    req_id: str
    kind: str
    chat: str
    user: str
    at: float
    deadline: float
    bubble: Bubble | None = None  # of the card that was clicked
    shown: list[Bubble] = field(default_factory=list)  # what the bot showed with this req_id
    answered: bool = False


class Callbacks:
    """The newest ``kept`` callbacks by req_id."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._by_req_id: dict[str, Callback] = {}

    def add(self, callback: Callback) -> None:
        self._by_req_id[callback.req_id] = callback
        if len(self._by_req_id) > self._kept:
            del self._by_req_id[next(iter(self._by_req_id))]

    def get(self, req_id: str) -> Callback | None:
        return self._by_req_id.get(req_id)

    def forget(self) -> None:
        """As if the platform had lost all of them: every answer is 846605 from here on."""
        self._by_req_id.clear()

    def claim(self, req_id: str, command: str, now: float) -> Callback:
        """The callback that ``command`` may answer now. Refusal 846605 (unknown, wrong kind, used) or 846604 (late)."""
        callback = self._by_req_id.get(req_id)
        if callback is None:
            raise Refusal(BAD_REQ_ID, "invalid req_id", rule="", section="18")
        if ANSWERS.get(callback.kind) != command:
            rule = "answered-feedback" if callback.kind == "feedback_event" else ""
            raise Refusal(BAD_REQ_ID, f"invalid req_id: of a {callback.kind}", rule=rule, section="8")
        if now > callback.deadline:
            rule, section = _LATE.get(command, ("", "9.1"))
            raise Refusal(TOO_LATE, "reply window over", rule=rule, section=section)
        if callback.answered and command in ONCE:
            raise Refusal(BAD_REQ_ID, "invalid req_id: already used", rule="", section="11")
        return callback
