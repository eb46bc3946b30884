"""Requests that are refused, each with one line that says why."""

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import JSONResponse


class Refused(Exception):
    """A request that is not answered; the message is the reason.

    Args:
        status: the HTTP status.
        reason: one line.
        headers: further headers of the response.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.reason, self.headers = status, " ".join(reason.split()), dict(headers or {})
        super().__init__(self.reason)


async def refusal(request: Request, error: Refused) -> JSONResponse:
    """Return the response to a request that is refused."""
    return JSONResponse({"detail": error.reason}, error.status, error.headers)
