"""Frames of a video by PyAV, which comes with the extra `video`. For the child."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import av
import av.audio.codeccontext  # what the library would load when it meets the first of each
import av.audio.stream
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream

from agent.files import images
from agent.files.extract import Extract, Limits, Picture, Unreadable
from agent.files.kinds import Sort
from agent.files.manuscript import Manuscript

FRAMES = 16


def read(file: BinaryIO, sort: Sort, limits: Limits, out: Manuscript) -> Extract:
    """A video as a file: facts without text."""
    container, stream = _open(file)
    facts = {
        "format": sort.format,
        "width": stream.width,
        "height": stream.height,
        "seconds": round(_length(container)),
    }
    return out.extract("video", facts)


def frames(file: BinaryIO, count: int) -> list[Picture]:
    """Up to `count` frames, evenly spread, each the nearest key frame (these are decoded without any other)."""
    container, stream = _open(file)
    stream.codec_context.skip_frame = "NONKEY"
    stream.codec_context.thread_count = 1
    found = list(_spread(container, stream, max(1, min(count, FRAMES))))
    if not found:
        raise Unreadable("broken", "no frame can be decoded")
    return [_picture(each) for each in found]


def _open(file: BinaryIO) -> tuple[Any, Any]:
    try:
        container = av.open(file)
    except (av.FFmpegError, ValueError) as error:
        raise Unreadable("broken", type(error).__name__) from None
    if not container.streams.video:
        raise Unreadable("unsupported", "no picture in it")
    return container, container.streams.video[0]


def _length(container: Any) -> float:
    return (container.duration or 0) / av.time_base


def _spread(container: Any, stream: Any, count: int) -> Iterator[Any]:
    length = _length(container)
    last = None
    for at in range(count):
        try:
            container.seek(int(length * (at + 0.5) / count * av.time_base), backward=True)
            frame = next(container.decode(stream), None)
        except av.FFmpegError:
            continue
        if frame is not None and frame.pts != last:
            last = frame.pts
            yield frame


def _picture(frame: Any) -> Picture:
    scale = min(1.0, images.LONG_SIDE / max(frame.width, frame.height))
    size = {"width": max(2, round(frame.width * scale)), "height": max(2, round(frame.height * scale))}
    image = frame.to_image(**size, threads=1)  # no thread starts behind the fence
    return images.encode(image.rotate(frame.rotation, expand=True) if frame.rotation else image)
