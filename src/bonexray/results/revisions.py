"""The metrics of a study in the working tree or at a Git revision.

Metrics are stored in Git, not in DVC's cache, so `git show` can read them. This needs no remote, no checkout, and no
valid dvc.yaml at that revision.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML

from bonexray.base.config import PARAMS
from bonexray.base.errors import BonexrayError
from bonexray.data.paths import DATA, ENSEMBLES, EXTERNAL_METRICS, HEADLINE, MANIFEST, MODELS
from bonexray.data.scores import all_scores
from bonexray.results.gate import Results

LOCK = Path("dvc.lock")


def results_here() -> Results:
    """Return the metrics of the working tree, committed or not; raise BonexrayError without a finished study."""
    return _results("the working tree", lambda path: path.read_text(encoding="utf-8") if path.exists() else None)


def results_at(revision: str) -> Results:
    """Return the metrics at a commit, branch or tag; raise BonexrayError if it is unknown or has no finished study."""
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        shallow = (_git("rev-parse", "--is-shallow-repository") or "").strip() == "true"
        fetch = "`git fetch --unshallow` fetches" if shallow else "`git fetch` updates"
        do = f"name a commit, branch or tag; {fetch} those of the remote"
        raise BonexrayError("--against", expected="a revision that Git knows", received=repr(revision), do=do)
    return _results(revision, lambda path: _git_file(commit.strip(), path))


def models_at(revision: str) -> dict[str, dict[str, object]]:
    """Return the scores of each model at a revision, or in the working tree for "workspace"; none without a study."""
    here = revision == "workspace"
    text = (MODELS.read_text(encoding="utf-8") if MODELS.exists() else None) if here else _git_file(revision, MODELS)
    return _parsed(revision, MODELS, text or "{}")


def _git_file(revision: str, path: Path) -> str | None:
    return _git("show", f"{revision}:./{path.as_posix()}")


def _results(name: str, read: Callable[[Path], str | None]) -> Results:
    headline, models, data = (_parsed(name, path, read(path)) for path in (HEADLINE, MODELS, DATA))
    ensembles = _parsed(name, ENSEMBLES, read(ENSEMBLES) or "{}")
    lock = read(LOCK)
    external = _external(name, headline["model"], read) if "model" in headline else {}
    split_sha = _split_in(lock) if lock else None
    return Results(name, headline, all_scores(models, ensembles), data, split_sha, external)


def _external(name: str, model: str, read: Callable[[Path], str | None]) -> dict[str, dict[str, object]]:
    """Return the scores of a model on each external cohort of the settings that has been scored."""
    cohorts = (YAML(typ="safe").load(read(PARAMS) or "{}") or {}).get("external") or {}
    files = {cohort: EXTERNAL_METRICS / f"{cohort}.json" for cohort in cohorts}
    texts = {cohort: (path, read(path)) for cohort, path in files.items()}
    scored = {cohort: _parsed(name, path, text) for cohort, (path, text) in texts.items() if text is not None}
    return {cohort: content["models"][model] for cohort, content in scored.items() if model in content["models"]}


def _parsed(name: str, path: Path, text: str | None) -> dict:
    what, do = f"{path} in {name}", "run `dvc repro` there and commit metrics/"
    if text is None:
        raise BonexrayError(what, expected="a finished study", received="no such file", do=do)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BonexrayError(what, expected="JSON", received=str(error), do=do) from error


def _split_in(lock: str) -> str | None:
    """Return the hash of the split manifest in a lock file; equal hashes mean equal splits."""
    stages = (YAML(typ="safe").load(lock) or {}).get("stages", {})
    outs = stages.get("split", {}).get("outs", [])
    return next((out["md5"] for out in outs if out["path"] == MANIFEST.as_posix()), None)


def _git(*arguments: str) -> str | None:
    """Return the output of a Git command, or None if it fails."""
    process = subprocess.run(["git", *arguments], capture_output=True, text=True, encoding="utf-8", check=False)
    return process.stdout if process.returncode == 0 else None
