import io
import zipfile

import pytest

from agent.files import kinds
from agent.files.extract import Unreadable
from agent.files.kinds import COMPOUND, ZIP, Sort, tell


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n....", "photo.pdf", Sort("image", "PNG")),
        (b"RIFF\0\0\0\0WEBP", "a.jpg", Sort("image", "WEBP")),
        (b"RIFF\0\0\0\0WAVE", "a", Sort("audio", "WAV")),
        (b"\0\0\0\x18ftypheic", "IMG_1.HEIC", Sort("image", "HEIC")),
        (b"\0\0\0\x18ftypqt  ", "a.mov", Sort("video", "MOV")),
        (b"\0\0\0\x18ftypisom", "a.mp4", Sort("video", "MP4")),
        (b"#!AMR\n", "voice", Sort("audio", "AMR")),
        (b"%PDF-1.7", "report.docx", Sort("pdf", "PDF")),
        (b"X-Mail: yes\r\n\r\n%PDF-1.4", "a.pdf", Sort("pdf", "PDF")),
        (b"PK\x03\x04....", "a.docx", ZIP),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.wps", COMPOUND),
        (b"{\\rtf1\\ansi", "a.doc", Sort("doc", "RTF")),
        (b"Rar!\x1a\x07\0", "a.zip", Sort("archive", "RAR")),
        (b"BM looks like a bitmap, is a text", "a.txt", Sort("text")),
        (b"a,b\n1,2\n", "a.CSV", Sort("csv")),
        (b"# Title\n", "README.md", Sort("markdown")),
        (b"def f(): ...\n", "a.py", Sort("code", "py")),
        (b"all:\n\techo\n", "Makefile", Sort("code", "makefile")),
        (b"<svg xmlns='x'/>", "logo.svg", Sort("code", "svg")),
        (b"\xef\xbb\xbf<html><table>", "export.xls", Sort("html")),
        (b"a\tb\n1\t2\n", "export.xls", Sort("tsv")),
        (b"{}", "a.json", Sort("json")),
        ("你好".encode("utf-16"), "a.txt", Sort("text")),
        (bytes(range(32)) * 40, "a.txt", Sort("unknown")),
        (b"", "a.txt", Sort("text")),
    ],
)
def test_tell_by_content_first(head: bytes, name: str, expected: Sort) -> None:
    assert tell(head, name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.TXT", "txt"),
        ("v1.2.tar.GZ", "gz"),
        ("Makefile", "makefile"),
        (".env", "env"),
        ("", ""),
        ("报告.docx", "docx"),
    ],
)
def test_extension(name: str, expected: str) -> None:
    assert kinds.extension(name) == expected


def packed(*names: str, mimetype: str = "") -> io.BytesIO:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        if mimetype:
            archive.writestr("mimetype", mimetype)
        for name in names:
            archive.writestr(name, "<x/>")
    return data


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (packed("[Content_Types].xml", "word/document.xml"), Sort("docx", "DOCX")),
        (packed("xl/workbook.xml"), Sort("xlsx", "XLSX")),
        (packed("xl/workbook.bin"), Sort("xlsx", "XLSB")),
        (packed("ppt/presentation.xml"), Sort("pptx", "PPTX")),
        (packed("content.xml", mimetype="application/vnd.oasis.opendocument.text"), Sort("unknown", "ODT")),
        (packed("photo.jpg"), ZIP),
    ],
)
def test_look_inside(file: io.BytesIO, expected: Sort) -> None:
    seeming = tell(file.getvalue(), "a.zip")
    assert seeming == (ZIP if expected.kind == "unknown" else expected)
    assert kinds.look_inside(file, seeming) == expected
    assert kinds.look_inside(io.BytesIO(file.getvalue()[:-30]), seeming) == seeming


def test_a_broken_compound_file() -> None:
    with pytest.raises(Unreadable, match="broken"):
        kinds.look_inside(io.BytesIO(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600), COMPOUND)
