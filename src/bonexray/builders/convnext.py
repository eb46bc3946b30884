"""ConvNeXt with its last normalisation after global average pooling, as its published weights expect."""

import keras

FUNCTIONS = {"convnext_tiny": "ConvNeXtTiny", "convnext_base": "ConvNeXtBase"}  # of keras.applications


def build(px: int, name: str) -> keras.Model:
    """Build a ConvNeXt with normalised pooled features; without top, that of Keras normalises maps instead.

    Args:
        px: side of the images.
        name: name of the network, a key of `FUNCTIONS`.

    Returns:
        Network from images (batch, px, px, 3) to features (batch, 768) of the tiny size, (batch, 1024) of the base size.

    References:
        Liu et al., A ConvNet for the 2020s, CVPR 2022.
    """
    build_grouped = getattr(keras.applications, FUNCTIONS[name])
    grouped = build_grouped(include_top=False, weights=None, input_shape=(px, px, 3), name=name)
    body = keras.models.clone_model(grouped, clone_function=_with_depthwise_operation)
    norm = body.layers[-1]
    maps = keras.layers.Identity(name="maps")(norm.input)
    return keras.Model(body.input, norm(keras.layers.GlobalAveragePooling2D(name="pool")(maps)), name=name)


class DepthwiseConvolution(keras.layers.Conv2D):
    """A convolution with one group per channel, computed by the backend's own operation for it.

    On a CPU, TensorFlow takes seven times as long for grouped convolutions. The kernel keeps the shape
    (height, width, 1, channels) that published weights have for groups.
    """

    def convolution_op(self, inputs, kernel):
        """Return the maps (batch, height, width, channels) of inputs of the same shape."""
        kernel = keras.ops.transpose(kernel, (0, 1, 3, 2))
        return keras.ops.depthwise_conv(inputs, kernel, strides=self.strides, padding=self.padding)


def _with_depthwise_operation(layer: keras.Layer) -> keras.Layer:
    depthwise = isinstance(layer, keras.layers.Conv2D) and layer.groups > 1
    return (DepthwiseConvolution if depthwise else type(layer)).from_config(layer.get_config())
