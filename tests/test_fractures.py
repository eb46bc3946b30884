"""The simulated fractures: the same bytes in every run, lines where the boxes are, and grades that show more and more."""

import hashlib
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bonexray.compute import Compute
from bonexray.images.reading import read_image
from bonexray.phantom import decoys, fracture_simulation
from bonexray.phantom.anatomy import FIELD_MM, bone_frame, draw_anatomy, draw_view, trabeculae
from bonexray.phantom.decoys import draw_decoys, kept_share
from bonexray.phantom.fracture import GRADES, Fracture, broken_path, draw_fracture, line_region, moved_back
from bonexray.phantom.fracture_simulation import SimulatedFracture, box_around, simulate_fractures
from bonexray.phantom.settings import Phantom

STAGE = runpy.run_path(str(Path(__file__).parents[1] / "stages/phantom.py"))
COHORT = Path("data/phantom_fracture")
PX = 40


def patient(number: int, px: int = PX, label_noise: float = 0.0, seed: int = 7) -> list[SimulatedFracture]:
    return simulate_fractures(number, px, 400.0, 2.0, seed, "a", label_noise)


@pytest.fixture(scope="module")
def thirty() -> list[SimulatedFracture]:
    """The first images of thirty patients."""
    return [patient(number)[0] for number in range(30)]


def a_fracture(grade: str = "complete", **changes: object) -> Fracture:
    facts = {"axial_mm": 22.0, "angle_deg": 0.0, "gap_mm": 1.0, "opening": 1.0, "reach": 1.0, "side": 1.0}
    moves = {"shift_mm": 0.0, "shortening_mm": 0.0, "turn_deg": 0.0, "waves": ()}
    return Fracture(grade=grade, **{**facts, **moves, **changes})


def test_the_same_number_gives_the_same_images_and_another_seed_others() -> None:
    one, other = patient(3), patient(3)
    assert [image.fracture for image in one] == [image.fracture for image in other]
    assert all(
        np.array_equal(a.noisy, b.noisy) and np.array_equal(a.mask, b.mask) for a, b in zip(one, other, strict=True)
    )
    assert not np.array_equal(patient(3, seed=8)[0].clean, one[0].clean)


def test_the_image_size_does_not_change_the_fracture() -> None:
    for number in range(4):
        small, large = patient(number, 32)[0], patient(number, 64)[0]
        assert small.fracture == large.fracture
        if small.box:
            assert np.array(small.box) * 2 == pytest.approx(np.array(large.box), abs=5)


def test_every_grade_occurs_and_a_patient_has_one(thirty: list[SimulatedFracture]) -> None:
    assert {image.label for image in thirty} == set(GRADES)
    for number in range(10):
        assert len({(image.label, image.fracture) for image in patient(number)}) == 1


def test_a_line_is_drawn_where_there_is_a_fracture_and_nowhere_else(thirty: list[SimulatedFracture]) -> None:
    for image in thirty:
        assert (image.fracture is None) == (image.label == "none") == (not image.mask.any()) == (image.box is None)


def test_the_box_holds_the_line_with_its_margin(thirty: list[SimulatedFracture]) -> None:
    margin = fracture_simulation.BOX_MARGIN_MM * PX / FIELD_MM
    for image in thirty:
        if image.box is None:
            continue
        rows, columns = np.nonzero(image.mask)
        left, top, right, bottom = image.box
        assert left == pytest.approx(max(0, columns.min() - margin)) and top == pytest.approx(
            max(0, rows.min() - margin)
        )
        assert right == pytest.approx(min(PX, columns.max() + 1 + margin))
        assert bottom == pytest.approx(min(PX, rows.max() + 1 + margin))


def whole(number: int, monkeypatch: pytest.MonkeyPatch) -> SimulatedFracture:
    """The same patient, exposure and decoys without the fracture."""
    with monkeypatch.context() as patch:
        patch.setattr(fracture_simulation, "draw_fracture", lambda rng: None)
        return patient(number)[0]


