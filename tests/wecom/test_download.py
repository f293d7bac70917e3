"""Fetching media: the cipher, names, errors, retries, and a disk that holds whole files or none."""

import asyncio
import os
import secrets
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.wecom import download
from agent.wecom.download import Decryptor, Downloader, decode_key, file_name, place, safe_name
from agent.wecom.errors import MediaError, MediaTooLarge, MediaUnavailable, MediaUndecryptable
from tests.wecom import certificates
from tests.wecom.proxies import proxy
from tests.wecom.storage import KEY, KEY_BYTES, PIECE, Answer, encrypt, storage

MEGABYTE = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 1000


@pytest.fixture
async def downloader(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Downloader]:
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.01)
    one = Downloader(patience=20.0)
    yield one
    await one.aclose()


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# --- keys and padding


@pytest.mark.parametrize("key", [KEY, KEY + "=", f" {KEY}\n", KEY.replace("+", "-").replace("/", "_")])
def test_keys_with_and_without_their_padding(key: str) -> None:
    assert decode_key(key) == KEY_BYTES


@given(st.binary(min_size=32, max_size=32))
def test_any_key(key: bytes) -> None:
    import base64

    text = base64.b64encode(key).decode()
    assert decode_key(text) == decode_key(text.rstrip("=")) == key
    assert decode_key(base64.urlsafe_b64encode(key).decode()) == key


@pytest.mark.parametrize("key", [None, "", "short", "!" * 43, "A" * 42, "A" * 64, "é" * 43])
def test_what_is_no_key_decrypts_nothing(key: str | None) -> None:
    with pytest.raises(MediaUndecryptable, match="aeskey"):
        decode_key(key)


def test_a_key_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MediaUndecryptable) as caught:
        decode_key(KEY[:-1])
    assert KEY[:10] not in str(caught.value)


@given(st.binary(max_size=300), st.sampled_from([16, 32]), st.integers(1, 80))
@settings(max_examples=200)
def test_what_was_encrypted_comes_back_in_any_pieces(plain: bytes, block: int, step: int) -> None:
    data, decryptor, read = encrypt(plain, block=block), Decryptor(KEY), b""
    for at in range(0, len(data), step):
        read += decryptor.feed(data[at : at + step])
        assert plain.startswith(read)
    read += decryptor.finish()
    assert read == plain
    assert decryptor.size == len(plain)


@pytest.mark.parametrize("count", range(1, 33))
def test_padding_of_1_to_32(count: int) -> None:
    plain = b"p" * (64 - count)
    decryptor = Decryptor(KEY)
    assert decryptor.feed(encrypt(plain, padding=bytes([count]) * count)) + decryptor.finish() == plain


@pytest.mark.parametrize(
    "padding", [b"\x00" * 16, b"\x21" * 33 + b"\x21" * 15, b"\x02\x01\x03" + b"\x03" * 12 + b"\x04"]
)
def test_any_other_padding_is_refused(padding: bytes) -> None:
    decryptor = Decryptor(KEY)
    decryptor.feed(encrypt(b"p" * 32, padding=padding))
    with pytest.raises(MediaUndecryptable, match="padding is wrong"):
        decryptor.finish()


def test_a_wrong_key_hands_nothing_on() -> None:
    refused = 0
    for _ in range(64):
        decryptor = Decryptor(KEY)
        decryptor.feed(encrypt(b"secret" * 50, secrets.token_bytes(32)))
        try:
            decryptor.finish()
        except MediaUndecryptable:
            refused += 1
    assert refused >= 60  # one random last byte in 256 looks like a padding of 1


@pytest.mark.parametrize("size", [0, 1, 15, 17, 33])
def test_an_incomplete_file_is_refused(size: int) -> None:
    decryptor = Decryptor(KEY)
    decryptor.feed(encrypt(b"p" * 64)[:size])
    with pytest.raises(MediaUndecryptable, match="incomplete"):
        decryptor.finish()


