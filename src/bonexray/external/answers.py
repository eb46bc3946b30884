"""Predictions of all trained models for new images, which each backbone encodes once."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from bonexray.backbones.encoder import build_encoder
from bonexray.backbones.weights import load_starting_weights
from bonexray.base.files import read_json
from bonexray.data.arrays import ArrayFile, rows_of
from bonexray.data.paths import MODEL_CARD, MODEL_WEIGHTS, model_folder
from bonexray.networks.outputs import class_probabilities
from bonexray.networks.trainable import head_of
from bonexray.networks.trained import head_settings, require_same_weights, trained_network
from bonexray.registry import BASELINE, FROZEN, model_row
from bonexray.train.baseline import baseline_answers

BATCH_IMAGES = 32


def answers_of(names: Iterable[str], images: ArrayFile) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name of each model and its probabilities for all images, float (images, classes).

    Args:
        names: the models, from models/<name>/.
        images: prepared as those that the models were trained on, float32 (images, px, px) in [0, 1].

    Raises:
        BonexrayError: the weights of a backbone are missing, or have changed since a model was trained.
    """
    cards = {name: read_json(model_folder(name) / MODEL_CARD) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        features: dict[str, ArrayFile] = {}
        for name, card in cards.items():
            if card["mode"] == BASELINE:
                yield name, baseline_answers(name, images)
            elif card["mode"] == FROZEN:
                backbones = model_row(name).backbones
                for backbone in (one for one in backbones if one not in features):
                    features[backbone] = _encoded(backbone, name, card, images, Path(folder))
                head = head_of(name, len(card["classes"]), head_settings(card))
                head.load_weights(model_folder(name) / MODEL_WEIGHTS)
                yield name, _probabilities(head, [features[one] for one in backbones])
            else:
                yield name, _probabilities(trained_network(model_folder(name)), [images])
            keras.backend.clear_session()


def _encoded(backbone: str, name: str, card: dict, images: ArrayFile, folder: Path) -> ArrayFile:
    """Encode all images with the frozen backbone of a model, and return the features, which are kept in a file."""
    require_same_weights(name, backbone, card["backbones"][backbone])
    encoder = build_encoder(backbone, card["img_px"], card.get("conventions", {}).get(backbone))
    load_starting_weights(encoder.get_layer(backbone), backbone)
    target = folder / f"{backbone}.npy"
    with rows_of(target, (len(images), encoder.output_shape[-1])) as append:
        for batch in _outputs(encoder, [images]):
            append(batch)
    return ArrayFile(target)


def _probabilities(network: keras.Model, inputs: Sequence[ArrayFile]) -> np.ndarray:
    return class_probabilities(np.concatenate(list(_outputs(network, inputs))))


def _outputs(network: keras.Model, inputs: Sequence[ArrayFile]) -> Iterator[np.ndarray]:
    """Yield the outputs of a network for images, or for the features of its backbones, in batches of one shape."""
    for start in range(0, len(inputs[0]), BATCH_IMAGES):
        batch = [rows[start : start + BATCH_IMAGES] for rows in inputs]
        batch = [part[..., None] if part.ndim == 3 else part for part in batch]  # images have one channel
        count = len(batch[0])
        batch = [
            np.concatenate([part, np.zeros((BATCH_IMAGES - count, *part.shape[1:]), part.dtype)]) for part in batch
        ]
        yield network.predict_on_batch(batch if len(batch) > 1 else batch[0])[:count]
