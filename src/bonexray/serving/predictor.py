"""Prediction of X-rays, with the same preprocessing as in the study."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from bonexray.explain.feature_maps import SplitNetwork, split_network
from bonexray.explain.gradcam import heat_maps
from bonexray.explain.taught import taught_maps
from bonexray.networks.outputs import class_probabilities
from bonexray.registry import model_row
from bonexray.serving.bundle import Bundle, open_bundle
from bonexray.serving.prefetch import ahead, in_batches, workers
from bonexray.serving.reading import Reading, XRay

BATCH_IMAGES = 32  # larger batches use more memory and are hardly faster on CPUs


@dataclass(frozen=True, eq=False)
class Answer:
    """The prediction for one X-ray.

    Attributes:
        label: the most probable class; None if the X-ray could not be read.
        probabilities: float32 (classes,), in the order of the class map, the model's own: with balanced class weights
            they take all classes to be equally common. None if the X-ray could not be read.
        reason: reason that the X-ray could not be read, else None.
        image: float32 (px, px) in [0, 1], the network's input, if requested.
        heat: float (px, px) in [0, 1], the heat map for the label, if requested.
    """

    label: str | None = None
    probabilities: np.ndarray | None = None
    reason: str | None = None
    image: np.ndarray | None = None
    heat: np.ndarray | None = None


class Predictor:
    """A trained model together with the study's preprocessing.

    Args:
        bundle: the model.
        batch_images: number of X-rays per forward pass.

    Example:
        >>> predictor = Predictor.open("champion")
        >>> predictor.predict(["knee.dcm"])[0].label
        'normal'
    """

    def __init__(self, bundle: Bundle, batch_images: int = BATCH_IMAGES) -> None:
        self.card, self.classes, self.network = bundle.card, bundle.card.classes, bundle.network
        self.facts = bundle.facts
        self._batch_images = batch_images
        self._read = Reading(bundle.card.denoise, bundle.card.prepare)

    @classmethod
    def open(cls, folder: Path | str) -> "Predictor":
        """Open a bundle, a folder that `bonexray bundle` wrote.

        Raises:
            BonexrayError: the folder is not a bundle, or was changed.
        """
        return cls(open_bundle(Path(folder)))

    def predict(self, sources: Sequence[XRay], *, seen: bool = False, heat: bool = False) -> list[Answer]:
        """Return one prediction per X-ray, in order; see `answers` for the arguments."""
        return list(self.answers(sources, seen=seen, heat=heat))

    def answers(self, sources: Sequence[XRay], *, seen: bool = False, heat: bool = False) -> Iterator[Answer]:
        """Yield one prediction per X-ray; only a few are in memory at a time.

        Args:
            sources: paths, bytes of files, or pixels; see `Reading.prepared`.
            seen: include the network's input.
            heat: include a heat map, and the network's input.
        """
        filters = self.card.denoise.method != "none" and len(sources) > self._batch_images
        with workers(processes=filters) as pool:
            images = ahead(self._read, sources, pool, 2 * self._batch_images)
            for batch in in_batches(images, self._batch_images):
                yield from self._predict_batch(batch, seen or heat, heat)

    def prepared(self, source: XRay) -> np.ndarray | str:
        """Return the network's input for an X-ray, float32 (img_px, img_px) in [0, 1], or why it cannot be read."""
        return self._read(source)

    def answer(self, prepared: np.ndarray | str, *, heat: bool = False) -> Answer:
        """Return the prediction for what `prepared` of this model, or of one with the same preprocessing, returned."""
        (answer,) = self._predict_batch([prepared], heat, heat)
        return answer

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return the class probabilities of prepared images.

        Args:
            images: float32 (images, img_px, img_px) in [0, 1].

        Returns:
            float32 (images, classes).
        """
        # Padded, so that at most two shapes are compiled.
        short = self._batch_images - len(images) if len(images) > 1 else 0
        filler = np.zeros((max(short, 0), *images.shape[1:]), np.float32)
        outputs = self.network.predict_on_batch(np.concatenate([images, filler])[..., None])
        return class_probabilities(outputs[: len(images)])

    @cached_property
    def _split_network(self) -> SplitNetwork:
        return split_network(self.network, self.card.model)

    def _predict_batch(self, batch: Sequence[np.ndarray | str], seen: bool, heat: bool) -> Iterable[Answer]:
        readable = [item for item in batch if not isinstance(item, str)]
        if not readable:
            return [Answer(reason=item) for item in batch]
        images = np.stack(readable)
        probabilities = self.probabilities(images)
        maps = self._heat(images, probabilities) if heat else [None] * len(images)
        inputs = images if seen else [None] * len(images)
        results = iter(zip(probabilities, inputs, maps, strict=True))
        return [Answer(reason=item) if isinstance(item, str) else self._answer(*next(results)) for item in batch]

    def _answer(self, probabilities: np.ndarray, image: np.ndarray | None, heat: np.ndarray | None) -> Answer:
        return Answer(self.classes[int(probabilities.argmax())], probabilities, None, image, heat)

    def _heat(self, images: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        if model_row(self.card.model).locator:
            return taught_maps(self.network, self.card.model, images[..., None])
        maps = self._split_network.feature_maps(images[..., None])
        return heat_maps(self._split_network, maps, probabilities.argmax(axis=1), self.card.img_px)
