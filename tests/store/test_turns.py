import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.store import chats, feedback, turns
from agent.store.database import open_for_bot
from agent.store.states import IllegalTransition
from tests.store.conftest import at
from tests.store.samples import GROUP, SINGLE, arrival, exchange, receive

# --- arrival


def test_a_turn_keeps_everything_that_answering_needs(db: sqlite3.Connection) -> None:
    body = {"msgid": "m", "quote": {"msgtype": "text", "text": {"content": "引用"}}, "half": "\ud83d"}
    turn = turns.get(db, receive(db, "m", body=body, text="半 \ud83d", command="new", at=at(1.5)))
    assert turn is not None
    assert (turn.chat, turn.bot_id, turn.msgid, turn.req_id, turn.user_id) == (
        GROUP.key,
        "bot",
        "m",
        "req-m",
        "zhangsan",
    )
    assert (turn.kind, turn.text, turn.command) == ("text", "半 \ufffd", "new")
    assert turn.body == body | {"half": "\ufffd"}
    assert (turn.state, turn.attempts, turn.received_at) == ("received", 0, "2026-11-23T08:00:01.500Z")
    assert (turn.answer, turn.error, turn.joined_to) == (None, None, None)


def test_a_seen_message_changes_nothing(db: sqlite3.Connection) -> None:
    receive(db, "1", at=at(0))
    assert turns.receive(db, **arrival("1", at=at(9), text="other")) is None
    chat = chats.get(db, GROUP.key)
    assert chat is not None
    assert chat.last_at == "2026-11-23T08:00:00.000Z"
    assert db.execute("SELECT text FROM turns").fetchall()[0]["text"] == "年假怎么申请？"


def test_message_ids_belong_to_their_bot(db: sqlite3.Connection) -> None:
    receive(db, "1")
    receive(db, "1", chat=chats.Address("other:group:wr1", "other", "group", "wr1"))


# --- states

MOVES: dict[str, Any] = {
    "answering": lambda db, turn: turns.start(db, turn, at(1)),
    "answered": lambda db, turn: turns.answer(db, turn, at(2), answer="答"),
    "delivered": lambda db, turn: turns.deliver(db, turn, at(3)),
    "failed": lambda db, turn: turns.fail(db, turn, at(3), error="timeout"),
    "cancelled": lambda db, turn: turns.cancel(db, turn, at(3)),
}
PATHS: dict[str, tuple[str, ...]] = {
    "received": (),
    "answering": ("answering",),
    "answered": ("answering", "answered"),
    "delivered": ("answering", "answered", "delivered"),
    "failed": ("failed",),
    "cancelled": ("answering", "cancelled"),
}
LEGAL = {
    "received": {"answering", "answered", "failed", "cancelled"},
    "answering": {"answering", "answered", "failed", "cancelled"},
    "answered": {"delivered", "failed", "cancelled"},
    "delivered": set(),
    "failed": set(),
    "cancelled": set(),
}


@pytest.mark.parametrize("source", PATHS)
@pytest.mark.parametrize("target", MOVES)
def test_every_transition(db: sqlite3.Connection, source: str, target: str) -> None:
    turn = receive(db, "1")
    for step in PATHS[source]:
        MOVES[step](db, turn)
    before = turns.get(db, turn)
    assert before is not None
    assert before.state == source
    if target in LEGAL[source]:
        MOVES[target](db, turn)
        after = turns.get(db, turn)
        assert after is not None
        assert after.state == target
    else:
        with pytest.raises(IllegalTransition, match=f"is '{source}' and cannot become '{target}'") as caught:
            MOVES[target](db, turn)
        assert (caught.value.row, caught.value.state, caught.value.to) == (turn, source, target)
        assert turns.get(db, turn) == before


@pytest.mark.parametrize("target", MOVES)
def test_no_transition_of_a_turn_that_is_not_there(db: sqlite3.Connection, target: str) -> None:
    with pytest.raises(IllegalTransition, match="row 7 of 'turns' does not exist"):
        MOVES[target](db, 7)


def test_each_change_leaves_its_time_and_values(db: sqlite3.Connection) -> None:
    turn = receive(db, "1")
    assert turns.start(db, turn, at(1), model="m1", feedback_id="f1") == 1
    assert turns.start(db, turn, at(2)) == 2
    turns.answer(db, turn, at(3), answer="答", reasoning="想", model="m2", prompt_tokens=10, completion_tokens=0)
    turns.deliver(db, turn, at(4))
    found = turns.get(db, turn)
    assert found is not None
    assert (found.answering_at, found.answered_at, found.delivered_at, found.ended_at) == (
        "2026-11-23T08:00:02.000Z",
        "2026-11-23T08:00:03.000Z",
        "2026-11-23T08:00:04.000Z",
        None,
    )
    assert (found.answer, found.reasoning, found.model, found.feedback_id) == ("答", "想", "m2", "f1")
    assert (found.prompt_tokens, found.completion_tokens, found.attempts) == (10, 0, 2)


