"""The real federation on this machine: HTTPS, keys, and sites that die, are slow, come late or send no numbers."""

import os
import signal
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from bonexray.base.errors import BonexrayError

pytest.importorskip("flwr", reason="no Flower here: pip install 'bonexray[federated]'")

import httpx
from federations import CLASSES, RECIPE, site_of
from flwr.app import Array, ArrayRecord, Context, Message

from bonexray.federate import node
from bonexray.federate.client import client_app
from bonexray.federate.keys import read_public_keys, read_site_key, write_server_keys, write_site_keys
from bonexray.federate.link import LinkGrid, open_link
from bonexray.federate.node import serve_site
from bonexray.federate.plan import Plan
from bonexray.federate.rounds import FederatedHead, train_together
from bonexray.federate.simulation import simulate
from bonexray.federate.sockets import address_of, listening

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # nothing here may wait for a peer without end
SIZES = (120, 90, 60)
SITES = [site_of(size, seed) for seed, size in enumerate(SIZES)]
PLAN = Plan(rounds=3, round_seconds=30)
SCRIPT = Path(__file__).with_name("federation_site.py")
App = Callable[[Message, Context], Message]
StartSite = Callable[[int, int], "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of a server and of three sites that it knows, and of one that it does not."""
    folder = tmp_path_factory.mktemp("keys")
    write_server_keys(folder / "server", ["127.0.0.1", "localhost"])
    write_server_keys(folder / "other_server", ["127.0.0.1"])
    (folder / "public").mkdir()
    for seed in range(4):
        write_site_keys(folder / f"site_{seed}", f"hospital_{seed}")
        if seed < 3:
            name = f"hospital_{seed}.pub"
            (folder / "public" / name).write_bytes((folder / f"site_{seed}" / name).read_bytes())
    return folder


@contextmanager
def linked(keys: Path) -> Iterator[tuple[LinkGrid, int]]:
    """A server that knows three sites."""
    with open_link(("127.0.0.1", 0), keys / "server", read_public_keys(keys / "public"), 120) as (grid, port):
        yield grid, port


def serve(app: App, keys: Path, seed: int, port: int, lines: list[str] | None = None) -> None:
    """Answer the server as a site, until the end of the training."""
    key, tell = read_site_key(keys / f"site_{seed}/site.key"), (lines if lines is not None else []).append
    serve_site(app, ("127.0.0.1", port), keys / "server/ca.pem", key, 20, tell)


@pytest.fixture
def process_of(keys: Path) -> Iterator[Callable[[int, int], subprocess.Popen[str]]]:
    """A function that starts a site as a process of its own, by seed and port; what still runs at the end is killed."""
    with ExitStack() as stack:

        def start(seed: int, port: int) -> subprocess.Popen[str]:
            command = [sys.executable, str(SCRIPT), str(port), str(keys), str(seed), str(SIZES[seed])]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)  # before the wait of the line above
            return process

        yield start


def trained(keys: Path, apps: dict[int, App], plan: Plan, before: Callable[[LinkGrid, int], None] = lambda *_: None):
    """Train with sites that are threads of this process."""
    with ThreadPoolExecutor() as pool, linked(keys) as (grid, port):  # a failure ends the server, then the sites
        answers = [pool.submit(serve, app, keys, seed, port) for seed, app in apps.items()]
        try:
            grid.wait_for(len(apps))
            before(grid, port)
            head = train_together(grid, RECIPE, plan, names=grid.names)
        finally:
            grid.finish()
        for answer in answers:
            answer.result(timeout=60)
    return head


def require_close(head: FederatedHead, expected: FederatedHead) -> None:
    """Compare two heads to 1e-5."""
    assert head.strength == expected.strength and head.images == expected.images
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(getattr(head, name), getattr(expected, name), atol=1e-5)


def test_three_processes_end_with_the_weights_of_the_simulation(keys: Path, process_of: StartSite) -> None:
    with linked(keys) as (grid, port):
        processes = [process_of(seed, port) for seed in range(3)]
        grid.wait_for(3)
        assert grid.connected() == ["hospital_0", "hospital_1", "hospital_2"]
        head = train_together(grid, RECIPE, PLAN, names=grid.names)
        grid.finish()
        output = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert all(lines.splitlines()[-1] == "the training has ended" for lines in output)
    require_close(head, simulate(SITES, PLAN))
    assert head.refused == 0


