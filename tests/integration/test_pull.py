from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.services.forked import forked_step
from tests.services.projects import Project, copy_project, new_project, run, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.runner import Step

FILES = {
    "train.csv": "a,b\n1,2\n3,4\n",
    "images/one.txt": "one",
    "images/two.txt": "two",
}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = new_project(tmp_path_factory.mktemp("template"))
    project.commit(FILES)
    return project


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    """A project whose clone, as a runner has it, lacks the data."""
    return copy_project(template, tmp_path)


@pytest.fixture
def checkout(project: Project, tmp_path: Path) -> Project:
    return project.clone(tmp_path / "checkout")


def pull(checkout: Project, *, file_bytes: int | None = None, **inputs: str) -> Step:
    return forked_step(checkout.path, {"mode": "pull", **inputs}, file_bytes=file_bytes)


def is_there(checkout: Project, name: str) -> bool:
    path = checkout.path / name
    return path.exists() and path.read_bytes() == str(FILES[name]).encode()


def test_everything_is_fetched_where_nothing_is_named(checkout: Project) -> None:
    step = pull(checkout)
    assert (step.code, step.errors) == (0, "")
    assert all(is_there(checkout, name) for name in FILES)
    # Three files and the list of the folder's files.
    assert "Fetched 4 files, " in step.log
    assert f"from storage ({checkout.remote})" in step.log
    found = step.result["pull"]
    assert (found["files"], found["remotes"]) == (4, [{"name": "storage", "url": str(checkout.remote)}])
    assert found["bytes"] == sum(path.stat().st_size for path in checkout.objects())
    assert checkout.git("status", "--short") == ""


def test_a_second_pull_fetches_nothing(checkout: Project) -> None:
    pull(checkout)
    step = pull(checkout)
    assert "Nothing to fetch: 4 files in DVC's cache already." in step.log
    assert step.result["pull"]["files"] == 0


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("train.csv", {"train.csv"}),
        ("train.csv.dvc", {"train.csv"}),
        ("images", {"images/one.txt", "images/two.txt"}),
        ("images/one.txt", {"images/one.txt"}),
        ("images/*.txt", {"images/one.txt", "images/two.txt"}),
        ("*.csv", {"train.csv"}),
        ("./images/", {"images/one.txt", "images/two.txt"}),
        ("train.csv, images/two.txt", {"train.csv", "images/two.txt"}),
    ],
)
def test_only_what_is_asked_for_is_fetched(checkout: Project, targets: str, expected: set[str]) -> None:
    assert pull(checkout, targets=targets).code == 0
    assert {name for name in FILES if is_there(checkout, name)} == expected


def test_data_says_what_to_fetch_where_no_target_does(checkout: Project) -> None:
    step = forked_step(checkout.path, {"mode": "pull", "data": "train.csv, README.md"})
    assert step.code == 0
    assert {name for name in FILES if is_there(checkout, name)} == {"train.csv"}


def test_nothing_is_fetched_where_dvc_tracks_nothing_of_the_data(checkout: Project) -> None:
    step = forked_step(checkout.path, {"mode": "pull", "data": "README.md"})
    assert step.code == 0
    assert not any(is_there(checkout, name) for name in FILES)
    assert "DVC tracks nothing of what `data` names" in step.log
    assert step.result["pull"]["files"] == 0


def test_an_unknown_target_is_answered_with_a_suggestion(checkout: Project) -> None:
    step = pull(checkout, targets="trian.csv")
    assert step.code == 2
    assert "DVC tracks nothing by the name `trian.csv`. Did you mean `train.csv`?" in step.log


def test_a_file_that_was_changed_here_is_never_overwritten(checkout: Project) -> None:
    write(checkout.path, {"train.csv": "mine\n", "images/one.txt": "mine too"})
    step = pull(checkout)
    assert step.code == 2
    assert "would overwrite" in step.log
    assert "train.csv" in step.log
    assert (checkout.path / "train.csv").read_text() == "mine\n"
    assert (checkout.path / "images" / "one.txt").read_text() == "mine too"


