"""Server-sent events of a chat completion: bytes of the body in, decoded chunks out.

Knows the lines of the event-stream format and the JSON in their data fields. Does not know what a chunk means.

Every read of the body is decoded at once, so that a burst of tokens costs one pass. Deviations it takes: CR, LF and
CRLF; a byte order mark; comments; ``data:`` without its space; data over several lines; events without the blank line
between them; control characters inside JSON strings; broken UTF-8; a body that is one JSON document and no stream.
"""

import json

from agent.model.errors import BadAnswer

# No event of a text model comes near; a body without line ends must not fill the memory.
LINE_LIMIT = 8 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_decode = json.JSONDecoder(strict=False).decode


class Decoder:
    """Decodes one body. ``done`` is True from ``[DONE]`` on; what follows it is ignored."""

    def __init__(self) -> None:
        self.done = False
        self._tail = b""  # the last line, without its end yet
        self._data: list[str] = []  # data lines that are no JSON on their own
        self._stray: list[bytes] = []  # lines that are no event stream
        self._held = 0  # bytes in the two lists
        self._begun = False  # the first line was seen
        self.is_stream = False  # a data line was seen

    def feed(self, data: bytes) -> list[object]:
        """The JSON values of all events that ``data`` completes. Raises `BadAnswer` on data that is no JSON."""
        if self._tail:
            data = self._tail + data
        if b"\r" in data:
            if data.endswith(b"\r"):  # half of a CRLF, perhaps
                self._tail = data
                return []
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = data.split(b"\n")
        self._tail = lines.pop()
        values = self._read(lines)
        if len(self._tail) + self._held > LINE_LIMIT and not self.done:
            raise BadAnswer(f"the endpoint sent more than {LINE_LIMIT} bytes without an event in them")
        return values

    def flush(self) -> list[object]:
        """What the end of the body completes. An event that the end cuts in two is dropped, as the format has it; a
        body that never was an event stream is read as one JSON document."""
        lines = self._tail.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._tail = b""
        values = self._read(lines)
        if self.is_stream:
            return values
        body = b"\n".join(self._stray).strip()
        try:
            return [_decode(body.decode("utf-8", "replace"))] if body else []
        except ValueError:
            raise BadAnswer(f"the endpoint answered {len(body)} bytes that are neither SSE nor JSON") from None

    def _read(self, lines: list[bytes]) -> list[object]:
        values: list[object] = []
        for line in lines:
            if self.done:
                break
            if line and not self._begun:
                self._begun = True
                line = line.removeprefix(_BOM)
            if line.startswith(b"data:"):
                self.is_stream = True
                self._add(line[5:].decode("utf-8", "replace").strip(), values)
            elif not line:
                self._end(values)
            elif not self.is_stream and not line.startswith((b":", b"event:", b"id:", b"retry:")):
                self._stray.append(line)
                self._held += len(line)
        return values

    def _add(self, text: str, values: list[object]) -> None:
        """Endpoints write an event's JSON into one data line; only what is no JSON alone waits for more lines."""
        if text == "[DONE]":
            self.done = True
        elif not text:
            pass
        elif self._data:
            self._data.append(text)
            self._held += len(text)
        else:
            try:
                values.append(_decode(text))
            except ValueError:
                self._data.append(text)
                self._held = len(text)

    def _end(self, values: list[object]) -> None:
        if not self._data:
            return
        try:
            values.append(_decode("\n".join(self._data)))
        except ValueError:
            raise BadAnswer(f"the endpoint sent an event of {self._held} bytes that is no JSON") from None
        self._data.clear()
        self._held = 0