def test_a_site_that_is_killed_does_not_end_the_training(
    keys: Path, process_of: StartSite, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor() as pool, linked(keys) as (grid, port):  # a failure ends the server, then the sites
        dying = process_of(2, port)
        answers = [pool.submit(serve, client_app(SITES[seed]), keys, seed, port) for seed in range(2)]
        grid.wait_for(3)
        killer = threading.Thread(target=kill_after, args=(dying, "train: answered"))
        killer.start()
        head = train_together(grid, RECIPE, Plan(rounds=2, round_seconds=6), names=grid.names)
        grid.finish()
        for answer in answers:
            answer.result(timeout=60)
        killer.join(timeout=60)
    assert dying.wait(timeout=10) == -signal.SIGKILL
    assert np.isfinite(head.kernel).all() and len(head.log_losses) == 2
    assert "hospital_2 did not answer within 6 s" in caplog.text
    assert "hospital_0 did not answer" not in caplog.text


def kill_after(process: subprocess.Popen[str], line: str) -> None:
    """Kill a process once it has printed a line."""
    for printed in process.stdout:
        if printed.strip() == line:
            os.kill(process.pid, signal.SIGKILL)
            return


def test_an_answer_that_breaks_off_does_not_hold_up_the_round(
    keys: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A site that is killed while it sends leaves an answer whose arrays never come."""
    broken, this = client_app(SITES[1]), threading.local()

    def cut(message: Message, context: Context) -> Message:
        this.cuts = message.metadata.message_type == "train"
        return broken(message, context)

    def push(objects: dict, send: Callable, **options: object) -> None:
        if not getattr(this, "cuts", False):
            whole(objects, send, **options)

    whole = node.push_objects
    monkeypatch.setattr(node, "push_objects", push)
    begin = time.monotonic()
    head = trained(keys, {0: client_app(SITES[0]), 1: cut}, Plan(rounds=1, round_seconds=6))
    assert time.monotonic() - begin < 60
    assert "hospital_1 did not answer within 6 s" in caplog.text
    assert "hospital_0 did not answer" not in caplog.text
    assert np.isfinite(head.kernel).all() and head.images == sum(len(site.of("train").labels) for site in SITES[:2])


def test_a_slow_site_is_not_waited_for(keys: Path, caplog: pytest.LogCaptureFixture) -> None:
    slow = client_app(SITES[1])

    def late(message: Message, context: Context) -> Message:
        if message.metadata.message_type == "train":
            time.sleep(9)
        return slow(message, context)

    plan = Plan(rounds=1, round_seconds=6)
    head = trained(keys, {0: client_app(SITES[0]), 1: late, 2: client_app(SITES[2])}, plan)
    assert "hospital_1 did not answer within 6 s" in caplog.text
    with np.errstate(all="ignore"):  # its averages were in time, and are those of the scaling
        assert head.images == simulate(SITES, plan).images
    assert np.isfinite(head.kernel).all()


def test_a_site_that_comes_late_takes_part_from_then_on(keys: Path) -> None:
    seen: list[str] = []
    late, first = client_app(SITES[1]), client_app(SITES[0])
    started = threading.Event()

    def counted(message: Message, context: Context) -> Message:
        seen.append(message.metadata.message_type)
        return late(message, context)

    def starting(message: Message, context: Context) -> Message:
        if message.metadata.message_type == "evaluate" and not started.is_set():
            started.set()
            time.sleep(3)  # time for the other to connect
        return first(message, context)

    with ThreadPoolExecutor() as pool:

        def come_later(_grid: LinkGrid, port: int) -> None:
            pool.submit(lambda: started.wait(30) and serve(counted, keys, 1, port))

        head = trained(keys, {0: starting}, Plan(rounds=3, round_seconds=20), come_later)
    assert "train" in seen and "query.moments" not in seen
    assert head.images == len(SITES[0].of("train").labels)


def test_a_site_that_sends_nan_is_left_out(keys: Path, caplog: pytest.LogCaptureFixture) -> None:
    honest = client_app(SITES[1])

    def broken(message: Message, context: Context) -> Message:
        reply = honest(message, context)
        if message.metadata.message_type == "train":
            arrays = {name: Array(np.full(a.shape, np.nan)) for name, a in reply.content["arrays"].items()}
            reply.content["arrays"] = ArrayRecord(arrays)
        return reply

    head = trained(keys, {0: client_app(SITES[0]), 1: broken, 2: client_app(SITES[2])}, Plan(rounds=2))
    assert np.isfinite(head.kernel).all() and head.refused == 2
    assert "hospital_1 is left out of this round: its kernel is not finite" in caplog.text


def test_a_site_that_raises_tells_the_server_nothing_of_it(keys: Path, caplog: pytest.LogCaptureFixture) -> None:
    def raising(message: Message, context: Context) -> Message:
        raise OSError("/home/anna/patients/p17.dcm is damaged")

    sent: list[Message] = []
    with ThreadPoolExecutor() as pool, linked(keys) as (grid, port):  # a failure ends the server, then the sites
        ending = pool.submit(serve, raising, keys, 0, port)
        grid.wait_for(1)
        ask = grid.send_and_receive

        def recorded(messages, *, timeout=None):
            sent.extend(answers := ask(messages, timeout=timeout))
            return answers

        grid.send_and_receive = recorded
        with pytest.raises(BonexrayError, match="no sound answer"):
            train_together(grid, RECIPE, PLAN, names=grid.names)
        grid.finish()
        ending.result(timeout=60)
    assert sent[0].error.reason == "the site stopped with an error"
    assert "hospital_0 is left out of this round: its training stopped with an error" in caplog.text


def test_a_site_with_another_recipe_ends_with_one_line_and_the_others_go_on(keys: Path) -> None:
    from dataclasses import replace

    other = replace(SITES[1], recipe={**RECIPE, "classes": CLASSES[::-1]})
    with ThreadPoolExecutor() as pool, linked(keys) as (grid, port):  # a failure ends the server, then the sites
        refusing = pool.submit(serve, client_app(other), keys, 1, port)
        going_on = pool.submit(serve, client_app(SITES[0]), keys, 0, port)
        grid.wait_for(2)
        head = train_together(grid, RECIPE, Plan(rounds=1), names=grid.names)
        grid.finish()
        with pytest.raises(BonexrayError, match="classes of the federation: expected"):
            refusing.result(timeout=60)
        going_on.result(timeout=60)
    assert head.images == len(SITES[0].of("train").labels)


@pytest.mark.parametrize(("site", "server"), [("site_3", "server"), ("site_0", "other_server")])
def test_who_is_not_known_is_not_let_in(keys: Path, site: str, server: str) -> None:
    code = (
        "import sys; from pathlib import Path; from bonexray.federate.flower import require_flower; require_flower()\n"
        "from bonexray.base.errors import BonexrayError; from bonexray.federate.keys import read_site_key\n"
        "from bonexray.federate.node import serve_site\n"
        f"keys = Path({str(keys)!r})\n"
        "try:\n"
        f"    serve_site(None, ('127.0.0.1', int(sys.argv[1])), keys / {server!r} / 'ca.pem',"
        f" read_site_key(keys / {site!r} / 'site.key'), 5, print)\n"
        "except BonexrayError as error:\n"
        "    print(error)"
    )
    with linked(keys) as (grid, port):
        done = subprocess.run([sys.executable, "-c", code, str(port)], capture_output=True, text=True, timeout=60)
        assert grid.connected() == []
    assert "expected a server that lets this site in" in done.stdout, done.stderr
    assert "connected" not in done.stdout and "Traceback" not in done.stderr


def test_the_server_offers_the_fleet_api_alone_and_only_over_https(keys: Path) -> None:
    trust = ssl.create_default_context(cafile=keys / "server/ca.pem")
    with linked(keys) as (_, port):
        kind = {"content-type": "application/protobuf"}
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trust, headers=kind) as web:
            for path in ("/docs", "/openapi.json", "/v1/control/list-runs", "/v1/runtime/get-nodes", "/"):
                assert web.post(path).status_code == 404 and web.get(path).status_code == 404, path
            for path in ("activate-node", "register-node", "pull-messages", "push-object"):
                assert web.post(f"/v1/fleet/{path}").status_code == 401, path  # without a signature
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"https://localhost:{port}/")  # whose authority nobody else knows
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/")


def test_without_sites_the_server_stops_waiting(keys: Path) -> None:
    known, received = read_public_keys(keys / "public"), r"at least 2, received 0 after 0\.3 s"
    with (
        open_link(("127.0.0.1", 0), keys / "server", known, 0.3) as (grid, _),
        pytest.raises(BonexrayError, match=received),
    ):
        grid.wait_for(2)


# Keys and addresses


def test_private_keys_are_for_their_owner_alone(keys: Path) -> None:
    for name in ("server/server.key", "site_0/site.key"):
        assert stat.S_IMODE((keys / name).stat().st_mode) == 0o600
    assert {path.name for path in (keys / "server").iterdir()} == {"ca.pem", "server.pem", "server.key"}
    with pytest.raises(BonexrayError, match="expected no file of that name"):
        write_site_keys(keys / "site_0", "hospital_0")


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "site.key"
    if content is not None:
        path.write_bytes(content)
        (tmp_path / "a.pub").write_bytes(content)
    with pytest.raises(BonexrayError, match="expected the private key of a site"):
        read_site_key(path)
    with pytest.raises(BonexrayError, match="public key of"):
        read_public_keys(tmp_path)


@pytest.mark.parametrize("text", ["8443", ":8443", "a:", "a:b", "a:70000", ""])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    assert address_of("[::1]:8443", "--server") == ("::1", 8443)
    with pytest.raises(BonexrayError, match="--server: expected host:port"):
        address_of(text, "--server")


def test_a_port_that_is_taken_is_named() -> None:
    with listening(("127.0.0.1", 0)) as taken, pytest.raises(BonexrayError, match="a free port of this machine"):
        listening(("127.0.0.1", taken.getsockname()[1]))
