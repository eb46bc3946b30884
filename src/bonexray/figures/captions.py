"""What each figure shows, in words: a caption for everybody, and an alternative for those who do not see it."""

from typing import NamedTuple

from bonexray.errors import BonexrayError


class Words(NamedTuple):
    """Words of a figure.

    Attributes:
        caption: to stand beneath it.
        alt: to stand in its place.
    """

    caption: str
    alt: str


# A figure's file name, {m} being the model's name, to its words, {title} being the model's title.
CAPTIONS: dict[str, Words] = {
    "{m}_confusion_matrix.png": Words(
        "{title}: test images by actual class (row) and predicted class (column).",
        "Confusion matrix of {title}: counts of test images, shaded by their share of the actual class.",
    ),
    "{m}_sample_predictions.png": Words(
        "{title}: test images of each class with the answer and its probability.",
        "Test radiographs with the answers of {title}: right ones in a blue frame, wrong ones in a dashed vermilion one.",
    ),
    "{m}_evaluation_figure.png": Words(
        "{title}: accuracy and loss over the epochs; the dotted line is the epoch whose weights were kept.",
        "Two line charts of {title}, accuracy and loss of training and validation over the epochs.",
    ),
    "{m}_roc.png": Words(
        "{title}: ROC curve of each class against the rest, with bootstrap bands over groups.",
        "ROC curves of {title}, a panel a class, with the area under each and the diagonal of chance.",
    ),
    "{m}_precision_recall.png": Words(
        "{title}: precision against recall of each class, with bootstrap bands; dashed is the class's share of images.",
        "Precision-recall curves of {title}, a panel a class, with the average precision of each and its baseline.",
    ),
    "{m}_reliability.png": Words(
        "{title}: accuracy against confidence before and after temperature scaling, over the images of each bin.",
        "Reliability diagrams of {title} before and after temperature scaling, each with its expected calibration error.",
    ),
    "{m}_misclassified.png": Words(
        "{title}: its wrong answers on test, the surest first, with the probabilities of all classes.",
        "Test radiographs that {title} answered wrongly, with actual and predicted class; or a line that there are none.",
    ),
    "{m}_gradcam.png": Words(
        "{title}: where the image speaks for the class, by Grad-CAM, on right and wrong answers.",
        "Test radiographs overlaid with Grad-CAM heat maps of {title} for the predicted and the actual class.",
    ),
    "{m}_architecture.png": Words(
        "{title}: its blocks from image to answer, with output shapes, parameters and multiply-adds.",
        "Block diagram of the network {title}, from the image to the probabilities of the classes.",
    ),
    "models_comparison.png": Words(
        "Balanced accuracy of all models on test with bootstrap intervals over groups.",
        "Dot chart of balanced accuracy, a row a model, the best at the top, with intervals and the majority baseline.",
    ),
    "models_evaluation_grid.png": Words(
        "Accuracy, precision, recall and F1 of all models on test.",
        "Four bar charts side by side, one a score, with a bar and a number for each model.",
    ),
    "models_confusion_grid.png": Words(
        "Confusion matrices of all models on test.",
        "A grid of confusion matrices, one a model, shaded by the share of the actual class.",
    ),
    "models_learning_curves.png": Words(
        "Validation loss of each model over its epochs, before those of all others in gray.",
        "Small line charts of validation loss, a panel a model, the kept epoch marked by a square.",
    ),
    "models_pairs.png": Words(
        "Differences of balanced accuracy between all models; framed where p < 0.05 after Holm's correction.",
        "Triangular matrix of differences in balanced accuracy, row less column, with significant pairs framed.",
    ),
    "models_critical_difference.png": Words(
        "Mean ranks of the models over folds or repeats; a bar joins those within the critical difference.",
        "Critical difference diagram: models along a line of mean ranks, bars join those that are not told apart.",
    ),
    "models_cost.png": Words(
        "Balanced accuracy beside multiply-adds of one image; the joined models are the Pareto front.",
        "Scatter chart of balanced accuracy over multiply-adds with numbered models and a list of what each costs.",
    ),
    "class_counts.png": Words(
        "Images of each class in training, validation and test.",
        "Bar chart of the images of each class and split, with their counts.",
    ),
    "sample_gallery.png": Words(
        "Images of each class as the networks see them.",
        "Rows of sample radiographs, a row a class.",
    ),
}


def words_of(pattern: str, title: str = "") -> Words:
    """Caption and alternative text of a figure.

    Args:
        pattern: a key of `CAPTIONS`.
        title: the model's, for a figure of one model.

    Raises:
        BonexrayError: no figure has that name.
    """
    if pattern not in CAPTIONS:
        raise BonexrayError(
            "figure", expected=f"one of {', '.join(CAPTIONS)}", received=pattern, do="add its words to CAPTIONS"
        )
    return Words(*(text.replace("{title}", title) for text in CAPTIONS[pattern]))
