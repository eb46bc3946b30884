"""The body of a request, read with a bound on its size and on the time that it takes."""

import asyncio
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

from bonexray.serving.web.refusals import Refused

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Bounds on what the server takes.

    Attributes:
        upload_mb: largest file.
        upload_s: longest time for a file to arrive.
        waiting: largest number of files on the server: one in work, the others in memory.
    """

    upload_mb: float = 64
    upload_s: float = 30
    waiting: int = 12


async def read_upload(request: Request, limits: Limits) -> bytes:
    """Return the body of a request; at most `limits.upload_mb` of it are ever in memory.

    Raises:
        Refused: it is a form, too large or too slow, or ends early.
    """
    most = int(limits.upload_mb * MEGABYTE)
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise Refused(415, "a form; send the bytes of the file alone: curl --data-binary @knee.dcm")
    declared = request.headers.get("content-length", "")
    if declared.isdigit():
        _require_small(int(declared), most)
    content = bytearray()
    try:
        async with asyncio.timeout(limits.upload_s):
            async for chunk in request.stream():
                content += chunk
                _require_small(len(content), most)
    except TimeoutError:
        reason = f"the file did not arrive within {limits.upload_s:g} seconds"
        raise Refused(408, reason, {"Connection": "close"}) from None
    except ClientDisconnect:
        raise Refused(400, "the file did not arrive whole") from None
    return bytes(content)


def _require_small(size: int, most: int) -> None:
    if size > most:
        raise Refused(413, f"a file larger than {most / MEGABYTE:g} MB, the most that this server takes")
