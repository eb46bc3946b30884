"""Two reporting checklists: what this study can say to an item, and what only its authors can.

Item texts are in own words and short; the published lists are what a paper is held against.

CLAIM 2024: Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update, Radiology:
Artificial Intelligence 6(4), e240300. TRIPOD+AI: Collins et al., BMJ 2024;385:e078378.
"""

from dataclasses import dataclass

from bonexray.report.data import Study
from bonexray.results.wording import NONE, count, listed, with_interval

# Item, what it asks for, and the key of the statement that answers it; "" is for the authors.
CLAIM = (
    ("1", "Title names the AI method", ""),
    ("2", "Summary of design, methods, results", ""),
    ("3", "Background and intended role", ""),
    ("4", "Aims and hypotheses", ""),
    ("5", "Prospective or retrospective", ""),
    ("6", "Goal of the study", ""),
    ("7", "Where the data come from", "source"),
    ("8", "Inclusion and exclusion", "exclusion"),
    ("9", "Preprocessing", "preprocessing"),
    ("10", "Use of subsets", "subset"),
    ("11", "De-identification", ""),
    ("12", "Missing data", "missing"),
    ("13", "Image acquisition", ""),
    ("14", "Definition of the reference standard", ""),
    ("15", "Why that reference standard", ""),
    ("16", "Who annotated", ""),
    ("17", "Annotation of the test set", ""),
    ("18", "Variability between and within raters", ""),
    ("19", "How partitions were assigned", "partition"),
    ("20", "Level at which partitions are apart", "disjoint"),
    ("21", "Intended sample size", "size"),
    ("22", "Description of the model", "model"),
    ("23", "Software and versions", "software"),
    ("24", "Initial parameters", "weights"),
    ("25", "Training", "training"),
    ("26", "How the final model was chosen", "choice"),
    ("27", "Ensembles", "ensembles"),
    ("28", "Metrics", "metrics"),
    ("29", "Uncertainty and significance", "uncertainty"),
    ("30", "Robustness", "robustness"),
    ("31", "Explainability", "explained"),
    ("32", "Evaluation on internal data", "internal"),
    ("33", "Testing on external data", "external"),
    ("34", "Trial registration", ""),
    ("35", "Numbers included and excluded", "flow"),
    ("36", "Characteristics by partition", "balance"),
    ("37", "Performance with uncertainty", "performance"),
    ("38", "Estimates and their precision", "performance"),
    ("39", "Analysis of failures", "failures"),
    ("40", "Limitations", "limits"),
    ("41", "Implications for practice", ""),
    ("42", "Full protocol or further details", "protocol"),
    ("43", "Availability of software, model, data", "code"),
    ("44", "Funding", ""),
)
TRIPOD = (
    ("1", "Title", ""),
    ("2", "Abstract", ""),
    ("3a, 3b, 3c", "Context, target population, known inequalities", ""),
    ("4", "Objectives", ""),
    ("5a", "Source of data", "source"),
    ("5b", "Dates", ""),
    ("6a, 6b, 6c", "Setting, eligibility, treatments", ""),
    ("7", "Data preparation", "preprocessing"),
    ("8a, 8b, 8c", "Outcome and how it was assessed", ""),
    ("9a, 9b, 9c", "Predictors", "predictors"),
    ("10", "Sample size", "size"),
    ("11", "Missing data", "missing"),
    ("12a", "How data were used", "partition"),
    ("12b", "Handling of predictors", "preprocessing"),
    ("12c", "Model, its building, internal validation", "training"),
    ("12d", "Heterogeneity between clusters", ""),
    ("12e", "Measures of performance", "metrics"),
    ("12f", "Updating of the model", "updating"),
    ("12g", "How predictions are computed", "prediction"),
    ("13", "Class imbalance", "imbalance"),
    ("14", "Fairness", ""),
    ("15", "Output of the model", "output"),
    ("16", "Training and evaluation data compared", "balance"),
    ("17", "Ethical approval", ""),
    ("18a to 18d", "Funding, interests, protocol, registration", ""),
    ("18e", "Sharing of data", ""),
    ("18f", "Sharing of code", "code"),
    ("19", "Patient and public involvement", ""),
    ("20a", "Flow of participants", "flow"),
    ("20b, 20c", "Characteristics", "balance"),
    ("21", "Numbers in each analysis", "flow"),
    ("22", "Full specification of the model", "model"),
    ("23a", "Performance with intervals", "performance"),
    ("23b", "Heterogeneity of performance", ""),
    ("24", "Results of updating", "updating"),
    ("25", "Interpretation", ""),
    ("26", "Limitations", "limits"),
    ("27a, 27b, 27c", "Use in practice, and next steps", ""),
)


@dataclass(frozen=True)
class Item:
    """An item of a checklist: its number, what it asks for, and what the study says to it, None where it is for the authors."""

    number: str
    topic: str
    says: str | None


