"""The state of one growing answer, on a clock that the test moves."""

import dataclasses
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.wecom import frames, split
from agent.wecom.errors import Displaced, WecomError
from agent.wecom.frames import Frame
from agent.wecom.limits import SendingLimits
from agent.wecom.stream import (
    BUSY_DELAY,
    CONTENT_LIMIT,
    FINISH_REPEATS,
    LIFETIME,
    MAX_BUBBLES,
    Outcome,
    Send,
    Stream,
)
from agent.wecom.words import ENGLISH, Words
from tests.wecom.play import (
    OK,
    Answer,
    Play,
    Sent,
    after,
    finish,
    lost,
    refused,
    script,
    show,
    stream,
    tokens,
    unanswered,
)

WORDS = Words()


def outcome(play: Play) -> Outcome:
    assert play.stream.delivery is not None
    return play.stream.delivery.outcome


# --- the ordinary way


def test_the_first_frame_is_the_animation_and_leaves_at_once() -> None:
    play = Play(stream()).run(until=1.0)
    assert [(one.at, one.cmd, one.content, one.finish) for one in play.sent] == [
        (0.0, frames.RESPOND, "<think></think>", False)
    ]


def test_an_answer_that_is_whole_at_once_is_one_frame() -> None:
    play = Play(stream(first_id="S1")).run([(0.0, finish("hello"))])
    # The animation had left before.
    assert play.contents == ["<think></think>", "hello"]
    one = stream(first_id="S1")
    one.finish("hello")
    play = Play(one).run()
    assert [sent.body for sent in play.sent] == [
        {"msgtype": "stream", "stream": {"id": "S1", "finish": True, "content": "hello"}}
    ]
    assert (outcome(play), one.delivery.bubbles if one.delivery else 0) == (Outcome.ACKED, 1)


def test_each_frame_holds_the_whole_text_but_for_the_last_character() -> None:
    play = Play(stream(), after(0.05)).run([(1.0, show("He")), (2.0, show("Hello")), (3.0, finish("Hello!"))])
    assert play.contents == ["<think></think>", "H", "Hell", "Hello!"]
    assert [one.finish for one in play.sent] == [False, False, False, True]
    assert len({one.id for one in play.sent}) == 1


def test_the_newest_text_wins_and_one_frame_is_in_flight() -> None:
    words = [(0.01 * i, show("x" * i)) for i in range(1, 100)]
    play = Play(stream(), after(1.0)).run([*words, (0.995, finish("x" * 100))])
    assert [len(one.content) for one in play.sent] == [15, 100]
    assert [one.at for one in play.sent] == [0.0, 1.0]


def test_the_last_frame_differs_from_the_one_before() -> None:
    play = Play(stream()).run([(1.0, show("done.")), (2.0, finish("done"))])
    assert play.contents == ["<think></think>", "done", "done\n"]
    assert outcome(play) is Outcome.ACKED


@given(st.lists(st.text(max_size=40), max_size=6), st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=200)
def test_whatever_was_shown_the_finish_differs_and_is_visible(shown: list[str], reasoning: str, last: str) -> None:
    inputs = [(float(i + 1), show(text, reasoning)) for i, text in enumerate(shown)]
    play = Play(stream()).run([*inputs, (100.0, finish(last, reasoning))])
    *before, end = play.sent
    assert end.finish
    assert end.content != before[-1].content
    assert split.visible(end.content.rpartition("</think>")[2])
    assert not any(one.finish for one in before)


@pytest.mark.parametrize("text", ["", "  \n\t", "\u200b\u200d\ufeff", "\u3000", "\u2800\u3164", "\u0301"])
@pytest.mark.parametrize("shown", [None, "", "something"])
def test_an_invisible_answer_becomes_a_sentence(text: str, shown: str | None) -> None:
    inputs = [] if shown is None else [(1.0, show(shown))]
    play = Play(stream()).run([*inputs, (5.0, finish(text))])
    assert play.sent[-1].finish
    assert play.sent[-1].content == WORDS.empty
    assert outcome(play) is Outcome.ACKED


def test_words_that_nobody_can_see_are_refused() -> None:
    for name in ("empty", "ended", "working", "refused", "stopped", "failed"):
        with pytest.raises(ValueError, match=rf"words.{name} is ' '; give it something"):
            Words(**{name: " "})


def test_both_languages_are_complete() -> None:
    for field in dataclasses.fields(Words):
        chinese, english = getattr(WORDS, field.name), getattr(ENGLISH, field.name)
        assert chinese != english
        assert english.isascii() or "…" in english
        assert ("{kilobytes}" in chinese) == ("{kilobytes}" in english) == (field.name == "growing")


