"""Batches that are read from files on demand and shuffled anew each epoch for training."""

from collections.abc import Callable, Sequence

import numpy as np

from bonexray.augment.settings import Augment
from bonexray.augment.views import EPOCH, random_views
from bonexray.data.arrays import ArrayFile
from bonexray.networks.settings import HeadSettings
from bonexray.registry import require_output

# Maps rows of the cohort and the number of the epoch to the values of one network input, (rows, ...).
Reader = Callable[[np.ndarray, int], np.ndarray]


class Batches:
    """Rows of the cohort with their targets; only the current batch is in memory.

    Batch sizes differ by at most one row, so no small last batch gets an outsized share of the gradients.

    Args:
        readers: one per network input.
        targets: float32 (images, outputs).
        rows: int (n,), the rows to include.
        batch_images: maximum number of rows in a batch.
        shuffle_seed: seed of each epoch's order; None keeps the given order.
    """

    def __init__(
        self,
        readers: Sequence[Reader],
        targets: np.ndarray,
        rows: np.ndarray,
        batch_images: int,
        shuffle_seed: int | None = None,
    ) -> None:
        self._readers, self._targets, self._batch_images = readers, targets, batch_images
        self._rows, self._seed, self._epoch = rows, shuffle_seed, -1
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._rows) // self._batch_images)

    def __getitem__(self, batch: int) -> tuple:
        rows = np.sort(self._batches[batch])
        inputs = tuple(read(rows, self._epoch) for read in self._readers)
        return (inputs if len(inputs) > 1 else inputs[0]), self._targets[rows]

    def on_epoch_end(self) -> None:
        """Start the next epoch."""
        self._epoch += 1
        rows = self._rows
        if self._seed is not None:
            rows = np.random.default_rng([self._seed, self._epoch]).permutation(rows)
        self._batches = np.array_split(rows, max(len(self), 1))

    def rewind(self) -> None:
        """Start the first epoch again."""
        self._epoch = -1
        self.on_epoch_end()

    @property
    def sizes(self) -> list[int]:
        """Return the number of rows of each batch."""
        return [len(batch) for batch in self._batches]


def targets_of(labels: np.ndarray, classes: int, settings: HeadSettings) -> np.ndarray:
    """Return labels as targets: one-hot, but for a sigmoid one column, 1 for the second class.

    Args:
        labels: int (images,), indices in the class map.
        classes: number of classes.
        settings: the kind of output.

    Returns:
        float32 (images, classes) or (images, 1).

    Raises:
        BonexrayError: if the output does not fit the number of classes.
    """
    require_output(settings.output, classes)
    if settings.output == "sigmoid":
        return labels[:, None].astype(np.float32)
    return np.eye(classes, dtype=np.float32)[labels]


def stored(array: ArrayFile) -> Reader:
    """Read rows unchanged."""
    return lambda rows, _epoch: array[rows]


def images(array: ArrayFile) -> Reader:
    """Read images (images, px, px) unchanged and add a channel axis."""
    return lambda rows, _epoch: array[rows][..., None]


def augmented_images(array: ArrayFile, settings: Augment) -> Reader:
    """Read images (images, px, px) as random views, new ones each epoch, and add a channel axis."""
    return lambda rows, epoch: random_views(array[rows], settings, EPOCH, epoch, rows)[..., None]


def augmented_features(views: ArrayFile, training_rows: np.ndarray, seed: int) -> Reader:
    """Read the features of one view per training image, chosen at random each epoch.

    Args:
        views: (copies x training images, features), copy by copy.
        training_rows: int (training images,), their rows in the cohort, ascending.
        seed: seed of the choice; with the same seed all backbones use the same view of an image.
    """
    copies = len(views) // len(training_rows)

    def read(rows: np.ndarray, epoch: int) -> np.ndarray:
        choice = np.random.default_rng([seed, epoch]).integers(copies, size=len(training_rows))
        positions = np.searchsorted(training_rows, rows)
        return views[choice[positions] * len(training_rows) + positions]

    return read
