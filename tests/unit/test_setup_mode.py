"""`mode: setup`: launchers, and where it cannot work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cml_action.modes.setup import PROGRAMS, write_launchers
from tests.services.runner import run_step


def test_a_launcher_starts_its_program_from_a_folder_with_odd_characters(tmp_path: Path) -> None:
    folder = write_launchers(tmp_path / "it's a $(folder)", Path(sys.executable), windows=False)

    done = subprocess.run([folder / "cml", "--version"], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("0.20.6 (cml-action ")
    assert {path.name for path in folder.iterdir()} == set(PROGRAMS)


def test_an_old_name_is_the_command_that_it_was(tmp_path: Path) -> None:
    folder = write_launchers(tmp_path, Path(sys.executable), windows=False)

    done = subprocess.run([folder / "cml-send-comment", "--help"], capture_output=True, text=True, check=True)

    assert "Usage: cml comment create" in done.stdout


def test_windows_gets_a_launcher_for_each_of_its_shells(tmp_path: Path) -> None:
    python = Path("C:/hosted tools/env/Scripts/python.exe")
    folder = write_launchers(tmp_path, python, windows=True)

    text = (folder / "cml.cmd").read_bytes().decode()
    assert text.startswith("@echo off\r\n")
    assert f'"{python}" -I -X utf8 ' in text
    assert text.endswith(" cml %*\r\n")
    assert (
        (folder / "cml").read_text().startswith("#!/bin/sh\nexec 'C:/hosted tools/env/Scripts/python.exe' -I")
    )


@pytest.mark.parametrize("variables", [{"GITHUB_PATH": ""}, {}])
def test_where_no_later_step_could_use_it_the_step_says_so(tmp_path: Path, variables: dict[str, str]) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    environ = {"GITHUB_PATH": str(tmp_path / "path"), **variables}

    step = run_step(workspace, {"mode": "setup", "comment": "false"}, environ=environ)

    assert step.code == 2
    assert "`mode: setup` puts programs on the PATH of a job's later steps" in step.log
    assert not (tmp_path / "path").exists()
