"""Every image is filtered once, also across interruptions."""

import errno
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from bonexray.compute import Compute
from bonexray.denoise import denoising as denoise_module
from bonexray.denoise import store as store_module
from bonexray.denoise.denoising import denoise_images
from bonexray.denoise.quality import added_noise_quality
from bonexray.denoise.settings import Denoise
from bonexray.denoise.store import Store, store_folder, trim
from bonexray.images.reading import read_image, write_png16

LOCAL = Compute(backend="local", scheduler=None)
SETTINGS = Denoise(
    method="median", options={}, sigma=None, working_px=32, quality_images=3, quality_sigma=0.1, store_gb=1.0, seed=7
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five images; the store is beside them."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    root = tmp_path / "raw"
    root.mkdir()
    for number in range(5):
        write_png16(root / f"{number}.png", np.random.default_rng(number).random((32, 32)))
    return root


def with_settings(**changes: object) -> Denoise:
    return SETTINGS.model_copy(update=changes)


def run(root: Path, name: str = "out", settings: Denoise = SETTINGS) -> int:
    """Denoise all images into a folder; return the number that the store did not have."""
    target = root.parent / name
    target.mkdir()
    images = {path.stem: path.name for path in sorted(root.iterdir())}
    return denoise_images(root, images, target, settings, LOCAL)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def kept() -> list[Path]:
    return sorted(store_folder().glob("*/*"))


def test_a_second_run_filters_nothing_and_gives_the_same_bytes(root: Path) -> None:
    assert (run(root, "first"), run(root, "second")) == (5, 0)
    assert contents(root.parent / "first") == contents(root.parent / "second")
    assert len(contents(root.parent / "first")) == 5


def test_a_new_image_filters_one_image(root: Path) -> None:
    run(root, "first")
    write_png16(root / "new.png", np.random.default_rng(9).random((32, 32)))
    assert run(root, "second") == 1


def test_another_path_of_the_same_bytes_filters_nothing(root: Path) -> None:
    run(root, "first")
    (root / "0.png").rename(root / "renamed.png")
    assert run(root, "second") == 0


@pytest.mark.parametrize(
    "changes", [{"method": "tv"}, {"options": {"window_px": 5}}, {"sigma": 0.2}, {"working_px": 40}], ids=str
)
def test_a_changed_parameter_filters_all(root: Path, changes: dict[str, object]) -> None:
    run(root, "first")
    assert run(root, "second", with_settings(**changes)) == 5


def test_an_explicit_default_filters_nothing(root: Path) -> None:
    run(root, "first")
    assert run(root, "second", with_settings(options={"window_px": 3}, quality_images=9, seed=8)) == 0


def test_another_version_of_a_library_filters_all(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(root, "first")
    monkeypatch.setattr(store_module, "version", lambda name: f"another {name}")
    assert run(root, "second") == 5


def test_changed_code_of_the_filters_filters_all(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(root, "first")
    (root.parent / "code.py").write_text("# changed")
    monkeypatch.setattr(store_module, "CODE", [root.parent / "code.py"])
    assert run(root, "second") == 5


def test_a_new_image_is_decoded_once_and_a_known_one_never(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    monkeypatch.setattr(denoise_module, "read_image", lambda path: decoded.append(path) or read_image(path))
    monkeypatch.setattr(denoise_module, "on_gpu", lambda settings: True)  # threads, which see the list
    run(root, "first")
    run(root, "second")
    assert sorted(path.name for path in decoded) == [f"{number}.png" for number in range(5)]


def test_images_of_the_same_bytes_are_filtered_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, filtered = Store(store_folder(), SETTINGS), []
    name, image = store.name_of(b"the same"), np.random.default_rng(0).random((32, 32)).astype(np.float32)
    results = {store.filtered(name, lambda: filtered.append(1) or image) for _ in range(3)}
    assert (len(results), len(filtered)) == (1, 1)


@pytest.mark.parametrize("damage", [lambda png: png[:-30], lambda png: b"", lambda png: png[:60] + b"x" + png[61:]])
def test_a_damaged_result_is_replaced(root: Path, damage, caplog: pytest.LogCaptureFixture) -> None:
    run(root, "first")
    kept()[2].write_bytes(damage(kept()[2].read_bytes()))
    assert run(root, "second") == 1
    assert contents(root.parent / "first") == contents(root.parent / "second")
    assert "is damaged and will be replaced" in caplog.text
    assert run(root, "third") == 0


def test_results_of_an_interrupted_run_are_kept(root: Path) -> None:
    images = {"0": "0.png", "1": "1.png", "bad": "gone.png"}
    (root / "gone.png").write_bytes(b"no image")
    (root.parent / "first").mkdir()
    with pytest.raises(ValueError):
        denoise_images(root, images, root.parent / "first", SETTINGS, Compute(backend="local", scheduler=None))
    (root / "gone.png").unlink()
    finished = len(kept())
    assert finished >= 1
    assert run(root, "second") == 5 - finished


def test_the_measured_quality_is_filtered_once_and_a_new_image_changes_one_of_its_sample(root: Path) -> None:
    images = {path.stem: path.name for path in root.iterdir()}
    first = added_noise_quality(root, images, SETTINGS, LOCAL)
    before = kept()
    assert len(before) == 3
    assert added_noise_quality(root, images, SETTINGS, LOCAL) == first
    for number in range(10, 14):
        write_png16(root / f"{number}.png", np.random.default_rng(number).random((32, 32)))
        images[str(number)] = f"{number}.png"
        known = len(kept())
        added_noise_quality(root, images, SETTINGS, LOCAL)
        assert len(kept()) - known <= 1


def fill(folder: Path, start: int) -> None:
    """Keep and fetch the same hundred results in one of two processes."""
    store = Store(folder, SETTINGS)
    for number in range(start, start + 100):
        name = store.name_of(str(number % 100).encode())
        png = store.fetch(name)
        assert png is None or png == png_of(number % 100)
        store.keep(name, png_of(number % 100))


def png_of(number: int) -> bytes:
    import io

    stream = io.BytesIO()
    write_png16(stream, np.full((40, 40), number / 100))
    return stream.getvalue()


def test_two_processes_can_write_at_once(root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=fill, args=(store_folder(), start)) for start in (0, 50)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    store = Store(store_folder(), SETTINGS)
    names = [store.name_of(str(number).encode()) for number in range(100)]
    assert [store.fetch(name) for name in names] == [png_of(number) for number in range(100)]
    assert len(kept()) == 100  # and no file half written beside them


def test_a_full_disk_leaves_no_partial_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module.Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        Store(store_folder(), SETTINGS).keep("ab12", b"png")
    assert kept() == []


def test_the_store_removes_the_least_recently_used_files(root: Path) -> None:
    run(root, "first")
    paths = kept()
    for age, path in enumerate(paths):
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    store = Store(store_folder(), SETTINGS)
    names = [store.name_of(file.read_bytes()) for file in root.iterdir()]
    store.fetch(next(name for name in names if store.path_of(name) == paths[-1]))  # used again
    most = sum(path.stat().st_size for path in paths) - 1
    assert trim(store_folder(), most) == 1
    assert set(paths) - set(kept()) == {paths[-2]}
    assert trim(store_folder(), 0) == 4
    assert kept() == []
