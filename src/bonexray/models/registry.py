"""The one table of networks. Reading it imports no Keras: builders are named and found when they are called."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlparse

from bonexray.errors import BonexrayError

KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications"
SCRATCH, FROZEN, FINE_TUNE, FULL = "scratch", "frozen", "fine_tune", "full"
MODES = (FROZEN, FINE_TUNE, FULL)  # of a model with backbones; one without is trained from scratch
Convention = Literal["caffe", "torch", "tf", "0-255"]
HASH_KINDS = {32: "md5", 64: "sha256"}  # by the number of digits


@dataclass(frozen=True)
class Published:
    """ImageNet weights without top, as their publisher offers them.

    Attributes:
        url: the address of the file, or a `kaggle://` handle with the file's name behind `#`.
        hash: MD5 or SHA-256 by the publisher; None where there is none.
        licence: of the weights.
    """

    url: str
    hash: str | None
    licence: str

    @property
    def file(self) -> str:
        """The file's name in a mirror: Keras's own; for a handle, the name of the weights before the file's."""
        address = urlparse(self.url)
        if address.scheme == "kaggle":
            return f"{PurePosixPath(address.path).parent.name}/{address.fragment}"
        return PurePosixPath(address.path).name


@dataclass(frozen=True)
class Backbone:
    """A network without its top, from `keras.applications` or, where `module` is None, from `models.hub`.

    Attributes:
        builder: name of the function that builds it.
        module: in `keras.applications`, whose `preprocess_input` belongs to the published weights.
        convention: what those weights expect of an image (see `models.backbones`).
        features: length of the globally average-pooled output.
        native_px: side of the images that the published weights were trained on.
        min_px: smallest side of an image; every side is a multiple of `multiple_of`.
        gradcam: the layer whose maps a heat map is drawn from.
        fine_tune_from: the layer at which the first fine-tuned block begins; what comes before stays frozen.
        published: its ImageNet weights; None where nobody publishes any.
    """

    builder: str
    module: str | None
    convention: Convention
    features: int
    gradcam: str
    fine_tune_from: str
    published: Published | None
    native_px: int = 224
    min_px: int = 32
    multiple_of: int = 1

    @property
    def stored_px(self) -> int:
        """Side of the images of the network that a weights file fits: a transformer's holds one embedding a place."""
        return self.native_px if self.multiple_of > 1 else self.min_px


@dataclass(frozen=True)
class Model:
    """A model of the comparison: a head on one or two backbones, or a network trained from scratch.

    Attributes:
        title: how figures and tables call it.
        backbones: names in `BACKBONES`; none for a network from scratch.
        builder: of a network from scratch, its function in `models.cnns`.
        head: its own head, a key of `models.heads.HEADS`, in place of `train.head`.
        gradcam: of a network from scratch, the layer whose maps a heat map is drawn from.
        min_px: of a network from scratch, the smallest side of an image.
    """

    title: str
    backbones: tuple[str, ...] = ()
    builder: str | None = None
    head: str | None = None
    gradcam: str | None = None
    min_px: int = 1

    @property
    def smallest_px(self) -> int:
        """The smallest side of an image that every part of it accepts."""
        return max([self.min_px, *(BACKBONES[name].min_px for name in self.backbones)])

    @property
    def multiple_of(self) -> int:
        """What the side of an image must be a multiple of."""
        return max([1, *(BACKBONES[name].multiple_of for name in self.backbones)])

    @property
    def modes(self) -> tuple[str, ...]:
        """How it can be trained."""
        return MODES if self.backbones else (SCRATCH,)


def _keras(path: str, digest: str | None, licence: str) -> Published:
    return Published(f"{KERAS_URL}/{path}", digest, licence)


