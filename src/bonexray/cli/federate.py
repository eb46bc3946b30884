"""Commands that train across hospitals: federate simulate, keys, server, client."""

import sys
from contextlib import chdir
from pathlib import Path
from typing import Annotated, Literal

import typer

from bonexray.base.errors import BonexrayError
from bonexray.cli.application import app

PANEL = "Work together"
HELP = (
    "Train one model across hospitals with Flower: images stay where they are, and weights travel. Without differential "
    "privacy and secure aggregation: whoever runs the server sees the weights of each site, which can tell something of "
    "its images."
)
federate = typer.Typer(no_args_is_help=True, help=HELP)
app.add_typer(
    federate, name="federate", rich_help_panel=PANEL, short_help="Train one model across hospitals with Flower."
)

Model = Annotated[str, typer.Option(help="name of a model of this study, a linear head on frozen backbones")]
Rounds = Annotated[int, typer.Option(help="number of times that the sites train and the server averages")]
LocalSteps = Annotated[int, typer.Option(help="iterations of the solver at a site in a round")]
Strategy = Annotated[Literal["fedavg", "fedprox"], typer.Option(help="fedprox holds the sites near the average")]
Mu = Annotated[float, typer.Option(help="weight of the distance to the average in fedprox")]


@federate.command()
def simulate(
    model: Model,
    column: Annotated[str, typer.Option(help="column of the record that names the site of each image")] = "site",
    deal: Annotated[
        int | None, typer.Option(help="deal the patients to so many sites of unequal size instead, for a rehearsal")
    ] = None,
    strategy: Strategy = "fedprox",
    rounds: Rounds = 30,
    local_steps: LocalSteps = 20,
    mu: Mu = 1.0,
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

    plan = plan_of(strategy=strategy, rounds=rounds, local_steps=local_steps, mu=mu)
    settings = load_settings()
    study = open_site(settings, model)
    names = dealt_sites(study.rows["group"], deal) if deal else sites_in_record(column, study.rows["id"])
    rehearsal = rehearsal_of(study, names)
    result, _ = compare(rehearsal, plan, settings.evaluate, lambda head: typer.echo(f"simulate: {head}", err=True))
    write_json(out, {"sites_by": f"{deal} dealt" if deal else column, **result})
    Console(width=None if sys.stdout.isatty() else 140).print(rehearsal_table(result))
    for name, reason in rehearsal.left_out.items():
        typer.echo(f"simulate: {name} takes no part: {reason}", err=True)
    typer.echo(f"simulate: wrote {out}")


@federate.command()
def keys(
    out: Annotated[Path, typer.Option(help="folder to write")],
    site: Annotated[str | None, typer.Option(help="name of this site: write its private and public key")] = None,
    host: Annotated[
        list[str] | None, typer.Option(help="name or address of this server: write its certificate; may be repeated")
    ] = None,
) -> None:
    """Write the keys of a site or of a server; private keys stay where they are written."""
    from bonexray.federate.flower import require_flower

    require_flower()
    from bonexray.federate.keys import AUTHORITY, PUBLIC, write_server_keys, write_site_keys

    if (site is None) == (not host):
        raise BonexrayError(
            "bonexray federate keys", expected="--site or --host", received="none or both", do="name one"
        )
    if site:
        write_site_keys(out, site)
        typer.echo(f"keys: send {out / (site + PUBLIC)} to whoever runs the server, and nothing else")
    else:
        write_server_keys(out, list(host or []))
        typer.echo(f"keys: send {out / AUTHORITY} to every site, and nothing else")


@federate.command()
def server(
    model: Model,
    keys: Annotated[
        Path, typer.Option(help="folder with the server's certificate, of `bonexray federate keys --host`")
    ],
    sites: Annotated[Path, typer.Option(help="folder with the .pub file of each site; nobody else is let in")],
    address: Annotated[str, typer.Option(help="where to listen, host:port")] = "127.0.0.1:8443",
    wait_for: Annotated[
        int | None, typer.Option(min=1, help="number of sites to wait for before the first round; by default all")
    ] = None,
    strategy: Strategy = "fedprox",
    rounds: Rounds = 30,
    local_steps: LocalSteps = 20,
    mu: Mu = 1.0,
    round_seconds: Annotated[float, typer.Option(help="longest time to wait for the answers of a round")] = 600,
    patience_seconds: Annotated[float, typer.Option(help="longest time to wait without enough sites")] = 3600,
    out: Annotated[Path, typer.Option(help="bundle to write")] = Path("federated"),
    register: Annotated[bool, typer.Option("--register", help="register the bundle in MLflow")] = False,
) -> None:
    """Train with the sites that connect, from a study with the same settings as theirs; its own images are not used.

    The server sees the weights of each site: there is no differential privacy and no secure aggregation.
    """
    from bonexray.federate.flower import require_flower

    require_flower()
    from bonexray.federate.keys import read_public_keys
    from bonexray.federate.link import open_link
    from bonexray.federate.page import facts_of, page_of
    from bonexray.federate.plan import plan_of
    from bonexray.federate.recipe import recipe_of
    from bonexray.federate.sockets import address_of
    from bonexray.study import load_settings

    names = ("strategy", "rounds", "local_steps", "mu", "round_seconds", "patience_seconds")
    values = (strategy, rounds, local_steps, mu, round_seconds, patience_seconds)
    plan, settings = plan_of(**dict(zip(names, values, strict=True))), load_settings()
    recipe, place, public = recipe_of(settings, model), address_of(address, "--address"), read_public_keys(sites)
    least = wait_for or len(public)
    with open_link(place, keys, public, plan.patience_seconds) as (grid, port):
        typer.echo(f"server: waiting at {place[0]}:{port} for {least} of {', '.join(public)}")
        head, taking_part = _trained(grid, recipe, plan, least)
    facts = facts_of(head, plan, taking_part)
    typer.echo(f"server: trained on {head.images} images; validation log loss {facts['val_log_loss']:.3f}")
    _write_federated(settings, recipe, head, page_of(recipe, facts), out)
    if register:
        from bonexray.tracking.federated import register_federated

        typer.echo(f"server: registered {register_federated(out, settings, facts)}")


def _trained(grid, recipe: dict[str, object], plan, least: int):
    """Wait for so many sites, and return the head that they train and their names."""
    from bonexray.federate.rounds import train_together

    grid.wait_for(least)
    names = grid.connected()
    typer.echo(f"server: {plan.rounds} rounds of {plan.strategy} with {', '.join(names)}")
    try:
        return train_together(grid, recipe, plan, names=grid.names), names
    finally:
        grid.finish()


def _write_federated(settings, recipe: dict[str, object], head, page: str, out: Path) -> None:
    from bonexray.serving.bundle import write_bundle
    from bonexray.serving.federated import federated_bundle

    bundle = federated_bundle(settings, recipe, (head.kernel, head.bias), head.scaling, page)
    typer.echo(f"server: wrote {out}, digest {write_bundle(bundle, out).digest}")


@federate.command()
def client(
    model: Model,
    server: Annotated[str, typer.Option(help="address of the server, host:port")],
    ca: Annotated[Path, typer.Option(help="certificate of whoever runs the server, ca.pem")],
    key: Annotated[Path, typer.Option(help="private key of this site, of `bonexray federate keys --site`")],
    data: Annotated[Path, typer.Option(help="folder of this site's study, whose features are computed")] = Path(),
    patience_seconds: Annotated[float, typer.Option(help="longest time to try to reach the server again")] = 600,
) -> None:
    """Train with other sites on the images of this one, which stay here.

    Weights, averages of features, numbers of images and mean losses leave this site. The server sees those of each
    site: there is no differential privacy and no secure aggregation.
    """
    from bonexray.federate.flower import require_flower

    require_flower()
    from bonexray.federate.client import client_app
    from bonexray.federate.keys import read_site_key
    from bonexray.federate.node import serve_site
    from bonexray.federate.site import open_site, require_part
    from bonexray.federate.sockets import address_of
    from bonexray.study import load_settings

    address, secret = address_of(server, "--server"), read_site_key(key)
    if not ca.is_file():
        raise BonexrayError(
            "--ca", expected="the file ca.pem of the server", received=f"{ca}, no such file", do="ask for it"
        )
    if not data.is_dir():
        raise BonexrayError(
            "--data", expected="the folder of a study", received=f"{data}, no such folder", do="correct it"
        )
    with chdir(data):
        site = open_site(load_settings(), model)
        require_part(site)
    serve_site(client_app(site), address, ca, secret, patience_seconds, lambda line: typer.echo(f"client: {line}"))
