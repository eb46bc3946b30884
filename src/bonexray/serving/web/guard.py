"""What surrounds every request: who may ask, and what a browser may do with the answer."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = ("127.0.0.1", "localhost")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuse requests of other sites' pages, and add `HEADERS` to every response.

    A page elsewhere could send an X-ray to a server on this machine, or give its own name this machine's address to read
    the answers. So the request must name this machine, and come from a page of this server or from no page.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] == "http" and (reason := _foreign(Headers(scope=scope))):
            await JSONResponse({"detail": reason}, 403)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def _foreign(headers: Headers) -> str | None:
    """Return why a request is not one of this machine's own, or None."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if host.rsplit(":", 1)[0] not in NAMES:
        return f"a request to another name than {' or '.join(NAMES)}"
    if origin is not None and origin != f"http://{host}":
        return "a request of another site's page"
    return None
