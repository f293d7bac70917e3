import pytest

from agent.files.decoding import decode

TEXT = "关于印发《采购管理办法》的通知，请各部门遵照执行。\nSecond line, 100%.\n"
TRADITIONAL = "關於印發《採購管理辦法》的通知，請各部門遵照執行。這是臺灣的文件。\n"


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("gb18030", "gb18030"), ("utf-16", "utf-16")],
)
def test_the_encodings_of_china(encoded: str, expected: str) -> None:
    assert decode(TEXT.encode(encoded)) == (TEXT, expected)


def test_gbk_and_rare_characters_of_gb18030() -> None:
    assert decode("张三丰，人民币".encode("gbk")) == ("张三丰，人民币", "gb18030")
    assert decode("㐂𠮷野家的账单".encode("gb18030")) == ("㐂𠮷野家的账单", "gb18030")


def test_big5() -> None:
    assert decode(TRADITIONAL.encode("big5")) == (TRADITIONAL, "big5")


def test_text_cut_in_the_middle_of_a_character() -> None:
    for encoding in ("utf-8", "gb18030"):
        text, found = decode(TEXT.encode(encoding)[:19])
        assert found == encoding
        assert TEXT.startswith(text) and len(text) >= 6


def test_what_html_says_of_itself() -> None:
    page = '<html><head><meta charset="gb2312"></head>镕'.encode("gbk")
    assert decode(page, declared=True)[0].endswith("镕")
    lie = '<html><head><meta charset="gb2312"></head>中文'.encode()
    assert decode(lie, declared=True)[0].endswith("中文")


def test_a_few_damaged_bytes_do_not_change_the_encoding() -> None:
    text, encoding = decode(TEXT.encode() * 50 + b"\xff" + TEXT.encode())
    assert encoding == "utf-8"
    assert text.count("\ufffd") == 1
