"""The report in a browser: sorting, no network access, small screens, dark mode and printing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from studies import SHAPES, write_study

from bonexray.report.contents import report_page
from bonexray.report.data import read_study
from bonexray.report.provenance import Provenance

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'bonexray[dev]'")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PROVENANCE = Provenance({"keras": "3.11.1"}, (("models/vgg16", "ab" * 32),))
LOWEST_CONTRAST = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = channels(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  let lowest = [21, ""];
  for (const node of document.querySelectorAll("body *")) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
    if (["SCRIPT", "STYLE"].includes(node.tagName)) continue;
    const [one, other] = [light(channels(getComputedStyle(node).color)), light(behind(node))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < lowest[0]) lowest = [ratio, node.outerHTML.slice(0, 120)];
  }
  return lowest;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=[*FLAGS])
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return two reports, one with very long names and one with repeats and ensembles."""
    paths = {}
    for name in ("six classes", "repeats"):
        root = tmp_path_factory.mktemp("study")
        study = read_study(write_study(root, SHAPES[name]), root)
        paths[name] = root / "report.html"
        paths[name].write_text(report_page(study, PROVENANCE), encoding="utf-8")
    return paths


@pytest.fixture
def opened(browser, pages) -> Iterator:
    """Return a function that opens a report; check afterwards that it logged nothing and requested nothing."""
    complaints, contexts = [], []

    def open_page(name: str = "repeats", **options: object):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
        page.goto(pages[name].as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def column(page, number: int) -> list[str]:
    """Return the text of a column of the table of models."""
    return page.eval_on_selector_all(
        f"#table-models tbody tr > :nth-child({number})", "cells => cells.map(c => c.firstChild.data.trim())"
    )


def test_a_click_sorts_and_sets_aria_sort(opened) -> None:
    page = opened()
    heading = page.locator("#table-models thead th").nth(2)
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    falling = [float(text) for text in column(page, 3)]
    assert falling == sorted(falling, reverse=True) and len(set(falling)) == 5
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [float(text) for text in column(page, 3)] == falling[::-1]
    assert page.locator("#table-models [aria-sort]").count() == 1
    assert page.locator("#table-models tfoot th").all_inner_texts() == [
        "Always the majority class",
        "Ceiling: the true bone of the simulation",
    ]


def test_the_keyboard_sorts_too(opened) -> None:
    page = opened()
    before = column(page, 1)
    page.locator("#table-models thead button").first.focus()
    page.keyboard.press("Enter")
    assert column(page, 1) == sorted(before, key=str.lower) != before
    page.keyboard.press("Space")
    assert column(page, 1) == sorted(before, key=str.lower, reverse=True)


def test_undefined_values_stay_last(opened) -> None:
    page = opened()
    page.evaluate("delete document.querySelector('#table-models tbody tr:nth-child(2)').cells[3].dataset.order")
    name = column(page, 1)[1]
    for _ in range(2):
        page.locator("#table-models thead button").nth(3).click()
        assert column(page, 1)[-1] == name


@pytest.mark.parametrize("name", ["six classes", "repeats"])
def test_a_narrow_screen_scrolls_tables_and_not_the_page(opened, name: str) -> None:
    page = opened(name, viewport={"width": 390, "height": 844})
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("[...document.querySelectorAll('.scroll')].some(box => box.scrollWidth > box.clientWidth)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(opened, scheme: str) -> None:
    page = opened(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    ratio, where = page.evaluate(LOWEST_CONTRAST)
    assert ratio >= 4.5, where


def test_colour_schemes_differ(opened) -> None:
    colours = [
        opened(color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert len(set(colours)) == 2


def test_the_first_tab_skips_to_the_report(opened) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_every_image_decodes(opened) -> None:
    page = opened()
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    page.evaluate("Promise.all([...document.images].map(image => image.decode()))")
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0 && image.alt)")


def test_printing_opens_every_section_and_restores_them(opened) -> None:
    page = opened()
    page.evaluate("document.querySelector('details.model').open = true")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('details')].every(fold => fold.open)")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelectorAll('details[open]').length") == 1
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 690, "height": 970})  # A4 within its margins
    assert page.evaluate(
        "[...document.querySelectorAll('.scroll')].every(box => box.scrollWidth <= box.clientWidth + 1)"
    )
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
