"""`bonexray serve` as users run it: a process of its own, in a browser, under load, and with bodies that do not end."""

import base64
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import requests
from conftest import REPOSITORY
from PIL import Image
from trained_study import FROZEN, SCRATCH
from xrays import dicom_file, encoded

from bonexray.serving.bundle import Bundle, write_bundle
from bonexray.serving.facts import Operating, Sets
from bonexray.serving.study import study_bundle
from bonexray.serving.web.upload import Limits
from bonexray.study import load_settings

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
COMMAND = "import sys; from bonexray.cli import main; sys.argv[0] = 'bonexray'; main()"
USERS, IMAGES, PLACES, MOST_GROWTH_MB = 10, 200, Limits().waiting, 30
SLOWEST_TURNS = 5  # the slowest answer, in turns of all users; with one worker a fair queue needs one or two
LEVELS = np.random.default_rng(7).integers(0, 65_536, (60, 50), np.uint16)
XRAY = encoded(Image.fromarray(LEVELS), "PNG")


class Server:
    """`bonexray serve` on a free port, with two models side by side."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", COMMAND, "serve", "--port", "0", "--most-mb", "1"]
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
        self.log = folder / "log"
        with self.log.open("w") as log:
            models = [part for name in (SCRATCH, FROZEN) for part in ("--model", str(folder / name))]
            self.process = subprocess.Popen(
                [*command, *models], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=log, text=True
            )
        said = self.process.stdout.readline()
        assert said.startswith(f"serve: {SCRATCH} and {FROZEN} on http://127.0.0.1:"), self.log.read_text()[-2000:]
        self.url = re.search(r"http://\S+\d", said)[0]
        self.port = int(self.url.rsplit(":", 1)[1])

    def post(self, content: object, **options: object) -> requests.Response:
        return requests.post(f"{self.url}/predict", data=content, timeout=120, **options)

    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1000

    def conversation(self, *parts: bytes) -> bytes:
        """Send the parts of a request and return all that comes back until the server ends the connection or is silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as line:
            for part in parts:
                line.sendall(part)
            answer = line.recv(65_536)
            line.settimeout(2)
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while part := line.recv(65_536):
                    answer += part
            return answer


def with_all_answers(bundle: Bundle) -> Bundle:
    """The bundle of a study that has an operating point and prediction sets."""
    point = Operating(positive=["osteoporosis"], threshold=0.25, scores={})
    sets = Sets(promised=0.9, by_class=True, thresholds=[0.0, 1.1], scores={})
    return replace(bundle, facts=bundle.facts.model_copy(update={"operating": point, "sets": sets}))


@pytest.fixture(scope="module")
def server(trained_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, settings = tmp_path_factory.mktemp("served"), load_settings(trained_study / "params.yaml")
    with chdir(trained_study):
        for name in (SCRATCH, FROZEN):
            write_bundle(with_all_answers(study_bundle(settings, name)), folder / name)
    running = Server(folder)
    yield running
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == 0
    assert "Traceback" not in running.log.read_text()


# Load


def test_ten_users_at_once_get_the_same_answers_as_one_and_memory_stays_flat(server: Server) -> None:
    expected = server.post(XRAY).json()
    with ThreadPoolExecutor(USERS) as users:
        list(users.map(server.post, [XRAY] * 2 * USERS))
        before, started = server.memory_mb(), time.perf_counter()
        answers = list(users.map(server.post, [XRAY] * IMAGES))
        seconds = time.perf_counter() - started
    slowest = max(answer.elapsed.total_seconds() for answer in answers)
    print(f"{IMAGES / seconds:.1f} images/s, slowest {slowest:.2f} s, {server.memory_mb() - before:+.1f} MB")
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.json() == expected for answer in answers)
    assert slowest < SLOWEST_TURNS * USERS * seconds / IMAGES
    assert server.memory_mb() - before < MOST_GROWTH_MB


def test_more_users_than_places_are_told_to_wait_and_all_get_their_answer(server: Server) -> None:
    def insist(content: bytes) -> int:
        for told in range(60):
            response = server.post(content)
            if response.status_code != 503:
                assert response.status_code == 200
                return told
            assert "try again" in response.json()["detail"]
            time.sleep(min(5, int(response.headers["Retry-After"])))
        raise AssertionError("no place in five minutes")

    with ThreadPoolExecutor(2 * PLACES) as users:
        told = list(users.map(insist, [XRAY] * 2 * PLACES))
    assert sum(told) > 0


# Bodies that do not end


def test_a_body_of_two_gigabytes_is_refused_and_takes_no_memory(server: Server) -> None:
    before = server.memory_mb()
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000000000\r\n\r\n"
    assert b" 413 " in server.conversation(head, bytes(100_000))
    block, blocks = bytes(1_000_000), 200

    def undeclared() -> Iterator[bytes]:
        for _ in range(blocks):
            yield block

    try:
        answer = server.post(undeclared())
    except requests.ConnectionError:  # closed while it was being sent
        pass
    else:
        assert answer.status_code == 413 and "larger than 1 MB" in answer.json()["detail"]
    assert server.memory_mb() - before < MOST_GROWTH_MB
    assert server.post(XRAY).status_code == 200


def test_a_body_that_stops_leaves_its_place_after_a_while(server: Server) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n"
    answer = server.conversation(head, b"x" * 10)
    assert b" 408 " in answer and b"did not arrive within 30 seconds" in answer
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(head)
    deadline = time.monotonic() + 20
    while server_state(server)["waiting"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert server_state(server)["waiting"] == 0 and server.post(XRAY).status_code == 200


def server_state(server: Server) -> dict[str, object]:
    return requests.get(f"{server.url}/health", timeout=10).json()


# A browser


@pytest.fixture(scope="module")
def browser() -> Iterator:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    flags = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=[*flags])
        yield started
        started.close()


