import logging

import pytest

from agent.chat.draft import Draft
from agent.chat.words import CHINESE
from agent.model.errors import RateLimited
from agent.model.stream import Finished, Text, TextWasThinking, Thinking, ThinkingWasText, Usage


def test_thinking_and_text_stay_apart() -> None:
    draft = Draft(CHINESE)
    draft.take([Thinking("想"), Text("guess"), TextWasThinking(), Text("答<think>"), Usage(5, 7, 0), Finished("stop")])
    assert draft.so_far() == ("答＜think>", "想guess")
    assert (draft.prompt_tokens, draft.completion_tokens) == (5, 7)
    draft.hides_thinking = True
    assert draft.so_far() == ("答＜think>", "")


def test_what_is_told_apart_in_hindsight_is_that_of_its_own_round() -> None:
    draft = Draft(CHINESE)
    draft.begin_round()
    draft.take([Thinking("一"), Text("先查。")])
    draft.begin_round()
    draft.take([Text("猜"), TextWasThinking(), Text("答")])
    assert draft.so_far() == ("先查。\n\n答", "一\n\n猜")
    draft.begin_round()
    draft.take([Thinking("完"), Thinking("了"), ThinkingWasText(), Text("完了")])
    assert draft.so_far() == ("先查。\n\n答\n\n完了", "一\n\n猜")


def test_what_ended_it_is_said_after_what_was_said() -> None:
    draft = Draft(CHINESE, text="一半")
    draft.fail(RateLimited("limited"))
    assert draft.final()[0] == "一半\n\n⚠️ " + CHINESE.error("rate_limited")
    empty = Draft(CHINESE)
    empty.fail(ValueError("secret words of a person"))
    assert empty.final()[0] == CHINESE.unknown_error
    assert Draft(CHINESE, text="甲", stopped=True).final()[0] == "甲\n\n" + CHINESE.stopped
    assert Draft(CHINESE, text="甲", cut_short=True).final()[0].endswith(CHINESE.cut_short)


def test_an_endpoints_words_are_for_debug_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Draft(CHINESE).fail(RateLimited("limited", said="what the person wrote"))
    assert "rate_limited" in caplog.text
    assert "what the person wrote" not in caplog.text


def test_steps_show_in_the_thinking() -> None:
    draft = Draft(CHINESE, thinking="想")
    step = draft.begin_step("create_document")
    assert "正在生成文档" in draft.so_far()[1]
    draft.end_step(step, failed=False)
    assert draft.so_far()[1].startswith("想\n\n✅ 生成文档")
    draft.text = "先说"
    draft.begin_round()
    draft.take([Text("后说")])
    assert draft.text == "先说\n\n后说"