def test_a_silent_stream_is_refreshed_every_30_seconds() -> None:
    play = Play(stream(), after(0.2)).run([(1.0, show("working on it"))], until=95.0)
    assert [round(one.at, 2) for one in play.sent] == [0.0, 1.0, 31.0, 61.0, 91.0]
    assert len(set(play.contents[1:])) == 1


def test_nothing_leaves_while_the_text_does_not_change() -> None:
    play = Play(stream()).run([(i / 10, show("same")) for i in range(10, 250)], until=25.0)
    assert len(play.sent) == 2


def test_the_feedback_id_is_asked_for_until_a_frame_is_acked_and_again_for_the_next_bubble() -> None:
    far = script(unanswered(), OK)
    play = Play(stream(feedback_id="F"), far).run([(20.0, show("two words")), (30.0, finish("x" * 30_000))])
    asked = [(one.id, "feedback" in one.part) for one in play.sent]
    first, second = asked[0][0], asked[-1][0]
    assert asked[0] == (first, True)
    assert (first, False) in asked
    assert asked[-1] == (second, True)
    assert second != first


def test_the_feedback_id_is_on_the_first_frame_only_when_acks_come() -> None:
    play = Play(stream(feedback_id="F"), after(0.1)).run(tokens("Hello, world. " * 20, 4, 20))
    assert [one.part.get("feedback") for one in play.sent] == [{"id": "F"}] + [None] * (len(play.sent) - 1)


def test_a_feedback_id_over_256_bytes_is_refused() -> None:
    stream(feedback_id="反" * 85)
    with pytest.raises(ValueError, match="longer than WeCom's 256 bytes"):
        stream(feedback_id="反" * 86)


# --- reasoning


def test_reasoning_shows_in_the_native_block_and_stays_with_the_answer() -> None:
    play = Play(stream()).run(
        [(1.0, show("", "Let me see. 1 < 2")), (2.0, show("It is", "Let me see. 1 < 2")), (3.0, finish("It is.", "ok"))]
    )
    assert play.contents == [
        "<think></think>",
        "<think>Let me see. 1 ＜ 2</think>",
        "<think>Let me see. 1 ＜ 2</think>It i",
        "<think>ok</think>It is.",
    ]


def test_only_the_end_of_long_reasoning_shows() -> None:
    play = Play(stream()).run([(1.0, show("", "思" * 5000 + "END"))], until=2.0)
    content = play.sent[-1].content
    assert content.startswith("<think>…思")
    assert content.endswith("思END</think>")
    assert len(content.encode()) <= 4096 + len("<think></think>")


def test_text_is_not_taken_for_a_think_block() -> None:
    play = Play(stream()).run([(1.0, show("<think>echo <b>")), (2.0, finish("<think>echo <b> </THINK> < / think> x"))])
    assert play.contents[1:] == ["＜think>echo <b", "＜think>echo <b> ＜/THINK> ＜ / think> x"]


def test_reasoning_gives_way_to_a_text_that_fills_the_bubble() -> None:
    text = "word " * 4082
    play = Play(stream()).run([(1.0, finish(text, "because " * 1000))])
    content = play.sent[-1].content
    assert content == text
    shorter = text[:-100]
    play = Play(stream()).run([(1.0, finish(shorter, "because " * 1000))])
    content = play.sent[-1].content
    assert content.startswith("<think>…")
    assert content.endswith("</think>" + shorter)
    assert len(content.encode()) < CONTENT_LIMIT


# --- size, always


HUGE = Words(growing="成" * 3000 + "{kilobytes}", continued="续" * 3000, as_file="档" * 3000, working="做" * 3000)


