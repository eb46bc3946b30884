"""Write the report: everything the study found, on one page that opens anywhere."""

import logging

from bonexray.config import Settings
from bonexray.outputs import whole_file, whole_folder
from bonexray.reporting.report.contents import report_page, summary_page
from bonexray.reporting.report.data import Choices, read_study
from bonexray.reporting.report.model_card import model_card_page
from bonexray.reporting.report.provenance import provenance
from bonexray.stage import run_stage
from bonexray.tracking.sync import try_to_sync

REPORT, SUMMARY, CARDS = "reports/report.html", "reports/summary.md", "reports/cards"
log = logging.getLogger("bonexray")


def main(settings: Settings) -> None:
    """Write reports/report.html, reports/summary.md and a card a model in reports/cards/ from what the study left."""
    study = read_study(
        Choices(
            dataset=settings.dataset,
            split=settings.split,
            audit=settings.audit,
            denoise=settings.denoise,
            prepare=settings.prepare,
            weights=settings.weights,
            augment=settings.augment,
            train=settings.train,
            evaluate=settings.evaluate,
        )
    )
    with whole_folder(CARDS) as folder:
        for name, card in study.cards.items():
            text = model_card_page(name, study.titles[name], card, study.scores[name], study.data, study.settings)
            (folder / f"{name}.md").write_text(text, encoding="utf-8", newline="\n")
    for path, text in ((REPORT, report_page(study, provenance())), (SUMMARY, summary_page(study))):
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
        log.info("%s: %.1f MB", path, len(text.encode()) / 1e6)
    try_to_sync(settings)


if __name__ == "__main__":
    run_stage(main)
