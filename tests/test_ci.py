"""What runs on a pull request: the workflows name what exists, and the comment is made and posted once."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
WORKFLOWS = {path.stem: YAML(typ="safe").load(path) for path in (ROOT / ".github/workflows").glob("*.yml")}
STEPS = {name: [step for job in flow["jobs"].values() for step in job["steps"]] for name, flow in WORKFLOWS.items()}
SCRIPTS = sorted((ROOT / ".ci").iterdir())
every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


# The workflows


@every_workflow
def test_every_command_exists(name: str):
    makefile = (ROOT / "Makefile").read_text()
    commands = "".join(path.read_text() for path in (ROOT / "src/bonexray/cli").glob("*.py"))
    texts = [step["run"] for step in STEPS[name] if "run" in step]
    texts += [script.read_text() for script in SCRIPTS if any(f".ci/{script.name}" in text for text in texts)]
    for text in texts:
        for script in re.findall(r"\.ci/\w+", text):
            assert os.access(ROOT / script, os.X_OK), script
        for target in re.findall(r"^make (\S+)", text, re.M):
            assert target == ".venv/.ready" or f"\n{target}:" in makefile, target
        for command in re.findall(r"^bonexray (\w+)", text, re.M):
            assert f"def {command}(" in commands, command


@every_workflow
def test_actions_are_pinned_and_the_token_may_little(name: str):
    for step in STEPS[name]:
        assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/none@v0")), step
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False
    allowed = {"tests": {"contents": "read"}, "report": {"contents": "read", "pull-requests": "write"}}
    assert WORKFLOWS[name]["permissions"] == allowed[WORKFLOWS[name]["name"]]


@every_workflow
def test_no_secret_and_nothing_that_a_stranger_writes_stands_in_a_command(name: str):
    assert "pull_request_target" not in str(WORKFLOWS[name]["on"])
    for step in STEPS[name]:
        assert "${{" not in step.get("run", "")


def test_tests_run_on_a_push_and_on_a_pull_request():
    assert set(WORKFLOWS["ci"]["on"]) == {"push", "pull_request"}
    assert [step["run"] for step in STEPS["ci"] if "run" in step] == [".ci/run"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_bash_without_mistakes_of_form(script: Path):
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert script.read_text().startswith("#!/usr/bin/env bash\n# ")


def test_missing_packages_are_one_clear_line_and_no_failure(tmp_path: Path):
    """A machine without apt-get: the tests that need them skip, and the run goes on."""
    for tool in ("bash", "id", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    script = (ROOT / ".ci/packages").read_text().replace("/usr/lib/postgresql", "/nowhere")
    done = subprocess.run(["bash", "-c", script], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    wanted = "chromium postgresql dicom3tools"
    assert done.stdout == f".ci/packages: no apt-get or not root; tests that need {wanted} are skipped\n"


# The comment, on two commits

DVC_YAML = "metrics: [metrics/headline.json, metrics/models.json]\nplots:\n- curve.csv: {x: epoch, y: loss}\n"


class Repository:
    """A repository with a study in its first commit; commands run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src")}
        for command in ("git init -q -b main", "git config user.email a@b.c", "git config user.name a", "dvc init -q"):
            assert self.run(*command.split()).returncode == 0
        (folder / "metrics").mkdir()
        (folder / "reports").mkdir()
        (folder / "dvc.yaml").write_text(DVC_YAML)
        self.study(0.7, loss=0.5)

    def study(self, score: float, loss: float, models: int = 1) -> None:
        """Commit a study with this score."""
        headline = {"model": "vgg16", "n": 36, "balanced_accuracy": score, "balanced_accuracy_low": score - 0.1}
        scores = {f"m{i}": {"accuracy": score} for i in range(models)}
        contents = {"headline": headline, "models": scores, "ensembles": {}, "data": {}}
        for name, content in contents.items():
            (self.folder / f"metrics/{name}.json").write_text(json.dumps(content))
        (self.folder / "curve.csv").write_text(f"epoch,loss\n1,{loss}\n")
        (self.folder / "reports/summary.md").write_text(f"## A study that scores {score}\n")
        self.run("git", "add", "-A")
        assert self.run("git", "commit", "-qm", "a study").returncode == 0

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120
        )

    def comment(self, base: str = "HEAD~1") -> tuple[int, str]:
        """What `.ci/comment` ends with, and what it writes."""
        done = self.run(str(ROOT / ".ci/comment"), base, str(self.folder / "out"))
        return done.returncode, (self.folder / "out/comment.md").read_text()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("repository"))


