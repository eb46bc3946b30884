"""Training across hospitals: the arithmetic of a round, what leaves a site, and what the server takes."""

import json
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import check_grad, minimize
from sklearn.utils.class_weight import compute_class_weight
from typer.testing import CliRunner

from bonexray.base.errors import BonexrayError
from bonexray.cli import app as program

pytest.importorskip("flwr", reason="no Flower here: pip install 'bonexray[federated]'")

from conftest import Study
from federations import CLASSES, RECIPE, WIDTH, joined, lay_out, site_of
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.common.constant import ErrorCode

from bonexray.derived_params import derive_params
from bonexray.evaluate.settings import Evaluate
from bonexray.federate import simulation
from bonexray.federate.client import client_app
from bonexray.federate.comparison import CENTRAL, alone, compare, rehearsal_of
from bonexray.federate.head import Task, _loss, local_steps
from bonexray.federate.messages import sound_replies
from bonexray.federate.plan import Plan, plan_of
from bonexray.federate.recipe import as_text, require_same_recipe, weights_digest
from bonexray.federate.rounds import _class_weights, train_together
from bonexray.federate.simulation import SerialGrid, simulate
from bonexray.federate.sites import dealt_sites, sites_in_record
from bonexray.networks.scaling import mean_and_std
from bonexray.train.regression import Labelled, fit_strengths

pytestmark = pytest.mark.slow  # Flower is among what `make slow` installs
SIZES = (120, 90, 60, 40)
SITES = [site_of(size, seed) for seed, size in enumerate(SIZES)]
PLAN = Plan(rounds=8)


def task_of(mu: float, strength: float = 0.3) -> Task:
    """The loss of a small site's training images."""
    train = SITES[3].of("train")
    weights = np.array([0.5, 1.0, 2.0])[train.labels]
    return Task(train.features - 5, train.labels, weights, np.array([strength]), mu)


# The arithmetic of a round


@pytest.mark.parametrize("mu", [0.0, 0.7])
def test_the_gradient_is_that_of_the_loss(mu: float) -> None:
    rng, task = np.random.default_rng(5), task_of(mu)
    start, point = rng.normal(size=(2, (WIDTH + 1) * len(CLASSES) + 1))
    error = check_grad(lambda x: _loss(x, start, task, 0.3)[0], lambda x: _loss(x, start, task, 0.3)[1], point)
    assert error < 1e-4


def test_many_steps_at_one_site_reach_the_regression_of_the_stage_train() -> None:
    train, strengths = SITES[0].of("train"), (0.1, 1.0)
    scaling = mean_and_std([train.features])
    features = (train.features - scaling[0]) / scaling[1]
    labelled = Labelled(features, np.eye(len(CLASSES))[train.labels])
    task = Task(features, train.labels, np.ones(len(train.labels)), np.array(strengths), 0.0)
    zeros = np.zeros((2, WIDTH, len(CLASSES))), np.zeros((2, len(CLASSES)))
    kernels, biases = local_steps(*zeros, task, 500)
    for fit, kernel, bias in zip(
        fit_strengths(labelled, labelled, len(CLASSES), None, strengths), kernels, biases, strict=True
    ):
        np.testing.assert_allclose(kernel, fit.weights[0], atol=2e-3)
        np.testing.assert_allclose(bias - bias.mean(), fit.weights[1] - fit.weights[1].mean(), atol=2e-3)


def test_steps_within_the_span_of_few_images_are_those_in_all_dimensions() -> None:
    rng, train = np.random.default_rng(6), SITES[3].of("train")
    few = train.where(np.arange(len(train.labels)) < 5)
    kernel, bias = rng.normal(size=(WIDTH, len(CLASSES))), rng.normal(size=len(CLASSES))
    features, labels, strength, mu = few.features - 5, few.labels, 0.3, 0.2

    def loss(flat: np.ndarray) -> float:
        whole = flat.reshape(WIDTH + 1, -1)
        scores = features @ whole[:-1] + whole[-1]
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        away = flat - np.concatenate([kernel, bias[None]]).ravel()
        return -logs[np.arange(5), labels].mean() + strength / 2 * (whole[:-1] ** 2).sum() + mu / 2 * away @ away

    expected = minimize(loss, np.zeros((WIDTH + 1) * len(CLASSES)), tol=1e-10).x.reshape(WIDTH + 1, -1)
    task = Task(features, labels, np.ones(5), np.array([strength]), mu)
    (kernels, biases) = local_steps(kernel[None], bias[None], task, 500)
    np.testing.assert_allclose(kernels[0], expected[:-1], atol=1e-3)
    np.testing.assert_allclose(biases[0], expected[-1], atol=1e-3)


