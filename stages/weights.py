"""Pin the starting weights of one backbone."""

from bonexray.config import Settings
from bonexray.models.weights import starting_body, weights_path
from bonexray.outputs import whole_file
from bonexray.stage import run_stage


def main(settings: Settings, backbone: str) -> None:
    """Write weights/<backbone>.weights.h5."""
    body = starting_body(backbone, settings.weights)
    with whole_file(weights_path(backbone)) as partial:
        body.save_weights(partial)


if __name__ == "__main__":
    run_stage(main)
