"""ViT-Tiny, a vision transformer, as a network from images to feature maps."""

import keras
import keras_hub

PATCH_PX = 16


def build(px: int, name: str) -> keras.Model:
    """Build ViT-Tiny, with patches of 16 px, width 192, 12 layers and 3 heads, to output the patch tokens as maps.

    The class token takes part in attention and is then dropped, so that features are averaged over positions as in a
    convolutional network (Beyer et al., Better plain ViT baselines for ImageNet-1k, 2022).

    Args:
        px: side of the images, a multiple of 16.
        name: name of the network.

    Returns:
        Network from images (batch, px, px, 3) to feature maps (batch, px / 16, px / 16, 192).

    References:
        Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021; Touvron et al. (the tiny size), ICML 2021.
    """
    tokens = keras_hub.models.ViTBackbone(
        image_shape=(px, px, 3),
        patch_size=(PATCH_PX, PATCH_PX),
        num_layers=12,
        num_heads=3,
        hidden_dim=192,
        mlp_dim=768,
    )
    grid = px // PATCH_PX
    maps = keras.layers.Reshape((grid, grid, 192), name="patch_maps")(tokens.output[:, 1:])
    return keras.Model(tokens.input, maps, name=name)


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy weights between two of these networks for images of different sides.

    Position embeddings are interpolated over the grid of patches, as for fine-tuning at another resolution.

    Args:
        source: network with the weights.
        target: network that gets them.
    """
    for weight, value in zip(target.weights, source.weights, strict=True):
        weight.assign(value if weight.shape == value.shape else _interpolated(value, weight.shape[0]))


def _interpolated(embeddings, positions: int):
    """Resize position embeddings (1 + side², width), of a class token and a grid of patches, to (positions, width)."""
    token, grid = embeddings[:1], embeddings[1:]
    old, new = round(grid.shape[0] ** 0.5), round((positions - 1) ** 0.5)
    image = keras.ops.reshape(grid, (1, old, old, -1))
    resized = keras.ops.image.resize(image, (new, new), interpolation="bilinear", antialias=new < old)
    return keras.ops.concatenate([token, keras.ops.reshape(resized, (new * new, -1))])
