"""Who may speak to the HTTP side: Host, Origin, token and size, before anything else looks at a request."""

import hmac
import ipaddress
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.simulator import people

BODY_LIMIT = people.FILE_LIMIT + 1024 * 1024
COOKIE = "wecom_agent_token"
# Signed by an unguessable part of their own address, and fetched by bots, which know no token.
_SIGNED = ("/media/", "/cgi-bin/aibot/response")


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches ``host``."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hostname(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


class Guard:
    """Host, Origin, token and size, before anything else looks at a request.

    A page of another origin could otherwise reach a server on this machine through its reader's browser: by a form, by
    a WebSocket, or by a host name that resolves to 127.0.0.1.
    """

    def __init__(self, app: ASGIApp, *, loopback: bool, token: str) -> None:
        self._app = app
        self._loopback = loopback
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        offered = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if refusal := self._refusal(scope, headers, offered):
            status, why = refusal
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": why})
            else:
                await JSONResponse({"error": {"message": why}}, status)(scope, receive, send)
            return
        if self._token and offered:
            send = self._setting_cookie(send)
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers, offered: str) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if self._loopback and not is_loopback(_hostname(host)):
            return 421, f"this server answers to loopback names only, not to {host!r}"
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return 403, f"requests from {origin!r} are not allowed"
        if "transfer-encoding" in headers:
            return 411, "a body must come with its Content-Length"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_LIMIT:
            return 413, f"a body of {length} bytes is more than {BODY_LIMIT}"
        if self._token and not scope["path"].startswith(_SIGNED) and not self._is_known(headers, offered):
            return 401, "a token is needed: open the address that was printed, or send Authorization: Bearer"
        return None

    def _is_known(self, headers: Headers, offered: str) -> bool:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        candidates = (offered, bearer, cookie.value if cookie else "")
        return any(hmac.compare_digest(candidate.encode(), self._token.encode()) for candidate in candidates)

    def _setting_cookie(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie.encode("latin-1"))]
            await send(message)

        return sending
