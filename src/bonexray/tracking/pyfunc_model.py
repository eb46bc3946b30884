"""The script that MLflow stores with a model and runs where the model is loaded: X-rays in a table, answers in a table.

It is read as a file and never imported: nothing of the model is pickled.
"""

import os

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from bonexray.serving.predictor import Answer, Predictor

WITHIN_A_SERVER = "__pyfunc_model_path__"  # MLflow's scoring server says so to its workers by this variable
SOURCES = ("image", "path", "pixels")


class Served(PythonModel):
    """A bundle behind MLflow's `predict`."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the bundle among the model's files, every hash compared."""
        self._predictor = Predictor.open(context.artifacts["bundle"])

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict | None = None
    ) -> pd.DataFrame:
        """Answer a row an X-ray.

        Args:
            context: not used.
            model_input: of each X-ray one of `image`, the bytes of its file; `path`, of a file; `pixels`, lists of
                numbers in [0, 1], a list a row.
            params: none are known.

        Returns:
            predicted, a probability a class, and the reason where there is no answer.
        """
        sources = [source_of(row) for row in model_input.to_dict("records")]
        answers = iter(self._predictor.predict([source for source in sources if not isinstance(source, Answer)]))
        rows = [
            row_of(source if isinstance(source, Answer) else next(answers), self._predictor.classes)
            for source in sources
        ]
        return pd.DataFrame(rows)


def source_of(row: dict[str, object]) -> object:
    """What a row gives to be answered, or an answer that says why it cannot be."""
    given = {
        name: row[name] for name in SOURCES if not (pd.api.types.is_scalar(row.get(name)) and pd.isna(row.get(name)))
    }
    if len(given) != 1:
        return Answer(reason=f"one of {', '.join(SOURCES)} expected, received {', '.join(given) or 'none'}")
    ((name, value),) = given.items()
    if name == "path" and WITHIN_A_SERVER in os.environ:
        return Answer(reason="a server reads no paths: send the file's bytes as `image`")
    return np.array([np.asarray(line, float) for line in value]) if name == "pixels" else value


def row_of(answer: Answer, classes: list[str]) -> dict[str, object]:
    """An answer as a row of the table."""
    probabilities = [np.nan] * len(classes) if answer.probabilities is None else answer.probabilities.astype(float)
    named = {f"prob_{name}": p for name, p in zip(classes, probabilities, strict=True)}
    return {"predicted": answer.label, **named, "reason": answer.reason}


set_model(Served())
