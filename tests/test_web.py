"""`bonexray serve`: the page, its answers as JSON, what it refuses, and what it keeps to itself."""

import asyncio
import base64
import html
import io
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from PIL import Image
from test_zoo import BAD, GOOD
from trained_study import SCRATCH
from typer.testing import CliRunner
from xrays import SECRET_ID, SECRET_NAME, encoded

from bonexray.base.errors import BonexrayError
from bonexray.cli import app as commands
from bonexray.data.predictions import read_predictions
from bonexray.evaluate.calibration import fit_temperature, with_temperature
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.operating_point import threshold_of
from bonexray.evaluate.prior import corrected
from bonexray.serving.bundle import open_bundle, write_bundle
from bonexray.serving.facts import Operating, Score, Sets, study_facts
from bonexray.serving.predictor import Predictor
from bonexray.serving.reading import MEMORY
from bonexray.serving.study import study_bundle
from bonexray.serving.web.answers import prediction
from bonexray.serving.web.app import create_app
from bonexray.serving.web.queue import Queue
from bonexray.serving.web.refusals import Refused
from bonexray.serving.web.upload import Limits, read_upload
from bonexray.study import Settings, load_settings

HERE = "http://127.0.0.1:8000"
CLASSES = ["osteoporosis", "normal"]
LIMITS = Limits(upload_mb=0.05, upload_s=0.2, waiting=3)


def png(seed: int = 7) -> bytes:
    return encoded(Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 30), np.uint8)), "PNG")


@pytest.fixture(scope="module")
def settings(trained_study: Path) -> Settings:
    """The study's settings, with an operating point."""
    found = load_settings(trained_study / "params.yaml")
    wanted = found.evaluate.model_copy(update={"sensitivity": 0.9, "positive": "osteoporosis"})
    return found.model_copy(update={"evaluate": wanted})


@pytest.fixture(scope="module")
def predictor(trained_study: Path, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    with chdir(trained_study):
        write_bundle(study_bundle(settings, SCRATCH), folder)
    return Predictor(open_bundle(folder))


@pytest.fixture
def client(predictor: Predictor) -> Iterator[TestClient]:
    with TestClient(create_app([predictor], LIMITS), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def with_facts(predictor: Predictor, **changes: object) -> Predictor:
    """A predictor that shares the network, and of which the study knows something else."""
    other = object.__new__(Predictor)
    other.__dict__.update(predictor.__dict__, facts=predictor.facts.model_copy(update=changes))
    return other


# Answers


@pytest.mark.parametrize("name", GOOD)
def test_an_x_ray_gets_the_answer_that_predictor_gives(client: TestClient, predictor: Predictor, name: str) -> None:
    (expected,) = predictor.predict([GOOD[name]])
    response = client.post("/predict", content=GOOD[name])
    (answer,) = response.json()["answers"]
    own = [row["own_probability"] for row in answer["classes"]]
    assert response.status_code == 200
    assert (answer["model"], answer["predicted"]) == (SCRATCH, expected.label)
    assert [row["name"] for row in answer["classes"]] == predictor.classes == CLASSES
    np.testing.assert_allclose(own, expected.probabilities, atol=1e-6)
    calibrated = predictor.facts.calibrated(expected.probabilities[None])[0]
    np.testing.assert_allclose([row["probability"] for row in answer["classes"]], calibrated, atol=1e-6)
    point = predictor.facts.operating
    assert answer["operating_point"] == {
        "positive": ["osteoporosis"],
        "probability": pytest.approx(own[0]),
        "threshold": pytest.approx(point.threshold),
        "is_positive": own[0] >= point.threshold,
    }


def test_the_pictures_are_the_networks_input_and_its_heat_map(client: TestClient, predictor: Predictor) -> None:
    (expected,) = predictor.predict([png()], heat=True)
    (answer,) = client.post("/predict", content=png()).json()["answers"]

    def decoded(uri: str) -> np.ndarray:
        assert uri.startswith("data:image/png;base64,")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))

    np.testing.assert_array_equal(decoded(answer["image"]), np.rint(255 * expected.image))
    if np.ptp(expected.heat) > 0:
        assert decoded(answer["heat"]).shape == (32, 32, 3)
    else:
        assert answer["heat"] is None
    (without,) = client.post("/predict?pictures=false", content=png()).json()["answers"]
    assert (without["image"], without["heat"]) == (None, None)