def test_failing_keeps_what_was_said(db: sqlite3.Connection) -> None:
    turn = receive(db, "1")
    turns.answer(db, turn, at(1), answer="前半", error="cut")
    turns.fail(db, turn, at(2), error="unreachable")
    found = turns.get(db, turn)
    assert found is not None
    assert (found.answer, found.error, found.ended_at) == ("前半", "unreachable", "2026-11-23T08:00:02.000Z")


# --- what is owed


def test_unfinished_turns_are_the_open_ones_of_this_bot_in_order(db: sqlite3.Connection) -> None:
    exchange(db, "done", "答")
    waiting = receive(db, "waiting")
    answering = receive(db, "answering")
    turns.start(db, answering, at(1))
    answered = receive(db, "answered")
    turns.answer(db, answered, at(1), answer="答")
    turns.fail(db, receive(db, "failed"), at(1), error="x")
    turns.cancel(db, receive(db, "cancelled"), at(1))
    receive(db, "1", chat=chats.Address("other:group:wr1", "other", "group", "wr1"))
    assert [turn.id for turn in turns.unfinished(db, "bot")] == [waiting, answering, answered]


def test_finding_open_turns_does_not_read_them_all(db: sqlite3.Connection) -> None:
    seen: list[str] = []
    db.set_trace_callback(seen.append)
    turns.unfinished(db, "bot")
    db.set_trace_callback(None)
    plan = " ".join(row["detail"] for row in db.execute(f"EXPLAIN QUERY PLAN {seen[-1]}"))
    assert "turns_open" in plan


# --- history


def test_history_is_what_was_said_and_answered(db: sqlite3.Connection) -> None:
    exchange(db, "1", "一", text="甲")
    exchange(db, "2", "好的", text="/new", command="new")
    turns.answer(db, receive(db, "limit", text="子"), at(1), answer="请稍后再试")  # the model was not asked
    turns.fail(db, receive(db, "3", text="乙"), at(1), error="timeout")
    exchange(db, "4", "", text="丙")
    cut = receive(db, "5", text="丁", user_id="wangwu", at=at(5))
    turns.start(db, cut, at(5))
    turns.cancel(db, cut, at(6), answer="说到一")
    exchange(db, "6", "别处", chat=SINGLE)
    receive(db, "7", text="还没答")
    history = turns.history(db, GROUP.key, 10)
    assert [(each.text, each.answer) for each in history] == [("甲", "一"), ("丁", "说到一")]
    assert history[1] == turns.Exchange(cut, "wangwu", "text", "丁", "说到一", "2026-11-23T08:00:05.000Z")


def test_history_has_a_limit_an_end_and_a_beginning(db: sqlite3.Connection) -> None:
    ids = [exchange(db, str(number), str(number)) for number in range(6)]
    assert [each.answer for each in turns.history(db, GROUP.key, 2)] == ["4", "5"]
    assert [each.answer for each in turns.history(db, GROUP.key, 2, before=ids[4])] == ["2", "3"]
    chats.forget(db, GROUP.key, ids[2])
    assert [each.answer for each in turns.history(db, GROUP.key, 9)] == ["3", "4", "5"]
    chats.forget(db, GROUP.key, ids[0])  # it never goes back
    assert [each.answer for each in turns.history(db, GROUP.key, 9)] == ["3", "4", "5"]
    assert turns.history(db, "nobody", 9) == ()


def test_of_chat_shows_every_state(db: sqlite3.Connection) -> None:
    ids = [receive(db, str(number)) for number in range(4)]
    turns.fail(db, ids[2], at(1), error="x")
    assert [turn.id for turn in turns.of_chat(db, GROUP.key, 3)] == ids[1:]


def test_tokens_are_summed_by_person_and_time(db: sqlite3.Connection) -> None:
    for number, (user, prompt, completion) in enumerate((("lisi", 100, 10), ("lisi", 7, None), ("wangwu", 1000, 1))):
        turn = receive(db, str(number), user_id=user, at=at(number))
        turns.answer(db, turn, at(9), answer="答", prompt_tokens=prompt, completion_tokens=completion)
    receive(db, "open", user_id="lisi", at=at(3))
    assert turns.tokens_since(db, "bot", "lisi", at(0)) == 117
    assert turns.tokens_since(db, "bot", "lisi", at(1)) == 7
    assert turns.tokens_since(db, "bot", "lisi", at(4)) == 0
    assert turns.tokens_since(db, "other", "lisi", at(0)) == 0


# A random life of three chats, against the plainest possible model of it.
events = st.lists(
    st.tuples(
        st.sampled_from(["receive", "start", "answer", "deliver", "fail", "cancel", "forget"]),
        st.integers(0, 2),
        st.integers(0, 11),
    ),
    max_size=60,
)


