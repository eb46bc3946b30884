"""Data and results by way of a remote: pushed by one clone, taken by others, in a folder and in S3 on this machine."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DVC_YAML = """
stages:
  double:
    cmd: python double.py
    deps: [double.py, images.csv]
    outs: [doubled.csv]
"""
DOUBLE = "open('doubled.csv', 'w').write(2 * open('images.csv').read()); open('ran.log', 'a').write('ran\\n')\n"
SECRETS = {"AWS_ACCESS_KEY_ID": "anna", "AWS_SECRET_ACCESS_KEY": "correct-horse-battery"}


class Clone:
    """A clone of the study's repository, as one person has it; commands run in it as they type them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {
            **os.environ,
            **SECRETS,
            "PATH": path,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
        }
        self.environment.pop("DVC_ROOT", None)

    def run(self, command: str, fails: bool = False) -> str:
        done = subprocess.run(
            command.split(), cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode != 0) == fails, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    @property
    def times_run(self) -> int:
        log = self.folder / "ran.log"
        return len(log.read_text().splitlines()) if log.exists() else 0

    @property
    def doubled(self) -> str | None:
        file = self.folder / "doubled.csv"
        return file.read_text() if file.exists() else None


class Remote:
    """A place that holds data, and can go away and come back."""

    def __init__(self, commands: list[str], go: Callable[[], None], come_back: Callable[[], None]) -> None:
        self.commands, self.go, self.come_back = commands, go, come_back


@pytest.fixture
def folder_remote(tmp_path: Path) -> Remote:
    place, away = tmp_path / "remote", tmp_path / "away"

    def go() -> None:
        if place.exists():
            place.rename(away)
        place.write_text("no folder")

    def come_back() -> None:
        place.unlink()
        if away.exists():
            away.rename(place)

    return Remote([f"dvc remote add -d team {place}"], go, come_back)


@pytest.fixture
def s3_remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    pytest.importorskip("dvc_s3", reason="no dvc-s3 here: pip install 'bonexray[s3]'")
    moto = pytest.importorskip("moto.server", reason="no S3 server here: pip install 'bonexray[slow]'")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    servers = [moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)]
    servers[0].start()
    _, port = servers[0].get_host_and_port()
    address = f"http://127.0.0.1:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{address}/bones", method="PUT"), timeout=10).close()

    def come_back() -> None:
        servers.append(moto.ThreadedMotoServer("127.0.0.1", port, verbose=False))
        servers[0].start()

    commands = ["dvc remote add -d team s3://bones/study", f"dvc remote modify team endpointurl {address}"]
    yield Remote(commands, lambda: servers.pop().stop(), come_back)
    servers.pop().stop()


@pytest.fixture(params=["folder", "s3"])
def remote(request: pytest.FixtureRequest) -> Remote:
    """A remote of either kind, empty."""
    return request.getfixturevalue(f"{request.param}_remote")


@pytest.fixture
def first(tmp_path: Path, remote: Remote) -> Clone:
    """The clone of whoever began: images in DVC, a stage that has not run, a remote, all committed."""
    clone = Clone(tmp_path / "first")
    clone.folder.mkdir()
    for command in ("git init -q -b main", "git config user.email a@b.c", "git config user.name a", "dvc init -q"):
        clone.run(command)
    (clone.folder / ".gitignore").write_text("ran.log\n")
    (clone.folder / "dvc.yaml").write_text(DVC_YAML)
    (clone.folder / "double.py").write_text(DOUBLE)
    (clone.folder / "images.csv").write_text("image,label\n1,normal\n")
    for command in ("dvc add -q images.csv", *remote.commands, "git add -A", "git commit -qm begin"):
        clone.run(command)
    return clone


def another(first: Clone, name: str) -> Clone:
    clone = Clone(first.folder.parent / name)
    first.run(f"git clone -q {first.folder} {clone.folder}")
    return clone


def test_what_one_pushed_another_pulls_and_credentials_are_in_no_file(first: Clone):
    first.run("dvc repro")
    first.run("git add -A")
    first.run("git commit -qm done")
    first.run("dvc push")
    second = another(first, "second")
    assert second.doubled is None
    second.run("dvc pull")
    assert second.doubled == first.doubled is not None
    assert "up to date" in second.run("dvc repro") and second.times_run == 0
    files = [path for path in first.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRETS["AWS_SECRET_ACCESS_KEY"].encode() in path.read_bytes()]


def test_what_one_ran_without_a_commit_another_takes_from_the_run_cache(first: Clone):
    first.run("dvc repro")
    first.run("dvc push --run-cache")
    second = another(first, "second")
    second.run("dvc pull --run-cache --allow-missing")
    assert "is cached" in second.run("dvc repro --pull")
    assert (second.doubled, second.times_run) == (first.doubled, 0)


def test_a_remote_that_is_gone_costs_a_message_and_nothing_else(first: Clone, remote: Remote):
    first.run("dvc repro")
    remote.go()
    first.run("dvc push --run-cache", fails=True)
    assert first.doubled and "up to date" in first.run("dvc repro")
    remote.come_back()
    first.run("dvc push --run-cache")
    second = another(first, "second")
    second.run("dvc pull --run-cache --allow-missing")
    second.run("dvc repro --pull")
    assert (second.doubled, second.times_run) == (first.doubled, 0)