def test_the_proximal_term_keeps_a_site_near_the_average() -> None:
    zeros = np.zeros((1, WIDTH, len(CLASSES))), np.zeros((1, len(CLASSES)))
    free, held = (np.abs(local_steps(*zeros, task_of(mu), 50)[0]).sum() for mu in (0.0, 10.0))
    assert held < free / 2


def test_the_scaling_is_that_of_all_images_together() -> None:
    head = simulate(SITES, Plan(rounds=1))
    expected = mean_and_std([joined(SITES).of("train").features])
    for value, wanted in zip(head.scaling, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-6)
    assert head.images == sum(len(site.of("train").labels) for site in SITES)


def test_class_weights_are_those_of_all_images_together() -> None:
    labels = joined(SITES).of("train").labels
    shares = np.bincount(labels, minlength=4) / len(labels)  # and a class that nobody has
    expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    np.testing.assert_allclose(_class_weights(shares, "balanced"), [*expected, 0.0])
    assert _class_weights(shares, "none") == [1.0] * 4


def test_two_sites_with_the_same_images_train_as_one() -> None:
    one, two = simulate(SITES[:1], PLAN), simulate([SITES[0], SITES[0]], PLAN)
    np.testing.assert_allclose(two.kernel, one.kernel, atol=1e-9)
    assert one.strength == two.strength


@pytest.mark.parametrize("strategy", ["fedavg", "fedprox"])
def test_the_same_federation_gives_the_same_bytes(strategy: str) -> None:
    plan = PLAN.model_copy(update={"strategy": strategy})
    one, two = simulate(SITES, plan), simulate(SITES, plan)
    assert (one.kernel.tobytes(), one.bias.tobytes()) == (two.kernel.tobytes(), two.bias.tobytes())
    assert one.log_losses == two.log_losses and len(one.log_losses) == plan.rounds


def test_the_strategies_differ() -> None:
    one, other = (simulate(SITES, Plan(rounds=2, strategy=name, mu=5.0)) for name in ("fedavg", "fedprox"))
    assert np.abs(one.kernel - other.kernel).max() > 1e-3


# The comparison


def test_a_federation_is_as_good_as_all_images_in_one_place_and_better_than_each_site() -> None:
    tested = site_of(2400, 99)
    tested.rows["split"] = "test"
    study = joined([*(site.where((site.rows["split"] != "test").to_numpy()) for site in SITES), tested])
    names = study.rows["group"].str.split("-").str[1].map({"0": "a", "1": "b", "2": "c", "3": "d", "99": ""}).to_numpy()
    result, _ = compare(rehearsal_of(study, names), PLAN, Evaluate(resamples=200), lambda _: None)
    scores = {name: each["balanced_accuracy"] for name, each in result["scores"].items()}
    assert abs(scores["fedprox"] - scores[CENTRAL]) < 0.03
    assert scores["fedprox"] > max(score for name, score in scores.items() if name.endswith("alone"))
    assert list(scores) == ["fedprox", "fedavg", CENTRAL, *(f"{name} alone" for name in "abcd")]
    assert [pair["other"] for pair in result["differences"]] == list(scores)[1:]
    for pair in result["differences"]:
        assert pair["difference"] == pytest.approx(scores["fedprox"] - scores[pair["other"]])
        assert pair["p_holm"] >= pair["p_bootstrap"]


def test_a_site_alone_has_the_head_of_the_stage_train() -> None:
    from bonexray.train.regression import best_of

    site = SITES[0]
    scaling = mean_and_std([site.of("train").features])
    parts = [
        Labelled((part.features - scaling[0]) / scaling[1], np.eye(3)[part.labels])
        for part in (site.of("train"), site.of("val"))
    ]
    kernel, bias = best_of(fit_strengths(*parts, 3, "balanced")).weights
    scores = (site.features - scaling[0]) / scaling[1] @ kernel + bias
    assert list(alone(site, site).argmax(axis=1)) == list(scores.argmax(axis=1))


