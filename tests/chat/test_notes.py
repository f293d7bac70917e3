from typing import Any

import pytest

from agent.chat import notes, words
from agent.store.files import File


def file(**changes: Any) -> File:
    known: dict[str, Any] = {
        "id": 7,
        "chat": "c",
        "turn": 1,
        "origin": "received",
        "kind": "file",
        "name": "合同.pdf",
        "version": 1,
        "mime": "application/pdf",
        "size": 1_234_567,
        "sha256": "ab" * 32,
        "path": "",
        "facts": {"pages": 12, "characters": 999},
        "source": None,
        "state": "ready",
        "error": None,
        "waiting": 0,
        "created_at": "",
        "settled_at": None,
    }
    return File(**(known | changes))


def test_the_model_gets_number_name_and_measures() -> None:
    assert notes.of(file()) == '[file 7: "合同.pdf", received, 12 pages, 1.2 MB]'
    made = file(origin="made", version=2, size=900, facts={"summary": "2 sheets."}, name="a.xlsx")
    assert notes.of(made) == '[file 7: "a.xlsx", version 2, made by you, 900 B: 2 sheets.]'
    assert "password" in notes.of(file(error="encrypted"))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"sheets": [{}, {}], "rows": 9}, "2 个工作表，1.2 MB"),
        ({"slides": 3}, "3 页幻灯片，1.2 MB"),
        ({"rows": 20}, "20 行，1.2 MB"),
        ({}, "1.2 MB"),
    ],
)
def test_measures(facts: dict[str, Any], expected: str) -> None:
    assert notes.measures(file(facts=facts), words.CHINESE.units) == expected


def test_what_a_person_reads() -> None:
    picture = file(kind="image", facts={"width": 30, "height": 20}, size=12_345)
    assert notes.acknowledgement([picture, file()], words.CHINESE) == (
        "收到图片（30×20，12 KB）。\n收到文件《合同.pdf》（12 页，1.2 MB）。\n" + words.CHINESE.file_question
    )
    locked = file(error="encrypted")
    assert notes.acknowledgement([locked], words.CHINESE) == "文件《合同.pdf》有密码保护，请去掉密码后再发。"
    assert notes.trouble([file(), locked], words.ENGLISH) == [
        "I received a file “合同.pdf”, but it is protected by a password. Please send it without one."
    ]
    archive = file(error="unsupported", facts={"format": "RAR"})
    assert "RAR" in notes.acknowledgement([archive], words.CHINESE)
    video = file(kind="video", facts={})
    assert notes.acknowledgement([video], words.CHINESE).endswith(words.CHINESE.video_unseen), "there is nothing to ask"
    assert notes.acknowledgement([video, file()], words.CHINESE).endswith(words.CHINESE.file_question)


@pytest.mark.parametrize(
    ("name", "format", "expected"),
    [
        ("资料.rar", "RAR", "文件《资料.rar》是我看不了的格式（RAR）。请解压后，把里面的文件直接发给我。"),
        ("报表.ods", "ODS", "文件《报表.ods》是我看不了的格式（ODS）。请另存为 xlsx 后再发。"),
        ("图.dwg", "", "文件《图.dwg》是我看不了的格式（DWG）。" + words.CHINESE.instead[""]),
        ("说明", "", "文件《说明》是我看不了的格式（未知）。" + words.CHINESE.instead[""]),
    ],
)
def test_how_to_send_it_instead(name: str, format: str, expected: str) -> None:
    unreadable = file(name=name, error="unsupported", facts={"format": format})
    assert notes.acknowledgement([unreadable], words.CHINESE) == expected


def test_one_is_no_plural() -> None:
    one = file(facts={"pages": 1}, size=12_345)
    assert notes.measures(one, words.ENGLISH.units) == "1 page, 12 KB"
    assert "1 page, 12 KB" in notes.of(one)
    assert notes.measures(one, words.CHINESE.units) == "1 页，12 KB"


def test_pages_that_are_scans() -> None:
    assert notes.scanned(file(), 0) == ""
    some = file(facts={"scanned": [1, 2, 3, 7]})
    assert notes.scanned(some, 2).startswith("[scanned pages, without text: 1-3, 7; those of 1-2 follow here; ")
    assert "follow" not in notes.scanned(some, 0)


def test_both_languages_have_a_sentence_for_every_code() -> None:
    assert words.CHINESE.unreadable.keys() == words.ENGLISH.unreadable.keys()
    assert words.CHINESE.units.keys() == words.ENGLISH.units.keys()
    assert words.CHINESE.instead.keys() == words.ENGLISH.instead.keys()
    codes = {"encrypted", "broken", "too_large", "bomb", "timeout", "unsupported", "empty", "old_format"}
    assert codes | {"expired", "undecryptable", "disk"} == words.CHINESE.unreadable.keys()
