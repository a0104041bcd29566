"""Tables that cannot be read, through the program as a step runs it: a sentence, and nothing lost."""

from __future__ import annotations

import gzip
import hashlib
import os
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tests.services.forked import forked_step
from tests.services.githttp import git
from tests.services.tables import written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.services.runner import Step

GOOD = "id,species\n1,Adelie\n2,Gentoo\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    written(tmp_path / "workspace" / "data" / "good.csv", GOOD)
    return tmp_path / "workspace"


def stats(workspace: Path, data: str, *, file_bytes: int | None = None, **inputs: str) -> Step:
    """Run the mode, and see that what was there is there still, whole."""
    before = contents(workspace)
    step = forked_step(workspace, {"mode": "stats", "data": data, **inputs}, file_bytes=file_bytes)
    assert contents(workspace) == before
    assert "Traceback" not in step.log + step.errors
    assert not list((workspace.parent / "_temp").glob("cml-action-*/profile-*"))
    return step


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".git/" not in str(path)
    }


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def a_parquet(folder: Path) -> bytes:
    return written(
        folder / "whole.parquet", pa.table({"a": list(range(1000)), "b": ["x"] * 1000})
    ).read_bytes()


MANY = "a,b\n" + "".join(f"{at},{at * 7919 % 1000}\n" for at in range(20_000))
BAD: dict[str, tuple[bytes | Callable[[Path], bytes], str]] = {
    "empty.csv": (b"", "`bad/empty.csv` is empty: it has 0 bytes"),
    "ragged.csv": (
        b"a,b\n1,2\n3,4,5\n",
        "`bad/ragged.csv` has 3 fields in line 3, but the header has 2: `3,4,5`",
    ),
    "short.csv": (b"a,b\n1,2\n3\n", "`bad/short.csv` has 1 fields in line 3, but the header has 2"),
    "latin1.csv": (
        b"a,b\n1,2\n2,M\xfcller\n",
        "`bad/latin1.csv` is not UTF-8: byte 11 (0xfc) in line 3",
    ),
    "quote.csv": (b'a,b\n1,"x\n2,y\n', "`bad/quote.csv` has a quoted field that goes wrong"),
    "headless.csv": (b"\n1,2\n", "`bad/headless.csv` has no header: its first line is empty"),
    "half.parquet": (lambda folder: half(a_parquet(folder)), "`bad/half.parquet` is cut short"),
    "not.parquet": (b"a,b\n1,2\n", "`bad/not.parquet` is not a Parquet file"),
    "half.csv.gz": (half(gzip.compress(MANY.encode())), "is cut short or damaged inside its compression"),
    "plain.csv.gz": (b"a,b\n1,2\n", "is cut short or damaged inside its compression"),
    "half.arrow": (
        lambda folder: half(written(folder / "whole.arrow", pa.table({"a": list(range(1000))})).read_bytes()),
        "`bad/half.arrow` is cut short or not an Arrow file",
    ),
    "broken.jsonl": (
        b'{"a":1}\n{"a":2\n{"a":3}\n',
        "`bad/broken.jsonl` holds something else than one JSON object in line 2",
    ),
    "list.jsonl": (b'{"a":1}\n[1,2]\n', "in line 2: `[1,2]`"),
    "nothing.jsonl": (
        b"\n\n",
        "`bad/nothing.jsonl` cannot be read as jsonl: it holds no JSON object with a key",
    ),
    "notes.txt": (b"hello\n", "`bad/notes.txt` is not of a known kind of table"),
    "train.csv.dvc": (b"outs: []\n", "`bad/train.csv.dvc` is a DVC pointer, not data"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_a_table_that_cannot_be_read_is_told_in_a_sentence(
    workspace: Path, tmp_path: Path, name: str
) -> None:
    content, message = BAD[name]
    (workspace / "bad").mkdir()
    made = content if isinstance(content, bytes) else content(tmp_path / "made")
    (workspace / "bad" / name).write_bytes(made)
    step = stats(workspace, f"bad/{name}")
    assert step.code == 2, step.log
    assert message in step.log
    assert step.result["checks"][0]["status"] == "error"
    assert step.outputs["passed"] == "false"
    assert message.split("`")[1] in step.report if message.startswith("`") else True


def test_what_is_not_there_is_answered_with_what_may_be_meant(workspace: Path) -> None:
    step = stats(workspace, "data/god.csv")
    assert step.code == 2
    assert "There is no file, folder or match for `data/god.csv`" in step.log
    assert "Did you mean `data/good.csv`?" in step.log


def test_what_was_read_before_the_fault_is_in_the_report(workspace: Path) -> None:
    written(workspace / "bad.csv", "a,b\n1\n")
    step = stats(workspace, "data/good.csv, bad.csv")
    assert step.code == 2
    assert "bad.csv" in step.report


def test_a_label_that_is_not_there_is_answered_with_a_suggestion(workspace: Path) -> None:
    step = stats(workspace, "data/good.csv", label="speces")
    assert step.code == 2
    assert "`data/good.csv` has no column `speces`, which `label` names." in step.log
    assert "Did you mean `species`? Its columns are: `id`, `species`." in step.log


def test_kinds_do_not_mix_and_a_folder_without_tables_is_named(workspace: Path) -> None:
    written(workspace / "mixed" / "a.csv", GOOD)
    written(workspace / "mixed" / "b.jsonl", '{"a":1}\n')
    step = stats(workspace, "mixed")
    assert step.code == 2
    assert "`mixed` holds tables of several kinds: csv (`mixed/a.csv`), jsonl (`mixed/b.jsonl`)" in step.log
    written(workspace / "texts" / "a.md", "no table")
    step = stats(workspace, "texts")
    assert (step.code, "There is no table in `texts`" in step.log) == (2, True)


def test_files_of_one_data_set_have_the_same_columns(workspace: Path) -> None:
    written(workspace / "parts" / "1.csv", GOOD)
    written(workspace / "parts" / "2.csv", "id,kind\n3,Adelie\n")
    step = stats(workspace, "parts")
    assert step.code == 2
    assert "`parts/2.csv` lacks `species` and has `kind` besides" in step.log


@pytest.mark.parametrize("asked", ["../outside.csv", "link.csv", "linked"])
def test_nothing_outside_of_the_project_is_read(workspace: Path, asked: str) -> None:
    written(workspace.parent / "outside.csv", "secret\n1\n")
    (workspace / "link.csv").symlink_to(workspace.parent / "outside.csv")
    (workspace / "linked").symlink_to(workspace.parent)
    step = stats(workspace, asked)
    assert step.code == 2
    assert "secret" not in step.log + step.report


def test_data_that_was_not_pulled_says_so(workspace: Path) -> None:
    written(workspace / "data" / "train.csv.dvc", "outs:\n- md5: 0\n  path: train.csv\n")
    step = stats(workspace, "data/train.csv")
    assert step.code == 2
    assert "`data/train.csv` is not here, but DVC tracks it in `data/train.csv.dvc`." in step.log
    assert "Pull it first" in step.log


def test_nothing_to_profile_says_what_to_name(workspace: Path) -> None:
    step = stats(workspace, "")
    assert step.code == 2
    assert "There is nothing to profile" in step.log


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(workspace: Path) -> None:
    path = written(workspace / "closed.csv", GOOD)
    path.chmod(0)
    step = forked_step(workspace, {"mode": "stats", "data": "closed.csv"})
    assert (step.code, "`closed.csv` may not be read" in step.log) == (2, True)


def test_a_full_disk_is_a_sentence(workspace: Path) -> None:
    written(workspace / "big.csv.bz2", "a,b\n" + "1,2\n" * 400_000)
    step = stats(workspace, "big.csv.bz2", file_bytes=1_000_000)
    assert step.code == 3, step.log
    assert "The disk is full: no room is left for the temporary files that `big.csv.bz2` needs." in step.log


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        (["--depth=1"], "`fetch-depth: 0` of `actions/checkout` brings"),
        ([], "Name a branch, a tag or a commit"),
    ],
)
def test_a_base_that_is_not_in_the_clone_is_named_with_what_helps(
    workspace: Path, tmp_path: Path, options: list[str], fix: str
) -> None:
    git(["init", "--quiet"], workspace)
    for message in ("One", "Two"):
        git(["add", "."], workspace)
        git(["commit", "--quiet", "--allow-empty", "-m", message], workspace)
    clone = tmp_path / "clone"
    git(["clone", "--quiet", *options, workspace.as_uri(), str(clone)], tmp_path)
    step = stats(clone, "data/good.csv", base="v9")
    assert step.code == 2
    assert "The revision `v9` (input `base`) is not in this clone." in step.log
    assert fix in step.log