@pytest.fixture
def opened(browser, server: Server) -> Iterator:
    """Return a function that opens the page; check afterwards that it asked this server alone and logged nothing."""
    complaints, contexts = [], []

    def open_page(**options: object):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: "status of 422" in message.text or complaints.append(message.text))
        page.on(
            "request",
            lambda request: request.url.startswith((f"{server.url}/", "data:")) or complaints.append(request.url),
        )
        page.goto(f"{server.url}/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def file(name: str, content: bytes = XRAY) -> dict[str, object]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def test_dropped_x_rays_are_shown_with_their_answers(opened, server: Server) -> None:
    page = opened()
    transfer = page.evaluate_handle(
        """content => {
          const transfer = new DataTransfer();
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          transfer.items.add(new File([bytes], "knee.png"));
          return transfer;
        }""",
        base64.b64encode(XRAY).decode(),
    )
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    page.wait_for_selector("#shown[data-state=answered]")
    answers = server.post(XRAY).json()["answers"]
    for place, answer in zip(page.locator(".answer").all(), answers, strict=True):
        assert place.locator(".verdict .predicted").inner_text() == answer["predicted"]
        assert place.locator("tbody th").all_inner_texts() == [row["name"] for row in answer["classes"]]
        assert place.locator(".image").evaluate("image => image.decode().then(() => image.naturalWidth)") == 32
    assert "knee.png" in page.locator("#status").inner_text()


def test_the_operating_point_and_the_prediction_set_are_shown(opened, server: Server) -> None:
    page = opened()
    page.set_input_files("#files", [file("knee.dcm", dicom_file(LEVELS))])
    page.wait_for_selector("#shown[data-state=answered]")
    answers = server.post(dicom_file(LEVELS)).json()["answers"]
    for place, answer in zip(page.locator(".answer").all(), answers, strict=True):
        point, words = answer["operating_point"], place.locator(".operating").all_inner_texts()
        side = "positive" if point["is_positive"] else "negative"
        assert f"{side} for osteoporosis: {point['probability']:.3f}" in " ".join(words[0].split())
        assert place.locator(".set strong").inner_text() == "osteoporosis" and "90 % of patients" in words[1]


def test_several_files_bad_ones_among_them_are_answered_one_by_one(opened) -> None:
    page = opened()
    names = ["<img src=x onerror=alert(1)>.png", "..\\..\\etc\\passwd", "empty.dcm", "large.dcm", "knee.dcm"]
    contents = [XRAY, b"root:x:0:0\n", b"", bytes(2_000_000), dicom_file(LEVELS)]
    page.set_input_files("#files", [file(name, content) for name, content in zip(names, contents, strict=True)])
    page.wait_for_selector("#strip li:last-child [data-state=answered]")
    states = page.eval_on_selector_all("#strip button", "buttons => buttons.map(button => button.dataset.state)")
    assert states == ["answered", "refused", "refused", "refused", "answered"]
    assert page.locator("#shown-name").inner_text() == names[0]
    assert page.locator("#shown-name img, #strip .name img").count() == 0
    lines = []
    for number in (1, 2, 3):
        page.locator("#strip button").nth(number).click()
        lines.append(page.locator("#shown-line").inner_text())
        assert not page.locator("#answers").is_visible()
    assert all(line.startswith("Refused: ") and "\n" not in line for line in lines), lines
    assert "empty file" in lines[1] and "larger than 1 MB" in lines[2]


def test_the_keyboard_does_all(opened) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    page.set_input_files("#files", [file("a.png"), file("b.png")])
    page.wait_for_selector("#strip li:last-child [data-state=answered]")
    page.locator("#strip button").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator("#shown-name").inner_text() == "b.png"
    assert page.evaluate("document.activeElement.id") == "shown-name"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "opacity"
    page.keyboard.press("Home")
    assert page.locator(".heat").first.evaluate("heat => getComputedStyle(heat).opacity") == "0"
    assert page.locator("#opacity-value").inner_text() == "0 %"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator(".image").first.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"


def test_everything_has_a_name_and_fits_a_phone(opened) -> None:
    page = opened(viewport={"width": 390, "height": 844})
    page.set_input_files("#files", [file("a.png"), file("b" * 90 + ".png")])
    page.wait_for_selector("#strip li:last-child [data-state=answered]")
    page.locator("#strip button").nth(1).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.get_by_role("slider", name="Heat map").is_visible()
    assert page.get_by_role("checkbox", name="Show pixels").is_visible()
    assert page.get_by_role("img", name=re.compile("as the network sees it")).count() == 2
    assert page.locator("main button, main input").evaluate_all(
        "fields => fields.every(field => field.ariaLabel || field.labels?.length || field.textContent.trim())"
    )
    assert page.locator("#status").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(opened, scheme: str) -> None:
    from test_report_browser import LOWEST_CONTRAST

    page = opened(color_scheme=scheme)
    page.set_input_files("#files", [file("a.png"), file("b.png", b"")])
    page.wait_for_selector("#strip li:last-child [data-state=refused]")
    ratio, where = page.evaluate(LOWEST_CONTRAST)
    assert ratio >= 4.5, where
    page.goto(page.url + "api")
    ratio, where = page.evaluate(LOWEST_CONTRAST)
    assert ratio >= 4.5, where
