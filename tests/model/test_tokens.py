"""Counting: the shipped encoding against tiktoken's own definition, the rule of thumb, and the ratio learnt."""

import gzip
import hashlib
import logging
import re
import time
from pathlib import Path

import pytest
import tiktoken
import tiktoken_ext.openai_public
from hypothesis import given
from hypothesis import strategies as st

from agent.model import tokens
from agent.model.tokens import Ratio, TokenCounter, estimate, image_tokens

ZH = "公司报销流程怎么走？请按照财务制度第三条准备发票。"


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    loaded = TokenCounter()
    loaded.load()
    assert loaded.is_exact
    return loaded


def test_the_constants_are_tiktokens(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ranks(_: str, expected_hash: str) -> dict[bytes, int]:
        asked.append(expected_hash)
        return {}

    monkeypatch.setattr(tiktoken_ext.openai_public, "load_tiktoken_bpe", ranks)
    theirs = tiktoken_ext.openai_public.o200k_base()
    assert theirs["pat_str"] == tokens.PATTERN
    assert theirs["special_tokens"] == tokens.SPECIAL
    assert asked == [tokens.SHA256]


def test_the_file_is_the_documented_one() -> None:
    packed = tokens.DATA.read_bytes()
    readme = (tokens.DATA.parent / "README.md").read_text(encoding="utf-8")
    for data in (packed, gzip.decompress(packed)):
        assert f"{len(data):,} B | `{hashlib.sha256(data).hexdigest()}`" in readme
    assert "MIT License" in (tokens.DATA.parent / "LICENSE-gpt-tokenizer").read_text(encoding="utf-8")


# Figures of the encoding as OpenAI publishes it, so that the file and the pattern prove each other.
@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("hello world", 2),
        ("<|endoftext|>", 7),
        ("antidisestablishmentarianism", 6),
        ("2 + 2 = 4", 7),
        ("お誕生日おめでとう", 8),
    ],
)
def test_known_counts(counter: TokenCounter, text: str, count: int) -> None:
    assert counter.count(text) == count


@given(st.text(st.characters(), max_size=200))
def test_any_text_counts(counter: TokenCounter, text: str) -> None:
    assert 0 <= counter.count(text) <= 4 * len(text)
    assert (counter.count(text) == 0) == (text == "")


def test_lone_surrogates_count(counter: TokenCounter) -> None:
    assert counter.count("a\ud800b") > 0
    assert TokenCounter(Path("/none")).count("a\ud800b") > 0


@pytest.mark.parametrize(
    "text", [ZH * 40_000, "a" * 1_000_000, "\n" * 1_000_000, "😀" * 500_000, "QmFzZTY0" * 100_000], ids=len
)
def test_long_texts_do_not_take_long(counter: TokenCounter, text: str) -> None:
    started = time.perf_counter()
    counted = counter.count(text)
    assert time.perf_counter() - started < 1.0  # 0.06 s on an idle machine; whole, some of these take seconds
    assert counted == pytest.approx(counter.count(text[: tokens.SLICE]) * len(text) / tokens.SLICE, rel=0.02)


def test_the_ranks_are_let_go(counter: TokenCounter) -> None:
    """27 MB that only pickling would want."""
    encoding = counter._encoding
    assert encoding is not None
    assert encoding._mergeable_ranks == {}


def test_slices_change_little(counter: TokenCounter) -> None:
    text = ZH * 2000
    encoding = counter._encoding
    assert encoding is not None
    assert counter.count(text) == pytest.approx(len(encoding.encode_ordinary(text)), rel=0.002)


# Loading


def test_the_first_count_starts_the_load_and_does_not_wait_for_it() -> None:
    counter = TokenCounter()
    assert counter.count(ZH) == estimate(ZH)
    assert counter._thread is not None
    counter._thread.join(30)
    assert counter.is_exact
    assert counter.count(ZH) == 18


@pytest.mark.parametrize("content", [None, b"", b"no gzip", gzip.compress(b"YQ== 0\n", mtime=0), "cut"])
def test_a_file_that_is_wrong_is_done_without(
    tmp_path: Path, content: bytes | str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "o200k_base.tiktoken.gz"
    if content == "cut":
        content = tokens.DATA.read_bytes()[:1000]
    if isinstance(content, bytes):
        path.write_bytes(content)
    counter = TokenCounter(path)
    with caplog.at_level(logging.ERROR, "agent.model.tokens"):
        counter.load()
        counter.load()
    assert not counter.is_exact
    assert counter.count(ZH) == estimate(ZH)
    assert len(caplog.records) == 1
    assert "rule of thumb" in caplog.text


def test_neither_network_nor_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tiktoken.load, "read_file", lambda path: pytest.fail(f"read {path}"))
    counter = TokenCounter()
    counter.load()
    assert counter.is_exact
    assert list(tmp_path.iterdir()) == []


# Rule of thumb


def test_rule_of_thumb() -> None:
    assert estimate("") == 0
    assert estimate("中" * 100) == 65
    assert estimate("a" * 100) == 28
    assert estimate("，。！（" * 25) == 65
    assert estimate("한글" * 50) == 65


def test_rule_of_thumb_is_near(counter: TokenCounter) -> None:
    english = "Please prepare the invoices as the third article of the finance rules says, then hand them in. "
    assert estimate(english * 50) == pytest.approx(counter.count(english * 50), rel=0.4)
    assert estimate(ZH * 50) == pytest.approx(counter.count(ZH * 50), rel=0.4)


# Pictures


@pytest.mark.parametrize(
    ("size", "count"), [((28, 28), 1), ((29, 28), 2), ((560, 280), 200), ((1568, 1568), 1280), ((0, 5), 1280)]
)
def test_images(size: tuple[int, int], count: int) -> None:
    assert image_tokens(*size) == count


# The ratio


def test_the_ratio_is_learnt_per_model() -> None:
    ratio = Ratio()
    assert ratio.of("a") == 1.0
    assert ratio.learn("a", 1000, 800) == pytest.approx(0.96)
    for _ in range(60):
        ratio.learn("a", 1000, 800)
    assert ratio.of("a") == pytest.approx(0.8, abs=1e-4)
    assert ratio.of("b") == 1.0
    assert Ratio(ratio.factors).of("a") == ratio.of("a")


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(-5, 10**7)), max_size=50))
def test_the_ratio_stays_in_its_bounds(turns: list[tuple[int, int]]) -> None:
    ratio = Ratio({"m": 99.0})
    assert ratio.of("m") == 2.0
    for estimated, reported in turns:
        assert 0.5 <= ratio.learn("m", estimated, reported) <= 2.0


def test_small_or_unreported_turns_teach_nothing() -> None:
    ratio = Ratio()
    ratio.learn("m", 10, 40)
    ratio.learn("m", 1000, 0)
    assert ratio.factors == {}


def test_the_source_names_no_registry() -> None:
    text = (tokens.DATA.parent / "README.md").read_text(encoding="utf-8") + Path(tokens.__file__).read_text("utf-8")
    assert not re.search(r"https?://", text)