def test_an_undisplaced_fracture_changes_the_image_in_its_box_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = 0
    for number in range(16):
        image = patient(number)[0]
        if image.label in ("hairline", "complete"):
            changed = np.abs(image.clean - whole(number, monkeypatch).clean)
            left, top, right, bottom = image.box
            rows, columns = np.nonzero(changed > 0.02)  # the detector's blur reaches a little farther
            assert len(rows), image.label
            assert columns.min() >= left - 1 and columns.max() < right + 1
            assert rows.min() >= top - 1 and rows.max() < bottom + 1
            assert changed[image.mask].mean() > 4 * changed[~image.mask].mean()
            seen += 1
    assert seen >= 4


def test_contrast_rises_from_grade_to_grade(thirty: list[SimulatedFracture], monkeypatch: pytest.MonkeyPatch) -> None:
    contrast: dict[str, list[float]] = {grade: [] for grade in GRADES[1:]}
    for number, image in enumerate(thirty):
        if image.fracture:
            changed = np.abs(image.clean - whole(number, monkeypatch).clean)
            contrast[image.label].append(float(changed.sum()))
    hairline, complete, displaced = (float(np.mean(values)) for values in contrast.values())
    assert 0 < 1.5 * hairline < complete and 1.5 * complete < displaced


def geometry(px: int = 96) -> tuple:
    rng = np.random.default_rng(1)
    anatomy, view = draw_anatomy((1 / 3, 1 / 3, 1 / 3), rng), draw_view(rng)
    axial, lateral, _ = bone_frame(view, px)
    return anatomy, axial, lateral, trabeculae(anatomy, view.angle, px, rng)


def test_a_cleft_takes_its_share_of_the_bone_where_the_line_is() -> None:
    anatomy, axial, lateral, network = geometry()
    bone = broken_path(None, anatomy, axial, lateral, network)
    broken = broken_path(a_fracture(opening=0.5, gap_mm=3.0), anatomy, axial, lateral, network)
    inside = np.abs(axial - 22) < 1.0
    np.testing.assert_allclose(broken[inside], bone[inside] / 2)
    outside = np.abs(axial - 22) > 2.5
    np.testing.assert_array_equal(broken[outside], bone[outside])


def test_a_hairline_ends_inside_the_bone() -> None:
    anatomy, axial, lateral, network = geometry()
    bone = broken_path(None, anatomy, axial, lateral, network)
    crack = a_fracture("hairline", reach=0.5)
    lost = bone - broken_path(crack, anatomy, axial, lateral, network)
    assert lost[lateral < -1].max() > 0 and not lost[lateral > 1].any()
    assert not line_region(crack, anatomy, axial, lateral, 0.5)[lateral > 1].any()


def test_displaced_fragments_keep_their_bone_and_overlap_when_shortened() -> None:
    anatomy, axial, lateral, network = geometry()
    bone = broken_path(None, anatomy, axial, lateral, np.zeros_like(network))
    moved = a_fracture("displaced", shift_mm=1e-9, shortening_mm=4.0, gap_mm=0.0)
    broken = broken_path(moved, anatomy, axial, lateral, np.zeros_like(network))
    overlap = (axial > 18.5) & (axial < 21.5) & (bone > 5)
    assert overlap.any() and broken[overlap].mean() > 1.3 * bone[overlap].mean()
    above = axial < 17
    np.testing.assert_allclose(broken[above], bone[above])


def test_points_of_a_fragment_move_back_to_where_they_were() -> None:
    moved = a_fracture("displaced", shift_mm=3.0, shortening_mm=-1.0)
    axial, lateral = moved_back(moved, np.array([30.0]), np.array([5.0]))
    assert (axial[0], lateral[0]) == pytest.approx((29.0, 2.0))
    turned = a_fracture("displaced", shift_mm=0.0, turn_deg=90.0)
    axial, lateral = moved_back(turned, np.array([22.0]), np.array([5.0]))
    assert (axial[0], lateral[0]) == pytest.approx((27.0, 0.0), abs=1e-9)


