"""Localisation from end to end: a tiny fracture study, the network that is taught where to look, and the kinds of maps."""

import json
import runpy
import shutil
from contextlib import chdir
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY, YAML_FILE
from small_networks import numbers

from bonexray.base.errors import BonexrayError
from bonexray.check import settings_findings
from bonexray.composition import compose
from bonexray.data.arrays import ArrayFile
from bonexray.data.manifest import read_classes, read_manifest
from bonexray.data.paths import IMAGES
from bonexray.explain.cam_methods import METHODS
from bonexray.explain.localisation_files import RANDOM, TAUGHT, TITLES
from bonexray.explain.localisation_scores import score_maps
from bonexray.explain.located import read_located
from bonexray.explain.taught import taught_maps
from bonexray.networks.trained import trained_network
from bonexray.regions.files import MASKS, box_masks, read_boxes
from bonexray.serving.predictor import Predictor
from bonexray.serving.study import study_bundle
from bonexray.study import Settings, load_settings
from bonexray.train.batches import Batches
from bonexray.train.cohort import open_cohort
from bonexray.train.locator import MaskLoss

LOCATED, PLAIN, PX = "located_cnn", "small_cnn", 32
CHANGES = (
    "dataset=phantom_fracture",
    f"model=[{LOCATED},{PLAIN}]",
    "phantom.patients=40",
    f"phantom.img_px={PX}",
    f"prepare.img_px={PX}",
    "denoise.method=none",
    "train.epochs=2",
    "evaluate.resamples=100",
)


def stage(name: str, settings: Settings, *arguments: str) -> None:
    runpy.run_path(str(REPOSITORY / f"stages/{name}.py"))["main"](settings, *arguments)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory):
    """Run a tiny study of fractures up to the explanations; the tests run in its folder."""
    folder = tmp_path_factory.mktemp("fractures")
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        compose(folder / "params.yaml", REPOSITORY / "conf", CHANGES)
        options = load_settings()
        stage("phantom", options, "fracture")
        for name in ("split", "denoise", "prepare"):
            stage(name, options)
        for name in options.models:
            stage("train", options, name)
        stage("explain", options)
        yield options


def test_boxes_and_masks_reach_the_prepared_images(settings: Settings) -> None:
    truth = pd.read_csv("data/phantom_fracture/truth.csv", keep_default_na=False).set_index("path")
    manifest, boxes = read_manifest(), read_boxes()
    broken = manifest.loc[truth.loc[manifest["path"], "true_label"].to_numpy() != "none", "id"]
    assert set(boxes["id"]) == set(broken)
    masks, inside = np.load(MASKS), box_masks(list(manifest["id"]), boxes, PX)
    assert masks.shape == np.load(IMAGES).shape
    assert (masks.max(axis=(1, 2)) > 0.5).tolist() == manifest["id"].isin(broken).tolist()
    assert not (masks[~inside] > 0.5).any()  # a box holds its line


def test_the_summary_has_every_kind_of_map_beside_its_references(settings: Settings) -> None:
    summary = json.loads(Path("reports/explained/localisation.json").read_text())
    assert set(summary["models"]) == {LOCATED, PLAIN}  # and no baseline
    assert list(summary["models"][PLAIN]) == [*METHODS, RANDOM]
    assert list(summary["models"][LOCATED]) == [TAUGHT, *METHODS, RANDOM]
    assert set(TITLES) == {TAUGHT, *METHODS, RANDOM}
    located = read_located()
    assert summary["images"] == located.is_test.sum() > 0
    assert Path("reports/explained/localisation.png").stat().st_size > 10_000
    for name in (LOCATED, PLAIN):
        assert Path(f"reports/explained/{name}/{name}_boxes.png").stat().st_size > 10_000


