"""Cards: each rule of protocol §16, and that no JSON at all can break the check."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator import cards
from agent.simulator.wire import Refusal
from tests.simulator.conftest import golden

NAMES = ("text-notice", "news-notice", "button", "vote", "multiple")


def card(name: str) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(golden(f"out-reply-card-{name}")["body"]["template_card"])
    return made


def refused(value: Any, *, update: bool = False) -> int:
    with pytest.raises(Refusal) as caught:
        cards.check(value, update=update)
    assert caught.value.errmsg.endswith("(invented)")
    assert caught.value.rule == "bad-card"
    return caught.value.errcode


@pytest.mark.parametrize("name", NAMES)
def test_good_cards(name: str) -> None:
    assert cards.check(card(name)) == card(name)


REQUIRED = [
    ("news-notice", "main_title"),
    ("button", "main_title"),
    ("button", "button_list"),
    ("button", "task_id"),
    ("vote", "main_title"),
    ("vote", "checkbox"),
    ("vote", "submit_button"),
    ("vote", "task_id"),
    ("multiple", "main_title"),
    ("multiple", "select_list"),
    ("multiple", "submit_button"),
    ("multiple", "task_id"),
    ("text-notice", "task_id"),  # it has an action_menu
]


@pytest.mark.parametrize(("name", "field"), REQUIRED)
def test_required_fields(name: str, field: str) -> None:
    made = card(name)
    del made[field]
    assert refused(made) == 40058


@pytest.mark.parametrize("name", ["text-notice", "news-notice"])
@pytest.mark.parametrize("action", [None, {}, {"type": 0}, {"type": 1}, {"type": 1, "url": ""}, {"type": 2}])
def test_a_notice_needs_an_action(name: str, action: Any) -> None:
    made = card(name)
    del made["card_action"]
    if action is not None:
        made["card_action"] = action
    assert refused(made) == 42045


@pytest.mark.parametrize("name", NAMES)
def test_a_replacement_needs_an_action(name: str) -> None:
    made = card(name)
    made.pop("card_action", None)
    assert refused(made, update=True) == 42045


def test_what_a_notice_shows() -> None:
    made = card("text-notice")
    made["main_title"] = {"desc": "no title"}
    assert cards.check(made)
    del made["sub_title_text"]
    assert refused(made) == 40058
    made = card("news-notice")
    del made["card_image"]
    assert cards.check(made)
    del made["image_text_area"]
    assert refused(made) == 40058


BUTTON = {"text": "Yes", "key": "yes"}
OPTION = {"id": "a", "text": "A"}
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("button", {"card_type": "other"}),
    ("button", {"card_type": ["button_interaction"]}),
    ("button", {"main_title": "title"}),
    ("button", {"main_title": {"title": 7}}),
    ("button", {"task_id": "a b"}),
    ("button", {"task_id": "x" * 129}),
    ("button", {"task_id": 7}),
    ("button", {"button_list": [BUTTON, BUTTON]}),
    ("button", {"button_list": [{"text": "x", "key": f"k{number}"} for number in range(7)]}),
    ("button", {"button_list": [BUTTON | {"style": 5}]}),
    ("button", {"button_list": [BUTTON | {"style": "1"}]}),
    ("button", {"button_list": [BUTTON | {"style": True}]}),
    ("button", {"button_list": [BUTTON | {"key": "k" * 1025}]}),
    ("button", {"button_list": [{"text": "Yes"}]}),
    ("button", {"button_list": BUTTON}),
    ("button", {"button_list": ["yes"]}),
    ("button", {"button_selection": {"question_key": "q", "option_list": []}}),
    ("button", {"button_selection": {"question_key": "q", "option_list": [OPTION] * 11}}),
    ("button", {"button_selection": {"question_key": "q", "disable": 1, "option_list": [OPTION]}}),
    ("button", {"feedback": {"id": "f" * 257}}),
    ("button", {"source": {"desc_color": 4}}),
    ("button", {"action_menu": {"desc": "More", "action_list": []}}),
    ("button", {"action_menu": {"desc": "More", "action_list": [{"text": "a", "key": "k"}] * 4}}),
    ("button", {"quote_area": {"type": 1}}),
    ("button", {"quote_area": {"type": 2}}),
    ("button", {"horizontal_content_list": [{"keyname": "k"}] * 7}),
    ("button", {"horizontal_content_list": [{"keyname": "k", "type": 2}]}),
    ("button", {"horizontal_content_list": [{"keyname": "k", "type": 3}]}),
    ("vote", {"checkbox": {"question_key": "q", "mode": 2, "option_list": [OPTION]}}),
    ("vote", {"checkbox": {"question_key": "q", "option_list": [OPTION] * 21}}),
    ("vote", {"checkbox": {"question_key": "q", "option_list": [OPTION | {"id": "i" * 129}]}}),
    ("vote", {"checkbox": {"question_key": "q", "option_list": [OPTION | {"is_checked": 1}]}}),
    ("vote", {"submit_button": {"text": "Send"}}),
    ("multiple", {"select_list": [{"question_key": "q", "option_list": [OPTION]}] * 4}),
    ("text-notice", {"jump_list": [{"title": "x"}] * 4}),
    ("text-notice", {"jump_list": [{"title": "x", "type": 3}]}),
    ("text-notice", {"jump_list": [{"title": "x", "type": 3, "question": "问" * 67}]}),
    ("news-notice", {"card_image": {"url": "https://a", "aspect_ratio": 1.2}}),
    ("news-notice", {"card_image": {"url": "https://a", "aspect_ratio": 2.25}}),
    ("news-notice", {"card_image": {"url": "https://a", "aspect_ratio": "2"}}),
    ("news-notice", {"image_text_area": {"title": "no image"}}),
    ("news-notice", {"vertical_content_list": [{"title": "x"}] * 5}),
]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_limits_and_types(name: str, change: dict[str, Any]) -> None:
    assert refused(card(name) | change) == 40058


def test_recommended_lengths_are_no_limits() -> None:
    long = {"main_title": {"title": "x" * 200}, "button_list": [{"text": "y" * 50, "key": "k"}]}
    assert cards.check(card("button") | long)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(cards.PARTS)), inner, max_size=3),
    max_leaves=8,
)


@given(name=st.sampled_from(NAMES), field=st.sampled_from([*cards.PARTS, "card_type"]), value=JSON)
def test_no_json_breaks_the_check(name: str, field: str, value: Any) -> None:
    try:
        made = cards.check(card(name) | {field: value})
    except Refusal as refusal:
        assert refusal.errcode in (40058, 42045)
    else:
        try:
            cards.click(made, "yes", None, updated=False)
        except ValueError as error:
            assert "has no key" in str(error)


@given(value=JSON)
def test_no_json_is_taken_for_a_card(value: Any) -> None:
    assert refused(value) == 40058


# -- clicks -----------------------------------------------------------------------------------------------------------


def test_selections_and_their_defaults() -> None:
    vote = card("vote")
    event = cards.click(vote, "submit", None, updated=False)
    assert event["selected_items"]["selected_item"] == [{"question_key": "q1", "option_ids": {"option_id": ["a"]}}]
    event = cards.click(vote, "submit", {"q1": ["b", "a"]}, updated=False)
    assert event["selected_items"]["selected_item"][0]["option_ids"] == {"option_id": ["b", "a"]}
    multiple = card("multiple")
    items = cards.click(multiple, "submit", {"q2": ["d"]}, updated=False)["selected_items"]["selected_item"]
    assert [(item["question_key"], item["option_ids"]["option_id"]) for item in items] == [("q1", ["a"]), ("q2", ["d"])]
    with pytest.raises(ValueError, match="takes one option"):
        cards.click(multiple, "submit", {"q1": ["a", "b"]}, updated=False)
    with pytest.raises(ValueError, match="has no option 'z'"):
        cards.click(multiple, "submit", {"q1": ["z"]}, updated=False)


def test_a_menu_reports_no_selection_and_is_never_disabled() -> None:
    vote = card("vote")
    vote["action_menu"] = {"desc": "More", "action_list": [{"text": "Mute", "key": "mute"}]}
    vote["checkbox"]["disable"] = True
    assert "selected_items" not in cards.click(vote, "mute", None, updated=True)
    with pytest.raises(ValueError, match="disabled"):
        cards.click(vote, "submit", None, updated=True)
    assert cards.click(vote, "submit", None, updated=False)
