"""The server of the page, on this machine alone."""

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

import uvicorn

from bonexray.base.errors import BonexrayError
from bonexray.serving.predictor import Predictor
from bonexray.serving.web.app import create_app, warm_up
from bonexray.serving.web.upload import Limits

ADDRESS, CONNECTIONS = "127.0.0.1", 256


def serve(predictors: Sequence[Predictor], port: int, limits: Limits, ready: Callable[[str], None]) -> None:
    """Serve the page until the process is interrupted.

    Args:
        predictors: one model, or two.
        port: of `ADDRESS`; 0 takes a free one.
        limits: bounds on what it takes.
        ready: called with the address of the page once connections are taken.

    Raises:
        BonexrayError: the port is taken.
    """
    with _listening(port) as listener:
        warm_up(predictors)
        config = uvicorn.Config(
            create_app(predictors, limits),
            http="h11",
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=5,
        )
        ready(f"http://{ADDRESS}:{listener.getsockname()[1]}")
        with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
            uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
    except (OSError, OverflowError) as error:
        listener.close()
        expected = f"a free port of {ADDRESS}"
        raise BonexrayError(f"--port {port}", expected=expected, received=str(error), do="name another one") from None
    listener.listen(128)
    return listener
