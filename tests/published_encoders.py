"""Files of random numbers in the layout in which encoders are published, and the same encoders in PyTorch.

The names and shapes are those of the publishers' files, written down apart from the code that reads them.
"""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save_file

from bonexray.registry import BACKBONES

Shapes = dict[str, tuple[int, ...]]


class Encoder(NamedTuple):
    """A published encoder.

    Attributes:
        config: `config.json` beside the published file.
        shapes: of the tensors in it that images need, by name.
        first: number of tokens before those of the patches.
        mean: which the publisher subtracts from each channel of an image in [0, 1].
        std: by which the publisher then divides.
    """

    config: dict
    shapes: Shapes
    first: int
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)


def dense(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def attention(names: str, width: int) -> Shapes:
    return {key: shape for name in names.split() for key, shape in dense(name, width, width).items()}


def deit(prefix: str = "vit.", width: int = 192, hidden: int = 768, grid: int = 14, patch: int = 16) -> Shapes:
    """Return the shapes of a ViT of 12 blocks for image classification."""
    shapes = embeddings(prefix, width, grid, patch) | norm(f"{prefix}layernorm", width)
    for number in range(12):
        block = f"{prefix}encoder.layer.{number}."
        shapes |= norm(f"{block}layernorm_before", width) | norm(f"{block}layernorm_after", width)
        shapes |= attention(f"{block}attention.attention.query {block}attention.attention.key", width)
        shapes |= attention(f"{block}attention.attention.value {block}attention.output.dense", width)
        shapes |= dense(f"{block}intermediate.dense", width, hidden) | dense(f"{block}output.dense", hidden, width)
    return shapes | dense("classifier", width, 1000)


def embeddings(prefix: str, width: int, grid: int, patch: int) -> Shapes:
    start = f"{prefix}embeddings."
    return {
        f"{start}cls_token": (1, 1, width),
        f"{start}position_embeddings": (1, 1 + grid**2, width),
        f"{start}patch_embeddings.projection.weight": (width, 3, patch, patch),
        f"{start}patch_embeddings.projection.bias": (width,),
    }


def dinov2(width: int = 384, hidden: int = 1536, grid: int = 37, patch: int = 14) -> Shapes:
    """Return the shapes of a DINOv2 of 12 blocks."""
    shapes = embeddings("", width, grid, patch) | norm("layernorm", width)
    shapes["embeddings.mask_token"] = (1, width)
    for number in range(12):
        block = f"encoder.layer.{number}."
        shapes |= norm(f"{block}norm1", width) | norm(f"{block}norm2", width)
        shapes |= attention(f"{block}attention.attention.query {block}attention.attention.key", width)
        shapes |= attention(f"{block}attention.attention.value {block}attention.output.dense", width)
        shapes |= dense(f"{block}mlp.fc1", width, hidden) | dense(f"{block}mlp.fc2", hidden, width)
        shapes |= {f"{block}layer_scale{part}.lambda1": (width,) for part in (1, 2)}
    return shapes


def siglip(width: int = 768, hidden: int = 3072, grid: int = 14, patch: int = 16) -> Shapes:
    """Return the shapes of the image part of a SigLIP of 12 blocks."""
    start = "vision_model."
    shapes = norm(f"{start}post_layernorm", width) | {
        f"{start}embeddings.patch_embedding.weight": (width, 3, patch, patch),
        f"{start}embeddings.patch_embedding.bias": (width,),
        f"{start}embeddings.position_embedding.weight": (grid**2, width),
    }
    for number in range(12):
        block = f"{start}encoder.layers.{number}."
        shapes |= norm(f"{block}layer_norm1", width) | norm(f"{block}layer_norm2", width)
        shapes |= attention(f"{block}self_attn.q_proj {block}self_attn.k_proj", width)
        shapes |= attention(f"{block}self_attn.v_proj {block}self_attn.out_proj", width)
        shapes |= dense(f"{block}mlp.fc1", width, hidden) | dense(f"{block}mlp.fc2", hidden, width)
    return shapes


def swin() -> Shapes:
    """Return the shapes of Swin-T for image classification."""
    shapes = {
        "swin.embeddings.patch_embeddings.projection.weight": (96, 3, 4, 4),
        "swin.embeddings.patch_embeddings.projection.bias": (96,),
        **norm("swin.embeddings.norm", 96),
        **norm("swin.layernorm", 768),
        **dense("classifier", 768, 1000),
    }
    for stage, (blocks, heads) in enumerate(zip((2, 2, 6, 2), (3, 6, 12, 24), strict=True)):
        width, start = 96 * 2**stage, f"swin.encoder.layers.{stage}."
        for number in range(blocks):
            block = f"{start}blocks.{number}."
            shapes |= norm(f"{block}layernorm_before", width) | norm(f"{block}layernorm_after", width)
            shapes |= attention(f"{block}attention.self.query {block}attention.self.key", width)
            shapes |= attention(f"{block}attention.self.value {block}attention.output.dense", width)
            shapes[f"{block}attention.self.relative_position_bias_table"] = (169, heads)
            shapes |= dense(f"{block}intermediate.dense", width, 4 * width) | dense(
                f"{block}output.dense", 4 * width, width
            )
        if stage < 3:
            shapes |= norm(f"{start}downsample.norm", 4 * width)
            shapes[f"{start}downsample.reduction.weight"] = (2 * width, 4 * width)
    return shapes


def transformer(kind: str, architecture: str, width: int, heads: int, hidden: int, px: int, patch: int) -> dict:
    return {
        "model_type": kind,
        "architectures": [architecture],
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_hidden_layers": 12,
        "intermediate_size": hidden,
        "image_size": px,
        "patch_size": patch,
    }


HALF = (0.5, 0.5, 0.5)
ENCODERS = {
    "deit_tiny": Encoder(transformer("vit", "ViTForImageClassification", 192, 3, 768, 224, 16), deit(), 1),
    "dinov2_small": Encoder(transformer("dinov2", "Dinov2Model", 384, 6, 1536, 518, 14), dinov2(), 1),
    "swin_tiny": Encoder({"model_type": "swin", "architectures": ["SwinForImageClassification"]}, swin(), 0),
    "siglip2_base": Encoder(
        transformer("siglip_vision_model", "SiglipVisionModel", 768, 12, 3072, 224, 16)
        | {"vision_use_head": False, "hidden_act": "gelu_pytorch_tanh"},
        siglip(),
        0,
        HALF,
        HALF,
    ),
    "rad_dino": Encoder(
        transformer("dinov2", "Dinov2Model", 768, 12, 3072, 518, 14),
        dinov2(768, 3072),
        1,
        (0.5307,) * 3,
        (0.2583,) * 3,
    ),
}


def tensors(name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield random tensors of a published encoder, the same in every run, and of a size that features stay near 1."""
    for key, shape in ENCODERS[name].shapes.items():
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        if len(shape) > 1 and key.endswith("weight") and "position" not in key:
            scale, offset = np.prod(shape[1:]) ** -0.5, 0.0
        else:
            offset = 1.0 if len(shape) == 1 and not key.endswith("bias") else 0.0
            scale = 0.1 if len(shape) == 1 else 0.3
        yield key, (offset + rng.normal(0, scale, shape)).astype(np.float32)


def publish(name: str, mirror: Path) -> Path:
    """Write the file of an encoder, and its `config.json`, below a mirror as its publisher has them."""
    path = mirror / BACKBONES[name].published.file
    path.parent.mkdir(parents=True)
    save_file(dict(tensors(name)), path, metadata={"format": "pt"})
    path.with_name("config.json").write_text(json.dumps(ENCODERS[name].config))
    return path


def features_of_transformers(name: str, folder: Path, gray: np.ndarray) -> np.ndarray:
    """Return the average patch token of the encoder in a folder by PyTorch and transformers.

    Args:
        name: a key of `ENCODERS`.
        folder: which `publish` wrote.
        gray: float32 (px, px) in [0, 1].

    Returns:
        float32 (width,).
    """
    import torch
    from transformers import AutoModel

    encoder, (model, loading) = ENCODERS[name], AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not [key for key in loading["missing_keys"] if "pooler" not in key], loading
    pixels = (np.stack([gray] * 3) - np.reshape(encoder.mean, (3, 1, 1))) / np.reshape(encoder.std, (3, 1, 1))
    interpolated = {} if encoder.config["model_type"] in ("dinov2", "swin") else {"interpolate_pos_encoding": True}
    with torch.no_grad():
        answer = model.eval()(torch.from_numpy(pixels[None].astype(np.float32)), **interpolated)
    return answer.last_hidden_state[0, encoder.first :].mean(0).numpy()
