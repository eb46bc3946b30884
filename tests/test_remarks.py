"""What is malformed in a file that is used stands in the manifest and in the audit."""

import json

import numpy as np
import pandas as pd
from xrays import SECRET_ID, SECRET_NAME, dicom_file, written

RNG = np.random.default_rng(10)


def test_remarks_reach_the_manifest_and_the_audit_without_identifiers(study) -> None:
    files = {
        "normal/no_width.dcm": {"WindowCenter": 5, "WindowWidth": 0, "PatientID": f"{SECRET_ID}-1"},
        "normal/unknown.dcm": {
            "WindowCenter": 5,
            "WindowWidth": 9,
            "VOILUTFunction": SECRET_ID,
            "PatientID": "SECRET-2",
        },
        "normal/no_bit.dcm": {"HighBit": None, "PatientID": "SECRET-3"},
        "normal/sound.dcm": {"PatientID": "SECRET-4"},
    }
    for path, elements in files.items():
        pixels = RNG.integers(0, 65_536, (24, 32), np.uint16)
        written(study.folder / "data/raw" / path, dicom_file(pixels, **elements))
    done = study.stage("split")
    assert done.returncode == 0, done.stderr
    assert "3 images are used although something in the file is malformed" in done.stderr
    manifest = pd.read_csv(study.folder / "data/split/manifest.csv", dtype=str, keep_default_na=False).set_index("path")
    window = "the window or its lookup table is malformed or shows nothing; the full range instead"
    assert manifest.loc["normal/no_width.dcm", "remarks"] == window
    assert manifest.loc["normal/unknown.dcm", "remarks"] == window
    assert manifest.loc["normal/no_bit.dcm", "remarks"].startswith("HighBit missing")
    assert set(manifest.drop(list(files)[:3])["remarks"]) == {""}
    assert json.loads((study.folder / "metrics/data.json").read_text())["remarked"] == 3
    page = (study.folder / "reports/audit.md").read_text()
    assert "| used although something in the file is malformed | 3 |" in page
    assert f"| {window} | 2 | `normal/no_width.dcm` |" in page
    told = page + done.stderr + done.stdout + (study.folder / "data/split/manifest.csv").read_text()
    assert not [word for word in ("SECRET", *SECRET_NAME.split("^")) if word in told]
