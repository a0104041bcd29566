"""Data versions: what DVC tracks, what changed, and what was there at the base."""

from __future__ import annotations

from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cml_action.data import dvc_faults
from cml_action.data.repository import (
    by_path,
    hits,
    in_repository,
    is_wanted,
    opened,
    relative,
    remotes_of,
    tracked_by,
)
from cml_action.errors import CmlActionError, OutsideError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dvc.api import DVCFileSystem

    from cml_action.data.repository import Tracked
    from cml_action.log import Log


class MissingDataError(OutsideError):
    """What Git says was tracked is neither in the cache nor on the remote."""


def outputs(project: Path, revision: str | None = None) -> list[Tracked]:
    """Return what DVC tracks in the workspace, or at a revision, sorted by path."""
    from dvc.exceptions import NotDvcRepoError

    with opened(project, None) as (repo, _):
        prefix = in_repository(repo, project, ".")
        if revision is None:
            return tracked_by(repo, prefix)
        try:
            with repo.switch(revision):
                return tracked_by(repo, prefix)
        except CmlActionError:
            raise
        except NotDvcRepoError:  # its folder was not there yet
            return []
        except Exception as error:
            raise dvc_faults.translate([error], ()) from error


def edited(project: Path, tracked: Sequence[Tracked]) -> tuple[str, ...]:
    """Return the paths of what has other bytes in the workspace than DVC recorded, of some that it tracks.

    A file that DVC has seen before, with the same size and time, is not read again; one that is not here is
    not edited.
    """
    paths = {each.path for each in tracked}
    with opened(project, None) as (repo, _):
        prefix = in_repository(repo, project, ".")
        try:
            stages = chain.from_iterable(map(repo.stage.load_all, {each.source for each in tracked}))
            outs = by_path((out for stage in stages for out in stage.outs), prefix)
            asked = {path: out for path, out in sorted(outs.items()) if path in paths}
            return tuple(path for path, out in asked.items() if out.exists and out.changed_checksum())
        except Exception as error:
            raise dvc_faults.translate([error], ()) from error


def is_repository(project: Path) -> bool:
    """Whether DVC would find a repository of its own here or above."""
    return any((folder / ".dvc").is_dir() for folder in (project, *project.parents))


def read_base(
    project: Path, revision: str, name: str, destination: Path, *, remote: str | None, log: Log
) -> None:
    """Bring a tracked file, folder or glob as it was at a revision into a private folder, under its own path.

    What Git holds of it comes along. It is taken from the cache, else from the remote.

    :param destination: an empty folder: DVC puts a folder into one of its name that is there.
    :raises MissingDataError: neither the cache nor the remote has it.
    :raises OutsideError: the remote refuses, or cannot be reached.
    """
    from dvc.api import DVCFileSystem

    with opened(project, remote) as (repo, heard):
        inside, prefix = in_repository(repo, project, name), in_repository(repo, project, ".")
        config = repo.config
        try:
            with repo.switch(revision):  # by address, DVC opens what lies at Git's root
                repo.config = config  # the remotes are where they are now
                files = DVCFileSystem(repo=repo)
                places = [f"/{inside}"] if files.exists(f"/{inside}") else _matches(files, f"/{inside}")
                with log.progress(f"Fetching {name} of the base", total=len(places), unit="files") as bar:
                    for place in places:
                        target = destination / relative(PurePosixPath(place.lstrip("/")), prefix)
                        target.parent.mkdir(parents=True, exist_ok=True)
                        files.get(place, str(target), recursive=True)
                        bar.advance()
        except FileNotFoundError as error:
            raise MissingDataError(
                f"`{name}` as it was at {revision[:7]} is neither in the cache nor on the remote: {error}.",
                "Push it from where it was made: `dvc push --all-commits`.",
            ) from error
        except Exception as error:
            raise dvc_faults.translate([error, *heard.errors], remotes_of(repo, remote)) from error


def _matches(files: DVCFileSystem, pattern: str) -> list[str]:
    """Return the files that a glob matches; of a folder too, each file would be brought twice."""
    return [path for path, info in files.glob(pattern, detail=True).items() if info["type"] == "file"]


def cache_directories(project: Path) -> tuple[Path, ...]:
    """Return the folders in which DVC keeps data, where a tracked file may be a link to."""
    with opened(project, None) as (repo, _):
        return (Path(repo.cache.local.path).resolve(),)


def covers(tracked: Sequence[Tracked], name: str) -> bool:
    """Whether a path, folder or glob stands for anything that DVC tracks."""
    return bool(hits(name, tracked))


def versions(tracked: Sequence[Tracked], name: str) -> dict[str, str]:
    """Return what DVC tracks of a file, folder or glob, or around it: the hashes by their paths."""
    found = hits(name, tracked)
    return {each.path: each.hash for each in tracked if found and is_wanted(each, found)}
