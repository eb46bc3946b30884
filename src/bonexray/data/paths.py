"""Paths of the files that stages exchange, relative to the folder of the study."""

from pathlib import Path

MANIFEST = Path("data/split/manifest.csv")
CLASSES = Path("data/split/classes.json")
QUARANTINE = Path("data/split/quarantine.csv")
RECORD = Path("data/split/record.csv")  # what is known of each image beside its pixels
IMAGES = Path("data/prepared/images.npy")  # input of the networks: float32 (images, img_px, img_px) in [0, 1]
FEATURES, VIEWS, FEATURES_CARD = "features.npy", "views.npy", "features.json"  # in data/features/<backbone>/
MODEL_CARD, MODEL_WEIGHTS = "model.json", "model.weights.h5"  # in models/<model>/
COEFFICIENTS = "coefficients.csv"  # of a baseline, in models/<model>/, for people
REGRESSION = "regression.json"  # and in full, in place of the weights
NUMBERS = "numbers.npy"  # of a baseline: its numbers of each image, float64 (images, numbers)
HISTORY, PREDICTIONS = "history.csv", "predictions.csv"  # also in models/<model>/
PENALTY = "penalty"  # phase of a history whose rows are penalties of a linear head instead of epochs
EXTERNAL = Path("data/external")  # a folder for each external cohort, with manifest.csv, images.npy and these:
COHORT_FACTS, LEFT_OUT = "cohort.json", "left_out.csv"
EXTERNAL_METRICS = Path("metrics/external")  # a file for each
EXTERNAL_REPORTS = Path("reports/external")
EVALUATED = Path("data/evaluated")  # copies of card, history and predictions, one folder for each model
DATA = Path("metrics/data.json")
DENOISE = Path("metrics/denoise.json")
MODELS = Path("metrics/models.json")
ENSEMBLES = Path("metrics/ensembles.json")
HEADLINE = Path("metrics/headline.json")  # the main result
SCORES = Path("metrics/scores.json")  # the few numbers that `dvc metrics diff` shows
COMPARISON = Path("metrics/comparison.csv")
PAIRS = Path("metrics/pairs.csv")
RANKS = Path("metrics/ranks.json")
SUBGROUPS = Path("metrics/subgroups.json")
LEARNING_CURVE = Path("metrics/learning_curve.csv")  # scores by number of training patients
LEARNING_CURVE_REPORTS = Path("reports/learning_curve")
CONFOUNDERS = Path("metrics/confounders.json")
CLINICAL = Path("metrics/clinical.json")
MODEL_REPORTS = Path("reports/models")
ENSEMBLE_REPORTS = Path("reports/ensembles")
EXPLAINED_REPORTS = Path("reports/explained")
SANITY_CHECK = "sanity_check.json"  # in reports/explained/<model>/
SUBGROUP_REPORTS = Path("reports/subgroups")
COMPARISON_REPORTS = Path("reports/comparison")
PLOTS = Path("reports/plots")  # data for `dvc plots`


def features_folder(backbone: str) -> Path:
    """Return the folder of a backbone's features."""
    return Path("data/features") / backbone


def weights_path(backbone: str) -> Path:
    """Return the file of a backbone's starting weights."""
    return Path("weights") / f"{backbone}.weights.h5"


def model_folder(model: str) -> Path:
    """Return the folder of a trained model."""
    return Path("models") / model
