"""The search for settings: what is searched, how it is taken up again, and that it sees no test image."""

import json
import shutil
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from cohorts import lay_out_backbone, silent
from conftest import REPOSITORY
from searches import MODEL, SCRATCH, lay_out, quick, run_search, settings_with

import bonexray
from bonexray.base.errors import BonexrayError
from bonexray.composition import compose
from bonexray.data.paths import FEATURES, MANIFEST, VIEWS
from bonexray.registry import FINE_TUNE, FULL
from bonexray.runtime import start_anew
from bonexray.study import Settings, load_settings
from bonexray.train import training
from bonexray.train.cohort import open_cohort
from bonexray.train.training import train_model
from bonexray.tuning import search
from bonexray.tuning.search import open_search
from bonexray.tuning.space import SearchTarget, suggest
from bonexray.tuning.trials import FINISHED, PRUNED, attempt, best_of
from bonexray.tuning.winner import command_of, differences, improvement, override_of, trials_table, write_override

FEATURES_FILE = Path("data/features") / MODEL / FEATURES


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with features of a frozen backbone."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    lay_out()
    return tmp_path


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings that take no time."""
    monkeypatch.setattr(search, "attempt", quick())


# How it goes on


def test_five_trials_and_then_ten_more_are_fifteen_at_once(root: Path, at_once: None, tmp_path_factory) -> None:
    settings = settings_with(epochs=10)
    run_search(settings, 5)
    in_parts = run_search(settings, 25)
    (root / ".bonexray/tune.db").unlink()
    whole = run_search(settings, 25)
    assert in_parts == whole
    assert [trial.number for trial in whole] == list(range(25))
    assert {trial.state for trial in whole} == {FINISHED, PRUNED}
    assert len({json.dumps(trial.changes) for trial in whole}) > 20


def test_another_seed_is_another_search(root: Path, at_once: None) -> None:
    one, other = (run_search(settings_with(seed=seed), 4) for seed in (7, 8))
    assert one[0].changes == other[0].changes
    assert all(a.changes != b.changes for a, b in zip(one[1:], other[1:], strict=True))


def test_a_trial_that_was_interrupted_or_killed_is_tried_again_and_not_doubled(
    root: Path, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, attempt = settings_with(epochs=10), search.attempt
    whole = run_search(settings, 16)
    (root / ".bonexray/tune.db").unlink()

    def interrupted(target: SearchTarget, number: int, *others: object):
        if number in (0, 12):
            monkeypatch.setattr(search, "attempt", attempt)
            raise KeyboardInterrupt
        return attempt(target, number, *others)

    for _ in range(2):
        monkeypatch.setattr(search, "attempt", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_search(settings, 16)
    with open_search(settings, MODEL) as found:
        found._study.sampler = optuna.samplers.RandomSampler(seed=7)
        killed = found._study.ask()
        suggest(killed, found.target)
        killed.report(0.0, 1)
    assert run_search(settings, 16) == whole


def test_results_of_other_data_or_settings_are_not_taken_over(root: Path, at_once: None) -> None:
    def known(settings) -> int:
        with open_search(settings, MODEL) as found:
            return len(found.trials)

    run_search(settings_with(), 3)
    assert known(settings_with()) == 3
    assert known(settings_with(epochs=4)) == 0
    np.save(FEATURES_FILE, np.load(FEATURES_FILE) * 2)
    assert known(settings_with()) == 0


def test_two_searches_for_a_model_at_once_are_refused(root: Path, at_once: None) -> None:
    refused = pytest.raises(BonexrayError, match="another process that is running it")
    with open_search(settings_with(), MODEL), refused, open_search(settings_with(), MODEL):
        pass
    run_search(settings_with(), 1)


def test_settings_outside_the_space_are_tried_as_they_are(root: Path, at_once: None) -> None:
    trials = run_search(settings_with(learning_rate=0.0512345, dropout=0.83, dropout_2=0.07), 14)
    assert trials[0].changes == {
        "train.head": "standard",
        "train.learning_rate": 0.0512345,
        "train.dropout": 0.83,
        "train.dropout_2": 0.07,
    }
    assert len(trials) == 14


# What a trial is


def ordinary(settings, folder: Path) -> float:
    """The lowest validation loss of the model's own training, as its stage does it."""
    row = settings.models[MODEL]
    start_anew(settings.train.seed)
    history = train_model(MODEL, open_cohort(row, settings.train, settings.augment), folder, silent).history
    return float(history["val_log_loss"].min())