@given(events)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_order_of_events_leaves_what_a_model_expects(tmp_path: Path, script: list[tuple[str, int, int]]) -> None:
    db = open_for_bot(tmp_path / "agent.db")
    try:
        db.execute("BEGIN")
        _play(db, script)
        db.execute("ROLLBACK")
    finally:
        db.close()


def _play(db: sqlite3.Connection, script: list[tuple[str, int, int]]) -> None:
    places = [chats.Address(f"c{number}", "bot", "group", f"c{number}") for number in range(3)]
    expected: dict[int, dict[str, Any]] = {}
    seen: dict[int, int] = {}
    from_ = {place.key: 0 for place in places}
    for number, (event, place, msgid) in enumerate(script):
        if event == "receive":
            turn = turns.receive(db, **arrival(f"m{msgid}", chat=places[place], text=str(number)))
            assert (turn is None) == (msgid in seen)
            if turn is not None:
                seen[msgid] = turn
                expected[turn] = {
                    "chat": places[place].key,
                    "state": "received",
                    "text": str(number),
                    "asked": False,
                    "answer": None,
                }
            continue
        if event == "forget":
            newest = max((turn for turn, each in expected.items() if each["chat"] == places[place].key), default=0)
            chats.forget(db, places[place].key, newest)
            from_[places[place].key] = newest
            continue
        turn = seen.get(msgid, 999)
        target = {"start": "answering", "answer": "answered", "deliver": "delivered", "fail": "failed"}.get(
            event, "cancelled"
        )
        if turn in expected and target in LEGAL[expected[turn]["state"]]:
            MOVES[target](db, turn)
            expected[turn]["state"] = target
            if target == "answering":
                expected[turn]["asked"] = True
            if target == "answered" and expected[turn]["asked"]:
                expected[turn]["answer"] = "答"
        else:
            with pytest.raises(IllegalTransition):
                MOVES[target](db, turn)
    for place_ in places:
        mine = {turn: each for turn, each in expected.items() if each["chat"] == place_.key and each["answer"]}
        remembered = [(turn, each["text"]) for turn, each in mine.items() if turn > from_[place_.key]]
        history = turns.history(db, place_.key, 100)
        assert [(each.turn, each.text) for each in history] == remembered
    still_open = [turn for turn, each in expected.items() if each["state"] in turns.OPEN]
    assert [turn.id for turn in turns.unfinished(db, "bot")] == still_open


# --- joining


def test_a_question_joins_one_of_its_chat_that_still_waits(db: sqlite3.Connection) -> None:
    first, second, third = receive(db, "1", text="甲"), receive(db, "2", text="乙"), receive(db, "3", text="丙")
    assert turns.join(db, third, first, at(1), answer="一起")
    assert turns.join(db, second, first, at(1), answer="一起")
    assert not turns.join(db, second, first, at(1), answer="一起"), "it has joined already"
    found = turns.get(db, second)
    assert found is not None
    assert (found.state, found.joined_to, found.answer, found.attempts) == ("answered", first, "一起", 0)
    assert [turn.id for turn in turns.joined(db, first)] == [second, third]
    turns.start(db, first, at(2), feedback_id="f")
    turns.answer(db, first, at(3), answer="答")
    (only,) = turns.history(db, GROUP.key, 9)
    assert (only.text, only.answer) == ("甲\n\n乙\n\n丙", "答")
    feedback.record(db, msgid="e", feedback_id="f", user_id="u", type=1, content=None, reasons=[], at=at(4))
    assert feedback.newest(db, 1)[0].question == "甲\n\n乙\n\n丙"


def test_nothing_joins_what_is_being_answered_or_forgotten_or_elsewhere(db: sqlite3.Connection) -> None:
    running, waiting, elsewhere = receive(db, "1"), receive(db, "2"), receive(db, "3", chat=SINGLE)
    turns.start(db, running, at(1))
    late = receive(db, "4")
    for host in (running, elsewhere, 99):
        assert not turns.join(db, late, host, at(2), answer="一起")
    chats.forget(db, GROUP.key, waiting)
    assert not turns.join(db, late, waiting, at(2), answer="一起")
    found = turns.get(db, late)
    assert found is not None
    assert (found.state, found.joined_to) == ("received", None)


def test_a_retry_takes_over_what_was_joined(db: sqlite3.Connection) -> None:
    first, second = receive(db, "1", text="甲"), receive(db, "2", text="乙")
    turns.join(db, second, first, at(1), answer="一起")
    turns.start(db, first, at(2))
    turns.answer(db, first, at(3), answer="旧答")
    for number, answer in ((3, "新答"), (4, "再答")):
        again = receive(db, str(number), command="retry", text="/retry")
        turns.repeat(db, number - 2 if number == 3 else number - 1, again)
        turns.start(db, again, at(4))
        turns.answer(db, again, at(5), answer=answer)
        assert [turn.id for turn in turns.joined(db, again)] == [second]
        assert [(one.text, one.answer) for one in turns.history(db, GROUP.key, 9)] == [("甲\n\n乙", answer)]