def test_the_scores_are_those_of_the_maps_that_the_model_draws(settings: Settings) -> None:
    located, network = read_located(), trained_network(Path("models", LOCATED))
    rows = located.rows["row"].to_numpy()[located.is_test]
    images = ArrayFile(IMAGES)[rows][..., None]
    heat = taught_maps(network, LOCATED, images)
    expected = score_maps(heat, located.boxes[located.is_test], np.load(MASKS)[rows].astype(float))
    table = pd.read_csv(Path("reports/explained", LOCATED, "localisation.csv"), dtype={"id": str})
    found = table[table["method"] == TAUGHT]
    assert list(found["id"]) == list(located.rows.loc[located.is_test, "id"])
    np.testing.assert_allclose(found["pointing"], expected.pointing, atol=1e-5)
    np.testing.assert_allclose(found["energy"], expected.energy, atol=1e-4)
    thresholds = json.loads(Path("reports/explained", LOCATED, "thresholds.json").read_text())
    np.testing.assert_allclose(found["iou"], expected.at(thresholds[TAUGHT])["iou"], atol=0.05)


def test_other_boxes_explain_anew_and_the_same_ones_do_not(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    summary = Path("reports/explained/localisation.json")
    before = summary.read_bytes()
    store = {path.name for path in Path(".bonexray/explained").rglob("*.zip")}
    stage("explain", settings)
    assert {path.name for path in Path(".bonexray/explained").rglob("*.zip")} == store
    assert summary.read_bytes() == before
    boxes = Path("data/prepared/boxes.csv")
    content = boxes.read_text()
    table = read_boxes()
    table["right"] = table["left"] + 1
    table.to_csv(boxes, index=False)
    stage("explain", settings)
    boxes.write_text(content)
    assert len(list(Path(".bonexray/explained").rglob("*.zip"))) > len(store)
    assert summary.read_bytes() != before
    stage("explain", settings)
    assert summary.read_bytes() == before


def test_a_study_without_boxes_is_explained_without_scores(settings: Settings) -> None:
    kept = Path("kept")
    kept.mkdir()
    for name in ("boxes.csv", "masks.npy"):
        shutil.move(f"data/prepared/{name}", kept)
    try:
        stage("explain", settings)
        files = {path.name for path in Path("reports/explained").rglob("*") if path.is_file()}
        assert f"{PLAIN}_gradcam.png" in files and not any("localisation" in name for name in files)
    finally:
        for path in kept.iterdir():
            shutil.move(path, "data/prepared")
        kept.rmdir()
        stage("explain", settings)


def test_the_taught_network_learns_the_masks_first_and_then_its_classes_alone(settings: Settings) -> None:
    history = pd.read_csv(Path("models", LOCATED, "locator.csv"))
    assert list(history["epoch"]) == [1, 2] and (history["loss"].diff().dropna() < 0).all()
    card = json.loads(Path("models", LOCATED, "model.json").read_text())
    assert card["inputs_sha256"].keys() == {str(IMAGES), str(MASKS)}
    assert Path("models", PLAIN, "history.csv").is_file() and not Path("models", PLAIN, "locator.csv").exists()


def test_a_bundle_shows_where_the_network_was_taught_to_look(settings: Settings) -> None:
    predictor = Predictor(study_bundle(settings, LOCATED))
    image = ArrayFile(IMAGES)[0]
    answer = predictor.answer(image, heat=True)
    expected = taught_maps(predictor.network, LOCATED, image[None, ..., None])[0]
    np.testing.assert_allclose(answer.heat, expected, atol=1e-6)
    assert answer.label in read_classes()


def test_the_same_training_gives_the_same_weights(settings: Settings) -> None:
    path = Path("models", LOCATED, "model.weights.h5")
    before = [numbers(weight) for weight in trained_network(path.parent).weights]
    stage("train", settings, LOCATED)
    after = [numbers(weight) for weight in trained_network(path.parent).weights]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


# What it is taught


def located_batches(settings: Settings, **changes: object) -> Batches:
    cohort = open_cohort(settings.models[LOCATED], settings.train, settings.augment)
    return cohort.located("train", **changes)


def test_images_and_masks_are_changed_alike(settings: Settings) -> None:
    """A mask of the bright pixels of an image stays one of its bright pixels under every random change."""
    kept, images = np.load(MASKS), np.load(IMAGES)
    np.save(MASKS, images)
    try:
        batches = located_batches(settings, learning=True)
        for number in range(len(batches)):
            (pictures, masks, _), _ = batches[number]
            np.testing.assert_array_equal(pictures, masks)
    finally:
        np.save(MASKS, kept)


def test_where_to_look_is_unknown_only_where_a_class_has_boxes_and_the_image_none(settings: Settings) -> None:
    path = Path("data/prepared/boxes.csv")
    content, manifest = path.read_text(), read_manifest()
    train = manifest[(manifest["split"] == "train") & (manifest["label"] != "none")]
    table = read_boxes()
    dropped = train["id"].iloc[0]
    table[table["id"] != dropped].to_csv(path, index=False)
    try:
        batches = located_batches(settings)
        known = np.concatenate([batches[number][0][2] for number in range(len(batches))])
    finally:
        path.write_text(content)
    ids = manifest.loc[manifest["split"] == "train", "id"].to_numpy()
    assert [str(name) for name in ids[~known]] == [dropped]


def test_the_loss_of_masks_is_that_of_the_formula() -> None:
    masks = np.zeros((3, 2, 2, 1), np.float32)
    masks[0, 0, 0], masks[1, 0, 0] = 1, 1
    maps = np.full((3, 2, 2, 1), 0.5, np.float32)
    maps[0] = masks[0]
    losses = numbers(MaskLoss(reduction="none")(masks, maps))
    assert losses[0] == pytest.approx(0, abs=1e-5)
    assert losses[1] == pytest.approx(np.log(2) + 1 - (2 * 0.5 + 1) / (1 + 2 + 1), abs=1e-5)
    assert losses[2] == pytest.approx(np.log(2) + 1 - 1 / (2 + 1), abs=1e-5)


def test_a_taught_network_without_boxes_is_refused_before_any_work(settings: Settings) -> None:
    dataset = settings.dataset.model_copy(update={"boxes": None})
    with pytest.raises(BonexrayError, match=r"dataset\.boxes: expected boxes or masks, from which located_cnn learns"):
        raise next(settings_findings(settings.model_copy(update={"dataset": dataset})))


def test_all_leaves_out_what_needs_boxes_and_takes_it_by_name(tmp_path: Path) -> None:
    for choice, included in (("all", False), (f"[all,{LOCATED}]", True)):
        compose(tmp_path / "params.yaml", REPOSITORY / "conf", [f"model={choice}"])
        names = YAML_FILE.load(tmp_path / "params.yaml")["models"]
        assert (LOCATED in names) == included and PLAIN in names


# Kinds of maps


def random_maps() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    return rng.random((2, 3, 3, 4), dtype=np.float32), rng.normal(size=(2, 3, 3, 4)).astype(np.float32)


def formula(name: str, maps: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    if name == "gradcam":
        return (slopes.mean(axis=(1, 2), keepdims=True) * maps).sum(axis=-1)
    if name == "hirescam":
        return (slopes * maps).sum(axis=-1)
    if name == "layercam":
        return (slopes.clip(0) * maps).sum(axis=-1)
    alpha = slopes**2 / (2 * slopes**2 + maps.sum(axis=(1, 2), keepdims=True) * slopes**3)
    return ((alpha * slopes.clip(0)).sum(axis=(1, 2), keepdims=True) * maps).sum(axis=-1)


@pytest.mark.parametrize("name", METHODS)
def test_every_kind_of_map_follows_its_formula(name: str) -> None:
    maps, slopes = random_maps()
    found = numbers(METHODS[name](keras.ops.convert_to_tensor(maps), keras.ops.convert_to_tensor(slopes)))
    assert found[..., 0] == pytest.approx(formula(name, maps, slopes), rel=1e-3, abs=1e-4)


def test_equal_slopes_at_every_place_make_grad_cam_and_hirescam_agree() -> None:
    maps, slopes = random_maps()
    slopes[:] = slopes[:, :1, :1]
    one, other = (numbers(METHODS[name](maps, keras.ops.convert_to_tensor(slopes))) for name in ("gradcam", "hirescam"))
    assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_no_slope_gives_no_heat_and_no_division_by_zero(name: str) -> None:
    maps, _ = random_maps()
    assert not numbers(METHODS[name](keras.ops.convert_to_tensor(maps), keras.ops.zeros(maps.shape))).any()