def test_decoys_do_not_depend_on_the_grade(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoys of a patient are drawn alike, and take the same numbers, with any fracture and with none."""
    drawn: list = []
    monkeypatch.setattr(fracture_simulation, "draw_decoys", lambda rng: drawn.append(draw_decoys(rng)) or drawn[-1])
    patient(5)
    for grade in (None, a_fracture("hairline"), a_fracture("displaced", shift_mm=3.0)):
        monkeypatch.setattr(fracture_simulation, "draw_fracture", lambda rng, grade=grade: grade)
        patient(5)
    assert len(set(drawn)) == 1


def test_a_plate_crosses_the_bone_and_a_vessel_ends_in_it() -> None:
    _, axial, lateral, _ = geometry()
    lines = draw_decoys(np.random.default_rng(2))
    changed = np.abs(1 - kept_share(lines, axial, lateral)) > 0.1
    near_plate = axial < decoys.PLATE_AXIAL_MM[1] + 2
    crossed = lateral[changed & near_plate]
    assert crossed.min() < -7 and crossed.max() > 7
    vessel = changed & ~near_plate
    assert vessel.any() and np.ptp(lateral[vessel]) < decoys.VESSEL_LENGTH_MM[1]


def test_a_fracture_takes_as_many_numbers_whatever_the_grade(monkeypatch: pytest.MonkeyPatch) -> None:
    after = {}
    for grade in GRADES:
        shares = [float(name == grade) for name in GRADES]
        monkeypatch.setattr("bonexray.phantom.fracture.SHARES", shares)
        rng = np.random.default_rng(3)
        assert getattr(draw_fracture(rng), "grade", "none") == grade
        after[grade] = rng.random()
    assert len(set(after.values())) == 1


def test_an_empty_mask_has_no_box() -> None:
    assert box_around(np.zeros((8, 8), bool)) is None


# The files


def simulated(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: object) -> dict[str, str]:
    """Run the stage in a folder, and return the hash of every file by its path."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    options = Phantom.model_validate({"patients": 12, "img_px": 32, **changes})
    STAGE["main"](STAGE["Settings"](phantom=options, compute=Compute()), "fracture")
    files = (path for path in (folder / COHORT).rglob("*") if path.is_file())
    return {
        path.relative_to(folder / COHORT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def test_every_run_writes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (simulated(tmp_path / name, monkeypatch) for name in ("one", "other"))
    assert one == other and len(one) > 24


def test_boxes_and_masks_lie_beside_the_images_that_have_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = simulated(tmp_path / "cohort", monkeypatch)
    truth = pd.read_csv(COHORT / "truth.csv", keep_default_na=False)
    boxes = pd.read_csv(COHORT / "regions/boxes.csv")
    broken = truth[truth["true_label"] != "none"]
    assert list(boxes["image"]) == list(broken["path"])
    assert {path.removeprefix("regions/masks/") for path in files if "masks" in path} == set(broken["path"])
    assert (truth.loc[truth["true_label"] == "none", "axial_mm"] == "").all()
    for path, row in zip(boxes["image"], boxes.itertuples(), strict=True):
        mask = np.asarray(Image.open(COHORT / "regions/masks" / path))
        assert mask.shape == read_image(COHORT / "noisy" / path).shape and set(np.unique(mask)) == {0, 255}
        rows, columns = np.nonzero(mask)
        assert row.left <= columns.min() < columns.max() < row.right and row.top <= rows.min() < rows.max() < row.bottom


def test_wrong_labels_leave_lines_and_boxes_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulated(tmp_path / "right", monkeypatch)
    right = pd.read_csv(COHORT / "truth.csv")
    simulated(tmp_path / "wrong", monkeypatch, label_noise=1.0)
    wrong = pd.read_csv(COHORT / "truth.csv")
    assert (wrong["label"] != wrong["true_label"]).all()
    pd.testing.assert_frame_equal(right[["true_label", "axial_mm", "age"]], wrong[["true_label", "axial_mm", "age"]])