BACKBONES: dict[str, Backbone] = {
    "vgg16": Backbone(
        "VGG16",
        "vgg16",
        "caffe",
        512,
        "block5_conv3",
        "block5_conv1",
        _keras(
            "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc", "CC BY 4.0"
        ),
    ),
    "vgg19": Backbone(
        "VGG19",
        "vgg19",
        "caffe",
        512,
        "block5_conv4",
        "block5_conv1",
        _keras(
            "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5", "253f8cb515780f3b799900260a226db6", "CC BY 4.0"
        ),
    ),
    "inception_v3": Backbone(
        "InceptionV3",
        "inception_v3",
        "tf",
        2048,
        "mixed10",
        "mixed8",
        _keras(
            "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "bcbd6486424b2319ff4ef7d526e38f63",
            "Apache 2.0",
        ),
        native_px=299,
        min_px=75,
    ),
    "resnet50": Backbone(
        "ResNet50",
        "resnet",
        "caffe",
        2048,
        "conv5_block3_out",
        "conv5_block1_1_conv",
        _keras(
            "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "4d473c1dd8becc155b73f8504c6f6626", "MIT"
        ),
    ),
    "xception": Backbone(
        "Xception",
        "xception",
        "tf",
        2048,
        "block14_sepconv2_act",
        "block13_sepconv1_act",
        _keras(
            "xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5", "b0042744bf5b25fce3cb969f33bebb97", "MIT"
        ),
        native_px=299,
        min_px=71,
    ),
    "mobilenet_v2": Backbone(
        "MobileNetV2",
        "mobilenet_v2",
        "tf",
        1280,
        "out_relu",
        "block_13_expand",
        _keras("mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5", None, "Apache 2.0"),
    ),
    "densenet121": Backbone(
        "DenseNet121",
        "densenet",
        "torch",
        1024,
        "relu",
        "conv5_block1_0_bn",
        _keras(
            "densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "30ee3e1110167f948a6b9946edeeb738",
            "BSD 3-clause",
        ),
    ),
    "densenet169": Backbone(
        "DenseNet169",
        "densenet",
        "torch",
        1664,
        "relu",
        "conv5_block1_0_bn",
        _keras(
            "densenet/densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "b8c4d4c20dd625c148057b9ff1c1176b",
            "BSD 3-clause",
        ),
    ),
    "convnext_tiny": Backbone(
        "ConvNeXtTiny",
        "convnext",
        "0-255",
        768,
        "maps",
        "convnext_tiny_downsampling_block_2",
        _keras(
            "convnext/convnext_tiny_notop.h5", "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1", "MIT"
        ),
    ),
    "efficientnet_b0": Backbone(
        "EfficientNetB0",
        "efficientnet",
        "0-255",
        1280,
        "top_activation",
        "block6a_expand_conv",
        Published(
            "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
            "50bc09e76180e00e4465e1a485ddc09d",
            "Apache 2.0",
        ),
    ),
    "resnet18": Backbone(
        "resnet18",
        None,
        "torch",
        512,
        "stack3_block1_out",
        "stack3_block0_1_conv",
        Published("kaggle://keras/resnetv1/keras/resnet_18_imagenet/3#model.weights.h5", None, "Apache 2.0"),
    ),
    "vit_tiny": Backbone(
        "vit_tiny",
        None,
        "tf",
        192,
        "patch_maps",
        "transformer_block_10",
        None,
        multiple_of=16,
    ),
}

REGISTRY: dict[str, Model] = {
    "vgg16": Model("VGG16", backbones=("vgg16",)),
    "vgg19": Model("VGG19", backbones=("vgg19",)),
    "inception_v3": Model("InceptionV3", backbones=("inception_v3",)),
    "resnet50": Model("ResNet50", backbones=("resnet50",)),
    "xception": Model("Xception", backbones=("xception",)),
    "mobilenet_v2": Model("MobileNetV2", backbones=("mobilenet_v2",)),
    "densenet121": Model("DenseNet121", backbones=("densenet121",)),
    "densenet169": Model("DenseNet169", backbones=("densenet169",)),
    "convnext_tiny": Model("ConvNeXt-Tiny", backbones=("convnext_tiny",)),
    "efficientnet_b0": Model("EfficientNet-B0", backbones=("efficientnet_b0",)),
    "resnet18": Model("ResNet18", backbones=("resnet18",)),
    "alexnet": Model("AlexNet", builder="alexnet", gradcam="conv5", min_px=67),
    "custom_cnn": Model("Custom CNN", builder="custom_cnn", gradcam="conv8", min_px=77),
    "compact_cnn": Model("Compact CNN", builder="compact_cnn", gradcam="conv4_relu", min_px=16),
    "late_fusion": Model("Late fusion (VGG16, InceptionV3)", backbones=("vgg16", "inception_v3"), head="late_fusion"),
    "vgg16_vgg19": Model("VGG16 + VGG19", backbones=("vgg16", "vgg19")),
    "inception_v3_xception": Model("InceptionV3 + Xception", backbones=("inception_v3", "xception")),
    "resnet50_densenet121": Model("ResNet50 + DenseNet121", backbones=("resnet50", "densenet121")),
    "vit_tiny": Model("ViT-Tiny", backbones=("vit_tiny",)),
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
    """Refuse an image side that does not fit a model.

    Raises:
        BonexrayError: naming the model and a side that fits.
    """
    row = model_row(name)
    step = row.multiple_of
    if img_px < row.smallest_px or img_px % step:
        fitting = max(row.smallest_px, round(img_px / step) * step)
        of = f", a multiple of {step}" if step > 1 else ""
        raise BonexrayError(
            "prepare.img_px",
            expected=f"at least {row.smallest_px}{of} for {name}",
            received=img_px,
            do=f"set prepare.img_px={fitting} or leave {name} out of the study",
        )


def require_output(output: str, classes: int) -> None:
    """Refuse a sigmoid for other than two classes.

    Raises:
        BonexrayError: naming the number of classes.
    """
    if output == "sigmoid" and classes != 2:
        raise BonexrayError(
            "train.output",
            expected=f"softmax for {classes} classes",
            received="'sigmoid', which is for two",
            do="set train.output=softmax",
        )
