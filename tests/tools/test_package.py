"""Office packages without the time of day."""

import io
import zipfile

from agent.tools.package import settle

CORE = (
    "<cp:coreProperties><dc:title>题</dc:title>"
    '<dcterms:created xsi:type="dcterms:W3CDTF">2026-01-01T00:00:00Z</dcterms:created>'
    "<cp:lastPrinted>2026-01-01T00:00:00Z</cp:lastPrinted></cp:coreProperties>"
)


def package(year: int, inner: bytes | None = None) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as target:
        target.writestr(zipfile.ZipInfo("docProps/core.xml", (year, 1, 1, 0, 0, 0)), CORE.replace("2026", str(year)))
        target.writestr(zipfile.ZipInfo("word/document.xml", (year, 2, 3, 0, 0, 0)), "<w/>")
        if inner:
            target.writestr("ppt/embeddings/book.xlsx", inner)
    return output.getvalue()


def test_two_times_give_the_same_bytes() -> None:
    assert settle(package(2026, package(2026))) == settle(package(2030, package(2031)))


def test_the_rest_stays() -> None:
    with zipfile.ZipFile(io.BytesIO(settle(package(2026)))) as settled:
        assert settled.namelist() == ["docProps/core.xml", "word/document.xml"]
        assert settled.read("docProps/core.xml").decode() == (
            "<cp:coreProperties><dc:title>题</dc:title></cp:coreProperties>"
        )
        assert settled.read("word/document.xml") == b"<w/>"
