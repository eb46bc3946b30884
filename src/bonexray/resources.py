"""The files that come with the code: conf/, stages/ and dvc.yaml."""

from pathlib import Path

from bonexray.base.errors import BonexrayError

PACKAGE = Path(__file__).resolve().parent


def resource_path(name: str) -> Path:
    """Return the absolute path of a file or folder that comes with the code.

    A wheel contains it inside the package; a checkout, also one installed with `pip install -e`, at its top.

    Args:
        name: `conf`, `stages` or `dvc.yaml`.

    Raises:
        BonexrayError: it is in neither place, as in the code that MLflow stores with a model.
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
