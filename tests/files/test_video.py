import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from agent.files.extract import Unreadable
from agent.files.reader import Reader

av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def film() -> bytes:
    """Six seconds from red to blue, with a key frame each second."""
    data = io.BytesIO()
    with av.open(data, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 240, "yuv420p", 10
        for at in range(60):
            frame = av.VideoFrame.from_image(Image.new("RGB", (320, 240), (255 - at * 4, 0, at * 4)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return data.getvalue()


@pytest.mark.usefixtures("unprivileged")
async def test_frames_from_all_over_the_film(reader: Reader, write: Callable[[str, bytes], Path], film: bytes) -> None:
    path = write("a", film)
    frames = await reader.frames(path, 3)
    reds = []
    for frame in frames:
        with Image.open(io.BytesIO(frame.data)) as image:
            assert image.size == (320, 240)
            pixel = image.convert("RGB").getpixel((100, 100))
            assert isinstance(pixel, tuple)
            reds.append(pixel[0])
    assert len(reds) == 3 and reds[0] > 180 and 80 < reds[1] < 180 and reds[2] < 100
    facts = (await reader.read(path, "a.mp4")).facts
    assert (facts["seconds"], facts["width"], facts["height"]) == (6, 320, 240)


async def test_what_is_no_film(reader: Reader, write: Callable[[str, bytes], Path], film: bytes) -> None:
    for content, code in ((film[:200], "broken"), (b"text", "unsupported"), (b"#!AMR\n", "unsupported")):
        with pytest.raises(Unreadable, match=code):
            await reader.frames(write("a", content), 3)
    playlist = b"ffconcat version 1.0\nfile /etc/hostname\n"
    with pytest.raises(Unreadable, match="unsupported"):
        await reader.frames(write("b.mp4", playlist), 3)


async def test_without_the_extra(
    reader: Reader, write: Callable[[str, bytes], Path], film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = "import sys; sys.modules['av'] = None; "
    from agent.files import reader as module

    monkeypatch.setattr(module, "_START", start + module._START)
    with pytest.raises(Unreadable) as caught:
        await reader.frames(write("a.mp4", film), 3)
    assert (caught.value.code, caught.value.format) == ("unsupported", "MP4")
    assert "av" in caught.value.detail
