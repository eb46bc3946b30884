"""X-rays in, a class and its probabilities out, as the study itself would have answered."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from bonexray.explain.feature_maps import Halves, halve
from bonexray.explain.gradcam import heat_maps
from bonexray.networks.heads import class_probabilities
from bonexray.serving.bundle import Bundle, open_bundle
from bonexray.serving.prefetch import ahead, in_batches, workers
from bonexray.serving.reading import Reading, Source

BATCH_IMAGES = 32  # more is hardly faster on processors, and memory follows it


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says about one X-ray.

    Attributes:
        label: the most probable class; None where the X-ray could not be read.
        probabilities: float32 (classes,), in the order of the class map; None likewise.
        reason: why it could not be read, else None.
        image: float32 (px, px) in [0, 1], what the network saw, where it was asked for.
        heat: float (px, px) in [0, 1], where that speaks for the label, where heat maps were asked for.
    """

    label: str | None = None
    probabilities: np.ndarray | None = None
    reason: str | None = None
    image: np.ndarray | None = None
    heat: np.ndarray | None = None


class Predictor:
    """A model of a study, and all that the study does to an X-ray before it.

    Args:
        bundle: the model.
        batch_images: X-rays in one forward pass.

    Example:
        >>> predictor = Predictor.open("champion")
        >>> predictor.predict(["knee.dcm"])[0].label
        'normal'
    """

    def __init__(self, bundle: Bundle, batch_images: int = BATCH_IMAGES) -> None:
        self.card, self.classes, self.network = bundle.card, bundle.card.classes, bundle.network
        self._batch_images = batch_images
        self._read = Reading(bundle.card.denoise, bundle.card.prepare)

    @classmethod
    def open(cls, folder: Path | str) -> "Predictor":
        """The model in a folder that `bonexray bundle` wrote.

        Raises:
            BonexrayError: the folder is not as it was written.
        """
        return cls(open_bundle(Path(folder)))

    def predict(self, sources: Sequence[Source], *, seen: bool = False, heat: bool = False) -> list[Answer]:
        """An answer an X-ray, in their order; see `answers`."""
        return list(self.answers(sources, seen=seen, heat=heat))

    def answers(self, sources: Sequence[Source], *, seen: bool = False, heat: bool = False) -> Iterator[Answer]:
        """Answer X-rays one after the other; a few are read ahead, so that memory does not follow their number.

        Args:
            sources: paths, bytes of files, or pixels; see `Reading.prepared`.
            seen: give what the network saw, too.
            heat: draw a heat map for each answer, and give what the network saw, too.
        """
        filters = self.card.denoise.method != "none" and len(sources) > self._batch_images
        with workers(processes=filters) as pool:
            images = ahead(self._read, sources, pool, 2 * self._batch_images)
            for batch in in_batches(images, self._batch_images):
                yield from self._answered(batch, seen or heat, heat)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """What the network says about prepared images.

        Args:
            images: float32 (images, img_px, img_px) in [0, 1].

        Returns:
            float32 (images, classes).
        """
        short = self._batch_images - len(images) if len(images) > 1 else 0  # two shapes at most: compiled twice
        filler = np.zeros((max(short, 0), *images.shape[1:]), np.float32)
        outputs = self.network.predict_on_batch(np.concatenate([images, filler])[..., None])
        return class_probabilities(outputs[: len(images)])

    @cached_property
    def _halves(self) -> Halves:
        return halve(self.network, self.card.model)

    def _answered(self, batch: Sequence[np.ndarray | str], seen: bool, heat: bool) -> Iterable[Answer]:
        found = [item for item in batch if not isinstance(item, str)]
        if not found:
            return [Answer(reason=item) for item in batch]
        images = np.stack(found)
        probabilities = self.probabilities(images)
        maps = self._heat(images, probabilities) if heat else [None] * len(images)
        shown = images if seen else [None] * len(images)
        known = iter(zip(probabilities, shown, maps, strict=True))
        return [Answer(reason=item) if isinstance(item, str) else self._one(*next(known)) for item in batch]

    def _one(self, probabilities: np.ndarray, image: np.ndarray | None, heat: np.ndarray | None) -> Answer:
        return Answer(self.classes[int(probabilities.argmax())], probabilities, None, image, heat)

    def _heat(self, images: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        maps = self._halves.below(images[..., None])
        return heat_maps(self._halves, maps, probabilities.argmax(axis=1), self.card.img_px)
