"""Who may ask for anything: the token in the path, the name of the host, and the headers of answers.

It stands before everything else, so that no route can forget it.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from typing import Final

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECURITY_HEADERS: Final = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
            b" connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),  # the URL has the token
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)

_LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Gate:
    """Lets requests with the token through to the application."""

    def __init__(self, application: ASGIApp, *, token: str, only_loopback: bool) -> None:
        """`only_loopback`: the server is bound to this machine alone, so it has no other name.

        A page on the web can give its own name this machine's address (DNS rebinding). Such requests
        have that name in their Host header.
        """
        self._application = application
        self._token = token.encode("ascii")
        self._only_loopback = only_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_SECURITY_HEADERS]
            await send(message)

        answer = self._refusal(scope)
        if answer is None:
            _, _, rest = scope["path"][1:].partition("/")
            scope = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}
            answer = self._application
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """The answer to a request that does not get through, or None."""
        token, slash, _ = scope["path"][1:].partition("/")
        if not hmac.compare_digest(token.encode(errors="surrogatepass"), self._token):
            return PlainTextResponse("there is nothing here\n", 404)
        host = Headers(scope=scope).get("host", "")
        if self._only_loopback and _without_port(host) not in _LOOPBACK_NAMES:
            return PlainTextResponse("the Host header does not name this machine\n", 403)
        if not slash:
            return RedirectResponse(f"/{token}/", 308)
        return None


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
