"""The far side of the bench, a process of its own: a gateway that acks at once, a media store, and a model.

It checks nothing and keeps nothing, so that it costs far less than any client: frames are searched, not parsed.
Told what to do in JSON lines on stdin:

- `{"do": "await"}` answers with the bot id of the next client that subscribes.
- `{"do": "ask", "bot": …, "text": …, "chats": …, "rounds": …}` sends `text` from that many people at once, waits until
  each has a finished stream, and repeats that; answers with seconds, frames, and milliseconds to each first frame.
- `{"do": "usage"}` answers with its own CPU seconds and the count of frames and model tokens so far.
"""

import asyncio
import base64
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.speedups import apply_mask

DOWNLOAD_SIZE = 20_000_000
TEXT, BINARY, CLOSE = 1, 2, 8
PATIENCE = 40.0
PAUSE = 0.003  # between rounds, so that what a client does after its last ack does not count as the next latency

# The model streams pieces of two characters, as many as the question asks for ("in 200 tokens"), TOKEN_RATE a second.
TOKEN_RATE = 20

_CMD = re.compile(rb'"cmd": ?"(\w+)"')
_REQ_ID = re.compile(rb'"req_id": ?"([^"]+)"')
_ACK = b'{"headers":{"req_id":"%b"},"errcode":0,"errmsg":"ok"%b}'
_BODIES = {
    b"aibot_upload_media_init": b',"body":{"upload_id":"upload"}',
    b"aibot_upload_media_finish": b',"body":{"type":"file","media_id":"media","created_at":"1700000000"}',
}


class Gateway:
    """The clients that are connected, and the questions that are open; it asks one client at a time."""

    def __init__(self) -> None:
        self.peers: dict[str, Peer] = {}
        self.arrivals: asyncio.Queue[str] = asyncio.Queue()
        self.frames = self.tokens = 0
        self._asked: dict[bytes, float] = {}
        self._open: set[bytes] = set()
        self._answered = asyncio.Event()
        self._count = 0
        self._first: list[float] = []

    async def ask(self, bot: str, text: str, chats: int, rounds: int) -> dict[str, Any]:
        peer = self.peers.get(bot)
        if peer is None:
            return {"error": f"{bot} is no longer connected"}
        self._first, frames, began = [], self.frames, time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                for _ in range(rounds):
                    await self._round(peer, text, chats)
                    if rounds > 1:
                        await asyncio.sleep(PAUSE)
        except TimeoutError:
            return {"error": f"{len(self._open)} of {chats} answers were not finished within {PATIENCE:g} s"}
        seconds = time.perf_counter() - began
        return {"seconds": seconds, "frames": self.frames - frames, "first": self._first}

    async def _round(self, peer: "Peer", text: str, chats: int) -> None:
        self._answered.clear()
        questions = [self._question(text) for _ in range(chats)]
        self._open = {req_id for req_id, _ in questions}
        for req_id, question in questions:
            self._asked[req_id] = time.perf_counter()
            peer.send(question)
        await self._answered.wait()

    def _question(self, text: str) -> tuple[bytes, bytes]:
        self._count += 1
        req_id = f"question-{self._count}"
        body = {
            "msgid": f"message-{self._count}",
            "aibotid": "bot",
            "chattype": "single",
            "from": {"userid": f"person-{self._count}"},
            "create_time": int(time.time()),
            "msgtype": "text",
            "text": {"content": text},
        }
        frame = {"cmd": "aibot_msg_callback", "headers": {"req_id": req_id}, "body": body}
        return req_id.encode(), json.dumps(frame, ensure_ascii=False).encode()

    def received(self, peer: "Peer", data: bytes, at: float) -> bytes:
        """The ack of a client's frame that was complete at `at`."""
        cmd, found = _CMD.search(data), _REQ_ID.search(data)
        assert cmd is not None
        assert found is not None
        name, req_id = cmd[1], found[1]
        if name == b"aibot_respond_msg":
            self.frames += 1
            asked = self._asked.pop(req_id, None)
            if asked is not None:
                self._first.append((at - asked) * 1000)
            if b'"finish": true' in data or b'"finish":true' in data:
                self._open.discard(req_id)
                if not self._open:
                    self._answered.set()
        elif name == b"aibot_subscribe":
            bot = json.loads(data)["body"]["bot_id"]
            self.peers[bot] = peer
            self.arrivals.put_nowait(bot)
        return _ACK % (req_id, _BODIES.get(name, b""))


