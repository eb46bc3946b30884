"""The one table of networks. Reading it imports no Keras: builders are named and found when they are called."""

from dataclasses import dataclass

from bonexray.errors import BonexrayError

KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True)
class Backbone:
    """A network of `keras.applications` without its top.

    Attributes:
        builder: its name in `keras.applications`.
        module: its module there, whose `preprocess_input` belongs to its published weights.
        convention: what those weights expect of an image: `caffe`, `torch` or `tf` (see `models.backbones`).
        features: length of the globally average-pooled output.
        min_px: smallest side of an image.
        weights_url: where Keras publishes the ImageNet weights without top.
        weights_md5: the hash Keras publishes with them; None where it publishes none.
    """

    builder: str
    module: str
    convention: str
    features: int
    min_px: int
    weights_url: str
    weights_md5: str | None


@dataclass(frozen=True)
class Model:
    """A model of the comparison: a head on one or two frozen backbones, or a network trained from scratch.

    Attributes:
        title: how figures and tables call it.
        backbones: names in `BACKBONES`; none for a network from scratch.
        builder: of a network from scratch, its function in `models.cnns`.
        min_px: of a network from scratch, the smallest side of an image.
    """

    title: str
    backbones: tuple[str, ...] = ()
    builder: str | None = None
    min_px: int = 1

    @property
    def inputs(self) -> list[str]:
        """The outputs of earlier stages that it is trained on."""
        return [f"data/features/{name}" for name in self.backbones] or ["data/prepared"]

    @property
    def smallest_px(self) -> int:
        """The smallest side of an image that every part of it accepts."""
        return max([self.min_px, *(BACKBONES[name].min_px for name in self.backbones)])


BACKBONES: dict[str, Backbone] = {
    "mobilenet_v2": Backbone(
        "MobileNetV2", "mobilenet_v2", "tf", 1280, 32,
        f"{KERAS_URL}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5", None,
    ),
    "resnet50": Backbone(
        "ResNet50", "resnet", "caffe", 2048, 32,
        f"{KERAS_URL}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "4d473c1dd8becc155b73f8504c6f6626",
    ),
    "xception": Backbone(
        "Xception", "xception", "tf", 2048, 71,
        f"{KERAS_URL}/xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5", "b0042744bf5b25fce3cb969f33bebb97",
    ),
    "densenet121": Backbone(
        "DenseNet121", "densenet", "torch", 1024, 32,
        f"{KERAS_URL}/densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5", "30ee3e1110167f948a6b9946edeeb738",
    ),
}  # fmt: skip

REGISTRY: dict[str, Model] = {
    "compact_cnn": Model("Compact CNN", builder="compact_cnn", min_px=16),
    "mobilenet_v2": Model("MobileNetV2", backbones=("mobilenet_v2",)),
    "resnet50": Model("ResNet50", backbones=("resnet50",)),
    "xception": Model("Xception", backbones=("xception",)),
    "densenet121": Model("DenseNet121", backbones=("densenet121",)),
    "resnet50_densenet121": Model("ResNet50 + DenseNet121", backbones=("resnet50", "densenet121")),
}


def model_row(name: str) -> Model:
    """The registry's row of a model.

    Raises:
        BonexrayError: no such model.
    """
    if name not in REGISTRY:
        raise BonexrayError(
            "model", expected=f"one of {', '.join(REGISTRY)}", received=repr(name), do="correct the name"
        )
    return REGISTRY[name]


def require_px(name: str, img_px: int) -> None:
    """Refuse an image side that is too small for a model.

    Raises:
        BonexrayError: naming the model and its smallest side.
    """
    smallest = model_row(name).smallest_px
    if img_px < smallest:
        raise BonexrayError(
            "prepare.img_px", expected=f"at least {smallest} for {name}", received=img_px,
            do=f"set prepare.img_px={smallest} or leave {name} out of the study",
        )  # fmt: skip
