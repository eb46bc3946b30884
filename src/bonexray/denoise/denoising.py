"""Filter many images in parallel, and no image twice."""

from pathlib import Path

from bonexray.compute import Compute, parallel_map
from bonexray.denoise.gpu import on_gpu
from bonexray.denoise.settings import Denoise
from bonexray.denoise.store import Store, store_folder
from bonexray.images.reading import bounded, read_image


def denoise_images(root: Path, images: dict[str, str], target: Path, settings: Denoise, compute: Compute) -> int:
    """Filter images in parallel, and write each as a 16-bit `<id>.png`; results in the store are reused.

    Args:
        root: folder of the dataset.
        images: id to path, relative to the root.
        target: existing folder.
        settings: filter, its parameters and the working size.
        compute: where the work runs.

    Returns:
        The number of images that were not in the store.

    Raises:
        BonexrayError: the settings require a GPU and there is none.
    """
    store = Store(store_folder(), settings)
    items = [((root / path).resolve(), (target / f"{image_id}.png").resolve()) for image_id, path in images.items()]
    names = parallel_map(_restore, [(*item, store) for item in items], "looking up", compute, threads=True)
    new = [(*item, name) for item, name in zip(items, names, strict=True) if name]
    if new:
        work = [(*item, store, settings.working_px) for item in new]
        for _ in parallel_map(_denoise, work, settings.method, compute, threads=on_gpu(settings)):
            pass
    return len(new)


def _restore(source: Path, target: Path, store: Store) -> str | None:
    """Write the result from the store; return its name if it is not there."""
    name = store.name_of(source.read_bytes())
    png = store.fetch(name)
    if png is None:
        return name
    target.write_bytes(png)
    return None


def _denoise(source: Path, target: Path, name: str, store: Store, working_px: int) -> None:
    target.write_bytes(store.filtered(name, lambda: bounded(read_image(source), working_px)))
