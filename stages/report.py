"""Write the report: everything the study found, on one page that opens anywhere."""

import logging

from bonexray.config import Settings
from bonexray.outputs import whole_file
from bonexray.reporting.provenance import provenance
from bonexray.reporting.report import report_page, summary_page
from bonexray.reporting.report_data import Choices, read_study
from bonexray.stage import run_stage

REPORT, SUMMARY = "reports/report.html", "reports/summary.md"
log = logging.getLogger("bonexray")


def main(settings: Settings) -> None:
    """Write reports/report.html and reports/summary.md from the files in metrics/, reports/ and models/."""
    study = read_study(Choices(
        dataset=settings.dataset, split=settings.split, audit=settings.audit, denoise=settings.denoise,
        prepare=settings.prepare, weights=settings.weights, augment=settings.augment, train=settings.train,
        evaluate=settings.evaluate,
    ))  # fmt: skip
    for path, text in ((REPORT, report_page(study, provenance())), (SUMMARY, summary_page(study))):
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
        log.info("%s: %.1f MB", path, len(text.encode()) / 1e6)


if __name__ == "__main__":
    run_stage(main)
