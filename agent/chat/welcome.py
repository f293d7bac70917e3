"""The welcome card: a greeting with questions as buttons, before and after a click (protocol §16). Pure.

A button's key is its question, so that a click says what was asked whatever became of the prompt file or the process.
"""

import secrets
from collections.abc import Sequence
from typing import Any

# What the clients show of a title and of a button; longer ones they would cut themselves, in the middle of nothing.
TITLE, BUTTON = 26, 10
BUTTONS = 6

# A card that replaces another one needs a link (errcode 42045, protocol §11); this is WeCom's own page.
LINK = "https://work.weixin.qq.com/"

_TASK = "welcome_"


def new_task_id() -> str:
    """The id of a new card: WeCom takes none twice."""
    return _TASK + secrets.token_hex(12)


def is_ours(task_id: str | None) -> bool:
    """Whether a clicked card is a welcome."""
    return bool(task_id) and str(task_id).startswith(_TASK)


def card(text: str, suggestions: Sequence[str], task_id: str, chosen: Sequence[str] = ()) -> dict[str, Any]:
    """The card with `text` and its buttons. With `chosen`, the questions that were asked, it is the one that replaces
    the card after a click: these are ticked, and there even if the file no longer suggests them.
    """
    asked = list(dict.fromkeys(chosen))
    buttons = list(dict.fromkeys(suggestions))
    buttons += [each for each in asked if each not in buttons]
    while len(buttons) > BUTTONS:
        buttons.remove(next(each for each in reversed(buttons) if each not in asked or len(asked) > BUTTONS))
    first, _, rest = text.strip().partition("\n")
    if len(first) > TITLE:
        first, rest = _short(first, TITLE), text
    made: dict[str, Any] = {
        "card_type": "button_interaction",
        "main_title": {"title": first.strip()},
        "button_list": [_button(each, each in asked) for each in buttons],
        "task_id": task_id,
    }
    if rest.strip():
        made["sub_title_text"] = rest.strip()
    if chosen:
        made["card_action"] = {"type": 1, "url": LINK}
    return made


def _button(question: str, asked: bool) -> dict[str, Any]:
    shown = "✓ " + _short(question, BUTTON - 2) if asked else _short(question, BUTTON)
    return {"text": shown, "style": 4 if asked else 2, "key": question}


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
