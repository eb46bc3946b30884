"""The chosen model of a study in MLflow's model registry."""

import io
import logging
import re
import sqlite3
import tempfile
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types.schema import Array, ColSpec, DataType, Schema
from PIL import Image

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.base.hashing import digest, sha256_of
from bonexray.study import Settings
from bonexray.tracking.address import database_file, tracking_uri, without_secret
from bonexray.tracking.moved import follow_moved_files
from bonexray.tracking.store import TrackingStore

if TYPE_CHECKING:
    from bonexray.serving.bundle import Bundle, BundleCard

log = logging.getLogger("bonexray")
ALIAS, DIGEST, REGISTERED, FOLDER = "champion", "digest", "registered", "model"
SCRIPT = Path(__file__).with_name("pyfunc_model.py")


def register_chosen(store: TrackingStore, run_id: str, settings: Settings, name: str) -> bool:
    """Make the chosen model the champion; register it, unless that was done before and only the alias has to move.

    Args:
        store: the study's store.
        run_id: the run of the study, which gets the model's files.
        settings: the study's settings; the experiment's name becomes the name of the registered model.
        name: the chosen model.

    Returns:
        True if this call registered it.
    """
    folder = Path("models") / name
    version = digest(
        {
            "fingerprint": read_json(folder / "model.json")["fingerprint"],
            "weights": sha256_of(folder / "model.weights.h5"),
            "denoise": settings.denoise.model_dump(),
            "prepare": settings.prepare.model_dump(),
        }
    )
    registry = settings.track.name
    if (known := _known_version(store.client, registry, run_id, version)) is not None:
        _point_at(store.client, registry, known)
        return False
    from bonexray.serving.bundle import write_bundle  # here, so that Keras is imported only when needed
    from bonexray.serving.study import study_bundle

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        card = write_bundle(study_bundle(settings, name), folder / "bundle")
        save_model(folder / "bundle", card, folder / FOLDER)
        store.client.log_artifacts(run_id, str(folder / FOLDER), FOLDER)
    _add_version(store.client, registry, run_id, card, version)
    store.client.set_tag(run_id, REGISTERED, version)
    return True


def save_model(bundle: Path, card: "BundleCard", target: Path) -> None:
    """Write a bundle as an MLflow model that includes this package, without a pickle.

    Args:
        bundle: the folder of the bundle.
        card: its card.
        target: a folder that does not exist yet.
    """
    mlflow.pyfunc.save_model(
        target,
        python_model=str(SCRIPT),
        artifacts={"bundle": str(bundle)},
        code_paths=[str(SCRIPT.parents[1])],
        signature=signature_of(card.classes),
        input_example=pd.DataFrame({"image": [example_png()]}),
        pip_requirements=requirements(),
        metadata={"classes": card.classes, DIGEST: card.digest},
    )


def signature_of(classes: list[str]) -> ModelSignature:
    """Return the signature of a model: one of three inputs, and the outputs for its classes."""
    inputs = {"image": DataType.binary, "path": DataType.string, "pixels": Array(Array(DataType.double))}
    outputs = {
        "predicted": DataType.string,
        **{f"prob_{name}": DataType.double for name in classes},
        "reason": DataType.string,
    }
    required = {f"prob_{name}" for name in classes}
    return ModelSignature(
        Schema([ColSpec(kind, name, required=False) for name, kind in inputs.items()]),
        Schema([ColSpec(kind, name, required=name in required) for name, kind in outputs.items()]),
    )


def example_png() -> bytes:
    """Return a synthetic image as the input example, because a study's images belong to patients."""
    ramp = np.add.outer(np.arange(32), np.arange(32)) * 4
    stream = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def requirements() -> list[str]:
    """Return the pinned requirements of the installed package."""
    try:
        return [line for line in requires("bonexray") or [] if "extra ==" not in line]
    except PackageNotFoundError:
        raise BonexrayError(
            "track.register",
            expected="an installed bonexray, whose requirements go with the model",
            received="a checkout alone",
            do="run `make` or `pip install -e .`",
        ) from None


def fetch_bundle(address: str) -> "Bundle":
    """Download an MLflow model and return its bundle, checked against the digest in the registry.

    Args:
        address: `models:/<name>@champion`, `models:/<name>/<version>` or `runs:/<run>/model`.

    Raises:
        BonexrayError: there is no such model, or its files were changed.
    """
    from bonexray.serving.bundle import open_bundle

    try:
        if (database := database_file()) and database.is_file():
            follow_moved_files(database)
        folder = mlflow.artifacts.download_artifacts(artifact_uri=address, tracking_uri=tracking_uri())
        expected = _registered_digest(address)
    except (MlflowException, OSError, sqlite3.Error) as error:
        received = without_secret(" ".join(str(error).split())[:200])
        do = "correct the address, or set MLFLOW_TRACKING_URI"
        raise BonexrayError(f"--model {address}", expected="a model in MLflow", received=received, do=do) from None
    bundle = open_bundle(Path(folder) / "artifacts" / "bundle")
    if expected not in (None, bundle.card.digest):
        raise BonexrayError(
            f"--model {address}",
            expected=f"the digest in the registry, {expected[:12]}",
            received=bundle.card.digest[:12],
            do="the stored files were changed: register the model again",
        )
    return bundle


def _registered_digest(address: str) -> str | None:
    match = re.fullmatch(r"models:/([^@/]+)(?:@(.+)|/(\d+))", address)
    if not match:
        return None
    client, (name, alias, number) = MlflowClient(tracking_uri()), match.groups()
    version = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
    return version.tags.get(DIGEST)


def champion_line(settings: Settings) -> str:
    """Return what the champion is, in one line."""
    client, name = MlflowClient(tracking_uri()), settings.track.name
    champion = client.get_model_version_by_alias(name, ALIAS)
    return f"models:/{name}@{ALIAS} is version {champion.version}, {champion.tags['model']}"


def _known_version(client: MlflowClient, name: str, run_id: str, version: str) -> ModelVersion | None:
    """Return the newest registered version of a model with these contents, or None."""
    if not any(model.name == name for model in client.search_registered_models(f"name = '{name}'")):
        return None
    by_run = client.get_run(run_id).data.tags.get(REGISTERED) == version  # before 0.2.0, only the run had the tag
    known = [
        found
        for found in client.search_model_versions(f"name = '{name}'")
        if found.tags.get(REGISTERED) == version or (by_run and found.run_id == run_id and REGISTERED not in found.tags)
    ]
    return max(known, key=lambda found: int(found.version), default=None)


def _add_version(client: MlflowClient, name: str, run_id: str, card: "BundleCard", version: str) -> None:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description="The model that the study chose on validation")
    tags = {DIGEST: card.digest, "model": card.model, "leak_suspect": str(card.leak_suspect), REGISTERED: version}
    _point_at(client, name, client.create_model_version(name, f"runs:/{run_id}/{FOLDER}", run_id, tags=tags))


def _point_at(client: MlflowClient, name: str, target: ModelVersion) -> None:
    """Move the alias to a version, if it is elsewhere."""
    before = client.get_registered_model(name).aliases.get(ALIAS)
    if before != str(target.version):
        client.set_registered_model_alias(name, ALIAS, target.version)
        moved = f", moved from version {before}" if before else ""
        log.info("models:/%s@%s is version %s, %s%s", name, ALIAS, target.version, target.tags.get("model"), moved)
