"""What a model's folder is known by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cml_action.errors import UsageError
from cml_action.model.digest import digest, manifest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two versions of weights, and a link to one of them."""
    made = tmp_path / "model"
    for name in ("v1", "v2"):
        (made / name).mkdir(parents=True)
        (made / name / "weights").write_text(name)
    (made / "latest").symlink_to("v1")
    return made


def test_files_that_dvc_links_to_its_cache_count_as_if_they_lay_there(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "cache").mkdir()
    before = digest(folder)
    (folder / "v1" / "weights").rename(tmp_path / "cache" / "ab")
    (folder / "v1" / "weights").symlink_to(tmp_path / "cache" / "ab")
    assert digest(folder, allowed=[tmp_path / "cache"]) == before
    with pytest.raises(UsageError, match="is a link that leads out of the model's folder"):
        digest(folder)


def test_a_link_to_a_folder_elsewhere_is_refused_in_dvcs_cache_too(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "cache").mkdir()
    (folder / "more").symlink_to(tmp_path / "cache")
    with pytest.raises(UsageError, match=r"`.*/more` is a link that leads out"):
        digest(folder, allowed=[tmp_path / "cache"])


def test_a_link_to_another_of_its_folders_makes_it_another_model(folder: Path) -> None:
    before = digest(folder)
    assert [line.split("  ")[1] for line in manifest(folder).splitlines()] == [
        *("v1/weights", "v2/weights", "latest/")
    ]
    (folder / "latest").unlink()
    (folder / "latest").symlink_to("v2")
    assert digest(folder) != before
