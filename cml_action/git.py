"""The few questions that are asked of Git itself."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from cml_action.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cml_action.log import Log

_QUICK_S, _NETWORK_S = 30.0, 120.0


def toplevel(folder: Path) -> Path | None:
    """Return the root of the work tree that the folder lies in."""
    found = _ask(folder, "rev-parse", "--show-toplevel")
    return Path(found) if found else None


def needed_toplevel(folder: Path) -> Path:
    """Return the same where nothing can be done without.

    :raises UsageError: there is none, or Git does not read it.
    """
    done = _run(folder, "rev-parse", "--show-toplevel")
    if done.returncode == 0:
        return Path(done.stdout.decode(errors="replace").strip())
    if b"safe.directory" in done.stderr:
        raise UsageError(
            f"{folder} belongs to another user, and Git does not read it.",
            f"If you trust it: `{_last_line(done.stderr)}`.",
        )
    raise UsageError(
        f"{folder} is no Git repository.", "Is there an `actions/checkout` step before this one?"
    )


def trust(folder: Path, environ: Mapping[str, str], log: Log) -> None:
    """Have Git read the repository of a job that belongs to another user, as in a job with `container:`.

    Only those that the folder lies in, by name, and only inside GITHUB_WORKSPACE: whatever is there, the job
    runs already. On a laptop Git's own check stays as it is (git-config, `safe.directory`). The user's
    configuration is the one place that all obey: Git before 2.38, and libgit2, through which DVC reads, heed
    neither `-c` nor `GIT_CONFIG_*`.
    """
    given = environ.get("GITHUB_WORKSPACE")
    if environ.get("GITHUB_ACTIONS") != "true" or not given or not shutil.which("git"):
        return
    folder, workspace = folder.resolve(), Path(given).resolve()
    for top in (folder, *folder.parents):
        if not top.is_relative_to(workspace):
            return
        if not (top / ".git").exists() or b"safe.directory" not in _run(top, "rev-parse", "--git-dir").stderr:
            continue
        done = _run(top, "config", "--global", "--add", "safe.directory", str(top))
        if done.returncode:
            log.warning(
                f"Git does not read `{top}`, which belongs to another user, and `safe.directory` could not be"
                f" set ({_last_line(done.stderr)}). Let HOME name a folder that can be written."
            )
        else:
            log.debug(f"`{top}` belongs to another user: it was added to Git's `safe.directory`.")


def remote_url(folder: Path, name: str) -> str | None:
    """Return the address of a remote."""
    return _ask(folder, "config", "--get", f"remote.{name}.url")


def commit_of(folder: Path, revision: str) -> str | None:
    """Return the full hash of the commit that a revision names; None where it is not in this clone."""
    return _ask(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")


def committed(folder: Path, revision: str) -> str:
    """Return when a revision was committed, UTC, ISO 8601 to the second; empty where it is not there."""
    shown = ("--no-patch", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ")
    return _ask(folder, "show", *shown, "--end-of-options", revision, environment={"TZ": "UTC"}) or ""


def is_shallow(folder: Path) -> bool:
    """Whether the clone's history was cut, as `actions/checkout` does."""
    return _ask(folder, "rev-parse", "--is-shallow-repository") == "true"


def fetch_commit(folder: Path, commit: str, *, token: str, server_url: str) -> bool:
    """Bring one commit, without its history, into a shallow clone; whether it is there now.

    `actions/checkout` leaves a clone of depth 1 in which the base of a pull request is missing. The token
    travels in the environment (`GIT_CONFIG_*`, Git 2.31), where a list of processes does not show it.
    """
    # As checked out, then with our own token.
    for environment in ({"GIT_TERMINAL_PROMPT": "0"}, _settings(token, server_url)):
        _ask(
            folder,
            *("fetch", "--quiet", "--no-tags", "--depth=1", "--end-of-options", "origin", commit),
            environment=environment,
            timeout_s=_NETWORK_S,
        )
        if commit_of(folder, commit):
            return True
    return False


def current_branch(folder: Path) -> str | None:
    """Return the branch that is checked out; None for none."""
    return _ask(folder, "branch", "--show-current")


def changed(folder: Path, pathspecs: Sequence[str]) -> list[str]:
    """Return the files that are new or not as they were committed, by their path from the root.

    :param pathspecs: relative to the folder; files that Git ignores, and those that are gone, are left out.
    """
    done = _run(
        folder, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--", *pathspecs
    )
    if done.returncode:
        raise UsageError(f"`git status` failed ({_last_line(done.stderr)}).", "Check the globs.")
    entries = [entry for entry in done.stdout.decode(errors="surrogateescape").split("\0") if entry]
    return sorted(entry[3:] for entry in entries if "D" not in entry[:2])


def stored(root: Path, name: str) -> bytes:
    """Return a file as Git would store it: line ends and filters (`.gitattributes`) applied."""
    digest = _ask(root, "hash-object", "-w", "--", name)
    done = _run(root, "cat-file", "blob", digest or "")
    if not digest or done.returncode:
        raise OutsideError(f"Git could not read `{name}`.", "Check that it can be read.")
    return done.stdout


def push(folder: Path, branch: str, url: str, *, token: str, server_url: str) -> None:
    """Push what is checked out to a branch.

    :raises OutsideError: with Git's own words.
    """
    words = ("push", "--quiet", url, f"HEAD:refs/heads/{branch}")
    done = _run(folder, *words, environment=_settings(token, server_url), timeout_s=_NETWORK_S)
    if done.returncode:
        raise OutsideError(
            f"`git push` to {branch} failed ({_last_line(done.stderr)}).",
            "Check that the token has `contents: write`, and that the branch may be pushed to.",
        )


