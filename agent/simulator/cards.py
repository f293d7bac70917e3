"""Template cards: what a card must hold to be accepted, and what a click on it reports (protocol §16).

Counts and types are enforced, recommended lengths are not: they only cause truncation. The text of most refusals is
not attested; the code is 40058 (a missing or invalid field) unless a source names another.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent.simulator import wire
from agent.simulator.wire import INVENTED, NO_CARD_ACTION, Json, Refusal

SECTION = "16"
_TASK_ID = re.compile(r"[0-9A-Za-z_\-@]{1,128}")

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "text_notice": (),
    "news_notice": ("main_title",),
    "button_interaction": ("main_title", "button_list", "task_id"),
    "vote_interaction": ("main_title", "checkbox", "submit_button", "task_id"),
    "multiple_interaction": ("main_title", "select_list", "submit_button", "task_id"),
}
NOTICES = ("text_notice", "news_notice")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """A JSON type with its limits: ``size`` bytes of a string, ``values`` of an integer, ``count`` items of a list."""

    kind: Literal["str", "int", "bool", "number", "object", "list"]
    required: bool = False
    size: int = 0
    values: Sequence[int] = ()
    count: tuple[int, int] = (0, 0)
    fields: Mapping[str, "_Field"] | None = None


_STR = _Field(kind="str")
_NEEDED = _Field(kind="str", required=True)
_KEY = _Field(kind="str", required=True, size=1024)
_ID = _Field(kind="str", required=True, size=128)
_BOOL = _Field(kind="bool")


def _int(*values: int) -> _Field:
    return _Field(kind="int", values=values)


def _object(**fields: _Field) -> _Field:
    return _Field(kind="object", fields=fields)


def _list(low: int, high: int, **fields: _Field) -> _Field:
    return _Field(kind="list", required=True, count=(low, high), fields=fields)


_SELECTOR: dict[str, _Field] = {
    "question_key": _KEY,
    "title": _STR,
    "disable": _BOOL,
    "selected_id": _STR,
    "option_list": _list(1, 10, id=_ID, text=_NEEDED),
}
_TITLES = {"title": _STR, "desc": _STR}

PARTS: Mapping[str, _Field] = {
    "source": _object(icon_url=_STR, desc=_STR, desc_color=_int(0, 1, 2, 3)),
    "action_menu": _object(desc=_STR, action_list=_list(1, 3, text=_NEEDED, key=_KEY)),
    "main_title": _object(**_TITLES),
    "emphasis_content": _object(**_TITLES),
    "quote_area": _object(type=_int(0, 1, 2), url=_STR, appid=_STR, pagepath=_STR, title=_STR, quote_text=_STR),
    "sub_title_text": _STR,
    "horizontal_content_list": _list(0, 6, type=_int(0, 1, 3), keyname=_NEEDED, value=_STR, url=_STR, userid=_STR),
    "jump_list": _list(
        0,
        3,
        type=_int(0, 1, 2, 3),
        title=_NEEDED,
        url=_STR,
        appid=_STR,
        pagepath=_STR,
        question=_Field(kind="str", size=200),
    ),
    "card_action": _object(type=_int(0, 1, 2), url=_STR, appid=_STR, pagepath=_STR),
    "card_image": _object(url=_NEEDED, aspect_ratio=_Field(kind="number")),
    "image_text_area": _object(
        type=_int(0, 1, 2), url=_STR, appid=_STR, pagepath=_STR, title=_STR, desc=_STR, image_url=_NEEDED
    ),
    "vertical_content_list": _list(0, 4, title=_NEEDED, desc=_STR),
    "button_list": _list(1, 6, text=_NEEDED, style=_int(1, 2, 3, 4), key=_KEY),
    "button_selection": _object(**_SELECTOR),
    "select_list": _list(1, 3, **_SELECTOR),
    "checkbox": _object(
        question_key=_KEY,
        mode=_int(0, 1),
        disable=_BOOL,
        option_list=_list(1, 20, id=_ID, text=_NEEDED, is_checked=_BOOL),
    ),
    "submit_button": _object(text=_NEEDED, key=_KEY),
    "task_id": _STR,
    "feedback": _object(id=_Field(kind="str", required=True, size=256)),
}


def check(card: Any, *, update: bool = False) -> Json:
    """The card, if it may be sent (or may replace another one). Refusal 40058 or 42045 if not."""
    if not isinstance(card, dict):
        raise _bad("template_card", "an object is needed")
    card_type = card.get("card_type")
    if not isinstance(card_type, str) or card_type not in REQUIRED:
        raise _bad("card_type", f"{card_type!r} is unknown")
    for name in REQUIRED[card_type]:
        if not card.get(name):
            raise _bad(name, f"a {card_type} needs it")
    for name, field in PARTS.items():
        if name in card:
            _check(card[name], field, name)
    _check_task(card)
    _check_links(card)
    _check_unique(card)
    match card_type:
        case "text_notice" if not (card.get("main_title") or {}).get("title") and not card.get("sub_title_text"):
            raise _bad("main_title.title", "a text_notice needs it, or sub_title_text")
        case "news_notice" if not card.get("card_image") and not card.get("image_text_area"):
            raise _bad("card_image", "a news_notice needs it, or image_text_area")
    # Notices always need one; a replacement of any type was refused until it had one (protocol §11).
    if card_type in NOTICES or update:
        _check_action(card.get("card_action"))
    return card


def _check(value: Any, field: _Field, path: str) -> None:
    match field.kind:
        case "str":
            if not isinstance(value, str):
                raise _bad(path, "a string is needed")
            if field.required and not value:
                raise _bad(path, "it is empty")
            if field.size and wire.size(value) > field.size:
                raise _bad(path, f"more than {field.size} bytes")
        case "int":
            if not isinstance(value, int) or isinstance(value, bool):
                raise _bad(path, "an integer is needed")
            if value not in field.values:
                raise _bad(path, f"{value} is none of {list(field.values)}")
        case "number":
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise _bad(path, "a number is needed")
        case "bool":
            if not isinstance(value, bool):
                raise _bad(path, "true or false is needed")
        case "object":
            _check_object(value, field, path)
        case "list":
            low, high = field.count
            if not isinstance(value, list):
                raise _bad(path, "a list is needed")
            if not low <= len(value) <= high:
                raise _bad(path, f"{len(value)} items, not {low} to {high}")
            for number, item in enumerate(value):
                _check_object(item, field, f"{path}[{number}]")


def _check_object(value: Any, field: _Field, path: str) -> None:
    if not isinstance(value, dict):
        raise _bad(path, "an object is needed")
    for name, part in (field.fields or {}).items():
        if name in value:
            _check(value[name], part, f"{path}.{name}")
        elif part.required:
            raise _bad(f"{path}.{name}", "it is missing")


def _check_task(card: Json) -> None:
    task_id = card.get("task_id")
    if task_id is None:
        if card.get("action_menu"):
            raise _bad("task_id", "a card with action_menu needs it")
    elif not _TASK_ID.fullmatch(task_id):
        raise _bad("task_id", "1 to 128 of 0-9 A-Z a-z _ - @ are allowed")


def _check_links(card: Json) -> None:
    """Each type of link needs its own target."""
    targets = {1: "url", 2: "appid"}
    linked: list[tuple[Any, str, dict[int, str]]] = [
        (card.get(name), name, targets) for name in ("quote_area", "image_text_area")
    ]
    linked += [
        (item, "horizontal_content_list", {1: "url", 3: "userid"}) for item in card.get("horizontal_content_list", ())
    ]
    linked += [(item, "jump_list", {**targets, 3: "question"}) for item in card.get("jump_list", ())]
    for part, name, needs in linked:
        need = needs.get(part.get("type", 0)) if part else None
        if need and not part.get(need):
            raise _bad(f"{name}.{need}", f"type {part['type']} needs it")
    ratio = card.get("card_image", {}).get("aspect_ratio", 1.3)
    if not 1.3 <= ratio < 2.25:
        raise _bad("card_image.aspect_ratio", f"{ratio} is not in 1.3..2.25")


def _check_unique(card: Json) -> None:
    keys = [button["key"] for button in card.get("button_list", ())]
    if len(keys) != len(set(keys)):
        raise _bad("button_list.key", "keys are repeated")


def _check_action(action: Any) -> None:
    valid = action and (
        (action.get("type") == 1 and action.get("url")) or (action.get("type") == 2 and action.get("appid"))
    )
    if not valid:
        raise Refusal(NO_CARD_ACTION, "card missing card_action" + INVENTED, rule="bad-card", section=SECTION)


def _bad(field: str, why: str) -> Refusal:
    return Refusal(
        wire.BAD_FIELD, f"invalid field template_card {field}: {why}" + INVENTED, rule="bad-card", section=SECTION
    )


# -- clicks --------------------------------------------------------------------------------------------------------


def click(card: Json, key: str, selected: Mapping[str, Sequence[str]] | None, *, updated: bool) -> Json:
    """What ``template_card_event`` reports for a click on ``key`` (protocol §8.2).

    ``selected`` maps question keys to option ids; None takes the card's own defaults. ValueError when the card shows
    no such thing to click, or an update disabled it (``disable`` counts only in updates).
    """
    menu = [action["key"] for action in (card.get("action_menu") or {}).get("action_list", ())]
    buttons = [button["key"] for button in card.get("button_list", ())]
    submit = [card["submit_button"]["key"]] if card.get("submit_button") else []
    if key not in menu + buttons + submit:
        raise ValueError(f"the card has no key {key!r}; it has {menu + buttons + submit}")
    questions = _questions(card)
    if key not in menu and updated and any(question.get("disable") for question, _ in questions):
        raise ValueError("the card is disabled")
    event: Json = {"card_type": card["card_type"], "event_key": key, "task_id": card.get("task_id", "")}
    if questions and key not in menu:
        answers = [_answer(question, several, selected) for question, several in questions]
        event["selected_items"] = {"selected_item": answers}
    return event


def _questions(card: Json) -> list[tuple[Json, bool]]:
    """Each question with whether it takes several options."""
    checkbox, selection = card.get("checkbox"), card.get("button_selection")
    found = [(checkbox, checkbox.get("mode") == 1)] if checkbox else []
    found += [(selection, False)] if selection else []
    return found + [(question, False) for question in card.get("select_list", ())]


def _answer(question: Json, several: bool, selected: Mapping[str, Sequence[str]] | None) -> Json:
    key, options = question["question_key"], question["option_list"]
    chosen = list(selected[key]) if selected and key in selected else _defaults(question)
    known = [option["id"] for option in options]
    for option_id in chosen:
        if option_id not in known:
            raise ValueError(f"question {key!r} has no option {option_id!r}; it has {known}")
    if len(chosen) > 1 and not several:
        raise ValueError(f"question {key!r} takes one option, not {chosen}")
    return {"question_key": key, "option_ids": {"option_id": chosen}}


def _defaults(question: Json) -> list[str]:
    """A selector begins with ``selected_id`` or its first option, a checkbox with what is checked (protocol §16)."""
    options = question["option_list"]
    checked = [option["id"] for option in options if option.get("is_checked")]
    if checked or "mode" in question:
        return checked
    return [question.get("selected_id") or options[0]["id"]]
