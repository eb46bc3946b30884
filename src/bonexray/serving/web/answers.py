"""What the page and the JSON say about an X-ray."""

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from matplotlib import colormaps
from PIL import Image
from pydantic import BaseModel, Field

from bonexray.serving.files import COLOURS
from bonexray.serving.predictor import Answer, Predictor
from bonexray.serving.verdict import NOTICE, PointVerdict, verdict
from bonexray.serving.web.refusals import Refused


class ClassAnswer(BaseModel):
    """What a model says about one class."""

    name: str = Field(description="name of the class")
    probability: float = Field(description="calibrated on validation; the model's own if the bundle has no calibration")
    own_probability: float = Field(description="the model's own, as bonexray predict gives it")


class OperatingAnswer(BaseModel):
    """On which side of the operating point an X-ray lies."""

    positive: list[str] = Field(description="classes that count as positive")
    probability: float = Field(description="sum of their probabilities, the model's own")
    threshold: float = Field(description="fixed on validation")
    is_positive: bool = Field(description="whether the probability reaches the threshold")


class SetAnswer(BaseModel):
    """The prediction set of an X-ray."""

    classes: list[str] = Field(description="classes in the set; none if no class is probable enough")
    promised: float = Field(description="share of patients whose true class is to be in the sets of all their images")


class ModelAnswer(BaseModel):
    """The prediction of one model."""

    model: str = Field(description="name of the model")
    predicted: str = Field(description="the class with the largest probability of the model's own")
    calibrated: bool = Field(description="whether the probabilities are calibrated")
    classes: list[ClassAnswer] = Field(description="in the order of the class map")
    operating_point: OperatingAnswer | None = Field(description="null if the study has none")
    prediction_set: SetAnswer | None = Field(description="null if the study makes none")
    image: str | None = Field(description="the network's input, a PNG as a data URI; null without pictures")
    heat: str | None = Field(
        description="the heat map in colour, a PNG as a data URI; null without pictures, or if no region stands out"
    )


class Prediction(BaseModel):
    """The predictions of all models of the server for an X-ray."""

    notice: str = Field(NOTICE, description="what the answers are good for")
    answers: list[ModelAnswer] = Field(description="one for each model, in the order of the command")


def prediction(predictors: Sequence[Predictor], content: bytes, pictures: bool = True) -> Prediction:
    """Return what models make of an X-ray.

    Args:
        predictors: the models.
        content: the bytes of the X-ray's file.
        pictures: whether to add the network's input and the heat map.

    Raises:
        Refused: it cannot be read.
    """
    inputs: dict[str, np.ndarray | str] = {}  # filtered once for models with the same preprocessing
    answers = []
    for predictor in predictors:
        key = predictor.card.model_dump_json(include={"denoise", "prepare"})
        if key not in inputs:
            inputs[key] = predictor.prepared(content)
        answers.append(_answer(predictor, inputs[key], pictures))
    return Prediction(answers=answers)


def _answer(predictor: Predictor, prepared: np.ndarray | str, pictures: bool) -> ModelAnswer:
    answer = predictor.answer(prepared, heat=pictures)
    if answer.reason is not None:
        raise Refused(422, answer.reason)
    said = verdict(predictor.classes, predictor.facts, answer)
    classes = [
        ClassAnswer(name=name, probability=float(likely), own_probability=float(raw))
        for name, likely, raw in zip(predictor.classes, said.probabilities, said.own, strict=True)
    ]
    return ModelAnswer(
        model=predictor.card.model,
        predicted=said.predicted,
        calibrated=said.calibrated,
        classes=classes,
        operating_point=_operating(said.operating) if said.operating else None,
        prediction_set=SetAnswer(**asdict(said.members)) if said.members else None,
        image=_uri(answer.image) if pictures else None,
        heat=_heat(answer) if pictures else None,
    )


def _operating(point: PointVerdict) -> OperatingAnswer:
    return OperatingAnswer(**asdict(point), is_positive=point.is_positive)


def _heat(answer: Answer) -> str | None:
    return _uri(colormaps[COLOURS](answer.heat)[..., :3]) if np.ptp(answer.heat) > 0 else None


def _uri(pixels: np.ndarray) -> str:
    """Return pixels in [0, 1], (height, width) or (height, width, 3), as a PNG in a data URI."""
    png = io.BytesIO()
    Image.fromarray(np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)).save(png, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
