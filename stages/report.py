"""Write the report, its summary and a card for each model."""

import logging

from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_file, atomic_folder
from bonexray.report.contents import report_page, summary_page
from bonexray.report.data import ReportSettings, read_study
from bonexray.report.model_card import model_card_page
from bonexray.report.provenance import provenance
from bonexray.stage import run_stage
from bonexray.tracking.sync import try_to_sync

REPORT, SUMMARY, CARDS = "reports/report.html", "reports/summary.md", "reports/cards"
log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """The sections of params.yaml that the report shows, unparsed."""

    dataset: dict
    split: dict
    audit: dict
    denoise: dict
    prepare: dict
    weights: dict
    features: dict
    augment: dict
    train: dict
    evaluate: dict
    external: dict


def main(settings: Settings) -> None:
    """Write reports/report.html, reports/summary.md and reports/cards/."""
    study = read_study(ReportSettings(settings.model_dump()))
    with atomic_folder(CARDS) as folder:
        for name, card in study.cards.items():
            text = model_card_page(name, study.titles[name], card, study.scores[name], study.data, study.settings)
            (folder / f"{name}.md").write_text(text, encoding="utf-8", newline="\n")
    for path, text in ((REPORT, report_page(study, provenance(study.cards))), (SUMMARY, summary_page(study))):
        with atomic_file(path) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
        log.info("%s: %.1f MB", path, len(text.encode()) / 1e6)
    try_to_sync()


if __name__ == "__main__":
    run_stage(main, Settings)
