"""What `dvc repro` will do with each stage, as far as DVC can tell beforehand."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from bonexray.base.errors import BonexrayError
from bonexray.repro.durations import Durations, words
from bonexray.results.wording import count

Intention = Literal["same", "cached", "remote", "run"]
INTENTIONS: dict[Intention, str] = {
    "same": "up to date",
    "cached": "from the cache",
    "remote": "from the remote, or to run",
    "run": "to run",
}
OUTCOMES = {"same": "up to date", "cached": "from the cache", "pulled": "from the remote", "ran": "run"}


@dataclass(frozen=True)
class Plan:
    """The stages in the order of DVC, each with what will happen to it.

    A stage after one that runs counts as one to run, although it is skipped if its inputs come out the same.
    """

    stages: dict[str, Intention]
    remote: bool = False  # whether there is a default remote

    @property
    def to_run(self) -> list[str]:
        """Return the stages that may run."""
        return [stage for stage, intention in self.stages.items() if intention in ("run", "remote")]

    @property
    def pull(self) -> bool:
        """Return whether to ask the remote, which may also have earlier runs of changed stages."""
        return self.remote and bool(self.to_run)

    @property
    def nothing_to_do(self) -> bool:
        """Return whether every stage is up to date."""
        return set(self.stages.values()) <= {"same"}


def make_plan(targets: Iterable[str] = ()) -> Plan:
    """Return what `dvc repro` will do with the targets, or with the whole study.

    Raises:
        BonexrayError: DVC refuses the repository, its files, or a target.
    """
    from dvc.exceptions import DvcException  # here, because DVC is slow to import
    from dvc.repo import Repo, lock_repo
    from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

    try:
        with Repo() as repo, lock_repo(repo):
            remote = bool(repo.config["core"].get("remote"))
            graph = get_active_graph(repo.index.graph)
            steps = plan_repro(graph, collect_stages(repo, list(targets) or ["dvc.yaml"]))
            stages: dict = {}
            for stage in steps:
                stages[stage] = _intention(stage, list(graph.successors(stage)), stages, remote)
    except DvcException as error:
        received = " ".join(f"{error}".split())
        no_git = "is not a git repository" in received
        do = (
            "run `git init`, because DVC needs Git; or clone the project"
            if no_git
            else "correct it, or see `dvc status`"
        )
        raise BonexrayError("dvc repro", expected="a pipeline", received=received, do=do) from error
    return Plan({stage.addressing: intention for stage, intention in stages.items()}, remote)


def _intention(stage, upstream: list, intentions: Mapping, remote: bool) -> Intention:
    """Return what will happen to a stage; `upstream` are the stages whose outputs it reads."""
    if any(intentions[other] == "run" for other in upstream):
        return "run"
    if not stage.changed(upstream=upstream):
        return "same"
    if stage.changed(allow_missing=True, upstream=upstream):
        return "run"
    if not stage.changed_outs():
        return "same"  # only what it reads is missing, and comes back as it was
    if not any(intentions[other] == "remote" for other in upstream) and stage.outs_cached():
        return "cached"
    return "remote" if remote else "run"


def announcement(plan: Plan, here: Durations, elsewhere: Durations) -> str:
    """Return what will be done and about how long it takes, as one line.

    Args:
        plan: of the run.
        here: durations of earlier runs on this machine.
        elsewhere: durations that are in Git.
    """
    if plan.nothing_to_do:
        return f"all {len(plan.stages)} stages are up to date"
    what = f"{count(len(plan.stages), 'stage')}: {counts(plan.stages.values(), INTENTIONS)}"
    if not plan.to_run:
        return f"{what}; this takes seconds"
    seconds = here.total(plan.to_run)
    if seconds is not None:
        return f"{what}; about {words(seconds)}, from earlier runs on this machine"
    what = f"{what}; no earlier run on this machine to estimate from"
    seconds = elsewhere.total(plan.to_run)
    return (
        what if seconds is None else f"{what}; on another machine with {elsewhere.cores} cores, about {words(seconds)}"
    )


def counts(kinds: Iterable[str], names: Mapping[str, str]) -> str:
    """Return `60 up to date, 24 from the cache, 5 to run`."""
    number = Counter(kinds)
    return ", ".join(f"{number[kind]} {name}" for kind, name in names.items() if number[kind])