# --- over HTTP


@pytest.mark.parametrize("size", [0, 1, 31, 32, 1000, PIECE - 32, PIECE, 3 * PIECE + 7])
async def test_fetch_returns_bytes_and_name(size: int, downloader: Downloader) -> None:
    plain = secrets.token_bytes(size)
    named = {"Content_Disposition": b"attachment; filename*=UTF-8''%E6%8A%A5%E5%91%8A.bin"}
    async with storage(Answer.of(encrypt(plain), **named)) as far:
        assert await downloader.fetch(far.url, KEY) == (plain, "报告.bin")
        assert far.asked == ["/object?sign=s"]


async def test_save_gives_path_name_size_and_type(downloader: Downloader, tmp_path: Path) -> None:
    named = {"Content_Disposition": b'attachment; filename="a chart.png"'}
    async with storage(Answer.of(encrypt(PNG), **named)) as far:
        saved = await downloader.save(far.url, KEY, tmp_path / "new" / "folder")
    assert saved.path == tmp_path / "new" / "folder" / "a chart.png"
    assert saved.path.read_bytes() == PNG
    assert (saved.name, saved.size, saved.mime) == ("a chart.png", len(PNG), "image/png")
    assert names(saved.path.parent) == ["a chart.png"]
    assert stat.S_IMODE(saved.path.stat().st_mode) == 0o600


async def test_without_a_name_the_type_makes_one(downloader: Downloader, tmp_path: Path) -> None:
    async with storage(Answer.of(encrypt(PNG))) as far:
        assert (await downloader.fetch(far.url, KEY))[1] is None
        saved = await downloader.save(far.url, KEY, tmp_path)
    assert saved.name.startswith("image-2")
    assert saved.name.endswith(".png")
    assert names(tmp_path) == [saved.name]


async def test_nothing_is_overwritten(downloader: Downloader, tmp_path: Path) -> None:
    named = {"Content_Disposition": b'attachment; filename="a.txt"'}
    async with storage(Answer.of(encrypt(b"new"), **named)) as far:
        (tmp_path / "a.txt").write_text("old")
        saved = await asyncio.gather(*[downloader.save(far.url, KEY, tmp_path) for _ in range(4)])
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a (2).txt", "a (3).txt", "a (4).txt", "a (5).txt", "a.txt"]
    assert {one.name for one in saved} == {"a.txt"}


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\x\\y.txt", "....//x", "a/../../b", "\x00x\n.txt"],
)
async def test_a_name_is_no_path(name: str, downloader: Downloader, tmp_path: Path) -> None:
    header = f'attachment; filename="{name}"'.encode().replace(b"\x00", b"%00").replace(b"\n", b"%0A")
    inner = tmp_path / "inner"
    async with storage(Answer.of(encrypt(b"x"), Content_Disposition=header)) as far:
        saved = await downloader.save(far.url, KEY, inner)
    assert saved.path.parent == inner
    assert names(tmp_path) == ["inner"]
    assert len(names(inner)) == 1


async def test_503_is_tried_again(downloader: Downloader, tmp_path: Path) -> None:
    async with storage(Answer.of(b"busy", 503), Answer.of(b"busy", 500), Answer.of(encrypt(b"file"))) as far:
        saved = await downloader.save(far.url, KEY, tmp_path)
        assert len(far.asked) == 3
    assert saved.path.read_bytes() == b"file"


