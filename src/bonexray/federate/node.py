"""A site's end of a federation: it asks the server for messages, answers them, and sends nothing else."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import (
    ObjectPullError,
    ObjectPushError,
    inflate_object_from_contents,
    pull_objects,
    push_objects,
)
from flwr.supercore.logger import FLOWER_LOGGER, console_handler
from flwr.supercore.run import RunNotRunningException
from flwr.supernode.fleet_http_connection import http_request_response

from bonexray.base.errors import BonexrayError
from bonexray.federate.keys import Key
from bonexray.federate.messages import FINISH

log = logging.getLogger("bonexray")
PAUSE_S, PARTS_S = 0.2, 30.0  # between two questions to the server; for all parts of a message, which it sends at once
Tell = Callable[[str], None]


class _LastError(logging.Handler):
    """Keep what Flower would print about a connection that fails, for one line."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


def serve_site(
    app: ClientApp, server: tuple[str, int], authority: Path, key: Key, patience_s: float, tell: Tell
) -> None:
    """Answer the server's messages until it says that the training has ended.

    Args:
        app: the site's client.
        server: its host and port.
        authority: certificate that signs the server's.
        key: private key of the site.
        patience_s: longest time to try to reach the server again.
        tell: is told what happens, in one line each.

    Raises:
        BonexrayError: the server cannot be reached, does not know the key, or asks for another recipe.
    """
    host, port = server
    last, address = _LastError(), f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    console_handler.setLevel(logging.CRITICAL)
    FLOWER_LOGGER.addHandler(last)
    outcome: list[BonexrayError | None] = []  # Flower's connection keeps errors of the block to itself
    try:
        with http_request_response(
            address, False, authority.read_bytes(), (key, key.public_key()), max_wait_time=patience_s
        ) as connection:
            tell(f"connected to {address}")
            outcome.append(_until_finished(app, connection, tell))
    except SystemExit:
        raise _no_server(address, last.text) from None
    finally:
        FLOWER_LOGGER.removeHandler(last)
    if not outcome:
        raise _no_server(address, last.text)
    if outcome[0] is not None:
        raise outcome[0]


def _until_finished(app: ClientApp, connection: tuple, tell: Tell) -> BonexrayError | None:
    """Answer messages; return None at the end of the training, or the error that ends the part of this site."""
    node, receive, send, _, _, pull, push, confirm = connection
    context = Context(0, node, {}, RecordDict(), {})
    while True:
        message = _received(receive, pull, confirm)
        if message is None:
            time.sleep(PAUSE_S)
            continue
        if message.metadata.message_type == FINISH:
            _send(Message(RecordDict(), reply_to=message), send, push)
            tell("the training has ended")
            return None
        reply, error = _answer(app, message, context)
        tell(f"{message.metadata.message_type.removeprefix('query.')}: {'no answer' if error else 'answered'}")
        _send(reply, send, push)
        if isinstance(error, BonexrayError):
            return error


def _answer(app: ClientApp, message: Message, context: Context) -> tuple[Message, Exception | None]:
    """Return the answer of a site; that of an error has no word of it, which could name a file."""
    try:
        return app(message, context), None
    except Exception as error:
        log.error("no answer to the server: %s", error)
        log.debug("failed", exc_info=True)
        plain = Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, "the site stopped with an error")
        return Message(plain, reply_to=message), error


def _received(receive: Callable, pull: Callable, confirm: Callable) -> Message | None:
    """Return the next message with its content, or None if there is none, or it is withdrawn."""
    try:
        if (found := receive()) is None:
            return None
        head, tree = found
        run, number = head.metadata.run_id, head.metadata.message_id
        parts = [each.object_id for each in iterate_object_tree(tree)]
        contents = pull_objects(parts, lambda name: pull(run, name), max_time=PARTS_S, initial_backoff=PAUSE_S)
        confirm(run, number)
    except (ObjectPullError, RunNotRunningException):
        return None
    message = inflate_object_from_contents(number, contents)
    message.metadata.__dict__["_message_id"] = number
    return message


def _send(reply: Message, send: Callable, push: Callable) -> None:
    """Send an answer; one that comes too late is dropped."""
    run = reply.metadata.run_id
    try:
        with no_object_id_recompute():
            reply.metadata.__dict__["_message_id"] = reply.object_id
            objects = get_all_nested_objects(reply)
            wanted, session = send(reply, get_object_tree(reply), 0.0)
            push_objects(objects, lambda name, content: push(run, session, name, content), object_ids_to_push=wanted)
    except (ObjectPushError, RunNotRunningException):
        log.warning("the answer came too late for its round")


def _no_server(address: str, text: str) -> BonexrayError:
    received = " ".join(text.split())[:200] or "no answer"
    do = "check the address, the certificate of --ca, and that the server has this site's .pub file"
    return BonexrayError(f"--server {address}", expected="a server that lets this site in", received=received, do=do)
