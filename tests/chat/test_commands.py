import pytest

from agent.chat.commands import Command, Name, parse
from agent.chat.words import CHINESE, ENGLISH


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("/new", Name.NEW),
        (" /NEW ", Name.NEW),
        ("／reset", Name.NEW),
        ("/新对话", Name.NEW),
        ("新对话", Name.NEW),
        ("／停止", Name.STOP),
        ("停止", Name.STOP),
        ("/ stop", Name.STOP),
        ("重试", Name.RETRY),
        ("/模型", Name.MODEL),
        ("/用量", Name.USAGE),
        ("/摘要", Name.SUMMARY),
        ("帮助", Name.HELP),
    ],
)
def test_names_in_both_languages(text: str, name: Name) -> None:
    assert parse(text) == Command(name)


@pytest.mark.parametrize(
    "text", ["", "/", "new", "stop", "/newer", "/stop now", "/new/", "please /new", "模型", "/foo"]
)
def test_everything_else_is_text_for_the_model(text: str) -> None:
    assert parse(text) is None


def test_only_model_takes_words() -> None:
    assert parse("/model Qwen-Max") == Command(Name.MODEL, ("Qwen-Max",))
    assert parse("/model default gpt-5") == Command(Name.MODEL, ("default", "gpt-5"))
    assert parse("/model which one do you use") is None


def test_a_mention_may_follow_and_speech_ends_with_a_full_stop() -> None:
    assert parse("/stop @小 助手", "小 助手") == Command(Name.STOP)
    assert parse("停止 @小 助手", "小 助手") == Command(Name.STOP)
    assert parse("停止。") == parse("停止！") == Command(Name.STOP)
    assert parse("/stop @别人", "小 助手") is None
    assert parse("/stop。") is None


def test_the_help_names_every_command_and_every_word_that_needs_no_slash() -> None:
    for words in (CHINESE, ENGLISH):
        assert all(f"/{name.value}" in words.help for name in Name)
        assert all(word in words.help for word in ("新对话", "停止", "重试", "帮助"))