async def test_a_connection_that_breaks_is_tried_again_from_the_start(downloader: Downloader, tmp_path: Path) -> None:
    plain = secrets.token_bytes(2 * MEGABYTE)
    data = encrypt(plain)
    cut = Answer([data], announced=len(data), cut=MEGABYTE)
    async with storage(cut, cut, Answer.of(data)) as far:
        saved = await downloader.save(far.url, KEY, tmp_path)
        assert (await downloader.fetch(far.url, KEY))[0] == plain
    assert saved.path.read_bytes() == plain
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("status", [403, 404, 410, 400, 401])
async def test_an_expired_link_is_given_up_at_once(status: int, downloader: Downloader, tmp_path: Path) -> None:
    async with storage(Answer.of(b"<Error/>", status)) as far:
        with pytest.raises(MediaUnavailable, match=rf"answered {status}: the link has expired, they live five minutes"):
            await downloader.save(far.url, KEY, tmp_path)
        assert len(far.asked) == 1
    assert names(tmp_path) == []


async def test_what_keeps_failing_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.01)
    downloader = Downloader(patience=0.2)
    async with storage(Answer.of(b"busy", 503)) as far:
        with pytest.raises(MediaUnavailable, match="status 503"):
            await downloader.save(far.url, KEY, tmp_path)
        assert len(far.asked) > 2
    await downloader.aclose()
    assert names(tmp_path) == []


