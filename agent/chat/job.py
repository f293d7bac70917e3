"""A message that is on disk: everything that answering it takes, now or after a restart."""

from dataclasses import dataclass

from agent.store.chats import Address
from agent.wecom import EventReqMsg, ReqMsg

from .question import Question


@dataclass(frozen=True, slots=True)
class Job:
    """`turn` and `delivery` are the ids of its rows; `question` is what is asked, which is not `message`'s own question
    when an earlier one is answered again."""

    turn: int
    delivery: int
    address: Address
    message: ReqMsg
    question: Question
    stream_id: str
    feedback_id: str

    @property
    def pushed(self) -> bool:
        """Whether the answer comes as a push, because a card's click takes no stream."""
        return isinstance(self.message, EventReqMsg)
