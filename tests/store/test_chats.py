import sqlite3

from agent.store import chats, turns
from tests.store.conftest import at
from tests.store.samples import GROUP, SINGLE, exchange, receive

PERSON = chats.Address("bot:group:wr1:lisi", "bot", "group", "wr1", "lisi")


def test_a_chat_is_made_by_its_first_message_and_moves_with_each(db: sqlite3.Connection) -> None:
    assert chats.get(db, SINGLE.key) is None
    receive(db, "1", chat=PERSON, at=at(0))
    receive(db, "2", chat=PERSON, at=at(60))
    assert chats.get(db, PERSON.key) == chats.Chat(
        key="bot:group:wr1:lisi",
        bot_id="bot",
        chat_type="group",
        chat_id="wr1",
        user_id="lisi",
        created_at="2026-11-23T08:00:00.000Z",
        last_at="2026-11-23T08:01:00.000Z",
        history_from=0,
        model=None,
    )


def test_summaries_count_and_stand_newest_first(db: sqlite3.Connection) -> None:
    first = exchange(db, "1", "答", when=at(0))
    exchange(db, "2", "答", when=at(1))
    turns.fail(db, receive(db, "3", at=at(2)), at(2), error="x")
    receive(db, "4", chat=SINGLE, at=at(9))
    chats.forget(db, GROUP.key, first)
    found = chats.summaries(db)
    assert [(each.chat.key, each.turns, each.remembered, each.open) for each in found] == [
        (SINGLE.key, 1, 0, 1),
        (GROUP.key, 3, 1, 0),
    ]
    assert len(chats.summaries(db, limit=1)) == 1


def test_a_name_finds_the_chats_that_it_may_mean(db: sqlite3.Connection) -> None:
    receive(db, "1", at=at(0))
    receive(db, "2", chat=PERSON, at=at(1))
    receive(db, "3", chat=SINGLE, at=at(2))
    assert [chat.key for chat in chats.find(db, "wr1")] == [PERSON.key, GROUP.key]
    assert [chat.key for chat in chats.find(db, GROUP.key)] == [GROUP.key]
    assert [chat.key for chat in chats.find(db, "lisi")] == [SINGLE.key]
    # Ids are case-sensitive (protocol §6).
    assert chats.find(db, "WR1") == ()


def test_a_chat_chooses_its_model(db: sqlite3.Connection) -> None:
    receive(db, "1")
    receive(db, "2", chat=SINGLE)
    chats.choose_model(db, GROUP.key, "deepseek-reasoner")
    chat, other = chats.get(db, GROUP.key), chats.get(db, SINGLE.key)
    assert chat is not None
    assert other is not None
    assert (chat.model, other.model) == ("deepseek-reasoner", None)
    chats.choose_model(db, GROUP.key, None)
    assert chats.get(db, GROUP.key) == chats.Chat(**{**_fields(chat), "model": None})


def _fields(chat: chats.Chat) -> dict[str, object]:
    return {name: getattr(chat, name) for name in chat.__slots__}