def checklist(items: tuple[tuple[str, str, str], ...], study: Study) -> list[Item]:
    """The items of `CLAIM` or `TRIPOD` with what this study says to each."""
    said = statements(study)
    return [Item(number_, topic, said[key] if key else None) for number_, topic, key in items]


def statements(study: Study) -> dict[str, str]:
    """What a study says of itself, by key."""
    return {**_of_data(study), **_of_models(study), **_of_evaluation(study)}


def _of_data(study: Study) -> dict[str, str]:
    settings, data = study.settings, study.data
    folds = f"; cross-validation over {study.folds} folds" if study.folds > 1 else ""
    sizes = ", ".join(
        f"{sum(data[split].values())} {name}"
        for split, name in (("train", "training"), ("val", "validation"), ("test", "test"))
    )
    return {
        "source": f"{settings.dataset.name}: {'simulated radiographs' if study.simulated else 'described by the authors'}; {count(data['images'], 'image')}.",
        "exclusion": f"{count(data['quarantined'], 'file')} put aside as unreadable or contradictory; further criteria are the authors'.",
        "preprocessing": f"Filter {settings.denoise.method}, min-max to [0, 1], {settings.prepare.resize} to {settings.prepare.img_px} px.",
        "subset": f"{settings.split.subset:.0%} of the images, {data['outside_subset']} left out.",
        "missing": "An image that cannot be read or has no label takes no part; nothing is imputed.",
        "partition": f"Stratified by class, seed {settings.split.seed}: {sizes} images{folds}.",
        "disjoint": f"By group (patient, source image or copies of one picture): {data['groups']} groups, the largest of {count(data['largest_group'], 'image')}"
        + (", but leak suspect." if data["leak_suspect"] else "."),
        "size": f"Not computed beforehand; {study.n} test images, and the intervals say what they suffice for.",
        "predictors": "The pixels of one image; no clinical variable.",
        "imbalance": f"Class weights: {settings.train.class_weights}; loss {settings.train.loss}; balanced accuracy is the headline.",
        "flow": f"{count(data['images'] + data['quarantined'] + data['outside_subset'], 'file')} read, {data['quarantined']} put aside, {data['outside_subset']} outside the subset, {data['images']} used: {sizes}.",
        "balance": "Images by class and split are in the table under Split; age, sex and scanner are not known to the software.",
    }


def _of_models(study: Study) -> dict[str, str]:
    train = study.settings.train
    starts = ", ".join(sorted(set(study.starts.values()) - {NONE}))
    ensembles = len(study.table) - len(study.networks)
    return {
        "model": f"{count(len(study.networks), 'network')}; layers, parameters and diagrams under Models, exact definitions in src/bonexray/registry.py and builders/.",
        "software": "Versions under Provenance.",
        "weights": f"Starts: {starts}; weights.source is {study.settings.weights.source}.",
        "training": f"Up to {train.epochs} epochs, {train.optimizer}, learning rate {train.learning_rate:g}, batches of {train.batch_images}, early stopping on validation loss; all settings in params.yaml.",
        "choice": "By balanced accuracy on validation, then log loss; the test set was not used.",
        "ensembles": f"{count(ensembles, 'ensemble')}; weights, where they have any, come from validation."
        if ensembles
        else "None in this study.",
        "output": "A probability a class; the answer is the class with the highest.",
        "prediction": "The network with its stored weights, exactly as evaluated; preprocessing is bound to the backbone.",
        "updating": "No model was updated after evaluation.",
    }


def _of_evaluation(study: Study) -> dict[str, str]:
    evaluate, head = study.settings.evaluate, study.headline
    explained = (
        f"Grad-CAM for {count(len(study.explained), 'model')}, with a randomisation check."
        if study.explained
        else "No heat maps were drawn."
    )
    return {
        "metrics": "Balanced accuracy, accuracy, precision, recall, specificity, F1, ROC AUC and calibration, by class and averaged.",
        "uncertainty": f"{study.confidence} intervals by bootstrap over groups ({evaluate.resamples} resamples, seed {evaluate.seed}); paired tests with Holm's correction.",
        "robustness": f"By {listed(study.rounds)}." if study.rounds else "Neither repeats nor folds in this study.",
        "explained": explained,
        "internal": f"{study.n} test images, none of which took part in training or choosing the model that answered it.",
        "external": "None.",
        "performance": f"Balanced accuracy of the chosen model {with_interval(head, 'balanced_accuracy')}; all under Results.",
        "failures": "Confusion matrices and the surest wrong answers of each model under Models.",
        "limits": "Under Limitations, as far as the software can know them.",
        "protocol": "All settings in params.yaml, all steps in dvc.yaml, all hashes in dvc.lock.",
        "code": "bonexray; dvc.lock beside this page names the hash of the code of every stage.",
    }
