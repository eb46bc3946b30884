"""The script that MLflow stores with a model and runs to load it, so that nothing is pickled.

This package does not import it.
"""

import os

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from bonexray.serving.predictor import Answer, Predictor

SERVER_VARIABLE = "__pyfunc_model_path__"  # environment variable that MLflow's scoring server sets for its workers
SOURCES = ("image", "path", "pixels")


class BundleModel(PythonModel):
    """A bundle behind MLflow's `predict`."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the bundle among the model's files, comparing every hash."""
        self._predictor = Predictor.open(context.artifacts["bundle"])

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict | None = None
    ) -> pd.DataFrame:
        """Predict one X-ray per row.

        Args:
            context: not used.
            model_input: for each X-ray, one of `image`, the bytes of its file; `path`, the path of its file; `pixels`, a
                list of rows of numbers in [0, 1].
            params: not used.

        Returns:
            A data frame with the predicted class, a probability per class, and the reason if there is no prediction.
        """
        sources = [source_of(row) for row in model_input.to_dict("records")]
        answers = iter(self._predictor.predict([source for source in sources if not isinstance(source, Answer)]))
        rows = [
            row_of(source if isinstance(source, Answer) else next(answers), self._predictor.classes)
            for source in sources
        ]
        return pd.DataFrame(rows)


def source_of(row: dict[str, object]) -> object:
    """Return the image, path or pixels in a row, or an answer with the reason why there are none."""
    values = {
        name: row[name] for name in SOURCES if not (pd.api.types.is_scalar(row.get(name)) and pd.isna(row.get(name)))
    }
    if len(values) != 1:
        return Answer(reason=f"one of {', '.join(SOURCES)} expected, received {', '.join(values) or 'none'}")
    ((name, value),) = values.items()
    if name == "path" and SERVER_VARIABLE in os.environ:
        return Answer(reason="a server does not read paths: send the file's bytes as `image`")
    return np.array([np.asarray(line, float) for line in value]) if name == "pixels" else value


def row_of(answer: Answer, classes: list[str]) -> dict[str, object]:
    """Return an answer as a row of the table."""
    probabilities = [np.nan] * len(classes) if answer.probabilities is None else answer.probabilities.astype(float)
    columns = {f"prob_{name}": p for name, p in zip(classes, probabilities, strict=True)}
    return {"predicted": answer.label, **columns, "reason": answer.reason}


set_model(BundleModel())
