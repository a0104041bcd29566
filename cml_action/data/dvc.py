"""Data versions: what DVC tracks, what changed, fetching it, and reading it as it was at the base.

DVC is used through its Python API, in this process. Two of its habits are kept away from users: it draws
progress bars of its own on standard error, and it logs the cause of a failed transfer instead of raising it.
"""

from __future__ import annotations

import contextlib
import fnmatch
import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cml_action.data import dvc_faults
from cml_action.data.watch import watched
from cml_action.errors import CmlActionError, OutsideError, UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from dvc.output import Output
    from dvc.repo import Repo

    from cml_action.log import Log
    from cml_action.report import Json

#: Seconds to wait for a connection where the project's configuration does not say; DVC's own is 60, times 5.
_CONNECT_S = 10
#: Remotes whose clients know `connect_timeout` (DVC's configuration reference).
_WITH_TIMEOUT = ("s3://",)
#: So many missing files are named; the others are counted.
_MOST_NAMED = 20
_LOGGERS = ("dvc", "dvc_data", "dvc_objects")
#: Loggers by whose level DVC decides whether to draw bars (`dvc.progress.Tqdm`, `dvc_data.callbacks.Tqdm`).
_BARS = ("dvc.progress", "dvc_data.callbacks")


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """A file or folder that DVC tracks.

    :param path: relative to the project, with `/`.
    :param hash: as DVC writes it, `md5:…`, a folder's ending in `.dir`; empty where nothing was recorded.
    :param size_bytes: None where DVC did not record it; `files`: 1 for a file.
    :param source: the `.dvc` file or `dvc.yaml` that names it, relative to the project.
    """

    path: str
    hash: str
    size_bytes: int | None
    files: int | None
    is_dir: bool
    source: str


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What a pull did.

    :param fetched_files: how many came from the remote, and their bytes; `present_*`: what was here already.
    :param remotes: name and address of each remote, without credentials.
    :param targets: what was asked for and is in the workspace now.
    """

    fetched_files: int
    fetched_bytes: int
    present_files: int
    seconds: float
    remotes: tuple[tuple[str, str], ...]
    targets: tuple[Tracked, ...]
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


class MissingDataError(OutsideError):
    """What Git says was tracked is neither in the cache nor on the remote."""


@dataclass
class _Heard:
    """Errors that DVC logged or handed to a callback instead of raising them."""

    errors: list[BaseException] = field(default_factory=list)


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
    with _opened(project, remote) as (repo, heard):
        tracked = _tracked(repo, _in_repository(repo, project, "."))
        wanted = _resolve(targets, tracked, repo)
        if targets and not wanted:
            return Pulled(
                fetched_files=0, fetched_bytes=0, present_files=0, seconds=0.0, remotes=(), targets=()
            )
        before = _objects(repo, wanted, heard)
        missing = [each for each in before if not each.here]
        here = {each.cached_at for each in before} - {each.cached_at for each in missing}
        asked = tuple(each for each in tracked if not wanted or _is_wanted(each, wanted))
        if missing:
            total = sum(each.size_bytes or 0 for each in asked)
            with watched(
                log, f"Fetching {len(missing):,} objects", [each.cached_at for each in missing], total
            ):
                _fetch(repo, wanted, remote, jobs, heard)
        after = _objects(repo, wanted, heard)  # a folder whose list was not here did not show its files
        _complain_of_missing(after, len(missing), heard, _remotes(repo, remote))
        checked_out = _checkout(repo, wanted)
        fetched = [each for each in after if each.cached_at not in here]
        return Pulled(
            fetched_files=len(fetched),
            fetched_bytes=sum(_size(each.cached_at) for each in fetched),
            present_files=len(after) - len(fetched),
            seconds=time.monotonic() - began,
            remotes=_remotes(repo, remote) if fetched else (),
            targets=asked,
            **checked_out,
        )


def outputs(project: Path, revision: str | None = None) -> list[Tracked]:
    """Return what DVC tracks in the workspace, or at a revision, sorted by path."""
    with _opened(project, None) as (repo, _):
        prefix = _in_repository(repo, project, ".")
        if revision is None:
            return _tracked(repo, prefix)
        try:
            with repo.switch(revision):  # the repository's root is `/` in there
                return _tracked(repo, prefix)
        except CmlActionError:
            raise
        except Exception as error:
            raise dvc_faults.translate([error], ()) from error


def edited(project: Path, paths: Collection[str]) -> tuple[str, ...]:
    """Return those of some tracked paths whose bytes in the workspace are not those that DVC recorded.

    A file that DVC has seen before, with the same size and time, is not read again; one that is not here is
    not edited.
    """
    with _opened(project, None) as (repo, _):
        prefix = _in_repository(repo, project, ".")
        found = []
        for out in repo.index.outs:
            path = _relative(PurePosixPath(*out.index_key[1]), prefix)
            if path in paths and out.exists and out.changed_checksum():
                found.append(path)
        return tuple(found)


def is_repository(project: Path) -> bool:
    """Whether DVC would find a repository of its own here or above."""
    return any((folder / ".dvc").is_dir() for folder in (project, *project.parents))


def read_base(
    project: Path, revision: str, name: str, destination: Path, *, remote: str | None, log: Log
) -> None:
    """Bring a tracked file, folder or glob as it was at a revision into a private folder, under its own path.

    It is taken from the cache, else from the remote.

    :raises MissingDataError: neither the cache nor the remote has it.
    :raises OutsideError: the remote refuses, or cannot be reached.
    """
    from dvc.api import DVCFileSystem

    with _opened(project, remote) as (repo, heard):
        inside, prefix = _in_repository(repo, project, name), _in_repository(repo, project, ".")
        config = {"core": {"remote": remote}} if remote else None
        try:
            files = DVCFileSystem(url=repo.root_dir, rev=revision, config=config)
            # A pattern without its root matches nothing there.
            places = [inside] if files.exists(inside) else files.glob(f"/{inside}")
            with log.progress(f"Fetching {name} of the base", total=len(places), unit="files") as bar:
                for place in places:
                    target = destination / _relative(PurePosixPath(place.lstrip("/")), prefix)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    files.get(place, str(target), recursive=True)
                    bar.advance()
        except FileNotFoundError as error:
            raise MissingDataError(
                f"`{name}` as it was at {revision[:7]} is neither in the cache nor on the remote: {error}.",
                "Push it from where it was made: `dvc push --all-commits`.",
            ) from error
        except Exception as error:
            raise dvc_faults.translate([error, *heard.errors], _remotes(repo, remote)) from error


def cache_directories(project: Path) -> tuple[Path, ...]:
    """Return the folders in which DVC keeps data, where a tracked file may be a link to."""
    with _opened(project, None) as (repo, _):
        return (Path(repo.cache.local.path).resolve(),)


@contextlib.contextmanager
def _opened(project: Path, remote: str | None) -> Iterator[tuple[Repo, _Heard]]:
    """Open the repository that holds a project, with DVC's own voice turned off and its errors kept."""
    from dvc.repo import Repo

    heard = _Heard()
    previous = Path.cwd()
    with _quiet(heard):
        try:
            os.chdir(project)  # DVC reads targets relative to the working directory
            repo = Repo(str(project))
        except Exception as error:
            os.chdir(previous)
            raise dvc_faults.translate([error], ()) from error
        try:
            with contextlib.closing(repo):
                _check_remote(repo, remote)
                yield repo, heard
        finally:
            os.chdir(previous)


