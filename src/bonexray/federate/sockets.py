"""A listening socket, and an address as a user writes it."""

import socket

from bonexray.base.errors import BonexrayError


def address_of(text: str, option: str) -> tuple[str, int]:
    """Return host and port of an address such as `127.0.0.1:8443`.

    Raises:
        BonexrayError: it is not one.
    """
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65536):
        raise BonexrayError(option, expected="host:port", received=repr(text), do="correct it")
    return host.strip("[]"), int(port)


def listening(address: tuple[str, int]) -> socket.socket:
    """Return a socket that listens at host and port.

    Raises:
        BonexrayError: the port is taken, or the host is not one of this machine.
    """
    try:
        family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server(address, family=family, backlog=128)
    except (OSError, OverflowError) as error:
        received, do = str(error), "name another address"
        raise BonexrayError("--address", expected="a free port of this machine", received=received, do=do) from None
