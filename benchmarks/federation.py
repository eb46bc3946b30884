"""Measure what hospitals would gain by training together on the simulated cohort: `python benchmarks/federation.py`.

Deals the patients to sites of unequal size, as `bonexray federate simulate --deal` does, and trains a linear head on several
frozen backbones: at each site alone, at all sites together, and on all images in one place. Writes metrics/federation.json,
and with --into docs/federated.md the table into that page. Takes about five minutes on two cores.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path

from bonexray import XRayClassifier
from bonexray.base.files import write_json
from bonexray.federate.comparison import ALONE, CENTRAL, compare, rehearsal_of
from bonexray.federate.plan import FEDAVG, FEDPROX, plan_of
from bonexray.federate.site import open_site
from bonexray.federate.sites import dealt_sites
from bonexray.registry import model_title
from bonexray.results.markdown import with_section
from bonexray.results.wording import with_interval
from bonexray.study import load_settings

TARGET = Path("metrics/federation.json")
STAGES = ("phantom", "split", "denoise", "prepare", "features")
MODELS = ["vgg16", "resnet18", "resnet50", "densenet121", "mobilenet_v2"]
SCORE = "balanced_accuracy"


def main() -> None:
    """Compare the ways to train for each backbone, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--sites", type=int, default=4)
    parser.add_argument("--patients", type=int, default=400)
    parser.add_argument("--px", type=int, default=80, help="side of the images")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--into", type=Path, help="a Markdown file to write the table into")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of metrics/")
    options = parser.parse_args()
    target = (options.out / TARGET).absolute()
    with tempfile.TemporaryDirectory() as folder:
        write_json(target, {"sites": options.sites, "models": measure(options, Path(folder) / "study")})
    text = markdown(json.loads(target.read_text(encoding="utf-8")))
    if options.into:
        page = options.into.read_text(encoding="utf-8")
        options.into.write_text(with_section(page, "federation", text), encoding="utf-8")
    print(text)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, object]]:
    """Return the result of `compare` for each model."""
    px = {"phantom.img_px": options.px, "prepare.img_px": options.px}
    study = XRayClassifier({"models": options.models, "phantom.patients": options.patients, **px}, folder)
    for call in study.plan():
        if call[0] in STAGES:
            study.run_stage(*call)
    plan, found = plan_of(strategy=FEDPROX, rounds=options.rounds, local_steps=20, mu=1.0), {}
    with chdir(folder):
        settings = load_settings()
        for model in options.models:
            site = open_site(settings, model)
            rehearsal = rehearsal_of(site, dealt_sites(site.rows["group"], options.sites))
            found[model], _ = compare(rehearsal, plan, settings.evaluate, lambda _: None)
    return found


def markdown(measured: Mapping) -> str:
    """Return the table of the balanced accuracy that each way to train reached on the same test images."""
    results = measured["models"]
    first = next(iter(results.values()))
    sites = {name: site["patients"]["train"] for name, site in first["sites"].items()}
    lines = [
        f"| head on | FedProx, {len(sites)} sites | FedAvg | {CENTRAL} | largest site alone | FedProx minus it, p (Holm) |",
        "| --- | --: | --: | --: | --: | --: |",
        *(_line(result) for result in results.values()),
        "",
        f"Balanced accuracy on {sum(site['images']['test'] for site in first['sites'].values())} test images. Training "
        f"patients: {', '.join(f'{name} {count}' for name, count in sites.items())}.",
    ]
    return "\n".join(lines)


def _line(result: Mapping) -> str:
    scores = result["scores"]
    largest = ALONE.format(site=max(result["sites"], key=lambda name: result["sites"][name]["patients"]["train"]))
    gain = next(pair for pair in result["differences"] if pair["other"] == largest)
    cells = [with_interval(scores[name], SCORE) for name in (FEDPROX, FEDAVG, CENTRAL, largest)]
    return f"| {model_title(result['model'])} | {' | '.join(cells)} | {with_interval(gain, 'difference')}, {gain['p_holm']:.2f} |"


if __name__ == "__main__":
    main()
