"""Other sound as AMR, with real recordings made on the spot."""

import io
import sys
import wave
from pathlib import Path

import pytest

from agent.simulator import Simulator
from agent.wecom.upload import amr_seconds
from agent.wecom.voice import is_amr, to_amr
from tests.wecom.running import running, server_on


def recording(seconds: float, rate: int = 22_050) -> bytes:
    """A WAV of a rectangular tone in two channels."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        period = b"\x00\x10\x00\x10" * 25 + b"\x00\xf0\x00\xf0" * 25
        file.writeframes((period * int(seconds * rate / 50 + 1))[: int(seconds * rate) * 4])
    return out.getvalue()


def test_a_recording_becomes_amr_of_the_same_length(tmp_path: Path) -> None:
    path = tmp_path / "留言.wav"
    path.write_bytes(recording(2))
    for content in (path, path.read_bytes()):
        found = to_amr(content)
        assert found is not None
        assert is_amr(found)
        assert amr_seconds(found) == pytest.approx(2, abs=0.05)
        assert len(found) == pytest.approx(2 * 50 * 32, abs=70)  # 12.2 kbit/s: 32 bytes a frame of 20 ms


@pytest.mark.parametrize("content", [b"no sound at all", b"RIFF....WAVE", recording(60.5)])
def test_what_cannot_become_amr(content: bytes) -> None:
    assert to_amr(content) is None


def test_without_pyav_nothing_is_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert to_amr(recording(1)) is None


async def test_sound_is_sent_as_a_voice_message(tmp_path: Path) -> None:
    path = tmp_path / "留言.wav"
    path.write_bytes(recording(1))
    async with Simulator() as sim:
        server = server_on(sim.ws_url)
        server.set_message_handler(lambda _: None)
        async with running(server):
            sim.gateway.say("li", "hi")
            await server.send_voice("li", str(path))
            shown = sim.gateway.messages("user:li")[-1]
            assert (shown.kind, shown.media[0]["name"]) == ("voice", "留言.amr")
            assert is_amr(sim.gateway.media_bytes(shown.media[0]["media_id"]))
        assert not sim.gateway.check()