async def test_nobody_there(downloader: Downloader, tmp_path: Path) -> None:
    async with storage(Answer()) as far:
        url = far.url
    downloader._patience = 0.05
    with pytest.raises(MediaUnavailable, match="the download failed: ConnectError"):
        await downloader.save(url, KEY, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("url", ["", "no url", "ftp://127.0.0.1/x", "http://"])
async def test_what_is_no_url_is_unavailable(url: str, downloader: Downloader, tmp_path: Path) -> None:
    downloader._patience = 0.05
    with pytest.raises(MediaUnavailable):
        await downloader.save(url, KEY, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("body", [b"", b"short", encrypt(b"p" * 100)[:-1], encrypt(b"p" * 100, bytes(32)), b"x" * 64])
async def test_nothing_undecrypted_is_handed_on(body: bytes, downloader: Downloader, tmp_path: Path) -> None:
    async with storage(Answer.of(body)) as far:
        with pytest.raises(MediaUndecryptable):
            await downloader.save(far.url, KEY, tmp_path)
        with pytest.raises(MediaUndecryptable):
            await downloader.fetch(far.url, KEY)
    assert names(tmp_path) == []


async def test_without_a_key_nothing_is_even_asked_for(downloader: Downloader, tmp_path: Path) -> None:
    async with storage(Answer.of(b"plain bytes")) as far:
        with pytest.raises(MediaUndecryptable, match="not handed on undecrypted"):
            await downloader.save(far.url, None, tmp_path)
        assert far.asked == []
    assert names(tmp_path) == []


@pytest.mark.parametrize("announced", [True, False])
async def test_the_size_cap(announced: bool, downloader: Downloader, tmp_path: Path) -> None:
    sizes = {100: True, 101: False, 200: False, 10_000: False}
    for size, fits in sizes.items():
        data = encrypt(b"p" * size)
        async with storage(Answer([data], announced=len(data) if announced else None)) as far:
            if fits:
                assert len((await downloader.fetch(far.url, KEY, limit=100))[0]) == size
            else:
                with pytest.raises(MediaTooLarge, match="over the limit of 100"):
                    await downloader.save(far.url, KEY, tmp_path, limit=100)
    assert names(tmp_path) == []


async def test_an_announced_giant_is_refused_without_reading_it(downloader: Downloader) -> None:
    given = 0

    def giant() -> Iterator[bytes]:
        nonlocal given
        while given < 200:
            given += 1
            yield b"x" * MEGABYTE

    async with storage(Answer(giant(), announced=200 * MEGABYTE)) as far:
        with pytest.raises(MediaTooLarge, match=f"{200 * MEGABYTE} bytes or more"):
            await downloader.fetch(far.url, KEY)
    assert given < 20


async def test_a_cancelled_download_leaves_nothing(downloader: Downloader, tmp_path: Path) -> None:
    blocked = asyncio.Event()

    def slow() -> Iterator[bytes]:
        yield encrypt(b"p" * MEGABYTE)[:MEGABYTE]
        blocked.set()
        yield b""

    async with storage(Answer(slow(), announced=50 * MEGABYTE)) as far:
        task = asyncio.ensure_future(downloader.save(far.url, KEY, tmp_path))
        await blocked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert names(tmp_path) == []


async def test_a_folder_that_cannot_be_written_is_said(downloader: Downloader, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        await downloader.save("http://127.0.0.1:1/", KEY, tmp_path / "file" / "folder")


async def test_a_private_ca(tmp_path: Path) -> None:
    private = certificates.make(tmp_path, "127.0.0.1")
    async with storage(Answer.of(encrypt(b"inside")), tls=private.server) as far:
        trusting, strange = Downloader(str(private.ca_file)), Downloader(patience=0.05)
        assert (await trusting.fetch(far.url, KEY))[0] == b"inside"
        with pytest.raises(MediaUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await strange.fetch(far.url, KEY)
        await trusting.aclose()
        await strange.aclose()


@pytest.mark.parametrize("login", ["", "user:p%40ss word"])
async def test_the_company_s_proxy_is_used_and_no_proxy_goes_past_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    host = "storage.corp.example"
    private = certificates.make(tmp_path, host)
    async with storage(Answer.of(encrypt(b"inside")), tls=private.server) as far, proxy(login=login) as middle:
        monkeypatch.setenv("HTTPS_PROXY", middle.url)
        url = far.url.replace("127.0.0.1", host)
        through = Downloader(str(private.ca_file))
        assert (await through.fetch(url, KEY))[0] == b"inside"
        assert middle.asked == [f"CONNECT {url.split('/')[2]} HTTP/1.1"]
        await through.aclose()
        monkeypatch.setenv("NO_PROXY", "other.example,.corp.example")
        past = Downloader(str(private.ca_file), patience=0.05)
        with pytest.raises(MediaUnavailable, match="ConnectError"):  # nobody else knows the host
            await past.fetch(url, KEY)
        await past.aclose()
        monkeypatch.delenv("NO_PROXY")
        here = Downloader(str(private.ca_file), patience=0.05)
        with pytest.raises(MediaUnavailable, match="CERTIFICATE_VERIFY_FAILED"):  # it is certified as another host
            await here.fetch(far.url, KEY)
        await here.aclose()
        assert len(middle.asked) == 1


async def test_a_redirect_is_followed(downloader: Downloader) -> None:
    async with storage(Answer.of(encrypt(b"there"))) as far:
        far.answers.insert(0, Answer.of(b"", 302, Location=far.url.encode()))
        assert (await downloader.fetch(far.url, KEY))[0] == b"there"
        assert len(far.asked) == 2


MEASURED = """
import asyncio, sys
from agent.wecom import WecomAIBotWsServer

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

async def main(url, key, folder):
    server = WecomAIBotWsServer(bot_id="b", secret="s")
    await server.save_file(url, key, folder)                 # imports and buffers are there now
    before = peak()
    saved = await server.save_file(url + "&large", key, folder)
    print(saved.size, peak() - before)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process its peak memory")
async def test_100_mb_go_to_disk_within_16_mb_of_memory(tmp_path: Path) -> None:
    whole = MEGABYTE * 100

    def large() -> Answer:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        def pieces() -> Iterator[bytes]:
            encryptor = Cipher(algorithms.AES(KEY_BYTES), modes.CBC(KEY_BYTES[:16])).encryptor()
            for _ in range(100):
                yield encryptor.update(b"\x07" * MEGABYTE)
            yield encryptor.update(b"\x20" * 32)

        return Answer(pieces(), announced=whole + 32)

    async with storage(Answer.of(encrypt(b"x" * 3 * PIECE)), large) as far:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", MEASURED, far.url, KEY, str(tmp_path), stdout=subprocess.PIPE
        )
        out, _ = await process.communicate()
    size, grown = map(int, out.split())
    assert process.returncode == 0
    assert size == whole
    assert grown < 16 * MEGABYTE
    assert len(names(tmp_path)) == 2


# --- names


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, None),
        ("", None),
        ("attachment", None),
        ("attachment; filename=plain.txt", "plain.txt"),
        ('attachment; filename="with space.txt"', "with space.txt"),
        ('attachment; filename="a\\"b.txt"', 'a"b.txt'),
        ('attachment; filename=""', None),
        ("attachment; filename*=UTF-8''%E5%91%A8%E6%8A%A5.docx", "周报.docx"),
        ("attachment; filename*=utf-8'zh'%E5%91%A8.docx", "周.docx"),
        ("attachment; filename=\"x.docx\"; filename*=UTF-8''%E5%91%A8.docx", "周.docx"),
        ("attachment; filename*=UTF-8''%E5%91%A8.docx; filename=\"x.docx\"", "周.docx"),
        ("attachment; filename*=GB18030''%D6%DC.docx", "周.docx"),
        ("attachment; filename*=UTF-8''%D6%DC.docx", "周.docx"),
        ("attachment; filename*=no-such-charset''%E5%91%A8.docx", "周.docx"),
        ("attachment; filename*=UTF-8''a%2Fb%5Cc.txt", "c.txt"),
        ('attachment; filename="%E5%91%A8%20%E6%8A%A5.docx"', "周 报.docx"),
        ('attachment; filename="%D6%DC.docx"', "周.docx"),
        ('attachment; filename="100%.txt"', "100%.txt"),
        ('attachment; filename="a+b.txt"', "a+b.txt"),
        ('attachment; filename="周报.docx"', "周报.docx"),
        ('attachment; filename="' + "周报.docx".encode().decode("latin-1") + '"', "周报.docx"),
        ('attachment; filename="' + "周报.docx".encode("gb18030").decode("latin-1") + '"', "周报.docx"),
        ('attachment; filename="café.txt"', "café.txt"),
        ('attachment; FileName="CASE.txt"', "CASE.txt"),
    ],
)
def test_file_names(header: str | None, name: str | None) -> None:
    assert file_name(header) == name


@pytest.mark.parametrize("name", ["周报.docx".encode(), "周报.docx".encode("gb18030")])
async def test_raw_bytes_in_the_header(name: bytes, downloader: Downloader) -> None:
    async with storage(Answer.of(encrypt(b"x"), Content_Disposition=b'attachment; filename="' + name + b'"')) as far:
        assert (await downloader.fetch(far.url, KEY))[1] == "周报.docx"


@given(st.text(max_size=300))
def test_file_name_never_fails(header: str) -> None:
    name = file_name(f'attachment; filename="{header}"')
    assert name is None or not set(name) & {"/", "\\"}


@given(st.text(max_size=400))
def test_safe_names_are_safe(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert not set(safe) & set('/\\:*?"<>|\x00\n')
    assert not safe.startswith(".")
    assert len(safe.encode()) <= download.NAME_LIMIT
    assert Path("/folder", safe).parent == Path("/folder")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("周报 2026.docx", "周报 2026.docx"),
        ("a/b", "a_b"),
        ("..", "file"),
        (".hidden", "hidden"),
        ("", "file"),
        ("\u202etxt.exe", "txt.exe"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("字" * 100 + ".pdf", "字" * 65 + ".pdf"),
        ("no extension " + "x" * 10 + ". but a sentence", "no extension xxxxxxxxxx. but a sentence"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_place_works_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "part").write_text("new")
    assert place(tmp_path / "part", tmp_path, "a.txt") == tmp_path / "a (2).txt"
    assert (tmp_path / "a.txt").read_text() == "old"


def test_errors_are_media_errors() -> None:
    for kind in (MediaTooLarge, MediaUnavailable, MediaUndecryptable):
        assert issubclass(kind, MediaError)
