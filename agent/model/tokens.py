"""How many tokens a text or a picture will cost.

Knows o200k_base and a rule of thumb. Does not know budgets or what to cut. No tokenizer of a domestic model can be
shipped for all of them; o200k_base is 3 to 30 % above DeepSeek's and Qwen's on Chinese prose and up to 22 % below on
JSON full of digits, which `Ratio` learns per model from the usage that the endpoint reports (mean error then 4 % for
DeepSeek, 6 % for Qwen; by the rule of thumb alone 8 and 12 %).
"""

import gzip
import hashlib
import logging
import math
import re
import threading
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiktoken

logger = logging.getLogger(__name__)

DATA = Path(__file__).parent / "data" / "o200k_base.tiktoken.gz"
# Of the unpacked file, as in tiktoken_ext.openai_public.
SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
# The two constants of the encoding in tiktoken_ext.openai_public; a test compares them. Its own constructor cannot be
# called: it fetches the ranks from the network, and deletes a cached file whose hash is wrong.
SPECIAL = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}
PATTERN = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)

# Characters counted in one go: at most 1.6 ms, whatever they are (a run without a break is the slowest).
SLICE = 8192
# Characters counted in all; of a longer text evenly spaced slices stand for the rest. At most 60 ms.
EXACT = 25 * SLICE
# Pixels a side of one image token (Qwen2-VL and kin), and what the common endpoints cap an image at (Qwen by default
# 1280, GPT-4o 1105 at the size that we send, DeepSeek 384); an image of unknown size counts as that many.
PATCH, IMAGE_LIMIT = 28, 1280

_CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]+"
)


class TokenCounter:
    """Counts by o200k_base once that is loaded, and by the rule of thumb until then or when it cannot be.

    Loading takes 0.3 s of CPU, 0.15 s of them in one piece without Python's global lock let go, and 48 MB. It starts in
    a thread of its own on the first count; call `load` in a thread to have it done at a better moment.
    """

    def __init__(self, data: Path = DATA) -> None:
        self._data = data
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._encoding: tiktoken.Encoding | None = None
        self._is_settled = False  # loaded, or given up

    @property
    def is_exact(self) -> bool:
        """Whether o200k_base is loaded."""
        return self._encoding is not None

    def load(self) -> None:
        """Loads o200k_base, once; blocks. A file that is missing or not the expected one is logged and done without."""
        with self._lock:
            if self._is_settled:
                return
            self._is_settled = True
            try:
                self._encoding = _encoding(self._data)
            except (OSError, EOFError, ValueError, ImportError) as error:
                logger.error("tokens are estimated by rule of thumb, as o200k_base cannot be loaded: %s", error)

    def count(self, text: str) -> int:
        """Tokens of ``text``. Never raises, and takes 60 ms at most; special tokens count as the text that they are."""
        encoding = self._encoding
        if encoding is not None:
            return _measure(text, lambda piece: len(encoding.encode_ordinary(piece)))
        if not self._is_settled and self._thread is None:
            self._thread = threading.Thread(target=self.load, name="o200k_base")
            self._thread.start()
        return _measure(text, estimate)


class Ratio:
    """What a model really counts for one token of ours: a moving average per model, 1.0 to begin with.

    ``factors`` (model -> ratio) can be kept and handed in again.
    """

    ALPHA, LOW, HIGH = 0.2, 0.5, 2.0
    # Below this the endpoint's own wrapping of the request outweighs the text.
    SMALLEST = 50

    def __init__(self, factors: Mapping[str, float] | None = None) -> None:
        self.factors: dict[str, float] = {model: self._clamp(factor) for model, factor in (factors or {}).items()}

    def of(self, model: str) -> float:
        return self.factors.get(model, 1.0)

    def learn(self, model: str, estimated: int, reported: int) -> float:
        """Takes in one turn: ``estimated`` is our own count, without this ratio, ``reported`` the endpoint's
        prompt_tokens. Turns with images are better left out. Returns the new ratio."""
        factor = self.of(model)
        if estimated >= self.SMALLEST and reported > 0:
            factor += self.ALPHA * (self._clamp(reported / estimated) - factor)
            self.factors[model] = factor
        return factor

    def _clamp(self, factor: float) -> float:
        return min(self.HIGH, max(self.LOW, factor))


def estimate(text: str) -> int:
    """The rule of thumb: 0.65 tokens a Chinese, Japanese or Korean character, 0.28 any other."""
    other = len(_CJK.sub("", text))
    return math.ceil((65 * (len(text) - other) + 28 * other) / 100)


def image_tokens(width: int, height: int) -> int:
    """Tokens of an image of that many pixels; of one whose size is unknown (0) the most."""
    if width <= 0 or height <= 0:
        return IMAGE_LIMIT
    return min(IMAGE_LIMIT, math.ceil(width / PATCH) * math.ceil(height / PATCH))


def _measure(text: str, count: Callable[[str], int]) -> int:
    if len(text) <= SLICE:
        return count(text)
    starts: Iterable[int] = range(0, len(text), SLICE)
    if len(text) <= EXACT:
        return sum(count(text[start : start + SLICE]) for start in starts)
    pieces = EXACT // SLICE
    starts = (index * (len(text) - SLICE) // (pieces - 1) for index in range(pieces))
    counted = sum(count(text[start : start + SLICE]) for start in starts)
    return math.ceil(counted * len(text) / EXACT)


def _encoding(data: Path) -> "tiktoken.Encoding":
    """Raises ValueError when the file is not o200k_base."""
    import tiktoken

    packed = gzip.decompress(data.read_bytes())
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        raise ValueError(f"{str(data)!r} holds the SHA-256 {found}, expected {SHA256}; install the package again")
    ranks = {a2b_base64(line[: line.index(b" ")]): rank for rank, line in enumerate(packed.splitlines())}
    encoding = tiktoken.Encoding("o200k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=SPECIAL)
    # The encoder holds a copy; the dict that the object keeps for pickling is 27 of its 75 MB.
    ranks.clear()
    return encoding
