"""The recipe for self-hosted runners: what can be held together without a cloud."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "examples" / "runners" / "runner.yaml"
WORKFLOW = ROOT / "examples" / "workflows" / "self-hosted.yml"
GUIDE = ROOT / "docs" / "self-hosted-runners.md"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples" / "workflows").glob("*.yml")), ids=lambda path: path.stem
)
def test_an_example_is_a_workflow_by_githubs_schema(path: Path) -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [checker, "--builtin-schema", "vendor.github-workflows", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_the_machine_gets_what_its_scripts_read_from_the_launching_job_alone() -> None:
    task = yaml.safe_load(RUNNER.read_text(encoding="utf-8"))
    (launch,) = re.findall(r"sky launch.*runner\.yaml", WORKFLOW.read_text(encoding="utf-8"), re.DOTALL)

    assert {*task["envs"].values(), *task["secrets"].values()} == {None}  # nothing lies in the file
    for name in task["envs"]:
        assert f"--env {name}" in launch
    for name in task["secrets"]:
        assert f"--secret {name}" in launch
    used = set(re.findall(r"\$([A-Z_]+)", task["setup"] + task["run"]))
    assert used == {*task["envs"], *task["secrets"]}
    assert task["resources"]["autostop"]["down"] is True


def test_the_job_runs_on_the_label_that_its_machine_is_registered_with() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    script = next(step["run"] for step in jobs["launch"]["steps"] if "sky launch" in step.get("run", ""))

    (label,) = re.findall(r'^name="(.+)"$', script, re.MULTILINE)
    label = label.replace("$GITHUB_RUN_ID", "${{ github.run_id }}")
    label = label.replace("$GITHUB_RUN_ATTEMPT", "${{ github.run_attempt }}")
    assert jobs["train"]["runs-on"] == label
    assert '-f "labels[]=$name"' in script


@pytest.mark.parametrize("script", ["setup", "run"])
def test_the_machines_scripts_are_scripts(script: str) -> None:
    text = yaml.safe_load(RUNNER.read_text(encoding="utf-8"))[script]

    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_the_guide_leads_to_files_that_are_there() -> None:
    for name in re.findall(r"\]\((?!http)([^)#]+)", GUIDE.read_text(encoding="utf-8")):
        assert (GUIDE.parent / name).is_file(), name
