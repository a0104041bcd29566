"""The few questions that are asked of Git itself."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

from cml_action.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

_QUICK_S, _NETWORK_S = 30.0, 120.0


def toplevel(folder: Path) -> Path | None:
    """Return the root of the work tree that the folder lies in."""
    found = _ask(folder, "rev-parse", "--show-toplevel")
    return folder.__class__(found) if found else None


def commit_of(folder: Path, revision: str) -> str | None:
    """Return the full hash of the commit that a revision names; None where it is not in this clone."""
    return _ask(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")


def is_shallow(folder: Path) -> bool:
    """Whether the clone's history was cut, as `actions/checkout` does."""
    return _ask(folder, "rev-parse", "--is-shallow-repository") == "true"


def fetch_commit(folder: Path, commit: str, *, token: str, server_url: str) -> bool:
    """Bring one commit, without its history, into a shallow clone; whether it is there now.

    `actions/checkout` leaves a clone of depth 1 in which the base of a pull request is missing. The token
    travels in the environment (`GIT_CONFIG_*`, Git 2.31), where a list of processes does not show it.
    """
    settings = {"GIT_TERMINAL_PROMPT": "0"}
    if token:
        word = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        settings |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{server_url.rstrip('/')}/.extraheader",
            "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {word}",
        }
    for environment in ({"GIT_TERMINAL_PROMPT": "0"}, settings):  # as checked out, then with our own token
        _ask(
            folder,
            *("fetch", "--quiet", "--no-tags", "--depth=1", "--end-of-options", "origin", commit),
            environment=environment,
            timeout_s=_NETWORK_S,
        )
        if commit_of(folder, commit):
            return True
    return False


def differs(folder: Path, commit: str, name: str) -> bool:
    """Whether a path or glob in the work tree is not as it was at a commit."""
    done = _run(folder, "diff", "--quiet", "--end-of-options", commit, "--", name)
    return done.returncode != 0


def show(folder: Path, revision: str, name: str) -> str | None:
    """Return a file's text at a revision, its name relative to the folder; None where it is not there."""
    return _ask(folder, "show", "--end-of-options", f"{revision}:./{name}")


def export(folder: Path, commit: str, name: str, destination: Path) -> bool:
    """Write a path or glob as it was at a commit below a folder; whether there was anything."""
    done = _run(folder, "archive", "--format=tar", commit, "--", name, timeout_s=_NETWORK_S)
    if done.returncode != 0:
        return False
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        members = [each for each in archive.getmembers() if each.isfile()]  # no links
        for member in members:
            content = archive.extractfile(member)
            target = (destination / member.name).resolve()
            if content and target.is_relative_to(destination.resolve()):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
    return bool(members)


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
