"""A model that several sites trained together, in MLflow's model registry."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bonexray.serving.bundle import checked_card
from bonexray.study import Settings
from bonexray.tracking.registered import DIGEST, FOLDER, save_model
from bonexray.tracking.store import STAGE, create_run, flat, metrics_of, open_store

COMMAND = "bonexray federate server"


def register_federated(bundle: Path, settings: Settings, facts: Mapping[str, object]) -> str:
    """Register a bundle under the name of the experiment with `-federated`, so that the study's champion stays.

    Args:
        bundle: the folder of the bundle.
        settings: of the study; the experiment is its own.
        facts: of the training; numbers become metrics of the run, and texts tags.

    Returns:
        Address of the registered version.
    """
    card, store = checked_card(bundle), open_store(settings.track.name)
    texts = {key: value for key, value in flat(facts) if isinstance(value, str)}
    tags = {STAGE: "federate", "model": card.model, **texts}
    run = create_run(store, f"{card.model} federated", tags, COMMAND, "A head trained by several sites with Flower")
    client, name = store.client, f"{settings.track.name}-federated"
    client.log_batch(run, metrics_of(dict(flat(facts)), 0))
    with tempfile.TemporaryDirectory() as temporary:
        named = shutil.copytree(bundle, Path(temporary) / "bundle")  # MLflow keeps the name, by which the model is read
        save_model(named, card, Path(temporary) / FOLDER)
        client.log_artifacts(run, str(Path(temporary) / FOLDER), FOLDER)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description="Heads that several sites trained together")
    tags = {DIGEST: card.digest, "model": card.model}
    version = client.create_model_version(name, f"runs:/{run}/{FOLDER}", run, tags=tags).version
    client.set_terminated(run)
    return f"models:/{name}/{version}"