def test_two_models_answer_side_by_side_and_a_bundle_without_facts_too(predictor: Predictor) -> None:
    bare = object.__new__(Predictor)
    bare.__dict__.update(predictor.__dict__, facts=None)
    with TestClient(create_app([predictor, bare]), base_url=HERE) as client:
        first, second = client.post("/predict", content=png()).json()["answers"]
        page = client.get("/").text
    assert [first["calibrated"], second["calibrated"]] == [True, False]
    assert second["operating_point"] is None
    assert all(row["probability"] == pytest.approx(row["own_probability"]) for row in second["classes"])
    assert page.count('<article class="answer"') == 2 and "This bundle does not say" in page


def test_models_with_the_same_preprocessing_share_the_filtered_image(predictor: Predictor) -> None:
    read: list[bytes] = []
    other = object.__new__(Predictor)
    other.__dict__.update(
        predictor.__dict__, prepared=lambda content: read.append(content) or predictor.prepared(content)
    )
    first, second = prediction([other, other], png()).answers
    assert first == second and read == [png()]


@pytest.mark.parametrize(("thresholds", "names"), [([0.0, 0.0], CLASSES), ([1.1, 0.0], ["normal"]), ([1.1, 1.1], [])])
def test_an_x_ray_gets_its_prediction_set(predictor: Predictor, thresholds: list[float], names: list[str]) -> None:
    sets = Sets(promised=0.9, by_class=True, thresholds=thresholds, scores={})
    with TestClient(create_app([with_facts(predictor, sets=sets)]), base_url=HERE) as client:
        (answer,) = client.post("/predict", content=png()).json()["answers"]
    assert answer["prediction_set"] == {"classes": names, "promised": 0.9}


def test_a_set_is_of_probabilities_under_the_prior_of_interest(predictor: Predictor) -> None:
    own = np.array([[0.5, 0.5], [0.2, 0.8]])
    sets = Sets(promised=0.9, by_class=True, thresholds=[0.6, 0.3], scores={})
    facts = with_facts(predictor, sets=sets, prior=[0.75, 0.25]).facts
    assert facts.in_set(own).tolist() == [[True, False], [False, True]]  # 0.75 and 0.25; 0.43 and 0.57


# What the study knows


def test_calibration_and_operating_point_are_those_of_the_stage(trained_study: Path, predictor: Predictor) -> None:
    rows, own = read_predictions(trained_study / "models" / SCRATCH / "predictions.csv", CLASSES)
    likely, val = corrected(rows, own, CLASSES, "uniform"), (rows["split"] == "val").to_numpy()
    labels = rows["label"].map(CLASSES.index).to_numpy()
    facts = predictor.facts
    assert facts.temperature == pytest.approx(fit_temperature(labels[val], likely[val]))
    options = load_settings(trained_study / "params.yaml").evaluate
    assert facts.temperature == pytest.approx(
        evaluate(rows, own, CLASSES, options, False, "uniform").scores["temperature"]
    )
    weighted = own * facts.prior
    np.testing.assert_allclose(weighted / weighted.sum(axis=1, keepdims=True), likely)
    np.testing.assert_allclose(facts.calibrated(own), with_temperature(likely, facts.temperature))
    assert facts.operating.threshold == pytest.approx(threshold_of(own[val & (labels == 0), 0], 0.9))
    counted = rows.groupby(["split", "label"]).size()
    assert {(split, name): n for split, counts in facts.images.items() for name, n in counts.items()} == dict(counted)


def test_the_sets_are_those_of_the_stage(
    trained_study: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained_study / "models" / SCRATCH
    rows, own = read_predictions(folder / "predictions.csv", CLASSES)
    facts = study_facts(settings, folder)
    assert facts.sets is None and rows[rows["split"] == "val"]["group"].nunique() < 10
    monkeypatch.setattr("bonexray.evaluate.prediction_sets.FEWEST", 2)
    facts = study_facts(settings, folder)
    scores = evaluate(rows, own, CLASSES, settings.evaluate, False, "uniform").scores
    size = facts.in_set(own[(rows["split"] == "test").to_numpy()]).sum(axis=1)
    assert (facts.sets.promised, facts.sets.by_class) == (scores["set_promised"], bool(scores["set_by_class"]))
    assert size.mean() == pytest.approx(scores["set_size"])
    none = settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update={"coverage": None})})
    assert study_facts(none, folder).sets is None