class Peer(asyncio.Protocol):
    """A WebSocket connection: the library's sans-IO handshake (no compression is agreed on, as with WeCom), then frames
    read by hand, which is a third of the cost. Clients send each message in one frame."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._handshake: ServerProtocol | None = ServerProtocol()
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        for bot, peer in list(self._gateway.peers.items()):
            if peer is self:
                del self._gateway.peers[bot]

    def data_received(self, data: bytes) -> None:
        at = time.perf_counter()
        if self._handshake is not None:
            self._handshake.receive_data(data)
            for request in self._handshake.events_received():
                assert isinstance(request, Request)
                self._handshake.send_response(self._handshake.accept(request))
                self._transport.writelines(self._handshake.data_to_send())
                self._handshake = None
            return
        self._buffer += data
        acks = [_framed(self._gateway.received(self, message, at)) for message in self._messages()]
        if acks:
            self._transport.write(b"".join(acks))

    def send(self, message: bytes) -> None:
        self._transport.write(_framed(message))

    def _messages(self) -> Iterator[bytes]:
        """The whole messages in the buffer, unmasked (RFC 6455 §5.2)."""
        buffer, at = self._buffer, 0
        while len(buffer) >= at + 14 or len(buffer) >= at + 6 + (buffer[at + 1] & 127 if len(buffer) > at + 1 else 9):
            opcode, size, start = buffer[at] & 15, buffer[at + 1] & 127, at + 2
            if size > 125:
                wide = 2 if size == 126 else 8
                size, start = int.from_bytes(buffer[start : start + wide]), start + wide
            end = start + 4 + size
            if len(buffer) < end:
                break
            if opcode == CLOSE:
                self._transport.close()
            elif opcode in (TEXT, BINARY):
                yield apply_mask(bytes(buffer[start + 4 : end]), bytes(buffer[start : start + 4]))
            at = end
        del buffer[:at]


def _framed(message: bytes) -> bytes:
    size = len(message)
    return (bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2)) + message


class Http:
    """`GET` of the encrypted file, and `POST /v1/chat/completions` as a stream of tokens."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        key = os.urandom(32)
        self.key = base64.b64encode(key).decode().rstrip("=")
        padding = 32 - DOWNLOAD_SIZE % 32
        cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
        self._file = cipher.update(os.urandom(DOWNLOAD_SIZE) + bytes([padding]) * padding) + cipher.finalize()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                if head.startswith(b"POST"):
                    await self._answer(json.loads(body), writer)
                else:
                    name = b'Content-Disposition: attachment; filename="file.bin"\r\n'
                    writer.write(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (name, len(self._file)))
                    writer.write(self._file)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        asked = re.findall(r"in (\d+) tokens", json.dumps(request["messages"][-1]))
        tokens = int(asked[-1]) if asked else 1
        about = {"id": "answer", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}
        usage = {"prompt_tokens": 100, "completion_tokens": tokens, "total_tokens": 100 + tokens}
        if not request.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": "好的。"}, "finish_reason": "stop"}
            text = json.dumps({**about, "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
            )
            return

        def event(delta: dict[str, str], reason: str | None = None) -> bytes:
            return _sse({**about, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            + event({"role": "assistant", "content": ""})
        )
        token, due = event({"content": "回答"}), time.perf_counter()
        for _ in range(tokens):
            writer.write(token)
            self._gateway.tokens += 1
            due += 1 / TOKEN_RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        writer.write(event({}, "stop") + _sse({**about, "choices": [], "usage": usage}) + _chunk(b"data: [DONE]\n\n"))
        writer.write(b"0\r\n\r\n")


def _sse(value: dict[str, Any]) -> bytes:
    return _chunk(b"data: %b\n\n" % json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def main() -> None:
    loop = asyncio.get_running_loop()
    gateway = Gateway()
    http = Http(gateway)
    line = await loop.create_server(lambda: Peer(gateway), "127.0.0.1", 0)
    store = await asyncio.start_server(http.serve, "127.0.0.1", 0)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    _, ws_port = line.sockets[0].getsockname()
    _, http_port = store.sockets[0].getsockname()
    url = f"http://127.0.0.1:{http_port}"
    say(ws=f"ws://127.0.0.1:{ws_port}", file=f"{url}/file", key=http.key, model=f"{url}/v1")
    while order := await orders.readline():
        match json.loads(order):
            case {"do": "await"}:
                say(bot=await gateway.arrivals.get())
            case {"do": "ask", **question}:
                say(**await gateway.ask(**question))
            case {"do": "usage"}:
                say(cpu=time.process_time(), frames=gateway.frames, tokens=gateway.tokens)


def say(**answer: Any) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
