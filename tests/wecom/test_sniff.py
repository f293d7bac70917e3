"""Types by the first bytes."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wecom.sniff import HEAD_SIZE, sniff


def office(folder: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (("[Content_Types].xml", "x" * 500), (f"{folder}/main.xml", "x")):
            archive.writestr(zipfile.ZipInfo(name), content)  # without the time of day, which would be in a test's name
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("head", "mime", "extension"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png", ".png"),
        (b"\xff\xd8\xff\xe0..JFIF", "image/jpeg", ".jpg"),
        (b"GIF87a..", "image/gif", ".gif"),
        (b"GIF89a..", "image/gif", ".gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp", ".webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav", ".wav"),
        (b"\x00\x00\x00\x18ftypmp42....", "video/mp4", ".mp4"),
        (b"\x00\x00\x00\x18ftypisom....", "video/mp4", ".mp4"),
        (b"\x00\x00\x00\x14ftypqt  ....", "video/quicktime", ".mov"),
        (b"\x00\x00\x00\x18ftypheic....", "image/heic", ".heic"),
        (b"#!AMR\n\x3c\x91", "audio/amr", ".amr"),
        (b"#!AMR-WB\n\x3c", "audio/amr-wb", ".amr"),
        (b"ID3\x04\x00\x00", "audio/mpeg", ".mp3"),
        (b"%PDF-1.7\n", "application/pdf", ".pdf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "application/x-ole-storage", ".doc"),
        (office("word"), "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx"),
        (office("xl"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx"),
        (office("ppt"), "application/vnd.openxmlformats-officedocument.presentationml.presentation", ".pptx"),
        (office("other"), "application/zip", ".zip"),
        (b"7z\xbc\xaf'\x1c\x00", "application/x-7z-compressed", ".7z"),
        (b"Rar!\x1a\x07\x00", "application/vnd.rar", ".rar"),
        (b"\x1f\x8b\x08", "application/gzip", ".gz"),
        (b"{\\rtf1", "application/rtf", ".rtf"),
        (b"hello\tworld\r\n", "text/plain", ".txt"),
        ("你好，世界".encode(), "text/plain", ".txt"),
        ("你好，世界".encode("gb18030"), "text/plain", ".txt"),
        (b"", "application/octet-stream", ""),
        (b"\x00\x01\x02\x03", "application/octet-stream", ""),
        (b"text\x00with a zero", "application/octet-stream", ""),
        (b"\xff\xfe\xfd\xfc\xfb\x80\x80\x80\x80", "application/octet-stream", ""),
    ],
)
def test_signatures(head: bytes, mime: str, extension: str) -> None:
    assert sniff(head) == (mime, extension)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("shift", range(4))
def test_text_that_is_cut_inside_a_character_is_text(encoding: str, shift: int) -> None:
    data = ("x" * shift + "龍馬精神，生龙活虎。" * 500).encode(encoding)
    assert sniff(data[:HEAD_SIZE]) == ("text/plain", ".txt")


@given(st.binary(max_size=64))
def test_anything_has_some_type(head: bytes) -> None:
    mime, extension = sniff(head)
    assert "/" in mime
    assert extension == "" or extension.startswith(".")
