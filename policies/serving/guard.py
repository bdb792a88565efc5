"""Who may ask, and how much at once: seen to before anything of a request is read."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import JSONResponse

MOST_BYTES = 16 * 2**20  # of a request's body: some 10,000 states
# They say nothing of any seller, and a browser cannot bear a token before it has a page.
OPEN = ("/", "/docs", "/openapi.json", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guard:
    """ASGI: lets a request through that bears the ``token``, where there is one, and whose body is not too large."""

    def __init__(self, app: App, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        if self.token and scope["path"] not in OPEN and not self._bears(headers.get(b"authorization", b"")):
            message = "Authorization: must be 'Bearer TOKEN' with this server's token"
            refusal = JSONResponse({"error": message}, 401, {"WWW-Authenticate": "Bearer"})
            return await refusal(scope, receive, send)
        body = await _body(receive)
        if body is None:
            refusal = JSONResponse({"error": f"body: must have at most {MOST_BYTES:,} bytes"}, 413)
            return await refusal(scope, receive, send)
        await self.app(scope, _again(body, receive), send)

    def _bears(self, header: bytes) -> bool:
        scheme, _, given = header.partition(b" ")
        return scheme.lower() == b"bearer" and secrets.compare_digest(given.strip(), str(self.token).encode())


async def _body(receive: Receive) -> bytes | None:
    """All of a request's body; None where it is too large, of which nothing more is read."""
    parts, size = [], 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """What receives a body that was read already, and then whatever comes."""
    told = False

    async def once() -> MutableMapping[str, Any]:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
