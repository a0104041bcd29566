"""Where the files of a version in Git are, and what they are: in the commit, or recorded there by DVC."""

from __future__ import annotations

import hashlib
import json
import posixpath
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from cml_action import git
from cml_action.errors import OutsideError, UsageError
from cml_action.registry.protocol import NotThereError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cml_action.registry.gitremote import GitRemote
    from cml_action.registry.protocol import Version

_POINTER = b"version https://git-lfs.github.com/spec/"
_PIECE = 1 << 20
_CORRECT = "Correct the path in `dvc.yaml`, `artifacts.yaml` or `cml.yaml`, or name another version."


@dataclass(frozen=True, kw_only=True)
class Files:
    """How the files of versions are found.

    :param prefix: the project's folder in the repository, ending in `/`, or empty.
    :param path: where the model lies in the project, where neither `dvc.yaml` nor `artifacts.yaml` says so.
    :param pull: brings a path that DVC tracks, as it was at a commit, into a folder, under its own path.
    """

    prefix: str
    path: str
    pull: Callable[[str, str, Path], None]

    def locate(self, remote: GitRemote, version: Version) -> tuple[str, str]:
        """Return the path of a version's model in the repository, and its digest there.

        `git:…` is the object in Git, `md5:…` what DVC records; empty where DVC tracks a folder around it.
        Neither file is fetched for that.

        :raises UsageError: nothing says where the model lies.
        :raises NotThereError: the commit has no such file, and DVC records none there.
        """
        commit = version.revision
        path = self._path(remote, version)
        listed = remote.git("ls-tree", commit, "--", path, missing=True)
        if listed:
            return path, f"git:{listed.split()[2]}"
        recorded = _recorded_by_dvc(remote, commit, path)
        if recorded is None:
            raise NotThereError(
                f"`{version.reference}` (commit {commit[:7]}) has no `{path}`: neither Git nor DVC knows it.",
                _CORRECT,
            )
        return path, f"md5:{recorded}" if recorded else ""

    def download(self, remote: GitRemote, version: Version, folder: Path) -> Path:
        """Write a version's files below a folder, check them against its digest, and return the model."""
        path = PurePosixPath(version.source)
        if version.digest.startswith("git:"):
            for line in remote.git("ls-tree", "-r", "-z", version.revision, "--", version.source).split("\0"):
                if line:
                    _write(remote, line, folder, version)
            return folder / path
        inside = path.relative_to(self.prefix) if self.prefix else path
        self.pull(version.revision, str(inside), folder)
        found = folder / inside
        if not found.exists():
            raise NotThereError(
                f"`{version.reference}` (commit {version.revision[:7]}) has no `{path}`: DVC tracks the"
                " folder around it, which does not hold it.",
                _CORRECT,
            )
        if version.digest and f"md5:{_md5(found)}" != version.digest:
            raise OutsideError(
                f"The files of `{version.reference}` that DVC's remote holds are not those that were recorded"
                f" ({version.digest}).",
                "Someone changed them in the remote. Push them again from where they were made.",
            )
        return found

    def _path(self, remote: GitRemote, version: Version) -> str:
        folder, _, name = version.collection.rpartition(":")
        base = f"{self.prefix}{folder}/" if folder else self.prefix
        dvc, gto = (
            _yaml(remote, version.revision, f"{base}{each}") for each in ("dvc.yaml", "artifacts.yaml")
        )
        asked = _at(dvc, "artifacts", name, "path") or _at(gto, name, "path") or self.path
        if not isinstance(asked, str) or not asked:
            raise UsageError(
                f"Nothing says where the model of `{version.reference}` lies.",
                f"Name it in `dvc.yaml` (`artifacts: {{{name}: {{path: …}}}}`), or `model.path` in cml.yaml.",
            )
        path = PurePosixPath(base, asked)
        if PurePosixPath(asked).is_absolute() or ".." in path.parts:
            raise UsageError(
                f"The model of `{version.reference}` is said to lie at `{asked}`, outside the project."
            )
        return str(path)


