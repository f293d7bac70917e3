import re
from dataclasses import fields

from agent.chat import words
from agent.model import errors
from agent.tools import NAMES


def test_both_languages_say_the_same_things() -> None:
    for one in fields(words.Words):
        chinese, english = getattr(words.CHINESE, one.name), getattr(words.ENGLISH, one.name)
        assert type(chinese) is type(english), one.name
        if isinstance(chinese, dict):
            assert chinese.keys() == english.keys(), one.name
            assert all(chinese.values()), one.name
            assert all(english.values()), one.name
        elif isinstance(chinese, str):
            assert chinese, one.name
            assert set(re.findall(r"\{(\w+)\}", chinese)) == set(re.findall(r"\{(\w+)\}", english)), one.name
    for one in fields(words.CHINESE.stream):
        assert getattr(words.CHINESE.stream, one.name) != getattr(words.ENGLISH.stream, one.name)


def test_every_model_error_has_its_sentence() -> None:
    codes = {
        kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ModelError)
    }
    assert codes - {"model_error"} <= words.CHINESE.errors.keys()
    assert words.CHINESE.error("never heard of") == words.CHINESE.unknown_error


def test_every_tool_has_its_label() -> None:
    assert words.CHINESE.tools.keys() == words.ENGLISH.tools.keys() == set(NAMES)


def test_the_language_is_chosen_by_its_setting() -> None:
    assert words.of("zh") is words.CHINESE
    assert words.of("en") is words.ENGLISH