def test_every_file_that_the_remote_lacks_is_named_with_its_hash(checkout: Project) -> None:
    lost = [path for path in checkout.objects() if path.read_bytes() in {b"one", b"a,b\n1,2\n3,4\n"}]
    for path in lost:
        path.unlink()
    step = pull(checkout)
    assert step.code == 3
    for name in ("train.csv", "images/one.txt"):
        assert f"`{name}` (" in step.log
    assert "`images/two.txt`" not in step.log
    assert "2 of 4 files are missing from `storage`" in step.log
    assert step.result["checks"][0]["status"] == "error"
    assert (step.outputs["verdict"], step.outputs["passed"]) == ("fail", "false")


def test_a_folder_whose_list_the_remote_lacks_is_named(checkout: Project) -> None:
    for path in checkout.objects():
        if path.name.endswith(".dir"):
            path.unlink()
    step = pull(checkout)
    assert step.code == 3
    assert "`images` (" in step.log


def test_no_dvc_repository_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    run(["git", "init", "--quiet"], folder)
    step = forked_step(folder, {"mode": "pull"})
    assert step.code == 2
    assert "There is no DVC repository here" in step.log
    assert "dvc init" in step.log


def test_no_remote_says_what_to_do(checkout: Project) -> None:
    (checkout.path / ".dvc" / "config").write_text("")
    step = pull(checkout)
    assert step.code == 2
    assert "The project has no default DVC remote" in step.log


def test_an_unknown_remote_is_answered_with_a_suggestion(checkout: Project) -> None:
    step = pull(checkout, remote="storge")
    assert step.code == 2
    assert "There is no DVC remote `storge` (input `remote`). Did you mean `storage`?" in step.log


def test_a_broken_dvc_file_is_named(checkout: Project) -> None:
    (checkout.path / "train.csv.dvc").write_text("outs:\n- md5: [\n")
    step = pull(checkout)
    assert step.code == 2
    assert "train.csv.dvc" in step.log
    assert "Traceback" not in step.log


def test_a_remote_that_cannot_be_reached_is_named_in_bounded_time(checkout: Project) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        checkout.dvc("remote", "modify", "storage", "url", "s3://bucket/data")
        checkout.dvc("remote", "modify", "storage", "endpointurl", address)
        step = forked_step(
            checkout.path,
            {"mode": "pull"},
            environ={"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hunter2hunter2"},
        )
    assert step.code == 3
    assert "The remote cannot be reached: `storage` (s3://bucket/data)" in step.log
    assert "hunter2" not in step.log


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(checkout: Project) -> None:
    write(checkout.path, {"large.bin": os.urandom(3_000_000)})
    checkout.dvc("add", "--quiet", "large.bin")
    checkout.dvc("push", "--quiet")
    (checkout.path / "large.bin").unlink()
    cached = [path for path in (checkout.path / ".dvc" / "cache").rglob("*") if path.is_file()]
    for path in cached:
        path.unlink()
    step = pull(checkout, file_bytes=1_000_000, targets="large.bin")
    assert step.code == 3
    assert "The disk is full" in step.log
    assert not (checkout.path / "large.bin").exists()


def test_a_project_in_a_folder_of_the_repository_is_fetched_and_compared_with_its_base(
    tmp_path: Path,
) -> None:
    project = new_project(tmp_path)
    inner = project.path / "models" / "one"
    inner.mkdir(parents=True)
    run(["git", "rm", "-rfq", "."], project.path)
    run(["rm", "-rf", ".dvc"], project.path)
    inner.mkdir(parents=True, exist_ok=True)
    sub = Project(inner, project.remote)
    sub.dvc("init", "--quiet", "--subdir")
    sub.dvc("remote", "add", "--quiet", "--default", "storage", str(project.remote))
    sub.commit({"train.csv": "a\n1\n"})
    sub.commit({"train.csv": "a\n1\n2\n"})
    clone = project.clone(tmp_path / "checkout")
    inputs = {"working-directory": "models/one", "targets": "train.csv", "base": "HEAD~1"}
    step = forked_step(clone.path, {"mode": "pull, stats", **inputs})
    assert step.code == 0, step.log
    assert (clone.path / "models" / "one" / "train.csv").read_text() == "a\n1\n2\n"
    assert "`train.csv`: 1 → 2 (+1) rows" in step.report
