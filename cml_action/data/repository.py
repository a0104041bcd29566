"""An open DVC repository: what it tracks, by which names, and from which remotes.

DVC is used through its Python API, in this process. Two of its habits are kept away from users: it draws
progress bars of its own on standard error, and it logs the cause of a failed transfer instead of raising it.
"""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cml_action.data import dvc_faults
from cml_action.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dvc.output import Output
    from dvc.repo import Repo

#: Seconds to wait for a connection where the project's configuration does not say; DVC's own is 60, times 5.
_CONNECT_S = 10
#: Remotes whose clients know `connect_timeout` (DVC's configuration reference).
_WITH_TIMEOUT = ("s3://",)
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


@dataclass
class Heard:
    """Errors that DVC logged or handed to a callback instead of raising them."""

    errors: list[BaseException] = field(default_factory=list)


@contextlib.contextmanager
def opened(project: Path, remote: str | None) -> Iterator[tuple[Repo, Heard]]:
    """Open the repository that holds a project, with DVC's own voice turned off and its errors kept."""
    from dvc.repo import Repo

    heard = Heard()
    previous = Path.cwd()
    with _quiet(heard):
        try:
            os.chdir(project)  # DVC reads targets relative to the working directory
            repo = Repo(str(project), remote=remote)
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
def _quiet(heard: Heard) -> Iterator[None]:
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


def tracked_by(repo: Repo, prefix: str) -> list[Tracked]:
    """Return what DVC tracks, sorted by path. `prefix`: where the project lies in the repository.

    Each `.dvc` file is read for that: a thousand take seconds.
    """
    try:
        outs = by_path(repo.index.outs, prefix)
    except Exception as error:
        raise dvc_faults.translate([error], ()) from error
    return [_one(repo, prefix, path, out) for path, out in sorted(outs.items())]


def by_path(outs: Iterable[Output], prefix: str) -> dict[str, Output]:
    """Return DVC's own objects for what it tracks, by path; see `tracked_by`."""
    found = {}
    for out in outs:
        workspace, key = out.index_key
        if workspace == "repo" and out.use_cache:
            found[relative(PurePosixPath(*key), prefix)] = out
    return found


def _one(repo: Repo, prefix: str, path: str, out: Output) -> Tracked:
    hashed, meta = out.hash_info, out.meta
    source = PurePosixPath(*repo.fs.parts(repo.fs.relpath(out.stage.path, repo.root_dir)))
    return Tracked(
        path=path,
        hash=f"{hashed.name}:{hashed.value}" if hashed and hashed.value else "",
        size_bytes=meta.size if meta else None,
        files=meta.nfiles if meta and meta.isdir else 1,
        is_dir=bool(hashed and hashed.isdir),
        source=relative(source, prefix),
    )


def relative(path: PurePosixPath, prefix: str) -> str:
    """Return a path of the repository relative to the project, with `/`."""
    return Path(os.path.relpath(path, prefix or ".")).as_posix()


def in_repository(repo: Repo, project: Path, path: str) -> str:
    """Return a project's path relative to the root of the DVC repository."""
    inside = Path(os.path.relpath(project / path, Path(repo.root_dir).resolve())).as_posix()
    return "" if inside == "." else inside


def hits(target: str, tracked: Sequence[Tracked]) -> list[str]:
    """Return the tracked paths that a name stands for; a path inside a tracked folder stands for itself.

    A glob that may match something inside a tracked folder stands for the folder: what lies in it is not
    known here.
    """
    name = PurePosixPath(os.path.normpath(target)).as_posix()
    below = f"{name}/"
    known = [
        each.path for each in tracked if name in (".", each.path, each.source) or each.path.startswith(below)
    ]
    if name == glob.escape(name):
        inside = [name for each in tracked if each.is_dir and name.startswith(f"{each.path}/")]
        return inside or known
    pattern = name.split("/")
    return known or [
        each.path
        for each in tracked
        if _may_match(pattern, each.path.split("/"), is_dir=each.is_dir)
        or _may_match(pattern, each.source.split("/"), is_dir=False)
    ]


def _may_match(pattern: Sequence[str], path: Sequence[str], *, is_dir: bool) -> bool:
    """Whether a glob matches a path, segment by segment, or may match something inside a folder."""
    if not path:
        return is_dir or all(segment == "**" for segment in pattern)
    if not pattern:
        return False
    if pattern[0] == "**" and _may_match(pattern[1:], path, is_dir=is_dir):
        return True
    rest = pattern if pattern[0] == "**" else pattern[1:]
    return fnmatch.fnmatchcase(path[0], pattern[0]) and _may_match(rest, path[1:], is_dir=is_dir)


def is_wanted(each: Tracked, wanted: Sequence[str]) -> bool:
    """Whether something tracked is one of some paths, or has one of them inside."""
    return any(name == each.path or name.startswith(f"{each.path}/") for name in wanted)


def remotes_of(repo: Repo, remote: str | None) -> tuple[tuple[str, str], ...]:
    """Return name and address of the remote that is used, without credentials; () without one."""
    name = remote or repo.config.get("core", {}).get("remote")
    settings = repo.config.get("remote", {}).get(name, {})
    return ((name, dvc_faults.without_credentials(str(settings.get("url", "")))),) if name else ()
