"""Batches read from files as they are needed, in another order each epoch where they are for training."""

from collections.abc import Callable, Sequence

import keras
import numpy as np

from bonexray.augment.settings import Augment
from bonexray.augment.views import EPOCH, random_views
from bonexray.data.arrays import ArrayFile

# What a network input is fed with: rows of the cohort and the number of the epoch to an array (rows, ...).
Reader = Callable[[np.ndarray, int], np.ndarray]


class Batches(keras.utils.PyDataset):
    """Some rows of the cohort with their targets; only the batch at hand is in memory.

    The batches are of one size or differ by one row, so none is left with too few for its share of the gradients.

    Args:
        readers: one a network input.
        targets: float32 (images, outputs).
        rows: int (n,), the rows that take part.
        batch_images: rows in a batch at most.
        shuffle_seed: gives each epoch an order of its own; None keeps the given one.
    """

    def __init__(
        self,
        readers: Sequence[Reader],
        targets: np.ndarray,
        rows: np.ndarray,
        batch_images: int,
        shuffle_seed: int | None = None,
    ) -> None:
        super().__init__()
        self._readers, self._targets, self._batch_images = readers, targets, batch_images
        self._given, self._seed, self._epoch = rows, shuffle_seed, -1
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._given) // self._batch_images)

    def __getitem__(self, batch: int) -> tuple:
        rows = np.sort(self._batches[batch])
        inputs = tuple(read(rows, self._epoch) for read in self._readers)
        return (inputs if len(inputs) > 1 else inputs[0]), self._targets[rows]

    def on_epoch_end(self) -> None:
        """Go on to the next epoch."""
        self._epoch += 1
        rows = self._given
        if self._seed is not None:
            rows = np.random.default_rng([self._seed, self._epoch]).permutation(rows)
        self._batches = np.array_split(rows, max(len(self), 1))

    @property
    def sizes(self) -> list[int]:
        """Rows of each batch."""
        return [len(batch) for batch in self._batches]


def stored(array: ArrayFile) -> Reader:
    """The rows as they are."""
    return lambda rows, _epoch: array[rows]


def images(array: ArrayFile) -> Reader:
    """Images (images, px, px) as they are, with a channel."""
    return lambda rows, _epoch: array[rows][..., None]


def augmented_images(array: ArrayFile, settings: Augment) -> Reader:
    """Images (images, px, px) with a channel, each in another random view every epoch."""
    return lambda rows, epoch: random_views(array[rows], settings, EPOCH, epoch, rows)[..., None]


def augmented_features(views: ArrayFile, viewed: np.ndarray, seed: int) -> Reader:
    """Features of one of each training image's encoded views, drawn anew every epoch.

    Args:
        views: (copies x training images, features), copy by copy.
        viewed: int (training images,), their rows in the cohort, ascending.
        seed: of the draw; with the same seed two backbones draw views of the same image alike.
    """
    copies = len(views) // len(viewed)

    def read(rows: np.ndarray, epoch: int) -> np.ndarray:
        drawn = np.random.default_rng([seed, epoch]).integers(copies, size=len(viewed))
        places = np.searchsorted(viewed, rows)
        return views[drawn[places] * len(viewed) + places]

    return read
