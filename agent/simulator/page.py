"""The playground's page: its files over HTTP, with headers that let a browser run nothing but them.

    app = Starlette(routes=[*page.routes(), ...])     # GET /, /static/{name}, /favicon.ico

This file knows the files and their headers. What the page talks to (the control API and the live feed) is the
gateway's; what it shows is decided in ``static/``, which is served as it stands: no build step, nothing external.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

# Bots and people write what the page shows, so nothing may load or run but these files. A socket to the page's own
# host counts as 'self' in connect-src.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address may hold the token
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # asked again each time, answered with 304 while nothing has changed
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str


def _read(folder: Path) -> dict[str, _File]:
    files = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            files[path.name] = _File(content, _TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    return files


def routes() -> list[Route]:
    """The page's routes. The files are read once, here; only names that exist then are ever served."""
    files = _read(Path(__file__).with_name("static"))

    def answer(request: Request, name: str) -> Response:
        file = files.get(name)
        if file is None:
            return Response("not found", 404, media_type="text/plain")
        headers = {**_HEADERS, "ETag": file.etag}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers, media_type=file.media_type)

    async def index(request: Request) -> Response:
        return answer(request, "index.html")

    async def asset(request: Request) -> Response:
        return answer(request, request.path_params["name"])

    async def icon(request: Request) -> Response:
        return answer(request, "favicon.svg")

    return [
        Route("/", index, methods=["GET"]),
        Route("/static/{name}", asset, methods=["GET"]),
        Route("/favicon.ico", icon, methods=["GET"]),
    ]
