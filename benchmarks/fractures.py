"""Measure how well heat maps find simulated fractures: `python benchmarks/fractures.py`.

Runs the study `dataset=phantom_fracture` up to its explanations in a temporary folder. Writes metrics/fractures.json, with
the scores of each network and the minutes of each training on this machine, and with --into docs/localisation.md the table
into that page. Takes about ten minutes on two cores.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bonexray import XRayClassifier
from bonexray.base.files import read_json, write_json
from bonexray.registry import BASELINES, model_title
from bonexray.results.markdown import with_section
from bonexray.results.wording import with_interval

TARGET = Path("metrics/fractures.json")
STAGES = ("phantom", "split", "denoise", "prepare", "features", "train", "explain")
REFERENCES = {"centre": "centre of the image", "mean_box": "mean box of training"}
SCORES = {
    "pointing": "pointing game",
    "energy": "energy in the box",
    "iou": "IoU, box",
    "outline_iou": "IoU, outline",
    "outline_dice": "Dice, outline",
}


def main() -> None:
    """Run the study, and write its localisation and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=400)
    parser.add_argument("--px", type=int, default=80, help="side of the images")
    parser.add_argument("--epochs", type=int, default=35)
    parser.add_argument("--into", type=Path, help="a Markdown file to write the table into")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for metrics/")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(options, Path(folder) / "study")
    write_json(options.out / TARGET, measured)
    text = markdown(json.loads((options.out / TARGET).read_text(encoding="utf-8")))
    if options.into:
        page = options.into.read_text(encoding="utf-8")
        options.into.write_text(with_section(page, "fractures", text), encoding="utf-8")
    print(text)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Return the content of localisation.json of the study, and `minutes`, the time of each training."""
    px = {"phantom.img_px": options.px, "prepare.img_px": options.px}
    config = {"dataset": "phantom_fracture", "phantom.patients": options.patients, **px, "epochs": options.epochs}
    study, minutes = XRayClassifier(config, folder), {}
    for call in study.plan():
        if call[0] in STAGES:
            start = time.monotonic()
            study.run_stage(*call)
            if call[0] == "train" and call[1] not in BASELINES:
                minutes[call[1]] = round((time.monotonic() - start) / 60, 1)
    return {**read_json(folder / "reports/explained/localisation.json"), "minutes": minutes}


def markdown(measured: Mapping) -> str:
    """Return the table of each network and kind of map, and a line on the test images and the times."""
    lines = [
        f"| network | map | {' | '.join(SCORES.values())} |",
        f"| --- | --- |{' --: |' * len(SCORES)}",
        *(_line("none", title, measured["references"][name]) for name, title in REFERENCES.items()),
        *(
            _line(model_title(name), measured["kinds"][kind], scores)
            for name, found in measured["models"].items()
            for kind, scores in found.items()
        ),
    ]
    times = ", ".join(f"{model_title(name)} {value} min" for name, value in measured["minutes"].items())
    lines += [
        "",
        f"{measured['images']} test images of {measured['patients']} patients. Training on two cores: {times}.",
    ]
    return "\n".join(lines)


def _line(network: str, kind: str, scores: Mapping[str, float]) -> str:
    cells = [with_interval(scores, key) if key in scores else "" for key in SCORES]
    return f"| {network} | {kind} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
