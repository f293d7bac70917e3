"""The packaged fonts are those that data/README.md names."""

import gzip
import hashlib
import re
from pathlib import Path

import pytest

from agent.tools import fonts
from agent.tools.fonts import DATA, Font, drawable, lost_note
from agent.tools.made import BuildFailed

FONTS = (fonts.CHINESE, fonts.SYMBOLS, fonts.EMOJI)
README = (DATA / "README.md").read_text()
# name, size and hash of each row that has one
ROWS = re.findall(r"^\| (.+?) \| .*?\| ([\d,]+) B \| (?:`([0-9a-f]{64})`)? ?\|$", README, re.MULTILINE)


def test_every_file_is_in_the_readme_with_its_size_and_hash() -> None:
    files = {path.name for path in DATA.iterdir()} - {"README.md"}
    recorded = {name.strip("`"): (int(size.replace(",", "")), sha256) for name, size, sha256 in ROWS if "`" in name}
    assert recorded.keys() == files
    for name, (size, sha256) in recorded.items():
        data = (DATA / name).read_bytes()
        assert len(data) == size
        assert hashlib.sha256(data).hexdigest() == sha256 or (name.startswith("LICENSE") and not sha256)


@pytest.mark.parametrize("font", FONTS, ids=lambda font: font.family)
def test_each_font_unpacks_to_the_recorded_file(font: Font) -> None:
    assert hashlib.sha256(font.load()).hexdigest() == font.sha256
    assert font.sha256 in README


def test_each_font_comes_with_its_licence() -> None:
    for font in FONTS:
        name = font.file.partition(".")[0].removesuffix("-symbols")
        assert (DATA / f"LICENSE-{name}").stat().st_size > 1000


def test_a_broken_installation_is_told(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="install the package again"):
        fonts.EMOJI.load(tmp_path)
    (tmp_path / fonts.EMOJI.file).write_bytes(gzip.compress(b"something else"))
    with pytest.raises(BuildFailed, match="SHA-256"):
        fonts.EMOJI.load(tmp_path)
    (tmp_path / fonts.EMOJI.file).write_bytes(b"\x1f\x8b broken")
    with pytest.raises(BuildFailed, match="cannot be read"):
        fonts.EMOJI.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "drawn", "lost"),
    [
        ("ab\n", "ab\n", ""),
        ("a\u3000b", "a b", ""),
        ("a\ufe0f\u200d", "a", ""),
        ("ﬁ", "□", "ﬁ"),
        ("a\u0301", "á", ""),
        ("字", "□", "字"),
    ],
)
def test_drawable(text: str, drawn: str, lost: str) -> None:
    assert drawable(text, lambda character: character in "abá") == (drawn, lost)


def test_note_names_the_first_five() -> None:
    assert lost_note("", "x") == ""
    assert lost_note("甲甲乙丙丁戊己", "use docx").endswith("戊 U+620A and 1 more; use docx.")
