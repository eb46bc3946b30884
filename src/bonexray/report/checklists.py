"""Two reporting checklists, CLAIM 2024 and TRIPOD+AI, with the study's statement on each item that it can answer."""

from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from bonexray.report.data import Study
from bonexray.report.external import chosen_sentences
from bonexray.report.text import training_sentence
from bonexray.results.wording import NONE, count, listed, with_interval

ITEMS = Path(__file__).with_name("checklists.yaml")


@dataclass(frozen=True)
class Item:
    """An item of a checklist.

    Attributes:
        number: number in the published list.
        topic: subject of the item, in short.
        statement: key of the study's statement; None for an item that is left to the authors.
    """

    number: str
    topic: str
    statement: str | None = None


def _read_items(checklist: str) -> tuple[Item, ...]:
    return tuple(Item(**item) for item in YAML(typ="safe").load(ITEMS)[checklist])


CLAIM, TRIPOD = _read_items("claim"), _read_items("tripod")


def checklist(items: tuple[Item, ...], study: Study) -> list[tuple[Item, str | None]]:
    """Return each item of `CLAIM` or `TRIPOD` with the study's statement; None where it is left to the authors."""
    texts = statements(study)
    return [(item, texts[item.statement] if item.statement else None) for item in items]


def statements(study: Study) -> dict[str, str]:
    """Return the study's statements by their keys in checklists.yaml."""
    return {**_of_data(study), **_of_models(study), **_of_evaluation(study)}


def _of_data(study: Study) -> dict[str, str]:
    settings, data = study.settings, study.data
    clinical = settings.dataset.clinical if study.clinical["models"] else []
    folds = f"; cross-validation over {study.folds} folds" if study.folds > 1 else ""
    sizes = ", ".join(
        f"{sum(data[split].values())} {name}"
        for split, name in (("train", "training"), ("val", "validation"), ("test", "test"))
    )
    return {
        "source": f"{settings.dataset.name}: {'simulated radiographs' if study.simulated else 'described by the authors'}; {count(data['images'], 'image')}.",
        "exclusion": f"{count(data['quarantined'], 'file')} excluded as unreadable or contradictory; further criteria are up to the authors.",
        "preprocessing": f"Filter {settings.denoise.method}, min-max to [0, 1], {settings.prepare.resize} to {settings.prepare.img_px} px.",
        "subset": f"{settings.split.subset:.0%} of the patients of each class and split, {data['outside_subset']} left out.",
        "missing": "Images that are unreadable or have no label are excluded; "
        + (
            "missing clinical variables are replaced by the median or the most frequent word of training."
            if clinical
            else "nothing is imputed."
        ),
        "partition": f"Stratified by class, seed {settings.split.seed}: {sizes} images{folds}.",
        "disjoint": f"By group (patient, source image or copies of an image): {data['groups']} groups, the largest with {count(data['largest_group'], 'image')}"
        + (", but a leak is suspected." if data["leak_suspect"] else "."),
        "size": f"Not computed in advance; {count(study.n, study.case)}, whose precision the intervals show.",
        "predictors": "The pixels of one image; "
        + (f"{listed(clinical)} only under Clinical variables." if clinical else "no clinical variable."),
        "imbalance": f"Class weights: {settings.train.class_weights}; loss {settings.train.loss}; balanced accuracy is the main score.",
        "flow": f"{count(data['images'] + data['quarantined'] + data['outside_subset'], 'file')} read, {data['quarantined']} excluded, {data['outside_subset']} outside the subset, {data['images']} used: {sizes}.",
        "balance": "See Split for images by class and split"
        + (
            f", and Subgroups for {listed(list(study.subgroups))}."
            if study.subgroups
            else "; no column was named for subgroups."
        ),
    }


def _of_models(study: Study) -> dict[str, str]:
    starts = ", ".join(sorted(set(study.starts.values()) - {NONE}))
    ensembles = int((study.table["kind"] == "ensemble").sum())
    return {
        "model": f"{count(len(study.networks), 'network')}; layers, parameters and diagrams are under Models, exact definitions in src/bonexray/registry.py and builders/.",
        "software": "See Provenance for versions.",
        "weights": f"Trainings start from: {starts}; weights.source is {study.settings.weights.source}.",
        "training": f"{training_sentence(study)} All settings are in params.yaml.".strip(),
        "choice": "By balanced accuracy on validation, then by log loss there; the test set was not used.",
        "ensembles": f"{count(ensembles, 'ensemble')}; weights, if any, are fitted on validation."
        if ensembles
        else "None in this study.",
        "output": "A probability for each class; the class with the highest is predicted.",
        "prediction": "By the network with its stored weights, as evaluated; preprocessing is fixed by the backbone.",
        "updating": "No model was updated after evaluation.",
    }


def _of_evaluation(study: Study) -> dict[str, str]:
    evaluate, head = study.settings.evaluate, study.headline
    explained = (
        f"Grad-CAM for {count(len(study.explained), 'model')}, with a sanity check against random weights."
        if study.explained
        else "Not computed in this study."
    )
    return {
        "metrics": "Balanced accuracy, accuracy, precision, recall, specificity, F1, ROC AUC and calibration, for each class and averaged.",
        "uncertainty": f"{study.confidence} intervals over groups: exact for proportions, otherwise a bootstrap ({evaluate.resamples} resamples, seed {evaluate.seed}); paired tests with Holm's correction.",
        "robustness": f"Trained over {listed(study.rounds)}."
        if study.rounds
        else "No repeats and no cross-validation in this study.",
        "explained": explained,
        "internal": f"{count(study.n, study.case)}, none of which was used to train or select the model that predicts it."
        + (
            " Each fold chose its model on its own validation images; the scores of single models over all folds do not result from such a choice."
            if study.folds > 1
            else ""
        ),
        "external": _external(study),
        "performance": f"Balanced accuracy of the chosen model {with_interval(head, 'balanced_accuracy')}; all scores are under Results.",
        "failures": "See Models for confusion matrices and the most confident errors of each model.",
        "limits": "See Limitations for those that the software can identify.",
        "protocol": "All settings are in params.yaml, all steps in dvc.yaml, all hashes in dvc.lock.",
        "code": "bonexray; dvc.lock has the hash of the code of every stage.",
    }


def _external(study: Study) -> str:
    """Return what the chosen model reaches on each external cohort."""
    return " ".join(sentence for name in study.external for sentence in chosen_sentences(study, name)) or "None."