def is_executable(path: Path) -> bool:
    """Whether Git would mark the file as a program."""
    return os.name != "nt" and bool(path.stat().st_mode & 0o100)


def configure(folder: Path, *words: str) -> None:
    """Set a value of the clone's configuration (`git config`).

    :raises OutsideError: where Git refuses; the value is not shown.
    """
    done = _run(folder, "config", *words)
    if done.returncode:
        raise OutsideError(
            f"`git config {next(word for word in words if not word.startswith('--'))}` failed.",
            "Check that the clone's `.git/config` can be written.",
        )


def configure_secret(folder: Path, key: str, value: str) -> None:
    """Add a value to the clone's configuration that no list of processes may show.

    Git takes values from its arguments alone: so it writes a mark, which is then replaced in its file, as
    `actions/checkout` does.
    """
    mark = f"mark-{token_hex(16)}"
    configure(folder, "--add", key, mark)
    path = folder / (_ask(folder, "rev-parse", "--git-path", "config") or ".git/config")
    part = path.with_name("config.cml-action")
    try:
        shutil.copy(path, part)  # its rights as well
        part.write_text(path.read_text(encoding="utf-8").replace(mark, value), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutsideError(
            f"`{path}` could not be written: {error.strerror}.", "Make it writable, then run again."
        ) from None


def fetch(folder: Path, *words: str) -> None:
    """Fetch as asked.

    :raises OutsideError: with Git's own words.
    """
    done = _run(folder, "fetch", *words, environment={"GIT_TERMINAL_PROMPT": "0"}, timeout_s=_NETWORK_S)
    if done.returncode:
        raise OutsideError(
            f"`git fetch` failed ({_last_line(done.stderr)}).", "Check the token and the remote."
        )


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return re.sub(r"://[^/@\s]*@", "://***@", lines[-1].strip()) if lines else "no words"


def _settings(token: str, server_url: str) -> dict[str, str]:
    """Return variables that give Git a token; the header that `actions/checkout` left counts no more."""
    settings = {"GIT_TERMINAL_PROMPT": "0"}
    if token:
        word = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        key = f"http.{server_url.rstrip('/')}/.extraheader"
        settings |= {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": key,
            "GIT_CONFIG_VALUE_0": "",
            "GIT_CONFIG_KEY_1": key,
            "GIT_CONFIG_VALUE_1": f"AUTHORIZATION: basic {word}",
        }
    return settings


def differing(folder: Path, commit: str, name: str) -> list[str]:
    """Return the files of a path or glob that are not as they were at a commit, relative to the folder.

    New ones are among them, also those that Git ignores: of DVC's files, every one is new to Git.
    """
    specs, found = _specs(name), []
    for words in (
        ("diff", "--name-only", "--no-renames", "--relative", "-z", "--end-of-options", commit),
        ("ls-files", "--others", "-z"),
    ):
        done = _run(folder, *words, "--", *specs)
        if done.returncode:
            raise UsageError(f"`git {words[0]}` failed ({_last_line(done.stderr)}).", f"Check `{name}`.")
        found += done.stdout.decode(errors="surrogateescape").split("\0")
    return [path for path in found if path]


def _specs(name: str) -> tuple[str, str]:
    """Return what Git shall take for a name that may be a path as it is, or a glob."""
    return f":(literal){name}", f":(glob){name}"


def show(folder: Path, revision: str, name: str) -> str | None:
    """Return a file's text at a revision, its name relative to the folder; None where it is not there."""
    return _ask(folder, "show", "--end-of-options", f"{revision}:./{name}")


def export(folder: Path, commit: str, name: str, destination: Path) -> bool:
    """Write a path or glob as it was at a commit below a folder; whether there was anything.

    Not by `git archive`, which leaves out what `.gitattributes` says of a release (`export-ignore`).

    :raises OutsideError: a file is not in the clone and cannot be fetched, or its filter (Git LFS) fails.
    """
    nothing = _ask(folder, "hash-object", "-t", "tree", "--stdin") or ""
    words = ("diff-tree", "-r", "-z", "--relative", "--no-renames", "--end-of-options", nothing, commit)
    done = _run(folder, *words, "--", *_specs(name), timeout_s=_NETWORK_S)
    told = done.stdout.decode(errors="surrogateescape").split("\0")
    # `:000000 100644 … A`, the path, and so on: files, neither links nor submodules.
    files = [path for what, path in zip(told[::2], told[1::2], strict=False) if what[8:11] == "100"]
    for path in files:
        content = _run(folder, "cat-file", "--filters", f"{commit}:./{path}", timeout_s=_NETWORK_S)
        if content.returncode:
            raise OutsideError(
                f"`{path}` as it was at {commit[:7]} cannot be read ({_last_line(content.stderr)}).",
                "Check that the clone is whole (`git fsck`), and that `git lfs` is installed if it is used.",
            )
        target = (destination / path).resolve()
        if target.is_relative_to(destination.resolve()):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.stdout)
    return bool(files)


def _ask(folder: Path, *words: str, **options: Any) -> str | None:
    done = _run(folder, *words, **options)
    return done.stdout.decode(errors="replace").strip() or None if done.returncode == 0 else None


def _run(
    folder: Path, *words: str, environment: dict[str, str] | None = None, timeout_s: float = _QUICK_S
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 -- a list of words, no shell
            ["git", "-C", str(folder), *words],  # noqa: S607 -- the user's own git
            capture_output=True,
            check=False,
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
        )
    except FileNotFoundError:
        raise UsageError("There is no `git` on the PATH.", "Install Git, or use a runner with it.") from None
    except subprocess.TimeoutExpired:
        raise OutsideError(
            f"`git {words[0]}` gave no answer within {timeout_s:.0f} seconds.", "Run the job again."
        ) from None