@contextlib.contextmanager
def _quiet(heard: _Heard) -> Iterator[None]:
    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.exc_info[1]:
                heard.errors.append(record.exc_info[1])

    ear = Ear(level=logging.DEBUG)
    saved = {}
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        saved[name] = (logger.level, logger.propagate, logger.handlers[:])
        logger.handlers[:] = [ear]
        logger.propagate = False
        logger.setLevel(logging.DEBUG)  # a failed transfer is logged at this level by some of them
    for name in _BARS:
        logger = logging.getLogger(name)
        saved[name] = (logger.level, logger.propagate, logger.handlers[:])
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, (level, propagate, handlers) in saved.items():
            logger = logging.getLogger(name)
            logger.setLevel(level)
            logger.propagate = propagate
            logger.handlers[:] = handlers


def _check_remote(repo: Repo, remote: str | None) -> None:
    known = repo.config.get("remote", {})
    for settings in known.values():
        if str(settings.get("url", "")).startswith(_WITH_TIMEOUT):
            settings.setdefault("connect_timeout", _CONNECT_S)
    if remote and remote not in known:
        names = ", ".join(f"`{name}`" for name in known) or "none"
        raise UsageError(
            f"There is no DVC remote `{remote}` (input `remote`).{suggestion(remote, known)}",
            f"The project's remotes: {names}. `dvc remote add` makes one.",
        )


def _tracked(repo: Repo, prefix: str) -> list[Tracked]:
    found = []
    try:
        outs = list(repo.index.outs)
    except Exception as error:
        raise dvc_faults.translate([error], ()) from error
    for out in outs:
        workspace, key = out.index_key
        if workspace == "repo" and out.use_cache:
            found.append(_one(repo, prefix, out, key))
    return sorted(found, key=lambda each: each.path)


