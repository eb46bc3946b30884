"""The chosen model of a study in MLflow's model registry."""

import io
import logging
import re
import tempfile
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types.schema import Array, ColSpec, DataType, Schema
from PIL import Image

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.base.hashing import digest, sha256_of
from bonexray.study import Settings
from bonexray.tracking.store import TrackingStore, tracking_uri, without_secret

if TYPE_CHECKING:
    from bonexray.serving.bundle import Bundle, BundleCard

log = logging.getLogger("bonexray")
ALIAS, DIGEST, REGISTERED, FOLDER = "champion", "digest", "registered", "model"
SCRIPT = Path(__file__).with_name("pyfunc_model.py")


def register_chosen(store: TrackingStore, run_id: str, settings: Settings, name: str) -> bool:
    """Register the chosen model as the champion, unless the same version is already registered.

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
    if store.client.get_run(run_id).data.tags.get(REGISTERED) == version:
        return False
    from bonexray.serving.bundle import write_bundle  # here, so that Keras is imported only when needed
    from bonexray.serving.study import study_bundle

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        card = write_bundle(study_bundle(settings, name), folder / "bundle")
        save_model(folder / "bundle", card, folder / FOLDER)
        store.client.log_artifacts(run_id, str(folder / FOLDER), FOLDER)
    _add_version(store.client, settings.track.experiment, run_id, card)
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
        folder = mlflow.artifacts.download_artifacts(artifact_uri=address, tracking_uri=tracking_uri())
        expected = _registered_digest(address)
    except (MlflowException, OSError) as error:
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


def _add_version(client: MlflowClient, name: str, run_id: str, card: "BundleCard") -> None:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description="The model that the study chose on validation")
    tags = {DIGEST: card.digest, "model": card.model, "leak_suspect": str(card.leak_suspect)}
    version = client.create_model_version(name, f"runs:/{run_id}/{FOLDER}", run_id, tags=tags)
    client.set_registered_model_alias(name, ALIAS, version.version)
    log.info("registered %s as version %s of %s, the %s", card.model, version.version, name, ALIAS)
