"""A Dask cluster and one machine give the same bytes."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bonexray.base.errors import BonexrayError
from bonexray.compute import Compute, parallel_map
from bonexray.dataset.source import Source
from bonexray.denoise.denoising import denoise_images
from bonexray.denoise.settings import Denoise
from bonexray.images.reading import write_png16
from bonexray.prepare.resizing import prepare_images
from bonexray.prepare.settings import Prepare
from bonexray.split.audit import audit_images

LOCAL = Compute(backend="local", scheduler=None)
DENOISE = Denoise(
    method="median", options={}, sigma=None, working_px=32, quality_images=3, quality_sigma=0.1, store_gb=1.0, seed=7
)


def started(*command: str, until: str) -> tuple[subprocess.Popen, str]:
    """Start a program of Dask; return it and the matched text once it prints that."""
    process = subprocess.Popen([sys.executable, "-m", *command], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if found := re.search(until, line):
            return process, found[1]
    raise AssertionError(f"{command} ended early")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Compute]:
    """Start a scheduler and two workers as processes."""
    pytest.importorskip("distributed")
    scheduler, address = started(
        "distributed.cli.dask_scheduler",
        "--port",
        "0",
        "--host",
        "127.0.0.1",
        "--no-dashboard",
        until=r"(tcp://[\d.:]+)",
    )
    workers = [
        started(
            "distributed.cli.dask_worker",
            address,
            "--nthreads",
            "1",
            "--no-dashboard",
            "--no-nanny",
            until=r"(Registered to)",
        )[0]
        for _ in range(2)
    ]
    yield Compute(backend="dask", scheduler=address)
    for process in (*workers, scheduler):
        process.terminate()
        process.wait(30)


def square(number: int) -> int:
    return number * number


@pytest.mark.parametrize("threads", [False, True])
def test_results_are_in_the_order_of_the_items(threads: bool) -> None:
    assert list(parallel_map(square, [(n,) for n in range(50)], "squares", LOCAL, threads=threads)) == [
        n * n for n in range(50)
    ]


def test_no_items_give_no_results() -> None:
    assert list(parallel_map(square, [], "squares", LOCAL)) == []


def written_by(compute: Compute, root: Path, folder: Path) -> dict[str, bytes]:
    """Return the files that denoise and prepare write, and the facts of the audit."""
    images = {path.stem: path.name for path in sorted(root.iterdir())}
    for name in ("denoised", "prepared"):
        (folder / name).mkdir(parents=True)
    denoise_images(root, images, folder / "denoised", DENOISE, compute)
    prepare_images(folder / "denoised", list(images), folder / "prepared", Prepare(img_px=24, resize="pad"), compute)
    audited = audit_images(root, [Source(name, "a", None, None) for name in images.values()], compute)
    facts = {item.source.path: repr((item, item.thumbnail.tobytes())).encode() for item in audited}
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("[dp]*/*")} | facts


def test_two_workers_write_the_bytes_of_one_machine(
    cluster: Compute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "raw"
    root.mkdir()
    for number in range(9):
        write_png16(root / f"{number}.png", np.random.default_rng(number).random((40, 30)))
    found = []
    for name, compute in (("local", LOCAL), ("dask", cluster)):
        monkeypatch.setenv("DVC_ROOT", str(tmp_path / name))  # a store each
        found.append(written_by(compute, root, tmp_path / name))
    assert found[0] == found[1]
    assert len(found[0]) == 9 + 2 + 9
    assert len(list((tmp_path / "dask/.bonexray/filtered").glob("*/*.png"))) == 9


def test_a_scheduler_that_does_not_respond_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("bonexray.compute.CONNECT_SECONDS", 1)
    with pytest.raises(BonexrayError, match=r"compute.scheduler: .*no response from tcp://127.0.0.1:9"):
        list(parallel_map(square, [(1,)], "squares", Compute(backend="dask", scheduler="tcp://127.0.0.1:9")))


def test_dask_without_a_scheduler_is_refused() -> None:
    with pytest.raises(ValueError, match="if the backend is dask"):
        Compute(backend="dask", scheduler=None)
