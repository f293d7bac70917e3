"""One connection's protocol state, on a clock that the test moves."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.wecom import frames
from agent.wecom.errors import ConnectionLost, CredentialsRefused, RequestFailed, RequestTimeout, WecomError
from agent.wecom.frames import Frame
from agent.wecom.session import LATE_ACK_TIMEOUTS, Callback, Ended, Request, Session, State, Subscribed, request_for
from tests.wecom.golden import golden

Outcome = tuple[Frame | WecomError, bool]


class Bench:
    """A session, what it wrote, and how its requests ended."""

    def __init__(self, *, subscribed: bool = True, **settings: Any) -> None:
        self.session = Session("bot", "secret", **settings)
        self.now = 0.0
        self.outcomes: dict[str, Outcome] = {}
        self.session.subscribe(self.now)
        self.hello = self.sent()[0]
        if subscribed:
            assert self.ack(self.hello["headers"]["req_id"]) == Subscribed()

    def sent(self) -> list[dict[str, Any]]:
        messages, self.session.outgoing = self.session.outgoing, []
        return [json.loads(message) for message in messages]

    def receive(self, frame: Any) -> Any:
        data = frame if isinstance(frame, bytes | str) else json.dumps(frame)
        return self.session.receive(data if isinstance(data, bytes) else data.encode(), self.now)

    def ack(self, req_id: str, errcode: int = 0, **more: Any) -> Any:
        return self.receive({"headers": {"req_id": req_id}, "errcode": errcode, "errmsg": "m", **more})

    def send(
        self,
        name: str,
        req_id: str = "R",
        seconds: float = 10.0,
        then: Callable[[Frame | WecomError], None] | None = None,
    ) -> Request:
        def settle(outcome: Frame | WecomError, certain: bool) -> None:
            assert name not in self.outcomes, f"{name} was settled twice"
            self.outcomes[name] = (outcome, certain)
            if then is not None:
                then(outcome)

        request = request_for(frames.RESPOND, req_id, {"n": name}, seconds, settle)
        self.session.send(request, self.now)
        return request

    def names(self) -> list[str]:
        """Names of the requests that left since the last look, pings apart."""
        return [frame["body"]["n"] for frame in self.sent() if frame["cmd"] == frames.RESPOND]

    def tick(self, now: float) -> Ended | None:
        """Lets time pass as the shell does: it wakes when the session asked for it."""
        while self.session.next_at <= now and self.session.state is not State.ENDED:
            self.now = max(self.now, self.session.next_at)
            ended = self.session.tick(self.now)
            if ended is not None:
                return ended
        self.now = now
        return None


def reason(event: Any) -> str:
    assert isinstance(event, Ended)
    return str(event.error)


# --- subscribing


def test_the_first_frame_subscribes_and_looks_like_the_golden_one() -> None:
    bench = Bench(subscribed=False)
    expected = golden("out-subscribe").frame
    assert bench.hello.keys() == expected.keys()
    assert bench.hello["body"] == {"bot_id": "bot", "secret": "secret"}
    assert bench.hello["headers"]["req_id"].startswith("aibot_subscribe_")
    assert bench.session.state is State.SUBSCRIBING


def test_the_subscribe_ack_makes_it_ready() -> None:
    bench = Bench(subscribed=False)
    assert bench.ack("somebody else's") is None
    assert bench.session.state is State.SUBSCRIBING
    assert bench.ack(bench.hello["headers"]["req_id"]) == Subscribed()
    assert bench.session.state is State.SUBSCRIBED


def test_without_a_subscribe_ack_it_ends() -> None:
    bench = Bench(subscribed=False, timeout=7.0)
    assert bench.tick(6.9) is None
    assert "no subscribe ack within 7 s" in reason(bench.tick(7.0))


@pytest.mark.parametrize("errcode", [853000, 40058])
@pytest.mark.parametrize("orphan", [False, True])
def test_refused_credentials_end_it_for_good(errcode: int, orphan: bool) -> None:
    bench = Bench(subscribed=False)
    event = bench.ack("" if orphan else bench.hello["headers"]["req_id"], errcode)
    assert isinstance(event, Ended)
    assert isinstance(event.error, CredentialsRefused)
    assert event.error.errcode == errcode
    assert not event.displaced


def test_the_golden_refusal_says_what_wecom_said() -> None:
    bench = Bench(subscribed=False)
    frame = golden("in-error-853000").frame
    frame["headers"]["req_id"] = bench.hello["headers"]["req_id"]
    assert "invalid bot_id or secret" in reason(bench.receive(frame))


@pytest.mark.parametrize("errcode", [-1, 45009, 846609, 95001])
def test_any_other_refusal_may_pass(errcode: int) -> None:
    bench = Bench(subscribed=False)
    event = bench.ack(bench.hello["headers"]["req_id"], errcode)
    assert isinstance(event, Ended)
    assert isinstance(event.error, ConnectionLost)
    assert str(errcode) in reason(event)


def test_an_ack_without_req_id_and_error_subscribes_nothing() -> None:
    bench = Bench(subscribed=False)
    assert bench.receive({"headers": {}, "errcode": 0}) is None
    assert bench.session.state is State.SUBSCRIBING


def test_nothing_is_sent_before_the_subscribe_ack() -> None:
    bench = Bench(subscribed=False)
    bench.send("early")
    outcome, certain = bench.outcomes["early"]
    assert isinstance(outcome, ConnectionLost)
    assert (outcome.written, certain) == (False, True)
    assert bench.sent() == []


def test_a_callback_that_overtakes_the_subscribe_ack_is_not_lost() -> None:
    bench = Bench(subscribed=False)
    event = bench.receive(golden("in-message-text-single").frame)
    assert isinstance(event, Callback)
    assert bench.ack(bench.hello["headers"]["req_id"]) == Subscribed()


# --- liveness


@pytest.mark.parametrize("alive_until", [30.0, 30.2, 31.0, 34.9, 35.1, 39.9, 45.0, 59.9, 60.3, 75.0])
def test_a_dead_line_is_noticed_within_45_s(alive_until: float) -> None:
    """Pings are answered after 0.2 s until the line dies; then nothing comes any more."""
    bench, answers, ended = Bench(), [], None
    while ended is None and bench.now < 200.0:
        step = min([bench.session.next_at, *[at for at, _ in answers]])
        bench.now = max(bench.now, step)
        for one in [one for one in answers if one[0] <= bench.now]:
            answers.remove(one)
            bench.ack(one[1])
        ended = bench.session.tick(bench.now) if bench.session.next_at <= bench.now else None
        pings = [frame["headers"]["req_id"] for frame in bench.sent() if frame["cmd"] == frames.PING]
        answers += [(bench.now + 0.2, ping) for ping in pings if bench.now + 0.2 <= alive_until]
    assert "half-open" in reason(ended)
    assert bench.now - alive_until <= 45.0


def test_a_line_that_dies_right_after_an_ack_is_noticed_after_40_s() -> None:
    bench = Bench()
    assert bench.tick(39.9) is None
    pings = [frame for frame in bench.sent() if frame["cmd"] == frames.PING]
    assert len(pings) == 2
    assert "half-open: nothing came for 40.0 s" in reason(bench.tick(40.1))


def test_slow_acks_of_pings_keep_it_alive() -> None:
    bench = Bench()
    for _ in range(20):
        assert bench.tick(bench.now + 9.0) is None
        for frame in bench.sent():
            bench.ack(frame["headers"]["req_id"])


def test_any_frame_shows_that_the_line_lives() -> None:
    bench = Bench()
    for _ in range(30):
        assert bench.tick(bench.now + 7.0) is None
        bench.receive(golden("in-message-text-single").frame)


def test_one_ping_every_30_s_when_all_is_well() -> None:
    bench, pings = Bench(), 0
    for second in range(1, 301):
        assert bench.tick(float(second)) is None
        for frame in bench.sent():
            assert frame.keys() == golden("out-ping").frame.keys()
            pings += 1
            bench.ack(frame["headers"]["req_id"])
    assert pings == 10


@pytest.mark.parametrize("pong", [False, True])
def test_a_ping_s_ack_is_nobody_else_s(pong: bool) -> None:
    bench = Bench()
    bench.tick(30.0)
    (ping,) = bench.sent()
    frame = golden("in-ack-pong" if pong else "in-ack-ok").frame
    frame["headers"]["req_id"] = ping["headers"]["req_id"]
    assert bench.receive(frame) is None
    assert bench.session.next_at <= 60.0
    assert bench.tick(59.0) is None


def test_a_ping_that_is_refused_is_logged_and_846609_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.tick(30.0)
    assert bench.ack(bench.sent()[0]["headers"]["req_id"], 95001) is None
    assert "errcode 95001" in caplog.text
    bench.tick(60.0)
    assert "846609" in reason(bench.ack(bench.sent()[0]["headers"]["req_id"], 846609))


def test_a_scaled_heartbeat_scales_the_patience() -> None:
    bench = Bench(heartbeat=0.6)
    assert bench.tick(0.99) is None
    assert bench.tick(1.01) is not None


# --- acks


def test_an_ack_settles_its_request_once() -> None:
    bench = Bench()
    bench.send("a")
    assert bench.names() == ["a"]
    bench.ack("R", body={"upload_id": "U"})
    outcome, certain = bench.outcomes["a"]
    assert isinstance(outcome, Frame)
    assert (outcome.body, certain) == ({"upload_id": "U"}, True)
    assert bench.ack("R") is None
    bench.tick(29.0)


def test_an_error_settles_with_its_code() -> None:
    bench = Bench()
    bench.send("a")
    bench.ack("R", 846608)
    outcome, _ = bench.outcomes["a"]
    assert isinstance(outcome, RequestFailed)
    assert (outcome.cmd, outcome.errcode) == (frames.RESPOND, 846608)


def test_requests_on_one_req_id_follow_one_another_and_others_do_not_wait() -> None:
    bench = Bench()
    for name in "abc":
        bench.send(name)
    bench.send("other", "S")
    assert bench.names() == ["a", "other"]
    bench.ack("R")
    assert bench.names() == ["b"]
    bench.ack("R", 6000)
    assert bench.names() == ["c"]
    bench.ack("R")
    assert {name: getattr(one[0], "errcode", None) for name, one in bench.outcomes.items()} == {
        "a": 0,
        "b": 6000,
        "c": 0,
    }


def test_a_settlement_may_send_again() -> None:
    bench = Bench()
    bench.send("a", then=lambda _: bench.send("b", then=lambda _: bench.send("c", "S") and None) and None)
    bench.names()
    bench.ack("R")
    bench.ack("R")
    assert bench.names() == ["b", "c"]
    bench.ack("S")
    assert set(bench.outcomes) == {"a", "b", "c"}


def test_without_an_ack_the_outcome_is_unknown_and_the_next_one_leaves() -> None:
    bench = Bench()
    bench.send("a", seconds=5.0)
    bench.send("b", seconds=5.0)
    assert bench.tick(4.9) is None
    assert bench.names() == ["a"]
    bench.tick(5.0)
    outcome, certain = bench.outcomes["a"]
    assert isinstance(outcome, RequestTimeout)
    assert certain
    assert bench.names() == ["b"]


def test_a_request_that_waits_has_its_own_time() -> None:
    bench = Bench()
    bench.send("a", seconds=5.0)
    bench.now = 4.0
    bench.send("b", seconds=5.0)
    bench.ack("R")
    assert bench.tick(8.9) is None
    assert set(bench.outcomes) == {"a"}
    bench.tick(9.0)
    assert set(bench.outcomes) == {"a", "b"}


def test_after_a_timeout_acks_are_doubtful_until_none_is_missing() -> None:
    bench = Bench()
    bench.send("a", seconds=5.0)
    bench.tick(5.0)
    bench.send("b")
    bench.ack("R")
    assert bench.outcomes["b"][1] is False
    bench.ack("R")  # that was b's: now none is missing
    bench.send("c")
    bench.ack("R")
    assert bench.outcomes["c"][1] is True


def test_each_missing_ack_counts() -> None:
    bench = Bench()
    for name in ("a", "b"):
        bench.send(name, seconds=5.0)
        bench.tick(bench.now + 5.0)
    bench.ack("R")  # a's or b's: one is missing still
    bench.send("c")
    bench.ack("R")
    assert bench.outcomes["c"][1] is False
    bench.ack("R")
    bench.send("d")
    bench.ack("R")
    assert bench.outcomes["d"][1] is True


def test_an_unknown_command_is_no_ack(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.send("a")
    assert bench.receive({"cmd": "aibot_new_callback", "headers": {"req_id": "R"}, "body": {}, "errcode": 0}) is None
    assert bench.outcomes == {}
    bench.ack("R")
    assert bench.outcomes["a"][1] is True


def test_a_lost_ack_is_given_up_after_a_pause() -> None:
    bench = Bench()
    bench.send("a", seconds=5.0)
    bench.tick(5.0 + LATE_ACK_TIMEOUTS * 5.0)
    bench.send("b")
    bench.ack("R")
    assert bench.outcomes["b"][1] is True


def test_without_a_pause_acks_stay_doubtful() -> None:
    """Each ack may be the late one of the frame before, for as long as frames follow one another."""
    bench = Bench()
    bench.send("a", seconds=5.0)
    bench.tick(5.0)
    for i in range(60):
        bench.send(f"b{i}", seconds=5.0)
        bench.tick(bench.now + 1.0)
        bench.ack("R")
        assert bench.outcomes[f"b{i}"][1] is False
        for frame in bench.sent():
            if frame["cmd"] == frames.PING:
                bench.ack(frame["headers"]["req_id"])


def test_a_late_ack_that_says_846609_ends_the_session() -> None:
    bench = Bench()
    bench.send("a", seconds=5.0)
    bench.tick(5.0)
    assert "846609" in reason(bench.ack("R", 846609))


def test_lanes_are_forgotten() -> None:
    bench = Bench()
    for i in range(50):
        bench.send(f"acked{i}", f"A{i}")
        bench.ack(f"A{i}")
        bench.send(f"lost{i}", f"L{i}", seconds=1.0)
    for _ in range(3):
        bench.tick(bench.now + 2.0)
    assert bench.session._lanes == {}


def test_an_ack_without_req_id_is_told_beside_the_frame_that_it_probably_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.send("older", "A", seconds=5.0)
    bench.now = 1.0
    bench.send("newest", "B", seconds=5.0)
    bench.now = 1.5
    bench.send("acked", "C", seconds=5.0)
    bench.ack("C")
    for name in ("in-error-40058-orphan", "in-error-40058-headerless"):
        assert bench.receive(golden(name).frame) is None
    assert "40058" in caplog.text
    assert "aibot_respond_msg on B" in caplog.text
    bench.tick(6.0)
    older, newest = bench.outcomes["older"][0], bench.outcomes["newest"][0]
    assert isinstance(older, RequestTimeout)
    assert isinstance(newest, RequestTimeout)
    assert older.hint is None
    assert newest.hint == (40058, "missing field media_id")
    assert "40058" in str(newest)


def test_orphans_without_an_error_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    assert bench.ack("NOBODY") is None
    assert bench.receive({"headers": {}}) is None
    assert caplog.text == ""


def test_an_orphan_error_without_anything_waiting_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert Bench().receive(golden("in-error-40058-orphan").frame) is None
    assert "40058" in caplog.text


# --- the end


def test_846609_ends_the_session_and_what_the_waiter_sends_again_waits_for_the_next() -> None:
    bench = Bench()
    again: list[Frame | WecomError] = []
    bench.send("push", then=lambda _: bench.send("again", "S", then=again.append) and None)
    bench.send("queued")
    bench.names()
    event = bench.ack("R", 846609)
    assert isinstance(event, Ended)
    assert not event.displaced
    outcome = bench.outcomes["push"][0]
    assert isinstance(outcome, ConnectionLost)
    assert not outcome.written
    assert isinstance(again[0], ConnectionLost)
    assert not again[0].written
    assert bench.names() == []
    bench.session.end("over")
    queued = bench.outcomes["queued"][0]
    assert isinstance(queued, ConnectionLost)
    assert not queued.written


def test_846609_without_req_id_ends_it_too() -> None:
    assert "846609" in reason(Bench().receive({"errcode": 846609, "errmsg": "aibot websocket not subscribed"}))


def test_acks_that_came_with_the_end_still_count() -> None:
    bench = Bench()
    bench.send("a", "A")
    bench.send("b", "B")
    bench.send("queued", "B")
    bench.names()
    bench.ack("A", 846609)
    bench.ack("B")
    assert isinstance(bench.outcomes["b"][0], Frame)
    assert bench.names() == []
    bench.session.end("over")
    queued = bench.outcomes["queued"][0]
    assert isinstance(queued, ConnectionLost)
    assert not queued.written


def test_displaced_is_no_message() -> None:
    bench = Bench()
    event = bench.receive(golden("in-event-disconnected").frame)
    assert isinstance(event, Ended)
    assert event.displaced
    assert bench.session.state is State.ENDED
    bench.send("late")
    assert isinstance(bench.outcomes["late"][0], ConnectionLost)
    assert bench.receive(golden("in-message-text-single").frame) is None


def test_the_end_settles_everyone_and_tells_what_was_written() -> None:
    bench = Bench()
    for name in "ab":
        bench.send(name)
    bench.send("c", "S")
    bench.session.end("the socket closed")
    written = {name: getattr(one[0], "written", None) for name, one in bench.outcomes.items()}
    assert written == {"a": True, "b": False, "c": True}
    bench.session.end("twice")


def test_what_the_socket_did_not_take_was_not_written() -> None:
    bench = Bench()
    bench.send("a", "A")
    taken = bench.session.outgoing
    bench.session.outgoing = []
    bench.send("b", "B")
    bench.session.unwritten(bench.session.outgoing)
    bench.send("c", "C")
    bench.session.end("the socket closed")
    assert len(taken) == 1
    written = {name: getattr(one[0], "written", None) for name, one in bench.outcomes.items()}
    assert written == {"a": True, "b": False, "c": False}


def test_whoever_sends_again_while_all_is_settled_is_told_at_once() -> None:
    bench = Bench()
    bench.send("a", then=lambda _: bench.send("again") and None)
    bench.session.end("over")
    assert isinstance(bench.outcomes["again"][0], ConnectionLost)


# --- garbage


GARBAGE = [
    b"",
    b"{",
    b"\x00\xff\xfe",
    b"[]",
    b"null",
    b"1",
    b'"x"',
    b"[" * 50_000,
    b'{"cmd":7}',
    b'{"cmd":"aibot_new"}',
]


@pytest.mark.parametrize("data", GARBAGE)
def test_garbage_is_skipped(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench()
    bench.send("a")
    assert bench.receive(data) is None
    bench.ack("R")
    assert set(bench.outcomes) == {"a"}


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
@settings(max_examples=200)
def test_nothing_that_comes_breaks_the_session(data: bytes) -> None:
    bench = Bench()
    event = bench.session.receive(data, 1.0)
    assert event is None
    assert bench.session.state is State.SUBSCRIBED


ENVELOPE = st.fixed_dictionaries(
    {},
    optional={
        "cmd": st.sampled_from([frames.MESSAGE, frames.EVENT, frames.PONG, "", "x", None, 3]),
        "headers": st.sampled_from([{}, None, [], {"req_id": "R"}, {"req_id": ""}, {"req_id": None}, {"req_id": 5}]),
        "body": st.sampled_from(
            [{}, None, [], {"event": None}, {"event": {"eventtype": 1}}, {"event": {"eventtype": []}}]
        ),
        "errcode": st.sampled_from([0, None, "0", "x", 40058, -1, 1.5, True, [], 846608]),
        "errmsg": st.sampled_from(["ok", None, 5, [], {}]),
    },
)


@given(st.lists(ENVELOPE, max_size=5), st.booleans())
@settings(max_examples=300)
def test_odd_envelopes_settle_at_most_once(envelopes: list[dict[str, Any]], subscribed: bool) -> None:
    bench = Bench(subscribed=subscribed)
    bench.send("a")
    bench.send("b")
    for envelope in envelopes:
        bench.receive(envelope)
    bench.session.end("over")
    assert set(bench.outcomes) == {"a", "b"}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.sampled_from(["R", "S"])),
            st.tuples(st.just("ack"), st.sampled_from(["R", "S"])),
            st.tuples(st.just("error"), st.sampled_from(["R", "S"])),
            st.tuples(st.just("wait"), st.floats(0.1, 12.0)),
            st.tuples(st.just("message"), st.just("")),
        ),
        max_size=60,
    )
)
@settings(max_examples=300)
def test_each_request_is_settled_exactly_once(steps: list[tuple[str, Any]]) -> None:
    bench, sent, in_flight = Bench(), 0, {"R": 0, "S": 0}
    for step, value in steps:
        match step:
            case "send":
                bench.send(f"{sent}", value, seconds=5.0)
                sent += 1
            case "ack":
                bench.ack(value)
            case "error":
                bench.ack(value, 6000)
            case "message":
                bench.receive(golden("in-message-text-single").frame)
            case _:
                if bench.tick(bench.now + value) is not None:
                    break
        for frame in bench.sent():
            if frame["cmd"] == frames.RESPOND:
                in_flight[frame["headers"]["req_id"]] += 1
        waiting = [lane for lane in bench.session._lanes.values() if lane.waiting is not None]
        assert len(waiting) <= 2
    bench.session.end("over")
    assert len(bench.outcomes) == sent


def test_secrets_and_text_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bench = Bench()
    bench.receive({**golden("in-message-text-single").frame, "cmd": "aibot_unheard_of"})
    bench.receive(b'{"text": "private')
    assert caplog.text
    assert "private" not in caplog.text
    assert '"secret"' not in caplog.text
    assert "zhangsan" not in caplog.text
