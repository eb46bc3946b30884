"""The commands of docs/federated.md, run as they stand there by a server and two hospitals on this machine."""

import os
import re
import runpy
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, YAML_FILE, Study

from bonexray.derived_params import derive_params
from bonexray.images.reading import write_png16
from bonexray.study import load_settings

pytest.importorskip("flwr", reason="no Flower here: pip install 'bonexray[federated]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MODEL, SITES = "mobilenet_v2", ("hospital_a", "hospital_b")
PAGE = (REPOSITORY / "docs/federated.md").read_text(encoding="utf-8")
BONEXRAY = str(Path(sys.executable).with_name("bonexray"))


def lines_of(command: str) -> list[str]:
    """The lines of the page that run a command, with their continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith(f"bonexray {command}")]


def command_of(line: str, port: int, **changes: str) -> list[str]:
    """A line of the page with this machine's addresses, this study's model and other words changed as given."""
    changes = {
        "federation.example.org": "127.0.0.1",
        "0.0.0.0": "127.0.0.1",
        "8443": str(port),
        "vgg16": MODEL,
        **changes,
    }
    for old, new in changes.items():
        line = line.replace(old, new)
    return [BONEXRAY, *shlex.split(line)[1:]]


def hospital(folder: Path, seed: int, weights: Path) -> Path:
    """A study of 60 images of its own, with the features of one frozen backbone whose weights all hospitals have."""
    study, rng = Study(folder), np.random.default_rng(seed)
    shutil.rmtree(folder / "data/raw")
    for number in range(60):
        name, shade = (("normal", 0.3), ("osteoporosis", 0.5))[number % 2]
        ramp = np.linspace(0, shade, 40)[:, None] * np.linspace(1, 0.5, 40)
        write_png16(study.write(f"data/raw/{name}/{seed}-{number}.png", b""), ramp + 0.4 * rng.random((40, 40)))
    files = {"weights.files": {MODEL: {"path": str(weights), "convention": "tf"}}}
    chosen = {"model": [MODEL], "dataset.classes": ["osteoporosis", "normal"], "evaluate.resamples": 100, **files}
    study.change(chosen)
    params = YAML_FILE.load(folder / "params.yaml")
    study.change(derive_params({**params, "external": {}}))
    with chdir(folder):
        settings = load_settings()
        for script, *arguments in (("split",), ("denoise",), ("prepare",), ("features", MODEL)):
            runpy.run_path(str(REPOSITORY / f"stages/{script}.py"))["main"](settings, *arguments)
    return folder


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The studies of the server and of two hospitals, each in a folder of its own."""
    import keras

    root = tmp_path_factory.mktemp("federation")
    keras.utils.set_random_seed(3)
    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(32, 32, 3))
    network.save_weights(weights := root / "shared.weights.h5")
    folders = {name: root / name for name in ("server", *SITES)}
    for seed, folder in enumerate(folders.values(), 1):
        folder.mkdir()
        hospital(folder, seed, weights)
    return folders


def environment(folder: Path) -> dict[str, str]:
    """The environment of a command that has this checkout's code and a store of its own."""
    own = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    path = os.pathsep.join([str(REPOSITORY / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**own, "PYTHONPATH": path, "DVC_ROOT": str(folder), "PYTHONUNBUFFERED": "1"}


def run(command: list[str], folder: Path) -> str:
    """Run a command in a folder; return what it prints."""
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def started() -> Iterator[Callable[[list[str], Path], subprocess.Popen[str]]]:
    """A function that starts a command in a folder; what still runs at the end of the test is killed."""
    with ExitStack() as stack:

        def start(command: list[str], folder: Path) -> subprocess.Popen[str]:
            pipe = subprocess.PIPE
            process = stack.enter_context(
                subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=pipe, stderr=pipe, text=True)
            )
            stack.callback(process.kill)  # before the wait of the line above
            return process

        yield start


def test_the_page_s_commands_train_bundle_and_register_a_model(
    studies: dict[str, Path], started: Callable[[list[str], Path], subprocess.Popen[str]]
) -> None:
    server = studies["server"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    of_server, of_site = lines_of("federate keys")
    assert "ca.pem" in run(command_of(of_server, port), server)
    (server / "keys/sites").mkdir()
    for name in SITES:
        assert f"{name}.pub" in run(command_of(of_site, port, hospital_a=name), studies[name])
        shutil.copy(studies[name] / f"keys/{name}.pub", server / "keys/sites")
        shutil.copy(server / "keys/server/ca.pem", studies[name] / "keys")

    (line,) = lines_of("federate server")
    serving = started([*command_of(line, port), "--rounds", "2"], server)
    (line,) = lines_of("federate client")
    clients = [started(command_of(line, port), studies[name]) for name in SITES]
    output, errors = serving.communicate(timeout=400)
    assert serving.returncode == 0, output + errors
    for client in clients:
        lines, problems = client.communicate(timeout=60)
        assert client.returncode == 0 and "the training has ended" in lines, lines + problems
    assert "2 rounds of fedprox with hospital_a, hospital_b" in output
    version = re.search(r"registered (models:/bonexray-federated/1)", output)
    assert version, output

    image = next((studies["hospital_a"] / "data/raw/normal").iterdir())
    answers = {run([BONEXRAY, "predict", str(image), "--model", model], server) for model in ("federated", version[1])}
    assert len(answers) == 1 and "prob_osteoporosis" in answers.pop()
    card = (server / "federated/card.md").read_text(encoding="utf-8")
    assert "no secure aggregation and no differential privacy" in card and "training images" in card


def test_the_page_s_rehearsal(
    studies: dict[str, Path], started: Callable[[list[str], Path], subprocess.Popen[str]]
) -> None:
    of_column, dealt = lines_of("federate simulate")
    folder = studies["server"]
    manifest = (folder / "data/split/manifest.csv").read_text().splitlines()[1:]
    sites = "\n".join(
        f"{row.split(',')[0]},{'north' if number % 2 else 'south'}" for number, row in enumerate(manifest)
    )
    (folder / "data/split/record.csv").write_text(f"id,site\n{sites}\n")
    assert "north alone" in run([*command_of(of_column, 0), "--rounds", "2"], folder)
    refused = started(command_of(dealt, 0), folder)  # 60 images are too few for four sites
    assert "expected two sites with 10 training patients" in refused.communicate(timeout=100)[1]
    assert refused.returncode == 1
