from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.conftest import Consumer

COMMENT = """\
      - id: cml
        uses: org/cml-action@v1
        with: {mode: comment, report: report.md, comment: 'false'}
"""
REPORT = {"report.md": "# Trained\n\nAccuracy 0.9\n"}


def listing(python: Path) -> str:
    return subprocess.run(
        [python, "-m", "pip", "list"], check=True, capture_output=True, text=True
    ).stdout + "\n".join(
        sorted(str(path) for path in python.parents[1].rglob("*") if "__pycache__" not in str(path))
    )


def test_a_report_is_published_and_the_outputs_lead_to_it(consumer: Consumer) -> None:
    run = consumer(COMMENT, REPORT)

    assert run.exit_code == 0, run.errors
    assert run.outputs["cml"]["verdict"] == "pass"
    assert run.outputs["cml"]["passed"] == "true"
    assert "Accuracy 0.9" in run.summary
    assert "Accuracy 0.9" in Path(run.outputs["cml"]["report"]).read_text()
    assert "Accuracy 0.9" in Path(run.outputs["cml"]["report-html"]).read_text()
    assert json.loads(Path(run.outputs["cml"]["result"]).read_text())["verdict"] == "pass"


def test_the_users_environment_and_workspace_stay_as_they_were(consumer: Consumer, user_python: Path) -> None:
    before = listing(user_python)

    run = consumer(COMMENT, REPORT)

    assert run.exit_code == 0, run.errors
    assert listing(user_python) == before
    assert {path.name for path in run.workspace.iterdir()} == {".git", ".github", "report.md"}


def test_a_second_use_in_the_same_job_installs_nothing_again(consumer: Consumer) -> None:
    run = consumer(COMMENT + COMMENT.replace("id: cml", "id: again"), REPORT)

    assert run.exit_code == 0, run.errors
    assert run.log.count("Installed base privately") == 1
    assert run.outputs["again"]["verdict"] == "pass"


def test_modules_of_the_workspace_are_never_imported(consumer: Consumer) -> None:
    trap = "raise SystemExit('the workspace was imported')\n"
    traps = dict.fromkeys(
        ("json.py", "yaml.py", "pip.py", "typing.py", "github.py", "sitecustomize.py"), trap
    )
    step = COMMENT + "        env: {PYTHONPATH: '${{ github.workspace }}', PYTHONHOME: /nowhere}\n"

    run = consumer(step, {**REPORT, **traps})

    assert run.exit_code == 0, run.errors
    assert "was imported" not in run.log


def test_byte_code_is_kept_though_the_user_wants_none(consumer: Consumer) -> None:
    run = consumer(COMMENT + "        env: {PYTHONDONTWRITEBYTECODE: '1'}\n", REPORT)

    assert run.exit_code == 0, run.errors
    assert list(run.temp.glob("cml-action-*/env/**/site-packages/pydantic/__pycache__/*.pyc"))


def test_a_mode_that_does_not_exist_is_named_and_the_step_exits_with_2(consumer: Consumer) -> None:
    run = consumer("      - {id: cml, uses: org/cml-action@v1, with: {mode: statss}}\n")

    assert run.exit_code == 1
    assert run.failed["cml"] == 2
    assert len(run.errors) == 1
    assert "There is no mode `statss`. Did you mean `stats`?" in run.errors[0]


def without(tmp_path: Path, *missing: str) -> str:
    """A PATH with everything that this one leads to, less some."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "git", "cp", "mv"):
        found = shutil.which(name)
        if found and name not in missing:
            (folder / name).symlink_to(found)
    return str(folder)


def test_without_python_the_error_says_which_lines_to_add(consumer: Consumer, tmp_path: Path) -> None:
    run = consumer(COMMENT, REPORT, environ={"PATH": without(tmp_path)})

    assert run.failed["cml"] == 2
    assert len(run.errors) == 1
    assert "needs Python 3.10 or later as python3 on the PATH" in run.errors[0]
    assert "- uses: actions/setup-python@v7\n  with: {python-version: '3.12'}" in run.errors[0]


def test_an_old_python_is_named(consumer: Consumer, tmp_path: Path) -> None:
    path = without(tmp_path)
    old = tmp_path / "bin" / "python3"
    # A stand-in for an interpreter that few machines still have: it knows its version and runs nothing.
    old.write_text('#!/bin/bash\n[ "$1" = --version ] && echo "Python 3.8.10" && exit\nexit 1\n')
    old.chmod(0o755)

    run = consumer(COMMENT, REPORT, environ={"PATH": path})

    assert run.failed["cml"] == 2
    assert "(found: Python 3.8.10)" in run.errors[0]


def test_an_index_out_of_reach_is_one_sentence_and_exit_code_3(
    consumer: Consumer, tmp_path: Path, user_python: Path
) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0"}
    caches = {"PIP_CACHE_DIR": str(tmp_path / "pip"), "UV_CACHE_DIR": str(tmp_path / "uv")}
    path = f"{user_python.parent}:{os.environ['PATH']}"

    run = consumer(COMMENT, REPORT, environ={"PATH": path, **nowhere, **caches})

    assert run.failed["cml"] == 3
    assert len(run.errors) == 1
    assert "The package index could not be reached" in run.errors[0]
    assert "Traceback" not in run.log
