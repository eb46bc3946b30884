"""The card beside the features of a backbone: the network, weights and image size that they come from."""

from pathlib import Path

from bonexray.base.files import read_json, write_json
from bonexray.data.paths import FEATURES_CARD


def write_features_card(folder: Path, card: dict[str, object]) -> None:
    """Write the card of a backbone's features.

    Args:
        folder: of the features.
        card: backbone, row (its facts from the table of models), starts_from, weights_sha256, weights_bytes, img_px,
            copies, parameters, multiply_adds; convention, only where a weights file states another than the row.
    """
    write_json(folder / FEATURES_CARD, card)


def read_features_card(folder: Path) -> dict:
    """Return the card that `write_features_card` wrote."""
    return read_json(folder / FEATURES_CARD)
