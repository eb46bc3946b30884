"""The study's chosen model in MLflow's registry, from which others load it by name."""

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

from bonexray.errors import BonexrayError
from bonexray.files import read_json
from bonexray.hashing import digest, sha256_of
from bonexray.study import Settings
from bonexray.tracking.store import Store, tracking_uri, without_secret

if TYPE_CHECKING:
    from bonexray.serving.bundle import Bundle, BundleCard

log = logging.getLogger("bonexray")
ALIAS, DIGEST, REGISTERED, FOLDER = "champion", "digest", "registered", "model"
SCRIPT = Path(__file__).with_name("pyfunc_model.py")


def register_chosen(store: Store, run_id: str, settings: Settings, name: str) -> bool:
    """Add the chosen model to the study's run and to the registry, as the champion, unless this very one is there.

    Args:
        store: the study's.
        run_id: the study's run.
        settings: of the study; its experiment's name is the registered model's.
        name: of the chosen model.

    Returns:
        Whether it was added.
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
    from bonexray.serving.bundle import write_bundle  # Keras is imported only where there is something to register
    from bonexray.serving.study import study_bundle

    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        card = write_bundle(study_bundle(settings, name), place / "bundle")
        save_model(place / "bundle", card, place / FOLDER)
        store.client.log_artifacts(run_id, str(place / FOLDER), FOLDER)
    _add_version(store.client, settings.track.experiment, run_id, card)
    store.client.set_tag(run_id, REGISTERED, version)
    return True


def save_model(bundle: Path, card: "BundleCard", target: Path) -> None:
    """Write a bundle as an MLflow model that carries this code: a script and files under hashes, no pickle.

    Args:
        bundle: its folder.
        card: its card.
        target: a folder that is not there yet.
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
    """One of three inputs, and the outputs for a class map."""
    inputs = {"image": DataType.binary, "path": DataType.string, "pixels": Array(Array(DataType.double))}
    outputs = {
        "predicted": DataType.string,
        **{f"prob_{name}": DataType.double for name in classes},
        "reason": DataType.string,
    }
    always = {f"prob_{name}" for name in classes}
    return ModelSignature(
        Schema([ColSpec(kind, name, required=False) for name, kind in inputs.items()]),
        Schema([ColSpec(kind, name, required=name in always) for name, kind in outputs.items()]),
    )


def example_png() -> bytes:
    """A picture of nothing as the example, because a study's images belong to patients."""
    ramp = np.add.outer(np.arange(32), np.arange(32)) * 4
    stream = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def requirements() -> list[str]:
    """What this code needs, pinned as it is installed."""
    try:
        return [line for line in requires("bonexray") or [] if "extra ==" not in line]
    except PackageNotFoundError:
        raise BonexrayError(
            "track.register",
            expected="an installed bonexray, whose requirements go with the model",
            received="a checkout alone",
            do="run `make` or `pip install -e .`",
        ) from None


def fetched_bundle(address: str) -> "Bundle":
    """The bundle within an MLflow model, as the registry says it was.

    Args:
        address: `models:/<name>@champion`, `models:/<name>/<version>` or `runs:/<run>/model`.

    Raises:
        BonexrayError: there is none, or it was changed.
    """
    from bonexray.serving.bundle import open_bundle

    try:
        folder = mlflow.artifacts.download_artifacts(artifact_uri=address, tracking_uri=tracking_uri())
        expected = _stated_digest(address)
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
            do="the stored files were changed: register the model anew",
        )
    return bundle


def _stated_digest(address: str) -> str | None:
    found = re.fullmatch(r"models:/([^@/]+)(?:@(.+)|/(\d+))", address)
    if not found:
        return None
    client, (name, alias, number) = MlflowClient(tracking_uri()), found.groups()
    version = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
    return version.tags.get(DIGEST)


def _add_version(client: MlflowClient, name: str, run_id: str, card: "BundleCard") -> None:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description="The model that the study chose on validation")
    tags = {DIGEST: card.digest, "model": card.model, "leak_suspect": str(card.leak_suspect)}
    version = client.create_model_version(name, f"runs:/{run_id}/{FOLDER}", run_id, tags=tags)
    client.set_registered_model_alias(name, ALIAS, version.version)
    log.info("%s, version %s, is the %s: %s", name, version.version, ALIAS, card.model)