def composed_with(root: Path) -> Settings:
    """What DVC composes for the command that the winner's file names."""
    shutil.copytree(REPOSITORY / "conf", root / "conf", dirs_exist_ok=True)
    overrides = [word for word in command_of(MODEL).split() if "=" in word]
    compose(Path("params.yaml"), root / "conf", overrides)
    return load_settings("params.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("copies", [0, 2])
def test_the_winners_file_composed_and_trained_gives_the_score_that_is_reported(root: Path, copies: int) -> None:
    lay_out(copies)
    trials = run_search(settings_with(copies=copies), 3)
    assert trials[0].score == ordinary(settings_with(copies=copies), root)
    best = min(trials[1:], key=lambda trial: trial.changes.get("features.copies", 0))  # whichever it was
    assert write_override(MODEL, [best]) == override_of(MODEL)
    composed = composed_with(root)
    found = {"train": {}, "features": {}}
    for setting, value in best.changes.items():
        section, key = setting.split(".")
        found[section][key] = getattr(getattr(composed, section), key)
        assert found[section][key] == value
    assert ("copies" in found["features"]) == (copies > 0)
    if not found["features"].get("copies"):
        (FEATURES_FILE.parent / VIEWS).unlink(missing_ok=True)  # as the features stage leaves it
    assert ordinary(settings_with(copies=found["features"].get("copies", 0), **found["train"]), root) == best.score
    text = override_of(MODEL).read_text(encoding="utf-8")
    assert command_of(MODEL) in text and f"loss {best.score:.4f}" in text and "optimistic" in text


@pytest.mark.slow
def test_copies_that_a_trial_leaves_change_nothing_in_it(root: Path) -> None:
    alone = attempt(SearchTarget(settings_with(), MODEL), 0, {}, is_never_hopeless)
    lay_out(copies=2)
    space = SearchTarget(settings_with(copies=2), MODEL, 2)
    assert attempt(space, 0, {"features.copies": 0}, is_never_hopeless).history == alone.history
    assert attempt(space, 0, {"features.copies": 2}, is_never_hopeless).history != alone.history


def is_never_hopeless(_epoch: int, _lowest: float) -> bool:
    return False


def test_test_images_are_not_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "candidates_of", lambda settings: [settings])
    known = run_search(settings_with(epochs=2), 3)
    manifest, features = pd.read_csv(MANIFEST, dtype=str, keep_default_na=False), np.load(FEATURES_FILE)
    test = (manifest["split"] == "test").to_numpy()
    manifest.loc[test, "label"] = np.roll(manifest.loc[test, "label"], 1)
    features[test] = np.nan
    manifest.to_csv(MANIFEST, index=False)
    np.save(FEATURES_FILE, features)
    assert test.any() and run_search(settings_with(epochs=2), 3) == known


@pytest.mark.slow
def test_validation_images_are(root: Path) -> None:
    known = run_search(settings_with(), 2)
    manifest = pd.read_csv(MANIFEST, dtype=str, keep_default_na=False)
    val = manifest["split"] == "val"
    manifest.loc[val, "label"] = np.roll(manifest.loc[val, "label"], 1)
    manifest.to_csv(MANIFEST, index=False)
    assert [trial.score for trial in run_search(settings_with(), 2)] != [trial.score for trial in known]