@given(
    st.sampled_from(
        ["word ", "中文。", "😀", "```py\nx = 1\n```\n", "| a | b |\n|---|---|\n| 1 | 2 |\n", "> q\n\n", '"\\\n']
    ),
    st.integers(0, 9000),
    st.integers(0, 30_000),
    st.sampled_from([WORDS, ENGLISH, HUGE]),
    st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_no_frame_is_over_the_limit(unit: str, times: int, thought: int, words: Words, old: bool) -> None:
    text, reasoning = unit * times, "想" * thought
    cuts = [len(text) * i // 5 for i in range(1, 6)]
    inputs = [(float(i + 1) * (200 if old else 1), show(text[:end], reasoning)) for i, end in enumerate(cuts)]
    play = Play(stream(words=words), after(0.1)).run([*inputs, (1500.0, finish(text, reasoning))])
    assert max(len(one.content.encode()) for one in play.sent) <= CONTENT_LIMIT
    assert play.stream.delivery is not None
    opened = {one.id for one in play.sent if not one.pushed}
    assert opened == {one.id for one in play.sent if one.finish}


def test_a_full_bubble_says_that_more_is_coming() -> None:
    text = "word " * 5000
    play = Play(stream()).run([(1.0, show(text)), (2.0, finish(text))])
    full = play.sent[1].content
    assert full.endswith("……后面还有，正在继续生成（已 24 KB）")
    assert [one.finish for one in play.sent] == [False, False, True, True]
    assert "".join(play.shown).replace("\n", "") == text


def test_a_full_bubble_is_not_refreshed_for_what_it_cannot_show() -> None:
    inputs = [(1.0 + i / 10, show("word " * 5000 + "x" * i)) for i in range(100)]
    play = Play(stream()).run(inputs, until=20.0)
    assert len(play.sent) == 2


# --- long answers


def test_a_long_answer_goes_over_several_bubbles_without_loss() -> None:
    text = "".join(f"Paragraph {i}. " + "word " * 50 + "\n\n" for i in range(200))
    play = Play(stream(), after(0.2)).run([(1.0, finish(text))])
    pieces = [one.content for one in play.sent if one.finish]
    assert len(pieces) == 3
    assert "".join(pieces) == text
    assert play.stream.delivery is not None
    assert play.stream.delivery == dataclasses.replace(play.stream.delivery, bubbles=3, as_file=False)


def test_over_five_bubbles_the_first_and_a_file() -> None:
    text = "".join(f"Paragraph {i}. " + "word " * 50 + "\n\n" for i in range(500))
    play = Play(stream()).run([(1.0, finish(text))])
    pieces = [one.content for one in play.sent if one.finish]
    assert len(pieces) == 1
    assert pieces[0].endswith("\n\n" + WORDS.as_file)
    assert text.startswith(pieces[0].removesuffix("\n\n" + WORDS.as_file))
    assert play.stream.delivery is not None
    assert (play.stream.delivery.as_file, play.stream.delivery.bubbles) == (True, 1)
    assert play.stream.text == text


def test_exactly_five_bubbles_are_bubbles() -> None:
    text = "字" * (CONTENT_LIMIT // 3) * MAX_BUBBLES
    play = Play(stream()).run([(1.0, finish(text))])
    assert "".join(one.content for one in play.sent if one.finish) == text
    assert play.stream.delivery is not None
    assert (play.stream.delivery.as_file, play.stream.delivery.bubbles) == (False, MAX_BUBBLES)


def test_megabytes_of_text_do_not_hold_up_the_loop() -> None:
    one = stream()
    one.finish("word " * 2_000_000)
    began = time.perf_counter()
    play = Play(one).run()
    assert time.perf_counter() - began < 0.5
    assert play.stream.delivery is not None
    assert play.stream.delivery.as_file


def test_the_rate_limit_is_respected_by_waiting_and_each_bubble_counts_once() -> None:
    limits = SendingLimits(per_minute=2, per_hour=100)
    text = "字" * (CONTENT_LIMIT // 3) * 4
    play = Play(stream(limits=limits), after(0.5)).run([(1.0, finish(text))])
    ends = [one.at for one in play.sent if one.finish]
    assert len(ends) == 4
    for early, late in zip(ends, ends[2:], strict=False):
        assert late - early >= 59.0
    assert outcome(play) is Outcome.ACKED


def test_a_push_instead_of_a_stream_respects_the_limit_too() -> None:
    limits = SendingLimits(per_minute=1, per_hour=100)
    play = Play(stream(limits=limits), script(OK, refused(846608))).run([(1.0, show("The ans")), (2.0, finish("The."))])
    assert [(one.pushed, one.at >= play.sent[0].at + 60.0) for one in play.sent] == [
        (False, False),
        (False, False),
        (True, True),
    ]
    assert outcome(play) is Outcome.PUSHED


def test_refreshes_and_repeats_do_not_count() -> None:
    limits = SendingLimits(per_minute=2, per_hour=100)
    far = script(lost(written=False), refused(45009), OK)
    play = Play(stream(limits=limits), far).run([*tokens("x" * 400, 4, 10, start=10.0)])
    assert len(play.sent) > 20
    assert limits.wait("chat", 0.0) == 0.0
    limits.take("chat", 0.0)
    assert limits.wait("chat", 0.0) > 0.0


# --- roll-over


def test_an_old_bubble_is_continued_in_a_new_one_on_the_same_req_id() -> None:
    text = "".join(f"Line {i} of the answer.\n" for i in range(400))
    play = Play(stream(feedback_id="F"), after(0.2)).run(tokens(text, 8, 1.5))
    ends = [one for one in play.sent if one.finish]
    assert len(ends) == 2
    assert ends[0].at <= LIFETIME + 1.0
    assert ends[0].content.endswith("\n\n" + WORDS.continued)
    told = ends[0].content.removesuffix("\n\n" + WORDS.continued)
    assert told + "\n" + ends[1].content == text
    assert {one.cmd for one in play.sent} == {frames.RESPOND}
    second = [one for one in play.sent if one.id == ends[1].id]
    assert second[0].part["feedback"] == {"id": "F"}
    assert second[0].at < ends[0].at + 1.0


def test_a_bubble_that_only_thought_is_continued_too() -> None:
    play = Play(stream()).run([(5.0, show("", "hmm")), (600.0, finish("42", "hmm"))])
    ends = [one.content for one in play.sent if one.finish]
    assert ends == [f"<think>hmm</think>{WORDS.working}", "<think>hmm</think>42"]


def test_a_bubble_without_anything_to_show_is_continued_without_a_think_block() -> None:
    play = Play(stream()).run([(600.0, finish("42"))])
    assert [one.content for one in play.sent if one.finish] == [WORDS.working, "42"]


def test_roll_over_keeps_fences_whole() -> None:
    text = "Look:\n```py\n" + "".join(f"x{i} = {i}\n" for i in range(300)) + "```\nDone."
    play = Play(stream(), after(0.2)).run([(i * 20.0, show(text[: i * 100])) for i in range(1, 30)], until=580.0)
    rolled = next(one for one in play.sent if one.finish)
    assert rolled.content.endswith("```\n\n" + WORDS.continued)
    fresh = play.sent[-1].content
    assert fresh.startswith("```py\nx")
    play.run([(600.0, finish(text))])
    told = rolled.content.removesuffix("```\n\n" + WORDS.continued)
    assert told + play.sent[-1].content.removeprefix("```py\n") == text


def test_a_placeholder_that_was_replaced_after_roll_over_takes_nothing_from_the_answer() -> None:
    play = Play(stream()).run([(5.0, show("Searching the web")), (600.0, finish("The answer is 42."))])
    ends = [one.content for one in play.sent if one.finish]
    assert ends == [f"Searching the web\n\n{WORDS.continued}", "The answer is 42."]


def test_text_that_changes_while_the_roll_over_is_in_flight_is_not_lost() -> None:
    def far(sent: Sent) -> Answer:
        return (5.0 if sent.finish else 0.1), OK, True

    play = Play(stream(), far).run(
        [(5.0, show("Searching")), (542.0, show("The answer")), (560.0, finish("The answer."))]
    )
    assert [one.content for one in play.sent if one.finish][-1] == "The answer."


def test_trailing_white_space_that_goes_does_not_tell_everything_again() -> None:
    play = Play(stream()).run([(5.0, show("One.\n\n")), (600.0, finish("One. Two."))])
    assert play.sent[-1].content == " Two."


def test_an_answer_that_ends_during_the_roll_over_gets_all_its_text() -> None:
    far: Callable[[Sent], Answer] = lambda sent: (5.0 if sent.finish else 0.1, OK, True)  # noqa: E731
    play = Play(stream(), far).run([(5.0, show("One.\nTw")), (541.0, finish("One.\nTwo."))])
    assert [one.content for one in play.sent if one.finish] == [f"One.\n\n{WORDS.continued}", "Two."]


def test_more_than_five_bubbles_counts_those_that_rolled_over() -> None:
    piece = "字" * 6000
    inputs = [(10.0 + i * 600.0, show(piece * (i + 1))) for i in range(4)]
    play = Play(stream(), after(0.1)).run([*inputs, (2400.0, finish(piece * 20))])
    assert play.stream.delivery is not None
    assert play.stream.delivery.as_file
    assert play.stream.delivery.bubbles <= MAX_BUBBLES + 1
    assert play.sent[-1].content.endswith(WORDS.as_file)


def test_a_short_end_after_many_roll_overs_is_no_file() -> None:
    inputs = [(10.0 + i * 560.0, show("".join(f"Part {n}.\n" for n in range(i + 1)))) for i in range(8)]
    play = Play(stream(), after(0.1)).run([*inputs, (4600.0, finish("".join(f"Part {n}.\n" for n in range(9))))])
    assert play.stream.delivery is not None
    assert not play.stream.delivery.as_file
    assert "Part 8." in play.sent[-1].content


# --- what WeCom refuses


@pytest.mark.parametrize("errcode", [846604, 846605, 846608])
@pytest.mark.parametrize("at", ["first", "refresh", "finish"])
def test_a_stream_that_is_gone_goes_on_as_a_push_with_the_whole_text(errcode: int, at: str) -> None:
    before = {"first": [], "refresh": [OK], "finish": [OK, OK]}[at]
    play = Play(stream(feedback_id="F"), script(*before, refused(errcode))).run(
        [(1.0, show("The ans")), (2.0, finish("The answer."))]
    )
    assert [one.cmd for one in play.sent if one.pushed] == [frames.SEND]
    push = play.sent[-1]
    markdown = {"content": "The answer.", "feedback": {"id": "F"}}
    assert push.body == {"chatid": "chat", "chat_type": 2, "msgtype": "markdown", "markdown": markdown}
    assert push.at == 2.0
    assert outcome(play) is Outcome.PUSHED


def test_without_an_address_it_is_given_up() -> None:
    play = Play(stream(address=None), script(refused(846605))).run([(1.0, finish("text"))])
    assert len(play.sent) == 1
    assert outcome(play) is Outcome.FAILED


def test_a_push_of_a_long_text_is_split_and_each_piece_pushed_once() -> None:
    text = "字" * (CONTENT_LIMIT // 3) * 3
    far = script(refused(846608), unanswered(), OK, lost(written=True))
    play = Play(stream(), far).run([(1.0, finish(text))])
    pushes = [one.content for one in play.sent if one.pushed]
    assert "".join(pushes) == text
    assert len(pushes) == 3
    assert outcome(play) is Outcome.UNKNOWN


def test_a_push_that_was_not_written_is_sent_again() -> None:
    far = script(refused(846608), lost(written=False), lost(written=False), OK)
    play = Play(stream(), far).run([(1.0, finish("text"))])
    assert [one.content for one in play.sent if one.pushed] == ["text"] * 3
    assert outcome(play) is Outcome.PUSHED


@pytest.mark.parametrize("end", [unanswered(), lost(written=True)])
def test_a_push_of_unknown_outcome_is_not_repeated(end: WecomError) -> None:
    play = Play(stream(), script(refused(846605), end)).run([(1.0, finish("text"))])
    assert len([one for one in play.sent if one.pushed]) == 1
    assert outcome(play) is Outcome.UNKNOWN


def test_a_push_that_is_refused_is_tried_again_and_then_failed() -> None:
    far = script(refused(846605), *[refused(93017, frames.SEND)] * 10)
    play = Play(stream(), far).run([(1.0, finish("text"))])
    assert len([one for one in play.sent if one.pushed]) == 3
    assert play.stream.delivery is not None
    assert (play.stream.delivery.outcome, play.stream.delivery.errcode) == (Outcome.FAILED, 93017)


def test_nothing_is_pushed_before_the_end() -> None:
    play = Play(stream(), script(OK, refused(846608))).run([(1.0, show("a")), (2.0, show("ab")), (500.0, show("abc"))])
    assert not any(one.pushed for one in play.sent)
    play.run([(501.0, finish("abcd"))])
    assert play.sent[-1].pushed


@pytest.mark.parametrize("at", [1, 2])
def test_6000_on_a_refresh_or_a_finish_is_settled(at: int) -> None:
    play = Play(stream(), script(*[OK] * at, refused(6000))).run([(1.0, show("The ans")), (2.0, finish("The answer."))])
    assert not any(one.pushed for one in play.sent)
    assert len([one for one in play.sent if one.finish]) == 1
    assert outcome(play) is Outcome.ACKED


def test_6000_on_the_first_frame_of_the_first_stream_is_benign() -> None:
    play = Play(stream(), script(refused(6000))).run([(1.0, finish("The answer."))])
    assert [one.finish for one in play.sent] == [False, True]
    assert outcome(play) is Outcome.ACKED


def test_6000_on_the_first_frame_of_a_second_stream_pushes() -> None:
    play = Play(stream(later=True), script(refused(6000))).run([(1.0, finish("The answer."))])
    assert play.contents == ["<think></think>", "The answer."]
    assert outcome(play) is Outcome.PUSHED
    text = "字" * (CONTENT_LIMIT // 3) * 2
    play = Play(stream(), script(OK, OK, refused(6000))).run([(1.0, finish(text))])
    assert [one.pushed for one in play.sent] == [False, False, False, True]
    assert play.sent[-1].content == play.sent[-2].content


def test_6000_of_which_nobody_knows_whose_it_is_does_not_leave_a_bubble_open() -> None:
    play = Play(stream(later=True), script((0.0, refused(6000), False))).run([(1.0, finish("The answer."))])
    assert [(one.cmd, one.finish) for one in play.sent] == [(frames.RESPOND, False), (frames.RESPOND, True)]


def test_too_fast_waits_longer_each_time() -> None:
    far = script(OK, *[refused(45009)] * 3)
    play = Play(stream(), far).run([(1.0, finish("text"))])
    ends = [one.at for one in play.sent if one.finish]
    assert ends == [1.0, 1.0 + BUSY_DELAY, 1.0 + 3 * BUSY_DELAY, 1.0 + 7 * BUSY_DELAY]
    assert outcome(play) is Outcome.ACKED


def test_censored_text_is_withdrawn_and_the_bubble_ends_with_a_sentence() -> None:
    def far(sent: Sent) -> Answer:
        return 0.0, refused(40201) if "bad" in sent.content else OK, True

    play = Play(stream(), far).run([(1.0, show("good.")), (2.0, show("good. bad.")), (99.0, finish("good. bad. more"))])
    assert [one.content for one in play.sent if "bad" in one.content] == ["good. bad", "good. bad. more"]
    assert play.sent[-1].content == WORDS.refused
    assert play.sent[-1].finish
    assert play.sent[-2].content == "good. bad. more"
    kept = [one.content for one in play.sent if 2.0 < one.at < 99.0]
    assert set(kept) == {"good"}
    assert len(kept) == 3


def test_a_censored_first_frame_leaves_the_animation() -> None:
    def far(sent: Sent) -> Answer:
        return 0.0, refused(40201) if "bad" in sent.content else OK, True

    one = stream()
    one.show("bad words")
    play = Play(one, far).run([(50.0, finish("bad words indeed"))])
    assert play.contents[:2] == ["bad word", "<think></think>"]
    assert play.sent[-1].content == WORDS.refused


def test_censored_roll_over_and_reasoning() -> None:
    def far(sent: Sent) -> Answer:
        return 0.0, refused(40201) if "bad" in sent.content else OK, True

    play = Play(stream(), far).run([(1.0, show("", "bad thoughts")), (700.0, finish("fine", "bad thoughts"))])
    assert [one.content for one in play.sent if one.finish] == [WORDS.working, "fine"]
    assert outcome(play) is Outcome.ACKED


def test_where_even_the_sentence_is_refused_it_ends() -> None:
    play = Play(stream(), script(OK, rest=lambda _: (0.1, refused(40201), True))).run([(1.0, finish("x"))])
    assert len(play.sent) == 3
    assert play.stream.delivery is not None
    assert (play.stream.delivery.outcome, play.stream.delivery.errcode) == (Outcome.FAILED, 40201)


def test_a_censored_answer_is_not_sent_as_a_file() -> None:
    play = Play(stream(), script(OK, refused(40201))).run([(1.0, finish("x" * 500_000))])
    assert play.sent[-1].content == WORDS.refused
    assert play.stream.delivery is not None
    assert not play.stream.delivery.as_file


def test_any_other_refusal_is_tried_again_and_then_pushed() -> None:
    play = Play(stream(), script(OK, *[refused(846601)] * 3)).run([(1.0, finish("text"))])
    assert [one.pushed for one in play.sent] == [False, False, False, False, True]
    assert play.sent[-1].content == "text"


# --- what nobody knows


def test_a_finish_survives_lost_acks() -> None:
    def far(sent: Sent) -> Answer:
        return (10.0, unanswered(), True) if sent.finish and sent.at < 25 else (0.1, OK, True)

    play = Play(stream(), far).run([(1.0, finish("text"))])
    ends = [one for one in play.sent if one.finish]
    assert [one.at for one in ends] == [1.0, 11.0, 21.0, 31.0]
    assert {(one.content, one.id) for one in ends} == {("text", ends[0].id)}
    assert outcome(play) is Outcome.ACKED


def test_a_finish_without_any_ack_is_unknown_in_the_end_and_never_pushed() -> None:
    def far(sent: Sent) -> Answer:
        return (10.0, unanswered(), True) if sent.finish else (0.1, OK, True)

    play = Play(stream(), far).run([(1.0, finish("text"))])
    assert len([one for one in play.sent if one.finish]) == FINISH_REPEATS
    assert outcome(play) is Outcome.UNKNOWN
    assert not any(one.pushed for one in play.sent)


def test_a_closing_frame_of_unknown_outcome_is_repeated_as_it_was() -> None:
    """WeCom may have locked the bubble with the first one: what the second says in addition would be lost."""

    def far(sent: Sent) -> Answer:
        return (10.0, unanswered(), True) if sent.finish and sent.at < 541 else (0.1, OK, True)

    play = Play(stream(), far).run(
        [(5.0, show("One.\nTw")), (542.0, show("One.\nTwo.\nThr")), (900.0, finish("One.\nTwo.\nThree."))]
    )
    ends = [one for one in play.sent if one.finish]
    assert [one.content for one in ends] == [f"One.\n\n{WORDS.continued}"] * 2 + ["Two.\nThree."]
    assert ends[0].id == ends[1].id != ends[2].id


def test_an_answer_that_ends_after_an_unknown_roll_over_is_complete() -> None:
    def far(sent: Sent) -> Answer:
        return (
            (10.0, unanswered(), True)
            if sent.finish and sent.at < 541
            else (0.1, refused(6000) if sent.at < 560 and sent.finish else OK, True)
        )

    play = Play(stream(), far).run([(5.0, show("One.\nTw")), (545.0, finish("One.\nTwo."))])
    assert [one.content for one in play.sent if one.finish] == [f"One.\n\n{WORDS.continued}"] * 2 + ["Two."]


def test_refreshes_without_acks_do_not_end_the_answer() -> None:
    def far(sent: Sent) -> Answer:
        return (10.0, unanswered(), True) if sent.at < 50 else (0.1, OK, True)

    play = Play(stream(), far).run([(5.0, show("a b")), (60.0, finish("a b c"))])
    assert play.contents[-1] == "a b c"
    assert outcome(play) is Outcome.ACKED
    assert len({one.id for one in play.sent}) == 1


def test_a_frame_that_nobody_acked_is_sent_again_although_nothing_is_new() -> None:
    play = Play(stream(), script(OK, (10.0, unanswered(), True))).run([(1.0, show("hello"))], until=15.0)
    assert play.contents == ["<think></think>", "hell", "hell"]


def test_a_doubtful_ack_of_a_finish_makes_it_be_sent_once_more() -> None:
    play = Play(stream(), script(OK, (0.1, OK, False), (0.1, OK, False))).run([(1.0, finish("text"))])
    assert [one.content for one in play.sent if one.finish] == ["text", "text"]
    assert outcome(play) is Outcome.ACKED


def test_a_doubtful_refusal_of_the_second_finish_pushes() -> None:
    play = Play(stream(), script(OK, (0.1, OK, False), (0.1, refused(846608), False))).run([(1.0, finish("text"))])
    assert play.sent[-1].pushed
    assert play.sent[-1].content == "text"


# --- the line comes and goes


def test_lost_in_flight_the_same_stream_goes_on_with_the_old_req_id() -> None:
    play = Play(stream(), script(OK, lost(written=True), OK)).run(
        [(1.0, show("The ans")), (2.0, finish("The answer."))]
    )
    assert {one.id for one in play.sent} == {play.sent[0].id}
    assert play.contents[1:3] == ["The an", "The an"]
    assert outcome(play) is Outcome.ACKED


def test_lost_in_flight_and_the_req_id_no_longer_serves() -> None:
    play = Play(stream(), script(OK, lost(written=True), refused(846605))).run([(1.0, finish("The answer."))])
    assert [(one.finish, one.pushed) for one in play.sent] == [
        (False, False),
        (True, False),
        (True, False),
        (False, True),
    ]
    assert outcome(play) is Outcome.PUSHED


def test_a_first_frame_that_never_left_opens_the_bubble_later() -> None:
    play = Play(stream(feedback_id="F"), script(lost(written=False), lost(written=False))).run([(1.0, finish("text"))])
    assert [one.content for one in play.sent] == ["<think></think>"] * 3 + ["text"]
    assert outcome(play) is Outcome.ACKED


def test_after_a_long_gap_the_bubble_is_tried_and_then_pushed() -> None:
    one = stream()
    play = Play(one).run([(1.0, show("half an ans"))], until=2.0)
    one.finish("half an answer")
    play.now = 2000.0  # the line was down meanwhile
    play.far = script(refused(846608))
    play.run()
    assert [(sent.finish, sent.pushed) for sent in play.sent[-2:]] == [(True, False), (False, True)]


def test_a_line_that_is_closed_for_good_leaves_it_owed() -> None:
    one = stream()
    assert isinstance(one.next(0.0), Send)
    one.settled(Displaced(), True, 1.0)
    assert one.delivery is not None
    assert one.delivery.outcome is Outcome.OWED
    assert one.next(2.0) is None


def test_close_does_not_change_what_was_delivered() -> None:
    play = Play(stream()).run([(1.0, finish("text"))])
    play.stream.close()
    assert outcome(play) is Outcome.ACKED


def test_a_settlement_that_nobody_waits_for_is_ignored() -> None:
    one = stream()
    one.settled(OK, True, 0.0)
    assert one.delivery is None


# --- whatever happens


FATES = st.sampled_from(
    [(0.1, OK, True)] * 6
    + [
        (0.1, OK, False),
        (10.0, unanswered(), True),
        (0.1, lost(written=True), True),
        (0.1, lost(written=False), True),
        (0.1, refused(6000), True),
        (0.1, refused(6000), False),
        (0.1, refused(45009), True),
        (0.1, refused(40201), True),
        (0.1, refused(846601), True),
        (0.1, refused(846605), True),
        (0.1, refused(846608), False),
    ]
)


@given(
    st.lists(FATES, max_size=30),
    st.lists(st.tuples(st.floats(0.1, 400), st.integers(1, 9000)), max_size=12),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_every_answer_ends_and_nothing_is_pushed_twice(
    fates: list[Answer], growth: list[tuple[float, int]], thinks: bool, later: bool
) -> None:
    now, text, inputs = 0.0, "", []
    for wait, size in growth:
        now += wait
        text += f"{len(text)} " + "w " * (size // 2) + "\n"
        inputs.append((now, show(text, "hmm" if thinks else "")))
    play = Play(stream(later=later), script(*fates, rest=after(0.1))).run([*inputs, (now + 1, finish(text))])
    delivery = play.stream.delivery
    assert delivery is not None
    assert max(len(one.content.encode()) for one in play.sent) <= CONTENT_LIMIT
    settled = [one for one in play.sent if one.pushed]
    acked = [
        fate
        for fate, one in zip([*fates, *[(0.1, OK, True)] * 1000], play.sent, strict=False)
        if one.pushed and fate[1] is OK
    ]
    assert len(settled) - len(acked) <= len(fates)
    contents = [one.content for one in settled]
    for content in set(contents):
        may_repeat = sum(
            1
            for fate, one in zip([*fates, *[(0.1, OK, True)] * 1000], play.sent, strict=False)
            if one.pushed and one.content == content and _was_not_taken(fate)
        )
        assert contents.count(content) <= may_repeat + 1
    for one in play.sent:
        if one.finish:
            assert split.visible(one.content)


def _was_not_taken(fate: Answer) -> bool:
    outcome = fate[1]
    return not isinstance(outcome, Frame) and (
        getattr(outcome, "errcode", 0) != 0 or getattr(outcome, "written", True) is False
    )


@given(
    st.lists(st.tuples(st.floats(0.1, 600), st.integers(1, 4000)), min_size=1, max_size=10),
    st.sampled_from([0.05, 0.5, 4.0]),
)
@settings(max_examples=150, deadline=None)
def test_nothing_is_lost_over_roll_overs_and_bubbles(growth: list[tuple[float, int]], acks: float) -> None:
    now, text, inputs = 0.0, "", []
    for wait, size in growth:
        now += wait
        text += "".join(f"{len(text)}.{n} word\n" for n in range(size // 10 + 1))
        inputs.append((now, show(text)))
    play = Play(stream(), after(acks)).run([*inputs, (now + 1, finish(text))])
    assert play.stream.delivery is not None
    if play.stream.delivery.as_file:
        return
    ends = [one.content.removesuffix("\n\n" + WORDS.continued) for one in play.sent if one.finish]
    told = "\n".join(end.strip("\n") for end in ends if end not in (WORDS.working, WORDS.ended))
    assert told == text.strip("\n")


def test_a_tick_too_early_sends_nothing() -> None:
    one: Stream = stream()
    first = one.next(0.0)
    assert isinstance(first, Send)
    assert one.next(0.1) is None
    one.settled(OK, True, 0.1)
    one.show("text")
    at = one.next(0.1)
    assert isinstance(at, float)
    assert at == pytest.approx(0.12)
    one.settled(OK, True, 0.11)  # no frame is in flight
    assert one.next(0.115) == at
    assert isinstance(one.next(at), Send)


# --- where no stream is possible


def test_an_answer_that_can_only_be_pushed_shows_nothing_before_its_end() -> None:
    play = Play(stream(pushes=True, feedback_id="F")).run([(1.0, show("Hel", "hm")), (900.0, finish("Hello!", "hm"))])
    assert [(one.at, one.cmd, one.part) for one in play.sent] == [
        (900.0, frames.SEND, {"content": "Hello!", "feedback": {"id": "F"}})
    ]
    assert outcome(play) is Outcome.PUSHED


def test_a_push_to_a_conversation_that_takes_none_is_not_tried_again() -> None:
    play = Play(stream(pushes=True), script(refused(93006, frames.SEND))).run([(0.0, finish("Hello!"))])
    assert len(play.sent) == 1
    assert play.stream.delivery is not None
    assert (play.stream.delivery.outcome, play.stream.delivery.errcode) == (Outcome.FAILED, 93006)
