"""Sound as WeCom takes it: AMR narrow-band of at most 60 s (protocol §14). Needs PyAV, the extra `voice`.

Knows how other recordings become that. What cannot, stays as it is, and goes as a file.
"""

import io
import logging
from itertools import chain
from pathlib import Path

from .sniff import HEAD_SIZE, sniff

SECONDS = 60
RATE = 8000
# The best of AMR-NB's eight rates; a minute is 94 KB.
BIT_RATE = 12_200
# Samples of one AMR frame: 20 ms.
FRAME = 160

_log = logging.getLogger(__name__)


def is_amr(head: bytes) -> bool:
    return sniff(head[:HEAD_SIZE])[0] == "audio/amr"


def to_amr(content: bytes | Path) -> bytes | None:
    """The recording as AMR; None without PyAV, for what holds no sound, and for more than 60 s. Blocks."""
    try:
        import av
        from av.error import FFmpegError
    except ImportError:
        return None
    out = io.BytesIO()
    try:
        with (
            av.open(io.BytesIO(content) if isinstance(content, bytes) else str(content), "r") as source,
            av.open(out, "w", format="amr") as target,
        ):
            stream = target.add_stream("libopencore_amrnb", rate=RATE)
            stream.bit_rate, stream.layout = BIT_RATE, "mono"
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE, frame_size=FRAME)
            samples = 0
            for decoded in chain(source.decode(audio=0), (None,)):
                for frame in resampler.resample(decoded):
                    samples += frame.samples
                    if samples > SECONDS * RATE:
                        return None
                    target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
    except (FFmpegError, IndexError, ValueError) as error:
        _log.info("a recording cannot be turned into AMR: %s", error)
        return None
    return out.getvalue() if samples else None
