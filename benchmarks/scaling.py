"""Measure what an image costs in each stage, and whether memory grows with their number: `python benchmarks/scaling.py`.

Runs the whole flow on simulated cohorts of several sizes. The models are a linear head on cached features and a baseline;
--models names others, for example a network trained from scratch. Measures the processor time, the peak memory and the
bytes written of each stage, and scales them to a cohort of 100 000 images. Writes metrics/scaling.json, and with --into
docs/scaling.md the table into that page.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from bonexray import XRayClassifier
from bonexray.base.files import write_json
from bonexray.data.manifest import read_manifest
from bonexray.data.paths import MANIFEST
from bonexray.experiment.dag import Call
from bonexray.experiment.process import environment
from bonexray.progress import progress
from bonexray.resources import resource_path
from bonexray.results.markdown import with_section

TARGET = Path("metrics/scaling.json")
IMAGES_OF_A_PATIENT = 1.5  # of the simulated cohort, on average
PLANNED = 100_000  # images
OTHER_SITE = "@other_site"  # stages of the external cohort, whose size is not that of the cohort


def main() -> None:
    """Measure every stage on every cohort, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 3_000, 10_000], help="about, of each cohort")
    parser.add_argument("--px", type=int, default=48, help="side of an image")
    parser.add_argument("--filter", default="median", help="denoise.method")
    parser.add_argument("--models", nargs="+", default=["mobilenet_v2", "texture", "brightness"])
    parser.add_argument("--into", type=Path, help="a Markdown file to write the table into")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of metrics/")
    options = parser.parse_args()
    if len(options.images) < 2 or sorted(set(options.images)) != options.images:
        parser.error("--images: expected at least two numbers, from small to large")
    write_json(options.out / TARGET, {"px": options.px, "filter": options.filter, **measure(options)})
    text = markdown(json.loads((options.out / TARGET).read_text(encoding="utf-8")))
    if options.into:
        page = options.into.read_text(encoding="utf-8")
        options.into.write_text(with_section(page, "scaling", text), encoding="utf-8")
    print(text)


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Return the number of images of each cohort, and the cost of every stage on each."""
    images, stages = [], {}
    for count in options.images:
        with tempfile.TemporaryDirectory() as folder:
            study = study_of(count, options, Path(folder) / "study")
            for call in progress(study.plan(), f"{count} images", len(study.plan())):
                stages.setdefault("@".join(call), []).append(cost_of(call, study.folder))
            images.append(len(read_manifest(study.folder / MANIFEST)))
    return {"images": images, "stages": stages}


def study_of(images: int, options: argparse.Namespace, folder: Path) -> XRayClassifier:
    """Return a study of a simulated cohort of one site, with its settings written into the folder."""
    px = {"phantom.img_px": options.px, "prepare.img_px": options.px}
    patients = round(images / IMAGES_OF_A_PATIENT)
    config = {**px, "phantom.patients": patients, "denoise.method": options.filter, "external": {}}
    study = XRayClassifier({**config, "models": options.models, "epochs": 1}, folder)
    study.write_settings()
    return study


def cost_of(call: Call, folder: Path) -> dict[str, float]:
    """Run a stage; return its processor time in seconds, the peak memory of its largest process and the bytes written."""
    stage, *names = call
    before = size_of(folder)
    command = [sys.executable, "-P", str(resource_path("stages") / f"{stage}.py"), *names]
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{errors[-2000:]}")
    return {
        "seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "bytes": size_of(folder) - before,
    }


def size_of(folder: Path) -> int:
    """Return the bytes of a study's files, without logs and the store of filtered images."""
    left_out = {".bonexray", "logs"}
    files = (path for path in folder.rglob("*") if left_out.isdisjoint(path.relative_to(folder).parts))
    return sum(path.stat().st_size for path in files if path.is_file())


def markdown(measured: Mapping) -> str:
    """Return the table of what an image costs in each stage, and a line on how it was measured."""
    counts = measured["images"]
    steps = [f"{few} to {many} images" for few, many in pairwise(counts)]
    lines = [
        f"| stage | {' | '.join(f'ms an image, {step}' for step in steps)} | kB an image | memory, {counts[0]} images "
        f"| {counts[-1]} images | {PLANNED} images: time | memory |",
        f"| --- |{' --: |' * (len(steps) + 5)}",
        *(_line(stage, costs, counts) for stage, costs in measured["stages"].items() if not stage.endswith(OTHER_SITE)),
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"Images of {measured['px']} pixels, filter {measured['filter']}. Time is that of one core and of what each "
            "further image adds, so that the start of a stage does not count; memory is that of the largest process. The "
            "last two columns continue the line from the smallest to the largest cohort, start included.",
        ]
    )


def _line(stage: str, costs: Sequence[Mapping[str, float]], counts: Sequence[int]) -> str:
    first, last = costs[0], costs[-1]
    growth = {key: (last[key] - first[key]) / (counts[-1] - counts[0]) for key in first}
    planned = {key: first[key] + growth[key] * (PLANNED - counts[0]) for key in first}
    slopes = [
        (many["seconds"] - few["seconds"]) / (more - fewer)
        for (few, many), (fewer, more) in zip(pairwise(costs), pairwise(counts), strict=True)
    ]
    cells = [f"{max(0, 1000 * slope):.1f}" for slope in slopes]
    cells += [f"{max(0, growth['bytes']) / 1000:.1f}", f"{first['peak_mb']} MB", f"{last['peak_mb']} MB"]
    cells += [f"{max(first['seconds'], planned['seconds']) / 3600:.1f} h"]
    cells += [f"{max(first['peak_mb'], planned['peak_mb']) / 1000:.1f} GB"]
    return f"| {stage} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
