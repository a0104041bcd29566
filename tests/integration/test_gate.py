"""`mode: gate` on real models, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cml_action.model.digest import digest
from cml_action.model.verdict import read
from tests.services.forked import forked_step
from tests.services.models import DARK
from tests.services.projects import Project, new_project, run, write
from tests.services.user_python import bare_python, user_python

if TYPE_CHECKING:
    from tests.services.runner import Step

#: Trains three classifiers on scikit-learn's digits: one good, one cut short, and a good one that dawdles.
TRAIN = """
import csv, sys
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
import skops.io

pixels, digits = load_digits(return_X_y=True)
train, test, train_y, test_y = train_test_split(pixels / 16, digits, test_size=0.3, random_state=0)
skops.io.dump(LogisticRegression(max_iter=500).fit(train, train_y), "good.skops")
skops.io.dump(LogisticRegression(max_iter=1).fit(train[:60], train_y[:60]), "worse.skops")
with open("test.csv", "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow([*(f"p{at}" for at in range(64)), "digit", "half"])
    for row, digit in zip(test, test_y):
        rows.writerow([*row, digit, "low" if digit < 5 else "high"])
"""
POLICY = """\
model:
  path: good.skops
  threads: 1
  input: {shape: [1, 64], dtype: float32}
  data: test.csv
  task: classification
  label: digit
  slices: [half]
  tests: tests/performance
  gates:
    - {measure: accuracy, min: 0.9, max-drop: 0.01}
    - {measure: latency-p95, max: 10 s}
    - {measure: latency-p50, max-ratio: 100}
    - {measure: size, max: 50 MB}
"""
TESTS = """
import os, pathlib

def test_the_model_is_there():
    assert pathlib.Path(os.environ["MODEL_PATH"]).is_file()
    assert "GITHUB_TOKEN" not in os.environ

def test_its_name():
    assert os.environ["MODEL_NAME"] == "good.skops"
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    # One thread: several that wait for each other take minutes on a machine that has other things to do.
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", TRAIN], cwd=folder, check=True, env=environ)
    return folder


@pytest.fixture
def project(tmp_path: Path, trained: Path) -> Path:
    """A repository with the models and a policy in it."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    write(folder, {path.name: path.read_bytes() for path in trained.iterdir()})
    write(folder, {"cml.yaml": POLICY, "tests/performance/test_model.py": TESTS})
    # The model runs in the environment of these tests, where DVC brings a plugin that cannot be loaded.
    write(folder, {"pytest.ini": "[pytest]\naddopts = -p no:hydra_pytest\n"})
    run(["git", "init", "--quiet"], folder)
    return folder


def gate(project: Path, event: tuple[str, dict[str, Any]] = ("workflow_dispatch", {}), **inputs: str) -> Step:
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    environ = {"GITHUB_TOKEN": "ghs_0123456789abcdef"}
    given = {"mode": "gate", "python": sys.executable, **given}
    return forked_step(project, given, event=event, environ=environ, limit_s=600)


def statuses(step: Step) -> dict[str, str]:
    return {each["id"]: each["status"] for each in step.result["checks"]}


def test_a_good_model_passes_beside_itself_and_the_evidence_is_about_its_digest(project: Path) -> None:
    step = gate(project, baseline="good.skops")
    assert (step.code, step.outputs["verdict"]) in {(0, "pass"), (0, "warn")}, step.log
    found = statuses(step)
    for name in (
        *("accuracy/min", "accuracy/max-drop", "latency-p95/max", "latency-p50/max-ratio", "size/max"),
        *("loads", "behaviour/same-output", "behaviour/finite", "behaviour/batch", "behaviour/noise"),
    ):
        assert found[f"model/{name}"] == "pass", (name, step.log)
    assert [status for name, status in found.items() if name.startswith("model/tests/")] == ["pass", "pass"]
    evidence = read(Path(step.outputs["verdict-file"]).read_text(), shown_as="verdict.json")
    assert evidence.verdict == step.outputs["verdict"]
    assert evidence.digest == step.outputs["model-digest"] == digest(project / "good.skops")
    assert evidence.baseline_digest == evidence.digest
    assert evidence.data["test.csv"] == digest(project / "test.csv")
    assert evidence.reference == step.outputs["model"] == "good.skops"
    assert len(evidence.checks) == len(found)
    ratio = next(each for each in evidence.checks if each["id"] == "model/latency-p50/max-ratio")
    assert ratio["details"]["candidate_latency_p50_s"] > 0
    assert ratio["path"] == "cml.yaml"
    assert (
        (project / "cml.yaml")
        .read_text()
        .splitlines()[ratio["line"] - 1]
        .strip()
        .startswith("- {measure: la")
    )
    assert step.result["model"]["digest"] == evidence.digest
    assert "good.skops` may replace `good.skops" in step.report
    assert "| latency p50, batch 1" in step.report
    assert "`half` = `low`" in step.report
    assert "ghs_0123456789abcdef" not in json.dumps(step.result) + step.report


def test_a_worse_model_fails_on_the_same_rows_and_says_by_how_much(project: Path) -> None:
    step = gate(project, model="worse.skops", baseline="good.skops")
    assert step.code == 1
    found = statuses(step)
    assert (found["model/accuracy/min"], found["model/accuracy/max-drop"]) == ("fail", "fail")
    assert "`worse.skops` must not replace `good.skops`" in step.report
    assert "that is more than chance" in step.report


def test_a_dispatched_path_is_gated_and_one_that_is_an_attack_is_refused(project: Path) -> None:
    (project / "cml.yaml").write_text("model: {threads: 1, input: {shape: [1, 64], dtype: float32}}\n")
    step = gate(project, ("repository_dispatch", {"client_payload": {"model_path": "worse.skops"}}))
    assert (step.code, step.outputs["model"]) == (0, "worse.skops"), step.log
    assert "It was compared with nothing." in step.report
    for text in ("worse.skops; rm -rf /", "../..", "x" * 1_000_000):
        step = gate(project, ("repository_dispatch", {"client_payload": {"model_path": text}}))
        assert step.code == 2
        assert "`model_path` of the event" in step.log
        assert not step.outputs["verdict-file"]
        assert len(step.log) < 5_000


def test_a_model_that_dvc_tracks_is_pulled(tmp_path: Path, trained: Path) -> None:
    made = new_project(tmp_path)
    made.commit({"good.skops": (trained / "good.skops").read_bytes()})
    write(
        made.path,
        {"cml.yaml": "model: {path: good.skops, threads: 1, input: {shape: [1, 64], dtype: float32}}\n"},
    )
    made.git("add", "--all")
    made.git("commit", "--quiet", "-m", "Add a policy")
    checkout: Project = made.clone(tmp_path / "checkout")
    step = gate(checkout.path)
    assert step.code == 0, step.log
    assert "Pulled good.skops: 1 files." in step.log
    assert step.outputs["model-digest"] == digest(trained / "good.skops")


def test_a_folder_that_dvc_links_to_its_cache_is_known_by_its_files(tmp_path: Path) -> None:
    made = new_project(tmp_path)
    made.dvc("config", "cache.type", "symlink")
    files = {"net/weights.txt": "1 2 3"}
    made.commit(files, push=False)
    write(made.path, {"broken.py": "def load(path): raise OSError(path)\n"})
    step = gate(made.path, model="net", model_loader="broken:load")
    assert (made.path / "net" / "weights.txt").is_symlink()
    assert step.code == 1, step.log  # the loader's fault, and no complaint about links
    write(tmp_path, files)
    assert step.outputs["model-digest"] == digest(tmp_path / "net")


def test_evidence_names_the_rows_that_were_read_not_those_that_dvc_recorded(
    tmp_path: Path, trained: Path
) -> None:
    made = new_project(tmp_path)
    rows = (trained / "test.csv").read_text()
    made.commit({"test.csv": rows})
    policy = "path: cml.yaml, loader: dark:load, data: test.csv, task: classification, label: digit"
    takes = "input: {shape: [1, 64], dtype: float32}, slices: [half]"
    write(made.path, {"cml.yaml": f"model: {{{policy}, {takes}}}\n", "dark.py": DARK})
    as_recorded = gate(made.path)
    (made.path / "test.csv").unlink()
    write(made.path, {"test.csv": "".join(rows.splitlines(keepends=True)[:101])})

    edited = gate(made.path)

    assert (as_recorded.code, edited.code) == (0, 0), as_recorded.log + edited.log
    assert as_recorded.result["model"]["data"]["test.csv"].startswith("md5:")
    assert edited.result["model"]["data"] == {"test.csv": digest(made.path / "test.csv")}


@pytest.mark.parametrize(
    "name", ["link.skops", "link@2"]
)  # which is a version only where no file is called so
def test_a_link_that_leads_out_of_the_workspace_is_refused(project: Path, name: str) -> None:
    (project / name).symlink_to(project.parent)
    step = gate(project, model=name)
    assert step.code == 2
    assert f"`{name}` (the input `model`) leaves the workspace." in step.log


def test_a_model_that_cannot_be_read_fails_its_gate_with_a_sentence(project: Path) -> None:
    whole = (project / "good.skops").read_bytes()
    (project / "cut.skops").write_bytes(whole[: len(whole) // 2])
    step = gate(project, model="cut.skops")
    assert step.code == 1
    assert statuses(step)["model/runs"] == "fail"
    assert "The model `cut.skops` cannot be read" in step.report
    assert "Traceback" not in step.log + step.report
    assert read(Path(step.outputs["verdict-file"]).read_text(), shown_as="x").verdict == "fail"


def test_production_that_is_broken_is_not_the_candidates_fault(project: Path) -> None:
    (project / "cml.yaml").write_text("model: {threads: 1, input: {shape: [1, 64], dtype: float32}}\n")
    (project / "old.skops").write_bytes((project / "good.skops").read_bytes()[:2000])
    step = gate(project, model="good.skops", baseline="old.skops")
    found = statuses(step)
    assert step.code == 1
    assert (found["model/production/loads"], found["model/latency-p50/max-ratio"]) == ("error", "error")
    assert found["model/loads"] == "pass"
    assert "set `baseline: none` to gate without it" in step.report


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"python": str(bare_python())}, "needs the module "),
        ({"python": "", "model_loader": "where:load"}, "The loader `where:load` failed: "),
    ],
)
def test_the_interpreter_that_was_named_or_that_a_loader_needs_is_not_replaced(
    project: Path, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, str], words: str
) -> None:
    monkeypatch.setenv("PATH", f"{bare_python().parent}:{os.environ['PATH']}")
    write(project, {"where.py": "import sys\ndef load(path): raise OSError(sys.executable)\n"})
    step = gate(project, **inputs)
    said = step.log + (step.report if step.code == 1 else "")
    assert words in said
    assert str(bare_python()) in said


def test_tests_run_in_the_users_python_where_the_model_cannot(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{bare_python().parent}:{os.environ['PATH']}")
    policy = "{path: good.skops, input: {shape: [1, 64], dtype: float32}, tests: tests/performance}"
    write(project, {"cml.yaml": f"model: {policy}\n"})
    step = gate(project, python="")
    assert step.code == 2
    assert f"need pytest, which is not installed in `{bare_python()}`" in step.log


def test_a_version_without_a_registry_to_find_it_in_says_what_is_missing(project: Path) -> None:
    step = gate(project, model="team/mnist/net:v3")
    assert step.code == 2
    assert "The Git registry is the repository's remote `origin`" in step.log


def test_no_model_at_all_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    step = gate(folder)
    assert step.code == 2
    assert "There is no model to gate" in step.log


def test_tests_that_are_not_there_are_named_before_anything_runs(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    write(folder, {"net.txt": "1", "cml.yaml": "model:\n  path: net.txt\n  tests: tests/nowhere\n"})
    step = gate(folder)
    assert step.code == 2
    assert "There are no tests in `tests/nowhere` (`tests` under `model`)" in step.log
    assert "Loading" not in step.log


def test_a_column_of_text_that_the_model_does_not_take_is_told_where_to_leave_out(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    policy = (
        "model:\n  path: net.txt\n  loader: dark:load\n  input: {shape: [1, 2], dtype: float32}\n"
        "  data: test.csv\n  task: classification\n  label: digit\n"
    )
    rows = "name,left,right,digit\nann,1,2,0\nbob,2,3,0\n"
    write(folder, {"net.txt": "1", "cml.yaml": policy, "dark.py": DARK, "test.csv": rows})
    step = gate(folder)
    assert step.code == 1
    assert "a row of its input is 2 numbers, and a row of the data has 3 columns: name, " in step.report
    assert "Name the columns that it takes in `features` under `model` in cml.yaml" in step.report
    write(folder, {"cml.yaml": f"{policy}  features: [left, right]\n"})
    step = gate(folder)
    assert step.code == 0
    assert "Nothing was demanded of it: `cml.yaml` and the input `gates` name no gate." in step.report
    step = gate(folder, gates="[{measure: size, max: 1 kB}]")
    assert "Nothing was demanded" not in step.report


MAKE = """
import torch

class Net(torch.nn.Module):
    def __init__(self, times: int):
        super().__init__()
        self.layer, self.times = torch.nn.Linear(64, 10), times

    def forward(self, x):
        # Work that can be counted: the slower one does ten times as much of it.
        for _ in range(self.times):
            x = x @ torch.eye(64)
        return self.layer(x)

torch.manual_seed(0)
for name, times in (("fast", 20), ("slow", 200)):
    torch.jit.script(Net(times).eval()).save(name + ".pt")
"""


def test_a_slower_network_fails_beside_production(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    python = user_python()
    (tmp_path / "make.py").write_text(MAKE)  # TorchScript reads the source
    subprocess.run([python, tmp_path / "make.py"], cwd=folder, check=True)
    write(
        folder,
        {
            "cml.yaml": "model:\n  input: {shape: [1, 64], dtype: float32}\n  threads: 1\n"
            "  gates: [{measure: latency-p50, max-ratio: 1.10}]\n"
        },
    )
    step = gate(folder, model="slow.pt", baseline="fast.pt", python=str(python))
    assert step.code == 1, step.log
    found = next(each for each in step.result["checks"] if each["id"] == "model/latency-p50/max-ratio")
    assert (found["status"], found["line"]) == ("fail", 4)
    assert found["details"]["low"] > 1.10
    assert "The candidate is slower" in Path(step.outputs["report-html"]).read_text()