def test_sites_that_are_too_small_take_no_part_and_one_class_is_nothing_to_learn_alone() -> None:
    study = joined(SITES)
    names = np.where(np.arange(len(study.labels)) < 8, "tiny", "large").astype(object)
    names[study.labels == 2] = "worse_only"
    rehearsal = rehearsal_of(study, names)
    assert set(rehearsal.sites) == {"large", "worse_only"} and set(rehearsal.left_out) == {"tiny"}
    result, _ = compare(rehearsal, Plan(rounds=1), Evaluate(resamples=100), lambda _: None)
    assert "large alone" in result["scores"] and "worse_only alone" not in result["scores"]
    assert result["sites"]["worse_only"]["training_images"]["healthy"] == 0
    with pytest.raises(BonexrayError, match="expected two sites"):
        rehearsal_of(study, np.where(names == "tiny", "tiny", "large"))


# What leaves a site


def messages_of(site_number: int = 0) -> list[Message]:
    """Every answer of a site in a short federation."""
    recorded: list[Message] = []

    def record(app):
        def call(message, context):
            recorded.append(app(message, context))
            return recorded[-1]

        return call

    train_together(SerialGrid({1: record(client_app(SITES[site_number]))}), RECIPE, Plan(rounds=2))
    return recorded


def test_only_weights_averages_and_counts_leave_a_site() -> None:
    site, messages = SITES[0], messages_of()
    kinds = [message.metadata.message_type for message in messages]
    assert kinds == ["query.moments", *["train", "evaluate"] * 2]
    numbers = {"query.moments": {"num-examples", "class-shares"}, "train": {"num-examples"}}
    numbers["evaluate"] = {"num-examples", "log-loss"}
    arrays = {"query.moments": {"mean", "square"}, "train": {"kernel", "bias"}, "evaluate": set()}
    for message in messages:
        kind, content = message.metadata.message_type, message.content
        assert not content.config_records  # the only records that may have text
        assert {key for record in content.metric_records.values() for key in record} == numbers[kind]
        assert {key for record in content.array_records.values() for key in record} == arrays[kind]
        for record in content.array_records.values():
            for array in record.values():
                values = array.numpy()
                shared = np.isin(values, site.features)
                assert not shared.any() or values.size < 3, kind  # no feature of any image


def test_no_name_path_or_row_of_features_is_in_the_bytes_that_leave() -> None:
    site = SITES[0]
    secrets = [*site.rows["path"], *site.rows["group"], *site.rows["id"], *CLASSES]
    secrets = [text.encode() for text in secrets]
    secrets += [site.features[row].astype(kind).tobytes() for row in range(20) for kind in ("<f4", "<f8")]
    for message in messages_of():
        from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects

        content = b"".join(each.deflate() for each in get_all_nested_objects(message).values())
        assert len(content) > 100
        assert not [secret for secret in secrets if secret in content]


# What the server takes


