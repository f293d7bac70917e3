"""The packaged fonts, and text made ready for them.

Knows which files there are and what to do with characters that no font draws. Does not know any output format.
"""

import gzip
import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .made import BuildFailed

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Font:
    """A packed font file; `sha256` is of the unpacked one (see data/README.md)."""

    file: str
    family: str
    sha256: str

    def load(self, folder: Path = DATA) -> bytes:
        """The unpacked file; 30 ms.

        Raises:
            BuildFailed: the file is missing or not the expected one.
        """
        path = folder / self.file
        try:
            data = gzip.decompress(path.read_bytes())
        except (OSError, EOFError) as error:
            raise BuildFailed(f"the font {str(path)!r} cannot be read ({error}); install the package again") from None
        if (found := hashlib.sha256(data).hexdigest()) != self.sha256:
            raise BuildFailed(f"{str(path)!r} holds the SHA-256 {found}; install the package again")
        return data


# Face 0 of the collection is proportional, face 1 monospaced.
CHINESE = Font(
    "wqy-microhei.ttc.gz",
    "WenQuanYi Micro Hei",
    "2420e8078af796b19a3f6ef13de527a1a91c1e7171eea115926c614ced1009b3",
)
SYMBOLS = Font(
    "dejavu-symbols.ttf.gz",
    "DejaVu Sans",
    "b883f82e08b7bd0d14b4bd182196ab8506a9d10fa62e004242915a20b04d5584",
)
EMOJI = Font(
    "noto-emoji.ttf.gz",
    "Noto Emoji",
    "dac612050a91c9f1480dd0a2575511adc582a6055883f23151bdd86510c274bb",
)

# What a picture of text has in place of a character that no font draws.
MISSING = "□"
# Characters for which the Chinese font has a glyph without outline: they would be blank.
BLANK = frozenset("ǎǐǒǔǘǚǜˊˋ‾℃℉ÅⅤⅩ∼ㅤ")


def drawable(text: str, is_drawn: Callable[[str], bool]) -> tuple[str, str]:
    """`text` with nothing in it that would be drawn as an empty box by accident, and the characters that were lost.

    `is_drawn` tells whether any font at hand has a character. Variation selectors, joiners and skin tones go without
    loss; what is not drawn becomes its compatibility form (㍿ becomes 株式会社) or `MISSING`.
    """
    result: list[str] = []
    lost: list[str] = []
    # Composed, as the fonts have no marks that could be put onto a letter.
    for character in unicodedata.normalize("NFC", text):
        if character == "\n" or is_drawn(character):
            # The fonts do have glyphs for some of these: a skin tone alone is a coloured square.
            if not _is_silent(character):
                result.append(character)
        elif character == "\t" or unicodedata.category(character) == "Zs":
            result.append(" ")
        elif _is_silent(character) or unicodedata.category(character)[0] in "CM":
            continue
        elif (form := unicodedata.normalize("NFKC", character)) != character and all(map(is_drawn, form)):
            result.append(form)
        else:
            result.append(MISSING)
            lost.append(character)
    return "".join(result), "".join(lost)


def lost_note(lost: str, remedy: str) -> str:
    """The sentence for the model about characters that were lost; "" when none were."""
    if not lost:
        return ""
    shown = "".join(dict.fromkeys(lost))
    names = ", ".join(f"{character} U+{ord(character):04X}" for character in shown[:5])
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    return f"Not in the font, drawn as {MISSING}: {names}{more}; {remedy}."


def _is_silent(character: str) -> bool:
    """Whether it only changes the look of its neighbour: joiners, variation selectors, keycaps, skin tones, tags."""
    code = ord(character)
    return (
        code in (0x200B, 0x200C, 0x200D, 0x2060, 0x20E3, 0xFEFF)
        or 0xFE00 <= code <= 0xFE0F
        or 0x1F3FB <= code <= 0x1F3FF
        or 0xE0000 <= code <= 0xE01EF
    )
