"""Who may talk where: single chats, groups, and their logs. It knows nothing of frames."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from agent.simulator.bubbles import Bubble
from agent.simulator.limits import Window
from agent.simulator.wire import Json

SINGLE = "user:"


@dataclass(slots=True, eq=False)
class Chat:
    """``id`` is the chatid of a group and ``user:<userid>`` of a single chat; ids are case-sensitive (protocol §6)."""

    id: str
    type: Literal["single", "group"]
    title: str
    members: list[str]
    window: Window
    contacted: bool = False  # somebody has addressed the bot here, so it may push (protocol §12)
    has_bot: bool = True  # a group that threw the bot out refuses pushes with 93001
    entered: int = -1  # day of the newest enter_chat
    log: dict[str, Bubble] = field(default_factory=dict)  # by id, in first-frame order

    @property
    def user(self) -> str:
        """The person of a single chat."""
        return self.id.removeprefix(SINGLE)

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "type": self.type,
            "title": self.title,
            "members": list(self.members),
            "contacted": self.contacted,
            "has_bot": self.has_bot,
        }


class Chats:
    """Every chat by id, in the order of creation."""

    def __init__(self, per_minute: int, per_hour: int) -> None:
        self._limits = (per_minute, per_hour)
        self.by_id: dict[str, Chat] = {}

    def single(self, user: str) -> Chat:
        """The single chat of ``user``, made when it does not exist."""
        if not user:
            raise ValueError("a userid may not be empty")
        known = self.by_id.get(SINGLE + user)
        return known or self._add(Chat(SINGLE + user, "single", user, [user], Window(*self._limits)))

    def group(self, chatid: str, title: str = "", members: Iterable[str] = ()) -> Chat:
        """The group ``chatid``, made when it does not exist; new ``members`` join it."""
        if not chatid or chatid.startswith(SINGLE):
            raise ValueError(f"{chatid!r} cannot be a chatid; ids that begin with {SINGLE!r} are single chats")
        chat = self.by_id.get(chatid) or self._add(Chat(chatid, "group", title or chatid, [], Window(*self._limits)))
        chat.members.extend(member for member in dict.fromkeys(members) if member not in chat.members)
        return chat

    def find(self, chat: str) -> Chat | None:
        """By id, or the single chat of a userid."""
        return self.by_id.get(chat) or self.by_id.get(SINGLE + chat)

    def _add(self, chat: Chat) -> Chat:
        self.by_id[chat.id] = chat
        return chat
