"""Published weights: their names, their hashes, and the mirror or the publisher that they come from."""

import dataclasses
import functools
import hashlib
import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kagglehub
import kagglehub.exceptions
import keras
import pytest
import requests

from bonexray.errors import BonexrayError
from bonexray.features.published import origin, pins_path, published_file, require_mirrored, starts_from
from bonexray.features.settings import Weights
from bonexray.files import read_json
from bonexray.registry import BACKBONES

PUBLISHED = {name: row.published for name, row in BACKBONES.items() if row.published}
every_published = pytest.mark.parametrize("name", PUBLISHED)
hashed = pytest.mark.parametrize("name", [name for name in PUBLISHED if PUBLISHED[name].hash])
unhashed = pytest.mark.parametrize("name", [name for name in PUBLISHED if not PUBLISHED[name].hash])


@pytest.fixture(autouse=True)
def study_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, Keras's cache within it."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keras").mkdir()
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "keras"))  # KERAS_HOME, once imported
    return tmp_path


def imagenet(mirror: Path | str | None = None, **files: str) -> Weights:
    return Weights(source="imagenet", mirror=mirror and str(mirror), files=files, seed=7)


def lay(name: str, folder: Path, content: bytes) -> Path:
    """A file under its publisher's name."""
    file = folder / PUBLISHED[name].file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def trust(name: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the hash of a content, of the kind that the publisher gives, the one that is expected."""
    published = PUBLISHED[name]
    kind = {32: hashlib.md5, 64: hashlib.sha256}[len(published.hash)]
    known = dataclasses.replace(published, hash=kind(content).hexdigest())
    monkeypatch.setitem(BACKBONES, name, dataclasses.replace(BACKBONES[name], published=known))


def refusal(name: str, mirror: Path | str | None) -> str:
    with pytest.raises(BonexrayError) as refused:
        published_file(name, str(mirror) if mirror else None)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# Hashes


def test_most_publishers_give_a_hash_md5_or_sha256() -> None:
    assert [name for name in PUBLISHED if not PUBLISHED[name].hash] == ["mobilenet_v2", "resnet18"]
    kinds = {name: len(PUBLISHED[name].hash) for name in PUBLISHED if PUBLISHED[name].hash}
    assert {name for name, digits in kinds.items() if digits == 64} == {"convnext_tiny"}
    assert set(kinds.values()) == {32, 64}


@hashed
def test_a_file_with_the_publishers_hash_is_accepted(
    name: str, study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = lay(name, study_folder, b"weights")
    trust(name, b"weights", monkeypatch)
    assert published_file(name, str(study_folder)) == file
    assert not pins_path().exists()


@hashed
def test_a_corrupted_file_is_refused_by_its_hash(
    name: str, study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = lay(name, study_folder, b"weightz")
    trust(name, b"weights", monkeypatch)
    known = BACKBONES[name].published.hash
    kind = {32: "MD5", 64: "SHA256"}[len(known)]
    message = refusal(name, study_folder)
    assert message.startswith(f"weights of {name}: expected {kind} {known}, received ")
    assert str(file) in message


@hashed
def test_a_file_of_anothers_is_refused_by_the_registrys_hash(name: str, study_folder: Path) -> None:
    lay(name, study_folder, b"the weights of another network")
    assert PUBLISHED[name].hash in refusal(name, study_folder)


@unhashed
def test_where_there_is_no_hash_the_first_file_is_pinned_and_another_refused(
    name: str, study_folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bonexray.features.published.log.propagate", True)
    file = lay(name, study_folder, b"weights")
    pin = hashlib.sha256(b"weights").hexdigest()
    assert published_file(name, str(study_folder)) == file
    assert read_json(study_folder / "weights" / "pins.json") == {PUBLISHED[name].file: pin}
    assert [message.split(" has no")[0] for message in caplog.messages] == [PUBLISHED[name].file]
    assert published_file(name, str(study_folder)) == file
    assert len(caplog.messages) == 1
    lay(name, study_folder, b"weightz")
    assert f"expected SHA256 {pin}" in refusal(name, study_folder)
    assert read_json(pins_path()) == {PUBLISHED[name].file: pin}


def test_every_file_has_a_pin_of_its_own(study_folder: Path) -> None:
    names = [name for name in PUBLISHED if not PUBLISHED[name].hash]
    for name in names:
        lay(name, study_folder, name.encode())
        published_file(name, str(study_folder))
    pins = {PUBLISHED[name].file: hashlib.sha256(name.encode()).hexdigest() for name in names}
    assert read_json(pins_path()) == pins


def test_pins_are_kept_in_the_main_repository_when_dvc_runs_in_a_copy(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(study_folder / "main"))
    lay("mobilenet_v2", study_folder, b"weights")
    published_file("mobilenet_v2", str(study_folder))
    assert (study_folder / "main" / "weights" / "pins.json").exists()
    assert not (study_folder / "weights").exists()


# A mirror


def test_a_mirror_below_the_repository_is_found_from_a_copy_too(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(study_folder / "main"))
    lay("vgg16", study_folder / "main" / "mirror", b"weights")
    with pytest.raises(BonexrayError, match="expected MD5"):  # found, and its hash looked at
        published_file("vgg16", "mirror")


@every_published
def test_a_mirror_that_lacks_a_file_is_refused_with_the_files_name(name: str, study_folder: Path) -> None:
    message = refusal(name, study_folder)
    assert message.startswith(f"weights.mirror, {name}: expected {PUBLISHED[name].file}, received no such file in ")
    assert PUBLISHED[name].url in message
    with pytest.raises(BonexrayError, match="received no such file in") as refused:
        require_mirrored(name, imagenet(study_folder))
    assert str(refused.value) == message


@every_published
def test_what_a_mirror_holds_or_need_not_hold_is_not_missed(name: str, study_folder: Path) -> None:
    empty = study_folder / "empty"
    lay(name, study_folder, b"weights")
    require_mirrored(name, imagenet(study_folder))
    require_mirrored(name, imagenet(empty, **{name: "mine.weights.h5"}))
    require_mirrored(name, imagenet(empty).model_copy(update={"source": "random"}))
    require_mirrored(name, imagenet())
    require_mirrored(name, imagenet("https://example.org/weights"))


def test_a_backbone_that_nobody_publishes_is_not_missed_in_a_mirror(study_folder: Path) -> None:
    require_mirrored("vit_tiny", imagenet(study_folder))


@pytest.fixture
def served(study_folder: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which it is served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            pass

    folder = study_folder / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("name", ["vgg16", "convnext_tiny", "resnet18"])
def test_a_mirror_may_be_an_address(
    name: str, served: tuple[Path, str], study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    file = lay(name, folder, b"weights")
    if PUBLISHED[name].hash:
        trust(name, b"weights", monkeypatch)
    found = published_file(name, address)
    assert found.read_bytes() == b"weights"
    assert found.is_relative_to(study_folder / "keras")
    assert found.name.endswith(file.name)  # whose suffix tells the format
    file.unlink()
    assert published_file(name, address) == found  # once is enough


@pytest.mark.parametrize("mirror", ["https://example.org/weights", "http://example.org/weights/"])
def test_a_mirrors_address_may_end_in_a_slash(mirror: str, study_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    file = lay("resnet18", study_folder, b"weights")
    monkeypatch.setattr(keras.utils, "get_file", lambda *args, **_options: asked.append(args) or str(file))
    published_file("resnet18", mirror)
    assert [address for _, address in asked] == [f"{mirror.rstrip('/')}/resnet_18_imagenet/model.weights.h5"]


def test_a_corrupted_download_is_refused_by_its_hash(served: tuple[Path, str]) -> None:
    folder, address = served
    lay("vgg16", folder, b"weightz")
    assert f"expected MD5 {PUBLISHED['vgg16'].hash}" in refusal("vgg16", address)


@every_published
def test_an_address_that_lacks_a_file_gives_one_line_that_names_it(name: str, served: tuple[Path, str]) -> None:
    message = refusal(name, served[1])
    assert message.startswith(
        f"weights of {name}: expected a download of {served[1]}/{PUBLISHED[name].file}, received "
    )
    assert "404" in message
    assert f"lay {PUBLISHED[name].file} into a folder and set weights.mirror to it" in message


def test_an_address_at_which_nobody_answers_gives_one_line(served: tuple[Path, str]) -> None:
    assert "URL fetch failure" in refusal("vgg16", "http://127.0.0.1:9")


# The publisher


def failing(error: Exception) -> Callable[..., str]:
    def download(*_args: object, **_options: object) -> str:
        raise error

    return download


@pytest.mark.parametrize("name", [name for name in PUBLISHED if PUBLISHED[name].url.startswith("https")])
def test_without_a_mirror_keras_is_asked_for_the_publishers_address(
    name: str, study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    file = lay(name, study_folder, b"weights")
    monkeypatch.setattr(keras.utils, "get_file", lambda *args, **_options: asked.append(args) or str(file))
    if PUBLISHED[name].hash:
        trust(name, b"weights", monkeypatch)
    assert published_file(name, None) == file
    assert asked == [(PUBLISHED[name].file, PUBLISHED[name].url)]


def test_without_a_mirror_kaggle_is_asked_for_kerashubs_file(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    file = lay("resnet18", study_folder, b"weights")
    monkeypatch.setattr(kagglehub, "model_download", lambda *args: asked.append(args) or str(file))
    assert published_file("resnet18", None) == file
    assert asked == [("keras/resnetv1/keras/resnet_18_imagenet/3", "model.weights.h5")]


@pytest.mark.parametrize(
    "error",
    [
        Exception("URL fetch failure on https://a: None -- b"),
        TimeoutError("timed\nout"),
        ConnectionResetError("reset"),
        http.client.BadStatusLine("garbage"),
    ],
)
def test_without_network_one_line_names_the_file_and_what_to_do(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.utils, "get_file", failing(error))
    message, published = refusal("resnet50", None), PUBLISHED["resnet50"]
    assert message.startswith(f"weights of resnet50: expected a download of {published.url}, received ")
    assert " ".join(str(error).split()) in message
    assert f"lay {published.file} into a folder and set weights.mirror to it" in message
    assert "weights.files.resnet50" in message


@pytest.mark.parametrize(
    "error", [requests.ConnectionError("no route"), kagglehub.exceptions.DataCorruptionError("cut short")]
)
def test_without_network_to_kaggle_one_line_names_the_file(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kagglehub, "model_download", failing(error))
    assert "lay resnet_18_imagenet/model.weights.h5 into a folder" in refusal("resnet18", None)


@pytest.mark.parametrize(
    ("name", "asked"), [("resnet50", (keras.utils, "get_file")), ("resnet18", (kagglehub, "model_download"))]
)
def test_an_error_that_is_not_about_the_download_is_not_hidden(
    name: str, asked: tuple[object, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*asked, failing(RuntimeError("something else")))
    with pytest.raises(RuntimeError, match="something else"):
        published_file(name, None)


# Where a training starts


def test_where_weights_come_from_is_said_of_a_backbone() -> None:
    settings = imagenet(None, vgg16="mine.weights.h5")
    assert [origin(name, settings) for name in ("vgg16", "vgg19", "vit_tiny")] == ["own", "imagenet", "random"]
    assert origin("vgg19", settings.model_copy(update={"source": "random"})) == "random"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("vgg16", "own"),
        ("vgg19", "imagenet"),
        ("vit_tiny", "random"),
        ("vgg16_vgg19", "own and imagenet"),
        ("resnet50_densenet121", "imagenet"),
        ("compact_cnn", "scratch"),
    ],
)
def test_where_a_training_starts_is_said_of_a_model(model: str, expected: str) -> None:
    assert starts_from(model, imagenet(None, vgg16="mine.weights.h5")) == expected
