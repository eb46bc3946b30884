"""The application: a page, its answers as JSON, and their description."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files

import numpy as np
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from bonexray.base.errors import BonexrayError
from bonexray.images.radiograph import MAX_PIXELS
from bonexray.registry import model_title
from bonexray.serving.predictor import Predictor
from bonexray.serving.verdict import NOTICE
from bonexray.serving.web.answers import Prediction, prediction
from bonexray.serving.web.guard import Guard
from bonexray.serving.web.queue import Queue
from bonexray.serving.web.refusals import Refused, refusal
from bonexray.serving.web.upload import MEGABYTE, Limits, read_upload

FILE_BODY = {
    "requestBody": {
        "required": True,
        "description": "the bytes of a PNG, JPEG, DICOM, TIFF or other X-ray file, with 8 or 16 bits",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
REFUSALS = {
    400: "the file does not arrive whole",
    403: "a request of another site's page",
    408: "the file arrives too slowly",
    413: "the file is too large",
    415: "a form instead of a file",
    422: "the file cannot be read as an X-ray",
    503: "too many X-rays are waiting; Retry-After says when to try again",
}
ASSETS = {"page.css": "text/css", "page.js": "text/javascript"}


def create_app(predictors: Sequence[Predictor], limits: Limits | None = None) -> FastAPI:
    """Return the application, an ASGI one.

    Args:
        predictors: one model, or two to be shown side by side.
        limits: bounds on what it takes; by default those of `Limits`.
    """
    bounds, templates = limits or Limits(), _templates()
    queue = Queue(bounds.waiting)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        queue.close()

    app = FastAPI(
        title="bonexray",
        summary="Predictions for bone X-rays. " + NOTICE,
        version="1",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers={
            Refused: refusal,
            RequestValidationError: _misspelt,
            BonexrayError: _failure,
            Exception: _failure,
        },
    )
    app.add_middleware(Guard)
    app.state.queue = queue

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page(request: Request) -> str:
        return templates.get_template("page.html").render(
            models=[_shown(predictor) for predictor in predictors],
            notice=NOTICE,
            address=request.base_url,
            most_mb=f"{bounds.upload_mb:g}",
            most_bytes=int(bounds.upload_mb * MEGABYTE),
        )

    @app.post(
        "/predict", openapi_extra=FILE_BODY, responses={code: {"description": REFUSALS[code]} for code in REFUSALS}
    )
    async def predict(request: Request, pictures: bool = True) -> Prediction:
        """Predict the class of an X-ray.

        The body is the file itself. `pictures=false` leaves out the network's input and the heat map.
        """
        async with queue.place():
            content = await read_upload(request, bounds)
            return await queue.work(partial(prediction, predictors, content, pictures))

    @app.get("/health")
    async def health() -> dict[str, object]:
        """Say that the server runs, which models it has, and how many X-rays wait."""
        models = [predictor.card.model for predictor in predictors]
        return {"status": "ok", "models": models, "waiting": queue.taken, "places": queue.places}

    @app.get("/api", response_class=HTMLResponse, include_in_schema=False)
    async def api(request: Request) -> str:
        facts = {
            "address": request.base_url,
            "most_mb": f"{bounds.upload_mb:g}",
            "most_megapixels": MAX_PIXELS // 1_000_000,
            "notice": NOTICE,
        }
        return templates.get_template("api.html").render(api=app.openapi(), **facts)

    for name, kind in ASSETS.items():
        content = files(__package__).joinpath(name).read_text(encoding="utf-8")
        app.get(f"/{name}", include_in_schema=False)(partial(_asset, content, kind))
    return app


def warm_up(predictors: Sequence[Predictor]) -> None:
    """Predict an X-ray once, so that the first user does not wait for compilation."""
    for predictor in predictors:
        predictor.predict([np.linspace(0, 1, 64 * 64).reshape(64, 64)], heat=True)


async def _misspelt(request: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    return await refusal(request, Refused(422, f"{first['loc'][-1]}: {first['msg']}"))


async def _failure(request: Request, error: Exception) -> JSONResponse:
    """Return the response to a request that failed here; its cause is in the server's log."""
    known = isinstance(error, BonexrayError)
    return JSONResponse({"detail": " ".join(str(error).split()) if known else "the server failed; see its log"}, 500)


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader(__package__, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(predictor: Predictor) -> dict[str, object]:
    card = predictor.card
    return {"title": model_title(card.model), "card": card, "facts": predictor.facts}


def _asset(content: str, kind: str) -> Response:
    return Response(content, media_type=kind)
