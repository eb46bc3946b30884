"""Names of the files and of the kinds of heat maps in the scores of localisation; read without loading Keras."""

SCORED, CHOSEN = "localisation.csv", "thresholds.json"  # in reports/explained/<model>/
SUMMARY = "localisation.json"  # in reports/explained/
TAUGHT, RANDOM = "taught", "random"  # beside the names of `cam_methods.METHODS`
TITLES = {
    TAUGHT: "taught map",
    "gradcam": "Grad-CAM",
    "hirescam": "HiResCAM",
    "gradcam_pp": "Grad-CAM++",
    "layercam": "LayerCAM",
    RANDOM: "random weights",
}
