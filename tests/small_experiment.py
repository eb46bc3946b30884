"""The config of a study that takes a minute, for the tests of studies from Python."""

TINY = {
    "models": ["compact_cnn", "MobileNetV2"],
    "img_size": 32,
    "epochs": 2,
    "use_subset": None,
    "batch_size": 8,
    "phantom": {"patients": 24, "other_site_patients": 24, "img_px": 32},
    "denoise.method": "median",
    "evaluate.resamples": 200,
}
