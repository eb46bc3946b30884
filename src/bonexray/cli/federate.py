"""Commands that train across hospitals: federate simulate, keys, server, client."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bonexray.cli.application import app

PANEL = "Work together"
HELP = (
    "Train one model across hospitals with Flower: images stay where they are, and weights travel. Without differential "
    "privacy and secure aggregation: whoever runs the server sees the weights of each site, which can tell something of "
    "its images."
)
federate = typer.Typer(no_args_is_help=True, help=HELP)
app.add_typer(federate, name="federate", rich_help_panel=PANEL)

Model = Annotated[str, typer.Option(help="name of a model of this study, a linear head on frozen backbones")]
Rounds = Annotated[int, typer.Option(help="number of times that the sites train and the server averages")]
LocalSteps = Annotated[int, typer.Option(help="iterations of the solver at a site in a round")]
Mu = Annotated[float, typer.Option(help="weight of the distance to the average in fedprox")]


@federate.command()
def simulate(
    model: Model,
    column: Annotated[str, typer.Option(help="column of the record that names the site of each image")] = "site",
    deal: Annotated[
        int | None, typer.Option(help="deal the patients to so many sites of unequal size instead, for a rehearsal")
    ] = None,
    rounds: Rounds = 20,
    local_steps: LocalSteps = 5,
    mu: Mu = 0.1,
    out: Annotated[Path, typer.Option(help="JSON file to write")] = Path("metrics/federated.json"),
) -> None:
    """Rehearse a federation of a study's sites: each alone, federated, and all in one place, on the same test images."""
    from bonexray.federate.flower import require_flower

    require_flower()
    from rich.console import Console

    from bonexray.base.files import write_json
    from bonexray.federate.comparison import compare, rehearsal_of
    from bonexray.federate.plan import plan_of
    from bonexray.federate.site import open_site
    from bonexray.federate.sites import dealt_sites, sites_in_record
    from bonexray.federate.tables import rehearsal_table
    from bonexray.study import load_settings

    plan, settings = plan_of(rounds=rounds, local_steps=local_steps, mu=mu), load_settings()
    study = open_site(settings, model)
    names = dealt_sites(study.rows["group"], deal) if deal else sites_in_record(column, study.rows["id"])
    rehearsal = rehearsal_of(study, names)
    result, _ = compare(rehearsal, plan, settings.evaluate, lambda head: typer.echo(f"simulate: {head}", err=True))
    write_json(out, {"sites_by": f"{deal} dealt" if deal else column, **result})
    Console(width=None if sys.stdout.isatty() else 140).print(rehearsal_table(result))
    for name, reason in rehearsal.left_out.items():
        typer.echo(f"simulate: {name} takes no part: {reason}", err=True)
    typer.echo(f"simulate: wrote {out}")
