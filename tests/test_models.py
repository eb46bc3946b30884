"""Every network of the registry, from the registry's own rows, and the weights that they start from."""

import dataclasses
import functools
import hashlib
import importlib
import itertools
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from bonexray.config import Train, Weights
from bonexray.errors import BonexrayError
from bonexray.models import registry
from bonexray.models import weights as weights_module
from bonexray.models.backbones import CONVENTIONS, build_body, build_encoder, to_convention
from bonexray.models.cnns import compact_cnn
from bonexray.models.heads import STANDARDIZE, build_head, build_trainable
from bonexray.models.registry import BACKBONES, REGISTRY, model_row, require_px
from bonexray.models.weights import starting_body

CLASSES = 3
SETTINGS = Train(
    head="standard", standardize=True, epochs=1, batch_images=2, optimizer="adam", learning_rate=1e-3, dropout=0.5,
    dropout_2=0.3, class_weights="none", patience=1, lr_factor=0.5, lr_patience=1, min_lr=0.0, deterministic=True,
    seed=7,
)  # fmt: skip
PARAMETERS_WITHOUT_TOP = {
    "mobilenet_v2": 2_257_984,
    "resnet50": 23_587_712,
    "xception": 20_861_480,
    "densenet121": 7_037_504,
}
every_model = pytest.mark.parametrize("name", REGISTRY)
every_backbone = pytest.mark.parametrize("name", BACKBONES)


@functools.cache
def encoder_of(name: str) -> keras.Model:
    keras.utils.set_random_seed(7)
    return build_encoder(name, BACKBONES[name].min_px)


