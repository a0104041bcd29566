from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cml_action.errors import OutsideError
from cml_action.install import ensure
from cml_action.log import Log
from cml_action.uv import fetch_wheel
from tests.services.act import ROOT, runner_environment, share_uv
from tests.services.answering import Handler, answering
from tests.services.images import png
from tests.services.s3 import KEYS, running_s3

if TYPE_CHECKING:
    from collections.abc import Iterator


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


class Index:
    """A package index of one package, as PEP 691 has it.

    :param wheels: content by file name; `lies`: listed with a hash that they have not.
    """

    def __init__(self, wheels: dict[str, bytes], *, lies: bool = False, html: bool = False) -> None:
        self.wheels, self.asked = wheels, list[str]()
        right = {name: hashlib.sha256(content).hexdigest() for name, content in wheels.items()}
        right["uv-1.0.tar.gz"] = "0" * 64  # a list locks more than wheels
        self.lock = (
            "uv==1.0" + "".join(f" \\\n    --hash=sha256:{digest}" for digest in right.values()) + "\n"
        )
        files = [
            {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": digest}}
            for name, digest in {**right, "uv-0.9.tar.gz": "0" * 64}.items()
        ]
        self.page = b"<html>" if html else json.dumps({"files": files}).encode()
        if lies:
            self.wheels = {name: content + b"!" for name, content in wheels.items()}


@contextlib.contextmanager
def serving(index: Index) -> Iterator[str]:
    class Ours(Handler):
        def respond(self) -> None:
            name = self.path.rpartition("/")[2]
            index.asked.append(self.path)
            self.answer(200, index.wheels[name] if name else index.page)

    with answering(Ours) as url:
        yield f"{url}/simple"


MACHINES = {
    "uv-1.0-py3-none-any.whl": b"this one",
    "uv-1.0-py3-none-macosx_11_0_sparc.whl": b"another's",
    "uv-1.0-py3-none-win_sparc.whl": b"another's too",
}


def test_of_the_wheels_of_an_index_the_one_for_this_machine_is_fetched_without_pip(tmp_path: Path) -> None:
    index = Index(MACHINES)
    (tmp_path / "uv.txt").write_text(index.lock)

    with serving(index) as url:
        came = fetch_wheel(tmp_path / "uv.txt", tmp_path / "uv.whl", {"UV_DEFAULT_INDEX": f"{url}/"})

    assert came
    assert (tmp_path / "uv.whl").read_bytes() == b"this one"
    assert index.asked == ["/simple/uv/", "/files/uv-1.0-py3-none-any.whl"]


@pytest.mark.parametrize(
    ("index", "settings"),
    [
        (Index(MACHINES, lies=True), {}),
        (Index(MACHINES, html=True), {}),
        (Index(dict(list(MACHINES.items())[1:])), {}),
        (Index(MACHINES), {"UV_NO_INDEX": "1"}),
        (Index(MACHINES), {"HTTPS_PROXY": "http://127.0.0.1:9"}),
    ],
    ids=["another hash", "no JSON", "none for this machine", "no index wanted", "a proxy of pip's"],
)
def test_what_cannot_be_fetched_without_pip_is_left_to_it(
    tmp_path: Path, index: Index, settings: dict[str, str]
) -> None:
    (tmp_path / "uv.txt").write_text(index.lock)

    with serving(index) as url:
        given = {"UV_DEFAULT_INDEX": url, **settings}
        assert not fetch_wheel(tmp_path / "uv.txt", tmp_path / "uv.whl", given)

    assert bool(index.asked) == (not settings)


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


def test_a_bucket_that_is_named_to_cml_brings_its_client(environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "path"
    (tmp_path / "plot.png").write_bytes(png())
    with running_s3() as s3:
        given = {**environ, **s3.environ, **KEYS, "GITHUB_PATH": str(path), "GITHUB_WORKSPACE": str(tmp_path)}
        given |= {"CML_ACTION_INPUTS": json.dumps({"mode": "setup"}), "GITHUB_REPOSITORY": "o/r"}
        given |= {"GITHUB_ACTIONS": "true", "REPO_TOKEN": "ghs_token"}
        call([sys.executable, "-I", str(ROOT / "entrypoint.py")], tmp_path, given)
        cml = str(Path(path.read_text().strip(), "cml"))

        said = call([cml, "asset", "publish", "plot.png", f"--url=s3://{s3.bucket}/ci"], tmp_path, given)

        (stored,) = s3.client().list_objects_v2(Bucket=s3.bucket)["Contents"]
        assert said.strip() == f"{s3.url}/{s3.bucket}/{stored['Key']}"
        assert list(Path(environ["RUNNER_TEMP"]).glob("cml-action-*/s3.installed"))


def call(command: list[str], folder: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environ, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
