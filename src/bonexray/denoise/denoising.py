"""A filter over many images at once, one process a core, and never twice over the same image."""

from pathlib import Path

from bonexray.compute import Compute, spread
from bonexray.denoise.gpu import on_gpu
from bonexray.denoise.settings import Denoise
from bonexray.denoise.store import Store, store_folder
from bonexray.images.reading import bounded, read_image


def denoise_images(root: Path, images: dict[str, str], target: Path, settings: Denoise, compute: Compute) -> int:
    """Filter images in parallel and write each as `<id>.png` of 16 bits; what an earlier study did is taken from there.

    Args:
        root: the dataset's folder.
        images: id to path below the root.
        target: an existing folder.
        settings: filter, its parameters and the working size.
        compute: where the work is done.

    Returns:
        How many images were filtered anew.

    Raises:
        BonexrayError: the settings ask for a GPU and there is none.
    """
    store = Store(store_folder(), settings)
    items = [((root / path).resolve(), (target / f"{name}.png").resolve()) for name, path in images.items()]
    missing = spread(_restore, [(*item, store) for item in items], "looking up", compute, threads=True)
    new = [(*item, name) for item, name in zip(items, missing, strict=True) if name]
    if new:
        work = [(*item, store, settings.working_px) for item in new]
        for _ in spread(_denoise, work, settings.method, compute, threads=on_gpu(settings)):
            pass
    return len(new)


def _restore(source: Path, target: Path, store: Store) -> str | None:
    """Write a known result; the name of one that is not known."""
    name = store.name_of(source.read_bytes())
    png = store.fetch(name)
    if png is None:
        return name
    target.write_bytes(png)
    return None


def _denoise(source: Path, target: Path, name: str, store: Store, working_px: int) -> None:
    target.write_bytes(store.filtered(name, lambda: bounded(read_image(source), working_px)))
