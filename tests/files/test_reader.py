"""The reader and its children, on real files: every kind once, what is hostile, and what happens when time is over."""

import asyncio
import io
import json
import random
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from PIL import Image as Pillow
from reportlab.lib import pdfencrypt
from reportlab.pdfgen import canvas

from agent.files import child
from agent.files.extract import Extract, Limits, Unreadable
from agent.files.reader import Reader
from tests.files.compound import compound, workbook
from tests.files.conftest import repacked, saved

Write = Callable[[str, bytes | str], Path]

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at the children through /proc")

SMALL_ZIP = zipfile.ZIP_DEFLATED


async def refused(reader: Reader, path: Path, name: str = "") -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        await reader.read(path, name or path.name)
    return caught.value


def drawn(**options: object) -> bytes:
    data = io.BytesIO()
    page = canvas.Canvas(data, **options)
    page.drawString(72, 700, "The quick brown fox signs the contract.")
    page.save()
    return data.getvalue()


@pytest.mark.usefixtures("unprivileged")
async def test_every_kind_is_read_behind_the_fence(reader: Reader, write: Write) -> None:
    word = docx.Document()
    word.add_paragraph("甲方：某某公司")
    book = openpyxl.Workbook()
    book.active.append(["城市", "人口"])
    book.active.append(["上海", 24870895])
    slides = pptx.Presentation()
    slides.slides.add_slide(slides.slide_layouts[0]).shapes.title.text = "年度总结"
    picture = saved_image(Pillow.new("RGB", (40, 30), "red"), "PNG")
    files = {
        "a.docx": (saved(word), "docx", "甲方：某某公司"),
        "b.xlsx": (saved(book), "xlsx", "| 2 | 上海 | 24870895 |"),
        "c.pptx": (saved(slides), "pptx", "## 年度总结"),
        "d.pdf": (drawn(), "pdf", "[page 1]\nThe quick brown fox"),
        "e.csv": ("姓名,数量\n张三,5\n".encode("gbk"), "csv", "| 2 | 张三 | 5 |"),
        "f.html": ("<p>一<b>二</b></p>".encode(), "html", "一二"),
        "g.json": (b'{"a": 1}', "json", '{"a": 1}'),
        "h.md": ("# 标题\n正文".encode(), "markdown", "# 标题\n正文"),
        "i.txt": ("繁體".encode("utf-16"), "text", "繁體"),
        "j.py": (b"print('x')\n", "code", "print('x')"),
        "k.png": (picture, "image", ""),
    }
    paths = {name: write(f"stored{number}", content) for number, (name, (content, _, _)) in enumerate(files.items())}
    extracts = await asyncio.gather(*(reader.read(path, name) for name, path in paths.items()))
    for extract, (_, kind, text) in zip(extracts, files.values(), strict=True):
        assert (extract.kind, text in extract.text, extract.truncated) == (kind, True, False)


