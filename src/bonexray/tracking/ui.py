"""MLflow's page on this machine, opened at the comparison of the study."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bonexray.base.errors import BonexrayError
from bonexray.base.repository import main_repository
from bonexray.study import Settings
from bonexray.tracking.grouping import study_name
from bonexray.tracking.store import open_store, tracking_uri, without_secret
from bonexray.tracking.view import share_view

HOST, PORT, PORTS = "127.0.0.1", 5000, 100  # the first port that is tried, and how many
SECONDS_TO_START, SECONDS_TO_END = 300, 10


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Print the address of the study's comparison, and serve MLflow's page until it is interrupted.

    With a tracking server, its own page is named and nothing is started.

    Args:
        settings: the settings of the study.
        say: prints a line.

    Raises:
        BonexrayError: no port is free, or MLflow's server ended.
    """
    view = share_view(open_store(settings.track.name), study_name(settings))
    address = tracking_uri()
    if address.startswith("http"):
        say(f"{without_secret(address).rstrip('/')}{view}")
        return
    port = free_port()
    with _server(address, port) as server:
        _wait_for(server, f"http://{HOST}:{port}/health")
        say(f"http://{HOST}:{port}{view}")
        say("Ctrl+C ends the server")
        server.wait()


def free_port(first: int = PORT) -> int:
    """Return the first port from a number on that is free on this machine."""
    for port in range(first, first + PORTS):
        if not _answers(port) and _can_bind(port):
            return port
    expected = f"a free port between {first} and {first + PORTS - 1}"
    raise BonexrayError("bonexray ui", expected=expected, received="none", do="end the servers that use them")


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1)
        return asking.connect_ex((HOST, port)) == 0


def _can_bind(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError:
            return False
    return True


@contextmanager
def _server(address: str, port: int) -> Iterator[subprocess.Popen]:
    """Yield a server of MLflow's page, which ends with the block; the store's address is not in the list of processes."""
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), "--workers", "1"]
    env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ, "MLFLOW_BACKEND_STORE_URI": address}
    handlers = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    with subprocess.Popen(command, env=env, cwd=main_repository(), process_group=0) as server:
        try:
            yield server
        finally:
            _end(server)
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _end(server: subprocess.Popen) -> None:
    """End the server and its workers."""
    try:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait_for(server: subprocess.Popen, address: str) -> None:
    ends = time.monotonic() + SECONDS_TO_START
    while server.poll() is None and time.monotonic() < ends:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise BonexrayError(
        "bonexray ui",
        expected="a server of MLflow's page",
        received=f"it ended with {server.returncode}" if server.returncode is not None else "no answer",
        do="see its lines above",
    )
