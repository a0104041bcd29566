"""Fetching what DVC tracks into the cache and the workspace."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cml_action.data import dvc_faults
from cml_action.data.repository import hits, in_repository, is_wanted, opened, remotes_of, tracked_by
from cml_action.data.watch import watched
from cml_action.errors import OutsideError, UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dvc.repo import Repo

    from cml_action.data.repository import Heard, Tracked
    from cml_action.log import Log
    from cml_action.report import Json

#: So many missing files are named; the others are counted.
_MOST_NAMED = 20


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What a pull did.

    :param fetched_files: how many came from the remote, and their bytes; `present_*`: what was here already.
    :param remotes: name and address of each remote, without credentials.
    :param targets: what was asked for and is in the workspace now.
    """

    fetched_files: int = 0
    fetched_bytes: int = 0
    present_files: int = 0
    seconds: float = 0.0
    remotes: tuple[tuple[str, str], ...] = ()
    targets: tuple[Tracked, ...] = ()
    added: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        """Return the same for `result.json`."""
        return {
            "files": self.fetched_files,
            "bytes": self.fetched_bytes,
            "files_present": self.present_files,
            "seconds": round(self.seconds, 3),
            "remotes": [{"name": name, "url": url} for name, url in self.remotes],
            "targets": [{"path": each.path, "hash": each.hash} for each in self.targets],
        }


@dataclass(frozen=True)
class _Object:
    """One object of the cache that is wanted: a file, or the list of a folder's files."""

    path: str
    hash: str
    cached_at: str

    @property
    def here(self) -> bool:
        return os.path.exists(self.cached_at)  # noqa: PTH110 -- many of them, a path object each is slow


def pull(project: Path, *, targets: Sequence[str], remote: str | None, jobs: int | None, log: Log) -> Pulled:
    """Fetch what DVC tracks into the cache and the workspace; what is there already is not fetched again.

    A file that was changed in the workspace and is in no cache is never overwritten.

    :param targets: tracked paths, folders above or inside them, `.dvc` files, stages or globs; all if empty.
    :raises UsageError: a target or remote that is not there, changes that would be lost, no repository.
    :raises OutsideError: the remote refuses, cannot be reached, or lacks files: each of them is named.
    """
    began = time.monotonic()
    with opened(project, remote) as (repo, heard):
        tracked = tracked_by(repo, in_repository(repo, project, "."))
        wanted = _resolve(targets, tracked, repo)
        before = _objects(repo, wanted, heard)
        missing = [each for each in before if not each.here]
        here = {each.cached_at for each in before} - {each.cached_at for each in missing}
        asked = tuple(each for each in tracked if not wanted or is_wanted(each, wanted))
        if missing:
            total = sum(each.size_bytes or 0 for each in asked)
            with watched(
                log, f"Fetching {len(missing):,} objects", [each.cached_at for each in missing], total
            ):
                _fetch(repo, wanted, remote, jobs, heard)
        after = _objects(repo, wanted, heard)  # a folder whose list was not here did not show its files
        _complain_of_missing(after, len(missing), heard, remotes_of(repo, remote))
        checked_out = _checkout(repo, wanted)
        fetched = [each for each in after if each.cached_at not in here]
        return Pulled(
            fetched_files=len(fetched),
            fetched_bytes=sum(_size(each.cached_at) for each in fetched),
            present_files=len(after) - len(fetched),
            seconds=time.monotonic() - began,
            remotes=remotes_of(repo, remote) if fetched else (),
            targets=asked,
            **checked_out,
        )


def _resolve(targets: Sequence[str], tracked: Sequence[Tracked], repo: Repo) -> list[str]:
    """Return targets as DVC takes them; paths that stand for several outputs become those outputs."""
    found: list[str] = []
    for target in targets:
        stood = hits(target, tracked) or ([target] if target in _stage_names(repo) else [])
        if not stood:
            known = [name for each in tracked for name in (each.path, each.source)]
            raise UsageError(
                f"DVC tracks nothing by the name `{target}`.{suggestion(target, known)}",
                "Name a tracked path, a folder above or inside one, a `.dvc` file, a stage or a glob.",
            )
        found += [hit for hit in stood if hit not in found]
    return found


def _stage_names(repo: Repo) -> set[str]:
    return {
        name for stage in repo.index.stages for name in (getattr(stage, "name", ""), stage.addressing) if name
    }


def _objects(repo: Repo, wanted: Sequence[str], heard: Heard) -> list[_Object]:
    """List every object that the targets need: files, and the lists of folders."""
    from dvc.repo.index import index_from_targets

    try:
        view = index_from_targets(repo, list(wanted) or None)
        data = view.data["repo"]
        data.onerror = lambda _, error: heard.errors.append(error)
        found: dict[str, _Object] = {}
        for key, entry in data.iteritems():
            if not entry.hash_info or not entry.hash_info.value:
                continue
            try:
                _, place = data.storage_map.get_cache(entry)
            except ValueError:  # kept in no cache: an import, or `cache: false`
                continue
            found.setdefault(place, _Object("/".join(key), str(entry.hash_info.value), place))
    except Exception as error:
        raise dvc_faults.translate([error], remotes_of(repo, None)) from error
    return list(found.values())


def _fetch(repo: Repo, wanted: Sequence[str], remote: str | None, jobs: int | None, heard: Heard) -> None:
    from dvc.exceptions import DownloadError

    try:
        repo.fetch(targets=list(wanted) or None, jobs=jobs, remote=remote)
    except DownloadError as error:  # how many failed; which, is found out by looking
        heard.errors.append(error)
    except Exception as error:
        raise dvc_faults.translate([error, *heard.errors], remotes_of(repo, remote)) from error


def _complain_of_missing(
    objects: Sequence[_Object], wanted: int, heard: Heard, remotes: tuple[tuple[str, str], ...]
) -> None:
    missing = [each for each in objects if not each.here]
    # DVC stores a folder's list only after all of its files: a list alone is not what is missing.
    missing = [each for each in missing if not _is_list_of(each, missing)]
    if not missing:
        return
    fault = dvc_faults.understood(heard.errors, remotes)
    if fault:
        raise fault
    if not remotes:
        raise dvc_faults.no_remote()
    named = [f"`{each.path}` ({each.hash})" for each in missing[:_MOST_NAMED]]
    if len(missing) > _MOST_NAMED:
        named.append(f"and {len(missing) - _MOST_NAMED:,} more")
    place = dvc_faults.named(remotes)
    raise OutsideError(
        f"{len(missing):,} of {wanted:,} files are missing from {place}: {', '.join(named)}.",
        "Push them from where they were made with `dvc push`, then run again; what was fetched is kept.",
    )


def _is_list_of(each: _Object, others: Sequence[_Object]) -> bool:
    return each.hash.endswith(".dir") and any(other.path.startswith(f"{each.path}/") for other in others)


def _checkout(repo: Repo, wanted: Sequence[str]) -> dict[str, Any]:
    from dvc.exceptions import CheckoutError

    try:
        done = repo.checkout(targets=list(wanted) or None, force=False)
    except CheckoutError as error:
        raise OutsideError(
            f"DVC could not put into the workspace: {', '.join(error.target_infos)}.", "Is the disk full?"
        ) from error
    except Exception as error:
        raise dvc_faults.translate([error], ()) from error
    return {kind: tuple(done[kind]) for kind in ("added", "modified", "deleted")}


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 -- many of them
    except OSError:
        return 0
