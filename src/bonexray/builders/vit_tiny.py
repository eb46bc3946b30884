"""ViT-Tiny, a vision transformer, as a network from an image to feature maps."""

import keras
import keras_hub

PATCH_PX = 16


def build(px: int, name: str) -> keras.Model:
    """ViT-Tiny: patches of 16 px, width 192, 12 layers, 3 heads; out come the patches' tokens as maps.

    The class token takes part in attention and is then left out, so that features are averaged over places as in a
    convolutional network (Beyer et al., Better plain ViT baselines for ImageNet-1k, 2022).

    Args:
        px: side of the image (batch, px, px, 3), a multiple of 16.
        name: of the network.

    Returns:
        A network with an output of (batch, px / 16, px / 16, 192).

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
    """Give a network of this module the weights of the same one for images of another side.

    Position embeddings are interpolated over the grid of patches, as for fine-tuning at another resolution.
    """
    for weight, known in zip(target.weights, source.weights, strict=True):
        weight.assign(known if weight.shape == known.shape else _interpolated(known, weight.shape[0]))


def _interpolated(embeddings, places: int):
    """Position embeddings (1 + grid², width) of a class token and a grid of patches, for another grid."""
    token, grid = embeddings[:1], embeddings[1:]
    old, new = round(grid.shape[0] ** 0.5), round((places - 1) ** 0.5)
    image = keras.ops.reshape(grid, (1, old, old, -1))
    resized = keras.ops.image.resize(image, (new, new), interpolation="bilinear", antialias=new < old)
    return keras.ops.concatenate([token, keras.ops.reshape(resized, (new * new, -1))])