def saved_image(image: Pillow.Image, format: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()


async def test_wrong_extensions_do_not_matter(reader: Reader, write: Write) -> None:
    word = docx.Document()
    word.add_paragraph("text")
    assert (await reader.read(write("a", saved(word)), "sheet.xlsx")).kind == "docx"
    table = "<html><meta charset=gb2312><table><tr><td>姓名<td>金额<tr><td>李四<td>7</table></html>".encode("gbk")
    extract = await reader.read(write("b", table), "导出.xls")
    assert extract.kind == "html"
    assert "| 2 | 李四 | 7 |" in extract.text


@pytest.mark.parametrize(
    ("content", "name", "code", "format"),
    [
        (b"", "a.txt", "empty", ""),
        (compound("EncryptedPackage", "EncryptionInfo"), "a.docx", "encrypted", "OOXML"),
        (compound("WordDocument"), "a.doc", "old_format", "DOC"),
        (compound("PowerPoint Document"), "a.ppt", "old_format", "PPT"),
        (compound("WordDocument"), "公文.wps", "old_format", "DOC"),
        (compound("Workbook"), "a.xls", "broken", "XLS"),
        (workbook([["x"]], encrypted=True), "a.xls", "encrypted", "XLS"),
        (b"{\\rtf1 x}", "a.doc", "old_format", "RTF"),
        (b"Rar!\x1a\x07\0 and more", "a.rar", "unsupported", "RAR"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "a.heic", "unsupported", "HEIC"),
        (random.Random(7).randbytes(2000), "a.docx", "unsupported", ""),
        (b"\x89PNG\r\n\x1a\nrest", "a.png", "broken", "PNG"),
        (b"%PDF-1.7\nnothing", "a.pdf", "broken", "PDF"),
        (drawn(encrypt=pdfencrypt.StandardEncryption("secret")), "a.pdf", "encrypted", "PDF"),
    ],
)
async def test_what_cannot_be_read_has_its_code(
    reader: Reader, write: Write, content: bytes, name: str, code: str, format: str
) -> None:
    error = await refused(reader, write("file", content), name)
    assert (error.code, error.format) == (code, format)


async def test_a_file_that_is_gone(reader: Reader, tmp_path: Path) -> None:
    assert (await refused(reader, tmp_path / "nowhere.txt")).code == "missing"


async def test_a_file_over_the_limit(write: Write) -> None:
    assert (await refused(Reader(Limits(file_bytes=10)), write("a.txt", "x" * 11))).code == "too_large"


async def test_truncated_files(reader: Reader, write: Write) -> None:
    word = docx.Document()
    word.add_paragraph("text" * 1000)
    book = openpyxl.Workbook()
    book.active.append(["x"])
    noise = saved_image(Pillow.effect_noise((300, 300), 90), "JPEG")
    for name, content in (("a.docx", saved(word)), ("b.xlsx", saved(book))):
        assert (await refused(reader, write(name, content[: len(content) * 2 // 3]))).code == "broken"
    with pytest.raises(Unreadable, match="broken"):
        await reader.picture(write("c.jpg", noise[: len(noise) // 2]))
    half = await reader.read(write("d.txt", "中文文件".encode()[:-1]), "d.txt")
    assert half.text == "中文文\n"


def ratio() -> bytes:
    return repacked(saved(docx.Document()), document_xml=lambda part: b"<w:document>" + b" " * 20_000_000)


def big_part() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("word/document.xml", bytes(60_000_000))
    return data.getvalue()


def many_entries() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(11_000):
            archive.writestr(f"word/{number}.xml", "")
    return data.getvalue()


def overlapping() -> bytes:
    """Many names for the same packed bytes: each unpacks by itself to something harmless."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", SMALL_ZIP) as archive:
        archive.writestr("word/document.xml", "x" * 900_000)
        whole = archive.infolist()[0]
        archive.filelist.extend([whole] * 300)
    return data.getvalue()


@pytest.mark.parametrize(
    ("made", "code"), [(ratio, "bomb"), (big_part, "too_large"), (many_entries, "bomb"), (overlapping, "bomb")]
)
def test_bombs(reader: Reader, write: Write, made: Callable[[], bytes], code: str) -> None:
    path = write("a.docx", made())
    assert asyncio.run(refused(reader, path)).code == code


async def test_archives_in_archives_are_left_alone(reader: Reader, write: Write) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", SMALL_ZIP) as archive:
        archive.writestr("zeros", bytes(20_000_000))
    word = docx.Document()
    word.add_paragraph("text")
    data = io.BytesIO(saved(word))
    with zipfile.ZipFile(data, "a", SMALL_ZIP) as archive:
        for number in range(500):
            archive.writestr(f"word/embeddings/{number}.zip", inner.getvalue())
    assert (await reader.read(write("a.docx", data.getvalue()), "a.docx")).text == "text\n\n"


async def test_entities_are_not_expanded(reader: Reader, write: Write, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("TOP SECRET")
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = (
        f'<w:document xmlns:w="{word}"><w:body><w:p><w:r><w:t>before &x; after</w:t></w:r></w:p></w:body></w:document>'
    )
    external = f'<!DOCTYPE d [<!ENTITY x SYSTEM "file://{secret}">]>{body}'.encode()
    text = await told(reader, write("xxe.docx", repacked(saved(docx.Document()), document_xml=lambda part: external)))
    assert "SECRET" not in text

    layers = "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 12))
    laughs = f'<!DOCTYPE d [<!ENTITY x0 "lol">{layers}<!ENTITY x "&x11;">]>{body}'.encode()
    text = await told(reader, write("laughs.docx", repacked(saved(docx.Document()), document_xml=lambda part: laughs)))
    assert "lollol" not in text

    book = openpyxl.Workbook()
    book.active.append(["x"])
    sheet = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    cells = f'<worksheet xmlns="{sheet}"><sheetData><row><c t="str"><v>&x;</v></c></row></sheetData></worksheet>'
    for name, declared in (("laughs", laughs), ("xxe", external)):
        doctype = declared.split(b"]>")[0] + b"]>"
        sheet_part = doctype + cells.encode()
        content = repacked(saved(book), sheet1_xml=lambda part, made=sheet_part: made)
        text = await told(reader, write(f"{name}.xlsx", content))
        assert "lollol" not in text and "SECRET" not in text

    page = f'<!DOCTYPE html [<!ENTITY x SYSTEM "file://{secret}">]><html><body><p>&x;</p></body></html>'
    assert "SECRET" not in await told(reader, write("xxe.html", page))


async def told(reader: Reader, path: Path) -> str:
    """The text, or the code of what is wrong with the file: both are clear answers."""
    try:
        return (await reader.read(path, path.name)).text
    except Unreadable as error:
        assert error.code == "broken"
        return ""


async def test_a_cell_in_the_last_corner(reader: Reader, write: Write) -> None:
    book = openpyxl.Workbook()
    book.active["A1"] = "first"
    book.active["XFD1048576"] = "far"
    extract = await reader.read(write("a.xlsx", saved(book)), "a.xlsx")
    assert "first" in extract.text and extract.truncated
    assert "(rows 2-1048576 are left out)" in extract.text and "columns CW-XFD are left out" in extract.text
    assert len(extract.text) < 500


async def test_deep_nesting(reader: Reader, write: Write) -> None:
    deep = await reader.read(write("a.json", "[" * 200_000 + "]" * 200_000), "a.json")
    assert deep.text.startswith("[[[[")
    page = await reader.read(write("b.html", "<div>" * 100_000 + "text"), "b.html")
    assert page.kind == "html"
    runs = "<w:r>" * 5000 + "<w:t>text</w:t>" + "</w:r>" * 5000
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = f'<w:document xmlns:w="{word}"><w:body><w:p>{runs}</w:p></w:body></w:document>'
    assert (
        await refused(
            reader, write("c.docx", repacked(saved(docx.Document()), document_xml=lambda part: body.encode()))
        )
    ).code == "broken"


def test_a_huge_text_costs_no_more_than_its_beginning(reader: Reader, write: Write) -> None:
    line = "一行普通的日志文字 with words\n".encode()
    path = write("big.log", line * (100 * 2**20 // len(line)))
    extract = asyncio.run(reader.read(path, "big.log"))
    assert extract.truncated
    assert 3_900_000 < len(extract.text) <= 4_000_000


async def test_an_image_that_would_unpack_into_gigabytes(reader: Reader, write: Write) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(Unreadable, match="too_large"):
        await reader.picture(write("a.png", png + b"\0\0\0\0IDAT"))


async def test_memory_is_bounded(write: Write) -> None:
    page = "<table>" + "<tr><td>1<td>2" * 500_000
    error = await refused(Reader(Limits(memory_bytes=300 * 2**20, characters=10_000_000)), write("a.html", page))
    assert error.code in ("too_large", "broken")


async def test_processor_time_is_bounded(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "agent.files.reader._START",
        "import sys; sys.path.append(sys.argv[1])\n"
        "from agent.files import fence\nfence.limit(2**30, 1)\nwhile True: pass",
    )
    error = await refused(Reader(), write("a.txt", "x"))
    assert (error.code, error.detail) == ("timeout", "the reader used up its processor time")


async def test_time_by_the_clock_is_bounded_and_the_child_is_gone(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.files.reader._START", "import time; time.sleep(60)")
    started = time.monotonic()
    assert (await refused(Reader(Limits(seconds=0.3)), write("a.txt", "x"))).code == "timeout"
    assert time.monotonic() - started < 5
    assert children() == []


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import os; os.kill(os.getpid(), 9)", "too_large"),
        ("import os; os.abort()", "broken"),
        ("import sys; sys.exit(3)", "broken"),
        ("pass", "broken"),
        ("print('nonsense')", "broken"),
        ("print('[]')", "broken"),
        ("print('{}')", "broken"),
        ("print('{\"unreadable\": 5}')", "broken"),
        ("print('[' * 100000)", "broken"),
        ("import sys\nwhile True: sys.stdout.write('x' * 2**20)", "too_large"),
    ],
)
async def test_a_child_that_misbehaves(write: Write, monkeypatch: pytest.MonkeyPatch, program: str, code: str) -> None:
    monkeypatch.setattr("agent.files.reader._START", program)
    monkeypatch.setattr("agent.files.reader.ANSWER_BYTES", 2**22)
    assert (await refused(Reader(), write("a.txt", "x"))).code == code
    assert children() == []


@linux
async def test_cancelling_ends_the_child(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.files.reader._START", "import time; print('x', flush=True); time.sleep(60)")
    reading = asyncio.ensure_future(Reader().read(write("a.txt", "x"), "a.txt"))
    while not children():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert children() == []


@linux
async def test_two_at_a_time(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.files.reader._START", "import time; time.sleep(60)")
    reader = Reader(Limits(seconds=0.5))
    readings = asyncio.gather(*(refused(reader, write(f"{n}.txt", "x")) for n in range(4)))
    most = 0
    while not readings.done():
        most = max(most, len(children()))
        await asyncio.sleep(0.01)
    assert [each.code for each in await readings] == ["timeout"] * 4
    assert most == 2


@linux
async def test_the_child_has_the_file_and_nothing_else(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    program = (
        "import os, json; print(json.dumps({'kind': 'text', 'text': json.dumps([sorted(os.environ), "
        "sorted(os.listdir('/proc/self/fd'))]), 'facts': {}, 'truncated': False, 'parts': [], 'outline': [], "
        "'images': [], 'scanned_pages': []}))"
    )
    monkeypatch.setattr("agent.files.reader._START", program)
    extract = await Reader().read(write("a.txt", "x"), "a.txt")
    environment, descriptors = json.loads(extract.text)
    assert set(environment) <= {"LC_CTYPE"}  # set by the interpreter itself
    assert descriptors == ["0", "1", "2", "3"]  # the fourth lists them


def test_the_parent_stays_small(reader: Reader, write: Write) -> None:
    resource = pytest.importorskip("resource")
    path = write("a.bmp", saved_image(Pillow.effect_noise((3000, 3000), 90), "BMP"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    image = asyncio.run(reader.picture(path))
    assert image.parts[0].mime == "image/jpeg"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000 * (
        1024 if sys.platform == "darwin" else 1
    )


def test_every_reader_is_there() -> None:
    for name in set(child._READERS.values()):
        assert (Path(child.__file__).parent / f"{name}.py").exists()


def test_an_extract_survives_the_pipe() -> None:
    from agent.files.extract import Entry, Part, from_json, to_json

    extract = Extract("pdf", "x", {"pages": 1}, (Part("page 1", 0),), (Entry("a", 1, 0),), ("m.png",), (1,), True)
    assert from_json(json.loads(json.dumps(to_json(extract)))) == extract


def children() -> list[int]:
    """The processes that this one has started and that still are."""
    found: list[int] = []
    if sys.platform != "linux":
        return found
    for task in Path("/proc/self/task").iterdir():
        found += [int(each) for each in (task / "children").read_text().split()]
    return found
