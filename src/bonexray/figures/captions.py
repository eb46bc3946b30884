"""Captions and alternative texts of all figures.

They are in one table and not beside the drawings, because the report needs the words but not matplotlib.
"""

from typing import NamedTuple

from bonexray.base.errors import BonexrayError


class Words(NamedTuple):
    """The words of a figure.

    Attributes:
        caption: shown below it.
        alt: read in its place, by readers who do not see it.
    """

    caption: str
    alt: str


# File name of a figure, with {m} for the name of a model, to its words, with {title} for the model's title.
CAPTIONS: dict[str, Words] = {
    "{m}_confusion_matrix.png": Words(
        "{title}: test images by actual class (row) and predicted class (column).",
        "Confusion matrix of {title}: counts of test images, shaded by their share of the actual class.",
    ),
    "{m}_sample_predictions.png": Words(
        "{title}: test images of each class with the predicted class and its probability.",
        "Test radiographs with predictions of {title}: correct in a blue frame, wrong in a dashed vermilion frame.",
    ),
    "{m}_evaluation_figure.png": Words(
        "{title}: accuracy and loss over the epochs; the dotted line marks the epoch whose weights are kept.",
        "Two line charts of {title}, accuracy and loss of training and validation over the epochs.",
    ),
    "{m}_roc.png": Words(
        "{title}: ROC curve of each class against the rest, with bootstrap bands over groups.",
        "ROC curves of {title}, one panel per class, with the area under each curve and the diagonal of chance.",
    ),
    "{m}_precision_recall.png": Words(
        "{title}: precision against recall of each class, with bootstrap bands; dashed: share of the class.",
        "Precision-recall curves of {title}, one panel per class, with average precision and baseline.",
    ),
    "{m}_reliability.png": Words(
        "{title}: accuracy against confidence before and after temperature scaling, with the images in each bin.",
        "Reliability diagrams of {title} before and after temperature scaling, each with its expected calibration error.",
    ),
    "{m}_decision_curve.png": Words(
        "{title}: net benefit on test patients by threshold, against treating all and treating none.",
        "Line chart of {title}: net benefit against the threshold of the probability, with two reference lines.",
    ),
    "{m}_misclassified.png": Words(
        "{title}: wrong predictions on test, the most confident first, with the probabilities of all classes.",
        "Test radiographs that {title} misclassified, with actual and predicted class; a sentence if there are none.",
    ),
    "{m}_boxes.png": Words(
        "{title}: test images with their boxes, and beside each the heat map of its actual class with the strongest place.",
        "Pairs of radiographs of {title}: with an orange box, and with the heat map over it and a cross at its maximum.",
    ),
    "localisation.png": Words(
        "Pointing game on test images with boxes, for each network and kind of heat map, with intervals over patients.",
        "Dot plot with a row for each kind of heat map, and lines at the centre of the image and the mean box.",
    ),
    "external_scores.png": Words(
        "Balanced accuracy of each model on the internal test (hollow) and on the external cohort (filled, with interval).",
        "Dot plot with a row for each model: its score on the internal test and on the external cohort, and the difference.",
    ),
    "{m}_gradcam.png": Words(
        "{title}: Grad-CAM heat maps of the evidence for a class, for correct and wrong predictions.",
        "Test radiographs overlaid with Grad-CAM heat maps of {title} for the predicted and the actual class.",
    ),
    "{m}_architecture.png": Words(
        "{title}: blocks from the image to the prediction, with output shapes, parameters and multiply-adds.",
        "Block diagram of the network {title}, from the image to the probabilities of the classes.",
    ),
    "{m}_coefficients.png": Words(
        "{title}: coefficient of each number of an image for each class, on standardised numbers.",
        "Bar charts of the coefficients of {title}, one column per class, the most telling number at the top.",
    ),
    "models_comparison.png": Words(
        "Balanced accuracy of all models on test with confidence intervals.",
        "Dot chart of balanced accuracy, one row per model, the best at the top, with intervals and the majority baseline.",
    ),
    "models_evaluation_grid.png": Words(
        "Accuracy, precision, recall and F1 of all models on test.",
        "Four bar charts side by side, one per score, with a bar and a number for each model.",
    ),
    "models_confusion_grid.png": Words(
        "Confusion matrices of all models on test.",
        "A grid of confusion matrices, one per model, shaded by the share of the actual class.",
    ),
    "models_learning_curves.png": Words(
        "Validation log loss of each network over the epochs, with all other networks in gray.",
        "Small line charts of validation log loss, one panel per network, the kept epoch marked by a square.",
    ),
    "models_pairs.png": Words(
        "Differences in balanced accuracy between all models; framed if p < 0.05 after Holm's correction.",
        "Triangular matrix of differences in balanced accuracy, row minus column, with significant pairs framed.",
    ),
    "models_critical_difference.png": Words(
        "Mean ranks of the models over folds; bars join models within the critical difference.",
        "Critical difference diagram: models on a line of mean ranks; bars join models that do not differ significantly.",
    ),
    "models_prediction_sets.png": Words(
        "The chosen model: accuracy if it leaves images unanswered, and the coverage of its prediction sets by class.",
        "Left a line chart of accuracy by the share of images answered, right the coverage of each class with intervals.",
    ),
    "models_cost.png": Words(
        "Balanced accuracy against multiply-adds of one image; the line joins the Pareto front.",
        "Scatter chart of balanced accuracy against multiply-adds, with numbered models and a list of their costs.",
    ),
    "subgroups.png": Words(
        "Balanced accuracy of the chosen model on test in each subgroup with intervals; the dashed line is the whole test set.",
        "Dot charts of balanced accuracy by subgroup, one panel per column of the record, with numbers of images and patients.",
    ),
    "learning_curve.png": Words(
        "Balanced accuracy and log loss on test by number of training patients, with confidence intervals.",
        "Two line charts, one of balanced accuracy and one of log loss, against the number of training patients.",
    ),
    "class_counts.png": Words(
        "Images of each class in training, validation and test.",
        "Bar chart of the images of each class and split, with their counts.",
    ),
    "sample_gallery.png": Words(
        "Images of each class as the networks get them.",
        "Sample radiographs, one row per class.",
    ),
}


def words_of(pattern: str, title: str = "") -> Words:
    """Return the caption and alternative text of a figure.

    Args:
        pattern: a key of `CAPTIONS`.
        title: of the model, for a figure of one model.

    Raises:
        BonexrayError: there is no figure of that name.
    """
    if pattern not in CAPTIONS:
        raise BonexrayError(
            "figure", expected=f"one of {', '.join(CAPTIONS)}", received=pattern, do="add its words to CAPTIONS"
        )
    return Words(*(text.replace("{title}", title) for text in CAPTIONS[pattern]))