def images(px: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(7).random((count, px, px, 1), dtype=np.float32)


def trainable_of(name: str, settings: Train = SETTINGS) -> keras.Model:
    return build_trainable(name, model_row(name).smallest_px, CLASSES, settings)


def inputs_of(network: keras.Model, count: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.random((count, *entry.shape[1:]), dtype=np.float32) for entry in network.inputs]


def copies(variables: list) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# What is trained


@every_model
def test_a_model_builds_at_its_smallest_size_and_answers_with_probabilities(name: str) -> None:
    network = trainable_of(name)
    answers = network.predict_on_batch(inputs_of(network))
    assert network.output_shape == (None, CLASSES)
    assert answers.shape == (4, CLASSES)
    assert (answers >= 0).all()
    assert answers.sum(axis=1) == pytest.approx(1, abs=1e-5)


@every_model
def test_a_model_has_one_input_a_backbone_of_that_width_or_the_image(name: str) -> None:
    row, network = model_row(name), trainable_of(name)
    widths = [(None, BACKBONES[backbone].features) for backbone in row.backbones]
    assert [entry.shape for entry in network.inputs] == (widths or [(None, row.min_px, row.min_px, 1)])


@every_model
def test_one_training_step_changes_every_kernel(name: str) -> None:
    network = trainable_of(name)
    network.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    before = copies(network.trainable_weights)
    network.train_on_batch(inputs_of(network), np.array([0, 1, 2, 0]))
    after = copies(network.trainable_weights)
    kernels = [i for i, weight in enumerate(network.trainable_weights) if weight.name == "kernel"]
    assert kernels
    assert not any(np.array_equal(before[i], after[i]) for i in kernels)


@every_model
def test_saved_weights_give_the_same_probabilities_when_reloaded(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    network, other = trainable_of(name), trainable_of(name)
    inputs = inputs_of(network)
    assert not np.array_equal(network.predict_on_batch(inputs), other.predict_on_batch(inputs))
    network.save_weights(tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5")
    assert np.array_equal(network.predict_on_batch(inputs), other.predict_on_batch(inputs))


@pytest.mark.parametrize(("px", "classes"), [(16, 2), (32, 3), (50, 5), (128, 3)])
def test_compact_cnn_has_the_parameters_that_its_layers_add_up_to(px: int, classes: int) -> None:
    filters = (1, 32, 64, 128, 256)
    convolutions = sum(9 * before * after + after for before, after in itertools.pairwise(filters))
    side = px // 2**4
    dense = filters[-1] * side**2 * 1024 + 1024
    expected = convolutions + 4 * sum(filters[1:]) + dense + 1025 * classes
    assert compact_cnn(px, classes, 0.5).count_params() == expected
    if (px, classes) == (128, 3):
        assert expected == 17_171_075


def kinds(network: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]


def test_the_standard_head_is_dropout_dense_128_dropout_classes() -> None:
    head = build_head({"a": 5}, CLASSES, SETTINGS.model_copy(update={"standardize": False}))
    assert kinds(head) == ["Dropout", "Dense", "Dropout", "Dense"]
    dense = head.get_layer("dense")
    assert (dense.units, dense.activation.__name__) == (128, "relu")
    assert (head.get_layer("dropout").rate, head.get_layer("dropout_2").rate) == (0.5, 0.3)


def test_the_bare_head_is_dropout_and_classes() -> None:
    head = build_head({"a": 5}, CLASSES, SETTINGS.model_copy(update={"head": "bare", "standardize": False}))
    assert kinds(head) == ["Dropout", "Dense"]
    assert head.get_layer("classes").units == CLASSES


@pytest.mark.parametrize("kind", ["standard", "bare"])
def test_a_head_that_standardises_begins_with_it(kind: str) -> None:
    head = build_head({"a": 5}, CLASSES, SETTINGS.model_copy(update={"head": kind}))
    assert kinds(head)[0] == "Standardize"
    assert head.get_layer(STANDARDIZE).trainable_weights == []


def test_a_fusion_head_joins_its_inputs_in_their_order() -> None:
    bare = SETTINGS.model_copy(update={"head": "bare", "standardize": False})
    fusion, single = build_head({"a": 2, "b": 3}, CLASSES, bare), build_head({"ab": 5}, CLASSES, bare)
    fusion.set_weights(single.get_weights())
    a, b = np.ones((1, 2), np.float32), np.arange(3, dtype=np.float32)[None]
    joined = single.predict_on_batch(np.concatenate([a, b], axis=1))
    assert [entry.name for entry in fusion.inputs] == ["a", "b"]
    assert fusion.predict_on_batch([a, b]) == pytest.approx(joined)


# Frozen backbones


@every_backbone
def test_an_encoder_gives_features_of_the_rows_width(name: str) -> None:
    features = encoder_of(name).predict_on_batch(images(BACKBONES[name].min_px))
    assert features.shape == (2, BACKBONES[name].features)
    assert np.isfinite(features).all()


@every_backbone
def test_a_backbone_has_the_parameters_of_its_paper_without_top(name: str) -> None:
    assert encoder_of(name).count_params() == PARAMETERS_WITHOUT_TOP[name]


@every_backbone
def test_an_encoder_is_frozen(name: str) -> None:
    encoder = encoder_of(name)
    before = copies(encoder.weights)
    encoder(images(BACKBONES[name].min_px), training=True)
    assert encoder.trainable_weights == []
    assert equal(before, copies(encoder.weights))


@every_backbone
def test_an_encoder_prepares_images_as_its_published_weights_expect(name: str) -> None:
    row, encoder = BACKBONES[name], encoder_of(name)
    gray = images(row.min_px)
    seen = keras.Model(encoder.input, encoder.get_layer(f"{row.convention}_convention").output).predict_on_batch(gray)
    published = importlib.import_module(f"keras.applications.{row.module}").preprocess_input
    expected = published(np.repeat(gray, 3, axis=-1) * 255)
    assert seen.shape == (2, row.min_px, row.min_px, 3)
    assert seen == pytest.approx(expected, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_convention_is_that_of_keras(convention: str) -> None:
    from keras.src.applications.imagenet_utils import preprocess_input

    gray = images(8)
    expected = preprocess_input(np.repeat(gray, 3, axis=-1) * 255, mode=convention)
    assert np.asarray(to_convention(gray, convention)) == pytest.approx(expected, rel=1e-5, abs=1e-4)


@every_backbone
def test_a_backbones_saved_weights_give_the_same_features(name: str, tmp_path: Path) -> None:
    row, encoder = BACKBONES[name], encoder_of(name)
    encoder.get_layer(name).save_weights(tmp_path / "a.weights.h5")
    other = build_encoder(name, row.min_px)
    other.get_layer(name).load_weights(tmp_path / "a.weights.h5")
    assert equal(copies(encoder.weights), copies(other.weights))


def test_weights_saved_at_one_size_fit_another(tmp_path: Path) -> None:
    encoder_of("mobilenet_v2").get_layer("mobilenet_v2").save_weights(tmp_path / "a.weights.h5")
    build_body("mobilenet_v2", 48).load_weights(tmp_path / "a.weights.h5")


# Refusals


def test_an_unknown_model_is_refused_with_the_known_names() -> None:
    with pytest.raises(BonexrayError, match=r"one of compact_cnn, .* received 'resnet'"):
        model_row("resnet")


def test_an_image_too_small_for_a_model_is_refused() -> None:
    with pytest.raises(BonexrayError, match=r"prepare\.img_px: expected at least 71 for xception, received 70"):
        require_px("xception", 70)


@every_model
def test_the_smallest_size_is_accepted_and_one_pixel_less_is_not(name: str) -> None:
    smallest = model_row(name).smallest_px
    require_px(name, smallest)
    with pytest.raises(BonexrayError):
        require_px(name, smallest - 1)


def test_a_models_inputs_are_its_backbones_features_or_the_images() -> None:
    assert model_row("compact_cnn").inputs == ["data/prepared"]
    assert model_row("resnet50_densenet121").inputs == ["data/features/resnet50", "data/features/densenet121"]


# Starting weights

SMALL = "mobilenet_v2"


def saved(body: keras.Model, path: Path) -> bytes:
    body.save_weights(path)
    return path.read_bytes()


def random_file(seed: int, path: Path) -> bytes:
    keras.backend.clear_session()  # Keras numbers the layers of a process, and the file holds their names
    return saved(starting_body(SMALL, Weights(source="random", files={}, seed=seed)), path)


def own(file: Path, source: str = "random") -> Weights:
    return Weights(source=source, files={SMALL: str(file)}, seed=7)


def test_random_weights_are_the_same_bytes_for_the_same_seed_only(tmp_path: Path) -> None:
    one, again, other = (random_file(seed, tmp_path / f"{i}.weights.h5") for i, seed in enumerate((7, 7, 8)))
    assert one == again
    assert one != other


@pytest.mark.parametrize("source", ["random", "imagenet"])
def test_a_file_of_ones_own_is_loaded_whatever_the_source(source: str, tmp_path: Path) -> None:
    body = starting_body(SMALL, Weights(source="random", files={}, seed=1))
    body.save_weights(tmp_path / "mine.weights.h5")
    loaded = starting_body(SMALL, own(tmp_path / "mine.weights.h5", source))
    assert equal(copies(body.weights), copies(loaded.weights))


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_a_file_of_another_network_is_refused_in_one_line(tmp_path: Path) -> None:
    compact_cnn(16, CLASSES, 0.5).save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(BonexrayError, match=r"other\.weights\.h5: expected weights of MobileNetV2") as refused:
        starting_body(SMALL, own(tmp_path / "other.weights.h5"))
    assert "\n" not in str(refused.value)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_a_file_of_another_backbone_is_refused(tmp_path: Path) -> None:
    encoder_of("densenet121").get_layer("densenet121").save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(BonexrayError, match="expected weights of MobileNetV2"):
        starting_body(SMALL, own(tmp_path / "other.weights.h5"))


@pytest.mark.parametrize("name", ["absent.weights.h5", "text.weights.h5", "text.h5", "text.pth"])
def test_a_file_that_is_absent_or_no_weights_is_refused(name: str, tmp_path: Path) -> None:
    if name.startswith("text"):
        (tmp_path / name).write_text("not weights")
    with pytest.raises(BonexrayError, match="expected weights of MobileNetV2"):
        starting_body(SMALL, own(tmp_path / name))


IMAGENET = Weights(source="imagenet", files={}, seed=7)


@pytest.fixture
def download_fails(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Make every download raise an error, and build no network to load it into."""

    def fail_with(error: Exception) -> None:
        def get_file(*_args: object, **_options: object) -> str:
            raise error

        monkeypatch.setattr(keras.utils, "get_file", get_file)
        monkeypatch.setattr(weights_module, "build_body", lambda *_: None)

    return fail_with


@pytest.mark.parametrize("error", [Exception("URL fetch failure on https://a: None -- b"), TimeoutError("timed out")])
def test_without_network_the_error_names_the_file_and_where_to_put_it(
    error: Exception, download_fails: Callable[[Exception], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", "/somewhere")
    download_fails(error)
    with pytest.raises(BonexrayError) as refused:
        starting_body("resnet50", IMAGENET)
    message = str(refused.value)
    assert "put resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 (MD5 4d473c1dd8becc155b73f8504c6f6626)" in message
    assert "into /somewhere/models/" in message
    assert "weights.files.resnet50" in message


def test_a_download_with_another_hash_is_refused(download_fails: Callable[[Exception], None]) -> None:
    download_fails(ValueError("Incomplete or corrupted file detected."))
    with pytest.raises(BonexrayError, match=r"expected a file with MD5 4d473c1d.*delete .*notop\.h5"):
        starting_body("resnet50", IMAGENET)


def test_an_error_that_is_not_about_the_download_is_not_hidden(download_fails: Callable[[Exception], None]) -> None:
    download_fails(RuntimeError("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        starting_body("resnet50", IMAGENET)


def test_a_published_file_laid_into_the_cache_is_used_without_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = starting_body(SMALL, Weights(source="random", files={}, seed=3))
    file = tmp_path / "models" / "mine.weights.h5"
    file.parent.mkdir()
    md5 = hashlib.md5(saved(body, file)).hexdigest()
    row = dataclasses.replace(BACKBONES[SMALL], weights_url="http://127.0.0.1:9/mine.weights.h5", weights_md5=md5)
    monkeypatch.setitem(registry.BACKBONES, SMALL, row)
    monkeypatch.setattr(keras.utils, "get_file", functools.partial(keras.utils.get_file, cache_dir=tmp_path))
    loaded = starting_body(SMALL, IMAGENET)
    assert weights_module.BACKBONES is registry.BACKBONES
    assert equal(copies(body.weights), copies(loaded.weights))