def reply(node: int, arrays: dict[str, np.ndarray] | None = None, **metrics: object) -> Message:
    """An answer of a site with weights of two features, changed as given."""
    simulation.SerialGrid({})
    asked = Message(RecordDict(), node, "train")
    weights = {"kernel": np.ones((2, 3)), **(arrays or {})}
    content = RecordDict({"metrics": MetricRecord({"num-examples": 4, **metrics})})
    content["arrays"] = ArrayRecord({name: Array(values) for name, values in weights.items()})
    return Message(content, reply_to=asked)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (lambda: reply(9, {"kernel": np.full((2, 3), np.nan)}), "its kernel is not finite"),
        (lambda: reply(9, {"kernel": np.full((2, 3), np.inf)}), "its kernel is not finite"),
        (lambda: reply(9, {"kernel": np.ones((3, 3))}), "has the shape"),
        (lambda: reply(9, {"kernel": np.ones((2, 3), np.float32)}), "of float32"),
        (lambda: reply(9, {"more": np.ones(2)}), "other records"),
        (lambda: reply(9, **{"num-examples": -1}), "counts -1 images"),
        (lambda: reply(9, **{"num-examples": 0}), "counts 0 images"),
        (lambda: reply(9, **{"num-examples": 10**12}), "counts 1000000000000 images"),
        (lambda: reply(9, **{"num-examples": float("nan")}), "counts nan images"),
        (lambda: reply(9, loss=1.0), "other numbers"),
    ],
)
def test_an_answer_that_cannot_be_averaged_is_left_out(bad, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    sound, refused = sound_replies([bad(), reply(5), reply(3)], {"kernel": (2, 3)}, {})
    assert [one.metadata.src_node_id for one in sound] == [3, 5]
    assert refused == 1 and "site 9 is left out of this round" in caplog.text and reason in caplog.text


def test_an_error_is_left_out_by_its_kind(caplog: pytest.LogCaptureFixture) -> None:
    asked = Message(RecordDict(), 9, "train")
    for code, reason in (
        (ErrorCode.CLIENT_APP_RAISED_EXCEPTION, "stopped with an error"),
        (ErrorCode.NODE_UNAVAILABLE, "did not answer in time"),
    ):
        assert sound_replies([Message(Error(code, "/home/x"), reply_to=asked)], {}, {}) == ([], 1)
        assert reason in caplog.text and "/home/x" not in caplog.text


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_site_that_sends_no_numbers_does_not_end_the_training(broken: float) -> None:
    bad = replace(SITES[1], features=np.full_like(SITES[1].features, broken))
    with np.errstate(all="ignore"):
        head = simulate([*SITES[:1], bad, *SITES[2:]], Plan(rounds=2))
    expected = simulate([*SITES[:1], *SITES[2:]], Plan(rounds=2))
    np.testing.assert_array_equal(head.kernel, expected.kernel)
    assert head.refused == 5 and expected.refused == 0  # its averages, and two answers in each of two rounds


def test_without_any_sound_answer_it_ends_with_one_line() -> None:
    bad = replace(SITES[1], features=np.full_like(SITES[1].features, np.nan))
    with pytest.raises(BonexrayError, match="no sound answer"):
        simulate([bad], Plan(rounds=1))


@pytest.mark.parametrize("key", ["classes", "head"])
def test_a_site_with_another_recipe_refuses(key: str) -> None:
    other = {**RECIPE, key: ["ill", "healthy", "worse"] if key == "classes" else {"standardize": False}}
    require_same_recipe(RECIPE, as_text(RECIPE))
    with pytest.raises(BonexrayError, match=f"{key} of the federation"):
        require_same_recipe(RECIPE, as_text(other))
    with pytest.raises(BonexrayError, match=f"{key} of the federation"):
        simulate([SITES[0], replace(SITES[1], recipe=other)], Plan(rounds=1))


def test_the_recipe_has_the_arrays_of_the_weights_and_not_the_bytes_of_their_file(tmp_path: Path) -> None:
    values, digests = np.arange(6.0).reshape(2, 3), []
    for name, array, key in (
        ("network", values, "vars/0"),
        ("network_1", values, "vars/0"),
        ("network", values + 1, "vars/0"),
        ("network", values.T, "vars/0"),
        ("network", values, "vars/1"),
    ):
        with h5py.File(tmp_path / "w.h5", "w") as file:
            file[f"layers/conv/{key}"] = array
            file.attrs["name"] = name
        digests.append(weights_digest(tmp_path / "w.h5"))
    assert digests[0] == digests[1] and len(set(digests[1:])) == 4


@pytest.mark.parametrize("kind", ["query.moments", "train", "evaluate"])
def test_every_message_is_held_against_the_recipe(kind: str) -> None:
    simulation.SerialGrid({})
    other = as_text({**RECIPE, "classes": CLASSES[::-1]})
    message = Message(RecordDict({"config": ConfigRecord({"recipe": other})}), 2, kind)
    with pytest.raises(BonexrayError, match="classes of the federation"):
        client_app(SITES[0])(message, Context(1, 2, {}, RecordDict(), {}))


@pytest.mark.parametrize(
    ("option", "value"),
    [("rounds", 0), ("local_steps", 0), ("mu", -1.0), ("strategy", "median"), ("round_seconds", 0.0)],
)
def test_a_bad_option_is_refused_in_one_line(option: str, value: object) -> None:
    with pytest.raises(BonexrayError, match=f"--{option.replace('_', '-')}: expected"):
        plan_of(**{option: value})


# Sites of a study


def test_patients_are_dealt_to_unequal_sites_and_stay_there() -> None:
    groups = pd.Series([f"p{number // 2}" for number in range(4000)])
    names = dealt_sites(groups, 4)
    assert pd.Series(names).groupby(groups).nunique().max() == 1
    shares = pd.Series(names).value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(shares, [0.4, 0.3, 0.2, 0.1], atol=0.03)
    assert list(dealt_sites(groups[:10], 4)) == list(names[:10])
    with pytest.raises(BonexrayError, match="at least 2 sites"):
        dealt_sites(groups, 1)


def test_sites_are_taken_from_the_record(tmp_path: Path) -> None:
    (tmp_path / "data/split").mkdir(parents=True)
    (tmp_path / "data/split/record.csv").write_text("id,site,number\n1,north,2\n2,,3\n3,south,\n")
    with chdir(tmp_path):
        assert list(sites_in_record("site", pd.Series(["3", "2", "1"]))) == ["south", "", "north"]
        assert list(sites_in_record("number", pd.Series(["1", "2", "3"]))) == ["2", "3", ""]
        with pytest.raises(BonexrayError, match=r"a column of the record \(site, number\)"):
            sites_in_record("hospital", pd.Series(["1"]))


# The command


@pytest.fixture
def laid_out(study: Study) -> Study:
    """A study of one head with features of 120 images, and a record of three sites."""
    choice = {"mode": "frozen", "modes": {}, "fine_tune": {"blocks": {}}, "weights": {"files": {}}}
    study.change({"model": ["resnet18", "compact_cnn"], "evaluate.resamples": 100})
    study.change(derive_params({"model": ["resnet18", "compact_cnn"], **choice}))
    with chdir(study.folder):
        lay_out(SITES[0])
        ids = SITES[0].rows["id"]
        sites = np.where(np.arange(120) < 60, "north", np.where(np.arange(120) < 100, "south", ""))
        pd.DataFrame({"id": ids, "site": sites}).to_csv("data/split/record.csv", index=False)
    return study


def invoke(study: Study, *arguments: str):
    """Run the command in the folder of a study."""
    with chdir(study.folder):
        return CliRunner().invoke(program, ["federate", "simulate", *arguments])


def test_the_command_writes_the_same_table_twice(laid_out: Study) -> None:
    written = []
    for _ in range(2):
        done = invoke(laid_out, "--model", "resnet18", "--rounds", "2")
        assert done.exit_code == 0, done.exception or done.output
        written.append((laid_out.folder / "metrics/federated.json").read_bytes())
    assert written[0] == written[1]
    result = json.loads(written[0])
    assert result["sites_by"] == "site" and set(result["sites"]) == {"north", "south"}
    assert result["sites"]["north"]["images"]["train"] > result["sites"]["south"]["images"]["train"]
    assert "north alone" in done.output and "all in one place" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "compact_cnn"), r"a linear head on frozen backbones \(resnet18\), received another model"),
        (("--model", "vgg99"), "no such model in params.yaml"),
        (("--model", "resnet18", "--column", "clinic"), r"a column of the record \(site\)"),
        (("--model", "resnet18", "--rounds", "0"), "--rounds: expected"),
    ],
)
def test_the_command_refuses_in_one_line(laid_out: Study, arguments: tuple[str, ...], message: str) -> None:
    done = invoke(laid_out, *arguments)
    assert isinstance(done.exception, BonexrayError)
    with pytest.raises(BonexrayError, match=message):
        raise done.exception
    assert not (laid_out.folder / "metrics/federated.json").exists()


def test_without_flower_the_command_names_the_extra(laid_out: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonexray.federate.flower.find_spec", lambda _: None)
    done = invoke(laid_out, "--model", "resnet18")
    assert "pip install 'bonexray[federated]'" in str(done.exception)