def _one(repo: Repo, prefix: str, out: Output, key: tuple[str, ...]) -> Tracked:
    hashed, meta = out.hash_info, out.meta
    source = PurePosixPath(*repo.fs.parts(repo.fs.relpath(out.stage.path, repo.root_dir)))
    return Tracked(
        path=_relative(PurePosixPath(*key), prefix),
        hash=f"{hashed.name}:{hashed.value}" if hashed and hashed.value else "",
        size_bytes=meta.size if meta else None,
        files=meta.nfiles if meta and meta.isdir else 1,
        is_dir=bool(hashed and hashed.isdir),
        source=_relative(source, prefix),
    )


def _relative(path: PurePosixPath, prefix: str) -> str:
    return Path(os.path.relpath(path, prefix or ".")).as_posix()


def _in_repository(repo: Repo, project: Path, path: str) -> str:
    """Return a project's path relative to the root of the DVC repository."""
    inside = Path(os.path.relpath(project / path, Path(repo.root_dir).resolve())).as_posix()
    return "" if inside == "." else inside


def covers(tracked: Sequence[Tracked], name: str) -> bool:
    """Whether a path, folder or glob stands for anything that DVC tracks."""
    return bool(_hits(name, tracked))


def versions(tracked: Sequence[Tracked], name: str) -> dict[str, str]:
    """Return what DVC tracks of a file, folder or glob, or around it: the hashes by their paths."""
    hits = _hits(name, tracked)
    return {each.path: each.hash for each in tracked if hits and _is_wanted(each, hits)}


def _resolve(targets: Sequence[str], tracked: Sequence[Tracked], repo: Repo) -> list[str]:
    """Return targets as DVC takes them; paths that stand for several outputs become those outputs."""
    found: list[str] = []
    for target in targets:
        hits = _hits(target, tracked) or ([target] if target in _stage_names(repo) else [])
        if not hits:
            known = [name for each in tracked for name in (each.path, each.source)]
            raise UsageError(
                f"DVC tracks nothing by the name `{target}`.{suggestion(target, known)}",
                "Name a tracked path, a folder above or inside one, a `.dvc` file, a stage or a glob.",
            )
        found += [hit for hit in hits if hit not in found]
    return found


def _hits(target: str, tracked: Sequence[Tracked]) -> list[str]:
    """Return the tracked paths that a name stands for; a path inside a tracked folder stands for itself."""
    name = PurePosixPath(os.path.normpath(target)).as_posix()
    inside = [name for each in tracked if each.is_dir and name.startswith(f"{each.path}/")]
    return inside or [
        each.path
        for each in tracked
        if name in {".", each.path, each.source}
        or each.path.startswith(f"{name}/")
        or fnmatch.fnmatchcase(each.path, name)
        or fnmatch.fnmatchcase(each.path, name.replace("**/", ""))  # which stands for no folder, too
        or fnmatch.fnmatchcase(each.source, name)
    ]


def _is_wanted(each: Tracked, wanted: Sequence[str]) -> bool:
    return any(name == each.path or name.startswith(f"{each.path}/") for name in wanted)


def _stage_names(repo: Repo) -> set[str]:
    return {
        name for stage in repo.index.stages for name in (getattr(stage, "name", ""), stage.addressing) if name
    }


def _objects(repo: Repo, wanted: Sequence[str], heard: _Heard) -> list[_Object]:
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
        raise dvc_faults.translate([error], _remotes(repo, None)) from error
    return list(found.values())


def _fetch(repo: Repo, wanted: Sequence[str], remote: str | None, jobs: int | None, heard: _Heard) -> None:
    from dvc.exceptions import DownloadError

    try:
        repo.fetch(targets=list(wanted) or None, jobs=jobs, remote=remote)
    except DownloadError as error:  # how many failed; which, is found out by looking
        heard.errors.append(error)
    except Exception as error:
        raise dvc_faults.translate([error, *heard.errors], _remotes(repo, remote)) from error


def _complain_of_missing(
    objects: Sequence[_Object], wanted: int, heard: _Heard, remotes: tuple[tuple[str, str], ...]
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


def _remotes(repo: Repo, remote: str | None) -> tuple[tuple[str, str], ...]:
    name = remote or repo.config.get("core", {}).get("remote")
    settings = repo.config.get("remote", {}).get(name, {})
    return ((name, dvc_faults.without_credentials(str(settings.get("url", "")))),) if name else ()


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 -- many of them
    except OSError:
        return 0
