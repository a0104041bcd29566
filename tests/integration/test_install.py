from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import threading
import zipfile
from typing import TYPE_CHECKING

import pytest

from cml_action.errors import OutsideError
from cml_action.install import ensure
from cml_action.log import Log
from tests.services.act import ROOT, runner_environment, share_uv

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """Two families of one small package each, out of the real lists."""
    folder = tmp_path / "requirements"
    folder.mkdir()
    real = ROOT / "requirements"
    (folder / "uv.txt").write_text((real / "uv.txt").read_text())
    for family, package in (("base", "tabulate"), ("more", "markupsafe")):
        text = (real / "dev.txt").read_text()
        found = re.search(rf"^{package}==.*\n(?:    .*\n)+", text, re.MULTILINE)
        assert found
        (folder / f"{family}.txt").write_text(found[0])
    return folder


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    temp = tmp_path / "temp"
    temp.mkdir()
    share_uv(tmp_path)
    return {**runner_environment(tmp_path), "RUNNER_TEMP": str(temp)}


def imports(python: Path, module: str) -> bool:
    return (
        subprocess.run([python, "-I", "-c", f"import {module}"], check=False, capture_output=True).returncode
        == 0
    )


def test_families_add_up_in_one_environment(lists: Path, environ: dict[str, str]) -> None:
    log = Log(runner=True, stream=io.StringIO())

    first = ensure(["base"], lists, environ, log)
    assert imports(first, "tabulate")
    assert not imports(first, "markupsafe")

    assert ensure(["base", "more"], lists, environ, log) == first
    assert imports(first, "tabulate")
    assert imports(first, "markupsafe")


def test_a_second_call_needs_neither_network_nor_cache(lists: Path, environ: dict[str, str]) -> None:
    stream = io.StringIO()
    first = ensure(["base"], lists, environ, Log(runner=True, stream=stream))
    nowhere = {**environ, "PATH": "", "UV_OFFLINE": "1", "PIP_NO_INDEX": "1"}

    assert ensure(["base"], lists, nowhere, Log(runner=True, stream=stream)) == first
    assert stream.getvalue().count("Installed base privately") == 1


def test_an_environment_that_was_killed_half_made_is_made_anew(lists: Path, environ: dict[str, str]) -> None:
    log = Log(runner=True, stream=io.StringIO())
    python = ensure(["base"], lists, environ, log)
    home = python.parents[2]
    (home / "base.installed").unlink()
    (home / "unfinished").touch()
    for path in home.glob("env/lib/python*/site-packages/tabulate"):
        shutil.rmtree(path)
    assert not imports(python, "tabulate")

    assert ensure(["base"], lists, environ, log) == python
    assert imports(python, "tabulate")
    assert not (home / "unfinished").exists()


def test_a_kept_wheel_that_somebody_changed_is_fetched_again(
    lists: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    mine = {**environ, "XDG_CACHE_HOME": str(tmp_path / "mine")}
    ensure(["base"], lists, mine, Log(runner=True, stream=io.StringIO()))
    (kept,) = (tmp_path / "mine" / "cml-action").glob("uv-*.whl")
    good = kept.read_bytes()
    with zipfile.ZipFile(kept, "a") as archive:
        archive.writestr("uv-0.data/scripts/uv", "#!/bin/sh\ntouch owned\n")

    again = ensure(["base"], lists, {**mine, "RUNNER_TEMP": str(tmp_path)}, Log(runner=True))

    assert imports(again, "tabulate")
    assert kept.read_bytes() == good
    assert list(tmp_path.rglob("owned")) == []


def test_a_home_that_cannot_be_written_is_done_without(
    lists: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    theirs = {**environ, "XDG_CACHE_HOME": str(tmp_path / "file")}
    del theirs["UV_CACHE_DIR"]

    python = ensure(["base"], lists, theirs, Log(runner=True, stream=io.StringIO()))

    assert imports(python, "tabulate")
    assert (python.parents[2] / "cache").is_dir()


def test_two_at_once_install_once(lists: Path, environ: dict[str, str]) -> None:
    stream = io.StringIO()
    found: list[Path] = []

    def work() -> None:
        found.append(ensure(["base"], lists, environ, Log(runner=True, stream=stream)))

    both = [threading.Thread(target=work) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()

    assert len(found) == 2
    assert found[0] == found[1]
    assert imports(found[0], "tabulate")
    assert stream.getvalue().count("Installed base privately") == 1


@pytest.mark.parametrize("family", ["base", "uv"])
def test_a_package_with_another_hash_is_refused(lists: Path, environ: dict[str, str], family: str) -> None:
    path = lists / f"{family}.txt"
    path.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, path.read_text()))

    with pytest.raises(OutsideError, match="its hash differs from the locked one"):
        ensure(["base"], lists, environ, Log(runner=True, stream=io.StringIO()))


def test_what_the_user_told_pip_and_uv_about_their_own_environment_does_not_reach_ours(
    lists: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nrequire-virtualenv = true\nuser = true\n")
    theirs = {
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "PIP_TARGET": str(tmp_path / "theirs"),
        "PIP_CONSTRAINT": "/nowhere/constraints.txt",
        "UV_OVERRIDE": "/nowhere/overrides.txt",
        "UV_PYTHON": "/nowhere/python",
        "VIRTUAL_ENV": str(tmp_path / "theirs"),
        "PYTHONPATH": str(tmp_path),
    }

    python = ensure(["base"], lists, {**environ, **theirs}, Log(runner=True, stream=io.StringIO()))

    assert imports(python, "tabulate")
    assert not (tmp_path / "theirs").exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(
    lists: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "temp").chmod(0o500)

    with pytest.raises(OutsideError, match="could not be made in"):
        ensure(["base"], lists, environ, Log(runner=True, stream=io.StringIO()))


def test_a_place_that_is_no_folder_is_named(lists: Path, environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OutsideError, match="could not be made in"):
        ensure(
            ["base"],
            lists,
            {**environ, "RUNNER_TEMP": str(tmp_path / "file")},
            Log(runner=True, stream=io.StringIO()),
        )
