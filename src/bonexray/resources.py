"""What lies beside the code: conf/, stages/ and dvc.yaml."""

from pathlib import Path

from bonexray.errors import BonexrayError

PACKAGE = Path(__file__).resolve().parent


def resource_path(name: str) -> Path:
    """Return the absolute path of a file or folder that comes with the code but is not a module.

    A wheel carries it inside the package; a checkout has it at the top, also when the package is installed from there
    with `pip install -e`.

    Args:
        name: `conf`, `stages` or `dvc.yaml`.

    Raises:
        BonexrayError: neither place has it, as in the code that MLflow stores with a model.
    """
    for folder in (PACKAGE, PACKAGE.parents[1]):  # src/bonexray is two levels below the top
        if (folder / name).exists():
            return folder / name
    raise BonexrayError(
        name,
        expected=f"in {PACKAGE} or {PACKAGE.parents[1]}",
        received="neither",
        do="install bonexray with pip, or run it from a whole checkout",
    )