def pull_with(
    project: Path, pull: Callable[[str, str, Path], None], fetch: Callable[[str], bool]
) -> Callable[[str, str, Path], None]:
    """Return a `pull` that first brings the commit into the project's own clone, where DVC looks for it."""

    def run(commit: str, path: str, folder: Path) -> None:
        if git.commit_of(project, commit) is None and not fetch(commit):
            raise OutsideError(
                f"The commit {commit[:7]} could not be fetched.",
                "`actions/checkout` with `fetch-depth: 0` brings it.",
            )
        pull(commit, path, folder)

    return run


def _write(remote: GitRemote, line: str, folder: Path, version: Version) -> None:
    entry, _, name = line.partition("\t")
    mode, kind, made = entry.split()
    target = folder / name
    if kind != "blob" or mode == "120000" or not target.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"`{name}` in `{version.reference}` is a link or another repository, and no file.",
            "Commit the file itself.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    remote.save(made, target)
    with target.open("rb") as stream:
        if stream.read(len(_POINTER)) == _POINTER:
            raise UsageError(
                f"`{name}` in `{version.reference}` is a pointer of Git LFS, which is not fetched here.",
                "Track the model with DVC, or commit the file itself.",
            )


def _recorded_by_dvc(remote: GitRemote, commit: str, path: str) -> str | None:
    """Return the MD5 that DVC records for a path; empty inside a folder that it tracks, None elsewhere."""
    place, is_inside = PurePosixPath(path), False
    for out, md5 in _outs_around(remote, commit, place):
        if out == place:
            return md5
        is_inside = is_inside or out in place.parents
    return "" if is_inside else None


def _outs_around(remote: GitRemote, commit: str, place: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield path and MD5 of what the `.dvc` files and `dvc.lock` at a place and its folders name."""
    for each in (place, *place.parents[:-1]):
        pointer = _yaml(remote, commit, f"{each}.dvc")
        yield from _outs(pointer, each.parent, _at(pointer, "wdir"))
    for folder in place.parents:
        locked = _at(_yaml(remote, commit, str(folder / "dvc.lock")), "stages")
        if not isinstance(locked, dict):
            continue
        stages = _at(_yaml(remote, commit, str(folder / "dvc.yaml")), "stages")
        for name, stage in locked.items():
            written = _at(stages, str(name).partition("@")[0])  # `train@0` is of a `foreach` or a `matrix`
            yield from _outs(stage, folder, _at(written, "wdir") or _at(written, "do", "wdir"))


def _outs(stage: Any, folder: PurePosixPath, wdir: Any) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield the outputs of a stage with their MD5; their paths are relative to its `wdir`."""
    for out in _at(stage, "outs") or ():
        path = posixpath.normpath(folder / str(wdir or ".") / str(_at(out, "path")))
        yield PurePosixPath(path), str(_at(out, "md5") or "")


def _yaml(remote: GitRemote, commit: str, path: str) -> Any:
    text = remote.raw("cat-file", "blob", f"{commit}:{path}", missing=True)
    try:
        return yaml.safe_load(text) if text else None
    except yaml.YAMLError as error:
        raise UsageError(
            f"`{path}` at {commit[:7]} is not YAML: {' '.join(str(error).split())[:200]}.",
            "The version cannot be used as it is; register one whose file can be read.",
        ) from None


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _md5(path: Path) -> str:
    """Return DVC's digest: MD5 of a file, or of the list of a folder's files, ending in `.dir`."""
    if not path.is_dir():
        return _md5_of(path)
    listed = [
        {"md5": _md5_of(each), "relpath": each.relative_to(path).as_posix()}
        for each in path.rglob("*")
        if each.is_file()
    ]
    listed.sort(key=lambda entry: entry["relpath"])
    text = json.dumps(listed, sort_keys=True).encode()
    return f"{hashlib.md5(text, usedforsecurity=False).hexdigest()}.dir"


def _md5_of(path: Path) -> str:
    found = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            found.update(piece)
    return found.hexdigest()
