import pytest

from agent.chat.commands import Command, Name, parse


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