def test_the_comment_has_the_gate_the_summary_and_what_changed(repository: Repository):
    repository.study(0.72, loss=0.4)
    code, text = repository.comment()
    assert code == 0
    assert text.startswith("<!-- bonexray report -->\n### Gate: passed against `HEAD~1`")
    assert "## A study that scores 0.72" in text
    assert re.search(r"\| metrics/headline.json +\| balanced_accuracy +\| 0\.7 +\| 0\.72 +\| 0\.02 +\|", text)
    page = (repository.folder / "out/plots/index.html").read_text()
    assert "HEAD~1" in page and "curve.csv" in page


def test_a_gate_that_fails_ends_the_script_with_its_code_after_the_comment(repository: Repository):
    repository.study(0.5, loss=0.4, models=400)
    code, text = repository.comment()
    assert code == 1 and "Gate: failed" in text and "below the interval" in text
    assert "further rows are left out" in text and len(text) < 65_536  # what GitHub takes
    assert (repository.folder / "out/metrics.md").read_text().count("\n") > 400


def test_a_base_without_a_study_and_a_remote_that_is_gone_are_said_in_the_comment(repository: Repository):
    repository.run("git", "checkout", "-q", "--orphan", "empty")
    repository.run("git", "rm", "-rqf", "--cached", "metrics")
    repository.run("git", "commit", "-qm", "no study yet")
    (repository.folder / "data.dvc").write_text(
        "outs:\n- md5: 0123456789abcdef0123456789abcdef\n  path: data.bin\n  hash: md5\n"
    )
    repository.run("dvc", "remote", "add", "-d", "gone", "http://me:secret@127.0.0.1:9/gone")
    code, text = repository.comment("HEAD")
    assert code == 1 and "Gate: not decided" in text and "expected a finished study, received no such file" in text
    assert "The data remote did not give everything" in text and "secret" not in text


# Posted once

GH = """#!/usr/bin/env python3
import json, os, pathlib, subprocess, sys
store = pathlib.Path(os.environ["COMMENTS"])
comments, arguments = json.loads(store.read_text()), sys.argv[2:]
path = next(a for a in arguments if a.startswith("repos/"))
body = [a.removeprefix("body=@") for a in arguments if a.startswith("body=@")]
if "--jq" in arguments:
    assert path == "repos/us/bones/issues/7/comments" and "--paginate" in arguments
    jq = ["jq", "-r", arguments[arguments.index("--jq") + 1]]
    sys.exit(subprocess.run(jq, input=json.dumps(comments), text=True).returncode)
if "PATCH" in arguments:
    (comment,) = [c for c in comments if path == f"repos/us/bones/issues/comments/{c['id']}"]
    comment["body"] = pathlib.Path(body[0]).read_text()
else:
    comments.append({"id": len(comments) + 1, "user": {"type": "Bot"}, "body": pathlib.Path(body[0]).read_text()})
store.write_text(json.dumps(comments))
"""


@pytest.mark.skipif(not shutil.which("jq"), reason="no jq on this machine, which stands in for that of gh")
def test_the_comment_is_posted_once_and_then_updated_whatever_others_wrote(tmp_path: Path):
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    human = {"id": 1, "user": {"type": "User"}, "body": "<!-- bonexray report --> is what it starts with"}
    (tmp_path / "comments.json").write_text(json.dumps([human]))
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "COMMENTS": str(tmp_path / "comments.json"),
    }
    for text in ("first", "second"):
        (tmp_path / "comment.md").write_text(f"<!-- bonexray report -->\n{text}\n")
        command = [ROOT / ".ci/post", tmp_path / "comment.md", "us/bones", "7"]
        subprocess.run(command, env=environment, check=True, timeout=30)
    comments = json.loads((tmp_path / "comments.json").read_text())
    assert [comment["body"] for comment in comments] == [human["body"], "<!-- bonexray report -->\nsecond\n"]