def test_a_hopeless_trial_ends_at_that_epoch(root: Path) -> None:
    told = []

    def is_hopeless(epoch: int, lowest: float) -> bool:
        told.append((epoch, lowest))
        return epoch == 2

    trial = attempt(SearchTarget(settings_with(), MODEL), 4, {}, is_hopeless)
    assert (trial.number, trial.state, len(trial.history)) == (4, PRUNED, 2)
    losses = [row["val_log_loss"] for row in trial.history]
    assert told == [(1, losses[0]), (2, min(losses))] and trial.score == min(losses)


def test_a_loss_that_is_no_number_ends_the_trial_and_not_the_search(root: Path) -> None:
    trials = run_search(settings_with(learning_rate=1e30, optimizer="adam", dropout=0.0), 2)
    assert trials[0].state == PRUNED and len(trials) == 2
    assert trials_table(trials).row_count == 2
    with pytest.raises(BonexrayError, match="at least one finished trial"):
        best_of(trials[:1])


@pytest.mark.slow
def test_a_network_from_scratch_is_trained_on_images_moved_as_the_trial_says(root: Path) -> None:
    trials = run_search(settings_with(SCRATCH, "scratch", epochs=1), 2)
    assert trials[0].changes == {
        "train.learning_rate": 0.01,
        "augment.rotation_deg": 10.0,
        "augment.shift": 0.05,
        "augment.zoom": 0.1,
    }
    assert trials[0].history != trials[1].history
    space = SearchTarget(settings_with(SCRATCH, "scratch", epochs=1), SCRATCH)
    still = attempt(space, 1, {"augment.rotation_deg": 0.0}, is_never_hopeless)
    assert still.history != trials[0].history


@pytest.mark.slow
def test_a_backbone_is_fine_tuned_at_the_trials_own_rate(root: Path) -> None:
    lay_out_backbone(MODEL)
    trials = run_search(
        settings_with(MODEL, FINE_TUNE, epochs=1, deterministic=False), 2
    )  # which would take one thread
    assert [row["epoch"] for row in trials[1].history] == [1, 2, 3]
    assert trials[1].history[-1]["learning_rate"] == pytest.approx(trials[1].changes["fine_tune.learning_rate"])


# What is shown


def test_the_study_s_own_settings_are_shown_however_low_they_rank(root: Path, at_once: None) -> None:
    trials = run_search(settings_with(learning_rate=0.09, epochs=10), 20)
    table = trials_table(trials)
    names = list(table.columns[0].cells)
    assert len(names) == 6 and names[-1] == "0 (present)"
    losses = [float(text) for text in table.columns[1].cells]
    assert losses[:-1] == sorted(losses[:-1]) and losses[0] == pytest.approx(best_of(trials).score, abs=1e-4)


def test_an_improvement_is_told_once(root: Path, at_once: None) -> None:
    trials = run_search(settings_with(epochs=10), 20)
    told = [line for number, trial in enumerate(trials) if (line := improvement(trial, trials[:number]))]
    assert 1 < len(told) < 20 and told[0].startswith("trial 0: validation log loss") and "(before " in told[1]
    assert f"{best_of(trials).score:.4f}" in told[-1]


def test_settings_that_conf_has_not_are_named(root: Path) -> None:
    override_of(MODEL).parent.mkdir(parents=True)
    override_of(MODEL).write_text("# @package _global_\ntrain:\n  dropout: 0.1\n")
    settings = composed_with(root)
    assert settings.train.dropout == 0.1 and differences(settings, MODEL) == []
    filtered = settings.model_copy(update={"denoise": settings.denoise.model_copy(update={"method": "none"})})
    assert differences(filtered, MODEL) == ["denoise.method"]
    full = settings.models[MODEL].model_copy(update={"mode": FULL})
    assert differences(settings.model_copy(update={"models": {MODEL: full}}), MODEL) == ["mode"]


def test_the_fingerprint_hashes_code_that_exists() -> None:
    assert all((Path(bonexray.__file__).parent / part).exists() for part in search.CODE)