def test_scores_are_taken_only_if_they_are_of_these_weights(
    trained_study: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained_study / "models" / SCRATCH
    monkeypatch.chdir(tmp_path)
    assert study_facts(settings, folder).scores == {}
    for path, text in {
        f"data/evaluated/{SCRATCH}/model.json": (folder / "model.json").read_text(),
        "metrics/models.json": f'{{"{SCRATCH}": {{"n": 9, "accuracy": 0.5, "accuracy_low": 0.3, "accuracy_high": 0.7}}}}',
    }.items():
        Path(path).parent.mkdir(parents=True)
        Path(path).write_text(text)
    known = study_facts(settings, folder)
    assert (known.tested, known.scores) == (9, {"accuracy": Score(value=0.5, low=0.3, high=0.7)})
    evaluated = Path(f"data/evaluated/{SCRATCH}/model.json")
    evaluated.write_text(re.sub('"fingerprint": "..', '"fingerprint": "zz', evaluated.read_text()))
    assert study_facts(settings, folder).scores == {}
    assert study_facts(settings, tmp_path) is None


# Refusals


def test_bad_uploads_are_refused_in_one_line_and_the_server_lives(client: TestClient) -> None:
    bad = {**BAD, "cut.png": (png()[:-200], ""), "passwd": (b"root:x:0:0:root:/root:/bin/bash\n", "looks like text")}
    for name, (content, reason) in bad.items():
        response = client.post("/predict", content=content)
        (line,) = response.json().values()
        assert response.status_code == 422, name
        assert reason in line and "\n" not in line and 5 < len(line) < 200, (name, line)
        assert "/proc" not in line and "/tmp" not in line and SECRET_ID not in line and SECRET_NAME not in line, name
    assert client.post("/predict", content=png()).status_code == 200
    assert client.get("/health").json() == {"status": "ok", "models": [SCRATCH], "waiting": 0, "places": 3}


REFUSED: dict[str, tuple[dict[str, object], int, str]] = {
    "a declared size": ({"content": b"x", "headers": {"Content-Length": str(2 * 10**9)}}, 413, "larger than 0.05 MB"),
    "an undeclared size": ({"content": iter([bytes(30_000)] * 3)}, 413, "larger than 0.05 MB"),
    "a form": ({"files": {"file": ("../../etc/passwd", b"x")}}, 415, "curl --data-binary"),
    "nothing": ({}, 422, "empty file"),
    "a misspelt option": ({"content": b"x", "params": {"pictures": "<b>"}}, 422, "pictures: "),
    "another name": ({"content": png(), "headers": {"Host": "evil.example"}}, 403, "127.0.0.1 or localhost"),
    "another site": ({"content": png(), "headers": {"Origin": "http://evil.example"}}, 403, "another site"),
    "a page of a file": ({"content": png(), "headers": {"Origin": "null"}}, 403, "another site"),
}


@pytest.mark.parametrize(("request_", "status", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_request_is_refused_with_its_reason(
    client: TestClient, request_: dict[str, object], status: int, reason: str
) -> None:
    response = client.post("/predict", **request_)
    assert response.status_code == status
    assert list(response.json()) == ["detail"] and reason in response.json()["detail"]


def test_a_page_of_this_server_may_ask(client: TestClient) -> None:
    assert client.post("/predict", content=png(), headers={"Origin": HERE}).status_code == 200


def a_request(*messages: dict[str, object], declared: int | None = None) -> tuple[Request, list[dict[str, object]]]:
    """A request of these messages, after which nothing comes, and those of them that are not read yet."""
    left = list(messages)

    async def receive() -> dict[str, object]:
        return left.pop(0) if left else await asyncio.sleep(60)

    headers = [] if declared is None else [(b"content-length", str(declared).encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive), left


def part(size: int) -> dict[str, object]:
    return {"type": "http.request", "body": bytes(size), "more_body": True}


@pytest.mark.parametrize(
    ("request_", "status", "unread"),
    [
        (a_request(part(10), part(10)), 408, 0),
        (a_request(part(10), {"type": "http.disconnect"}), 400, 0),
        (a_request(*[part(30_000)] * 5), 413, 3),
        (a_request(*[part(30_000)] * 5, declared=150_000), 413, 5),
    ],
    ids=["a slow body", "a body that ends early", "a large body", "a large body that says so"],
)
def test_a_body_is_read_no_further_than_needed(
    request_: tuple[Request, list[dict[str, object]]], status: int, unread: int
) -> None:
    with pytest.raises(Refused) as refused:
        asyncio.run(read_upload(request_[0], LIMITS))
    assert (refused.value.status, len(request_[1])) == (status, unread)


def test_who_comes_when_all_places_are_taken_is_told_when_to_try_again(predictor: Predictor) -> None:
    with TestClient(create_app([predictor], Limits(waiting=0)), base_url=HERE) as client:
        response = client.post("/predict", content=png())
    assert response.status_code == 503 and int(response.headers["Retry-After"]) >= 1
    assert "try again" in response.json()["detail"]


def test_one_works_and_the_others_wait() -> None:
    queue, at_once, most = Queue(5), 0, 0
    started, go = threading.Event(), threading.Event()

    def work() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        started.set()
        go.wait(10)
        at_once -= 1

    async def ask() -> int:
        try:
            async with queue.place():
                await queue.work(work)
        except Refused as refused:
            return refused.status
        return 200

    async def all_ask() -> list[int]:
        asked = [asyncio.create_task(ask()) for _ in range(8)]
        await asyncio.to_thread(started.wait, 10)
        go.set()
        return await asyncio.gather(*asked)

    assert asyncio.run(all_ask()) == [200] * 5 + [503] * 3
    assert (most, queue.taken) == (1, 0)
    queue.close()


def failing(error: Exception) -> Callable[..., object]:
    def predict(*_: object, **__: object) -> object:
        raise error

    return predict


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("/home/jane/secret"), "the server failed; see its log"),
        (BonexrayError("heat map", expected="finite gradients", received="others", do="train again"), "heat map: "),
    ],
)
def test_a_failure_gives_its_place_back_and_shows_no_path(predictor: Predictor, error: Exception, reason: str) -> None:
    broken = object.__new__(Predictor)
    broken.__dict__.update(predictor.__dict__, answer=failing(error))
    with TestClient(create_app([broken], LIMITS), base_url=HERE, raise_server_exceptions=False) as client:
        response = client.post("/predict", content=png())
        assert response.status_code == 500 and response.json()["detail"].startswith(reason)
        assert "jane" not in response.text and client.get("/health").json()["waiting"] == 0


# What stays here


@pytest.mark.skipif(not os.access(MEMORY, os.W_OK), reason="no folder in memory here")
def test_nothing_is_written_to_disk(client: TestClient) -> None:
    """Files are opened for writing in memory alone, and are gone with the answer."""
    written, before = [], set(MEMORY.iterdir())

    def listen(event: str, arguments: tuple) -> None:
        if event == "open" and listening and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            written.append(str(arguments[0]))

    listening = True
    sys.addaudithook(listen)
    try:
        assert all(client.post("/predict", content=content).status_code == 200 for content in GOOD.values())
    finally:
        listening = False
    assert len(written) >= len(GOOD) and all(Path(path).is_relative_to(MEMORY) for path in written)
    assert set(MEMORY.iterdir()) <= before


def test_every_response_forbids_what_the_page_does_not_need(client: TestClient) -> None:
    for path in ("/", "/api", "/page.css", "/page.js", "/openapi.json", "/health", "/nowhere"):
        response = client.get(path)
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy, path
        assert "http" not in policy and response.headers["X-Content-Type-Options"] == "nosniff", path
        assert response.headers["Cache-Control"] == "no-store", path
        assert not re.findall(r"(?:src|href|url\(|import|fetch\()\W*(?:https?:)?//(?!127\.0\.0\.1)", response.text), (
            path
        )
        assert not re.findall(r"<script>|<style>| style=| on\w+=", response.text), path


def test_the_page_says_what_it_is_and_escapes_names(predictor: Predictor) -> None:
    point = Operating(positive=["<i>"], threshold=0.5, scores={})
    named = with_facts(predictor, dataset="<script>alert(1)</script>", operating=point)
    with TestClient(create_app([named]), base_url=HERE) as client:
        page = client.get("/").text
    assert page.count("Research only, not for diagnosis.") == 2
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page and "&lt;i&gt;" in page
    assert all(f'scope="col">{name}</th>' in page for name in CLASSES)


def test_the_interface_is_described(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert {"200", "408", "413", "415", "422", "503"} <= set(described["responses"])
    assert described["requestBody"]["content"]["application/octet-stream"]["schema"]["format"] == "binary"
    page = client.get("/api").text
    assert f"{HERE}/predict?pictures=false" in page
    assert "POST /predict" in page and "is_positive" in page and "own_probability" in page
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    fields = [field for name in ("Prediction", "ModelAnswer") for field in schemas[name]["properties"].values()]
    assert all(field["description"] in html.unescape(page) for field in fields) and "`" not in page


# The command


def test_a_wrong_command_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        from bonexray.serving.web.server import serve

        with pytest.raises(BonexrayError, match=rf"--port {taken.getsockname()[1]}: expected a free port"):
            serve([], taken.getsockname()[1], LIMITS, print)
    refused = CliRunner().invoke(commands, ["serve", *["--model", "vgg16"] * 3])
    assert isinstance(refused.exception, BonexrayError) and "one or two models" in str(refused.exception)
